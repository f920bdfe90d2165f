package views

import (
	"context"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// ordersView keeps the state of each order and what its chain is made of.
//
//	o:<order>       string  domain.Order as JSON
//	c:<order>       list    places of the order's own events
//	r:<kind>:<id>   list    places of the events without an order that concern a
//	                        recommendation, computation, evaluation or approval
type ordersView struct{}

func (ordersView) name() string { return "orders" }
func (ordersView) version() int { return 1 }

func (ordersView) fold(ctx context.Context, r redis.Cmdable, k keys, events []feed.Event) (func(redis.Pipeliner), []string, error) {
	ids := make(map[string]struct{})
	for _, e := range events {
		if e.Event != nil && e.OrderID != "" {
			ids[e.OrderID] = struct{}{}
		}
	}
	orders, err := readOrders(ctx, r, k, slices.Collect(maps.Keys(ids)))
	if err != nil {
		return nil, nil, err
	}
	lists := newAppends()
	topics := make(map[string]struct{})
	for _, e := range events {
		if e.Event == nil {
			continue
		}
		if e.OrderID != "" {
			order := orders[e.OrderID]
			order.Apply(e.Event)
			orders[e.OrderID] = order
			lists.add(k.at("c", e.OrderID), place(e.Position))
			topics[orderTopic(e.OrderID)] = struct{}{}
			continue
		}
		for _, ref := range domain.Concerns(e.Event) {
			lists.add(k.at("r", ref.Kind+":"+ref.ID), place(e.Position))
			topics[refTopic(ref)] = struct{}{}
		}
	}
	states := make(map[string][]byte, len(orders))
	for id, order := range orders {
		if states[id], err = json.Marshal(order, json.Deterministic(true)); err != nil {
			return nil, nil, damaged("an order %s that can't be written", id)
		}
	}
	return func(p redis.Pipeliner) {
		for id, state := range states {
			p.Set(ctx, k.at("o", id), state, 0)
		}
		lists.write(ctx, p)
	}, slices.Collect(maps.Keys(topics)), nil
}

func orderTopic(id string) string          { return "order:" + id }
func refTopic(ref domain.Ref) string       { return ref.Kind + ":" + ref.ID }
func ownerTopic(kind, owner string) string { return kind + ":" + owner }

// readOrders reads the states of orders; those nobody knows are missing in the
// result.
func readOrders(ctx context.Context, r redis.Cmdable, k keys, ids []string) (map[string]domain.Order, error) {
	orders := make(map[string]domain.Order, len(ids))
	if len(ids) == 0 {
		return orders, nil
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = k.at("o", id)
	}
	values, err := r.MGet(ctx, names...).Result()
	if err != nil {
		return nil, unavailable("reading orders", err)
	}
	for i, value := range values {
		text, ok := value.(string)
		if !ok {
			continue
		}
		var order domain.Order
		if err := json.Unmarshal([]byte(text), &order); err != nil {
			return nil, damaged("an unreadable order %s", ids[i])
		}
		orders[ids[i]] = order
	}
	return orders, nil
}

// appends gathers what goes to the end of lists, in order.
type appends struct{ values map[string][]any }

func newAppends() appends { return appends{make(map[string][]any)} }

func (a appends) add(key, value string) { a.values[key] = append(a.values[key], value) }

func (a appends) write(ctx context.Context, p redis.Pipeliner) {
	for key, values := range a.values {
		p.RPush(ctx, key, values...)
	}
}
