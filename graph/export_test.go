package graph

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/tradetrail/tradetrail/graph/generated"
)

// Schema is what the server answers introspection with.
func Schema() *ast.Schema { return generated.NewExecutableSchema(generated.Config{}).Schema() }

// NewCareful makes any executor careful.
func NewCareful(exec graphql.GraphExecutor) graphql.GraphExecutor {
	return careful{exec, &Resolver{log: slog.New(slog.DiscardHandler)}}
}

// BoundBodies bounds the bodies that are under way to so many bytes.
func BoundBodies(next http.Handler, total int64, wait time.Duration) http.Handler {
	return newBodies(total, wait).bounded(next)
}

// NewTightServer is NewServer with other bounds for what runs.
func NewTightServer(recorder Recorder, views Views, running, waiting int, query, mutation time.Duration) http.Handler {
	return newServer(recorder, views, nil, nil, slog.New(slog.DiscardHandler), newTurns(running, waiting, query, mutation), DefaultLiveLimits())
}
