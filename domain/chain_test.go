package domain_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

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

// collect finds order's chain in a log by an index of what the events are about,
// those of other orders too: to leave them out is not the index's business.
func collect(t testing.TB, log []domain.Located, order string) []domain.Located {
	t.Helper()
	var own []domain.Located
	index := map[domain.Ref][]domain.Located{}
	for _, e := range log {
		if e.OrderID == order {
			own = append(own, e)
		}
		for _, r := range domain.Concerns(e.Event) {
			index[r] = append(index[r], e)
		}
	}
	events, err := domain.CollectChain(order, own, func(refs []domain.Ref) ([]domain.Located, error) {
		var found []domain.Located
		for _, r := range refs {
			found = append(found, index[r]...)
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

func event(t domain.EventType, after time.Duration, set func(*domain.Event)) *domain.Event {
	e := &domain.Event{Type: t, OccurredAt: morning.Add(after), SchemaVersion: 1}
	set(e)
	return e
}

func order(id string) func(*domain.Event) {
	return func(e *domain.Event) { e.OrderID = id }
}

func TestCollectChain_FollowsReferences(t *testing.T) {
	log := recorded(
		event(domain.SignalComputed, 0, func(e *domain.Event) { e.ComputationID = "k" }),
		event(domain.RecommendationGenerated, 1, func(e *domain.Event) { e.RecommendationID, e.ComputationID = "r", "k" }),
		event(domain.RiskEvaluated, 2, func(e *domain.Event) { e.EvaluationID, e.RecommendationID = "e", "r" }),
		event(domain.ApprovalRequested, 3, func(e *domain.Event) { e.ApprovalID, e.RecommendationID = "v", "r" }),
		event(domain.ApprovalApproved, 4, func(e *domain.Event) { e.ApprovalID = "v" }), // names nothing but itself
		event(domain.OrderSubmitted, 5, func(e *domain.Event) { e.OrderID, e.EvaluationID = "o", "e" }),
		event(domain.OrderFilled, 6, order("o")),
		// Not of this chain:
		event(domain.RecommendationGenerated, 7, func(e *domain.Event) { e.RecommendationID, e.ComputationID = "r2", "k" }), // another outcome of the signal
		event(domain.RiskEvaluated, 8, func(e *domain.Event) { e.EvaluationID, e.RecommendationID = "e2", "r2" }),
		event(domain.OrderSubmitted, 9, func(e *domain.Event) { e.OrderID, e.RecommendationID = "o2", "r" }), // a sibling of one recommendation
		event(domain.RiskRejected, 10, func(e *domain.Event) { e.OrderID, e.EvaluationID = "o2", "e" }),
		event(domain.ApprovalExpired, 11, func(e *domain.Event) { e.ApprovalID, e.RecommendationID = "v", "r2" }), // an approval that was used again
		event(domain.UserAction, 12, func(e *domain.Event) { e.UserID = "u" }),
	)
	chain := domain.BuildChain("o", collect(t, log, "o"))
	assert.Equal(t, []step{
		{domain.StageSignal, domain.SignalComputed, 0},
		{domain.StageRecommendation, domain.RecommendationGenerated, 1},
		{domain.StageRisk, domain.RiskEvaluated, 1},
		{domain.StageApproval, domain.ApprovalRequested, 1},
		{domain.StageApproval, domain.ApprovalApproved, 1},
		{domain.StageOrder, domain.OrderSubmitted, 1},
		{domain.StageExecution, domain.OrderFilled, 1},
	}, steps(chain))
	var sibling []domain.EventType
	for _, s := range steps(domain.BuildChain("o2", collect(t, log, "o2"))) {
		sibling = append(sibling, s.name)
	}
	assert.Equal(t, []domain.EventType{
		domain.SignalComputed, domain.RecommendationGenerated, domain.RiskEvaluated, domain.RiskRejected,
		domain.ApprovalRequested, domain.ApprovalApproved, domain.OrderSubmitted,
	}, sibling, "a sibling shares what came before")
	assert.Empty(t, collect(t, log, "no-such"))
}

func TestConcerns(t *testing.T) {
	assert.Equal(t, []domain.Ref{{Kind: domain.KindRecommendation, ID: "r"}},
		domain.Concerns(&domain.Event{Type: domain.RecommendationGenerated, RecommendationID: "r", ComputationID: "k"}))
	assert.Equal(t, []domain.Ref{{Kind: domain.KindComputation, ID: "k"}},
		domain.Concerns(&domain.Event{Type: domain.SignalComputed, ComputationID: "k"}))
	assert.Empty(t, domain.Concerns(&domain.Event{Type: domain.UserAction, UserID: "u"}))
}

func TestCollectChain_TakesEachEventOnce(t *testing.T) {
	log := recorded(
		event(domain.RiskEvaluated, 0, func(e *domain.Event) { e.EvaluationID, e.RecommendationID, e.ApprovalID = "e", "r", "v" }),
		event(domain.OrderSubmitted, 1, func(e *domain.Event) {
			e.OrderID, e.EvaluationID, e.RecommendationID, e.ApprovalID = "o", "e", "r", "v"
		}),
	)
	events, err := domain.CollectChain("o", log[1:], func(refs []domain.Ref) ([]domain.Located, error) {
		assert.Len(t, refs, 3)
		return slices.Concat(log[:1], log, log), nil
	})
	require.NoError(t, err)
	assert.Len(t, events, 2)
}

func TestCollectChain_HandsOnWhatFetchingSays(t *testing.T) {
	away := errors.New("away")
	log := recorded(event(domain.OrderSubmitted, 0, func(e *domain.Event) { e.OrderID, e.EvaluationID = "o", "e" }))
	_, err := domain.CollectChain("o", log, func([]domain.Ref) ([]domain.Located, error) { return nil, away })
	require.ErrorIs(t, err, away)
}

// References that lead on to references without end: the reader gets a chain and
// the store some peace.
func TestCollectChain_EndsOnHostileReferences(t *testing.T) {
	log := recorded(event(domain.OrderSubmitted, 0, func(e *domain.Event) { e.OrderID, e.ApprovalID = "o", "v0" }))
	fetches := 0
	events, err := domain.CollectChain("o", log, func(refs []domain.Ref) ([]domain.Located, error) {
		fetches++
		e := event(domain.ApprovalRequested, 0, func(e *domain.Event) {
			e.ApprovalID, e.EvaluationID = refs[0].ID, fmt.Sprintf("e%d", fetches)
		})
		return []domain.Located{{Event: e, Position: domain.Position{Commit: uint64(fetches) << 8}}}, nil
	})
	require.NoError(t, err)
	assert.Len(t, events, fetches+1)
	assert.LessOrEqual(t, fetches, 256)
	assert.Greater(t, fetches, 100)
}

func TestBuildChain_DecisionsComeBeforeTheOrderWhateverTheClocksSay(t *testing.T) {
	log := recorded(
		event(domain.OrderSubmitted, 5*time.Second, order("o")),
		event(domain.RiskEvaluated, 9*time.Second, order("o")), // this clock is 5 s ahead
		event(domain.RecommendationGenerated, 3*time.Second, order("o")),
		event(domain.ApprovalApproved, 4*time.Second, order("o")),
		event(domain.SignalComputed, 8*time.Second, order("o")),
	)
	chain := domain.BuildChain("o", log)
	assert.Equal(t, []step{
		{domain.StageSignal, domain.SignalComputed, 0},
		{domain.StageRecommendation, domain.RecommendationGenerated, -5 * time.Second},
		{domain.StageRisk, domain.RiskEvaluated, 6 * time.Second},
		{domain.StageApproval, domain.ApprovalApproved, -5 * time.Second},
		{domain.StageOrder, domain.OrderSubmitted, time.Second},
	}, steps(chain))
	assert.Equal(t, -3*time.Second, chain.LatencyTotal())
}

func TestBuildChain_TradingIsOneHistory(t *testing.T) {
	log := recorded(
		event(domain.OrderCancelled, 5*time.Second, order("o")), // arrives first, happened last
		event(domain.PositionUpdated, 2*time.Second, order("o")),
		event(domain.OrderPartiallyFilled, 2*time.Second, order("o")), // the same moment: by stage
		event(domain.UserAction, 3*time.Second, order("o")),
		event(domain.OrderCancelRequested, 4*time.Second, order("o")),
		event(domain.OrderAccepted, time.Second, order("o")),
		event(domain.OrderSubmitted, time.Second, order("o")), // the same moment and stage: by place in the log
	)
	chain := domain.BuildChain("o", log)
	assert.Equal(t, []step{
		{domain.StageOrder, domain.OrderAccepted, 0},
		{domain.StageOrder, domain.OrderSubmitted, 0},
		{domain.StageExecution, domain.OrderPartiallyFilled, time.Second},
		{domain.StagePosition, domain.PositionUpdated, 0},
		{domain.StageOther, domain.UserAction, time.Second},
		{domain.StageOrder, domain.OrderCancelRequested, time.Second},
		{domain.StageOrder, domain.OrderCancelled, time.Second},
	}, steps(chain))
	assert.Equal(t, []domain.Stage{domain.StageOrder, domain.StageExecution, domain.StagePosition, domain.StageOther}, chain.Stages())
	assert.Equal(t, domain.StatusCanceled, chain.Order.Status)
	assert.Equal(t, 7, chain.Order.Events)
}

// The order is folded as it was committed, from its own events only.
func TestBuildChain_FoldsTheOrderInCommitOrder(t *testing.T) {
	log := recorded(
		event(domain.OrderCancelled, 2*time.Second, order("o")),
		event(domain.OrderRejected, time.Second, order("o")),
		event(domain.OrderFilled, 0, order("sibling")),
		event(domain.RiskEvaluated, 0, func(e *domain.Event) { e.EvaluationID, e.AccountID = "e", "of the evaluation" }),
	)
	slices.Reverse(log)
	chain := domain.BuildChain("o", log)
	assert.Equal(t, domain.StatusCanceled, chain.Order.Status)
	assert.Equal(t, 2, chain.Order.Events)
	assert.Empty(t, chain.Order.Account)
}

func TestBuildChain_OfNothing(t *testing.T) {
	chain := domain.BuildChain("o", nil)
	assert.Empty(t, chain.Steps)
	assert.Empty(t, chain.Stages())
	assert.Zero(t, chain.LatencyTotal())
	assert.Equal(t, "o", chain.Order.ID)
	assert.Equal(t, domain.StatusUnknown, chain.Order.Status)
}

func TestBuildChain_Properties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var events []*domain.Event
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			events = append(events, event(
				rapid.SampledFrom(domain.EventTypes()).Draw(t, "type"), time.Duration(rapid.IntRange(0, 2).Draw(t, "second"))*time.Second, order("o"),
			))
		}
		log := recorded(events...)
		shuffled := rapid.Permutation(log).Draw(t, "shuffled")
		chain, same := domain.BuildChain("o", log), domain.BuildChain("o", shuffled)
		require.Equal(t, chain, same, "how the events were found must not show")
		require.Len(t, chain.Steps, len(events))

		var total time.Duration
		for i, s := range chain.Steps {
			if !s.Type.Judgement() {
				total += s.LatencyFromPrevious
			}
			require.Equal(t, s.Type.Stage(), s.Stage)
			if i == 0 {
				continue
			}
			last := chain.Steps[i-1]
			if decision(last.Stage) || decision(s.Stage) {
				require.LessOrEqual(t, place(last.Stage), place(s.Stage))
			} else {
				require.False(t, s.OccurredAt.Before(last.OccurredAt), "trading is sorted by time")
			}
			if last.Stage == s.Stage && last.OccurredAt.Equal(s.OccurredAt) {
				require.Negative(t, last.Position.Compare(s.Position), "the log decides where clocks don't")
			}
		}
		require.Equal(t, chain.LatencyTotal(), total)
	})
}

var decisions = []domain.Stage{domain.StageSignal, domain.StageRecommendation, domain.StageRisk, domain.StageApproval}

func decision(s domain.Stage) bool { return slices.Contains(decisions, s) }

func place(s domain.Stage) int {
	if i := slices.Index(decisions, s); i >= 0 {
		return i
	}
	return len(decisions)
}
