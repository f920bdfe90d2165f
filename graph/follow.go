package graph

import (
	"cmp"
	"context"
	"iter"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// cursorArg reads a subscription's after.
func cursorArg(after *string) (*domain.Position, error) {
	if after == nil {
		return nil, nil //nolint:nilnil // no cursor: from now on
	}
	position, err := domain.ParsePosition(*after)
	if err != nil {
		return nil, inField("after", err)
	}
	return &position, nil
}

// deliver sends what a view yields to a subscriber, one by one: the next is read
// when the subscriber has taken the last, so a slow one costs nothing but its
// own delay. The goroutine ends with ctx, which ends with the subscription; the
// transport waits for it.
func deliver[E, T any](ctx context.Context, r *Resolver, events iter.Seq2[E, error], update func(E) T) <-chan T {
	out := make(chan T)
	result := outcomeOf(ctx)
	result.following.Go(func() {
		defer close(out)
		defer func() {
			if cause := recover(); cause != nil {
				result.err = r.present(ctx, r.recovered(ctx, cause))
			}
		}()
		for e, err := range events {
			if err != nil {
				if ctx.Err() == nil {
					result.err = r.present(ctx, err)
				}
				return
			}
			select {
			case out <- update(e):
			case <-ctx.Done():
				return
			}
		}
	})
	return out
}

func (r *Resolver) followOwner(ctx context.Context, kind, id string, after *string) (<-chan *model.EventUpdate, error) {
	cursor, err := cursorArg(after)
	if err != nil {
		return nil, err
	}
	events, err := r.views.FollowOwner(ctx, kind, id, cursor)
	if err != nil {
		return nil, err
	}
	return deliver(ctx, r, events, r.update), nil
}

func (r *Resolver) followFound(ctx context.Context, input *model.EventFilter, after *string) (<-chan *model.EventUpdate, error) {
	if err := checkFilter(input); err != nil {
		return nil, err
	}
	cursor, err := cursorArg(after)
	if err != nil {
		return nil, err
	}
	wanted := toFilter(input)
	// What an expression computes takes turns with queries.
	matcher, err := filter.Filter{Expression: wanted.Expression}.Compile()
	if err != nil {
		return nil, inFilter(err)
	}
	expression := wanted.Expression != ""
	wanted.Expression = ""
	events, err := r.views.FollowFound(ctx, wanted, cursor)
	if err != nil {
		return nil, inFilter(err)
	}
	if expression {
		events = matching(events, func(e domain.Located) (matches bool, err error) {
			turn := r.computing.step(ctx, func() { matches, err = matcher.Match(e) })
			return matches, cmp.Or(err, turn)
		})
	}
	return deliver(ctx, r, events, r.update), nil
}

func (r *Resolver) update(e domain.Located) *model.EventUpdate {
	return &model.EventUpdate{Cursor: e.Position.String(), Event: r.event(e)}
}

// chainOfUpdate reads the chain that an update of chainUpdated shows. The follower
// has gone past the event, so what fails for a moment is read again.
func (r *Resolver) chainOfUpdate(ctx context.Context, order string) (*model.Chain, error) {
	for attempt := 0; ; attempt++ {
		var out *model.Chain
		var failed error
		err := r.computing.step(ctx, func() {
			chain, archived, _, err := r.views.Chain(ctx, order)
			out, failed = r.chain(chain, archived), err
		})
		if err != nil {
			return nil, err
		}
		if failed == nil {
			return out, nil
		}
		if domain.ClassOf(failed) != domain.ClassTransient || backoff.Wait(ctx, attempt, firstRetry, lastRetry) != nil {
			return nil, failed
		}
	}
}
