package views_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

func eachRedis(b *testing.B, bench func(b *testing.B, r *viewstest.Redis)) {
	b.Run("redis=in-process", func(b *testing.B) { bench(b, viewstest.InProcess(b)) })
	b.Run("redis=server", func(b *testing.B) { bench(b, viewstest.Real(b)) })
}

// filled is a set with a log of n events in it.
func filled(b *testing.B, r *viewstest.Redis, n int) (*views.Set, []feed.Event) {
	b.Helper()
	log := viewstest.Log(viewstest.History(1, n))
	set := openSet(b, r.Client, nil)
	for from := 0; from < n; from += feed.MaxSlice {
		require.NoError(b, set.Apply(b.Context(), viewstest.SliceOf(log, from, min(n, from+feed.MaxSlice))))
	}
	return set, log
}

// All views, slices as the feed makes them while it catches up; every event is
// applied once.
func BenchmarkApply(b *testing.B) {
	eachRedis(b, func(b *testing.B, r *viewstest.Redis) {
		for _, size := range []int{1, feed.MaxSlice} {
			b.Run(fmt.Sprintf("slice=%d", size), func(b *testing.B) {
				r.Flush(b)
				log := viewstest.Log(viewstest.History(1, 40*feed.MaxSlice))
				set := openSet(b, r.Client, nil)
				at := 0
				b.ResetTimer()
				for range b.N {
					if at+size > len(log) {
						b.StopTimer()
						r.Flush(b)
						_, err := set.Start(b.Context())
						require.NoError(b, err)
						at = 0
						b.StartTimer()
					}
					require.NoError(b, set.Apply(b.Context(), viewstest.SliceOf(log, at, at+size)))
					at += size
				}
				b.ReportMetric(float64(b.N)*float64(size)/b.Elapsed().Seconds(), "events/s")
			})
		}
	})
}

func BenchmarkChain(b *testing.B) {
	eachRedis(b, func(b *testing.B, r *viewstest.Redis) {
		set, log := filled(b, r, 5000)
		orders := ordersOf(log)
		b.ResetTimer()
		for i := range b.N {
			_, _, ok, err := set.Chain(b.Context(), orders[i%len(orders)])
			require.NoError(b, err)
			require.True(b, ok)
		}
	})
}

func BenchmarkOwnerPage50(b *testing.B) {
	eachRedis(b, func(b *testing.B, r *viewstest.Redis) {
		set, log := filled(b, r, 5000)
		account, trail := busiest(log, log)
		var took []time.Duration
		b.ResetTimer()
		for i := range b.N {
			from := int64(i*31) % int64(len(trail)-50)
			began := time.Now()
			page, err := set.OwnerEvents(b.Context(), views.Accounts, account, from, from+50)
			took = append(took, time.Since(began))
			require.NoError(b, err)
			require.Len(b, page.Items, 50)
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	})
}

// From the call of Apply with one event until a live reader has it.
func BenchmarkFollowLatency(b *testing.B) {
	eachRedis(b, func(b *testing.B, r *viewstest.Redis) {
		set := openSet(b, r.Client, nil)
		events := make([]*domain.Event, b.N)
		for i := range events {
			events[i] = &domain.Event{
				Type: domain.PositionUpdated, AccountID: "A", SchemaVersion: 1, OccurredAt: time.Unix(int64(i), 0).UTC(),
			}
		}
		log := viewstest.Log(events)
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		live, err := set.FollowOwner(ctx, views.Accounts, "A", nil)
		require.NoError(b, err)
		got := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range live {
				got <- struct{}{}
			}
		}()
		b.ResetTimer()
		for i := range b.N {
			applied := make(chan error, 1)
			go func() { applied <- set.Apply(b.Context(), viewstest.SliceOf(log, i, i+1)) }()
			<-got
			require.NoError(b, <-applied)
		}
		b.StopTimer()
		cancel()
		<-done
	})
}

// stream makes up an endless log of events of about 500 bytes, as it would be
// read from a store.
type stream struct {
	flow      *viewstest.Flow
	random    *rand.Rand
	revisions map[string]uint64
	commit    uint64
	bytes, n  int
	orders    []string
}

func newStream() *stream {
	return &stream{flow: viewstest.NewFlow(1), random: rand.New(rand.NewPCG(1, 1)), revisions: make(map[string]uint64)}
}

func (s *stream) slice(b *testing.B, n int) feed.Slice {
	b.Helper()
	slice := feed.Slice{After: domain.Position{Commit: s.commit, Prepare: s.commit}}
	if s.commit == 0 {
		slice.After = domain.Position{}
	}
	for range n {
		e := s.flow.Next()
		e.CorrelationID, e.Source, e.Environment = fmt.Sprintf("%016x", s.random.Uint64()), "kafka", "production"
		if e.OrderID != "" {
			e.ClientOrderID, e.BrokerOrderID = "C-"+e.OrderID, fmt.Sprintf("%08d", s.random.IntN(1e8))
			if len(s.orders) < 100_000 && s.revisions[e.Stream()] == 0 {
				s.orders = append(s.orders, e.OrderID)
			}
		}
		e.EntityType, e.EntityID = e.Home().Kind, e.Home().ID
		e.Clock = &domain.Clock{SourceID: "gw-1", Sync: "PTP_LOCKED", OffsetNs: int64(s.random.IntN(900)), MaxErrorNs: 1000}
		payload, err := e.Encode()
		require.NoError(b, err)
		s.commit += uint64(len(payload)) + 160
		p := domain.Position{Commit: s.commit, Prepare: s.commit}
		slice.Events = append(slice.Events, feed.NewEvent(domain.Located{Event: e, Stream: e.Stream(), Revision: s.revisions[e.Stream()], Position: p}, payload))
		s.revisions[e.Stream()]++
		s.bytes += len(payload)
		s.n++
	}
	return slice
}

// Memory of all views together per event, and pages of 50 at 500 reads a second,
// as the log grows. TRADETRAIL_BENCH_EVENTS says up to how many events.
func BenchmarkGrowth(b *testing.B) {
	most := 300_000
	if text := os.Getenv("TRADETRAIL_BENCH_EVENTS"); text != "" {
		var err error
		most, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	r := viewstest.Own(b)
	set := openSet(b, r.Client, nil)
	s := newStream()
	began := time.Now()
	for _, size := range []int{100_000, 300_000, 1_000_000, 3_000_000, 10_000_000} {
		if size > most {
			break
		}
		for s.n < size {
			require.NoError(b, set.Apply(b.Context(), s.slice(b, 2000)))
		}
		b.Run(fmt.Sprintf("events=%d", size), func(b *testing.B) {
			for range b.N {
				slow := pages(b, set, s.orders)
				b.ReportMetric(float64(slow.Microseconds()), "p99-us")
			}
			b.ReportMetric(float64(r.Memory(b))/float64(size), "bytes/event")
			b.ReportMetric(float64(s.bytes)/float64(size), "payload-bytes/event")
			b.Logf("%d events after %s", size, time.Since(began).Round(time.Second))
		})
	}
}

// pages reads 5,000 pages of 50 at 500 a second and returns the 99th percentile of
// how long they took, the wait for one of 64 readers to be free included.
func pages(b *testing.B, set *views.Set, orders []string) time.Duration {
	b.Helper()
	const reads, every = 5000, 2 * time.Millisecond
	took := make([]time.Duration, reads)
	random := rand.New(rand.NewPCG(2, 2))
	begun := time.Now()
	var group errgroup.Group
	group.SetLimit(64)
	for i := range reads {
		due := begun.Add(time.Duration(i) * every)
		kind, id := views.Accounts, fmt.Sprintf("ACC-%d", 1+random.IntN(4))
		if i%2 == 1 {
			kind, id = views.Strategies, fmt.Sprintf("ALPHA-%d", 1+random.IntN(3))
		}
		at := random.Float64()
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		asked := time.Now() // not when it was due: that the sleeper slept too long is not the views' fault
		group.Go(func() error {
			total, err := set.OwnerEvents(b.Context(), kind, id, 0, 0)
			if err != nil {
				return err
			}
			from := int64(at * float64(total.Total-50))
			page, err := set.OwnerEvents(b.Context(), kind, id, from, from+50)
			if err == nil && len(page.Items) != 50 {
				err = fmt.Errorf("%d items", len(page.Items))
			}
			took[i] = time.Since(asked)
			return err
		})
	}
	require.NoError(b, group.Wait())
	slices.Sort(took)
	b.Logf("p50 %s, p90 %s, p99 %s, max %s", took[reads/2], took[reads*9/10], took[reads*99/100], took[reads-1])
	return took[reads*99/100]
}

// All views together from a log in the embedded store, and beside it what the
// same Redis does for a plain pipeline of HSET and ZADD per event.
func BenchmarkRebuild(b *testing.B) {
	n := 40_000
	if text := os.Getenv("TRADETRAIL_BENCH_EVENTS"); text != "" {
		most, err := strconv.Atoi(text)
		require.NoError(b, err)
		n = min(most, 100_000)
	}
	store := viewstest.OpenInProcess(b)
	s := newStream()
	for from := 0; from < n; from += 1000 {
		slice := s.slice(b, 1000)
		events := make([]*domain.Event, len(slice.Events))
		for i, e := range slice.Events {
			events[i] = e.Event
		}
		store.Append(b, events...)
	}
	log := logOf(b, store)
	eachRedis(b, func(b *testing.B, r *viewstest.Redis) {
		r.Flush(b)
		set := openSet(b, r.Client, store)
		for from := 0; from < len(log); from += 2000 {
			require.NoError(b, set.Apply(b.Context(), viewstest.SliceOf(log, from, min(from+2000, len(log)))))
		}
		background(b, set.Tend)
		plain := pipeline(b, r, log)
		redisBefore, goBefore := r.Seconds(b), ownSeconds(b)
		b.ResetTimer()
		for range b.N {
			done, err := set.Rebuild(b.Context(), set.Names(), views.RebuildOptions{})
			require.NoError(b, err)
			for _, p := range done {
				require.True(b, p.Equal())
				b.ReportMetric(p.PerSecond, "building-events/s")
			}
		}
		per := 1e6 / float64(b.N*n)
		b.ReportMetric((ownSeconds(b)-goBefore)*per, "go-cpu-us/event")
		b.ReportMetric((r.Seconds(b)-redisBefore)*per, "redis-cpu-us/event")
		rate := float64(b.N) * float64(n) / b.Elapsed().Seconds()
		b.StopTimer()
		plain = (plain + pipeline(b, r, log)) / 2 // before and after: the machine does not keep its pace
		b.ReportMetric(rate, "events/s")
		b.ReportMetric(plain, "plain-events/s")
		b.ReportMetric(100*rate/plain, "%plain")
	})
}

// ownSeconds are how long this process has computed.
func ownSeconds(b *testing.B) float64 {
	b.Helper()
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

// pipeline writes an HSET and a ZADD per event, 1,000 events at a time, and returns
// the events per second.
func pipeline(b *testing.B, r *viewstest.Redis, log []feed.Event) float64 {
	b.Helper()
	client := r.Dial(b)
	began := time.Now()
	for chunk := range slices.Chunk(log, 1000) {
		_, err := client.Pipelined(b.Context(), func(p redis.Pipeliner) error {
			for _, e := range chunk {
				p.HSet(b.Context(), "{plain}:h", e.ID, e.Payload)
				p.ZAdd(b.Context(), "{plain}:z", redis.Z{Score: float64(e.Position.Commit), Member: e.ID})
			}
			return nil
		})
		require.NoError(b, err)
	}
	rate := float64(len(log)) / time.Since(began).Seconds()
	require.NoError(b, client.Del(b.Context(), "{plain}:h", "{plain}:z").Err())
	return rate
}
