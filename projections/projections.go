// Package projections keeps the read models up to date: a Watermill router takes
// slices of the log from the feed and applies them to the views.
package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
)

// closeTimeout bounds how long a slice under way may hold up the end.
const closeTimeout = 2 * time.Second

// Projections runs the handlers. The views themselves are read through Views.
type Projections struct {
	Views *views.Set

	feed    *feed.Feed
	log     *slog.Logger
	applied prometheus.Counter
	failed  prometheus.Counter
}

// New wires the projections; nothing runs before Run.
func New(set *views.Set, store *eventstore.Store, log *slog.Logger, reg prometheus.Registerer) (*Projections, error) {
	p := &Projections{
		Views: set, log: log,
		applied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tradetrail_projected_events_total", Help: "Events of the log applied to the views.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tradetrail_projection_failures_total", Help: "Slices that could not be applied and were tried again.",
		}),
	}
	p.feed = feed.New(store, p.start, log)
	if err := errors.Join(reg.Register(p.applied), reg.Register(p.failed)); err != nil {
		return nil, fmt.Errorf("registering the projections' metrics: %w", err)
	}
	return p, nil
}

// CaughtUp is closed when the views have reached the end of the log once.
func (p *Projections) CaughtUp() <-chan struct{} { return p.feed.CaughtUp() }

// Trouble is why the views do not follow the log at the moment, or nil.
func (p *Projections) Trouble() error { return p.feed.Trouble() }

// Run applies the log to the views until ctx ends. A slice under way is then
// applied or not, never in part. Any other end is an error.
//
// Retrying is the feed's: a refused slice makes it ask the views where they
// stand and begin there, with back-off. The router's own Retry would hold on to
// a slice that may be the wrong one by then.
func (p *Projections) Run(ctx context.Context) error {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: closeTimeout}, watermill.NewSlogLoggerWithLevelMapping(p.log, map[slog.Level]slog.Level{
		slog.LevelInfo: slog.LevelDebug, // how the router sees itself is no news
	}))
	if err != nil {
		return fmt.Errorf("making the router: %w", err)
	}
	router.AddMiddleware(middleware.Recoverer)
	handler := router.AddConsumerHandler("views", "$all", p.feed, p.apply)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- router.Run(ctx) }()
	var stopped <-chan struct{}
	select {
	case <-router.Running(): // until then the router still sets its handlers up
		stopped = handler.Stopped()
	case err = <-done:
		done <- err
	}
	select {
	case err = <-done:
	case <-stopped:
		// A router goes on without its handler, or returns nil: neither is an end
		// that anybody asked for.
		cancelled := ctx.Err() != nil
		cancel()
		err = <-done
		if !cancelled {
			return errors.Join(errors.New("the handler of the views stopped by itself"), p.feed.Trouble(), err)
		}
	}
	if ctx.Err() == nil {
		return errors.Join(errors.New("the router of the views stopped by itself"), p.feed.Trouble(), err)
	}
	return err
}

// start finds where the feed has to begin, after making sure that the views are
// of this log.
func (p *Projections) start(ctx context.Context) (domain.Position, error) {
	if err := p.Views.Adopt(ctx); err != nil {
		return domain.Position{}, err
	}
	return p.Views.Start(ctx)
}

func (p *Projections) apply(msg *message.Message) error {
	slice := feed.Of(msg)
	if err := p.Views.Apply(msg.Context(), slice); err != nil {
		p.failed.Inc()
		return fmt.Errorf("applying the slice after %s: %w", slice.After, err)
	}
	p.applied.Add(float64(len(slice.Events)))
	return nil
}
