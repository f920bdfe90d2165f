package graph

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/projections/views"
)

// search answers the query events.
func (r *Resolver) search(ctx context.Context, input *model.EventFilter, args pageArgs) (*model.EventConnection, error) {
	if err := checkFilter(input); err != nil {
		return nil, err
	}
	query := views.Query{Filter: toFilter(input), Backwards: args.last != nil, Limit: defaultPage}
	if args.first != nil && args.last != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "last", "a search goes one way: either first or last")
	}
	if err := args.check(); err != nil {
		return nil, err
	}
	for _, size := range []*int{args.first, args.last} {
		if size != nil {
			query.Limit = *size
		}
	}
	for _, arg := range []struct {
		name   string
		cursor *string
		target *domain.Position
	}{{"after", args.after, &query.After}, {"before", args.before, &query.Before}} {
		if arg.cursor == nil {
			continue
		}
		var err error
		if *arg.target, err = domain.ParsePosition(*arg.cursor); err != nil {
			return nil, inField(arg.name, err)
		}
	}
	if args.before != nil && query.Before.IsZero() {
		// Before the beginning there is nothing; to a Query zero means no bound.
		if _, err := query.Compile(); err != nil {
			return nil, inFilter(err)
		}
		none := 0
		return &model.EventConnection{Edges: []*model.EventEdge{}, PageInfo: &model.PageInfo{}, Examined: &none, Failed: &none}, nil
	}
	found, err := r.views.Search(ctx, query)
	if err != nil {
		return nil, inFilter(err)
	}
	return r.found(found, query), nil
}

func (r *Resolver) found(found views.Found, query views.Query) *model.EventConnection {
	out := &model.EventConnection{
		Edges: []*model.EventEdge{}, PageInfo: &model.PageInfo{},
		FromEventStore: found.Archived, Examined: &found.Examined, Failed: &found.Failed, Failure: optional(found.Failure),
	}
	if found.TotalKnown {
		total := int(found.Total)
		out.TotalCount = &total
	}
	if query.Backwards {
		slices.Reverse(found.Events)
	}
	for _, e := range found.Events {
		out.Edges = append(out.Edges, r.edge(e))
	}
	info := out.PageInfo
	if n := len(out.Edges); n > 0 {
		info.StartCursor, info.EndCursor = &out.Edges[0].Cursor, &out.Edges[n-1].Cursor
	}
	var stopped *string // where to go on if the page was not filled
	if found.More && len(found.Events) < query.Limit && !found.Reached.IsZero() {
		stopped = optional(found.Reached.String())
	}
	if query.Backwards {
		info.HasPreviousPage = found.More
		if stopped != nil {
			info.StartCursor = stopped
		}
		return out
	}
	info.HasNextPage = found.More
	if stopped != nil {
		info.EndCursor = stopped
	}
	return out
}

func checkFilter(input *model.EventFilter) error {
	if input == nil {
		return nil
	}
	return checkGiven([]givenList{
		{"types", input.Types},
		{"tickers", input.Tickers},
		{"strategies", input.Strategies},
		{"accounts", input.Accounts},
		{"users", input.Users},
		{"orders", input.Orders},
	}, []givenText{{"entityType", input.EntityType}, {"entityId", input.EntityID}, {"expression", input.Expression}},
		[]givenTime{{"after", input.After}, {"before", input.Before}})
}

func checkAnomalyFilter(input *model.AnomalyFilter) error {
	if input == nil {
		return nil
	}
	return checkGiven([]givenList{
		{"kinds", input.Kinds},
		{"rules", input.Rules},
		{"severities", input.Severities},
		{"statuses", statusNames(input.Statuses)},
		{"accounts", input.Accounts},
		{"strategies", input.Strategies},
		{"users", input.Users},
		{"tickers", input.Tickers},
		{"orders", input.Orders},
	}, []givenText{{"expression", input.Expression}}, []givenTime{{"after", input.After}, {"before", input.Before}})
}

func statusNames(statuses []model.AnomalyStatus) []string {
	if statuses == nil {
		return nil
	}
	names := make([]string, len(statuses))
	for i, status := range statuses {
		names[i] = string(status)
	}
	return names
}

// The parts of a filter; nil where they are left out.
type (
	givenList struct {
		field  string
		values []string
	}
	givenText struct {
		field string
		text  *string
	}
	givenTime struct {
		field string
		time  *time.Time
	}
)

// earliest is the earliest occurredAt of an event.
var earliest = time.Unix(0, 0)

// checkGiven refuses what is given and empty. To a filter.Filter that is no bound:
// a list of accounts that came out empty would find everybody's events.
func checkGiven(lists []givenList, texts []givenText, times []givenTime) error {
	for _, l := range lists {
		if l.values != nil && len(l.values) == 0 {
			return domain.Rejectf(domain.CodeInvalid, "filter."+l.field, "is empty; leave it out, or null, for no bound")
		}
	}
	for _, t := range texts {
		if t.text != nil && strings.TrimSpace(*t.text) == "" {
			return domain.Rejectf(domain.CodeInvalid, "filter."+t.field, "is empty; leave it out, or null, for no bound")
		}
	}
	for _, t := range times {
		if t.time != nil && t.time.Before(earliest) {
			return domain.Rejectf(domain.CodeInvalid, "filter."+t.field, "is before 1970, as no event is; leave it out, or null, for no bound")
		}
	}
	return nil
}

func toFilter(input *model.EventFilter) filter.Filter {
	if input == nil {
		return filter.Filter{}
	}
	f := filter.Filter{
		Types: input.Types, Tickers: input.Tickers, Strategies: input.Strategies, Accounts: input.Accounts,
		Users: input.Users, Orders: input.Orders,
	}
	for _, s := range []struct {
		from *string
		to   *string
	}{{input.EntityType, &f.EntityType}, {input.EntityID, &f.EntityID}, {input.Expression, &f.Expression}} {
		if s.from != nil {
			*s.to = *s.from
		}
	}
	if input.After != nil {
		f.After = *input.After
	}
	if input.Before != nil {
		f.Before = *input.Before
	}
	return f
}

// inFilter names the field at fault as the schema does: filter.entityType.
func inFilter(err error) error {
	e, ok := errors.AsType[*domain.Error](err)
	if !ok || e.Class != domain.ClassRejected {
		return err
	}
	inside := *e
	inside.Field = strings.TrimSuffix("filter."+camel(e.Field), ".")
	return &inside
}
