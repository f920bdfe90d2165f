// Package detect has rules judge the log while it grows, and records what they find.
//
// The findings are a function of the log and of the rules: event ids follow from what
// was found about what, and from when on which rules count stands in the log itself.
// So nothing depends on where a process died, on what Redis has forgotten, or on who
// of several processes judges. See docs/detection.md.
package detect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/lease"
)

// Source is what the events of the detector have as their source.
const Source = domain.DetectorSource

// leaseKey is who judges.
const leaseKey = "tradetrail:{detection}:judge"

// stopWithin bounds the snapshot at the end.
const stopWithin = 2 * time.Second

// Outcome is what became of an event that was given to a Recorder.
type Outcome string

// The outcomes. They are labels of a metric.
const (
	Recorded Outcome = "recorded" // durable now
	Known    Outcome = "known"    // was durable before
	Refused  Outcome = "refused"  // is not recorded, and never will be
)

// Recorder makes events durable.
type Recorder interface {
	// Record answers the events in their order. An event whose id another has that says
	// the same, by Same, is Known. With an error it is unknown which of
	// them are durable: sending them again is safe. The error is of ClassIntegrity if
	// there is no use in that.
	Record(ctx context.Context, events []*domain.Event) ([]Outcome, error)
}

// Deps are what a detector stands on.
type Deps struct {
	Rules    *rules.Set
	Store    *eventstore.Store
	Recorder Recorder
	Shelf    Shelf
	Redis    redis.UniversalClient // for the lease
	Log      *slog.Logger
	Now      func() time.Time // must never go back
	Registry prometheus.Registerer
}

// Detector judges the log. Of several processes on one Redis one does so.
type Detector struct {
	Deps

	lease   *lease.Lease
	metrics *metrics
	rest    func(context.Context, time.Duration) error
	turn    atomic.Pointer[turn] // nil while another process judges
}

// New makes a detector; nothing is read before Run.
func New(deps Deps) (*Detector, error) {
	d := &Detector{Deps: deps, lease: lease.New(deps.Redis, leaseKey, deps.Now, deps.Log), metrics: newMetrics(), rest: rest}
	if err := d.metrics.register(deps.Registry, d); err != nil {
		return nil, fmt.Errorf("registering the detector's metrics: %w", err)
	}
	return d, nil
}

// Judges reports whether this process is the one that judges the log.
func (d *Detector) Judges() bool { return d.turn.Load() != nil }

// Ready tells why findings are not up to date at the moment, or nil: it has judged what
// was in the log when its turn began, and can record. A process that does not judge does
// not know.
func (d *Detector) Ready() error {
	t := d.turn.Load()
	if t == nil {
		return nil
	}
	if err := errors.Join(t.trouble(), t.feed.Trouble()); err != nil {
		return err
	}
	if at := t.stand(); !at.current {
		return fmt.Errorf("the detector is still reading the log, and is at %s", at.position)
	}
	return nil
}

// Run judges the log, whenever this process holds the lease, until ctx ends. Any other
// end is an error: the log, or what was recorded, is damaged.
func (d *Detector) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := d.lease.Hold(ctx, func(held context.Context) error { return d.judge(ctx, held) })
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return ctx.Err()
}

// judge is a turn as the one that judges. A lost lease ends held, and is no error.
func (d *Detector) judge(ctx, held context.Context) error {
	d.Log.InfoContext(ctx, "this process judges the log", slog.String("rules", d.Rules.Hash()))
	routed, end := context.WithCancelCause(held)
	defer end(nil)
	t := &turn{detector: d, fail: end}
	t.feed = feed.NewPlain(d.Store, t.begin, d.Log)
	d.turn.Store(t)
	defer d.turn.Store(nil)
	err := t.feed.Route(routed, "detector", t.take)
	switch cause := context.Cause(routed); {
	case errors.Is(context.Cause(held), lease.ErrLost):
		return ctx.Err() // another may have gone on: an older snapshot would set that back
	case ctx.Err() != nil:
		saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		t.leave(saving)
		return ctx.Err()
	case cause != nil:
		return cause
	default:
		return err
	}
}
