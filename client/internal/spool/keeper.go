package spool

import (
	"context"
	"log/slog"
	"time"

	"github.com/tradetrail/tradetrail/internal/backoff"
)

const (
	// warmBytes ahead of the next record are kept writable: what is appended
	// between two looks, at several times the rate that the client promises.
	warmBytes = 1 << 20
	warmEvery = 10 * time.Millisecond
)

// keepReady prepares segments ahead, within the bound on all files.
func (s *Spool) keepReady(ctx context.Context) {
	for attempt := 0; ctx.Err() == nil; {
		if !s.wantsSegment() {
			select {
			case <-s.prepare:
			case <-ctx.Done():
			}
			continue
		}
		g, err := createSegment(s.cfg.Dir, s.number, s.cfg.SegmentBytes, s.cfg.Allocate)
		if err != nil {
			s.mu.Lock()
			s.trouble = err
			s.mu.Unlock()
			if attempt == 0 {
				s.cfg.Log.WarnContext(ctx, "the spool gets no more room", slog.Any("error", err))
			}
			_ = backoff.Wait(ctx, attempt, 50*time.Millisecond, 5*time.Second) // ends with ctx, as the loop does
			attempt++
			continue
		}
		attempt = 0
		g.warm(0, warmBytes)
		s.mu.Lock()
		s.number++
		s.trouble = nil
		s.ready = append(s.ready, g)
		if s.dropping && !s.old {
			s.rotate() // so that the end of the gap does not wait for the next record
		}
		s.madeRoom()
		s.mu.Unlock()
	}
}

func (s *Spool) wantsSegment() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ready) < readyAhead && s.within(len(s.extents)+len(s.ready)+1)
}

// madeRoom wakes those who wait. The mutex is held.
func (s *Spool) madeRoom() {
	if !s.closed {
		close(s.room)
		s.room = make(chan struct{})
	}
}

// keepWarm makes pages writable before they are needed, and looks whether the
// oldest record waits for too long.
func (s *Spool) keepWarm(ctx context.Context) {
	ticker := time.NewTicker(warmEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		active, offset := s.active, s.offset
		var next *segment
		if len(s.ready) > 0 {
			next = s.ready[0]
		}
		s.mu.Unlock()
		// A sealed segment is released by the syncer alone, and only after a mutex
		// that this goroutine holds while it is in a mapping.
		s.warming.Lock()
		if !active.sealed.Load() {
			active.warm(offset, warmBytes)
		}
		if left := s.cfg.SegmentBytes - offset; next != nil && !next.sealed.Load() && left < warmBytes {
			next.warm(0, warmBytes-left)
		}
		s.warming.Unlock()
		s.checkAge()
	}
}

func (s *Spool) checkAge() {
	if s.cfg.MaxAge == 0 {
		return
	}
	since := s.waiting.Load()
	old := since != 0 && s.cfg.Now().Sub(time.Unix(0, since)) > s.cfg.MaxAge
	s.mu.Lock()
	defer s.mu.Unlock()
	if old != s.old {
		s.old = old
		if !old {
			if s.dropping && len(s.ready) > 0 {
				s.rotate()
			}
			s.madeRoom()
		}
	}
}

// keepSynced puts records on disk as the policy says, and gives up segments that
// are done.
func (s *Spool) keepSynced(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.hurry:
		case <-ctx.Done():
			return
		}
		var err error
		if s.cfg.Sync == SyncNever {
			err = s.releaseSealed(s.takeSealed())
		} else {
			err = s.syncNow()
		}
		if err != nil {
			s.cfg.Log.ErrorContext(ctx, "the spool could not be synced", slog.Any("error", err))
		}
	}
}

// syncNow makes durable what was appended before. The next record begins a page of
// its own: a page is written out once and not touched again, so nobody who appends
// waits for a page that is being written out.
func (s *Spool) syncNow() error {
	s.mu.Lock()
	if s.offset > s.padded {
		if s.offset%pageBytes != 0 {
			commit(s.active.data[s.offset:], wordPad)
			s.offset = pageAfter(s.offset)
			s.active.head.Store(s.offset)
		}
		s.padded = s.offset
	}
	active, to, sequence := s.active, s.offset, s.sequence
	sealed := s.sealed
	s.sealed = nil
	s.mu.Unlock()

	var err error
	for _, g := range sealed {
		if e := g.sync(min(g.head.Load()+alignBytes, int64(len(g.data)))); e != nil {
			err = e
		}
	}
	if e := s.releaseSealed(sealed); e != nil {
		err = e
	}
	if e := active.sync(to); e != nil {
		err = e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.lost = err // what a failed sync was about is not written by a later one
	} else {
		s.durable = sequence
	}
	close(s.synced)
	s.synced = make(chan struct{})
	return err
}

func (s *Spool) takeSealed() []*segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	sealed := s.sealed
	s.sealed = nil
	return sealed
}

func (s *Spool) releaseSealed(sealed []*segment) error {
	if len(sealed) == 0 {
		return nil
	}
	s.warming.Lock()
	defer s.warming.Unlock()
	var first error
	for _, g := range sealed {
		if err := g.release(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
