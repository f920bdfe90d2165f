package domain_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
)

// recorded puts events into a log, one after the other.
func recorded(events ...*domain.Event) []domain.Located {
	var located []domain.Located
	revisions := map[string]uint64{}
	for i, e := range events {
		stream := e.Stream()
		at := uint64(i+1) * 100
		located = append(located, domain.Located{
			Event: e, Stream: stream, Revision: revisions[stream], Position: domain.Position{Commit: at, Prepare: at},
		})
		revisions[stream]++
	}
	return located
}

// collect finds order's chain in a log as the views do: by an index of what the
// events without an order are about.
func collect(t testing.TB, log []domain.Located, order string) []domain.Located {
	t.Helper()
	var own []domain.Located
	index := map[domain.Ref][]domain.Located{}
	for _, e := range log {
		if e.OrderID == order {
			own = append(own, e)
		}
		if e.OrderID == "" {
			for _, r := range domain.Concerns(e.Event) {
				index[r] = append(index[r], e)
			}
		}
	}
	events, err := domain.CollectChain(order, own, func(refs []domain.Ref) ([][]domain.Located, error) {
		var found [][]domain.Located
		for _, r := range refs {
			found = append(found, index[r])
		}
		return found, nil
	})
	require.NoError(t, err)
	return events
}

type step struct {
	stage   domain.Stage
	name    domain.EventType
	latency time.Duration
}

func steps(c domain.Chain) []step {
	var list []step
	for _, s := range c.Steps {
		list = append(list, step{s.Stage, s.Type, s.LatencyFromPrevious})
	}
	return list
}

// The whole way of the example: three systems speak about ord_501, each in
// its own shape, and one chain comes back.
func TestBuildChain_OfTheThreeShapes(t *testing.T) {
	var events []*domain.Event
	for _, line := range shapes(t) {
		events = append(events, normalise(t, string(line)))
	}
	log := collect(t, recorded(events...), "ord_501")
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(log), func(i, j int) { log[i], log[j] = log[j], log[i] })

	chain := domain.BuildChain("ord_501", log)
	assert.Equal(t, []step{
		{domain.StageRecommendation, domain.RecommendationGenerated, 0},
		{domain.StageRisk, domain.RiskEvaluated, 330249 * time.Microsecond},
		{domain.StageApproval, domain.ApprovalRequested, 449750 * time.Microsecond},
		{domain.StageApproval, domain.ApprovalApproved, 5300 * time.Millisecond},
		{domain.StageOrder, domain.OrderSubmitted, 900 * time.Millisecond}, // entity shape, by the broker's service
		{domain.StageOrder, domain.OrderSubmitted, 23 * time.Millisecond},  // flat shape, by the strategy engine
		{domain.StageOrder, domain.OrderAccepted, 67 * time.Millisecond},
		{domain.StageExecution, domain.OrderFilled, 60 * time.Millisecond}, // minimal shape, by a recorder
		{domain.StageExecution, domain.OrderFilled, 3206 * time.Millisecond},
		{domain.StagePosition, domain.PositionUpdated, 0},
	}, steps(chain))
	assert.Equal(t, []domain.Stage{
		domain.StageRecommendation, domain.StageRisk, domain.StageApproval,
		domain.StageOrder, domain.StageExecution, domain.StagePosition,
	}, chain.Stages())
	assert.Equal(t, 10335999*time.Microsecond, chain.LatencyTotal())

	order := chain.Order
	assert.Equal(t, "ord_501", order.ID)
	assert.Equal(t, domain.StatusFilled, order.Status)
	assert.Equal(t, "100", order.Quantity.Decimal.String())
	assert.Equal(t, "buy", order.Side)
	assert.Equal(t, "limit", order.Type)
	assert.Equal(t, "MSFT", order.Ticker)
	assert.Equal(t, "momentum", order.Strategy)
	assert.Equal(t, "412.44", order.AvgPrice().Decimal.String())
	assert.Equal(t, "0.5", order.Commission.String())
	require.True(t, order.Leaves().Valid)
	assert.True(t, order.Leaves().Decimal.IsZero())
	// Two witnesses, two facts: the recorder's execution and the engine's fill are
	// both counted. Which of them is the other's echo is for reconciliation to say.
	assert.Equal(t, 2, order.Fills)
	assert.Equal(t, "200", order.CumQuantity.String())
}
