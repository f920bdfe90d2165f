package views_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// Bodies older than what is kept leave Redis; everything is answered as before,
// from the event store, and the answer says so.
func TestKeep_OlderBodiesComeFromTheStore(t *testing.T) {
	store := viewstest.OpenStore(t)
	events := make([]*domain.Event, 900)
	for i := range events {
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 6 * time.Hour)
		if i%97 == 96 {
			at = at.Add(-400 * 24 * time.Hour) // a clock that was wrong
		}
		events[i] = &domain.Event{
			ID: fmt.Sprintf("keep-%d", i), Type: domain.PositionUpdated, AccountID: "A", SchemaVersion: 1, OccurredAt: at, RecordedAt: at,
			Data: fmt.Appendf(nil, `{"filler":"%0900d"}`, i),
		}
	}
	store.Append(t, events...)
	log := logOf(t, store)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		options := views.Options{Keep: 30 * 24 * time.Hour}
		set := newSetWith(r.Client, store, options)
		drive(t.Context(), t, set, log, 1, never)
		page, err := set.OwnerEvents(t.Context(), views.Accounts, "A", 0, views.MaxPage)
		require.NoError(t, err)
		require.Len(t, page.Items, len(log))
		for i, e := range page.Items {
			require.Equal(t, log[i].Located, e)
		}
		// 30 days are 120 events; what shares a block with them stays too.
		kept := len(log) - page.Archived
		assert.GreaterOrEqual(t, kept, 120)
		assert.LessOrEqual(t, kept, 500)
		recent, err := set.OwnerEvents(t.Context(), views.Accounts, "A", 800, 900)
		require.NoError(t, err)
		assert.Zero(t, recent.Archived)
		found, err := set.Search(t.Context(), views.Query{Limit: 50})
		require.NoError(t, err)
		assert.Positive(t, found.Archived)

		// Whoever rebuilds, or cuts the log differently, keeps the same.
		want := hashes(t, set)
		done, err := rebuild(t.Context(), t, set, views.Events)
		require.NoError(t, err)
		assert.True(t, done.Equal(), done.Different)
		r.Flush(t)
		other := newSetWith(r.Dial(t), store, options)
		drive(t.Context(), t, other, log, 99, never)
		assert.Equal(t, want, hashes(t, other))

		// With another window the view is another one, and is made anew.
		all := newSetWith(r.Dial(t), store, views.Options{})
		drive(t.Context(), t, all, log, 3, never)
		page, err = all.OwnerEvents(t.Context(), views.Accounts, "A", 0, views.MaxPage)
		require.NoError(t, err)
		assert.Zero(t, page.Archived)
	})
}
