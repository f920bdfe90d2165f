package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// recover takes stock of the segments that are there: which have records, and
// where the sequence goes on.
func (s *Spool) recover() error {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	var numbers []uint64
	for _, entry := range entries {
		if number, ok := segmentNumber(entry.Name()); ok {
			numbers = append(numbers, number)
		} else if strings.HasSuffix(entry.Name(), newSuffix) {
			if err := os.Remove(filepath.Join(s.cfg.Dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	slices.Sort(numbers)
	for _, number := range numbers {
		if err := s.recoverSegment(number); err != nil {
			return fmt.Errorf("recovering segment %d: %w", number, err)
		}
		s.number = number + 1
	}
	return nil
}

func (s *Spool) recoverSegment(number uint64) error {
	path := segmentPath(s.cfg.Dir, number)
	h, blank, err := readHeader(path)
	if err != nil {
		return err
	}
	if h.number != number {
		h = header{size: s.cfg.SegmentBytes}
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	first, next, damaged, err := survey(file, number, h.size)
	if err != nil {
		return err
	}
	switch {
	case h.first != 0 && next == 0 && !damaged && h.first <= max(s.sequence, s.delivered.Load()):
		return s.removeEmpty(path)
	case h.first != 0:
		first = h.first
	case first == 0 && blank && !damaged:
		return os.Remove(path) // prepared, and never begun
	case first == 0: // nothing to be had; that there was something is seen by the gap
		s.cfg.Log.Error("a segment of the spool is damaged from end to end", slog.String("path", path))
		s.extents = append(s.extents, extent{number: number, first: s.sequence})
		s.sequence++
		return nil
	default:
		first = max(first, s.sequence)
	}
	s.extents = append(s.extents, extent{number: number, first: first})
	s.sequence = max(first, next, s.sequence)
	if damaged {
		s.sequence++ // at least one is missing
	}
	return nil
}

// removeEmpty removes a segment that was begun and got no record, where the sequence
// goes on without it: perhaps from the mark alone, which must be on disk then.
func (s *Spool) removeEmpty(path string) error {
	if err := s.mark.sync(); err != nil {
		return err
	}
	return os.Remove(path)
}

// readHeader reads a segment's header; what is damaged has number 0. blank says
// that there are only zeros in a file with its blocks, as in one that is prepared.
func readHeader(path string) (h header, blank bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return header{}, false, err
	}
	defer func() { _ = file.Close() }() // only read
	var page [headerBytes]byte
	if _, err := io.ReadFull(file, page[:]); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return header{}, false, err
	}
	info, err := file.Stat()
	if err != nil {
		return header{}, false, err
	}
	h, _ = parseHeader(page[:])
	return h, len(bytes.Trim(page[:], "\x00")) == 0 && info.Size() > headerBytes, nil
}

// survey finds the first sequence in a file and the one after the last, both 0 if
// there is no record; damaged says that behind the last whole record something is
// not as it was written, so that there may have been more: a record that was
// committed is not whole, or the file has lost its end. Sequences that were dropped
// count.
func survey(file *os.File, number uint64, size int64) (first, next uint64, damaged bool, err error) {
	t := tape{file: file, number: number, limit: endOfFile}
	for offset := int64(headerBytes); ; {
		k, r, after, err := t.look(offset)
		if err != nil {
			return 0, 0, false, err
		}
		switch {
		case k == kindWhole && r.Sequence >= next:
			if first == 0 {
				first = r.Sequence
			}
			next, offset = r.Sequence+1, after
			continue
		case k == kindPad:
			offset = after
			continue
		case k == kindEnd:
		case k == kindLimit:
			damaged = t.limit < size
		default:
			at, found, err := t.findNext(offset, next)
			if err != nil {
				return 0, 0, false, err
			}
			if found {
				offset = at
				continue
			}
			damaged = k != kindNothing
		}
		var page [headerBytes]byte
		if n, err := file.ReadAt(page[:], 0); err == nil || n > 0 {
			if from, to, _ := dropped(page[:]); from >= next && from != 0 {
				next = max(next, to+1)
			}
		}
		return first, next, damaged, nil
	}
}
