package views

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// searchView keeps what finds events that nothing else leads to: those of a type,
// and those of a day.
//
//	t, T  trails  event type -> its events; without a type, all events
//	d     list    per UTC day of occurred_at: the spans of the log with its events
//	y     hash    the days that there are
//	w     hash    open: the span that is being filled and the days it has
//
// A span is a stretch of the log: whoever looks for a time reads the spans of its
// days and leaves out the rest of the log.
type searchView struct{}

var typeTrails = trails{table: "t", list: "T"}

// anyType is the id of the trail of all events.
const anyType = ""

// spanShift makes spans of 256 KiB, about 400 events.
const spanShift = 18

func (searchView) name() string { return Search }
func (searchView) version() int { return 2 }

func (searchView) fold(ctx context.Context, r reader, events []feed.Event, b *batch) error {
	trail := typeTrails.grow()
	for _, e := range events {
		if e.Event != nil {
			for _, id := range []string{string(e.Type), anyType} {
				trail.add(id, e.Position)
				b.touch(ownerTopic(Search, id))
			}
		}
	}
	read := r.rows()
	trail.want(read)
	read.wantField(r.keys.at("w", ""), "open")
	if err := read.read(ctx, r.client); err != nil {
		return err
	}
	text, _ := read.field(r.keys.at("w", ""), "open")
	open := parseSpan(text)
	for _, e := range events {
		if e.Event == nil {
			continue
		}
		if day := domain.DayOf(e.Event); open.take(e.Position.Commit>>spanShift, day) {
			b.push("d", day, strconv.FormatUint(open.number, 10))
			b.add("HSET", r.keys.at("y", ""), day, "")
		}
	}
	if open.begun() && open.String() != text {
		b.setField(r.keys.at("w", ""), "open", open.String())
	}
	return trail.write(read, b)
}

// span is a stretch of the log and the days that occur in it: "17 2026-03-02".
type span struct {
	number uint64
	days   []string
}

func parseSpan(text string) span {
	words := strings.Fields(text)
	if len(words) == 0 {
		return span{}
	}
	number, _ := strconv.ParseUint(words[0], 10, 64)
	return span{number, words[1:]}
}

func (s *span) begun() bool { return len(s.days) > 0 }

func (s *span) String() string {
	return strconv.FormatUint(s.number, 10) + " " + strings.Join(s.days, " ")
}

// take notes a day of a span, which must not be before s; it reports whether it
// is new there.
func (s *span) take(number uint64, day string) bool {
	if number != s.number {
		*s = span{number: number}
	}
	if slices.Contains(s.days, day) {
		return false
	}
	s.days = append(s.days, day)
	return true
}
