package views

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// followPause is the least time between two searches of one live reader that found
// the end: what comes meanwhile comes in one page.
const followPause = 100 * time.Millisecond

// FollowFound follows the events that a filter finds after a position, those there
// are and those to come, each once, in the order of the log; nil means from now on,
// and now is the moment of the call. It ends with ctx and holds one page in memory
// however slow its reader is. An event on which the expression can't be computed is
// left out.
//
// By one account, strategy, user or ticker, or by none, it follows a trail, which all
// its readers share. What names several of them is searched for at each change, at most
// ten times a second.
func (s *Set) FollowFound(ctx context.Context, f filter.Filter, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
	matcher, err := f.Compile()
	if err != nil {
		return nil, err
	}
	kind, id, found, ok := leading(f)
	if !ok {
		return s.followSearch(ctx, f, after)
	}
	events, err := s.FollowOwner(ctx, kind, id, after)
	if err != nil {
		return nil, err
	}
	matcher = matcher.Without(found)
	return func(yield func(domain.Located, error) bool) {
		for e, err := range events {
			wanted := err != nil
			if err == nil {
				wanted, err = matcher.Match(e)
				wanted = wanted || err != nil
			}
			if wanted && (!yield(e, err) || err != nil) {
				return
			}
		}
	}, nil
}

// leading is a trail that has all events that a filter finds, and which dimension of
// the filter is the trail's own; not ok if there is none.
func leading(f filter.Filter) (kind, id string, found filter.Dimension, ok bool) {
	if len(f.Orders) > 0 || f.EntityType != "" || f.EntityID != "" {
		return "", "", 0, false
	}
	kind, id = Search, anyType
	if len(f.Types) == 1 && !strings.HasSuffix(f.Types[0], "*") {
		if types := domain.ResolveTypes(f.Types[0]); len(types) == 1 {
			id = string(types[0])
		}
	}
	named := 0
	for _, d := range []struct {
		view string
		ids  []string
		own  filter.Dimension
	}{
		{Accounts, f.Accounts, filter.Accounts},
		{Strategies, f.Strategies, filter.Strategies},
		{Users, f.Users, filter.Users},
		{Instruments, f.Tickers, filter.Tickers},
	} {
		if len(d.ids) > 0 {
			named += len(d.ids)
			kind, id, found = d.view, d.ids[0], d.own
		}
	}
	return kind, id, found, named <= 1
}

// followSearch is FollowFound for what no trail has.
func (s *Set) followSearch(ctx context.Context, f filter.Filter, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
	wake := s.hub.listen(anyTopic)
	from, err := s.tune(ctx, Search, wake, after)
	if err != nil {
		return nil, err
	}
	return func(yield func(domain.Located, error) bool) {
		for {
			found, err := s.Search(ctx, Query{Filter: f, After: from, Limit: followPage})
			if err != nil && !again(ctx, err) {
				if ctx.Err() == nil {
					yield(domain.Located{}, err)
				}
				return
			}
			for _, e := range found.Events {
				if !yield(e, nil) {
					return
				}
				from = e.Position
			}
			if found.Reached.Compare(from) > 0 {
				from = found.Reached
			}
			if found.More {
				continue
			}
			if err == nil && found.UpTo.Compare(from) > 0 {
				from = found.UpTo
			}
			if !wait(ctx, wake, err) || backoff.Pause(ctx, followPause) != nil {
				return
			}
		}
	}, nil
}
