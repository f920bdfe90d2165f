package projections_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

const patience = 60 * time.Second

// running is a Projections at work.
type running struct {
	*projections.Projections

	registry *prometheus.Registry
	done     chan error
	stop     context.CancelFunc
}

func run(t *testing.T, client redis.UniversalClient, store *viewstest.Store) *running {
	t.Helper()
	return runWith(t, client, store, views.Options{})
}

func runWith(t *testing.T, client redis.UniversalClient, store *viewstest.Store, options views.Options) *running {
	t.Helper()
	set := views.NewSet(client, store.Store, viewstest.Discard(), options)
	registry := prometheus.NewRegistry()
	p, err := projections.New(set, store.Store, client, viewstest.Discard(), registry)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Projections: p, registry: registry, done: make(chan error, 1), stop: cancel}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.done <- p.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return r
}

// reach waits until all views stand at a position.
func (r *running) reach(t *testing.T, position domain.Position) {
	t.Helper()
	require.Eventually(t, func() bool {
		statuses, err := r.Views.Status(t.Context())
		if err != nil {
			return false
		}
		for _, s := range statuses {
			if s.Position != position {
				return false
			}
		}
		return true
	}, patience, 2*time.Millisecond)
}

func (r *running) hashes(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, name := range r.Views.Names() {
		hash, _, err := r.Views.Hash(t.Context(), name)
		require.NoError(t, err)
		found[name] = hash
	}
	return found
}

// ready waits until the views have caught up with the log.
func (r *running) ready(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return r.Ready() == nil }, patience, 2*time.Millisecond)
}

// rebuild rebuilds all views and checks that nothing has changed by that.
func (r *running) rebuild(t *testing.T) {
	t.Helper()
	done, err := r.Views.Rebuild(t.Context(), r.Views.Names(), views.RebuildOptions{})
	require.NoError(t, err)
	for _, p := range done {
		require.True(t, p.Equal(), "%s differs in %v", p.View, p.Different)
	}
}

func TestRun_FollowsTheLog(t *testing.T) {
	events := viewstest.History(1, 250)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		store := viewstest.OpenStore(t)
		head := store.Append(t, events[:200]...)
		p := run(t, r.Client, store)
		p.ready(t)
		p.reach(t, head)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		before, err := p.Views.OwnerEvents(t.Context(), views.Accounts, "ACC-1", 0, views.MaxPage)
		require.NoError(t, err)
		live, err := p.Views.FollowOwner(ctx, views.Accounts, "ACC-1", nil)
		require.NoError(t, err)
		p.reach(t, store.Append(t, events[200:]...))
		all, err := p.Views.OwnerEvents(t.Context(), views.Accounts, "ACC-1", 0, views.MaxPage)
		require.NoError(t, err)
		want := all.Items[before.Total:]
		require.NotEmpty(t, want)
		var got []domain.Located
		for e, err := range live {
			require.NoError(t, err)
			if got = append(got, e); len(got) == len(want) {
				break
			}
		}
		assert.Equal(t, want, got)
		sums := p.hashes(t)
		p.rebuild(t)
		assert.Equal(t, sums, p.hashes(t))
		p.stop()
		require.NoError(t, <-p.done)
		p.done <- nil

		// The next process goes on where this one ended and changes nothing.
		next := run(t, r.Dial(t), store)
		next.ready(t)
		assert.Equal(t, sums, next.hashes(t))
		assert.Zero(t, counter(t, next.registry, "tradetrail_projected_events_total"))
	})
}

func counter(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	require.FailNow(t, "no metric "+name)
	return 0
}

// Redis loses everything while the projections run: in the middle of the work,
// and while nothing happens.
func TestRun_RedisFlushed(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		store := viewstest.OpenStore(t)
		events := viewstest.History(2, 200)
		p := run(t, r.Client, store)
		store.Append(t, events[:80]...)
		r.Flush(t)
		head := store.Append(t, events[80:]...)
		p.reach(t, head)
		want := p.hashes(t)
		p.rebuild(t)
		r.Flush(t) // and no event comes
		p.reach(t, head)
		assert.Equal(t, want, p.hashes(t))
	})
}

// Events that others wrote into the store, and types that nobody knows, take
// their place in the log and stop nothing.
func TestRun_ForeignEvents(t *testing.T) {
	store := viewstest.OpenStore(t)
	cfg, err := store.Node.Configuration()
	require.NoError(t, err)
	foreign, err := esdb.NewClient(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, foreign.Close()) })
	events := viewstest.History(3, 40)
	store.Append(t, events[:20]...)
	for _, payload := range []string{
		"\x00\xff", "", "{", "[]", `"text"`, `{}`, `{"event_type":""}`, `{"event_type":7}`,
		`{"event_type":"x.y","order_id":"ORD-1","occurred_at":"yesterday"}`,
		`{"event_type":"x.y","account_id":"ACC-9","data":{"a":1,"a":2}}`, // not to be written as it is
		`{"event_type":"x.y","account_id":"ACC-9","data":"` + "\xff" + `"}`,
		`{"event_type":"x.y","account_id":"ACC-9","event_type":"x.z"}`,
		`{"event_type":"x.y","account_id":"ACC-9","later_field":{"deep":[1]}}`,
		"  {\"event_type\":\"x.y\",\n\"account_id\":\"ACC-9\"}\n",
	} {
		_, err := foreign.AppendToStream(t.Context(), "foreign-1", esdb.AppendToStreamOptions{}, esdb.EventData{
			EventID: uuid.New(), EventType: "thing", ContentType: esdb.ContentTypeBinary, Data: []byte(payload),
		})
		require.NoError(t, err)
	}
	head := store.Append(t, events[20:]...)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		p := run(t, r.Client, store)
		p.ready(t)
		p.reach(t, head)
		assert.Zero(t, counter(t, p.registry, "tradetrail_projection_failures_total"))
		page, err := p.Views.OwnerEvents(t.Context(), views.Accounts, "ACC-9", 0, 100)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, len(page.Items), 2)
		p.rebuild(t)
	})
}

func TestRun_EndsWithItsContext(t *testing.T) {
	store := viewstest.OpenStore(t)
	events := viewstest.History(4, 60)
	store.Append(t, events[:30]...)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		p := run(t, r.Client, store) // in the middle of its work
		p.stop()
		require.NoError(t, <-p.done)
		p = run(t, r.Dial(t), store)
		p.ready(t)
		p.stop() // idle
		require.NoError(t, <-p.done)
	})
}

// A store that is closed under the projections does not end them: they try again
// until they are told to stop. What ends them is an error.
func TestRun_HandlerStopsByItself(t *testing.T) {
	store := viewstest.OpenStore(t)
	p := run(t, viewstest.InProcess(t).Client, store)
	p.ready(t)
	require.NoError(t, p.CloseFeed())
	select {
	case err := <-p.done:
		require.ErrorContains(t, err, "stopped by itself")
	case <-time.After(patience):
		require.FailNow(t, "Run goes on without its handler")
	}
}

// Errors of Redis are counted, tried again and survived.
func TestRun_RetriesErrors(t *testing.T) {
	store := viewstest.OpenStore(t)
	head := store.Append(t, viewstest.History(5, 60)...)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		client := r.Dial(t)
		hook := &failing{}
		hook.left.Store(5)
		viewstest.Hook(client, hook)
		p := run(t, client, store)
		p.reach(t, head)
		assert.Positive(t, counter(t, p.registry, "tradetrail_projection_failures_total"))
		assert.Negative(t, hook.left.Load())
		p.rebuild(t)
	})
}

// failing spoils the first writes of the folds.
type failing struct{ left atomic.Int64 }

func (f *failing) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (f *failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (f *failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() != "multi" || len(cmds) <= 3 || f.left.Add(-1) < 0 { // three: a cursor alone
			return next(ctx, cmds)
		}
		for _, cmd := range cmds {
			cmd.SetErr(errors.New("provoked"))
		}
		return errors.New("provoked")
	}
}

// Registering twice is a mistake of whoever wires the process, and said so.
func TestNew_RegistersOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	store := viewstest.OpenStore(t)
	client := viewstest.InProcess(t).Client
	set := views.NewSet(client, store.Store, viewstest.Discard(), views.Options{})
	_, err := projections.New(set, store.Store, client, viewstest.Discard(), registry)
	require.NoError(t, err)
	_, err = projections.New(set, store.Store, client, viewstest.Discard(), registry)
	require.Error(t, err)
}
