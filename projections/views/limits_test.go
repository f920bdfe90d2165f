package views_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

func codeOf(t *testing.T, err error) string {
	t.Helper()
	var e *domain.Error
	require.ErrorAs(t, err, &e)
	return e.Code
}

// Events too large to be read at once: a page says so, searches and live readers go
// on in smaller steps.
func TestLimits_LargeEvents(t *testing.T) {
	log := viewstest.Log(viewstest.History(61, 1500))
	account, trail := busiest(log, log)
	require.Greater(t, len(trail), 200)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		set.Tighten(1000, 2000, 1000)
		_, err := set.OwnerEvents(t.Context(), views.Accounts, account, 0, 200)
		assert.Equal(t, "page_too_large", codeOf(t, err))
		page, err := set.OwnerEvents(t.Context(), views.Accounts, account, 0, 5)
		require.NoError(t, err)
		assert.Equal(t, trail[:5], positions(page.Items))

		q := views.Query{Filter: filter.Filter{Accounts: []string{account}}, Limit: 200}
		var got []domain.Position
		rounds := 0
		for more := true; more; rounds++ {
			found, err := set.Search(t.Context(), q)
			require.NoError(t, err)
			got = append(got, positions(found.Events)...)
			q.After, more = found.Reached, found.More
		}
		assert.Equal(t, trail, got)
		assert.Greater(t, rounds, len(trail)/200+1)
		assert.Equal(t, trail, follow(t, set, account, &domain.Position{}).until(len(trail)))
	})
}

func TestLimits_LongChain(t *testing.T) {
	store, log := recorded(t, 62, 400)
	order, chain := longestChain(t, log)
	require.Greater(t, len(chain), 3)
	set := openSet(t, viewstest.InProcess(t).Client, store)
	drive(t.Context(), t, set, log, 1, never)
	for name, tighten := range map[string]func(){
		"events": func() { set.Tighten(len(chain)-1, 1<<20, 1000) },
		"bytes":  func() { set.Tighten(len(chain)+100, 10, 1000) },
	} {
		tighten()
		_, _, _, err := set.Chain(t.Context(), order)
		assert.Equal(t, "chain_too_long", codeOf(t, err), name)
	}
	set.Tighten(len(chain)+100, 1<<20, 1000)
	_, _, ok, err := set.Chain(t.Context(), order)
	require.NoError(t, err)
	assert.True(t, ok)
}

// Long trails that have hardly anything in common: the search stops on its way and
// can be gone on with, in both directions.
func TestLimits_SearchOfTrailsApart(t *testing.T) {
	events := make([]*domain.Event, 6000)
	var want []int
	for i := range events {
		events[i] = &domain.Event{Type: "meter.read", SchemaVersion: 1, OccurredAt: time.Date(2026, 3, 2, 15, 0, i, 0, time.UTC)}
		switch {
		case i%1500 == 700:
			events[i].AccountID, events[i].StrategyID = "A", "S"
			want = append(want, i)
		case i/300%2 == 0:
			events[i].AccountID = "A"
		default:
			events[i].StrategyID = "S"
		}
	}
	log := viewstest.Log(events)
	set := openSet(t, viewstest.InProcess(t).Client, nil)
	drive(t.Context(), t, set, log, 1, never)
	set.Tighten(1000, 1<<20, 3)
	for _, backwards := range []bool{false, true} {
		q := views.Query{Filter: filter.Filter{Accounts: []string{"A"}, Strategies: []string{"S"}}, Limit: 10, Backwards: backwards}
		var got []domain.Position
		rounds := 0
		for more := true; more; rounds++ {
			require.Less(t, rounds, 100)
			found, err := set.Search(t.Context(), q)
			require.NoError(t, err)
			got = append(got, positions(found.Events)...)
			more = found.More
			if backwards {
				q.Before = found.Reached
			} else {
				q.After = found.Reached
			}
		}
		places := placesOf(log, want...)
		if backwards {
			slices.Reverse(places)
		}
		assert.Equal(t, places, got)
		assert.Greater(t, rounds, 3)
	}
}

// A cursor of another log, or of one that was restored from a backup: whoever
// resumes there would wait for what comes behind it, and miss what comes before.
func TestFollow_CursorBehindTheEnd(t *testing.T) {
	store, log := recorded(t, 63, 50)
	set := openSet(t, viewstest.InProcess(t).Client, store)
	drive(t.Context(), t, set, log, 1, never)
	last := log[len(log)-1].Position
	beyond := domain.Position{Commit: last.Commit + 1, Prepare: last.Commit + 1}
	_, err := set.FollowOwner(t.Context(), views.Accounts, "ACC-1", &beyond)
	assert.Equal(t, "cursor_ahead", codeOf(t, err))
	_, err = set.FollowChain(t.Context(), "o", &beyond)
	assert.Equal(t, "cursor_ahead", codeOf(t, err))
	_, err = set.FollowOwner(t.Context(), views.Accounts, "ACC-1", &last)
	require.NoError(t, err)
}
