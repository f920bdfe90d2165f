package ingest_test

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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/eventstoretest"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/faulttest"
)

var quiet = slog.New(slog.DiscardHandler)

const (
	batchAppend    = "/event_store.client.streams.Streams/BatchAppend"
	serverFeatures = "/event_store.client.server_features.ServerFeatures/GetSupportedMethods"
)

var ticks atomic.Int64

// clock is far from any real time, so that what comes from it shows, and never
// stands still.
func clock() time.Time {
	return time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(ticks.Add(1)) * time.Microsecond)
}

func newRecorder(t testing.TB, store *eventstore.Store, opts ...ingest.Option) *ingest.Recorder {
	t.Helper()
	r, err := ingest.NewRecorder(store, quiet, clock, prometheus.NewRegistry(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close(context.WithoutCancel(t.Context())) })
	return r
}

// newBench is a recorder on a node of its own.
func newBench(t testing.TB) (*ingest.Recorder, *eventstore.Store) {
	t.Helper()
	store := eventstoretest.OpenStore(t, eventstoretest.OpenNode(t, t.TempDir()), "")
	return newRecorder(t, store), store
}

// item is an event of an order; note tells events with the same id apart.
func item(id, order, note string) ingest.Item {
	fields := `"event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"` + order + `","data":{"note":"` + note + `"}`
	if id != "" {
		fields = `"event_id":"` + id + `",` + fields
	}
	return ingest.Understand(1, []byte("{"+fields+"}"))
}

func record(t testing.TB, r *ingest.Recorder, items ...ingest.Item) []ingest.Receipt {
	t.Helper()
	receipts, err := r.Record(t.Context(), "test", items)
	require.NoError(t, err)
	require.Len(t, receipts, len(items))
	return receipts
}

func statuses(receipts []ingest.Receipt) []ingest.Status {
	out := make([]ingest.Status, len(receipts))
	for i, r := range receipts {
		out[i] = r.Status
	}
	return out
}

// logged is the whole log in order, system events left out.
func logged(t testing.TB, store *eventstore.Store) []domain.Located {
	t.Helper()
	var out []domain.Located
	next := map[string]uint64{}
	for r, err := range store.Forwards(t.Context(), domain.Position{}, 1<<40) {
		require.NoError(t, err)
		if strings.HasPrefix(r.Stream, "$") {
			continue
		}
		require.Equal(t, next[r.Stream], r.Revision, "revisions of %s have no gaps", r.Stream)
		next[r.Stream]++
		located, err := r.Located()
		require.NoError(t, err)
		out = append(out, located)
	}
	return out
}

func ids(events []domain.Located) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = e.ID
	}
	return out
}

// matches holds what a receipt says against the store.
func matches(t testing.TB, store *eventstore.Store, receipts []ingest.Receipt) {
	t.Helper()
	for _, r := range receipts {
		found := false
		for e, err := range store.Stream(t.Context(), r.Stream, r.Revision) {
			require.NoError(t, err)
			decoded, err := e.Event()
			require.NoError(t, err)
			found = true
			if r.Status != ingest.Rejected {
				assert.Equal(t, r.EventID, decoded.ID)
			}
			assert.LessOrEqual(t, e.Position.Compare(r.Position), 0, "at the receipt's position the event is visible")
			break
		}
		assert.True(t, found, "%+v", r)
	}
}

func TestRecord_Receipts(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	bad := ingest.Understand(3, []byte(`{"event_type":`))
	receipts := record(t, r, item("a", "1", ""), item("b", "1", ""), bad, item("c", "2", ""), item("a", "1", ""))
	assert.Equal(t, []ingest.Status{ingest.Recorded, ingest.Recorded, ingest.Rejected, ingest.Recorded, ingest.Duplicate}, statuses(receipts))
	matches(t, store, receipts)
	assert.Equal(t, "order-1", receipts[1].Stream)
	assert.Equal(t, uint64(1), receipts[1].Revision)
	assert.Equal(t, receipts[0].Revision, receipts[4].Revision, "a duplicate's receipt is that of the original")
	assert.Equal(t, 3, receipts[2].Line)
	assert.Equal(t, domain.CodeMalformed, receipts[2].Err.Code)
	assert.True(t, strings.HasPrefix(receipts[2].Stream, "quarantine-"))

	stored := logged(t, store)
	assert.Len(t, stored, 4)
	assert.Equal(t, "test", stored[0].Source)
	assert.Equal(t, 2031, stored[0].RecordedAt.Year())
	assert.Equal(t, []ingest.Status{ingest.Duplicate}, statuses(record(t, r, item("a", "1", ""))), "in another call")
	assert.Len(t, logged(t, store), 4)
}

func TestRecord_LeavesTheCallersItemsAlone(t *testing.T) {
	t.Parallel()
	r, _ := newBench(t)
	items := []ingest.Item{item("", "1", "")}
	before := *items[0].Event
	record(t, r, items...)
	assert.Equal(t, before, *items[0].Event)
	assert.Nil(t, items[0].Err)
}

func TestRecord_DuplicatesAcrossLives(t *testing.T) {
	t.Parallel()
	node := eventstoretest.OpenNode(t, t.TempDir())
	first := newRecorder(t, eventstoretest.OpenStore(t, node, ""))
	record(t, first, item("a", "1", ""), item("b", "1", ""), item("c", "2", ""))

	// The next life thinks that the streams do not exist, and must find out both
	// by a refusal (d) and by an answer that is older than itself (a, b).
	store := eventstoretest.OpenStore(t, node, "")
	second := newRecorder(t, store)
	receipts := record(t, second, item("a", "1", ""), item("b", "1", ""), item("d", "2", ""), item("c", "2", ""), item("e", "3", ""))
	assert.Equal(t, []ingest.Status{ingest.Duplicate, ingest.Duplicate, ingest.Recorded, ingest.Duplicate, ingest.Recorded}, statuses(receipts))
	matches(t, store, receipts)

	third := newRecorder(t, store)
	receipts = record(t, third, item("b", "1", ""), item("f", "1", ""))
	assert.Equal(t, []ingest.Status{ingest.Duplicate, ingest.Recorded}, statuses(receipts), "not from the beginning of the stream")
	matches(t, store, receipts)
	assert.Len(t, logged(t, store), 6)
}

func TestRecord_DuplicatesOfForgottenStreams(t *testing.T) {
	t.Parallel()
	store := eventstoretest.OpenStore(t, eventstoretest.OpenNode(t, t.TempDir()), "")
	r := newRecorder(t, store, ingest.WithMemory(2))
	var items []ingest.Item
	for i := range 20 {
		items = append(items, item(fmt.Sprint("first", i), fmt.Sprint(i), ""), item(fmt.Sprint("second", i), fmt.Sprint(i), ""))
	}
	for _, s := range statuses(record(t, r, items...)) {
		require.Equal(t, ingest.Recorded, s)
	}
	for _, s := range statuses(record(t, r, items...)) {
		require.Equal(t, ingest.Duplicate, s)
	}
	assert.Len(t, logged(t, store), 40)
}

func TestRecord_LongStreamsAreIndexed(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	var items []ingest.Item
	for i := range 300 {
		items = append(items, item(fmt.Sprint(i), "1", ""))
	}
	receipts := record(t, r, items...)
	matches(t, store, []ingest.Receipt{receipts[0], receipts[150], receipts[299]})
	again := record(t, r, items...)
	for i := range again {
		require.Equal(t, ingest.Duplicate, again[i].Status)
		require.Equal(t, receipts[i].Revision, again[i].Revision)
	}
}

func TestRecord_IDConflict(t *testing.T) {
	t.Parallel()
	node := eventstoretest.OpenNode(t, t.TempDir())
	store := eventstoretest.OpenStore(t, node, "")
	r := newRecorder(t, store)
	conflicting := item("a", "1", "second")
	receipts := record(t, r, item("a", "1", "first"), conflicting, item("b", "1", ""))
	assert.Equal(t, []ingest.Status{ingest.Recorded, ingest.Rejected, ingest.Recorded}, statuses(receipts))
	assert.Equal(t, domain.CodeConflict, receipts[1].Err.Code)
	assert.Equal(t, "event_id", receipts[1].Err.Field)

	kept := logged(t, store)
	require.Len(t, kept, 3)
	assert.Equal(t, conflicting.Raw, kept[2].Raw, "nothing is lost")

	// Once more, also by a recorder that was not there, and decoded (GraphQL):
	// quarantine keeps it once for each form.
	for range 2 {
		record(t, newRecorder(t, store), conflicting)
	}
	decoded := conflicting
	decoded.Raw = nil
	for range 2 {
		assert.Equal(t, []ingest.Status{ingest.Rejected}, statuses(record(t, r, decoded)))
	}
	kept = logged(t, store)
	require.Len(t, kept, 4)
	said, err := domain.Decode(kept[3].Raw)
	require.NoError(t, err)
	assert.Equal(t, "a", said.ID)
	assert.JSONEq(t, `{"note":"second"}`, string(said.Data))
}

func TestRecord_WithoutIDs(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	// The same words twice are two facts; said again they are the same two.
	same := []ingest.Item{item("", "1", "x"), item("", "1", "x"), item("", "1", "y")}
	first := record(t, r, same...)
	assert.Equal(t, []ingest.Status{ingest.Recorded, ingest.Recorded, ingest.Recorded}, statuses(first))
	assert.NotEqual(t, first[0].EventID, first[1].EventID)
	again := record(t, r, same...)
	assert.Equal(t, []ingest.Status{ingest.Duplicate, ingest.Duplicate, ingest.Duplicate}, statuses(again))
	for i := range again {
		assert.Equal(t, first[i].EventID, again[i].EventID)
	}
	assert.Len(t, logged(t, store), 3)

	receipts, err := r.Record(t.Context(), "other", same[:1])
	require.NoError(t, err)
	assert.Equal(t, ingest.Recorded, receipts[0].Status, "from another source it is another fact")
}

// Strict: the log has the events of one call in its order, whatever the streams.
func TestRecord_KeepsTheOrderOfACall(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	rng := rand.New(rand.NewPCG(1, 2))
	var want []string
	for call := range 5 {
		var items []ingest.Item
		for i := range 200 {
			id := fmt.Sprintf("%d/%d", call, i)
			// Some new, some seen before, some with neighbours.
			items = append(items, item(id, fmt.Sprint(call*rng.IntN(2)*100+rng.IntN(20)), ""))
			want = append(want, id)
		}
		record(t, r, items...)
	}
	assert.Equal(t, want, ids(logged(t, store)))
}

func TestRecord_ManyCallersExactlyOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			node := eventstoretest.OpenNode(t, t.TempDir())
			stores := []*eventstore.Store{eventstoretest.OpenStore(t, node, ""), eventstoretest.OpenStore(t, node, "")}
			// Two recorders: other writers on the same streams at the same time.
			recorders := []*ingest.Recorder{newRecorder(t, stores[0], ingest.WithMemory(3)), newRecorder(t, stores[1])}
			var recorded sync.Map
			var wg sync.WaitGroup
			for caller := range 64 {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(seed, uint64(caller)))
					r := recorders[caller%2]
					for range 3 {
						var items []ingest.Item
						for range 1 + rng.IntN(12) {
							n := rng.IntN(400)
							items = append(items, item(fmt.Sprint("e", n), fmt.Sprint(n%7), ""))
						}
						receipts, err := r.Record(t.Context(), "test", items)
						if err != nil {
							t.Error(err)
							return
						}
						for _, receipt := range receipts {
							assert.Contains(t, []ingest.Status{ingest.Recorded, ingest.Duplicate}, receipt.Status)
							if place, known := recorded.LoadOrStore(receipt.EventID, receipt.Revision); known {
								assert.Equal(t, place, receipt.Revision, "all receipts of an event name the same place")
							}
						}
					}
				})
			}
			wg.Wait()
			seen := map[string]bool{}
			for _, e := range logged(t, stores[0]) {
				assert.False(t, seen[e.ID], "%s is there twice", e.ID)
				seen[e.ID] = true
				place, ok := recorded.Load(e.ID)
				assert.True(t, ok)
				assert.Equal(t, e.Revision, place)
			}
			recorded.Range(func(id, _ any) bool {
				assert.True(t, seen[id.(string)], "%s is lost", id) //nolint:errcheck // only strings go in
				return true
			})
		})
	}
}

func TestRecord_OrderPerStreamAcrossCalls(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	var wg sync.WaitGroup
	for caller := range 16 {
		wg.Go(func() {
			for i := range 20 {
				_, err := r.Record(t.Context(), "test", []ingest.Item{item(fmt.Sprintf("%d/%d", caller, i), fmt.Sprint(caller), "")})
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	for caller := range 16 {
		n := 0
		for e, err := range store.Stream(t.Context(), fmt.Sprint("order-", caller), 0) {
			require.NoError(t, err)
			decoded, err := e.Event()
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%d/%d", caller, n), decoded.ID)
			n++
		}
		assert.Equal(t, 20, n)
	}
}

// behindProxy is a recorder whose connection can be broken.
func behindProxy(t *testing.T, opts ...ingest.Option) (*ingest.Recorder, *eventstore.Store, *faulttest.Proxy) {
	t.Helper()
	node := eventstoretest.OpenNode(t, t.TempDir())
	proxy := faulttest.New(t, node.Address())
	store := eventstoretest.OpenStore(t, node, proxy.Address())
	return newRecorder(t, store, opts...), store, proxy
}

func TestRecord_ConnectionBreaks(t *testing.T) {
	t.Parallel()
	for _, answer := range []bool{false, true} {
		t.Run(fmt.Sprint("answers lost: ", answer), func(t *testing.T) {
			t.Parallel()
			r, store, proxy := behindProxy(t)
			var cuts atomic.Int64
			proxy.Inject(func(m faulttest.Message) error {
				if m.Method == batchAppend && m.Answer == answer && m.N%23 == 5 {
					cuts.Add(1)
					return faulttest.ErrCut
				}
				return nil
			})
			var items []ingest.Item
			for i := range 200 {
				items = append(items, item(fmt.Sprint(i), fmt.Sprint(i%11), ""))
			}
			receipts := record(t, r, items...)
			for _, receipt := range receipts {
				assert.Equal(t, ingest.Recorded, receipt.Status)
			}
			assert.Greater(t, cuts.Load(), int64(2))
			proxy.Inject(nil)
			matches(t, store, receipts)
			assert.Len(t, logged(t, store), 200)
			for stream := range 11 {
				want := stream
				for e, err := range store.Stream(t.Context(), fmt.Sprint("order-", stream), 0) {
					require.NoError(t, err)
					decoded, err := e.Event()
					require.NoError(t, err)
					require.Equal(t, fmt.Sprint(want), decoded.ID, "the order within a stream survives")
					want += 11
				}
			}
		})
	}
}

func TestRecord_StoreAway(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{false, true} {
		t.Run(fmt.Sprint("connected before: ", known), func(t *testing.T) {
			t.Parallel()
			r, store, proxy := behindProxy(t, ingest.WithPatience(200*time.Millisecond))
			if known {
				record(t, r, item("zero", "1", ""))
			}
			proxy.Down()
			items := []ingest.Item{item("a", "1", ""), item("b", "2", ""), item("c", "1", ""), ingest.Understand(4, []byte("?"))}
			var wg sync.WaitGroup
			for range 8 { // those who wait for each other give up too
				wg.Go(func() {
					receipts, err := r.Record(t.Context(), "test", items)
					assert.Equal(t, domain.ClassTransient, domain.ClassOf(err), "%v", err)
					assert.Len(t, receipts, len(items))
					for _, receipt := range receipts {
						assert.Empty(t, receipt.Status)
					}
				})
			}
			wg.Wait()
			proxy.Up()
			for {
				// The connection may need a moment; the same items again are safe.
				receipts, err := r.Record(t.Context(), "test", items)
				if err != nil {
					require.Equal(t, domain.ClassTransient, domain.ClassOf(err))
					continue
				}
				matches(t, store, receipts)
				break
			}
			want := 4
			if known {
				want++
			}
			assert.Len(t, logged(t, store), want)
			c, a := -1, -1
			for i, e := range logged(t, store) {
				switch e.ID {
				case "a":
					a = i
				case "c":
					c = i
				}
			}
			assert.Less(t, a, c, "what failed first is not overtaken by its own stream")
		})
	}
}

// Nothing behind a failed append of its stream may be stored before it.
func TestRecord_StopsBehindAFailure(t *testing.T) {
	t.Parallel()
	r, store, proxy := behindProxy(t)
	record(t, r, item("zero", "1", ""), item("other", "2", ""))
	proxy.Inject(func(m faulttest.Message) error {
		if m.Method == batchAppend && bytes.Contains(m.Data, []byte(`"event_id":"a"`)) {
			return status.Error(codes.PermissionDenied, "no use in trying again")
		}
		return nil
	})
	items := []ingest.Item{item("a", "1", ""), item("x", "2", ""), item("b", "1", "")}
	receipts, err := r.Record(t.Context(), "test", items)
	require.Error(t, err)
	assert.Empty(t, receipts[0].Status)
	assert.Empty(t, receipts[2].Status)
	proxy.Inject(nil)
	record(t, r, items...)
	stored := ids(logged(t, store))
	assert.Len(t, stored, 5)
	assert.Less(t, slices.Index(stored, "a"), slices.Index(stored, "b"))
}

// A changed event under the same id must not pass for the first one, even if the
// first one's answer was lost.
func TestRecord_ConflictAfterAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	r, store, proxy := behindProxy(t, ingest.WithPatience(300*time.Millisecond))
	record(t, r, item("zero", "1", ""))
	proxy.Inject(func(m faulttest.Message) error {
		if m.Method == batchAppend && m.Answer {
			return faulttest.ErrCut
		}
		return nil
	})
	_, err := r.Record(t.Context(), "test", []ingest.Item{item("a", "1", "first")})
	require.Equal(t, domain.ClassTransient, domain.ClassOf(err))
	proxy.Inject(nil)
	receipts := record(t, r, item("a", "1", "second"))
	assert.Equal(t, []ingest.Status{ingest.Rejected}, statuses(receipts))
	assert.Equal(t, []ingest.Status{ingest.Duplicate}, statuses(record(t, r, item("a", "1", "first"))))
	assert.Len(t, logged(t, store), 3)
}

func TestRecord_CallerGoesAway(t *testing.T) {
	t.Parallel()
	r, store, proxy := behindProxy(t)
	record(t, r, item("zero", "0", ""))
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	proxy.Inject(func(m faulttest.Message) error {
		if m.Method == batchAppend && m.Answer && m.N == 20 {
			once.Do(cancel)
		}
		return nil
	})
	var items []ingest.Item
	for i := range 400 { // of two orders in turn: each waits for the one before
		items = append(items, item(fmt.Sprint(i), fmt.Sprint("o", i%2), ""))
	}
	receipts, err := r.Record(ctx, "test", items)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
	known := 0
	for i, receipt := range receipts {
		assert.Contains(t, []ingest.Status{"", ingest.Recorded}, receipt.Status)
		if receipt.Status != "" {
			known++
		} else {
			assert.GreaterOrEqual(t, i, 19)
		}
	}
	assert.Positive(t, known)
	assert.Less(t, known, 400)
	matches(t, store, receipts[:known])

	proxy.Inject(nil)
	for i, s := range statuses(record(t, r, items...)) {
		if i < known {
			assert.Equal(t, ingest.Duplicate, s)
		}
	}
	assert.Len(t, logged(t, store), 401)

	cancelled, err := r.Record(ctx, "test", []ingest.Item{item("never", "1", "")})
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, cancelled[0].Status)
}

func TestRecord_Quarantine(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	long := []byte(`{"event_type":"` + strings.Repeat("x", 1<<20) + `"}`)
	binary := []byte("{\"event_id\":\"\xff\xfe\x00\"}")
	whole := bytes.Repeat([]byte("w"), domain.MaxEventBytes)
	items := []ingest.Item{ingest.Understand(1, long), ingest.Understand(2, binary), ingest.Understand(3, whole), ingest.Understand(4, binary), ingest.Understand(5, nil)}
	for range 2 {
		receipts := record(t, r, items...)
		for i, receipt := range receipts {
			assert.Equal(t, ingest.Rejected, receipt.Status)
			assert.Equal(t, i+1, receipt.Line)
		}
		matches(t, store, receipts)
		assert.Equal(t, receipts[1].Stream, receipts[3].Stream, "the same input is kept once")
	}
	kept := logged(t, store)
	require.Len(t, kept, 4)
	for i, raw := range [][]byte{long, binary, whole, nil} {
		e := kept[i].Event
		assert.Equal(t, domain.InputQuarantined, e.Type)
		var about struct {
			Code, Message, SHA256 string
			Bytes, Line           int
			Partial               bool
		}
		require.NoError(t, json.Unmarshal(e.Data, &about))
		digest := sha256.Sum256(raw)
		assert.Equal(t, hex.EncodeToString(digest[:]), about.SHA256)
		assert.Equal(t, len(raw), about.Bytes)
		assert.NotEmpty(t, about.Message)
		assert.Equal(t, len(raw) > ingest.MaxQuarantineRaw, about.Partial)
		assert.True(t, bytes.Equal(raw[:min(len(raw), ingest.MaxQuarantineRaw)], e.Raw), "as it came")
	}
}

// An event that the store refuses for ever is kept as what it is, and the others
// that went with it are recorded.
func TestRecord_WhatTheStoreRefuses(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	huge := item("huge", "1", "")
	huge.Event.Path = make([]domain.Hop, 9000) // as canonical JSON it is too large for the store
	for i := range huge.Event.Path {
		huge.Event.Path[i].Hop = strings.Repeat("h", 120)
	}
	huge.Event.Raw = make([]byte, 100<<10)
	receipts := record(t, r, item("a", "1", ""), huge, item("b", "1", ""))
	assert.Equal(t, []ingest.Status{ingest.Recorded, ingest.Rejected, ingest.Recorded}, statuses(receipts))
	assert.Equal(t, eventstore.CodeRefused, receipts[1].Err.Code)
	stored := logged(t, store)
	require.Len(t, stored, 3)
	assert.Equal(t, huge.Raw, stored[2].Raw)
}

// Neighbours go to the store together. If it is together that they are too large,
// each is recorded alone.
func TestRecord_TooLargeTogether(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	var items []ingest.Item
	for i := range 300 {
		it := item(fmt.Sprint(i), "1", "")
		it.Raw = nil
		e := it.Event
		for _, field := range []*string{
			&e.ClientOrderID, &e.BrokerOrderID, &e.ParentOrderID, &e.AccountID, &e.UserID, &e.StrategyID, &e.Ticker, &e.RecommendationID,
			&e.ComputationID, &e.EvaluationID, &e.ApprovalID, &e.SessionID, &e.Environment, &e.Version, &e.Actor, &e.CorrelationID,
		} {
			*field = strings.Repeat("l", domain.MaxIDBytes)
		}
		items = append(items, it)
	}
	receipts := record(t, r, items...)
	for i, receipt := range receipts {
		require.Equal(t, ingest.Recorded, receipt.Status)
		require.Equal(t, uint64(i), receipt.Revision)
	}
	assert.Len(t, logged(t, store), 300)
}

// Wrong credentials are no fault of the events.
func TestRecord_StoreDeniesAccess(t *testing.T) {
	t.Parallel()
	r, _, proxy := behindProxy(t, ingest.WithPatience(time.Second))
	record(t, r, item("a", "1", ""))
	proxy.Inject(func(m faulttest.Message) error {
		if m.Method == batchAppend {
			return status.Error(codes.PermissionDenied, "access denied")
		}
		return nil
	})
	receipts, err := r.Record(t.Context(), "test", []ingest.Item{item("b", "1", "")})
	require.Error(t, err)
	e, ok := errors.AsType[*domain.Error](err)
	require.True(t, ok)
	assert.Equal(t, eventstore.CodeAccessDenied, e.Code)
	assert.NotEqual(t, domain.ClassRejected, e.Class)
	assert.Empty(t, receipts[0].Status)
}

func TestRecord_WithoutBatchAppend(t *testing.T) {
	t.Parallel()
	r, store, proxy := behindProxy(t)
	proxy.Inject(func(m faulttest.Message) error {
		if m.Method == serverFeatures || m.Method == batchAppend {
			return status.Error(codes.Unimplemented, "unknown")
		}
		return nil
	})
	var items []ingest.Item
	for i := range 60 {
		items = append(items, item(fmt.Sprint(i), fmt.Sprint(i%5), ""))
	}
	receipts := record(t, r, items...)
	matches(t, store, receipts)
	for _, s := range statuses(record(t, r, items...)) {
		assert.Equal(t, ingest.Duplicate, s)
	}
	assert.Len(t, logged(t, store), 60)
}

func TestRecorder_CloseWaits(t *testing.T) {
	t.Parallel()
	node := eventstoretest.OpenNode(t, t.TempDir())
	proxy := faulttest.New(t, node.Address())
	store := eventstoretest.OpenStore(t, node, proxy.Address())
	r, err := ingest.NewRecorder(store, quiet, clock, prometheus.NewRegistry())
	require.NoError(t, err)
	record(t, r, item("a", "1", ""))
	under, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	proxy.Inject(func(m faulttest.Message) error {
		if m.Method == batchAppend && m.Answer {
			once.Do(func() { close(under) })
			<-release
		}
		return nil
	})
	recorded := make(chan error, 1)
	go func() {
		_, err := r.Record(t.Context(), "test", []ingest.Item{item("b", "1", "")})
		recorded <- err
	}()
	<-under
	closed := make(chan struct{})
	go func() {
		r.Close(t.Context())
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("Close has not waited")
	case <-recorded:
		t.Error("recorded before the answer came")
	case release <- struct{}{}:
	}
	close(release)
	require.NoError(t, <-recorded, "what was under way is recorded")
	<-closed
	_, err = r.Record(t.Context(), "test", []ingest.Item{item("c", "1", "")})
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(err), "closed")
	assert.Len(t, logged(t, store), 2)
}

func TestRecorder_CloseGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	r, _, proxy := behindProxy(t)
	record(t, r, item("a", "1", ""))
	proxy.Down()
	begun := make(chan error, 1)
	go func() {
		_, err := r.Record(t.Context(), "test", []ingest.Item{item("b", "1", "")})
		begun <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Close(ctx) // must not take the 30 seconds of patience
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(<-begun))
}

func TestNewRecorder_TwiceOnOneRegistry(t *testing.T) {
	t.Parallel()
	store := eventstoretest.OpenStore(t, eventstoretest.OpenNode(t, t.TempDir()), "")
	registry := prometheus.NewRegistry()
	r, err := ingest.NewRecorder(store, quiet, clock, registry)
	require.NoError(t, err)
	r.Close(t.Context())
	_, err = ingest.NewRecorder(store, quiet, clock, registry)
	assert.Error(t, err)
}
