package app_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// said is a log that several write to.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// goroutinesIn counts those whose stacks have all of the texts.
func goroutinesIn(t *testing.T, texts ...string) int {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&out, 2))
	n := 0
	for stack := range strings.SplitSeq(out.String(), "\n\n") {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(stack, text) }) {
			n++
		}
	}
	return n
}

// The stop tells clients of WebSockets to come back, waits a little for those that
// do not answer, and has ended all of them before the stores close.
func TestStop_EndsWebSockets(t *testing.T) {
	log := &said{}
	r := startLogging(t, slog.New(slog.NewTextHandler(log, nil)))
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}}
	conn, response, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(r.url, "http")+"/graphql", nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	defer func() { _ = conn.Close() }()
	for _, text := range []string{`{"type":"connection_init"}`, `{"id":"1","type":"subscribe","payload":{"query":"subscription { accountEvents(accountId: \"A\") { cursor } }"}}`, `{"type":"ping"}`} {
		require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte(text)))
	}
	for _, want := range []string{"connection_ack", "pong"} {
		_, text, err := conn.ReadMessage()
		require.NoError(t, err)
		require.Contains(t, string(text), want)
	}
	require.NoError(t, r.stop()) // the client reads nothing meanwhile
	assert.Zero(t, goroutinesIn(t, "graph.socket.Do"), "a WebSocket is served by stores that are closed")
	assert.NotContains(t, log.String(), "still under way")
	_, _, err = conn.ReadMessage()
	assert.True(t, websocket.IsCloseError(err, websocket.CloseServiceRestart), "%v", err)
}

// A client of server-sent events that reads nothing does not hold up the stop.
func TestStop_EndsStuckStreams(t *testing.T) {
	log := &said{}
	r := startLogging(t, slog.New(slog.NewTextHandler(log, nil)))
	const events, size = 60, 100_000 // more than the network holds
	var body strings.Builder
	for n := range events {
		fmt.Fprintf(&body, `{"event_id":"e%d","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o%d","account_id":"A","data":{"note":"%s"}}`+"\n", n, n, strings.Repeat("x", size))
	}
	require.Equal(t, http.StatusOK, r.do(http.MethodPost, "/v1/events", "application/x-ndjson", body.String()).status)
	r.caughtUp()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if tcp, ok := conn.(*net.TCPConn); ok {
			err = tcp.SetReadBuffer(4096)
		}
		return conn, err
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/graphql", strings.NewReader(`{"query":"subscription { accountEvents(accountId: \"A\", after: \"C:0/P:0\") { event { data } } }"}`))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")
	response, err := (&http.Client{Transport: transport}).Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Eventually(t, func() bool { return goroutinesIn(t, "[IO wait", "graph.(*sender).write") > 0 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, r.stop())
	assert.Zero(t, goroutinesIn(t, "graph.stream.Do"), "a stream is served by stores that are closed")
	assert.NotContains(t, log.String(), "cut off", "the stop waited in vain")
}
