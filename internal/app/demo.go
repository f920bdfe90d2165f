package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/simulator"
)

const (
	demoLength = 30 * time.Minute // of one simulated day
	demoPast   = 20 * time.Minute // of the first day, recorded at once
	demoChunk  = 200
)

// playDemo records simulated trading days, one after the other, in real time.
// The first day is well under way when it starts, so that there is something to
// look at.
func playDemo(ctx context.Context, recorder *ingest.Recorder, now func() time.Time, log *slog.Logger) error {
	start := now().Add(-demoPast).Truncate(time.Second)
	for seed := uint64(1); ; seed++ {
		log.InfoContext(ctx, "playing a simulated trading day", slog.Time("start", start), slog.Uint64("seed", seed))
		if err := playDay(ctx, recorder, now, simulator.New(simulator.Config{Seed: seed, Start: start, Length: demoLength})); err != nil {
			return err
		}
		start = start.Add(demoLength)
	}
}

// playDay records every event when its time has come.
func playDay(ctx context.Context, recorder *ingest.Recorder, now func() time.Time, day *simulator.Simulator) error {
	var due []ingest.Item
	flush := func() error {
		if len(due) == 0 {
			return nil
		}
		for {
			_, err := recorder.Record(ctx, "demo", due)
			if err == nil {
				due = due[:0]
				return nil
			}
			// The store is away; the recorder has waited for it already.
			if domain.ClassOf(err) != domain.ClassTransient || ctx.Err() != nil {
				return fmt.Errorf("recording the demo: %w", err)
			}
		}
	}
	for e, ok := day.Next(); ok; e, ok = day.Next() {
		wait := e.OccurredAt.Sub(now())
		if wait > 0 || len(due) >= demoChunk {
			if err := flush(); err != nil {
				return err
			}
		}
		if wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			}
		}
		due = append(due, ingest.Item{Event: &e})
	}
	return flush()
}
