package client_test

import (
	"encoding/json"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/client"
	"github.com/tradetrail/tradetrail/domain"
)

// Each step has the type that follows from what it says, only the members that
// have a value, and is what the service stores.
func TestSteps(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		step interface {
			Event(client.Refs) client.Event
		}
		want domain.EventType
		data string
	}{
		{client.Signal{Took: 1875 * time.Millisecond, WeightsHash: "sha256:9b", Outcome: "rebalance"}, domain.SignalComputed, `{"duration_ms":1875,"weights_hash":"sha256:9b","outcome":"rebalance"}`},
		{client.Recommendation{Action: "buy", Mode: "live", Confidence: client.Fixed(82, 2), Evidence: 4}, domain.RecommendationGenerated, `{"action":"buy","mode":"live","confidence":"0.82","evidence_count":4,"suppressed":false}`},
		{client.Recommendation{Suppressed: true, Reason: "stale"}, domain.RecommendationSuppressed, `{"suppressed":true,"reason":"stale"}`},
		{client.Risk{Eligible: true, AllowedMode: "live", Checks: 9}, domain.RiskEvaluated, `{"eligible":true,"allowed_mode":"live","check_count":9}`},
		{client.Risk{RejectionReasons: []string{"max_position", `"quoted"`}}, domain.RiskRejected, `{"eligible":false,"rejection_reasons":["max_position","\"quoted\""]}`},
		{client.Approval{Outcome: domain.ApprovalRequested, Side: "buy", Quantity: client.Fixed(100, 0), EstimatedValue: client.Exact("41244.00"), ExpiresAt: at}, domain.ApprovalRequested, `{"side":"buy","quantity":"100","estimated_value":"41244.00","expires_at":"2026-03-02T14:30:00Z"}`},
		{client.Approval{Outcome: domain.ApprovalRejected, ReviewedBy: "risk1", ReviewNote: "no\nway"}, domain.ApprovalRejected, `{"reviewed_by":"risk1","review_note":"no\nway"}`},
		{client.Submission{Side: "buy", OrderType: "limit", TimeInForce: "day", Quantity: client.Fixed(100, 0), LimitPrice: client.Fixed(41250, 2), IdempotencyKey: "k"}, domain.OrderSubmitted, `{"side":"buy","quantity":"100","order_type":"limit","limit_price":"412.50","time_in_force":"day","idempotency_key":"k"}`},
		{client.OrderStep{Step: domain.OrderAccepted}, domain.OrderAccepted, ""},
		{client.OrderStep{Step: domain.OrderCancelled, Reason: "user", OriginalClientOrderID: "c1", CancelledQuantity: client.Fixed(40, 0), Leaves: client.Fixed(0, 0)}, domain.OrderCancelled, `{"reason":"user","orig_client_order_id":"c1","leaves_quantity":"0","cancelled_quantity":"40"}`},
		{client.Fill{ID: "f1", Quantity: client.Fixed(60, 0), Price: client.Fixed(41244, 2), Leaves: client.Fixed(40, 0)}, domain.OrderPartiallyFilled, `{"fill_id":"f1","fill_quantity":"60","fill_price":"412.44","leaves_quantity":"40"}`},
		{client.Fill{ID: "f2", Quantity: client.Fixed(40, 0), Commission: client.Exact("0.50"), SlippageBps: client.Fixed(-145, 2), Venue: "NASDAQ"}, domain.OrderFilled, `{"fill_id":"f2","fill_quantity":"40","commission":"0.50","slippage_bps":"-1.45","execution_venue":"NASDAQ"}`},
		{client.Refusal{Reason: "price band", By: "broker"}, domain.OrderRejected, `{"reason":"price band","rejection_source":"broker"}`},
		{client.Duplicate{IdempotencyKey: "k", DetectedVia: "cache"}, domain.OrderDuplicatePrevented, `{"idempotency_key":"k","detected_via":"cache"}`},
		{client.Position{Side: "long", QuantityBefore: client.Fixed(0, 0), QuantityAfter: client.Fixed(100, 0)}, domain.PositionOpened, `{"side":"long","quantity_before":"0","quantity_after":"100"}`},
		{client.Position{QuantityBefore: client.Exact("100"), QuantityAfter: client.Exact("60")}, domain.PositionUpdated, `{"quantity_before":"100","quantity_after":"60"}`},
		{client.Position{QuantityBefore: client.Exact("60"), QuantityAfter: client.Exact("0.00")}, domain.PositionClosed, `{"quantity_before":"60","quantity_after":"0.00"}`},
		{client.ModeChange{Old: "paper", New: "live"}, domain.TradingModeChanged, `{"old_mode":"paper","new_mode":"live"}`},
		{client.ConfigChange{Path: "safety.max", Old: "0.05", New: "0.03", Reason: "lower"}, domain.ConfigChanged, `{"path":"safety.max","old_value":"0.05","new_value":"0.03","reason":"lower"}`},
		{client.UserAction{IPAddress: "10.1.2.3"}, domain.UserLoggedIn, `{"ip_address":"10.1.2.3"}`},
		{client.UserAction{Action: "kill switch", Target: "\xff"}, domain.UserAction, `{"action":"kill switch","target":"�"}`},
		{client.CircuitBreaker{Name: "drawdown", Action: "halt", Threshold: client.Exact("0.05"), Observed: client.Exact("0.061")}, domain.CircuitBreakerTriggered, `{"name":"drawdown","action":"halt","threshold":"0.05","observed":"0.061"}`},
	} {
		e := c.step.Event(client.Refs{OrderID: "ord_501", UserID: "u1"})
		assert.Equal(t, c.want, e.Type)
		assert.True(t, e.Type.Known(), "%s", e.Type)
		assert.Equal(t, c.data, string(e.Data), "%T", c.step)
		e.ID, e.OccurredAt, e.SchemaVersion = "x", at, domain.SchemaVersion
		line, err := e.Encode()
		require.NoError(t, err)
		stored, err := domain.Normalise(line)
		require.NoError(t, err, "%s", line)
		assert.Equal(t, c.data, string(stored.Data), "the service changes nothing")
	}
}

func TestAmount_IsExact(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]client.Amount{
		"412.44": client.Fixed(41244, 2), "0.05": client.Fixed(5, 2), "-0.05": client.Fixed(-5, 2), "0.00": client.Fixed(0, 2),
		"7": client.Fixed(7, 0), "-922337203685477580.8": client.Fixed(math.MinInt64, 1), "1.5": client.FromDecimal(decimal(t, "1.5")),
		"": {}, "9223372036854775807": client.Fixed(math.MaxInt64, 0), "0.000000000000000001": client.Fixed(1, 18),
	} {
		assert.Equal(t, want, a.String())
	}
	for _, a := range []client.Amount{{}, client.Fixed(0, 3), client.Exact("0"), client.Exact("-0.00"), client.Exact("")} {
		assert.True(t, a.IsZero(), a.String())
	}
	assert.False(t, client.Exact("0.01").IsZero())
}

func decimal(t *testing.T, text string) domain.Decimal {
	t.Helper()
	d, err := domain.ParseDecimal(text)
	require.NoError(t, err)
	return d
}

// The names are stored: they stay.
func TestTypes_AreFrozen(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []domain.EventType{"client.events_dropped", "client.spool_damaged", "audit.cost"},
		[]domain.EventType{client.TypeEventsDropped, client.TypeSpoolDamaged, client.TypeCost})
}

// The client says each day, and when it is closed, what recording has cost.
func TestClient_SaysWhatItCosts(t *testing.T) {
	t.Parallel()
	door := newFakeDoor(t)
	c, err := client.Open(t.Context(), client.Config{Dir: t.TempDir(), Server: door.url, Environment: "test"})
	require.NoError(t, err)
	record(t, c, 0, 100)
	flush(t, c)
	require.NoError(t, c.Close(t.Context()))
	var costs []sent
	for _, e := range door.events {
		if e.Type == string(client.TypeCost) {
			costs = append(costs, e)
		}
	}
	require.Len(t, costs, 1)
	var data map[string]any
	require.NoError(t, json.Unmarshal(costs[0].Data, &data))
	assert.InDelta(t, 100, data["recorded"], 0)
	assert.InDelta(t, 100, data["delivered"], 0)
	assert.Positive(t, data["p99_ns"])
	assert.Contains(t, data, "dropped")
}

func TestClient_SaysEachDayWhatItCosts(t *testing.T) {
	t.Parallel()
	door := newFakeDoor(t)
	var later atomic.Int64
	start := time.Date(2026, 3, 2, 23, 59, 0, 0, time.UTC)
	c := openClient(t, client.WithClock(client.Config{Dir: t.TempDir(), Server: door.url},
		func() time.Time { return start.Add(time.Duration(later.Load())) }))
	record(t, c, 0, 7)
	flush(t, c)
	later.Store(int64(time.Hour))
	require.Eventually(t, func() bool {
		door.mu.Lock()
		defer door.mu.Unlock()
		last := door.events[len(door.events)-1]
		var data struct {
			Recorded int    `json:"recorded"`
			From     string `json:"from"`
		}
		return last.Type == string(client.TypeCost) && json.Unmarshal(last.Data, &data) == nil && data.Recorded == 7 && data.From == "2026-03-02T23:59:00Z"
	}, time.Minute, time.Millisecond)
}
