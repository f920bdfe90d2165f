package views_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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

func BenchmarkRebuild(b *testing.B) {
	eachRedis(b, func(b *testing.B, r *viewstest.Redis) {
		const n = 5000
		store := viewstest.OpenStore(b)
		store.Append(b, viewstest.History(1, n)...)
		set := openSet(b, r.Client, store)
		drive(b.Context(), b, set, logOf(b, store), 1, never)
		background(b, set.Tend)
		b.ResetTimer()
		for range b.N {
			done, err := set.Rebuild(b.Context(), set.Names(), views.RebuildOptions{})
			require.NoError(b, err)
			for _, p := range done {
				require.True(b, p.Equal())
			}
		}
		b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "events/s")
	})
}
