package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// tape reads the records of one segment file, whatever is in it. It does not use
// the mapping: a file that was cut short behind our back is an end, not a signal.
type tape struct {
	file   io.ReaderAt
	number uint64
	limit  int64 // nothing is read behind it
	buf    []byte
	start  int64 // of buf in the file
}

const (
	tapeBytes = 256 << 10
	// endOfFile is a limit behind the end of any file: the file says where it is.
	endOfFile = 1 << 40
)

// kind is what stands at a place.
type kind int

const (
	kindNothing kind = iota // zeros: no record was committed here
	kindWhole               // a record
	kindPad
	kindEnd
	kindDamaged
	kindLimit // the place is at or behind the limit
)

// peek returns n bytes at the offset, or fewer before the limit.
func (t *tape) peek(offset int64, n int) ([]byte, error) {
	n = int(min(int64(n), t.limit-offset))
	if n <= 0 {
		return nil, nil
	}
	if offset < t.start || offset+int64(n) > t.start+int64(len(t.buf)) {
		size := int(min(int64(max(n, tapeBytes)), t.limit-offset))
		if cap(t.buf) < size {
			t.buf = make([]byte, size)
		}
		got, err := t.file.ReadAt(t.buf[:size], offset)
		if err != nil && !errors.Is(err, io.EOF) {
			t.buf = t.buf[:0]
			return nil, fmt.Errorf("reading segment %d: %w", t.number, err)
		}
		t.start, t.buf = offset, t.buf[:got]
		if got < size {
			t.limit = offset + int64(got)
			n = min(n, got)
		}
	}
	at := offset - t.start
	return t.buf[at : at+int64(n)], nil
}

// look says what stands at the offset, which is aligned, and where the next thing
// does. Body is valid until the next call.
func (t *tape) look(offset int64) (k kind, r Record, next int64, err error) {
	head, err := t.peek(offset, alignBytes)
	if err != nil {
		return 0, Record{}, 0, err
	}
	if len(head) < alignBytes {
		return kindLimit, Record{}, offset, nil
	}
	word := binary.LittleEndian.Uint32(head)
	switch {
	case word == 0:
		return kindNothing, Record{}, offset, nil
	case word == wordPad:
		return kindPad, Record{}, pageAfter(offset + 1), nil
	case word == wordEnd:
		return kindEnd, Record{}, offset, nil
	case word&kindMask != kindRecord:
		return kindDamaged, Record{}, offset, nil
	}
	n := recordBytes + int(word&^kindMask)
	whole, err := t.peek(offset, n)
	if err != nil {
		return 0, Record{}, 0, err
	}
	if len(whole) < n || binary.LittleEndian.Uint32(whole[4:]) != checksum(t.number, whole[8:]) {
		return kindDamaged, Record{}, offset, nil
	}
	r = Record{
		Sequence: binary.LittleEndian.Uint64(whole[8:]),
		At:       int64(binary.LittleEndian.Uint64(whole[16:])), //nolint:gosec // bits, not a number
		ID:       ID(whole[24:recordBytes]),
		Body:     whole[recordBytes:],
	}
	return kindWhole, r, offset + aligned(len(r.Body)), nil
}

// findNext looks behind the offset for a record with this sequence or a later one:
// found is false if there is none before the limit.
func (t *tape) findNext(offset int64, sequence uint64) (at int64, found bool, err error) {
	for at := offset + alignBytes; at < t.limit; at += alignBytes {
		k, r, _, err := t.look(at)
		if err != nil {
			return 0, false, err
		}
		if k == kindWhole && r.Sequence >= sequence {
			return at, true, nil
		}
	}
	return 0, false, nil
}
