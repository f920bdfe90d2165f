package audit_test

import (
	"fmt"
	"os"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog/audit"
)

// BenchmarkVerify verifies so many events of about 300 bytes from the first one on,
// and then the newest 10,000: TRADETRAIL_BENCH_LEAVES says how many, 100,000 otherwise.
// Opening the store is told apart: a server has done that long ago.
func BenchmarkVerify(b *testing.B) {
	const newest = 10_000
	count := 100_000
	if text := os.Getenv("TRADETRAIL_BENCH_LEAVES"); text != "" {
		_, err := fmt.Sscan(text, &count)
		require.NoError(b, err)
		require.Greater(b, count, newest)
	}
	w := newWorld(b)
	w.grow(b, (count-newest)/2, (count-newest)/2)
	w.verify(b, audit.Scope{})
	state, err := os.ReadFile(w.stateFile())
	require.NoError(b, err)
	w.grow(b, newest)
	for _, bench := range []struct {
		name string
		full bool
	}{{"full", true}, {"newest 10,000", false}} {
		b.Run(bench.name, func(b *testing.B) {
			events, spent, opening, most := 0, time.Duration(0), time.Duration(0), uint64(0)
			for b.Loop() {
				b.StopTimer()
				require.NoError(b, os.WriteFile(w.stateFile(), state, 0o600))
				began := time.Now()
				w.open(b, func(store *eventstore.Store) {
					opening += time.Since(began)
					subject := w.subject(b, store)
					b.StartTimer()
					before := cpuTime(b)
					report, err := audit.Verify(b.Context(), subject, audit.Scope{Full: bench.full, Progress: func(uint64, uint64) { most = max(most, heap()) }})
					spent += cpuTime(b) - before
					b.StopTimer()
					require.NoError(b, err)
					require.True(b, report.Intact)
					events += int(report.Verified)
				})
				b.StartTimer()
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
			// Of both cores: what other processes take of the machine is not in it.
			b.ReportMetric(float64(spent.Microseconds())/float64(events), "cpu-µs/event")
			b.ReportMetric(opening.Seconds()/float64(b.N), "s-to-open")
			b.ReportMetric(float64(most>>20), "MB-of-heap")
		})
	}
}

// heap is what is in use, garbage that is not collected yet among it.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// cpuTime is what the process has used.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
