package views_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// Whatever is asked, a search finds what a look at every event finds.
func TestSearch_LikeLookingAtEveryEvent(t *testing.T) {
	log := viewstest.Log(withForeign(viewstest.History(41, 600)))
	owners := map[string]map[string][]domain.Position{
		"account":  trailsBy(log, func(e *domain.Event) string { return e.AccountID }),
		"strategy": trailsBy(log, func(e *domain.Event) string { return e.StrategyID }),
		"user":     trailsBy(log, func(e *domain.Event) string { return e.UserID }),
		"ticker":   trailsBy(log, func(e *domain.Event) string { return e.Ticker }),
	}
	belongs := func(kind string, ids []string, p domain.Position) bool {
		return len(ids) == 0 || slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(owners[kind][id], p) })
	}
	orders := ordersOf(log)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		rapid.Check(t, func(rt *rapid.T) {
			some := func(name string, from ...string) []string {
				if !rapid.Bool().Draw(rt, "by "+name) {
					return nil
				}
				return rapid.SliceOfN(rapid.SampledFrom(append(from, "nobody")), 1, 3).Draw(rt, name)
			}
			q := views.Query{Backwards: rapid.Bool().Draw(rt, "backwards"), Limit: rapid.IntRange(0, 60).Draw(rt, "limit")}
			q.Types = some("types", "order.filled", "order.*", "risk.evaluated", "weather.changed", "order_submitted")
			q.Accounts = some("accounts", "ACC-1", "ACC-2")
			q.Strategies = some("strategies", "ALPHA-1", "ALPHA-2")
			q.Users = some("users", "USER-1", "USER-2")
			q.Tickers = some("tickers", "TICK-1", "TICK-2", "TICK-3")
			q.Orders = some("orders", orders[0], orders[1], orders[2])
			if rapid.Bool().Draw(rt, "by expression") {
				q.Expression = rapid.SampledFrom([]string{`fill_quantity > 100`, `user_id == "USER-1"`, `side == "BUY" && quantity >= 500`}).Draw(rt, "expression")
			}
			at := func(name string) domain.Position {
				p := rapid.SampledFrom(log).Draw(rt, name).Position
				p.Commit += rapid.SampledFrom([]uint64{0, 1}).Draw(rt, "off")
				return p
			}
			if rapid.Bool().Draw(rt, "behind") {
				q.After = at("after")
			}
			if rapid.Bool().Draw(rt, "before") {
				q.Before = at("until")
			}
			when := func(name string) time.Time { return log[rapid.SampledFrom(readable(log)).Draw(rt, name)].OccurredAt }
			if rapid.Bool().Draw(rt, "since") {
				q.Filter.After = when("from")
			}
			if rapid.Bool().Draw(rt, "to") {
				q.Filter.Before = when("to moment")
			}
			if !q.Filter.After.IsZero() && !q.Filter.Before.IsZero() && !q.Filter.After.Before(q.Filter.Before) {
				q.Filter.After = time.Time{}
			}
			matcher, err := q.Compile()
			require.NoError(rt, err)
			rest := matcher.Without(filter.Accounts, filter.Strategies, filter.Users, filter.Tickers)
			var want []domain.Position
			for _, e := range log {
				if e.Event == nil || e.Position.Compare(q.After) <= 0 || !q.Before.IsZero() && e.Position.Compare(q.Before) >= 0 {
					continue
				}
				ok, err := rest.Match(e.Located)
				require.NoError(rt, err)
				if ok && belongs("account", q.Accounts, e.Position) && belongs("strategy", q.Strategies, e.Position) &&
					belongs("user", q.Users, e.Position) && belongs("ticker", q.Tickers, e.Position) {
					want = append(want, e.Position)
				}
			}
			if q.Backwards {
				slices.Reverse(want)
			}
			found, err := set.Search(t.Context(), q)
			require.NoError(rt, err)
			more := len(want) > q.Limit
			want = want[:min(len(want), q.Limit)]
			require.Len(rt, found.Events, len(want))
			if len(want) > 0 {
				require.Equal(rt, want, positions(found.Events))
			}
			require.Equal(rt, more, found.More)
		})
	})
}

func readable(log []feed.Event) []int {
	var indexes []int
	for i, e := range log {
		if e.Event != nil {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// A search that finds little stops after a while and can be gone on with.
func TestSearch_GoesOn(t *testing.T) {
	events := make([]*domain.Event, 25_000)
	for i := range events {
		events[i] = &domain.Event{Type: "meter.read", AccountID: "A", SchemaVersion: 1, OccurredAt: time.Date(2026, 3, 2, 15, 0, i, 0, time.UTC)}
		if i%9_000 == 8_999 {
			events[i].StrategyID = "S"
		}
	}
	log := viewstest.Log(events)
	set := openSet(t, viewstest.InProcess(t).Client, nil)
	for from := 0; from < len(log); from += 2048 {
		require.NoError(t, set.Apply(t.Context(), viewstest.SliceOf(log, from, min(from+2048, len(log)))))
	}
	for _, backwards := range []bool{false, true} {
		q := views.Query{Limit: 10, Backwards: backwards}
		q.Expression = `strategy_id == "S"`
		var got []domain.Position
		for rounds := 0; ; rounds++ {
			found, err := set.Search(t.Context(), q)
			require.NoError(t, err)
			assert.LessOrEqual(t, found.Examined, views.MaxExamined)
			got = append(got, positions(found.Events)...)
			if !found.More {
				assert.Equal(t, 2, rounds)
				break
			}
			if backwards {
				q.Before = found.Reached
			} else {
				q.After = found.Reached
			}
		}
		want := placesOf(log, 8_999, 17_999)
		if backwards {
			slices.Reverse(want)
		}
		assert.Equal(t, want, got)
	}
	// One trail alone knows its length.
	found, err := set.Search(t.Context(), views.Query{Filter: filter.Filter{Strategies: []string{"S"}}, Limit: 1})
	require.NoError(t, err)
	assert.True(t, found.TotalKnown)
	assert.Equal(t, int64(2), found.Total)
	_, err = set.Search(t.Context(), views.Query{Filter: filter.Filter{Expression: `((`}})
	assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
}

// trailsBy finds what belongs to whom in the log, without any view.
func trailsBy(log []feed.Event, owner func(*domain.Event) string) map[string][]domain.Position {
	trails := make(map[string][]domain.Position)
	first := make(map[string]string)
	for _, e := range log {
		if e.Event == nil {
			continue
		}
		id := owner(e.Event)
		if e.OrderID != "" {
			if id != "" && first[e.OrderID] == "" {
				first[e.OrderID] = id
			}
			if id == "" {
				id = first[e.OrderID]
			}
		}
		if id != "" {
			trails[id] = append(trails[id], e.Position)
		}
	}
	return trails
}
