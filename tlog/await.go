package tlog

import (
	"context"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// Await waits until a checkpoint includes the event at a position, at most so long.
// That it does not come in time is no error.
func (b *Board) Await(ctx context.Context, p domain.Position, most time.Duration) error {
	if p == (domain.Position{}) {
		return nil // no event
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		state, changed := b.State()
		if state.Of(p) != Recorded {
			return nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
