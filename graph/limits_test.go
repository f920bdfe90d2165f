package graph_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph"
	"github.com/tradetrail/tradetrail/projections/views"
)

// repeat writes a piece n times; %d in it is the number.
func repeat(n int, piece string) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(strings.ReplaceAll(piece, "%d", fmt.Sprint(i)))
	}
	return out.String()
}

// Each of these would keep the process busy for a long time if it were let
// through; the views of this test can't be read at all.
func TestLimits(t *testing.T) {
	t.Parallel()
	var doubling strings.Builder
	doubling.WriteString("{ ...f0 } fragment f40 on Query { __typename } ")
	for i := range 40 {
		fmt.Fprintf(&doubling, "fragment f%d on Query { ...f%d ...f%d } ", i, i+1, i+1)
	}
	const event = `{ edges { node { eventId } } }`
	for _, c := range []struct{ name, query, code string }{
		{"a million events", "{" + repeat(20, `a%d: account(id: "a") { b: events(first: 1000) `+event+` c: events(last: 1000) `+event+` } `) + "}", "COMPLEXITY_LIMIT_EXCEEDED"},
		{"all of a thousand events", `{ account(id: "a") { events(first: 1000) { edges { node { ` + repeat(60, "f%d: eventId ") + `} } } } }`, "COMPLEXITY_LIMIT_EXCEEDED"},
		{"ten searches", "{" + repeat(10, "a%d: events(first: 1) { totalCount } ") + "}", "COMPLEXITY_LIMIT_EXCEEDED"},
		{"a thousand reads", "{" + repeat(990, "a%d: latencies { stage } ") + "}", "COMPLEXITY_LIMIT_EXCEEDED"},
		{"hashes of hashes", "{ projections {" + repeat(4, "h%d: hash ") + "} }", "COMPLEXITY_LIMIT_EXCEEDED"},
		{"a search in a variable's size", "{" + repeat(3, `a%d: events(first: 1000) { edges { node { eventId stream data raw position actor source version `+repeat(30, "f%d: ticker ")+`} } } `) + "}", "COMPLEXITY_LIMIT_EXCEEDED"},
		{"deep", "{ __schema { types" + repeat(20, " { ofType") + " { name }" + repeat(20, " }") + "} }", "query_too_deep"},
		{"deep in inline fragments", "{" + repeat(150, " ... on Query {") + " __typename" + repeat(150, " }") + "}", "query_too_deep"},
		{"fragments that come back", "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }", "query_too_deep"},
		{"fields that come back", "{ ...a } fragment a on Query { x: rebuilds { ...a } }", "query_too_deep"},
		{"fragments that spread each other twice", doubling.String(), "query_too_long"},
		{"many fragments", "{ __typename }" + repeat(101, " fragment f%d on Query { __typename }"), "query_too_long"},
		{"one field often", "{" + strings.Repeat(" __typename", 9000) + "}", "query_too_long"},
		{"one unknown field often", "{" + strings.Repeat(" zzzz", 9000) + "}", "query_too_long"},
		{"one field often, by fields", "{" + strings.Repeat(" rebuilds {"+strings.Repeat(" id", 10)+"}", 10) + "}", "query_too_long"},
		{"the schema often", "{" + repeat(10, " a%d: __schema { types { name } }") + "}", "query_too_long"},
		{"types often", "{" + repeat(200, ` a%d: __type(name: "Order") { fields { name } }`) + "}", "query_too_long"},
		{"many tokens", "{" + repeat(6000, " a%d: x") + "}", "GRAPHQL_PARSE_FAILED"},
		{"nested values", "{ events(filter: {types: " + strings.Repeat("[", 5100) + strings.Repeat("]", 5100) + "}) { totalCount } }", "GRAPHQL_PARSE_FAILED"},
		{"a long text", "{ __typename } #" + strings.Repeat("x", 128<<10), "query_too_long"},
	} {
		data, problems := ask(t, &fake{}, c.query)
		require.Len(t, problems, 1, c.name)
		assert.Equal(t, c.code, problems[0].Extensions.Code, "%s: %.200s", c.name, problems[0].Message)
		assert.NotEmpty(t, problems[0].Message, c.name)
		assert.Less(t, len(problems[0].Message), 600, c.name)
		assert.Empty(t, data, c.name)
	}
	// Sizes that no page has are refused by name, before anything is read of a page.
	v := &fake{owner: views.Stats{}}
	_, problems := ask(t, v, `{ account(id: "a") { events(first: 1000000) `+event+` } }`)
	require.Len(t, problems, 1)
	assert.Equal(t, [2]string{"page_too_large", "first"}, [2]string{problems[0].Extensions.Code, problems[0].Extensions.Field})
	assert.Equal(t, []string{"Owner"}, v.reads())
}

// What the dashboard and GraphiQL ask for is far from the limits.
func TestLimits_LetPass(t *testing.T) {
	t.Parallel()
	var fields strings.Builder
	for _, f := range graph.Schema().Types["AuditEvent"].Fields {
		switch f.Name {
		case "path":
			fields.WriteString(" path { hop in out }")
		case "clock":
			fields.WriteString(" clock { sourceId sync offsetNs maxErrorNs }")
		default:
			fields.WriteString(" " + f.Name)
		}
	}
	page := "(first: 50) { edges { cursor node {" + fields.String() + "} } pageInfo { hasNextPage endCursor } totalCount }"
	v := &fake{names: []string{"orders"}, search: func(views.Query) (views.Found, error) { return views.Found{}, nil }}
	v.chain = func(string) (domain.Chain, int, bool, error) { return domain.Chain{}, 0, false, nil }
	for name, query := range map[string]string{
		"every field of a page, of each kind": `{ account(id: "a") { events` + page + ` orders(first: 50) { edges { node { orderId status } } } stats { events byType { eventType count } } }
			strategy(id: "s") { events` + page + ` } events` + page + ` chain(orderId: "o") { events { stage event {` + fields.String() + `} } } projections { name hash } }`,
		"a full page":   `{ account(id: "a") { events(first: 1000) { edges { cursor node { eventId eventType occurredAt orderId ticker position } } } } }`,
		"fifty orders":  "{" + repeat(50, ` a%d: order(id: "o%d") { orderId status side quantity cumQuantity avgPrice odd }`) + "}",
		"fifty chains":  "{" + repeat(50, ` a%d: chain(orderId: "o%d") { events { stage latencyFromPrevious event { eventType occurredAt } } }`) + "}",
		"introspection": introspection,
	} {
		_, problems := ask(t, v, query)
		assert.Empty(t, problems, name)
	}
}

// introspection is what graphql-js asks for.
const introspection = `query IntrospectionQuery { __schema { queryType { name } mutationType { name } subscriptionType { name } types { ...FullType } directives { name description locations args { ...InputValue } } } }
	fragment FullType on __Type { kind name description fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
	inputFields { ...InputValue } interfaces { ...TypeRef } enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
	fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
	fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }`

// Who has no place waits; when too many wait, the next is told to come again.
func TestTurns_AreBounded(t *testing.T) {
	t.Parallel()
	for _, waiting := range []int{0, 1} {
		entered, release := make(chan struct{}), make(chan struct{})
		v := &fake{search: func(views.Query) (views.Found, error) {
			entered <- struct{}{}
			<-release
			return views.Found{}, nil
		}}
		server := graph.NewTightServer(nil, v, 1, waiting, time.Hour, time.Hour)
		codes := make(chan int)
		run := func() {
			answer, _ := send(t, server, http.MethodPost, "/graphql", strings.NewReader(`{"query": "{ events { examined } }"}`), "Content-Type", plain)
			codes <- answer.Code
		}
		go run()
		<-entered
		if waiting == 0 {
			answer, problems := send(t, server, http.MethodPost, "/graphql", strings.NewReader(`{"query": "{ events { examined } }"}`), "Content-Type", plain)
			assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
			assert.Equal(t, "1", answer.Header().Get("Retry-After"))
			require.Len(t, problems, 1)
			assert.Equal(t, [2]string{"overloaded", "transient"}, [2]string{problems[0].Extensions.Code, problems[0].Extensions.Class})
			close(release)
			assert.Equal(t, http.StatusOK, <-codes)
			continue
		}
		go run()
		close(release)
		assert.Equal(t, http.StatusOK, <-codes)
		<-entered // only now, since there is one place
		assert.Equal(t, http.StatusOK, <-codes)
	}
}

// What takes too long is given up, and says so, whatever the read model says about
// its context; what lasts by its nature is not.
func TestTurns_Timeout(t *testing.T) {
	t.Parallel()
	v := &fake{
		names: []string{"orders"},
		await: func(ctx context.Context, _ domain.Position) error {
			<-ctx.Done()
			return &domain.Error{Class: domain.ClassTransient, Code: "views_unavailable", Message: "the read models can't be read", Err: ctx.Err()}
		},
	}
	server := graph.NewTightServer(nil, v, 4, 4, time.Millisecond, time.Hour)
	answer, problems := send(t, server, http.MethodPost, "/graphql", strings.NewReader(`{"query": "{ latencies(notOlderThan: \"C:7/P:7\") { stage } }"}`), "Content-Type", plain, "Accept", typed)
	assert.Equal(t, http.StatusOK, answer.Code)
	require.Len(t, problems, 1)
	assert.Equal(t, [2]string{"timeout", "transient"}, [2]string{problems[0].Extensions.Code, problems[0].Extensions.Class})

	limited := map[string]bool{}
	v.rebuilds = map[string]views.Progress{}
	v.seen = func(ctx context.Context, what string) { _, limited[what] = ctx.Deadline() }
	v.rebuilt = func([]string, views.RebuildOptions) ([]views.Progress, error) {
		return []views.Progress{{State: views.RebuildDone}}, nil
	}
	v.statuses = []views.Status{{Name: "orders"}}
	server = graph.NewTightServer(nil, v, 4, 4, time.Hour, time.Hour)
	for _, query := range []string{
		`{ projections { name } }`, `mutation { startRebuild { id } }`, `mutation { rebuild(projection: \"orders\") { name } }`,
		`mutation { ...f } fragment f on Mutation { x: rebuild(projection: \"orders\") { name } }`,
	} {
		_, problems := send(t, server, http.MethodPost, "/graphql", strings.NewReader(`{"query": "`+query+`"}`), "Content-Type", plain)
		assert.Empty(t, problems, query)
	}
	assert.Equal(t, map[string]bool{"Status": false, "RequestRebuild": true, "Rebuild": false}, limited)
}

func TestPersistedQueries(t *testing.T) {
	t.Parallel()
	server := handler(&fake{})
	ask := func(query, hash string, version any) []problem {
		request := map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{"version": version, "sha256Hash": hash}}}
		if query != "" {
			request["query"] = query
		}
		body, err := json.Marshal(request)
		require.NoError(t, err)
		_, problems := send(t, server, http.MethodPost, "/graphql", strings.NewReader(string(body)), "Content-Type", plain)
		return problems
	}
	sum := func(query string) string {
		hash := sha256.Sum256([]byte(query))
		return hex.EncodeToString(hash[:])
	}
	const query = "{ __typename }"
	problems := ask("", sum(query), 1)
	require.Len(t, problems, 1)
	assert.Equal(t, "PERSISTED_QUERY_NOT_FOUND", problems[0].Extensions.Code)
	assert.Equal(t, "PersistedQueryNotFound", problems[0].Message) // clients look for it
	assert.Empty(t, ask(query, sum(query), 1))
	assert.Empty(t, ask("", sum(query), 1))
	for _, p := range [][]problem{ask(query, sum("other"), 1), ask(query, sum(query), 2), ask(query, sum(query), "x")} {
		require.Len(t, p, 1)
		assert.Equal(t, "invalid", p[0].Extensions.Code)
	}
	// A thousand are remembered, and long ones never.
	long := "{ __typename } #" + strings.Repeat("x", 8<<10)
	assert.Empty(t, ask(long, sum(long), 1))
	assert.Len(t, ask("", sum(long), 1), 1)
	for i := range 1000 {
		other := fmt.Sprintf("{ a%d: __typename }", i)
		require.Empty(t, ask(other, sum(other), 1))
	}
	assert.Len(t, ask("", sum(query), 1), 1)
}

// Numbers that nothing has a place for are refused wherever they stand, and before
// anything takes their value.
func TestNumbers_OutOfRange(t *testing.T) {
	t.Parallel()
	const big = "99999999999999999999"
	for _, query := range []string{
		`{ events(first: ` + big + `) { totalCount } }`,
		`{ events(first: -` + big + `) { totalCount } }`,
		`{ order(id: ` + big + `) { orderId } }`,
		`{ anomalyHeatmap(from: ` + big + `, to: "2026-03-02T00:00:00Z") { total } }`,
		`{ anomalyHeatmap(from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z", bucket: 1e999) { total } }`,
		`query($d: Duration = ` + big + `) { anomalyHeatmap(from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z", bucket: $d) { total } }`,
		`{ order(id: 1e999) { orderId } }`,
		`query($n: Int = ` + big + `) { events(first: $n) { totalCount } }`,
		`{ __typename @skip(if: ` + big + `) }`,
		`mutation { record(events: [{eventType: "a.b", occurredAt: "now", data: {n: [` + big + `]}}]) { status } }`,
		`{ __typename } fragment f on Query { events(first: ` + big + `) { totalCount } }`,
	} {
		for _, accept := range []string{plain, "text/event-stream"} {
			body, err := json.Marshal(map[string]string{"query": query})
			require.NoError(t, err)
			answer, _ := send(t, handler(&fake{}), http.MethodPost, "/graphql", strings.NewReader(string(body)), "Content-Type", plain, "Accept", accept)
			assert.Equal(t, http.StatusOK, answer.Code, query)
			assert.Contains(t, answer.Body.String(), `"code":"GRAPHQL_VALIDATION_FAILED"`, query)
			assert.Contains(t, answer.Body.String(), `"locations":[{"line":1,`, query)
			assert.Contains(t, answer.Body.String(), "is out of range", query)
		}
	}
	_, problems := ask(t, &fake{}, `{ order(id: "`+big+`") { orderId } }`)
	assert.Empty(t, problems)
}

// clumsy is an executor that panics.
type clumsy struct{ graphql.GraphExecutor }

func (clumsy) CreateOperationContext(context.Context, *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	panic("over it")
}

// A panic before an operation begins ends that operation alone: nothing recovers
// behind a WebSocket.
func TestExecutor_Recovers(t *testing.T) {
	t.Parallel()
	operation, problems := graph.NewCareful(clumsy{}).CreateOperationContext(t.Context(), &graphql.RawParams{})
	assert.NotNil(t, operation)
	require.Len(t, problems, 1)
	assert.Equal(t, "internal error", problems[0].Message)
}

// Each transport tells the first mistakes only.
func TestMistakes_AreCut(t *testing.T) {
	t.Parallel()
	for _, accept := range []string{plain, "text/event-stream"} {
		answer, _ := send(t, handler(&fake{}), http.MethodPost, "/graphql", strings.NewReader(`{"query": "{`+repeat(30, " a%d: unknown")+`}"}`), "Content-Type", plain, "Accept", accept)
		assert.Equal(t, 10, strings.Count(answer.Body.String(), "GRAPHQL_VALIDATION_FAILED"), accept)
	}
	url, _ := liveServer(t, &tape{}, nil)
	client := dial(t, url, nil, "graphql-transport-ws")
	for _, message := range []string{`{"type": "connection_init"}`, `{"type": "subscribe", "id": "1", "payload": {"query": "{` + repeat(30, " a%d: unknown") + `}"}}`} {
		require.NoError(t, client.conn.WriteMessage(websocket.TextMessage, []byte(message)))
		_, text, err := client.conn.ReadMessage()
		require.NoError(t, err)
		if strings.Contains(message, "subscribe") {
			assert.Equal(t, 10, strings.Count(string(text), "GRAPHQL_VALIDATION_FAILED"))
		}
	}
}
