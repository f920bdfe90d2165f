package rest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// Recorder is the door for events.
type Recorder interface {
	Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error)
}

// counts is the body of POST /v1/events.
type counts struct {
	Recorded  int       `json:"recorded"`
	Duplicate int       `json:"duplicate"`
	Rejected  int       `json:"rejected"`
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

type receipt struct {
	Line     int           `json:"line"` // of the body, from 1
	EventID  string        `json:"event_id,omitzero"`
	Status   string        `json:"status,omitzero"` // missing: unknown, send the event again
	Stream   string        `json:"stream,omitzero"` // of a rejected event: where its bytes are kept
	Revision *uint64       `json:"revision,omitzero"`
	Position string        `json:"position,omitzero"`
	Error    *receiptError `json:"error,omitzero"`
}

type receiptError struct {
	Code    string `json:"code"`
	Field   string `json:"field,omitzero"`
	Message string `json:"message"`
}

// maxIgnoredBytes is how much of a body is read behind ingest.MaxBodyBytes.
const maxIgnoredBytes = 64 << 20

// Events is POST /v1/events: one object, an array of objects, or NDJSON, in any
// of the input shapes. Every event gets a receipt, in the order of the body; it
// is durable when the receipt says recorded or duplicate.
//
// 200: all recorded. 400, 409, 413, 422: some were rejected (the most severe
// reason counts), the others are recorded all the same. 415: no JSON. 503: the
// outcome of receipts without status is unknown; send the body again.
func Events(recorder Recorder, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		framing, ok := framingOf(r.Header)
		if !ok {
			writeProblem(w, r, log, newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type",
				"send application/json or application/x-ndjson"))
			return
		}
		source, err := sourceOf(r)
		if err != nil {
			writeProblem(w, r, log, problemOf(err))
			return
		}
		items, err := ingest.ParseBody(r.Body, framing)
		if err != nil {
			if r.Context().Err() == nil {
				writeProblem(w, r, log, newProblem(http.StatusBadRequest, "unreadable_body", "the body ended early"))
			}
			return
		}
		// What is too long to be taken is read all the same, within reason: a
		// client that is cut off while it sends never sees the answer.
		if _, err := io.CopyN(io.Discard, r.Body, maxIgnoredBytes); err != nil && !errors.Is(err, io.EOF) {
			log.DebugContext(r.Context(), "the rest of a body could not be read", slog.Any("error", err))
		}
		receipts, err := recorder.Record(r.Context(), source, items)
		out := answer{problem: problem{Status: http.StatusOK}, counts: counts{Receipts: make([]receipt, len(receipts))}}
		for i, rec := range receipts {
			out.add(i, rec)
		}
		if err != nil {
			log.WarnContext(r.Context(), "recording was interrupted", slog.Any("error", err))
			out.problem = problemOf(err)
			if out.problem.Status == http.StatusServiceUnavailable {
				out.problem.Detail += "; try again, repeated events are recognised"
			}
		}
		out.write(w, r, log)
	})
}

func (a *answer) add(i int, r ingest.Receipt) {
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
	a.counts.Receipts[i] = out
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
