package views_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
			rebuilt, err := rebuild(t.Context(), t, set, name)
			require.NoError(t, err)
			assert.True(t, rebuilt.Equal())
			assert.Zero(t, rebuilt.Events)
			assert.Positive(t, rebuilt.Keys)
		}
		drive(t.Context(), t, set, log, 1, never)
		want := hashes(t, set)
		for _, name := range set.Names() {
			before := statusOf(t, set, name)
			rebuilt, err := rebuild(t.Context(), t, set, name)
			require.NoError(t, err)
			assert.True(t, rebuilt.Equal(), name)
			assert.Equal(t, int64(len(log)), rebuilt.Events)
			assert.Equal(t, log[len(log)-1].Position.String(), rebuilt.Position)
			after := statusOf(t, set, name)
			assert.Greater(t, after.Generation, before.Generation)
			assert.Equal(t, rebuilt.Generation, after.Generation)
			assert.Equal(t, &rebuilt, after.Rebuild)
		}
		assert.Equal(t, want, hashes(t, set))
		assertNoOtherGenerations(t, r, set)
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
	last := log[len(log)-1].Position
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		want := straight(t, r, log)
		set := openSet(t, r.Client, store)
		drive(t.Context(), t, set, log, 1, never)
		ctx := t.Context()
		account, _ := busiest(log, log)
		tampering := map[string]struct {
			view string
			do   func(prefix string) error
		}{
			"a body changed": {views.Events, func(string) error {
				key := set.BodyKeys(log)[0]
				return r.Client.HSet(ctx, key, r.Client.HKeys(ctx, key).Val()[0], "x").Err()
			}},
			"an order gone": {views.Orders, func(string) error {
				order := ordersOf(log)[0]
				return r.Client.HDel(ctx, set.RowKey(views.Orders, "o", order), order).Err()
			}},
			"an event gone from a trail": {views.Accounts, func(prefix string) error {
				return r.Client.LPop(ctx, prefix+"T:"+account).Err()
			}},
			"an event twice in a trail": {views.Accounts, func(prefix string) error {
				return r.Client.LPush(ctx, prefix+"T:"+account, "1").Err()
			}},
			"a key too many": {views.Users, func(prefix string) error { return r.Client.Set(ctx, prefix+"x:y", "z", 0).Err() }},
			"a key of another kind": {views.Users, func(prefix string) error {
				return r.Client.SAdd(ctx, prefix+"x:y", "z").Err()
			}},
			"the cursor ahead of the log": {views.Strategies, func(prefix string) error {
				return moveCursor(ctx, r, prefix, last.Commit+100_000)
			}},
			"the cursor behind": {views.Strategies, func(prefix string) error {
				return moveCursor(ctx, r, prefix, plain(log).Commit)
			}},
		}
		for name, tamper := range tampering {
			t.Run(name, func(t *testing.T) {
				prefix := fmt.Sprintf("tradetrail:{%s:%d}:", tamper.view, statusOf(t, set, tamper.view).Generation)
				require.NoError(t, tamper.do(prefix))
				rebuilt, err := rebuild(t.Context(), t, set, tamper.view)
				require.NoError(t, err)
				assert.False(t, rebuilt.Equal())
				assert.Len(t, rebuilt.Different, 1)
				drive(t.Context(), t, set, log, 1, never) // from a cursor that was behind
				assert.Equal(t, want, hashes(t, set))
				assertNoOtherGenerations(t, r, set)
			})
		}
	})
}

// moveCursor makes a view say that it is somewhere else.
func moveCursor(ctx context.Context, r *viewstest.Redis, prefix string, commit uint64) error {
	_, rest, _ := strings.Cut(r.Client.Get(ctx, prefix+"cursor").Val(), " ")
	return r.Client.Set(ctx, prefix+"cursor", fmt.Sprintf("%d %s", commit, rest), 0).Err()
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
	account, trail := busiest(log, log)
	order := ordersOf(log)[0]
	chain := chainOf(t, log, order)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		want := straight(t, r, log)
		set := openSet(t, r.Client, store)
		applied := len(log) / 5
		drive(t.Context(), t, set, log[:applied], 1, never)
		set.ReadAnyway()
		reader := follow(t, set, account, &domain.Position{})
		chainReader := followChain(t, set, order, &domain.Position{})

		var rebuilds atomic.Int64
		done := make(chan struct{})
		var others, work errgroup.Group
		for range 2 {
			others.Go(func() error { return readOnly(t.Context(), set, account, order, trail, done) })
		}
		background(t, set.Tend)
		others.Go(func() error {
			for !closed(done) || rebuilds.Load() == 0 {
				finished, err := set.Rebuild(t.Context(), set.Names(), views.RebuildOptions{})
				if err != nil {
					return err
				}
				for _, p := range finished {
					if !p.Equal() {
						return fmt.Errorf("%s differs after a rebuild in %v", p.View, p.Different)
					}
				}
				rebuilds.Add(1)
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
		assertNoOtherGenerations(t, r, set)
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
		chain, _, _, err := set.Chain(ctx, order)
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
		viewstest.Hook(client, hook)
		set := openSet(t, client, store)
		drive(t.Context(), t, set, log, 1, never)
		background(t, set.Tend)
		want := hashes(t, set)
		cancelled := 0
		for step := 0; ; step += 2 {
			ctx, cancel := context.WithCancel(t.Context())
			before := statusOf(t, set, views.Orders).Generation
			hook.arm(step, cancel)
			_, err := set.Rebuild(ctx, []string{views.Orders}, views.RebuildOptions{})
			hook.arm(-1, nil)
			done := ctx.Err() == nil
			cancel()
			over := awaitRebuild(t, set, views.Orders)
			assert.Equal(t, want, hashes(t, set), "cancelled at exchange %d", step)
			require.NoError(t, set.Tidy(t.Context()))
			assertNoOtherGenerations(t, r, set)
			switch {
			case over.State == views.RebuildCancelled || over.ID == "":
				cancelled++
				require.Error(t, err)
				assert.Equal(t, before, statusOf(t, set, views.Orders).Generation)
			case !done: // it was past the point of no return
				assert.Greater(t, statusOf(t, set, views.Orders).Generation, before)
			default:
				require.NoError(t, err)
				assert.Greater(t, cancelled, 5)
				return
			}
			require.Less(t, step, 1000)
		}
	})
}

// awaitRebuild waits until a view is not being rebuilt any more.
func awaitRebuild(t testing.TB, set *views.Set, name string) (last views.Progress) {
	t.Helper()
	require.Eventually(t, func() bool {
		all, err := set.Rebuilds(t.Context())
		last = all[name]
		return err == nil && (last.ID == "" || last.State.Over())
	}, patience, 2*time.Millisecond)
	return last
}

// The switch is one write. If its answer is lost, the view that is read and the
// one that the next process will read must still be the same, and complete.
func TestRebuild_SwitchFails(t *testing.T) {
	store, log := recorded(t, 5, 80)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		for name, persisted := range map[string]bool{"not persisted": false, "persisted but reported lost": true} {
			t.Run(name, func(t *testing.T) {
				r.Flush(t)
				client := r.Dial(t)
				hook := &failSwitch{persisted: persisted}
				viewstest.Hook(client, hook)
				set := openSet(t, client, store)
				drive(t.Context(), t, set, log, 1, never)
				background(t, set.Tend)
				want := hashes(t, set)
				hook.armed.Store(true)
				_, err := set.RequestRebuild(t.Context(), []string{views.Orders}, views.RebuildOptions{})
				require.NoError(t, err)
				require.Eventually(t, func() bool { return !hook.armed.Load() }, patience, time.Millisecond)
				// In doubt the set lets go of the views until it is started again, as the
				// feed does.
				require.Eventually(t, func() bool { _, err := set.Start(t.Context()); return err == nil }, patience, time.Millisecond)
				over := awaitRebuild(t, set, views.Orders)
				assert.Equal(t, views.RebuildDone, over.State)
				assert.Equal(t, over.Generation, statusOf(t, set, views.Orders).Generation)
				assert.Equal(t, want, hashes(t, set), "this process")
				require.NoError(t, set.Tidy(t.Context()))
				assertNoOtherGenerations(t, r, set)
				next := openSet(t, r.Dial(t), store)
				assert.Equal(t, want, hashes(t, next), "the next process")
			})
		}
	})
}

// failSwitch fails the next write that switches generations.
type failSwitch struct {
	armed     atomic.Bool
	persisted bool
}

func (h *failSwitch) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *failSwitch) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !slices.Contains(cmd.Args(), any("tradetrail:{views}:active")) || !strings.HasPrefix(cmd.Name(), "eval") || !h.armed.Swap(false) {
			return next(ctx, cmd)
		}
		if h.persisted {
			if err := next(ctx, cmd); err != nil {
				return err
			}
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
		set := openSet(t, r.Client, store)
		drive(t.Context(), t, set, log, 1, never)
		asked, err := set.RequestRebuild(t.Context(), []string{views.Orders}, views.RebuildOptions{})
		require.NoError(t, err)
		_, err = set.RequestRebuild(t.Context(), []string{views.Orders}, views.RebuildOptions{})
		require.ErrorIs(t, err, views.ErrRebuilding)
		assert.Equal(t, domain.ClassConflict, domain.ClassOf(err))
		_, err = set.RequestRebuild(t.Context(), []string{views.Users}, views.RebuildOptions{}) // another one may
		require.NoError(t, err)
		// A process that only reads may ask too, and sees what becomes of it.
		other := replica(t, r.Dial(t), store)
		_, err = other.RequestRebuild(t.Context(), []string{views.Daily}, views.RebuildOptions{})
		require.NoError(t, err)
		background(t, set.Tend)
		for _, name := range []string{views.Orders, views.Users, views.Daily} {
			assert.Equal(t, views.RebuildDone, awaitRebuild(t, other, name).State)
		}
		assert.Equal(t, asked[0].ID, awaitRebuild(t, other, views.Orders).ID)
		require.Eventually(t, func() bool {
			return statusOf(t, other, views.Orders).Generation == statusOf(t, set, views.Orders).Generation
		}, patience, time.Millisecond)
		_, err = set.Rebuild(t.Context(), []string{views.Orders}, views.RebuildOptions{})
		require.NoError(t, err)
		assertNoOtherGenerations(t, r, set)
	})
}

func TestRebuild_Unknown(t *testing.T) {
	set := openSet(t, viewstest.InProcess(t).Client, nil)
	_, err := rebuild(t.Context(), t, set, "weather")
	assert.Equal(t, domain.ClassNotFound, domain.ClassOf(err))
	_, _, err = set.Hash(t.Context(), "weather")
	assert.Equal(t, domain.ClassNotFound, domain.ClassOf(err))
	_, err = set.RequestRebuild(t.Context(), []string{views.Orders}, views.RebuildOptions{Rate: -1})
	assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
	require.NoError(t, set.CancelRebuild(t.Context(), views.Orders), "there is none")
}
