package views

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// The kinds of owners, each with a view of its own.
const (
	Accounts   = "accounts"
	Strategies = "strategies"
	Users      = "users"
)

// ownersView keeps what belongs to an account, a strategy or a user. An event
// belongs to the owner that it names; if it names none, to the owner that its
// order's earlier events named first (fills often name only the order).
//
//	t:<owner>  list    places of its events
//	n:<owner>  list    its orders, in the order in which they appeared
//	s:<owner>  string  Stats as JSON
//	a:<order>  string  the order's owner
type ownersView struct {
	kind  string
	owner func(*domain.Event) string
}

func newOwnersViews() []ownersView {
	return []ownersView{
		{Accounts, func(e *domain.Event) string { return e.AccountID }},
		{Strategies, func(e *domain.Event) string { return e.StrategyID }},
		{Users, func(e *domain.Event) string { return e.UserID }},
	}
}

// Stats are the counts and sums of one owner.
type Stats struct {
	Events int64 `json:"events"`
	Orders int64 `json:"orders"`
	domain.Traded

	ByType  map[string]int64 `json:"by_type"`
	FirstAt time.Time        `json:"first_at"` // earliest and latest occurred_at
	LastAt  time.Time        `json:"last_at"`
}

func (s *Stats) add(e *domain.Event) {
	s.Events++
	if s.ByType == nil {
		s.ByType = make(map[string]int64)
	}
	s.ByType[string(e.Type)]++
	if s.FirstAt.IsZero() || e.OccurredAt.Before(s.FirstAt) {
		s.FirstAt = e.OccurredAt
	}
	if e.OccurredAt.After(s.LastAt) {
		s.LastAt = e.OccurredAt
	}
	if fill, ok := domain.FillOf(e); ok {
		s.Traded.Add(fill)
	}
}

func (v ownersView) name() string { return v.kind }
func (ownersView) version() int   { return 1 }

func (v ownersView) fold(ctx context.Context, r redis.Cmdable, k keys, events []feed.Event) (func(redis.Pipeliner), []string, error) {
	ids := make(map[string]struct{})
	for _, e := range events {
		if e.Event != nil && e.OrderID != "" {
			ids[e.OrderID] = struct{}{}
		}
	}
	owners, err := readStrings(ctx, r, k, "a", slices.Collect(maps.Keys(ids)))
	if err != nil {
		return nil, nil, err
	}
	lists := newAppends()
	assigned := make(map[string]string)
	changed := make(map[string][]*domain.Event)
	joined := make(map[string]int64)
	for _, e := range events {
		if e.Event == nil {
			continue
		}
		owner := v.owner(e.Event)
		if e.OrderID != "" {
			first, known := owners[e.OrderID]
			if owner == "" {
				owner = first
			}
			if owner != "" && !known {
				owners[e.OrderID], assigned[e.OrderID] = owner, owner
				lists.add(k.at("n", owner), e.OrderID)
				joined[owner]++
			}
		}
		if owner == "" {
			continue
		}
		lists.add(k.at("t", owner), place(e.Position))
		changed[owner] = append(changed[owner], e.Event)
	}
	stats, err := readStats(ctx, r, k, slices.Collect(maps.Keys(changed)))
	if err != nil {
		return nil, nil, err
	}
	encoded := make(map[string][]byte, len(changed))
	var topics []string
	for owner, events := range changed {
		s := stats[owner]
		s.Orders += joined[owner]
		for _, e := range events {
			s.add(e)
		}
		if encoded[owner], err = json.Marshal(s, json.Deterministic(true)); err != nil {
			return nil, nil, damaged("statistics of %s that can't be written", owner)
		}
		topics = append(topics, ownerTopic(v.kind, owner))
	}
	return func(p redis.Pipeliner) {
		lists.write(ctx, p)
		for order, owner := range assigned {
			p.Set(ctx, k.at("a", order), owner, 0)
		}
		for owner, value := range encoded {
			p.Set(ctx, k.at("s", owner), value, 0)
		}
	}, topics, nil
}

// readStats reads the statistics of owners; those nobody knows are missing.
func readStats(ctx context.Context, r redis.Cmdable, k keys, owners []string) (map[string]Stats, error) {
	values, err := readStrings(ctx, r, k, "s", owners)
	if err != nil {
		return nil, err
	}
	stats := make(map[string]Stats, len(values))
	for owner, value := range values {
		var s Stats
		if err := json.Unmarshal(jsontext.Value(value), &s); err != nil {
			return nil, damaged("unreadable statistics of %s", owner)
		}
		stats[owner] = s
	}
	return stats, nil
}

func readStrings(ctx context.Context, r redis.Cmdable, k keys, what string, ids []string) (map[string]string, error) {
	found := make(map[string]string, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = k.at(what, id)
	}
	values, err := r.MGet(ctx, names...).Result()
	if err != nil {
		return nil, unavailable("reading "+strconv.Itoa(len(ids))+" keys", err)
	}
	for i, value := range values {
		if text, ok := value.(string); ok {
			found[ids[i]] = text
		}
	}
	return found, nil
}

// indexAfter finds the first index of a list of places whose position is after
// the given one: a binary search, since lists only grow at their end and places
// only rise.
func indexAfter(ctx context.Context, r redis.Cmdable, key string, after domain.Position) (int64, error) {
	low := int64(0)
	high, err := r.LLen(ctx, key).Result()
	if err != nil {
		return 0, unavailable("searching "+key, err)
	}
	for low < high {
		middle := low + (high-low)/2
		text, err := r.LIndex(ctx, key, middle).Result()
		if errors.Is(err, redis.Nil) {
			high = middle
			continue
		}
		if err != nil {
			return 0, unavailable("searching "+key, err)
		}
		position, err := parsePlace(text)
		if err != nil {
			return 0, err
		}
		if position.Compare(after) <= 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}
