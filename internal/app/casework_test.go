package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// detect records anomalies F-0 and so on, as a detector does, one every 20 minutes.
func (r *running) detect(n int) {
	r.Helper()
	var lines strings.Builder
	begin := time.Date(2026, 3, 2, 14, 0, 0, 0, time.UTC)
	for i := range n {
		fmt.Fprintf(&lines, `{"event_id":"d%d","event_type":"anomaly.detected","occurred_at":%q,"entity_type":"anomaly","entity_id":"F-%d","order_id":"o%d","account_id":"A%d","strategy_id":"S%d","data":{"kind":"k%d","rule":"r","severity":%q,"evidence":["e"]}}`+"\n",
			i, begin.Add(time.Duration(i)*20*time.Minute).Format(time.RFC3339), i, i, i%2, i%3, i%2, []string{"low", "high"}[i%2])
	}
	a := r.do(http.MethodPost, "/v1/events", "application/x-ndjson", lines.String())
	require.Equal(r, http.StatusOK, a.status, "%s", a.body)
	r.caughtUp()
}

func (r *running) post(path, body string) (status int, answer map[string]any) {
	r.Helper()
	a := r.do(http.MethodPost, path, "application/json", body)
	require.NoError(r, json.Unmarshal(a.body, &answer), "%s", a.body)
	return a.status, answer
}

const actFields = `{ eventId position status anomaly { id status assignee comments acknowledgedBy dismissedBy reason event { eventId } } }`

// What people do about anomalies is recorded, by whoever asks, and shown where
// anomalies are, over both doors alike.
func TestCasework_Story(t *testing.T) {
	r := start(t)
	r.detect(4)
	live := r.updates(`subscription { anomalyChanged(filter: {kinds: ["k0"]}) { cursor event { eventType actor userId causationId stream } anomaly { id status comments } } }`)

	data, code, field := r.graphql(`mutation { a: acknowledgeAnomaly(id: "F-0") `+actFields+` b: assignAnomaly(id: "F-0", assignee: "ann") `+actFields+`
		c: commentAnomaly(id: "F-1", comment: "unseen by k0") `+actFields+` }`, nil)
	require.Empty(t, code, field)
	assert.Equal(t, map[string]any{
		"id": "F-0", "status": "ACKNOWLEDGED", "assignee": "ann", "comments": 0.0, "acknowledgedBy": "local-developer", "dismissedBy": nil, "reason": nil,
		"event": map[string]any{"eventId": "d0"},
	}, at(data, "b", "anomaly"))
	status, body := r.post("/audit/anomalies/F-0/comment", `{"comment":"<script>alert(1)</script> =1+1 ünï\u0000","event_id":"mine"}`)
	require.Equal(t, http.StatusOK, status, "%v", body)
	assert.Equal(t, "recorded", at(body, "status"))
	status, body = r.post("/audit/anomalies/F-0/dismiss", `{"reason":"a test"}`)
	require.Equal(t, http.StatusOK, status, "%v", body)
	assert.Equal(t, "DISMISSED", at(body, "anomaly", "state", "status"))
	assert.Equal(t, "a test", at(body, "anomaly", "state", "reason"))

	var seen []string
	for range 4 {
		update := at(<-live, "data", "anomalyChanged")
		seen = append(seen, textAt(update, "event", "eventType"))
		assert.Equal(t, "local-developer", at(update, "event", "actor"))
		assert.Equal(t, "local-developer", at(update, "event", "userId"))
		assert.Equal(t, "d0", at(update, "event", "causationId"))
		assert.Equal(t, "anomaly-F-0", at(update, "event", "stream"))
		assert.Equal(t, "F-0", at(update, "anomaly", "id"))
	}
	assert.Equal(t, []string{"anomaly.acknowledged", "anomaly.assigned", "anomaly.commented", "anomaly.dismissed"}, seen)

	// The same act again is the same one; another under its id is none.
	status, body = r.post("/audit/anomalies/F-0/comment", `{"comment":"<script>alert(1)</script> =1+1 ünï\u0000","event_id":"mine"}`)
	assert.Equal(t, []any{http.StatusOK, "duplicate", 1.0}, []any{status, at(body, "status"), at(body, "anomaly", "state", "comments")})
	status, body = r.post("/audit/anomalies/F-0/comment", `{"comment":"another","event_id":"mine"}`)
	assert.Equal(t, []any{http.StatusConflict, "id_conflict", "event_id"}, []any{status, at(body, "code"), at(body, "field")})

	// The order's life has nothing of it; the anomaly's trail and the user's have all.
	data, code, _ = r.graphql(`{ order(id: "o0") { events } chain(orderId: "o0") { events { event { eventType } } }
		entity(type: "anomaly", id: "F-0") { events { totalCount edges { node { data } } } } user(id: "local-developer") { stats { events } } }`, nil)
	require.Empty(t, code)
	assert.Len(t, listAt(data, "chain", "events"), 1)
	assert.InDelta(t, 5, at(data, "entity", "events", "totalCount"), 0)
	assert.Equal(t, "<script>alert(1)</script> =1+1 ünï\u0000", at(data, "entity", "events", "edges", 3, "node", "data", "comment"))
	assert.InDelta(t, 5, at(data, "user", "stats", "events"), 0)

	// The lists agree, by state.
	for name, want := range map[string][]string{
		"OPEN": {"F-1", "F-2", "F-3"}, "DISMISSED": {"F-0"}, "ACKNOWLEDGED": nil,
	} {
		data, code, _ := r.graphql(`{ anomalies(filter: {statuses: [`+name+`]}) { edges { node { id status comments } } } }`, nil)
		require.Empty(t, code)
		var overGraphQL, overREST []string
		for _, edge := range listAt(data, "anomalies", "edges") {
			overGraphQL = append(overGraphQL, textAt(edge, "node", "id"))
			assert.Equal(t, name, at(edge, "node", "status"))
		}
		var list map[string]any
		require.NoError(t, json.Unmarshal(r.get("/audit/anomalies?status="+strings.ToLower(name)).body, &list))
		for _, item := range listAt(list, "items") {
			overREST = append(overREST, textAt(item, "state", "id"))
			assert.Equal(t, name, at(item, "state", "status"))
		}
		assert.Equal(t, [2][]string{want, want}, [2][]string{overGraphQL, overREST}, name)
		lines := r.do(http.MethodGet, "/audit/anomalies?status="+name, "", "", "Accept", "application/x-ndjson")
		assert.Equal(t, len(want), strings.Count(string(lines.body), "\n"), "an export has the same: %s", lines.body)
	}
	a := r.get("/audit/anomalies/F-0")
	assert.Equal(t, "application/json", a.header.Get("Content-Type"))
	assert.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
	data, code, _ = r.graphql(`{ anomaly(id: "F-0") { status dismissedBy reason kind } none: anomaly(id: "none") { id } }`, nil)
	require.Empty(t, code)
	assert.Equal(t, map[string]any{"anomaly": map[string]any{"status": "DISMISSED", "dismissedBy": "local-developer", "reason": "a test", "kind": "k0"}, "none": nil}, data)

	// Live acts resume.
	again := r.updates(`subscription { anomalyChanged(after: "C:0/P:0") { anomaly { id } event { eventType } } }`)
	for _, want := range []string{"anomaly.acknowledged", "anomaly.assigned", "anomaly.commented"} {
		assert.Equal(t, want, textAt(<-again, "data", "anomalyChanged", "event", "eventType"))
	}
}

func TestCasework_Hostile(t *testing.T) {
	r := start(t)
	r.detect(2)
	_, code, _ := r.graphql(`mutation { dismissAnomaly(id: "F-1", reason: "done") { status } }`, nil)
	require.Empty(t, code)
	big := strings.Repeat("x", 1<<20)
	long := strings.Repeat("y", 16<<10+1)
	for _, c := range []struct {
		path, body  string
		status      int
		code, field string
	}{
		{"/audit/anomalies/F-0/comment", `{"comment":"` + big + `"}`, 413, "too_large", ""},
		{"/audit/anomalies/F-0/comment", `{"comment":"` + long + `"}`, 413, "too_large", "comment"},
		{"/audit/anomalies/F-0/comment", `{"comment":""}`, 422, "invalid", "comment"},
		{"/audit/anomalies/F-0/comment", `{"comment":" \n\t"}`, 422, "invalid", "comment"},
		{"/audit/anomalies/F-0/comment", `{}`, 422, "missing", "comment"},
		{"/audit/anomalies/F-0/comment", `{"comment":null}`, 422, "missing", "comment"},
		{"/audit/anomalies/F-0/comment", `{"comment":7}`, 400, "malformed", ""},
		{"/audit/anomalies/F-0/comment", `{"comment":"\ud800"}`, 400, "malformed", ""},
		{"/audit/anomalies/F-0/comment", `{"comment":"a","actor":"boss"}`, 400, "malformed", ""},
		{"/audit/anomalies/F-0/comment", `{"comment":"a","comment":"b"}`, 400, "malformed", ""},
		{"/audit/anomalies/F-0/comment", `{"comment":"a","reason":"b"}`, 422, "invalid", "reason"},
		{"/audit/anomalies/F-0/comment", `{"comment":"a","event_id":""}`, 422, "invalid", "event_id"},
		{"/audit/anomalies/F-0/comment", `{"comment":"a","event_id":"` + strings.Repeat("i", 257) + `"}`, 413, "too_large", "event_id"},
		{"/audit/anomalies/F-0/comment", ``, 415, "unsupported_encoding", ""},
		{"/audit/anomalies/F-0/comment", `[`, 400, "malformed", ""},
		{"/audit/anomalies/F-0/assign", `{"assignee":""}`, 422, "invalid", "assignee"},
		{"/audit/anomalies/F-0/assign", `{"assignee":"` + strings.Repeat("a", 257) + `"}`, 413, "too_large", "assignee"},
		{"/audit/anomalies/F-0/dismiss", `{}`, 422, "missing", "reason"},
		{"/audit/anomalies/none/acknowledge", ``, 404, "unknown_anomaly", ""},
		{"/audit/anomalies/o0/dismiss", `{"reason":"an order is none"}`, 404, "unknown_anomaly", ""},
		{"/audit/anomalies/F-1/dismiss", `{"reason":"again"}`, 409, "already_dismissed", ""},
		{"/audit/anomalies/F-1/acknowledge", `{}`, 409, "already_dismissed", ""},
		{"/audit/anomalies/F-1/assign", `{"assignee":"ann"}`, 409, "already_dismissed", ""},
	} {
		body := c.body
		contentType := "application/json"
		if body == "" {
			contentType = ""
		}
		a := r.do(http.MethodPost, c.path, contentType, body)
		var problem map[string]any
		require.NoError(t, json.Unmarshal(a.body, &problem), "%s", a.body)
		assert.Equal(t, []any{c.status, c.code}, []any{a.status, at(problem, "code")}, "%s %.60s: %.300s", c.path, c.body, a.body)
		assert.Equal(t, c.field, textAt(problem, "field"), "%s %.60s", c.path, c.body)
	}
	for query, want := range map[string][2]string{
		`mutation { commentAnomaly(id: "F-0", comment: "") { status } }`:                                                                  {"invalid", "comment"},
		`mutation { commentAnomaly(id: "F-0", comment: "` + long + `") { status } }`:                                                      {"too_large", "comment"},
		`mutation { assignAnomaly(id: "F-0", assignee: "") { status } }`:                                                                  {"invalid", "assignee"},
		`mutation { assignAnomaly(id: "F-0", assignee: null) { status } }`:                                                                {"GRAPHQL_VALIDATION_FAILED", ""},
		`mutation { acknowledgeAnomaly(id: "F-0", eventId: "") { status } }`:                                                              {"invalid", "eventId"},
		`mutation { acknowledgeAnomaly(id: "none") { status } }`:                                                                          {"unknown_anomaly", ""},
		`mutation { dismissAnomaly(id: "F-1", reason: "again") { status } }`:                                                              {"already_dismissed", ""},
		`{ anomalies(filter: {statuses: [LOST]}) { totalCount } }`:                                                                        {"GRAPHQL_VALIDATION_FAILED", ""},
		`{ anomalies(filter: {statuses: []}) { totalCount } }`:                                                                            {"invalid", "filter.statuses"},
		`{ anomalyHeatmap(from: "2026-03-02T14:00:00Z", to: "2026-03-02T15:00:00Z", rows: 0) { total } }`:                                 {"invalid", "rows"},
		`{ anomalyHeatmap(from: "2026-03-02T14:00:00Z", to: "2026-03-02T15:00:00Z", bucket: "PT0S") { total } }`:                          {"invalid", "bucket"},
		`{ anomalyHeatmap(from: "2026-03-02T14:00:00Z", to: "2026-03-02T15:00:00Z", filter: {after: "2026-03-02T14:00:00Z"}) { total } }`: {"invalid", "filter"},
		`mutation {` + many(200, ` a%d: commentAnomaly(id: "F-0", comment: "x") { status }`) + `}`:                                        {"COMPLEXITY_LIMIT_EXCEEDED", ""},
	} {
		_, code, field := r.graphql(query, nil)
		assert.Equal(t, want, [2]string{code, field}, "%.100s", query)
	}
	for path, want := range map[string]string{
		"/audit/anomalies?status=lost": "status", "/audit/anomalies?status=": "status", "/audit/heatmap?from=2026-03-02&to=2026-03-03&by=x": "by",
		"/audit/heatmap?from=2026-03-02&to=2026-03-03&rows=201": "rows",
	} {
		a := r.get(path)
		var problem map[string]any
		require.NoError(t, json.Unmarshal(a.body, &problem))
		assert.Equal(t, []any{http.StatusUnprocessableEntity, want}, []any{a.status, at(problem, "field")}, path)
	}
	update := <-r.updates(`subscription { anomalyDetected(filter: {statuses: [OPEN]}) { cursor } }`)
	assert.Equal(t, "filter.statuses", at(update, "errors", 0, "extensions", "field"))
	// Nothing was recorded by what was refused, and no act before its anomaly counts.
	data, _, _ := r.graphql(`{ entity(type: "anomaly", id: "F-0") { events { totalCount } } }`, nil)
	assert.InDelta(t, 1, at(data, "entity", "events", "totalCount"), 0)
}

// Of many who dismiss at once one has, whoever asks, and everybody is told who.
func TestCasework_ManyAtOnce(t *testing.T) {
	r := start(t)
	r.detect(1)
	const people = 8
	codes := make([]string, people)
	var group sync.WaitGroup
	for i := range people {
		group.Go(func() {
			_, codes[i], _ = r.graphql(fmt.Sprintf(`mutation { commentAnomaly(id: "F-0", comment: "%d") { status } dismissAnomaly(id: "F-0", reason: "%d") { status } }`, i, i), nil)
		})
	}
	group.Wait()
	won := 0
	for _, code := range codes {
		if code == "" {
			won++
		} else {
			assert.Equal(t, "already_dismissed", code)
		}
	}
	assert.Equal(t, 1, won)
	data, code, _ := r.graphql(`{ anomaly(id: "F-0") { status comments } }`, nil)
	require.Empty(t, code)
	assert.Equal(t, map[string]any{"status": "DISMISSED", "comments": float64(people)}, at(data, "anomaly"))
}

// Both doors tell one heat map.
func TestHeatmap_OverBothDoors(t *testing.T) {
	r := start(t)
	r.detect(30)
	_, code, _ := r.graphql(`mutation { dismissAnomaly(id: "F-3", reason: "done") { status } }`, nil)
	require.Empty(t, code)
	const window, rest = `from: "2026-03-02T14:00:00Z", to: "2026-03-02T23:07:00Z"`, "from=2026-03-02T14:00:00Z&to=2026-03-02T23:07:00Z"
	for _, c := range [][2]string{
		{"", ""},
		{`, by: ACCOUNT`, "&by=account"},
		{`, by: STRATEGY, rows: 2`, "&by=strategy&rows=2"},
		{`, bucket: "PT30M"`, "&bucket=30m"},
		{`, bucket: "PT50M"`, "&bucket=50m"},
		{`, filter: {accounts: ["A1"]}`, "&account=A1"},
		{`, filter: {severities: ["high"], statuses: [OPEN]}`, "&severity=high&status=OPEN"},
		{`, filter: {expression: "rule == \"r\""}`, "&filter=rule+%3D%3D+%22r%22"},
	} {
		data, code, field := r.graphql(`{ anomalyHeatmap(`+window+c[0]+`) { total rest rows { value count } cells { at value severity count } } }`, nil)
		require.Empty(t, code, field)
		var body map[string]any
		require.NoError(t, json.Unmarshal(r.get("/audit/heatmap?"+rest+c[1]).body, &body))
		for _, part := range []string{"total", "rest", "rows", "cells"} {
			require.NotNil(t, at(body, part), c[1])
			assert.Equal(t, at(data, "anomalyHeatmap", part), at(body, part), "%s %s", c[1], part)
		}
	}
	var body map[string]any
	require.NoError(t, json.Unmarshal(r.get("/audit/heatmap?"+rest+"&severity=high&status=OPEN").body, &body))
	assert.InDelta(t, 13, at(body, "total"), 0, "14 of 28, and one is dismissed")
}
