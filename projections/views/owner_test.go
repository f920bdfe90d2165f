package views_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// Who owns what, by hand: fills without an account belong to the account that
// their order named first; an event that names another account belongs to that
// one; what nobody can own, or read, stops nothing.
func TestOwner_Attribution(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		start := time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC)
		n := 0
		event := func(e domain.Event) *domain.Event {
			n++
			e.OccurredAt, e.SchemaVersion = start.Add(time.Duration(n)*time.Second), domain.SchemaVersion
			return &e
		}
		early := event(domain.Event{Type: domain.OrderFilled, OrderID: "O1", AccountID: "A", Data: []byte(`{"fill_quantity":"5"}`)})
		early.OccurredAt = start.Add(-time.Hour)
		log := viewstest.Log([]*domain.Event{
			event(domain.Event{Type: domain.OrderReceived, OrderID: "O1"}), // nobody's yet
			nil,
			event(domain.Event{Type: domain.OrderSubmitted, OrderID: "O1", AccountID: "A", UserID: "U", StrategyID: "S"}),
			event(domain.Event{Type: domain.OrderPartiallyFilled, OrderID: "O1", Data: []byte(`{"fill_quantity":"10","fill_price":"2.50","commission":"0.1"}`)}),
			event(domain.Event{Type: "weather.changed"}),
			event(domain.Event{Type: "order.blessed", OrderID: "O1"}),
			event(domain.Event{Type: domain.OrderRestated, OrderID: "O1", AccountID: "B"}),
			early,
			event(domain.Event{Type: domain.OrderSubmitted, OrderID: "O2", AccountID: "A"}),
			event(domain.Event{Type: domain.OrderPartiallyFilled, OrderID: "O2", Data: []byte(`{"fill_quantity":["odd"],"fill_price":"3"}`)}),
			event(domain.Event{Type: domain.PositionUpdated, AccountID: "A"}),
			nil,
		})
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)

		stats, ok, err := set.Owner(t.Context(), views.Accounts, "A")
		require.NoError(t, err)
		require.True(t, ok)
		assert.Equal(t, "25", stats.Value.String())
		assert.Equal(t, "0.1", stats.Commission.String())
		assert.Equal(t, "15", stats.Quantity.String())
		stats.Traded = domain.Traded{Fills: stats.Fills}
		assert.Equal(t, views.Stats{
			Events: 7, Orders: 2, Traded: domain.Traded{Fills: 3},
			ByType: map[string]int64{
				"order.submitted": 2, "order.partially_filled": 2, "order.blessed": 1, "order.filled": 1, "position.updated": 1,
			},
			FirstAt: start.Add(-time.Hour), LastAt: log[10].OccurredAt,
		}, stats)

		page, err := set.OwnerEvents(t.Context(), views.Accounts, "A", 0, 100)
		require.NoError(t, err)
		assert.Equal(t, placesOf(log, 2, 3, 5, 7, 8, 9, 10), positions(page.Items))
		page, err = set.OwnerEvents(t.Context(), views.Accounts, "B", 0, 100)
		require.NoError(t, err)
		assert.Equal(t, placesOf(log, 6), positions(page.Items))
		orders, err := set.OwnerOrders(t.Context(), views.Accounts, "B", 0, 100)
		require.NoError(t, err)
		assert.Empty(t, orders.Items, "the order stays where it was")
		orders, err = set.OwnerOrders(t.Context(), views.Accounts, "A", 0, 100)
		require.NoError(t, err)
		require.Len(t, orders.Items, 2)
		assert.Equal(t, "O1", orders.Items[0].ID)
		assert.Equal(t, "O2", orders.Items[1].ID)
		for _, kind := range []string{views.Users, views.Strategies} {
			page, err = set.OwnerEvents(t.Context(), kind, map[string]string{views.Users: "U", views.Strategies: "S"}[kind], 0, 100)
			require.NoError(t, err)
			assert.Equal(t, placesOf(log, 2, 3, 5, 6, 7), positions(page.Items), kind)
		}
		_, ok, err = set.Owner(t.Context(), views.Accounts, "nobody")
		require.NoError(t, err)
		assert.False(t, ok)
		for _, kind := range []string{"orders", "events"} { // views, but of no owners
			_, ok, err = set.Owner(t.Context(), kind, "A")
			require.NoError(t, err)
			assert.False(t, ok)
		}
		_, _, err = set.Owner(t.Context(), "weather", "A")
		assert.Equal(t, domain.ClassNotFound, domain.ClassOf(err))
	})
}

func placesOf(log []feed.Event, indexes ...int) []domain.Position {
	var places []domain.Position
	for _, i := range indexes {
		places = append(places, log[i].Position)
	}
	return places
}

// Statistics of a whole history, by a sum over its trail.
func TestOwner_StatsAreSums(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(101, 300))
		byPosition := make(map[domain.Position]*domain.Event)
		for _, e := range log {
			byPosition[e.Position] = e.Event
		}
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		trails := ownerTrails(log)
		require.Len(t, trails, 4)
		for account, trail := range trails {
			stats, ok, err := set.Owner(t.Context(), views.Accounts, account)
			require.NoError(t, err)
			require.True(t, ok)
			var fills int64
			var value, commission domain.Decimal
			for _, p := range trail {
				if fill, ok := domain.FillOf(byPosition[p]); ok {
					fills++
					value = value.Add(fill.Price.Decimal.Mul(fill.Quantity.Decimal))
					commission = commission.Add(fill.Commission.Decimal)
				}
			}
			assert.Equal(t, int64(len(trail)), stats.Events)
			assert.Equal(t, fills, stats.Fills)
			assert.True(t, value.Equal(stats.Value), "%s %s", value, stats.Value)
			assert.True(t, commission.Equal(stats.Commission))
			assert.Positive(t, fills)
		}
	})
}

func TestOwner_Pages(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(111, 200))
		account, trail := busiest(log, log)
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		n := int64(len(trail))
		const most = math.MaxInt64
		for _, w := range []struct{ from, to, first, end int64 }{
			{0, n, 0, n},
			{0, n + 50, 0, n},
			{3, 7, 3, 7},
			{n - 1, n, n - 1, n},
			{n, n + 5, n, n},
			{n + 9, n + 12, n + 9, n + 9},
			{5, 5, 5, 5},
			{7, 3, 7, 7},
			{-4, 2, 0, 2},
			{0, most, 0, n},
			{most, most, most, most},
			{most - 1, most, most - 1, most - 1},
		} {
			page, err := set.OwnerEvents(t.Context(), views.Accounts, account, w.from, w.to)
			require.NoError(t, err)
			assert.Equal(t, n, page.Total)
			assert.Equal(t, w.first, page.First)
			if w.first < w.end {
				assert.Equal(t, trail[w.first:w.end], positions(page.Items), "%v", w)
			} else {
				assert.Empty(t, page.Items, "%v", w)
			}
			orders, err := set.OwnerOrders(t.Context(), views.Accounts, account, w.from, w.to)
			require.NoError(t, err)
			assert.LessOrEqual(t, int64(len(orders.Items)), max(0, w.to-w.from))
		}
		page, err := set.OwnerEvents(t.Context(), views.Accounts, "nobody", 0, 5)
		require.NoError(t, err)
		assert.Zero(t, page)
	})
}

// A page is never longer than MaxPage, and bodies come with it.
func TestOwner_LongTrail(t *testing.T) {
	r := viewstest.InProcess(t)
	events := make([]*domain.Event, views.MaxPage+10)
	for i := range events {
		events[i] = &domain.Event{
			Type: domain.PositionUpdated, AccountID: "A", SchemaVersion: 1, OccurredAt: time.Date(2026, 3, 2, 15, 0, 0, i, time.UTC),
		}
	}
	log := viewstest.Log(events)
	set := openSet(t, r.Client, nil)
	drive(t.Context(), t, set, log, 1, never)
	page, err := set.OwnerEvents(t.Context(), views.Accounts, "A", 2, int64(len(log)))
	require.NoError(t, err)
	require.Len(t, page.Items, views.MaxPage)
	assert.Equal(t, int64(len(log)), page.Total)
	for i, e := range page.Items {
		require.Equal(t, log[i+2].Located, e)
	}
	// A live reader takes several pages.
	reader := follow(t, set, "A", &domain.Position{})
	assert.Equal(t, ownerTrails(log)["A"], reader.until(len(log)))
}

func TestOwner_IndexAfterProperty(t *testing.T) {
	log := viewstest.Log(viewstest.History(121, 200))
	account, trail := busiest(log, log)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		rapid.Check(t, func(rt *rapid.T) {
			near := rapid.SampledFrom(append(trail, domain.Position{}, domain.EndPosition)).Draw(rt, "near")
			p := domain.Position{
				Commit:  near.Commit + rapid.SampledFrom([]uint64{0, 0, 1, ^uint64(0)}).Draw(rt, "commit"),
				Prepare: near.Prepare + rapid.SampledFrom([]uint64{0, 0, 1, ^uint64(0)}).Draw(rt, "prepare"),
			}
			want := int64(len(trail) - len(after(trail, p)))
			got, err := set.OwnerIndexAfter(t.Context(), views.Accounts, account, p)
			require.NoError(rt, err)
			require.Equal(rt, want, got, "%s", p)
		})
		none, err := set.OwnerIndexAfter(t.Context(), views.Accounts, "nobody", domain.Position{})
		require.NoError(t, err)
		assert.Zero(t, none)
	})
}
