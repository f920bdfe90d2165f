package graph

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/casework"
	"github.com/tradetrail/tradetrail/projections/views"
)

// Recorder is the door for events.
type Recorder interface {
	Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error)
}

// Views are the read models.
type Views interface {
	Names() []string
	Await(ctx context.Context, position domain.Position) error

	Chain(ctx context.Context, order string) (chain domain.Chain, archived int, ok bool, err error)
	Orders(ctx context.Context, ids []string) (map[string]domain.Order, error)
	Owner(ctx context.Context, kind, id string) (views.Stats, bool, error)
	OwnerEvents(ctx context.Context, kind, id string, from, to int64) (views.Page[domain.Located], error)
	OwnerOrders(ctx context.Context, kind, id string, from, to int64) (views.Page[domain.Order], error)
	OwnerIndexAfter(ctx context.Context, kind, id string, after domain.Position) (int64, error)
	Search(ctx context.Context, q views.Query) (views.Found, error)
	SearchAnomalies(ctx context.Context, q views.AnomalyQuery) (views.FoundAnomalies, error)
	Anomaly(ctx context.Context, id string) (views.AnomalyRecord, bool, error)
	Heatmap(ctx context.Context, q views.HeatmapQuery) (views.Heatmap, error)
	Day(ctx context.Context, day string) (domain.Day, error)
	Latencies(ctx context.Context) (map[domain.Stage]domain.Histogram, error)

	FollowOwner(ctx context.Context, kind, id string, after *domain.Position) (iter.Seq2[domain.Located, error], error)
	FollowChain(ctx context.Context, order string, after *domain.Position) (iter.Seq2[domain.Located, error], error)
	FollowFound(ctx context.Context, f filter.Filter, after *domain.Position) (iter.Seq2[domain.Located, error], error)

	Status(ctx context.Context) ([]views.Status, error)
	Hash(ctx context.Context, name string) (string, domain.Position, error)
	Parked(ctx context.Context, name string) ([]views.Parked, error)
	ParkedCounts(ctx context.Context) (map[string]int64, error)
	Rebuild(ctx context.Context, names []string, options views.RebuildOptions) ([]views.Progress, error)
	RequestRebuild(ctx context.Context, names []string, options views.RebuildOptions) ([]views.Progress, error)
	CancelRebuild(ctx context.Context, name string) error
	Rebuilds(ctx context.Context) (map[string]views.Progress, error)
}

// Cases are what people do about anomalies.
type Cases interface {
	Do(ctx context.Context, act casework.Act) (casework.Done, error)
}

// Resolver answers the fields of the schema.
type Resolver struct {
	recorder Recorder
	views    Views
	reports  Reports // nil: there are none
	cases    Cases   // nil: likewise
	sealing  Log
	log      *slog.Logger

	computing computing
}

// freshTimeout is how long a query waits for what it must not be older than.
const freshTimeout = 5 * time.Second

// fresh waits until the views have come to a position.
func (r *Resolver) fresh(ctx context.Context, notOlderThan *string) error {
	if notOlderThan == nil {
		return nil
	}
	position, err := domain.ParsePosition(*notOlderThan)
	if err != nil {
		return inField("notOlderThan", err)
	}
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	return r.views.Await(ctx, position)
}

// owner reads what a view keeps of an owner; ok is false when nothing belongs to
// it.
func (r *Resolver) owner(ctx context.Context, kind, id string, notOlderThan *string) (stats *model.OwnerStats, ok bool, err error) {
	if err := r.fresh(ctx, notOlderThan); err != nil {
		return nil, false, err
	}
	found, ok, err := r.views.Owner(ctx, kind, id)
	if err != nil || !ok {
		return nil, false, err
	}
	return toStats(found), true, nil
}
