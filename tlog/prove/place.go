package prove

import (
	"context"
	"fmt"
	"sort"

	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
)

// place is where an event stands, in the log and in the store.
type place struct {
	index uint64
	at    domain.Position
}

// at finds the leaf of the event at a position; sealed is false if it has none yet.
func (b *builder) at(ctx context.Context, position domain.Position) (found place, sealed bool, err error) {
	index, exact, err := b.tree.Find(ctx, position)
	if err != nil || index == b.tree.Size() {
		return place{}, false, err
	}
	if !exact {
		return place{}, false, contradiction("the event at %s has no leaf", position)
	}
	return place{index, position}, true, nil
}

// search looks for the leaf of the one event in the log that has an id.
func (b *builder) search(ctx context.Context, id uuid.UUID) (place, error) {
	indexes, err := b.tree.FindID(ctx, id, 2)
	if err != nil {
		return place{}, err
	}
	if len(indexes) == 0 {
		return place{}, &domain.Error{Class: domain.ClassNotFound, Code: CodeUnknown, Message: fmt.Sprintf("no event %s is under the newest checkpoint", id)}
	}
	leaf, err := b.leaf(ctx, indexes[0])
	if err != nil || len(indexes) == 1 {
		return place{indexes[0], leaf.Position}, err
	}
	other, err := b.leaf(ctx, indexes[1])
	if err != nil {
		return place{}, err
	}
	return place{}, domain.Rejectf(CodeAmbiguous, "", "several events have the id %s: at %s in %.80q, at %s in %.80q; name the position or the stream of the one that is meant",
		id, leaf.Position, leaf.Stream, other.Position, other.Stream)
}

// inStream looks for an event in its stream.
func (b *builder) inStream(ctx context.Context, id uuid.UUID, stream string) (place, error) {
	for record, err := range b.events.Stream(ctx, stream, 0) {
		if err != nil {
			return place{}, err
		}
		if record.ID != id {
			continue
		}
		found, sealed, err := b.at(ctx, record.Position)
		if err == nil && !sealed {
			err = &domain.Error{Class: domain.ClassNotFound, Code: CodeUnsealed, Message: fmt.Sprintf("event %s is in no checkpoint yet", id)}
		}
		return found, err
	}
	return place{}, &domain.Error{Class: domain.ClassNotFound, Code: CodeUnknown, Message: fmt.Sprintf("stream %.80q has no event %s", stream, id)}
}

// places finds what a chain is made of, in the order of the log, each once.
func (b *builder) places(ctx context.Context, stream string, related []domain.Position) ([]place, error) {
	all := make(map[uint64]domain.Position)
	add := func(at domain.Position) (sealed bool, err error) {
		found, sealed, err := b.at(ctx, at)
		if sealed {
			all[found.index] = at
		}
		return sealed, err
	}
	recorded := 0
	for record, err := range b.events.Stream(ctx, stream, 0) {
		if err != nil {
			return nil, err
		}
		recorded++
		sealed, err := add(record.Position)
		if err != nil {
			return nil, err
		}
		if !sealed {
			break
		}
	}
	switch {
	case recorded == 0:
		return nil, &domain.Error{Class: domain.ClassNotFound, Code: CodeUnknown, Message: fmt.Sprintf("there is no stream %.80q", stream)}
	case len(all) == 0:
		return nil, &domain.Error{Class: domain.ClassNotFound, Code: CodeUnsealed, Message: fmt.Sprintf("%.80q is in no checkpoint yet", stream)}
	}
	for _, at := range related {
		_, err := add(at)
		if domain.ClassOf(err) == domain.ClassIntegrity {
			// Whoever named it may have made it up: the store knows.
			if _, missing := b.events.At(ctx, at); eventstore.NoEvent(missing) {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
	}
	places := make([]place, 0, len(all))
	for index, at := range all {
		places = append(places, place{index, at})
	}
	sort.Slice(places, func(i, j int) bool { return places[i].index < places[j].index })
	return places, nil
}
