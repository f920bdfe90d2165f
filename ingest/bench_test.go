package ingest_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest"
)

// flow makes events as order flow does: each order's next event comes about ten
// events after the one before, and after ten of them the order is done.
type flow struct {
	n      int
	orders [10]int
	events [10]int
	next   int
}

func (f *flow) item() ingest.Item {
	slot := f.n % len(f.orders)
	f.n++
	if f.events[slot] == 0 {
		f.next++
		f.orders[slot], f.events[slot] = f.next, 10
	}
	f.events[slot]--
	return benchItem(f.n, fmt.Sprint("flow", f.orders[slot]))
}

func benchItem(n int, order string) ingest.Item {
	return ingest.Understand(n, fmt.Appendf(nil, `{"event_id":"%d","event_type":"order.partially_filled","occurred_at":"2012-06-21T09:30:00.004241176Z",`+
		`"order_id":"%s","account_id":"ACC-1","strategy_id":"mm-1","ticker":"AAPL","data":{"side":"buy","fill_price":"585.33","fill_quantity":"18","venue":"NASDAQ"}}`, n, order))
}

func BenchmarkRecord_Single(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			r, _ := newBench(b)
			var n atomic.Int64
			b.SetParallelism(callers / 2) // times two processors
			if callers == 1 {
				for b.Loop() {
					i := int(n.Add(1))
					recordBench(b, r, benchItem(i, fmt.Sprint(i)))
				}
			} else {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						i := int(n.Add(1))
						recordBench(b, r, benchItem(i, fmt.Sprint(i)))
					}
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkRecord_Batch is an import: one call after the other, 500 events each.
func BenchmarkRecord_Batch(b *testing.B) {
	const size = 500
	for name, next := range map[string]func() func() ingest.Item{
		"distinct": func() func() ingest.Item {
			n := 0
			return func() ingest.Item { n++; return benchItem(n, fmt.Sprint(n)) }
		},
		"flow": func() func() ingest.Item { return new(flow).item },
	} {
		b.Run(name, func(b *testing.B) {
			r, _ := newBench(b)
			item := next()
			for b.Loop() {
				items := make([]ingest.Item, size)
				for i := range items {
					items[i] = item()
				}
				recordBench(b, r, items...)
			}
			b.ReportMetric(size*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func recordBench(b *testing.B, r *ingest.Recorder, items ...ingest.Item) {
	b.Helper()
	receipts, err := r.Record(b.Context(), "bench", items)
	require.NoError(b, err)
	if receipts[0].Status != ingest.Recorded {
		b.Fatalf("%+v", receipts[0])
	}
}
