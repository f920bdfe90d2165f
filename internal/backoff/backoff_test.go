package backoff_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/internal/backoff"
)

func TestWait_GrowsUpToItsBound(t *testing.T) {
	t.Parallel()
	for attempt, limit := range map[int]time.Duration{
		0: 20 * time.Millisecond, 1: 40 * time.Millisecond, 6: 1280 * time.Millisecond, 7: 2 * time.Second, 1000: 2 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			longest := time.Duration(0)
			for range 200 {
				begin := time.Now()
				require.NoError(t, backoff.Wait(t.Context(), attempt, 20*time.Millisecond, 2*time.Second))
				longest = max(longest, time.Since(begin))
			}
			assert.LessOrEqual(t, longest, limit, "attempt %d", attempt)
			assert.Greater(t, longest, limit/2, "attempt %d uses its range", attempt)
		})
	}
}

func TestWait_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		begin := time.Now()
		for range 100 { // one of them at least would take longer
			if backoff.Wait(ctx, 0, time.Hour, time.Hour) != nil {
				break
			}
		}
		require.ErrorIs(t, backoff.Wait(ctx, 0, time.Hour, time.Hour), context.DeadlineExceeded)
		assert.Equal(t, time.Millisecond, time.Since(begin))
	})
}
