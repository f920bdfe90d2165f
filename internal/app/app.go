// Package app is the process as a library: it wires every component in one
// straight line, starts them, and stops them in order. Tests run it on port 0;
// cmd only translates flags, signals and exit codes.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain/rules"
	"github.com/tradetrail/tradetrail/graph"
	"github.com/tradetrail/tradetrail/graph/graphiql"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/casework"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/projections"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/web"
)

// A graceful stop takes at most 10 s: the projections take 2 s of them, see
// there, and what follows has its own share, so that whoever hangs does not take
// the time of those who come after.
const (
	drainRequests = 4 * time.Second
	endRequests   = time.Second // for those that were cut off, and for WebSockets, to notice
	closeStores   = 3 * time.Second
)

// The HTTP server's limits. There is none on the whole of writing, since subscriptions
// last: rest.Patient bounds each piece.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 2 * time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// App is one Tradetrail process.
type App struct {
	cfg      config.Config
	log      *slog.Logger
	registry *prometheus.Registry
	listener net.Listener
	handler  atomic.Pointer[http.Handler] // Starting until the stores are open
	stopping atomic.Bool
	plans    []plan // of the sources
	rules    *rules.Set

	dashboard *web.Dashboard

	// streams ends when the stop begins: subscriptions have no end of their own.
	streams    context.Context
	endStreams context.CancelFunc
	requests   sync.WaitGroup // under way, WebSockets included

	cleanups []cleanup // run in reverse order
}

type cleanup struct {
	name string
	run  func(ctx context.Context) error
}

// New binds the HTTP address and nothing else. Run must be called.
func New(ctx context.Context, cfg config.Config, log *slog.Logger) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if _, err := reportPlan(cfg); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", cfg.Listen, err)
	}
	a := &App{cfg: cfg, log: log, listener: listener, registry: prometheus.NewRegistry(), rules: rules.Default()}
	a.streams, a.endStreams = context.WithCancel(context.Background())
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if a.dashboard, err = web.New(buildVersion()); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	a.handler.Store(a.starting())
	return a, nil
}

// URL is where the HTTP server listens.
func (a *App) URL() string { return "http://" + a.listener.Addr().String() }

// Close gives the HTTP address back if Run is not called.
func (a *App) Close() error { return a.listener.Close() }

// Run opens the stores, serves until ctx ends, and stops: sources and projections
// first, then requests under way, then the stores. A component that
// ends by itself ends everything, and is the error.
func (a *App) Run(ctx context.Context) (err error) {
	defer a.endStreams()
	group, life := errgroup.WithContext(ctx)
	server := &http.Server{
		Handler:     rest.Patient(http.HandlerFunc(a.serve), rest.Patience, time.Now),
		ReadTimeout: readTimeout, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(a.listener) }()
	// HTTP was first up and is down before what it uses.
	defer func() {
		a.stopping.Store(true)
		a.endStreams()
		ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainRequests+endRequests)
		defer cancel()
		drain, cancel := context.WithTimeout(ended, drainRequests)
		defer cancel()
		if server.Shutdown(drain) != nil {
			// Whoever has not finished reading or writing by now is cut off, and knows.
			a.log.WarnContext(ctx, "requests were cut off")
			err = errors.Join(err, server.Close())
		}
		// Shutdown does not wait for WebSockets, nor Close for anybody: the stores must
		// not close under those who use them.
		a.awaitRequests(ended)
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeStores)
		defer cancel()
		err = errors.Join(err, a.cleanup(stop))
		a.log.InfoContext(ctx, "stopped")
	}()
	components, err := a.open() //nolint:contextcheck // what is opened here outlives ctx, until the cleanups
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	for _, c := range components {
		group.Go(func() error { return supervise(life, c) })
	}
	group.Go(func() error {
		select {
		case err := <-served:
			return fmt.Errorf("serving http: %w", err)
		case <-life.Done():
			return nil
		}
	})
	a.log.InfoContext(ctx, "serving", slog.String("url", a.URL()))
	return group.Wait()
}

// component runs until its context ends.
type component struct {
	name string
	run  func(ctx context.Context) error
	// ends says that the component may end by itself, without an error.
	ends bool
}

// supervise turns an early end and a panic of a component into errors.
func supervise(ctx context.Context, c component) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("running %s: panic: %v", c.name, p)
		}
	}()
	err = c.run(ctx)
	switch {
	case ctx.Err() != nil:
		return nil // asked to; what it says about being cancelled is no news
	case err != nil:
		return fmt.Errorf("running %s: %w", c.name, err)
	case !c.ends:
		return fmt.Errorf("running %s: ended by itself", c.name)
	default:
		return nil
	}
}

// open wires everything: store -> redis -> views -> projections -> http.
func (a *App) open() ([]component, error) {
	store, err := OpenStore(a.cfg, a.log)
	if err != nil {
		return nil, err
	}
	a.atStop("event store", func(context.Context) error { return store.Close() })
	recorder, err := ingest.NewRecorder(store.Store, a.log, time.Now, a.registry)
	if err != nil {
		return nil, err
	}
	a.atStop("recorder", func(ctx context.Context) error { recorder.Close(ctx); return nil })

	sources, err := a.openSources(recorder, store.Store)
	if err != nil {
		return nil, err
	}

	client, closeRedis, err := views.Open(a.cfg.Redis)
	if err != nil {
		return nil, err
	}
	a.atStop("redis", func(context.Context) error { return closeRedis() })
	set := views.NewSet(client, store.Store, a.log, views.Options{Keep: a.cfg.Keep})
	projection, err := projections.New(set, store.Store, client, a.log, a.registry)
	if err != nil {
		return nil, err
	}

	sealing, err := a.openLog(store.Store, client)
	if err != nil {
		return nil, err
	}
	checks := []rest.Check{
		{Name: "eventstore", Ready: func(ctx context.Context) error { _, err := store.Head(ctx); return err }},
		{Name: "redis", Ready: func(ctx context.Context) error { return client.Ping(ctx).Err() }},
		{Name: "projections", Ready: func(context.Context) error { return projection.Ready() }},
		{Name: "process", Ready: func(context.Context) error {
			if a.stopping.Load() {
				return errors.New("the service is stopping")
			}
			return nil
		}},
	}
	judging, judged, err := a.openDetection(recorder, store.Store, client)
	if err != nil {
		return nil, err
	}
	policy := authz.AllowAll{} // Validate lets nobody listen beyond this machine
	auditing, err := a.openAuditor(sealing, store.Store, set, recorder, policy)
	if err != nil {
		return nil, err
	}
	checks = append(append(append(append(checks, sourceChecks(sources)...), sealing.checks...), auditing.checks...), judged...)
	var makeBackup rest.MakeBackup
	if store.Node != nil {
		makeBackup = func(ctx context.Context, w io.Writer) error {
			if err := authz.Check(ctx, policy, authz.Operate, authz.Resource{Kind: "eventstore"}); err != nil {
				return err
			}
			return store.backup(a.log)(ctx, w)
		}
	}
	guarded, door := authz.NewViews(set, policy), authz.NewRecorder(recorder, policy)
	log := authz.NewLog(sealing.view, policy)
	reports, reporting, err := a.openReports(guarded, sealing.reporter, door)
	if err != nil {
		return nil, err
	}
	cases := casework.NewDesk(guarded, door, policy, time.Now)
	page, err := graphiql.New()
	if err != nil {
		return nil, err
	}
	events := rest.NewDoor(a.streams, door, rest.DefaultDoorLimits(), a.log, time.Now, a.registry)
	handler := a.routes(endpoints{
		events: events, graphql: events.Metered(graph.NewServer(door, guarded, reports, log, a.log, graph.WithCases(cases))), graphiql: page,
		audit: rest.NewAudit(guarded, reports, log, a.log, buildVersion(), rest.DefaultAuditLimits(), rest.WithCases(cases)), backup: rest.Backup(makeBackup, a.log), ready: rest.Ready(checks, a.log), tlog: rest.Log(sealing.files, log.Allowed, a.log),
		verify: rest.Verifying(auditing.verify, a.log, time.Now), integrity: rest.Integrity(auditing.standing, a.log), proof: rest.NewProof(sealing.proofs(policy), guarded, reports, a.log),
	})
	a.handler.Store(&handler)

	components := append(append(append(reporting, sealing.components...), auditing.components...), component{name: "projections", run: projection.Run})
	components = append(components, judging...)
	if store.Node != nil {
		components = append(components, component{name: "embedded event store", run: store.watch})
	}
	components = append(components, sourceComponents(sources)...)
	if a.cfg.Demo {
		components = append(components, component{name: "demo", run: func(ctx context.Context) error { return playDemo(ctx, recorder, time.Now, a.log) }, ends: true})
	}
	return components, nil
}

// endpoints are the handlers that are there when the stores are open.
type endpoints struct{ events, graphql, graphiql, audit, backup, ready, tlog, verify, integrity, proof http.Handler }

func (a *App) routes(to endpoints) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", rest.Alive(a.log))
	mux.Handle("GET /readyz", to.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.Handle("POST /v1/events", to.events)
	mux.Handle("/graphql", a.endWithStreams(http.MaxBytesHandler(to.graphql, ingest.MaxBodyBytes)))
	mux.Handle("/graphiql", to.graphiql)
	mux.Handle("/graphiql/", to.graphiql)
	audit := rest.NorReadByOtherSites(to.audit, a.log)
	mux.Handle("/audit/", audit)
	mux.Handle("/audit/live", a.endAtStop(audit))
	mux.Handle("GET /audit/integrity", rest.NorReadByOtherSites(to.integrity, a.log))
	mux.Handle("GET /audit/proof/", rest.NorReadByOtherSites(a.endAtStop(to.proof), a.log))
	mux.Handle("/openapi.json", audit)
	mux.Handle("GET /log/", rest.NorReadByOtherSites(to.tlog, a.log))
	mux.Handle("POST /admin/backup", a.endAtStop(to.backup))
	mux.Handle("POST /admin/verify", a.endAtStop(to.verify))
	a.serveDashboard(mux)

	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "tradetrail_http_seconds", Help: "Duration of HTTP requests; subscriptions count when they end.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
	}, []string{"code", "method"})
	a.registry.MustRegister(seconds)
	// Browsers may be led here by pages of other sites: what they send is refused.
	return promhttp.InstrumentHandlerDuration(seconds, rest.Secure(a.ourHost(rest.NotFromOtherSites(asDeveloper(rest.Routed(mux, a.log)), a.log))))
}

// asDeveloper makes every request one of the local developer's, until there is
// authentication.
func asDeveloper(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(authz.With(r.Context(), authz.Developer)))
	})
}

// ourHost refuses requests for other host names while the server listens on
// loopback: a page of another site may have made its own name point here (DNS
// rebinding), and would then count as the same origin.
func (a *App) ourHost(next http.Handler) http.Handler {
	if a.cfg.InsecureListen {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = strings.Trim(r.Host, "[]")
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			rest.Misdirected(w, r, a.log)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *App) serve(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	defer a.requests.Done()
	(*a.handler.Load()).ServeHTTP(w, r)
}

// endWithStreams ends requests that would last for ever when the stop begins;
// queries and mutations under way may finish.
func (a *App) endWithStreams(next http.Handler) http.Handler {
	lasting := a.endAtStop(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" || strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			lasting.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// endAtStop ends requests when the stop begins, however far they are.
func (a *App) endAtStop(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(a.streams, cancel)() //nolint:contextcheck // the stop ends the request too
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// awaitRequests waits until no request is under way: those that last have told
// their clients to come back.
func (a *App) awaitRequests(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		a.requests.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		a.log.WarnContext(ctx, "requests are still under way while the stores close")
	}
}

func (a *App) atStop(name string, run func(context.Context) error) {
	a.cleanups = append(a.cleanups, cleanup{name, run})
}

// cleanup runs the cleanups, the last one first, each within what is left of the
// time: a hanging one is reported by name and left behind.
func (a *App) cleanup(ctx context.Context) error {
	var problems []error
	var once sync.Once
	for _, c := range slices.Backward(a.cleanups) {
		done := make(chan error, 1)
		go func() { done <- c.run(ctx) }()
		select {
		case err := <-done:
			if err != nil {
				problems = append(problems, fmt.Errorf("stopping %s: %w", c.name, err))
			}
		case <-ctx.Done():
			once.Do(func() { problems = append(problems, fmt.Errorf("stopping %s: %w", c.name, ctx.Err())) })
		}
	}
	return errors.Join(problems...)
}
