package detect_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
	"github.com/tradetrail/tradetrail/ingest/simulator"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// BenchmarkRun judges a log of simulated days, from the embedded event store to the
// last finding and the snapshot at the end, without the rests that a detector takes
// while it reads history. What it finds is known to the recorder, or new with every
// run.
func BenchmarkRun(b *testing.B) {
	store := viewstest.OpenInProcess(b)
	to := newDoor(b, store)
	total := 0
	for seed := range uint64(20) {
		day := simulator.New(simulator.Config{Seed: seed, Start: time.Now().Add(-48 * time.Hour), Decisions: 500})
		var events []*domain.Event
		for e, ok := day.Next(); ok; e, ok = day.Next() {
			events = append(events, &e)
		}
		to.tell(b, events...)
		total += len(events)
	}
	client := viewstest.InProcess(b).Client
	first := run(b, rules.Default(), store, to, &shelf{}, client)
	first.caughtUp(b)
	require.Error(b, first.stop())
	head, err := store.Head(b.Context())
	require.NoError(b, err)
	runtime.GC()
	findings := 0.0
	before := cpuTime(b)
	for b.Loop() {
		// Each detector begins anew, and what it finds is known.
		idle, registry := idle(b, rules.Default(), store, to, &shelf{}, client)
		idle.Hurry()
		d := start(b, idle, store, registry)
		require.Eventually(b, func() bool { return d.Reached() == head }, patience, time.Millisecond)
		findings = d.metric(b, "tradetrail_findings_total")
		require.Error(b, d.stop())
	}
	b.ReportMetric(float64(total)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric((cpuTime(b)-before).Seconds()*1e6/float64(b.N)/float64(total), "cpu-us/event")
	b.ReportMetric(findings/float64(total), "findings/event")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
