package rest

import (
	"log/slog"
	"net/http"
	"strings"
)

// Routed is a mux that refuses unknown paths and methods with problem documents.
func Routed(mux *http.ServeMux, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		refused := refusal{header: w.Header()}
		refuse.ServeHTTP(&refused, r)
		if refused.status == http.StatusMethodNotAllowed {
			methodNotAllowed(w, r, log, w.Header().Get("Allow"))
			return
		}
		writeProblem(w, r, log, newProblem(http.StatusNotFound, "no_such_endpoint", "there is nothing at this path; /openapi.json says what there is"))
	})
}

func methodNotAllowed(w http.ResponseWriter, r *http.Request, log *slog.Logger, allow string) {
	w.Header().Set("Allow", allow)
	writeProblem(w, r, log, newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this path takes "+strings.ReplaceAll(allow, ",", " and")))
}

// refusal takes the status and the headers of an answer, and not its text.
type refusal struct {
	header http.Header
	status int
}

func (r *refusal) Header() http.Header         { return r.header }
func (r *refusal) WriteHeader(status int)      { r.status = status }
func (r *refusal) Write(p []byte) (int, error) { return len(p), nil }
