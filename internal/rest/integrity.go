package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/tradetrail/tradetrail/domain"
)

// Standing tells what was verified by now, and at most limit certificates of days before
// a day; before may be empty.
type Standing func(ctx context.Context, before string, limit int) (standing any, err error)

// certificatesShown is how many certificates are told if the request does not say.
const certificatesShown = 31

// Integrity is GET /audit/integrity: what the auditor of this process has verified, its
// verdict, and the certificates of days. standing is nil in a process without the log.
func Integrity(standing Standing, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if standing == nil {
			writeProblem(w, r, log, newProblem(http.StatusNotImplemented, "no_log", "this server writes no transparency log: ask the one that does"))
			return
		}
		body, err := standingOf(r, standing)
		if err != nil {
			writeProblem(w, r, log, problemOf(err))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(append(body, '\n')) //nolint:gosec // JSON, which no browser takes for a page
	})
}

func standingOf(r *http.Request, standing Standing) ([]byte, error) {
	asked, err := parseQuery(r.URL.RawQuery, []string{"before", "limit"})
	if err != nil {
		return nil, err
	}
	limit := certificatesShown
	if text := asked.text("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil {
			return nil, domain.Rejectf(domain.CodeInvalid, "limit", "%.40q is no number", text)
		}
	}
	found, err := standing(r.Context(), asked.text("before"), limit)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(found)
	if err != nil {
		return nil, fmt.Errorf("encoding what was verified: %w", err)
	}
	return body, nil
}
