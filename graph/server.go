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
	// A client that answers no ping for twice as long is cut off; it resumes with
	// the last cursor it has seen.
	keepAlive = 30 * time.Second
	// maxComplexity is the most fields that one operation asks for; the dashboard
	// and introspection stay far below.
	maxComplexity = 1000

	initLimit = 10 * time.Second // for a WebSocket client to say connection_init
)

// NewServer makes the handler of /graphql: queries and mutations over POST,
// queries over GET, subscriptions over graphql-transport-ws and over server-sent
// events.
func NewServer(recorder Recorder, views Views, log *slog.Logger) http.Handler {
	r := &Resolver{recorder: recorder, views: views, log: log}
	config := generated.Config{Resolvers: r}
	config.Complexity.Query.Events = func(children int, _ *model.EventFilter, _ *int, _ *string, _ *int, _, _ *string) int {
		return children + searchWeight
	}
	server := handler.New(generated.NewExecutableSchema(config))
	server.AddTransport(transport.SSE{}) // before POST, which would take its requests
	server.AddTransport(transport.Options{})
	server.AddTransport(transport.GET{})
	server.AddTransport(transport.POST{})
	server.AddTransport(transport.Websocket{KeepAlivePingInterval: keepAlive, PingPongInterval: keepAlive, InitTimeout: initLimit})
	server.SetQueryCache(lru.New[*ast.QueryDocument](1000))
	server.Use(extension.Introspection{})
	server.Use(extension.FixedComplexityLimit(maxComplexity))
	server.SetErrorPresenter(r.present)
	server.SetRecoverFunc(r.recovered)
	return server
}
