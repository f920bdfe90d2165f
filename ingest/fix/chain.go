package fix

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// Origins remembers which order a ClOrdID stands for, beyond the memory of one
// reader. It answers "" for an id that no order.linked event names. Links is the
// one over the event store.
type Origins interface {
	Origin(ctx context.Context, clientOrderID string) (orderID string, err error)
}

const rememberOrders = 1 << 16

// chains joins the ClOrdIDs of an order (11 -> 41 -> ...) under the first of them.
// It remembers those used last; what is forgotten is looked up again.
type chains struct {
	prefix  string
	origins Origins                        // nil: nothing beyond this memory
	known   *simplelru.LRU[string, string] // ClOrdID -> order id; "=" + session + OrderID -> order id
}

func newChains(prefix string, origins Origins) *chains {
	known, err := simplelru.NewLRU[string, string](rememberOrders, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &chains{prefix: prefix, origins: origins, known: known}
}

// reference is what a message says of which order it is about.
type reference struct {
	session string // both sides, whoever speaks
	client  string // 11
	orig    string // 41
	broker  string // 37
	begins  bool   // the order begins here
	at      time.Time
}

// order returns the order's id, "" if the message names none, and the event that
// remembers a ClOrdID's order, nil if that is not needed. See docs/adr/0029.
func (c *chains) order(ctx context.Context, r reference) (id string, link *ingest.Item, err error) {
	broker := ""
	if named(r.broker) {
		broker = "=" + r.session + "=" + r.broker
	}
	switch {
	case r.begins:
		id = c.prefix + r.client
	case named(r.orig) && r.orig != r.client:
		if id, err = c.origin(ctx, r.orig); err != nil {
			return "", nil, err
		}
		if named(r.client) {
			before, ok := c.known.Get(r.client)
			if !ok {
				if before, err = c.recorded(ctx, r.client); err != nil {
					return "", nil, err
				}
			}
			if before != id {
				link = linked(c.prefix+r.client, id, r)
			}
		}
	case named(r.client):
		if id, err = c.origin(ctx, r.client); err != nil {
			return "", nil, err
		}
	case broker != "":
		var ok bool
		if id, ok = c.known.Get(broker); !ok {
			id = c.prefix + r.broker
		}
	}
	if named(r.client) {
		c.known.Add(r.client, id)
	}
	if broker != "" && id != "" {
		c.known.Add(broker, id)
	}
	return id, link, nil
}

// named leaves out what counterparties write where they have no id.
func named(id string) bool {
	switch id {
	case "", "0", "NONE", "UNKNOWN", "N/A":
		return false
	default:
		return true
	}
}

// origin is the order that a ClOrdID stands for: one of its own, unless anything
// says otherwise.
func (c *chains) origin(ctx context.Context, client string) (string, error) {
	if id, ok := c.known.Get(client); ok {
		return id, nil
	}
	id, err := c.recorded(ctx, client)
	if err != nil {
		return "", err
	}
	if id == "" {
		id = c.prefix + client
	}
	c.known.Add(client, id)
	return id, nil
}

func (c *chains) recorded(ctx context.Context, client string) (string, error) {
	if c.origins == nil {
		return "", nil
	}
	id, err := c.origins.Origin(ctx, c.prefix+client)
	if err != nil {
		return "", fmt.Errorf("looking up the order of ClOrdID %.80q: %w", client, err)
	}
	return id, nil
}

// linkEntity is the entity that order.linked events of a ClOrdID are about.
func linkEntity(clientOrderID string) string { return "clordid:" + clientOrderID }

// linked makes the event that remembers a link. It is recorded before the event
// that needed it, so that no later life can come to another order.
func linked(clientOrderID, orderID string, r reference) *ingest.Item {
	e := &domain.Event{
		ID:   domain.DeriveID("fix", "link", clientOrderID+"\x00"+orderID),
		Type: domain.OrderLinked, OccurredAt: r.at, SchemaVersion: domain.SchemaVersion,
		EntityType: "client_order", EntityID: linkEntity(clientOrderID),
	}
	w := newData()
	w.text("linked_client_order_id", clientOrderID)
	w.text("linked_order_id", orderID)
	w.text("replaces", r.orig)
	w.flag("poss_resend", true) // who else sees this link says the same
	e.Data = w.done()
	return &ingest.Item{Event: e}
}
