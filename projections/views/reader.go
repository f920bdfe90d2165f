package views

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
)

// MaxPage is the most entries that one read of a list returns.
const MaxPage = 1000

// Chain reads an order's whole decision history; ok is false when no event names
// the order. archived tells how many of its events were read from the event
// store, since the read models hold them no more, or not yet.
func (s *Set) Chain(ctx context.Context, order string) (chain domain.Chain, archived int, ok bool, err error) {
	found, err := s.chainEvents(ctx, order)
	if err != nil || len(found.events) == 0 {
		return domain.Chain{}, 0, false, err
	}
	for _, e := range found.events { // what was read and is not part of it does not count
		if _, ok := found.archived[e.Position]; ok {
			archived++
		}
	}
	return domain.BuildChain(order, found.events), archived, true, nil
}

// located are events, how many bytes each of them is, and which of them came from the
// event store.
type located struct {
	events   []domain.Located
	sizes    []int
	archived map[domain.Position]struct{}
}

func (l *located) fromStore(p domain.Position) {
	if l.archived == nil {
		l.archived = make(map[domain.Position]struct{})
	}
	l.archived[p] = struct{}{}
}

func (s *Set) chainEvents(ctx context.Context, order string) (located, error) {
	slot, err := s.slot(Chains)
	if err != nil {
		return located{}, err
	}
	return read(ctx, s, slot, func(live *Generation, pulse *pulse) (found located, err error) {
		upTo, places, bytes := domain.EndPosition, 0, 0
		fetch := func(refs []domain.Ref) ([]domain.Located, error) {
			ids := make([]string, len(refs))
			for i, ref := range refs {
				ids[i] = refTopic(ref)
			}
			cursor, some, err := chainTrails.whole(ctx, live, pulse, ids, int64(s.limits.chain))
			if err != nil {
				return nil, err
			}
			if places += len(some); places > s.limits.chain {
				return nil, s.limits.chainTooLong(order)
			}
			// A chain is in several trails, which grow while they are read. What came after
			// the first look is left out: else an event could be there and one before it
			// not, and a follower would go past it.
			if cursor.Compare(upTo) < 0 {
				upTo = cursor
			}
			some = slices.DeleteFunc(some, func(p domain.Position) bool { return p.Compare(upTo) > 0 })
			linked, err := s.someBodies(ctx, some)
			if err != nil {
				return nil, err
			}
			for _, size := range linked.sizes {
				bytes += size
			}
			if len(linked.events) < len(some) || bytes > s.limits.bytes {
				return nil, s.limits.chainTooLong(order)
			}
			for p := range linked.archived {
				found.fromStore(p)
			}
			return linked.events, nil
		}
		own, err := fetch([]domain.Ref{{Kind: domain.KindOrder, ID: order}})
		if err != nil || len(own) == 0 {
			return located{}, err
		}
		found.events, err = domain.CollectChain(order, own, fetch)
		return found, err
	})
}

// limits bound what one read takes.
type limits struct {
	chain     int // events of a chain, which is not paged
	bytes     int // of the events that are returned, about
	stretches int // of trails, that a search reads
}

func defaultLimits() limits { return limits{chain: 10_000, bytes: 8 << 20, stretches: 1000} }

func (l limits) chainTooLong(order string) error {
	return domain.Rejectf("chain_too_long", "", "the chain of order %.64q has more than %d events or %d MiB: search for its events instead",
		order, l.chain, l.bytes>>20)
}

// readFirst is how many events are read before it is known how large they are.
const readFirst = 64

// someBodies reads the events at places, the first as many as there is room for in
// the limit of bytes, and at least one.
func (s *Set) someBodies(ctx context.Context, places []domain.Position) (all located, err error) {
	bytes := 0
	for next := readFirst; len(all.events) < len(places) && bytes < s.limits.bytes; {
		done := len(all.events)
		some, err := s.bodies(ctx, places[done:min(done+next, len(places))])
		if err != nil {
			return located{}, err
		}
		all.events, all.sizes = append(all.events, some.events...), append(all.sizes, some.sizes...)
		for p := range some.archived {
			all.fromStore(p)
		}
		for _, size := range some.sizes {
			bytes += size
		}
		next = max((s.limits.bytes-bytes)*len(all.events)/max(bytes, 1), 1)
	}
	return all, nil
}

// atOnce is how many events are read from the event store side by side.
const atOnce = 8

// bodies reads events by their places. What the events view does not hold, any
// more or yet, is read from the event store.
func (s *Set) bodies(ctx context.Context, places []domain.Position) (located, error) {
	if len(places) == 0 {
		return located{}, nil
	}
	slot, err := s.slot(Events)
	if err != nil {
		return located{}, err
	}
	packed, err := read(ctx, s, slot, func(live *Generation, pulse *pulse) ([]string, error) {
		return live.packed(ctx, pulse, places)
	})
	if err != nil {
		return located{}, err
	}
	found := located{events: make([]domain.Located, len(places)), sizes: make([]int, len(places))}
	var missing errgroup.Group
	missing.SetLimit(atOnce)
	for i, p := range places {
		if packed[i] != "" {
			if found.events[i], found.sizes[i], err = parseBody(p, packed[i]); err != nil {
				return located{}, err
			}
			continue
		}
		found.fromStore(p)
		missing.Go(func() (err error) {
			found.events[i], found.sizes[i], err = s.archivedAt(ctx, p)
			return err
		})
	}
	return found, missing.Wait()
}

func (s *Set) archivedAt(ctx context.Context, p domain.Position) (e domain.Located, size int, err error) {
	if s.store == nil {
		return domain.Located{}, 0, unavailable("reading the event at "+p.String(), errNoStore)
	}
	record, err := s.store.At(ctx, p)
	if err != nil {
		return domain.Located{}, 0, err
	}
	e, err = record.Located()
	return e, len(record.Data), err
}

var errNoStore = errors.New("there is no event store")

// packed reads the bodies at places as they are stored, in one round trip; "" where
// there is none.
func (g *Generation) packed(ctx context.Context, pulse *pulse, places []domain.Position) ([]string, error) {
	type group struct { // of places in one block
		block  string
		fields []string
		among  []int // the places
		answer *redis.SliceCmd
	}
	groups := make([]group, 0, 8)
	for i, p := range places {
		block := g.blockOf(p)
		// Neighbours are often in one block, and places mostly rise.
		at := len(groups) - 1
		if at < 0 || groups[at].block != block {
			at = len(groups)
			groups = append(groups, group{block: block})
		}
		groups[at].fields = append(groups[at].fields, place(p))
		groups[at].among = append(groups[at].among, i)
	}
	if _, err := g.reads.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range groups {
			groups[i].answer = pipe.HMGet(ctx, groups[i].block, groups[i].fields...)
		}
		if len(g.parts) == 1 {
			pulse.take(ctx, pipe, g)
		}
		return nil
	}); err != nil {
		return nil, unavailable("reading bodies below "+g.keys().prefix, err)
	}
	packed := make([]string, len(places))
	for _, group := range groups {
		for n, value := range group.answer.Val() {
			packed[group.among[n]], _ = value.(string)
		}
	}
	return packed, nil
}

// blockOf is the hash that holds the body at a position.
func (g *Generation) blockOf(p domain.Position) string {
	block := p.Commit >> blockShift
	return blockKey(g.parts[block%uint64(len(g.parts))], block)
}

// Orders reads the states of orders; those nobody knows are missing.
func (s *Set) Orders(ctx context.Context, ids []string) (map[string]domain.Order, error) {
	slot, err := s.slot(Orders)
	if err != nil {
		return nil, err
	}
	return read(ctx, s, slot, func(live *Generation, _ *pulse) (map[string]domain.Order, error) {
		return readOrders(ctx, live.reads, live.keys(), ids)
	})
}

// Owner reads the statistics of an account, a strategy, a user or an instrument;
// ok is false when no event belongs to it.
func (s *Set) Owner(ctx context.Context, kind, id string) (stats Stats, ok bool, err error) {
	slot, err := s.slot(kind)
	if err != nil {
		return Stats{}, false, err
	}
	stats, err = read(ctx, s, slot, func(live *Generation, _ *pulse) (Stats, error) {
		found, err := readRows(ctx, live.reads, live.keys(), "s", []string{id})
		if err != nil {
			return Stats{}, err
		}
		return parseStats(id, found[id])
	})
	return stats, stats.Events > 0, err
}

// Day reads the counts and sums of a UTC day, "2026-03-02"; they are zero for a
// day on which nothing happened.
func (s *Set) Day(ctx context.Context, day string) (domain.Day, error) {
	slot, err := s.slot(Daily)
	if err != nil {
		return domain.Day{}, err
	}
	return read(ctx, s, slot, func(live *Generation, _ *pulse) (domain.Day, error) {
		found, err := readRows(ctx, live.reads, live.keys(), "d", []string{day})
		if err != nil {
			return domain.Day{}, err
		}
		return parseDay(day, found[day])
	})
}

// Latencies reads how long each stage takes; a stage that was never measured is
// missing.
func (s *Set) Latencies(ctx context.Context) (map[domain.Stage]domain.Histogram, error) {
	slot, err := s.slot(Latency)
	if err != nil {
		return nil, err
	}
	return read(ctx, s, slot, func(live *Generation, _ *pulse) (map[domain.Stage]domain.Histogram, error) {
		var names []string
		for _, stage := range domain.Stages() {
			names = append(names, string(stage))
		}
		found, err := readRows(ctx, live.reads, live.keys(), "h", names)
		if err != nil {
			return nil, err
		}
		latencies := make(map[domain.Stage]domain.Histogram)
		for stage, text := range found {
			if latencies[domain.Stage(stage)], err = parseHistogram(stage, text); err != nil {
				return nil, err
			}
		}
		return latencies, nil
	})
}

// Page is a window of a list that only grows at its end.
type Page[T any] struct {
	First    int64 // index of the first item in the whole list
	Items    []T
	Total    int64 // length of the whole list
	Archived int   // how many items were read from the event store

	sizes []int // bytes of each item, of events
	short bool  // the rest would have been too large
}

// OwnerEvents reads the events with index from up to, and without, to; in the
// order of the log. kind is a view of owners, or Entities with the id that
// Entity makes. Events of more than 8 MiB together are refused.
func (s *Set) OwnerEvents(ctx context.Context, kind, id string, from, to int64) (Page[domain.Located], error) {
	page, _, err := s.trail(ctx, kind, id, from, to)
	if err == nil && page.short {
		return Page[domain.Located]{}, domain.Rejectf("page_too_large", "", "these events are more than %d MiB: ask for fewer at a time", s.limits.bytes>>20)
	}
	return page, err
}

// stretch is a window of a trail.
type stretch struct {
	places []domain.Position
	total  int64
	live   *Generation // that was read
}

// trail is OwnerEvents, and which generation it read. Of large events it returns the
// first, at least one.
func (s *Set) trail(ctx context.Context, kind, id string, from, to int64) (Page[domain.Located], *Generation, error) {
	slot, err := s.slot(kind)
	if err != nil {
		return Page[domain.Located]{}, nil, err
	}
	from = max(from, 0)
	to = min(to, from+MaxPage)
	found, err := read(ctx, s, slot, func(live *Generation, p *pulse) (stretch, error) {
		places, length, err := trailsOf(kind).window(ctx, live, p, id, from, to)
		return stretch{places, length, live}, err
	})
	if err != nil {
		return Page[domain.Located]{}, nil, err
	}
	bodies, err := s.someBodies(ctx, found.places)
	return Page[domain.Located]{
		First: from, Items: bodies.events, Total: found.total, Archived: len(bodies.archived),
		sizes: bodies.sizes, short: len(bodies.events) < len(found.places),
	}, found.live, err
}

// trailsOf are the trails of events that a view keeps.
func trailsOf(kind string) trails {
	switch kind {
	case Entities:
		return entityTrails
	case Chains:
		return chainTrails
	case Search:
		return typeTrails
	default:
		return ownerTrails
	}
}

// OwnerOrders reads the orders with index from up to, and without, to; in the
// order in which they appeared.
func (s *Set) OwnerOrders(ctx context.Context, kind, id string, from, to int64) (Page[domain.Order], error) {
	slot, err := s.slot(kind)
	if err != nil {
		return Page[domain.Order]{}, err
	}
	ids, err := read(ctx, s, slot, func(live *Generation, _ *pulse) (Page[string], error) {
		return readList(ctx, live.reads, live.keys().at("n", id), from, to)
	})
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

func readList(ctx context.Context, client redis.UniversalClient, key string, from, to int64) (Page[string], error) {
	from = max(from, 0)
	to = min(to, from+MaxPage)
	var items *redis.StringSliceCmd
	var total *redis.IntCmd
	if _, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		total = p.LLen(ctx, key)
		if to > from {
			items = p.LRange(ctx, key, from, to-1)
		}
		return nil
	}); err != nil {
		return Page[string]{}, unavailable("reading "+key, err)
	}
	page := Page[string]{First: from, Total: total.Val()}
	if items != nil {
		page.Items = items.Val()
	}
	return page, nil
}

// OwnerIndexAfter finds the index of the owner's first event after a position.
func (s *Set) OwnerIndexAfter(ctx context.Context, kind, id string, after domain.Position) (int64, error) {
	found, err := s.search(ctx, kind, id, after)
	return found.index, err
}

// spot is an index in a trail, and in which generation it was found.
type spot struct {
	index int64
	live  *Generation
}

func (s *Set) search(ctx context.Context, kind, id string, after domain.Position) (spot, error) {
	slot, err := s.slot(kind)
	if err != nil {
		return spot{}, err
	}
	return read(ctx, s, slot, func(live *Generation, _ *pulse) (spot, error) {
		trail, err := trailsOf(kind).open(ctx, live.reads, live.keys(), id)
		if err != nil {
			return spot{}, err
		}
		index, err := trail.after(ctx, after)
		return spot{index, live}, err
	})
}

// followPage is how many events a live reader takes at a time.
const followPage = 256

// FollowOwner follows the owner's events after a position, those there are and
// those to come, each once, in the order of the log; nil means from now on, and
// now is the moment of the call. It ends with ctx. However slow its reader is, it
// holds one page in memory. Of kind Search it follows the events of a type, of kind
// Anomalies, with the id AnomalyActs, what is done about any anomaly.
func (s *Set) FollowOwner(ctx context.Context, kind, id string, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
	wake, topic := s.hub.follow(ownerTopic(kind, id))
	from, err := s.tune(ctx, kind, wake, after)
	if err != nil {
		return nil, err
	}
	return func(yield func(domain.Located, error) bool) {
		var at spot // where to go on
		for {
			var err error
			var page []domain.Located
			var read *Generation
			if at.live == nil {
				at, err = s.search(ctx, kind, id, from)
			}
			if err == nil {
				page, read, err = topic.next(ctx, s, kind, id, at)
			}
			if err != nil && !again(ctx, err) {
				if ctx.Err() == nil {
					yield(domain.Located{}, err)
				}
				return
			}
			if err != nil || read != at.live {
				// The view was rebuilt. Where the two builds differ, an index means one
				// event in this one and another in that one.
				at.live = nil
			}
			if err == nil && at.live == nil {
				continue
			}
			// While a view catches up, the index that was found may be too low, never
			// too high: what comes again is left out.
			for _, e := range page {
				if e.Position.Compare(from) <= 0 {
					continue
				}
				if !yield(e, nil) {
					return
				}
				from = e.Position
			}
			at.index += int64(len(page))
			if len(page) > 0 && err == nil {
				continue // until a look at the end shows nothing
			}
			if !wait(ctx, wake, err) {
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
	wake := s.hub.listen(orderTopic(order))
	from, err := s.tune(ctx, Chains, wake, after)
	if err != nil {
		return nil, err
	}
	return func(yield func(domain.Located, error) bool) {
		for {
			found, err := s.chainEvents(ctx, order)
			events := found.events
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
func (s *Set) tune(ctx context.Context, name string, wake *listener, after *domain.Position) (domain.Position, error) {
	context.AfterFunc(ctx, wake.close)
	slot, err := s.slot(name)
	if err != nil {
		return domain.Position{}, err
	}
	if after != nil {
		return *after, s.within(ctx, *after)
	}
	from, err := read(ctx, s, slot, func(live *Generation, _ *pulse) (domain.Position, error) {
		cursor, _, err := live.cursor(ctx)
		return cursor.Position, err
	})
	if errors.Is(err, errCatchingUp) {
		from, err = s.head(ctx)
	}
	return from, err
}

// within refuses a position behind the end of the log: it is of another log, or of
// what a backup does not have, and who waited for it would miss what comes before.
func (s *Set) within(ctx context.Context, after domain.Position) error {
	if _, seen := s.Seen(); s.store == nil || after.Compare(seen) <= 0 {
		return nil
	}
	head, err := s.head(ctx)
	if err != nil {
		if again(ctx, err) {
			return nil // whoever is followed can't be seen either; it is as it was
		}
		return err
	}
	if after.Compare(head) > 0 {
		return domain.Rejectf("cursor_ahead", "after", "%s is behind the end of the log, %s: the log is another, or was restored from a backup", after, head)
	}
	return nil
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
