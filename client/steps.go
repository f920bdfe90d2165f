package client

import (
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// Refs is what an event is about: keep one per order and use it for each of its
// events. Empty ones are left out.
type Refs struct {
	OrderID, ClientOrderID, BrokerOrderID, ParentOrderID     string
	AccountID, UserID, StrategyID, Ticker                    string
	RecommendationID, ComputationID, EvaluationID            string
	ApprovalID, SessionID, Actor, CorrelationID, CausationID string
}

// Event is an event of any type with these references. The steps below are made
// with it; use it for what none of them is.
func (r Refs) Event(t domain.EventType, data []byte) Event {
	return Event{
		Type: t, Data: data,
		OrderID: r.OrderID, ClientOrderID: r.ClientOrderID, BrokerOrderID: r.BrokerOrderID, ParentOrderID: r.ParentOrderID,
		AccountID: r.AccountID, UserID: r.UserID, StrategyID: r.StrategyID, Ticker: r.Ticker,
		RecommendationID: r.RecommendationID, ComputationID: r.ComputationID, EvaluationID: r.EvaluationID,
		ApprovalID: r.ApprovalID, SessionID: r.SessionID, Actor: r.Actor,
		CorrelationID: r.CorrelationID, CausationID: r.CausationID,
	}
}

// The steps of a decision. Each makes its event: the type follows from what the
// step says, so that the two can't contradict each other. Empty fields are left
// out. OccurredAt is the moment of Record, unless it is set on the event.

// Signal is one run of a model: signal.computed. Refs.ComputationID names it.
type Signal struct {
	Took        time.Duration // as duration_ms
	WeightsHash string
	Outcome     string
}

// Event makes the event.
func (s Signal) Event(r Refs) Event {
	var w members
	w.number("duration_ms", int(s.Took.Milliseconds()))
	w.text("weights_hash", s.WeightsHash)
	w.text("outcome", s.Outcome)
	return r.Event(domain.SignalComputed, w.object())
}

// Recommendation is what a strategy proposes: recommendation.generated, or
// recommendation.suppressed with Suppressed.
type Recommendation struct {
	Action, Mode string
	Confidence   Amount
	Evidence     int
	Suppressed   bool
	Reason       string
}

// Event makes the event.
func (s Recommendation) Event(r Refs) Event {
	var w members
	w.text("action", s.Action)
	w.text("mode", s.Mode)
	w.amount("confidence", s.Confidence)
	w.number("evidence_count", s.Evidence)
	w.flag("suppressed", s.Suppressed)
	w.text("reason", s.Reason)
	return r.Event(either(s.Suppressed, domain.RecommendationSuppressed, domain.RecommendationGenerated), w.object())
}

// Risk is the outcome of the risk checks: risk.evaluated, or risk.rejected if not
// Eligible.
type Risk struct {
	Eligible         bool
	AllowedMode      string
	RejectionReasons []string
	Checks           int
}

// Event makes the event.
func (s Risk) Event(r Refs) Event {
	var w members
	w.flag("eligible", s.Eligible)
	w.text("allowed_mode", s.AllowedMode)
	w.texts("rejection_reasons", s.RejectionReasons)
	w.number("check_count", s.Checks)
	return r.Event(either(s.Eligible, domain.RiskEvaluated, domain.RiskRejected), w.object())
}

// Approval is one step of a person's consent: Outcome is one of
// domain.ApprovalRequested, ApprovalApproved, ApprovalRejected, ApprovalExpired.
type Approval struct {
	Outcome                  domain.EventType
	Side                     string
	Quantity, EstimatedValue Amount
	ExpiresAt                time.Time
	ReviewedBy, ReviewNote   string
}

// Event makes the event.
func (s Approval) Event(r Refs) Event {
	var w members
	w.text("side", s.Side)
	w.amount("quantity", s.Quantity)
	w.amount("estimated_value", s.EstimatedValue)
	w.time("expires_at", s.ExpiresAt)
	w.text("reviewed_by", s.ReviewedBy)
	w.text("review_note", s.ReviewNote)
	return r.Event(s.Outcome, w.object())
}

// Submission is an order on its way out: order.submitted.
type Submission struct {
	Side, OrderType, TimeInForce    string
	Quantity, LimitPrice, StopPrice Amount
	IdempotencyKey, Reason          string
}

// Event makes the event.
func (s Submission) Event(r Refs) Event {
	var w members
	w.text("side", s.Side)
	w.amount("quantity", s.Quantity)
	w.text("order_type", s.OrderType)
	w.amount("limit_price", s.LimitPrice)
	w.amount("stop_price", s.StopPrice)
	w.text("time_in_force", s.TimeInForce)
	w.text("idempotency_key", s.IdempotencyKey)
	w.text("reason", s.Reason)
	return r.Event(domain.OrderSubmitted, w.object())
}

// OrderStep is any other step of an order's life that is no execution, from
// domain.OrderReceived to domain.OrderReleased: Step is its type.
type OrderStep struct {
	Step                  domain.EventType
	Reason                string
	CumQuantity, Leaves   Amount
	Quantity, Price       Amount // as replaced or restated
	OriginalClientOrderID string // the id before, of a cancel or a replace; FIX 41
	CancelledQuantity     Amount
	ExecutionID           string // FIX 17
}

// Event makes the event.
func (s OrderStep) Event(r Refs) Event {
	var w members
	w.text("reason", s.Reason)
	w.text("orig_client_order_id", s.OriginalClientOrderID)
	w.amount("quantity", s.Quantity)
	w.amount("limit_price", s.Price)
	w.amount("cum_quantity", s.CumQuantity)
	w.amount("leaves_quantity", s.Leaves)
	w.amount("cancelled_quantity", s.CancelledQuantity)
	w.text("exec_id", s.ExecutionID)
	return r.Event(s.Step, w.object())
}

// Fill is an execution: order.filled, or order.partially_filled if something is
// left.
type Fill struct {
	ID, Side, Venue                    string
	Quantity, Price                    Amount // of this execution
	Leaves                             Amount // still open after it; none and 0 are the same
	CumQuantity, AveragePrice          Amount
	Commission, SlippageBps, Reference Amount // Reference is the price that was expected
}

// Event makes the event.
func (s Fill) Event(r Refs) Event {
	var w members
	w.text("fill_id", s.ID)
	w.text("side", s.Side)
	w.amount("fill_quantity", s.Quantity)
	w.amount("fill_price", s.Price)
	w.amount("leaves_quantity", s.Leaves)
	w.amount("cum_quantity", s.CumQuantity)
	w.amount("avg_price", s.AveragePrice)
	w.amount("commission", s.Commission)
	w.amount("slippage_bps", s.SlippageBps)
	w.amount("expected_price", s.Reference)
	w.text("execution_venue", s.Venue)
	return r.Event(either(s.Leaves.IsZero(), domain.OrderFilled, domain.OrderPartiallyFilled), w.object())
}

// Refusal is an order that was not taken: order.rejected. By is who refused it:
// broker or risk.
type Refusal struct{ Reason, By string }

// Event makes the event.
func (s Refusal) Event(r Refs) Event {
	var w members
	w.text("reason", s.Reason)
	w.text("rejection_source", s.By)
	return r.Event(domain.OrderRejected, w.object())
}

// Duplicate is an order that was not sent a second time:
// order.duplicate_prevented. DetectedVia is how that was seen.
type Duplicate struct{ IdempotencyKey, DetectedVia string }

// Event makes the event.
func (s Duplicate) Event(r Refs) Event {
	var w members
	w.text("idempotency_key", s.IdempotencyKey)
	w.text("detected_via", s.DetectedVia)
	return r.Event(domain.OrderDuplicatePrevented, w.object())
}

// Position is a change of what is held: position.opened from nothing,
// position.closed to nothing, otherwise position.updated.
type Position struct {
	Side                          string
	QuantityBefore, QuantityAfter Amount
	AvgEntryBefore, AvgEntryAfter Amount
	Reason                        string
}

// Event makes the event.
func (s Position) Event(r Refs) Event {
	var w members
	w.text("side", s.Side)
	w.amount("quantity_before", s.QuantityBefore)
	w.amount("quantity_after", s.QuantityAfter)
	w.amount("avg_entry_before", s.AvgEntryBefore)
	w.amount("avg_entry_after", s.AvgEntryAfter)
	w.text("reason", s.Reason)
	t := domain.PositionUpdated
	switch opened, closed := s.QuantityBefore.IsZero(), s.QuantityAfter.IsZero(); {
	case opened && !closed:
		t = domain.PositionOpened
	case closed && !opened:
		t = domain.PositionClosed
	}
	return r.Event(t, w.object())
}

// ModeChange is a switch between, say, paper and live trading:
// trading.mode_changed.
type ModeChange struct{ Old, New, Reason string }

// Event makes the event.
func (s ModeChange) Event(r Refs) Event {
	var w members
	w.text("old_mode", s.Old)
	w.text("new_mode", s.New)
	w.text("reason", s.Reason)
	return r.Event(domain.TradingModeChanged, w.object())
}

// ConfigChange is one setting that was changed: config.changed. Refs.UserID is who
// did it.
type ConfigChange struct{ Path, Old, New, Reason string }

// Event makes the event.
func (s ConfigChange) Event(r Refs) Event {
	var w members
	w.text("path", s.Path)
	w.text("old_value", s.Old)
	w.text("new_value", s.New)
	w.text("reason", s.Reason)
	return r.Event(domain.ConfigChanged, w.object())
}

// UserAction is what a person did: user.action, or user.logged_in if Action is
// empty. Refs.UserID is who.
type UserAction struct{ Action, Target, IPAddress string }

// Event makes the event.
func (s UserAction) Event(r Refs) Event {
	var w members
	w.text("action", s.Action)
	w.text("target", s.Target)
	w.text("ip_address", s.IPAddress)
	return r.Event(either(s.Action == "", domain.UserLoggedIn, domain.UserAction), w.object())
}

// CircuitBreaker is trading that was stopped by a limit:
// circuit_breaker.triggered.
type CircuitBreaker struct {
	Name, Action, Reason string
	Threshold, Observed  Amount
}

// Event makes the event.
func (s CircuitBreaker) Event(r Refs) Event {
	var w members
	w.text("name", s.Name)
	w.text("action", s.Action)
	w.text("reason", s.Reason)
	w.amount("threshold", s.Threshold)
	w.amount("observed", s.Observed)
	return r.Event(domain.CircuitBreakerTriggered, w.object())
}

func either(first bool, a, b domain.EventType) domain.EventType {
	if first {
		return a
	}
	return b
}
