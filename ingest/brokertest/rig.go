package brokertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/broker"
)

// patience is how long anything may take before a test fails. Nothing waits that
// long when all is well.
const patience = 60 * time.Second

const pollEvery = 10 * time.Millisecond

// rig is a store, a recorder, and sources that record through a gate.
type rig struct {
	t     testing.TB
	store *eventstore.Store
	gate  *gate
	log   *slog.Logger

	read        domain.Position // of the log, so far
	recorded    []domain.Located
	quarantined []*domain.Event
}

func newRig(t testing.TB) *rig {
	t.Helper()
	node, err := embedded.Open(t.TempDir(), embedded.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, node.Close()) })
	store := eventstore.Over(node.Conn(), slog.New(slog.DiscardHandler))
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	log := slog.New(slog.DiscardHandler)
	recorder, err := ingest.NewRecorder(store, log, time.Now, prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(func() { recorder.Close(context.WithoutCancel(t.Context())) })
	return &rig{t: t, store: store, gate: &gate{recorder: recorder}, log: log}
}

// gate is a recorder that fails on demand.
type gate struct {
	recorder broker.Recorder

	mu       sync.Mutex
	away     bool // nothing is recorded
	deceived bool // everything is recorded, and nobody learns of it
	refusals int
}

var errAway = &domain.Error{Class: domain.ClassTransient, Code: "unavailable", Message: "the store is away", Err: errors.New("as the test wants it")}

func (g *gate) Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error) {
	g.mu.Lock()
	away, deceived := g.away, g.deceived
	if away || deceived {
		g.refusals++
	}
	g.mu.Unlock()
	if away {
		return make([]ingest.Receipt, len(items)), errAway
	}
	receipts, err := g.recorder.Record(ctx, source, items)
	if deceived {
		return make([]ingest.Receipt, len(items)), errAway
	}
	return receipts, err
}

func (g *gate) set(away, deceived bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away, g.deceived, g.refusals = away, deceived, 0
}

// eventually is require.Eventually in the test's own goroutine: the condition reads
// on where it was, and must not run beside itself.
func (r *rig) eventually(condition func() bool, why func() string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		require.True(r.t, time.Now().Before(deadline), why())
		time.Sleep(pollEvery)
	}
}

// awaitRefusals waits until as many calls have failed since the gate was set.
func (r *rig) awaitRefusals(n int) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		r.gate.mu.Lock()
		defer r.gate.mu.Unlock()
		return r.gate.refusals >= n
	}, patience, pollEvery)
}

// running is a source that runs.
type running struct {
	*broker.Source
	registry *prometheus.Registry
	stop     func()
}

// start runs a source until its stop, or the end of the test.
func (r *rig) start(b broker.Broker) *running {
	r.t.Helper()
	registry := prometheus.NewRegistry()
	source, err := broker.New("test", b, r.gate, r.log, time.Now, registry)
	require.NoError(r.t, err)
	ctx, cancel := context.WithCancel(context.Background()) // not the test's: it must end before the store does
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			assert.NoError(r.t, <-done)
		})
	}
	r.t.Cleanup(stop)
	return &running{Source: source, registry: registry, stop: stop}
}

// metric sums a metric of the source over its other labels; ok says that it is
// there.
func (s *running) metric(t testing.TB, name string) (sum float64, ok bool) {
	t.Helper()
	families, err := s.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			ok = true
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum, ok
}

// body is the n-th event of a partition, of one of three orders.
func body(partition, n int) []byte {
	return fmt.Appendf(nil, `{"event_type":"order.partially_filled","occurred_at":"2026-03-02T14:30:00Z","order_id":"p%d-%d","data":{"n":%d}}`,
		partition, n%3, n)
}

// bodies are events from, from+1, ... up to before to.
func bodies(partition, from, to int) [][]byte {
	var out [][]byte
	for n := from; n < to; n++ {
		out = append(out, body(partition, n))
	}
	return out
}

// events is the log without system events and quarantine; quarantined is what is
// there of that. Each call reads what the last one has not seen.
func (r *rig) events() (events []domain.Located, quarantined []*domain.Event) {
	r.t.Helper()
	read := r.read
	for record, err := range r.store.Forwards(r.t.Context(), read, 1<<40) {
		require.NoError(r.t, err)
		r.read = record.Position
		if record.Position.Compare(read) <= 0 || strings.HasPrefix(record.Stream, "$") {
			continue // the first one is where the last call ended
		}
		located, err := record.Located()
		require.NoError(r.t, err)
		if located.Type == domain.InputQuarantined {
			r.quarantined = append(r.quarantined, located.Event)
		} else {
			r.recorded = append(r.recorded, located)
		}
	}
	return r.recorded, r.quarantined
}

// awaitEvents waits until as many events are in the log.
func (r *rig) awaitEvents(want int) {
	r.t.Helper()
	got := 0
	r.eventually(func() bool {
		events, _ := r.events()
		got = len(events)
		return got >= want
	}, func() string { return fmt.Sprintf("%d events of %d are recorded", got, want) })
}

// awaitQuarantined waits until as many pieces are in quarantine, and returns them.
func (r *rig) awaitQuarantined(want int) (quarantined []*domain.Event) {
	r.t.Helper()
	r.eventually(func() bool {
		_, quarantined = r.events()
		return len(quarantined) >= want
	}, func() string { return fmt.Sprintf("%d pieces of %d are in quarantine", len(quarantined), want) })
	require.Len(r.t, quarantined, want)
	return quarantined
}

// exactly holds the log against what was published: events 0 up to before n of each
// partition, each once and under an id of its own, and those of an order in their
// order if ordered.
func (r *rig) exactly(partitions, n int, ordered bool) {
	r.t.Helper()
	r.awaitEvents(partitions * n)
	events, _ := r.events()
	require.Equal(r.t, partitions*n, len(events)) //nolint:testifylint // thousands are not to be printed
	ids := make(map[string]bool)
	seen := make(map[string]map[int]bool)
	last := make(map[string]int)
	for _, e := range events {
		assert.False(r.t, ids[e.ID], "id %s is there twice", e.ID)
		ids[e.ID] = true
		var data struct{ N int }
		require.NoError(r.t, json.Unmarshal(e.Data, &data))
		if seen[e.OrderID] == nil {
			seen[e.OrderID] = make(map[int]bool)
			last[e.OrderID] = -1
		}
		require.False(r.t, seen[e.OrderID][data.N], "event %d of order %s is there twice", data.N, e.OrderID)
		seen[e.OrderID][data.N] = true
		if ordered {
			require.Greater(r.t, data.N, last[e.OrderID], "order %s is out of order", e.OrderID)
		}
		last[e.OrderID] = data.N
	}
}
