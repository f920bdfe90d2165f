package rest

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/internal/csvcell"
)

// csvColumns are the columns, in their order; new ones come at the end. A chain has
// stage and latency_ns before them.
func csvColumns() []string {
	return []string{
		"event_id", "event_type", "occurred_at", "recorded_at", "entity_type", "entity_id",
		"order_id", "client_order_id", "broker_order_id", "parent_order_id", "account_id", "user_id", "strategy_id", "ticker",
		"recommendation_id", "computation_id", "evaluation_id", "approval_id", "session_id", "environment", "version",
		"actor", "source", "path", "correlation_id", "causation_id", "clock", "schema_version", "data", "raw",
		"stream", "revision", "position", "seal",
	}
}

func csvHead(steps bool) []byte {
	columns := csvColumns()
	if steps {
		columns = append([]string{"stage", "latency_ns"}, columns...)
	}
	return []byte(strings.Join(columns, ",") + "\r\n")
}

// appendCSV writes one record of RFC 4180.
func appendCSV(b []byte, e entry, steps bool) ([]byte, error) {
	path, err := optionalJSON(e.Path, len(e.Path) > 0)
	if err != nil {
		return nil, err
	}
	clock, err := optionalJSON(e.Clock, e.Clock != nil)
	if err != nil {
		return nil, err
	}
	var recorded string
	if !e.RecordedAt.IsZero() {
		recorded = timeText(e.RecordedAt)
	}
	if steps {
		b = append(csvcell.Append(b, string(e.Stage)), ',')
		b = append(strconv.AppendInt(b, int64(*e.Latency), 10), ',')
	}
	cells := []string{
		e.ID, string(e.Type), timeText(e.OccurredAt), recorded, e.EntityType, e.EntityID,
		e.OrderID, e.ClientOrderID, e.BrokerOrderID, e.ParentOrderID, e.AccountID, e.UserID, e.StrategyID, e.Ticker,
		e.RecommendationID, e.ComputationID, e.EvaluationID, e.ApprovalID, e.SessionID, e.Environment, e.Version,
		e.Actor, e.Source, path, e.CorrelationID, e.CausationID, clock, strconv.Itoa(e.SchemaVersion),
		string(e.Data), base64.StdEncoding.EncodeToString(e.Raw),
		e.Stream, strconv.FormatUint(e.Revision, 10), e.Position, string(e.Seal),
	}
	for i, cell := range cells {
		if i > 0 {
			b = append(b, ',')
		}
		b = csvcell.Append(b, cell)
	}
	return append(b, '\r', '\n'), nil
}

func optionalJSON(value any, present bool) (string, error) {
	if !present {
		return "", nil
	}
	text, err := json.Marshal(value, jsontext.AllowInvalidUTF8(true))
	return string(text), err
}
