package rest

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Check is one thing that must be well for the service to be ready.
type Check struct {
	Name string
	// Ready returns why not, or nil. It is called at each request to /readyz.
	Ready func(ctx context.Context) error
	// Advisory shows the outcome, and leaves the service ready whatever it is.
	Advisory bool
}

// checkTimeout bounds all checks of one request together.
const checkTimeout = 3 * time.Second

// Alive is /healthz: the process answers.
func Alive(log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		write(w, r, log, http.StatusOK, "application/json", map[string]string{"status": "ok"})
	})
}

// Ready is /readyz: 200 when every check passes that is not advisory, 503 with the
// reasons otherwise.
func Ready(checks []Check, log *slog.Logger) http.Handler {
	type outcome struct {
		Name   string `json:"name"`
		Status string `json:"status"`
		Reason string `json:"reason,omitzero"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		status := http.StatusOK
		body := struct {
			Status string    `json:"status"`
			Checks []outcome `json:"checks"`
		}{Status: "ready"}
		// Side by side: a slow one must not use up the time of the others.
		errs := make([]error, len(checks))
		var running sync.WaitGroup
		for i, check := range checks {
			running.Go(func() { errs[i] = check.Ready(ctx) })
		}
		running.Wait()
		for i, check := range checks {
			o := outcome{Name: check.Name, Status: "ok"}
			if errs[i] != nil {
				o.Status, o.Reason = "failing", errs[i].Error()
				if !check.Advisory {
					status, body.Status = http.StatusServiceUnavailable, "not ready"
				}
			}
			body.Checks = append(body.Checks, o)
		}
		write(w, r, log, status, "application/json", body)
	})
}

// Misdirected answers a request for a host name that is not ours.
func Misdirected(w http.ResponseWriter, r *http.Request, log *slog.Logger) {
	writeProblem(w, r, log, newProblem(http.StatusMisdirectedRequest, "misdirected", "this server answers to localhost and to loopback addresses"))
}

// Starting answers everything while the service opens its stores.
func Starting(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", Alive(log))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, r, log, newProblem(http.StatusServiceUnavailable, "starting", "the service is starting"))
	})
	return mux
}
