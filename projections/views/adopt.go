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
	"github.com/tradetrail/tradetrail/eventstore"
)

// Adopt makes sure that the views are of the log in the store, before Start.
// Views of another log, or ahead of this one (it was restored from a backup), are
// given up: Start begins them anew, and readers wait.
func (s *Set) Adopt(ctx context.Context) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	// Redis first, the log afterwards: what another process notes or applies
	// between the two is then in the log that we see.
	stored, err := s.client.Get(ctx, logKey).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return unavailable("reading which log the views are of", err)
	}
	furthest, err := s.furthest(ctx)
	if err != nil {
		return err
	}
	id, err := s.logID(ctx)
	if err != nil {
		return err
	}
	head, err := s.head(ctx)
	if err != nil {
		return err
	}
	other := stored != "" && stored != id
	if !other {
		if other, err = s.ahead(ctx, furthest, head); err != nil {
			return err
		}
	}
	if other {
		s.log.WarnContext(ctx, "the views are not of this log and are made anew", slog.String("log", id),
			slog.String("end", head.String()), slog.String("views_of", stored), slog.String("views_end", furthest.String()))
		if err := s.giveUp(ctx); err != nil {
			return err
		}
		stored = ""
	}
	if id == stored || id == "" {
		return nil
	}
	return unavailable("noting which log the views are of", s.client.Set(ctx, logKey, id, 0).Err())
}

// giveUp makes all views unread. Their keys go with the rest of what is not read
// any more, see tidy; the cursors go now, so that nobody takes what he is reading
// for the truth.
func (s *Set) giveUp(ctx context.Context) error {
	active, err := s.active(ctx)
	if err != nil {
		return err
	}
	s.sight.reached.Store(false)
	if err := s.client.Del(ctx, activeKey, logKey).Err(); err != nil {
		return unavailable("giving up the views of another log", err)
	}
	for _, slot := range s.slots {
		slot.writers, slot.shadow = nil, nil
		number := parseBuild(active[slot.view.name()]).number
		if number == 0 {
			continue
		}
		for _, k := range s.generation(slot.view, number).parts {
			if err := s.client.Del(ctx, k.cursor()).Err(); err != nil {
				return unavailable("giving up "+slot.view.name(), err)
			}
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
	refused, ok := errors.AsType[*domain.Error](err)
	if ok && (refused.Class == domain.ClassNotFound || refused.Code == eventstore.CodeUnclassified) {
		// Of a log that was cut, a server refuses a position where nothing begins
		// without saying more.
		return true, nil
	}
	return false, err
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

// furthest is the highest position that an active view has seen.
func (s *Set) furthest(ctx context.Context) (furthest domain.Position, err error) {
	active, err := s.active(ctx)
	if err != nil {
		return domain.Position{}, err
	}
	for _, slot := range s.slots {
		number := parseBuild(active[slot.view.name()]).number
		if number == 0 {
			continue
		}
		cursors, _, err := s.generation(slot.view, number).cursors(ctx)
		if err != nil {
			return domain.Position{}, err
		}
		for _, c := range cursors {
			if c.Position.Compare(furthest) > 0 {
				furthest = c.Position
			}
		}
	}
	return furthest, nil
}
