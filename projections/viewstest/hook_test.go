package viewstest_test

import (
	"context"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// seen counts commands by name.
type seen struct {
	mu    sync.Mutex
	times map[string]int
}

func (s *seen) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *seen) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		s.see(cmd)
		return next(ctx, cmd)
	}
}

func (s *seen) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		s.see(cmds...)
		return next(ctx, cmds)
	}
}

func (s *seen) see(cmds ...redis.Cmder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cmd := range cmds {
		s.times[cmd.Name()]++
	}
}

func TestHook(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		client, hook := r.Dial(t), &seen{times: make(map[string]int)}
		viewstest.Hook(client, hook)
		ctx := t.Context()
		require.NoError(t, client.Set(ctx, "key", 1, 0).Err())
		require.NoError(t, client.Watch(ctx, func(tx *redis.Tx) error {
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Incr(ctx, "key").Err() })
			return err
		}, "key"))
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error { return p.Get(ctx, "key").Err() })
		require.NoError(t, err)
		hook.mu.Lock()
		defer hook.mu.Unlock()
		for _, command := range []string{"set", "watch", "multi", "incr", "exec", "get"} {
			assert.Equal(t, 1, hook.times[command], command)
		}
	})
}
