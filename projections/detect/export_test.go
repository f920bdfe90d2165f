package detect

import (
	"context"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// Hurry has the detector read history as fast as what happens now.
func (d *Detector) Hurry() {
	d.rest = func(context.Context, time.Duration) error { return nil }
}

// Halt has the detector rest for good after the first slice of history, and tells so.
func (d *Detector) Halt(resting func()) {
	d.rest = func(ctx context.Context, _ time.Duration) error {
		resting()
		<-ctx.Done()
		return ctx.Err()
	}
}

// Reached is where the detector stands.
func (d *Detector) Reached() domain.Position {
	if t := d.turn.Load(); t != nil {
		return t.stand().position
	}
	return domain.Position{}
}
