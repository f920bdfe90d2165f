package rest

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/tlog"
)

// Views are the read models.
type Views interface {
	Now() time.Time
	Await(ctx context.Context, position domain.Position) error
	Chain(ctx context.Context, order string) (chain domain.Chain, archived int, ok bool, err error)
	Search(ctx context.Context, q views.Query) (views.Found, error)
	SearchAnomalies(ctx context.Context, q views.AnomalyQuery) (views.FoundAnomalies, error)
	Anomaly(ctx context.Context, id string) (views.AnomalyRecord, bool, error)
	Heatmap(ctx context.Context, q views.HeatmapQuery) (views.Heatmap, error)
	ParkedCounts(ctx context.Context) (map[string]int64, error)
	FollowOwner(ctx context.Context, kind, id string, after *domain.Position) (iter.Seq2[domain.Located, error], error)
	FollowChain(ctx context.Context, order string, after *domain.Position) (iter.Seq2[domain.Located, error], error)
}

// Seals say how far events are sealed.
type Seals interface {
	State() (state tlog.State, changed <-chan struct{})
}

// unsealed is for a server that knows of no transparency log.
type unsealed struct{}

func (unsealed) State() (tlog.State, <-chan struct{}) { return tlog.State{}, nil }

func orNone(seals Seals) Seals {
	if seals == nil {
		return unsealed{}
	}
	return seals
}

// AuditLimits bound what answers may take.
type AuditLimits struct {
	// KeepAlive is how often a live feed says that it is alive.
	KeepAlive time.Duration
	// Fresh is how long a request waits for what it must not be older than.
	Fresh time.Duration
	// Answer is how long an answer, or one page of an export, may take to be found.
	Answer time.Duration
	// Report is how long a request for a report waits for it; longer ones go on without it.
	Report time.Duration

	Turns                    int // answers that are being found at a time
	Questions, QuestionsEach int // and those with the ones that wait for it: of all, and of one principal
	Feeds, FeedsEach         int // live feeds at a time: of all, and of one principal
	Exports, ExportsEach     int
}

// DefaultAuditLimits are those of a server.
func DefaultAuditLimits() AuditLimits {
	return AuditLimits{
		KeepAlive: 15 * time.Second, Fresh: 5 * time.Second, Answer: 10 * time.Second, Report: defaultReport,
		Turns: 64, Questions: 1024, QuestionsEach: 512,
		Feeds: 4096, FeedsEach: 256, Exports: 16, ExportsEach: 4,
	}
}

// maxQuestionBytes bounds the body of a question; only acts on anomalies have one.
const maxQuestionBytes = 64 << 10

// Audit answers the questions below /audit, and /openapi.json.
type Audit struct {
	views          Views
	reports        Reports // nil: there are none
	cases          Cases   // nil: likewise
	seals          Seals
	log            *slog.Logger
	build          string // the version of what writes the answers
	limits         AuditLimits
	feeds, exports *seats
	questions      *seats
	turns          chan struct{}
	openAPI        []byte
	handler        http.Handler
}

// AuditOption is what an Audit may have besides.
type AuditOption func(*Audit)

// WithCases lets people do something about anomalies.
func WithCases(cases Cases) AuditOption { return func(a *Audit) { a.cases = cases } }

// NewAudit makes the handler. build is the version of what runs, for
// /openapi.json and entity tags; reports and seals may be nil.
func NewAudit(views Views, reports Reports, seals Seals, log *slog.Logger, build string, limits AuditLimits, options ...AuditOption) *Audit {
	a := &Audit{
		views: views, reports: reports, seals: orNone(seals), log: log, build: build, limits: limits,
		feeds:     newSeats("feeds", limits.Feeds, limits.FeedsEach),
		exports:   newSeats("exports", limits.Exports, limits.ExportsEach),
		questions: newSeats("questions", limits.Questions, limits.QuestionsEach),
		turns:     make(chan struct{}, limits.Turns),
		openAPI:   openAPIOf(build),
	}
	for _, option := range options {
		option(a)
	}
	mux := http.NewServeMux()
	for _, route := range a.routes() {
		mux.Handle(route.method+" "+route.path, a.answer(route))
	}
	a.handler = Routed(mux, log)
	return a
}

func (a *Audit) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// route is one endpoint: what is registered, and what openapi.json describes.
type route struct {
	method, path string
	parameters   []string // that the query may have
	answer       func(w http.ResponseWriter, r *http.Request, q query) error
}

// routes is the one list of all endpoints.
func (a *Audit) routes() []route {
	owner := func(path, parameter string) route {
		return route{http.MethodGet, path, without(listParameters(), parameter), a.list(func(r *http.Request, f *views.Query) {
			id := []string{r.PathValue("id")}
			switch parameter {
			case "account":
				f.Accounts = id
			case "strategy":
				f.Strategies = id
			case "user":
				f.Users = id
			case "ticker":
				f.Tickers = id
			}
		})}
	}
	return []route{
		{http.MethodGet, "/audit/chain/{order_id}", []string{"not_older_than"}, a.chain},
		owner("/audit/account/{id}", "account"),
		owner("/audit/strategy/{id}", "strategy"),
		owner("/audit/user/{id}", "user"),
		owner("/audit/instrument/{id}", "ticker"),
		{http.MethodGet, "/audit/entity/{type}/{id}", without(listParameters(), "entity_type", "entity_id"), a.list(func(r *http.Request, f *views.Query) {
			f.EntityType, f.EntityID = r.PathValue("type"), r.PathValue("id")
		})},
		{http.MethodGet, "/audit/events", listParameters(), a.list(func(*http.Request, *views.Query) {})},
		{http.MethodGet, "/audit/anomalies", append(without(listParameters(), "type"), anomalyLists()...), a.listOf(a.anomalies)},
		{http.MethodGet, "/audit/anomalies/{id}", []string{"not_older_than"}, a.anomaly},
		{http.MethodPost, "/audit/anomalies/{id}/acknowledge", nil, a.act(domain.AnomalyAcknowledged)},
		{http.MethodPost, "/audit/anomalies/{id}/assign", nil, a.act(domain.AnomalyAssigned)},
		{http.MethodPost, "/audit/anomalies/{id}/comment", nil, a.act(domain.AnomalyCommented)},
		{http.MethodPost, "/audit/anomalies/{id}/dismiss", nil, a.act(domain.AnomalyDismissed)},
		{http.MethodGet, "/audit/heatmap", heatmapParameters(), a.heatmap},
		{http.MethodGet, "/audit/live", liveParameters(), a.live},
		{http.MethodPost, "/audit/report", reportParameters(), a.anyReport},
		{http.MethodPost, "/audit/report/{order_id}", []string{"format", "not_older_than"}, a.orderReport},
		{http.MethodGet, reportsPath + "{id}", nil, a.reportJob},
		{http.MethodGet, reportsPath + "{id}/content", nil, a.reportContent},
		{http.MethodGet, "/openapi.json", nil, a.describe},
	}
}

// answer is a route's handler: it refuses a query that the route does not know, and
// turns errors into problem documents.
func (a *Audit) answer(route route) http.Handler {
	return http.MaxBytesHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := parseQuery(r.URL.RawQuery, route.parameters)
		if err == nil {
			err = a.fresh(r.Context(), q)
		}
		if err == nil {
			err = route.answer(w, r, q)
		}
		if err == nil || r.Context().Err() != nil {
			return
		}
		if class := domain.ClassOf(err); class != domain.ClassRejected && class != domain.ClassNotFound && class != domain.ClassDenied && !errors.Is(err, errOverloaded) {
			a.log.WarnContext(r.Context(), "a question was not answered", slog.String("path", route.path), slog.Any("error", err))
		}
		writeProblem(w, r, a.log, problemOf(err))
	}), maxQuestionBytes)
}

// fresh waits until the read models have come to a position.
func (a *Audit) fresh(ctx context.Context, q query) error {
	position, ok, err := q.position("not_older_than")
	if err != nil || !ok {
		return err
	}
	return a.await(ctx, position)
}

func (a *Audit) await(ctx context.Context, position domain.Position) error {
	ctx, cancel := context.WithTimeout(ctx, a.limits.Fresh)
	defer cancel()
	return a.views.Await(ctx, position)
}
