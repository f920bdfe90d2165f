package views_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// Whoever travels with others gets his own answers, in his order, and his own errors.
func TestConvoy(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		const keys, callers, rounds = 50, 40, 50
		key := func(i int) string { return fmt.Sprintf("convoy:{%d}", i%keys) }
		for i := range keys {
			require.NoError(t, r.Client.Set(t.Context(), key(i), i, 0).Err())
		}
		require.NoError(t, r.Client.LPush(t.Context(), "convoy:{list}", 1).Err())
		convoy := views.NewConvoy(r.Client)
		var group errgroup.Group
		for caller := range callers {
			group.Go(func() error {
				for round := range rounds {
					at := caller*7 + round
					var value, list *redis.StringCmd
					var gone *redis.StringCmd
					_, err := convoy.Pipelined(t.Context(), func(p redis.Pipeliner) error {
						value = p.Get(t.Context(), key(at))
						if caller%4 == 1 {
							list = p.Get(t.Context(), "convoy:{list}")
						}
						if caller%4 == 2 {
							gone = p.Get(t.Context(), "convoy:{none}")
						}
						return nil
					})
					if got, want := value.Val(), fmt.Sprint(at%keys); got != want {
						return fmt.Errorf("%s instead of %s", got, want)
					}
					switch {
					case list != nil && (err == nil || list.Err() == nil || errors.Is(err, redis.Nil)):
						return errors.New("a list is no string")
					case gone != nil && !errors.Is(err, redis.Nil):
						return fmt.Errorf("what is not there: %w", err)
					case list == nil && gone == nil && err != nil:
						return err
					}
				}
				return nil
			})
		}
		assert.NoError(t, group.Wait())
	})
}

// Who gives up leaves the others as they are, and nothing behind.
func TestConvoy_GoesOnWithoutThoseWhoLeave(t *testing.T) {
	t.Parallel()
	r := viewstest.InProcess(t)
	hold := make(chan struct{})
	viewstest.Hook(r.Client, holding{hold})
	convoy := views.NewConvoy(r.Client)
	get := func(ctx context.Context) error {
		_, err := convoy.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Exists(ctx, "x")
			return nil
		})
		return err
	}
	patient, impatient := make(chan error, 4), make(chan error, 4)
	ctx, cancel := context.WithCancel(t.Context())
	for range 4 {
		go func() { patient <- get(t.Context()) }()
		go func() { impatient <- get(ctx) }()
	}
	cancel()
	for range 4 {
		require.ErrorIs(t, <-impatient, context.Canceled)
	}
	close(hold)
	for range 4 {
		require.NoError(t, <-patient)
	}
}

// holding keeps pipelines from Redis until a channel is closed.
type holding struct{ until <-chan struct{} }

func (h holding) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h holding) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h holding) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		<-h.until
		return next(ctx, cmds)
	}
}
