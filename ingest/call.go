package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/maphash"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// call is one Record request, or one piece of a sequence, on its way.
type call struct {
	sequence *sequence
	recorder *Recorder
	ctx      context.Context //nolint:containedctx // of the request
	items    []Item          // the caller's, who may read them meanwhile
	facts    []fact

	mu       sync.Mutex // guards what follows while appends are under way
	receipts []Receipt
	err      error // the first one
	pending  sync.WaitGroup
}

// fact is an item's event as the door completes it.
type fact struct {
	id       uuid.UUID
	said     fingerprint
	proposal eventstore.Proposal
}

func newCall(ctx context.Context, s *sequence, items []Item) *call {
	c := &call{
		sequence: s, recorder: s.recorder, ctx: ctx, items: items,
		facts: make([]fact, len(items)), receipts: make([]Receipt, len(items)),
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

// understand encodes each event with what the door adds to it.
func (c *call) understand() {
	now := c.recorder.now().UTC()
	var said maphash.Hash
	said.SetSeed(c.recorder.streams.seed)
	for i := range c.items {
		c.receipts[i].Err = c.items[i].Err
		if c.items[i].Err == nil {
			c.receipts[i].Err = c.complete(i, now, &said)
		}
		c.sequence.counted()
	}
}

func (c *call) complete(i int, now time.Time, said *maphash.Hash) *domain.Error {
	e := *c.items[i].Event
	e.Source, e.RecordedAt = c.sequence.source, now
	if reserved(&e) {
		return domain.Rejectf(domain.CodeConflict, "event_id", "%.80q is the id of a finding, which the detector alone records", e.ID)
	}
	if e.ID == "" {
		// No id: what was said is the id, so that a retry is a duplicate. The
		// same words twice in one request are two events.
		digest, err := e.Digest()
		if err != nil {
			return domain.Rejectf(domain.CodeInvalid, "", "encoding the event: %v", err)
		}
		before, window := c.sequence.said(digest)
		e.ID = deriveID(c.sequence.source, digest, before, window)
	}
	said.Reset()
	proposal, err := eventstore.Propose(&e, said)
	if err != nil {
		if e, ok := errors.AsType[*domain.Error](err); ok {
			return e
		}
		return domain.Rejectf(domain.CodeInvalid, "", "%v", err)
	}
	c.facts[i] = fact{id: proposal.ID(), said: fingerprintOf(said), proposal: proposal}
	c.receipts[i].EventID = e.ID
	c.receipts[i].Stream = e.Stream()
	return nil
}

// reserved tells the events that pose as findings of the detector: their ids can be
// known before there is something to find, and what stands under such an id is the
// finding.
func reserved(e *domain.Event) bool {
	return e.Type == domain.AnomalyDetected && e.Source != domain.DetectorSource && e.ID == domain.FindingEventID(e.EntityID)
}

// DeriveID makes the id of an event that carries none: of who said it, what was
// said (domain.Event.Digest), and how often it was said before in one request.
func DeriveID(source string, digest [sha256.Size]byte, before int) string {
	return deriveID(source, digest, before, 0)
}

func deriveID(source string, digest [sha256.Size]byte, before, window int) string {
	count := strconv.Itoa(before)
	if window > 0 {
		count += "/" + strconv.Itoa(window)
	}
	return domain.DeriveID(source, hex.EncodeToString(digest[:]), count)
}

// appendAll begins one append after the other. When the caller's context ends no
// further append begins; those under way are waited for, which patience bounds.
func (c *call) appendAll(runs []run) {
	if len(runs) == 0 {
		return
	}
	begun := make(chan begun, len(runs))
	c.pending.Add(1)
	go c.finishAll(begun)
	for _, run := range runs {
		if err := c.begin(run, begun); err != nil {
			c.fail(err)
			break
		}
	}
	close(begun)
}

// appendOne is appendAll where there is one run, in the goroutine of the caller,
// who waits for it whatever happens.
func (c *call) appendOne(run run) {
	begun := make(chan begun, 1)
	if err := c.begin(run, begun); err != nil {
		c.fail(err)
	}
	close(begun)
	c.pending.Add(1)
	c.finishAll(begun)
}

// wait is the end of a call.
func (c *call) wait() ([]Receipt, error) {
	c.pending.Wait()
	c.quarantine()
	c.recorder.count(c.receipts)
	return c.receipts, c.err
}

// runs groups neighbours that share a stream, within the size of one append. An
// id that repeats starts a new run, which then finds the first one recorded.
func (c *call) runs() []run {
	var runs []run
	size := 0
	ids := make(map[uuid.UUID]struct{})
	for i := range c.items {
		if c.receipts[i].Err != nil {
			continue
		}
		bytes := c.facts[i].proposal.Size()
		stream := c.receipts[i].Stream
		id := c.facts[i].id
		last := len(runs) - 1
		if last >= 0 && runs[last].stream == stream && size+bytes <= maxRunBytes {
			if len(ids) == 0 {
				ids[c.facts[i-1].id] = struct{}{}
			}
			if _, repeated := ids[id]; !repeated {
				runs[last].items = append(runs[last].items, i)
				size += bytes
				ids[id] = struct{}{}
				continue
			}
		}
		runs = append(runs, run{stream: stream, items: []int{i}})
		size = bytes
		clear(ids)
	}
	return runs
}

// begun is an append that was sent. It holds its stream's lock and a slot.
type begun struct {
	state *streamState
	run   run
	first attempt
}

// begin waits for the run's stream and sends its append. The rest happens in
// goroutines that the recorder owns, so that a caller who goes away leaves no
// stream in doubt.
func (c *call) begin(run run, to chan<- begun) error {
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
	b := begun{state: state, run: run}
	// An append before this one may have failed, on this very stream: what comes
	// behind it must not be stored before it.
	if err := c.sequence.failure(); err != nil {
		r.give(b)
		return err
	}
	mark, ok := r.begin()
	if !ok {
		r.give(b)
		return interrupted(errors.New("the recorder is closed"))
	}
	if state.doubtful || state.uncertain(c.facts, run.items) {
		c.pending.Add(1)
		go c.settleSlowly(b, nil)
		return nil
	}
	if b.first = c.attempt(state, run, mark); b.first.append == nil {
		c.done(b, nil)
		return nil
	}
	to <- b
	return nil
}

// done gives back what an append held.
func (c *call) done(b begun, err error) {
	if err != nil {
		b.state.doubtful = true
		c.fail(err)
	}
	c.recorder.give(b)
	c.recorder.end(err == nil)
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
// right for nearly all new orders and saves reading them. The state must be
// certain about each event.
func (c *call) attempt(state *streamState, run run, mark domain.Position) attempt {
	a := attempt{mark: mark, sent: c.recorder.now(), fresh: make([]int, 0, len(run.items))}
	events := make([]eventstore.Proposal, 0, len(run.items))
	for _, i := range run.items {
		if known, ok := state.find(c.facts[i].id); ok {
			c.settle(i, known, Duplicate)
			continue
		}
		a.fresh = append(a.fresh, i)
		events = append(events, c.facts[i].proposal)
	}
	if len(events) > 0 {
		a.append = c.recorder.store.BeginProposed(run.stream, state.last, events)
	}
	return a
}

// finishAll waits for appends in the order in which they were sent, which is that
// of their answers. What did not go as expected it leaves to a goroutine of its own.
func (c *call) finishAll(all <-chan begun) {
	defer c.pending.Done()
	ctx, cancel := context.WithCancelCause(c.recorder.ctx)
	defer cancel(nil)
	impatient := time.AfterFunc(c.recorder.patience, func() { cancel(context.DeadlineExceeded) })
	defer impatient.Stop()
	impatient.Stop() // nothing was sent yet, and the first append may wait long for its stream
	for b := range all {
		impatient.Reset(c.recorder.patience)
		done, err := b.first.append.Wait(ctx)
		impatient.Stop()
		switch {
		case c.expected(b, done, err):
			c.record(b.state, b.first, done)
			c.done(b, nil)
		case err != nil && domain.ClassOf(err) == domain.ClassTransient:
			c.done(b, err)
		default:
			c.pending.Add(1)
			go c.settleSlowly(b, &outcome{done, err})
		}
	}
}

// outcome is what an append came to.
type outcome struct {
	appended eventstore.Appended
	err      error
}

// expected reports whether an append has done what it was sent for.
func (c *call) expected(b begun, done eventstore.Appended, err error) bool {
	return err == nil && (b.state.known || done.Position.Compare(b.first.mark) > 0)
}

// settleSlowly reads what must be read, and tries again.
func (c *call) settleSlowly(b begun, first *outcome) {
	defer c.pending.Done()
	ctx, cancel := context.WithTimeout(c.recorder.ctx, c.recorder.patience)
	defer cancel()
	c.done(b, c.finish(ctx, b.state, b.run, b.first, first))
}

// retry looks at the stream where it must and sends what is not recorded yet.
func (c *call) retry(ctx context.Context, state *streamState, run run) (attempt, error) {
	for _, i := range run.items {
		if err := state.ascertain(ctx, c.recorder.store, c.facts[i].id, c.recorder.progress); err != nil {
			return attempt{}, err
		}
		// What is certain about one event may be forgotten for the next.
		if known, ok := state.find(c.facts[i].id); ok {
			c.settle(i, known, Duplicate) //nolint:contextcheck // reading has the recorder's life and patience, as appending has
		}
	}
	open := run
	open.items = make([]int, 0, len(run.items))
	for _, i := range run.items {
		if !c.settled(i) {
			open.items = append(open.items, i)
		}
	}
	return c.attempt(state, open, c.recorder.durable()), nil //nolint:contextcheck // reading has the recorder's life and patience, as appending has
}

// finish sees a run through to its end. Without a first attempt it makes one,
// after reading what is new in the stream.
func (c *call) finish(ctx context.Context, state *streamState, run run, a attempt, first *outcome) (err error) {
	r := c.recorder
	if first == nil {
		if state.doubtful {
			if err := state.load(ctx, r.store, r.progress); err != nil {
				return err
			}
			state.doubtful = false
		}
		if a, err = c.retry(ctx, state, run); err != nil {
			return err
		}
	}
	for conflicts := 0; a.append != nil; conflicts++ {
		var done eventstore.Appended
		if first != nil {
			done, err = first.appended, first.err
			first = nil
		} else {
			done, err = a.append.Wait(ctx)
		}
		switch {
		case err == nil && (state.known || done.Position.Compare(a.mark) > 0):
			c.record(state, a, done) //nolint:contextcheck // reading has the recorder's life and patience, as appending has
			return nil
		case err == nil, domain.ClassOf(err) == domain.ClassConflict:
			// Somebody was here before: an earlier life of ours, or another writer,
			// who may be quicker many times.
			if conflicts > quickConflicts {
				if err := pause(ctx); err != nil {
					return err
				}
			}
			if err := state.load(ctx, r.store, r.progress); err != nil {
				return err
			}
			if a, err = c.retry(ctx, state, run); err != nil {
				return err
			}
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
		if err := c.finish(ctx, state, one, attempt{}, nil); err != nil {
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

// record writes down what an append has made durable.
func (c *call) record(state *streamState, a attempt, done eventstore.Appended) {
	r := c.recorder
	r.metrics.seconds.Observe(r.now().Sub(a.sent).Seconds())
	r.raise(done.Position)
	first := done.Revision - eventstore.Revision(len(a.fresh)) + 1
	for n, i := range a.fresh {
		added := entry{
			id: c.facts[i].id, revision: uint64(first) + uint64(n), //nolint:gosec // at least 0
			position: done.Position, said: c.facts[i].said,
		}
		state.add(added)
		c.settle(i, added, Recorded)
	}
	state.known, state.last = true, done.Revision
}

// settle writes the receipt of an event that is durable.
func (c *call) settle(i int, at entry, status Status) {
	if status == Duplicate && at.said != c.facts[i].said {
		same, err := c.repeats(i, at)
		if err != nil {
			c.fail(err)
			return
		}
		if !same {
			c.reject(i, domain.Rejectf(domain.CodeConflict, "event_id",
				"%.80q is the id of a different event in stream %.80s", c.receipts[i].EventID, c.receipts[i].Stream))
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	receipt := &c.receipts[i]
	if receipt.Status != "" {
		return // settled by an earlier attempt
	}
	receipt.Status, receipt.Revision, receipt.Position = status, at.revision, at.position
}

// repeats reports whether an item says again, with other words, what is recorded.
func (c *call) repeats(i int, at entry) (bool, error) {
	item := &c.items[i]
	if ownQuarantine(item.Event) || saidBefore(item.Event) {
		return true, nil
	}
	if item.Same == nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(c.recorder.ctx, c.recorder.patience)
	defer cancel()
	for record, err := range c.recorder.store.Stream(ctx, c.receipts[i].Stream, at.revision) {
		if err != nil {
			return false, err
		}
		recorded, err := record.Event()
		return err == nil && record.ID == c.facts[i].id && item.Same(recorded), nil // what is not ours says something else
	}
	return false, nil
}

func (c *call) settled(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.receipts[i].Status != "" || c.receipts[i].Err != nil
}

func (c *call) reject(i int, err *domain.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receipts[i].Err = err
}

func (c *call) fail(err error) {
	c.sequence.fail(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil { // when the store is away, hundreds say the same
		c.err = err
	}
}

// quarantine keeps what was rejected. A rejection is only answered once its
// input is durable.
func (c *call) quarantine() {
	var rejected []int
	var kept []Item
	source := c.sequence.source
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
			if id := c.receipts[i].EventID; id != "" {
				said.ID = id
			}
			item.Raw, _ = said.Encode()
		}
		rejected = append(rejected, i)
		kept = append(kept, Item{Line: item.Line, Event: Quarantine(source, item, c.recorder.now())})
	}
	if len(rejected) == 0 {
		return
	}
	c.recorder.log.InfoContext(c.ctx, "input rejected", slog.String("source", source),
		slog.Int("rejected", len(rejected)), slog.Int("of", len(c.items)), slog.String("first_code", c.receipts[rejected[0]].Err.Code))
	q := newCall(c.ctx, &sequence{recorder: c.recorder, source: source}, kept)
	q.understand()
	q.appendAll(q.runs())
	q.pending.Wait()
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

// saidBefore tells the messages of FIX of which the sender itself says that they may
// be a repetition, PossDup and PossResend: the id says what they are, and number and
// time of a message that is sent again differ. Such an event is recorded if nobody
// has recorded it, and a duplicate if somebody has. So is a link of two ids of one
// order, which every message that names both leads to.
func saidBefore(e *domain.Event) bool {
	if e.Type != domain.OrderLinked && !bytes.HasPrefix(e.Raw, []byte("8=FIX")) {
		return false
	}
	var said struct {
		PossDup    jsontext.Value `json:"poss_dup"`
		PossResend jsontext.Value `json:"poss_resend"`
	}
	if len(e.Data) == 0 || json.Unmarshal(e.Data, &said) != nil {
		return false
	}
	return said.PossDup.Kind() == 't' || said.PossResend.Kind() == 't'
}
