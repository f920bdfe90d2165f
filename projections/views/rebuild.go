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

// errReplaced says that another process has rebuilt the view, or that Redis has
// lost it.
var errReplaced = &domain.Error{Class: domain.ClassConflict, Code: "view_replaced", Message: "the live view was replaced meanwhile"}

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
	rebuilt, doomed, err := s.rebuild(ctx, slot, b)
	if err != nil {
		err = fmt.Errorf("rebuilding %s: %w", name, err)
	}
	if doomed == nil {
		return rebuilt, err
	}
	if dropErr := doomed.drop(context.WithoutCancel(ctx)); dropErr != nil {
		s.log.WarnContext(ctx, "an old generation could not be removed", slog.String("view", name),
			slog.Int("generation", doomed.number), slog.Any("error", dropErr))
	}
	return rebuilt, err
}

// rebuild catches up twice: first at leisure, then, with the live view held
// still, for the rest. It returns the generation that is read no more, or never
// was; nil if that is not known.
func (s *Set) rebuild(ctx context.Context, slot *slot, b *builder) (rebuilt Rebuilt, doomed *Generation, err error) {
	fresh := b.generation
	live := slot.live.Load()
	if live == nil {
		return Rebuilt{}, fresh, unavailable("rebuilding "+slot.view.name(), errNotStarted)
	}
	target, err := s.target(ctx, live)
	if err != nil {
		return Rebuilt{}, fresh, err
	}
	if err := b.build(ctx, target); err != nil {
		return Rebuilt{}, fresh, err
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	if slot.live.Load() != live {
		return Rebuilt{}, fresh, errReplaced
	}
	if target, err = s.target(ctx, live); err != nil {
		return Rebuilt{}, fresh, err
	}
	if err := b.build(ctx, target); err != nil {
		return Rebuilt{}, fresh, err
	}
	rebuilt = Rebuilt{Name: slot.view.name(), Generation: fresh.number, Events: b.done.Events, Position: b.done.Position}
	if rebuilt.Before, err = live.Hash(ctx); err != nil {
		return Rebuilt{}, fresh, err
	}
	if rebuilt.Hash, err = fresh.Hash(ctx); err != nil {
		return Rebuilt{}, fresh, err
	}
	if !rebuilt.Equal() {
		s.log.ErrorContext(ctx, "a view differed from the log and was replaced", slog.String("view", rebuilt.Name),
			slog.String("position", rebuilt.Position.String()), slog.String("before", rebuilt.Before), slog.String("after", rebuilt.Hash))
	}
	if err := ctx.Err(); err != nil {
		return Rebuilt{}, fresh, err
	}
	if known, err := s.change(context.WithoutCancel(ctx), slot.view, fresh); err != nil {
		if !known {
			fresh = nil
		}
		return Rebuilt{}, fresh, err
	}
	slot.live.Store(fresh)
	return rebuilt, live, nil
}

// target is where the live view stands, or the end of the log if that is
// earlier: a view that claims more than there is was tampered with, or belongs to
// another log, and nobody must wait for what does not come.
func (s *Set) target(ctx context.Context, live *Generation) (domain.Position, error) {
	cursor, err := live.Cursor(ctx)
	if err != nil {
		return domain.Position{}, err
	}
	head, err := s.store.Head(ctx)
	if err != nil {
		return domain.Position{}, err
	}
	if head.Compare(cursor) < 0 {
		return head, nil
	}
	return cursor, nil
}

// change makes a generation the one that is read. A lost answer does not mean a
// lost write, so after an error it looks; where it can't see, known is false and
// neither generation may be removed: the next Start may find either of them.
func (s *Set) change(ctx context.Context, v view, to *Generation) (known bool, err error) {
	if err = s.activate(ctx, v, to.number); err == nil {
		return true, nil
	}
	active, readErr := s.client.HGet(ctx, activeKey, v.name()).Result()
	if readErr != nil {
		return false, errors.Join(err, readErr)
	}
	if active == activeValue(v, to.number) {
		return true, nil
	}
	return true, err
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
