package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
	"github.com/tradetrail/tradetrail/projections/detect"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// history is a flow whose events don't come from the future of the test's clock.
func history(seed uint64, n int) []*domain.Event {
	events := viewstest.History(seed, n)
	for _, e := range events {
		e.RecordedAt = time.Time{}
	}
	return events
}

func TestRun_FindsWhatAPlainRunFinds(t *testing.T) {
	events := history(1, 900)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := load(t, strict)
		store := viewstest.OpenInProcess(t)
		to := newDoor(t, store)
		to.tell(t, events[:300]...)
		d := run(t, set, store, to, detect.InRedis(r.Client), r.Client)
		d.caughtUp(t)
		assertJudged(t, set, store)
		to.tell(t, events[300:600]...) // live
		d.caughtUp(t)
		found := assertJudged(t, set, store)
		assert.InDelta(t, len(found), d.metric(t, "tradetrail_findings_total", "outcome", "recorded"), 0)
		assert.InDelta(t, 1, d.metric(t, "tradetrail_detection_judges"), 0)
		assert.Zero(t, d.metric(t, "tradetrail_detection_behind_bytes"))
		assertStops(t, d)

		// The next process goes on where this one has stopped.
		to.tell(t, events[600:750]...)
		d = run(t, set, store, to, detect.InRedis(r.Client), r.Client)
		d.caughtUp(t)
		assertJudged(t, set, store)
		assert.Less(t, d.metric(t, "tradetrail_detection_events_total"), 600.0, "it has read the log from its beginning")
		assertStops(t, d)

		// Redis forgets all: the log is read again, and nothing is said twice.
		r.Flush(t)
		to.tell(t, events[750:]...)
		d = run(t, set, store, to, detect.InRedis(r.Client), r.Client)
		d.caughtUp(t)
		found = assertJudged(t, set, store)
		assert.InDelta(t, len(found), d.metric(t, "tradetrail_findings_total"), 0)
	})
}

// dice are thrown by a test, a recorder and a shelf at once.
type dice struct {
	mu     sync.Mutex
	random *rand.Rand
}

func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.IntN(n)
}

// A process may die anywhere, and what is left of its snapshots may be old, damaged
// or gone. Attempts to record may fail before or after they are durable.
func TestRun_AnyEndAndAnySnapshot(t *testing.T) {
	client := viewstest.InProcess(t).Client
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := &dice{random: rand.New(rand.NewPCG(seed, 7))}
			set := load(t, strict)
			store := viewstest.OpenInProcess(t)
			to := newDoor(t, store)
			on := &shelf{}
			on.choose = func(all [][]byte) []byte {
				switch n := random.below(6); {
				case n == 0 || len(all) == 0:
					return nil
				case n == 1:
					return []byte("damaged")
				default:
					return all[random.below(len(all))]
				}
			}
			events := history(seed+10, 600)
			for from := 0; from < len(events); {
				calls, dies := 0, random.below(8)
				to.failing(func() (before, after error) {
					if calls++; calls > dies {
						return errAway, nil // this life has ended, it only doesn't know
					}
					switch random.below(4) {
					case 0:
						return errAway, nil
					case 1:
						return nil, errAway
					default:
						return nil, nil
					}
				})
				d := run(t, set, store, to, on, client)
				to2 := min(from+1+random.below(150), len(events))
				to.tell(t, events[from:to2]...)
				from = to2
				require.Eventually(t, func() bool {
					head, err := store.Head(t.Context())
					return err == nil && (d.Reached() == head || d.metric(t, "tradetrail_detection_failures_total") > 0)
				}, patience, time.Millisecond)
				assertStops(t, d)
			}
			to.failing(nil)
			d := run(t, set, store, to, on, client)
			d.caughtUp(t)
			assertJudged(t, set, store)
			assertStops(t, d)
		})
	}
}

func TestRun_StoreIsAway(t *testing.T) {
	set := load(t, every)
	store := viewstest.OpenInProcess(t)
	to := newDoor(t, store)
	to.failing(func() (before, after error) { return errAway, nil })
	d := run(t, set, store, to, &shelf{}, viewstest.InProcess(t).Client)
	to.tell(t, history(3, 50)...)
	require.Eventually(t, func() bool { return errors.Is(d.Ready(), errAway) }, patience, time.Millisecond)
	assert.Empty(t, inLog(t, logOf(t, store)))
	to.failing(nil)
	d.caughtUp(t)
	assertJudged(t, set, store)
	assert.Positive(t, d.metric(t, "tradetrail_detection_failures_total"))
}

func TestRun_EndsWhenWhatIsStoredIsDamaged(t *testing.T) {
	store := viewstest.OpenInProcess(t)
	to := newDoor(t, store)
	damaged := &domain.Error{Class: domain.ClassIntegrity, Code: "damaged", Message: "damaged"}
	to.failing(func() (before, after error) { return damaged, nil })
	to.tell(t, history(3, 50)...)
	d, err := detect.New(detect.Deps{
		Rules: load(t, every), Store: store.Store, Recorder: to, Shelf: &shelf{}, Redis: viewstest.InProcess(t).Client,
		Log: viewstest.Discard(), Now: time.Now, Registry: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	require.ErrorIs(t, d.Run(t.Context()), damaged)
	assert.False(t, d.Judges())
}

// One slice can find thousands of things.
func TestRun_Burst(t *testing.T) {
	set := load(t, every)
	store := viewstest.OpenInProcess(t)
	to := newDoor(t, store)
	events := make([]*domain.Event, 5000)
	for i := range events {
		events[i] = &domain.Event{
			ID: domain.DeriveID("burst", "", fmt.Sprint(i)), Type: domain.OrderStatusObserved, SchemaVersion: 1,
			OccurredAt: time.Date(2026, 3, 2, 14, 30, 0, i, time.UTC), OrderID: fmt.Sprint("o", i%100),
		}
	}
	to.tell(t, events...)
	d := run(t, set, store, to, &shelf{}, viewstest.InProcess(t).Client)
	d.caughtUp(t)
	found := assertJudged(t, set, store)
	assert.Equal(t, len(events), counted(found)["every"])
}

// Two detectors that both think that they are alone: each on a Redis of its own.
func TestRun_TwoAtOnce(t *testing.T) {
	set := load(t, strict)
	store := viewstest.OpenInProcess(t)
	first, second := newDoor(t, store), newDoor(t, store)
	one := run(t, set, store, first, &shelf{}, viewstest.InProcess(t).Client)
	other := run(t, set, store, second, &shelf{}, viewstest.InProcess(t).Client)
	events := history(5, 400)
	for i := 0; i < len(events); i += 50 {
		first.tell(t, events[i:i+50]...)
	}
	one.caughtUp(t)
	other.caughtUp(t)
	one.caughtUp(t)
	assertJudged(t, set, store)
}

// Of two on one Redis one judges, and the other goes on when it stops.
func TestRun_HandsOver(t *testing.T) {
	redis := viewstest.Real(t)
	set := load(t, strict)
	store := viewstest.OpenInProcess(t)
	to := newDoor(t, store)
	events := history(6, 300)
	first := run(t, set, store, to, detect.InRedis(redis.Client), redis.Client)
	to.tell(t, events[:200]...)
	first.caughtUp(t)
	second := run(t, set, store, to, detect.InRedis(redis.Client), redis.Dial(t))
	require.NoError(t, second.Ready(), "who does not judge has no opinion")
	assert.False(t, second.Judges())
	assertStops(t, first)
	to.tell(t, events[200:]...)
	second.caughtUp(t)
	assertJudged(t, set, store)
	assert.Less(t, second.metric(t, "tradetrail_detection_events_total"), 200.0)
}

// counted are how many findings there are by rule.
func counted(found []rules.Finding) map[string]int {
	counts := make(map[string]int)
	for _, f := range found {
		counts[f.Rule]++
	}
	return counts
}

const other = `
thresholds:
  slippage: {enabled: false}
rules:
  - id: every
    types: [order.*]
    when: "true"
    explanation: "An event of {order_id}, seen by other rules."
  - id: orders
    when: event_type == "order.submitted"
    explanation: Submitted.
`

// Other rules count from where those before them have come to. What was found before
// is not found again, and the log says when which rules judged.
func TestRun_OtherRules(t *testing.T) {
	client := viewstest.InProcess(t).Client
	events := history(8, 600)
	tally := func(events []*domain.Event, wants func(*domain.Event) bool) (n int) {
		for _, e := range events {
			if wants(e) {
				n++
			}
		}
		return n
	}
	ofOrder := func(e *domain.Event) bool { return e.Type.Family() == "order" }
	submitted := func(e *domain.Event) bool { return e.Type == domain.OrderSubmitted }

	for name, forget := range map[string]func(on *shelf){
		"the place is known": func(*shelf) {},
		"an older place":     func(on *shelf) { on.all = on.all[:1] },
	} {
		t.Run(name, func(t *testing.T) {
			store := viewstest.OpenInProcess(t)
			to := newDoor(t, store)
			on := &shelf{}
			for i := range 2 {
				to.tell(t, events[100*i:100*(i+1)]...)
				d := run(t, load(t, every), store, to, on, client)
				d.caughtUp(t)
				assertStops(t, d)
			}
			forget(on)
			to.tell(t, events[200:300]...) // nobody judges meanwhile
			d := run(t, load(t, other), store, to, on, client)
			d.caughtUp(t)
			to.tell(t, events[300:400]...)
			d.caughtUp(t)
			counts := counted(inLog(t, logOf(t, store)))
			assert.Equal(t, tally(events[:400], ofOrder), counts["every"])
			judged := 200
			if name == "an older place" {
				judged = 100 // what is not known to be judged is judged again
			}
			assert.Equal(t, tally(events[judged:400], submitted), counts["orders"])
			assertStops(t, d)

			// And back again.
			d = run(t, load(t, every), store, to, on, client)
			to.tell(t, events[400:500]...)
			d.caughtUp(t)
			again := counted(inLog(t, logOf(t, store)))
			assert.Equal(t, tally(events[:500], ofOrder), again["every"])
			assert.Equal(t, counts["orders"], again["orders"])
			assertStops(t, d)

			var terms []string
			for _, l := range logOf(t, store) {
				if l.Type == domain.ConfigChanged && l.Stream == "config-detection-rules" {
					terms = append(terms, string(l.Data))
				}
			}
			require.Len(t, terms, 3)
			for i, hash := range []string{load(t, every).Hash(), load(t, other).Hash(), load(t, every).Hash()} {
				assert.Contains(t, terms[i], `"new_value":"`+hash+`"`)
			}

			// All is forgotten, and the rules are the same: the log knows since when.
			on.all = nil
			d = run(t, load(t, every), store, to, on, client)
			d.caughtUp(t)
			assert.Equal(t, again, counted(inLog(t, logOf(t, store))))
			assertStops(t, d)
		})
	}
}

// A snapshot of another log says nothing about this one.
func TestRun_SnapshotOfAnotherLog(t *testing.T) {
	client := viewstest.InProcess(t).Client
	set := load(t, strict)
	on := &shelf{}
	for seed, n := range map[uint64]int{21: 400, 22: 100, 23: 200} {
		store := viewstest.OpenInProcess(t)
		to := newDoor(t, store)
		to.tell(t, history(seed, n)...)
		d := run(t, set, store, to, on, client)
		d.caughtUp(t)
		assertJudged(t, set, store)
		assertStops(t, d)
	}
}

func TestInFile_ReplacesWhole(t *testing.T) {
	on := detect.InFile(t.TempDir() + "/below/snapshot")
	data, err := on.Load(t.Context())
	require.NoError(t, err)
	assert.Nil(t, data)
	for _, text := range []string{"a long one", "short"} {
		require.NoError(t, on.Save(t.Context(), []byte(text)))
		data, err = on.Load(t.Context())
		require.NoError(t, err)
		assert.Equal(t, text, string(data))
	}
	assert.Error(t, detect.InFile(t.TempDir()).Save(t.Context(), nil))
}

// submissions are so many orders, and nothing else.
func submissions(prefix string, n int) []*domain.Event {
	events := make([]*domain.Event, n)
	for i := range events {
		events[i] = &domain.Event{
			ID: domain.DeriveID(prefix, "", fmt.Sprint(i)), Type: domain.OrderSubmitted, SchemaVersion: domain.SchemaVersion,
			OccurredAt: time.Date(2026, 3, 2, 14, 30, 0, i, time.UTC), OrderID: fmt.Sprint(prefix, i),
		}
	}
	return events
}

// named find each submission, under the name of the rule.
func named(rule string) string {
	return "rules: [{id: " + rule + ", when: 'event_type == \"order.submitted\"', explanation: Submitted.}]"
}

// Rules that were stopped while they read the time of those before have come nowhere:
// who follows them accuses nobody of that time either.
func TestRun_RulesThatNeverCaughtUp(t *testing.T) {
	client := viewstest.InProcess(t).Client
	store := viewstest.OpenInProcess(t)
	to := newDoor(t, store)
	on := &shelf{}
	to.tell(t, submissions("old", 6000)...)
	first := run(t, load(t, `rules: [{id: first, when: 'event_type == "order.filled"', explanation: x}]`), store, to, on, client)
	first.caughtUp(t)
	assertStops(t, first)

	d, registry := idle(t, load(t, named("second")), store, to, on, client)
	reading := make(chan struct{})
	d.Halt(func() { close(reading) })
	second := start(t, d, store, registry)
	<-reading
	assertStops(t, second)
	require.Len(t, on.all, 2, "it has left a snapshot, of the middle of history")

	third := run(t, load(t, named("third")), store, to, on, client)
	third.caughtUp(t)
	assert.Zero(t, counted(inLog(t, logOf(t, store)))["third"])
	to.tell(t, submissions("new", 10)...)
	third.caughtUp(t)
	assert.Equal(t, map[string]int{"third": 10}, counted(inLog(t, logOf(t, store))))
}

// What others write into the stream that says which rules judge changes nothing,
// whatever it says and whichever id it has.
func TestRun_ForgedTerms(t *testing.T) {
	set := load(t, named("orders"))
	config := func(id, data string) *domain.Event {
		return &domain.Event{
			ID: id, Type: domain.ConfigChanged, SchemaVersion: domain.SchemaVersion, OccurredAt: time.Date(2026, 3, 2, 14, 0, 0, 0, time.UTC),
			EntityType: "config", EntityID: "detection-rules", Actor: "detector", Source: "detector", Data: []byte(data),
		}
	}
	first := domain.DeriveID("detector", "", set.Hash())
	for name, forged := range map[string][]*domain.Event{
		"these rules, never":          {config("f", `{"setting":"rules","new_value":"`+set.Hash()+`","from":"C:9223372036854775807/P:9223372036854775807"}`)},
		"other rules, from later on":  {config("f", `{"setting":"rules","new_value":"other","from":"C:9223372036854775807/P:9223372036854775807"}`)},
		"the id of what is to follow": {config(first, `{"setting":"rules"}`)},
		"both ids that can be known":  {config(first, `{"setting":"rules"}`), config(domain.DeriveID("detector", first, set.Hash()), `{}`)},
	} {
		t.Run(name, func(t *testing.T) {
			store := viewstest.OpenInProcess(t)
			to := newDoor(t, store)
			to.tell(t, forged...)
			to.tell(t, submissions("o", 10)...)
			d := run(t, set, store, to, &shelf{}, viewstest.InProcess(t).Client)
			d.caughtUp(t)
			assert.Equal(t, map[string]int{"orders": 10}, counted(inLog(t, logOf(t, store))))
		})
	}
}

// late is a door whose first visitor waits.
type late struct {
	*door

	once  sync.Once
	until func()
}

func (l *late) Record(ctx context.Context, events []*domain.Event) ([]detect.Outcome, error) {
	l.once.Do(l.until)
	return l.door.Record(ctx, events)
}

// Two that begin at the same moment both say which rules judge; it is said once, and
// neither is at fault.
func TestRun_TwoBeginAtOnce(t *testing.T) {
	store := viewstest.OpenInProcess(t)
	first, second := newDoor(t, store), newDoor(t, store)
	set := load(t, named("orders"))
	first.tell(t, submissions("o", 10)...)
	entered, release := make(chan struct{}), make(chan struct{})
	two := run(t, set, store, &late{door: second, until: func() { close(entered); <-release }}, &shelf{}, viewstest.InProcess(t).Client)
	<-entered
	one := run(t, set, store, first, &shelf{}, viewstest.InProcess(t).Client)
	one.caughtUp(t)
	close(release)
	two.caughtUp(t)
	assert.Equal(t, map[string]int{"orders": 10}, counted(inLog(t, logOf(t, store))), "and nothing in quarantine")
	assert.Zero(t, two.metric(t, "tradetrail_detection_failures_total"))
	terms := 0
	for _, l := range logOf(t, store) {
		if l.Stream == "config-detection-rules" {
			terms++
		}
	}
	assert.Equal(t, 1, terms)
}

// A process that ends doesn't wait for the event store.
func TestRun_EndsWhileAStoreHangs(t *testing.T) {
	store := viewstest.OpenInProcess(t)
	to := newDoor(t, store)
	to.tell(t, submissions("o", 10)...)
	entered, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(release) })
	d := run(t, load(t, named("orders")), store, &late{door: to, until: func() { close(entered); <-release }}, &shelf{}, viewstest.InProcess(t).Client)
	<-entered
	assertStops(t, d) // never, if it waited
}

// Rules with other thresholds find again what was found before the change, with other
// numbers: the finding is the one in the log. Something else that has taken its id is
// none.
func TestRun_TheSameFindingInOtherWords(t *testing.T) {
	client := viewstest.InProcess(t).Client
	store := viewstest.OpenInProcess(t)
	to := newDoor(t, store)
	on := &shelf{}
	cancelled := func(from, n int) (events []*domain.Event) {
		for i := range n {
			at := time.Date(2026, 3, 2, 14, 30, 0, (from+i)*1000, time.UTC)
			order := fmt.Sprint("c", from+i)
			for step, kind := range []domain.EventType{domain.OrderSubmitted, domain.OrderCancelled} {
				events = append(events, &domain.Event{
					ID: fmt.Sprint(order, "-", step), Type: kind, SchemaVersion: domain.SchemaVersion, OccurredAt: at,
					OrderID: order, AccountID: "A1", StrategyID: "S1", Ticker: "AAPL", Data: []byte(`{"side":"buy","quantity":"10"}`),
				})
			}
		}
		return events
	}
	limits := func(cancels string) *rules.Set {
		return load(t, "thresholds: {cancel-to-fill: {ratio: 1, cancels: "+cancels+"}}")
	}
	to.tell(t, cancelled(0, 10)...)
	first := run(t, limits("5"), store, to, on, client)
	first.caughtUp(t)
	assertStops(t, first)
	before := inLog(t, logOf(t, store))
	require.Equal(t, 1, counted(before)["cancel-to-fill"], "%+v", before)

	to.tell(t, cancelled(10, 20)...)
	second := run(t, limits("20"), store, to, on, client)
	second.caughtUp(t)
	assertStops(t, second)
	assert.Equal(t, counted(before)["cancel-to-fill"], counted(inLog(t, logOf(t, store)))["cancel-to-fill"], "and nothing in quarantine")
	assert.InDelta(t, 1, second.metric(t, "tradetrail_findings_total", "rule", "cancel-to-fill", "outcome", "known"), 0)
	assert.Zero(t, second.metric(t, "tradetrail_findings_total", "outcome", "refused"))
}

// What else stands under the id of a finding is no finding: that the id is taken is
// counted, and what was found stands in quarantine.
func TestRun_AFindingWhoseIDIsTaken(t *testing.T) {
	store := viewstest.OpenInProcess(t)
	to := newDoor(t, store)
	set := load(t, named("orders"))
	event := submissions("o", 1)[0]
	found := plain(set, []domain.Located{{Event: event, Stream: event.Stream()}})
	require.Len(t, found, 1)
	taken := submissions("o", 1)[0]
	taken.ID, taken.Type = domain.FindingEventID(found[0].ID), domain.OrderStatusObserved
	to.tell(t, taken, event)
	d := run(t, set, store, to, &shelf{}, viewstest.InProcess(t).Client)
	d.caughtUp(t)
	assert.InDelta(t, 1, d.metric(t, "tradetrail_findings_total", "rule", "orders", "outcome", "refused"), 0)
	quarantined := 0
	for _, l := range logOf(t, store) {
		if l.Type == domain.InputQuarantined {
			quarantined++
		}
	}
	assert.Equal(t, 1, quarantined)
}
