package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph"
	"github.com/tradetrail/tradetrail/projections/views"
)

// fake are views of which each test says what it needs. What it did not say is
// not called.
type fake struct {
	graph.Views

	names     []string
	await     func(ctx context.Context, position domain.Position) error
	search    func(views.Query) (views.Found, error)
	chain     func(order string) (domain.Chain, int, bool, error)
	orders    map[string]domain.Order
	latencies map[domain.Stage]domain.Histogram
	day       domain.Day
	statuses  []views.Status
	rebuilds  map[string]views.Progress
	rebuilt   func(names []string, options views.RebuildOptions) ([]views.Progress, error)
	requested []string
	counts    map[string]int64
	parked    map[string][]views.Parked
	owner     views.Stats
	events    func(from, to int64) views.Page[domain.Located]
	denied    string // an order that nobody may see
	seen      func(ctx context.Context, what string)

	mu    sync.Mutex
	calls []string
	mute  bool // notes nothing
}

// called notes a read.
func (f *fake) called(ctx context.Context, what string) {
	if f.mute {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, what)
	if f.seen != nil {
		f.seen(ctx, what)
	}
}

// reads are the reads so far, sorted.
func (f *fake) reads() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(slices.Values(f.calls))
}

func (f *fake) Owner(ctx context.Context, _, id string) (views.Stats, bool, error) {
	f.called(ctx, "Owner")
	return f.owner, id != "nobody", nil
}

func (f *fake) OwnerEvents(ctx context.Context, _, _ string, from, to int64) (views.Page[domain.Located], error) {
	f.called(ctx, "OwnerEvents")
	if f.events == nil {
		return views.Page[domain.Located]{}, nil
	}
	return f.events(from, to), nil
}

func (f *fake) OwnerIndexAfter(ctx context.Context, _, _ string, after domain.Position) (int64, error) {
	f.called(ctx, "OwnerIndexAfter")
	return int64(after.Commit), nil
}

func (f *fake) OwnerOrders(ctx context.Context, _, _ string, from, to int64) (views.Page[domain.Order], error) {
	f.called(ctx, "OwnerOrders")
	page := views.Page[domain.Order]{First: from, Total: 10}
	for i := from; i < min(to, 10); i++ {
		page.Items = append(page.Items, domain.Order{ID: fmt.Sprint("o", i)})
	}
	return page, nil
}

func (f *fake) Hash(ctx context.Context, name string) (string, domain.Position, error) {
	f.called(ctx, "Hash")
	return "hash of " + name, domain.Position{}, nil
}

func (f *fake) Names() []string { return f.names }

func (f *fake) Await(ctx context.Context, position domain.Position) error {
	return f.await(ctx, position)
}

func (f *fake) SearchAnomalies(_ context.Context, q views.AnomalyQuery) (views.FoundAnomalies, error) {
	found, err := f.search(q.Query)
	return views.FoundAnomalies{Found: found, States: make([]domain.Anomaly, len(found.Events))}, err
}

func (f *fake) Search(_ context.Context, q views.Query) (views.Found, error) { return f.search(q) }

func (f *fake) Chain(ctx context.Context, order string) (domain.Chain, int, bool, error) {
	f.called(ctx, "Chain")
	return f.chain(order)
}

func (f *fake) Orders(ctx context.Context, ids []string) (map[string]domain.Order, error) {
	f.called(ctx, fmt.Sprintf("Orders of %d", len(ids)))
	if slices.Contains(ids, f.denied) {
		return nil, &domain.Error{Class: domain.ClassDenied, Code: "forbidden", Message: "you may not read order " + f.denied}
	}
	return f.orders, nil
}

func (f *fake) Latencies(context.Context) (map[domain.Stage]domain.Histogram, error) {
	return f.latencies, nil
}
func (f *fake) Day(context.Context, string) (domain.Day, error) { return f.day, nil }
func (f *fake) Status(ctx context.Context) ([]views.Status, error) {
	f.called(ctx, "Status")
	return f.statuses, nil
}
func (f *fake) CancelRebuild(context.Context, string) error { return nil }

func (f *fake) ParkedCounts(ctx context.Context) (map[string]int64, error) {
	f.called(ctx, "ParkedCounts")
	return f.counts, nil
}

func (f *fake) Parked(ctx context.Context, name string) ([]views.Parked, error) {
	f.called(ctx, "Parked")
	return f.parked[name], nil
}

func (f *fake) Rebuilds(context.Context) (map[string]views.Progress, error) { return f.rebuilds, nil }

func (f *fake) Rebuild(ctx context.Context, names []string, options views.RebuildOptions) ([]views.Progress, error) {
	f.called(ctx, "Rebuild")
	return f.rebuilt(names, options)
}

func (f *fake) RequestRebuild(ctx context.Context, names []string, options views.RebuildOptions) ([]views.Progress, error) {
	f.called(ctx, "RequestRebuild")
	var asked []views.Progress
	for _, name := range names {
		f.requested = append(f.requested, fmt.Sprintf("%s at %d", name, options.Rate))
		asked = append(asked, views.Progress{ID: "id of " + name, View: name, State: views.RebuildQueued, Rate: options.Rate})
	}
	return asked, nil
}

type problem struct {
	Message    string
	Path       []any
	Extensions struct{ Code, Class, Field string }
}

func (p problem) path() string {
	parts := make([]string, len(p.Path))
	for i, part := range p.Path {
		parts[i] = fmt.Sprint(part)
	}
	return strings.Join(parts, ".")
}

// ask runs a query against views.
func ask(t *testing.T, v graph.Views, query string) (data string, problems []problem) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query})
	require.NoError(t, err)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", strings.NewReader(string(body)))
	request.Header.Set("Content-Type", "application/json")
	recorded := httptest.NewRecorder()
	graph.NewServer(nil, v, nil, nil, slog.New(slog.DiscardHandler)).ServeHTTP(recorded, request)
	var answer struct {
		Data   json.RawMessage
		Errors []problem
	}
	require.NoError(t, json.Unmarshal(recorded.Body.Bytes(), &answer), recorded.Body.String())
	return string(answer.Data), answer.Errors
}

func position(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n} }

func located(n uint64) domain.Located {
	return domain.Located{Event: &domain.Event{ID: fmt.Sprint("e", n), Type: domain.OrderSubmitted}, Position: position(n)}
}

// Every query that takes notOlderThan waits for it first, within a limit, and
// says so when that is not enough: the views of this test can't be read at all.
func TestNotOlderThan(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		`chain(orderId: "o", %s) { status }`, `order(id: "o", %s) { status }`, `account(id: "a", %s) { id }`, `strategy(id: "s", %s) { id }`,
		`user(id: "u", %s) { id }`, `instrument(id: "i", %s) { id }`, `entity(type: "city", id: "c", %s) { entityId }`,
		`events(first: 3, %s) { totalCount }`, `daily(date: "2026-03-02", %s) { events }`, `latencies(%s) { stage }`,
	} {
		waited := []domain.Position{}
		v := &fake{await: func(ctx context.Context, p domain.Position) error {
			_, limited := ctx.Deadline()
			assert.True(t, limited, query)
			waited = append(waited, p)
			return &domain.Error{Class: domain.ClassTransient, Code: "views_behind", Message: "the read models are at C:3/P:3"}
		}}
		_, problems := ask(t, v, "{"+fmt.Sprintf(query, `notOlderThan: "C:7/P:7"`)+"}")
		require.Len(t, problems, 1, query)
		assert.Equal(t, "views_behind", problems[0].Extensions.Code, query)
		assert.Equal(t, "transient", problems[0].Extensions.Class, query)
		assert.Equal(t, "the read models are at C:3/P:3", problems[0].Message, query)
		assert.Equal(t, []domain.Position{position(7)}, waited, query)

		for _, bad := range []string{"", "7", "C:7", "C:-1/P:0", "C:99999999999999999999/P:1", strings.Repeat("C", 1<<16)} {
			_, problems := ask(t, v, "{"+fmt.Sprintf(query, `notOlderThan: "`+bad+`"`)+"}")
			require.Len(t, problems, 1, query)
			assert.Equal(t, [2]string{"rejected", "notOlderThan"}, [2]string{problems[0].Extensions.Class, problems[0].Extensions.Field}, query)
			assert.Less(t, len(problems[0].Message), 200)
		}
		assert.Len(t, waited, 1, query)
	}
}

func TestEvents_WhatIsSearched(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		want views.Query
	}{
		{``, views.Query{Limit: 50}},
		{`(first: 3)`, views.Query{Limit: 3}},
		{`(last: 3)`, views.Query{Limit: 3, Backwards: true}},
		{`(after: "C:1/P:1")`, views.Query{Limit: 50, After: position(1)}},
		{`(before: "C:9/P:9")`, views.Query{Limit: 50, Before: position(9)}},
		{`(last: 1000, before: "C:9/P:9", after: "C:1/P:1")`, views.Query{Limit: 1000, Backwards: true, After: position(1), Before: position(9)}},
	} {
		var asked []views.Query
		v := &fake{search: func(q views.Query) (views.Found, error) { asked = append(asked, q); return views.Found{}, nil }}
		_, problems := ask(t, v, `{ events`+c.args+` { totalCount } }`)
		assert.Empty(t, problems, c.args)
		assert.Equal(t, []views.Query{c.want}, asked, c.args)
	}

	var asked views.Query
	v := &fake{search: func(q views.Query) (views.Found, error) { asked = q; return views.Found{}, nil }}
	_, problems := ask(t, v, `{ events(filter: {types: ["order.*"], tickers: ["T"], strategies: ["S"], accounts: ["A", "B"], users: ["U"], orders: ["O"],
		entityType: "city", entityId: "c", after: "2026-03-02T00:00:00Z", before: "2026-03-03T01:00:00+01:00", expression: "price > 5"}) { totalCount } }`)
	require.Empty(t, problems)
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	want := views.Query{Limit: 50}
	want.Types, want.Tickers, want.Strategies, want.Accounts = []string{"order.*"}, []string{"T"}, []string{"S"}, []string{"A", "B"}
	want.Users, want.Orders, want.EntityType, want.EntityID = []string{"U"}, []string{"O"}, "city", "c"
	want.Filter.After, want.Filter.Before, want.Expression = day, day.AddDate(0, 0, 1), "price > 5"
	assert.Equal(t, want, asked)

	// Before the beginning is nothing; the filter is checked all the same.
	v.search = nil
	data, problems := ask(t, v, `{ events(before: "C:0/P:0") { edges { cursor } examined totalCount pageInfo { hasNextPage hasPreviousPage } } }`)
	assert.Empty(t, problems)
	assert.JSONEq(t, `{"events": {"edges": [], "examined": 0, "totalCount": null, "pageInfo": {"hasNextPage": false, "hasPreviousPage": false}}}`, data)
	_, problems = ask(t, v, `{ events(before: "C:0/P:0", filter: {expression: "price >"}) { totalCount } }`)
	require.Len(t, problems, 1)
	assert.Equal(t, "filter.expression", problems[0].Extensions.Field)
}

func TestEvents_Page(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, args string
		found      views.Found
		want       string
	}{
		{
			"all there is", `first: 3`,
			views.Found{Events: []domain.Located{located(1), located(5)}, Reached: position(9), Examined: 4, Total: 2, TotalKnown: true},
			`{"edges": [{"cursor": "C:1/P:1"}, {"cursor": "C:5/P:5"}], "totalCount": 2, "examined": 4, "failed": 0, "failure": null, "fromEventStore": 0,
			  "pageInfo": {"hasNextPage": false, "hasPreviousPage": false, "startCursor": "C:1/P:1", "endCursor": "C:5/P:5"}}`,
		},
		{
			"a full page", `first: 2`,
			views.Found{Events: []domain.Located{located(1), located(5)}, More: true, Reached: position(9), Examined: 4, Archived: 3},
			`{"edges": [{"cursor": "C:1/P:1"}, {"cursor": "C:5/P:5"}], "totalCount": null, "examined": 4, "failed": 0, "failure": null, "fromEventStore": 3,
			  "pageInfo": {"hasNextPage": true, "hasPreviousPage": false, "startCursor": "C:1/P:1", "endCursor": "C:5/P:5"}}`,
		},
		{
			"stopped on the way", `first: 3`,
			views.Found{Events: []domain.Located{located(1)}, More: true, Reached: position(9), Examined: 10_000, Failed: 7, Failure: "no number"},
			`{"edges": [{"cursor": "C:1/P:1"}], "totalCount": null, "examined": 10000, "failed": 7, "failure": "no number", "fromEventStore": 0,
			  "pageInfo": {"hasNextPage": true, "hasPreviousPage": false, "startCursor": "C:1/P:1", "endCursor": "C:9/P:9"}}`,
		},
		{
			"stopped with nothing", `first: 3, after: "C:1/P:1"`,
			views.Found{More: true, Reached: position(9), Examined: 10_000},
			`{"edges": [], "totalCount": null, "examined": 10000, "failed": 0, "failure": null, "fromEventStore": 0,
			  "pageInfo": {"hasNextPage": true, "hasPreviousPage": false, "startCursor": null, "endCursor": "C:9/P:9"}}`,
		},
		{
			"nothing wanted", `first: 0`,
			views.Found{More: true},
			`{"edges": [], "totalCount": null, "examined": 0, "failed": 0, "failure": null, "fromEventStore": 0,
			  "pageInfo": {"hasNextPage": true, "hasPreviousPage": false, "startCursor": null, "endCursor": null}}`,
		},
		{
			"backwards, a full page", `last: 2`,
			views.Found{Events: []domain.Located{located(9), located(5)}, More: true, Reached: position(3), Examined: 4},
			`{"edges": [{"cursor": "C:5/P:5"}, {"cursor": "C:9/P:9"}], "totalCount": null, "examined": 4, "failed": 0, "failure": null, "fromEventStore": 0,
			  "pageInfo": {"hasNextPage": false, "hasPreviousPage": true, "startCursor": "C:5/P:5", "endCursor": "C:9/P:9"}}`,
		},
		{
			"backwards, stopped on the way", `last: 3`,
			views.Found{Events: []domain.Located{located(9)}, More: true, Reached: position(3), Examined: 10_000},
			`{"edges": [{"cursor": "C:9/P:9"}], "totalCount": null, "examined": 10000, "failed": 0, "failure": null, "fromEventStore": 0,
			  "pageInfo": {"hasNextPage": false, "hasPreviousPage": true, "startCursor": "C:3/P:3", "endCursor": "C:9/P:9"}}`,
		},
	} {
		v := &fake{search: func(views.Query) (views.Found, error) { return c.found, nil }}
		data, problems := ask(t, v, `{ events(`+c.args+`) { edges { cursor } totalCount examined failed failure fromEventStore
			pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`)
		assert.Empty(t, problems, c.name)
		assert.JSONEq(t, `{"events": `+c.want+`}`, data, c.name)
	}
}

// Searches weigh more than other fields: each may read ten thousand events.
func TestEvents_AreNotAskedForByTheHundred(t *testing.T) {
	t.Parallel()
	n := 0
	v := &fake{search: func(views.Query) (views.Found, error) { n++; return views.Found{}, nil }}
	var query strings.Builder
	for i := range 10 {
		fmt.Fprintf(&query, "a%d: events { totalCount } ", i)
	}
	_, problems := ask(t, v, "{"+query.String()+"}")
	require.Len(t, problems, 1)
	assert.Equal(t, "COMPLEXITY_LIMIT_EXCEEDED", problems[0].Extensions.Code)
	assert.Zero(t, n)
}

func TestOrder(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)
	v := &fake{orders: map[string]domain.Order{"o": {
		ID: "o", Status: domain.StatusPartiallyFilled, FirstAt: at, LastAt: at.Add(time.Second), SubmittedAt: at, AcceptedAt: at,
		FirstFillAt: at.Add(-time.Millisecond), LastFillAt: at.Add(time.Second), Odd: []string{domain.OddOutOfOrder},
	}}}
	data, problems := ask(t, v, `{ order(id: "o") { submittedAt acceptedAt firstFillAt lastFillAt endedAt odd latencies { accept fill life } } other: order(id: "p") { orderId } }`)
	assert.Empty(t, problems)
	assert.JSONEq(t, `{"order": {"submittedAt": "2026-03-02T14:30:00Z", "acceptedAt": "2026-03-02T14:30:00Z", "firstFillAt": "2026-03-02T14:29:59.999Z",
		"lastFillAt": "2026-03-02T14:30:01Z", "endedAt": null, "odd": ["out_of_order"],
		"latencies": {"accept": "PT0S", "fill": "-PT0.001S", "life": null}}, "other": null}`, data)
}

// The schema says what every code means, and has a field for every step.
func TestOrder_IsDocumented(t *testing.T) {
	t.Parallel()
	schema := graph.Schema()
	odd := schema.Types["Order"].Fields.ForName("odd").Description
	for _, code := range domain.Oddities() {
		assert.Contains(t, odd, "`"+code+"`")
	}
	for _, step := range domain.OrderSteps() {
		assert.NotNil(t, schema.Types["OrderLatencies"].Fields.ForName(string(step)), step)
	}
	for _, stage := range domain.Stages() {
		assert.NotNil(t, schema.Types["Stage"].EnumValues.ForName(string(stage)), stage)
	}
	for _, state := range []views.RebuildState{
		views.RebuildQueued, views.RebuildBuilding, views.RebuildComparing, views.RebuildCancelling, views.RebuildDone, views.RebuildFailed, views.RebuildCancelled,
	} {
		assert.NotNil(t, schema.Types["RebuildState"].EnumValues.ForName(strings.ToUpper(string(state))), state)
	}
}

func TestChain_TellsWhatIsNotInTheViews(t *testing.T) {
	t.Parallel()
	v := &fake{chain: func(string) (domain.Chain, int, bool, error) {
		return domain.BuildChain("o", []domain.Located{located(1)}), 1, true, nil
	}}
	data, problems := ask(t, v, `{ chain(orderId: "o") { fromEventStore } }`)
	assert.Empty(t, problems)
	assert.JSONEq(t, `{"chain": {"fromEventStore": 1}}`, data)
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	var order, risk domain.Histogram
	for i := range 100 {
		order.Add(time.Duration(i) * time.Nanosecond)
	}
	risk.Add(-time.Second)
	v := &fake{latencies: map[domain.Stage]domain.Histogram{domain.StageRisk: risk, domain.StageOrder: order}}
	data, problems := ask(t, v, `{ latencies { stage count negative min max mean p50 p90 p99 p999 } }`)
	assert.Empty(t, problems)
	assert.JSONEq(t, `{"latencies": [
		{"stage": "RISK", "count": 0, "negative": 1, "min": null, "max": null, "mean": null, "p50": null, "p90": null, "p99": null, "p999": null},
		{"stage": "ORDER", "count": 100, "negative": 0, "min": "PT0S", "max": "PT0.000000099S", "mean": "PT0.000000049S",
		 "p50": "PT0.000000049S", "p90": "PT0.000000088S", "p99": "PT0.000000098S", "p999": "PT0.000000098S"}]}`, data)
}

func TestDaily(t *testing.T) {
	t.Parallel()
	v := &fake{}
	data, problems := ask(t, v, `{ daily(date: "2026-03-02") { date events fills quantity value commission slippageBps slippageFills byType { count } byStage { count } byHour { hour } firstAt lastAt } }`)
	assert.Empty(t, problems)
	assert.JSONEq(t, `{"daily": {"date": "2026-03-02", "events": 0, "fills": 0, "quantity": "0", "value": "0", "commission": "0", "slippageBps": null, "slippageFills": 0,
		"byType": [], "byStage": [], "byHour": [], "firstAt": null, "lastAt": null}}`, data)
	at := time.Date(2026, 3, 2, 23, 59, 59, 999, time.UTC)
	for _, e := range []*domain.Event{
		{Type: domain.OrderFilled, OccurredAt: at, Data: []byte(`{"fill_quantity":"10","fill_price":"1.5","commission":"0.1","slippage":"0.00031"}`)},
		{Type: domain.OrderSubmitted, OccurredAt: at.Add(-time.Hour)},
		{Type: domain.RiskEvaluated, OccurredAt: at.Add(-2 * time.Hour)},
	} {
		v.day.Add(e)
	}
	data, problems = ask(t, v, `{ daily(date: "2026-03-02") { events fills quantity value commission slippageBps slippageFills byType { eventType count } byStage { stage count } byHour { hour count } firstAt lastAt } }`)
	assert.Empty(t, problems)
	assert.JSONEq(t, `{"daily": {"events": 3, "fills": 1, "quantity": "10", "value": "15", "commission": "0.1", "slippageBps": "3.1", "slippageFills": 1,
		"byType": [{"eventType": "order.filled", "count": 1}, {"eventType": "order.submitted", "count": 1}, {"eventType": "risk.evaluated", "count": 1}],
		"byStage": [{"stage": "RISK", "count": 1}, {"stage": "ORDER", "count": 1}, {"stage": "EXECUTION", "count": 1}],
		"byHour": [{"hour": 21, "count": 1}, {"hour": 22, "count": 1}, {"hour": 23, "count": 1}],
		"firstAt": "2026-03-02T21:59:59.000000999Z", "lastAt": "2026-03-02T23:59:59.000000999Z"}}`, data)
}

func TestProjections(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)
	building := views.Progress{
		ID: "1", View: "users", State: views.RebuildBuilding, Rate: 100, Generation: 7, Events: 50, Total: 150, PerSecond: 50,
		Position: "C:5/P:5", QueuedAt: at, UpdatedAt: at,
	}
	done := views.Progress{
		ID: "2", View: "orders", State: views.RebuildDone, Generation: 8, Events: 9, Total: 9, Keys: 20, Differing: 1, Different: []string{"o:1"},
		QueuedAt: at, UpdatedAt: at, EndedAt: at,
	}
	v := &fake{
		names: []string{"orders", "users"},
		statuses: []views.Status{
			{Name: "orders", Version: 2, Generation: 8, Cursor: views.Cursor{Position: position(9), Events: 9}, Head: position(9), Rebuild: &done},
			{Name: "users", Version: 2, Generation: 3, Cursor: views.Cursor{Position: position(5), Events: 5}, Head: position(9), Behind: 4, Lag: time.Second, Parked: 2, Rebuild: &building},
		},
		rebuilds: map[string]views.Progress{"users": building, "orders": done, "of a later version": done},
	}
	const fields = `{ id projection state rate generation events total perSecond left position keys differing different equal error queuedAt updatedAt endedAt }`
	const wantDone = `{"id": "2", "projection": "orders", "state": "DONE", "rate": null, "generation": 8, "events": 9, "total": 9, "perSecond": 0, "left": null, "position": null,
		"keys": 20, "differing": 1, "different": ["o:1"], "equal": false, "error": null, "queuedAt": "2026-03-02T14:30:00Z", "updatedAt": "2026-03-02T14:30:00Z", "endedAt": "2026-03-02T14:30:00Z"}`
	const wantBuilding = `{"id": "1", "projection": "users", "state": "BUILDING", "rate": 100, "generation": 7, "events": 50, "total": 150, "perSecond": 50, "left": "PT2S", "position": "C:5/P:5",
		"keys": 0, "differing": 0, "different": [], "equal": null, "error": null, "queuedAt": "2026-03-02T14:30:00Z", "updatedAt": "2026-03-02T14:30:00Z", "endedAt": null}`
	data, problems := ask(t, v, `{ projections { name version generation position head caughtUp events behind lag parked parity rebuild `+fields+` } rebuilds `+fields+` }`)
	assert.Empty(t, problems)
	assert.JSONEq(t, `{"projections": [
		{"name": "orders", "version": 2, "generation": 8, "position": "C:9/P:9", "head": "C:9/P:9", "caughtUp": true, "events": 9, "behind": 0, "lag": "PT0S", "parked": 0, "parity": null, "rebuild": `+wantDone+`},
		{"name": "users", "version": 2, "generation": 3, "position": "C:5/P:5", "head": "C:9/P:9", "caughtUp": false, "events": 5, "behind": 4, "lag": "PT1S", "parked": 2, "parity": null, "rebuild": `+wantBuilding+`}
		], "rebuilds": [`+wantDone+`, `+wantBuilding+`]}`, data)

	v.rebuilt = func(names []string, options views.RebuildOptions) ([]views.Progress, error) {
		assert.Equal(t, views.RebuildOptions{Rate: 5}, options)
		assert.Equal(t, []string{"orders"}, names)
		return []views.Progress{done}, nil
	}
	data, problems = ask(t, v, `mutation { rebuild(projection: "orders", rate: 5) { name parity } }`)
	assert.Empty(t, problems)
	assert.JSONEq(t, `{"rebuild": {"name": "orders", "parity": false}}`, data)

	v.rebuilt = func([]string, views.RebuildOptions) ([]views.Progress, error) {
		failed := views.Progress{View: "orders", State: views.RebuildFailed, Error: "the fold is wrong"}
		return []views.Progress{failed}, errors.New("rebuilding orders: the fold is wrong")
	}
	_, problems = ask(t, v, `mutation { rebuild(projection: "orders") { name } }`)
	require.Len(t, problems, 1)
	assert.Equal(t, "rebuild_failed", problems[0].Extensions.Code)
	assert.Equal(t, "rebuilding orders: the fold is wrong", problems[0].Message)

	data, problems = ask(t, v, `mutation { cancelRebuild(projection: "users") { name parked } }`)
	assert.Empty(t, problems)
	assert.JSONEq(t, `{"cancelRebuild": {"name": "users", "parked": 2}}`, data)
}

func TestStartRebuild(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mutation  string
		requested []string
		code      string
		field     string
	}{
		{`startRebuild`, []string{"accounts at 0", "orders at 0", "users at 0"}, "", ""},
		{`startRebuild(projections: null, rate: 500)`, []string{"accounts at 500", "orders at 500", "users at 500"}, "", ""},
		{`startRebuild(projections: ["users", "orders", "users"])`, []string{"users at 0", "orders at 0"}, "", ""},
		{`startRebuild(projections: [])`, nil, "", ""},
		{`startRebuild(projections: ["users", "nothing"])`, nil, "unknown_projection", "projections.1"},
		{`startRebuild(projections: [""])`, nil, "unknown_projection", "projections.0"},
		{`startRebuild(rate: 0)`, nil, "invalid", "rate"},
		{`startRebuild(rate: -1)`, nil, "invalid", "rate"},
		{`startRebuild(projections: ["users", "busy"])`, nil, "rebuild_running", "projections"},
		{`replay`, []string{"accounts at 0", "users at 0"}, "", ""},
		{`replay(projections: ["orders", "users"])`, []string{"users at 0"}, "", ""},
		{`replay(projections: ["orders"])`, nil, "", ""},
		{`replay(projections: ["nothing"])`, nil, "unknown_projection", "projections.0"},
	} {
		v := &fake{
			names: []string{"accounts", "orders", "users"}, counts: map[string]int64{"accounts": 1, "users": 3, "orders": 0},
			rebuilds: map[string]views.Progress{"users": {State: views.RebuildDone}, "accounts": {State: views.RebuildFailed}},
		}
		if strings.Contains(c.mutation, "busy") {
			v.names = append(v.names, "busy")
			v.rebuilds["busy"] = views.Progress{View: "busy", State: views.RebuildCancelling}
		}
		_, problems := ask(t, v, `mutation { `+c.mutation+` { projection state } }`)
		assert.Equal(t, c.requested, v.requested, c.mutation)
		if c.code == "" {
			assert.Empty(t, problems, c.mutation)
			continue
		}
		require.Len(t, problems, 1, c.mutation)
		assert.Equal(t, [2]string{c.code, c.field}, [2]string{problems[0].Extensions.Code, problems[0].Extensions.Field}, c.mutation)
	}
}

func TestParked(t *testing.T) {
	t.Parallel()
	v := &fake{names: []string{"orders", "users"}, counts: map[string]int64{"users": 2}, parked: map[string][]views.Parked{"users": {
		{View: "users", Position: "C:1/P:1", Stream: "order-o", Revision: 3, Type: "order.filled", EventID: "e", OrderID: "o", Reason: "can't be folded"},
		{View: "users", Position: "C:2/P:2", Stream: "x", Reason: "waits"},
	}}}
	const fields = ` { projection position stream revision eventType eventId orderId reason }`
	want := `[{"projection": "users", "position": "C:1/P:1", "stream": "order-o", "revision": 3, "eventType": "order.filled", "eventId": "e", "orderId": "o", "reason": "can't be folded"},
		{"projection": "users", "position": "C:2/P:2", "stream": "x", "revision": 0, "eventType": null, "eventId": null, "orderId": null, "reason": "waits"}]`
	data, problems := ask(t, v, `{ all: parked`+fields+` users: parked(projection: "users")`+fields+` orders: parked(projection: "orders")`+fields+` }`)
	assert.Empty(t, problems)
	assert.JSONEq(t, `{"all": `+want+`, "users": `+want+`, "orders": []}`, data)
}
