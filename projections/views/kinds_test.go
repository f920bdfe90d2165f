package views_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// The trails of entities, whatever their type and id are called.
func TestEntity_Trails(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		at := time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC)
		event := func(kind, id string) *domain.Event {
			e := &domain.Event{Type: "thing.happened", EntityType: kind, EntityID: id, SchemaVersion: 1, OccurredAt: at}
			if kind == "account" {
				e.AccountID = id
			}
			return e
		}
		order := event("order", "O1")
		order.OrderID = "O1"
		log := viewstest.Log([]*domain.Event{
			event("city", "London"), event("city:", "x"), event("city", ":x"), event("venue", "{a}*\n"), event("city", "London"),
			event("account", "A"), order, event("", "nothing"), event("city", ""),
		})
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		for _, c := range []struct {
			kind, id string
			want     []int
		}{
			{"city", "London", []int{0, 4}},
			{"city:", "x", []int{1}},
			{"city", ":x", []int{2}},
			{"venue", "{a}*\n", []int{3}},
			{"account", "A", []int{5}},
			{"order", "O1", []int{6}},
			{"city", "Paris", nil},
		} {
			view, id := views.Entity(c.kind, c.id)
			page, err := set.OwnerEvents(t.Context(), view, id, 0, 10)
			require.NoError(t, err)
			assert.Equal(t, append([]domain.Position{}, placesOf(log, c.want...)...), positions(page.Items), "%s %s", c.kind, c.id)
			assert.Equal(t, int64(len(c.want)), page.Total)
		}
	})
}

// The sums of days, by adding up the log.
func TestDaily_SumsUpTheLog(t *testing.T) {
	events := viewstest.History(51, 300)
	for i, e := range events {
		e.OccurredAt = e.OccurredAt.Add(time.Duration(i%5) * 24 * time.Hour)
	}
	log := viewstest.Log(events)
	want := make(map[string]*domain.Day)
	for _, e := range events {
		day := domain.DayOf(e)
		if want[day] == nil {
			want[day] = &domain.Day{}
		}
		want[day].Add(e)
	}
	require.GreaterOrEqual(t, len(want), 5)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		for day, sums := range want {
			got, err := set.Day(t.Context(), day)
			require.NoError(t, err)
			assert.Equal(t, sums.Events, got.Events)
			assert.Equal(t, sums.ByType, got.ByType)
			assert.Equal(t, sums.ByHour, got.ByHour)
			assert.True(t, sums.Value.Equal(got.Value))
		}
		none, err := set.Day(t.Context(), "1999-01-01")
		require.NoError(t, err)
		assert.Zero(t, none.Events)
	})
}

// How long the stages take, by following each chain through the log by hand.
func TestLatency_OfStages(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		at := time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC)
		var events []*domain.Event
		add := func(after time.Duration, e domain.Event) {
			e.OccurredAt, e.SchemaVersion = at.Add(after), 1
			events = append(events, &e)
		}
		add(0, domain.Event{Type: domain.RecommendationGenerated, RecommendationID: "R"})
		add(3*time.Millisecond, domain.Event{Type: domain.RiskEvaluated, RecommendationID: "R", EvaluationID: "E"})
		add(5*time.Second, domain.Event{Type: domain.OrderSubmitted, OrderID: "O", RecommendationID: "R", EvaluationID: "E"})
		add(6*time.Second, domain.Event{Type: domain.RiskEvaluated, RecommendationID: "R2"}) // another chain
		add(7*time.Second, domain.Event{Type: domain.OrderAccepted, OrderID: "O"})
		add(6*time.Second, domain.Event{Type: domain.OrderFilled, OrderID: "O"}) // clocks disagree
		add(9*time.Second, domain.Event{Type: domain.OrderSubmitted, OrderID: "O2", RecommendationID: "R"})
		add(10*time.Second, domain.Event{Type: domain.UserLoggedIn, UserID: "U"})
		log := viewstest.Log(events)
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		latencies, err := set.Latencies(t.Context())
		require.NoError(t, err)
		took := func(stage domain.Stage) (count, negative int64, shortest, longest time.Duration) {
			h := latencies[stage]
			return h.Count, h.Negative, h.Min, h.Max
		}
		check := func(stage domain.Stage, count, negative int64, shortest, longest time.Duration) {
			t.Helper()
			c, n, s, l := took(stage)
			assert.Equal(t, []int64{count, negative, int64(shortest), int64(longest)}, []int64{c, n, int64(s), int64(l)}, stage)
		}
		check(domain.StageRisk, 1, 0, 3*time.Millisecond, 3*time.Millisecond)
		check(domain.StageOrder, 3, 0, 2*time.Second, 9*time.Second-3*time.Millisecond)
		_, negative, _, _ := took(domain.StageExecution)
		assert.Equal(t, int64(1), negative)
		assert.NotContains(t, latencies, domain.StageRecommendation)
	})
}

// What is odd about events is said by the states that they lead to; it stops
// nothing.
func TestOdd_IsSaidAndStopsNothing(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		at := time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC)
		var events []*domain.Event
		add := func(after time.Duration, e domain.Event) {
			e.OccurredAt, e.RecordedAt, e.SchemaVersion = at.Add(after), at, 1
			events = append(events, &e)
		}
		add(0, domain.Event{Type: domain.OrderFilled, OrderID: "early", Data: []byte(`{"fill_quantity":"5","fill_price":"1"}`)})
		add(-time.Second, domain.Event{Type: domain.OrderSubmitted, OrderID: "early", AccountID: "A", Data: []byte(`{"quantity":"5"}`)})
		add(0, domain.Event{Type: domain.OrderSubmitted, OrderID: "moves", AccountID: "A"})
		add(0, domain.Event{Type: domain.OrderAccepted, OrderID: "moves", AccountID: "B"})
		add(24*time.Hour, domain.Event{Type: domain.OrderSubmitted, OrderID: "tomorrow"})
		add(0, domain.Event{Type: "order.teleported", OrderID: "unknown"})
		add(0, domain.Event{Type: domain.OrderSubmitted, OrderID: "lost", RecommendationID: "no such thing", EvaluationID: "nor this"})
		log := viewstest.Log(events)
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		states, err := set.Orders(t.Context(), ordersOf(log))
		require.NoError(t, err)
		assert.Subset(t, states["early"].Odd, []string{domain.OddFillBeforeOrder, domain.OddOutOfOrder})
		assert.Equal(t, domain.StatusFilled, states["early"].Status)
		assert.Equal(t, []string{domain.OddAccountChanged}, states["moves"].Odd)
		assert.Equal(t, []string{domain.OddFromTheFuture}, states["tomorrow"].Odd)
		assert.Empty(t, states["unknown"].Odd)
		chain, _, ok, err := set.Chain(t.Context(), "lost")
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Len(t, chain.Steps, 1)
		for _, s := range must(set.Status(t.Context())) {
			assert.Zero(t, s.Parked, s.Name)
		}
		page, err := set.OwnerEvents(t.Context(), views.Accounts, "A", 0, 10)
		require.NoError(t, err)
		assert.True(t, slices.Equal(placesOf(log, 1, 2), positions(page.Items)))
	})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
