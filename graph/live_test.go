package graph_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph"
	"github.com/tradetrail/tradetrail/internal/authz"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// tape are views that play the same events to each who follows an owner.
type tape struct {
	graph.Views

	events  int   // then it waits; below 0: it never ends
	fails   error // instead of waiting
	size    int   // of the data of each
	begun   atomic.Int64
	ended   atomic.Int64
	played  atomic.Int64
	refusal error
}

func (p *tape) FollowOwner(ctx context.Context, _, _ string, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
	if p.refusal != nil {
		return nil, p.refusal
	}
	p.begun.Add(1)
	from := uint64(0)
	if after != nil {
		from = after.Commit
	}
	return func(yield func(domain.Located, error) bool) {
		defer p.ended.Add(1)
		for n := from + 1; p.events < 0 || n <= uint64(p.events); n++ {
			e := located(n)
			e.Data = []byte(`{"note":"` + strings.Repeat("x", p.size) + "\",\n \"n\": 1}")
			p.played.Add(1)
			if !yield(e, nil) {
				return
			}
		}
		if p.fails != nil {
			yield(domain.Located{}, p.fails)
			return
		}
		<-ctx.Done()
	}, nil
}

// liveServer serves views within limits, until stop is called.
func liveServer(t *testing.T, v graph.Views, change func(*graph.LiveLimits)) (url string, stop func()) {
	t.Helper()
	return liveServerOf(t, v, graph.MaxRunning, change)
}

// liveServerOf is liveServer where so many queries run at a time.
func liveServerOf(t *testing.T, v graph.Views, running int, change func(*graph.LiveLimits)) (url string, stop func()) {
	t.Helper()
	limits := graph.DefaultLiveLimits()
	if change != nil {
		change(&limits)
	}
	handler := graph.NewServerWithin(v, running, limits)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mine, cancel := context.WithCancel(authz.With(r.Context(), authz.Principal{Name: r.Header.Get("Name")}))
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		handler.ServeHTTP(w, r.WithContext(mine)) //nolint:contextcheck // it is of the request
	}))
	t.Cleanup(func() {
		stop()
		server.Close()
	})
	return server.URL, stop
}

// socketClient is a WebSocket whose every step must succeed.
type socketClient struct {
	*testing.T

	conn *websocket.Conn
}

func dial(t *testing.T, url string, header http.Header, protocols ...string) socketClient {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: protocols}
	conn, response, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(url, "http"), header)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { _ = conn.Close() })
	return socketClient{t, conn}
}

// greeted is a connection that may subscribe.
func greeted(t *testing.T, url string) socketClient {
	t.Helper()
	c := dial(t, url, nil, "graphql-transport-ws")
	c.say(`{"type":"connection_init"}`)
	c.hear(`{"type":"connection_ack"}`)
	return c
}

func (c socketClient) say(text string) {
	c.Helper()
	require.NoError(c, c.conn.WriteMessage(websocket.TextMessage, []byte(text)))
}

func (c socketClient) hear(want string) {
	c.Helper()
	_, text, err := c.conn.ReadMessage()
	require.NoError(c, err)
	require.JSONEq(c, want, string(text))
}

// closed reads to the end and tells how it ended.
func (c socketClient) closed() int {
	c.Helper()
	for {
		if _, _, err := c.conn.ReadMessage(); err != nil {
			var e *websocket.CloseError
			if errors.As(err, &e) {
				return e.Code
			}
			var timeout net.Error
			require.False(c, errors.As(err, &timeout) && timeout.Timeout(), "the server does not close")
			return 0 // cut off
		}
	}
}

const follow = `subscription { accountEvents(accountId: \"A\", after: \"C:0/P:0\") { cursor event { eventId } } }`

func subscribe(id string) string {
	return `{"type":"subscribe","id":"` + id + `","payload":{"query":"` + follow + `"}}`
}

func next(id string, n int) string {
	return fmt.Sprintf(`{"type":"next","id":"%s","payload":{"data":{"accountEvents":{"cursor":"C:%d/P:%d","event":{"eventId":"e%d"}}}}}`, id, n, n, n)
}

func TestSocket_KeepsToTheProtocol(t *testing.T) {
	v := &tape{events: 2}
	url, _ := liveServer(t, v, nil)
	c := greeted(t, url)
	c.say(`{"type":"ping","payload":{"x":1}}`)
	c.hear(`{"type":"pong"}`)
	c.say(`{"type":"pong"}`)
	c.say(subscribe("a"))
	c.hear(next("a", 1))
	c.hear(next("a", 2))
	// Who has the pong to a ping sent after subscribe knows that it has begun.
	c.say(subscribe("b"))
	c.say(`{"type":"ping"}`)
	seen := make(map[string]string) // the last event of each
	listen := func() (kind string) {
		var m struct {
			ID, Type string
			Payload  struct {
				Data struct {
					AccountEvents struct{ Event struct{ EventID string } }
				}
			}
		}
		require.NoError(t, c.conn.ReadJSON(&m))
		if m.Type == "next" {
			seen[m.ID] = m.Payload.Data.AccountEvents.Event.EventID
		}
		return m.Type
	}
	for listen() != "pong" { // what comes before it is remembered
	}
	assert.Equal(t, int64(2), v.begun.Load())
	// What the client has completed ends, and its id is free again.
	c.say(`{"type":"complete","id":"a"}`)
	c.say(subscribe("a"))
	for seen["a"] != "e2" || seen["b"] != "e2" {
		require.Equal(t, "next", listen())
	}
	assert.Eventually(t, func() bool { return v.ended.Load() == 1 }, patience, time.Millisecond)
	// Queries go too; their errors, and those of nonsense.
	c.say(`{"type":"subscribe","id":"q","payload":{"query":"{ __typename }"}}`)
	c.hear(`{"type":"next","id":"q","payload":{"data":{"__typename":"Query"}}}`)
	c.hear(`{"type":"complete","id":"q"}`)
	c.say(`{"type":"subscribe","id":"q","payload":{"query":"{ nothing }"}}`)
	_, text, err := c.conn.ReadMessage()
	require.NoError(t, err)
	assert.Contains(t, string(text), `"type":"error"`)
	assert.Contains(t, string(text), `GRAPHQL_VALIDATION_FAILED`)
}

func TestSocket_ClosesWithTheProtocolsCodes(t *testing.T) {
	const ready = `{"type":"connection_init"}`
	for name, c := range map[string]struct {
		say    []string
		want   int
		change func(*graph.LiveLimits)
	}{
		"no JSON":                   {[]string{"{"}, 4400, nil},
		"no type":                   {[]string{"{}"}, 4400, nil},
		"an unknown type":           {[]string{`{"type":"start"}`}, 4400, nil},
		"a type that is no text":    {[]string{`{"type":1}`}, 4400, nil},
		"no id":                     {[]string{ready, `{"type":"subscribe","payload":{"query":"{ a }"}}`}, 4400, nil},
		"no query":                  {[]string{ready, `{"type":"subscribe","id":"1","payload":{}}`}, 4400, nil},
		"no payload":                {[]string{ready, `{"type":"subscribe","id":"1"}`}, 4400, nil},
		"before it is acknowledged": {[]string{subscribe("1")}, 4401, nil},
		"nothing":                   {nil, 4408, func(l *graph.LiveLimits) { l.InitWithin = time.Millisecond }},
		"an id twice":               {[]string{ready, subscribe("1"), subscribe("1")}, 4409, nil},
		"two inits":                 {[]string{ready, ready}, 4429, nil},
		"a large message":           {[]string{ready, `{"type":"ping","payload":"` + strings.Repeat("x", 64<<10) + `"}`}, 1009, nil},
		"a flood": {[]string{ready, `{"type":"ping"}`, `{"type":"ping"}`}, 1008, func(l *graph.LiveLimits) {
			l.MessagesAtOnce, l.Now = 2, func() time.Time { return time.Now().Truncate(time.Hour).Add(time.Hour) } // it stands still
		}},
	} {
		t.Run(name, func(t *testing.T) {
			v := &tape{events: 1}
			url, _ := liveServer(t, v, c.change)
			client := dial(t, url, nil, "graphql-transport-ws")
			for _, text := range c.say {
				client.say(text)
			}
			assert.Equal(t, c.want, client.closed())
			assert.Eventually(t, func() bool { return v.begun.Load() == v.ended.Load() }, patience, time.Millisecond)
		})
	}
	url, _ := liveServer(t, &tape{}, nil)
	assert.Equal(t, 4406, dial(t, url, nil, "graphql-ws").closed())
	assert.Equal(t, 4406, dial(t, url, nil).closed())
	binary := dial(t, url, nil, "graphql-transport-ws")
	require.NoError(t, binary.conn.WriteMessage(websocket.BinaryMessage, []byte(ready)))
	assert.Equal(t, 4400, binary.closed())
}

// Clients come back after 1012, and after a stream that ends without complete.
func TestLive_EndsSoThatClientsComeBack(t *testing.T) {
	v := &tape{events: 1}
	url, stop := liveServer(t, v, nil)
	c := greeted(t, url)
	c.say(subscribe("1"))
	c.hear(next("1", 1))
	lines := stream(t, url, follow, nil)
	assert.Contains(t, lines.until("data: {"), "e1")
	stop()
	assert.Equal(t, websocket.CloseServiceRestart, c.closed())
	rest, err := lines.rest()
	require.Error(t, err, "it looks like a good end")
	assert.NotContains(t, rest, "complete")
}

// An error of the views ends a subscription with a code, over both transports.
func TestLive_TellsWhyItEnds(t *testing.T) {
	v := &tape{events: 1, fails: &domain.Error{Class: domain.ClassIntegrity, Code: "view_damaged", Message: "a row is damaged"}}
	url, _ := liveServer(t, v, nil)
	c := greeted(t, url)
	c.say(subscribe("1"))
	c.hear(next("1", 1))
	_, text, err := c.conn.ReadMessage()
	require.NoError(t, err)
	assert.Contains(t, string(text), `"type":"error","id":"1"`)
	assert.Contains(t, string(text), `"code":"view_damaged"`)
	rest, err := stream(t, url, follow, nil).rest()
	require.NoError(t, err)
	assert.Contains(t, rest, `"code":"view_damaged"`)
	assert.True(t, strings.HasSuffix(rest, "event: complete\ndata: \n\n"), rest)

	v.refusal = &domain.Error{Class: domain.ClassDenied, Code: "forbidden", Message: "you may not"}
	c.say(subscribe("1"))
	_, text, err = c.conn.ReadMessage()
	require.NoError(t, err)
	assert.Contains(t, string(text), `"code":"forbidden"`)
	rest, err = stream(t, url, follow, nil).rest()
	require.NoError(t, err)
	assert.Contains(t, rest, `"code":"forbidden"`)
	rest, err = stream(t, url, "subscription { nothing }", nil).rest()
	require.NoError(t, err)
	assert.Contains(t, rest, "GRAPHQL_VALIDATION_FAILED")
}

// eventLines is an answer of server-sent events.
type eventLines struct {
	*testing.T

	response *http.Response
	text     *bufio.Reader
}

func stream(t *testing.T, url, query string, header http.Header) eventLines {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{"query":"`+query+`"}`))
	require.NoError(t, err)
	request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}}
	maps.Copy(request.Header, header)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = response.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return eventLines{t, response, bufio.NewReader(response.Body)}
}

// until reads to the next line with a beginning.
func (l eventLines) until(prefix string) string {
	l.Helper()
	for {
		line, err := l.text.ReadString('\n')
		require.NoError(l, err)
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
}

func (l eventLines) rest() (string, error) {
	var out strings.Builder
	_, err := l.text.WriteTo(&out)
	return out.String(), err
}

func TestStream_KeepsToTheProtocol(t *testing.T) {
	v := &tape{events: 2}
	address, _ := liveServer(t, v, func(l *graph.LiveLimits) { l.KeepAlive = 5 * time.Millisecond })
	lines := stream(t, address, `subscription { accountEvents(accountId: \"A\", after: \"C:1/P:1\") { cursor event { data } } }`, nil)
	assert.Equal(t, int64(1), v.begun.Load(), "the header came before the subscription had begun")
	assert.Equal(t, http.StatusOK, lines.response.StatusCode)
	assert.Equal(t, "text/event-stream; charset=utf-8", lines.response.Header.Get("Content-Type"))
	assert.Equal(t, "event: next\n", lines.until("event: "))
	// An event is one line, whatever blanks were recorded.
	assert.JSONEq(t, `{"data":{"accountEvents":{"cursor":"C:2/P:2","event":{"data":{"note":"","n":1}}}}}`, strings.TrimPrefix(lines.until("data: "), "data: "))
	lines.until(":") // comments keep it alive
	lines.until(":")

	for _, c := range []struct {
		method, query, body string
		status              int
		want                string
	}{
		{http.MethodPost, "", `{"query":"{ __typename }"}`, http.StatusOK, "event: next\ndata: {\"data\":{\"__typename\":\"Query\"}}\n\nevent: complete\ndata: \n\n"},
		{http.MethodGet, "{ __typename }", "", http.StatusOK, "event: next\ndata: {\"data\":{\"__typename\":\"Query\"}}\n\nevent: complete\ndata: \n\n"},
		{http.MethodGet, "mutation { record(events: []) { status } }", "", http.StatusMethodNotAllowed, "method_not_allowed"},
		{http.MethodPost, "", `{`, http.StatusBadRequest, "malformed"},
		{http.MethodPost, "", `{} {}`, http.StatusBadRequest, "malformed"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, address+"?query="+url.QueryEscape(c.query), strings.NewReader(c.body))
		require.NoError(t, err)
		request.Header.Set("Accept", "text/event-stream")
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		var out strings.Builder
		_, err = bufio.NewReader(response.Body).WriteTo(&out)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, c.status, response.StatusCode, c.body)
		assert.Contains(t, out.String(), c.want)
	}
}

func TestStream_IsNotForPagesOfOthers(t *testing.T) {
	v := &tape{}
	address, _ := liveServer(t, v, nil)
	for site, want := range map[string]int{"cross-site": http.StatusForbidden, "same-site": http.StatusForbidden, "same-origin": http.StatusOK, "none": http.StatusOK, "": http.StatusOK} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"?query="+url.QueryEscape("{ __typename }"), nil)
		require.NoError(t, err)
		request.Header.Set("Accept", "text/event-stream")
		if site != "" {
			request.Header.Set("Sec-Fetch-Site", site)
		}
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, want, response.StatusCode, site)
	}
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}}
	_, response, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(address, "http"), http.Header{"Origin": {"https://evil.example"}})
	require.Error(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusForbidden, response.StatusCode)
}

func TestLive_Limits(t *testing.T) {
	header := func(name string) http.Header { return http.Header{"Name": {name}} }
	code := func(text string) string {
		_, text, _ = strings.Cut(text, `"code":"`)
		text, _, _ = strings.Cut(text, `"`)
		return text
	}
	t.Run("operations of one connection", func(t *testing.T) {
		url, _ := liveServer(t, &tape{}, func(l *graph.LiveLimits) { l.OperationsPerConnection = 2 })
		c := greeted(t, url)
		for _, id := range []string{"1", "2", "3"} {
			c.say(subscribe(id))
		}
		_, text, err := c.conn.ReadMessage()
		require.NoError(t, err)
		assert.Contains(t, string(text), `"type":"error","id":"3"`)
		assert.Equal(t, "too_many_subscriptions", code(string(text)))
		c.say(`{"type":"complete","id":"1"}`)
		c.say(subscribe("3"))
		c.say(`{"type":"ping"}`)
		c.hear(`{"type":"pong"}`) // and no error before
	})
	t.Run("subscriptions", func(t *testing.T) {
		v := &tape{}
		url, _ := liveServer(t, v, func(l *graph.LiveLimits) { l.Subscriptions, l.SubscriptionsEach = 3, 2 })
		first := stream(t, url, follow, header("a"))
		stream(t, url, follow, header("a"))
		rest, err := stream(t, url, follow, header("a")).rest()
		require.NoError(t, err)
		assert.Equal(t, "too_many_subscriptions", code(rest))
		stream(t, url, follow, header("b"))
		rest, err = stream(t, url, follow, header("b")).rest()
		require.NoError(t, err)
		assert.Equal(t, "too_many_subscriptions", code(rest))
		require.NoError(t, first.response.Body.Close())
		require.Eventually(t, func() bool { return v.ended.Load() == 1 }, patience, time.Millisecond)
		assert.Eventually(t, func() bool {
			before := v.begun.Load()
			again := stream(t, url, follow, header("b"))
			return v.begun.Load() > before || again.response.Body.Close() != nil
		}, patience, 5*time.Millisecond)
	})
	t.Run("connections", func(t *testing.T) {
		url, _ := liveServer(t, &tape{}, func(l *graph.LiveLimits) { l.Connections, l.ConnectionsEach = 2, 1 })
		dial(t, url, header("a"), "graphql-transport-ws")
		refused := stream(t, url, follow, header("a"))
		assert.Equal(t, http.StatusTooManyRequests, refused.response.StatusCode)
		rest, err := refused.rest()
		require.NoError(t, err)
		assert.Equal(t, "too_many_connections", code(rest))
		stream(t, url, follow, header("b"))
		dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}}
		_, response, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(url, "http"), header("c"))
		require.Error(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, http.StatusTooManyRequests, response.StatusCode)
	})
}

// A client that reads nothing is cut off when it has made no room for WriteWithin;
// what was read for it is bounded by the buffers of the network.
func TestLive_NeverReadingClientIsCutOff(t *testing.T) {
	cutOff := func(t *testing.T, begin func(url string)) {
		v := &tape{events: -1, size: 10_000}
		url, _ := liveServer(t, v, func(l *graph.LiveLimits) { l.WriteWithin = 50 * time.Millisecond })
		begin(url)
		require.Eventually(t, func() bool { return v.ended.Load() == 1 }, patience, time.Millisecond, "it is followed for ever")
		assert.Less(t, v.played.Load(), int64(10_000), "more than the network buffers was read")
	}
	const all = `subscription { accountEvents(accountId: \"A\", after: \"C:0/P:0\") { cursor event { data } } }`
	t.Run("over WebSocket", func(t *testing.T) {
		cutOff(t, func(url string) {
			greeted(t, url).say(`{"type":"subscribe","id":"1","payload":{"query":"` + all + `"}}`)
		})
	})
	t.Run("over server-sent events", func(t *testing.T) {
		cutOff(t, func(url string) { stream(t, url, all, nil) })
	})
	t.Run("and one that says nothing", func(t *testing.T) {
		v := &tape{}
		url, _ := liveServer(t, v, func(l *graph.LiveLimits) { l.KeepAlive = 10 * time.Millisecond })
		greeted(t, url).say(subscribe("1"))
		require.Eventually(t, func() bool { return v.ended.Load() == 1 }, patience, time.Millisecond)
	})
}

// A client that reads late reads all, in order: it is not let go, nor anything left
// out.
func TestLive_SlowReaderGetsAll(t *testing.T) {
	v := &tape{events: 10_000, size: 2000}
	url, _ := liveServer(t, v, nil)
	c := greeted(t, url)
	c.say(`{"type":"subscribe","id":"1","payload":{"query":"subscription { accountEvents(accountId: \"A\", after: \"C:0/P:0\") { cursor event { data } } }"}}`)
	// Nothing is read until the server can write no more.
	before := int64(-1)
	require.Eventually(t, func() bool {
		now := v.played.Load()
		stands := now > 0 && now == before
		before = now
		return stands
	}, patience, 100*time.Millisecond)
	assert.Less(t, v.played.Load(), int64(10_000), "it was not slow")
	for n := 1; n <= 10_000; n++ {
		var m struct {
			Type    string
			Payload struct {
				Data struct{ AccountEvents struct{ Cursor string } }
			}
		}
		_, text, err := c.conn.ReadMessage()
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &m))
		require.Equal(t, fmt.Sprintf("C:%d/P:%d", n, n), m.Payload.Data.AccountEvents.Cursor)
	}
}
