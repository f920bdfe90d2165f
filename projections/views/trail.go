package views

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
)

// trails are lists of places that only grow at their end. Most are short, and a
// key of its own would cost more than what is in it: they are rows of a table.
// One that has grown long is a Redis list, and its row says so.
type trails struct {
	table string // of the short ones, and of the marks of the long ones
	list  string // kind of key of the long ones
}

const (
	shortTrail = 's' // first byte of a row: packed places follow
	longTrail  = "l"
	maxShort   = 32 // places
)

// growing gathers what a slice appends to trails.
type growing struct {
	trails trails
	ids    []string
	places map[string][]domain.Position
}

func (t trails) grow() *growing {
	return &growing{trails: t, places: make(map[string][]domain.Position)}
}

func (g *growing) add(id string, p domain.Position) {
	before, known := g.places[id]
	if !known {
		g.ids = append(g.ids, id)
	}
	g.places[id] = append(before, p)
}

func (g *growing) want(r *rows) {
	for _, id := range g.ids {
		r.want(g.trails.table, id)
	}
}

// write puts the appends into the batch; r has read what was wanted.
func (g *growing) write(r *rows, b *batch) error {
	for _, id := range g.ids {
		value, _ := r.row(g.trails.table, id)
		places := g.places[id]
		if value != longTrail {
			before, err := unpackTrail(value)
			if err != nil {
				return err
			}
			places = slices.Concat(before, places)
			if len(places) <= maxShort {
				b.set(g.trails.table, id, string(packPlaces([]byte{shortTrail}, places)))
				continue
			}
			b.set(g.trails.table, id, longTrail)
		}
		for _, p := range places {
			b.push(g.trails.list, id, place(p))
		}
	}
	return nil
}

func unpackTrail(value string) ([]domain.Position, error) {
	switch {
	case value == "":
		return nil, nil
	case value[0] != shortTrail:
		return nil, damaged("a trail of an unknown kind")
	default:
		return unpackPlaces(value[1:])
	}
}

// trail is one of them, for reading.
type trail struct {
	client redis.UniversalClient
	key    string            // of the list, if it is long
	short  []domain.Position // else
	length int64
}

// open looks how long a trail is.
func (t trails) open(ctx context.Context, client redis.UniversalClient, k keys, id string) (*trail, error) {
	value, err := client.HGet(ctx, k.bucket(t.table, id), id).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("reading the trail of "+id, err)
	}
	if value != longTrail {
		short, err := unpackTrail(value)
		return &trail{short: short, length: int64(len(short))}, err
	}
	tr := &trail{client: client, key: k.at(t.list, id)}
	tr.length, err = client.LLen(ctx, tr.key).Result()
	return tr, unavailable("reading the trail of "+id, err)
}

// whole reads trails in one round trip, or two if one of them is long, and before
// them the cursor: the trails have every place up to it, and perhaps later ones. Of
// each it reads most+1 places at most.
func (t trails) whole(ctx context.Context, g *Generation, p *pulse, ids []string, most int64) (domain.Position, []domain.Position, error) {
	away := func(err error) error { return unavailable("reading trails below "+g.keys().prefix, err) }
	var cursor *redis.StringCmd
	marks := make([]*redis.StringCmd, len(ids))
	if _, err := g.reads.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		cursor = pipe.Get(ctx, g.keys().cursor())
		for i, id := range ids {
			marks[i] = pipe.HGet(ctx, g.keys().bucket(t.table, id), id)
		}
		*p = pulse{}
		p.take(ctx, pipe, g)
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return domain.Position{}, nil, away(err)
	}
	if cursor.Val() == noCursor {
		return domain.Position{}, nil, nil // as the pulse tells
	}
	at, err := parseCursor(cursor.Val())
	if err != nil {
		return domain.Position{}, nil, err
	}
	lists := make(map[int]*redis.StringSliceCmd)
	if _, err := g.reads.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, id := range ids {
			if marks[i].Val() == longTrail {
				lists[i] = pipe.LRange(ctx, g.keys().at(t.list, id), 0, most)
			}
		}
		if len(lists) > 0 {
			*p = pulse{}
			p.take(ctx, pipe, g)
		}
		return nil
	}); err != nil {
		return domain.Position{}, nil, away(err)
	}
	var all []domain.Position
	for i := range ids {
		var places []domain.Position
		if list, long := lists[i]; long {
			places, err = parsePlaces(list.Val())
		} else {
			places, err = unpackTrail(marks[i].Val())
		}
		if err != nil {
			return domain.Position{}, nil, err
		}
		all = append(all, places...)
	}
	return at.Position, all, nil
}

// window reads a trail's places with index from up to, and without, to, and its
// length, in one round trip: of a long one the list, whichever it is.
func (t trails) window(ctx context.Context, g *Generation, p *pulse, id string, from, to int64) ([]domain.Position, int64, error) {
	from = max(from, 0)
	var mark *redis.StringCmd
	var length *redis.IntCmd
	var texts *redis.StringSliceCmd
	key := g.keys().at(t.list, id)
	if _, err := g.reads.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		// The mark last: who finds it has read the whole list.
		length = pipe.LLen(ctx, key)
		if to > from {
			texts = pipe.LRange(ctx, key, from, to-1)
		}
		mark = pipe.HGet(ctx, g.keys().bucket(t.table, id), id)
		p.take(ctx, pipe, g)
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, 0, unavailable("reading the trail of "+id, err)
	}
	if mark.Val() == longTrail && length.Val() > 0 {
		if texts == nil {
			return nil, length.Val(), nil
		}
		places, err := parsePlaces(texts.Val())
		return places, length.Val(), err
	}
	if mark.Val() == longTrail { // it became one between the two
		tr, err := t.open(ctx, g.reads, g.keys(), id)
		if err != nil {
			return nil, 0, err
		}
		places, err := tr.window(ctx, from, to)
		return places, tr.length, err
	}
	short, err := unpackTrail(mark.Val())
	if err != nil {
		return nil, 0, err
	}
	tr := trail{short: short, length: int64(len(short))}
	places, err := tr.window(ctx, from, to)
	return places, tr.length, err
}

// window reads the places with index from up to, and without, to.
func (t *trail) window(ctx context.Context, from, to int64) ([]domain.Position, error) {
	from, to = max(from, 0), min(to, t.length)
	if to <= from {
		return nil, nil
	}
	if t.key == "" {
		return t.short[from:to], nil
	}
	texts, err := t.client.LRange(ctx, t.key, from, to-1).Result()
	if err != nil {
		return nil, unavailable("reading "+t.key, err)
	}
	return parsePlaces(texts)
}

// after finds the first index whose place is after a position: a binary search,
// since places only rise.
func (t *trail) after(ctx context.Context, position domain.Position) (int64, error) {
	low, high := int64(0), t.length
	switch {
	case position.IsZero():
		return 0, nil
	case position == domain.EndPosition:
		return t.length, nil
	}
	for low < high {
		middle := low + (high-low)/2
		at, err := t.window(ctx, middle, middle+1)
		if err != nil {
			return 0, err
		}
		if len(at) == 0 { // the list was removed meanwhile
			high = middle
		} else if at[0].Compare(position) <= 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}
