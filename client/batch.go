package client

import (
	"github.com/tradetrail/tradetrail/client/internal/spool"
)

// The bounds of one request, well below the server's.
const (
	maxBatchEvents = 1000
	maxBatchBytes  = 1 << 20
)

// item is one entry of the spool on its way.
type item struct {
	next    uint64 // the mark once it is settled
	at      int64
	id      string
	end     int        // of its line in the batch's lines
	refused *Rejection // it can't be sent: it has no line
}

// batch is a stretch of the spool as NDJSON. It stays until every item of it is
// settled, so that a request which is repeated is the same.
type batch struct {
	items []item
	lines []byte
	begin int // of the first item's line
}

// fill takes entries until the bounds are reached or nothing more is there. The
// batch must be empty.
func (b *batch) fill(r *spool.Reader, spoolID string, damaged func(uint64)) error {
	b.items, b.lines, b.begin = b.items[:0], b.lines[:0], 0
	for len(b.items) < maxBatchEvents && len(b.lines) < maxBatchBytes {
		entry, ok, err := r.Next()
		if err != nil || !ok {
			return err
		}
		it := item{next: entry.Next, at: entry.At}
		if entry.Gap != nil {
			if !entry.Gap.Dropped {
				damaged(entry.Gap.To - entry.Gap.From + 1)
			}
			it.id, it.at = b.notice(entry.Gap, spoolID), entry.Gap.At
		} else {
			var err error
			start := len(b.lines)
			if b.lines, it.id, err = appendLine(b.lines, entry.Record); err != nil {
				b.lines = b.lines[:start]
				it.refused = rejectionOf(it.id, entry.Body, err)
			} else {
				b.lines = append(b.lines, '\n')
			}
		}
		it.end = len(b.lines)
		b.items = append(b.items, it)
	}
	return nil
}

// settle forgets the first n items.
func (b *batch) settle(n int) {
	if n > 0 {
		b.begin = b.items[n-1].end
		b.items = b.items[n:]
	}
}

// head is the lines of the first n items, and how many they are.
func (b *batch) head(n int) (lines []byte, events int) {
	for _, it := range b.items[:n] {
		if it.refused == nil {
			events++
		}
	}
	return b.lines[b.begin:b.items[n-1].end], events
}

// line is the one of the nth item, without its end.
func (b *batch) line(n int) []byte {
	start := b.begin
	if n > 0 {
		start = b.items[n-1].end
	}
	if start == b.items[n].end {
		return nil
	}
	return b.lines[start : b.items[n].end-1]
}
