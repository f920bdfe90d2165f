package views_test

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// The chains of a whole history are those that a search of the log finds.
func TestChain_AsInTheLog(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(withForeign(viewstest.History(91, 300)))
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		kinds := make(map[string]int)
		for _, order := range ordersOf(log) {
			chain, _, ok, err := set.Chain(t.Context(), order)
			require.NoError(t, err)
			require.True(t, ok)
			want := domain.BuildChain(order, chainOf(t, log, order))
			require.Equal(t, want, chain, order)
			for _, step := range chain.Steps {
				kinds[step.Type.Family()]++
				assert.Contains(t, []string{"", order}, step.OrderID, "an event of a sibling order")
			}
			states, err := set.Orders(t.Context(), []string{order, "nobody"})
			require.NoError(t, err)
			require.Len(t, states, 1)
			// As JSON: equal decimals may differ in their zeros.
			wantState, err := json.Marshal(chain.Order)
			require.NoError(t, err)
			state, err := json.Marshal(states[order])
			require.NoError(t, err)
			assert.Equal(t, string(wantState), string(state))
		}
		for _, family := range []string{"signal", "recommendation", "risk", "approval", "order"} {
			assert.Positive(t, kinds[family], family)
		}
	})
}

func TestChain_Unknown(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, nil)
		for _, order := range []string{"", "nobody", "a:b{c}*\n\x00", "ü"} {
			_, _, ok, err := set.Chain(t.Context(), order)
			require.NoError(t, err)
			assert.False(t, ok)
		}
	})
}

// Two orders of one recommendation share what led to it, and nothing else; the
// computation's other recommendations belong to neither.
func TestChain_Siblings(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		at := time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC)
		var events []*domain.Event
		add := func(e domain.Event) {
			at = at.Add(time.Second)
			e.OccurredAt, e.SchemaVersion = at, domain.SchemaVersion
			events = append(events, &e)
		}
		add(domain.Event{ID: "signal", Type: domain.SignalComputed, ComputationID: "C"})
		add(domain.Event{ID: "rec", Type: domain.RecommendationGenerated, RecommendationID: "R", ComputationID: "C"})
		add(domain.Event{ID: "other rec", Type: domain.RecommendationGenerated, RecommendationID: "R2", ComputationID: "C"})
		add(domain.Event{ID: "risk", Type: domain.RiskEvaluated, EvaluationID: "E", RecommendationID: "R"})
		add(domain.Event{ID: "asked", Type: domain.ApprovalRequested, ApprovalID: "A", RecommendationID: "R"})
		add(domain.Event{ID: "one", Type: domain.OrderSubmitted, OrderID: "O1", RecommendationID: "R", AccountID: "ACC"})
		add(domain.Event{ID: "two", Type: domain.OrderSubmitted, OrderID: "O2", RecommendationID: "R", AccountID: "ACC"})
		add(domain.Event{ID: "fill", Type: domain.OrderFilled, OrderID: "O1", Data: []byte(`{"fill_quantity":"1","fill_price":"2"}`)})
		add(domain.Event{ID: "approved", Type: domain.ApprovalApproved, ApprovalID: "A", RecommendationID: "R"})
		log := viewstest.Log(events)
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		for order, want := range map[string][]string{
			"O1": {"signal", "rec", "risk", "asked", "approved", "one", "fill"},
			"O2": {"signal", "rec", "risk", "asked", "approved", "two"},
		} {
			chain, _, ok, err := set.Chain(t.Context(), order)
			require.NoError(t, err)
			require.True(t, ok)
			var got []string
			for _, step := range chain.Steps {
				got = append(got, step.ID)
			}
			assert.Equal(t, want, got, order)
		}
	})
}

// Bodies that the events view does not hold are read from the event store.
func TestChain_BodiesFromTheStore(t *testing.T) {
	store, log := recorded(t, 9, 80)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, store)
		drive(t.Context(), t, set, log, 1, never)
		order, want := longestChain(t, log)
		before, _, ok, err := set.Chain(t.Context(), order)
		require.NoError(t, err)
		require.True(t, ok)
		require.Len(t, before.Steps, len(want))
		for _, key := range set.BodyKeys(log) {
			require.NoError(t, r.Client.Del(t.Context(), key).Err())
		}
		afterwards, archived, _, err := set.Chain(t.Context(), order)
		require.NoError(t, err)
		assert.Equal(t, before, afterwards)
		assert.Equal(t, len(want), archived)
	})
}

// What somebody else's key holds is an error that says so, not a panic.
func TestChain_Damaged(t *testing.T) {
	log := viewstest.Log(viewstest.History(4, 60))
	r := viewstest.InProcess(t)
	set := openSet(t, r.Client, nil)
	drive(t.Context(), t, set, log, 1, never)
	order := ordersOf(log)[0]
	for _, write := range []func() error{
		func() error {
			return r.Client.HSet(t.Context(), set.RowKey(views.Orders, "o", order), order, "{").Err()
		},
		func() error {
			return r.Client.HSet(t.Context(), set.RowKey(views.Chains, "l", "order:"+order), "order:"+order, "?").Err()
		},
	} {
		require.NoError(t, write())
	}
	_, _, _, err := set.Chain(t.Context(), order)
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err))
	_, err = set.Orders(t.Context(), []string{order})
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err))
}
