package views

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/projections/feed"
)

// view is a fold of the log into keys. Implementations hold no state.
type view interface {
	name() string
	// version is raised when the fold or its keys change; a view of another
	// version is made anew at start.
	version() int
	// fold reads what it needs of the view, which is exactly as the events before
	// these left it, and puts the writes of these events into the batch, and the
	// topics that live readers wait on. The writes must depend on nothing but the
	// view and the events, and not on how the log is cut into slices.
	fold(ctx context.Context, r reader, events []feed.Event, b *batch) error
}

// reader is what a fold may read: one part of one generation.
type reader struct {
	client redis.UniversalClient
	keys   keys
	memo   *memo
}

func (r reader) rows() *rows {
	rows := newRows(r.keys)
	rows.memo = r.memo
	return rows
}

// partitioned is a view in several parts, each with a cursor and perhaps on a node
// of its own. An event goes to one part, and parts know nothing of each other.
type partitioned interface {
	view
	parts() int
	part(e feed.Event) int
}

// configured is a view that depends on settings: with others it is made anew.
type configured interface {
	view
	settings() string
}

func partsOf(v view) int {
	if p, ok := v.(partitioned); ok {
		return p.parts()
	}
	return 1
}

func settingsOf(v view) string {
	if c, ok := v.(configured); ok {
		return c.settings()
	}
	return ""
}
