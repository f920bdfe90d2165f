package domain

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// SchemaVersion is the version of the canonical event that this build writes.
const SchemaVersion = 1

// Event is the canonical audit event: one step of one decision, as its source
// told it. Its JSON form is the stored payload, the NDJSON line and (in camel
// case) the GraphQL type. Fields without a value are left out.
type Event struct {
	ID         string    `json:"event_id,omitzero"`
	Type       EventType `json:"event_type"`
	OccurredAt time.Time `json:"occurred_at"`          // source's clock, UTC, nanoseconds
	RecordedAt time.Time `json:"recorded_at,omitzero"` // our clock at the door, UTC

	EntityType string `json:"entity_type,omitzero"`
	EntityID   string `json:"entity_id,omitzero"`

	OrderID       string `json:"order_id,omitzero"`
	ClientOrderID string `json:"client_order_id,omitzero"` // FIX 11 ClOrdID
	BrokerOrderID string `json:"broker_order_id,omitzero"` // FIX 37 OrderID
	ParentOrderID string `json:"parent_order_id,omitzero"`
	AccountID     string `json:"account_id,omitzero"` // FIX 1 Account
	UserID        string `json:"user_id,omitzero"`
	StrategyID    string `json:"strategy_id,omitzero"`
	Ticker        string `json:"ticker,omitzero"` // FIX 55 Symbol

	RecommendationID string `json:"recommendation_id,omitzero"`
	ComputationID    string `json:"computation_id,omitzero"`
	EvaluationID     string `json:"evaluation_id,omitzero"`
	ApprovalID       string `json:"approval_id,omitzero"`
	SessionID        string `json:"session_id,omitzero"`

	Environment string `json:"environment,omitzero"`
	Version     string `json:"version,omitzero"` // of the system that speaks

	Actor         string `json:"actor,omitzero"`
	Source        string `json:"source,omitzero"`
	Path          []Hop  `json:"path,omitempty"`
	CorrelationID string `json:"correlation_id,omitzero"`
	CausationID   string `json:"causation_id,omitzero"`
	Clock         *Clock `json:"clock,omitzero"`

	SchemaVersion int            `json:"schema_version"`
	Data          jsontext.Value `json:"data,omitzero"` // an object; money and quantities as strings
	Raw           []byte         `json:"raw,omitempty"` // original bytes, base64 in JSON
}

// Hop is one station of the way an event took before it reached us.
type Hop struct {
	Hop string    `json:"hop"`
	In  time.Time `json:"in,omitzero"`
	Out time.Time `json:"out,omitzero"`
}

// Clock tells how far the source's clock can be trusted.
type Clock struct {
	SourceID   string `json:"source_id,omitzero"`
	Sync       string `json:"sync,omitzero"` // PTP_LOCKED, NTP_SYNCED, BEST_EFFORT, UNRELIABLE
	OffsetNs   int64  `json:"offset_ns,omitzero"`
	MaxErrorNs int64  `json:"max_error_ns,omitzero"`
}

// Ref names something that exists before an order does.
type Ref struct{ Kind, ID string }

// The kinds of references. They are also the prefixes of stream names.
const (
	KindOrder          = "order"
	KindRecommendation = "recommendation"
	KindComputation    = "computation"
	KindEvaluation     = "evaluation"
	KindApproval       = "approval"
)

// Refs lists the recommendation, computation, evaluation and approval that the
// event names, in this order.
func (e *Event) Refs() []Ref {
	var refs []Ref
	for _, r := range []Ref{
		{KindRecommendation, e.RecommendationID},
		{KindComputation, e.ComputationID},
		{KindEvaluation, e.EvaluationID},
		{KindApproval, e.ApprovalID},
	} {
		if r.ID != "" {
			refs = append(refs, r)
		}
	}
	return refs
}

// Home is what the event is about, and so the stream that it belongs to: its
// order, else what came before the order, else whom or what it concerns. What was done
// about an anomaly has a stream per anomaly, whatever else it names: it is no part of
// an order's life.
func (e *Event) Home() Ref {
	if id := AnomalyID(e); id != "" && e.Type != AnomalyDetected {
		return Ref{KindAnomaly, id}
	}
	if e.OrderID != "" {
		return Ref{KindOrder, e.OrderID}
	}
	// An entity which has a field of its own (an account, a strategy) counts as
	// that field; others are what the sender says.
	entity := e.EntityID
	if e.entityField() != nil {
		entity = ""
	}
	candidates := make([]Ref, 0, 16)
	switch e.Type.Family() {
	case "signal":
		candidates = append(candidates, Ref{KindComputation, e.ComputationID}, Ref{KindRecommendation, e.RecommendationID})
	case "recommendation":
		candidates = append(candidates, Ref{KindRecommendation, e.RecommendationID})
	case "risk":
		candidates = append(candidates, Ref{KindEvaluation, e.EvaluationID}, Ref{KindRecommendation, e.RecommendationID})
	case "approval":
		candidates = append(candidates, Ref{KindApproval, e.ApprovalID}, Ref{KindRecommendation, e.RecommendationID})
	case "user":
		candidates = append(candidates, Ref{"user", e.UserID})
	case "config":
		candidates = append(candidates, Ref{"config", e.EntityID}, Ref{"config", e.Environment}, Ref{"config", "global"})
	case "session":
		candidates = append(candidates, Ref{"session", e.SessionID})
	case "trading":
		candidates = append(candidates, Ref{"config", entity}, Ref{"account", e.AccountID}, Ref{"strategy", e.StrategyID}, Ref{"config", "global"})
	case "input":
		candidates = append(candidates, Ref{"quarantine", e.EntityID})
	}
	candidates = append(
		candidates,
		Ref{"account", e.AccountID}, Ref{"strategy", e.StrategyID}, Ref{"user", e.UserID},
		Ref{KindRecommendation, e.RecommendationID}, Ref{KindEvaluation, e.EvaluationID},
		Ref{KindApproval, e.ApprovalID}, Ref{KindComputation, e.ComputationID},
		Ref{"session", e.SessionID}, Ref{"entity", entity}, Ref{"instrument", e.Ticker},
		Ref{"entity", e.EntityID},
	)
	for _, c := range candidates {
		if c.ID != "" {
			return c
		}
	}
	return Ref{"event", "unlinked"}
}

// Stream is the name of the EventStoreDB stream that the event belongs to.
func (e *Event) Stream() string {
	home := e.Home()
	return home.Kind + "-" + home.ID
}
