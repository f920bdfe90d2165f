// Package casework is what people do about anomalies: acknowledge, assign, comment,
// dismiss. Each act is an event of the log, by the principal of the request, and the
// log decides: of two who dismiss at once the first in it has, and the other is told.
package casework

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/projections/views"
)

// Source is what the events of acts have as their source.
const Source = "casework"

// The bounds of what an act says, in bytes.
const (
	MaxText     = domain.MaxAnomalyText // a comment, or the reason of a dismissal
	MaxAssignee = domain.MaxAssignee
	maxEventID  = 256
)

// The codes of acts that were refused.
const (
	CodeUnknown      = "unknown_anomaly"
	CodeAcknowledged = "already_acknowledged"
	CodeDismissed    = "already_dismissed"
)

// Recorder is the door for events.
type Recorder interface {
	Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error)
}

// Views are the read models.
type Views interface {
	Anomaly(ctx context.Context, id string) (views.AnomalyRecord, bool, error)
	Await(ctx context.Context, position domain.Position) error
	OwnerEvents(ctx context.Context, kind, id string, from, to int64) (views.Page[domain.Located], error)
}

// Act is what somebody wants to do about an anomaly.
type Act struct {
	Anomaly string
	Type    domain.EventType // one of domain.AnomalyActs
	Text    string           // the assignee, the comment, the reason; none of an acknowledgement
	// EventID is the id of the act's event: whoever sends it again says the same once.
	// Empty: every call is an act of its own.
	EventID string
}

// Done is an act that is recorded, and the anomaly with it.
type Done struct {
	Anomaly views.AnomalyRecord
	Receipt ingest.Receipt
}

// Desk is where acts are taken. It is safe for use by several goroutines, and by
// several processes on one log.
type Desk struct {
	views    Views
	recorder Recorder
	policy   authz.Policy
	now      func() time.Time
	fresh    time.Duration
}

// fresh is how long an act waits for the read models to have it.
const fresh = 5 * time.Second

// NewDesk makes a desk. now is the clock of occurred_at.
func NewDesk(views Views, recorder Recorder, policy authz.Policy, now func() time.Time) *Desk {
	return &Desk{views, recorder, policy, now, fresh}
}

// Do records an act of the request's principal and returns the anomaly as the act left
// it. An act that can't have an effect is refused: with NotFound, if nobody has detected
// such an anomaly, and with Conflict, if it is acknowledged or dismissed already. One
// whose effect another act took in the same moment is recorded and answered with
// Conflict. With any other error the outcome is unknown: the same act, with the same
// EventID, may be sent again.
func (d *Desk) Do(ctx context.Context, act Act) (Done, error) {
	if err := authz.Check(ctx, d.policy, authz.Judge, authz.Resource{Kind: domain.KindAnomaly, ID: act.Anomaly}); err != nil {
		return Done{}, err
	}
	if err := act.check(); err != nil {
		return Done{}, err
	}
	before, err := d.Anomaly(ctx, act.Anomaly)
	if err != nil {
		return Done{}, err
	}
	var receipt ingest.Receipt
	said := false
	if act.EventID == "" {
		act.EventID = uuid.NewString()
	} else if receipt, said, err = d.said(ctx, act); err != nil {
		return Done{}, err
	}
	if !said {
		if err := act.refused(before.State); err != nil {
			return Done{}, err
		}
		if receipt, err = d.record(ctx, act, before); err != nil {
			return Done{}, err
		}
	}
	after, err := d.after(ctx, act, receipt)
	if err != nil {
		return Done{}, err
	}
	if err := act.overtaken(after.State); err != nil {
		return Done{}, err
	}
	return Done{after, receipt}, nil
}

// Anomaly reads an anomaly; an unknown one is an error.
func (d *Desk) Anomaly(ctx context.Context, id string) (views.AnomalyRecord, error) {
	found, ok, err := d.views.Anomaly(ctx, id)
	if err == nil && !ok {
		err = &domain.Error{Class: domain.ClassNotFound, Code: CodeUnknown, Message: fmt.Sprintf("no anomaly %.64q was detected", id)}
	}
	return found, err
}

// said looks whether the act is recorded already, among the last that were done about
// its anomaly. Its time is that of the first call, so the recorder can't know.
func (d *Desk) said(ctx context.Context, act Act) (receipt ingest.Receipt, ok bool, err error) {
	kind, key := views.Entity(domain.KindAnomaly, act.Anomaly)
	all, err := d.views.OwnerEvents(ctx, kind, key, 0, 0)
	if err != nil {
		return ingest.Receipt{}, false, err
	}
	last, err := d.views.OwnerEvents(ctx, kind, key, all.Total-lookedThrough, all.Total)
	if err != nil {
		return ingest.Receipt{}, false, err
	}
	who, _ := authz.From(ctx) // Check has seen that there is one
	for _, e := range last.Items {
		if e.ID != act.EventID {
			continue
		}
		if !act.is(e.Event, who.Name) {
			return ingest.Receipt{}, false, domain.Rejectf(domain.CodeConflict, "event_id", "the id is taken by another act")
		}
		return ingest.Receipt{EventID: e.ID, Status: ingest.Duplicate, Stream: e.Stream, Revision: e.Revision, Position: e.Position}, true, nil
	}
	return ingest.Receipt{}, false, nil
}

// lookedThrough is how many acts on an anomaly are searched for one that comes again.
const lookedThrough = 100

func (d *Desk) record(ctx context.Context, act Act, of views.AnomalyRecord) (ingest.Receipt, error) {
	who, _ := authz.From(ctx) // Check has seen that there is one
	e := &domain.Event{
		ID: act.EventID, Type: act.Type, OccurredAt: d.now().UTC(), SchemaVersion: domain.SchemaVersion,
		EntityType: domain.KindAnomaly, EntityID: act.Anomaly,
		Actor: who.Name, UserID: who.Name,
		CorrelationID: of.Detected.CorrelationID, CausationID: of.State.Detected,
	}
	if field := act.field(); field != "" {
		data, err := json.Marshal(map[string]string{field: act.Text})
		if err != nil {
			return ingest.Receipt{}, fmt.Errorf("encoding what is said of anomaly %s: %w", act.Anomaly, err)
		}
		e.Data = data
	}
	// The read models need not have the act that comes again; the log has, with the time
	// of the first call.
	same := func(recorded *domain.Event) bool { return recorded.Source == Source && act.is(recorded, who.Name) }
	// Whoever may judge need not be one who may record whatever he likes.
	receipts, err := d.recorder.Record(authz.With(ctx, authz.Principal{Name: Source}), Source, []ingest.Item{{Line: 1, Event: e, Same: same}})
	if err != nil {
		return ingest.Receipt{}, fmt.Errorf("recording %s of anomaly %s: %w", act.Type, act.Anomaly, err)
	}
	if receipts[0].Err != nil {
		return ingest.Receipt{}, fmt.Errorf("recording %s of anomaly %s: %w", act.Type, act.Anomaly, receipts[0].Err)
	}
	return receipts[0], nil
}

// after reads the anomaly once the read models have the act.
func (d *Desk) after(ctx context.Context, act Act, receipt ingest.Receipt) (views.AnomalyRecord, error) {
	waiting, cancel := context.WithTimeout(ctx, d.fresh)
	defer cancel()
	if err := d.views.Await(waiting, receipt.Position); err != nil {
		return views.AnomalyRecord{}, fmt.Errorf("waiting until %s of anomaly %s can be read: %w", act.Type, act.Anomaly, err)
	}
	return d.Anomaly(ctx, act.Anomaly)
}

// field is what Text is called, in data and in errors; empty: there is none.
func (a Act) field() string {
	switch a.Type {
	case domain.AnomalyAssigned:
		return "assignee"
	case domain.AnomalyCommented:
		return "comment"
	case domain.AnomalyDismissed:
		return "reason"
	default:
		return ""
	}
}

// is reports whether an event is this act, by this principal.
func (a Act) is(e *domain.Event, by string) bool {
	return e.Type == a.Type && domain.AnomalyID(e) == a.Anomaly && e.Actor == by && a.textIn(e) == a.Text
}

// textIn is what an event of the act's type says.
func (a Act) textIn(e *domain.Event) string {
	var data map[string]string
	if a.field() == "" || json.Unmarshal(e.Data, &data) != nil {
		return ""
	}
	return data[a.field()]
}

func (a Act) check() error {
	field, most := a.field(), MaxText
	if a.Type == domain.AnomalyAssigned {
		most = MaxAssignee
	}
	switch {
	case !a.Type.ActsOnAnomaly():
		return domain.Rejectf(domain.CodeInvalid, "", "%.64q is nothing that is done about an anomaly", a.Type)
	case len(a.EventID) > maxEventID:
		return domain.Rejectf(domain.CodeTooLarge, "event_id", "has %d bytes, at most %d are taken", len(a.EventID), maxEventID)
	case field == "" && a.Text == "":
		return nil
	case field == "":
		return domain.Rejectf(domain.CodeInvalid, "", "%s says nothing", a.Type)
	case strings.TrimSpace(a.Text) == "":
		return domain.Rejectf(domain.CodeInvalid, field, "is empty")
	case len(a.Text) > most:
		return domain.Rejectf(domain.CodeTooLarge, field, "has %d bytes, at most %d are taken", len(a.Text), most)
	case !utf8.ValidString(a.Text):
		return domain.Rejectf(domain.CodeInvalid, field, "is not UTF-8")
	}
	return nil
}

// refused tells why an act can have no effect on an anomaly as it is.
func (a Act) refused(state domain.Anomaly) error {
	switch {
	case a.Type == domain.AnomalyCommented:
		return nil
	case state.Status == domain.AnomalyStatusDismissed:
		return already(CodeDismissed, "dismissed", state.Dismissed)
	case state.Status == domain.AnomalyStatusAcknowledged && a.Type == domain.AnomalyAcknowledged:
		return already(CodeAcknowledged, "acknowledged", state.Acknowledged)
	}
	return nil
}

// overtaken tells that an act is recorded behind one that took its effect.
func (a Act) overtaken(state domain.Anomaly) error {
	switch {
	case state.Effective(a.Type, a.EventID):
		return nil
	case state.Status == domain.AnomalyStatusDismissed:
		return already(CodeDismissed, "dismissed", state.Dismissed)
	default:
		return already(CodeAcknowledged, "acknowledged", state.Acknowledged)
	}
}

func already(code, what string, act domain.Act) error {
	return &domain.Error{
		Class: domain.ClassConflict, Code: code,
		Message: fmt.Sprintf("the anomaly was %s by %.64q at %s", what, act.By, act.At.UTC().Format(time.RFC3339)),
	}
}
