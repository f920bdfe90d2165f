package views

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// eventsView keeps every event's body once; the other views hold places. It is by
// far the largest view, so on a cluster it is in parts.
//
//	b:<block>  hash    place -> the event and where the store keeps it, packed
//	w          hash    open: the block that is being filled, as window
//	k          list    the blocks that are full, as window
//
// A block is a stretch of blockSpan bytes of the log.
type eventsView struct {
	count int           // of parts
	keep  time.Duration // how long bodies are kept, by recorded_at; 0: for ever
}

// blockShift makes blocks of 64 KiB, about a hundred events.
const blockShift = 16

// clusterParts is how many parts the bodies are in on a cluster: enough to spread
// evenly over a few nodes, few enough that an event alone costs little.
const clusterParts = 8

// window is a block, and when its newest event was recorded.
type window struct {
	block  uint64
	newest time.Time
}

func (w window) String() string { return fmt.Sprintf("%d %d", w.block, w.newest.UnixNano()) }

func parseWindow(text string) (window, error) {
	block, newest, _ := strings.Cut(text, " ")
	b, err := strconv.ParseUint(block, 10, 64)
	if err != nil {
		return window{}, damaged("block %q", text)
	}
	n, err := strconv.ParseInt(newest, 10, 64)
	if err != nil {
		return window{}, damaged("block %q", text)
	}
	return window{b, time.Unix(0, n)}, nil
}

func (eventsView) name() string { return Events }
func (eventsView) version() int { return 2 }

func (v eventsView) settings() string { return fmt.Sprintf("parts=%d,keep=%s", v.count, v.keep) }
func (v eventsView) parts() int       { return v.count }

func (v eventsView) part(e feed.Event) int {
	return int(e.Position.Commit>>blockShift) % v.count
}

func blockKey(k keys, block uint64) string { return k.at("b", strconv.FormatUint(block, 10)) }

func (v eventsView) fold(ctx context.Context, r reader, events []feed.Event, b *batch) error {
	read := r.rows()
	read.wantField(r.keys.at("w", ""), "open")
	read.wantField(r.keys.at("w", ""), "newest")
	if err := read.read(ctx, r.client); err != nil {
		return err
	}
	var open, newest window // of the block that is being filled, and of all
	text, begun := read.field(r.keys.at("w", ""), "open")
	if begun {
		var err error
		if open, err = parseWindow(text); err != nil {
			return err
		}
		text, _ = read.field(r.keys.at("w", ""), "newest")
		if newest, err = parseWindow(text); err != nil {
			return err
		}
	}
	var full []window
	for _, e := range events {
		if e.Event == nil {
			continue
		}
		block := e.Position.Commit >> blockShift
		if begun && open.block != block {
			full = append(full, open)
			open = window{}
		}
		begun = true
		open.block = block
		if e.RecordedAt.After(open.newest) {
			open.newest = e.RecordedAt
		}
		if e.RecordedAt.After(newest.newest) {
			newest = window{block, e.RecordedAt}
		}
		b.add("HSET", blockKey(r.keys, block), place(e.Position), pack(envelope(e)))
	}
	if !begun {
		return nil
	}
	b.setField(r.keys.at("w", ""), "open", open.String())
	b.setField(r.keys.at("w", ""), "newest", newest.String())
	return v.forget(ctx, r, full, newest.newest, b)
}

// someBlocks is how many blocks are looked at for being too old at a time.
const someBlocks = 64

// forget puts full blocks into the list, and removes those from its front that
// are older than the newest event by more than what is kept. Time is the log's
// own and never goes back, so that a rebuild keeps the same.
func (v eventsView) forget(ctx context.Context, r reader, full []window, now time.Time, b *batch) error {
	list := r.keys.at("k", "")
	stays := v.keep == 0
	gone := 0
	for more := !stays; more && !stays; {
		texts, err := r.client.LRange(ctx, list, int64(gone), int64(gone)+someBlocks-1).Result()
		if err != nil {
			return unavailable("reading which bodies are kept", err)
		}
		more = len(texts) == someBlocks
		for _, text := range texts {
			w, err := parseWindow(text)
			if err != nil {
				return err
			}
			if stays = now.Sub(w.newest) <= v.keep; stays {
				break
			}
			b.add("UNLINK", blockKey(r.keys, w.block))
			gone++
		}
	}
	if gone > 0 {
		b.add("LPOP", list, gone)
	}
	for _, w := range full {
		if stays = stays || now.Sub(w.newest) <= v.keep; stays {
			b.add("RPUSH", list, w.String())
		} else {
			b.add("UNLINK", blockKey(r.keys, w.block))
		}
	}
	return nil
}

// envelope is what is kept of an event: its revision, the length of its stream's
// name, the name, and the payload as stored.
func envelope(e feed.Event) []byte {
	text := make([]byte, 0, 2*binary.MaxVarintLen64+len(e.Stream)+len(e.Payload))
	text = binary.AppendUvarint(text, e.Revision)
	text = binary.AppendUvarint(text, uint64(len(e.Stream)))
	text = append(text, e.Stream...)
	return append(text, e.Payload...)
}

func parseBody(position domain.Position, packed string) (e domain.Located, size int, err error) {
	text, err := unpack(packed)
	if err != nil {
		return domain.Located{}, 0, err
	}
	size = len(text)
	revision, n := binary.Uvarint(text)
	text = text[max(n, 0):]
	length, m := binary.Uvarint(text)
	text = text[max(m, 0):]
	if n <= 0 || m <= 0 || length > uint64(len(text)) {
		return domain.Located{}, 0, damaged("an unreadable body at %s", position)
	}
	event, err := domain.Decode(text[length:])
	if err != nil {
		return domain.Located{}, 0, damaged("an unreadable event at %s", position)
	}
	return domain.Located{Event: event, Stream: string(text[:length]), Revision: revision, Position: position}, size, nil
}
