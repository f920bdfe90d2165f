package graph

import (
	"context"
	"iter"

	"github.com/tradetrail/tradetrail/domain"
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
func deliver[T any](ctx context.Context, r *Resolver, events iter.Seq2[domain.Located, error], update func(domain.Located) T) <-chan T {
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
	return deliver(ctx, r, events, func(e domain.Located) *model.EventUpdate {
		return &model.EventUpdate{Cursor: e.Position.String(), Event: toEvent(e)}
	}), nil
}

// chainOfUpdate reads the chain that an update of chainUpdated shows. The follower
// has gone past the event, so what fails for a moment is read again.
func (r *Resolver) chainOfUpdate(ctx context.Context, order string) (*model.Chain, error) {
	for attempt := 0; ; attempt++ {
		var out *model.Chain
		var failed error
		err := r.computing.step(ctx, func() {
			chain, archived, _, err := r.views.Chain(ctx, order)
			out, failed = toChain(chain, archived), err
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
