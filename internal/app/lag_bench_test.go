package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/projections"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// The load of BenchmarkLag.
const (
	lagFor  = 10 * time.Second
	lagTick = 10 * time.Millisecond // a request each
	lagMost = 100                   // requests under way; the load is late when there are more
)

// BenchmarkLag records so many events a second for ten seconds and measures, for each
// request, the time from its receipts until all read models have its events.
// The load does not wait for answers; what is due is recorded late rather than left
// out, and the rate that was reached is reported.
func BenchmarkLag(b *testing.B) {
	r := viewstest.Real(b)
	for _, asked := range []int{1000, 2500, 5000} {
		b.Run(fmt.Sprint("rate=", asked), func(b *testing.B) {
			for b.Loop() {
				r.Flush(b)
				lags, rate := measureLag(b, r, asked)
				slices.Sort(lags)
				b.ReportMetric(milliseconds(lags[len(lags)/2]), "p50-ms")
				b.ReportMetric(milliseconds(lags[len(lags)*99/100]), "p99-ms")
				b.ReportMetric(milliseconds(lags[len(lags)-1]), "max-ms")
				b.ReportMetric(rate, "events/s")
			}
		})
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func measureLag(b *testing.B, r *viewstest.Redis, asked int) (lags []time.Duration, rate float64) {
	b.Helper()
	log := slog.New(slog.DiscardHandler)
	store := viewstest.OpenInProcess(b) // as serve does
	registry := prometheus.NewRegistry()
	recorder, err := ingest.NewRecorder(store.Store, log, time.Now, registry)
	require.NoError(b, err)
	defer recorder.Close(context.WithoutCancel(b.Context()))
	client := r.Dial(b)
	set := views.NewSet(client, store.Store, log, views.Options{})
	projection, err := projections.New(set, store.Store, client, log, registry)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- projection.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(b, <-done)
	}()
	require.Eventually(b, func() bool { return projection.Ready() == nil }, time.Minute, time.Millisecond)

	var mu sync.Mutex
	var waiting, recording errgroup.Group
	recorded := 0
	begun := time.Now()
	recording.SetLimit(lagMost)
	for tick := range int(lagFor / lagTick) {
		<-time.After(time.Until(begun.Add(time.Duration(tick) * lagTick)))
		items := make([]ingest.Item, time.Duration(asked)*lagTick/time.Second)
		for i := range items {
			items[i] = lagItem(tick*len(items) + i)
		}
		recording.Go(func() error {
			receipts, err := recorder.Record(b.Context(), "bench", items)
			if err != nil {
				return err
			}
			acknowledged := time.Now()
			var last domain.Position
			for _, receipt := range receipts {
				if receipt.Status != ingest.Recorded {
					return receipt.Err
				}
				if receipt.Position.Compare(last) > 0 {
					last = receipt.Position
				}
			}
			waiting.Go(func() error {
				for { // Await gives up after 5 s: the lag is longer then
					err := set.Await(b.Context(), last)
					if err == nil {
						break
					}
					if domain.ClassOf(err) != domain.ClassTransient || time.Since(acknowledged) > time.Minute {
						return err
					}
				}
				lag := time.Since(acknowledged)
				mu.Lock()
				defer mu.Unlock()
				lags = append(lags, lag)
				recorded += len(items)
				return nil
			})
			return nil
		})
	}
	require.NoError(b, recording.Wait())
	took := time.Since(begun)
	require.NoError(b, waiting.Wait())
	return lags, float64(recorded) / took.Seconds()
}

// lagItem is an event of one of the 500 orders that are open at a time; each has
// ten events.
func lagItem(n int) ingest.Item {
	order := n/5000*500 + n%500
	kind := "order.partially_filled"
	if n/500%10 == 0 {
		kind = "order.submitted"
	}
	return ingest.Understand(n, fmt.Appendf(nil, `{"event_id":"%d","event_type":"%s","occurred_at":"2026-03-02T14:30:00.004241176Z",`+
		`"order_id":"o%d","account_id":"ACC-%d","strategy_id":"mm-%d","ticker":"T%d","data":{"side":"buy","fill_price":"585.33","fill_quantity":"18","quantity":"1000","venue":"NASDAQ"}}`,
		n, kind, order, order%20, order%5, order%50))
}
