// Package projections keeps the read models up to date: a Watermill router takes
// slices of the log from the feed and applies them to the views. Of several
// processes on one Redis one does so, the holder of the lease; all of them read.
package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/lease"
	"github.com/tradetrail/tradetrail/projections/views"
)

// leaseKey is who writes the views.
const leaseKey = "tradetrail:{views}:writer"

// Projections runs the handlers. The views themselves are read through Views.
type Projections struct {
	Views *views.Set

	store   *eventstore.Store
	lease   *lease.Lease
	log     *slog.Logger
	metrics *metrics
	turn    atomic.Pointer[feed.Feed] // of our turn as the writer; nil while another writes
}

// New wires the projections; nothing runs before Run. client is the Redis of the
// set.
func New(set *views.Set, store *eventstore.Store, client redis.UniversalClient, log *slog.Logger, reg prometheus.Registerer) (*Projections, error) {
	p := &Projections{Views: set, store: store, lease: lease.New(client, leaseKey, set.Now, log), log: log, metrics: newMetrics()}
	if err := p.metrics.register(reg, p); err != nil {
		return nil, fmt.Errorf("registering the projections' metrics: %w", err)
	}
	client.AddHook(p.metrics.redis)
	return p, nil
}

// Writes reports whether this process is the one that writes the views.
func (p *Projections) Writes() bool { return p.turn.Load() != nil }

// Ready tells why the views should not be relied on at the moment, or nil.
func (p *Projections) Ready() error {
	err := p.Views.Ready()
	if turn := p.turn.Load(); err != nil && turn != nil {
		return errors.Join(err, turn.Trouble())
	}
	return err
}

// Run keeps this process's view of the read models up to date until ctx ends,
// and, whenever it holds the lease, applies the log to them. A slice under way at
// the end is then applied or not, never in part. Any other end is an error.
func (p *Projections) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.Views.Watch(ctx) })
	group.Go(func() error {
		for ctx.Err() == nil {
			if err := p.lease.Hold(ctx, p.write); err != nil && ctx.Err() == nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// write is a turn as the one that writes the views. It ends with ctx; any other
// end is an error.
func (p *Projections) write(ctx context.Context) error {
	p.log.InfoContext(ctx, "this process writes the views")
	defer p.Views.Stop()
	turn := feed.New(p.store, p.start, p.log)
	p.turn.Store(turn)
	defer p.turn.Store(nil)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.Views.Tend(ctx) })
	group.Go(func() error { return turn.Route(ctx, "views", p.apply) })
	return group.Wait()
}

// start finds where the feed has to begin, after making sure that the views are
// of this log.
func (p *Projections) start(ctx context.Context) (domain.Position, error) {
	if err := p.Views.Adopt(ctx); err != nil {
		return domain.Position{}, err
	}
	return p.Views.Start(ctx)
}

func (p *Projections) apply(ctx context.Context, slice feed.Slice) error {
	if err := p.Views.Apply(ctx, slice); err != nil {
		p.metrics.failed.Inc()
		return fmt.Errorf("applying the slice after %s: %w", slice.After, err)
	}
	p.metrics.applied.Add(float64(len(slice.Events)))
	return nil
}
