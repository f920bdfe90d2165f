package graph

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/tradetrail/tradetrail/graph/generated"
)

// NewServer makes the handler of /graphql: queries and mutations over POST,
// queries over GET, subscriptions over graphql-transport-ws and over server-sent
// events. docs/graphql.md has its limits and codes. reports may be nil.
func NewServer(recorder Recorder, views Views, reports Reports, sealing Log, log *slog.Logger, options ...Option) http.Handler {
	return newServer(recorder, views, reports, sealing, log, newTurns(maxRunning, maxWaiting, queryTimeout, mutationTimeout), DefaultLiveLimits(), options...)
}

// Option is what a server may have besides.
type Option func(*Resolver)

// WithCases lets people do something about anomalies.
func WithCases(cases Cases) Option { return func(r *Resolver) { r.cases = cases } }

func newServer(recorder Recorder, views Views, reports Reports, sealing Log, log *slog.Logger, turns *turns, limits LiveLimits, options ...Option) http.Handler {
	r := &Resolver{recorder: recorder, views: views, reports: reports, sealing: orNone(sealing), log: log, computing: newComputing(turns)}
	for _, option := range options {
		option(r)
	}
	config := generated.Config{Resolvers: r}
	weigh(&config.Complexity)
	server := handler.New(generated.NewExecutableSchema(config))
	requests := requests{http.NewCrossOriginProtection()}
	live := newLive(limits, log)
	server.AddTransport(guarded{socket{live}, r})
	server.AddTransport(guarded{stream{requests, live}, r}) // before the next, which would take its requests
	server.AddTransport(guarded{&overHTTP{requests}, r})
	server.SetParserTokenLimit(maxTokens)
	parsed := parsedQueries[*ast.QueryDocument]()
	server.SetQueryCache(parsed)
	server.Use(textLimit{}) // the order counts: length, then what is persisted, then form, then cost
	server.Use(extension.AutomaticPersistedQuery{Cache: persistedQueries()})
	server.Use(formLimit{parsed})
	server.Use(extension.Introspection{})
	server.Use(recordLimit{})
	server.Use(extension.FixedComplexityLimit(maxComplexity))
	server.Use(turns)
	server.Use(readAhead{})
	server.SetErrorPresenter(r.present)
	server.SetRecoverFunc(r.recovered)
	return newBodies(bigBodies, bodyPatience).bounded(server)
}

// maxErrors is how many mistakes in one query are told.
const maxErrors = 10

// guarded is a transport that gives operations to a careful executor.
type guarded struct {
	graphql.Transport

	resolver *Resolver
}

// Do answers one request, or serves one connection.
func (g guarded) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	g.Transport.Do(w, r, careful{exec, g.resolver})
}

// careful is an executor that does not panic on what it is asked for, and tells only
// the first mistakes of a query: a text of 10,000 tokens can have thousands.
type careful struct {
	graphql.GraphExecutor

	resolver *Resolver
}

// CreateOperationContext parses, validates and weighs an operation.
func (c careful) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (operation *graphql.OperationContext, problems gqlerror.List) {
	defer func() {
		if cause := recover(); cause != nil {
			operation = &graphql.OperationContext{}
			problems = gqlerror.List{gqlerror.Wrap(c.resolver.recovered(ctx, cause))}
		}
	}()
	operation, problems = c.GraphExecutor.CreateOperationContext(ctx, params)
	return operation, problems[:min(len(problems), maxErrors)]
}
