package rest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// desk is an Audit over read models that a test fills as it goes.
type desk struct {
	*testing.T

	url     string
	set     *views.Set
	log     []feed.Event
	applied int
	ended   chan struct{} // a value for every answer that is over
	spec    *spec
}

// deskOptions say what is different about a desk.
type deskOptions struct {
	limits   func(*rest.AuditLimits)
	wrap     func(rest.Views) rest.Views
	patience time.Duration
	reports  rest.Reports
}

func openDesk(t *testing.T, log []feed.Event, options deskOptions) *desk {
	t.Helper()
	set := views.NewSet(viewstest.InProcess(t).Client, nil, quiet, views.Options{})
	_, err := set.Start(t.Context())
	require.NoError(t, err)
	watching, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	watched := make(chan error, 1)
	go func() { watched <- set.Watch(watching) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-watched)
	})
	limits := rest.DefaultAuditLimits()
	if options.limits != nil {
		options.limits(&limits)
	}
	var guarded rest.Views = authz.NewViews(set, authz.AllowAll{})
	if options.wrap != nil {
		guarded = options.wrap(guarded)
	}
	audit := rest.NewAudit(guarded, options.reports, nil, quiet, "v1.2.3", limits)
	d := &desk{T: t, set: set, log: log, ended: make(chan struct{}, 1000), spec: readSpec(t)}
	server := httptest.NewServer(rest.Patient(rest.Secure(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { d.ended <- struct{}{} }()
		audit.ServeHTTP(w, r.WithContext(authz.With(r.Context(), authz.Developer)))
	})), cmp.Or(options.patience, rest.Patience), time.Now))
	d.url = server.URL
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
	})
	return d
}

// apply puts the next n events into the read models.
func (d *desk) apply(n int) {
	d.Helper()
	require.NoError(d, d.set.Apply(d.Context(), viewstest.SliceOf(d.log, d.applied, d.applied+n)))
	d.applied += n
}

// reply is an answer, read to its end.
type reply struct {
	status  int
	header  http.Header
	trailer http.Header
	body    []byte
	err     error // the connection broke
}

func (r reply) json(t testing.TB) map[string]any {
	t.Helper()
	var out map[string]any
	require.NoError(t, json.Unmarshal(r.body, &out), "%s", r.body)
	return out
}

// ids are the event ids of a page or of lines.
func (r reply) ids(t testing.TB) []string {
	t.Helper()
	var ids []string
	if r.header.Get("Content-Type") == "application/json" {
		items, _ := r.json(t)["items"].([]any)
		for _, item := range items {
			ids = append(ids, field(item, "event_id"))
		}
		return ids
	}
	for line := range bytes.Lines(r.body) {
		var event map[string]any
		require.NoError(t, json.Unmarshal(line, &event))
		ids = append(ids, field(event, "event_id"))
	}
	return ids
}

func field(object any, name string) string {
	members, _ := object.(map[string]any)
	text, _ := members[name].(string)
	return text
}

// ask sends a request; what comes back is what openapi.json says, or the test fails.
func (d *desk) ask(method, path string, header ...string) reply {
	d.Helper()
	request, err := http.NewRequestWithContext(d.Context(), method, d.url+path, nil)
	require.NoError(d, err)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(d, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	r := reply{response.StatusCode, response.Header, response.Trailer, body, err}
	assert.Equal(d, "nosniff", r.header.Get("X-Content-Type-Options"))
	if err == nil && method != http.MethodHead {
		d.spec.check(d, method, path, r)
	}
	return r
}

func (d *desk) get(path string, header ...string) reply {
	d.Helper()
	return d.ask(http.MethodGet, path, header...)
}

const ndjsonType, csvType = "application/x-ndjson", "text/csv"

func idsOf(log []feed.Event, keep func(*domain.Event) bool) []string {
	var ids []string
	for _, e := range log {
		if e.Event != nil && keep(e.Event) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func every(*domain.Event) bool { return true }

func TestChain(t *testing.T) {
	t.Parallel()
	d := openDesk(t, viewstest.Log(shapes(t)), deskOptions{})
	last := len(d.log) - 1 // of the order itself
	for d.log[last].OrderID != "ord_501" {
		last--
	}
	d.apply(last)
	path := "/audit/chain/ord_501"
	first := d.get(path)
	require.Equal(t, http.StatusOK, first.status, "%s", first.body)
	chain := first.json(t)
	assert.Equal(t, "ord_501", chain["order_id"])
	events, _ := chain["events"].([]any)
	want, _, ok, err := d.set.Chain(t.Context(), "ord_501")
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, events, len(want.Steps))
	for i, step := range want.Steps {
		assert.Equal(t, step.ID, field(events[i], "event_id"))
		assert.Equal(t, string(step.Stage), field(events[i], "stage"))
		assert.Equal(t, step.Position.String(), field(events[i], "position"))
		assert.InDelta(t, float64(step.LatencyFromPrevious), events[i].(map[string]any)["latency_ns"], 0) //nolint:errcheck // a panic is a failure
	}
	assert.Equal(t, "100", field(chain["order"], "quantity"))
	assert.Equal(t, "private, no-cache", first.header.Get("Cache-Control"))

	tag := first.header.Get("ETag")
	for _, known := range []string{tag, `"other", ` + tag, "W/" + tag, "*"} {
		same := d.get(path, "If-None-Match", known)
		assert.Equal(t, http.StatusNotModified, same.status, known)
		assert.Empty(t, same.body)
		assert.Equal(t, tag, same.header.Get("ETag"))
	}
	lines := d.get(path, "Accept", ndjsonType, "If-None-Match", tag)
	assert.Equal(t, http.StatusOK, lines.status, "another form is another representation")
	assert.NotEqual(t, tag, lines.header.Get("ETag"))
	assert.Len(t, lines.ids(t), len(want.Steps))

	head := d.ask(http.MethodHead, path)
	assert.Equal(t, http.StatusOK, head.status)
	assert.Equal(t, tag, head.header.Get("ETag"))
	assert.Equal(t, fmt.Sprint(len(first.body)), head.header.Get("Content-Length"))

	d.apply(1)
	changed := d.get(path, "If-None-Match", tag)
	assert.Equal(t, http.StatusOK, changed.status, "an event came")
	assert.NotEqual(t, tag, changed.header.Get("ETag"))

	unknown := d.get("/audit/chain/no%2Fsuch%20order")
	assert.Equal(t, http.StatusNotFound, unknown.status)
	assert.Equal(t, "unknown_order", unknown.json(t)["code"])
	assert.Equal(t, "no-store", unknown.header.Get("Cache-Control"))
}

// shapes are the events of order ord_501, in three input shapes.
func shapes(t testing.TB) []*domain.Event {
	t.Helper()
	return parse(t, "../../domain/testdata/shapes.ndjson")
}

func TestLists_PageBothWays(t *testing.T) {
	t.Parallel()
	d := openDesk(t, viewstest.Log(viewstest.History(7, 700)), deskOptions{})
	d.apply(len(d.log))
	account := mostFrequent(d.log, func(e *domain.Event) string { return e.AccountID })
	page, err := d.set.OwnerEvents(t.Context(), views.Accounts, account, 0, 1000)
	require.NoError(t, err)
	var trail []string
	for _, e := range page.Items {
		trail = append(trail, e.ID)
	}
	require.Greater(t, len(trail), 100)
	for path, want := range map[string][]string{
		"/audit/account/" + account:                   trail,
		"/audit/entity/account/" + account:            trail,
		"/audit/events?account=" + account:            trail,
		"/audit/events":                               idsOf(d.log, every),
		"/audit/events?type=order.filled&type=risk.*": idsOf(d.log, func(e *domain.Event) bool { return e.Type == domain.OrderFilled || e.Type.Family() == "risk" }),
	} {
		for _, sort := range []string{"asc", "desc"} {
			joint := "?"
			if strings.Contains(path, "?") {
				joint = "&"
			}
			var got []string
			var next string
			for pages := 0; ; pages++ {
				require.Less(t, pages, 100)
				r := d.get(path + joint + "limit=37&sort=" + sort + next)
				require.Equal(t, http.StatusOK, r.status, "%s", r.body)
				got = append(got, r.ids(t)...)
				cursor, more := r.json(t)["next"].(string)
				if !more {
					break
				}
				assert.Equal(t, cursor, r.header.Get("Tradetrail-Next"))
				next = "&cursor=" + url.QueryEscape(cursor)
			}
			expected := append([]string(nil), want...)
			if sort == "desc" {
				reverse(expected)
			}
			assert.Equal(t, expected, got, "%s %s", path, sort)
		}
	}
	assert.Len(t, d.get("/audit/events").ids(t), 50, "the default")
	assert.Empty(t, d.get("/audit/events?sort=desc&cursor=C:0/P:0").ids(t), "there is nothing before the beginning")
	for _, path := range []string{"account", "strategy", "user", "instrument", "entity/venue"} {
		r := d.get("/audit/" + path + "/nobody")
		assert.Equal(t, http.StatusOK, r.status)
		assert.JSONEq(t, `{"items":[],"next":null,"total":0}`, string(r.body), path)
	}
}

func TestLists_Filter(t *testing.T) {
	t.Parallel()
	log := viewstest.Log(viewstest.History(7, 300))
	d := openDesk(t, log, deskOptions{})
	d.apply(len(log))
	from, to := log[100].OccurredAt, log[200].OccurredAt
	window := func(e *domain.Event) bool { return !e.OccurredAt.Before(from) && e.OccurredAt.Before(to) }
	for query, keep := range map[string]func(*domain.Event) bool{
		"after=" + from.Format(time.RFC3339Nano) + "&before=" + to.Format(time.RFC3339Nano): window,
		"filter=" + url.QueryEscape(`event_type startsWith "risk."`):                        func(e *domain.Event) bool { return e.Type.Family() == "risk" },
		"type=order_filled":    func(e *domain.Event) bool { return e.Type == domain.OrderFilled },
		"last=2w":              func(*domain.Event) bool { return false }, // the history is from long ago
		"last=1w&type=order.*": func(*domain.Event) bool { return false },
		"last=3000d":           every,
	} {
		r := d.get("/audit/events?limit=1000&" + query)
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		assert.Equal(t, idsOf(log, keep), r.ids(t), query)
	}
	failing := d.get("/audit/events?filter=" + url.QueryEscape(`1 / (len(event_type) - len("order.filled")) > 0`) + "&type=order.filled")
	assert.Empty(t, failing.ids(t))
	assert.NotZero(t, failing.json(t)["failed"])
	assert.NotEmpty(t, failing.json(t)["failure"])
}

func TestQuestions_BadInput(t *testing.T) {
	t.Parallel()
	d := openDesk(t, nil, deskOptions{})
	long := strings.Repeat("x", 5000)
	for path, want := range map[string]struct {
		status      int
		code, field string
	}{
		"/audit/events?acount=A":                                  {422, "unknown_parameter", "acount"},
		"/audit/account/A?account=B":                              {422, "unknown_parameter", "account"},
		"/audit/entity/venue/X?entity_id=Y":                       {422, "unknown_parameter", "entity_id"},
		"/audit/anomalies?type=order.filled":                      {422, "unknown_parameter", "type"},
		"/audit/chain/x?limit=1":                                  {422, "unknown_parameter", "limit"},
		"/audit/events?limit=0":                                   {422, "invalid", "limit"},
		"/audit/events?limit=1001":                                {422, "invalid", "limit"},
		"/audit/events?limit=10&limit=20":                         {422, "invalid", "limit"},
		"/audit/events?account=":                                  {422, "invalid", "account"},
		"/audit/events?cursor=120":                                {422, "invalid", "cursor"},
		"/audit/events?not_older_than=now":                        {422, "invalid", "not_older_than"},
		"/audit/events?sort=up":                                   {422, "invalid", "sort"},
		"/audit/events?after=yesterday":                           {422, "invalid", "after"},
		"/audit/events?after=2026-03-02T14:30:00":                 {422, "invalid", "after"},
		"/audit/events?last=tomorrow":                             {422, "invalid", "last"},
		"/audit/events?last=-3h":                                  {422, "invalid", "last"},
		"/audit/events?last=99999999w":                            {422, "invalid", "last"},
		"/audit/events?last=1h&after=2026-03-02":                  {422, "invalid", "last"},
		"/audit/events?filter=" + url.QueryEscape(`price >`):      {422, "invalid", "filter"},
		"/audit/events?filter=" + long:                            {413, "too_large", "filter"},
		"/audit/events?filter=price%3":                            {400, "malformed", ""},
		"/audit/events?a;b":                                       {400, "malformed", ""},
		"/audit/heatmap?to=2026-03-02":                            {422, "missing", "from"},
		"/audit/heatmap?from=2026-03-02":                          {422, "missing", "to"},
		"/audit/heatmap?from=2026-03-02&to=2026-03-01":            {422, "invalid", "to"},
		"/audit/heatmap?from=2026-03-02&to=2026-03-03&bucket=1ns": {413, "too_large", "bucket"},
		"/audit/live":                                             {422, "invalid", ""},
		"/audit/live?account=A&user=B":                            {422, "invalid", "account,user"},
		"/audit/live?order=A&order=B":                             {422, "invalid", "order"},
		"/audit/live?entity=venue":                                {422, "invalid", "entity"},
		"/audit/live?account=A&after=1":                           {422, "invalid", "after"},
		"/audit/nothing":                                          {404, "no_such_endpoint", ""},
		"/audit/chain/":                                           {404, "no_such_endpoint", ""},
		"/openapi.json?x=1":                                       {422, "unknown_parameter", "x"},
	} {
		r := d.get(path)
		assert.Equal(t, want.status, r.status, "%.100s: %s", path, r.body)
		assert.Equal(t, "application/problem+json", r.header.Get("Content-Type"), path)
		problem := r.json(t)
		assert.Equal(t, want.code, field(problem, "code"), "%.100s", path)
		assert.Equal(t, want.field, field(problem, "field"), "%.100s", path)
	}
	refused := d.ask(http.MethodPost, "/audit/events")
	assert.Equal(t, http.StatusMethodNotAllowed, refused.status)
	assert.Equal(t, "GET, HEAD", refused.header.Get("Allow"))
	assert.Equal(t, "method_not_allowed", refused.json(t)["code"])
	report := d.ask(http.MethodPost, "/audit/report/o1")
	assert.Equal(t, http.StatusNotImplemented, report.status)
	assert.Equal(t, "not_available", report.json(t)["code"])
	live := d.get("/audit/live?account=A", "Last-Event-ID", "yesterday")
	assert.Equal(t, "Last-Event-ID", field(live.json(t), "field"))
}

// broken are views on which every question fails.
type broken struct {
	rest.Views

	err error
}

func (b broken) Chain(context.Context, string) (domain.Chain, int, bool, error) {
	return domain.Chain{}, 0, false, b.err
}

func (b broken) Await(ctx context.Context, _ domain.Position) error {
	<-ctx.Done()
	return &domain.Error{Class: domain.ClassTransient, Code: "views_behind", Message: "not yet"}
}

func TestQuestions_Failures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"away":      {&domain.Error{Class: domain.ClassTransient, Code: "views_unavailable", Message: "away", Err: errors.New("secret")}, 503, "views_unavailable"},
		"forbidden": {authz.Denied(authz.Read, authz.Resource{Kind: "order", ID: "x"}), 403, "forbidden"},
		"nobody":    {&domain.Error{Class: domain.ClassDenied, Code: authz.CodeUnauthenticated, Message: "who?"}, 401, "unauthenticated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDesk(t, nil, deskOptions{
				wrap:   func(v rest.Views) rest.Views { return broken{v, c.err} },
				limits: func(l *rest.AuditLimits) { l.Fresh = time.Millisecond },
			})
			r := d.get("/audit/chain/x")
			assert.Equal(t, c.status, r.status)
			assert.Equal(t, c.code, field(r.json(t), "code"))
			assert.NotContains(t, string(r.body), "secret")
			assert.Equal(t, c.status == http.StatusServiceUnavailable, r.header.Get("Retry-After") != "")
			behind := d.get("/audit/events?not_older_than=C:9/P:9")
			assert.Equal(t, http.StatusServiceUnavailable, behind.status)
			assert.Equal(t, "views_behind", field(behind.json(t), "code"))
		})
	}
}

func TestNegotiation(t *testing.T) {
	t.Parallel()
	d := openDesk(t, viewstest.Log(viewstest.History(7, 20)), deskOptions{})
	d.apply(20)
	for accept, want := range map[string]string{
		"*/*":                                    "application/json",
		"application/*":                          "application/json",
		"text/*":                                 csvType,
		"text/csv;q=0.5, application/json;q=0.4": csvType,
		"application/json;q=0, */*;q=0.1":        ndjsonType,
		"application/x-ndjson":                   ndjsonType,
		"Text/CSV; charset=utf-8":                csvType,
		"text/html, application/xhtml+xml, */*;q=0.8": "application/json",
		"text/html": "", "application/json;q=0": "", "text/csv;q=2": "", "": "",
	} {
		r := d.get("/audit/events?limit=5", "Accept", accept)
		if want == "" {
			assert.Equal(t, http.StatusNotAcceptable, r.status, accept)
			assert.Equal(t, "not_acceptable", field(r.json(t), "code"))
			continue
		}
		assert.Equal(t, http.StatusOK, r.status, accept)
		assert.True(t, strings.HasPrefix(r.header.Get("Content-Type"), want), "%s: %s", accept, r.header.Get("Content-Type"))
		assert.Equal(t, "Accept", r.header.Get("Vary"))
	}
	assert.Equal(t, http.StatusNotAcceptable, d.get("/audit/live?account=A", "Accept", "application/json").status)
}

func TestHeatmap(t *testing.T) {
	t.Parallel()
	var events []*domain.Event
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for i, kind := range []string{`{"kind":"spoofing"}`, `{"kind":"spoofing"}`, `{"kind":"layering"}`, `{"kind":7}`, `{}`, `{"kind":"late"}`} {
		events = append(events, &domain.Event{
			ID: fmt.Sprintf("a%d", i), Type: domain.AnomalyDetected, OccurredAt: begin.Add(time.Duration(i) * 20 * time.Minute),
			RecordedAt: begin, AccountID: fmt.Sprintf("ACC-%d", i%2), SchemaVersion: 1, Data: []byte(kind),
		})
	}
	d := openDesk(t, viewstest.Log(append(events, viewstest.History(7, 50)...)), deskOptions{})
	d.apply(len(d.log))
	r := d.get("/audit/heatmap?from=2026-03-02&to=2026-03-02T01:40:00Z")
	require.Equal(t, http.StatusOK, r.status, "%s", r.body)
	assert.JSONEq(t, `{"from":"2026-03-02T00:00:00Z","to":"2026-03-02T01:40:00Z","bucket_ns":3600000000000,"by":"kind","total":5,"rest":0,
		"rows":[{"value":null,"count":2},{"value":"spoofing","count":2},{"value":"layering","count":1}],"cells":[
		{"at":"2026-03-02T00:00:00Z","value":"layering","severity":null,"count":1},{"at":"2026-03-02T00:00:00Z","value":"spoofing","severity":null,"count":2},
		{"at":"2026-03-02T01:00:00Z","value":null,"severity":null,"count":2}]}`, string(r.body))
	one := d.get("/audit/heatmap?from=2026-03-02&to=2026-03-03&bucket=1d&account=ACC-1").json(t)
	assert.InDelta(t, 3, one["total"], 0)
	assert.Len(t, d.get("/audit/anomalies").ids(t), 6)
}
