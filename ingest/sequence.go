package ingest

import (
	"context"
	"crypto/sha256"
	"sync"
)

// Begin sends the next items of a sequence on their way and returns when the last
// one has been sent: it waits for streams that are busy, and while too many appends
// are under way. It is for one goroutine at a time. What it returns must be called.
type Begin func(ctx context.Context, items []Item) Wait

// Wait returns for one piece of a sequence what Record would, when it would. It may
// be called in any goroutine, once.
type Wait func() ([]Receipt, error)

// Sequence records the input of one source piece by piece: the next piece is begun
// while those before it are still on their way to the disk. What Record promises of
// one call it keeps over all pieces, whatever they are cut into: the order of the
// events of a stream, and, where it keeps it at all, the order across streams. Once
// a piece has failed nothing more is sent.
//
// An event without an id gets it from what was said, as with Record; how often the
// same was said before is counted among the first 50,000 items, then among the
// next, and so on, so that a sequence of any length takes bounded memory.
//
// There is no error; whoever guards a recorder has one.
func (r *Recorder) Sequence(_ context.Context, source string) (Begin, error) {
	s := &sequence{recorder: r, source: source}
	return func(ctx context.Context, items []Item) Wait {
		c := newCall(ctx, s, items)
		if err := r.prepare(ctx); err != nil {
			s.fail(err)
			return func() ([]Receipt, error) { return c.receipts, err }
		}
		c.understand()
		c.appendAll(c.runs()) //nolint:contextcheck // an append outlives the caller who goes away in the middle
		return c.wait
	}, nil
}

// sequence is what the calls of a sequence share.
type sequence struct {
	recorder *Recorder
	source   string

	// Of the goroutine that begins.
	items int
	seen  map[[sha256.Size]byte]int

	mu  sync.Mutex
	err error // the first one of all pieces
}

func (s *sequence) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *sequence) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// said counts how often the same was said before.
func (s *sequence) said(digest [sha256.Size]byte) (before, window int) {
	window = s.items / MaxBodyEvents
	if s.seen == nil {
		s.seen = make(map[[sha256.Size]byte]int)
	}
	before = s.seen[digest]
	s.seen[digest]++
	return before, window
}

// counted goes on to the next item.
func (s *sequence) counted() {
	if s.items++; s.items%MaxBodyEvents == 0 {
		s.seen = nil
	}
}
