package graph

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/internal/backoff"
	"github.com/tradetrail/tradetrail/internal/casework"
	"github.com/tradetrail/tradetrail/projections/views"
)

// anomalyNow is an anomaly as it is now.
func (r *Resolver) anomalyNow(of views.AnomalyRecord) *model.Anomaly {
	return anomalyOf(r.event(of.Detected), domain.DetectionIn(of.Detected.Event), of.State)
}

func anomalyOf(event *model.AuditEvent, d domain.Detection, state domain.Anomaly) *model.Anomaly {
	return &model.Anomaly{
		Cursor: event.Position, Event: event, ID: state.ID,
		Kind: optional(d.Kind), Rule: optional(d.Rule), Severity: optional(d.Severity), Explanation: optional(d.Explanation), Evidence: d.Evidence,
		OrderID: event.OrderID, AccountID: event.AccountID, StrategyID: event.StrategyID, UserID: event.UserID,
		Ticker: event.Ticker, OccurredAt: event.OccurredAt,
		Status: model.AnomalyStatus(state.Status), Assignee: optional(state.Assignee), Comments: int(state.Comments), Reason: optional(state.Reason),
		AcknowledgedBy: optional(state.Acknowledged.By), AcknowledgedAt: optionalTime(state.Acknowledged.At),
		DismissedBy: optional(state.Dismissed.By), DismissedAt: optionalTime(state.Dismissed.At),
	}
}

// maxNamed is how many kinds, rules or severities a filter names.
const maxNamed = 100

// anomalyQuery reads which anomalies are asked for.
func anomalyQuery(input *model.AnomalyFilter) (views.AnomalyQuery, error) {
	q := views.AnomalyQuery{Query: views.Query{Filter: filter.Filter{Types: []string{string(domain.AnomalyDetected)}}}}
	if input == nil {
		return q, nil
	}
	if err := checkAnomalyFilter(input); err != nil {
		return views.AnomalyQuery{}, err
	}
	f := &q.Filter
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
		return views.AnomalyQuery{}, inFilter(err)
	}
	q.Kinds, q.Rules, q.Severities = input.Kinds, input.Rules, input.Severities
	for field, list := range map[string][]string{"kinds": q.Kinds, "rules": q.Rules, "severities": q.Severities} {
		if len(list) > maxNamed {
			return views.AnomalyQuery{}, domain.Rejectf(domain.CodeInvalid, "filter."+field, "at most %d values", maxNamed)
		}
	}
	for _, status := range input.Statuses {
		q.Statuses = append(q.Statuses, domain.AnomalyStatus(status))
	}
	return q, nil
}

// anomalies answers the query of that name.
func (r *Resolver) anomalies(ctx context.Context, input *model.AnomalyFilter, args pageArgs) (*model.AnomalyConnection, error) {
	if err := args.check(); err != nil {
		return nil, err
	}
	query, err := anomalyQuery(input)
	if err != nil {
		return nil, err
	}
	query.Limit = defaultPage
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
	found, err := r.views.SearchAnomalies(ctx, query)
	if err != nil {
		return nil, inFilter(err)
	}
	page := r.found(found.Found, query.Query)
	out := &model.AnomalyConnection{
		Edges: []*model.AnomalyEdge{}, PageInfo: page.PageInfo,
		TotalCount: page.TotalCount, Examined: page.Examined, Failed: page.Failed, Failure: page.Failure,
	}
	for i, edge := range page.Edges {
		node := anomalyOf(edge.Node, domain.DetectionIn(found.Events[i].Event), found.States[i])
		out.Edges = append(out.Edges, &model.AnomalyEdge{Cursor: edge.Cursor, Node: node})
	}
	return out, nil
}

// anomaly answers the query of that name.
func (r *Resolver) anomaly(ctx context.Context, id string) (*model.Anomaly, error) {
	found, ok, err := r.views.Anomaly(ctx, id)
	if err != nil || !ok {
		return nil, err
	}
	return r.anomalyNow(found), nil
}

// act answers the mutations that do something about an anomaly.
func (r *Resolver) act(ctx context.Context, act casework.Act, eventID *string) (*model.AnomalyAct, error) {
	if r.cases == nil {
		return nil, notAvailable("this server takes no acts on anomalies")
	}
	if eventID != nil {
		if act.EventID = *eventID; act.EventID == "" {
			return nil, domain.Rejectf(domain.CodeInvalid, "eventId", "is empty")
		}
	}
	done, err := r.cases.Do(ctx, act)
	if err != nil {
		return nil, inArgument(err)
	}
	return &model.AnomalyAct{
		EventID: done.Receipt.EventID, Position: done.Receipt.Position.String(),
		Status: model.ReceiptStatus(strings.ToUpper(string(done.Receipt.Status))), Anomaly: r.anomalyNow(done.Anomaly),
	}, nil
}

// inArgument names the field at fault as the argument that it came in.
func inArgument(err error) error {
	e, ok := errors.AsType[*domain.Error](err)
	if !ok || e.Field == "" {
		return err
	}
	renamed := *e
	renamed.Field = camel(e.Field)
	return &renamed
}

// heatmap answers anomalyHeatmap.
func (r *Resolver) heatmap(ctx context.Context, query views.HeatmapQuery, bucket *time.Duration, input *model.AnomalyFilter) (*model.Heatmap, error) {
	if bucket != nil {
		if query.Bucket = *bucket; query.Bucket <= 0 {
			return nil, domain.Rejectf(domain.CodeInvalid, "bucket", "must be longer than nothing")
		}
	}
	if input != nil && (input.After != nil || input.Before != nil) {
		return nil, domain.Rejectf(domain.CodeInvalid, "filter", "from and to say the window: leave out after and before")
	}
	var err error
	if query.Of, err = anomalyQuery(input); err != nil {
		return nil, err
	}
	found, err := r.views.Heatmap(ctx, query)
	if err != nil {
		return nil, err
	}
	out := &model.Heatmap{
		From: found.From, To: found.To, Bucket: found.Bucket, By: model.HeatmapBy(strings.ToUpper(string(found.By))),
		Rows: make([]*model.HeatmapRow, len(found.Rows)), Cells: make([]*model.HeatmapCell, len(found.Cells)),
		Total: int(found.Total), Rest: int(found.Rest), Failed: found.Failed, Failure: optional(found.Failure), Complete: true,
	}
	for i := range found.Rows {
		row := &found.Rows[i]
		out.Rows[i] = &model.HeatmapRow{Value: ref(&row.Value), Count: int(row.Count)}
	}
	for i := range found.Cells {
		c := &found.Cells[i]
		out.Cells[i] = &model.HeatmapCell{At: c.At, Value: ref(&c.Value), Severity: ref(&c.Severity), Count: int(c.Count)}
		if found.By == views.ByKind {
			out.Cells[i].Kind = ref(&c.Value)
		}
	}
	return out, nil
}

// followAnomalies answers anomalyDetected.
func (r *Resolver) followAnomalies(ctx context.Context, input *model.AnomalyFilter, after *string) (<-chan *model.AnomalyUpdate, error) {
	if input != nil && input.Statuses != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "filter.statuses", "anomalies are OPEN when they are detected; anomalyChanged tells what becomes of them")
	}
	query, matcher, cursor, err := anomalyFeed(input, after)
	if err != nil {
		return nil, err
	}
	events, err := r.views.FollowOwner(ctx, views.Search, string(domain.AnomalyDetected), cursor)
	if err != nil {
		return nil, err
	}
	wanted := func(e domain.Located) (wanted bool, err error) {
		turn := r.computing.step(ctx, func() {
			wanted, err = matcher.Match(e)
			wanted = wanted && query.Wants(domain.DetectionIn(e.Event), domain.AnomalyStatusOpen)
		})
		return wanted, cmp.Or(err, turn)
	}
	return deliver(ctx, r, matching(events, wanted), func(e domain.Located) *model.AnomalyUpdate {
		var fresh domain.Anomaly
		fresh.Apply(e.Event)
		return &model.AnomalyUpdate{Cursor: e.Position.String(), Anomaly: r.anomalyNow(views.AnomalyRecord{Detected: e, State: fresh})}
	}), nil
}

// followActs answers anomalyChanged. What is done about an anomaly that nobody has
// detected is no change.
func (r *Resolver) followActs(ctx context.Context, input *model.AnomalyFilter, after *string) (<-chan *model.AnomalyChange, error) {
	query, matcher, cursor, err := anomalyFeed(input, after)
	if err != nil {
		return nil, err
	}
	events, err := r.views.FollowOwner(ctx, views.Anomalies, views.AnomalyActs, cursor)
	if err != nil {
		return nil, err
	}
	var of views.AnomalyRecord // the anomaly of the event that is being delivered: there is one at a time
	wanted := func(e domain.Located) (wanted bool, err error) {
		var ok bool
		if of, ok, err = r.anomalyOfAct(ctx, domain.AnomalyID(e.Event)); err != nil || !ok {
			return false, err
		}
		turn := r.computing.step(ctx, func() {
			wanted, err = matcher.Match(of.Detected)
			wanted = wanted && query.Wants(domain.DetectionIn(of.Detected.Event), of.State.Status)
		})
		return wanted, cmp.Or(err, turn)
	}
	return deliver(ctx, r, matching(events, wanted), func(e domain.Located) *model.AnomalyChange {
		return &model.AnomalyChange{Cursor: e.Position.String(), Event: r.event(e), Anomaly: r.anomalyNow(of)}
	}), nil
}

// anomalyFeed reads the arguments of a subscription.
func anomalyFeed(input *model.AnomalyFilter, after *string) (query views.AnomalyQuery, matcher *filter.Matcher, cursor *domain.Position, err error) {
	if cursor, err = cursorArg(after); err != nil {
		return query, nil, nil, err
	}
	if query, err = anomalyQuery(input); err != nil {
		return query, nil, nil, err
	}
	if matcher, err = query.Compile(); err != nil {
		return query, nil, nil, inFilter(err)
	}
	return query, matcher, cursor, nil
}

// anomalyOfAct reads the anomaly of an act. The follower has gone past the event, so
// what fails for a moment is read again.
func (r *Resolver) anomalyOfAct(ctx context.Context, id string) (found views.AnomalyRecord, ok bool, err error) {
	for attempt := 0; ; attempt++ {
		turn := r.computing.step(ctx, func() { found, ok, err = r.views.Anomaly(ctx, id) })
		if turn != nil {
			return views.AnomalyRecord{}, false, turn
		}
		if domain.ClassOf(err) != domain.ClassTransient || backoff.Wait(ctx, attempt, firstRetry, lastRetry) != nil {
			return found, ok, err
		}
	}
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
