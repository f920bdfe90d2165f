package app

import (
	"context"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/projections/detect"
)

// JudgeBy sets the rules that find anomalies; without it they are those that come
// along. It must be called before Run.
func (a *App) JudgeBy(set *rules.Set) { a.rules = set }

// openDetection makes what judges the log, and what shows how that is.
func (a *App) openDetection(recorder *ingest.Recorder, store *eventstore.Store, client redis.UniversalClient) ([]component, []rest.Check, error) {
	if !a.cfg.Detect {
		return nil, nil, nil
	}
	// The in-process Redis ends with the process; a real one is there for all of them.
	shelf := detect.InRedis(client)
	if a.cfg.Redis == "" && a.cfg.DataDir != "" {
		shelf = detect.InFile(filepath.Join(a.cfg.DataDir, "detection.snapshot"))
	}
	detector, err := detect.New(detect.Deps{
		Rules: a.rules, Store: store, Recorder: findings{recorder}, Shelf: shelf, Redis: client,
		Log: a.log, Now: time.Now, Registry: a.registry,
	})
	if err != nil {
		return nil, nil, err
	}
	// Events are recorded and read whether they are judged at the moment or not.
	check := rest.Check{Name: "detection", Ready: func(context.Context) error { return detector.Ready() }, Advisory: true}
	return []component{{name: "detection", run: detector.Run}}, []rest.Check{check}, nil
}

// findings brings what the detector says through the same door as everything else.
type findings struct{ to *ingest.Recorder }

// Record implements detect.Recorder.
func (f findings) Record(ctx context.Context, events []*domain.Event) ([]detect.Outcome, error) {
	items := make([]ingest.Item, len(events))
	for i, e := range events {
		items[i] = ingest.Item{Event: e, Same: func(recorded *domain.Event) bool { return detect.Same(recorded, e) }}
	}
	receipts, err := f.to.Record(ctx, detect.Source, items)
	if err != nil {
		return nil, err
	}
	outcomes := make([]detect.Outcome, len(receipts))
	for i, receipt := range receipts {
		switch receipt.Status {
		case ingest.Recorded:
			outcomes[i] = detect.Recorded
		case ingest.Duplicate:
			outcomes[i] = detect.Known
		case ingest.Rejected:
			outcomes[i] = detect.Refused
		}
	}
	return outcomes, nil
}
