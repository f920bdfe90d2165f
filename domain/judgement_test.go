package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tradetrail/tradetrail/domain"
)

// What is found about an order stands in its chain, and changes neither its state nor
// its stages nor its latencies, whenever it comes.
func TestBuildChain_FindingsAreNoSteps(t *testing.T) {
	about := func(e *domain.Event) { e.OrderID, e.AccountID, e.Ticker = "o1", "someone-else", "XXX" }
	own := func(e *domain.Event) { e.OrderID, e.AccountID, e.Ticker = "o1", "A1", "AAPL" }
	life := []*domain.Event{
		event(domain.OrderSubmitted, 0, own),
		event(domain.OrderAccepted, 10*time.Millisecond, own),
		event(domain.OrderFilled, 30*time.Millisecond, own),
	}
	want := domain.BuildChain("o1", recorded(life...))
	with := []*domain.Event{
		event(domain.AnomalyDetected, time.Hour, about),
		life[0],
		event(domain.AnomalyDetected, -time.Hour, about),
		life[1],
		event(domain.AnomalyDetected, 20*time.Millisecond, about),
		life[2],
		event("anomaly.dismissed", 48*time.Hour, about),
	}
	got := domain.BuildChain("o1", recorded(with...))
	assert.Len(t, got.Steps, len(with))
	assert.Equal(t, want.Order, got.Order)
	assert.Equal(t, want.Stages(), got.Stages())
	assert.Equal(t, want.LatencyTotal(), got.LatencyTotal())
	latencies := func(c domain.Chain) (out []time.Duration) {
		for _, s := range c.Steps {
			if !s.Type.Judgement() {
				out = append(out, s.LatencyFromPrevious)
			}
		}
		return out
	}
	assert.Equal(t, latencies(want), latencies(got))

	only := domain.BuildChain("o1", recorded(with[0]))
	assert.Zero(t, only.LatencyTotal())
	assert.Empty(t, only.Stages())
	assert.Equal(t, domain.StatusUnknown, only.Order.Status)
}
