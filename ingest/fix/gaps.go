package fix

import (
	"slices"
	"strconv"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// The bounds of what is remembered of the numbers in a log.
const (
	maxWays  = 1024 // sessions, each with two
	maxGaps  = 256  // open ones of each way
	maxSpans = 1024 // pieces of one gap
)

// gaps finds numbers that are missing in each direction of each session of a log.
type gaps struct{ ways map[string]*way }

func newGaps() *gaps { return &gaps{ways: make(map[string]*way)} }

// way is one direction.
type way struct {
	next int // the number after the highest
	open []gap
}

// gap is a stretch of numbers that did not come; left is what is still missing.
type gap struct {
	from, to int
	left     []span
}

type span struct{ from, to int }

// see takes note of a message's number and tells what that says about others.
func (g *gaps) see(u *understood) []ingest.Item {
	name := u.who.way()
	w, ok := g.ways[name]
	if !ok {
		if len(g.ways) == maxWays {
			return nil
		}
		g.ways[name] = &way{next: u.number + 1}
		return nil
	}
	reset := u.row.MsgType == "A" && u.says(tagResetSeqNum) || // FIX: both sides begin at 1 again
		u.row.MsgType == "A" && u.number < w.next && !u.says(tagPossDup) // or without a word, as at the start of a day
	var items []ingest.Item
	if reset && w.next != u.number {
		items = append(items, ingest.Item{Event: u.who.noted(domain.SessionSequenceReset, span{w.next, u.number}, u.sent)})
	}
	if reset {
		*w = way{next: u.number + 1}
		return items
	}
	if u.number > w.next {
		if len(w.open) < maxGaps {
			w.open = append(w.open, gap{w.next, u.number - 1, []span{{w.next, u.number - 1}}})
		}
		items = append(items, ingest.Item{Event: u.who.noted(domain.SessionGapDetected, span{w.next, u.number - 1}, u.sent)})
	}
	last := u.number
	if u.row.MsgType == "4" {
		if next, err := wholeNumber(u.first(tagNewSeqNo), maxNumber); err == nil && next > 0 {
			last = next - 1
			if !u.says(tagGapFill) {
				*w = way{next: next} // from now on, whatever is missing stays so
				return items
			}
		}
	}
	for i := 0; i < len(w.open); i++ {
		if w.open[i].fill(u.number, last); len(w.open[i].left) > 0 {
			continue
		}
		items = append(items, ingest.Item{Event: u.who.noted(domain.SessionGapFilled, span{w.open[i].from, w.open[i].to}, u.sent)})
		w.open = slices.Delete(w.open, i, i+1)
		i--
	}
	w.next = max(w.next, last+1)
	return items
}

// fill takes numbers out of what is missing.
func (g *gap) fill(from, to int) {
	var left []span
	for _, s := range g.left {
		if s.to < from || s.from > to {
			left = append(left, s)
			continue
		}
		if s.from < from {
			left = append(left, span{s.from, from - 1})
		}
		if s.to > to {
			left = append(left, span{to + 1, s.to})
		}
	}
	if len(left) <= maxSpans {
		g.left = left
	}
}

// noted makes an event about numbers, which no message carries. It derives its id
// from what it says, so that it is noted once.
func (p parties) noted(t domain.EventType, numbers span, at time.Time) *domain.Event {
	from, to := "from_seq_num", "to_seq_num"
	switch t {
	case domain.SessionSequenceReset:
		from, to = "expected_seq_num", "msg_seq_num"
	case domain.SessionDisconnected:
		from, to = "expected_seq_num", "next_sender_seq_num"
	default:
	}
	e := &domain.Event{
		Type: t, OccurredAt: at, SchemaVersion: domain.SchemaVersion, SessionID: p.session(), Actor: p.sender,
		ID: domain.DeriveID("fix", p.way(), string(t)+" "+strconv.Itoa(numbers.from)+" "+strconv.Itoa(numbers.to)+" "+at.Format(time.RFC3339Nano)),
	}
	e.EntityType, e.EntityID = "session", e.SessionID
	d := newData()
	d.text("sender_comp_id", p.sender)
	d.text("target_comp_id", p.target)
	d.number(from, numbers.from)
	d.number(to, numbers.to)
	e.Data = d.done()
	return e
}
