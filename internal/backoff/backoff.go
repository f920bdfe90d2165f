// Package backoff is how every loop of ours that tries again waits in between.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Wait pauses after a failed attempt, the first of which is 0: for a random time
// of up to first, twice that after each further one, and never longer than most.
// The whole range is random ("full jitter"), so that those who failed together
// don't come back together. It ends early, with the context's error, when ctx does.
func Wait(ctx context.Context, attempt int, first, most time.Duration) error {
	limit := first
	for ; attempt > 0 && limit < most; attempt-- {
		limit *= 2
	}
	return Pause(ctx, rand.N(min(limit, most))+1) //nolint:gosec // jitter needs no secrecy
}

// Pause waits for a while. It ends early, with the context's error, when ctx does.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
