package views

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
)

// Status is where one view stands.
type Status struct {
	Name       string
	Version    int
	Generation int
	Cursor

	Head    domain.Position // the end of the log
	Behind  int64           // events of the log that are not in the view; at most MaxBehind are counted
	Lag     time.Duration   // see Cursor.Lag
	Parked  int64
	Rebuild *Progress // under way or the last; nil if there was none
}

// MaxBehind is up to where Status counts what a view has not applied yet.
const MaxBehind = 10_000

// Lag is how old the newest event in the view is, by recorded_at and our clock,
// while there are newer ones in the log; 0 when there are none.
func (c Cursor) Lag(head domain.Position, now time.Time) time.Duration {
	if c.Position.Compare(head) >= 0 || c.At.IsZero() {
		return 0
	}
	return max(now.Sub(c.At), 0)
}

// Status tells where every view stands.
func (s *Set) Status(ctx context.Context) ([]Status, error) {
	head, err := s.head(ctx)
	if err != nil {
		return nil, err
	}
	parked, err := s.ParkedCounts(ctx)
	if err != nil {
		return nil, err
	}
	rebuilds, err := s.Rebuilds(ctx)
	if err != nil {
		return nil, err
	}
	statuses := make([]Status, 0, len(s.slots))
	for _, slot := range s.slots {
		live, cursor, err := s.stand(ctx, slot)
		if err != nil {
			return nil, err
		}
		name := slot.view.name()
		status := Status{
			Name: name, Version: slot.view.version(), Generation: live.number, Cursor: cursor,
			Head: head, Lag: cursor.Lag(head, s.now()), Parked: parked[name],
		}
		if p, ok := rebuilds[name]; ok {
			status.Rebuild = &p
		}
		if i := slices.IndexFunc(statuses, func(s Status) bool { return s.Position == cursor.Position }); i >= 0 {
			status.Behind = statuses[i].Behind
		} else if status.Behind, err = s.behind(ctx, cursor.Position, head); err != nil {
			return nil, err
		}
		statuses = append(statuses, status)
	}
	return statuses, nil
}

// stand finds the generation that is read and where it stands. The one that this
// process last saw may be gone: another has taken its place.
func (s *Set) stand(ctx context.Context, slot *slot) (*Generation, Cursor, error) {
	for range maxLooks {
		live := slot.live.Load()
		if live == nil {
			return nil, Cursor{}, unavailable("reading "+slot.view.name(), errNotStarted)
		}
		cursor, ok, err := live.cursor(ctx)
		if ok || err != nil {
			return live, cursor, err
		}
		if err := s.look(ctx); err != nil {
			return nil, Cursor{}, err
		}
	}
	return nil, Cursor{}, errCatchingUp
}

// behind counts the events after a position.
func (s *Set) behind(ctx context.Context, after, head domain.Position) (n int64, err error) {
	if after.Compare(head) >= 0 {
		return 0, nil
	}
	for record, err := range s.store.Forwards(ctx, after, math.MaxUint64) {
		if err != nil {
			return 0, err
		}
		if !record.System() && record.Position.Compare(after) > 0 {
			if n++; n == MaxBehind {
				break
			}
		}
	}
	return n, nil
}

// ParkedCounts tells how many events each view has parked.
func (s *Set) ParkedCounts(ctx context.Context) (map[string]int64, error) {
	answers := make(map[string][]*redis.IntCmd)
	if _, err := s.reads.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, slot := range s.slots {
			live := slot.live.Load()
			if live == nil {
				continue
			}
			for _, k := range live.parts {
				answers[slot.view.name()] = append(answers[slot.view.name()], p.HLen(ctx, k.parked()))
			}
		}
		return nil
	}); err != nil {
		return nil, unavailable("counting what is parked", err)
	}
	counts := make(map[string]int64, len(answers))
	for view, parts := range answers {
		for _, n := range parts {
			counts[view] += n.Val()
		}
	}
	return counts, nil
}

// Parked lists what a view has parked, in the order of the log.
func (s *Set) Parked(ctx context.Context, name string) ([]Parked, error) {
	slot, err := s.slot(name)
	if err != nil {
		return nil, err
	}
	live := slot.live.Load()
	if live == nil {
		return nil, unavailable("reading "+name, errNotStarted)
	}
	var all []Parked
	for _, k := range live.parts {
		parked, err := readParked(ctx, s.client, k)
		if err != nil {
			return nil, err
		}
		all = append(all, parked...)
	}
	slices.SortFunc(all, func(a, b Parked) int { return a.position().Compare(b.position()) })
	return all, nil
}
