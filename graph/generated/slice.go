// Package generated is the executor that gqlgen makes of the schema, and what it calls.
package generated

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
)

// marshalInOrder takes the place of graphql.MarshalSliceConcurrently, which starts a
// goroutine for each element. Ours wait for nothing, and the goroutines (their stacks,
// which grow every time) took a tenth of the time of an answer.
func marshalInOrder(
	ctx context.Context, length int, _ int64, _ bool, marshalElement func(ctx context.Context, i int) graphql.Marshaler,
) (elements graphql.Array) {
	elements = make(graphql.Array, length)
	for i := range elements {
		element := graphql.WithFieldContext(ctx, &graphql.FieldContext{Index: &i})
		if !recovered(element, func() { elements[i] = marshalElement(element, i) }) {
			return nil
		}
	}
	return elements
}

// recovered reports whether f ran to its end; a panic is an error of the answer.
func recovered(ctx context.Context, f func()) (ok bool) {
	defer func() {
		if !ok {
			graphql.AddError(ctx, graphql.Recover(ctx, recover()))
		}
	}()
	f()
	return true
}
