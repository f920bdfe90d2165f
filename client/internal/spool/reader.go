package spool

import (
	"errors"
	"os"
	"slices"
)

// Gap stands in the place of records that can't be had.
type Gap struct {
	From, To uint64 // the first and last sequence; To is at least that, if the end of a file is damaged
	At       int64  // ns since 1970: no later than this if damaged, from then on if dropped
	Dropped  bool   // never kept, since the spool was full; otherwise damaged
	Segment  uint64 // the file
	Offset   int64  // where the damage begins, in bytes
}

// Entry is what a reader returns: a record, or a gap.
type Entry struct {
	Record

	Gap  *Gap
	Next uint64 // the mark once the entry was delivered
}

// Reader returns what was appended and not delivered, in order. There is one per
// spool, and one goroutine at a time may use it.
type Reader struct {
	s      *Spool
	extent extent
	file   *os.File
	tape   tape
	offset int64
	expect uint64 // the sequence of the next record
	torn   int64  // where the damage begins that is being skipped, or 0
}

// Reader makes the reader. Close must be called before that of the spool.
func (s *Spool) Reader() (*Reader, error) {
	r := &Reader{s: s}
	s.mu.Lock()
	start := s.extents[0]
	for _, e := range s.extents {
		if e.first <= s.delivered.Load() {
			start = e
		}
	}
	s.mu.Unlock()
	err := r.open(start)
	// What is missing before the first segment there is.
	r.expect = min(r.expect, max(s.delivered.Load(), 1))
	return r, err
}

// Close gives the file up.
func (r *Reader) Close() error { return r.file.Close() }

func (r *Reader) open(e extent) error {
	file, err := os.Open(segmentPath(r.s.cfg.Dir, e.number))
	if err != nil {
		return err
	}
	if r.file != nil {
		if err := r.file.Close(); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	r.extent, r.file, r.offset, r.expect, r.torn = e, file, headerBytes, e.first, 0
	r.tape = tape{file: file, number: e.number, buf: r.tape.buf[:0]}
	r.s.reading.Store(e.number)
	return r.s.free()
}

// Next returns the next entry; ok is false if there is none now. Records that were
// delivered before are left out.
func (r *Reader) Next() (entry Entry, ok bool, err error) {
	for {
		r.tape.limit = endOfFile
		ended := true
		if g := r.extent.live; g != nil && !g.sealed.Load() {
			r.tape.limit, ended = g.head.Load(), false
		}
		k, record, next, err := r.tape.look(r.offset)
		if err != nil {
			return Entry{}, false, err
		}
		switch k {
		case kindWhole:
			if record.Sequence < r.expect {
				k = kindDamaged // a record of old that came back, or a forged one
				break
			}
			if gap := r.skipped(record.Sequence, record.At); gap != nil {
				return Entry{Gap: gap, Next: record.Sequence}, true, nil
			}
			r.offset, r.expect = next, record.Sequence+1
			if record.Sequence < r.s.delivered.Load() {
				continue
			}
			return Entry{Record: record, Next: r.expect}, true, nil
		case kindPad:
			r.offset = next
			continue
		case kindLimit:
			if !ended {
				return Entry{}, false, nil
			}
		default:
		}
		if k == kindNothing || k == kindDamaged {
			if r.torn == 0 {
				r.torn = r.offset
			}
			at, found, err := r.tape.findNext(r.offset, r.expect)
			if err != nil {
				return Entry{}, false, err
			}
			if found {
				r.offset = at
				continue
			}
		}
		if !ended { // damage up to where the writer is: more may come
			return Entry{}, false, nil
		}
		entry, moved, err := r.endOfSegment()
		if err != nil || entry.Gap != nil || !moved {
			return entry, entry.Gap != nil, err
		}
	}
}

// skipped returns the gap before the sequence, if there is one that was not
// delivered before, and expects the sequence next.
func (r *Reader) skipped(sequence uint64, at int64) *Gap {
	from := r.expect
	offset := r.torn
	r.expect, r.torn = sequence, 0
	if from == sequence || sequence <= r.s.delivered.Load() {
		return nil
	}
	return &Gap{From: from, To: sequence - 1, At: at, Segment: r.extent.number, Offset: offset}
}

// endOfSegment returns what is missing up to the next segment, or goes there.
func (r *Reader) endOfSegment() (entry Entry, moved bool, err error) {
	r.s.mu.Lock()
	at := slices.IndexFunc(r.s.extents, func(e extent) bool { return e.number == r.extent.number })
	last := at+1 >= len(r.s.extents)
	var next extent
	if !last {
		next = r.s.extents[at+1]
	}
	r.s.mu.Unlock()
	if last {
		return Entry{}, false, nil
	}
	var page [headerBytes]byte
	if n, err := r.file.ReadAt(page[:], 0); err == nil || n > 0 {
		from, to, since := dropped(page[:])
		switch {
		case from == 0 || to >= next.first || from < r.expect:
		case from == r.expect:
			r.expect = to + 1
			if r.expect > r.s.delivered.Load() {
				return Entry{Gap: &Gap{From: from, To: to, At: since, Dropped: true, Segment: r.extent.number}, Next: r.expect}, false, nil
			}
		default:
			next.first = from // what is missing before is damaged
		}
	}
	if r.expect < next.first {
		at, err := createdAt(r.s.cfg.Dir, next.number)
		if err != nil {
			return Entry{}, false, err
		}
		if gap := r.skipped(next.first, at); gap != nil {
			return Entry{Gap: gap, Next: r.expect}, false, nil
		}
		return Entry{}, true, nil // look again from here
	}
	return Entry{}, true, r.open(next)
}

// createdAt reads when a segment was begun.
func createdAt(dir string, number uint64) (int64, error) {
	h, _, err := readHeader(segmentPath(dir, number))
	return h.created, err
}
