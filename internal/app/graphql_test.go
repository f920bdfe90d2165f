package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tale is an event of the stories below, as a test sees it.
type tale struct {
	id, kind, order, account, ticker, entityType, entityID string
	at                                                     time.Time
	price                                                  int // 0: none
}

// tales are n events of several orders, accounts, instruments, days and cities.
func tales(n int) []tale {
	all := make([]tale, n)
	for i := range all {
		e := tale{id: fmt.Sprintf("e%d", i), at: time.Date(2026, 3, 2+i%3, 14, 30, i%60, 0, time.UTC)}
		switch i % 5 {
		case 0, 1:
			e.kind, e.order, e.account = "order.submitted", fmt.Sprintf("o%d", i%7), fmt.Sprintf("A%d", i%7)
			e.ticker, e.price = fmt.Sprintf("T%d", i%7), i
		case 2:
			e.kind, e.order, e.account = "order.filled", fmt.Sprintf("o%d", i%7), fmt.Sprintf("A%d", i%7)
		case 3:
			e.kind, e.account = "risk.evaluated", "A1"
		case 4:
			e.kind, e.entityType, e.entityID = "weather.seen", "city", fmt.Sprintf("c%d", i%2)
		}
		all[i] = e
	}
	return all
}

func (r *running) tell(all []tale) {
	r.Helper()
	var body strings.Builder
	for _, e := range all {
		event := map[string]any{"event_id": e.id, "event_type": e.kind, "occurred_at": e.at.Format(time.RFC3339Nano)}
		for name, value := range map[string]string{
			"order_id": e.order, "account_id": e.account, "ticker": e.ticker, "entity_type": e.entityType, "entity_id": e.entityID,
		} {
			if value != "" {
				event[name] = value
			}
		}
		if e.price > 0 {
			event["data"] = map[string]any{"limit_price": fmt.Sprint(e.price), "quantity": "10"}
		}
		line, err := json.Marshal(event)
		require.NoError(r, err)
		body.Write(line)
		body.WriteByte('\n')
	}
	a := r.do(http.MethodPost, "/v1/events", "application/x-ndjson", body.String())
	require.Equal(r, http.StatusOK, a.status, "%s", a.body)
	r.caughtUp()
}

const searchQuery = `query($filter: EventFilter, $first: Int, $after: String, $last: Int, $before: String) {
	events(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
		edges { cursor node { eventId position } } totalCount examined failed failure fromEventStore
		pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`

// Every search, in pages of every size and both ways, finds what a look at all
// events does.
func TestGraphQL_SearchesBothWays(t *testing.T) {
	r := start(t)
	all := tales(100)
	r.tell(all)
	day := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		filter map[string]any
		want   func(tale) bool
		total  bool // is told
	}{
		{"everything", nil, func(tale) bool { return true }, true},
		{"nothing said", map[string]any{"types": nil, "entityType": nil, "expression": nil}, func(tale) bool { return true }, true},
		{"a type", map[string]any{"types": []string{"risk.evaluated"}}, func(e tale) bool { return e.kind == "risk.evaluated" }, true},
		{"an alias", map[string]any{"types": []string{"order_submitted"}}, func(e tale) bool { return e.kind == "order.submitted" }, true},
		{"a family", map[string]any{"types": []string{"order.*"}}, func(e tale) bool { return e.order != "" }, true},
		{"accounts", map[string]any{"accounts": []string{"A1", "A2", "A1"}}, func(e tale) bool { return e.account == "A1" || e.account == "A2" }, true},
		{"an account and a type", map[string]any{"accounts": []string{"A1"}, "types": []string{"order.filled"}}, func(e tale) bool { return e.account == "A1" && e.kind == "order.filled" }, false},
		{"an account and a type that is not there", map[string]any{"accounts": []string{"A1"}, "types": []string{"order.expired"}}, func(tale) bool { return false }, false},
		{"an order", map[string]any{"orders": []string{"o3"}}, func(e tale) bool { return e.order == "o3" }, true},
		{"nobody's order", map[string]any{"orders": []string{"nobody"}}, func(tale) bool { return false }, true},
		{"an entity", map[string]any{"entityType": "city", "entityId": "c1"}, func(e tale) bool { return e.entityID == "c1" }, true},
		{"entities of a type", map[string]any{"entityType": "city"}, func(e tale) bool { return e.entityType == "city" }, false},
		{"entities of a name", map[string]any{"entityId": "c0"}, func(e tale) bool { return e.entityID == "c0" }, false},
		{"a day", map[string]any{"after": day, "before": day.AddDate(0, 0, 1)}, func(e tale) bool { return e.at.Day() == 3 }, false},
		{
			"a moment",
			map[string]any{"after": day.Add(14*time.Hour + 30*time.Minute + 10*time.Second), "before": day.Add(14*time.Hour + 30*time.Minute + 40*time.Second)},
			func(e tale) bool { return e.at.Day() == 3 && e.at.Second() >= 10 && e.at.Second() < 40 }, false,
		},
		{"an expression", map[string]any{"expression": "limit_price > 50"}, func(e tale) bool { return e.price > 50 }, false},
		{
			"all together",
			map[string]any{"types": []string{"order.*"}, "accounts": []string{"A1", "A3"}, "before": day, "expression": `ticker != "T3"`},
			func(e tale) bool {
				return e.order != "" && e.at.Before(day) && (e.account == "A1" || e.account == "A3" && e.ticker == "")
			}, false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []string
			for _, e := range all {
				if c.want(e) {
					want = append(want, e.id)
				}
			}
			for _, size := range []int{1, 7, 1000} {
				for _, back := range []bool{false, true} {
					var got []string
					variables := map[string]any{"filter": c.filter}
					for range len(want) + 2 {
						variables["first"], variables["last"] = size, nil
						if back {
							variables["first"], variables["last"] = nil, size
						}
						data, code, _ := r.graphql(searchQuery, variables)
						require.Empty(t, code)
						events := at(data, "events")
						var page []string
						for _, edge := range listAt(events, "edges") {
							page = append(page, textAt(edge, "node", "eventId"))
							assert.Equal(t, at(edge, "cursor"), at(edge, "node", "position"))
						}
						assert.LessOrEqual(t, len(page), size)
						assert.Zero(t, at(events, "fromEventStore"))
						if total := at(events, "totalCount"); c.total {
							assert.InDelta(t, len(want), total, 0)
						} else {
							assert.Nil(t, total)
						}
						more, next := at(events, "pageInfo", "hasNextPage"), textAt(events, "pageInfo", "endCursor")
						if back {
							more, next = at(events, "pageInfo", "hasPreviousPage"), textAt(events, "pageInfo", "startCursor")
							got = append(page, got...)
							variables["before"] = next
						} else {
							got = append(got, page...)
							variables["after"] = next
						}
						if more != true {
							break
						}
					}
					require.Equal(t, want, got, "pages of %d, backwards %v", size, back)
				}
			}
		})
	}
	// What the expression can't be computed on is counted.
	data, code, _ := r.graphql(`{ events(filter: {expression: "event_id + 1 > 0", types: ["risk.evaluated"]}) { edges { cursor } examined failed failure } }`, nil)
	require.Empty(t, code)
	assert.InDelta(t, 20, at(data, "events", "failed"), 0)
	assert.InDelta(t, 20, at(data, "events", "examined"), 0)
	assert.NotEmpty(t, textAt(data, "events", "failure"))
	assert.Empty(t, listAt(data, "events", "edges"))
	// A stretch between two cursors.
	data, _, _ = r.graphql(searchQuery, map[string]any{"first": 1000})
	cursor := func(i int) string { return textAt(data, "events", "edges", i, "cursor") }
	for _, size := range []string{"first", "last"} {
		data, _, _ := r.graphql(searchQuery, map[string]any{size: 2, "after": cursor(10), "before": cursor(14)})
		got := []string{textAt(data, "events", "edges", 0, "node", "eventId"), textAt(data, "events", "edges", 1, "node", "eventId")}
		assert.Equal(t, map[string][]string{"first": {"e11", "e12"}, "last": {"e12", "e13"}}[size], got)
	}
	data, _, _ = r.graphql(searchQuery, map[string]any{"first": 5, "after": cursor(14), "before": cursor(10)})
	assert.Empty(t, listAt(data, "events", "edges"))
}

func TestGraphQL_Trails(t *testing.T) {
	r := start(t)
	all := tales(100)
	r.tell(all)
	ids := func(want func(tale) bool) []string {
		var out []string
		for _, e := range all {
			if want(e) {
				out = append(out, e.id)
			}
		}
		return out
	}
	got := func(data any) []string {
		var out []string
		for _, edge := range listAt(data, "events", "edges") {
			out = append(out, textAt(edge, "node", "eventId"))
		}
		return out
	}
	const events = ` events(first: 1000) { totalCount fromEventStore edges { node { eventId } } }`
	data, code, _ := r.graphql(`{
		instrument(id: "T1") { id`+events+` orders { totalCount edges { node { orderId } } } stats { events orders byType { eventType count } } }
		city: entity(type: "city", id: "c0") { entityType entityId`+events+` }
		account: entity(type: "account", id: "A1") {`+events+` }
		order: entity(type: "order", id: "o3") {`+events+` }
		nothing: instrument(id: "none") { id } nowhere: entity(type: "city", id: "") { entityId } typeless: entity(type: "", id: "c0") { entityId }
		odd: entity(type: "a:b{c}*", id: ":\n") { entityId } noOrder: order(id: "none") { orderId }
	}`, nil)
	require.Empty(t, code)
	// A fill without a ticker is of the instrument of its order.
	assert.Equal(t, ids(func(e tale) bool { return e.order == "o1" }), got(at(data, "instrument")))
	assert.InDelta(t, 1, at(data, "instrument", "orders", "totalCount"), 0)
	assert.Equal(t, "o1", at(data, "instrument", "orders", "edges", 0, "node", "orderId"))
	assert.Equal(t, "c0", at(data, "city", "entityId"))
	assert.Equal(t, ids(func(e tale) bool { return e.entityID == "c0" }), got(at(data, "city")))
	assert.Equal(t, ids(func(e tale) bool { return e.account == "A1" }), got(at(data, "account")))
	assert.Equal(t, ids(func(e tale) bool { return e.order == "o3" }), got(at(data, "order")))
	for _, nothing := range []string{"nothing", "nowhere", "typeless", "odd", "noOrder"} {
		assert.Nil(t, at(data, nothing), nothing)
	}
	data, code, _ = r.graphql(`{ daily(date: "2026-03-03") { events byHour { hour count } firstAt } none: daily(date: "1999-12-31") { events firstAt }
		latencies { stage count negative max } order(id: "o1") { fills odd submittedAt latencies { accept } } }`, nil)
	require.Empty(t, code)
	assert.InDelta(t, len(ids(func(e tale) bool { return e.at.Day() == 3 })), at(data, "daily", "events"), 0)
	assert.Len(t, listAt(data, "daily", "byHour"), 1)
	assert.Equal(t, map[string]any{"events": 0.0, "firstAt": nil}, at(data, "none"))
	assert.NotEmpty(t, listAt(data, "latencies"))
	assert.Contains(t, listAt(data, "order", "odd"), "out_of_order")
}

// Who gives the position of his receipt sees what he has recorded, without
// waiting for anything else.
func TestGraphQL_SeesWhatWasRecorded(t *testing.T) {
	r := start(t)
	for i := range 50 {
		id := fmt.Sprintf("o%d", i)
		data, code, _ := r.graphql(`mutation($id: ID!) { record(events: [{eventType: "order.submitted", occurredAt: "2026-03-02T14:30:00Z", orderId: $id, accountId: "A", ticker: "T", data: {quantity: 1}}]) { status position } }`,
			map[string]any{"id": id})
		require.Empty(t, code)
		require.Equal(t, "RECORDED", at(data, "record", 0, "status"))
		data, code, _ = r.graphql(`query($id: ID!, $p: String!) { chain(orderId: $id, notOlderThan: $p) { events { stage } } order(id: $id, notOlderThan: $p) { events }
			account(id: "A", notOlderThan: $p) { stats { events } } instrument(id: "T", notOlderThan: $p) { stats { events } }
			entity(type: "order", id: $id, notOlderThan: $p) { entityId } daily(date: "2026-03-02", notOlderThan: $p) { events }
			events(filter: {accounts: ["A"]}, last: 1, notOlderThan: $p) { totalCount edges { node { orderId } } } }`,
			map[string]any{"id": id, "p": at(data, "record", 0, "position")})
		require.Empty(t, code)
		require.Len(t, listAt(data, "chain", "events"), 1)
		require.InDelta(t, 1, at(data, "order", "events"), 0)
		for _, total := range []any{
			at(data, "account", "stats", "events"), at(data, "instrument", "stats", "events"), at(data, "daily", "events"), at(data, "events", "totalCount"),
		} {
			require.InDelta(t, i+1, total, 0)
		}
		require.Equal(t, id, at(data, "events", "edges", 0, "node", "orderId"))
		require.Equal(t, id, at(data, "entity", "entityId"))
	}
}

func TestGraphQL_HostileArguments(t *testing.T) {
	r := start(t)
	r.record(2)
	long := strings.Repeat("x", 300)
	list := func(n int) string { return "[" + strings.Repeat(`"a",`, n) + "]" }
	for query, want := range map[string][2]string{
		`{ events(first: -1) { totalCount } }`:                                                               {"invalid", "first"},
		`{ events(last: -9223372036854775808) { totalCount } }`:                                              {"invalid", "last"},
		`{ events(first: 1001) { totalCount } }`:                                                             {"page_too_large", "first"},
		`{ events(last: 9223372036854775807) { totalCount } }`:                                               {"page_too_large", "last"},
		`{ events(first: 99999999999999999999) { totalCount } }`:                                             {"GRAPHQL_VALIDATION_FAILED", ""},
		`{ events(first: 1, last: 1) { totalCount } }`:                                                       {"invalid", "last"},
		`{ events(after: "") { totalCount } }`:                                                               {"invalid", "after"},
		`{ events(after: "5") { totalCount } }`:                                                              {"invalid", "after"},
		`{ events(before: "C:-1/P:-1") { totalCount } }`:                                                     {"invalid", "before"},
		`{ events(before: "C:18446744073709551616/P:0") { totalCount } }`:                                    {"invalid", "before"},
		`{ events(filter: {types: ["*"]}) { totalCount } }`:                                                  {"invalid", "filter.types.0"},
		`{ events(filter: {types: ["order.submitted", "or*"]}) { totalCount } }`:                             {"invalid", "filter.types.1"},
		`{ events(filter: {types: ["` + long + `"]}) { totalCount } }`:                                       {"too_large", "filter.types.0"},
		`{ events(filter: {accounts: [""]}) { totalCount } }`:                                                {"invalid", "filter.accounts.0"},
		`{ events(filter: {accounts: [null]}) { totalCount } }`:                                              {"GRAPHQL_VALIDATION_FAILED", ""},
		`{ events(filter: {orders: ` + list(1001) + `}) { totalCount } }`:                                    {"too_large", "filter.orders"},
		`{ events(filter: {tickers: ["` + long + `"]}) { totalCount } }`:                                     {"too_large", "filter.tickers.0"},
		`{ events(filter: {entityType: "` + long + `"}) { totalCount } }`:                                    {"too_large", "filter.entityType"},
		`{ events(filter: {entityId: "` + long + `"}) { totalCount } }`:                                      {"too_large", "filter.entityId"},
		`{ events(filter: {after: "yesterday"}) { totalCount } }`:                                            {"invalid", "filter.after"},
		`{ events(filter: {after: "2026-03-02T00:00:00Z", before: "2026-03-02T00:00:00Z"}) { totalCount } }`: {"invalid", "filter.after"},
		`{ events(filter: {expression: "price >"}) { totalCount } }`:                                         {"invalid", "filter.expression"},
		`{ events(filter: {expression: "price + 1"}) { totalCount } }`:                                       {"invalid", "filter.expression"},
		`{ events(filter: {expression: "` + strings.Repeat("a+", 1<<15) + `"}) { totalCount } }`:             {"too_large", "filter.expression"},
		`{ events(filter: {expression: "` + strings.Repeat("(", 4000) + `"}) { totalCount } }`:               {"invalid", "filter.expression"},
		`{ events(notOlderThan: "now") { totalCount } }`:                                                     {"invalid", "notOlderThan"},
		`{ daily(date: "") { events } }`:                                                                     {"invalid", "date"},
		`{ daily(date: "2026-02-30") { events } }`:                                                           {"invalid", "date"},
		`{ daily(date: "2026-3-2") { events } }`:                                                             {"invalid", "date"},
		`{ daily(date: "2026-03-02T00:00:00Z") { events } }`:                                                 {"invalid", "date"},
		`{ daily(date: "` + strings.Repeat("9", 1<<16) + `") { events } }`:                                   {"invalid", "date"},
		`{ instrument(id: "x") { events(first: -1) { totalCount } } }`:                                       {"", ""},
		`{ entity(type: "order", id: "o0") { events(after: "x") { totalCount } } }`:                          {"invalid", "after"},
		`{ parked(projection: "nothing") { reason } }`:                                                       {"unknown_projection", "projection"},
		`{ parked(projection: "") { reason } }`:                                                              {"unknown_projection", "projection"},
		`mutation { rebuild(projection: "") { name } }`:                                                      {"unknown_projection", "projection"},
		`mutation { rebuild(projection: "` + strings.Repeat("x", 1<<16) + `") { name } }`:                    {"unknown_projection", "projection"},
		`mutation { rebuild(projection: "users", rate: -1) { name } }`:                                       {"invalid", "rate"},
		`mutation { startRebuild(projections: ["users", "users:1"]) { id } }`:                                {"unknown_projection", "projections.1"},
		`mutation { startRebuild(rate: 0) { id } }`:                                                          {"invalid", "rate"},
		`mutation { startRebuild(projections: [null]) { id } }`:                                              {"GRAPHQL_VALIDATION_FAILED", ""},
		`mutation { cancelRebuild(projection: "nothing") { name } }`:                                         {"unknown_projection", "projection"},
		`mutation { replay(projections: ["nothing"]) { id } }`:                                               {"unknown_projection", "projections.0"},
		`{` + many(11, `a%d: events { totalCount } `) + `}`:                                                  {"COMPLEXITY_LIMIT_EXCEEDED", ""},
	} {
		a := r.do(http.MethodPost, "/graphql", "application/json", string(encode(t, query)))
		assert.Less(t, len(a.body), 4<<10, "answers do not repeat what was sent: %.100s", query)
		_, code, field := r.graphql(query, nil)
		assert.Equal(t, want, [2]string{code, field}, "%.100s", query)
	}
	// Nothing was started by what was refused, and odd arguments that are none.
	data, code, _ := r.graphql(`{ rebuilds { id } all: events(after: "C:18446744073709551615/P:18446744073709551615") { edges { cursor } }
		none: events(before: "C:0/P:1") { edges { cursor } } zero: events(first: 0) { edges { cursor } pageInfo { hasNextPage endCursor } }
		ids: events(filter: {accounts: ["a:b{c}*", "\u0000"], orders: ["\n"]}) { edges { cursor } } }`, nil)
	require.Empty(t, code)
	assert.Equal(t, map[string]any{
		"rebuilds": []any{}, "all": map[string]any{"edges": []any{}}, "none": map[string]any{"edges": []any{}},
		"zero": map[string]any{"edges": []any{}, "pageInfo": map[string]any{"hasNextPage": true, "endCursor": nil}}, "ids": map[string]any{"edges": []any{}},
	}, data)
	data, code, _ = r.graphql(`mutation { startRebuild(projections: []) { id } replay { id } cancelRebuild(projection: "users") { name rebuild { id } } }`, nil)
	require.Empty(t, code)
	assert.Equal(t, map[string]any{"startRebuild": []any{}, "replay": []any{}, "cancelRebuild": map[string]any{"name": "users", "rebuild": nil}}, data)
}

func encode(t *testing.T, query string) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query})
	require.NoError(t, err)
	return body
}

func TestGraphQL_Rebuilds(t *testing.T) {
	r := start(t)
	r.tell(tales(300))
	generations := func() map[string]float64 {
		data, code, _ := r.graphql(`{ projections { name generation events behind lag parked } }`, nil)
		require.Empty(t, code)
		out := make(map[string]float64)
		for _, p := range listAt(data, "projections") {
			out[textAt(p, "name")], _ = at(p, "generation").(float64)
			assert.InDelta(t, 300, at(p, "events"), 0)
			assert.InDelta(t, 0, at(p, "behind"), 0)
			assert.Equal(t, "PT0S", at(p, "lag"))
			assert.InDelta(t, 0, at(p, "parked"), 0)
		}
		return out
	}
	before := generations()
	data, code, _ := r.graphql(`mutation { rebuild(projection: "users", rate: 1000000) { name generation parity caughtUp rebuild { state equal events total keys differing different rate error endedAt } } }`, nil)
	require.Empty(t, code)
	assert.Equal(t, true, at(data, "rebuild", "parity"))
	assert.Equal(t, "DONE", at(data, "rebuild", "rebuild", "state"))
	assert.Equal(t, true, at(data, "rebuild", "rebuild", "equal"))
	assert.NotNil(t, at(data, "rebuild", "rebuild", "endedAt"))
	assert.Greater(t, generations()["users"], before["users"])

	// All at once; while they run, none is started a second time.
	data, code, _ = r.graphql(`mutation { startRebuild { id projection state } }`, nil)
	require.Empty(t, code)
	started := listAt(data, "startRebuild")
	assert.Len(t, started, len(before))
	ids := make(map[any]bool)
	for _, rebuild := range started {
		assert.Equal(t, "QUEUED", at(rebuild, "state"))
		ids[at(rebuild, "id")] = true
	}
	require.Eventually(t, func() bool {
		data, code, _ := r.graphql(`{ rebuilds { id state equal error } }`, nil)
		require.Empty(t, code)
		done := 0
		for _, rebuild := range listAt(data, "rebuilds") {
			require.True(t, ids[at(rebuild, "id")])
			require.Nil(t, at(rebuild, "error"))
			if at(rebuild, "state") == "DONE" {
				require.Equal(t, true, at(rebuild, "equal"))
				done++
			}
		}
		return done == len(before)
	}, time.Minute, 10*time.Millisecond)
	for name, generation := range generations() {
		assert.Greater(t, generation, before[name], name)
	}

	// One event a second: there is time to cancel.
	_, code, _ = r.graphql(`mutation { startRebuild(projections: ["orders", "daily"], rate: 1) { id } }`, nil)
	require.Empty(t, code)
	_, code, field := r.graphql(`mutation { startRebuild(projections: ["users", "daily"]) { id } }`, nil)
	assert.Equal(t, [2]string{"rebuild_running", "projections"}, [2]string{code, field})
	_, code, _ = r.graphql(`mutation { rebuild(projection: "orders") { name } }`, nil)
	assert.Equal(t, "rebuild_running", code)
	_, code, _ = r.graphql(`mutation { orders: cancelRebuild(projection: "orders") { name } daily: cancelRebuild(projection: "daily") { name } }`, nil)
	require.Empty(t, code)
	require.Eventually(t, func() bool {
		data, _, _ := r.graphql(`{ rebuilds { projection state } }`, nil)
		states := make(map[string]string)
		for _, rebuild := range listAt(data, "rebuilds") {
			states[textAt(rebuild, "projection")] = textAt(rebuild, "state")
		}
		require.Equal(t, "DONE", states["users"], "it was not started")
		return states["orders"] == "CANCELLED" && states["daily"] == "CANCELLED"
	}, time.Minute, 10*time.Millisecond)
	data, code, _ = r.graphql(`{ order(id: "o1") { orderId } projections { caughtUp } }`, nil)
	require.Empty(t, code)
	assert.NotNil(t, at(data, "order"))
}

// updates opens a subscription over server-sent events.
func (r *running) updates(query string) <-chan map[string]any {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/graphql", strings.NewReader(string(encode(r.T, query))))
	require.NoError(r, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // the cleanup does
	require.NoError(r, err)
	out := make(chan map[string]any)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(out)
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			text, ok := strings.CutPrefix(lines.Text(), "data: ")
			var answer map[string]any
			if !ok || json.Unmarshal([]byte(text), &answer) != nil {
				continue
			}
			select {
			case out <- answer:
			case <-ctx.Done():
				return
			}
		}
	}()
	r.Cleanup(func() {
		cancel()
		_ = response.Body.Close()
		<-done
	})
	return out
}

func TestGraphQL_FollowsInstrumentsAndEntities(t *testing.T) {
	r := start(t)
	all := tales(60)
	r.tell(all[:30])
	follow := map[string]func(tale) bool{
		`instrumentEvents(ticker: "T1", after: "C:0/P:0")`:             func(e tale) bool { return e.order == "o1" },
		`entityEvents(type: "city", id: "c1", after: "C:0/P:0")`:       func(e tale) bool { return e.entityID == "c1" },
		`entityEvents(type: "account", id: "A1", after: "C:0/P:0")`:    func(e tale) bool { return e.account == "A1" },
		`entityEvents(type: "instrument", id: "T3", after: "C:0/P:0")`: func(e tale) bool { return e.order == "o3" },
		`events(after: "C:0/P:0")`:                                     func(tale) bool { return true },
		`events(filter: {accounts: ["A1"]}, after: "C:0/P:0")`:         func(e tale) bool { return e.account == "A1" },
	}
	following := make(map[string]<-chan map[string]any)
	for field := range follow {
		following[field] = r.updates(`subscription { update: ` + field + ` { cursor event { eventId position } } }`)
	}
	r.tell(all[30:])
	for field, wanted := range follow {
		var want, got []string
		for _, e := range all {
			if wanted(e) {
				want = append(want, e.id)
			}
		}
		for range want {
			update, ok := <-following[field]
			require.True(t, ok, field)
			got = append(got, textAt(update, "data", "update", "event", "eventId"))
			assert.Equal(t, at(update, "data", "update", "cursor"), at(update, "data", "update", "event", "position"))
		}
		assert.Equal(t, want, got, field)
	}
	for query, field := range map[string]string{
		`subscription { entityEvents(type: "order", id: "o1") { cursor } }`:              "type",
		`subscription { entityEvents(type: "city", id: "c1", after: "now") { cursor } }`: "after",
		`subscription { instrumentEvents(ticker: "T1", after: "C:1") { cursor } }`:       "after",
		`subscription { events(filter: {accounts: []}) { cursor } }`:                     "filter.accounts",
		`subscription { events(filter: {expression: "price >"}) { cursor } }`:            "filter.expression",
	} {
		answer := <-r.updates(query)
		assert.Equal(t, field, textAt(answer, "errors", 0, "extensions", "field"), query)
		if field == "type" {
			assert.Contains(t, textAt(answer, "errors", 0, "message"), "chainUpdated")
		}
	}
}
