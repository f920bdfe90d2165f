// Package feed brings the log to the projections as Watermill messages: one
// message is one contiguous slice of the log, so that a handler commits a slice
// and its cursor in one transaction.
package feed

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
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// MaxSlice is the most events that one message carries.
const MaxSlice = 512

// Event is one event of the log. Its Event is nil if the payload is not ours:
// other programs may write into the same store.
type Event struct {
	domain.Located

	Payload []byte // as stored

	// What several views want to know, worked out once.

	Traded domain.Traded // see domain.TradedIn
	// Links name the event's order, if it has one, and what else it concerns: see
	// domain.Concerns.
	Links []domain.Ref
	// Unfit is why these could not be worked out; empty if they could.
	Unfit string
}

// NewEvent works out what views want to know of an event. A defect that an event
// brings to light must not end the process: the views park it.
func NewEvent(located domain.Located, payload []byte) (e Event) {
	e = Event{Located: located, Payload: payload}
	if located.Event == nil {
		return e
	}
	defer func() {
		if p := recover(); p != nil {
			e.Unfit = fmt.Sprintf("panic: %v", p)
		}
	}()
	e.Traded, _ = domain.TradedIn(located.Event)
	concerns := domain.Concerns(located.Event)
	if e.OrderID != "" {
		e.Links = append(make([]domain.Ref, 0, 1+len(concerns)), domain.Ref{Kind: domain.KindOrder, ID: e.OrderID})
	}
	e.Links = append(e.Links, concerns...)
	return e
}

// Slice is a contiguous piece of the log: all events after After up to the last
// of Events, system events left out.
type Slice struct {
	After  domain.Position
	Events []Event
}

// Feed is a Watermill Subscriber over the event store's Follow. The router runs
// a goroutine per message, so order exists only because the feed holds the next
// slice back until this one is acknowledged.
type Feed struct {
	store *eventstore.Store
	start func(context.Context) (domain.Position, error)
	log   *slog.Logger
	plain bool // nobody wants what views want to know

	mu      sync.Mutex
	trouble error
	closing context.CancelFunc
	life    context.Context
	wg      sync.WaitGroup
}

// New makes a feed. start tells where the projections stand, that is the lowest
// of their cursors; it is asked at the beginning and again after every failure.
func New(store *eventstore.Store, start func(context.Context) (domain.Position, error), log *slog.Logger) *Feed {
	f := &Feed{store: store, start: start, log: log}
	f.life, f.closing = context.WithCancel(context.Background())
	return f
}

// NewPlain is New for a handler that is no view: of its events Traded, Links and Unfit
// are not worked out.
func NewPlain(store *eventstore.Store, start func(context.Context) (domain.Position, error), log *slog.Logger) *Feed {
	f := New(store, start, log)
	f.plain = true
	return f
}

// Subscribe implements message.Subscriber. The topic is only a name. The channel
// is closed when ctx ends or the feed is closed.
func (f *Feed) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan *message.Message)
	f.wg.Go(func() {
		defer cancel()
		defer context.AfterFunc(f.life, cancel)() //nolint:contextcheck // the feed's own end ends it too
		defer close(out)
		for attempt := 0; ctx.Err() == nil; attempt++ {
			delivered, err := f.follow(ctx, out)
			if ctx.Err() != nil {
				return
			}
			if delivered {
				attempt = 0
			}
			f.note(err)
			if errors.Is(err, errDamaged) {
				// In doubt about the log nobody goes on: the handler stops, and with it
				// the process.
				return
			}
			f.log.WarnContext(ctx, "feed starts again", slog.String("topic", topic), slog.Any("error", err))
			pause(ctx, attempt)
		}
	})
	return out, nil
}

// Close implements message.Subscriber: it ends all subscriptions and waits.
func (f *Feed) Close() error {
	f.closing()
	f.wg.Wait()
	return nil
}

// follow delivers slices from where the projections stand until something fails.
// A refused slice is such a failure: the projections may have lost their place,
// so they are asked for it again.
func (f *Feed) follow(ctx context.Context, out chan<- *message.Message) (delivered bool, err error) {
	after, err := f.start(ctx)
	if err != nil {
		return false, fmt.Errorf("reading where the projections stand: %w", err)
	}
	follower := f.store.Follow(ctx, after)
	defer follower.Close()
	for {
		next, err := f.next(ctx, follower, after)
		if err != nil {
			return delivered, err
		}
		if len(next.Records) > 0 {
			slice := Slice{After: after, Events: f.decode(ctx, next.Records)}
			if err := deliver(ctx, out, slice); err != nil {
				return delivered, err
			}
			delivered = true
			f.note(nil)
			after = slice.Events[len(slice.Events)-1].Position
		}
		if next.CaughtUp {
			f.note(nil)
		}
	}
}

// checkEvery is how often an idle feed asks whether the projections still stand
// where it left them.
const checkEvery = 2 * time.Second

// next is the follower's Next. While nothing comes it looks after the
// projections: if they lose what they had, as after a restart of a Redis without
// a disk, the next event may be hours away.
func (f *Feed) next(ctx context.Context, follower *eventstore.Follower, after domain.Position) (eventstore.Slice, error) {
	for {
		waiting, cancel := context.WithTimeout(ctx, checkEvery)
		slice, err := follower.Next(waiting, MaxSlice)
		idle := waiting.Err() != nil && ctx.Err() == nil
		cancel()
		if domain.ClassOf(err) == domain.ClassIntegrity {
			return slice, errors.Join(errDamaged, err)
		}
		if err == nil || !idle {
			return slice, err
		}
		stand, err := f.start(ctx)
		if err != nil {
			return eventstore.Slice{}, fmt.Errorf("reading where the projections stand: %w", err)
		}
		if stand.Compare(after) < 0 {
			return eventstore.Slice{}, fmt.Errorf("the projections were at %s and are at %s", after, stand)
		}
	}
}

var errDamaged = errors.New("the log is damaged")

// Trouble is why the feed last failed, nil when it has delivered since, or
// reached the end of the log.
func (f *Feed) Trouble() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trouble
}

func (f *Feed) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trouble = err
}

func (f *Feed) decode(ctx context.Context, records []eventstore.Record) []Event {
	events := make([]Event, len(records))
	for i := range records {
		located, err := place(&records[i])
		if f.plain {
			events[i] = Event{Located: located, Payload: records[i].Data}
		} else {
			events[i] = NewEvent(located, records[i].Data)
		}
		if err != nil {
			f.log.WarnContext(ctx, "event is not ours", slog.String("stream", records[i].Stream),
				slog.String("position", records[i].Position.String()), slog.Any("error", err))
		}
	}
	return events
}

// Decode makes an Event of a record. With an error its place is right and its
// Event nil.
func Decode(r *eventstore.Record) (Event, error) {
	located, err := place(r)
	return NewEvent(located, r.Data), err
}

func place(r *eventstore.Record) (domain.Located, error) {
	located, err := r.Located()
	if err != nil {
		located = domain.Located{Stream: r.Stream, Revision: r.Revision, Position: r.Position}
	}
	return located, err
}

type sliceKey struct{}

// Of returns the slice that a message carries. It travels in the message's
// context: within one process there is nothing to serialise.
func Of(msg *message.Message) Slice {
	slice, _ := msg.Context().Value(sliceKey{}).(Slice)
	return slice
}

func deliver(ctx context.Context, out chan<- *message.Message, slice Slice) error {
	ctx, cancel := context.WithCancel(context.WithValue(ctx, sliceKey{}, slice))
	defer cancel()
	msg := message.NewMessage(watermill.NewUUID(), nil)
	msg.SetContext(ctx)
	select {
	case out <- msg:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-msg.Acked():
		return nil
	case <-msg.Nacked():
		return fmt.Errorf("the slice after %s was refused", slice.After)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause is between two attempts; who waits looks at ctx himself.
func pause(ctx context.Context, attempt int) {
	_ = backoff.Wait(ctx, attempt, 20*time.Millisecond, 5*time.Second)
}
