package graph

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/tradetrail/tradetrail/graph/generated"
)

// Schema is what the server answers introspection with.
func Schema() *ast.Schema { return generated.NewExecutableSchema(generated.Config{}).Schema() }

// NewTightServer is NewServer with other bounds for what runs.
func NewTightServer(recorder Recorder, views Views, running, waiting int, query, mutation time.Duration) http.Handler {
	return newServer(recorder, views, slog.New(slog.DiscardHandler), newTurns(running, waiting, query, mutation), DefaultLiveLimits())
}
