package report

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/report/pdf"
)

// Recorder is the door for events.
type Recorder interface {
	Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error)
}

// Service is who records what reports were made, whoever has asked for them, and who
// makes those of the schedule.
func Service() authz.Principal { return authz.Principal{Name: "tradetrail-reports"} }

// recordSource is the source of the events that say which reports were made.
const recordSource = "report"

// Maker makes reports and records that it did. It is safe for use by several
// goroutines.
type Maker struct {
	views    Views
	log      Log // nil in a process without one
	recorder Recorder
	now      func() time.Time
}

// NewMaker makes a maker; now is the clock that reports show.
func NewMaker(v Views, recorder Recorder, now func() time.Time, options ...MakerOption) *Maker {
	m := &Maker{views: v, recorder: recorder, now: now}
	for _, o := range options {
		o(m)
	}
	return m
}

// MakerOption is one of NewMaker.
type MakerOption func(*Maker)

// WithLog makes reports show where their events are sealed, and seals PDFs. Without,
// they say that this process has no transparency log.
func WithLog(log Log) MakerOption { return func(m *Maker) { m.log = log } }

// made is a report that was written and recorded.
type made struct {
	name    string // of the file
	sha256  string
	bytes   int64
	rows    int64
	eventID string
	proof   pdf.Place // where the bundle stands in a PDF that is sealed
}

// progress hears how far a report is. Its methods are called by one goroutine.
type progress interface {
	read(events int)
	row()
}

// make writes a report for whoever ctx is of, and records that: without an error the
// event is durable. id names the report and must not be used again for other bytes.
func (m *Maker) make(ctx context.Context, id string, r Request, w io.Writer, p progress) (made, error) {
	d, err := Make(ctx, m.views, m.log, r, m.now().UTC(), p.read)
	if err != nil {
		return made{}, err
	}
	out := made{name: r.FileName()}
	sum := sha256.New()
	size := &sizing{}
	counted := d.counted(func() { out.rows++; p.row() })
	if err := r.Format.Write(io.MultiWriter(w, sum, size), counted); err != nil {
		return made{}, err
	}
	out.proof = d.proof.place
	out.sha256, out.bytes = hex.EncodeToString(sum.Sum(nil)), size.bytes
	out.eventID, err = m.record(ctx, id, r, d, out)
	return out, err
}

// sizing counts what is written.
type sizing struct{ bytes int64 }

func (s *sizing) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	return len(p), nil
}

// record makes the event durable that says who has which report.
func (m *Maker) record(ctx context.Context, id string, r Request, d Document, out made) (string, error) {
	principal, _ := authz.From(ctx) // the views have denied nobody
	data, err := json.Marshal(struct {
		Request

		File     string `json:"file"`
		SHA256   string `json:"sha256"`
		Bytes    int64  `json:"bytes"`
		Rows     int64  `json:"rows"`
		Position string `json:"position"` // where the read models stood
	}{r, out.name, out.sha256, out.bytes, out.rows, d.UpTo.String()})
	if err != nil {
		return "", fmt.Errorf("encoding the event of report %s: %w", id, err)
	}
	e := &domain.Event{
		ID: domain.DeriveID(recordSource, id, out.sha256), Type: domain.ReportGenerated, OccurredAt: d.Created,
		EntityType: "report", EntityID: id, UserID: principal.Name, Actor: principal.Name, SchemaVersion: domain.SchemaVersion, Data: data,
	}
	receipts, err := m.recorder.Record(authz.With(ctx, Service()), recordSource, []ingest.Item{{Line: 1, Event: e}})
	if err != nil {
		return "", fmt.Errorf("recording report %s: %w", id, err)
	}
	if len(receipts) != 1 || receipts[0].Err != nil {
		return "", fmt.Errorf("recording report %s: it was not accepted: %v", id, receipts)
	}
	return receipts[0].EventID, nil
}
