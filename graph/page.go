package graph

import (
	"context"
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

// window turns the arguments into indexes [from, to) of a list of the given
// length, by the algorithm of Relay's specification. index finds the place of a
// cursor: how many items stand up to it, it included, and how many before it.
func (a pageArgs) window(total int64, index func(cursor string) (through, before int64, err error)) (from, to int64, err error) {
	if err := a.check(); err != nil {
		return 0, 0, err
	}
	from, to = 0, total
	if a.after != nil {
		if from, _, err = index(*a.after); err != nil {
			return 0, 0, inField("after", err)
		}
	}
	if a.before != nil {
		if _, to, err = index(*a.before); err != nil {
			return 0, 0, inField("before", err)
		}
	}
	to = max(to, from)
	if a.first != nil {
		to = min(to, from+int64(*a.first))
	}
	if a.last != nil {
		from = max(from, to-int64(*a.last))
	}
	if a.first == nil && a.last == nil {
		to = min(to, from+defaultPage)
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
	info := &model.PageInfo{HasPreviousPage: from > 0, HasNextPage: to < total}
	if len(edges) > 0 {
		info.StartCursor = optional(cursor(edges[0]))
		info.EndCursor = optional(cursor(edges[len(edges)-1]))
	}
	return info
}

func (r *Resolver) ownerEvents(ctx context.Context, kind, id string, args pageArgs) (*model.EventConnection, error) {
	head, err := r.views.OwnerEvents(ctx, kind, id, 0, 0)
	if err != nil {
		return nil, err
	}
	from, to, err := args.window(head.Total, func(cursor string) (int64, int64, error) {
		position, err := domain.ParsePosition(cursor)
		if err != nil {
			return 0, 0, err
		}
		through, err := r.views.OwnerIndexAfter(ctx, kind, id, position)
		if err != nil {
			return 0, 0, err
		}
		before := through
		if through > 0 { // is the cursor an item of this list, or a place between two?
			page, err := r.views.OwnerEvents(ctx, kind, id, through-1, through)
			if err != nil {
				return 0, 0, err
			}
			if len(page.Items) == 1 && page.Items[0].Position == position {
				before--
			}
		}
		return through, before, nil
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
		out.Edges = append(out.Edges, &model.EventEdge{Cursor: e.Position.String(), Node: toEvent(e)})
	}
	out.PageInfo = pageInfo(out.Edges, func(e *model.EventEdge) string { return e.Cursor }, from, to, page.Total)
	return out, nil
}

// ownerOrders pages through the owner's orders; a cursor is an order's number in
// the list, which only grows at its end.
func (r *Resolver) ownerOrders(ctx context.Context, kind, id string, args pageArgs) (*model.OrderConnection, error) {
	head, err := r.views.OwnerOrders(ctx, kind, id, 0, 0)
	if err != nil {
		return nil, err
	}
	from, to, err := args.window(head.Total, func(cursor string) (int64, int64, error) {
		n, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil || n < 0 {
			return 0, 0, domain.Rejectf(domain.CodeInvalid, "", "%.64q is not a cursor of this list", cursor)
		}
		return min(n+1, head.Total), min(n, head.Total), nil
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
