package projections_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// soak makes tests of this package run their long forms.
var soak = os.Getenv("TRADETRAIL_SOAK") == "1"

// impatient gives up on Redis soon, so that tests of a network that is gone end.
func impatient(network *viewstest.Network) func(*redis.UniversalOptions) {
	return func(o *redis.UniversalOptions) {
		o.Dialer = network.Dial
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout = time.Second, time.Second, time.Second
		o.MaxRetries, o.ContextTimeoutEnabled = 1, true
	}
}

// Of two processes on one Redis one writes and both read. When the writer is cut
// off, the other takes over; when the first comes back, it reads.
//
// Not on the in-process Redis: it is of one process, and its keys do not expire.
func TestReplicas_TakeOver(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *viewstest.Redis{"redis-server": viewstest.Real, "redis cluster": viewstest.Cluster} {
		t.Run(name, func(t *testing.T) { takeOver(t, open(t)) })
	}
}

func takeOver(t *testing.T, r *viewstest.Redis) {
	t.Helper()
	store := viewstest.OpenStore(t)
	events := viewstest.History(11, 260)
	head := store.Append(t, events[:100]...)
	network := viewstest.NewNetwork()
	first := run(t, r.DialWith(t, impatient(network)), store)
	first.ready(t)
	require.Eventually(t, first.Writes, patience, time.Millisecond)
	second := run(t, r.Dial(t), store)
	second.ready(t)
	assert.False(t, second.Writes())
	second.reach(t, head)

	// Live readers of both see what comes, whoever writes.
	live := follow(t, second.Views, "ACC-1")
	head = store.Append(t, events[100:180]...)
	second.reach(t, head)
	network.Blackhole()
	cut := time.Now()
	head = store.Append(t, events[180:]...)
	second.reach(t, head)
	assert.True(t, second.Writes())
	t.Logf("taken over and caught up after %s", time.Since(cut).Round(time.Millisecond))
	require.Eventually(t, func() bool { return !first.Writes() }, patience, time.Millisecond)
	require.Eventually(t, func() bool { return first.Ready() != nil }, patience, time.Millisecond)
	network.Up()
	first.ready(t)
	first.reach(t, head)
	assert.False(t, first.Writes())

	page, err := second.Views.OwnerEvents(t.Context(), views.Accounts, "ACC-1", 0, views.MaxPage)
	require.NoError(t, err)
	assert.Equal(t, page.Items, live(len(page.Items)))
	assert.Equal(t, second.hashes(t), first.hashes(t))
	second.rebuild(t)
}

// follow reads an account's events from the first; the function that it returns
// waits until some have come.
func follow(t *testing.T, set *views.Set, account string) func(n int) []domain.Located {
	t.Helper()
	live, err := set.FollowOwner(t.Context(), views.Accounts, account, &domain.Position{})
	require.NoError(t, err)
	events := make(chan domain.Located, 1000)
	go func() {
		defer close(events)
		for e, err := range live {
			if err != nil {
				return
			}
			events <- e
		}
	}()
	var got []domain.Located
	return func(n int) []domain.Located {
		deadline := time.After(patience)
		for len(got) < n {
			select {
			case e, ok := <-events:
				require.True(t, ok, "the live reader ended after %d of %d", len(got), n)
				got = append(got, e)
			case <-deadline:
				require.FailNow(t, "events are missing", "%d of %d came", len(got), n)
			}
		}
		return got
	}
}

// Two services may share a server, each in a database of its own. What one tells its
// readers, of positions in its log, is nothing to the other's.
func TestReplicas_Databases(t *testing.T) {
	r := viewstest.Own(t)
	store, others := viewstest.OpenStore(t), viewstest.OpenStore(t)
	in := run(t, r.Dial(t), store)
	beside := run(t, r.DialWith(t, func(o *redis.UniversalOptions) { o.DB = 1 }), others)
	in.ready(t)
	beside.ready(t)
	events := viewstest.History(17, 200)
	near := others.Append(t, events[:10]...)
	beside.reach(t, near)
	far := store.Append(t, events...)
	in.reach(t, far)
	require.Positive(t, far.Compare(near))
	waiting, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.Error(t, beside.Views.Await(waiting, far), "it has not come there: that is the other's log")
	beside.ready(t)
}

// A writer that stops gives the lease back at once.
func TestReplicas_HandOver(t *testing.T) {
	r := viewstest.Real(t)
	store := viewstest.OpenStore(t)
	first := run(t, r.Dial(t), store)
	require.Eventually(t, first.Writes, patience, time.Millisecond)
	second := run(t, r.Dial(t), store)
	second.ready(t)
	first.stop()
	require.NoError(t, <-first.done)
	first.done <- nil
	require.Eventually(t, second.Writes, patience, time.Millisecond)
	second.reach(t, store.Append(t, viewstest.History(12, 40)...))
}

// A rebuild outlives the process that does it: who takes over goes on where it
// was.
func TestReplicas_RebuildGoesOn(t *testing.T) {
	r := viewstest.Real(t)
	store := viewstest.OpenStore(t)
	head := store.Append(t, viewstest.History(13, 3000)...)
	network := viewstest.NewNetwork()
	first := run(t, r.DialWith(t, impatient(network)), store)
	first.reach(t, head)
	second := run(t, r.Dial(t), store)
	second.ready(t)
	asked, err := second.Views.RequestRebuild(t.Context(), []string{views.Orders, views.Daily}, views.RebuildOptions{Rate: 1000})
	require.NoError(t, err)
	progress := func() views.Progress {
		all, err := second.Views.Rebuilds(t.Context())
		if err != nil {
			return views.Progress{}
		}
		return all[views.Orders]
	}
	require.Eventually(t, func() bool { return progress().Events > 500 }, patience, time.Millisecond)
	begun := progress()
	assert.Equal(t, views.RebuildBuilding, begun.State)
	assert.Equal(t, int64(3000), begun.Total)
	assert.Positive(t, begun.PerSecond)
	left, ok := begun.Left()
	assert.True(t, ok)
	assert.Positive(t, left)
	network.Down()
	require.Eventually(t, func() bool { return progress().State == views.RebuildDone }, patience, time.Millisecond)
	over := progress()
	assert.Equal(t, asked[0].ID, over.ID)
	assert.Equal(t, begun.Generation, over.Generation)
	assert.Equal(t, int64(3000), over.Events)
	assert.True(t, over.Equal(), over.Different)
	assert.True(t, second.Writes())
	network.Up()
}

// The network between the projections and Redis is gone for a while, in both
// manners, while events come.
func TestRun_NetworkCut(t *testing.T) {
	away := 4 * time.Second
	if soak {
		away = 30 * time.Second
	}
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		store := viewstest.OpenStore(t)
		events := viewstest.History(14, 400)
		network := viewstest.NewNetwork()
		p := run(t, r.DialWith(t, impatient(network)), store)
		p.reach(t, store.Append(t, events[:100]...))
		live := follow(t, p.Views, "ACC-2")
		for i, cut := range []func(){network.Down, network.Blackhole} {
			cut()
			over := time.After(away)
			head := store.Append(t, events[100+i*150:250+i*150]...)
			<-over
			network.Up()
			p.reach(t, head)
		}
		p.ready(t)
		page, err := p.Views.OwnerEvents(t.Context(), views.Accounts, "ACC-2", 0, views.MaxPage)
		require.NoError(t, err)
		assert.Equal(t, page.Items, live(len(page.Items)))
		p.rebuild(t)
	})
}

// Redis is restarted: with its data, and without.
func TestRun_RedisRestarted(t *testing.T) {
	r := viewstest.Persistent(t)
	store := viewstest.OpenStore(t)
	events := viewstest.History(15, 400)
	p := run(t, r.Dial(t), store)
	p.reach(t, store.Append(t, events[:100]...))
	live := follow(t, p.Views, "ACC-3")
	for i, restart := range []func(testing.TB){r.Server.Restart, r.Server.RestartEmpty, r.Server.Restart} {
		r.Server.Kill(t)
		head := store.Append(t, events[100+i*100:200+i*100]...)
		restart(t)
		p.reach(t, head)
		p.ready(t)
		p.rebuild(t)
	}
	page, err := p.Views.OwnerEvents(t.Context(), views.Accounts, "ACC-3", 0, views.MaxPage)
	require.NoError(t, err)
	assert.Equal(t, page.Items, live(len(page.Items)))
}

// What is measured is there, under the names that the documentation has.
func TestMetrics(t *testing.T) {
	store := viewstest.OpenStore(t)
	p := run(t, viewstest.InProcess(t).Client, store)
	p.ready(t)
	head := store.Append(t, viewstest.History(16, 30)...)
	p.reach(t, head)
	p.ready(t)
	families, err := p.registry.Gather()
	require.NoError(t, err)
	names := make(map[string]bool)
	for _, f := range families {
		names[f.GetName()] = true
	}
	for _, name := range []string{
		"tradetrail_projection_writes", "tradetrail_projection_lag_seconds", "tradetrail_projection_behind_bytes",
		"tradetrail_projection_parked_events", "tradetrail_projection_events", "tradetrail_projected_events_total",
		"tradetrail_projection_failures_total", "tradetrail_redis_seconds",
	} {
		assert.True(t, names[name], name)
	}
}
