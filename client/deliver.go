package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/tradetrail/tradetrail/client/internal/spool"
	"github.com/tradetrail/tradetrail/domain"
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
	fails  int // answers without receipts, since the last with them
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
	a, err := d.door.post(ctx, d.batch.head(n), n)
	if err != nil {
		return d.unanswered(n, a, err)
	}
	d.fails = 0
	if a.packed && misread(a.receipts) && d.door.plain() {
		return 0, nil // the server has not unpacked the body: once more, as it is
	}
	settled, err := d.settle(n, a.receipts)
	if settled == n {
		d.limit = min(d.limit+moreEvents, maxBatchEvents)
	}
	return a.after, err
}

const (
	// moreEvents is by how many a request may grow after one that was answered:
	// slowly, for one that is too large can cost a timeout.
	moreEvents = 20
	// manyFails in a row make a server's errors a matter of what it is sent.
	manyFails = 3
)

// unanswered decides what follows from an answer without receipts. It tells
// nothing about an event, with one exception: one that is too large by itself.
func (d *delivery) unanswered(n int, a answer, err error) (time.Duration, error) {
	d.fails++
	switch {
	case a.status == http.StatusUnsupportedMediaType && d.door.plain():
		return 0, nil
	case a.packed && aboutTheBody(a.status) && d.door.plain():
		return a.after, err
	case a.status == http.StatusRequestEntityTooLarge && n > 1:
		d.limit = n / 2
		return 0, nil
	case a.status == http.StatusRequestEntityTooLarge && d.batch.shorten(d.id, err):
		return 0, nil
	case n > 1 && d.tooMuch(a, err):
		d.limit = n / 2
	case n == 1 && d.fails >= manyFails && a.status != 0:
		if e, ok := errors.AsType[*domain.Error](err); ok {
			err = transient(e.Code, "nothing moves behind event "+d.batch.items[0].id, e)
		}
	}
	return a.after, err
}

// aboutTheBody reports whether a server that can't unpack may answer so.
func aboutTheBody(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	default:
		return false
	}
}

// tooMuch reports whether less at once may help: there was no time for more, or
// the server fails again and again, and does not say when to come back.
func (d *delivery) tooMuch(a answer, err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || a.status != 0 && a.after == 0 && d.fails%manyFails == 0
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

// settle goes through the first n items and their receipts up to one that tells
// nothing, or whose rest is nowhere but here and can't be kept.
func (d *delivery) settle(n int, receipts []receipt) (settled int, err error) {
	var rejections []*Rejection
	unkept := 0
	safe := n // items before it need not be in the dead-letter file
	for i, it := range d.batch.items[:n] {
		var rejection *Rejection
		if rejection, err = d.outcome(i, receipts[i]); err != nil {
			break
		}
		if rejection != nil {
			e := d.dead.keep(rejection)
			d.kept(e)
			if it.partial {
				safe = min(safe, i)
				if err = e; err != nil {
					break
				}
			}
			if e != nil {
				unkept++
			}
			rejections = append(rejections, rejection)
		}
		settled++
	}
	if len(rejections) > 0 {
		if e := d.dead.sync(); e != nil {
			e = notKept(rejections[0], e)
			d.kept(e)
			if safe < settled {
				return 0, e // all of it once more
			}
			unkept = len(rejections)
		}
	}
	if settled == 0 {
		return 0, err
	}
	d.count(receipts[:settled])
	d.c.counts.unkept.Add(uint64(unkept))
	for _, r := range rejections {
		d.c.counts.rejected.Add(1)
		d.tell(r)
	}
	d.done(d.batch.items[settled-1].next, settled)
	return settled, err
}

// outcome reads the ith receipt. The rejection is nil if the event was recorded.
func (d *delivery) outcome(i int, r receipt) (*Rejection, error) {
	it := &d.batch.items[i]
	switch {
	case r.Status == "rejected" && r.Error != nil && it.refused == nil:
		return &Rejection{EventID: it.id, Code: r.Error.Code, Field: r.Error.Field, Message: r.Error.Message, Event: d.batch.line(i)}, nil
	case r.Status == "rejected" && r.Error != nil, r.EventID == it.id && (r.Status == "recorded" || r.Status == "duplicate"):
		return it.refused, nil
	case r.Status == "":
		return nil, transient(CodeServerUnavailable, fmt.Sprintf("the outcome of event %s is unknown", it.id), nil)
	default:
		return nil, transient(CodeNotUnderstood, fmt.Sprintf("%.50q for event %.50q is no receipt for event %s", r.Status, r.EventID, it.id), nil)
	}
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

// count counts what was delivered of the first items.
func (d *delivery) count(receipts []receipt) {
	for i, r := range receipts {
		if d.batch.items[i].refused != nil || r.Status == "rejected" {
			continue
		}
		if r.Status == "duplicate" {
			d.c.counts.duplicates.Add(1)
		}
		d.c.counts.delivered.Add(1)
	}
}

// kept notes whether a rejection is in the dead-letter file.
func (d *delivery) kept(err error) {
	if err == nil {
		d.c.notKept.Store(nil)
		return
	}
	d.c.notKept.Store(&err)
	d.c.cfg.Log.Error("a rejected event is not in the dead-letter file", slog.Any("error", err))
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
