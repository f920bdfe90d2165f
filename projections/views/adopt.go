package views

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
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
// Readers wait until the views have reached the end that the log had at the
// first call, and again when the views have lost what they had.
func (s *Set) Adopt(ctx context.Context) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	// Redis first, the log afterwards: what another process notes or applies
	// between the two is then in the log that we see.
	stored, err := s.client.Get(ctx, logKey).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return unavailable("reading which log the views are of", err)
	}
	active, err := s.activeGenerations(ctx)
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
	if s.readable.IsZero() || active.lowest.Compare(s.applied) < 0 {
		s.readable = head
		s.reached.Store(active.lowest.Compare(head) >= 0)
	}
	ahead, err := s.ahead(ctx, active.furthest, head)
	if err != nil {
		return err
	}
	if stored != "" && stored != id || ahead {
		s.log.WarnContext(ctx, "the views are not of this log and are made anew", slog.String("log", id),
			slog.String("end", head.String()), slog.String("views_of", stored), slog.String("views_end", active.furthest.String()))
		if err := s.giveUp(ctx, active); err != nil {
			return err
		}
		stored = ""
	}
	if id == stored || id == "" {
		return nil
	}
	return unavailable("noting which log the views are of", s.client.Set(ctx, logKey, id, 0).Err())
}

// giveUp removes all views. Readers are kept out first, and those that are in the
// middle of something are waited for.
func (s *Set) giveUp(ctx context.Context, active activeViews) error {
	s.reached.Store(false)
	if err := s.client.Del(ctx, activeKey, logKey).Err(); err != nil {
		return unavailable("giving up the views of another log", err)
	}
	for _, slot := range s.slots {
		doomed := active.generations[slot.view.name()]
		if live := slot.live.Swap(nil); live != nil {
			doomed = live
		}
		if doomed == nil {
			continue
		}
		if err := doomed.drop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ahead reports whether views have seen what the log does not have. A node that
// lags behind may not show its newest events yet, so the event itself is looked
// for too.
func (s *Set) ahead(ctx context.Context, cursor, head domain.Position) (bool, error) {
	if cursor.Compare(head) <= 0 {
		return false, nil
	}
	_, err := s.store.At(ctx, cursor)
	switch domain.ClassOf(err) {
	case domain.ClassNotFound:
		return true, nil
	case domain.ClassUnknown:
		// Of a log that was cut, the server may refuse a position where nothing begins.
		return err != nil, nil
	default:
		return false, err
	}
}

// logID tells one log from another, "" while it is empty. The same import into
// two stores gives the same first event; when it was written is the store's own.
func (s *Set) logID(ctx context.Context) (string, error) {
	for first, err := range s.store.Forwards(ctx, domain.Position{}, math.MaxUint64) {
		if err != nil {
			return "", fmt.Errorf("reading the beginning of the log: %w", err)
		}
		if !first.System() {
			return fmt.Sprintf("%s at %s, %s", first.ID, first.Position, first.Created.UTC().Format(time.RFC3339Nano)), nil
		}
	}
	return "", nil
}

// activeViews are the generations that are being read, and where they stand.
type activeViews struct {
	generations      map[string]*Generation
	lowest, furthest domain.Position // lowest is zero if a view is missing
}

func (s *Set) activeGenerations(ctx context.Context) (activeViews, error) {
	found, err := s.client.HGetAll(ctx, activeKey).Result()
	if err != nil {
		return activeViews{}, unavailable("reading which views are active", err)
	}
	active := activeViews{generations: make(map[string]*Generation), lowest: domain.EndPosition}
	for _, slot := range s.slots {
		var cursor domain.Position
		if number, _ := parseActive(found[slot.view.name()]); number != 0 {
			g := newGeneration(s.client, slot.view, number)
			if cursor, err = g.Cursor(ctx); err != nil {
				return activeViews{}, err
			}
			active.generations[slot.view.name()] = g
		}
		if cursor.Compare(active.furthest) > 0 {
			active.furthest = cursor
		}
		if cursor.Compare(active.lowest) < 0 {
			active.lowest = cursor
		}
	}
	return active, nil
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
