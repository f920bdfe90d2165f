package graph

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/projections/views"
)

// finding is what a detector records in data.
type finding struct {
	kind, rule, severity, explanation *string
	evidence                          []string
}

// parseFinding takes what is there, and of the kind that is expected.
func parseFinding(e *domain.Event) finding {
	out := finding{evidence: []string{}}
	var data map[string]json.RawMessage
	if len(e.Data) == 0 || json.Unmarshal(e.Data, &data) != nil {
		return out
	}
	for name, target := range map[string]**string{"kind": &out.kind, "rule": &out.rule, "severity": &out.severity, "explanation": &out.explanation} {
		var text *string
		if json.Unmarshal(data[name], &text) == nil {
			*target = text
		}
	}
	var evidence []any
	if json.Unmarshal(data["evidence"], &evidence) == nil {
		for _, id := range evidence {
			if text, ok := id.(string); ok {
				out.evidence = append(out.evidence, text)
			}
		}
	}
	return out
}

func toAnomaly(e domain.Located) *model.Anomaly { return anomalyOf(toEvent(e), parseFinding(e.Event)) }

func anomalyOf(event *model.AuditEvent, f finding) *model.Anomaly {
	return &model.Anomaly{
		Cursor: event.Position, Event: event, Kind: f.kind, Rule: f.rule, Severity: f.severity, Explanation: f.explanation, Evidence: f.evidence,
		OrderID: event.OrderID, AccountID: event.AccountID, StrategyID: event.StrategyID, UserID: event.UserID,
		Ticker: event.Ticker, OccurredAt: event.OccurredAt,
	}
}

// maxNamed is how many kinds, rules or severities a filter names.
const maxNamed = 100

// named are the kinds, rules and severities that somebody wants; an empty list
// wants all.
type named struct{ kinds, rules, severities []string }

func (n named) all() bool { return len(n.kinds)+len(n.rules)+len(n.severities) == 0 }

func (n named) wants(f finding) bool {
	has := func(list []string, value *string) bool {
		return len(list) == 0 || value != nil && slices.Contains(list, *value)
	}
	return has(n.kinds, f.kind) && has(n.rules, f.rule) && has(n.severities, f.severity)
}

// anomalyFilter is a filter for the events of anomalies, and what it can't say.
func anomalyFilter(input *model.AnomalyFilter) (filter.Filter, named, error) {
	f := filter.Filter{Types: []string{string(domain.AnomalyDetected)}}
	if input == nil {
		return f, named{}, nil
	}
	f.Accounts, f.Strategies, f.Users, f.Tickers, f.Orders = input.Accounts, input.Strategies, input.Users, input.Tickers, input.Orders
	if input.After != nil {
		f.After = *input.After
	}
	if input.Before != nil {
		f.Before = *input.Before
	}
	if input.Expression != nil {
		f.Expression = *input.Expression
	}
	if _, err := f.Compile(); err != nil {
		return filter.Filter{}, named{}, inFilter(err)
	}
	for field, list := range map[string][]string{"kinds": input.Kinds, "rules": input.Rules, "severities": input.Severities} {
		if len(list) > maxNamed {
			return filter.Filter{}, named{}, domain.Rejectf(domain.CodeInvalid, "filter."+field, "at most %d values", maxNamed)
		}
	}
	return f, named{input.Kinds, input.Rules, input.Severities}, nil
}

// scan gives a search's events to take, until it has no room, in as many searches
// as may be examined by one. The answer has none of them.
func (r *Resolver) scan(ctx context.Context, query views.Query, take func(domain.Located) bool) (views.Found, error) {
	var out views.Found
	for query.Limit = max(query.Limit, 1); ; query.Limit = views.MaxPage {
		found, err := r.views.Search(ctx, query)
		if err != nil {
			return views.Found{}, inFilter(err)
		}
		out.Examined += found.Examined
		out.Archived += found.Archived
		out.Failed += found.Failed
		out.Failure = cmp.Or(out.Failure, found.Failure)
		for _, e := range found.Events {
			if !take(e) {
				out.More = true
				return out, nil
			}
			out.Reached = e.Position
		}
		out.More, out.Reached = found.More, found.Reached
		if !found.More || out.Examined >= views.MaxExamined || found.Reached.IsZero() {
			return out, nil
		}
		query.After = found.Reached
	}
}

// findNamed is Search for what a filter can't say.
func (r *Resolver) findNamed(ctx context.Context, query views.Query, n named) (views.Found, error) {
	if n.all() {
		found, err := r.views.Search(ctx, query)
		return found, inFilter(err)
	}
	var events []domain.Located
	found, err := r.scan(ctx, query, func(e domain.Located) bool {
		if !n.wants(parseFinding(e.Event)) {
			return true
		}
		if len(events) == query.Limit {
			return false
		}
		events = append(events, e)
		return true
	})
	found.Events = events
	return found, err
}

// anomalies answers the query of that name.
func (r *Resolver) anomalies(ctx context.Context, input *model.AnomalyFilter, args pageArgs) (*model.AnomalyConnection, error) {
	if err := args.check(); err != nil {
		return nil, err
	}
	f, names, err := anomalyFilter(input)
	if err != nil {
		return nil, err
	}
	query := views.Query{Filter: f, Limit: defaultPage}
	if args.first != nil {
		query.Limit = *args.first
	}
	after, err := cursorArg(args.after)
	if err != nil {
		return nil, err
	}
	if after != nil {
		query.After = *after
	}
	found, err := r.findNamed(ctx, query, names)
	if err != nil {
		return nil, err
	}
	page := toFound(found, query)
	out := &model.AnomalyConnection{
		Edges: []*model.AnomalyEdge{}, PageInfo: page.PageInfo,
		TotalCount: page.TotalCount, Examined: page.Examined, Failed: page.Failed, Failure: page.Failure,
	}
	for i, edge := range page.Edges {
		out.Edges = append(out.Edges, &model.AnomalyEdge{Cursor: edge.Cursor, Node: anomalyOf(edge.Node, parseFinding(found.Events[i].Event))})
	}
	return out, nil
}

// The bounds of a heatmap.
const (
	defaultBucket = time.Hour
	maxBuckets    = 1000
)

// cell is a place in a heatmap.
type cell struct {
	bucket         int
	kind, severity string
}

// heatmap answers anomalyHeatmap. It counts no more than one search looks at.
func (r *Resolver) heatmap(ctx context.Context, from, to time.Time, bucket *time.Duration) (*model.Heatmap, error) {
	width := defaultBucket
	if bucket != nil {
		width = *bucket
	}
	switch {
	case !to.After(from):
		return nil, domain.Rejectf(domain.CodeInvalid, "to", "must be after from")
	case !from.Add(to.Sub(from)).Equal(to): // a Duration has no room for it
		return nil, domain.Rejectf(domain.CodeInvalid, "to", "must be less than 292 years after from")
	case width <= 0:
		return nil, domain.Rejectf(domain.CodeInvalid, "bucket", "must be longer than nothing")
	case (to.Sub(from)-1)/width >= maxBuckets:
		return nil, domain.Rejectf(domain.CodeInvalid, "bucket", "from there to there are more than %d of them", maxBuckets)
	}
	f, _, err := anomalyFilter(&model.AnomalyFilter{After: &from, Before: &to})
	if err != nil {
		return nil, err
	}
	out := &model.Heatmap{From: from, To: to, Bucket: width, Cells: []*model.HeatmapCell{}, Complete: true}
	counts := make(map[cell]int)
	found, err := r.scan(ctx, views.Query{Filter: f, Limit: views.MaxPage}, func(e domain.Located) bool {
		what := parseFinding(e.Event)
		counts[cell{int(e.OccurredAt.Sub(from) / width), textOf(what.kind), textOf(what.severity)}]++
		out.Total++
		return true
	})
	if err != nil {
		return nil, err
	}
	out.Complete = !found.More
	for _, c := range slices.SortedFunc(maps.Keys(counts), func(a, b cell) int {
		return cmp.Or(a.bucket-b.bucket, strings.Compare(a.kind, b.kind), strings.Compare(a.severity, b.severity))
	}) {
		out.Cells = append(out.Cells, &model.HeatmapCell{
			At: from.Add(time.Duration(c.bucket) * width), Kind: optional(c.kind), Severity: optional(c.severity), Count: counts[c],
		})
	}
	return out, nil
}

func textOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// followAnomalies answers anomalyDetected.
func (r *Resolver) followAnomalies(ctx context.Context, input *model.AnomalyFilter, after *string) (<-chan *model.AnomalyUpdate, error) {
	cursor, err := cursorArg(after)
	if err != nil {
		return nil, err
	}
	f, names, err := anomalyFilter(input)
	if err != nil {
		return nil, err
	}
	matcher, err := f.Compile()
	if err != nil {
		return nil, inFilter(err)
	}
	events, err := r.views.FollowOwner(ctx, views.Search, string(domain.AnomalyDetected), cursor)
	if err != nil {
		return nil, err
	}
	wanted := func(e domain.Located) (wanted bool, err error) {
		turn := r.computing.step(ctx, func() {
			wanted, err = matcher.Match(e)
			wanted = wanted && names.wants(parseFinding(e.Event))
		})
		return wanted, cmp.Or(err, turn)
	}
	return deliver(ctx, r, matching(events, wanted), func(e domain.Located) *model.AnomalyUpdate {
		return &model.AnomalyUpdate{Cursor: e.Position.String(), Anomaly: toAnomaly(e)}
	}), nil
}

// matching leaves out what is not wanted.
func matching(events iter.Seq2[domain.Located, error], wants func(domain.Located) (bool, error)) iter.Seq2[domain.Located, error] {
	return func(yield func(domain.Located, error) bool) {
		for e, err := range events {
			wanted := true
			if err == nil {
				wanted, err = wants(e)
			}
			if (wanted || err != nil) && !yield(e, err) {
				return
			}
		}
	}
}
