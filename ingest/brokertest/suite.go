// Package brokertest is the contract of package broker: whatever a source reads
// from, every message is recorded exactly once.
package brokertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/broker"
)

// Place is a topic, stream or queue that nobody else uses.
type Place struct {
	// Reader is one process that reads from the place; each n is another one.
	Reader func(n int) broker.Broker
	// Publish returns when the broker has the messages safely, in their order.
	Publish func(t testing.TB, partition int, bodies ...[]byte)
	// Partitions are how many there are to publish to.
	Partitions int
}

// Server is a broker under test.
type Server struct {
	Place func(t testing.TB) Place
	// Restart kills the broker and starts it again with what is on its disk; nil if
	// the test can't.
	Restart func(t testing.TB)
	// Largest is how large a message the broker takes.
	Largest int
	// SharedInOrder says that the order of a partition is kept while several readers
	// share the place.
	SharedInOrder bool
	// Numbers says that the broker numbers its messages.
	Numbers bool
}

// Run holds a source of a broker to the contract.
func Run(t *testing.T, server func(t testing.TB) Server) {
	t.Run("every message once, in order", func(t *testing.T) { once(t, server(t)) })
	t.Run("a message holds one event, an array, or lines", func(t *testing.T) { shapes(t, server(t)) })
	t.Run("redelivered messages", func(t *testing.T) { redelivered(t, server(t)) })
	t.Run("poison in the middle", func(t *testing.T) { poison(t, server(t)) })
	t.Run("a message of 50 MB, or the largest", func(t *testing.T) { large(t, server(t)) })
	t.Run("stop and go on", func(t *testing.T) { stopAndGoOn(t, server(t)) })
	t.Run("the store is away", func(t *testing.T) { storeAway(t, server(t)) })
	t.Run("two readers share", func(t *testing.T) { shared(t, server(t)) })
	t.Run("the broker is restarted in the middle", func(t *testing.T) {
		s := server(t)
		if s.Restart == nil {
			t.Skip("the test can't restart this broker")
		}
		restarted(t, s)
	})
}

// publish gives each partition its events from, up to before to.
func publish(t testing.TB, place Place, from, to int) {
	t.Helper()
	for p := range place.Partitions {
		place.Publish(t, p, bodies(p, from, to)...)
	}
}

func once(t *testing.T, server Server) {
	rig, place := newRig(t), server.Place(t)
	const n = broker.MaxBatch + 500
	publish(t, place, 0, n/2)
	source := rig.start(place.Reader(0))
	publish(t, place, n/2, n)
	rig.exactly(place.Partitions, n, true)
	require.NoError(t, source.Ready())

	messages := func() float64 { m, _ := source.metric(t, "tradetrail_source_messages_total"); return m }
	require.Eventually(t, func() bool { return messages() >= float64(place.Partitions*n) }, patience, pollEvery)
	up, _ := source.metric(t, "tradetrail_source_up")
	assert.InDelta(t, 1, up, 0)
	assert.Eventually(t, func() bool {
		behind, known := source.metric(t, "tradetrail_source_behind_messages")
		return known && behind == 0
	}, patience, pollEvery, "nothing is left behind")
	_, numbered := source.metric(t, "tradetrail_source_position")
	assert.Equal(t, server.Numbers, numbered)
}

func shapes(t *testing.T, server Server) {
	rig, place := newRig(t), server.Place(t)
	b := bodies(0, 0, 6)
	place.Publish(t, 0, b[0],
		bytes.Join([][]byte{[]byte("["), b[1], []byte(","), b[2], []byte("]")}, nil),
		bytes.Join(b[3:5], []byte("\n")), b[5])
	own := []byte(`{"event_id":"own-1","event_type":"order.filled","occurred_at":"2026-03-02T14:30:00Z","order_id":"own"}`)
	place.Publish(t, 0, own)
	rig.start(place.Reader(0))
	rig.awaitEvents(7)
	events, quarantined := rig.events()
	require.Len(t, events, 7)
	assert.Empty(t, quarantined)
	ids := map[string]bool{}
	for _, e := range events {
		ids[e.ID] = true
		assert.Equal(t, place.Reader(0).Kind()+":test", e.Source)
	}
	assert.Len(t, ids, 7)
	assert.True(t, ids["own-1"], "a source's own id stays")
}

// redelivered is the row of the failure table where the effect is there and nobody
// knows: the same messages come again, to this life and to the next.
func redelivered(t *testing.T, server Server) {
	rig, place := newRig(t), server.Place(t)
	const n = 200
	publish(t, place, 0, n)
	rig.gate.set(false, true)
	first := rig.start(place.Reader(0))
	rig.awaitRefusals(3)
	first.stop()
	rig.awaitEvents(1)
	rig.gate.set(false, false)
	second := rig.start(place.Reader(0))
	rig.exactly(place.Partitions, n, true)
	require.Eventually(t, func() bool {
		m, _ := second.metric(t, "tradetrail_source_messages_total")
		return m >= float64(place.Partitions*n)
	}, patience, pollEvery, "what was not acknowledged was delivered again")
}

func poison(t *testing.T, server Server) {
	rig, place := newRig(t), server.Place(t)
	bad := []byte(`{"event_type":"order.filled","occurred_at":`)
	place.Publish(t, 0, body(0, 0))
	place.Publish(t, 0, bad, []byte{})
	place.Publish(t, 0, body(0, 1))
	source := rig.start(place.Reader(0))
	rig.exactly(1, 2, true)
	quarantined := rig.awaitQuarantined(2)
	var reason struct{ Code, Message string }
	require.NoError(t, json.Unmarshal(quarantined[0].Data, &reason))
	assert.Equal(t, domain.CodeMalformed, reason.Code)
	assert.Contains(t, reason.Message, "(message ", "it says which message")
	assert.Equal(t, bad, quarantined[0].Raw)
	assert.Eventually(t, func() bool {
		behind, known := source.metric(t, "tradetrail_source_behind_messages")
		return known && behind == 0
	}, patience, pollEvery, "poison is acknowledged")
}

func large(t *testing.T, server Server) {
	rig, place := newRig(t), server.Place(t)
	giant := bytes.Repeat([]byte("x"), min(server.Largest, 50<<20))
	place.Publish(t, 0, body(0, 0))
	place.Publish(t, 0, giant)
	place.Publish(t, 0, body(0, 1))
	rig.start(place.Reader(0))
	rig.exactly(1, 2, true)
	quarantined := rig.awaitQuarantined(1)
	var kept struct {
		Bytes   int
		SHA256  string
		Partial bool
	}
	require.NoError(t, json.Unmarshal(quarantined[0].Data, &kept))
	digest := sha256.Sum256(giant)
	assert.Equal(t, len(giant), kept.Bytes)
	assert.Equal(t, hex.EncodeToString(digest[:]), kept.SHA256)
	assert.True(t, kept.Partial)
	assert.Less(t, len(quarantined[0].Raw), 1<<20)
}

func stopAndGoOn(t *testing.T, server Server) {
	rig, place := newRig(t), server.Place(t)
	const n, lives = 900, 4
	for life := range lives {
		publish(t, place, life*n/lives, (life+1)*n/lives)
		source := rig.start(place.Reader(0))
		rig.awaitEvents(place.Partitions * rand.IntN((life+1)*n/lives)) //nolint:gosec // anywhere in the middle
		source.stop()
	}
	rig.start(place.Reader(0))
	rig.exactly(place.Partitions, n, true)
}

func storeAway(t *testing.T, server Server) {
	rig, place := newRig(t), server.Place(t)
	const n = 1500
	publish(t, place, 0, 10)
	source := rig.start(place.Reader(0))
	rig.awaitEvents(place.Partitions * 10)
	rig.gate.set(true, false)
	publish(t, place, 10, n)
	rig.awaitRefusals(4)
	require.Error(t, source.Ready())
	assert.Eventually(t, func() bool {
		behind, known := source.metric(t, "tradetrail_source_behind_messages")
		return known && behind > 0
	}, patience, pollEvery, "nothing is acknowledged")
	events, _ := rig.events()
	assert.Equal(t, place.Partitions*10, len(events)) //nolint:testifylint // thousands are not to be printed
	connects, _ := source.metric(t, "tradetrail_source_connects_total")
	rig.gate.set(false, false)
	rig.exactly(place.Partitions, n, true)
	again, _ := source.metric(t, "tradetrail_source_connects_total")
	assert.InDelta(t, connects, again, 0, "the broker did not notice")
	assert.Eventually(t, func() bool { return source.Ready() == nil }, patience, pollEvery)
}

func shared(t *testing.T, server Server) {
	rig, place := newRig(t), server.Place(t)
	const n = 1200
	publish(t, place, 0, n/3)
	first := rig.start(place.Reader(1))
	publish(t, place, n/3, n/2)
	rig.start(place.Reader(2))
	publish(t, place, n/2, 2*n/3)
	rig.awaitEvents(place.Partitions * n / 3)
	first.stop()
	publish(t, place, 2*n/3, n)
	rig.exactly(place.Partitions, n, server.SharedInOrder)
}

func restarted(t *testing.T, server Server) {
	rig, place := newRig(t), server.Place(t)
	const n = 900
	publish(t, place, 0, n/3)
	source := rig.start(place.Reader(0))
	rig.awaitEvents(place.Partitions * 10)
	server.Restart(t)
	publish(t, place, n/3, 2*n/3)
	rig.awaitEvents(place.Partitions * n / 2)
	server.Restart(t)
	publish(t, place, 2*n/3, n)
	rig.exactly(place.Partitions, n, true)
	assert.Eventually(t, func() bool { return source.Ready() == nil }, patience, pollEvery)
}

// Away holds a source to what it does when nobody answers: it tries again, says
// why, and ends when it is told to.
func Away(t *testing.T, b broker.Broker) {
	rig := newRig(t)
	source := rig.start(b)
	require.Eventually(t, func() bool {
		err := source.Ready()
		return err != nil && !errors.Is(err, context.Canceled) && fmt.Sprint(err) != "not connected yet"
	}, patience, pollEvery)
	up, _ := source.metric(t, "tradetrail_source_up")
	assert.InDelta(t, 0, up, 0)
	source.stop()
}

// Benchmark measures a source from messages that wait in the broker to the store,
// with few orders at a time, whose events wait for each other, and with many.
func Benchmark(b *testing.B, place func(testing.TB) Place) {
	for _, active := range []int{10, 1000} {
		b.Run(fmt.Sprint("orders=", active), func(b *testing.B) { benchmark(b, place(b), active) })
	}
}

func benchmark(b *testing.B, place Place, active int) {
	const chunk = 2000
	rig := newRig(b)
	for total := 0; total < b.N; {
		batch := make([][]byte, min(chunk, b.N-total))
		for i := range batch {
			// Each order has ten events.
			order := total/(10*active)*active + total%active
			batch[i] = fmt.Appendf(nil, `{"event_id":"%d","event_type":"order.partially_filled","occurred_at":"2012-06-21T09:30:00.004241176Z",`+
				`"order_id":"%d","account_id":"ACC-1","strategy_id":"mm-1","ticker":"AAPL","data":{"side":"buy","fill_price":"585.33","fill_quantity":"18","venue":"NASDAQ"}}`,
				total, order)
			total++
		}
		place.Publish(b, 0, batch...)
	}
	before := processorTime()
	b.ResetTimer()
	source := rig.start(place.Reader(0))
	for {
		if m, _ := source.metric(b, "tradetrail_source_messages_total"); m >= float64(b.N) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((processorTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/event") // of this process; 0: not known
	source.stop()
}

var quiet = slog.New(slog.DiscardHandler)

// Opens checks that a configuration reaches its broker.
func Opens(t testing.TB, b broker.Broker) {
	t.Helper()
	reader, err := b.Open(t.Context(), quiet)
	require.NoError(t, err)
	reader.Close()
}
