package views_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// The ways in which an exchange with Redis goes wrong.
type fault int

const (
	lost         fault = iota // not sent: nothing was persisted
	answerLost                // sent and done, but reported as lost
	cancelBefore              // the caller gives up before sending
	faults
)

var errProvoked = errors.New("provoked")

// faulty is a go-redis hook that makes some exchanges fail. It acts on commands
// and transactions alike, so every read and every write of a fold is hit.
type faulty struct {
	mu     sync.Mutex
	random *rand.Rand
	rate   float64 // 0: everything works
	hit    [faults]int
}

func (f *faulty) set(rate float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rate = rate
}

func (f *faulty) next() (fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.random.Float64() >= f.rate {
		return 0, false
	}
	kind := fault(f.random.IntN(int(faults)))
	f.hit[kind]++
	return kind, true
}

func (f *faulty) around(ctx context.Context, send func(context.Context) error) error {
	kind, hit := f.next()
	if !hit {
		return send(ctx)
	}
	switch kind {
	case lost:
		return errProvoked
	case cancelBefore:
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return errors.Join(errProvoked, send(ctx))
	default: // answerLost
		if err := send(ctx); err != nil {
			return err
		}
		return errProvoked
	}
}

func (f *faulty) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *faulty) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := f.around(ctx, func(ctx context.Context) error { return next(ctx, cmd) })
		if err != nil {
			cmd.SetErr(err)
		}
		return err
	}
}

func (f *faulty) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := f.around(ctx, func(ctx context.Context) error { return next(ctx, cmds) })
		if err != nil {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

// Every exchange of an application fails now and then, before or after it took
// effect; what is applied again must not be there twice.
func TestApply_ExactlyOnceUnderFaults(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(withForeign(viewstest.History(21, 300)))
		want := straight(t, r, log)
		for seed := range uint64(3) {
			r.Flush(t)
			client := r.Dial(t)
			broken := &faulty{random: rand.New(rand.NewPCG(seed, 3))}
			viewstest.Hook(client, broken)
			set := openSet(t, client, nil)
			reader := follow(t, set, "ACC-1", &domain.Position{})
			broken.set(0.05) // of the exchanges with a cluster, of which a start has a hundred, all must succeed
			drive(t.Context(), t, set, log, seed, isTransient)
			broken.set(0)
			assert.Equal(t, want, hashes(t, set), "seed %d", seed)
			assertNoDuplicates(t, r)
			for kind, n := range broken.hit {
				assert.Positive(t, n, "fault %d never happened", kind)
			}
			trail := ownerTrails(log)["ACC-1"]
			assert.Equal(t, trail, reader.until(len(trail)), "a live reader was not told what a failed application did")
		}
	})
}

// Each kind of failure at the moment of EXEC, one slice each: the two rows of the
// table that matter most, without chance.
func TestApply_FailingExec(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(8, 60))
		for name, after := range map[string]bool{"not persisted": false, "persisted but reported lost": true} {
			for _, victim := range newSet(r.Client, nil).Names() {
				r.Flush(t)
				client := r.Dial(t)
				hook := &failExec{after: after}
				viewstest.Hook(client, hook)
				set := openSet(t, client, nil)
				require.NoError(t, set.Apply(t.Context(), viewstest.SliceOf(log, 0, 30)))
				hook.next.Store(&victim)
				require.Error(t, set.Apply(t.Context(), viewstest.SliceOf(log, 30, 60)), "%s, transaction of %s", name, victim)
				drive(t.Context(), t, set, log, 1, isTransient) // the others' writes may still arrive
				assert.Equal(t, straight(t, r, log), hashes(t, set), "%s, transaction of %s", name, victim)
				assertNoDuplicates(t, r)
			}
		}
	})
}

// failExec fails the next transaction that writes a view, perhaps others with it.
type failExec struct {
	next   atomic.Pointer[string] // the view
	always atomic.Bool
	after  bool
	until  func() // what the failure waits for
}

func (h *failExec) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *failExec) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (h *failExec) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) == 0 || cmds[0].Name() != "multi" {
			return next(ctx, cmds)
		}
		victim := h.next.Load()
		hit := victim != nil && strings.Contains(fmt.Sprint(cmds), "set tradetrail:{"+*victim+":") && h.next.CompareAndSwap(victim, nil)
		if !hit && !h.always.Load() {
			return next(ctx, cmds)
		}
		if h.after {
			if err := next(ctx, cmds); err != nil {
				return err
			}
		}
		if h.until != nil {
			h.until()
		}
		for _, cmd := range cmds {
			cmd.SetErr(errProvoked)
		}
		return errProvoked
	}
}

// The connection itself is cut, at any byte of any message in both directions:
// the client library's own retries are part of what is tested.
func TestApply_ConnectionCut(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(31, 300))
		want := straight(t, r, log)
		for seed := range uint64(2) {
			r.Flush(t)
			network := viewstest.NewNetwork()
			set := openSet(t, r.DialVia(t, network.Dial), nil)
			network.CutEvery(20_000, seed)
			drive(t.Context(), t, set, log, seed, isTransient)
			network.Up()
			assert.Equal(t, want, hashes(t, set), "seed %d", seed)
			assertNoDuplicates(t, r)
			assert.Positive(t, network.Cuts(), "no connection was cut")
		}
	})
}

// The caller gives up at any moment.
func TestApply_Cancelled(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(41, 200))
		want := straight(t, r, log)
		client := r.Dial(t)
		hook := &canceller{}
		viewstest.Hook(client, hook)
		set := openSet(t, client, nil)
		failures := 0
		for step := 0; ; step++ {
			ctx, cancel := context.WithCancel(t.Context())
			hook.arm(step%160, cancel)
			done, err := applySome(ctx, set, log, 7)
			hook.arm(-1, nil)
			cancel()
			if done {
				break
			}
			if err != nil {
				failures++
				require.True(t, isTransient(err), "%v", err)
			}
			require.Less(t, step, 10_000)
		}
		assert.Equal(t, want, hashes(t, set))
		assertNoDuplicates(t, r)
		assert.Greater(t, failures, 10, "hardly anything was cancelled")
	})
}

// A write whose caller has gone sets out when its view was taken over already: the same
// slice is folded anew from what it has just written.
func TestApply_OvertakenByACancelledWrite(t *testing.T) {
	r := viewstest.InProcess(t)
	log := viewstest.Log(viewstest.History(41, 200))
	client := r.Dial(t)
	var armed atomic.Bool
	late := &gate{arrived: make(chan struct{}), open: make(chan struct{}), match: func(cmd redis.Cmder) bool {
		return names(cmd, "watch", "{accounts:") && armed.CompareAndSwap(true, false)
	}}
	viewstest.Hook(client, late)
	set := openSet(t, client, nil)
	require.NoError(t, set.Apply(t.Context(), viewstest.SliceOf(log, 0, 30)))
	cursor := keyOf(t, set, views.Accounts, "cursor")
	armed.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	var applying errgroup.Group
	applying.Go(func() error { return set.Apply(ctx, viewstest.SliceOf(log, 30, 60)) })
	<-late.arrived
	cancel()
	require.ErrorIs(t, applying.Wait(), context.Canceled)
	stand, err := set.Start(t.Context())
	require.NoError(t, err)
	require.Equal(t, log[29].Position, stand)
	taken := r.Client.Get(t.Context(), cursor).Val()
	close(late.open)
	require.Eventually(t, func() bool { return r.Client.Get(t.Context(), cursor).Val() != taken }, patience, time.Millisecond)
	err = set.Apply(t.Context(), viewstest.SliceOf(log, 30, 60))
	assert.True(t, isTransient(err), "%v", err)
	drive(t.Context(), t, set, log, 1, isTransient)
	assert.Equal(t, straight(t, r, log), hashes(t, set))
	assertNoDuplicates(t, r)
}

// Somebody has put a key where a list will be, and removes it when it is too late: what
// could not be pushed is not lost, although the caller is gone when that shows.
func TestApply_CancelledAndWrittenByHalves(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		at := time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC)
		var events []*domain.Event
		for _, id := range []string{"A", "B", "C"} {
			events = append(events, &domain.Event{Type: domain.OrderSubmitted, OrderID: "O" + id, AccountID: id, SchemaVersion: 1, OccurredAt: at})
		}
		log := viewstest.Log(events)
		client := r.Dial(t)
		set := openSet(t, client, nil)
		require.NoError(t, set.Apply(t.Context(), viewstest.SliceOf(log, 0, 1)))
		list, cursor := keyOf(t, set, views.Accounts, "n:B"), keyOf(t, set, views.Accounts, "cursor")
		require.NoError(t, r.Client.Set(t.Context(), list, "foreign", 0).Err())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		viewstest.Hook(client, &between{
			match: func(cmds []redis.Cmder) bool {
				return slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return names(cmd, "rpush", list) })
			},
			do: cancel,
		})
		require.Error(t, set.Apply(ctx, viewstest.SliceOf(log, 1, 2)))
		require.Eventually(t, func() bool { return r.Client.Exists(t.Context(), cursor).Val() == 0 }, patience, time.Millisecond)
		require.NoError(t, r.Client.Del(t.Context(), list).Err())
		drive(t.Context(), t, set, log, 1, isTransient)
		assert.Equal(t, straight(t, r, log), hashes(t, set))
	})
}

// The writes of a slice arrive, all answers get lost, and the log ends there: the
// feed begins after the slice, so nothing but Start can tell live readers.
func TestFollow_ToldOfALostAnswer(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(8, 120))
		client := r.Dial(t)
		hook := &failExec{after: true}
		viewstest.Hook(client, hook)
		set := newSet(client, nil)
		set.Alone()
		_, err := set.Start(t.Context())
		require.NoError(t, err)
		account, trail := busiest(log[60:], log)
		reader := follow(t, set, account, &domain.Position{})
		before := len(ownerTrails(log[:60])[account])
		require.Less(t, before, len(trail))
		require.NoError(t, set.Apply(t.Context(), viewstest.SliceOf(log, 0, 60)))
		reader.until(before)
		hook.always.Store(true)
		var through sync.WaitGroup
		for _, key := range r.Keys(t) {
			if strings.HasSuffix(key, ":cursor") {
				through.Add(1)
			}
		}
		hook.until = func() { // the answers are lost when all views are through
			through.Done()
			through.Wait()
		}
		require.Error(t, set.Apply(t.Context(), viewstest.SliceOf(log, 60, 120)))
		hook.always.Store(false)
		stand, err := set.Start(t.Context())
		require.NoError(t, err)
		require.Equal(t, log[119].Position, stand)
		assert.Equal(t, trail, reader.until(len(trail)))
	})
}

func isTransient(err error) bool { return domain.ClassOf(err) == domain.ClassTransient }
