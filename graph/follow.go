package graph

import (
	"context"
	"iter"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph/model"
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
// own delay. The goroutine ends with ctx, which ends with the subscription.
func deliver[T any](ctx context.Context, r *Resolver, events iter.Seq2[domain.Located, error], update func(domain.Located) T) <-chan T {
	out := make(chan T)
	go func() {
		defer close(out)
		for e, err := range events {
			if err != nil {
				fail(ctx, r.present(ctx, err))
				return
			}
			select {
			case out <- update(e):
			case <-ctx.Done():
				return
			}
		}
	}()
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
