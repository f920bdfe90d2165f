package detect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
	"github.com/tradetrail/tradetrail/internal/backoff"
	"github.com/tradetrail/tradetrail/projections/feed"
)

const (
	maxRecorded = 500         // findings that are recorded at once
	maxPace     = time.Second // of one rest while history is read again
	firstPause  = 20 * time.Millisecond
	longPause   = 5 * time.Second
)

// turn is the time in which this process judges. Its engine stands behind all events
// up to at, and everything that it has found by then is recorded.
type turn struct {
	detector *Detector
	feed     *feed.Feed
	fail     context.CancelCauseFunc // ends the turn for good

	mu      sync.Mutex
	engine  *rules.Engine // nil: the place is lost, and begin finds it again
	at      stand
	term    term
	said    map[uuid.UUID]struct{} // findings that were recorded under other rules, see term
	history domain.Position        // the end of the log when the turn began
	saved   saved

	failure atomic.Pointer[error] // why the latest attempt to record failed
	seen    atomic.Pointer[stand]
	stats   atomic.Pointer[rules.Stats]
}

// stand is a place in the log: of an event.
type stand struct {
	position domain.Position
	event    string    // its id in the store
	recorded time.Time // zero for events that are not ours
	current  bool      // all that was in the log when the turn began is judged
}

// trouble is why nothing can be recorded at the moment, or nil.
func (t *turn) trouble() error {
	if failure := t.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// stand is the latest event that was judged.
func (t *turn) stand() stand {
	if seen := t.seen.Load(); seen != nil {
		return *seen
	}
	return stand{}
}

// begin tells the feed where to begin: behind what is judged. The feed asks while
// nothing comes, too.
func (t *turn) begin(ctx context.Context) (domain.Position, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.engine == nil {
		if err := t.load(ctx); err != nil {
			return domain.Position{}, fmt.Errorf("finding where detection stands: %w", err)
		}
	}
	if t.due() {
		t.save(ctx)
	}
	return t.at.position, nil
}

// load finds the term of the rules, and the place where they stand.
func (t *turn) load(ctx context.Context) error {
	d := t.detector
	snap, err := d.snapshot(ctx)
	if err != nil {
		return err
	}
	if t.term, err = t.establish(ctx, snap); err != nil {
		return err
	}
	engine, at := d.Rules.Engine(), stand{}
	if snap != nil && snap.Rules == d.Rules.Hash() {
		resumed, err := d.Rules.Resume(snap.engine)
		if err == nil {
			engine, at = resumed, stand{position: snap.Position, event: snap.Event, recorded: snap.recorded}
		} else {
			d.Log.WarnContext(ctx, "the snapshot of the rules is of no use", slog.Any("error", err))
		}
	}
	if t.said, err = d.saidBefore(ctx, t.term, at.position); err != nil {
		return err
	}
	if t.history, err = d.Store.Head(ctx); err != nil {
		return fmt.Errorf("reading the end of the log: %w", err)
	}
	if at.position.Compare(t.history) < 0 {
		d.Log.InfoContext(ctx, "detection reads the log", slog.String("after", at.position.String()),
			slog.String("to", t.history.String()), slog.String("findings_count_after", t.term.from.String()))
	}
	t.engine, t.at = engine, at
	t.saved = saved{position: at.position, when: d.Now()}
	t.show()
	return nil
}

// take judges a slice and records what is found. When it fails the engine may have
// seen more than was recorded: it is given up, and begin starts from the snapshot.
func (t *turn) take(ctx context.Context, slice feed.Slice) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.engine == nil {
		return errors.New("the place in the log is lost")
	}
	if slice.After.Compare(t.at.position) > 0 {
		return fmt.Errorf("the slice begins after %s, and %s was judged last", slice.After, t.at.position)
	}
	d := t.detector
	began := d.Now()
	engine := t.engine
	t.engine = nil
	var found []rules.Finding
	judged := 0
	var last *domain.Event // that t.at is the place of
	for i := range slice.Events {
		e := &slice.Events[i]
		if e.Position.Compare(t.at.position) <= 0 {
			continue
		}
		t.at = stand{position: e.Position}
		if last = nil; e.Event == nil {
			continue // of another program in the same store
		}
		last = e.Event
		judged++
		for _, f := range engine.Observe(e.Located) {
			if t.counts(f, e.Position) {
				found = append(found, f)
			}
		}
	}
	if last != nil {
		t.at.event, t.at.recorded = last.StoreID().String(), last.RecordedAt
	}
	worked := d.Now().Sub(began)
	if err := t.record(ctx, found); err != nil {
		return err
	}
	t.engine = engine
	if t.at.position.Compare(t.term.at) >= 0 {
		t.said = nil
	}
	t.saved.events += judged
	d.metrics.judged.Add(float64(judged))
	t.show()
	if t.due() {
		t.save(ctx)
	}
	if t.at.position.Compare(t.history) < 0 {
		return d.rest(ctx, worked)
	}
	return nil
}

// counts reports whether a finding is to be recorded that an event at this position
// has completed.
func (t *turn) counts(f rules.Finding, position domain.Position) bool {
	if position.Compare(t.term.from) <= 0 {
		return false // of the time of other rules
	}
	if _, said := t.said[storeID(f)]; said && position.Compare(t.term.at) <= 0 {
		t.detector.metrics.findings.WithLabelValues(f.Rule, string(Known)).Inc()
		return false
	}
	return true
}

func storeID(f rules.Finding) uuid.UUID {
	return (&domain.Event{ID: domain.FindingEventID(f.ID)}).StoreID()
}

// record makes findings durable, the first of these rules behind the news that they
// judge.
func (t *turn) record(ctx context.Context, found []rules.Finding) error {
	d := t.detector
	if len(found) > 0 && t.term.event == "" {
		if err := t.announce(ctx, &t.term); err != nil {
			return err
		}
	}
	// Neighbours of one stream are one append.
	slices.SortStableFunc(found, func(a, b rules.Finding) int { return strings.Compare(a.Order, b.Order) })
	events := make([]*domain.Event, 0, len(found))
	kept := make([]rules.Finding, 0, len(found))
	for _, f := range found {
		e, err := f.Event()
		if err != nil {
			t.refused(ctx, f)
			continue
		}
		events, kept = append(events, e), append(kept, f)
	}
	for len(events) > 0 {
		n := min(len(events), maxRecorded)
		outcomes, err := t.send(ctx, events[:n])
		if err != nil {
			return fmt.Errorf("recording %d findings: %w", n, err)
		}
		for i, outcome := range outcomes {
			if outcome == Refused {
				t.refused(ctx, kept[i])
				continue
			}
			d.metrics.findings.WithLabelValues(kept[i].Rule, string(outcome)).Inc()
		}
		events, kept = events[n:], kept[n:]
	}
	return nil
}

func (t *turn) refused(ctx context.Context, f rules.Finding) {
	t.detector.metrics.findings.WithLabelValues(f.Rule, string(Refused)).Inc()
	t.detector.Log.ErrorContext(ctx, "a finding was refused", slog.String("finding", f.ID), slog.String("rule", f.Rule))
}

// send tries until the events are durable, ctx ends, or there is no use in it.
func (t *turn) send(ctx context.Context, events []*domain.Event) ([]Outcome, error) {
	d := t.detector
	for attempt := 0; ; attempt++ {
		outcomes, err := d.Recorder.Record(ctx, events)
		if err == nil && len(outcomes) != len(events) {
			err = fmt.Errorf("%d answers to %d events", len(outcomes), len(events))
		}
		if err == nil {
			t.failure.Store(nil)
			return outcomes, nil
		}
		if domain.ClassOf(err) == domain.ClassIntegrity {
			t.fail(err)
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, err
		}
		t.failure.Store(&err)
		d.metrics.failed.Inc()
		d.Log.WarnContext(ctx, "findings can't be recorded and are tried again", slog.Int("findings", len(events)), slog.Any("error", err))
		if err := backoff.Wait(ctx, attempt, firstPause, longPause); err != nil {
			return nil, err
		}
	}
}

// show publishes where the turn stands. Defects of rules are logged once.
func (t *turn) show() {
	at, stats := t.at, t.engine.Stats()
	at.current = at.position.Compare(t.history) >= 0
	before := t.stats.Load()
	for rule, defect := range stats.Broken {
		if before == nil || before.Broken[rule] == "" {
			t.detector.Log.Error("a rule broke and judges no more", slog.String("rule", rule), slog.String("panic", defect))
		}
	}
	if stats.Unfit > 0 && (before == nil || before.Unfit == 0) {
		t.detector.Log.Error("an event could not be judged", slog.String("panic", stats.Defect))
	}
	t.seen.Store(&at)
	t.stats.Store(&stats)
}

// leave is the end of a turn that nobody else has taken over yet.
func (t *turn) leave(ctx context.Context) {
	if !t.mu.TryLock() {
		return // a slice is under way and may wait long for the store: it has no engine to save
	}
	defer t.mu.Unlock()
	if t.engine != nil && t.saved.events > 0 {
		t.save(ctx)
	}
}

// rest leaves the processor to others for as long as the work has taken: what is read
// again is history, and must not hold back what happens now.
func rest(ctx context.Context, worked time.Duration) error {
	return backoff.Pause(ctx, min(worked, maxPace))
}
