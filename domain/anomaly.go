package domain

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// KindAnomaly is the entity type of anomalies, and the prefix of the streams of what
// was done about them.
const KindAnomaly = "anomaly"

// DetectorSource is what the events of Tradetrail's own detector have as their source;
// the door gives it to nobody else.
const DetectorSource = "detector"

// FindingEventID is the id of the event that keeps a finding of the detector.
func FindingEventID(finding string) string {
	return DeriveID(DetectorSource, string(AnomalyDetected), finding)
}

// The bounds of what is said about an anomaly, in bytes.
const (
	MaxAnomalyText = 16 << 10 // a comment, or the reason of a dismissal
	MaxAssignee    = 256
)

// AnomalyStatus is how far people have come with an anomaly. Stored names: a test
// freezes the list.
type AnomalyStatus string

// The states of an anomaly, in their order. None is left for one before it.
const (
	AnomalyStatusOpen         AnomalyStatus = "OPEN"         // nobody has said that he saw it
	AnomalyStatusAcknowledged AnomalyStatus = "ACKNOWLEDGED" // somebody has
	AnomalyStatusDismissed    AnomalyStatus = "DISMISSED"    // somebody has looked, and says why there is nothing more to do
)

// AnomalyStatuses lists the states, in their order.
func AnomalyStatuses() []AnomalyStatus {
	return []AnomalyStatus{AnomalyStatusOpen, AnomalyStatusAcknowledged, AnomalyStatusDismissed}
}

// AnomalyActs lists the types of the events that say what was done about an anomaly.
func AnomalyActs() []EventType {
	return []EventType{AnomalyAcknowledged, AnomalyAssigned, AnomalyCommented, AnomalyDismissed}
}

// ActsOnAnomaly reports whether events of the type say what was done about an anomaly.
func (t EventType) ActsOnAnomaly() bool {
	switch t {
	case AnomalyAcknowledged, AnomalyAssigned, AnomalyCommented, AnomalyDismissed:
		return true
	default:
		return false
	}
}

// AnomalyID names the anomaly that an event detects or is about: its entity, or, of a
// detection that names none, the event itself. It is empty for other events.
func AnomalyID(e *Event) string {
	switch {
	case e.Type != AnomalyDetected && !e.Type.ActsOnAnomaly():
		return ""
	case e.EntityType == KindAnomaly && e.EntityID != "":
		return e.EntityID
	case e.Type == AnomalyDetected:
		return e.ID
	default:
		return ""
	}
}

// Act is who did something about an anomaly, and when by his clock.
type Act struct {
	EventID string    `json:"event_id"`
	By      string    `json:"by,omitzero"`
	At      time.Time `json:"at"`
}

// Anomaly is what became of an anomaly: a fold of its events, in commit order. What
// was said of it before it was detected counts as an event and for nothing else, so
// that nobody can dismiss what is yet to be found; for what the detector has found, only
// its own word is a detection. Of longer texts than may be said the beginning is kept. The same events in the same order
// give the same state, and, when encoded with json.Deterministic, the same bytes.
type Anomaly struct {
	ID       string        `json:"id"`
	Status   AnomalyStatus `json:"status"`
	Detected string        `json:"detected,omitzero"` // id of the first event that says that it was; empty: none does
	Found    bool          `json:"found,omitzero"`    // it is the detector that says so
	Assignee string        `json:"assignee,omitzero"`
	Reason   string        `json:"reason,omitzero"` // of the dismissal
	Comments int64         `json:"comments,omitzero"`
	Events   int64         `json:"events,omitzero"` // what was done, also what changed nothing since another was first

	Acknowledged Act `json:"acknowledged,omitzero"`
	Assigned     Act `json:"assigned,omitzero"` // the last that counted
	Dismissed    Act `json:"dismissed,omitzero"`
}

// Apply folds an event of the anomaly. Of two who acknowledge or dismiss, the first
// in the log counts; of two who assign, the last; what comes after the dismissal
// changes nothing but the number of comments.
func (a *Anomaly) Apply(e *Event) {
	setFirst(&a.ID, AnomalyID(e))
	if a.Status == "" {
		a.Status = AnomalyStatusOpen
	}
	if e.Type == AnomalyDetected {
		if e.Source == DetectorSource && !a.Found {
			// Whatever others called by its name was something else.
			*a = Anomaly{ID: a.ID, Status: AnomalyStatusOpen, Detected: e.ID, Found: true, Events: a.Events}
		}
		setFirst(&a.Detected, e.ID)
		return
	}
	if !e.Type.ActsOnAnomaly() {
		return
	}
	a.Events++
	if a.Detected == "" {
		return
	}
	act := Act{EventID: e.ID, By: e.Actor, At: e.OccurredAt}
	setFirst(&act.By, e.UserID)
	over := a.Status == AnomalyStatusDismissed
	switch e.Type {
	case AnomalyCommented:
		a.Comments++
	case AnomalyAcknowledged:
		if a.Status == AnomalyStatusOpen {
			a.Status, a.Acknowledged = AnomalyStatusAcknowledged, act
		}
	case AnomalyAssigned:
		if to := clipText(dataText(e, "assignee"), MaxAssignee); to != "" && !over {
			a.Assignee, a.Assigned = to, act
		}
	case AnomalyDismissed:
		if !over {
			a.Status, a.Dismissed, a.Reason = AnomalyStatusDismissed, act, clipText(dataText(e, "reason"), MaxAnomalyText)
		}
	default:
	}
}

// Effective reports whether an act on the anomaly had the effect that it is meant to
// have, as far as the state shows: an assignment that was followed by another had.
func (a *Anomaly) Effective(t EventType, eventID string) bool {
	switch t {
	case AnomalyAcknowledged:
		return a.Acknowledged.EventID == eventID
	case AnomalyDismissed:
		return a.Dismissed.EventID == eventID
	case AnomalyAssigned:
		return a.Assigned.EventID == eventID || a.Status != AnomalyStatusDismissed
	default:
		return true
	}
}

// Detection is what a detector says in data; what it does not say, or not as text, is
// empty.
type Detection struct {
	Kind, Rule, Severity, Explanation string
	Evidence                          []string // event ids; never nil
}

// DetectionIn reads the data of an anomaly.detected event.
func DetectionIn(e *Event) Detection {
	var data struct {
		Kind        jsontext.Value `json:"kind"`
		Rule        jsontext.Value `json:"rule"`
		Severity    jsontext.Value `json:"severity"`
		Explanation jsontext.Value `json:"explanation"`
		Evidence    jsontext.Value `json:"evidence"`
	}
	out := Detection{Evidence: []string{}}
	if len(e.Data) == 0 || json.Unmarshal(e.Data, &data, jsontext.AllowInvalidUTF8(true)) != nil {
		return out
	}
	out.Kind, out.Rule = textIn(data.Kind), textIn(data.Rule)
	out.Severity, out.Explanation = textIn(data.Severity), textIn(data.Explanation)
	var evidence []jsontext.Value
	if data.Evidence.Kind() == '[' && json.Unmarshal(data.Evidence, &evidence, jsontext.AllowInvalidUTF8(true)) == nil {
		for _, id := range evidence {
			if id.Kind() == '"' {
				out.Evidence = append(out.Evidence, textIn(id))
			}
		}
	}
	return out
}

// clipText keeps the beginning of a long text, at most so many bytes.
func clipText(text string, most int) string {
	const ellipsis = "…"
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(ellipsis)], "") + ellipsis
}

// dataText is a text in an event's data.
func dataText(e *Event, name string) string {
	var data map[string]jsontext.Value
	if len(e.Data) == 0 || json.Unmarshal(e.Data, &data, jsontext.AllowInvalidUTF8(true)) != nil {
		return ""
	}
	return textIn(data[name])
}

func textIn(value jsontext.Value) string {
	if value.Kind() != '"' {
		return ""
	}
	return unquote(value)
}
