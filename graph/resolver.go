package graph

import (
	"context"
	"iter"
	"log/slog"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/projections/views"
)

// Recorder is the door for events.
type Recorder interface {
	Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error)
}

// Views are the read models.
type Views interface {
	Chain(ctx context.Context, order string) (domain.Chain, bool, error)
	Owner(ctx context.Context, kind, id string) (views.Stats, bool, error)
	OwnerEvents(ctx context.Context, kind, id string, from, to int64) (views.Page[domain.Located], error)
	OwnerOrders(ctx context.Context, kind, id string, from, to int64) (views.Page[domain.Order], error)
	OwnerIndexAfter(ctx context.Context, kind, id string, after domain.Position) (int64, error)
	FollowOwner(ctx context.Context, kind, id string, after *domain.Position) (iter.Seq2[domain.Located, error], error)
	FollowChain(ctx context.Context, order string, after *domain.Position) (iter.Seq2[domain.Located, error], error)
	Status(ctx context.Context) ([]views.Status, error)
	Hash(ctx context.Context, name string) (string, domain.Position, error)
	Rebuild(ctx context.Context, name string) (views.Rebuilt, error)
}

// Log tells where the log of all events ends.
type Log interface {
	Head(ctx context.Context) (domain.Position, error)
}

// Resolver answers the fields of the schema.
type Resolver struct {
	recorder Recorder
	views    Views
	events   Log
	log      *slog.Logger
}
