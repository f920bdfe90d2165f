package agent_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tradetrail/tradetrail/client"
	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder keeps events, or refuses them from one on.
type recorder struct {
	events []client.Event
	room   int
	small  bool           // it finds every event too large
	next   agent.Recorder // gets them too, or nil
}

func (r *recorder) Record(ctx context.Context, e *client.Event) error {
	if len(r.events) == r.room {
		return &domain.Error{Class: domain.ClassTransient, Code: "spool_full", Err: client.ErrSpoolFull}
	}
	if r.small && e.Type != domain.InputQuarantined {
		return domain.Rejectf(domain.CodeTooLarge, "", "too large")
	}
	r.events = append(r.events, *e)
	if r.next != nil {
		return r.next.Record(ctx, e)
	}
	return nil
}

func (r *recorder) Stats() client.Stats {
	return client.Stats{Recorded: uint64(len(r.events)), Full: len(r.events) == r.room}
}

type answer struct {
	Spooled, Rejected int
	Durability        string
	Receipts          []struct {
		Line    int
		EventID string `json:"event_id"`
		Status  string
		Error   struct{ Code, Field string }
	}
}

func post(t *testing.T, r *recorder, level client.Sync, body string, header ...string) (*httptest.ResponseRecorder, answer) {
	t.Helper()
	handler, err := agent.New(r, level, "oms", func() time.Time { return time.Unix(1_800_000_000, 0) }, slog.New(slog.DiscardHandler)).Handler()
	require.NoError(t, err)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events", strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request)
	var a answer
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
	}
	return w, a
}

const (
	first  = `{"event_type":"order_accepted","timestamp":"2026-03-02T14:30:05Z","order_id":"ord_501"}`
	second = `{"event_type":"execution","timestamp":1772461805.25,"entity_id":"ord_501","details":{"price":"412.44"}}`
)

func TestAgent_AnswersWhenEventsAreSpooled(t *testing.T) {
	t.Parallel()
	r := &recorder{room: 10}
	w, a := post(t, r, client.SyncInterval, first+"\n"+second+"\n"+first)
	assert.Equal(t, http.StatusAccepted, w.Code)
	assert.Equal(t, "process", a.Durability)
	assert.Equal(t, 3, a.Spooled)
	require.Len(t, r.events, 3)
	ids := make(map[string]bool)
	for i, e := range r.events {
		assert.Equal(t, "ord_501", e.OrderID)
		assert.Equal(t, e.ID, a.Receipts[i].EventID)
		assert.Equal(t, "spooled", a.Receipts[i].Status)
		ids[e.ID] = true
	}
	assert.Len(t, ids, 3, "what is said twice is two events")
	assert.Equal(t, domain.OrderFilled, r.events[1].Type, "all input shapes are understood")

	_, again := post(t, r, client.SyncEach, first+"\n"+second+"\n"+first)
	assert.Equal(t, "machine", again.Durability)
	assert.Equal(t, a.Receipts, again.Receipts, "the same body has the same ids")
}

func TestAgent_KeepsWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	r := &recorder{room: 10}
	w, a := post(t, r, client.SyncInterval, first+"\n"+`{"event_type":"order_accepted"}`+"\n"+second)
	assert.Equal(t, http.StatusUnprocessableEntity, w.Code)
	assert.Equal(t, 2, a.Spooled)
	assert.Equal(t, 1, a.Rejected)
	assert.Equal(t, "occurred_at", a.Receipts[1].Error.Field)
	require.Len(t, r.events, 3)
	assert.Equal(t, domain.InputQuarantined, r.events[1].Type)
	assert.JSONEq(t, `{"event_type":"order_accepted"}`, string(r.events[1].Raw))
}

func TestAgent_WithoutRoom(t *testing.T) {
	t.Parallel()
	r := &recorder{room: 1}
	w, a := post(t, r, client.SyncInterval, first+"\n"+second)
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "1", w.Header().Get("Retry-After"))
	assert.Equal(t, "spooled", a.Receipts[0].Status)
	assert.Empty(t, a.Receipts[1].Status, "send the whole body again")
}

// waiting is a recorder without room, which waits for it.
type waiting struct {
	recorder
	entered chan struct{}
}

func (w *waiting) Record(ctx context.Context, _ *client.Event) error {
	w.entered <- struct{}{}
	<-ctx.Done()
	return &domain.Error{Class: domain.ClassTransient, Code: "spool_full", Err: ctx.Err()}
}

func TestAgent_TakesSoManyBodiesAtOnce(t *testing.T) {
	t.Parallel()
	w := &waiting{entered: make(chan struct{})}
	handler, err := agent.New(w, client.SyncInterval, "oms", time.Now, slog.New(slog.DiscardHandler)).Handler()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	send := func() *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/events", strings.NewReader(first)))
		return answer
	}
	var group sync.WaitGroup
	for range agent.MaxBodies {
		group.Go(func() { send() })
		<-w.entered
	}
	answer := send()
	assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
	assert.Equal(t, "1", answer.Header().Get("Retry-After"))
	cancel()
	group.Wait()
}

// What is too large for an event, as it came or as it is written out, is kept as far
// as it fits.
func TestAgent_KeepsTheBeginningOfWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	c, err := client.Open(t.Context(), client.Config{Dir: t.TempDir(), Server: "http://127.0.0.1:1"})
	require.NoError(t, err)
	defer func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.NoError(t, c.Close(ctx))
	}()
	kept := &recorder{room: 10, next: c}
	long := strings.Repeat("y", 600<<10)
	w, a := post(t, kept, client.SyncInterval, "not json "+long)
	assert.Equal(t, http.StatusUnprocessableEntity, w.Code)
	assert.Equal(t, 1, a.Rejected)
	require.Len(t, kept.events, 1)
	assert.Contains(t, string(kept.events[0].Data), `"partial":true`)
	assert.Contains(t, string(kept.events[0].Data), `"bytes":614409`)
	assert.Equal(t, uint64(1), c.Stats().Recorded)

	w, a = post(t, &recorder{room: 10, small: true, next: c}, client.SyncInterval, second)
	assert.Equal(t, http.StatusUnprocessableEntity, w.Code)
	assert.Equal(t, domain.CodeTooLarge, a.Receipts[0].Error.Code)
	assert.Equal(t, uint64(2), c.Stats().Recorded, "the quarantine event")
}

func TestAgent_RefusesBrowsersAndCodings(t *testing.T) {
	t.Parallel()
	r := &recorder{room: 1}
	w, _ := post(t, r, client.SyncInterval, first, "Origin", "https://evil.example")
	assert.Equal(t, http.StatusForbidden, w.Code)
	w, _ = post(t, r, client.SyncInterval, first, "Content-Encoding", "gzip")
	assert.Equal(t, http.StatusUnsupportedMediaType, w.Code)
	assert.Empty(t, r.events)
}

func TestListen_OnlyOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "8081", "[::]:0", "192.0.2.1:1"} {
		_, err := agent.Listen(t.Context(), address, "")
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), address)
	}
	socket := filepath.Join(t.TempDir(), "s")
	listeners, err := agent.Listen(t.Context(), "127.0.0.1:0", socket)
	require.NoError(t, err)
	require.Len(t, listeners, 2)
	_, err = agent.Listen(t.Context(), "", socket)
	require.ErrorContains(t, err, "another process listens there")
	unix, ok := listeners[1].(*net.UnixListener)
	require.True(t, ok)
	unix.SetUnlinkOnClose(false) // as a process does that is killed
	for _, l := range listeners {
		require.NoError(t, l.Close())
	}
	listeners, err = agent.Listen(t.Context(), "", socket)
	require.NoError(t, err, "nobody listens there any more")
	require.NoError(t, listeners[0].Close())
}

func TestServe_HealthReadinessAndMetrics(t *testing.T) {
	t.Parallel()
	r := &recorder{room: 0}
	log := slog.New(slog.DiscardHandler)
	handler, err := agent.New(r, client.SyncInterval, "oms", time.Now, log).Handler()
	require.NoError(t, err)
	socket := filepath.Join(t.TempDir(), "s")
	listeners, err := agent.Listen(t.Context(), "", socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- agent.Serve(ctx, handler, listeners, log) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	get := func(path string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://agent"+path, nil)
		require.NoError(t, err)
		response, err := (&http.Client{Transport: transport}).Do(request)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}
	status, _ := get("/healthz")
	assert.Equal(t, http.StatusOK, status)
	status, _ = get("/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status, "it has no room")
	status, body := get("/metrics")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "tradetrail_agent_pending_events 0")
	cancel()
	require.NoError(t, <-done)
}
