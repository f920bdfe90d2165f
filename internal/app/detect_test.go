package app_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/internal/config"
)

func detecting(c *config.Config) { c.Detect = true }

const rejectedOrder = `{"event_id":"s1","event_type":"order.submitted","occurred_at":"2026-03-02T14:10:00Z","order_id":"o1","account_id":"A1","ticker":"AAPL","data":{"side":"buy","quantity":"10","limit_price":"5"}}
{"event_id":"s2","event_type":"order.rejected","occurred_at":"2026-03-02T14:10:01Z","order_id":"o1","account_id":"A1","data":{"reason":"no such market"}}
`

// What rules find is recorded, comes to subscribers, stands in the chain, and changes
// nothing in the order.
func TestDetection_FromRecordToSubscriber(t *testing.T) {
	r := start(t, detecting)
	live := r.updates(`subscription { anomalyDetected { anomaly { kind rule severity explanation evidence orderId accountId event { eventId entityId source } } } }`)
	a := r.do(http.MethodPost, "/v1/events", "application/x-ndjson", rejectedOrder)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	found := at(<-live, "data", "anomalyDetected", "anomaly")
	assert.Equal(t, "order-rejected", textAt(found, "rule"))
	assert.Equal(t, "rejection", textAt(found, "kind"))
	assert.Equal(t, "The order was rejected: no such market.", textAt(found, "explanation"))
	assert.Equal(t, []any{"s2"}, at(found, "evidence"))
	assert.Equal(t, "o1", textAt(found, "orderId"))
	assert.Equal(t, "A1", textAt(found, "accountId"))
	assert.Equal(t, "detector", textAt(found, "event", "source"))

	r.caughtUp()
	data, code, _ := r.graphql(`{ chain(orderId: "o1") { status stages latencyTotal events { stage event { eventType } } } order(id: "o1") { status } }`, nil)
	require.Empty(t, code)
	assert.Equal(t, "REJECTED", textAt(data, "chain", "status"))
	assert.Equal(t, []any{"ORDER"}, at(data, "chain", "stages"))
	assert.Equal(t, "PT1S", textAt(data, "chain", "latencyTotal"))
	require.Len(t, listAt(data, "chain", "events"), 3)
	assert.Equal(t, "anomaly.detected", textAt(data, "chain", "events", 2, "event", "eventType"))

	ready := r.get("/readyz")
	assert.Contains(t, string(ready.body), `"detection"`)
}

// A simulated day has something to find.
func TestDetection_Demo(t *testing.T) {
	r := start(t, detecting, func(c *config.Config) { c.Demo = true })
	require.Eventually(t, func() bool {
		data, code, _ := r.graphql(`{ anomalies(first: 10) { edges { node { rule } } } }`, nil)
		return code == "" && len(listAt(data, "anomalies", "edges")) > 0
	}, time.Minute, 50*time.Millisecond)
	metrics := string(r.get("/metrics").body)
	assert.Contains(t, metrics, "tradetrail_findings_total{")
}
