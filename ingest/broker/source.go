package broker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/route"
)

const askEvery = 2 * time.Second

// Recorder makes items durable; see ingest.Recorder.
type Recorder interface {
	Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error)
}

// Source records what comes from one broker.
type Source struct {
	name     string // kind:name, the source of its events
	broker   Broker
	recorder Recorder
	log      *slog.Logger
	state    *state
}

// New makes a source; nothing runs before Run. The source of its events, and part
// of the ids that it derives, is the broker's kind and name: "kafka:fills". Metrics
// have it as the label source.
func New(name string, broker Broker, recorder Recorder, log *slog.Logger, now func() time.Time, reg prometheus.Registerer) (*Source, error) {
	s := &Source{name: broker.Kind() + ":" + name, broker: broker, recorder: recorder, state: newState(now)}
	s.log = log.With(slog.String("source", s.name))
	if err := s.state.register(prometheus.WrapRegistererWith(prometheus.Labels{"source": s.name}, reg)); err != nil {
		return nil, fmt.Errorf("registering the metrics of %s: %w", s.name, err)
	}
	return s, nil
}

// Name is the source of its events.
func (s *Source) Name() string { return s.name }

// Ready tells why nothing is recorded from the broker at the moment, or nil.
func (s *Source) Ready() error { return s.state.ready() }

// Run records until ctx ends. A broker or a store that is away is waited for, with
// back-off, however long it takes. Any other end is an error: that the store is
// damaged, or a defect.
func (s *Source) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.ask(ctx) })
	group.Go(func() error { return s.route(ctx) })
	return group.Wait()
}

// ask keeps what the state tells of the broker fresh.
func (s *Source) ask(ctx context.Context) error {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		s.state.ask(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// route brings batches from the subscriber to record. Retrying is the
// subscriber's, which knows what may not be overtaken.
func (s *Source) route(ctx context.Context) error {
	return route.Route{
		What: "the source", Name: s.name, Topic: s.name, From: newSubscriber(s.name, s.broker, s.log, s.state), Handle: s.record,
		Trouble: s.state.ready, Log: s.log, Quiet: true,
	}.Run(ctx)
}

// record is the handler: it makes a batch durable.
func (s *Source) record(msg *message.Message) error {
	d := deliveryOf(msg)
	receipts, err := s.recorder.Record(msg.Context(), s.name, d.items)
	if err == nil {
		err = unsettled(receipts)
	}
	if err != nil {
		d.refused = fmt.Errorf("recording a batch from %s: %w", s.name, err)
		return d.refused
	}
	s.state.count(receipts)
	return nil
}

// unsettled is the belt to the Recorder's braces: what has no outcome is not to be
// acknowledged.
func unsettled(receipts []ingest.Receipt) error {
	for _, r := range receipts {
		if r.Status == "" {
			return &domain.Error{Class: domain.ClassTransient, Code: "unsettled", Message: "an event has no outcome"}
		}
	}
	return nil
}
