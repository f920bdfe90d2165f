package graph

import (
	"context"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/tradetrail/tradetrail/domain"
)

// The codes of operations that could not be executed, or not to their end.
const (
	codeTimeout      = "timeout"
	codeOverloaded   = "overloaded"
	codeRebuildAlone = "rebuild_alone"
)

// errTimeout is why an operation's context ends.
var errTimeout = &domain.Error{
	Class: domain.ClassTransient, Code: codeTimeout,
	Message: "the operation took too long and was given up; ask for less at once",
}

var errOverloaded = &domain.Error{
	Class: domain.ClassTransient, Code: codeOverloaded,
	Message: "too many queries at a time; try again",
}

// turns bounds how many queries and mutations run at a time, how many wait for
// their turn, and how long each runs. What lasts by its nature has no part in it:
// subscriptions, and the mutation rebuild, of which there is one per read model.
type turns struct {
	running chan struct{}
	waiting chan struct{}

	query, mutation time.Duration
}

// Turns at a time, and the time that operations have. A recorder answers within
// 30 s, and a body of 16 MiB has many events.
const (
	maxRunning      = 64
	maxWaiting      = 1024
	queryTimeout    = 10 * time.Second
	mutationTimeout = time.Minute
)

func newTurns(running, waiting int, query, mutation time.Duration) *turns {
	return &turns{make(chan struct{}, running), make(chan struct{}, waiting), query, mutation}
}

var (
	_ graphql.OperationInterceptor    = (*turns)(nil)
	_ graphql.OperationContextMutator = (*turns)(nil)
)

// ExtensionName implements graphql.HandlerExtension.
func (*turns) ExtensionName() string { return "Turns" }

// Validate implements graphql.HandlerExtension.
func (*turns) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext refuses a mutation that rebuilds and does something else,
// which would be done outside the turns too.
func (*turns) MutateOperationContext(_ context.Context, operation *graphql.OperationContext) *gqlerror.Error {
	if fields := mutations(operation); len(fields) > 1 && slices.ContainsFunc(fields, isRebuild) {
		return gqlerror.Wrap(reject(codeRebuildAlone, "rebuild takes as long as it takes: it must be the only field of its mutation"))
	}
	return nil
}

// InterceptOperation executes a query or mutation in its turn and in its time.
func (t *turns) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	operation := graphql.GetOperationContext(ctx)
	if lasts(operation) {
		return next(ctx)
	}
	limit := t.query
	if operation.Operation.Operation == ast.Mutation {
		limit = t.mutation
	}
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		ctx, cancel := context.WithTimeoutCause(ctx, limit, errTimeout)
		defer cancel()
		if err := t.begin(ctx); err != nil {
			return &graphql.Response{Errors: gqlerror.List{err}}
		}
		defer t.end()
		return next(ctx)(ctx)
	}
}

func (t *turns) begin(ctx context.Context) *gqlerror.Error {
	select {
	case t.running <- struct{}{}:
		return nil
	default:
	}
	select {
	case t.waiting <- struct{}{}:
	default:
		return overloaded()
	}
	defer func() { <-t.waiting }()
	select {
	case t.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		return overloaded()
	}
}

func (t *turns) end() { <-t.running }

func overloaded() *gqlerror.Error {
	return &gqlerror.Error{
		Message:    errOverloaded.Message,
		Extensions: map[string]any{"code": errOverloaded.Code, "class": errOverloaded.Class.String()},
	}
}

// lasts reports whether an operation has no part in turns.
func lasts(operation *graphql.OperationContext) bool {
	return operation.Operation.Operation == ast.Subscription || slices.ContainsFunc(mutations(operation), isRebuild)
}

// mutations are the fields of a mutation.
func mutations(operation *graphql.OperationContext) []graphql.CollectedField {
	if operation.Operation.Operation != ast.Mutation {
		return nil
	}
	return graphql.CollectFields(operation, operation.Operation.SelectionSet, []string{"Mutation"})
}

func isRebuild(f graphql.CollectedField) bool { return f.Name == "rebuild" }
