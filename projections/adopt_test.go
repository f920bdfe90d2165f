package projections_test

import (
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// A Redis that holds the views of one log is given to a process on another.
func TestRun_MakesTheViewsOfAnotherLogAnew(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, backend *viewstest.Redis) {
		one, other := viewstest.OpenStore(t), viewstest.OpenStore(t)
		first := run(t, backend.Dial(t), one)
		first.reach(t, one.Append(t, viewstest.History(1, 300)...))
		first.stop()
		require.NoError(t, <-first.done)
		first.done <- nil

		end := other.Append(t, viewstest.History(2, 40)...)
		second := run(t, backend.Dial(t), other)
		second.reach(t, end)
		options := views.Options{Parts: 1}
		if len(backend.Nodes) > 0 { // as on this cluster
			options.Parts = 8
		}
		alone := runWith(t, viewstest.InProcess(t).Dial(t), other, options)
		alone.reach(t, end)
		for _, name := range second.Views.Names() {
			got, _, err := second.Views.Hash(t.Context(), name)
			require.NoError(t, err)
			want, _, err := alone.Views.Hash(t.Context(), name)
			require.NoError(t, err)
			assert.Equal(t, want, got, name)
		}
	})
}

// The newest record of the log is the server's own. Nobody gets there who follows
// the log, and nobody must wait for it.
func TestRun_SystemEventsAtTheEndHoldNothingBack(t *testing.T) {
	store := viewstest.OpenStore(t)
	end := store.Append(t, viewstest.History(3, 50)...)
	cfg, err := store.Node.Configuration()
	require.NoError(t, err)
	client, err := esdb.NewClient(cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	var metadata esdb.StreamMetadata
	metadata.SetMaxCount(1000)
	_, err = client.SetStreamMetadata(t.Context(), "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, metadata)
	require.NoError(t, err)

	p := run(t, viewstest.InProcess(t).Dial(t), store)
	p.reach(t, end)
	require.Eventually(t, func() bool {
		_, _, err := p.Views.Owner(t.Context(), views.Accounts, "nobody")
		return err == nil
	}, patience, 5*time.Millisecond, "the views are never read")
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	assert.Equal(t, end, head)
}
