package simulator_test

import (
	"testing"

	"github.com/tradetrail/tradetrail/ingest/simulator"
)

func BenchmarkSimulator(b *testing.B) {
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		events += len(day(simulator.Config{}))
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
