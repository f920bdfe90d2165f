package graph

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/tradetrail/tradetrail/graph/generated"
	"github.com/tradetrail/tradetrail/graph/model"
)

const (
	// maxComplexity is the most fields that one operation asks for; the dashboard
	// and introspection stay far below.
	maxComplexity = 1000
)

// NewServer makes the handler of /graphql: queries and mutations over POST,
// queries over GET, subscriptions over graphql-transport-ws and over server-sent
// events.
func NewServer(recorder Recorder, views Views, log *slog.Logger) http.Handler {
	return newServer(recorder, views, log, DefaultLiveLimits())
}

func newServer(recorder Recorder, views Views, log *slog.Logger, limits LiveLimits) http.Handler {
	r := &Resolver{recorder: recorder, views: views, log: log}
	config := generated.Config{Resolvers: r}
	config.Complexity.Query.Events = func(children int, _ *model.EventFilter, _ *int, _ *string, _ *int, _, _ *string) int {
		return children + searchWeight
	}
	config.Complexity.Query.Anomalies = func(children int, _ *model.AnomalyFilter, _ *int, _ *string) int { return children + searchWeight }
	config.Complexity.Query.AnomalyHeatmap = func(children int, _, _ time.Time, _ *time.Duration) int { return children + searchWeight }
	server := handler.New(generated.NewExecutableSchema(config))
	live := newLive(limits, log)
	server.AddTransport(socket{live})
	server.AddTransport(stream{live}) // before GET and POST, which would take its requests
	server.AddTransport(transport.Options{})
	server.AddTransport(transport.GET{})
	server.AddTransport(transport.POST{})
	server.SetQueryCache(lru.New[*ast.QueryDocument](1000))
	server.Use(extension.Introspection{})
	server.Use(extension.FixedComplexityLimit(maxComplexity))
	server.SetErrorPresenter(r.present)
	server.SetRecoverFunc(r.recovered)
	return server
}
