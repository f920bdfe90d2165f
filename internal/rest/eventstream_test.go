package rest_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/eventstoretest"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/rest"
)

// line is an answer line of a stream: a receipt, or the totals.
type line struct {
	Line     int
	EventID  string `json:"event_id"`
	Status   string
	Stream   string
	Revision *uint64
	Position string
	Error    *struct{ Code, Message string }

	Receipts                      *int
	Recorded, Duplicate, Rejected int
	Complete                      bool
	Problem                       *struct {
		Code   string
		Status int
	}
}

// stream posts NDJSON and reads its receipts.
func (d door) stream(t testing.TB, body io.Reader, header ...string) *streaming {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url, body)
	require.NoError(t, err)
	request.Header.Set("Content-Type", ndjson)
	request.Header.Set("Accept", ndjson)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return &streaming{t: t, response: response, lines: bufio.NewReader(response.Body)}
}

type streaming struct {
	t        testing.TB
	response *http.Response
	lines    *bufio.Reader
	n        int // receipts read
}

func (s *streaming) next() line {
	s.t.Helper()
	text, err := s.lines.ReadBytes('\n')
	require.NoError(s.t, err, "%s", text)
	var l line
	require.NoError(s.t, json.Unmarshal(text, &l), "%s", text)
	if l.Receipts == nil {
		s.n++
	}
	return l
}

// all reads receipts up to the totals, and that nothing follows those.
func (s *streaming) all() (receipts []line, totals line) {
	s.t.Helper()
	for {
		l := s.next()
		if l.Receipts != nil {
			_, err := s.lines.ReadByte()
			require.ErrorIs(s.t, err, io.EOF)
			require.Equal(s.t, s.n, *l.Receipts)
			return receipts, l
		}
		receipts = append(receipts, l)
	}
}

// orders are the events of n orders in turns.
func orders(from, to, n int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, `{"event_id":"e%d","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o%d"}`+"\n", i, i%n)
	}
	return b.String()
}

// recordedIDs are all event ids in the log, which has each once.
func (d door) recordedIDs(t testing.TB) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for r, err := range d.store.Forwards(t.Context(), domain.Position{}, 1<<40) {
		require.NoError(t, err)
		if e, err := r.Event(); err == nil && !r.System() {
			require.False(t, ids[e.ID], "%s is there twice", e.ID)
			ids[e.ID] = true
		}
	}
	return ids
}

func TestStream_ReceiptsInOrderAndTotals(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.stream(t, strings.NewReader(orders(0, 3000, 300)+"not json\n\n"+orders(3000, 5000, 300)+orders(0, 1, 300)))
	assert.Equal(t, http.StatusOK, s.response.StatusCode)
	assert.Equal(t, ndjson, s.response.Header.Get("Content-Type"))
	receipts, totals := s.all()
	require.Len(t, receipts, 5002)
	assert.Equal(t, [3]int{5000, 1, 1}, [3]int{totals.Recorded, totals.Duplicate, totals.Rejected})
	assert.True(t, totals.Complete)
	assert.Nil(t, totals.Problem)
	revisions := map[string]uint64{}
	last := 0
	for _, r := range receipts {
		require.Greater(t, r.Line, last)
		last = r.Line
		if r.Status == "recorded" {
			require.Equal(t, revisions[r.Stream], *r.Revision, "order within a stream is that of the lines")
			revisions[r.Stream]++
		}
	}
	assert.Equal(t, "rejected", receipts[3000].Status)
	assert.Equal(t, 3001, receipts[3000].Line)
	assert.Equal(t, 3003, receipts[3001].Line, "the blank line counts")
	assert.Len(t, d.recordedIDs(t), 5001)
}

// A receipt comes while the body goes on, without waiting for more lines.
func TestStream_AnswersWhileItIsSent(t *testing.T) {
	t.Parallel()
	d := open(t)
	in, out := io.Pipe()
	s := d.stream(t, in)
	for i := range 3 {
		_, err := io.WriteString(out, orders(i, i+1, 1))
		require.NoError(t, err)
		r := s.next()
		assert.Equal(t, i+1, r.Line)
		assert.Equal(t, "recorded", r.Status)
	}
	require.NoError(t, out.Close())
	_, totals := s.all()
	assert.Equal(t, 3, totals.Recorded)
}

func compressed(t testing.TB, encoding, body string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		z, err := zstd.NewWriter(&b)
		require.NoError(t, err)
		w = z
	}
	_, err := io.WriteString(w, body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestEvents_Compressed(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"gzip", "zstd"} {
		d := open(t)
		receipts, totals := d.stream(t, bytes.NewReader(compressed(t, encoding, orders(0, 2000, 300))), "Content-Encoding", encoding).all()
		assert.Len(t, receipts, 2000)
		assert.True(t, totals.Complete, encoding)

		body := "[" + strings.ReplaceAll(strings.TrimSpace(orders(0, 10, 300)), "\n", ",") + "]"
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url, bytes.NewReader(compressed(t, encoding, body)))
		require.NoError(t, err)
		request.Header.Set("Content-Encoding", encoding)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		var s said
		require.NoError(t, json.NewDecoder(response.Body).Decode(&s))
		assert.Equal(t, 10, s.Duplicate)

		broken := compressed(t, encoding, orders(5000, 9000, 300))
		_, totals = d.stream(t, bytes.NewReader(broken[:len(broken)/2]), "Content-Encoding", encoding).all()
		assert.False(t, totals.Complete)
		assert.Equal(t, domain.CodeMalformed, totals.Problem.Code)
		_, totals = d.stream(t, strings.NewReader(orders(0, 1, 1)), "Content-Encoding", encoding).all()
		assert.False(t, totals.Complete, "what is not compressed says so")
	}
}

func TestEvents_UnknownEncoding(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, encoding := range []string{"br", "gzip, zstd", "gzip, gzip", "\"gzip\""} {
		s := d.stream(t, strings.NewReader(orders(0, 1, 1)), "Content-Encoding", encoding)
		assert.Equal(t, http.StatusUnsupportedMediaType, s.response.StatusCode, encoding)
		assert.Equal(t, "gzip, zstd", s.response.Header.Get("Accept-Encoding"))
	}
	assert.Empty(t, d.recordedIDs(t))
}

// 2 GiB of blank lines in a few kilobytes are not read to their end.
func TestEvents_Bombs(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, encoding := range []string{"gzip", "zstd"} {
		bomb := compressed(t, encoding, strings.Repeat("\n", 64<<20))
		_, totals := d.stream(t, bytes.NewReader(bomb), "Content-Encoding", encoding).all()
		require.NotNil(t, totals.Problem, encoding)
		assert.Equal(t, "compression_ratio", totals.Problem.Code)
	}
	var wide bytes.Buffer
	z, err := zstd.NewWriter(&wide, zstd.WithWindowSize(64<<20))
	require.NoError(t, err)
	_, err = io.WriteString(z, orders(0, 100, 1))
	require.NoError(t, err)
	require.NoError(t, z.Flush())
	_, err = io.WriteString(z, orders(100, 200, 1))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	_, totals := d.stream(t, &wide, "Content-Encoding", "zstd").all()
	assert.Equal(t, domain.CodeMalformed, totals.Problem.Code, "a window that takes 64 MiB of memory")
}

// A client that is cut off sends the same again: every event is there once.
func TestStream_CutAndSentAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	body := orders(0, 4000, 500)
	for _, part := range []int{1, 2, 3} {
		ctx, cancel := context.WithCancel(t.Context())
		in, out := io.Pipe()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, in)
		require.NoError(t, err)
		request.Header.Set("Content-Type", ndjson)
		request.Header.Set("Accept", ndjson)
		go func() {
			_, _ = io.WriteString(out, body[:len(body)*part/4+17]) // in the middle of a line
		}()
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		s := &streaming{t: t, response: response, lines: bufio.NewReader(response.Body)}
		for range 200 * part {
			s.next()
		}
		cancel()
		_ = response.Body.Close()
		_ = out.Close()
	}
	receipts, totals := d.stream(t, strings.NewReader(body)).all()
	assert.Len(t, receipts, 4000)
	assert.Equal(t, 4000, totals.Recorded+totals.Duplicate)
	assert.Positive(t, totals.Duplicate)
	assert.Len(t, d.recordedIDs(t), 4000)
}

// The store goes away in the middle: what was acknowledged is there, the client is
// told where it ended, and the same stream again is recorded once.
func TestStream_StoreAway(t *testing.T) {
	t.Parallel()
	d := open(t, ingest.WithPatience(200*time.Millisecond))
	in, out := io.Pipe()
	s := d.stream(t, in)
	_, err := io.WriteString(out, orders(0, 100, 5))
	require.NoError(t, err)
	acknowledged := map[string]bool{}
	for range 100 {
		acknowledged[s.next().EventID] = true
	}
	d.proxy.Down()
	go func() { _, _ = io.WriteString(out, orders(100, 200, 5)) }()
	receipts, totals := s.all()
	_ = out.Close()
	assert.False(t, totals.Complete)
	require.NotNil(t, totals.Problem)
	assert.Equal(t, http.StatusServiceUnavailable, totals.Problem.Status)
	assert.Equal(t, eventstore.CodeUnavailable, totals.Problem.Code)
	for _, r := range receipts {
		assert.Empty(t, r.Status, "unknown")
	}
	d.proxy.Up()
	require.Eventually(t, func() bool {
		_, totals = d.stream(t, strings.NewReader(orders(0, 200, 5))).all()
		return totals.Complete
	}, time.Minute, 10*time.Millisecond)
	assert.Equal(t, 200, totals.Recorded+totals.Duplicate)
	ids := d.recordedIDs(t)
	assert.Len(t, ids, 200)
	for id := range acknowledged {
		assert.True(t, ids[id])
	}
}

// hasty returns a clock that goes back an hour and forth by turns: what is to be
// done within a minute is late at once.
func hasty() func() time.Time {
	var asked atomic.Int64
	return func() time.Time {
		return time.Now().Add(-time.Hour * time.Duration(asked.Add(1)%2))
	}
}

func openWith(t testing.TB, stop context.Context, now func() time.Time, wrap func(http.Handler) http.Handler) door { //nolint:revive // t comes first in tests
	t.Helper()
	store := eventstore.Over(eventstoretest.OpenNode(t, t.TempDir()).Conn(), quiet) //nolint:contextcheck // stop is not the life of the store
	recorder, err := ingest.NewRecorder(store, quiet, time.Now, prometheus.NewRegistry())
	require.NoError(t, err)
	var handler http.Handler = rest.NewDoor(stop, recorder, rest.DefaultDoorLimits(), quiet, now, prometheus.NewRegistry())
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() { //nolint:contextcheck // as above
		http.DefaultClient.CloseIdleConnections()
		server.Close()
		recorder.Close(context.WithoutCancel(t.Context()))
		assert.NoError(t, store.Close())
	})
	return door{url: server.URL, store: store}
}

// Whoever stops in the middle of a line is cut off, and learns what was taken.
func TestStream_Stalled(t *testing.T) {
	t.Parallel()
	d := openWith(t, t.Context(), hasty(), nil)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nAccept: %[1]s\r\nContent-Length: 100000\r\n\r\n", ndjson)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	_, totals := (&streaming{t: t, lines: bufio.NewReader(response.Body)}).all()
	require.NotNil(t, totals.Problem)
	assert.Equal(t, "stalled", totals.Problem.Code)
	assert.Equal(t, http.StatusRequestTimeout, totals.Problem.Status)
}

// A blank line is a sign of life.
func TestStream_BlankLinesKeepItOpen(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	d := openWith(t, t.Context(), func() time.Time {
		asked.Add(1)
		return time.Now()
	}, nil)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 1000000\r\n\r\n", ndjson)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := io.WriteString(conn, "\n")
		require.NoError(t, err)
		return asked.Load() > 5
	}, time.Minute, time.Millisecond, "the deadline is put off")
}

// The server stops: the client is told, and what it was told before is durable.
func TestStream_ServerStops(t *testing.T) {
	t.Parallel()
	stop, stopNow := context.WithCancel(t.Context())
	d := openWith(t, stop, time.Now, nil)
	in, out := io.Pipe()
	defer out.Close()
	s := d.stream(t, in)
	_, err := io.WriteString(out, orders(0, 1, 1)+`{"half`)
	require.NoError(t, err)
	s.next()
	stopNow()
	receipts, totals := s.all()
	assert.Empty(t, receipts)
	assert.False(t, totals.Complete)
	assert.Equal(t, "stopping", totals.Problem.Code)
	assert.Len(t, d.recordedIDs(t), 1)
}

// A client that sends and never reads is cut off; its stream holds nothing back
// from others.
func TestStream_NeverReadsItsReceipts(t *testing.T) {
	t.Parallel()
	var ended sync.WaitGroup
	ended.Add(1)
	var once sync.Once
	d := openWith(t, t.Context(), time.Now, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rest.Patient(next, 300*time.Millisecond, time.Now).ServeHTTP(w, r)
			if r.Header.Get("X-Deaf") != "" {
				once.Do(ended.Done)
			}
		})
	})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096)) //nolint:errcheck // it is one
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-Deaf: 1\r\nContent-Type: %s\r\nAccept: %[1]s\r\nContent-Length: 1000000000\r\n\r\n", ndjson)
	require.NoError(t, err)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		same := orders(0, 1000, 1)
		for {
			if _, err := io.WriteString(conn, same); err != nil {
				return
			}
		}
	}()
	ended.Wait()
	<-sent
	_, totals := d.stream(t, strings.NewReader(orders(0, 10, 1))).all()
	assert.Equal(t, 10, totals.Duplicate)
}

// Receipts are no lines for HTTP/1.0, where half of them look like all.
func TestStream_NeedsHTTP11(t *testing.T) {
	t.Parallel()
	d := open(t)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(d.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.0\r\nHost: x\r\nContent-Type: %s\r\nAccept: %[1]s\r\nContent-Length: 0\r\n\r\n", ndjson)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, http.StatusHTTPVersionNotSupported, response.StatusCode)
}
