package views

import (
	"context"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// chainsView keeps the links that chains are made of: the events of each order,
// and the events without an order that concern a recommendation, computation,
// evaluation or approval.
//
//	l, c  trails  <kind>:<id>
type chainsView struct{}

var chainTrails = trails{table: "l", list: "c"}

func (chainsView) name() string { return Chains }
func (chainsView) version() int { return 1 }

func (chainsView) fold(ctx context.Context, r reader, events []feed.Event, b *batch) error {
	links := chainTrails.grow()
	for _, e := range events {
		concerned := e.Links
		if e.Event != nil && e.OrderID != "" {
			concerned = e.Links[:1]
		}
		for _, ref := range concerned {
			name := refTopic(ref)
			links.add(name, e.Position)
			b.touch(name)
		}
	}
	read := r.rows()
	links.want(read)
	if err := read.read(ctx, r.client); err != nil {
		return err
	}
	return links.write(read, b)
}

func orderTopic(id string) string    { return domain.KindOrder + ":" + id }
func refTopic(ref domain.Ref) string { return ref.Kind + ":" + ref.ID }
