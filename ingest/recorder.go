package ingest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
)

const (
	maxInFlight     = 512       // appends under way, over all callers
	rememberStreams = 1 << 16   // see streamTable
	maxRunBytes     = 400 << 10 // of one append, well below the store's 1 MiB
	patience        = 30 * time.Second
	maxConflicts    = 16 // other writers on the same stream, within one append
)

// Recorder records events exactly once. It is the only writer of event streams
// in this process; others may run elsewhere on the same store.
//
// How: at most one append per stream is under way; each names the exact revision
// that it expects; event ids are the source's own or derived. So a retry of an
// append whose outcome is unknown either finds its events in place or finds the
// place free, whatever happened before.
type Recorder struct {
	store   *eventstore.Store
	log     *slog.Logger
	now     func() time.Time
	streams *streamTable
	slots   chan struct{}
	metrics recorderMetrics

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // appends under way

	mu   sync.Mutex
	mark domain.Position // everything at or before it was durable before now
	open bool            // mark was read from the store
}

type recorderMetrics struct {
	events  *prometheus.CounterVec
	seconds prometheus.Histogram
}

// NewRecorder makes a recorder; now is the clock of recorded_at. Close must be
// called.
func NewRecorder(store *eventstore.Store, log *slog.Logger, now func() time.Time, reg prometheus.Registerer) (*Recorder, error) {
	streams, err := newStreamTable(rememberStreams)
	if err != nil {
		return nil, fmt.Errorf("making the stream table: %w", err)
	}
	r := &Recorder{
		store: store, log: log, now: now, streams: streams, slots: make(chan struct{}, maxInFlight),
		metrics: recorderMetrics{
			events: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "tradetrail_recorded_events_total", Help: "Events by outcome of the record request.",
			}, []string{"status"}),
			seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
				Name: "tradetrail_append_seconds", Help: "Time from the start of an append until it is durable.",
				Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
			}),
		},
	}
	if err := errors.Join(reg.Register(r.metrics.events), reg.Register(r.metrics.seconds)); err != nil {
		return nil, fmt.Errorf("registering the recorder's metrics: %w", err)
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// Close waits for the appends under way, until ctx ends; then it gives them up.
// Record must not be called any more.
func (r *Recorder) Close(ctx context.Context) {
	defer context.AfterFunc(ctx, r.cancel)()
	r.wg.Wait()
	r.cancel()
}

// Record makes the items durable and answers each with a receipt, in the order
// of the items. Items that are no events, and events whose id is taken by a
// different event, go to quarantine and are answered with Rejected.
//
// Order: the events of one stream are stored in the order of the items, calls
// one after another. Where the server offers BatchAppend, all events of one call
// are stored in the order of the items, whatever their streams.
//
// An error means that the outcome of the items without Status is unknown, as
// when the store is away or ctx ended. Sending the same items again is safe.
func (r *Recorder) Record(ctx context.Context, source string, items []Item) ([]Receipt, error) {
	if err := r.prepare(ctx); err != nil {
		return make([]Receipt, len(items)), err
	}
	call := &call{recorder: r, ctx: ctx, source: source, items: items, receipts: make([]Receipt, len(items))}
	call.understand()
	call.appendAll()
	call.quarantine()
	for _, receipt := range call.receipts {
		if receipt.Status != "" {
			r.metrics.events.WithLabelValues(string(receipt.Status)).Inc()
		}
	}
	return call.receipts, call.err
}

// prepare reads the end of the log once: an append that is answered with an
// older position was a duplicate.
func (r *Recorder) prepare(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open {
		return nil
	}
	head, err := r.store.Head(ctx)
	if err != nil {
		return fmt.Errorf("reading the end of the log: %w", err)
	}
	r.raise(head)
	r.open = true
	return nil
}

func (r *Recorder) raise(to domain.Position) {
	if r.mark.Compare(to) < 0 {
		r.mark = to
	}
}

func (r *Recorder) durableBefore() domain.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mark
}

// call is one Record request on its way.
type call struct {
	recorder *Recorder
	ctx      context.Context
	source   string
	items    []Item

	mu       sync.Mutex // guards what follows while appends are under way
	receipts []Receipt
	err      error
	pending  sync.WaitGroup
}

// run is a maximal sequence of items that go to one stream in one append.
type run struct {
	stream string
	items  []int // indexes into call.items
}

// understand fills in what the door adds to each event.
func (c *call) understand() {
	now := c.recorder.now().UTC()
	seen := make(map[string]int)
	for i := range c.items {
		item := &c.items[i]
		c.receipts[i].Line = item.Line
		if item.Err != nil {
			c.receipts[i].Err = item.Err
			continue
		}
		e := item.Event
		e.Source, e.RecordedAt = c.source, now
		if e.ID == "" {
			// No id: what was said is the id, so that a retry is a duplicate. The
			// same words twice in one request are two events.
			digest, err := e.Digest()
			if err != nil {
				item.Err = domain.Rejectf(domain.CodeInvalid, "", "encoding the event: %v", err)
				c.receipts[i].Err = item.Err
				continue
			}
			text := hex.EncodeToString(digest[:])
			e.ID = domain.DeriveID(c.source, text, strconv.Itoa(seen[text]))
			seen[text]++
		}
		c.receipts[i].EventID = e.ID
		c.receipts[i].Stream = e.Stream()
	}
}

// appendAll begins one append after the other and waits for all of them. When
// the caller's context ends no further append begins; those under way are
// waited for, which patience bounds.
func (c *call) appendAll() {
	for _, run := range c.runs() {
		if err := c.begin(run); err != nil {
			c.fail(err)
			break
		}
	}
	c.pending.Wait()
}

// runs groups neighbours that share a stream, within the size of one append. An
// id that repeats starts a new run, which then finds the first one recorded.
func (c *call) runs() []run {
	var runs []run
	size := 0
	ids := make(map[string]struct{})
	for i, item := range c.items {
		if item.Err != nil {
			continue
		}
		bytes := len(item.Event.Data) + 2*len(item.Event.Raw) + 1024
		stream := c.receipts[i].Stream
		_, repeated := ids[item.Event.ID]
		if last := len(runs) - 1; last >= 0 && runs[last].stream == stream && size+bytes <= maxRunBytes && !repeated {
			runs[last].items = append(runs[last].items, i)
			size += bytes
		} else {
			runs = append(runs, run{stream: stream, items: []int{i}})
			size = bytes
			clear(ids)
		}
		ids[item.Event.ID] = struct{}{}
	}
	return runs
}

// begin waits for the run's stream and sends its append. The rest happens in a
// goroutine that the recorder owns, so that a caller who goes away leaves no
// stream in doubt.
func (c *call) begin(run run) error {
	r := c.recorder
	select {
	case r.slots <- struct{}{}:
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
	state, err := r.streams.acquire(c.ctx, run.stream)
	if err != nil {
		<-r.slots
		return err
	}
	attempt := c.attempt(state, run)
	c.pending.Add(1)
	r.wg.Go(func() {
		defer c.pending.Done()
		defer func() { <-r.slots }()
		defer state.release()
		ctx, cancel := context.WithTimeout(r.ctx, patience)
		defer cancel()
		if err := c.finish(ctx, state, run, attempt); err != nil {
			state.forget()
			c.fail(err)
		}
	})
	return nil
}

// attempt is one append of those events of a run that are not recorded yet.
type attempt struct {
	fresh  []int
	mark   domain.Position
	sent   time.Time
	append *eventstore.Append // nil: everything is recorded
}

// attempt sorts out what the stream already holds and sends the rest. Of a
// stream that nobody looked at yet it expects that it does not exist, which is
// right for nearly all new orders and saves reading them.
func (c *call) attempt(state *streamState, run run) attempt {
	var events []*domain.Event
	a := attempt{mark: c.recorder.durableBefore(), sent: c.recorder.now()}
	for _, i := range run.items {
		e := c.items[i].Event
		if known, ok := state.find(e.StoreID()); ok {
			c.settle(i, known, Duplicate)
			continue
		}
		a.fresh = append(a.fresh, i)
		events = append(events, e)
	}
	if len(events) > 0 {
		a.append = c.recorder.store.Begin(run.stream, state.last, events)
	}
	return a
}

// finish waits for the append; when the stream is not where it was expected, it
// reads what is new there and tries again.
func (c *call) finish(ctx context.Context, state *streamState, run run, a attempt) error {
	r := c.recorder
	for conflicts := 0; a.append != nil; conflicts++ {
		done, err := a.append.Wait(ctx)
		switch {
		case err == nil && (state.known || done.Position.Compare(a.mark) > 0):
			r.metrics.seconds.Observe(r.now().Sub(a.sent).Seconds())
			r.mu.Lock()
			r.raise(done.Position)
			r.mu.Unlock()
			first := done.Revision - eventstore.Revision(len(a.fresh)) + 1
			for n, i := range a.fresh {
				e := c.items[i].Event
				added := entry{
					id: e.StoreID(), revision: uint64(first) + uint64(n), //nolint:gosec // at least 0
					position: done.Position, digest: eventDigest(e),
				}
				state.add(added)
				c.settle(i, added, Recorded)
			}
			state.known, state.last = true, done.Revision
			return nil
		case err == nil, domain.ClassOf(err) == domain.ClassConflict && conflicts < maxConflicts:
			// Somebody was here before: an earlier life of ours, or another writer.
			if err := state.load(ctx, r.store, run.stream); err != nil {
				return err
			}
			a = c.attempt(state, run)
		case domain.ClassOf(err) == domain.ClassRejected && len(a.fresh) == 1:
			c.reject(a.fresh[0], domain.Rejectf(eventstore.CodeTooLarge, "", "the event store refuses the event: %v", err))
			return nil
		default:
			return err
		}
	}
	return nil
}

// settle writes the receipt of an event that is durable.
func (c *call) settle(i int, at entry, status Status) {
	e := c.items[i].Event
	if status == Duplicate && e.Type != domain.InputQuarantined && at.digest != eventDigest(e) {
		c.reject(i, domain.Rejectf(domain.CodeConflict, "event_id",
			"%.80q is the id of a different event in stream %.80s", e.ID, c.receipts[i].Stream))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	receipt := &c.receipts[i]
	if receipt.Status != "" {
		return // settled by an earlier attempt
	}
	receipt.Status, receipt.Revision, receipt.Position = status, at.revision, at.position
}

func (c *call) reject(i int, err *domain.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receipts[i].Err = err
}

func (c *call) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = errors.Join(c.err, err)
}

// quarantine keeps what was rejected. A rejection is only answered once its
// input is durable.
func (c *call) quarantine() {
	var rejected []int
	kept := &call{recorder: c.recorder, ctx: c.ctx, source: c.source}
	for i := range c.items {
		if c.receipts[i].Err == nil {
			continue
		}
		item := c.items[i]
		item.Err = c.receipts[i].Err
		if item.Raw == nil && item.Event != nil {
			item.Raw, _ = item.Event.Encode() // it came decoded; what can't be encoded again leaves only its reason
		}
		rejected = append(rejected, i)
		kept.items = append(kept.items, Item{Line: item.Line, Event: Quarantine(c.source, item, c.recorder.now())})
	}
	if len(rejected) == 0 {
		return
	}
	kept.receipts = make([]Receipt, len(kept.items))
	kept.understand()
	kept.appendAll()
	c.err = errors.Join(c.err, kept.err)
	for n, i := range rejected {
		if kept.receipts[n].Status != "" {
			c.receipts[i].Status = Rejected
			c.receipts[i].Stream, c.receipts[i].Revision, c.receipts[i].Position = kept.receipts[n].Stream, kept.receipts[n].Revision, kept.receipts[n].Position
		}
	}
}
