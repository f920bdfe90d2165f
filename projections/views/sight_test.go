package views_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// A view that stands still behind the log is stuck, and named; one that has
// nothing to do is not.
func TestReady_NamesAStuckView(t *testing.T) {
	log := viewstest.Log(viewstest.History(1, 40))
	set := openSet(t, viewstest.InProcess(t).Client, nil)
	drive(t.Context(), t, set, log, 1, never)
	require.NoError(t, set.Ready())
	end := log[len(log)-1].Position
	set.Stand(views.Daily, time.Hour, end)
	require.NoError(t, set.Ready())
	set.Stand(views.Daily, time.Hour, domain.Position{Commit: end.Commit + 1, Prepare: end.Commit + 1})
	require.ErrorContains(t, set.Ready(), "daily is stuck")
	_, err := set.Start(t.Context()) // looks again: it is not
	require.NoError(t, err)
	require.NoError(t, set.Ready())
}

// Who has written something waits until the views have it, here and in another
// process; for what does not come, no longer than he says.
func TestAwait(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(2, 60))
		set := openSet(t, r.Client, nil)
		other := replica(t, r.Dial(t), nil)
		require.NoError(t, set.Apply(t.Context(), viewstest.SliceOf(log, 0, 20)))
		for _, reader := range []*views.Set{set, other} {
			require.NoError(t, reader.Await(t.Context(), log[19].Position))
			waiting := make(chan error, 1)
			go func() { waiting <- reader.Await(t.Context(), log[39].Position) }()
			if reader == set {
				require.NoError(t, set.Apply(t.Context(), viewstest.SliceOf(log, 20, 40)))
			}
			require.NoError(t, <-waiting)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			err := reader.Await(ctx, log[50].Position)
			assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
			assert.ErrorContains(t, err, log[39].Position.String())
		}
	})
}

// A process that reads finds what another one writes, and the generations that it
// switches to; when Redis loses everything it says so rather than "nothing".
func TestReplica_Reads(t *testing.T) {
	store, log := recorded(t, 3, 120)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, store)
		drive(t.Context(), t, set, log, 1, never)
		other := replica(t, r.Dial(t), store)
		account, trail := busiest(log, log)
		for range 3 {
			_, err := rebuild(t.Context(), t, set, views.Accounts)
			require.NoError(t, err)
			page, err := other.OwnerEvents(t.Context(), views.Accounts, account, 0, views.MaxPage)
			require.NoError(t, err)
			require.Equal(t, trail, positions(page.Items))
		}
		r.Flush(t)
		_, err := other.OwnerEvents(t.Context(), views.Accounts, account, 0, views.MaxPage)
		assert.Equal(t, domain.ClassTransient, domain.ClassOf(err), "an empty answer would be a lie")
		_, _, err = other.Owner(t.Context(), views.Accounts, account)
		assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
		drive(t.Context(), t, set, log, 2, isTransient)
		require.Eventually(t, func() bool { return other.Ready() == nil }, patience, time.Millisecond)
		page, err := other.OwnerEvents(t.Context(), views.Accounts, account, 0, views.MaxPage)
		require.NoError(t, err)
		assert.Equal(t, trail, positions(page.Items))
	})
}
