package views

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
)

const logKey = "tradetrail:{views}:log" // string: the log that the views were made from

// errCatchingUp is what readers get until the views have once reached the end
// that the log had at the start: "there is no such order" would be a lie.
var errCatchingUp = &domain.Error{
	Class: domain.ClassTransient, Code: "views_catching_up", Message: "the read models are catching up with the log; try again",
}

// Adopt makes sure that the views are of the log in the store. Views of another
// log, or ahead of this one (it was restored from a backup), are thrown away:
// Start begins them anew.
//
// From the first call on, readers wait until the views have reached the end that
// the log has now.
func (s *Set) Adopt(ctx context.Context) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	// Redis first, the log afterwards: what another process notes or applies
	// between the two is then in the log that we see.
	stored, err := s.client.Get(ctx, logKey).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return unavailable("reading which log the views are of", err)
	}
	generations, furthest, err := s.activeGenerations(ctx)
	if err != nil {
		return err
	}
	id, err := s.logID(ctx)
	if err != nil {
		return err
	}
	head, err := s.store.Head(ctx)
	if err != nil {
		return fmt.Errorf("reading the end of the log: %w", err)
	}
	if s.readable.IsZero() {
		s.readable = head
	}
	if stored != "" && stored != id || furthest.Compare(head) > 0 {
		s.log.WarnContext(ctx, "the views are not of this log and are made anew", slog.String("log", id),
			slog.String("end", head.String()), slog.String("views_of", stored), slog.String("views_end", furthest.String()))
		if err := s.client.Del(ctx, activeKey, logKey).Err(); err != nil {
			return unavailable("giving up the views of another log", err)
		}
		for _, g := range generations {
			if err := g.drop(ctx); err != nil {
				return err
			}
		}
		stored = ""
	}
	if id == stored || id == "" {
		return nil
	}
	return unavailable("noting which log the views are of", s.client.Set(ctx, logKey, id, 0).Err())
}

// logID tells one log from another, "" while it is empty. The same import into
// two stores gives the same first event; when it was written is the store's own.
func (s *Set) logID(ctx context.Context) (string, error) {
	for first, err := range s.store.Forwards(ctx, domain.Position{}, 1) {
		if err != nil {
			return "", fmt.Errorf("reading the beginning of the log: %w", err)
		}
		return fmt.Sprintf("%s at %s, %s", first.ID, first.Position, first.Created.UTC().Format(time.RFC3339Nano)), nil
	}
	return "", nil
}

// activeGenerations lists the generations that are being read, and how far the
// furthest of them is.
func (s *Set) activeGenerations(ctx context.Context) (generations []*Generation, furthest domain.Position, err error) {
	active, err := s.client.HGetAll(ctx, activeKey).Result()
	if err != nil {
		return nil, domain.Position{}, unavailable("reading which views are active", err)
	}
	for _, slot := range s.slots {
		number, _ := parseActive(active[slot.view.name()])
		if number == 0 {
			continue
		}
		g := newGeneration(s.client, slot.view, number)
		cursor, err := g.Cursor(ctx)
		if err != nil {
			return nil, domain.Position{}, err
		}
		generations = append(generations, g)
		if cursor.Compare(furthest) > 0 {
			furthest = cursor
		}
	}
	return generations, furthest, nil
}

// serve takes the live generation of a view for a reader; done must be called.
func (s *Set) serve(slot *slot) (live *Generation, done func(), err error) {
	if !s.reached.Load() {
		if slot.live.Load() == nil {
			return nil, nil, unavailable("reading "+slot.view.name(), errNotStarted)
		}
		return nil, nil, errCatchingUp
	}
	return s.read(slot)
}
