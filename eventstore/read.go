package eventstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"

	"github.com/tradetrail/tradetrail/domain"
)

// Stream reads one stream's history from the given revision on, in order. A
// stream that does not exist is empty. The sequence ends after its first error.
func (s *Store) Stream(ctx context.Context, stream string, from uint64) iter.Seq2[Record, error] {
	return s.read(ctx, "reading stream "+stream, query{stream: stream, revision: from, count: math.MaxUint64})
}

// Forwards reads the whole log from a position on, that position included; at
// most count events, system events among them. The zero Position is the start.
func (s *Store) Forwards(ctx context.Context, from domain.Position, count uint64) iter.Seq2[Record, error] {
	return s.read(ctx, "reading the log from "+from.String(), query{position: from, count: count})
}

// Backwards reads the whole log down from before a position; EndPosition is the
// end.
func (s *Store) Backwards(ctx context.Context, before domain.Position, count uint64) iter.Seq2[Record, error] {
	return s.read(ctx, "reading the log back from "+before.String(), query{position: before, backwards: true, count: count})
}

// At reads the event at one position; ClassNotFound if there is none.
func (s *Store) At(ctx context.Context, position domain.Position) (Record, error) {
	for r, err := range s.Forwards(ctx, position, 1) {
		if err != nil {
			return Record{}, err
		}
		if r.Position == position {
			return r, nil
		}
	}
	return Record{}, classified(domain.ClassNotFound, CodeStreamMissing, "reading the event at "+position.String(), nil)
}

// Head is the position of the newest event that a Follower delivers; zero when
// there is none. A server's own events behind it don't count: nobody who follows
// the log ever gets there.
func (s *Store) Head(ctx context.Context) (domain.Position, error) {
	before := domain.EndPosition
	// Nearly always the newest event is the one: a server that is asked for more reads
	// more, long before its client says that it has enough.
	for count := uint64(1); ; count = min(8*count, maxBack) {
		read := uint64(0)
		for r, err := range s.Backwards(ctx, before, count) {
			if err != nil {
				return domain.Position{}, err
			}
			if !r.System() {
				return r.Position, nil
			}
			before = r.Position
			read++
		}
		if read < count {
			return domain.Position{}, nil // the log's beginning
		}
	}
}

// maxBack is how many events are asked for at once behind the newest of ours.
const maxBack = 512

// read waits for a server. Once it has delivered something it does not try again:
// what the caller did with it is not known here.
func (s *Store) read(ctx context.Context, doing string, q query) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		ctx, cancel := s.bound(ctx)
		defer cancel()
		for attempt := 0; ; attempt++ {
			delivered, err := s.readOnce(ctx, q, yield)
			if err == nil {
				return
			}
			broke := connectionBroke(err)
			err = translate(ctx, doing, err)
			if domain.ClassOf(err) == domain.ClassNotFound {
				return
			}
			if delivered || !broke {
				yield(Record{}, err)
				return
			}
			if ended := pause(ctx, attempt); ended != nil {
				yield(Record{}, errors.Join(err, ended))
				return
			}
		}
	}
}

func (s *Store) readOnce(ctx context.Context, q query, yield func(Record, error) bool) (delivered bool, err error) {
	reading, err := s.source.open(ctx, q)
	if err != nil {
		return false, err
	}
	defer func() { reading.close(err) }()
	for {
		i, err := reading.next()
		switch {
		case errors.Is(err, io.EOF):
			return delivered, nil
		case err != nil:
			return delivered, err
		}
		delivered = true
		if !yield(i.record, nil) {
			return true, nil
		}
		// What was read ahead doesn't outlive the caller's interest in it.
		if err := ctx.Err(); err != nil {
			return true, err
		}
	}
}
