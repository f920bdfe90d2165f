package domain

import "strings"

// EventType is the stored name of what happened: dotted, past tense, and frozen
// once stored. Go identifiers may be renamed, these strings may not; a test
// compares the whole list with a golden file.
type EventType string

// The event types that Tradetrail understands. The order life cycle follows
// FIX 4.4 and 5.0SP2 ExecType (tag 150) and OrdStatus (tag 39).
const (
	RecommendationGenerated  EventType = "recommendation.generated"
	RecommendationSuppressed EventType = "recommendation.suppressed"

	SignalComputed EventType = "signal.computed"

	RiskEvaluated EventType = "risk.evaluated"
	RiskRejected  EventType = "risk.rejected"

	ApprovalRequested EventType = "approval.requested"
	ApprovalApproved  EventType = "approval.approved"
	ApprovalRejected  EventType = "approval.rejected"
	ApprovalExpired   EventType = "approval.expired"

	OrderReceived            EventType = "order.received"
	OrderRouted              EventType = "order.routed"
	OrderSubmitted           EventType = "order.submitted"
	OrderPendingNew          EventType = "order.pending_new"
	OrderAccepted            EventType = "order.accepted"
	OrderPartiallyFilled     EventType = "order.partially_filled"
	OrderFilled              EventType = "order.filled"
	OrderRejected            EventType = "order.rejected"
	OrderCancelRequested     EventType = "order.cancel_requested"
	OrderMassCancelRequested EventType = "order.mass_cancel_requested"
	OrderCancelPending       EventType = "order.cancel_pending"
	OrderCancelled           EventType = "order.cancelled"
	OrderCancelRejected      EventType = "order.cancel_rejected"
	OrderReplaceRequested    EventType = "order.replace_requested"
	OrderReplacePending      EventType = "order.replace_pending"
	OrderReplaced            EventType = "order.replaced"
	OrderReplaceRejected     EventType = "order.replace_rejected"
	OrderExpired             EventType = "order.expired"
	OrderDoneForDay          EventType = "order.done_for_day"
	OrderStopped             EventType = "order.stopped"
	OrderSuspended           EventType = "order.suspended"
	OrderCalculated          EventType = "order.calculated"
	OrderRestated            EventType = "order.restated"
	OrderTriggered           EventType = "order.triggered"
	OrderLocked              EventType = "order.locked"
	OrderReleased            EventType = "order.released"
	OrderStatusObserved      EventType = "order.status_observed"
	OrderDuplicatePrevented  EventType = "order.duplicate_prevented"
	OrderLinked              EventType = "order.linked" // a ClOrdID that stands for an order with another id

	TradeReported         EventType = "trade.reported"
	TradeCorrected        EventType = "trade.corrected"
	TradeBusted           EventType = "trade.busted"
	TradeClearingHeld     EventType = "trade.clearing_held"
	TradeClearingReleased EventType = "trade.clearing_released"
	TradeDisputed         EventType = "trade.disputed"

	AllocationInstructed   EventType = "allocation.instructed"
	AllocationAcknowledged EventType = "allocation.acknowledged"
	AllocationReported     EventType = "allocation.reported"

	PositionOpened  EventType = "position.opened"
	PositionUpdated EventType = "position.updated"
	PositionClosed  EventType = "position.closed"

	TradingModeChanged      EventType = "trading.mode_changed"
	CircuitBreakerTriggered EventType = "circuit_breaker.triggered"
	ConfigChanged           EventType = "config.changed"
	UserLoggedIn            EventType = "user.logged_in"
	UserAction              EventType = "user.action"

	AnomalyDetected     EventType = "anomaly.detected"
	AnomalyAcknowledged EventType = "anomaly.acknowledged"
	AnomalyAssigned     EventType = "anomaly.assigned"
	AnomalyCommented    EventType = "anomaly.commented"
	AnomalyDismissed    EventType = "anomaly.dismissed"

	SessionLogon            EventType = "session.logon"
	SessionLogout           EventType = "session.logout"
	SessionRejected         EventType = "session.rejected"
	SessionBusinessRejected EventType = "session.business_rejected"
	SessionResendRequested  EventType = "session.resend_requested"
	SessionSequenceReset    EventType = "session.sequence_reset"
	SessionDisconnected     EventType = "session.disconnected"
	SessionGapDetected      EventType = "session.gap_detected" // numbers of messages that are missing
	SessionGapFilled        EventType = "session.gap_filled"   // all of them have come after all

	// InputQuarantined keeps input that could not be understood, as it came.
	InputQuarantined EventType = "input.quarantined"

	// ReportGenerated says who made a report of what, and which bytes it is.
	ReportGenerated EventType = "report.generated"

	// IntegrityDoubted says that the event store and the transparency log do not agree.
	IntegrityDoubted EventType = "integrity.doubted"
	// IntegrityCertified says that a day's events were verified to be complete.
	IntegrityCertified EventType = "integrity.certified"
)

// EventTypes lists every known type, in the order of an order's life.
func EventTypes() []EventType {
	return []EventType{
		RecommendationGenerated, RecommendationSuppressed, SignalComputed,
		RiskEvaluated, RiskRejected,
		ApprovalRequested, ApprovalApproved, ApprovalRejected, ApprovalExpired,
		OrderReceived, OrderRouted, OrderSubmitted, OrderPendingNew, OrderAccepted,
		OrderPartiallyFilled, OrderFilled, OrderRejected,
		OrderCancelRequested, OrderMassCancelRequested, OrderCancelPending, OrderCancelled, OrderCancelRejected,
		OrderReplaceRequested, OrderReplacePending, OrderReplaced, OrderReplaceRejected,
		OrderExpired, OrderDoneForDay, OrderStopped, OrderSuspended, OrderCalculated, OrderRestated,
		OrderTriggered, OrderLocked, OrderReleased, OrderStatusObserved, OrderDuplicatePrevented, OrderLinked,
		TradeReported, TradeCorrected, TradeBusted, TradeClearingHeld, TradeClearingReleased, TradeDisputed,
		AllocationInstructed, AllocationAcknowledged, AllocationReported,
		PositionOpened, PositionUpdated, PositionClosed,
		TradingModeChanged, CircuitBreakerTriggered, ConfigChanged, UserLoggedIn, UserAction,
		AnomalyDetected, AnomalyAcknowledged, AnomalyAssigned, AnomalyCommented, AnomalyDismissed,
		SessionLogon, SessionLogout, SessionRejected, SessionBusinessRejected, SessionResendRequested, SessionSequenceReset,
		SessionDisconnected, SessionGapDetected, SessionGapFilled,
		InputQuarantined, ReportGenerated, IntegrityDoubted, IntegrityCertified,
	}
}

// Known reports whether Tradetrail gives the type a meaning. Unknown types are
// recorded as they come and shown as unknown.
func (t EventType) Known() bool {
	_, ok := knownTypes[t]
	return ok
}

var knownTypes = func() map[EventType]EventType {
	known := make(map[EventType]EventType)
	for _, t := range EventTypes() {
		known[t] = t
	}
	return known
}()

// Family is the part before the first dot: "order" of "order.filled".
func (t EventType) Family() string {
	family, _, _ := strings.Cut(string(t), ".")
	return family
}

// Judgement reports whether events of the type say what somebody found about other
// events, and what was done about that: anomaly.detected and the like. They stand in
// the chain of the order that they are about, and are no step of it.
func (t EventType) Judgement() bool { return t.Family() == "anomaly" }

// aliases are other systems' names, accepted at the door. position_changed is
// not here: which of three types it is depends on the shares before and after.
var aliases = map[string]EventType{
	"recommendation_generated":  RecommendationGenerated,
	"recommendation_suppressed": RecommendationSuppressed,
	"recommendation":            RecommendationGenerated,
	"signal_computed":           SignalComputed,
	"signal":                    SignalComputed,
	"risk_evaluated":            RiskEvaluated,
	"risk_rejected":             RiskRejected,
	"risk_control":              RiskEvaluated,
	"approval_requested":        ApprovalRequested,
	"approval_approved":         ApprovalApproved,
	"approval_rejected":         ApprovalRejected,
	"approval_expired":          ApprovalExpired,
	"order":                     OrderSubmitted,
	"order_submitted":           OrderSubmitted,
	"order_accepted":            OrderAccepted,
	"order_partial_fill":        OrderPartiallyFilled,
	"order_partially_filled":    OrderPartiallyFilled,
	"order_filled":              OrderFilled,
	"execution":                 OrderFilled,
	"order_rejected":            OrderRejected,
	"order_cancelled":           OrderCancelled,
	"order_canceled":            OrderCancelled,
	"order.canceled":            OrderCancelled,
	"cancellation":              OrderCancelled,
	"order_replaced":            OrderReplaced,
	"order_expired":             OrderExpired,
	"order_duplicate_prevented": OrderDuplicatePrevented,
	"duplicate_prevented":       OrderDuplicatePrevented,
	"position_opened":           PositionOpened,
	"position_updated":          PositionUpdated,
	"position_closed":           PositionClosed,
	"trading_mode_changed":      TradingModeChanged,
	"mode_changed":              TradingModeChanged,
	"circuit_breaker_triggered": CircuitBreakerTriggered,
	"config_changed":            ConfigChanged,
	"user_login":                UserLoggedIn,
	"user_logged_in":            UserLoggedIn,
	"user_action":               UserAction,
	"anomaly":                   AnomalyDetected,
	"anomaly_detected":          AnomalyDetected,
}

// Stage is a step of the decision chain.
type Stage string

// The stages of a chain, in causal order.
const (
	StageSignal         Stage = "SIGNAL"
	StageRecommendation Stage = "RECOMMENDATION"
	StageRisk           Stage = "RISK"
	StageApproval       Stage = "APPROVAL"
	StageOrder          Stage = "ORDER"
	StageExecution      Stage = "EXECUTION"
	StagePosition       Stage = "POSITION"
	StageOther          Stage = "OTHER"
)

// Stages lists the stages, in causal order.
func Stages() []Stage {
	return []Stage{
		StageSignal, StageRecommendation, StageRisk, StageApproval, StageOrder, StageExecution, StagePosition, StageOther,
	}
}

// Stage tells which step of a decision chain an event of this type belongs to.
func (t EventType) Stage() Stage {
	if t == OrderPartiallyFilled || t == OrderFilled {
		return StageExecution
	}
	switch t.Family() {
	case "signal":
		return StageSignal
	case "recommendation":
		return StageRecommendation
	case "risk":
		return StageRisk
	case "approval":
		return StageApproval
	case "order":
		return StageOrder
	case "trade":
		return StageExecution
	case "position":
		return StagePosition
	default:
		return StageOther
	}
}

// rank orders the stages causally; see Chain for how it is used.
func (s Stage) rank() int {
	switch s {
	case StageSignal:
		return 0
	case StageRecommendation:
		return 1
	case StageRisk:
		return 2
	case StageApproval:
		return 3
	case StageOrder:
		return 4
	case StageExecution:
		return 5
	case StagePosition:
		return 6
	default:
		return 7
	}
}
