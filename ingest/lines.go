package ingest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/tradetrail/tradetrail/domain"
)

// The bounds of what Lines holds at a time.
const (
	sliceBytes   = 64 << 10
	sliceLines   = 1000
	maxLineBytes = 1 << 20 // longer lines are cut: far more than an event may have
)

// Lines takes an NDJSON stream of any length apart. It holds one slice of it at a
// time, of at most 64 KiB and 1,000 lines, or one longer line, of which it keeps
// what quarantine does.
type Lines struct {
	in      io.Reader
	free    []byte // where the next bytes go
	held    []byte // read, and not yet given
	endless int    // so many bytes of held have no line's end
	err     error  // of in, once it has ended

	line    int       // the number of the last line given
	dropped int       // bytes of the line at hand that are not in held
	sum     hash.Hash // of that line, if there are any
	given   bool
}

// NewLines makes a reader of lines.
func NewLines(in io.Reader) *Lines { return &Lines{in: in} }

// Next returns the items of the lines that have come, at least one; blank lines
// give none. It waits for no line behind a whole one. After the last line comes
// io.EOF; any other error is that of reading, and what was read of the last line
// then counts for nothing, since nobody knows how it ends.
func (l *Lines) Next() ([]Item, error) {
	for {
		end := 0
		if at := bytes.LastIndexByte(l.held[l.endless:], '\n'); at >= 0 {
			end = l.endless + at + 1
		}
		if errors.Is(l.err, io.EOF) {
			end = len(l.held) // the last line needs no end
		}
		if end > 0 {
			if items := l.take(end); len(items) > 0 {
				return items, nil
			}
			continue
		}
		l.endless = len(l.held)
		switch {
		case errors.Is(l.err, io.EOF) && !l.given:
			l.given = true
			return []Item{{Line: 1, Err: domain.Rejectf(domain.CodeMalformed, "", "the body is empty")}}, nil
		case errors.Is(l.err, io.EOF):
			return nil, io.EOF
		case l.err != nil:
			return nil, fmt.Errorf("reading line %d: %w", l.line+1, l.err)
		default:
			l.read()
		}
	}
}

// take makes items of the lines up to end, or of the first 1,000 of them.
func (l *Lines) take(end int) []Item {
	var items []Item
	at := 0
	for n := 0; at < end && n < sliceLines; n++ {
		to := end
		if next := bytes.IndexByte(l.held[at:end], '\n'); next >= 0 {
			to = at + next
		}
		l.line++
		text := l.held[at:to]
		if l.line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		if l.dropped > 0 {
			items = append(items, l.tooLong(l.held[at:to:to]))
		} else if text = bytes.TrimSpace(text); len(text) > 0 {
			items = append(items, Understand(l.line, text[:len(text):len(text)]))
		}
		l.dropped = 0
		at = to + 1
	}
	l.held, l.endless = l.held[min(at, len(l.held)):], 0
	l.given = l.given || len(items) > 0
	return items
}

// tooLong is a line of which only the beginning is there.
func (l *Lines) tooLong(beginning []byte) Item {
	whole := digest{bytes: len(beginning) + l.dropped}
	l.sum.Sum(whole.sha256[:0])
	return Item{Line: l.line, Raw: beginning, Cut: true, whole: &whole, Err: domain.Rejectf(domain.CodeTooLarge, "",
		"event has %d bytes, at most %d are taken", whole.bytes, domain.MaxEventBytes)}
}

// read adds what comes next. Items keep the memory of their lines, so what was
// given is never written to again.
func (l *Lines) read() {
	switch {
	case l.dropped > 0 || len(l.held) >= maxLineBytes:
		l.skip()
		return
	case len(l.free) < sliceBytes/4:
		fresh := make([]byte, max(sliceBytes, 2*len(l.held)))
		n := copy(fresh, l.held)
		l.held, l.free = fresh[:n], fresh[n:]
	}
	n, err := l.in.Read(l.free)
	l.held = l.held[:len(l.held)+n] // free begins where it ended
	l.free, l.err = l.free[n:], err
}

// skip reads on in a line that is too long, and keeps its beginning and the
// digest of all of it.
func (l *Lines) skip() {
	if l.dropped == 0 {
		l.sum = sha256.New()
		l.sum.Write(l.held)
		l.dropped += len(l.held) - maxQuarantineRaw
		l.held, l.endless = bytes.Clone(l.held[:maxQuarantineRaw]), maxQuarantineRaw
		l.free = make([]byte, sliceBytes)
	}
	n, err := l.in.Read(l.free)
	l.err = err
	end := bytes.IndexByte(l.free[:n], '\n')
	if end < 0 {
		l.sum.Write(l.free[:n])
		l.dropped += n
		return
	}
	l.sum.Write(l.free[:end])
	l.dropped += end
	l.held, l.free = append(l.held, l.free[end:n]...), nil // and on as if the line had been short
}
