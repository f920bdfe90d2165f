package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// finding is what a detector has recorded in an anomaly.detected event, and what it
// measured against which limit.
type finding struct {
	domain.Detection

	value, limit, unit string
}

func readFinding(e *domain.Event) finding {
	d := readData(e)
	return finding{domain.DetectionIn(e), text(d["value"]), text(d["limit"]), text(d["unit"])}
}

// tone says that what nobody has graded is worth a look.
func (f finding) tone() Tone {
	switch strings.ToLower(f.Severity) {
	case "info", "low":
		return Notice
	default:
		return Alarm
	}
}

// maxWhy is how many bytes of a sentence stand at each place that a finding is about;
// the finding itself is told in full where it is listed.
const maxWhy = 1 << 10

// why is the finding in one sentence.
func (f finding) why() string {
	name := f.Kind
	if name == "" {
		name = f.Rule
	}
	if name == "" {
		name = "anomaly"
	}
	var b strings.Builder
	b.WriteString("Anomaly ")
	b.WriteString(name)
	if f.Severity != "" {
		fmt.Fprintf(&b, " (%s)", f.Severity)
	}
	if f.Explanation != "" {
		b.WriteString(": " + f.Explanation)
	}
	if f.value != "" && f.limit != "" {
		fmt.Fprintf(&b, " [%s, limit %s %s]", f.value, f.limit, f.unit)
	}
	return cut(b.String(), maxWhy)
}

// findings are by the event that they are about. They are few, or else there are too
// many to be shown twice: marking stops at maxMarked places or maxMarkBytes of
// sentences and ids, and the report says so.
type findings struct {
	by     map[string]*marks
	marked int
	bytes  int
	full   bool
}

// marks are what is said at one event: the first sentences, and how many more there are.
type marks struct {
	tone  Tone
	notes []string
	more  int
}

const (
	maxMarked    = 20_000
	maxMarkBytes = 8 << 20
	maxNotes     = 8 // of one event
)

func (f *findings) add(one finding) {
	if f.by == nil {
		f.by = make(map[string]*marks)
	}
	why, tone := one.why(), one.tone()
	f.bytes += len(why)
	for _, id := range slices.Compact(slices.Sorted(slices.Values(one.Evidence))) {
		if len(id) > domain.MaxIDBytes {
			continue // no event has it
		}
		if f.marked == maxMarked || f.bytes > maxMarkBytes {
			f.full = true
			return
		}
		f.marked++
		m := f.by[id]
		if m == nil {
			m = &marks{}
			f.by[id] = m
			f.bytes += len(id)
		}
		m.tone = max(m.tone, tone)
		if len(m.notes) == maxNotes {
			m.more++
			continue
		}
		m.notes = append(m.notes, why)
	}
}

// mark makes the row of an event stand out if a finding is about it.
func (f *findings) mark(row Row, event string) Row {
	m := f.by[event]
	if m == nil {
		return row
	}
	row.Tone, row.Notes = max(row.Tone, m.tone), slices.Concat(row.Notes, m.notes)
	if m.more > 0 {
		row.Notes = append(row.Notes, strconv.Itoa(m.more)+" more")
	}
	return row
}

// tone is how much an event stands out.
func (f *findings) tone(event string) Tone {
	if m := f.by[event]; m != nil {
		return m.tone
	}
	return Plain
}

// note says that not all is marked, and nothing when all is.
func (f *findings) note() Block {
	if !f.full {
		return Facts{}
	}
	return Note{Text: "There are more findings than are marked below: " + strconv.Itoa(f.marked) + " places are.", Tone: Notice}
}

func findingColumns() []Column {
	return append([]Column{
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
	}, leafColumns()...)
}

func findingRow(e domain.Located) Row {
	f := readFinding(e.Event)
	return Row{
		Cells: []string{
			timeText(e.OccurredAt), f.Severity, f.Kind, f.Rule, about(e.Event), f.Explanation, f.value, f.limit, f.unit, strings.Join(f.Evidence, " "),
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
