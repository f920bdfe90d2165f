package eventstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// benchBytes is the payload of an event: an order event with its context has
// about this many.
const benchBytes = 500

// turn is how long the limit and the subject of a comparison run before the other
// has its turn: short, because a machine is not the same for long.
const turn = time.Second

// step does one unit of work for one of several callers.
type step func(caller int) error

// setUp begins with an empty store, if it has any. stop waits for what goes on in
// the background, so that it does not go on in the other's turn.
type setUp func(testing.TB) (do step, stop func() error)

// BenchmarkLimits compares the store, client and node together in this process and
// every event synced before its acknowledgement, with what the machine can do at
// best, measured in the same run. The two take turns; "%" is their ratio.
func BenchmarkLimits(b *testing.B) {
	for _, c := range []struct {
		name    string
		callers int
		perStep int // events
		limit   setUp
		subject setUp
	}{
		{"official client's appends to a unary echo", 64, 1, echo, clientAppends(64)},
		{"256 single events in flight to synced sets", 256, 1, syncedBatches(1), batchAppends(256, 1)},
		{"batches of 500 to synced batches, one at a time", 1, 500, syncedBatches(500), batchAppends(1, 500)},
		{"batches of 500 to synced batches, four at a time", 4, 500, syncedBatches(500), batchAppends(4, 500)},
	} {
		b.Run(c.name, func(b *testing.B) {
			var steps [2]int
			var took [2]time.Duration
			for b.Loop() {
				for i, begin := range []setUp{c.limit, c.subject} {
					do, stop := begin(b)
					n, d, err := run(c.callers, do)
					require.NoError(b, errors.Join(err, stop()))
					steps[i] += n
					took[i] += d
				}
			}
			rate := func(i int) float64 { return float64(steps[i]*c.perStep) / took[i].Seconds() }
			b.ReportMetric(0, "ns/op") // turns, which say nothing
			b.ReportMetric(rate(0), "limit/s")
			b.ReportMetric(rate(1), "events/s")
			b.ReportMetric(100*rate(1)/rate(0), "%")
		})
	}
}

// run has so many callers repeat a step for one turn.
func run(callers int, s step) (steps int, took time.Duration, err error) {
	var done atomic.Int64
	var mu sync.Mutex
	ctx, cancel := context.WithTimeout(context.Background(), turn)
	defer cancel()
	begin := time.Now()
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if e := s(caller); e != nil {
					mu.Lock()
					err = errors.Join(err, e)
					mu.Unlock()
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return int(done.Load()), time.Since(begin), err
}

// echo is the least that a call can do: it gives back what it gets.
func echo(t testing.TB) (step, func() error) {
	desc := &grpc.ServiceDesc{ServiceName: "echo", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Echo",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			m := new(wrapperspb.BytesValue)
			return m, decode(m)
		},
	}}}
	path := filepath.Join(t.TempDir(), "s")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	require.NoError(t, err)
	server := grpc.NewServer()
	server.RegisterService(desc, nil)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // ends with Stop
	conn, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	stop := func() error {
		err := conn.Close()
		server.Stop()
		serving.Wait()
		return err
	}
	payload := wrapperspb.Bytes(make([]byte, benchBytes))
	return func(int) error {
		return conn.Invoke(t.Context(), "/echo/Echo", payload, new(wrapperspb.BytesValue))
	}, stop
}

func benchNode(t testing.TB) *embedded.Node {
	t.Helper()
	node, err := embedded.Open(t.TempDir(), embedded.Options{})
	require.NoError(t, err)
	return node
}

// clientAppends: one event per call, each caller to a stream of its own.
func clientAppends(callers int) setUp {
	return func(t testing.TB) (step, func() error) { return clientAppend(t, callers) }
}

func clientAppend(t testing.TB, callers int) (step, func() error) {
	t.Helper()
	node := benchNode(t)
	cfg, err := node.Configuration()
	require.NoError(t, err)
	client, err := esdb.NewClient(cfg)
	require.NoError(t, err)
	stop := func() error { return errors.Join(client.Close(), node.Close()) }
	data := make([]byte, benchBytes)
	expected := make([]esdb.ExpectedRevision, callers)
	for i := range expected {
		expected[i] = esdb.NoStream{}
	}
	return func(caller int) error {
		done, err := client.AppendToStream(t.Context(), fmt.Sprintf("order-%d", caller),
			esdb.AppendToStreamOptions{ExpectedRevision: expected[caller]},
			esdb.EventData{EventID: uuid.New(), EventType: "order.accepted", ContentType: esdb.ContentTypeJson, Data: data})
		if err == nil {
			expected[caller] = esdb.Revision(done.NextExpectedVersion)
		}
		return err
	}, stop
}

// syncedBatches is Pebble by itself, with the keys in order.
func syncedBatches(size int) setUp {
	return func(t testing.TB) (step, func() error) {
		db, err := pebble.Open(t.TempDir(), &pebble.Options{Logger: noPebbleLog{}, MemTableSize: 32 << 20})
		require.NoError(t, err)
		value := make([]byte, benchBytes)
		var next atomic.Uint64
		return func(int) error {
			batch := db.NewBatch()
			for range size {
				if err := batch.Set(fmt.Appendf(nil, "%016x", next.Add(1)), value, nil); err != nil {
					return err
				}
			}
			return errors.Join(batch.Commit(pebble.Sync), batch.Close())
		}, db.Close
	}
}

type noPebbleLog struct{}

func (noPebbleLog) Infof(string, ...any)  {}
func (noPebbleLog) Errorf(string, ...any) {}
func (noPebbleLog) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// batchAppends is what a Recorder does, without the encoding of audit events.
func batchAppends(callers, size int) setUp {
	return func(t testing.TB) (step, func() error) {
		node := benchNode(t)
		store := Over(node.Conn(), slog.New(slog.DiscardHandler))
		stop := func() error { return errors.Join(store.Close(), node.Close()) }
		last := make([]Revision, callers)
		for i := range last {
			last[i] = NoStream
		}
		data := make([]byte, benchBytes)
		var count atomic.Uint64
		return func(caller int) error {
			events := make([]Proposal, size)
			for i := range events {
				events[i] = Proposal{eventType: "order.accepted", data: data}
				binary.BigEndian.PutUint64(events[i].id[8:], count.Add(1))
			}
			stream := "order-" + strconv.Itoa(caller)
			a := &Append{store: store, stream: stream, expected: last[caller], events: events}
			a.first = store.batch.submit(stream, last[caller], events)
			done, err := a.Wait(t.Context())
			last[caller] = done.Revision
			return err
		}, stop
	}
}

// fill appends so many events to the node.
func fill(t testing.TB, node *embedded.Node, events int) {
	t.Helper()
	const size = 500
	store := Over(node.Conn(), slog.New(slog.DiscardHandler))
	data := make([]byte, benchBytes)
	for i := range data {
		data[i] = byte(i*i + i>>3) // so that it doesn't compress to nothing
	}
	for i := range events / size {
		batch := make([]Proposal, size)
		for j := range batch {
			batch[j] = Proposal{id: uuid.New(), eventType: "order.accepted", data: data}
		}
		a := &Append{store: store, stream: "order-" + strconv.Itoa(i), expected: NoStream, events: batch}
		_, err := a.Wait(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, store.Close())
}

// readLog reads the whole log forwards, as a rebuild does.
func readLog(t testing.TB, node *embedded.Node) (events int) {
	t.Helper()
	store := Over(node.Conn(), slog.New(slog.DiscardHandler))
	for _, err := range store.Forwards(t.Context(), domain.Position{}, math.MaxUint64) {
		require.NoError(t, err)
		events++
	}
	require.NoError(t, store.Close())
	return events
}

func BenchmarkReadLog(b *testing.B) {
	const stored = 200_000
	node := benchNode(b)
	fill(b, node, stored)
	for b.Loop() {
		require.Equal(b, stored, readLog(b, node))
	}
	b.ReportMetric(float64(b.N*stored)/b.Elapsed().Seconds(), "events/s")
	require.NoError(b, node.Close())
}

// BenchmarkOpenLog opens a store of TRADETRAIL_BENCH_EVENTS events (1,000,000), and
// says how much memory the process has then, and after reading all of it.
func BenchmarkOpenLog(b *testing.B) {
	stored := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("TRADETRAIL_BENCH_EVENTS")); err == nil {
		stored = n
	}
	dir := b.TempDir()
	node, err := embedded.Open(dir, embedded.Options{})
	require.NoError(b, err)
	fill(b, node, stored)
	require.NoError(b, node.Close())
	for b.Loop() {
		node, err = embedded.Open(dir, embedded.Options{})
		require.NoError(b, err)
		b.StopTimer()
		b.ReportMetric(residentMiB(), "MiB-open")
		require.Equal(b, stored, readLog(b, node))
		b.ReportMetric(residentMiB(), "MiB-read")
		require.NoError(b, node.Close())
		b.StartTimer()
	}
	b.ReportMetric(float64(stored), "events")
}

// residentMiB is the memory of the process that is not given back; 0 where the
// system doesn't tell.
func residentMiB() float64 {
	debug.FreeOSMemory()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var total, resident int
	if _, err := fmt.Sscan(string(statm), &total, &resident); err != nil {
		return 0
	}
	return float64(resident*os.Getpagesize()) / (1 << 20)
}
