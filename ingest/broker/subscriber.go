package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// How loops of a source wait before they try again.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = 5 * time.Second
)

// subscriber is a Watermill Subscriber over a broker: one message is one batch.
// The router runs a goroutine per message, so order exists only because the next
// batch is held back until this one is acknowledged. The next one is fetched and
// taken apart meanwhile, and no more than that.
//
// A batch that is refused is delivered again until it is accepted, whatever
// becomes of the connection that it came from: nothing that was fetched later may
// overtake it.
type subscriber struct {
	source string
	broker Broker
	log    *slog.Logger
	state  *state

	life    context.Context //nolint:containedctx // of the subscriber, from newSubscriber to Close
	closing context.CancelFunc
	wg      sync.WaitGroup
}

func newSubscriber(source string, broker Broker, log *slog.Logger, state *state) *subscriber {
	s := &subscriber{source: source, broker: broker, log: log, state: state}
	s.life, s.closing = context.WithCancel(context.Background())
	return s
}

// delivery is a batch on its way through the router. It travels in the message's
// context, and the handler leaves its reason in it: within one process there is
// nothing to serialise.
type delivery struct {
	batch   Batch
	items   []ingest.Item
	session *session
	refused error // why the handler did not take it
}

type deliveryKey struct{}

func deliveryOf(msg *message.Message) *delivery {
	d, _ := msg.Context().Value(deliveryKey{}).(*delivery)
	return d
}

// session is the life of one reader.
type session struct {
	reader Reader
	fail   context.CancelCauseFunc // ends it; another one begins
}

// Subscribe implements message.Subscriber. The topic is only a name. The channel
// is closed when ctx ends, the subscriber is closed, or what is stored turns out
// to be damaged.
func (s *subscriber) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan *message.Message)
	ready := make(chan *delivery)
	s.wg.Go(func() {
		defer close(ready)
		s.fetch(ctx, ready)
	})
	s.wg.Go(func() {
		defer close(out)
		defer cancel()
		defer context.AfterFunc(s.life, cancel)() //nolint:contextcheck // the subscriber's own end ends it too
		for d := range ready {
			if err := s.deliver(ctx, out, d); err != nil {
				cancel()
			}
		}
	})
	return out, nil
}

// Close implements message.Subscriber: it ends all subscriptions and waits.
func (s *subscriber) Close() error {
	s.closing()
	s.wg.Wait()
	return nil
}

// fetch opens readers, one after the other, and hands on what they give.
func (s *subscriber) fetch(ctx context.Context, ready chan<- *delivery) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		fetched, err := s.read(ctx, ready)
		if ctx.Err() != nil {
			return
		}
		if fetched {
			attempt = 0
		}
		s.state.disconnected(err)
		s.log.WarnContext(ctx, "source connects again", slog.Any("error", err))
		if backoff.Wait(ctx, attempt, firstPause, mostPause) != nil {
			return
		}
	}
}

// read is one session. It always ends with an error.
func (s *subscriber) read(ctx context.Context, ready chan<- *delivery) (fetched bool, err error) {
	reader, err := s.broker.Open(ctx, s.log)
	if err != nil {
		return false, fmt.Errorf("connecting to %s: %w", s.source, err)
	}
	defer reader.Close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s.state.connected(reader)
	defer s.state.connected(nil)
	s.log.InfoContext(ctx, "source connected")
	for {
		batch, err := reader.Fetch(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return fetched, fmt.Errorf("reading from %s: %w", s.source, err)
		}
		fetched = true
		d := &delivery{batch: batch, session: &session{reader, fail}}
		for _, m := range batch.Messages {
			d.items = append(d.items, Understand(s.source, m)...)
		}
		select {
		case ready <- d:
		case <-ctx.Done():
			// Nobody saw it: the broker delivers it again.
			return fetched, context.Cause(ctx)
		}
	}
}

// deliver hands the batch to the router until it is taken, then commits it. An
// error is final.
func (s *subscriber) deliver(ctx context.Context, out chan<- *message.Message, d *delivery) error {
	s.state.inHand(d.batch)
	for attempt := 0; ; attempt++ {
		d.refused = nil
		taken, err := hand(ctx, out, d)
		if err != nil {
			return err
		}
		if taken {
			break
		}
		s.state.refused(d.refused)
		if domain.ClassOf(d.refused) == domain.ClassIntegrity {
			return d.refused // in doubt about the log nobody goes on
		}
		s.log.WarnContext(ctx, "batch is recorded again", slog.Int("messages", len(d.batch.Messages)), slog.Any("error", d.refused))
		if err := backoff.Wait(ctx, attempt, firstPause, mostPause); err != nil {
			return err
		}
	}
	if err := d.batch.Commit(ctx); err != nil && ctx.Err() == nil {
		// It is recorded, and the broker may not know: where it believes us to be is
		// where the next session begins.
		d.session.fail(fmt.Errorf("committing to %s: %w", s.source, err))
	}
	s.state.recorded(d.batch)
	return nil
}

// hand delivers once and waits for the answer.
func hand(ctx context.Context, out chan<- *message.Message, d *delivery) (taken bool, err error) {
	ctx, cancel := context.WithCancel(context.WithValue(ctx, deliveryKey{}, d))
	defer cancel()
	msg := message.NewMessage(watermill.NewUUID(), nil)
	msg.SetContext(ctx)
	select {
	case out <- msg:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	select {
	case <-msg.Acked():
		return true, nil
	case <-msg.Nacked():
		if d.refused == nil {
			d.refused = errors.New("the handler failed")
		}
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
