package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

// running is an App that serves until the test ends.
type running struct {
	*testing.T

	url  string
	stop func() error // asks it to stop and waits; nil again and again
}

func start(t *testing.T, change ...func(*config.Config)) *running {
	t.Helper()
	return startLogging(t, slog.New(slog.DiscardHandler), change...)
}

func startLogging(t *testing.T, log *slog.Logger, change ...func(*config.Config)) *running {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.DataDir = "127.0.0.1:0", t.TempDir()
	cfg.Detect = false // most tests count what they have recorded themselves
	for _, c := range change {
		c(&cfg)
	}
	a, err := app.New(t.Context(), cfg, log)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	r := &running{T: t, url: a.URL()}
	ended := false
	r.stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		assert.NoError(t, r.stop())
		http.DefaultClient.CloseIdleConnections()
	})
	require.Eventually(t, func() bool { return r.get("/readyz").status == http.StatusOK }, time.Minute, 10*time.Millisecond)
	return r
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (r *running) do(method, path, contentType, body string, header ...string) answer {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), method, r.url+path, strings.NewReader(body))
	require.NoError(r, err)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(r, err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	require.NoError(r, err)
	return answer{response.StatusCode, response.Header, raw}
}

func (r *running) get(path string) answer { r.Helper(); return r.do(http.MethodGet, path, "", "") }

// graphql runs a query and returns its data, or the first error's code and field.
func (r *running) graphql(query string, variables map[string]any) (data map[string]any, code, field string) {
	r.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	require.NoError(r, err)
	a := r.do(http.MethodPost, "/graphql", "application/json", string(body))
	var out struct {
		Data   map[string]any
		Errors []struct {
			Message    string
			Extensions struct{ Code, Field string }
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	require.NoError(r, decoder.Decode(&out), "%s", a.body)
	if len(out.Errors) > 0 {
		return out.Data, out.Errors[0].Extensions.Code, out.Errors[0].Extensions.Field
	}
	return out.Data, "", ""
}

// at walks into decoded JSON: at(data, "account", "events", "edges", 0).
func at(value any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

func textAt(value any, path ...any) string {
	text, _ := at(value, path...).(string)
	return text
}

func listAt(value any, path ...any) []any {
	list, _ := at(value, path...).([]any)
	return list
}

func (r *running) caughtUp() {
	r.Helper()
	require.Eventually(r, func() bool {
		data, code, _ := r.graphql(`{ projections { caughtUp } }`, nil)
		if code != "" {
			return false
		}
		for _, p := range listAt(data, "projections") {
			if at(p, "caughtUp") != true {
				return false
			}
		}
		return true
	}, time.Minute, 5*time.Millisecond)
}

// record posts n events of account A, orders o0, o1, ..., two events each.
func (r *running) record(n int) {
	r.Helper()
	var body strings.Builder
	for i := range n {
		kind := []string{"order.submitted", "order.filled"}[i%2]
		fmt.Fprintf(&body, `{"event_id":"e%d","event_type":%q,"occurred_at":"2026-03-02T14:30:%02dZ","order_id":"o%d","account_id":"A","data":{"quantity":"10","price":"1.50"}}`+"\n", i, kind, i%60, i/2)
	}
	a := r.do(http.MethodPost, "/v1/events", "application/x-ndjson", body.String())
	require.Equal(r, http.StatusOK, a.status, "%s", a.body)
	r.caughtUp()
}

func TestGraphQL_PagesBothWays(t *testing.T) {
	r := start(t)
	r.record(7)
	type page struct {
		args       string
		events     []string
		next, prev bool
	}
	all, _, _ := r.graphql(`{ account(id: "A") { events(first: 7) { edges { cursor node { eventId } } } } }`, nil)
	cursor := func(i int) string { return textAt(all, "account", "events", "edges", i, "cursor") }
	between := func(i int) string { // a position between two events of the list
		var commit int
		_, err := fmt.Sscanf(cursor(i), "C:%d/", &commit)
		require.NoError(t, err)
		return fmt.Sprintf("C:%d/P:%d", commit+1, commit+1)
	}
	for _, p := range []page{
		{``, []string{"e0", "e1", "e2", "e3", "e4", "e5", "e6"}, false, false},
		{`(first: 3)`, []string{"e0", "e1", "e2"}, true, false},
		{`(first: 0)`, nil, true, false},
		{`(first: 3, after: "` + cursor(2) + `")`, []string{"e3", "e4", "e5"}, true, true},
		{`(first: 3, after: "` + cursor(6) + `")`, nil, false, true},
		{`(last: 2)`, []string{"e5", "e6"}, false, true},
		{`(last: 2, before: "` + cursor(3) + `")`, []string{"e1", "e2"}, true, true},
		{`(last: 9, before: "` + cursor(1) + `")`, []string{"e0"}, true, false},
		{`(first: 5, last: 2)`, []string{"e3", "e4"}, true, true},
		{`(first: 9, after: "` + cursor(1) + `", before: "` + cursor(4) + `")`, []string{"e2", "e3"}, true, true},
		{`(first: 2, after: "` + between(3) + `")`, []string{"e4", "e5"}, true, true},
		{`(last: 1, before: "` + between(3) + `")`, []string{"e3"}, true, true},
		{`(first: 2, after: "C:0/P:0")`, []string{"e0", "e1"}, true, false},
	} {
		data, code, _ := r.graphql(`{ account(id: "A") { events`+p.args+` { totalCount edges { cursor node { eventId position } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }`, nil)
		require.Empty(t, code, p.args)
		var got []string
		events := at(data, "account", "events")
		edges := listAt(events, "edges")
		for _, edge := range edges {
			got = append(got, textAt(edge, "node", "eventId"))
			assert.Equal(t, at(edge, "cursor"), at(edge, "node", "position"))
		}
		assert.Equal(t, p.events, got, p.args)
		assert.InDelta(t, 7, at(events, "totalCount"), 0, p.args)
		assert.Equal(t, p.next, at(events, "pageInfo", "hasNextPage"), p.args)
		assert.Equal(t, p.prev, at(events, "pageInfo", "hasPreviousPage"), p.args)
		if len(edges) > 0 {
			assert.Equal(t, at(edges[0], "cursor"), at(events, "pageInfo", "startCursor"))
			assert.Equal(t, at(edges[len(edges)-1], "cursor"), at(events, "pageInfo", "endCursor"))
		}
	}
	data, _, _ := r.graphql(`{ account(id: "A") { stats { events orders fills value byType { eventType count } } orders(first: 2, after: "0") { totalCount edges { cursor node { orderId status avgPrice } } pageInfo { hasNextPage } } } }`, nil)
	assert.Equal(t, map[string]any{
		"events": 7.0, "orders": 4.0, "fills": 3.0, "value": "45",
		"byType": []any{
			map[string]any{"eventType": "order.filled", "count": 3.0}, map[string]any{"eventType": "order.submitted", "count": 4.0},
		},
	}, at(data, "account", "stats"))
	assert.Equal(t, map[string]any{
		"totalCount": 4.0, "pageInfo": map[string]any{"hasNextPage": true},
		"edges": []any{
			map[string]any{"cursor": "1", "node": map[string]any{"orderId": "o1", "status": "FILLED", "avgPrice": "1.5"}},
			map[string]any{"cursor": "2", "node": map[string]any{"orderId": "o2", "status": "FILLED", "avgPrice": "1.5"}},
		},
	}, at(data, "account", "orders"))
}

// many repeats a text with its number.
func many(n int, format string) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, format, i)
	}
	return out.String()
}

func TestGraphQL_Errors(t *testing.T) {
	r := start(t)
	r.record(2)
	for query, want := range map[string][2]string{
		`{ account(id: "A") { events(first: -1) { totalCount } } }`:    {"invalid", "first"},
		`{ account(id: "A") { events(last: 1001) { totalCount } } }`:   {"page_too_large", "last"},
		`{ account(id: "A") { events(after: "x") { totalCount } } }`:   {"invalid", "after"},
		`{ account(id: "A") { orders(before: "-3") { totalCount } } }`: {"invalid", "before"},
		`mutation { rebuild(projection: "nothing") { name } }`:         {"unknown_projection", "projection"},
		`{` + many(1001, `a%d: projections { name } `) + `}`:           {"COMPLEXITY_LIMIT_EXCEEDED", ""},
		`{ nothing }`: {"GRAPHQL_VALIDATION_FAILED", ""},
		`{`:           {"GRAPHQL_PARSE_FAILED", ""},
		`mutation { record(events: [{eventType: "x", occurredAt: "2026-03-02T14:30:00Z", data: {price: 1.5}}]) { status } }`: {"invalid", "events.0.data"},
	} {
		_, code, field := r.graphql(query, nil)
		assert.Equal(t, want, [2]string{code, field}, query)
	}
	// What does not exist is null, not an error.
	data, code, _ := r.graphql(`{ account(id: "B") { id } strategy(id: "B") { id } user(id: "B") { id } chain(orderId: "B") { orderId } }`, nil)
	assert.Empty(t, code)
	assert.Equal(t, map[string]any{"account": nil, "strategy": nil, "user": nil, "chain": nil}, data)
}

func TestGraphQL_RecordsThroughTheSameDoor(t *testing.T) {
	r := start(t)
	const mutation = `mutation($events: [EventInput!]!) { record(events: $events) { eventId status stream revision position error { code field message } } }`
	events := []any{
		map[string]any{
			"eventType": "order_submitted", "occurredAt": "2026-03-02T14:30:00.000000001Z", "orderId": "o1", "accountId": "A",
			"data":  map[string]any{"quantity": json.Number("100.50"), "nested": map[string]any{"clientTag": "stays"}},
			"clock": map[string]any{"sourceId": "ptp-1", "maxErrorNs": 250},
		},
		map[string]any{"eventType": "order.filled", "occurredAt": "2026-03-02T14:30:00", "orderId": "o1"},
	}
	data, code, _ := r.graphql(mutation, map[string]any{"events": events})
	require.Empty(t, code)
	assert.Equal(t, "RECORDED", at(data, "record", 0, "status"))
	assert.Equal(t, "order-o1", at(data, "record", 0, "stream"))
	assert.Equal(t, "REJECTED", at(data, "record", 1, "status"))
	assert.Equal(t, "occurredAt", at(data, "record", 1, "error", "field"))
	assert.True(t, strings.HasPrefix(textAt(data, "record", 1, "stream"), "quarantine-"))

	data, _, _ = r.graphql(mutation, map[string]any{"events": events[:1]})
	assert.Equal(t, "DUPLICATE", at(data, "record", 0, "status"))
	r.caughtUp()
	data, _, _ = r.graphql(`{ chain(orderId: "o1") { status events { event { eventType occurredAt source data clock { sourceId maxErrorNs } known } } } }`, nil)
	assert.Equal(t, map[string]any{
		"eventType": "order.submitted", "occurredAt": "2026-03-02T14:30:00.000000001Z", "source": "graphql",
		"data":  map[string]any{"quantity": "100.50", "nested": map[string]any{"clientTag": "stays"}},
		"clock": map[string]any{"sourceId": "ptp-1", "maxErrorNs": 250.0}, "known": true,
	}, at(data, "chain", "events", 0, "event"))
}

func TestHTTP_Borders(t *testing.T) {
	r := start(t)
	assert.Equal(t, http.StatusOK, r.get("/healthz").status)
	assert.Contains(t, string(r.get("/metrics").body), `tradetrail_recorded_events_total{status="recorded"} 0`)
	page := r.get("/")
	assert.Equal(t, http.StatusOK, page.status)
	assert.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'")
	for path, want := range map[string]int{"/nothing": http.StatusNotFound, "/v1/events": http.StatusMethodNotAllowed, "/admin/backup": http.StatusMethodNotAllowed} {
		refused := r.get(path)
		assert.Equal(t, want, refused.status, path)
		assert.Equal(t, "application/problem+json", refused.header.Get("Content-Type"), path)
	}
	// A page of another site can't make a browser write or read here.
	for _, path := range []string{"/v1/events", "/graphql"} {
		a := r.do(http.MethodPost, path, "application/json", `{}`, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
		assert.Equal(t, http.StatusForbidden, a.status, path)
		assert.Equal(t, "application/problem+json", a.header.Get("Content-Type"), path)
	}
	for _, path := range []string{"/audit/events", "/audit/live?account=A", "/openapi.json"} {
		a := r.do(http.MethodGet, path, "", "", "Sec-Fetch-Site", "cross-site")
		assert.Equal(t, http.StatusForbidden, a.status, path)
	}
	// Nor by a name that it has made point here.
	for host, want := range map[string]int{"evil.example": http.StatusMisdirectedRequest, "evil.example:8080": http.StatusMisdirectedRequest, "localhost:1": http.StatusOK, "[::1]:1": http.StatusOK} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/healthz", nil)
		require.NoError(t, err)
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, want, response.StatusCode, host)
	}
	// Queries may come by GET, mutations may not.
	assert.Equal(t, http.StatusOK, r.get("/graphql?query=%7Bprojections%7Bname%7D%7D").status)
	a := r.get("/graphql?query=mutation%7Brebuild(projection:%22users%22)%7Bname%7D%7D")
	assert.Equal(t, http.StatusMethodNotAllowed, a.status)
	// Neither API nor page can be framed, nor taken for something else.
	for _, path := range []string{"/graphql?query=%7Bprojections%7Bname%7D%7D", "/graphiql", "/graphiql/graphiql.js"} {
		a := r.get(path)
		assert.Equal(t, http.StatusOK, a.status, path)
		assert.Contains(t, a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
		assert.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"), path)
	}
	assert.NoError(t, r.stop())
}

func TestRun_ReportsWhatIsInTheWay(t *testing.T) {
	r := start(t)
	cfg := config.Default()
	cfg.Listen, cfg.DataDir = strings.TrimPrefix(r.url, "http://"), t.TempDir()
	_, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "listening on "+cfg.Listen)

	cfg.Listen, cfg.Redis = "127.0.0.1:0", "nonsense://"
	a, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.ErrorContains(t, a.Run(t.Context()), "reading the Redis URL")
}

func TestDemo_IsSomethingToLookAt(t *testing.T) {
	r := start(t, func(c *config.Config) { c.Demo = true })
	require.Eventually(t, func() bool {
		data, _, _ := r.graphql(`{ account(id: "acc-1001") { orders(first: 1) { totalCount } } }`, nil)
		total, _ := at(data, "account", "orders", "totalCount").(float64)
		return total > 0
	}, time.Minute, 10*time.Millisecond)
}

// Whatever is asked for, browsers are told that the answer is data of this moment, for
// nobody but whom it was sent to.
func TestRun_HeadersForBrowsers(t *testing.T) {
	a := start(t)
	for _, path := range []string{"/graphql?query={__typename}", "/audit/events", "/metrics", "/nothing"} {
		header := a.get(path).header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Access-Control-Allow-Origin": "",
		} {
			assert.Equal(t, want, header.Get(name), path+": "+name)
		}
		assert.Contains(t, []string{"no-store", "private, no-cache"}, header.Get("Cache-Control"), path)
	}
}
