package rest

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/tradetrail/tradetrail/internal/report"
)

// Reports make reports in the background.
type Reports interface {
	Start(ctx context.Context, r report.Request) (report.Job, error)
	Await(ctx context.Context, id string, most time.Duration) (report.Job, error)
	Job(ctx context.Context, id string) (report.Job, error)
	Open(ctx context.Context, id string) (report.Content, report.Job, error)
}

// reportsPath is where the jobs are.
const reportsPath = "/audit/report/jobs/"

// reportParameters are those of POST /audit/report.
func reportParameters() []string {
	return []string{"kind", "id", "day", "from", "to", "format", "not_older_than"}
}

// reportBody is a job as clients see it.
type reportBody struct {
	ID      string         `json:"id"`
	State   report.State   `json:"state"`
	Request report.Request `json:"request"`
	Events  int64          `json:"events_read"`
	Rows    int64          `json:"rows_written"`
	Created time.Time      `json:"created_at"`
	Ended   time.Time      `json:"ended_at,omitzero"`
	Expires time.Time      `json:"expires_at,omitzero"`

	File    string   `json:"file_name,omitzero"`
	Media   string   `json:"content_type,omitzero"`
	Bytes   int64    `json:"bytes,omitzero"`
	SHA256  string   `json:"sha256,omitzero"`
	EventID string   `json:"event_id,omitzero"`
	Content string   `json:"content,omitzero"` // where it is
	Error   *problem `json:"error,omitzero"`
}

func reportBodyOf(j report.Job) reportBody {
	body := reportBody{
		ID: j.ID, State: j.State, Request: j.Request, Events: j.Events, Rows: j.Rows,
		Created: j.Created, Ended: j.Ended, Expires: j.Expires,
	}
	switch j.State {
	case report.Done:
		body.File, body.Media, body.Bytes, body.SHA256, body.EventID = j.File, j.Request.Format.Media(), j.Bytes, j.SHA256, j.EventID
		body.Content = reportsPath + j.ID + "/content"
	case report.Failed:
		p := problemOf(j.Err)
		body.Error = &p
	default:
	}
	return body
}

// orderReport is POST /audit/report/{order_id}.
func (a *Audit) orderReport(w http.ResponseWriter, r *http.Request, q query) error {
	return a.startReport(w, r, q, report.Request{Kind: report.Order, ID: r.PathValue("order_id")})
}

// anyReport is POST /audit/report.
func (a *Audit) anyReport(w http.ResponseWriter, r *http.Request, q query) error {
	request := report.Request{Kind: report.Kind(q.text("kind")), ID: q.text("id"), Day: q.text("day")}
	var err error
	if request.From, err = q.moment("from"); err != nil {
		return err
	}
	if request.To, err = q.moment("to"); err != nil {
		return err
	}
	return a.startReport(w, r, q, request)
}

// startReport begins a report and waits a little: a short one is answered as done.
func (a *Audit) startReport(w http.ResponseWriter, r *http.Request, q query, request report.Request) (err error) {
	if a.reports == nil {
		return a.noReports(w, r)
	}
	request.Format = report.PDF
	if name := q.text("format"); name != "" {
		if request.Format, err = report.ParseFormat(name); err != nil {
			return err
		}
	}
	job, err := a.reports.Start(r.Context(), request)
	if err == nil {
		job, err = a.reports.Await(r.Context(), job.ID, a.limits.Report)
	}
	if err != nil {
		return err
	}
	if job.State == report.Failed {
		return job.Err
	}
	status := http.StatusAccepted
	if job.State == report.Done {
		status = http.StatusCreated
	}
	w.Header().Set("Location", reportsPath+job.ID)
	write(w, r, a.log, status, mediaJSON, reportBodyOf(job))
	return nil
}

// reportJob is GET /audit/report/jobs/{id}.
func (a *Audit) reportJob(w http.ResponseWriter, r *http.Request, _ query) error {
	if a.reports == nil {
		return a.noReports(w, r)
	}
	job, err := a.reports.Job(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	write(w, r, a.log, http.StatusOK, mediaJSON, reportBodyOf(job))
	return nil
}

// reportContent is GET /audit/report/jobs/{id}/content: the file, also parts of it.
func (a *Audit) reportContent(w http.ResponseWriter, r *http.Request, _ query) (err error) {
	if a.reports == nil {
		return a.noReports(w, r)
	}
	file, job, err := a.reports.Open(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	h := w.Header()
	h.Set("Content-Type", job.Request.Format.Media())
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": job.File}))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", `"`+job.SHA256+`"`)
	http.ServeContent(w, r, "", job.Ended, file)
	return nil
}

func (a *Audit) noReports(w http.ResponseWriter, r *http.Request) error {
	writeProblem(w, r, a.log, newProblem(http.StatusNotImplemented, "not_available",
		"this server makes no reports; /audit/chain has all that is recorded of an order, also as text/csv"))
	return nil
}

// defaultReport is how long a client that asks for a report waits for it before it is
// told of the job.
const defaultReport = time.Second
