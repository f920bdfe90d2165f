package views_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// recorded is a store that holds a history, and its log.
func recorded(t testing.TB, seed uint64, n int) (*viewstest.Store, []feed.Event) {
	t.Helper()
	store := viewstest.OpenStore(t)
	store.Append(t, viewstest.History(seed, n)...)
	return store, logOf(t, store)
}

func TestRebuild_ChangesNothing(t *testing.T) {
	store, log := recorded(t, 1, 300)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, store)
		for _, name := range set.Names() { // an empty view can be rebuilt too
			rebuilt, err := set.Rebuild(t.Context(), name)
			require.NoError(t, err)
			assert.True(t, rebuilt.Equal())
			assert.Zero(t, rebuilt.Events)
		}
		drive(t.Context(), t, set, log, 1, never)
		want := hashes(t, set)
		for _, name := range set.Names() {
			before := statusOf(t, set, name)
			rebuilt, err := set.Rebuild(t.Context(), name)
			require.NoError(t, err)
			assert.True(t, rebuilt.Equal(), name)
			assert.Equal(t, int64(len(log)), rebuilt.Events)
			assert.Equal(t, log[len(log)-1].Position, rebuilt.Position)
			assert.Equal(t, want[name], rebuilt.Hash)
			after := statusOf(t, set, name)
			assert.Greater(t, after.Generation, before.Generation)
			assert.Equal(t, rebuilt.Generation, after.Generation)
			assert.Nil(t, after.Rebuild)
		}
		assert.Equal(t, want, hashes(t, set))
		assertNoOtherGenerations(t, r.Client, set)
		// The next process reads the new builds.
		next := openSet(t, r.Dial(t), store)
		assert.Equal(t, want, hashes(t, next))
		assert.Equal(t, statusOf(t, set, views.Accounts), statusOf(t, next, views.Accounts))
	})
}

func statusOf(t testing.TB, set *views.Set, name string) views.Status {
	t.Helper()
	statuses, err := set.Status(t.Context())
	require.NoError(t, err)
	for _, s := range statuses {
		if s.Name == name {
			return s
		}
	}
	require.FailNow(t, "no view "+name)
	return views.Status{}
}

func TestRebuild_MendsATamperedView(t *testing.T) {
	store, log := recorded(t, 2, 200)
	want := straight(t, log)
	last := log[len(log)-1].Position
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, store)
		drive(t.Context(), t, set, log, 1, never)
		ctx := t.Context()
		account, _ := busiest(log, log)
		tampering := map[string]struct {
			view string
			do   func(prefix string) error
		}{
			"a body changed": {"events", func(prefix string) error {
				return r.Client.Append(ctx, fmt.Sprintf("%sb:%d", prefix, plain(log).Commit), " ").Err()
			}},
			"an order gone": {"orders", func(prefix string) error { return r.Client.Del(ctx, prefix+"o:"+ordersOf(log)[0]).Err() }},
			"an event gone from a trail": {views.Accounts, func(prefix string) error {
				return r.Client.LPop(ctx, prefix+"t:"+account).Err()
			}},
			"an event twice in a trail": {views.Accounts, func(prefix string) error {
				return r.Client.LPush(ctx, prefix+"t:"+account, "1").Err()
			}},
			"a key too many": {views.Users, func(prefix string) error { return r.Client.Set(ctx, prefix+"x:y", "z", 0).Err() }},
			"a key of another kind": {views.Users, func(prefix string) error {
				return r.Client.SAdd(ctx, prefix+"x:y", "z").Err()
			}},
			"the cursor ahead of the log": {views.Strategies, func(prefix string) error {
				return r.Client.Set(ctx, prefix+"cursor", last.Commit+100_000, 0).Err()
			}},
			"the cursor behind": {views.Strategies, func(prefix string) error {
				return r.Client.Set(ctx, prefix+"cursor", plain(log).Commit, 0).Err()
			}},
		}
		for name, tamper := range tampering {
			t.Run(name, func(t *testing.T) {
				prefix := fmt.Sprintf("tradetrail:{%s:%d}:", tamper.view, statusOf(t, set, tamper.view).Generation)
				require.NoError(t, tamper.do(prefix))
				rebuilt, err := set.Rebuild(t.Context(), tamper.view)
				require.NoError(t, err)
				assert.False(t, rebuilt.Equal())
				drive(t.Context(), t, set, log, 1, never) // from a cursor that was behind
				assert.Equal(t, want, hashes(t, set))
				assertNoOtherGenerations(t, r.Client, set)
			})
		}
	})
}

// plain is the place of an event of the log's first half whose commit and prepare
// positions are the same.
func plain(log []feed.Event) domain.Position {
	for _, e := range log[len(log)/3:] {
		if e.Event != nil && e.Position.Commit == e.Position.Prepare {
			return e.Position
		}
	}
	return domain.Position{}
}

// Everything at once: events are applied, pages and chains are read, live readers
// follow, and every view is rebuilt again and again.
func TestRebuild_UnderLoad(t *testing.T) {
	store, log := recorded(t, 3, 150)
	want := straight(t, log)
	account, trail := busiest(log, log)
	order := ordersOf(log)[0]
	chain := chainOf(t, log, order)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, store)
		applied := len(log) / 5
		drive(t.Context(), t, set, log[:applied], 1, never)
		reader := follow(t, set, account, &domain.Position{})
		chainReader := followChain(t, set, order, &domain.Position{})

		var rebuilds atomic.Int64
		done := make(chan struct{})
		var others, work errgroup.Group
		for range 2 {
			others.Go(func() error { return readOnly(t.Context(), set, account, order, trail, done) })
		}
		others.Go(func() error {
			for !closed(done) || rebuilds.Load() == 0 {
				for _, name := range set.Names() {
					rebuilt, err := set.Rebuild(t.Context(), name)
					if err != nil {
						return err
					}
					if !rebuilt.Equal() {
						return fmt.Errorf("%s differs after a rebuild", name)
					}
					rebuilds.Add(1)
				}
			}
			return nil
		})
		// A few events at a time: applications and rebuilds must meet.
		work.Go(func() error {
			stand := applied
			for stand < len(log) {
				if err := set.Apply(t.Context(), viewstest.SliceOf(log, stand, min(stand+3, len(log)))); err != nil {
					return err
				}
				stand += 3
			}
			return nil
		})
		require.NoError(t, work.Wait())
		assert.Equal(t, trail, reader.until(len(trail)))
		assert.Equal(t, positions(chain), chainReader.until(len(chain)))
		close(done)
		require.NoError(t, others.Wait())
		assert.Equal(t, want, hashes(t, set))
		assertNoOtherGenerations(t, r.Client, set)
		t.Logf("%d rebuilds", rebuilds.Load())
	})
}

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// readOnly reads pages and chains until it is done. What it sees may only grow.
func readOnly(
	ctx context.Context, set *views.Set, account, order string, trail []domain.Position, done <-chan struct{},
) error {
	var total, events, steps int64
	for i := int64(0); !closed(done); i++ {
		page, err := set.OwnerEvents(ctx, views.Accounts, account, i%7, i%7+20)
		if err != nil {
			return err
		}
		if page.Total < total {
			return fmt.Errorf("the trail was %d events long and is %d", total, page.Total)
		}
		total = page.Total
		for k, e := range page.Items {
			if trail[i%7+int64(k)] != e.Position {
				return fmt.Errorf("event %d of the trail is at %s", i%7+int64(k), e.Position)
			}
		}
		stats, _, err := set.Owner(ctx, views.Accounts, account)
		if err != nil {
			return err
		}
		if stats.Events < events {
			return fmt.Errorf("the account had %d events and has %d", events, stats.Events)
		}
		events = stats.Events
		chain, _, err := set.Chain(ctx, order)
		if err != nil {
			return err
		}
		if n := int64(len(chain.Steps)); n < steps || n == 0 {
			return fmt.Errorf("the chain had %d steps and has %d", steps, n)
		}
		steps = int64(len(chain.Steps))
		statuses, err := set.Status(ctx)
		if err != nil {
			return err
		}
		for _, s := range statuses {
			if s.Position.IsZero() {
				return fmt.Errorf("%s begins again", s.Name)
			}
		}
	}
	return nil
}

// A rebuild may be cancelled at any exchange with Redis: the live view is the
// same as before and nothing of the new one is left.
func TestRebuild_Cancelled(t *testing.T) {
	store, log := recorded(t, 4, 120)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		client := r.Dial(t)
		hook := &canceller{}
		client.AddHook(hook)
		set := openSet(t, client, store)
		drive(t.Context(), t, set, log, 1, never)
		want := hashes(t, set)
		cancelled := 0
		for step := 0; ; step++ {
			ctx, cancel := context.WithCancel(t.Context())
			hook.arm(step, cancel)
			before := statusOf(t, openSet(t, r.Client, store), "orders").Generation
			rebuilt, err := set.Rebuild(ctx, "orders")
			hook.arm(-1, nil)
			done := ctx.Err() == nil
			cancel()
			assert.Equal(t, want, hashes(t, set), "cancelled at exchange %d", step)
			assertNoOtherGenerations(t, r.Client, set)
			switch {
			case err != nil:
				cancelled++
				assert.Equal(t, before, statusOf(t, set, "orders").Generation)
			case !done: // it was past the point of no return
				assert.Equal(t, rebuilt.Generation, statusOf(t, set, "orders").Generation)
			default:
				assert.Greater(t, cancelled, 8)
				return
			}
			require.Less(t, step, 1000)
		}
	})
}

// The switch is one write. If its answer is lost, the view that is read and the
// one that the next process will read must still be the same, and complete.
func TestRebuild_SwitchFails(t *testing.T) {
	store, log := recorded(t, 5, 80)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		for name, persisted := range map[string]bool{"not persisted": false, "persisted but reported lost": true} {
			for _, blind := range []bool{false, true} { // whether it can look what happened
				t.Run(fmt.Sprintf("%s, blind %v", name, blind), func(t *testing.T) {
					r.Flush(t)
					client := r.Dial(t)
					hook := &failSwitch{persisted: persisted, blind: blind}
					client.AddHook(hook)
					set := openSet(t, client, store)
					drive(t.Context(), t, set, log, 1, never)
					want := hashes(t, set)
					hook.armed.Store(true)
					_, err := set.Rebuild(t.Context(), "orders")
					hook.armed.Store(false)
					if persisted && !blind {
						require.NoError(t, err)
					} else {
						require.Error(t, err)
					}
					assert.Equal(t, want, hashes(t, set), "this process")
					next := openSet(t, r.Dial(t), store)
					assert.Equal(t, want, hashes(t, next), "the next process")
					if !blind {
						assert.Equal(t, statusOf(t, next, "orders"), statusOf(t, set, "orders"))
						assertNoOtherGenerations(t, r.Client, set)
					}
				})
			}
		}
	})
}

// failSwitch fails the write that switches generations, and if blind the read
// that looks what became of it.
type failSwitch struct {
	armed            atomic.Bool
	persisted, blind bool
}

func (h *failSwitch) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *failSwitch) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		switch {
		case h.armed.Load() && cmd.Name() == "hset":
			if h.persisted {
				if err := next(ctx, cmd); err != nil {
					return err
				}
			}
		case h.armed.Load() && h.blind && strings.HasPrefix(cmd.Name(), "hget"):
		default:
			return next(ctx, cmd)
		}
		cmd.SetErr(errProvoked)
		return errProvoked
	}
}

func (h *failSwitch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestRebuild_OneAtATime(t *testing.T) {
	store, log := recorded(t, 6, 40)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		client := r.Dial(t)
		hook := &onCommand{}
		client.AddHook(hook)
		set := openSet(t, client, store)
		drive(t.Context(), t, set, log, 1, never)
		reached, goOn := make(chan struct{}), make(chan struct{})
		hook.do("watch", func() {
			hook.do("", nil)
			close(reached)
			<-goOn
		})
		var first errgroup.Group
		first.Go(func() error { _, err := set.Rebuild(t.Context(), "orders"); return err })
		<-reached
		_, err := set.Rebuild(t.Context(), "orders")
		require.ErrorIs(t, err, views.ErrRebuilding)
		assert.Equal(t, domain.ClassConflict, domain.ClassOf(err))
		_, err = set.Rebuild(t.Context(), views.Users) // another one may
		require.NoError(t, err)
		close(goOn)
		require.NoError(t, first.Wait())
		_, err = set.Rebuild(t.Context(), "orders")
		require.NoError(t, err)
		assertNoOtherGenerations(t, r.Client, set)
	})
}

func TestRebuild_Unknown(t *testing.T) {
	set := openSet(t, viewstest.InProcess(t).Client, nil)
	_, err := set.Rebuild(t.Context(), "weather")
	assert.Equal(t, domain.ClassNotFound, domain.ClassOf(err))
	_, _, err = set.Hash(t.Context(), "weather")
	assert.Equal(t, domain.ClassNotFound, domain.ClassOf(err))
	_, err = newSet(viewstest.InProcess(t).Client, viewstest.OpenStore(t)).Rebuild(t.Context(), "orders")
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(err), "before Start")
}
