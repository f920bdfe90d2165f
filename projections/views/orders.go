package views

import (
	"context"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// ordersView keeps the state of each order.
//
//	o  table  order -> domain.Order, packed
type ordersView struct{}

func (ordersView) name() string { return Orders }
func (ordersView) version() int { return 5 }

func (ordersView) fold(ctx context.Context, r reader, events []feed.Event, b *batch) error {
	var ids []string
	orders := make(map[string]*domain.Order)
	for _, e := range events {
		if e.Event == nil || e.OrderID == "" {
			continue
		}
		if _, known := orders[e.OrderID]; !known {
			orders[e.OrderID] = &domain.Order{}
			ids = append(ids, e.OrderID)
		}
	}
	read := r.rows()
	for _, id := range ids {
		read.want("o", id)
	}
	if err := read.read(ctx, r.client); err != nil {
		return err
	}
	for _, id := range ids {
		if before, ok := read.decoded("o", id).(*domain.Order); ok {
			*orders[id] = *before // an Order changes nothing that its copies share
			continue
		}
		if packed, ok := read.row("o", id); ok {
			var err error
			if *orders[id], err = parseOrder(id, packed); err != nil {
				return err
			}
		}
	}
	for _, e := range events {
		if e.Event != nil && e.OrderID != "" {
			orders[e.OrderID].Apply(e.Event)
		}
	}
	for _, id := range ids {
		state, err := json.Marshal(orders[id], json.Deterministic(true))
		if err != nil {
			return damaged("an order %s that can't be written", id)
		}
		b.setDecoded("o", id, pack(state), orders[id])
	}
	return nil
}

// readOrders reads the states of orders; those nobody knows are missing in the
// result.
func readOrders(ctx context.Context, client redis.Cmdable, k keys, ids []string) (map[string]domain.Order, error) {
	packed, err := readRows(ctx, client, k, "o", ids)
	if err != nil {
		return nil, err
	}
	orders := make(map[string]domain.Order, len(packed))
	for id, value := range packed {
		if orders[id], err = parseOrder(id, value); err != nil {
			return nil, err
		}
	}
	return orders, nil
}

func parseOrder(id, packed string) (order domain.Order, err error) {
	text, err := unpack(packed)
	if err != nil {
		return domain.Order{}, err
	}
	if err := json.Unmarshal(text, &order); err != nil {
		return domain.Order{}, damaged("an unreadable order %s", id)
	}
	return order, nil
}
