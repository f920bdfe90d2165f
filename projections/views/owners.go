package views

import (
	"context"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// ownersView keeps what belongs to an account, a strategy, a user or an
// instrument; each kind has a view of its own. An event belongs to the owner that
// it names; if it names none, to the owner that its order's earlier events named
// first (fills often name only the order).
//
//	t, T  trails  owner -> its events
//	n     list    per owner: its orders, in the order in which they appeared
//	s     table   owner -> Stats as JSON
//	a     table   order -> its owner
type ownersView struct {
	kind  string
	owner func(*domain.Event) string
}

var ownerTrails = trails{table: "t", list: "T"}

// Stats are the counts and sums of one owner.
type Stats struct {
	Events int64 `json:"events"`
	Orders int64 `json:"orders"`
	domain.Traded
	ByType  map[string]int64 `json:"by_type"`
	FirstAt time.Time        `json:"first_at"` // earliest and latest occurred_at
	LastAt  time.Time        `json:"last_at"`
}

func (s *Stats) add(e feed.Event) {
	s.Events++
	if s.ByType == nil {
		s.ByType = make(map[string]int64)
	}
	s.ByType[string(e.Type)]++
	if s.FirstAt.IsZero() || e.OccurredAt.Before(s.FirstAt) {
		s.FirstAt = e.OccurredAt
	}
	if e.OccurredAt.After(s.LastAt) {
		s.LastAt = e.OccurredAt
	}
	if e.Traded.Fills > 0 {
		s.Merge(e.Traded)
	}
}

func (v ownersView) name() string { return v.kind }
func (ownersView) version() int   { return 2 }

// gain is what a slice adds to one owner.
type gain struct {
	events []feed.Event
	orders int64
}

func (v ownersView) fold(ctx context.Context, r reader, events []feed.Event, b *batch) error {
	read := r.rows()
	for _, e := range events {
		if e.Event != nil && e.OrderID != "" {
			read.want("a", e.OrderID)
		}
	}
	if err := read.read(ctx, r.client); err != nil {
		return err
	}
	trail := ownerTrails.grow()
	gains := make(map[string]*gain)
	assigned := make(map[string]string) // in this slice
	for _, e := range events {
		if e.Event == nil {
			continue
		}
		owner, joins := v.owner(e.Event), false
		if e.OrderID != "" {
			first, known := assigned[e.OrderID]
			if !known {
				first, known = read.row("a", e.OrderID)
			}
			if owner == "" {
				owner = first
			}
			joins = !known && owner != ""
		}
		if owner == "" {
			continue
		}
		g := gains[owner]
		if g == nil {
			g = &gain{}
			gains[owner] = g
			read.want("s", owner)
		}
		if joins {
			assigned[e.OrderID] = owner
			b.set("a", e.OrderID, owner)
			b.push("n", owner, e.OrderID)
			g.orders++
		}
		g.events = append(g.events, e)
		trail.add(owner, e.Position)
	}
	trail.want(read)
	if err := read.read(ctx, r.client); err != nil {
		return err
	}
	for owner, g := range gains {
		text, _ := read.row("s", owner)
		stats, err := parseStats(owner, text)
		if err != nil {
			return err
		}
		stats.Orders += g.orders
		for _, e := range g.events {
			stats.add(e)
		}
		if err := b.setJSON("s", owner, "statistics of "+owner, stats); err != nil {
			return err
		}
		b.touch(ownerTopic(v.kind, owner))
	}
	return trail.write(read, b)
}

func ownerTopic(kind, owner string) string { return kind + ":" + owner }

func parseStats(owner, text string) (Stats, error) {
	return parseJSON[Stats]("statistics of "+owner, text)
}
