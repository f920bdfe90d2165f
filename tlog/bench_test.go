package tlog_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// How fast a backlog becomes leaves: reading from the store, digests, tiles,
// checkpoints.
func BenchmarkLog_Backlog(b *testing.B) {
	const events = 100_000
	w := newWorld(b)
	w.record(events)
	b.ResetTimer()
	begin := time.Now()
	l := w.run()
	w.sealed(events)
	b.ReportMetric(events/time.Since(begin).Seconds(), "events/s")
	require.NoError(b, l.stop())
}

// How long an event waits for its seal at 10,000 events a second, with a second
// between checkpoints.
func BenchmarkLog_RecordedToSealed(b *testing.B) {
	const seconds, rate, group = 10, 10_000, 100
	w := newWorld(b)
	w.interval = time.Second
	l := w.run()
	recorded := make([]time.Time, 0, seconds*rate/group)
	done := make(chan struct{})
	go func() {
		defer close(done)
		every := time.NewTicker(time.Second / (rate / group))
		defer every.Stop()
		for range cap(recorded) {
			<-every.C
			w.record(group)
			recorded = append(recorded, time.Now())
		}
	}()
	waits := make([]time.Duration, 0, seconds*rate/group)
	var sealedAt []struct {
		size uint64
		at   time.Time
	}
	for {
		state, changed := w.board.State()
		sealedAt = append(sealedAt, struct {
			size uint64
			at   time.Time
		}{state.Sealed.Size, time.Now()})
		if state.Sealed.Size == seconds*rate {
			break
		}
		<-changed
	}
	<-done
	for i, at := range recorded {
		for _, s := range sealedAt {
			if s.size >= uint64((i+1)*group) {
				waits = append(waits, s.at.Sub(at))
				break
			}
		}
	}
	slices.Sort(waits)
	b.ReportMetric(waits[len(waits)/2].Seconds(), "p50-s")
	b.ReportMetric(waits[len(waits)*99/100].Seconds(), "p99-s")
	require.NoError(b, l.stop())
}

// How long the proof of any event takes, by its position.
func BenchmarkReader_Prove(b *testing.B) {
	const events = 100_000
	w := newWorld(b)
	w.record(events)
	l := w.run()
	under := w.sealed(events).Sealed
	var positions []domain.Position
	for r, err := range w.store.Forwards(b.Context(), domain.Position{}, 1<<40) {
		require.NoError(b, err)
		positions = append(positions, r.Position)
	}
	b.ResetTimer()
	i := 0
	for b.Loop() {
		i = (i + 7919) % events
		proof, ok, err := l.Prove(b.Context(), positions[i], under)
		require.NoError(b, err)
		require.True(b, ok)
		require.Equal(b, uint64(i), proof.Index)
		_, err = verify.ParseLeaf(proof.Leaf)
		require.NoError(b, err)
	}
	b.StopTimer()
	require.NoError(b, l.stop())
}
