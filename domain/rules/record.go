package rules

import (
	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
)

// entityAnomaly is the kind of entity that a finding is. A stored name.
const entityAnomaly = "anomaly"

// findingData is what an anomaly.detected event says in data. Stored names.
type findingData struct {
	Kind        string   `json:"kind"`
	Rule        string   `json:"rule"`
	Version     int      `json:"rule_version"`
	Severity    Severity `json:"severity"`
	Explanation string   `json:"explanation"`
	Evidence    []string `json:"evidence"`
	Subject     []string `json:"subject,omitzero"`
	Value       string   `json:"value,omitzero"`
	Limit       string   `json:"limit,omitzero"`
	Unit        string   `json:"unit,omitzero"`
}

// Event is the anomaly.detected event that keeps the finding. Its id follows from the
// finding's: the same finding is the same event, whoever records it, however often.
// It belongs to the order that it is about, else to the account, strategy or user.
func (f Finding) Event() (*domain.Event, error) {
	data, err := json.Marshal(findingData{
		f.Kind, f.Rule, f.Version, f.Severity, f.Explanation, f.Evidence, f.Subject, f.Value, f.Limit, f.Unit,
	}, json.Deterministic(true))
	if err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "data", "encoding the finding %s of rule %s: %v", f.ID, f.Rule, err)
	}
	e := &domain.Event{
		ID: domain.FindingEventID(f.ID), Type: domain.AnomalyDetected, OccurredAt: f.At,
		EntityType: entityAnomaly, EntityID: f.ID,
		OrderID: f.Order, AccountID: f.Account, StrategyID: f.Strategy, UserID: f.User, Ticker: f.Ticker,
		Actor: domain.DetectorSource, SchemaVersion: domain.SchemaVersion, Data: data,
	}
	if n := len(f.Evidence); n > 0 {
		e.CausationID = f.Evidence[n-1]
	}
	return e, nil
}

// Recorded reads the finding that an anomaly.detected event keeps; false for other
// events, and for anomalies that no rule has found.
func Recorded(e *domain.Event) (Finding, bool) {
	var data findingData
	if e.Type != domain.AnomalyDetected || e.EntityID == "" || json.Unmarshal(e.Data, &data) != nil || data.Rule == "" {
		return Finding{}, false
	}
	return Finding{
		ID: e.EntityID, Rule: data.Rule, Version: data.Version, Kind: data.Kind, Severity: data.Severity, Explanation: data.Explanation,
		Evidence: data.Evidence, Subject: data.Subject, Order: e.OrderID, Account: e.AccountID, Strategy: e.StrategyID, User: e.UserID, Ticker: e.Ticker,
		At: e.OccurredAt, Value: data.Value, Limit: data.Limit, Unit: data.Unit,
	}, true
}
