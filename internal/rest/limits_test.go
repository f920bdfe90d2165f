package rest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// slow are views that answer when they are let, or not at all.
type slow struct {
	rest.Views

	asked, let chan struct{}
}

func (s slow) wait(ctx context.Context) error {
	s.asked <- struct{}{}
	select {
	case <-s.let:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reading: %w", ctx.Err())
	}
}

func (s slow) Search(ctx context.Context, q views.Query) (views.Found, error) {
	if err := s.wait(ctx); err != nil {
		return views.Found{}, err
	}
	return s.Views.Search(ctx, q)
}

func (s slow) Heatmap(ctx context.Context, q views.HeatmapQuery) (views.Heatmap, error) {
	if err := s.wait(ctx); err != nil {
		return views.Heatmap{}, err
	}
	return s.Views.Heatmap(ctx, q)
}

func (s slow) Chain(ctx context.Context, order string) (domain.Chain, int, bool, error) {
	if err := s.wait(ctx); err != nil {
		return domain.Chain{}, 0, false, err
	}
	return s.Views.Chain(ctx, order)
}

func slowly(s *slow) func(rest.Views) rest.Views {
	s.asked, s.let = make(chan struct{}, 100), make(chan struct{})
	return func(v rest.Views) rest.Views {
		s.Views = v
		return s
	}
}

func TestQuestions_HaveATimeLimit(t *testing.T) {
	t.Parallel()
	d := openDesk(t, nil, deskOptions{wrap: slowly(new(slow)), limits: func(l *rest.AuditLimits) { l.Answer = time.Millisecond }})
	for _, c := range []struct{ path, accept string }{
		{"/audit/events", "application/json"},
		{"/audit/events", ndjsonType},
		{"/audit/account/A?limit=5", csvType},
		{"/audit/chain/o1", "application/json"},
		{"/audit/heatmap?from=2026-03-02&to=2026-03-03", "application/json"},
		{"/audit/live?account=A", "text/event-stream"},
	} {
		r := d.get(c.path, "Accept", c.accept)
		assert.Equal(t, http.StatusServiceUnavailable, r.status, c.path)
		assert.Equal(t, "timeout", field(r.json(t), "code"), c.path)
		assert.NotEmpty(t, r.header.Get("Retry-After"), c.path)
	}
}

// While as many answers are being found as may be, others wait, a bounded number of
// them; and not for longer than an answer takes.
func TestQuestions_AreBounded(t *testing.T) {
	t.Parallel()
	views := new(slow)
	d := openDesk(t, nil, deskOptions{wrap: slowly(views), limits: func(l *rest.AuditLimits) { l.Turns, l.QuestionsEach = 1, 2 }})
	statuses := make(chan int, 3)
	ask := func() {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/audit/events", nil)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			statuses <- 0
			return
		}
		_ = response.Body.Close()
		statuses <- response.StatusCode
	}
	go ask()
	<-views.asked
	go ask()
	go ask()
	assert.Equal(t, http.StatusTooManyRequests, <-statuses, "of two one may wait")
	assert.Empty(t, views.asked, "two answers are being found")
	close(views.let)
	assert.Equal(t, http.StatusOK, <-statuses)
	assert.Equal(t, http.StatusOK, <-statuses)
}

func TestQuestions_DoNotWaitForever(t *testing.T) {
	t.Parallel()
	d := openDesk(t, nil, deskOptions{limits: func(l *rest.AuditLimits) { l.Turns, l.Answer = 0, time.Millisecond }})
	r := d.get("/audit/chain/o1")
	assert.Equal(t, http.StatusServiceUnavailable, r.status)
	assert.Equal(t, "overloaded", field(r.json(t), "code"))
}

// Over HTTP/1.0 half an answer looks like all of it.
func TestLastingAnswers_NeedHTTP11(t *testing.T) {
	t.Parallel()
	d := openDesk(t, nil, deskOptions{})
	d.apply(0)
	for path, want := range map[string]int{"/audit/events": 505, "/audit/live?account=A": 505, "/audit/events?limit=5": 200} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: x\r\nAccept: %s, text/event-stream;q=0.5\r\n\r\n", path, ndjsonType)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, want, response.StatusCode, path)
		if want != http.StatusOK {
			assert.Equal(t, "http_version", field(reply{body: body}.json(t), "code"), path)
		}
	}
}

// parking are views that have parked events, or don't tell.
type parking struct {
	rest.Views

	err error
}

func (p parking) ParkedCounts(context.Context) (map[string]int64, error) {
	return map[string]int64{"accounts": 2, "chains": 3, "daily": 0}, p.err
}

func TestAnswers_TellWhatIsParked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		parked string
	}{
		"some":   {nil, 200, "3"},
		"denied": {authz.Denied(authz.Read, authz.Resource{Kind: "projections"}), 200, ""},
		"away":   {&domain.Error{Class: domain.ClassTransient, Code: "views_unavailable", Message: "away"}, 503, ""},
		"broken": {errors.New("no"), 500, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDesk(t, viewstest.Log(viewstest.History(7, 20)), deskOptions{wrap: func(v rest.Views) rest.Views { return parking{v, c.err} }})
			d.apply(20)
			for _, accept := range []string{"application/json", ndjsonType} {
				r := d.get("/audit/events", "Accept", accept)
				assert.Equal(t, c.status, r.status)
				assert.Equal(t, c.parked, r.header.Get("Tradetrail-Parked"))
			}
		})
	}
	d := openDesk(t, viewstest.Log(viewstest.History(7, 20)), deskOptions{})
	d.apply(20)
	assert.Equal(t, "0", d.get("/audit/events").header.Get("Tradetrail-Parked"))
}

// A feed that begins while the views catch up says where it begins all the same.
func TestLive_WaitsForTheViews(t *testing.T) {
	t.Parallel()
	catchingUp := &domain.Error{Class: domain.ClassTransient, Code: "views_catching_up", Message: "not yet"}
	var looks atomic.Int32
	log := viewstest.Log(viewstest.History(7, 20))
	d := openDesk(t, log, deskOptions{wrap: func(v rest.Views) rest.Views {
		return &hooked{Views: v, before: func(views.Query) (views.Found, bool, error) {
			return views.Found{}, looks.Add(1) == 1, catchingUp
		}}
	}})
	d.apply(20)
	opened, ok := d.follow("account=A").next()
	require.True(t, ok)
	assert.Equal(t, log[19].Position.String(), opened.id)

	behind := openDesk(t, nil, deskOptions{wrap: func(v rest.Views) rest.Views {
		return &hooked{Views: v, before: func(views.Query) (views.Found, bool, error) { return views.Found{}, true, catchingUp }}
	}, limits: func(l *rest.AuditLimits) { l.Fresh = time.Millisecond }})
	r := behind.get("/audit/live?account=A")
	assert.Equal(t, http.StatusServiceUnavailable, r.status, "a feed without a beginning")
}

// panicking are views whose readers have a defect.
type panicking struct{ rest.Views }

func (panicking) FollowOwner(context.Context, string, string, *domain.Position) (iter.Seq2[domain.Located, error], error) {
	return func(func(domain.Located, error) bool) { panic("defect") }, nil
}

func TestLive_ADefectEndsOneFeed(t *testing.T) {
	t.Parallel()
	d := openDesk(t, nil, deskOptions{wrap: func(v rest.Views) rest.Views { return panicking{v} }})
	feed := d.follow("account=A&after=C:0/P:0")
	_, ok := feed.next()
	require.True(t, ok)
	m, ok := feed.next()
	assert.False(t, ok, "%v", m)
	assert.Equal(t, http.StatusOK, d.get("/openapi.json").status, "the process is there")
}

func TestOtherSites_AreRefused(t *testing.T) {
	t.Parallel()
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	writes, reads := rest.NotFromOtherSites(ok, quiet), rest.NorReadByOtherSites(ok, quiet)
	for _, c := range []struct {
		method, header, value string
		write, read           int
	}{
		{"GET", "Sec-Fetch-Site", "cross-site", 200, 403},
		{"GET", "Sec-Fetch-Site", "same-site", 200, 403},
		{"HEAD", "Sec-Fetch-Site", "cross-site", 200, 403},
		{"GET", "Origin", "https://evil.example", 200, 403},
		{"POST", "Origin", "https://evil.example", 403, 403},
		{"GET", "Sec-Fetch-Site", "same-origin", 200, 200},
		{"GET", "Sec-Fetch-Site", "none", 200, 200},
		{"POST", "Origin", "http://example.com", 200, 200}, // where NewRequest goes
		{"GET", "Accept", "*/*", 200, 200},
	} {
		for handler, want := range map[*http.Handler]int{&writes: c.write, &reads: c.read} {
			r, w := httptest.NewRequest(c.method, "http://example.com/audit/events", nil), httptest.NewRecorder()
			r.Header.Set(c.header, c.value)
			(*handler).ServeHTTP(w, r)
			assert.Equal(t, want, w.Code, "%v", c)
			if want == http.StatusForbidden {
				assert.Equal(t, "cross_origin", field(reply{body: w.Body.Bytes()}.json(t), "code"))
			}
		}
	}
}

func TestRouted_RefusesWithProblems(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /named/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, url.QueryEscape(r.PathValue("id")))
	})
	for request, want := range map[string]struct {
		status      int
		code, allow string
	}{
		"GET /v1/events": {405, "method_not_allowed", "POST"},
		"POST /named/x":  {405, "method_not_allowed", "GET, HEAD"},
		"GET /nothing":   {404, "no_such_endpoint", ""},
	} {
		method, path, _ := strings.Cut(request, " ")
		w := httptest.NewRecorder()
		rest.Routed(mux, quiet).ServeHTTP(w, httptest.NewRequest(method, path, nil))
		assert.Equal(t, want.status, w.Code, request)
		assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), request)
		assert.Equal(t, want.code, field(reply{body: w.Body.Bytes()}.json(t), "code"), request)
		assert.Equal(t, want.allow, w.Header().Get("Allow"), request)
	}
	w := httptest.NewRecorder()
	rest.Routed(mux, quiet).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/named/x", nil))
	assert.Equal(t, "x", w.Body.String())
}

// A browser sends what has no type for any page, without asking first.
func TestEvents_WithoutATypeNotFromBrowsers(t *testing.T) {
	t.Parallel()
	handler := newDoor(stub{})
	for header, want := range map[string]int{"Origin": 415, "Sec-Fetch-Site": 415, "X-Other": 200} {
		r, w := httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader("{}")), httptest.NewRecorder()
		r.Header.Set(header, "none")
		handler.ServeHTTP(w, r)
		assert.Equal(t, want, w.Code, header)
	}
}
