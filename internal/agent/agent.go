// Package agent is the client's spool for systems in other languages: it takes
// events over HTTP on this machine, answers when they are in the spool, and
// forwards them.
package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tradetrail/tradetrail/client"
	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// Recorder is the client.
type Recorder interface {
	Record(ctx context.Context, e *client.Event) error
	Stats() client.Stats
}

// Agent answers the requests of one machine.
type Agent struct {
	recorder Recorder
	level    client.Sync
	source   string
	now      func() time.Time
	log      *slog.Logger
	bodies   chan struct{} // as many as are in memory
}

const (
	// maxBodies bounds the memory: a body has up to ingest.MaxBodyBytes, and its
	// events as much again and more.
	maxBodies = 4
	// recordTimeout is how long the events of a body may wait for room.
	recordTimeout = 30 * time.Second
	// maxRaw is how much of what is no event is kept: in base64 it fits into one.
	maxRaw = domain.MaxEventBytes * 2 / 3
)

// New makes an agent. level is the policy of the recorder's spool, and source the
// name under which it sends.
func New(recorder Recorder, level client.Sync, source string, now func() time.Time, log *slog.Logger) *Agent {
	return &Agent{recorder: recorder, level: level, source: source, now: now, log: log, bodies: make(chan struct{}, maxBodies)}
}

// receipt answers one event. Without a status it was not taken: send the whole
// body again. By itself an event without an id could get that of an equal one.
type receipt struct {
	Line    int          `json:"line"`
	EventID string       `json:"event_id,omitzero"`
	Status  string       `json:"status,omitzero"` // spooled or rejected
	Error   *problemPart `json:"error,omitzero"`
}

type problemPart struct {
	Code    string `json:"code"`
	Field   string `json:"field,omitzero"`
	Message string `json:"message"`
}

type answer struct {
	Spooled    int       `json:"spooled"`
	Rejected   int       `json:"rejected"`
	Durability string    `json:"durability"` // what the events survive
	Receipts   []receipt `json:"receipts"`
}

// durability says what an event that was spooled survives.
func durability(level client.Sync) string {
	if level == client.SyncEach {
		return "machine" // it is on disk
	}
	return "process" // it is in the page cache, and on disk soon
}

// Handler is POST /v1/events, /healthz, /readyz and /metrics.
//
// POST /v1/events takes what the service takes. 202: every event is in the spool
// and has its id, which stays the same when the body is sent again. 422: some are
// no events; what they were is in the spool too, for the service's quarantine. 503
// with Retry-After: there is no room for those without status, or too many bodies
// are under way; send the whole body again.
func (a *Agent) Handler() (http.Handler, error) {
	registry, err := newMetrics(a.recorder)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", a.events)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		a.write(w, r, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return notFromABrowser(mux), nil
}

// notFromABrowser refuses what a page of some site may have sent: there is no page
// of ours that would.
func notFromABrowser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			http.Error(w, "browsers are not served", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *Agent) ready(w http.ResponseWriter, r *http.Request) {
	if a.recorder.Stats().Full {
		a.write(w, r, http.StatusServiceUnavailable, map[string]string{"status": "the spool is full"})
		return
	}
	a.write(w, r, http.StatusOK, map[string]string{"status": "ok"})
}

func (a *Agent) events(w http.ResponseWriter, r *http.Request) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		a.write(w, r, http.StatusUnsupportedMediaType, map[string]string{"detail": "send the body as it is: it does not leave the machine"})
		return
	}
	select {
	case a.bodies <- struct{}{}:
		defer func() { <-a.bodies }()
	default:
		w.Header().Set("Retry-After", "1")
		a.write(w, r, http.StatusServiceUnavailable, map[string]string{"detail": "too many bodies are under way"})
		return
	}
	items, err := ingest.ParseBody(r.Body, ingest.FramingGuess)
	if err != nil {
		a.write(w, r, http.StatusBadRequest, map[string]string{"detail": "the body ended early"})
		return
	}
	out, status := answer{Durability: durability(a.level), Receipts: make([]receipt, len(items))}, http.StatusAccepted
	ctx, cancel := context.WithTimeout(r.Context(), recordTimeout)
	defer cancel()
	seen := make(map[[sha256.Size]byte]int) // events without an id, by what they say
	for i, item := range items {
		out.Receipts[i] = receipt{Line: item.Line}
		if status == http.StatusServiceUnavailable {
			continue // in order, or not at all
		}
		event, err := a.identified(item, seen)
		if err == nil {
			err = a.recorder.Record(ctx, event)
		}
		if rejection, ok := rejectionIn(err); ok && item.Err == nil { // too large, once it is written out
			item.Err = rejection
			err = a.recorder.Record(ctx, a.quarantined(item))
		}
		switch {
		case err != nil:
			a.log.WarnContext(r.Context(), "an event was not taken", slog.Any("error", err))
			w.Header().Set("Retry-After", "1")
			status = http.StatusServiceUnavailable
		case item.Err != nil:
			out.Rejected++
			status = http.StatusUnprocessableEntity
			out.Receipts[i].Status = "rejected"
			out.Receipts[i].Error = &problemPart{Code: item.Err.Code, Field: item.Err.Field, Message: item.Err.Message}
		default:
			out.Spooled++
			out.Receipts[i].Status, out.Receipts[i].EventID = "spooled", event.ID
		}
	}
	a.write(w, r, status, out)
}

// identified is the event with an id, or the one that keeps what is none. An id is
// derived as the service would: the same body, sent again, is the same events.
func (a *Agent) identified(item ingest.Item, seen map[[sha256.Size]byte]int) (*client.Event, error) {
	if item.Err != nil {
		return a.quarantined(item), nil //nolint:nilerr // the event keeps the error
	}
	event := item.Event
	if event.ID != "" {
		return event, nil
	}
	digest, err := event.Digest()
	if err != nil {
		return nil, fmt.Errorf("identifying line %d: %w", item.Line, err)
	}
	with := *event
	with.ID = ingest.DeriveID("agent:"+a.source, digest, seen[digest])
	seen[digest]++
	return &with, nil
}

// quarantined is the event that keeps what is none, or its beginning.
func (a *Agent) quarantined(item ingest.Item) *client.Event {
	item.Cut = item.Cut || len(item.Raw) > maxRaw
	event := ingest.Quarantine("agent:"+a.source, item, a.now())
	event.Raw = event.Raw[:min(len(event.Raw), maxRaw)]
	return event
}

// rejectionIn is what is wrong with an event; a closed recorder says nothing of it.
func rejectionIn(err error) (*domain.Error, bool) {
	if errors.Is(err, client.ErrClosed) || domain.ClassOf(err) != domain.ClassRejected {
		return nil, false
	}
	return errors.AsType[*domain.Error](err)
}

func (a *Agent) write(w http.ResponseWriter, r *http.Request, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		a.log.ErrorContext(r.Context(), "encoding an answer", slog.Any("error", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(raw); err != nil {
		a.log.DebugContext(r.Context(), "writing an answer", slog.Any("error", err))
	}
}
