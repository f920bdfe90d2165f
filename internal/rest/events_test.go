package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/eventstoretest"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/faulttest"
	"github.com/tradetrail/tradetrail/internal/rest"
)

var (
	update = flag.Bool("update", false, "write the golden files")
	quiet  = slog.New(slog.DiscardHandler)
)

// door is POST /v1/events on an event store of its own.
type door struct {
	url   string
	store *eventstore.Store
	proxy *faulttest.Proxy
}

func open(t testing.TB, opts ...ingest.Option) door {
	t.Helper()
	node := eventstoretest.OpenNode(t, t.TempDir())
	proxy := faulttest.New(t, node.Address())
	store := eventstoretest.OpenStore(t, node, proxy.Address())
	recorder, err := ingest.NewRecorder(store, quiet, time.Now, prometheus.NewRegistry(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { recorder.Close(context.WithoutCancel(t.Context())) })
	server := httptest.NewServer(newDoor(recorder))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return door{url: server.URL, store: store, proxy: proxy}
}

func newDoor(recorder rest.Recorder) *rest.Door {
	return rest.NewDoor(context.Background(), recorder, rest.DefaultDoorLimits(), quiet, time.Now, prometheus.NewRegistry())
}

// said is an answer of the door, as a client reads it.
type said struct {
	Type, Title, Detail, Code, Field string
	Status                           int

	Recorded, Duplicate, Rejected int
	Receipts                      []struct {
		Line     int
		EventID  string `json:"event_id"`
		Status   string
		Stream   string
		Revision *uint64
		Position string
		Error    *struct{ Code, Field, Message string }
	}

	http   *http.Response
	pretty string
}

func (d door) post(t testing.TB, query, contentType, body string) said {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+query, strings.NewReader(body))
	require.NoError(t, err)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	s := said{http: response}
	require.NoError(t, json.Unmarshal(raw, &s), "%s", raw)
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, raw, "", "  "))
	s.pretty = indented.String()
	return s
}

// raws are the inputs in quarantine, in the order in which they came.
func (d door) raws(t testing.TB) []string {
	t.Helper()
	var out []string
	for r, err := range d.store.Forwards(t.Context(), domain.Position{}, 1<<40) {
		require.NoError(t, err)
		if e, err := r.Event(); err == nil && e.Type == domain.InputQuarantined {
			out = append(out, string(e.Raw))
		}
	}
	return out
}

const ndjson = "application/x-ndjson"

// event is a valid one; with gives it more fields, which come first.
func event(id, with string) string {
	if with != "" {
		with += ","
	}
	return `{` + with + `"event_id":"` + id + `","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o1"}`
}

// The bad input of the first issue. Each stands between two good events, which
// are recorded all the same. What the sender is told is in testdata.
func TestEvents_BadInput(t *testing.T) {
	t.Parallel()
	when := `"occurred_at":"2026-03-02T14:30:00Z"`
	for _, tc := range []struct {
		name   string
		line   string
		status int
	}{
		{"malformed JSON", `{"event_type":"order.submitted",`, http.StatusBadRequest},
		{"not JSON at all", `order o1 submitted`, http.StatusBadRequest},
		{"not an object", `["order.submitted"]`, http.StatusUnprocessableEntity},
		{"wrong type of a string", `{"event_type":["order.submitted"],` + when + `}`, http.StatusUnprocessableEntity},
		{"wrong type of data", `{"event_type":"order.submitted",` + when + `,"data":[1]}`, http.StatusUnprocessableEntity},
		{"wrong type of a price", `{"event_type":"order.submitted",` + when + `,"order_id":"o1","data":{"limit_price":true}}`, http.StatusUnprocessableEntity},
		{"no event_type", `{` + when + `,"order_id":"o1"}`, http.StatusUnprocessableEntity},
		{"no time", `{"event_type":"order.submitted","order_id":"o1"}`, http.StatusUnprocessableEntity},
		{"time without a zone", `{"event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00"}`, http.StatusUnprocessableEntity},
		{"time that is none", `{"event_type":"order.submitted","occurred_at":"yesterday"}`, http.StatusUnprocessableEntity},
		{"NaN", `{"event_type":"order.submitted",` + when + `,"data":{"price":NaN}}`, http.StatusBadRequest},
		{"NaN as a string", `{"event_type":"order.submitted",` + when + `,"order_id":"o1","data":{"price":"NaN"}}`, http.StatusUnprocessableEntity},
		{"number too large", `{"event_type":"order.submitted",` + when + `,"data":{"price":1e400}}`, http.StatusRequestEntityTooLarge},
		{"number too long", `{"event_type":"order.submitted",` + when + `,"data":{"x":` + strings.Repeat("9", 100) + `}}`, http.StatusRequestEntityTooLarge},
		{"invalid UTF-8", "{\"event_type\":\"order.submitted\"," + when + ",\"user_id\":\"J\xfcrgen\"}", http.StatusBadRequest},
		{"invalid UTF-8 in a name", "{\"event_type\":\"order.submitted\"," + when + ",\"\xff\xfe\":1}", http.StatusBadRequest},
		{"empty id", event("", ""), http.StatusUnprocessableEntity},
		{"empty order id", `{"event_type":"order.submitted",` + when + `,"order_id":""}`, http.StatusUnprocessableEntity},
		{"control characters in an id", `{"event_type":"order.submitted",` + when + `,"order_id":"o\u0000\u001b[31m1"}`, http.StatusUnprocessableEntity},
		{"id of 10 KB", event(strings.Repeat("i", 10<<10), ""), http.StatusRequestEntityTooLarge},
		{"nested too deep", `{"event_type":"order.submitted",` + when + `,"data":{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}`, http.StatusRequestEntityTooLarge},
		{"a name twice", `{"event_type":"order.submitted","event_type":"fill",` + when + `}`, http.StatusBadRequest},
		{"an event type of the store", `{"event_type":"$metadata",` + when + `}`, http.StatusUnprocessableEntity},
		{"event too large", event("big", `"note":"`+strings.Repeat("x", domain.MaxEventBytes)+`"`), http.StatusRequestEntityTooLarge},
		{"the id of another event", event("first", `"note":"not the same"`), http.StatusConflict},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			s := d.post(t, "", ndjson, event("first", "")+"\n"+tc.line+"\n"+event("last", ""))
			assert.Equal(t, tc.status, s.http.StatusCode)
			assert.Equal(t, "application/problem+json", s.http.Header.Get("Content-Type"))
			assert.Equal(t, tc.status, s.Status, "RFC 9457: the document's status is the answer's")
			assert.Equal(t, http.StatusText(tc.status), s.Title)
			assert.Equal(t, "urn:tradetrail:error:"+s.Code, s.Type)
			assert.Equal(t, [3]int{2, 0, 1}, [3]int{s.Recorded, s.Duplicate, s.Rejected}, "the rest of the batch is recorded")
			require.Len(t, s.Receipts, 3)
			assert.Equal(t, "rejected", s.Receipts[1].Status)
			assert.Equal(t, 2, s.Receipts[1].Line)
			require.NotNil(t, s.Receipts[1].Error)
			assert.Equal(t, "last", s.Receipts[2].EventID)
			assert.NotContains(t, s.pretty, "\x1b")
			assert.Less(t, len(s.pretty), 4<<10, "answers do not repeat what was sent")
			if raws := d.raws(t); assert.Len(t, raws, 1) {
				assert.True(t, strings.HasPrefix(tc.line, raws[0]) && len(raws[0]) >= min(len(tc.line), 640<<10), "as it came")
			}
			golden(t, tc.name, s)

			again := d.post(t, "", ndjson, event("first", "")+"\n"+tc.line+"\n"+event("last", ""))
			assert.Equal(t, [3]int{0, 2, 1}, [3]int{again.Recorded, again.Duplicate, again.Rejected})
			assert.Len(t, d.raws(t), 1, "the same bad input is kept once")
		})
	}
}

func golden(t *testing.T, name string, s said) {
	t.Helper()
	path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".golden.json")
	got := s.pretty
	for i, r := range s.Receipts { // positions are the store's affair
		got = strings.Replace(got, `"`+r.Position+`"`, fmt.Sprintf(`"position %d"`, i), 1)
	}
	got += "\n"
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run with -update")
	assert.Equal(t, string(want), got)
}

func TestEvents_BodyOf20MiB(t *testing.T) {
	t.Parallel()
	d := open(t)
	padded := event("a", "") + strings.Repeat(" ", 100<<10) + "\n"
	body := padded + strings.Repeat(padded, 20<<20/len(padded))
	s := d.post(t, "", "application/json", body)
	assert.Equal(t, http.StatusRequestEntityTooLarge, s.http.StatusCode)
	assert.Equal(t, domain.CodeTooLarge, s.Code)
	assert.Equal(t, 1, s.Recorded, "what fits is recorded")
	assert.Equal(t, 1, s.Rejected)
	last := s.Receipts[len(s.Receipts)-1]
	assert.Equal(t, domain.CodeTooLarge, last.Error.Code)
	assert.Equal(t, ingest.MaxBodyBytes/len(padded)+1, last.Line, "the sender learns where to go on")

	s = d.post(t, "", ndjson, body)
	assert.Equal(t, http.StatusOK, s.http.StatusCode, "NDJSON may be of any length")
	assert.Len(t, s.Receipts, len(body)/len(padded))

	s = d.post(t, "", "application/json", `{"event_type":"`+strings.Repeat("x", 20<<20)+`"}`)
	assert.Equal(t, http.StatusRequestEntityTooLarge, s.http.StatusCode)
	assert.Equal(t, 1, s.Rejected)
}

func TestEvents_ThreeShapesInOneBody(t *testing.T) {
	t.Parallel()
	d := open(t)
	shapes, err := os.ReadFile("../../domain/testdata/shapes.ndjson")
	require.NoError(t, err)
	n := bytes.Count(bytes.TrimSpace(shapes), []byte("\n")) + 1
	s := d.post(t, "?source=test", ndjson, string(shapes))
	assert.Equal(t, http.StatusOK, s.http.StatusCode)
	assert.Equal(t, "application/json", s.http.Header.Get("Content-Type"))
	assert.Equal(t, [3]int{n, 0, 0}, [3]int{s.Recorded, s.Duplicate, s.Rejected})
	require.Len(t, s.Receipts, n)
	for i, r := range s.Receipts {
		assert.Equal(t, i+1, r.Line)
		assert.Equal(t, "recorded", r.Status)
		assert.NotEmpty(t, r.EventID)
		position, err := domain.ParsePosition(r.Position)
		require.NoError(t, err)
		record, err := d.store.At(t.Context(), position)
		require.NoError(t, err)
		assert.Equal(t, r.Stream, record.Stream)
		e, err := record.Event()
		require.NoError(t, err)
		assert.Equal(t, "http:test", e.Source)
	}
	again := d.post(t, "?source=test", ndjson, string(shapes))
	assert.Equal(t, [3]int{0, n, 0}, [3]int{again.Recorded, again.Duplicate, again.Rejected})
	for i := range again.Receipts {
		assert.Equal(t, s.Receipts[i].Revision, again.Receipts[i].Revision)
		assert.Equal(t, s.Receipts[i].EventID, again.Receipts[i].EventID)
	}
}

func TestEvents_ContentTypes(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, tc := range []struct {
		contentType string
		ok          bool
	}{
		{"", true},
		{"application/json", true},
		{"application/json; charset=utf-8", true},
		{"application/vnd.trading+json", true},
		{"application/x-ndjson", true},
		{"application/ndjson", true},
		{"application/jsonl", true},
		{"text/plain", false},
		{"application/x-www-form-urlencoded", false},
		{"multipart/form-data; boundary=x", false},
		{"text/html", false},
		{"nonsense/", false},
	} {
		s := d.post(t, "", tc.contentType, event("a", ""))
		if tc.ok {
			assert.Equal(t, http.StatusOK, s.http.StatusCode, tc.contentType)
			assert.Len(t, s.Receipts, 1, tc.contentType)
			continue
		}
		assert.Equal(t, http.StatusUnsupportedMediaType, s.http.StatusCode, tc.contentType)
		assert.Equal(t, "application/problem+json", s.http.Header.Get("Content-Type"))
		assert.Equal(t, "unsupported_media_type", s.Code)
	}
	s := d.post(t, "", "application/json", "["+event("b", "")+",\n"+event("c", "")+"]")
	assert.Equal(t, 2, s.Recorded)
	assert.Equal(t, 2, s.Receipts[1].Line)
	assert.Equal(t, "nosniff", s.http.Header.Get("X-Content-Type-Options"))
}

func TestEvents_Source(t *testing.T) {
	t.Parallel()
	d := open(t)
	source := func(id string) string {
		for r, err := range d.store.Forwards(t.Context(), domain.Position{}, 1<<40) {
			require.NoError(t, err)
			if e, err := r.Event(); err == nil && e.ID == id {
				return e.Source
			}
		}
		return "not there"
	}
	d.post(t, "", ndjson, event("a", `"source":"forged"`))
	assert.Equal(t, "http", source("a"))
	d.post(t, "?source=oms-1", ndjson, event("b", ""))
	assert.Equal(t, "http:oms-1", source("b"))
	for _, bad := range []string{"?source=" + strings.Repeat("x", 200), "?source=a%20b", "?source=a%0Ab", "?source=%C3%BC"} {
		s := d.post(t, bad, ndjson, event("c", ""))
		assert.Equal(t, http.StatusUnprocessableEntity, s.http.StatusCode, bad)
		assert.Equal(t, "source", s.Field, bad)
	}
	assert.Equal(t, "not there", source("c"))
}

func TestEvents_StoreAway(t *testing.T) {
	t.Parallel()
	d := open(t, ingest.WithPatience(100*time.Millisecond))
	d.post(t, "", ndjson, event("a", ""))
	d.proxy.Down()
	s := d.post(t, "", ndjson, event("b", "")+"\n{")
	assert.Equal(t, http.StatusServiceUnavailable, s.http.StatusCode)
	assert.Equal(t, "1", s.http.Header.Get("Retry-After"))
	assert.Equal(t, "application/problem+json", s.http.Header.Get("Content-Type"))
	assert.Equal(t, eventstore.CodeUnavailable, s.Code)
	assert.NotContains(t, s.pretty, "unix:", "where the store lives is nobody's business")
	require.Len(t, s.Receipts, 2)
	for _, r := range s.Receipts {
		assert.Empty(t, r.Status, "unknown")
		assert.Nil(t, r.Revision)
	}
	d.proxy.Up()
	for s.http.StatusCode == http.StatusServiceUnavailable {
		s = d.post(t, "", ndjson, event("b", "")+"\n{")
	}
	assert.Equal(t, http.StatusBadRequest, s.http.StatusCode)
	assert.Equal(t, 1, s.Recorded+s.Duplicate)
	assert.Equal(t, 1, s.Rejected)
}

func TestEvents_BodyEndsEarly(t *testing.T) {
	t.Parallel()
	d := open(t)
	// A body shorter than it says it is, over a connection of our own.
	half := event("b", "")[:40]
	for _, contentType := range []string{"application/json", ndjson} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n%s\n%s", contentType, event("a", ""), half)
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite()) //nolint:errcheck // it is one
		_, err = io.ReadAll(conn)
		require.NoError(t, err)
		if contentType != ndjson {
			head, err := d.store.Head(t.Context())
			require.NoError(t, err)
			assert.True(t, head.IsZero(), "nothing of half a body is recorded: its end may be half an event")
		}
	}
	recorded := 0
	for r, err := range d.store.Forwards(t.Context(), domain.Position{}, 1<<40) {
		require.NoError(t, err)
		if !r.System() {
			recorded++
			assert.Equal(t, "order-o1", r.Stream, "half a line is not even bad input")
		}
	}
	assert.LessOrEqual(t, recorded, 1, "of NDJSON whole lines may be recorded")
}

type stub struct {
	receipts []ingest.Receipt
	err      error
}

func (s stub) Record(context.Context, string, []ingest.Item) ([]ingest.Receipt, error) {
	return s.receipts, s.err
}

func (s stub) Sequence(context.Context, string) (ingest.Begin, error) {
	return func(context.Context, []ingest.Item) ingest.Wait {
		return func() ([]ingest.Receipt, error) { return s.receipts, s.err }
	}, nil
}

func (s stub) Available() error { return nil }

// What a problem document says of errors, and what it must not say.
func TestEvents_Problems(t *testing.T) {
	t.Parallel()
	secret := errors.New("secret")
	unknown := []ingest.Receipt{{Line: 1}}
	for _, tc := range []struct {
		name       string
		err        error
		status     int
		code       string
		retryAfter string
	}{
		{"transient", &domain.Error{Class: domain.ClassTransient, Code: "c", Message: "m", Err: secret}, 503, "c", "1"},
		{"conflict", &domain.Error{Class: domain.ClassConflict, Code: "c", Message: "m", Err: secret}, 409, "c", ""},
		{"not found", &domain.Error{Class: domain.ClassNotFound, Code: "c", Message: "m", Err: secret}, 404, "c", ""},
		{"damage", &domain.Error{Class: domain.ClassIntegrity, Code: "c", Message: "secret", Err: secret}, 500, "c", ""},
		{"unclassified", secret, 500, "internal", ""},
		{"wrapped", fmt.Errorf("secret: %w", &domain.Error{Class: domain.ClassTransient, Code: "c", Message: "m"}), 503, "c", "1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events", strings.NewReader(event("a", "")))
			newDoor(stub{unknown, tc.err}).ServeHTTP(w, r)
			assert.Equal(t, tc.status, w.Code)
			assert.Equal(t, tc.retryAfter, w.Header().Get("Retry-After"))
			var s said
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &s))
			assert.Equal(t, tc.code, s.Code)
			assert.Equal(t, tc.status, s.Status)
			assert.Len(t, s.Receipts, 1, "the receipts come with the problem")
			assert.NotContains(t, w.Body.String(), "secret")
		})
	}
}

// The most severe reason counts, wherever it stands.
func TestEvents_MostSevereRejectionCounts(t *testing.T) {
	t.Parallel()
	rejected := func(codes ...string) []ingest.Receipt {
		out := []ingest.Receipt{{Line: 1, Status: ingest.Recorded}}
		for _, code := range codes {
			out = append(out, ingest.Receipt{Line: 2, Status: ingest.Rejected, Err: domain.Rejectf(code, "f", "m")})
		}
		return out
	}
	for _, tc := range []struct {
		receipts []ingest.Receipt
		status   int
	}{
		{rejected(), 200},
		{rejected(domain.CodeConflict), 409},
		{rejected(domain.CodeConflict, domain.CodeMissing), 422},
		{rejected(domain.CodeMissing, domain.CodeConflict), 422},
		{rejected(domain.CodeMalformed, domain.CodeMissing), 400},
		{rejected(domain.CodeMalformed, domain.CodeTooLarge, domain.CodeConflict), 413},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events", strings.NewReader(event("a", "")))
		newDoor(stub{tc.receipts, nil}).ServeHTTP(w, r)
		assert.Equal(t, tc.status, w.Code)
	}
}
