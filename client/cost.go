package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tradetrail/tradetrail/client/internal/spool"
	"github.com/tradetrail/tradetrail/domain"
)

// day adds up what recording costs, and says so at the end of each UTC day, and
// of the process.
type day struct {
	mu     sync.Mutex
	since  time.Time
	cost   counted
	before Stats
}

func (d *day) begin(c *Client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.since = c.cfg.clock.now().UTC()
	d.cost, d.before = c.cost.look(), c.Stats()
}

// look records the event of the day that is over, if one is.
func (d *day) look(c *Client) {
	now := c.cfg.clock.now().UTC()
	d.mu.Lock()
	over := now.YearDay() != d.since.YearDay() || now.Year() != d.since.Year()
	d.mu.Unlock()
	if over {
		d.end(c)
	}
}

// end records the event and begins anew. Without room for it the day goes on.
func (d *day) end(c *Client) {
	if c.cfg.Full == FullDrop && c.spool.State().Full {
		return // it would be dropped
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now, total, cost := c.cfg.clock.now().UTC(), c.Stats(), c.cost.look()
	today := cost.less(&d.cost)
	if today.total == 0 && total.Delivered == d.before.Delivered {
		d.since = now
		return
	}
	var w members
	w.time("from", d.since)
	w.time("to", now)
	w.count("recorded", total.Recorded-d.before.Recorded)
	w.count("p50_ns", uint64(today.quantile(0.5)))    //nolint:gosec // not below 0
	w.count("p99_ns", uint64(today.quantile(0.99)))   //nolint:gosec // not below 0
	w.count("p999_ns", uint64(today.quantile(0.999))) //nolint:gosec // not below 0
	w.count("delivered", total.Delivered-d.before.Delivered)
	w.count("duplicates", total.Duplicates-d.before.Duplicates)
	w.count("rejected", total.Rejected-d.before.Rejected)
	w.count("dropped", total.Dropped-d.before.Dropped)
	w.count("damaged", total.Damaged-d.before.Damaged)
	w.count("pending", total.Pending)
	w.count("spooled_bytes", uint64(total.SpooledBytes)) //nolint:gosec // not below 0
	e := Event{
		Type: TypeCost, OccurredAt: now, EntityType: entitySpool, EntityID: uuidText(c.spool.ID()),
		Actor: c.cfg.Name, SchemaVersion: domain.SchemaVersion, Data: w.object(),
	}
	record, err := c.appendBody(make([]byte, spool.HeadBytes), &e, now)
	if err != nil {
		return // nothing in it can be refused
	}
	// The delivery makes the room, so it must not wait for it.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.spool.Append(ctx, now.UnixNano(), record); errors.Is(err, ErrSpoolFull) {
		return
	}
	d.since, d.cost, d.before = now, cost, total
}
