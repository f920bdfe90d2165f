package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/tradetrail/tradetrail/client/internal/spool"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

const (
	firstPause = 50 * time.Millisecond
	mostPause  = 10 * time.Second
)

// delivery sends what is in the spool, in order, one request at a time. That one
// stream is what keeps the order, of every order id and of all events; its price
// is that throughput is a batch per round trip.
type delivery struct {
	c      *Client
	reader *spool.Reader
	door   *door
	dead   *deadLetters
	batch  batch
	limit  int // items of the next request; lowered when a server finds it too large
	id     string
}

func newDelivery(c *Client) (d *delivery, err error) {
	d = &delivery{c: c, limit: maxBatchEvents, id: uuidText(c.spool.ID())}
	if d.door, err = newDoor(&c.cfg); err != nil {
		return nil, err
	}
	if d.dead, err = openDeadLetters(c.cfg.Dir); err != nil {
		return nil, err
	}
	if d.reader, err = c.spool.Reader(); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the spool: %w", err), d.dead.file.Close())
	}
	return d, nil
}

func (d *delivery) close() {
	d.door.close()
	if err := errors.Join(d.reader.Close(), d.dead.file.Close()); err != nil {
		d.c.cfg.Log.Warn("closing the delivery", slog.Any("error", err))
	}
}

// run delivers until ctx ends.
func (d *delivery) run(ctx context.Context) {
	idle := time.NewTicker(d.c.cfg.Linger)
	defer idle.Stop()
	for attempt := 0; ctx.Err() == nil; {
		d.c.day.look(d.c) //nolint:contextcheck // it waits for nothing
		if len(d.batch.items) == 0 {
			if err := d.batch.fill(d.reader, d.id, func(n uint64) { d.c.counts.damaged.Add(n) }); err != nil {
				attempt = d.failed(ctx, attempt, err, 0)
				continue
			}
			d.observeOldest()
		}
		if len(d.batch.items) == 0 {
			select {
			case <-idle.C: // looking costs less than being woken by every Record
			case <-d.c.wake:
			case <-ctx.Done():
			}
			continue
		}
		after, err := d.send(ctx)
		if err != nil {
			attempt = d.failed(ctx, attempt, err, after)
			continue
		}
		if attempt > 0 {
			d.c.cfg.Log.InfoContext(ctx, "events are delivered again")
		}
		attempt = 0
		d.c.troubled(nil)
	}
}

// failed notes why nothing moves, waits, and returns the number of the next
// attempt.
func (d *delivery) failed(ctx context.Context, attempt int, err error, after time.Duration) int {
	if ctx.Err() != nil {
		return attempt
	}
	if attempt == 0 {
		d.c.cfg.Log.WarnContext(ctx, "events can't be delivered, and stay in the spool", slog.Any("error", err))
	}
	d.c.counts.retries.Add(1)
	d.c.troubled(err)
	if after > 0 {
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	_ = backoff.Wait(ctx, attempt, firstPause, mostPause) // ends with ctx, as run does
	return attempt + 1
}

func (d *delivery) observeOldest() {
	oldest := int64(0)
	if len(d.batch.items) > 0 {
		oldest = d.batch.items[0].at
	}
	d.c.oldest.Store(oldest)
	d.c.spool.Waiting(oldest)
}

// send makes one request of the first items and settles those that were answered.
// With an error, after is how long the server wants to be left alone.
func (d *delivery) send(ctx context.Context) (after time.Duration, err error) {
	n := min(d.limit, len(d.batch.items))
	lines, events := d.batch.head(n)
	var a answer
	if events > 0 {
		if a, err = d.door.post(ctx, lines, events); err != nil {
			return d.unanswered(n, a, err)
		}
		if a.packed && misread(a.receipts) && d.door.plain() {
			return 0, nil // the server has not unpacked the body: once more, as it is
		}
	}
	settled, err := d.settle(ctx, n, a.receipts)
	if settled == n {
		d.limit = min(2*d.limit, maxBatchEvents)
	}
	return a.after, err
}

// unanswered decides what follows from an answer without receipts. None of it is
// about an event, with one exception: one that is too large by itself.
func (d *delivery) unanswered(n int, a answer, err error) (time.Duration, error) {
	switch {
	case a.status == http.StatusUnsupportedMediaType && d.door.plain():
		return 0, nil
	case a.packed && a.status != 0 && a.status < http.StatusInternalServerError && d.door.plain():
		return 0, err
	case a.status == http.StatusRequestEntityTooLarge && n > 1:
		d.limit = n / 2
		return 0, nil
	case a.status == http.StatusRequestEntityTooLarge:
		d.batch.items[0].refused = &Rejection{
			EventID: d.batch.items[0].id, Code: CodeServerRefused, Message: err.Error(), Event: append([]byte(nil), d.batch.line(0)...),
		}
		d.settleFirst()
		return 0, nil
	default:
		return a.after, err
	}
}

// misread reports whether the server took a compressed body for JSON.
func misread(receipts []receipt) bool {
	for _, r := range receipts {
		if r.Error != nil && r.Error.Code == "malformed" {
			return true
		}
	}
	return false
}

// settleFirst settles an item that can't be delivered.
func (d *delivery) settleFirst() {
	first := d.batch.items[0]
	d.reject(first.refused)
	d.done(first.next, 1)
}

// settle goes through the first n items and their receipts up to one that tells
// nothing.
func (d *delivery) settle(ctx context.Context, n int, receipts []receipt) (settled int, err error) {
	rejected := false
	for _, it := range d.batch.items[:n] {
		if it.refused != nil {
			d.reject(it.refused)
			rejected = true
			settled++
			continue
		}
		r := receipts[0]
		receipts = receipts[1:]
		if r.Status == "rejected" && r.Error != nil {
			d.reject(&Rejection{EventID: it.id, Code: r.Error.Code, Field: r.Error.Field, Message: r.Error.Message, Event: d.batch.line(settled)})
			rejected = true
			settled++
			continue
		}
		if r.EventID != it.id || r.Status != "recorded" && r.Status != "duplicate" {
			err = transient(CodeServerUnavailable, fmt.Sprintf("the outcome of event %s is unknown", it.id), nil)
			if r.Status != "" {
				err = transient(CodeNotUnderstood, fmt.Sprintf("%.50q for event %.50q is no receipt for event %s", r.Status, r.EventID, it.id), nil)
			}
			break
		}
		if r.Status == "duplicate" {
			d.c.counts.duplicates.Add(1)
		}
		d.c.counts.delivered.Add(1)
		settled++
	}
	if rejected {
		if e := d.dead.sync(); e != nil {
			d.c.cfg.Log.ErrorContext(ctx, "rejected events may not be kept", slog.Any("error", e))
		}
	}
	if settled == 0 {
		return 0, err
	}
	d.done(d.batch.items[settled-1].next, settled)
	return settled, err
}

// done moves the mark behind the first n items.
func (d *delivery) done(next uint64, n int) {
	d.batch.settle(n)
	err := d.c.spool.Delivered(next)
	d.observeOldest()
	d.c.moved()
	if err != nil { // after a crash they are sent again, and recognised
		d.c.cfg.Log.Warn("noting what was delivered", slog.Any("error", err))
	}
}

func (d *delivery) reject(r *Rejection) {
	d.c.counts.rejected.Add(1)
	if err := d.dead.keep(r); err != nil {
		d.c.counts.unkept.Add(1)
		d.c.cfg.Log.Error("a rejected event is not in the dead-letter file", slog.Any("error", err))
	}
	d.tell(r)
}

// tell calls the user's function; its defects must not hold back what comes behind.
func (d *delivery) tell(r *Rejection) {
	if d.c.cfg.OnReject == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			d.c.cfg.Log.Error("OnReject failed", slog.Any("panic", p))
		}
	}()
	d.c.cfg.OnReject(*r)
}
