package views_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// between is a hook that does something once before the first exchange that it is
// told to look for.
type between struct {
	match func(cmds []redis.Cmder) bool
	do    func()
	once  sync.Once
}

func (h *between) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *between) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.look(cmd)
		return next(ctx, cmd)
	}
}

func (h *between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.look(cmds...)
		return next(ctx, cmds)
	}
}

func (h *between) look(cmds ...redis.Cmder) {
	if h.match(cmds) {
		h.once.Do(h.do)
	}
}

func names(cmd redis.Cmder, name, part string) bool {
	return cmd.Name() == name && slices.ContainsFunc(cmd.Args(), func(arg any) bool {
		text, ok := arg.(string)
		return ok && strings.Contains(text, part)
	})
}

// An application fails while a rebuild compares: the rebuild begins to follow
// again once the views are started again, and ends as if nothing had happened.
func TestRebuild_ApplyFailsInTheComparison(t *testing.T) {
	store, log := recorded(t, 61, 200)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		client := r.Dial(t)
		var set *views.Set
		armed := atomic.Bool{}
		hook := &between{
			match: func(cmds []redis.Cmder) bool { return armed.Load() && cmds[0].Name() == "scan" },
			do:    func() { assert.Error(t, set.Apply(t.Context(), viewstest.SliceOf(log, 190, 200))) },
		}
		viewstest.Hook(client, hook)
		set = openSet(t, client, store)
		drive(t.Context(), t, set, log[:150], 1, never)
		background(t, set.Tend)
		armed.Store(true)
		// A gap: the views are at 150.
		asked, err := set.RequestRebuild(t.Context(), []string{views.Accounts, views.Chains}, views.RebuildOptions{})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, err := set.Start(t.Context())
			all, readErr := set.Rebuilds(t.Context())
			return err == nil && readErr == nil && all[views.Accounts].State.Over() && all[views.Chains].State.Over()
		}, patience, time.Millisecond)
		over := awaitRebuild(t, set, views.Accounts)
		assert.Equal(t, views.RebuildDone, over.State, over.Error)
		assert.Equal(t, asked[0].ID, over.ID)
		drive(t.Context(), t, set, log, 2, never)
		assert.Equal(t, straight(t, r, log), hashes(t, set))
	})
}

// A write of the process that wrote before arrives in the middle of the take-over:
// the view is taken as it is then, not thrown away.
func TestStart_LateWriteOfTheLastWriter(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(62, 80))
		last := openSet(t, r.Client, nil)
		require.NoError(t, last.Apply(t.Context(), viewstest.SliceOf(log, 0, 40)))
		before := statusOf(t, last, views.Orders).Generation
		client := r.Dial(t)
		hook := &between{
			match: func(cmds []redis.Cmder) bool { return names(cmds[0], "watch", "{orders:") },
			do:    func() { _ = last.Apply(t.Context(), viewstest.SliceOf(log, 40, 60)) }, // some views are fenced already
		}
		viewstest.Hook(client, hook)
		next := newSet(client, nil)
		drive(t.Context(), t, next, log, 3, isTransient)
		assert.Equal(t, before, statusOf(t, next, views.Orders).Generation)
		assert.Equal(t, straight(t, r, log), hashes(t, next))
		assertNoDuplicates(t, r)
	})
}

// Redis has lost everything. While the views begin anew, at no moment does
// anybody read that there is nothing.
func TestStart_NobodyReadsNothingAfterALoss(t *testing.T) {
	store, log := recorded(t, 63, 120)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		client := r.Dial(t)
		var set *views.Set
		asked := 0
		account, _ := busiest(log, log)
		look := func() {
			_, ok, err := set.Owner(context.WithoutCancel(t.Context()), views.Accounts, account)
			if err == nil {
				assert.True(t, ok, "an empty answer would be a lie")
			} else {
				assert.True(t, isTransient(err), "%v", err)
			}
			asked++
		}
		probing := atomic.Bool{}
		viewstest.Hook(client, &every{probing: &probing, do: look})
		set = openSet(t, client, store)
		drive(t.Context(), t, set, log, 1, never)
		r.Flush(t)
		probing.Store(true)
		drive(t.Context(), t, set, log, 2, isTransient)
		probing.Store(false)
		assert.Greater(t, asked, 20)
		_, ok, err := set.Owner(t.Context(), views.Accounts, account)
		require.NoError(t, err)
		assert.True(t, ok)
	})
}

// every is a hook that does something before each exchange, but not before those
// that this leads to.
type every struct {
	probing *atomic.Bool
	do      func()
}

func (h *every) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *every) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.probing.CompareAndSwap(true, false) {
			h.do()
			h.probing.Store(true)
		}
		return next(ctx, cmd)
	}
}

func (h *every) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// Old news, heard after a loss, opens nothing; news of rebuilds neither.
func TestReplica_StaleNews(t *testing.T) {
	store, log := recorded(t, 64, 60)
	r := viewstest.Real(t)
	set := openSet(t, r.Client, store)
	drive(t.Context(), t, set, log, 1, never)
	other := replica(t, r.Dial(t), store)
	r.Flush(t)
	require.Eventually(t, func() bool { return other.Ready() != nil }, patience, time.Millisecond)
	end := log[len(log)-1].Position
	stale := "somebody\n" + domain.Position{}.String() + "\n" + end.String() + "\n*"
	for range 20 {
		heard, err := r.Client.Publish(t.Context(), other.Channel(), stale).Result()
		require.NoError(t, err)
		require.Positive(t, heard)
		_, _, err = other.Owner(t.Context(), views.Accounts, "ACC-1")
		require.Error(t, err)
	}
}
