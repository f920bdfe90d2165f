package views

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// Progress is how far a rebuild has come.
type Progress struct {
	Events   int64
	Position domain.Position
}

// Rebuilt is the outcome of a rebuild.
type Rebuilt struct {
	Name       string
	Generation int
	Events     int64
	Position   domain.Position // where both builds stood when they were compared
	Hash       string          // of the new build
	Before     string          // hash of the build it replaced
}

// Equal reports whether the rebuild changed nothing, as it should unless the
// fold did or Redis was tampered with.
func (r Rebuilt) Equal() bool { return r.Hash == r.Before }

// ErrRebuilding says that the view is being rebuilt already.
var ErrRebuilding = &domain.Error{Class: domain.ClassConflict, Code: "rebuild_running", Message: "the view is being rebuilt already"}

// Rebuild makes a view anew from the log beside the live one, compares the two,
// and switches readers over. The live view is read and written until the switch;
// for the comparison alone new events wait. When ctx ends before the switch the
// half-built generation is removed and nothing has changed.
func (s *Set) Rebuild(ctx context.Context, name string) (Rebuilt, error) {
	slot, err := s.slot(name)
	if err != nil {
		return Rebuilt{}, err
	}
	if !slot.rebuilding.TryLock() {
		return Rebuilt{}, ErrRebuilding
	}
	defer slot.rebuilding.Unlock()
	defer slot.progress.Store(nil)

	number, err := s.client.Incr(ctx, generationKey).Result()
	if err != nil {
		return Rebuilt{}, unavailable("numbering a generation of "+name, err)
	}
	fresh := newGeneration(s.client, slot.view, int(number))
	b := &builder{generation: fresh, progress: &slot.progress, follower: s.store.Follow(ctx, domain.Position{})}
	defer b.follower.Close()
	rebuilt, old, err := s.rebuild(ctx, slot, b)
	doomed := old
	if err != nil {
		err, doomed = fmt.Errorf("rebuilding %s: %w", name, err), fresh
	}
	if dropErr := doomed.drop(context.WithoutCancel(ctx)); dropErr != nil {
		s.log.WarnContext(ctx, "an old generation could not be removed", slog.String("view", name),
			slog.Int("generation", doomed.number), slog.Any("error", dropErr))
	}
	return rebuilt, err
}

// rebuild catches up twice: first at leisure, then, with the live view held
// still, for the rest. It returns the generation that is read no more.
func (s *Set) rebuild(ctx context.Context, slot *slot, b *builder) (Rebuilt, *Generation, error) {
	live := slot.live.Load()
	if live == nil {
		return Rebuilt{}, nil, errNotStarted
	}
	target, err := live.Cursor(ctx)
	if err != nil {
		return Rebuilt{}, nil, err
	}
	if err := b.build(ctx, target); err != nil {
		return Rebuilt{}, nil, err
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	if slot.live.Load() != live {
		return Rebuilt{}, nil, errors.New("the live generation was replaced meanwhile")
	}
	if target, err = live.Cursor(ctx); err != nil {
		return Rebuilt{}, nil, err
	}
	if err := b.build(ctx, target); err != nil {
		return Rebuilt{}, nil, err
	}
	rebuilt := Rebuilt{Name: slot.view.name(), Generation: b.generation.number, Events: b.done.Events, Position: target}
	if rebuilt.Before, err = live.Hash(ctx); err != nil {
		return Rebuilt{}, nil, err
	}
	if rebuilt.Hash, err = b.generation.Hash(ctx); err != nil {
		return Rebuilt{}, nil, err
	}
	if !rebuilt.Equal() {
		s.log.ErrorContext(ctx, "a view differed from the log and was replaced", slog.String("view", rebuilt.Name),
			slog.String("position", target.String()), slog.String("before", rebuilt.Before), slog.String("after", rebuilt.Hash))
	}
	if err := s.activate(ctx, slot.view, b.generation.number); err != nil {
		return Rebuilt{}, nil, err
	}
	slot.live.Store(b.generation)
	return rebuilt, live, nil
}

// builder applies the log to a new generation, up to a position and no further.
type builder struct {
	generation *Generation
	follower   *eventstore.Follower
	progress   interface{ Store(*Progress) }
	done       Progress
	ahead      []eventstore.Record // read, not applied: after the last target
}

func (b *builder) build(ctx context.Context, target domain.Position) error {
	for b.done.Position.Compare(target) < 0 {
		records := b.ahead
		b.ahead = nil
		if len(records) == 0 {
			next, err := b.follower.Next(ctx, feed.MaxSlice)
			if err != nil {
				return err
			}
			records = next.Records
		}
		slice := feed.Slice{After: b.done.Position}
		for i := range records {
			if records[i].Position.Compare(target) > 0 {
				b.ahead = records[i:]
				break
			}
			event, _ := feed.Decode(&records[i]) // what is not ours has its place and no more, as in the feed
			slice.Events = append(slice.Events, event)
		}
		if _, _, err := b.generation.Apply(ctx, slice); err != nil {
			return err
		}
		if n := len(slice.Events); n > 0 {
			b.done = Progress{b.done.Events + int64(n), slice.Events[n-1].Position}
			done := b.done
			b.progress.Store(&done)
		}
	}
	return nil
}
