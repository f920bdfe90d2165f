package client_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/client"
)

// benchClient is a client whose server takes everything, or is not there.
func benchClient(b *testing.B, up bool) *client.Client {
	b.Helper()
	url := "http://127.0.0.1:1"
	if up {
		door := newFakeDoor(b)
		url = door.url
	}
	c, err := client.Open(b.Context(), client.Config{Dir: b.TempDir(), Server: url, MaxBytes: 8 << 30, Full: client.FullBlock})
	require.NoError(b, err)
	b.Cleanup(func() { closeNow(b, c) })
	return c
}

func benchEvent() client.Event {
	e := client.Fill{
		ID: "fill_88", Side: "buy", Venue: "NASDAQ", Quantity: client.Fixed(100, 0), Price: client.Fixed(41244, 2), Commission: client.Fixed(50, 2),
	}.Event(client.Refs{
		OrderID: "ord_501", ClientOrderID: "mom_20260302_001", BrokerOrderID: "B-77123", AccountID: "ACC-1", StrategyID: "momentum", Ticker: "MSFT",
		RecommendationID: "6b0f6a0e-5f0a-4a53-9f2c-0d5f3a7c1001", Actor: "broker_service",
	})
	return e
}

func BenchmarkRecord(b *testing.B) {
	for _, up := range []bool{true, false} {
		server := map[bool]string{true: "server=up", false: "server=down"}[up]
		b.Run(server+"/one", func(b *testing.B) {
			c, e := benchClient(b, up), benchEvent()
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Record(b.Context(), &e); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(server+"/parallel", func(b *testing.B) {
			c, e := benchClient(b, up), benchEvent()
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := c.Record(b.Context(), &e); err != nil {
						b.Error(err)
					}
				}
			})
		})
		b.Run(server+"/rate=100000", func(b *testing.B) { atRate(b, benchClient(b, up), 100_000) })
		b.Run(server+"/rate=2000", func(b *testing.B) { atRate(b, benchClient(b, up), 2_000) })
	}
	b.Run("step", func(b *testing.B) { // what making the event costs, before Record
		b.ReportAllocs()
		for b.Loop() {
			sink = benchEvent()
		}
	})
}

var sink client.Event

// atRate calls Record at a fixed rate, spinning in between, and reports what the
// calls took: the percentiles are of the calls, measured one by one.
func atRate(b *testing.B, c *client.Client, rate int) {
	e := benchEvent()
	every := time.Second / time.Duration(rate)
	took := make([]time.Duration, 0, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	next := time.Now()
	for range b.N {
		for time.Now().Before(next) { // a sleep is coarser than the interval
		}
		start := time.Now()
		if err := c.Record(b.Context(), &e); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
		next = next.Add(every)
	}
	b.StopTimer()
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))]) }
	b.ReportMetric(at(0.5), "p50-ns")
	b.ReportMetric(at(0.99), "p99-ns")
	b.ReportMetric(at(0.999), "p99.9-ns")
	b.ReportMetric(float64(took[len(took)-1]), "max-ns")
}
