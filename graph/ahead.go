package graph

import (
	"context"
	"slices"
	"sync"

	"github.com/99designs/gqlgen/graphql"

	"github.com/tradetrail/tradetrail/domain"
)

// ordersAhead reads all orders that a query names at its root in one go, when the
// first of them is asked for: fifty aliases are one read, and nobody waits to see
// whether there will be more.
type ordersAhead struct {
	once   sync.Once
	ids    []string
	orders map[string]domain.Order
	err    error
}

type aheadKey struct{}

// readAhead gives each operation its own ordersAhead.
type readAhead struct{}

var _ graphql.OperationInterceptor = readAhead{}

// ExtensionName implements graphql.HandlerExtension.
func (readAhead) ExtensionName() string { return "ReadAhead" }

// Validate implements graphql.HandlerExtension.
func (readAhead) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation makes the context that an operation's fields see.
func (readAhead) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	responses, ahead := next(ctx), &ordersAhead{}
	return func(ctx context.Context) *graphql.Response {
		return responses(context.WithValue(ctx, aheadKey{}, ahead))
	}
}

// order reads the state of an order; ok is false when no event names it.
func (r *Resolver) order(ctx context.Context, id string, notOlderThan *string) (order domain.Order, ok bool, err error) {
	if notOlderThan == nil {
		if orders, done, err := r.ahead(ctx, id); done {
			order, ok = orders[id]
			return order, ok, err
		}
	}
	orders, err := r.views.Orders(ctx, []string{id})
	order, ok = orders[id]
	return order, ok, err
}

// ahead is what was read for all; done is false when this order is not among it,
// or when somebody may see one of the others less than this one.
func (r *Resolver) ahead(ctx context.Context, id string) (orders map[string]domain.Order, done bool, err error) {
	all, ok := ctx.Value(aheadKey{}).(*ordersAhead)
	if !ok {
		return nil, false, nil
	}
	all.once.Do(func() {
		if all.ids = rootOrders(graphql.GetOperationContext(ctx)); len(all.ids) > 1 {
			all.orders, all.err = r.views.Orders(ctx, all.ids)
		}
	})
	if len(all.ids) < 2 || !slices.Contains(all.ids, id) || domain.ClassOf(all.err) == domain.ClassDenied {
		return nil, false, nil
	}
	return all.orders, true, all.err
}

// rootOrders are the orders that an operation asks for without waiting for
// anything, each once.
func rootOrders(operation *graphql.OperationContext) []string {
	var ids []string
	for _, field := range graphql.CollectFields(operation, operation.Operation.SelectionSet, []string{"Query"}) {
		if field.Name != "order" {
			continue
		}
		args := field.ArgumentMap(operation.Variables)
		if id, ok := args["id"].(string); ok && args["notOlderThan"] == nil && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
