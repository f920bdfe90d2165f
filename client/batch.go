package client

import (
	"slices"

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
	refused *Rejection // it can't be sent: its line is the event in its place
	kept    int        // how many bytes of what is refused that line has
	partial bool       // and these are not all
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
				it.stand(rejectionOf(it.id, entry.Body, err), len(entry.Body))
				b.lines = append(b.lines, it.notSent(spoolID)...)
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

// head is the lines of the first n items.
func (b *batch) head(n int) []byte { return b.lines[b.begin:b.items[n-1].end] }

// shorten puts an event with less of it in the place of the first item, which is
// too large by itself. It reports whether that makes it any shorter.
func (b *batch) shorten(spoolID string, err error) bool {
	it := b.items[0]
	if it.refused == nil {
		line := slices.Clone(b.line(0))
		it.stand(&Rejection{EventID: it.id, Code: CodeServerRefused, Message: err.Error(), Event: line}, len(line))
	}
	it.stand(it.refused, it.kept/4)
	line := it.notSent(spoolID)
	more := len(line) - (it.end - b.begin)
	if more >= 0 {
		return false
	}
	b.lines = slices.Replace(b.lines, b.begin, it.end, line...)
	b.items[0] = it
	for i := range b.items {
		b.items[i].end += more
	}
	return true
}

// line is the one of the nth item, without its end.
func (b *batch) line(n int) []byte {
	start := b.begin
	if n > 0 {
		start = b.items[n-1].end
	}
	return b.lines[start : b.items[n].end-1]
}
