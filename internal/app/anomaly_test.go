package app_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const anomalyLines = `{"event_id":"x1","event_type":"anomaly.detected","occurred_at":"2026-03-02T14:10:00Z","order_id":"o1","account_id":"A1","data":{"kind":"latency","rule":"slow-fill","severity":"high","explanation":"12 s to fill","evidence":["e1","e2",3]}}
{"event_id":"e1","event_type":"order.filled","occurred_at":"2026-03-02T14:10:00Z","order_id":"o1"}
{"event_id":"x2","event_type":"anomaly.detected","occurred_at":"2026-03-02T14:50:00Z","account_id":"A2","data":{"kind":"latency","severity":"low","score":"3"}}
{"event_id":"x3","event_type":"anomaly_detected","occurred_at":"2026-03-02T15:00:00Z","account_id":"A2","data":{"kind":7,"severity":"high"}}
`

// Anomalies are events that anybody may record; what they leave out is null.
func TestGraphQL_Anomalies(t *testing.T) {
	r := start(t)
	lines := strings.SplitAfter(strings.TrimSpace(anomalyLines), "\n")
	live := r.updates(`subscription { anomalyDetected(filter: {severities: ["high"]}) { cursor anomaly { cursor kind event { eventId } } } }`)
	for _, line := range lines {
		a := r.do(http.MethodPost, "/v1/events", "application/json", line)
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	}
	r.caughtUp()
	for _, want := range []string{"x1", "x3"} {
		update := at(<-live, "data", "anomalyDetected")
		assert.Equal(t, want, textAt(update, "anomaly", "event", "eventId"))
		assert.Equal(t, at(update, "cursor"), at(update, "anomaly", "cursor"))
	}

	const fields = `{ edges { cursor node { event { eventId } kind rule severity explanation evidence orderId accountId occurredAt } } pageInfo { hasNextPage endCursor } }`
	data, code, _ := r.graphql(`{ anomalies `+fields+` }`, nil)
	require.Empty(t, code)
	require.Len(t, listAt(data, "anomalies", "edges"), 3)
	assert.Equal(t, map[string]any{
		"event": map[string]any{"eventId": "x1"}, "kind": "latency", "rule": "slow-fill", "severity": "high", "explanation": "12 s to fill",
		"evidence": []any{"e1", "e2"}, "orderId": "o1", "accountId": "A1", "occurredAt": "2026-03-02T14:10:00Z",
	}, at(data, "anomalies", "edges", 0, "node"))
	assert.Nil(t, at(data, "anomalies", "edges", 2, "node", "kind"))

	for filter, want := range map[string]string{
		`{}`: "x1 x2 x3", `{kinds: ["latency"]}`: "x1 x2", `{kinds: ["latency", "none"], severities: ["low"]}`: "x2", `{rules: ["slow-fill"]}`: "x1",
		`{accounts: ["A2"]}`: "x2 x3", `{orders: ["o1"]}`: "x1", `{before: "2026-03-02T14:50:00Z"}`: "x1", `{kinds: ["\" or true"]}`: "",
		`{expression: "score > 2"}`: "x2", `{severities: ["high"], expression: "score > 2 || kind == 7"}`: "x3",
	} {
		var got []string
		after := ""
		for range 5 {
			data, code, _ := r.graphql(`{ anomalies(filter: `+filter+`, first: 1`+after+`) `+fields+` }`, nil)
			require.Empty(t, code, filter)
			for _, edge := range listAt(data, "anomalies", "edges") {
				got = append(got, textAt(edge, "node", "event", "eventId"))
			}
			if at(data, "anomalies", "pageInfo", "hasNextPage") != true {
				break
			}
			after = `, after: "` + textAt(data, "anomalies", "pageInfo", "endCursor") + `"`
		}
		assert.Equal(t, want, strings.Join(got, " "), filter)
	}
	// A hundred long names are no long expression.
	names := make([]string, 100)
	for i := range names {
		names[i] = strings.Repeat("n", 40) + strconv.Itoa(i)
	}
	many := map[string]any{"names": append(names[:99:99], "high")}
	data, code, field := r.graphql(`query($names: [String!]) { anomalies(filter: {severities: $names}) `+fields+` }`, many)
	require.Empty(t, code, field)
	assert.Len(t, listAt(data, "anomalies", "edges"), 2)
	many["names"] = append(names, "high")
	_, _, field = r.graphql(`query($names: [String!]) { anomalies(filter: {severities: $names}) `+fields+` }`, many)
	assert.Equal(t, "filter.severities", field)

	for filter, field := range map[string]string{
		`filter: {expression: "1 >"}`: "filter.expression", `filter: {expression: "true) || (true"}`: "filter.expression", `first: -1`: "first", `after: "x"`: "after",
	} {
		_, code, got := r.graphql(`{ anomalies(`+filter+`) `+fields+` }`, nil)
		assert.NotEmpty(t, code, filter)
		assert.Equal(t, field, got, filter)
	}

	data, code, _ = r.graphql(`{ anomalyHeatmap(from: "2026-03-02T14:00:00Z", to: "2026-03-02T16:00:00Z") { bucket total complete cells { at kind severity count } } }`, nil)
	require.Empty(t, code)
	assert.Equal(t, map[string]any{"bucket": "PT3600S", "total": 3.0, "complete": true, "cells": []any{
		map[string]any{"at": "2026-03-02T14:00:00Z", "kind": "latency", "severity": "high", "count": 1.0},
		map[string]any{"at": "2026-03-02T14:00:00Z", "kind": "latency", "severity": "low", "count": 1.0},
		map[string]any{"at": "2026-03-02T15:00:00Z", "kind": nil, "severity": "high", "count": 1.0},
	}}, at(data, "anomalyHeatmap"))
	for args, field := range map[string]string{
		`from: "2026-03-02T14:00:00Z", to: "2026-03-02T14:00:00Z"`:                        "to",
		`from: "2026-03-02T14:00:00Z", to: "2026-03-02T15:00:00Z", bucket: "-PT1H"`:       "bucket",
		`from: "2026-03-02T14:00:00Z", to: "2026-03-02T15:00:00Z", bucket: "PT1S"`:        "bucket",
		`from: "2026-03-02T14:00:00Z", to: "2226-03-02T15:00:00Z", bucket: "PT0.000001S"`: "bucket",
		`from: "2026-03-02T14:00:00Z", to: "2926-03-02T15:00:00Z", bucket: "PT2000000H"`:  "to", // a duration has no room for it
	} {
		_, code, got := r.graphql(`{ anomalyHeatmap(`+args+`) { total } }`, nil)
		assert.NotEmpty(t, code, args)
		assert.Equal(t, field, got, args)
	}
}
