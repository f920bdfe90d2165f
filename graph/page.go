package graph

import (
	"context"
	"math"
	"strconv"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/projections/views"
)

const defaultPage = 50

// pageArgs are the arguments of a Relay connection.
type pageArgs struct {
	first, last   *int
	after, before *string
}

// check looks at the sizes.
func (a pageArgs) check() error {
	for _, arg := range []struct {
		name  string
		value *int
	}{{"first", a.first}, {"last", a.last}} {
		switch {
		case arg.value == nil:
		case *arg.value < 0:
			return domain.Rejectf(domain.CodeInvalid, arg.name, "must not be negative")
		case *arg.value > views.MaxPage:
			return domain.Rejectf("page_too_large", arg.name, "at most %d items a page", views.MaxPage)
		}
	}
	return nil
}

// ends says of which ends of a list the window is bounded by what only the list
// itself knows: its length, and the places of cursors.
type ends struct {
	total   func() (int64, error)
	through func(cursor string) (int64, error) // items up to it, it included
	before  func(cursor string) (int64, error) // items before it
}

// window turns the arguments into indexes [from, to) of a list, by the algorithm of
// Relay's specification. It asks the list for what it needs: the first page needs
// nothing. Indexes may be behind the end of the list.
func (a pageArgs) window(list ends) (from, to int64, err error) {
	if err := a.check(); err != nil {
		return 0, 0, err
	}
	from, to = 0, math.MaxInt64
	if a.after != nil {
		if from, err = list.through(*a.after); err != nil {
			return 0, 0, inField("after", err)
		}
	}
	switch {
	case a.before != nil:
		if to, err = list.before(*a.before); err != nil {
			return 0, 0, inField("before", err)
		}
	case a.last != nil:
		if to, err = list.total(); err != nil {
			return 0, 0, err
		}
	}
	to = max(to, from)
	size := int64(defaultPage)
	switch {
	case a.first != nil:
		size = int64(*a.first)
	case a.last != nil:
		size = to - from
	}
	to = from + min(to-from, size)
	if a.last != nil {
		from = max(from, to-int64(*a.last))
	}
	return from, to, nil
}

func inField(field string, err error) error {
	if domain.ClassOf(err) == domain.ClassRejected {
		return domain.Rejectf(domain.CodeInvalid, field, "%s", err.Error())
	}
	return err
}

func pageInfo[E any](edges []E, cursor func(E) string, from, to, total int64) *model.PageInfo {
	info := &model.PageInfo{HasPreviousPage: min(from, total) > 0, HasNextPage: to < total}
	if len(edges) > 0 {
		info.StartCursor = optional(cursor(edges[0]))
		info.EndCursor = optional(cursor(edges[len(edges)-1]))
	}
	return info
}

func (r *Resolver) ownerEvents(ctx context.Context, kind, id string, args pageArgs) (*model.EventConnection, error) {
	through := func(cursor string) (n int64, position domain.Position, err error) {
		if position, err = domain.ParsePosition(cursor); err != nil {
			return 0, position, err
		}
		n, err = r.views.OwnerIndexAfter(ctx, kind, id, position)
		return n, position, err
	}
	var after, before *domain.Position
	from, to, err := args.window(ends{
		total: func() (int64, error) {
			head, err := r.views.OwnerEvents(ctx, kind, id, 0, 0)
			return head.Total, err
		},
		through: func(cursor string) (int64, error) {
			n, position, err := through(cursor)
			after = &position
			return n, err
		},
		before: func(cursor string) (int64, error) {
			n, position, err := through(cursor)
			before = &position
			if err != nil || n == 0 {
				return n, err
			}
			// Is the cursor an item of this list, or a place between two?
			page, err := r.views.OwnerEvents(ctx, kind, id, n-1, n)
			if err == nil && len(page.Items) == 1 && page.Items[0].Position == position {
				n--
			}
			return n, err
		},
	})
	if err != nil {
		return nil, err
	}
	page, err := r.views.OwnerEvents(ctx, kind, id, from, to)
	if err != nil {
		return nil, err
	}
	total := int(page.Total)
	out := &model.EventConnection{Edges: []*model.EventEdge{}, TotalCount: &total, FromEventStore: page.Archived}
	for _, e := range page.Items {
		// The indexes may be of one build of the read model and the items of the next,
		// where events have come in before them.
		if after != nil && e.Position.Compare(*after) <= 0 || before != nil && e.Position.Compare(*before) >= 0 {
			continue
		}
		out.Edges = append(out.Edges, r.edge(e))
	}
	out.PageInfo = pageInfo(out.Edges, func(e *model.EventEdge) string { return e.Cursor }, from, to, page.Total)
	if len(out.Edges) == 0 && len(page.Items) > 0 { // the next page begins where this one did
		out.PageInfo.StartCursor, out.PageInfo.EndCursor = args.before, args.after
	}
	return out, nil
}

// ownerOrders pages through the owner's orders; a cursor is an order's number in
// the list. It grows at its end, except by a rebuild that takes in parked events.
func (r *Resolver) ownerOrders(ctx context.Context, kind, id string, args pageArgs) (*model.OrderConnection, error) {
	total := func() (int64, error) {
		head, err := r.views.OwnerOrders(ctx, kind, id, 0, 0)
		return head.Total, err
	}
	from, to, err := args.window(ends{
		total: total,
		through: func(cursor string) (int64, error) {
			n, err := orderCursor(cursor)
			return n + 1, err
		},
		before: func(cursor string) (int64, error) {
			n, err := orderCursor(cursor)
			if err != nil {
				return 0, err
			}
			length, err := total()
			return min(n, length), err
		},
	})
	if err != nil {
		return nil, err
	}
	page, err := r.views.OwnerOrders(ctx, kind, id, from, to)
	if err != nil {
		return nil, err
	}
	out := &model.OrderConnection{Edges: []*model.OrderEdge{}, TotalCount: int(page.Total)}
	for i, o := range page.Items {
		out.Edges = append(out.Edges, &model.OrderEdge{Cursor: strconv.FormatInt(page.First+int64(i), 10), Node: toOrder(o)})
	}
	out.PageInfo = pageInfo(out.Edges, func(e *model.OrderEdge) string { return e.Cursor }, from, to, page.Total)
	return out, nil
}

func orderCursor(cursor string) (int64, error) {
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || n < 0 || n == math.MaxInt64 {
		return 0, domain.Rejectf(domain.CodeInvalid, "", "%.64q is not a cursor of this list", cursor)
	}
	return n, nil
}
