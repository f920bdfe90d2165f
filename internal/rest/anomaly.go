package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/casework"
	"github.com/tradetrail/tradetrail/projections/views"
)

// Cases are what people do about anomalies.
type Cases interface {
	Do(ctx context.Context, act casework.Act) (casework.Done, error)
}

// anomalyState is what became of an anomaly, in answers.
type anomalyState struct {
	ID             string               `json:"id"`
	Status         domain.AnomalyStatus `json:"status"`
	Assignee       string               `json:"assignee,omitzero"`
	Comments       int64                `json:"comments"`
	AcknowledgedBy string               `json:"acknowledged_by,omitzero"`
	AcknowledgedAt time.Time            `json:"acknowledged_at,omitzero"`
	DismissedBy    string               `json:"dismissed_by,omitzero"`
	DismissedAt    time.Time            `json:"dismissed_at,omitzero"`
	Reason         string               `json:"reason,omitzero"`
}

func stateOf(a domain.Anomaly) anomalyState {
	return anomalyState{
		ID: a.ID, Status: a.Status, Assignee: a.Assignee, Comments: a.Comments, Reason: a.Reason,
		AcknowledgedBy: a.Acknowledged.By, AcknowledgedAt: a.Acknowledged.At, DismissedBy: a.Dismissed.By, DismissedAt: a.Dismissed.At,
	}
}

func (a *Audit) anomalyEntry(r views.AnomalyRecord) entry {
	state, _ := a.seals.State()
	e := entryOf(r.Detected, state)
	e.State = &r.State
	return e
}

// anomalyLists are the parameters that choose anomalies, beside those that choose
// events; of each may be several.
func anomalyLists() []string { return []string{"kind", "rule", "severity", "status"} }

// anomalyQuery reads which anomalies are asked for.
func anomalyQuery(q query, search views.Query) (views.AnomalyQuery, error) {
	out := views.AnomalyQuery{Query: search, Kinds: q.list("kind"), Rules: q.list("rule"), Severities: q.list("severity")}
	for _, name := range anomalyLists() {
		if len(q.list(name)) > maxNamed {
			return views.AnomalyQuery{}, domain.Rejectf(domain.CodeInvalid, name, "is given more than %d times", maxNamed)
		}
	}
	for _, name := range q.list("status") {
		status := domain.AnomalyStatus(strings.ToUpper(name))
		if !slices.Contains(domain.AnomalyStatuses(), status) {
			return views.AnomalyQuery{}, domain.Rejectf(domain.CodeInvalid, "status", "%.64q is none of OPEN, ACKNOWLEDGED and DISMISSED", name)
		}
		out.Statuses = append(out.Statuses, status)
	}
	return out, nil
}

// maxNamed is how many kinds, rules, severities or states are asked for at once.
const maxNamed = 100

// anomalies finds a page of anomalies.
func (a *Audit) anomalies(q query) (finder, error) {
	wanted, err := anomalyQuery(q, views.Query{})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, search views.Query) (page, error) {
		wanted.Query = search
		found, err := a.views.SearchAnomalies(ctx, wanted)
		return page{found.Found, found.States}, err
	}, nil
}

// anomaly is GET /audit/anomalies/{id}.
func (a *Audit) anomaly(w http.ResponseWriter, r *http.Request, _ query) error {
	var found views.AnomalyRecord
	err := a.inTurn(r.Context(), func(ctx context.Context) (err error) {
		var ok bool
		if found, ok, err = a.views.Anomaly(ctx, r.PathValue("id")); err == nil && !ok {
			err = &domain.Error{Class: domain.ClassNotFound, Code: casework.CodeUnknown, Message: "no such anomaly was detected"}
		}
		return err
	})
	if err != nil {
		return err
	}
	body, err := a.anomalyEntry(found).appendJSON(nil)
	if err != nil {
		return fmt.Errorf("encoding an anomaly: %w", err)
	}
	a.send(w, r, mediaJSON, body)
	return nil
}

// actRequest is the body of an act; which field it needs follows from the path.
type actRequest struct {
	Assignee *string `json:"assignee"`
	Comment  *string `json:"comment"`
	Reason   *string `json:"reason"`
	EventID  *string `json:"event_id"`
}

// act is POST /audit/anomalies/{id}/acknowledge, assign, comment and dismiss.
func (a *Audit) act(kind domain.EventType) func(http.ResponseWriter, *http.Request, query) error {
	return func(w http.ResponseWriter, r *http.Request, _ query) error {
		if a.cases == nil {
			writeProblem(w, r, a.log, newProblem(http.StatusNotImplemented, "not_available", "this server takes no acts on anomalies"))
			return nil
		}
		act := casework.Act{Anomaly: r.PathValue("id"), Type: kind}
		if err := readAct(r, &act); err != nil {
			return err
		}
		var done casework.Done
		err := a.inTurn(r.Context(), func(ctx context.Context) (err error) {
			done, err = a.cases.Do(ctx, act)
			return err
		})
		if err != nil {
			return err
		}
		body, err := a.anomalyEntry(done.Anomaly).appendJSON([]byte(`{"anomaly":`))
		if err != nil {
			return fmt.Errorf("encoding an anomaly: %w", err)
		}
		receipt, err := json.Marshal(receiptOfAct{done.Receipt.EventID, done.Receipt.Status, done.Receipt.Position.String()})
		if err != nil {
			return fmt.Errorf("encoding a receipt: %w", err)
		}
		a.send(w, r, mediaJSON, append(append(body, ','), receipt[1:]...))
		return nil
	}
}

type receiptOfAct struct {
	EventID  string        `json:"event_id"`
	Status   ingest.Status `json:"status"`
	Position string        `json:"position"`
}

// readAct reads the body of an act. It may be empty where nothing needs to be said.
func readAct(r *http.Request, act *casework.Act) error {
	text, err := io.ReadAll(r.Body)
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return domain.Rejectf(domain.CodeTooLarge, "", "the body has more than %d bytes", large.Limit)
	}
	if err != nil {
		return &domain.Error{Class: domain.ClassRejected, Code: domain.CodeMalformed, Message: "the body can't be read", Err: err}
	}
	if len(text) == 0 && act.Type == domain.AnomalyAcknowledged {
		return nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != mediaJSON {
		return domain.Rejectf(codeEncoding, "", "the body must be application/json")
	}
	var body actRequest
	if err := json.Unmarshal(text, &body, json.RejectUnknownMembers(true)); err != nil {
		return &domain.Error{Class: domain.ClassRejected, Code: domain.CodeMalformed, Message: "the body is no JSON object with the fields of this path", Err: err}
	}
	for _, field := range []struct {
		name  string
		value *string
		of    domain.EventType
	}{
		{"assignee", body.Assignee, domain.AnomalyAssigned},
		{"comment", body.Comment, domain.AnomalyCommented},
		{"reason", body.Reason, domain.AnomalyDismissed},
	} {
		switch {
		case field.of != act.Type && field.value != nil:
			return domain.Rejectf(domain.CodeInvalid, field.name, "is no field of this path")
		case field.of != act.Type:
		case field.value == nil:
			return domain.Rejectf(domain.CodeMissing, field.name, "is missing")
		default:
			act.Text = *field.value
		}
	}
	if body.EventID != nil {
		if act.EventID = *body.EventID; act.EventID == "" {
			return domain.Rejectf(domain.CodeInvalid, "event_id", "is empty")
		}
	}
	return nil
}
