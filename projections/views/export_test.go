package views

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// Listeners counts the topics that somebody waits on.
func (s *Set) Listeners() int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return len(s.hub.topics)
}

// Channel is where the set publishes what it tells others.
func (s *Set) Channel() string { return s.channel }

// Tighten makes the limits of reading so small that a test reaches them.
func (s *Set) Tighten(chain, bytes, stretches int) { s.limits = limits{chain, bytes, stretches} }

// Break makes a view's fold fail on some events, as a defect would. It must be
// called before Start.
func (s *Set) Break(name string, fails func(feed.Event) error) {
	slot, err := s.slot(name)
	if err != nil {
		panic(err)
	}
	slot.view = broken{slot.view, fails}
}

type broken struct {
	view

	fails func(feed.Event) error
}

func (b broken) fold(ctx context.Context, r reader, events []feed.Event, batch *batch) error {
	for _, e := range events {
		if err := b.fails(e); err != nil {
			return err
		}
	}
	return b.view.fold(ctx, r, events, batch)
}

// RowKey is the hash that holds a row of a view's live generation.
func (s *Set) RowKey(view, table, id string) string {
	slot, err := s.slot(view)
	if err != nil {
		panic(err)
	}
	return slot.live.Load().keys().bucket(table, id)
}

// BodyKeys are the hashes with the bodies at some positions.
func (s *Set) BodyKeys(log []feed.Event) []string {
	slot, err := s.slot(Events)
	if err != nil {
		panic(err)
	}
	var keys []string
	seen := make(map[string]bool)
	for _, e := range log {
		if key := slot.live.Load().blockOf(e.Position); !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// PlaceOf is a position as it stands in Redis.
var PlaceOf = place

// Tidy removes generations that nobody reads.
func (s *Set) Tidy(ctx context.Context) error { return s.tidy(ctx, nil) }

// ReadAnyway lets the set be read before it has caught up, as if the log had been
// empty when this process first looked.
func (s *Set) ReadAnyway() {
	s.sight.mu.Lock()
	defer s.sight.mu.Unlock()
	s.sight.readable = domain.Position{}
	s.sight.reached.Store(true)
}

// Stand makes it look as if a view had stood still for a while, with the log at
// head.
func (s *Set) Stand(view string, still time.Duration, head domain.Position) {
	s.sight.mu.Lock()
	defer s.sight.mu.Unlock()
	at := s.sight.views[view]
	at.Since = time.Now().Add(-still)
	s.sight.views[view] = at
	s.sight.head = head
}

// NewConvoy is a client for readers.
func NewConvoy(client redis.UniversalClient) redis.UniversalClient { return newConvoy(client) }

// Alone makes each view write by itself, as on a cluster. It must be called before
// Start.
func (s *Set) Alone() { s.writes.together = false }

// Ferry is what takes writes to Redis together.
type Ferry struct{ *ferry }

// NewFerry makes one.
func NewFerry(client redis.UniversalClient) Ferry { return Ferry{newFerry(client)} }

// FerryTrips is how many transactions are under way at a time.
const FerryTrips = ferryTrips

// Cross sends one command, if a cursor is where it was.
func (f Ferry) Cross(ctx context.Context, cursor, before, after string, args ...any) (string, error) {
	return f.cross(ctx, &crossing{cursor: cursor, before: before, after: after, commands: []*command{{args: args}}})
}

// Waiting counts those who have not left yet.
func (f Ferry) Waiting() int {
	f.trips.mu.Lock()
	defer f.trips.mu.Unlock()
	return len(f.trips.waiting)
}
