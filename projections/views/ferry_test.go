package views_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// Of those who write together each is written if its own cursor is where it was, and
// what is wrong with one is nobody else's.
func TestFerry(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		const parts, steps = 12, 40
		ferry := views.NewFerry(r.Client)
		key := func(part int, what string) string { return fmt.Sprintf("ferry:{%d}:%s", part, what) }
		for part := range parts {
			require.NoError(t, r.Client.Set(t.Context(), key(part, "cursor"), "0", 0).Err())
		}
		require.NoError(t, r.Client.Set(t.Context(), key(0, "list"), "no list", 0).Err())
		var group errgroup.Group
		for part := range parts {
			group.Go(func() error {
				for step := range steps {
					before, after := fmt.Sprint(step), fmt.Sprint(step+1)
					if part == 1 { // its cursor is elsewhere
						before = "elsewhere"
					}
					stands, err := ferry.Cross(t.Context(), key(part, "cursor"), before, after, "RPUSH", key(part, "list"), step)
					switch {
					case part == 0 && err == nil && stands == after:
						return fmt.Errorf("a list was pushed to what is none")
					case part == 1 && (err != nil || stands != "0"):
						return fmt.Errorf("elsewhere: %q, %w", stands, err)
					case part > 1 && (err != nil || stands != after):
						return fmt.Errorf("part %d, step %d: %q, %w", part, step, stands, err)
					}
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		for part := range parts {
			list := r.Client.LRange(t.Context(), key(part, "list"), 0, -1)
			if part == 0 {
				continue
			}
			require.NoError(t, list.Err())
			if part == 1 {
				assert.Empty(t, list.Val())
				continue
			}
			require.Len(t, list.Val(), steps)
			for step, value := range list.Val() {
				assert.Equal(t, fmt.Sprint(step), value)
			}
		}
	})
}

// Whoever finds his cursor where he would have put it was overtaken by an earlier write of
// his own. What he had read may be from behind it, so he is not told that he has written.
func TestFerry_OvertakenByAnEarlierWrite(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		ferry := views.NewFerry(r.Client)
		require.NoError(t, r.Client.Set(t.Context(), "ferry:{x}:cursor", "0", 0).Err())
		stands, err := ferry.Cross(t.Context(), "ferry:{x}:cursor", "0", "1", "RPUSH", "ferry:{x}:list", "once")
		require.NoError(t, err)
		assert.Equal(t, "1", stands)
		_, err = ferry.Cross(t.Context(), "ferry:{x}:cursor", "0", "1", "RPUSH", "ferry:{x}:list", "again")
		assert.True(t, isTransient(err), "%v", err)
		assert.Equal(t, []string{"once"}, r.Client.LRange(t.Context(), "ferry:{x}:list", 0, -1).Val())
	})
}

// Two who find the same cursor where it was, as while a build is taken over that is
// still being made: one of them writes, also when both go together.
func TestFerry_TwoOnOneCursor(t *testing.T) {
	r := viewstest.InProcess(t)
	client := r.Dial(t)
	busy := &gate{arrived: make(chan struct{}), open: make(chan struct{}), match: func(cmd redis.Cmder) bool {
		return names(cmd, "watch", "ferry:{busy}")
	}}
	viewstest.Hook(client, busy)
	ferry := views.NewFerry(client)
	require.NoError(t, client.Set(t.Context(), "ferry:{x}:cursor", "0", 0).Err())
	var group errgroup.Group
	for range views.FerryTrips {
		group.Go(func() error {
			_, err := ferry.Cross(t.Context(), "ferry:{busy}:cursor", "0", "1")
			return err
		})
		<-busy.arrived
	}
	var written atomic.Int32
	for range 2 {
		group.Go(func() error {
			stands, err := ferry.Cross(t.Context(), "ferry:{x}:cursor", "0", "1", "RPUSH", "ferry:{x}:list", "once")
			switch {
			case err == nil && stands == "1":
				written.Add(1)
			case !isTransient(err):
				return fmt.Errorf("%q, %w", stands, err)
			}
			return nil
		})
	}
	require.Eventually(t, func() bool { return ferry.Waiting() == 2 }, patience, time.Millisecond)
	close(busy.open)
	require.NoError(t, group.Wait())
	assert.Equal(t, int32(1), written.Load())
	assert.Equal(t, []string{"once"}, client.LRange(t.Context(), "ferry:{x}:list", 0, -1).Val())
}

// What is written by halves, since a command finds what no view writes, loses its cursor,
// also when nobody waits for the outcome any more: without one the view is made anew.
func TestFerry_WrittenByHalves(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		for name, args := range map[string][]any{
			"of another kind": {"RPUSH", "ferry:{x}:hash", "1"},
			"not a number":    {"HINCRBY", "ferry:{x}:hash", "word", 1},
		} {
			for _, gone := range []bool{false, true} {
				r.Flush(t)
				client := r.Dial(t)
				require.NoError(t, client.Set(t.Context(), "ferry:{x}:cursor", "0", 0).Err())
				require.NoError(t, client.HSet(t.Context(), "ferry:{x}:hash", "word", "x").Err())
				ctx, cancel := context.WithCancel(t.Context())
				if gone {
					viewstest.Hook(client, &between{match: func(cmds []redis.Cmder) bool { return cmds[0].Name() == "multi" }, do: cancel})
				}
				_, err := views.NewFerry(client).Cross(ctx, "ferry:{x}:cursor", "0", "1", args...)
				require.Error(t, err, name)
				require.Eventually(t, func() bool { return r.Client.Exists(t.Context(), "ferry:{x}:cursor").Val() == 0 }, patience, time.Millisecond,
					"%s; gone: %t", name, gone)
				cancel()
			}
		}
	})
}
