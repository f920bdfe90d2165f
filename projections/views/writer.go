package views

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// ErrGap reports a slice that begins after the view's cursor: events are missing
// between, for example since Redis lost its data. The feed must start again from
// the cursor.
var ErrGap = &domain.Error{Class: domain.ClassTransient, Code: "views_gap", Message: "the slice begins after the view's cursor"}

// errMoved reports a cursor that is not where its writer left it.
var errMoved = &domain.Error{Class: domain.ClassTransient, Code: "views_moved", Message: "the view's cursor has moved"}

// ErrFenced reports that another process has taken over.
var ErrFenced = &domain.Error{Class: domain.ClassTransient, Code: "views_taken_over", Message: "another process writes the views"}

// writer applies slices to one part of a generation. It is the only one that
// does: who takes over writes its own fence into the cursor. It must not be used
// by two goroutines at a time.
type writer struct {
	generation *Generation
	part       int
	keys       keys

	stands string // the cursor in Redis, as last seen
	cursor Cursor // the same
	held   holds
	memo   *memo
}

// takeOver makes this process the writer of all parts of a generation. ErrGap says
// that the generation is gone.
func (g *Generation) takeOver(ctx context.Context, fence int64) (writers []*writer, err error) {
	// Writes of whoever wrote before may still arrive, until the fence stands.
	for range maxRaces {
		if writers, err = g.tryTakeOver(ctx, fence); !errors.Is(err, errMoved) {
			break
		}
	}
	return writers, err
}

func (g *Generation) tryTakeOver(ctx context.Context, fence int64) ([]*writer, error) {
	cursors, ok, err := g.cursors(ctx)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("taking over %s %d: %w", g.view.name(), g.number, ErrGap)
	}
	writers := make([]*writer, len(g.parts))
	for i, k := range g.parts {
		if cursors[i].fence > fence {
			return nil, fmt.Errorf("taking over %s %d: %w", g.view.name(), g.number, ErrFenced)
		}
		w := &writer{generation: g, part: i, keys: k, stands: cursors[i].String(), cursor: cursors[i], memo: newMemo(cursors[i].Position.IsZero())}
		mine := w.cursor
		mine.fence = fence
		if err := w.move(ctx, newBatch(k), mine); err != nil {
			return nil, err
		}
		// What is parked can't change any more without us.
		if w.held, err = readHolds(ctx, g.client, k); err != nil {
			return nil, err
		}
		writers[i] = w
	}
	return writers, nil
}

// move writes a batch and the cursor after it.
func (w *writer) move(ctx context.Context, b *batch, to Cursor) error {
	next := to.String()
	stands, err := b.commit(ctx, w.generation, w.stands, next)
	if err != nil {
		return err
	}
	if stands == next {
		w.stands, w.cursor = next, to
		return nil
	}
	if stands == noCursor {
		return fmt.Errorf("%s has lost what it held: %w", w.generation.view.name(), ErrGap)
	}
	now, err := parseCursor(stands)
	if err != nil {
		return err
	}
	if now.fence != w.cursor.fence {
		return fmt.Errorf("writing %s at %s: %w", w.generation.view.name(), now.Position, ErrFenced)
	}
	// An earlier write of ours arrived after all, or Redis has gone back to an
	// older copy.
	return fmt.Errorf("%s was taken to be at %s and is at %s: %w", w.generation.view.name(), w.stands, stands, errMoved)
}

// apply folds a slice into the part, and writes what changes together with the
// cursor in one transaction. Events that were applied before are skipped, so a
// slice may come again. It returns the topics that changed. After an error that is
// not about the slice itself the writer must be thrown away: only Redis knows where
// it stands.
func (w *writer) apply(ctx context.Context, slice feed.Slice) (topics map[string]struct{}, err error) {
	if len(slice.Events) == 0 {
		return nil, nil
	}
	if w.cursor.Position.Compare(slice.After) < 0 {
		last := slice.Events[len(slice.Events)-1].Position
		return nil, fmt.Errorf("applying %s..%s to %s at %s: %w", slice.After, last, w.generation.view.name(), w.cursor.Position, ErrGap)
	}
	events := slice.Events
	for len(events) > 0 && events[0].Position.Compare(w.cursor.Position) <= 0 {
		events = events[1:]
	}
	if len(events) == 0 {
		return nil, nil
	}
	topics = make(map[string]struct{})
	return topics, w.applyOrPark(ctx, events, topics)
}

// applyOrPark applies events. If they can't be folded it looks for the one that
// is at fault, by halves, and parks it.
func (w *writer) applyOrPark(ctx context.Context, events []feed.Event, topics map[string]struct{}) error {
	err := w.commit(ctx, events, topics)
	reason, poisonous := errors.AsType[*poison](err)
	switch {
	case !poisonous:
		return err
	case len(events) == 1:
		return w.park(ctx, events[0], reason)
	}
	half := len(events) / 2
	if err := w.applyOrPark(ctx, events[:half], topics); err != nil {
		return err
	}
	return w.applyOrPark(ctx, events[half:], topics)
}

func (w *writer) commit(ctx context.Context, events []feed.Event, topics map[string]struct{}) error {
	b := newBatch(w.keys)
	next := w.cursor
	foldable := make([]feed.Event, 0, len(events))
	var parked []Parked
	for _, e := range events {
		next = next.past(e)
		if v, ok := w.generation.view.(partitioned); ok && v.part(e) != w.part {
			continue
		}
		if behind, ok := w.held.behind(e); ok {
			parked = append(parked, park(w.generation.view, e, "held back behind the event at "+behind.String()))
			continue
		}
		foldable = append(foldable, e)
	}
	if err := w.fold(ctx, foldable, b); err != nil {
		return err
	}
	for _, p := range parked {
		if err := w.held.check(p); err != nil {
			return err
		}
		if err := b.park(p); err != nil {
			return err
		}
	}
	if err := w.move(ctx, b, next); err != nil {
		return err
	}
	b.remember(w.memo)
	for _, p := range parked {
		w.held.add(p)
	}
	for topic := range b.topics {
		topics[topic] = struct{}{}
	}
	return nil
}

// poison is why events can't be folded.
type poison struct{ reason string }

func (p *poison) Error() string { return p.reason }

// fold calls the view's fold. What is wrong with an event, a panic included,
// becomes poison; a Redis that is away does not.
func (w *writer) fold(ctx context.Context, events []feed.Event, b *batch) (err error) {
	if len(events) == 0 {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			w.generation.log.ErrorContext(ctx, "a fold panicked", slog.String("view", w.generation.view.name()), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = &poison{fmt.Sprintf("panic: %v", p)}
		}
	}()
	for _, e := range events {
		if e.Unfit != "" {
			return &poison{e.Unfit}
		}
	}
	err = w.generation.view.fold(ctx, reader{w.generation.client, w.keys, w.memo}, events, b)
	if wrongType(err) {
		return unavailable("working below "+w.keys.prefix, abandon(ctx, w.generation.client, w.keys.cursor(), err))
	}
	if err == nil || ctx.Err() != nil || domain.ClassOf(err) == domain.ClassTransient {
		return err
	}
	return &poison{err.Error()}
}
