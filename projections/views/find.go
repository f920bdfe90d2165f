package views

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
)

// Query is a search for events.
type Query struct {
	filter.Filter

	After     domain.Position // only events behind this position; zero: from the beginning
	Before    domain.Position // only events before this position; zero: to the end
	Backwards bool            // the newest first
	Limit     int             // at most so many, up to MaxPage
}

// Found is the answer to a Query.
type Found struct {
	Events   []domain.Located // in the order of the log, or against it
	More     bool             // the search stopped before the end of the log: at its limit, or after MaxExamined events
	Reached  domain.Position  // where it stopped: another search goes on behind it
	UpTo     domain.Position  // where the views stood: what came later was not looked at
	Examined int              // events that were read
	Archived int              // of these, from the event store
	Total    int64            // how many there are in all, if TotalKnown
	Failed   int              // events on which the expression could not be computed, and which were left out
	Failure  string           // why, for the first of them

	TotalKnown bool
}

// MaxExamined bounds the events that one search reads. It ends earlier when what it
// has found is large, or when the trails that it compares have little in common.
const MaxExamined = 10_000

// examinedAtOnce is the most events that are read in one round trip.
const examinedAtOnce = 256

// Search finds events. Accounts, strategies, users, instruments, orders, entities
// and types are found by their trails, time by the spans of the log that have
// events of the day; the rest is looked at event by event.
//
// By account, strategy, user, ticker or entity it finds what their views have: also
// events that name none but are of an order that does.
func (s *Set) Search(ctx context.Context, q Query) (Found, error) {
	matcher, err := q.Compile()
	if err != nil {
		return Found{}, err
	}
	limit := min(max(q.Limit, 0), MaxPage)
	join, total, err := s.candidates(ctx, q)
	if err != nil {
		return Found{}, err
	}
	matcher = matcher.Without(filter.Types, filter.Tickers, filter.Strategies, filter.Accounts, filter.Users, filter.Orders)
	half := (q.EntityType == "") != (q.EntityID == "") // of an entity's name: no trail leads to it
	if !half {
		matcher = matcher.Without(filter.Entity)
	}
	found := Found{UpTo: join.upTo}
	found.Total, found.TotalKnown = total, q.Expression == "" && q.Filter.After.IsZero() && q.Filter.Before.IsZero() && len(join.all) == 1 && !join.over && !half
	// As many as are asked for first, and one to know whether there are more; then
	// more and more, since few of them seem to be wanted.
	var places []domain.Position
	bytes := 0
	for atOnce := min(limit+1, examinedAtOnce); !found.More; {
		if len(places) == 0 {
			places, err = join.next(ctx, min(atOnce, MaxExamined-found.Examined))
			if err != nil {
				return Found{}, err
			}
			atOnce = min(2*atOnce, examinedAtOnce)
		}
		if len(places) == 0 {
			break
		}
		bodies, err := s.someBodies(ctx, places)
		if err != nil {
			return Found{}, err
		}
		places = places[len(bodies.events):]
		found.Archived += len(bodies.archived)
		for i, e := range bodies.events {
			if err := ctx.Err(); err != nil { // an expression may take its time
				return Found{}, err
			}
			ok, err := matcher.Match(e)
			if err != nil {
				return Found{}, err
			}
			if ok && (len(found.Events) == limit || bytes > s.limits.bytes) {
				found.More = true
				break
			}
			found.Examined++
			found.Reached = e.Position
			if ok {
				found.Events = append(found.Events, e)
				bytes += bodies.sizes[i]
			}
		}
		if found.Examined >= MaxExamined {
			found.More = true
		}
	}
	if join.tired && !found.More {
		found.More, found.Reached = true, join.reached
	}
	failed, failure := matcher.Errors()
	found.Failed = failed
	if failure != nil {
		found.Failure = failure.Error()
	}
	return found, nil
}

// candidates joins the trails that a query names. total is the length of one of
// them, for when it is the only one.
func (s *Set) candidates(ctx context.Context, q Query) (*join, int64, error) {
	// The trails are read one after the other while they grow. What came after all
	// views is left out: else an event could be found and one before it not, and who
	// goes on behind it would never see that one.
	upTo, err := s.common(ctx)
	if err != nil {
		return nil, 0, err
	}
	edge := edge{position: q.After}
	if q.Backwards {
		edge.position, edge.inclusive = upTo, true
		if !q.Before.IsZero() && q.Before.Compare(upTo) <= 0 {
			edge.position, edge.inclusive = q.Before, false
		}
	}
	j := &join{after: q.After, before: q.Before, upTo: upTo, backwards: q.Backwards, most: s.limits.stretches}
	var total int64
	add := func(view string, ids ...string) error {
		if len(ids) == 0 {
			return nil
		}
		slot, err := s.slot(view)
		if err != nil {
			return err
		}
		slices.Sort(ids)
		var u union
		for _, id := range slices.Compact(ids) {
			w := &walk{set: s, slot: slot, trails: trailsOf(view), id: id, backwards: q.Backwards}
			_, length, err := w.seek(ctx, edge)
			if err != nil {
				return err
			}
			total += length
			u.walks = append(u.walks, w)
		}
		j.all = append(j.all, &u)
		return nil
	}
	orders := make([]string, len(q.Orders))
	for i, id := range q.Orders {
		orders[i] = orderTopic(id)
	}
	types, err := s.types(ctx, q.Types)
	if err != nil {
		return nil, 0, err
	}
	for _, d := range []struct {
		view string
		ids  []string
	}{
		{Accounts, q.Accounts}, {Strategies, q.Strategies}, {Users, q.Users}, {Instruments, q.Tickers}, {Chains, orders},
	} {
		if err := add(d.view, d.ids...); err != nil {
			return nil, 0, err
		}
	}
	if q.EntityType != "" && q.EntityID != "" {
		view, id := Entity(q.EntityType, q.EntityID)
		if err := add(view, id); err != nil {
			return nil, 0, err
		}
	}
	if len(q.Types) > 0 || len(j.all) == 0 {
		if len(types) == 0 {
			j.over = true
		}
		if err := add(Search, types...); err != nil {
			return nil, 0, err
		}
	}
	if err := s.limitTo(ctx, j, q.Filter.After, q.Filter.Before); err != nil {
		return nil, 0, err
	}
	return j, total, nil
}

// common is the position that all views have come to.
func (s *Set) common(ctx context.Context) (domain.Position, error) {
	for range maxLooks {
		if !s.sight.reached.Load() {
			break
		}
		generations := make([]*Generation, len(s.slots))
		for i, slot := range s.slots {
			generations[i] = slot.live.Load()
		}
		cursors, err := s.cursorsOf(ctx, generations)
		if err != nil {
			return domain.Position{}, err
		}
		if !slices.Contains(cursors, nil) {
			all := make([]Cursor, len(cursors))
			for i, c := range cursors {
				all[i] = *c
			}
			return lowestOf(all).Position, nil
		}
		if err := s.look(ctx); err != nil {
			return domain.Position{}, err
		}
	}
	return domain.Position{}, errCatchingUp
}

// types lists the event types with events that are asked for: anyType if none is
// named.
func (s *Set) types(ctx context.Context, names []string) ([]string, error) {
	var types []string
	var families []string
	for _, name := range names {
		if family, ok := strings.CutSuffix(name, "*"); ok {
			families = append(families, family)
			continue
		}
		for _, t := range domain.ResolveTypes(name) {
			types = append(types, string(t))
		}
	}
	if len(names) == 0 {
		return []string{anyType}, nil
	}
	if len(families) == 0 {
		return types, nil
	}
	slot, err := s.slot(Search)
	if err != nil {
		return nil, err
	}
	present, err := read(ctx, s, slot, func(live *Generation, _ *pulse) ([]string, error) {
		return fieldsOf(ctx, live.reads, live.keys(), typeTrails.table)
	})
	if err != nil {
		return nil, err
	}
	for _, t := range present {
		if t != anyType && slices.ContainsFunc(families, func(family string) bool { return strings.HasPrefix(t, family) }) {
			types = append(types, t)
		}
	}
	return types, nil
}

// fieldsOf lists the ids of a table's rows.
func fieldsOf(ctx context.Context, client redis.UniversalClient, k keys, table string) ([]string, error) {
	answers := make([]*redis.StringSliceCmd, buckets)
	if _, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range answers {
			answers[i] = p.HKeys(ctx, k.hash(table, uint32(i)))
		}
		return nil
	}); err != nil {
		return nil, unavailable("reading rows below "+k.prefix, err)
	}
	var ids []string
	for _, answer := range answers {
		ids = append(ids, answer.Val()...)
	}
	return ids, nil
}

// limitTo leaves out the spans of the log that have no events of a time.
func (s *Set) limitTo(ctx context.Context, j *join, after, before time.Time) error {
	if after.IsZero() && before.IsZero() {
		return nil
	}
	slot, err := s.slot(Search)
	if err != nil {
		return err
	}
	spans, err := read(ctx, s, slot, func(live *Generation, _ *pulse) (map[uint64]struct{}, error) {
		days, err := live.reads.HKeys(ctx, live.keys().at("y", "")).Result()
		if err != nil {
			return nil, unavailable("reading which days have events", err)
		}
		first, last := after.UTC().Format(time.DateOnly), before.UTC().Format(time.DateOnly)
		var answers []*redis.StringSliceCmd
		if _, err := live.reads.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, day := range days {
				if day >= first && (before.IsZero() || day <= last) {
					answers = append(answers, p.LRange(ctx, live.keys().at("d", day), 0, -1))
				}
			}
			return nil
		}); err != nil {
			return nil, unavailable("reading which spans have events of a day", err)
		}
		spans := make(map[uint64]struct{})
		for _, answer := range answers {
			for _, text := range answer.Val() {
				n, err := strconv.ParseUint(text, 10, 64)
				if err != nil {
					return nil, damaged("span %q", text)
				}
				spans[n] = struct{}{}
			}
		}
		return spans, nil
	})
	if err != nil {
		return err
	}
	for n := range spans {
		j.spans = append(j.spans, n)
	}
	slices.Sort(j.spans)
	j.limited = true
	return nil
}

// edge is a place between two positions: just behind one, or with inclusive just
// before it; seen backwards the other way round.
type edge struct {
	position  domain.Position
	inclusive bool
}

// join walks through the places that several unions have in common.
type join struct {
	all           []*union
	after, before domain.Position // exclusive; zero: open
	upTo          domain.Position // inclusive
	backwards     bool
	limited       bool
	spans         []uint64 // with limited: the spans that count, rising
	over          bool

	reads   int             // of stretches of trails, so far
	most    int             // of them; then it stops
	tired   bool            // it did
	reached domain.Position // and there
}

// next returns the next places, at most n; none when there are no more.
func (j *join) next(ctx context.Context, n int) ([]domain.Position, error) {
	var places []domain.Position
	for !j.over && len(places) < n {
		// The one that is furthest leads; the others follow to where it is.
		lead, ok := j.all[0].at()
		agreed := ok
		for _, u := range j.all[1:] {
			p, more := u.at()
			ok = ok && more
			if c := p.Compare(lead); c != 0 {
				agreed = false
				if c > 0 != j.backwards {
					lead = p
				}
			}
		}
		if !ok || j.outside(lead) {
			j.over = true
			break
		}
		if j.reads >= j.most {
			j.over, j.tired, j.reached = true, true, before(lead)
			if j.backwards {
				j.reached = domain.Position{Commit: lead.Commit + 1} // behind it, and before every other
			}
			break
		}
		target, skip := j.skip(lead)
		switch {
		case skip && target.Commit == 0 && target.Prepare == 0:
			j.over = true
		case skip:
			if err := j.seek(ctx, edge{target, true}); err != nil {
				return nil, err
			}
		case agreed:
			places = append(places, lead)
			if err := j.seek(ctx, edge{lead, false}); err != nil {
				return nil, err
			}
		default:
			if err := j.seek(ctx, edge{lead, true}); err != nil {
				return nil, err
			}
		}
	}
	return places, nil
}

func (j *join) outside(p domain.Position) bool {
	return p.Compare(j.after) <= 0 || p.Compare(j.upTo) > 0 || !j.before.IsZero() && p.Compare(j.before) >= 0
}

// skip reports whether a place is in a span that does not count, and where the
// next one that does begins, or backwards ends; zero if there is none.
func (j *join) skip(p domain.Position) (target domain.Position, skip bool) {
	if !j.limited {
		return domain.Position{}, false
	}
	i, counts := slices.BinarySearch(j.spans, p.Commit>>spanShift)
	switch {
	case counts:
		return domain.Position{}, false
	case j.backwards && i == 0, !j.backwards && i == len(j.spans):
		return domain.Position{}, true
	case j.backwards:
		end := (j.spans[i-1]+1)<<spanShift - 1
		return domain.Position{Commit: end, Prepare: end}, true
	default:
		return domain.Position{Commit: max(j.spans[i]<<spanShift, 1)}, true
	}
}

func (j *join) seek(ctx context.Context, to edge) error {
	for _, u := range j.all {
		for _, w := range u.walks {
			looked, _, err := w.seek(ctx, to)
			if err != nil {
				return err
			}
			if looked {
				j.reads++
			}
		}
	}
	return nil
}

// union walks through the places of several trails, which have none in common.
type union struct{ walks []*walk }

// at is the place where the union stands; ok is false at its end.
func (u *union) at() (nearest domain.Position, ok bool) {
	for _, w := range u.walks {
		if len(w.ahead) == 0 {
			continue
		}
		if p := w.ahead[0]; !ok || (p.Compare(nearest) < 0) != w.backwards {
			nearest, ok = p, true
		}
	}
	return nearest, ok
}

// walk walks through one trail.
type walk struct {
	set       *Set
	slot      *slot
	trails    trails
	id        string
	backwards bool

	begun bool
	ahead []domain.Position // the places from where it stands on, as far as they were read
	more  bool              // there are more behind those
}

// seek goes to the first place behind an edge, never back. It tells whether it has
// read a stretch of the trail, as it does the first time, and then the length of all.
func (w *walk) seek(ctx context.Context, to edge) (looked bool, length int64, err error) {
	for len(w.ahead) > 0 && !w.behind(w.ahead[0], to) {
		w.ahead = w.ahead[1:]
	}
	if len(w.ahead) > 0 || w.begun && !w.more {
		return false, 0, nil
	}
	type part struct {
		places []domain.Position
		length int64
		more   bool
	}
	found, err := read(ctx, w.set, w.slot, func(live *Generation, _ *pulse) (part, error) {
		trail, err := w.trails.open(ctx, live.reads, live.keys(), w.id)
		if err != nil {
			return part{}, err
		}
		position := to.position
		if to.inclusive != w.backwards { // behind it, or before it: the search finds what is after
			position = before(position)
		}
		index, err := trail.after(ctx, position)
		if err != nil {
			return part{}, err
		}
		from, until := index, index+examinedAtOnce
		if w.backwards {
			from, until = index-examinedAtOnce, index
		}
		places, err := trail.window(ctx, from, until)
		if w.backwards {
			slices.Reverse(places)
		}
		return part{places, trail.length, !w.backwards && until < trail.length || w.backwards && from > 0}, err
	})
	w.begun, w.ahead, w.more = true, found.places, found.more
	return true, found.length, err
}

func (w *walk) behind(p domain.Position, to edge) bool {
	c := p.Compare(to.position)
	if w.backwards {
		c = -c
	}
	return c > 0 || c == 0 && to.inclusive
}

// before is the position before another one.
func before(p domain.Position) domain.Position {
	switch {
	case p.Prepare > 0:
		p.Prepare--
	case p.Commit > 0:
		p.Commit, p.Prepare = p.Commit-1, domain.EndPosition.Prepare
	}
	return p
}
