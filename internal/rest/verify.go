package rest

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// VerifyRequest says what to verify.
type VerifyRequest struct {
	Full        bool              `json:"full,omitzero"`     // from the first event on
	NoViews     bool              `json:"no_views,omitzero"` // without the read models
	Key         string            `json:"key,omitzero"`      // with which the log began
	Checkpoints map[string]string `json:"checkpoints,omitempty"`
	TSARoots    string            `json:"tsa_roots,omitzero"` // PEM; empty: those of the server
}

// Verify verifies the store, the log and the views, and tells how far it is.
type Verify func(ctx context.Context, ask VerifyRequest, progress func(done, total uint64)) (report any, err error)

// maxVerifyBytes bounds a request: a hundred checkpoints and more.
const maxVerifyBytes = 1 << 20

// VerifyProgress is a line of the answer. The last one has the report, or the error.
type VerifyProgress struct {
	Done   uint64          `json:"done"`
	Total  uint64          `json:"total"`
	Report json.RawMessage `json:"report,omitempty"`
	Error  string          `json:"error,omitzero"`
}

// What is verified at a time, in all and for one principal: each waits for the auditor,
// which looks at what is new between two of them.
const verificationsAtATime, verificationsEach = 2, 1

// verifyTold is how often it is told how far a verification is.
const verifyTold = 200 * time.Millisecond

// Verifying is POST /admin/verify: a line of JSON now and then that says how far it is,
// and at the end one with the report. Who goes away ends the verification.
func Verifying(verify Verify, log *slog.Logger, now func() time.Time) http.Handler {
	seats := newSeats("verifications", verificationsAtATime, verificationsEach)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if verify == nil {
			writeProblem(w, r, log, newProblem(http.StatusNotImplemented, "no_log", "this server writes no transparency log: ask the one that does"))
			return
		}
		var ask VerifyRequest
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxVerifyBytes))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&ask); err != nil {
			writeProblem(w, r, log, problemOf(domain.Rejectf(domain.CodeMalformed, "", "reading what to verify: %v", err)))
			return
		}
		leave, err := seats.take(r.Context())
		if err != nil {
			writeProblem(w, r, log, problemOf(err))
			return
		}
		lines, control := json.NewEncoder(w), http.NewResponseController(w)
		told := time.Time{}
		say := func(line VerifyProgress) {
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.Header().Set("Cache-Control", "no-store")
			_ = lines.Encode(line) // who has gone away ends the request's context
			_ = control.Flush()
		}
		progress := func(done, total uint64) {
			if at := now(); at.Sub(told) >= verifyTold {
				told = at
				say(VerifyProgress{Done: done, Total: total})
			}
		}
		seated := func(ctx context.Context) (any, error) {
			defer leave() // before the last line: whoever has read that may ask again at once
			return verify(ctx, ask, progress)
		}
		report, err := seated(r.Context())
		if err != nil && told.IsZero() {
			writeProblem(w, r, log, problemOf(err))
			return
		}
		last := VerifyProgress{}
		if err != nil {
			log.WarnContext(r.Context(), "a verification could not be done", slog.Any("error", err))
			last.Error = err.Error()
		} else if last.Report, err = json.Marshal(report); err != nil {
			last.Error = err.Error()
		}
		say(last)
	})
}
