package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/projections/detect"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

const patience = 3 * time.Minute // a bound, on a machine that others use too

// strict finds something in nearly any flow.
const strict = `
thresholds:
  slippage: {limit: 2bps}
  latency-accept: {limit: 5ms}
  latency-submit: {limit: 1ms}
  clock-ahead: {limit: 1ms}
  cancel-to-fill: {ratio: 1, cancels: 2}
rules:
  - id: any-fill
    when: event_type in ["order.filled", "order.partially_filled"]
    explanation: Executed.
`

// every finds each event of an order.
const every = `
rules:
  - id: every
    types: [order.*]
    when: "true"
    explanation: "An event of {order_id}."
`

func load(t testing.TB, text string) *rules.Set {
	t.Helper()
	set, err := rules.Load([]byte(text))
	require.NoError(t, err)
	return set
}

// door is a recorder whose failures a test chooses.
type door struct {
	*ingest.Recorder

	mu   sync.Mutex
	fail func() (before, after error) // nil: never
}

func newDoor(t testing.TB, store *viewstest.Store) *door {
	t.Helper()
	recorder, err := ingest.NewRecorder(store.Store, viewstest.Discard(), time.Now, prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(func() { recorder.Close(context.WithoutCancel(t.Context())) })
	return &door{Recorder: recorder}
}

func (d *door) failing(fail func() (before, after error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

func (d *door) trouble() (before, after error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail == nil {
		return nil, nil
	}
	return d.fail()
}

// Record implements detect.Recorder.
func (d *door) Record(ctx context.Context, events []*domain.Event) ([]detect.Outcome, error) {
	before, after := d.trouble()
	if before != nil {
		return nil, before
	}
	items := make([]ingest.Item, len(events))
	for i, e := range events {
		items[i] = ingest.Item{Event: e, Same: func(recorded *domain.Event) bool { return detect.Same(recorded, e) }}
	}
	receipts, err := d.Recorder.Record(ctx, detect.Source, items)
	if err = errors.Join(err, after); err != nil {
		return nil, err
	}
	outcomes := make([]detect.Outcome, len(receipts))
	for i, r := range receipts {
		outcomes[i] = map[ingest.Status]detect.Outcome{
			ingest.Recorded: detect.Recorded, ingest.Duplicate: detect.Known, ingest.Rejected: detect.Refused,
		}[r.Status]
	}
	return outcomes, nil
}

// tell records events of others.
func (d *door) tell(t testing.TB, events ...*domain.Event) {
	t.Helper()
	for chunk := range slices.Chunk(events, 1000) {
		items := make([]ingest.Item, len(chunk))
		for i, e := range chunk {
			items[i] = ingest.Item{Event: e}
		}
		receipts, err := d.Recorder.Record(t.Context(), "test", items)
		require.NoError(t, err)
		for _, r := range receipts {
			require.Equal(t, ingest.Recorded, r.Status, "%v", r.Err)
		}
	}
}

// shelf keeps every snapshot, and gives what the test chooses.
type shelf struct {
	mu     sync.Mutex
	all    [][]byte
	choose func(all [][]byte) []byte // nil: the latest
	failed error
}

func (s *shelf) Load(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.choose != nil {
		return s.choose(s.all), nil
	}
	if len(s.all) == 0 {
		return nil, nil
	}
	return s.all[len(s.all)-1], nil
}

func (s *shelf) Save(_ context.Context, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.all = append(s.all, data)
	}
	return s.failed
}

// running is a detector at work.
type running struct {
	*detect.Detector

	store    *viewstest.Store
	registry *prometheus.Registry
	stop     func() error // again and again
}

func run(t testing.TB, set *rules.Set, store *viewstest.Store, to detect.Recorder, on detect.Shelf, client redis.UniversalClient) *running {
	t.Helper()
	d, registry := idle(t, set, store, to, on, client)
	return start(t, d, store, registry)
}

// idle is a detector that was not started.
func idle(t testing.TB, set *rules.Set, store *viewstest.Store, to detect.Recorder, on detect.Shelf, client redis.UniversalClient) (*detect.Detector, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	d, err := detect.New(detect.Deps{
		Rules: set, Store: store.Store, Recorder: to, Shelf: on, Redis: client,
		Log: viewstest.Discard(), Now: time.Now, Registry: registry,
	})
	require.NoError(t, err)
	return d, registry
}

func start(t testing.TB, d *detect.Detector, store *viewstest.Store, registry *prometheus.Registry) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	r := &running{Detector: d, store: store, registry: registry}
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// caughtUp waits until the detector has judged the whole log, its own findings
// included.
func (r *running) caughtUp(t testing.TB) {
	t.Helper()
	var head domain.Position
	assert.Eventually(t, func() (reached bool) {
		var err error
		head, err = r.store.Head(t.Context())
		return err == nil && r.Judges() && r.Ready() == nil && r.Reached() == head
	}, patience, 20*time.Millisecond)
	if t.Failed() {
		require.FailNow(t, "the detector does not catch up", "at %s of %s: %v", r.Reached(), head, r.Ready())
	}
}

// logOf reads the whole log.
func logOf(t testing.TB, store *viewstest.Store) []domain.Located {
	t.Helper()
	var log []domain.Located
	for record, err := range store.Forwards(t.Context(), domain.Position{}, math.MaxUint64) {
		require.NoError(t, err)
		if record.System() {
			continue
		}
		located, err := record.Located()
		require.NoError(t, err)
		log = append(log, located)
	}
	return log
}

// inLog are the findings in the log, which must not say one twice.
func inLog(t testing.TB, log []domain.Located) []rules.Finding {
	t.Helper()
	var all []rules.Finding
	seen := make(map[string]bool)
	for _, l := range log {
		if f, ok := rules.Recorded(l.Event); ok {
			require.False(t, seen[f.ID], "finding %s of %s is recorded twice", f.ID, f.Rule)
			seen[f.ID] = true
			all = append(all, f)
		}
		require.NotEqual(t, domain.InputQuarantined, l.Type, "%s", l.Data)
	}
	return all
}

// plain are the findings of a run over the log, each said once.
func plain(set *rules.Set, log []domain.Located) []rules.Finding {
	engine := set.Engine()
	var all []rules.Finding
	seen := make(map[string]bool)
	for _, l := range log {
		for _, f := range engine.Observe(l) {
			if !seen[f.ID] {
				all = append(all, f)
			}
			seen[f.ID] = true
		}
	}
	return all
}

// assertJudged compares what is recorded with a plain run over the same log. Findings
// of one slice travel to several streams together, so their order is not compared.
func assertJudged(t testing.TB, set *rules.Set, store *viewstest.Store) []rules.Finding {
	t.Helper()
	log := logOf(t, store)
	got := inLog(t, log)
	want := plain(set, log)
	require.NotEmpty(t, want)
	require.Equal(t, texts(want), texts(got))
	return got
}

// texts are findings in an order of their own.
func texts(findings []rules.Finding) []string {
	out := make([]string, len(findings))
	for i, f := range findings {
		out[i] = fmt.Sprintf("%+v", f)
	}
	slices.Sort(out)
	return out
}

// metric is the value of a counter or gauge, summed over its labels.
func (r *running) metric(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			matches := 0
			for _, label := range m.GetLabel() {
				for i := 0; i+1 < len(labels); i += 2 {
					if label.GetName() == labels[i] && label.GetValue() == labels[i+1] {
						matches++
					}
				}
			}
			if matches == len(labels)/2 {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

var errAway = &domain.Error{Class: domain.ClassTransient, Code: "away", Message: "the store is away"}

func assertStops(t testing.TB, r *running) {
	t.Helper()
	assert.ErrorIs(t, r.stop(), context.Canceled)
}
