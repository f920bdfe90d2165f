package rest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// Recorder is where events go.
type Recorder interface {
	Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error)
	Sequence(ctx context.Context, source string) (ingest.Begin, error)
	// Available returns an error while it is of no use to send anything.
	Available() error
}

// counts is the body of POST /v1/events.
type counts struct {
	Recorded  int       `json:"recorded"`
	Duplicate int       `json:"duplicate"`
	Rejected  int       `json:"rejected"`
	Omitted   int       `json:"omitted,omitzero"` // receipts that are not there, of a long body
	Receipts  []receipt `json:"receipts"`
}

// answer is counts, and with a problem a problem document that has them too.
type answer struct {
	problem problem
	counts  counts
}

func (a *answer) write(w http.ResponseWriter, r *http.Request, log *slog.Logger) {
	if a.problem.Status == http.StatusOK {
		write(w, r, log, http.StatusOK, "application/json", a.counts)
		return
	}
	write(w, r, log, a.problem.Status, "application/problem+json", struct {
		problem
		counts
	}{a.problem, a.counts})
}

// maxIgnoredBytes is how much of a body is read behind ingest.MaxBodyBytes.
const maxIgnoredBytes = 64 << 20

// Door is POST /v1/events: one object, an array of objects, or NDJSON of any
// length, in any of the input shapes, compressed or not. Every event gets a receipt,
// in the order of the body; it is durable when the receipt says recorded or duplicate.
//
// 200: all recorded. 400, 409, 413, 422: some were rejected (the most severe
// reason counts), the others are recorded all the same. 415: no JSON, or an unknown
// encoding. 429, 503 before anything was read: come again. 503: the outcome of
// receipts without status is unknown; send the body again.
//
// NDJSON is recorded as it comes. Whoever accepts NDJSON gets the receipts as NDJSON,
// while the body is still being sent; see stream.
type Door struct {
	recorder  Recorder
	log       *slog.Logger
	admission *admission
	now       func() time.Time
	stop      context.Context //nolint:containedctx // the server's stop, which streams learn of
}

// NewDoor makes the handler. Streams end when stop does; now is the clock of their
// deadlines.
func NewDoor(stop context.Context, recorder Recorder, limits DoorLimits, log *slog.Logger, now func() time.Time, reg prometheus.Registerer) *Door {
	return &Door{recorder: recorder, log: log, admission: newAdmission(limits, reg), now: now, stop: stop}
}

func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	framing, ok := framingOf(r.Header)
	if !ok {
		writeProblem(w, r, d.log, newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type",
			"send application/json or application/x-ndjson"))
		return
	}
	source, err := sourceOf(r)
	if err != nil {
		writeProblem(w, r, d.log, problemOf(err))
		return
	}
	account := d.admission.memory.open(r.Context())
	defer account.close()
	body, err := decoded(r, account)
	if err != nil {
		w.Header().Set("Accept-Encoding", acceptEncoding)
		writeProblem(w, r, d.log, problemOf(err))
		return
	}
	defer func() { _ = body.Close() }() // nothing was written to it
	leave, err := d.admission.enter(r.Context(), d.recorder.Available)
	if err != nil {
		writeProblem(w, r, d.log, problemOf(err))
		return
	}
	defer leave()
	if framing == ingest.FramingLines {
		d.stream(w, r, body, account, source)
		return
	}
	d.whole(w, r, body, account, framing, source)
}

// whole reads a body of JSON, then records it.
func (d *Door) whole(w http.ResponseWriter, r *http.Request, body io.Reader, account *account, framing ingest.Framing, source string) {
	m, err := account.meter(body, r.ContentLength)
	defer m.give()
	if err != nil {
		writeProblem(w, r, d.log, problemOf(err))
		return
	}
	items, err := ingest.ParseBody(m, framing)
	if err != nil {
		if r.Context().Err() == nil {
			writeProblem(w, r, d.log, unreadable(err))
		}
		return
	}
	// What is too long to be taken is read all the same, within reason: a
	// client that is cut off while it sends never sees the answer.
	if _, err := io.CopyN(io.Discard, r.Body, maxIgnoredBytes); err != nil && !errors.Is(err, io.EOF) {
		d.log.DebugContext(r.Context(), "the rest of a body could not be read", slog.Any("error", err))
	}
	receipts, err := d.recorder.Record(r.Context(), source, items)
	out := answer{problem: problem{Status: http.StatusOK}, counts: counts{Receipts: make([]receipt, 0, len(receipts))}}
	out.add(receipts)
	out.interrupted(r, err, d.log)
	out.write(w, r, d.log)
}

// unreadable is the problem of a body that could not be read to its end.
func unreadable(err error) problem {
	if _, ours := errors.AsType[*domain.Error](err); ours {
		return problemOf(err)
	}
	return newProblem(http.StatusBadRequest, "unreadable_body", "the body ended early")
}

// interrupted makes err, if there is one, the problem of the answer.
func (a *answer) interrupted(r *http.Request, err error, log *slog.Logger) {
	if err == nil {
		return
	}
	log.WarnContext(r.Context(), "recording was interrupted", slog.Any("error", err))
	a.problem = problemOf(err)
	if a.problem.Status == http.StatusServiceUnavailable {
		a.problem.Detail += "; try again, repeated events are recognised"
	}
}

// The receipts that one answer has: of a body up to these bounds all, of a longer
// one those of what was rejected.
const (
	maxReceipts = ingest.MaxBodyEvents
	maxRejected = 1000
)

// add adds receipts in their order.
func (a *answer) add(receipts []ingest.Receipt) {
	for i := range receipts {
		out := a.tally(&receipts[i])
		if a.counts.Omitted == 0 && len(a.counts.Receipts) == maxReceipts {
			a.omit()
		}
		long := a.counts.Omitted > 0
		if long && (out.Error == nil || len(a.counts.Receipts) >= maxRejected) {
			a.counts.Omitted++
			continue
		}
		a.counts.Receipts = append(a.counts.Receipts, out)
	}
}

// omit leaves only receipts of what was rejected.
func (a *answer) omit() {
	var kept []receipt
	for _, r := range a.counts.Receipts {
		if r.Error != nil && len(kept) < maxRejected {
			kept = append(kept, r)
		}
	}
	a.counts.Omitted = max(1, len(a.counts.Receipts)-len(kept))
	a.counts.Receipts = kept
}

// tally counts one receipt and makes it HTTP's.
func (a *answer) tally(r *ingest.Receipt) receipt {
	out := receipt{Line: r.Line, EventID: r.EventID, Status: string(r.Status)}
	if r.Status != "" {
		revision := r.Revision
		out.Stream, out.Revision, out.Position = r.Stream, &revision, r.Position.String()
	}
	switch r.Status {
	case ingest.Recorded:
		a.counts.Recorded++
	case ingest.Duplicate:
		a.counts.Duplicate++
	case ingest.Rejected:
		a.counts.Rejected++
		if status := statusOfRejection(r.Err.Code); severity(status) > severity(a.problem.Status) {
			a.problem = newProblem(status, r.Err.Code, "some events were rejected; see receipts")
		}
	}
	if r.Err != nil {
		out.Error = &receiptError{Code: r.Err.Code, Field: r.Err.Field, Message: r.Err.Message}
	}
	return out
}

// severity orders the statuses of a body in which events fail for different
// reasons.
func severity(status int) int {
	switch status {
	case http.StatusOK:
		return 0
	case http.StatusConflict:
		return 1
	case http.StatusUnprocessableEntity:
		return 2
	case http.StatusBadRequest:
		return 3
	default:
		return 4
	}
}

// framingOf reads the media type. Without one, the bytes tell. Forms, plain text and,
// from a browser, what has no type are refused: a page on another site could send
// those without asking first.
func framingOf(header http.Header) (ingest.Framing, bool) {
	contentType := header.Get("Content-Type")
	if contentType == "" {
		return ingest.FramingGuess, header.Get("Origin") == "" && header.Get("Sec-Fetch-Site") == ""
	}
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return 0, false
	case media == "application/x-ndjson", media == "application/ndjson", media == "application/jsonl", media == "application/json-seq":
		return ingest.FramingLines, true
	case media == "application/json", strings.HasSuffix(media, "+json"):
		return ingest.FramingJSON, true
	default:
		return 0, false
	}
}

// sourceOf is what the events say about where they came from: "http", or
// "http:NAME" for senders who name themselves with ?source=NAME.
func sourceOf(r *http.Request) (string, error) {
	name := r.URL.Query().Get("source")
	if name == "" {
		return "http", nil
	}
	if len(name) > domain.MaxNameBytes || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", domain.Rejectf(domain.CodeInvalid, "source", "must be at most %d printable ASCII characters", domain.MaxNameBytes)
	}
	return "http:" + name, nil
}
