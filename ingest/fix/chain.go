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
// reader. Links is the one over the event store.
type Origins interface {
	// Origin answers "" for an id that no order.linked event names.
	Origin(ctx context.Context, id string) (orderID string, err error)
	// Begun reports whether anything was recorded of an order.
	Begun(ctx context.Context, orderID string) (bool, error)
}

// The bounds of what is remembered without asking again. Without Origins what is
// forgotten is gone, so that orders of one id, most of all, don't displace the links
// of others.
const (
	rememberLinks  = 1 << 18
	rememberOrders = 1 << 16
)

// chains joins the ClOrdIDs of an order (11 -> 41 -> ...) under the first of them.
// It remembers those used last; what is forgotten is looked up again. An id that has
// been one order's stays so, whatever is said later: a message that comes again, in
// another life, must come to the order that it came to first.
type chains struct {
	prefix  string
	origins Origins // nil: nothing beyond this memory
	linked  *lru    // ClOrdID -> the order of another one
	own     *lru    // ClOrdID -> the order of its own
	brokers *lru    // OrderID -> the order that a report named with it
	decided *lru    // OrderID -> the order of messages that name nothing else
}

type lru = simplelru.LRU[string, string]

func newChains(prefix string, origins Origins) *chains {
	return &chains{
		prefix: prefix, origins: origins,
		linked: newLRU(rememberLinks), own: newLRU(rememberOrders), brokers: newLRU(rememberOrders), decided: newLRU(rememberOrders),
	}
}

func newLRU(size int) *lru {
	l, err := simplelru.NewLRU[string, string](size, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return l
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
// remembers an id's order, nil if that is not needed. See docs/adr/0029.
func (c *chains) order(ctx context.Context, r reference) (id string, link *ingest.Item, err error) {
	broker := ""
	if named(r.broker) {
		broker = r.session + "=" + r.broker
	}
	switch {
	case r.begins:
		id = c.prefix + r.client
		c.remember(r.client, id)
	case named(r.orig) && r.orig != r.client:
		if id, link, err = c.replaced(ctx, r); err != nil {
			return "", nil, err
		}
	case named(r.client):
		if id, err = c.origin(ctx, r.client); err != nil {
			return "", nil, err
		}
	case broker != "":
		return c.ofBroker(ctx, r, broker)
	}
	if broker != "" && id != "" {
		c.brokers.Add(broker, id)
	}
	return id, link, nil
}

// replaced is the order of a ClOrdID that replaces another: that of the other one,
// unless it has an order already.
func (c *chains) replaced(ctx context.Context, r reference) (id string, link *ingest.Item, err error) {
	if named(r.client) {
		if id, err = c.known(ctx, r.client); err != nil {
			return "", nil, err
		}
		if id == "" {
			id, err = c.begun(ctx, c.prefix+r.client)
		}
		if id != "" || err != nil {
			c.remember(r.client, id)
			return id, nil, err
		}
	}
	if id, err = c.origin(ctx, r.orig); err != nil || !named(r.client) {
		return id, nil, err
	}
	c.remember(r.client, id)
	return id, linked(c.prefix+r.client, id, r), nil
}

// ofBroker is the order of a message that names no ClOrdID: that of the reports with
// its OrderID, if this reader has seen one, else, as of an order by telephone, one
// of its own.
func (c *chains) ofBroker(ctx context.Context, r reference, broker string) (id string, link *ingest.Item, err error) {
	if id, ok := c.decided.Get(broker); ok {
		return id, nil, nil
	}
	name := brokerName(c.prefix, broker)
	if id, err = c.recorded(ctx, name); err != nil {
		return "", nil, err
	}
	seen, ok := c.brokers.Get(broker)
	if id == "" && ok {
		if id, err = c.begun(ctx, c.prefix+r.broker); err != nil {
			return "", nil, err
		}
		if id == "" {
			id = seen
			link = linked(name, id, r)
		}
	}
	if id == "" {
		id = c.prefix + r.broker
	}
	c.decided.Add(broker, id)
	return id, link, nil
}

// brokerName stands for an OrderID among the ids that are linked; its parts can be
// longer than an id may be.
func brokerName(prefix, broker string) string {
	return "37:" + domain.DeriveID("fix", "broker", prefix+"\x00"+broker)
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
	id, err := c.known(ctx, client)
	if err != nil {
		return "", err
	}
	if id == "" {
		id = c.prefix + client
	}
	c.remember(client, id)
	return id, nil
}

// known is the order that a ClOrdID was linked to, or that this reader has given it.
func (c *chains) known(ctx context.Context, client string) (string, error) {
	if id, ok := c.linked.Get(client); ok {
		return id, nil
	}
	if id, ok := c.own.Get(client); ok {
		return id, nil
	}
	return c.recorded(ctx, c.prefix+client)
}

func (c *chains) remember(client, id string) {
	switch {
	case !named(client) || id == "":
	case id == c.prefix+client:
		c.own.Add(client, id)
		c.linked.Remove(client)
	default:
		c.linked.Add(client, id)
	}
}

func (c *chains) recorded(ctx context.Context, name string) (string, error) {
	if c.origins == nil {
		return "", nil
	}
	id, err := c.origins.Origin(ctx, name)
	if err != nil {
		return "", fmt.Errorf("looking up the order of %.80q: %w", name, err)
	}
	return id, nil
}

// begun returns the order's id if anything is recorded of it, else "".
func (c *chains) begun(ctx context.Context, orderID string) (string, error) {
	if c.origins == nil {
		return "", nil
	}
	begun, err := c.origins.Begun(ctx, orderID)
	if err != nil {
		return "", fmt.Errorf("looking up the order %.80q: %w", orderID, err)
	}
	if !begun {
		return "", nil
	}
	return orderID, nil
}

// linkEntity is the entity that order.linked events of an id are about.
func linkEntity(id string) string { return "clordid:" + id }

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
	if !named(r.client) {
		w.text("linked_session_id", r.session)
		w.text("linked_broker_order_id", r.broker)
	}
	w.flag("poss_resend", true) // who else sees this link says the same
	e.Data = w.done()
	return &ingest.Item{Event: e}
}
