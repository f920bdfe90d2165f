package graph

import (
	"encoding/base64"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/projections/views"
)

// present or null: the canonical event has no empty fields.
func optional[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// ref is optional without a copy, for what nobody changes any more. A page has
// thousands of such fields.
func ref[T comparable](value *T) *T {
	var zero T
	if *value == zero {
		return nil
	}
	return value
}

func refTime(t *time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return t
}

func optionalDecimal(d decimal.NullDecimal) *decimal.Decimal {
	if !d.Valid {
		return nil
	}
	return &d.Decimal
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func toEvent(e domain.Located) *model.AuditEvent {
	out := &model.AuditEvent{
		EventID: e.ID, EventType: string(e.Type), Known: e.Type.Known(),
		OccurredAt: e.OccurredAt, RecordedAt: refTime(&e.RecordedAt),
		EntityType: ref(&e.EntityType), EntityID: ref(&e.EntityID),
		OrderID: ref(&e.OrderID), ClientOrderID: ref(&e.ClientOrderID),
		BrokerOrderID: ref(&e.BrokerOrderID), ParentOrderID: ref(&e.ParentOrderID),
		AccountID: ref(&e.AccountID), UserID: ref(&e.UserID),
		StrategyID: ref(&e.StrategyID), Ticker: ref(&e.Ticker),
		RecommendationID: ref(&e.RecommendationID), ComputationID: ref(&e.ComputationID),
		EvaluationID: ref(&e.EvaluationID), ApprovalID: ref(&e.ApprovalID), SessionID: ref(&e.SessionID),
		Environment: ref(&e.Environment), Version: ref(&e.Version),
		Actor: ref(&e.Actor), Source: ref(&e.Source), Path: []*model.Hop{},
		CorrelationID: ref(&e.CorrelationID), CausationID: ref(&e.CausationID),
		SchemaVersion: e.SchemaVersion, Data: e.Data,
		Stream: e.Stream, Revision: int(e.Revision), Position: e.Position.String(), //nolint:gosec // revisions are int64 in the store
		Seal: model.SealRecorded,
	}
	for _, hop := range e.Path {
		out.Path = append(out.Path, &model.Hop{Hop: hop.Hop, In: optionalTime(hop.In), Out: optionalTime(hop.Out)})
	}
	if c := e.Clock; c != nil {
		out.Clock = &model.Clock{
			SourceID: optional(c.SourceID), Sync: optional(c.Sync),
			OffsetNs: optional(int(c.OffsetNs)), MaxErrorNs: optional(int(c.MaxErrorNs)),
		}
	}
	if len(e.Raw) > 0 {
		out.Raw = optional(base64.StdEncoding.EncodeToString(e.Raw))
	}
	return out
}

// edge is an event in a list; its position is its cursor.
func (r *Resolver) edge(e domain.Located) *model.EventEdge {
	node := r.event(e)
	return &model.EventEdge{Cursor: node.Position, Node: node}
}

func toOrder(o domain.Order) *model.Order {
	return &model.Order{
		OrderID: o.ID, Status: model.OrderStatus(o.Status), Side: optional(o.Side), OrderType: optional(o.Type),
		Ticker: optional(o.Ticker), AccountID: optional(o.Account), StrategyID: optional(o.Strategy), UserID: optional(o.User),
		Quantity: optionalDecimal(o.Quantity), LimitPrice: optionalDecimal(o.LimitPrice),
		CumQuantity: o.CumQuantity, LeavesQuantity: optionalDecimal(o.Leaves()), AvgPrice: optionalDecimal(o.AvgPrice()),
		Commission: o.Commission, Events: o.Events, Fills: o.Fills, FirstAt: o.FirstAt, LastAt: o.LastAt,
		SubmittedAt: optionalTime(o.SubmittedAt), AcceptedAt: optionalTime(o.AcceptedAt),
		FirstFillAt: optionalTime(o.FirstFillAt), LastFillAt: optionalTime(o.LastFillAt), EndedAt: optionalTime(o.EndedAt),
		Latencies: &model.OrderLatencies{
			Accept: known(o.Latency(domain.StepAccept)), Fill: known(o.Latency(domain.StepFill)), Life: known(o.Latency(domain.StepLife)),
		},
		Odd: append([]string{}, o.Odd...),
	}
}

func toChain(c domain.Chain, archived int) *model.Chain {
	out := &model.Chain{
		OrderID: c.Order.ID, Status: model.OrderStatus(c.Order.Status), Order: toOrder(c.Order),
		Stages: []model.Stage{}, Events: []*model.ChainEvent{}, LatencyTotal: c.LatencyTotal(),
		FromEventStore: archived,
	}
	for _, stage := range c.Stages() {
		out.Stages = append(out.Stages, model.Stage(stage))
	}
	for _, step := range c.Steps {
		out.Events = append(out.Events, &model.ChainEvent{
			Event: toEvent(step.Located), Stage: model.Stage(step.Stage), LatencyFromPrevious: step.LatencyFromPrevious,
		})
	}
	return out
}

func toStats(s views.Stats) *model.OwnerStats {
	return &model.OwnerStats{
		Events: int(s.Events), Orders: int(s.Orders), Fills: int(s.Fills), Value: s.Value, Commission: s.Commission,
		ByType: toTypeCounts(s.ByType), FirstAt: s.FirstAt, LastAt: s.LastAt,
	}
}
