package views_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// A defect in a fold meets some events: each parks itself and holds back what
// comes later of its own order, or else its stream; all others go on, in this view
// and in the others. Once the fold is mended a rebuild brings everything in.
func TestPark_HoldsBackItsOwnOrderOnly(t *testing.T) {
	store, log := recorded(t, 31, 300)
	orders := ordersOf(log)
	poisoned := map[string]bool{orders[1]: true, orders[3]: true}
	seen := make(map[string]int)
	var first, held []feed.Event // at fault; and what waits behind
	for _, e := range log {
		if e.Event == nil || !poisoned[e.OrderID] {
			continue
		}
		if seen[e.OrderID]++; seen[e.OrderID] == 2 {
			first = append(first, e)
		} else if seen[e.OrderID] > 2 {
			held = append(held, e)
		}
	}
	require.Len(t, first, 2)
	require.NotEmpty(t, held)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		want := straight(t, r, log)
		for name, fails := range map[string]func(feed.Event) error{
			"errors": func(e feed.Event) error {
				if slices.ContainsFunc(first, func(f feed.Event) bool { return f.Position == e.Position }) {
					return errors.New("no such thing can be")
				}
				return nil
			},
			"panics": func(e feed.Event) error {
				if slices.ContainsFunc(first, func(f feed.Event) bool { return f.Position == e.Position }) {
					panic("no such thing can be")
				}
				return nil
			},
		} {
			t.Run(name, func(t *testing.T) {
				r.Flush(t)
				set := newSet(r.Dial(t), store)
				set.Break(views.Orders, fails)
				drive(t.Context(), t, set, log, 5, never)
				got := hashes(t, set)
				assert.NotEqual(t, want[views.Orders], got[views.Orders])
				delete(got, views.Orders)
				for view, hash := range got {
					assert.Equal(t, want[view], hash, view)
				}

				parked, err := set.Parked(t.Context(), views.Orders)
				require.NoError(t, err)
				var at []domain.Position
				for _, p := range parked {
					position, err := domain.ParsePosition(p.Position)
					require.NoError(t, err)
					at = append(at, position)
					if slices.ContainsFunc(first, func(f feed.Event) bool { return f.Position == position }) {
						assert.Contains(t, p.Reason, "no such thing can be")
					} else {
						assert.Contains(t, p.Reason, "held back behind the event at")
					}
					assert.True(t, poisoned[p.OrderID], p.OrderID)
					assert.Equal(t, "order-"+p.OrderID, p.Stream)
				}
				all := slices.Concat(first, held)
				slices.SortFunc(all, func(a, b feed.Event) int { return a.Position.Compare(b.Position) })
				assert.Equal(t, placesOf(all, indexesOf(all)...), at)
				assert.Equal(t, int64(len(all)), statusOf(t, set, views.Orders).Parked)
				states, err := set.Orders(t.Context(), orders)
				require.NoError(t, err)
				assert.Equal(t, 1, states[orders[1]].Events)
				assert.Len(t, states, len(orders))

				// However the log is cut, the same is parked.
				broken := got
				r.Flush(t)
				again := newSet(r.Dial(t), store)
				again.Break(views.Orders, fails)
				drive(t.Context(), t, again, log, 77, never)
				got = hashes(t, again)
				delete(got, views.Orders)
				assert.Equal(t, broken, got)
				parkedAgain, err := again.Parked(t.Context(), views.Orders)
				require.NoError(t, err)
				assert.Len(t, parkedAgain, len(parked))

				// The next process has the mended fold.
				mended := openSet(t, r.Dial(t), store)
				done, err := rebuild(t.Context(), t, mended, views.Orders)
				require.NoError(t, err)
				assert.False(t, done.Equal())
				assert.Equal(t, want, hashes(t, mended))
				assert.Zero(t, statusOf(t, mended, views.Orders).Parked)
			})
		}
	})
}

func indexesOf[T any](items []T) []int {
	indexes := make([]int, len(items))
	for i := range indexes {
		indexes[i] = i
	}
	return indexes
}

// A fold that fails on everything is not hidden by parking everything: the view
// stops, and says why.
func TestPark_StopsAtSomePoint(t *testing.T) {
	r := viewstest.InProcess(t)
	events := make([]*domain.Event, 10_100)
	for i := range events {
		events[i] = &domain.Event{Type: domain.OrderAccepted, OrderID: fmt.Sprint("O", i), SchemaVersion: 1}
	}
	log := viewstest.Log(events)
	set := newSet(r.Client, nil)
	set.Break(views.Daily, func(feed.Event) error { return errors.New("always") })
	_, err := set.Start(t.Context())
	require.NoError(t, err)
	for from := 0; err == nil && from < len(log); from += feed.MaxSlice {
		err = set.Apply(t.Context(), viewstest.SliceOf(log, from, min(from+feed.MaxSlice, len(log))))
	}
	require.ErrorContains(t, err, "daily has parked 10000 events and stops")
	assert.Equal(t, domain.ClassConflict, domain.ClassOf(err))
}
