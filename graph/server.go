package graph

import (
	"log/slog"
	"net/http"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/tradetrail/tradetrail/graph/generated"
)

// NewServer makes the handler of /graphql: queries and mutations over POST,
// queries over GET, subscriptions over graphql-transport-ws and over server-sent
// events. docs/graphql.md has its limits and codes.
func NewServer(recorder Recorder, views Views, log *slog.Logger) http.Handler {
	return newServer(recorder, views, log, newTurns(maxRunning, maxWaiting, queryTimeout, mutationTimeout), DefaultLiveLimits())
}

func newServer(recorder Recorder, views Views, log *slog.Logger, turns *turns, limits LiveLimits) http.Handler {
	r := &Resolver{recorder: recorder, views: views, log: log, computing: newComputing(turns)}
	config := generated.Config{Resolvers: r}
	weigh(&config.Complexity)
	server := handler.New(generated.NewExecutableSchema(config))
	requests := requests{http.NewCrossOriginProtection()}
	live := newLive(limits, log)
	server.AddTransport(socket{live})
	server.AddTransport(stream{requests, live}) // before the next, which would take its requests
	server.AddTransport(&overHTTP{requests})
	server.SetParserTokenLimit(maxTokens)
	parsed := parsedQueries[*ast.QueryDocument]()
	server.SetQueryCache(parsed)
	server.Use(textLimit{}) // the order counts: length, then what is persisted, then form, then cost
	server.Use(extension.AutomaticPersistedQuery{Cache: persistedQueries()})
	server.Use(formLimit{parsed})
	server.Use(extension.Introspection{})
	server.Use(extension.FixedComplexityLimit(maxComplexity))
	server.Use(turns)
	server.Use(readAhead{})
	server.SetErrorPresenter(r.present)
	server.SetRecoverFunc(r.recovered)
	return secured(server)
}

// secured sets what every answer of the API says to browsers: that it is data of
// this moment, for nobody but whom it was sent to.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
