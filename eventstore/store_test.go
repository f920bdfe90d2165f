package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/eventstore/eventstoretest"
	"github.com/tradetrail/tradetrail/internal/faulttest"
)

var quiet = slog.New(slog.DiscardHandler)

const (
	batchAppend    = "/event_store.client.streams.Streams/BatchAppend"
	singleAppend   = "/event_store.client.streams.Streams/Append"
	read           = "/event_store.client.streams.Streams/Read"
	serverFeatures = "/event_store.client.server_features.ServerFeatures/GetSupportedMethods"
)

// overNode opens a store that needs no socket.
func overNode(t testing.TB, node *embedded.Node) *eventstore.Store {
	t.Helper()
	store := eventstore.Over(node.Conn(), quiet)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	return store
}

// eitherWay runs a test over a socket, with the official client, and without.
func eitherWay(t *testing.T, test func(t *testing.T, store *eventstore.Store)) {
	t.Helper()
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		test(t, eventstoretest.OpenStore(t, eventstoretest.OpenNode(t, t.TempDir()), ""))
	})
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		test(t, overNode(t, eventstoretest.OpenNode(t, t.TempDir())))
	})
}

func behindProxy(t testing.TB) (*eventstore.Store, *faulttest.Proxy) {
	t.Helper()
	node := eventstoretest.OpenNode(t, t.TempDir())
	proxy := faulttest.New(t, node.Address())
	return eventstoretest.OpenStore(t, node, proxy.Address()), proxy
}

// withoutBatch makes the server one that never heard of BatchAppend.
func withoutBatch(m faulttest.Message) error {
	if m.Method == serverFeatures || m.Method == batchAppend {
		return status.Error(codes.Unimplemented, "unknown method")
	}
	return nil
}

func event(id string) *domain.Event {
	return &domain.Event{
		ID: id, Type: domain.OrderSubmitted, OrderID: "1", SchemaVersion: 1,
		OccurredAt: time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC),
	}
}

func events(ids ...string) []*domain.Event {
	out := make([]*domain.Event, len(ids))
	for i, id := range ids {
		out[i] = event(id)
	}
	return out
}

func readStream(t testing.TB, store *eventstore.Store, stream string) []string {
	t.Helper()
	var ids []string
	for r, err := range store.Stream(t.Context(), stream, 0) {
		require.NoError(t, err)
		e, err := r.Event()
		require.NoError(t, err)
		assert.Equal(t, uint64(len(ids)), r.Revision, "revisions have no gaps")
		ids = append(ids, e.ID)
	}
	return ids
}

// bothWays runs a test over BatchAppend and over the official client's Append, and
// without a socket.
func bothWays(t *testing.T, test func(t *testing.T, store *eventstore.Store)) {
	t.Helper()
	t.Run("batch", func(t *testing.T) {
		t.Parallel()
		store, proxy := behindProxy(t)
		var used atomic.Bool
		proxy.Inject(func(m faulttest.Message) error {
			used.CompareAndSwap(false, m.Method == batchAppend)
			assert.NotEqual(t, singleAppend, m.Method)
			return nil
		})
		test(t, store)
		assert.True(t, used.Load(), "BatchAppend was used")
	})
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		test(t, overNode(t, eventstoretest.OpenNode(t, t.TempDir())))
	})
	t.Run("fallback", func(t *testing.T) {
		t.Parallel()
		store, proxy := behindProxy(t)
		var used atomic.Bool
		proxy.Inject(func(m faulttest.Message) error {
			used.CompareAndSwap(false, m.Method == singleAppend)
			return withoutBatch(m)
		})
		test(t, store)
		assert.True(t, used.Load(), "Append was used")
	})
}

func TestStore_AppendAndRead(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, store *eventstore.Store) {
		ctx := t.Context()
		first, err := store.Append(ctx, "order-1", eventstore.NoStream, events("a", "b"))
		require.NoError(t, err)
		assert.Equal(t, eventstore.Revision(1), first.Revision)
		second, err := store.Append(ctx, "order-1", 1, events("c"))
		require.NoError(t, err)
		assert.Equal(t, eventstore.Revision(2), second.Revision)
		assert.Positive(t, second.Position.Compare(first.Position))
		assert.Equal(t, []string{"a", "b", "c"}, readStream(t, store, "order-1"))
		assert.Empty(t, readStream(t, store, "order-2"), "a stream that does not exist is empty")

		again, err := store.Append(ctx, "order-1", eventstore.NoStream, events("a", "b"))
		require.NoError(t, err)
		assert.Equal(t, first, again, "a repeated append answers as the first did")

		for _, tc := range []struct {
			name     string
			expected eventstore.Revision
			id       string
		}{{"too low", 0, "x"}, {"too high", 7, "x"}, {"no stream", eventstore.NoStream, "x"}} {
			_, err := store.Append(ctx, "order-1", tc.expected, events(tc.id))
			assert.Equal(t, domain.ClassConflict, domain.ClassOf(err), tc.name)
		}

		big := event("big")
		big.Raw = make([]byte, 2<<20)
		_, err = store.Append(ctx, "order-1", 2, []*domain.Event{big})
		require.Equal(t, domain.ClassRejected, domain.ClassOf(err))
		e, ok := errors.AsType[*domain.Error](err)
		require.True(t, ok)
		assert.Equal(t, eventstore.CodeRefused, e.Code)
		_, err = store.Append(ctx, "order-1", 2, nil)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), "an append without events")

		head, err := store.Head(ctx)
		require.NoError(t, err)
		assert.Equal(t, second.Position, head)
		at, err := store.At(ctx, second.Position)
		require.NoError(t, err)
		assert.Equal(t, uint64(2), at.Revision)
		_, err = store.At(ctx, domain.Position{Commit: head.Commit + 1000, Prepare: head.Prepare + 1000})
		require.Error(t, err)
		backwards := make([]uint64, 0, 3)
		for r, err := range store.Backwards(ctx, domain.EndPosition, 3) {
			require.NoError(t, err)
			backwards = append(backwards, r.Revision)
		}
		assert.Equal(t, []uint64{2, 1, 0}, backwards)
	})
}

func TestStore_EmptyLogHasNoHead(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, store *eventstore.Store) {
		head, err := store.Head(t.Context())
		require.NoError(t, err)
		assert.True(t, head.IsZero())
	})
}

// A server's own events behind ours, or instead of ours, are passed over.
func TestStore_HeadPassesOverSystemEvents(t *testing.T) {
	t.Parallel()
	system := func(n int) []*domain.Event {
		all := make([]*domain.Event, n)
		for i := range all {
			all[i] = event(fmt.Sprintf("system-%d", i))
			all[i].Type = "$statistics"
		}
		return all
	}
	for _, n := range []int{1, 8, 9, 600} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			eitherWay(t, func(t *testing.T, store *eventstore.Store) {
				_, err := store.Append(t.Context(), "system-1", eventstore.NoStream, system(n))
				require.NoError(t, err)
				head, err := store.Head(t.Context())
				require.NoError(t, err)
				assert.True(t, head.IsZero(), "nothing but system events: %s", head)

				ours, err := store.Append(t.Context(), "order-1", eventstore.NoStream, events("a"))
				require.NoError(t, err)
				_, err = store.Append(t.Context(), "system-2", eventstore.NoStream, system(n))
				require.NoError(t, err)
				head, err = store.Head(t.Context())
				require.NoError(t, err)
				assert.Equal(t, ours.Position, head)
			})
		})
	}
}

// counting notes how much is asked of its node.
type counting struct {
	grpc.ClientConnInterface

	asked atomic.Uint64 // the largest count that a read asked for
}

func (c *counting) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := c.ClientConnInterface.NewStream(ctx, desc, method, opts...)
	return countingStream{stream, c}, err
}

type countingStream struct {
	grpc.ClientStream

	by *counting
}

func (c countingStream) SendMsg(m any) error {
	if request, ok := m.(*streams.ReadReq); ok {
		c.by.asked.Store(max(c.by.asked.Load(), request.GetOptions().GetCount()))
	}
	return c.ClientStream.SendMsg(m)
}

// Where the log ends is asked often: by scrapes, by readiness. It must not cost what
// reading a page costs.
func TestStore_HeadAsksForOneEvent(t *testing.T) {
	t.Parallel()
	conn := &counting{ClientConnInterface: eventstoretest.OpenNode(t, t.TempDir()).Conn()}
	store := eventstore.Over(conn, quiet)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	last, err := store.Append(t.Context(), "order-1", eventstore.NoStream, events("a", "b", "c"))
	require.NoError(t, err)
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	assert.Equal(t, last.Position, head)
	assert.Equal(t, uint64(1), conn.asked.Load())
}

func TestStore_CorrelationGoesIntoMetadata(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, store *eventstore.Store) {
		e := event("a")
		e.CorrelationID, e.CausationID = "c1", "c2"
		done, err := store.Append(t.Context(), "order-1", eventstore.NoStream, []*domain.Event{e})
		require.NoError(t, err)
		r, err := store.At(t.Context(), done.Position)
		require.NoError(t, err)
		assert.JSONEq(t, `{"$correlationId":"c1","$causationId":"c2"}`, string(r.Metadata))
	})
}

// The failure table: every append is cut before it reaches the node or after it
// was carried out, again and again, and now and then the server is away.
func TestAppend_IsExactlyOnceWhateverBreaks(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name  string
		fault faulttest.Fault
	}{{"batch", nil}, {"fallback", withoutBatch}} {
		for _, lost := range []struct {
			name   string
			answer bool
		}{{"request lost", false}, {"answer lost", true}} {
			t.Run(way.name+", "+lost.name, func(t *testing.T) {
				t.Parallel()
				store, proxy := behindProxy(t)
				var cuts atomic.Int64
				proxy.Inject(func(m faulttest.Message) error {
					if way.fault != nil {
						if err := way.fault(m); err != nil {
							return err
						}
					}
					if m.Method != serverFeatures && m.Method != read && m.Answer == lost.answer && m.N%7 == 3 {
						cuts.Add(1)
						return faulttest.ErrCut
					}
					return nil
				})
				const appenders, each = 6, 20
				var wg sync.WaitGroup
				for a := range appenders {
					wg.Go(func() {
						stream := fmt.Sprintf("order-%d", a)
						for i := range each {
							done, err := store.Append(t.Context(), stream, eventstore.Revision(i-1), events(fmt.Sprintf("%d/%d", a, i)))
							if assert.NoError(t, err) {
								assert.Equal(t, eventstore.Revision(i), done.Revision)
							}
						}
					})
				}
				wg.Wait()
				assert.Positive(t, cuts.Load())
				proxy.Inject(way.fault)
				for a := range appenders {
					var want []string
					for i := range each {
						want = append(want, fmt.Sprintf("%d/%d", a, i))
					}
					assert.Equal(t, want, readStream(t, store, fmt.Sprintf("order-%d", a)))
				}
			})
		}
	}
}

func TestAppend_WaitsForAServerThatIsAway(t *testing.T) {
	t.Parallel()
	store, proxy := behindProxy(t)
	_, err := store.Append(t.Context(), "order-1", eventstore.NoStream, events("a"))
	require.NoError(t, err)
	proxy.Down()
	appended := make(chan error, 1)
	go func() {
		_, err := store.Append(t.Context(), "order-1", 0, events("b"))
		appended <- err
	}()
	proxy.Up()
	require.NoError(t, <-appended)
	assert.Equal(t, []string{"a", "b"}, readStream(t, store, "order-1"))
}

// Where the client would hang, nothing may.
func TestStore_HonoursContextsWithoutAServer(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"never there", "gone"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			store, proxy := behindProxy(t)
			if state == "gone" {
				_, err := store.Append(t.Context(), "order-1", eventstore.NoStream, events("a"))
				require.NoError(t, err)
				_, err = store.Head(t.Context())
				require.NoError(t, err)
			}
			proxy.Down()
			calls := map[string]func(ctx context.Context) error{
				"append": func(ctx context.Context) error {
					_, err := store.Append(ctx, "order-1", 0, events("b"))
					return err
				},
				"head": func(ctx context.Context) error { _, err := store.Head(ctx); return err },
				"at": func(ctx context.Context) error {
					_, err := store.At(ctx, domain.Position{Commit: 1, Prepare: 1})
					return err
				},
				"stream": func(ctx context.Context) error {
					for _, err := range store.Stream(ctx, "order-1", 0) {
						return err
					}
					return errors.New("nothing came")
				},
				"next": func(ctx context.Context) error {
					f := store.Follow(ctx, domain.Position{})
					defer f.Close()
					_, err := f.Next(ctx, 10)
					return err
				},
			}
			var wg sync.WaitGroup
			for name, call := range calls {
				for range 4 {
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
						defer cancel()
						err := call(ctx)
						assert.Equal(t, domain.ClassTransient, domain.ClassOf(err), "%s: %v", name, err)
						assert.ErrorIs(t, err, context.DeadlineExceeded, name)
					})
				}
			}
			wg.Wait() // and Close, at the end of the test, does not hang either
		})
	}
}

func TestStore_CloseEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name  string
		fault faulttest.Fault
	}{{"batch", nil}, {"fallback", withoutBatch}} {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, away: %t", way.name, away), func(t *testing.T) {
				t.Parallel()
				node := eventstoretest.OpenNode(t, t.TempDir())
				proxy := faulttest.New(t, node.Address())
				proxy.Inject(way.fault)
				cfg, err := node.Configuration()
				require.NoError(t, err)
				cfg.Address = proxy.Address()
				store, err := eventstore.Open(cfg, quiet)
				require.NoError(t, err)
				_, err = store.Append(t.Context(), "order-0", eventstore.NoStream, events("first"))
				require.NoError(t, err)
				var wg sync.WaitGroup
				var began sync.WaitGroup
				for a := range 8 {
					began.Add(1)
					wg.Go(func() {
						for i := 0; ; i++ {
							_, err := store.Append(t.Context(), fmt.Sprintf("order-%d", a+1), eventstore.Revision(i-1), events(fmt.Sprint(i)))
							if i == 0 {
								began.Done()
							}
							if err != nil {
								assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
								return
							}
						}
					})
				}
				followers := make([]*eventstore.Follower, 3)
				for i := range followers {
					followers[i] = store.Follow(t.Context(), domain.Position{})
					wg.Go(func() {
						for {
							if _, err := followers[i].Next(t.Context(), 10); err != nil {
								assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
								return
							}
						}
					})
				}
				began.Wait()
				if away {
					proxy.Down()
				}
				require.NoError(t, store.Close())
				wg.Wait()
				for _, f := range followers {
					f.Close()
				}
				_, err = store.Append(t.Context(), "order-0", 0, events("late"))
				assert.Equal(t, domain.ClassTransient, domain.ClassOf(err), "closed")
				_, err = store.Head(t.Context())
				assert.Equal(t, domain.ClassTransient, domain.ClassOf(err), "closed")
			})
		}
	}
}

// follow collects ids until it has n.
func follow(t *testing.T, f *eventstore.Follower, n int) []string {
	t.Helper()
	var ids []string
	var last domain.Position
	for len(ids) < n {
		slice, err := f.Next(t.Context(), 7)
		require.NoError(t, err)
		require.LessOrEqual(t, len(slice.Records), 7)
		for _, r := range slice.Records {
			e, err := r.Event()
			require.NoError(t, err)
			require.Positive(t, r.Position.Compare(last), "in the order of the log")
			last = r.Position
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func TestStore_ReadsTheSameWithAndWithoutASocket(t *testing.T) {
	t.Parallel()
	node := eventstoretest.OpenNode(t, t.TempDir())
	inside, outside := overNode(t, node), eventstoretest.OpenStore(t, node, "")
	for i := range 20 {
		e := event(fmt.Sprint(i))
		if i%2 == 0 {
			e.CorrelationID = "c"
		}
		_, err := inside.Append(t.Context(), fmt.Sprintf("order-%d", i%3), eventstore.Revision(i/3-1), []*domain.Event{e})
		require.NoError(t, err)
	}
	middle, err := inside.Head(t.Context())
	require.NoError(t, err)
	for name, read := range map[string]func(*eventstore.Store) iter.Seq2[eventstore.Record, error]{
		"stream": func(s *eventstore.Store) iter.Seq2[eventstore.Record, error] {
			return s.Stream(t.Context(), "order-1", 2)
		},
		"none": func(s *eventstore.Store) iter.Seq2[eventstore.Record, error] {
			return s.Stream(t.Context(), "order-9", 0)
		},
		"forwards": func(s *eventstore.Store) iter.Seq2[eventstore.Record, error] {
			return s.Forwards(t.Context(), domain.Position{}, 100)
		},
		"some": func(s *eventstore.Store) iter.Seq2[eventstore.Record, error] {
			return s.Forwards(t.Context(), domain.Position{}, 5)
		},
		"backwards": func(s *eventstore.Store) iter.Seq2[eventstore.Record, error] {
			return s.Backwards(t.Context(), middle, 7)
		},
		"from the end": func(s *eventstore.Store) iter.Seq2[eventstore.Record, error] {
			return s.Backwards(t.Context(), domain.EndPosition, 7)
		},
	} {
		collect := func(s *eventstore.Store) (records []eventstore.Record) {
			for r, err := range read(s) {
				require.NoError(t, err)
				if len(r.Metadata) == 0 {
					r.Metadata = nil // which of the two is empty means nothing
				}
				records = append(records, r)
			}
			return records
		}
		want := collect(outside)
		assert.Equal(t, want, collect(inside), name)
		assert.Equal(t, name == "none", len(want) == 0, name)
	}
}

func TestFollower_DeliversEachEventOnceInOrder(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, store *eventstore.Store) {
		var want []string
		var middle domain.Position
		for i := range 50 {
			id := fmt.Sprint(i)
			done, err := store.Append(t.Context(), "order-"+id, eventstore.NoStream, events(id))
			require.NoError(t, err)
			if i == 24 {
				middle = done.Position
			}
			want = append(want, id)
		}
		f := store.Follow(t.Context(), domain.Position{})
		defer f.Close()
		var got []string
		for caughtUp := false; !caughtUp; {
			slice, err := f.Next(t.Context(), 7)
			require.NoError(t, err)
			for _, r := range slice.Records {
				got = append(got, strings.TrimPrefix(r.Stream, "order-"))
			}
			caughtUp = slice.CaughtUp
		}
		assert.Equal(t, want, got, "caught up means that everything was delivered")
		_, err := store.Append(t.Context(), "order-live", eventstore.NoStream, events("live"))
		require.NoError(t, err)
		assert.Equal(t, []string{"live"}, follow(t, f, 1))

		resumed := store.Follow(t.Context(), middle)
		defer resumed.Close()
		assert.Equal(t, append(want[25:], "live"), follow(t, resumed, 26), "after is exclusive")
	})
}

func TestFollower_ResumesAfterTheServerRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	node := eventstoretest.OpenNode(t, dir)
	proxy := faulttest.New(t, node.Address())
	store := eventstoretest.OpenStore(t, node, proxy.Address())
	f := store.Follow(t.Context(), domain.Position{})
	defer f.Close()
	var want, got []string
	for round := range 4 {
		for i := range 5 {
			id := fmt.Sprintf("%d/%d", round, i)
			want = append(want, id)
			_, err := store.Append(t.Context(), "order-"+id, eventstore.NoStream, events(id))
			require.NoError(t, err)
		}
		got = append(got, follow(t, f, 3)...) // the rest is under way at the restart
		proxy.Down()
		require.NoError(t, node.Close())
		node = eventstoretest.OpenNode(t, dir)
		proxy.Backend(node.Address())
		proxy.Up()
		got = append(got, follow(t, f, len(want)-len(got))...)
		require.Equal(t, want, got)
	}
}

func TestFollower_SurvivesCutsInTheMiddle(t *testing.T) {
	t.Parallel()
	store, proxy := behindProxy(t)
	var want []string
	for i := range 60 {
		want = append(want, fmt.Sprint(i))
	}
	_, err := store.Append(t.Context(), "order-1", eventstore.NoStream, events(want...))
	require.NoError(t, err)
	var cuts atomic.Int64
	proxy.Inject(func(m faulttest.Message) error {
		if m.Method == read && m.Answer && m.N%9 == 8 {
			cuts.Add(1)
			return faulttest.ErrCut
		}
		return nil
	})
	f := store.Follow(t.Context(), domain.Position{})
	defer f.Close()
	assert.Equal(t, want, follow(t, f, 60))
	assert.Greater(t, cuts.Load(), int64(3))
}

func TestFollower_StopsAtDamage(t *testing.T) {
	t.Parallel()
	store, proxy := behindProxy(t)
	_, err := store.Append(t.Context(), "order-1", eventstore.NoStream, events("a"))
	require.NoError(t, err)
	proxy.Inject(func(m faulttest.Message) error {
		if m.Method == read && m.Answer {
			return status.Error(codes.DataLoss, "bits have rotted")
		}
		return nil
	})
	f := store.Follow(t.Context(), domain.Position{})
	defer f.Close()
	for {
		if _, err = f.Next(t.Context(), 10); err != nil {
			break
		}
	}
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err))
	_, err = store.Head(t.Context())
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err))
}

func TestStream_EndsWithTheCallersInterest(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, store *eventstore.Store) {
		var ids []string
		for i := range 300 {
			ids = append(ids, fmt.Sprint(i))
		}
		_, err := store.Append(t.Context(), "order-1", eventstore.NoStream, events(ids...))
		require.NoError(t, err)
		for range store.Stream(t.Context(), "order-1", 0) {
			break // what reads ahead must end; goleak sees it if not
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		for _, err = range store.Stream(ctx, "order-1", 0) {
			if n++; n == 2 {
				cancel()
			}
		}
		assert.Equal(t, domain.ClassTransient, domain.ClassOf(err), "an end that is not the stream's is an error")
		assert.Less(t, n, 300)
	})
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"esdb://h:2113?tls=false", "kurrentdb://h:2113?tls=false", "esdb+discover://h:2113"} {
		cfg, err := eventstore.ParseURL(url)
		require.NoError(t, err, url)
		assert.Equal(t, 5*time.Second, cfg.KeepAliveTimeout, url)
	}
	cfg, err := eventstore.ParseURL("esdb://h:2113?keepAliveTimeout=7000")
	require.NoError(t, err)
	assert.Equal(t, 7*time.Second, cfg.KeepAliveTimeout)
	for _, url := range []string{"", "http://h", "esdb://", "esdb://h:nope"} {
		_, err := eventstore.ParseURL(url)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), "%q: %v", url, err)
		assert.False(t, err != nil && strings.Contains(err.Error(), "secret"))
	}
}

func TestOpen_RefusesAConfigurationThatCannotWork(t *testing.T) {
	t.Parallel()
	_, err := eventstore.Open(&esdb.Configuration{Address: "h:1", UserCertFile: "only one of two"}, quiet)
	assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
}
