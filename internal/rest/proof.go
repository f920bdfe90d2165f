package rest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/prove"
)

// Proofs writes proof bundles.
type Proofs interface {
	Event(ctx context.Context, to io.Writer, id uuid.UUID, stream string, o prove.Options) error
	EventAt(ctx context.Context, to io.Writer, id uuid.UUID, at domain.Position, o prove.Options) error
	Order(ctx context.Context, to io.Writer, order string, related []domain.Position, o prove.Options) error
	Window(ctx context.Context, to io.Writer, from, until time.Time, o prove.Options) error
}

// Chains tell what an order refers to.
type Chains interface {
	Chain(ctx context.Context, order string) (chain domain.Chain, archived int, ok bool, err error)
}

// ProvenReports give the proof bundles of reports that were made.
type ProvenReports interface {
	Bundle(ctx context.Context, id string, to io.Writer) error
}

// Proof answers GET /audit/proof/event/{id}, /audit/proof/order/{id},
// /audit/proof/window and /audit/proof/report/{id}: proof bundles, streamed.
type Proof struct {
	proofs  Proofs
	chains  Chains
	reports ProvenReports
	log     *slog.Logger
	seats   *seats
	mux     *http.ServeMux
}

// What is proven at a time, in all and for one principal: an event whose stream is
// not named is searched for through the whole log.
const proofsAtATime, proofsEach = 8, 2

// NewProof makes the handler. Without proofs, which may be nil, it says that this
// process has no log.
func NewProof(proofs Proofs, chains Chains, reports ProvenReports, log *slog.Logger) *Proof {
	p := &Proof{proofs: proofs, chains: chains, reports: reports, log: log, seats: newSeats("proofs", proofsAtATime, proofsEach), mux: http.NewServeMux()}
	for _, route := range p.routes() {
		p.mux.HandleFunc("GET "+route.path, p.answer(route.parameters, route.write))
	}
	return p
}

// provingRoute is one kind of bundle.
type provingRoute struct {
	path       string
	parameters []string
	write      proving
}

func (p *Proof) routes() []provingRoute {
	return []provingRoute{
		{"/audit/proof/event/{id}", []string{"redact", "checkpoint", "stream", "position"}, p.event},
		{"/audit/proof/order/{id}", []string{"redact", "checkpoint"}, p.order},
		{"/audit/proof/window", []string{"redact", "checkpoint", "from", "to"}, p.window},
		{"/audit/proof/report/{id}", nil, p.report},
	}
}

func (p *Proof) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	Routed(p.mux, p.log).ServeHTTP(w, r)
}

type proving func(r *http.Request, q query, to io.Writer, o prove.Options) error

func (p *Proof) answer(parameters []string, write proving) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.proofs == nil {
			writeProblem(w, r, p.log, newProblem(http.StatusNotImplemented, "no_log", "this server does not write the transparency log: ask the one that does"))
			return
		}
		// Whoever does not read any more must not keep a seat.
		control := http.NewResponseController(w)
		defer context.AfterFunc(r.Context(), func() { _ = control.SetWriteDeadline(time.Unix(1, 0)) })()
		out := &attachment{w: w, media: "application/json", file: "proof.json"}
		err := p.write(r, parameters, write, out)
		switch {
		case err == nil:
		case out.begun:
			p.log.WarnContext(r.Context(), "a proof was cut off", slog.Any("error", err))
			panic(http.ErrAbortHandler) // the only way to tell a client that what it has is not all
		default:
			if class := domain.ClassOf(err); class != domain.ClassRejected && class != domain.ClassNotFound && class != domain.ClassDenied {
				p.log.ErrorContext(r.Context(), "a proof could not be made", slog.Any("error", err))
			}
			writeProblem(w, r, p.log, problemOf(err))
		}
	}
}

func (p *Proof) write(r *http.Request, parameters []string, write proving, out io.Writer) error {
	q, err := parseQuery(r.URL.RawQuery, parameters)
	if err != nil {
		return err
	}
	leave, err := p.seats.take(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	o := prove.Options{Older: q.text("checkpoint")}
	switch text := q.text("redact"); text {
	case "", "false":
	case "true":
		o.Redact = true
	default:
		return domain.Rejectf(domain.CodeInvalid, "redact", "%.20q is neither true nor false", text)
	}
	return write(r, q, out, o)
}

// event is looked for through the log, unless its stream or a position says where it
// stands.
func (p *Proof) event(r *http.Request, q query, to io.Writer, o prove.Options) error {
	event := domain.Event{ID: r.PathValue("id")}
	text, stream := q.text("position"), q.text("stream")
	if text == "" {
		return p.proofs.Event(r.Context(), to, event.StoreID(), stream, o)
	}
	at, err := domain.ParsePosition(text)
	switch {
	case err != nil:
		return domain.Rejectf(domain.CodeInvalid, "position", "%.64q is no position such as C:120/P:120", text)
	case stream != "":
		return domain.Rejectf(domain.CodeInvalid, "stream", "a position says where the event stands: name one of the two")
	}
	return p.proofs.EventAt(r.Context(), to, event.StoreID(), at, o)
}

func (p *Proof) order(r *http.Request, _ query, to io.Writer, o prove.Options) error {
	id := r.PathValue("id")
	chain, _, ok, err := p.chains.Chain(r.Context(), id)
	if err != nil {
		return err
	}
	if !ok {
		return &domain.Error{Class: domain.ClassNotFound, Code: "unknown_order", Field: "order_id", Message: fmt.Sprintf("no event names order %.64q", id)}
	}
	places := make([]domain.Position, len(chain.Steps))
	for i, step := range chain.Steps {
		places[i] = step.Position
	}
	return p.proofs.Order(r.Context(), to, id, places, o)
}

func (p *Proof) report(r *http.Request, _ query, to io.Writer, _ prove.Options) error {
	return p.reports.Bundle(r.Context(), r.PathValue("id"), to)
}

func (p *Proof) window(r *http.Request, q query, to io.Writer, o prove.Options) error {
	from, err := q.neededMoment("from")
	if err != nil {
		return err
	}
	until, err := q.neededMoment("to")
	if err != nil {
		return err
	}
	return p.proofs.Window(r.Context(), to, from, until, o)
}

// attachment sends its headers with the first byte: until then a problem can be told.
type attachment struct {
	w           http.ResponseWriter
	media, file string
	begun       bool
}

func (d *attachment) Write(p []byte) (int, error) {
	if !d.begun {
		d.begun = true
		d.w.Header().Set("Content-Type", d.media)
		d.w.Header().Set("Content-Disposition", `attachment; filename="`+d.file+`"`)
		d.w.Header().Set("X-Content-Type-Options", "nosniff")
		d.w.Header().Set("Cache-Control", "no-store")
	}
	return d.w.Write(p)
}
