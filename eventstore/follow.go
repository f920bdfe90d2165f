package eventstore

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/tradetrail/tradetrail/domain"
)

// followBuffer is how many events a follower may be ahead of its reader; beyond
// that HTTP/2 flow control holds the server back.
const followBuffer = 512

// maxSliceBytes ends a slice early when its events are large.
const maxSliceBytes = 4 << 20

// Follower delivers every event after a position in commit order, each once, as
// long as its reader lives: broken subscriptions are taken up again after the
// last event that was delivered. System events (streams whose name begins with
// "$") are left out.
type Follower struct {
	store  *Store
	events chan item
	cancel context.CancelFunc

	mu  sync.Mutex
	err error // why events was closed
}

// Slice is a contiguous piece of the log, system events left out.
type Slice struct {
	Records  []Record // may be empty, then CaughtUp is true
	CaughtUp bool     // when this slice was made, its end was the end of the log
}

// Follow starts following after the given position. Close must be called; ctx
// ends the follower too.
func (s *Store) Follow(ctx context.Context, after domain.Position) *Follower {
	ctx, cancel := s.bound(ctx)
	f := &Follower{store: s, events: make(chan item, followBuffer), cancel: cancel}
	s.wg.Go(func() {
		defer cancel()
		defer close(f.events)
		f.fail(f.run(ctx, after))
	})
	return f
}

// Close ends the follower. Next must not be called any more.
func (f *Follower) Close() {
	f.cancel()
	for range f.events { // until run has ended: the store can be closed then
	}
}

// Next waits for at least one event, or for the news that the follower caught
// up, and returns all that is at hand, at most limit. It must be called from one
// goroutine. An error of ClassTransient ends with its ctx; any other is final.
func (f *Follower) Next(ctx context.Context, limit int) (Slice, error) {
	var slice Slice
	bytes := 0
	take := func(e item) bool {
		if e.caughtUp {
			slice.CaughtUp = true
			return true
		}
		slice.CaughtUp = false
		slice.Records = append(slice.Records, e.record)
		bytes += len(e.record.Data)
		return len(slice.Records) < limit && bytes < maxSliceBytes
	}
	select {
	case <-ctx.Done():
		return slice, translate(ctx, "following the log", ctx.Err())
	case e, ok := <-f.events:
		if !ok {
			f.mu.Lock()
			defer f.mu.Unlock()
			return slice, f.err
		}
		for more := take(e); more; {
			select {
			case e, ok = <-f.events:
				more = ok && take(e)
			default:
				more = false
			}
		}
		return slice, nil
	}
}

func (f *Follower) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// run subscribes again and again until ctx ends, or the store refuses or reports
// damage.
func (f *Follower) run(ctx context.Context, after domain.Position) error {
	for attempt := 0; ; attempt++ {
		before := after
		err := f.subscribe(ctx, &after)
		err = translate(ctx, "following the log after "+after.String(), err)
		if ctx.Err() != nil {
			return err
		}
		if e, ok := errors.AsType[*domain.Error](err); ok &&
			(e.Class == domain.ClassIntegrity || e.Class == domain.ClassRejected || e.Code == CodeAccessDenied) {
			return err
		}
		if after != before {
			attempt = 0 // it worked for a while: this is a new break
		}
		f.store.log.DebugContext(ctx, "subscription dropped", slog.Any("error", err), slog.String("after", after.String()))
		if err := pause(ctx, attempt); err != nil {
			return translate(ctx, "following the log", err)
		}
	}
}

// subscribe delivers events until the subscription breaks, and moves after with
// each one delivered. Only positions of events are kept, never of checkpoints:
// some server versions send checkpoints that skip an event.
func (f *Follower) subscribe(ctx context.Context, after *domain.Position) (err error) {
	subscription, err := f.store.source.open(ctx, query{position: *after, subscribe: true})
	if err != nil {
		return err
	}
	defer func() { subscription.close(err) }()
	for {
		i, err := subscription.next()
		if err != nil {
			return err
		}
		if !i.caughtUp && i.record.Position.Compare(*after) <= 0 {
			continue // a resumed subscription may repeat
		}
		select {
		case f.events <- i:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !i.caughtUp {
			*after = i.record.Position
		}
	}
}
