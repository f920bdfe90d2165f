package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
)

const (
	maxInFlight     = 512       // appends under way, over all callers
	rememberBytes   = 128 << 20 // see streamTable
	maxRunBytes     = 400 << 10 // of one append, well below the store's 1 MiB
	defaultPatience = 30 * time.Second
	quickConflicts  = 16 // other writers on the same stream, within one append, before it pauses
	maxPause        = 100 * time.Millisecond
	stalled         = 5 * time.Second // see Available
)

// Recorder records events exactly once. It is the only writer of event streams
// in this process; others may run elsewhere on the same store.
//
// How: at most one append per stream is under way; each names the exact revision
// that it expects; event ids are the source's own or derived. So a retry of an
// append whose outcome is unknown either finds its events in place or finds the
// place free, whatever happened before.
//
// Ids are compared within a stream. When two processes record the same id with
// different contents at the same moment, the first wins and neither notices.
type Recorder struct {
	store    *eventstore.Store
	log      *slog.Logger
	now      func() time.Time
	patience time.Duration
	streams  *streamTable
	slots    chan struct{} // holds a token for each append that may begin
	metrics  recorderMetrics

	ctx    context.Context //nolint:containedctx // the life of the appends, which their callers' does not bound
	cancel context.CancelFunc

	opening chan struct{} // holds one token while nobody reads mark from the store
	opened  atomic.Bool   // mark was read

	mu      sync.Mutex
	mark    domain.Position // everything at or before it was durable before now
	closing bool

	underWay int            // appends
	lastDone time.Time      // when one was done or read on in its stream, or the first of those under way began
	wg       sync.WaitGroup // appends under way; added to under mu, while not closing
}

// Option changes a recorder from its defaults.
type Option func(*options)

type options struct {
	patience time.Duration
	memory   int
}

// WithPatience bounds how long a recorder waits for the event store before the
// outcome of an append counts as unknown; 30 seconds without it.
func WithPatience(d time.Duration) Option { return func(o *options) { o.patience = d } }

type recorderMetrics struct {
	events   *prometheus.CounterVec
	seconds  prometheus.Histogram
	underWay prometheus.GaugeFunc
	memory   prometheus.GaugeFunc

	recorded, duplicate, rejected prometheus.Counter // of events
}

// NewRecorder makes a recorder; now is the clock of recorded_at. Close must be
// called.
func NewRecorder(
	store *eventstore.Store, log *slog.Logger, now func() time.Time, reg prometheus.Registerer, opts ...Option,
) (*Recorder, error) {
	o := options{patience: defaultPatience, memory: rememberBytes}
	for _, opt := range opts {
		opt(&o)
	}
	streams, err := newStreamTable(o.memory)
	if err != nil {
		return nil, fmt.Errorf("making the stream table: %w", err)
	}
	r := &Recorder{
		store: store, log: log, now: now, patience: o.patience, streams: streams,
		slots: make(chan struct{}, maxInFlight), opening: make(chan struct{}, 1),
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
	r.metrics.underWay = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tradetrail_appends_under_way", Help: "Appends that wait for the event store, of 512 at most.",
	}, func() float64 { return float64(maxInFlight - len(r.slots)) })
	r.metrics.memory = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tradetrail_recorder_streams_bytes", Help: "Memory for what the recorder remembers of streams, about.",
	}, func() float64 { return float64(streams.size()) })
	if err := errors.Join(reg.Register(r.metrics.events), reg.Register(r.metrics.seconds),
		reg.Register(r.metrics.underWay), reg.Register(r.metrics.memory)); err != nil {
		return nil, fmt.Errorf("registering the recorder's metrics: %w", err)
	}
	r.metrics.recorded = r.metrics.events.WithLabelValues(string(Recorded))
	r.metrics.duplicate = r.metrics.events.WithLabelValues(string(Duplicate))
	r.metrics.rejected = r.metrics.events.WithLabelValues(string(Rejected))
	r.opening <- struct{}{}
	for range maxInFlight {
		r.slots <- struct{}{}
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// Close waits for the appends under way, until ctx ends; then it gives them up.
// Later calls of Record record nothing and return an error.
func (r *Recorder) Close(ctx context.Context) {
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	defer context.AfterFunc(ctx, r.cancel)()
	r.wg.Wait()
	r.cancel()
}

// Record makes the items durable and answers each with a receipt, in the order
// of the items. Items that are no events, and events whose id is taken by a
// different event, go to quarantine and are answered with Rejected. Neither the
// items nor their events are changed.
//
// Order: the events of one stream are stored in the order of the items, calls
// one after another. Where the server offers BatchAppend, all events of one call
// are stored in the order of the items, whatever their streams; only what has to
// be tried again (the connection broke, or somebody else wrote to the stream,
// also an earlier life of this recorder) may be overtaken by other streams.
//
// An error means that the outcome of the items without Status is unknown, as
// when the store is away or ctx ended. Sending the same items again is safe.
func (r *Recorder) Record(ctx context.Context, source string, items []Item) ([]Receipt, error) {
	c := newCall(ctx, &sequence{recorder: r, source: source}, items)
	if err := r.prepare(ctx); err != nil {
		return c.receipts, err
	}
	c.understand()
	if runs := c.runs(); len(runs) == 1 {
		c.appendOne(runs[0]) //nolint:contextcheck // an append outlives the caller who goes away in the middle
	} else {
		c.appendAll(runs) //nolint:contextcheck // as above
	}
	return c.wait() //nolint:contextcheck // as above
}

// count counts the outcomes.
func (r *Recorder) count(receipts []Receipt) {
	var recorded, duplicate, rejected int
	for i := range receipts {
		switch receipts[i].Status {
		case Recorded:
			recorded++
		case Duplicate:
			duplicate++
		case Rejected:
			rejected++
		}
	}
	r.metrics.recorded.Add(float64(recorded))
	r.metrics.duplicate.Add(float64(duplicate))
	r.metrics.rejected.Add(float64(rejected))
}

// prepare reads the end of the log once: an append that is answered with an
// older position was a duplicate.
func (r *Recorder) prepare(ctx context.Context) error {
	if r.opened.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)() //nolint:contextcheck // the recorder's life, beside the caller's
	if err := r.wait(ctx, r.opening); err != nil {
		return err
	}
	defer func() { r.opening <- struct{}{} }()
	if r.opened.Load() {
		return nil
	}
	head, err := r.store.Head(ctx)
	if err != nil {
		return fmt.Errorf("reading the end of the log: %w", err)
	}
	r.raise(head)
	r.opened.Store(true)
	return nil
}

func interrupted(err error) error {
	return &domain.Error{Class: domain.ClassTransient, Code: eventstore.CodeUnavailable, Message: "recording was interrupted", Err: err}
}

// wait takes a token from the channel, with the patience of an append: while the
// store is away, those who wait for each other give up together.
func (r *Recorder) wait(ctx context.Context, tokens <-chan struct{}) error {
	select {
	case <-tokens:
		return nil
	default:
	}
	timer := time.NewTimer(r.patience)
	defer timer.Stop()
	select {
	case <-tokens:
		return nil
	case <-ctx.Done():
		return interrupted(ctx.Err())
	case <-timer.C:
		return interrupted(errors.New("too many appends wait for the event store"))
	}
}

func (r *Recorder) raise(to domain.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mark.Compare(to) < 0 {
		r.mark = to
	}
}

// durable is a position which is known to be durable.
func (r *Recorder) durable() domain.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mark
}

// begin counts an append in, unless the recorder is being closed.
func (r *Recorder) begin() (mark domain.Position, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return domain.Position{}, false
	}
	r.wg.Add(1)
	if r.underWay++; r.underWay == 1 {
		r.lastDone = r.now()
	}
	return r.mark, true
}

// end counts an append out.
func (r *Recorder) end(done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underWay--
	if done {
		r.lastDone = r.now()
	}
	r.wg.Done()
}

// progress says that the store answers, of an append that reads a long stream.
func (r *Recorder) progress() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastDone = r.now()
}

// Available returns a ClassTransient error while appends wait for the event store
// and none has come to its end, or read on, for five seconds: whoever has a choice had better
// come again later. When those that wait have given up it is nil again, since only
// trying tells.
func (r *Recorder) Available() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.underWay == 0 {
		return nil
	}
	if waited := r.now().Sub(r.lastDone); waited > stalled {
		return &domain.Error{
			Class: domain.ClassTransient, Code: eventstore.CodeUnavailable,
			Message: fmt.Sprintf("the event store has not answered for %d seconds", int(waited.Seconds())),
		}
	}
	return nil
}

// give gives back what an append holds.
func (r *Recorder) give(b begun) {
	r.slots <- struct{}{}
	r.streams.release(b.state)
}
