package fix

import (
	"context"
	"iter"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
)

// Streams reads the history of one stream; an eventstore.Store does.
type Streams interface {
	Stream(ctx context.Context, stream string, from uint64) iter.Seq2[eventstore.Record, error]
}

// Links are the Origins that order.linked events have left in the event store:
// one short stream for each ClOrdID that is not an order's first. Safe for
// concurrent use.
type Links struct{ streams Streams }

// NewLinks reads links from the store.
func NewLinks(streams Streams) *Links { return &Links{streams: streams} }

// Begun reports whether the order has any event.
func (l *Links) Begun(ctx context.Context, orderID string) (bool, error) {
	for _, err := range l.streams.Stream(ctx, (&domain.Event{OrderID: orderID}).Stream(), 0) {
		return err == nil, err
	}
	return false, nil
}

// Origin returns the order that the id was linked to first, "" if to none.
func (l *Links) Origin(ctx context.Context, clientOrderID string) (string, error) {
	stream := (&domain.Event{Type: domain.OrderLinked, EntityType: "client_order", EntityID: linkEntity(clientOrderID)}).Stream()
	for record, err := range l.streams.Stream(ctx, stream, 0) {
		if err != nil {
			return "", err
		}
		e, err := record.Event()
		if err != nil || e.Type != domain.OrderLinked {
			continue // somebody else's
		}
		var link struct {
			OrderID string `json:"linked_order_id"`
		}
		if json.Unmarshal(e.Data, &link) == nil && link.OrderID != "" {
			return link.OrderID, nil
		}
	}
	return "", nil
}
