package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// finding is what a detector has recorded in an anomaly.detected event.
type finding struct {
	kind, rule, severity, explanation string
	value, limit, unit                string
	evidence                          []string
}

// readFinding takes what is there, and of the kind that is expected.
func readFinding(e *domain.Event) finding {
	d := readData(e)
	f := finding{
		kind: text(d["kind"]), rule: text(d["rule"]), severity: text(d["severity"]), explanation: text(d["explanation"]),
		value: text(d["value"]), limit: text(d["limit"]), unit: text(d["unit"]),
	}
	var evidence []jsontext.Value
	if json.Unmarshal(d["evidence"], &evidence) == nil {
		for _, id := range evidence {
			if id.Kind() == '"' {
				f.evidence = append(f.evidence, text(id))
			}
		}
	}
	return f
}

// tone says that what nobody has graded is worth a look.
func (f finding) tone() Tone {
	switch strings.ToLower(f.severity) {
	case "info", "low":
		return Notice
	default:
		return Alarm
	}
}

// why is the finding in one sentence.
func (f finding) why() string {
	name := f.kind
	if name == "" {
		name = f.rule
	}
	if name == "" {
		name = "anomaly"
	}
	var b strings.Builder
	b.WriteString("Anomaly ")
	b.WriteString(name)
	if f.severity != "" {
		fmt.Fprintf(&b, " (%s)", f.severity)
	}
	if f.explanation != "" {
		b.WriteString(": " + f.explanation)
	}
	if f.value != "" && f.limit != "" {
		fmt.Fprintf(&b, " [%s, limit %s %s]", f.value, f.limit, f.unit)
	}
	return b.String()
}

// findings are by the event that they are about. They are few, or else there are too
// many to be shown twice: marking stops at maxMarked events, and the report says so.
type findings struct {
	by     map[string][]finding
	marked int
	full   bool
}

const maxMarked = 20_000

func (f *findings) add(one finding) {
	if f.by == nil {
		f.by = make(map[string][]finding)
	}
	for _, id := range one.evidence {
		if f.marked == maxMarked {
			f.full = true
			return
		}
		f.marked++
		f.by[id] = append(f.by[id], one)
	}
}

// mark makes the row of an event stand out if a finding is about it.
func (f *findings) mark(row Row, event string) Row {
	for _, one := range f.by[event] {
		row.Tone = max(row.Tone, one.tone())
		row.Notes = append(row.Notes, one.why())
	}
	return row
}

func findingColumns() []Column {
	return []Column{
		{"occurred_at", "Occurred at", 12},
		{"severity", "Severity", 5},
		{"kind", "Kind", 9},
		{"rule", "Rule", 9},
		{"about", "About", 16},
		{"explanation", "Explanation", 26},
		{"value", "Value", 6},
		{"limit", "Limit", 6},
		{"unit", "Unit", 5},
		{"evidence", "Evidence (event ids)", 18},
	}
}

func findingRow(e domain.Located) Row {
	f := readFinding(e.Event)
	return Row{
		Cells: []string{
			timeText(e.OccurredAt), f.severity, f.kind, f.rule, about(e.Event), f.explanation, f.value, f.limit, f.unit, strings.Join(f.evidence, " "),
		},
		Tone: f.tone(),
	}
}

// about lists whom and what an event names.
func about(e *domain.Event) string {
	var parts []string
	for _, ref := range [...]struct{ name, id string }{
		{"order", e.OrderID},
		{"client order", e.ClientOrderID},
		{"broker order", e.BrokerOrderID},
		{"parent order", e.ParentOrderID},
		{"account", e.AccountID},
		{"strategy", e.StrategyID},
		{"user", e.UserID},
		{"ticker", e.Ticker},
		{"recommendation", e.RecommendationID},
		{"computation", e.ComputationID},
		{"evaluation", e.EvaluationID},
		{"approval", e.ApprovalID},
		{"session", e.SessionID},
	} {
		if ref.id != "" {
			parts = append(parts, ref.name+" "+ref.id)
		}
	}
	if entity := strings.TrimLeft(e.EntityType+" "+e.EntityID, " "); e.EntityID != "" && !slices.Contains(parts, entity) {
		parts = append(parts, entity)
	}
	return strings.Join(parts, ", ")
}

// readData are the members of an event's data; none if it is no object.
func readData(e *domain.Event) map[string]jsontext.Value {
	var d map[string]jsontext.Value
	if len(e.Data) == 0 || json.Unmarshal(e.Data, &d) != nil {
		return nil
	}
	return d
}

// text is a string's value, or else the JSON as it stands.
func text(v jsontext.Value) string {
	if v.Kind() == '"' {
		var s string
		if json.Unmarshal(v, &s) == nil {
			return s
		}
	}
	if v.Kind() == 'n' {
		return ""
	}
	return string(v)
}
