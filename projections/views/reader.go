package views

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
)

// MaxPage is the most entries that one read of a list returns.
const MaxPage = 1000

// ordersSlot and eventsSlot are where NewSet puts these views.
const (
	eventsSlot = 0
	ordersSlot = 1
)

// Chain reads an order's whole decision history; ok is false when no event names
// the order.
func (s *Set) Chain(ctx context.Context, order string) (chain domain.Chain, ok bool, err error) {
	events, ok, err := s.chainEvents(ctx, order)
	if err != nil || !ok {
		return domain.Chain{}, false, err
	}
	return domain.BuildChain(order, events), true, nil
}

func (s *Set) chainEvents(ctx context.Context, order string) ([]domain.Located, bool, error) {
	live, done, err := s.serve(s.slots[ordersSlot])
	if err != nil {
		return nil, false, err
	}
	defer done()
	// A chain is in several lists, which grow while they are read. What came after
	// the cursor is left out: else an event could be there and one before it not,
	// and a follower would go past it.
	upTo, err := live.Cursor(ctx)
	if err != nil {
		return nil, false, err
	}
	own, err := s.list(ctx, live, live.keys.at("c", order), upTo)
	if err != nil || len(own) == 0 {
		return nil, false, err
	}
	events, err := domain.CollectChain(order, own, func(refs []domain.Ref) ([][]domain.Located, error) {
		found := make([][]domain.Located, 0, len(refs))
		for _, ref := range refs {
			events, err := s.list(ctx, live, live.keys.at("r", refTopic(ref)), upTo)
			if err != nil {
				return nil, err
			}
			found = append(found, events)
		}
		return found, nil
	})
	return events, err == nil, err
}

// list reads a whole list of places up to a position, and the events there.
func (s *Set) list(ctx context.Context, live *Generation, key string, upTo domain.Position) ([]domain.Located, error) {
	places, err := live.client.LRange(ctx, key, 0, -1).Result()
	if err != nil {
		return nil, unavailable("reading "+key, err)
	}
	for len(places) > 0 {
		last, err := parsePlace(places[len(places)-1])
		if err != nil {
			return nil, err
		}
		if last.Compare(upTo) <= 0 {
			break
		}
		places = places[:len(places)-1]
	}
	return s.bodies(ctx, places)
}

// bodies reads events by their places. What the events view does not hold (yet)
// is read from the event store.
func (s *Set) bodies(ctx context.Context, places []string) ([]domain.Located, error) {
	if len(places) == 0 {
		return nil, nil
	}
	live, done, err := s.serve(s.slots[eventsSlot])
	if err != nil {
		return nil, err
	}
	defer done()
	bodies, err := readStrings(ctx, live.client, live.keys, "b", places)
	if err != nil {
		return nil, err
	}
	events := make([]domain.Located, len(places))
	for i, at := range places {
		position, err := parsePlace(at)
		if err != nil {
			return nil, err
		}
		if text, ok := bodies[at]; ok {
			events[i], err = parseBody(position, text)
		} else {
			record, readErr := s.store.At(ctx, position)
			if readErr != nil {
				return nil, readErr
			}
			events[i], err = record.Located()
		}
		if err != nil {
			return nil, err
		}
	}
	return events, nil
}

// Orders reads the states of orders; those nobody knows are missing.
func (s *Set) Orders(ctx context.Context, ids []string) (map[string]domain.Order, error) {
	live, done, err := s.serve(s.slots[ordersSlot])
	if err != nil {
		return nil, err
	}
	defer done()
	return readOrders(ctx, live.client, live.keys, ids)
}

// Owner reads the statistics of an account, a strategy or a user; ok is false
// when no event belongs to it.
func (s *Set) Owner(ctx context.Context, kind, id string) (stats Stats, ok bool, err error) {
	slot, err := s.slot(kind)
	if err != nil {
		return Stats{}, false, err
	}
	live, done, err := s.serve(slot)
	if err != nil {
		return Stats{}, false, err
	}
	defer done()
	found, err := readStats(ctx, live.client, live.keys, []string{id})
	if err != nil {
		return Stats{}, false, err
	}
	stats, ok = found[id]
	return stats, ok, nil
}

// Page is a window of a list that only grows at its end.
type Page[T any] struct {
	First int64 // index of the first item in the whole list
	Items []T
	Total int64 // length of the whole list
}

// OwnerEvents reads the events with index from up to, and without, to; in the
// order of the log.
func (s *Set) OwnerEvents(ctx context.Context, kind, id string, from, to int64) (Page[domain.Located], error) {
	page, _, err := s.trail(ctx, kind, id, from, to)
	return page, err
}

// trail is OwnerEvents, and which generation it read.
func (s *Set) trail(ctx context.Context, kind, id string, from, to int64) (Page[domain.Located], *Generation, error) {
	places, live, err := s.window(ctx, kind, "t", id, from, to)
	if err != nil {
		return Page[domain.Located]{}, nil, err
	}
	events, err := s.bodies(ctx, places.Items)
	return Page[domain.Located]{First: places.First, Items: events, Total: places.Total}, live, err
}

// OwnerOrders reads the orders with index from up to, and without, to; in the
// order in which they appeared.
func (s *Set) OwnerOrders(ctx context.Context, kind, id string, from, to int64) (Page[domain.Order], error) {
	ids, _, err := s.window(ctx, kind, "n", id, from, to)
	if err != nil {
		return Page[domain.Order]{}, err
	}
	orders, err := s.Orders(ctx, ids.Items)
	page := Page[domain.Order]{First: ids.First, Total: ids.Total}
	for _, id := range ids.Items {
		order, ok := orders[id]
		if !ok { // the orders view is a moment behind
			order = domain.Order{ID: id, Status: domain.StatusUnknown}
		}
		page.Items = append(page.Items, order)
	}
	return page, err
}

// OwnerIndexAfter finds the index of the owner's first event after a position.
func (s *Set) OwnerIndexAfter(ctx context.Context, kind, id string, after domain.Position) (int64, error) {
	index, _, err := s.search(ctx, kind, id, after)
	return index, err
}

// search is OwnerIndexAfter, and which generation it read.
func (s *Set) search(ctx context.Context, kind, id string, after domain.Position) (int64, *Generation, error) {
	slot, err := s.slot(kind)
	if err != nil {
		return 0, nil, err
	}
	live, done, err := s.serve(slot)
	if err != nil {
		return 0, nil, err
	}
	defer done()
	index, err := indexAfter(ctx, live.client, live.keys.at("t", id), after)
	return index, live, err
}

func (s *Set) window(ctx context.Context, kind, what, id string, from, to int64) (Page[string], *Generation, error) {
	slot, err := s.slot(kind)
	if err != nil {
		return Page[string]{}, nil, err
	}
	live, done, err := s.serve(slot)
	if err != nil {
		return Page[string]{}, nil, err
	}
	defer done()
	key := live.keys.at(what, id)
	from = max(from, 0)
	to = min(to, from+MaxPage)
	var items *redis.StringSliceCmd
	var total *redis.IntCmd
	if _, err := live.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		total = p.LLen(ctx, key)
		if to > from {
			items = p.LRange(ctx, key, from, to-1)
		}
		return nil
	}); err != nil {
		return Page[string]{}, nil, unavailable("reading "+key, err)
	}
	page := Page[string]{First: from, Total: total.Val()}
	if items != nil {
		page.Items = items.Val()
	}
	return page, live, nil
}

// followPage is how many events a live reader takes at a time.
const followPage = 256

// FollowOwner follows the owner's events after a position, those there are and
// those to come, each once, in the order of the log; nil means from now on, and
// now is the moment of the call. It ends with ctx. However slow its reader is, it
// holds one page in memory.
func (s *Set) FollowOwner(ctx context.Context, kind, id string, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
	wake, from, err := s.tune(ctx, kind, ownerTopic(kind, id), after)
	if err != nil {
		return nil, err
	}
	return func(yield func(domain.Located, error) bool) {
		var index int64
		var found *Generation // in which index was found
		for {
			var err error
			var page Page[domain.Located]
			var read *Generation
			if found == nil {
				index, found, err = s.search(ctx, kind, id, from)
			}
			if err == nil {
				page, read, err = s.trail(ctx, kind, id, index, index+followPage)
			}
			if err != nil && !again(ctx, err) {
				if ctx.Err() == nil {
					yield(domain.Located{}, err)
				}
				return
			}
			if err != nil || read != found {
				// The view was rebuilt. Where the two builds differ, an index means one
				// event in this one and another in that one.
				found = nil
			}
			if err == nil && found == nil {
				continue
			}
			// While a view catches up, the index that was found may be too low, never
			// too high: what comes again is left out.
			for _, e := range page.Items {
				if e.Position.Compare(from) <= 0 {
					continue
				}
				if !yield(e, nil) {
					return
				}
				from = e.Position
			}
			index += int64(len(page.Items))
			if len(page.Items) < followPage && !wait(ctx, wake, err) {
				return
			}
		}
	}, nil
}

// FollowChain follows the events of an order's chain after a position, those
// there are and those to come, each once, in the order of the log; nil means
// from now on, and now is the moment of the call. It ends with ctx.
//
// A later event may link earlier ones to the chain, say the order's first mention
// of its recommendation. A follower that is past their positions is not told of
// them, since it could not be resumed from there; Chain has them.
func (s *Set) FollowChain(ctx context.Context, order string, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
	wake, from, err := s.tune(ctx, s.slots[ordersSlot].view.name(), orderTopic(order), after)
	if err != nil {
		return nil, err
	}
	return func(yield func(domain.Located, error) bool) {
		for {
			events, _, err := s.chainEvents(ctx, order)
			if err != nil && !again(ctx, err) {
				if ctx.Err() == nil {
					yield(domain.Located{}, err)
				}
				return
			}
			slices.SortFunc(events, func(a, b domain.Located) int { return a.Position.Compare(b.Position) })
			more := false
			for _, e := range events {
				for _, ref := range e.Refs() {
					more = wake.also(refTopic(ref)) || more
				}
			}
			if more {
				continue // an event may have come for a topic before we listened to it
			}
			for _, e := range events {
				if e.Position.Compare(from) <= 0 {
					continue
				}
				if !yield(e, nil) {
					return
				}
				from = e.Position
			}
			if !wait(ctx, wake, err) {
				return
			}
		}
	}, nil
}

// tune listens to a topic and finds where a live reader begins. Listening comes
// first: what is applied between the two is then read and not waited for.
func (s *Set) tune(ctx context.Context, name, topic string, after *domain.Position) (*listener, domain.Position, error) {
	slot, err := s.slot(name)
	if err != nil {
		return nil, domain.Position{}, err
	}
	wake := s.hub.listen(topic)
	context.AfterFunc(ctx, wake.close)
	if after != nil {
		return wake, *after, nil
	}
	live, done, err := s.serve(slot)
	if errors.Is(err, errCatchingUp) {
		from, err := s.store.Head(ctx)
		return wake, from, err
	}
	if err != nil {
		return nil, domain.Position{}, err
	}
	defer done()
	from, err := live.Cursor(ctx)
	return wake, from, err
}

// again reports whether a live reader should try again later: Redis or the store
// may be away for a while, and who waits for events need not be told.
func again(ctx context.Context, err error) bool {
	return ctx.Err() == nil && domain.ClassOf(err) == domain.ClassTransient
}

// retryAfter is how long a live reader waits after an error.
const retryAfter = 250 * time.Millisecond

// wait returns when there may be news, or after a while if the last read failed;
// false when ctx has ended.
func wait(ctx context.Context, wake *listener, err error) bool {
	var retry <-chan time.Time
	if err != nil {
		timer := time.NewTimer(retryAfter)
		defer timer.Stop()
		retry = timer.C
	}
	select {
	case <-wake.C:
		return true
	case <-retry:
		return true
	case <-ctx.Done():
		return false
	}
}
