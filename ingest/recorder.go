package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

const (
	maxInFlight     = 512       // appends under way, over all callers
	rememberStreams = 1 << 16   // see streamTable
	maxRunBytes     = 400 << 10 // of one append, well below the store's 1 MiB
	defaultPatience = 30 * time.Second
	quickConflicts  = 16 // other writers on the same stream, within one append, before it pauses
	maxPause        = 100 * time.Millisecond
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
	wg      sync.WaitGroup // appends under way; added to under mu, while not closing
}

// Option changes a recorder from its defaults.
type Option func(*options)

type options struct {
	patience time.Duration
	streams  int
}

// WithPatience bounds how long a recorder waits for the event store before the
// outcome of an append counts as unknown; 30 seconds without it.
func WithPatience(d time.Duration) Option { return func(o *options) { o.patience = d } }

type recorderMetrics struct {
	events  *prometheus.CounterVec
	seconds prometheus.Histogram
}

// NewRecorder makes a recorder; now is the clock of recorded_at. Close must be
// called.
func NewRecorder(
	store *eventstore.Store, log *slog.Logger, now func() time.Time, reg prometheus.Registerer, opts ...Option,
) (*Recorder, error) {
	o := options{patience: defaultPatience, streams: rememberStreams}
	for _, opt := range opts {
		opt(&o)
	}
	streams, err := newStreamTable(o.streams)
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
	if err := errors.Join(reg.Register(r.metrics.events), reg.Register(r.metrics.seconds)); err != nil {
		return nil, fmt.Errorf("registering the recorder's metrics: %w", err)
	}
	for _, status := range []Status{Recorded, Duplicate, Rejected} {
		r.metrics.events.WithLabelValues(string(status)) // there from the start, at 0
	}
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
	call := newCall(ctx, r, source, items)
	if err := r.prepare(ctx); err != nil {
		return call.receipts, err
	}
	call.understand()
	call.appendAll()  //nolint:contextcheck // an append outlives the caller who goes away in the middle
	call.quarantine() //nolint:contextcheck // as above
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

func (r *Recorder) durableBefore() domain.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mark
}

// begin counts an append in, unless the recorder is being closed.
func (r *Recorder) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return false
	}
	r.wg.Add(1)
	return true
}

// call is one Record request on its way.
type call struct {
	recorder *Recorder
	ctx      context.Context //nolint:containedctx // of the request
	source   string
	items    []Item // copies: the door completes them
	digests  [][8]byte

	mu       sync.Mutex // guards what follows while appends are under way
	receipts []Receipt
	err      error // the first one
	pending  sync.WaitGroup
}

func newCall(ctx context.Context, r *Recorder, source string, items []Item) *call {
	c := &call{
		recorder: r, ctx: ctx, source: source, items: slices.Clone(items),
		digests: make([][8]byte, len(items)), receipts: make([]Receipt, len(items)),
	}
	for i := range items {
		c.receipts[i].Line = items[i].Line
	}
	return c
}

// run is a maximal sequence of items that go to one stream in one append.
type run struct {
	stream string
	items  []int // indexes into call.items
}

// understand fills in what the door adds to each event.
func (c *call) understand() {
	now := c.recorder.now().UTC()
	seen := make(map[[sha256.Size]byte]int)
	for i := range c.items {
		item := &c.items[i]
		if item.Err != nil {
			c.receipts[i].Err = item.Err
			continue
		}
		e := *item.Event
		item.Event = &e
		e.Source, e.RecordedAt = c.source, now
		if e.ID == "" {
			// No id: what was said is the id, so that a retry is a duplicate. The
			// same words twice in one request are two events.
			digest, err := e.Digest()
			if err != nil {
				c.receipts[i].Err = domain.Rejectf(domain.CodeInvalid, "", "encoding the event: %v", err)
				continue
			}
			e.ID = DeriveID(c.source, digest, seen[digest])
			seen[digest]++
		}
		c.digests[i] = eventDigest(&e)
		c.receipts[i].EventID = e.ID
		c.receipts[i].Stream = e.Stream()
	}
}

// DeriveID makes the id of an event that carries none: of who said it, what was
// said (domain.Event.Digest), and how often it was said before in one request.
func DeriveID(source string, digest [sha256.Size]byte, before int) string {
	return domain.DeriveID(source, hex.EncodeToString(digest[:]), strconv.Itoa(before))
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
		if c.receipts[i].Err != nil {
			continue
		}
		e := item.Event
		bytes := max(len(item.Raw), len(e.Data)+2*len(e.Raw)+256*len(e.Path)) + 1024
		stream := c.receipts[i].Stream
		_, repeated := ids[e.ID]
		if last := len(runs) - 1; last >= 0 && runs[last].stream == stream && size+bytes <= maxRunBytes && !repeated {
			runs[last].items = append(runs[last].items, i)
			size += bytes
		} else {
			runs = append(runs, run{stream: stream, items: []int{i}})
			size = bytes
			clear(ids)
		}
		ids[e.ID] = struct{}{}
	}
	return runs
}

// begin waits for the run's stream and sends its append. The rest happens in a
// goroutine that the recorder owns, so that a caller who goes away leaves no
// stream in doubt.
func (c *call) begin(run run) error {
	r := c.recorder
	if err := c.ctx.Err(); err != nil {
		return interrupted(err)
	}
	state := r.streams.enter(run.stream)
	if err := r.wait(c.ctx, state.lock); err != nil {
		r.streams.leave(state)
		return err
	}
	if err := r.wait(c.ctx, r.slots); err != nil {
		r.streams.release(state)
		return err
	}
	done := func() {
		r.slots <- struct{}{}
		r.streams.release(state)
	}
	// An append before this one may have failed, on this very stream: what comes
	// behind it must not be stored before it.
	if c.failed() {
		done()
		return nil
	}
	if !r.begin() {
		done()
		return interrupted(errors.New("the recorder is closed"))
	}
	var first attempt
	if !state.doubtful {
		if first = c.attempt(state, run); first.append == nil {
			r.wg.Done()
			done()
			return nil
		}
	}
	c.pending.Add(1)
	go func() {
		defer r.wg.Done()
		defer c.pending.Done()
		defer done()
		ctx, cancel := context.WithTimeout(r.ctx, r.patience)
		defer cancel()
		if err := c.finish(ctx, state, run, first); err != nil {
			state.doubtful = true
			c.fail(err)
		}
	}()
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
	if state.doubtful {
		if err := state.load(ctx, r.store); err != nil {
			return err
		}
		state.doubtful = false
		a = c.attempt(state, run)
	}
	for conflicts := 0; a.append != nil; conflicts++ {
		done, err := a.append.Wait(ctx)
		switch {
		case err == nil && (state.known || done.Position.Compare(a.mark) > 0):
			r.metrics.seconds.Observe(r.now().Sub(a.sent).Seconds())
			r.raise(done.Position)
			first := done.Revision - eventstore.Revision(len(a.fresh)) + 1
			for n, i := range a.fresh {
				e := c.items[i].Event
				added := entry{
					id: e.StoreID(), revision: uint64(first) + uint64(n), //nolint:gosec // at least 0
					position: done.Position, digest: c.digests[i],
				}
				state.add(added)
				c.settle(i, added, Recorded)
			}
			state.known, state.last = true, done.Revision
			return nil
		case err == nil, domain.ClassOf(err) == domain.ClassConflict:
			// Somebody was here before: an earlier life of ours, or another writer,
			// who may be quicker many times.
			if conflicts > quickConflicts {
				if err := pause(ctx); err != nil {
					return err
				}
			}
			if err := state.load(ctx, r.store); err != nil {
				return err
			}
			a = c.attempt(state, run)
		case !refused(err):
			return err
		case len(a.fresh) == 1:
			c.reject(a.fresh[0], domain.Rejectf(eventstore.CodeRefused, "", "the event store refuses the event: %v", err))
			return nil
		default:
			return c.finishOneByOne(ctx, state, run, a.fresh)
		}
	}
	return nil
}

func pause(ctx context.Context) error {
	if err := backoff.Wait(ctx, 0, maxPause, maxPause); err != nil {
		return interrupted(err)
	}
	return nil
}

// finishOneByOne finds out which of several events it is that the store refuses.
func (c *call) finishOneByOne(ctx context.Context, state *streamState, run run, items []int) error {
	for _, i := range items {
		one := run
		one.items = []int{i}
		if err := c.finish(ctx, state, one, c.attempt(state, one)); err != nil {
			return err
		}
	}
	return nil
}

// refused reports whether the store will never take the events: they are too
// large for it, or their stream was ended for ever.
func refused(err error) bool {
	e, ok := errors.AsType[*domain.Error](err)
	return ok && (e.Class == domain.ClassRejected || e.Code == eventstore.CodeStreamDeleted)
}

// settle writes the receipt of an event that is durable.
func (c *call) settle(i int, at entry, status Status) {
	e := c.items[i].Event
	if status == Duplicate && !ownQuarantine(e) && at.digest != c.digests[i] && !saidBefore(e) {
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
	if c.err == nil { // when the store is away, hundreds say the same
		c.err = err
	}
}

func (c *call) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// quarantine keeps what was rejected. A rejection is only answered once its
// input is durable.
func (c *call) quarantine() {
	var rejected []int
	var kept []Item
	for i := range c.items {
		if c.receipts[i].Err == nil {
			continue
		}
		item := c.items[i]
		item.Err = c.receipts[i].Err
		if item.Raw == nil && item.Event != nil {
			// It came decoded. Without what the door added, so that it is the same
			// input when it comes again; what can't be encoded leaves only its reason.
			said := *item.Event
			said.RecordedAt, said.Source = time.Time{}, ""
			item.Raw, _ = said.Encode()
		}
		rejected = append(rejected, i)
		kept = append(kept, Item{Line: item.Line, Event: Quarantine(c.source, item, c.recorder.now())})
	}
	if len(rejected) == 0 {
		return
	}
	c.recorder.log.InfoContext(c.ctx, "input rejected", slog.String("source", c.source),
		slog.Int("rejected", len(rejected)), slog.Int("of", len(c.items)), slog.String("first_code", c.receipts[rejected[0]].Err.Code))
	q := newCall(c.ctx, c.recorder, c.source, kept)
	q.understand()
	q.appendAll()
	for n, i := range rejected {
		if at := q.receipts[n]; at.Status != "" {
			c.receipts[i].Status = Rejected
			c.receipts[i].Stream, c.receipts[i].Revision, c.receipts[i].Position = at.Stream, at.Revision, at.Position
		} else if at.Err != nil {
			q.fail(&domain.Error{Code: eventstore.CodeUnclassified, Message: "keeping rejected input", Err: at.Err})
		}
	}
	if q.err != nil {
		c.fail(q.err)
	}
}

// ownQuarantine tells the events that keep bad input, whose time is that of each
// arrival and says nothing about what arrived.
func ownQuarantine(e *domain.Event) bool {
	return e.Type == domain.InputQuarantined && e.Home().Kind == "quarantine"
}

// saidBefore tells the events of which the sender itself says that they may be a
// repetition, FIX's PossDup and PossResend: the id says what they are, and number
// and time of a message that is sent again differ. Such an event is recorded if
// nobody has recorded it, and a duplicate if somebody has.
func saidBefore(e *domain.Event) bool {
	var said struct {
		PossDup    jsontext.Value `json:"poss_dup"`
		PossResend jsontext.Value `json:"poss_resend"`
	}
	if len(e.Data) == 0 || json.Unmarshal(e.Data, &said) != nil {
		return false
	}
	return said.PossDup.Kind() == 't' || said.PossResend.Kind() == 't'
}
