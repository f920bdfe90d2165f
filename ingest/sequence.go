package ingest

import (
	"context"
	"crypto/sha256"
	"sync"
)

// Sequence is the input of one source, recorded piece by piece: the next piece is
// begun while those before it are still on their way to the disk. What Record
// promises of one call it keeps over all pieces, whatever they are cut into: the
// order of the events of a stream, and, where it keeps it at all, the order across
// streams. Once a piece has failed no later one is begun.
//
// An event without an id gets it from what was said, as with Record; how often the
// same was said before is counted among the first 50,000 items, then among the
// next, and so on, so that a sequence of any length takes bounded memory.
type Sequence struct {
	recorder *Recorder
	source   string

	// Of the goroutine that begins.
	items int
	seen  map[[sha256.Size]byte]int

	mu  sync.Mutex
	err error // the first one of all pieces
}

// Sequence begins a sequence. The error is that of the store, which is asked
// for the end of the log when the recorder is first used.
func (r *Recorder) Sequence(ctx context.Context, source string) (*Sequence, error) {
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	return &Sequence{recorder: r, source: source}, nil
}

// Begin sends the next items on their way and returns when the last one has been
// sent: it waits for streams that are busy, and while too many appends are under
// way. It is for one goroutine at a time. Wait of what it returns must be called,
// in any goroutine, and gives what Record would.
func (s *Sequence) Begin(ctx context.Context, items []Item) *Call {
	c := newCall(ctx, s, items)
	c.understand()
	c.appendAll(c.runs()) //nolint:contextcheck // an append outlives the caller who goes away in the middle
	return &Call{c}
}

// Call is one piece of a sequence on its way.
type Call struct{ call *call }

// Wait returns what Record would, when it would.
func (c *Call) Wait() ([]Receipt, error) { return c.call.wait() }

func (s *Sequence) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *Sequence) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// said counts how often the same was said before.
func (s *Sequence) said(digest [sha256.Size]byte) (before, window int) {
	window = s.items / MaxBodyEvents
	if s.seen == nil {
		s.seen = make(map[[sha256.Size]byte]int)
	}
	before = s.seen[digest]
	s.seen[digest]++
	return before, window
}

// counted goes on to the next item.
func (s *Sequence) counted() {
	if s.items++; s.items%MaxBodyEvents == 0 {
		s.seen = nil
	}
}
