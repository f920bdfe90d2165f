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
	link := func(ref domain.Ref, e feed.Event) {
		links.add(refTopic(ref), e.Position)
		b.touch(refTopic(ref))
	}
	for _, e := range events {
		if e.Event == nil {
			continue
		}
		if e.OrderID != "" {
			link(domain.Ref{Kind: domain.KindOrder, ID: e.OrderID}, e)
			continue
		}
		for _, ref := range domain.Concerns(e.Event) {
			link(ref, e)
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
