package client_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/client"
	"github.com/tradetrail/tradetrail/domain"
)

// numbered is the nth event of one of ten orders.
func numbered(n int) client.Event {
	return client.Refs{OrderID: fmt.Sprintf("ord-%d", n%10), AccountID: "ACC-1"}.Event(domain.OrderAccepted, fmt.Appendf(nil, `{"n":%d}`, n))
}

func record(t testing.TB, c *client.Client, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		e := numbered(n)
		require.NoError(t, c.Record(t.Context(), &e))
	}
}

// assertNumbers checks that the door has the events from..to once and in order.
func assertNumbers(t testing.TB, events []sent, from, to int) {
	t.Helper()
	require.Len(t, events, to-from)
	for i, e := range events {
		require.JSONEq(t, fmt.Sprintf(`{"n":%d}`, from+i), string(e.Data))
	}
}

func flush(t testing.TB, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, c.Flush(ctx))
}

func TestClient_DeliversOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for _, compression := range []client.Compression{client.CompressAuto, client.CompressNone, client.CompressGzip, client.CompressZstd} {
		t.Run(string(compression), func(t *testing.T) {
			t.Parallel()
			door := newFakeDoor(t)
			door.announce = "gzip, zstd"
			c := openClient(t, client.Config{Dir: t.TempDir(), Server: door.url, Compression: compression})
			record(t, c, 0, 1)
			flush(t, c)
			record(t, c, 1, 5000)
			flush(t, c)
			assertNumbers(t, door.got(), 0, 5000)
			s := c.Stats()
			assert.Equal(t, uint64(5000), s.Recorded)
			assert.Equal(t, uint64(5000), s.Delivered)
			assert.Zero(t, s.Pending)
			require.NoError(t, s.Trouble)
			assert.Positive(t, s.P50)
			assert.LessOrEqual(t, s.P50, s.P99)
			last := map[client.Compression]string{client.CompressAuto: "zstd", client.CompressNone: "", client.CompressGzip: "gzip", client.CompressZstd: "zstd"}
			assert.Equal(t, last[compression], door.bodies[len(door.bodies)-1])
		})
	}
}

func TestClient_WhatIsLeftIsDeliveredByTheNextOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := client.Open(t.Context(), client.Config{Dir: dir, Server: "http://127.0.0.1:1"})
	require.NoError(t, err)
	record(t, c, 0, 3000)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.Flush(ctx), context.DeadlineExceeded)
	assert.Equal(t, uint64(3000), c.Stats().Pending)
	closeNow(t, c)
	e := numbered(0)
	require.ErrorIs(t, c.Record(t.Context(), &e), client.ErrClosed)

	door := newFakeDoor(t)
	c = openClient(t, client.Config{Dir: dir, Server: door.url})
	flush(t, c)
	assertNumbers(t, door.got(), 0, 3000)
}

// Whatever stands between the client and its server, and whatever it answers:
// nothing is lost, repeated or overtaken.
func TestClient_AnswersThatAreNone(t *testing.T) {
	t.Parallel()
	html := func(status int) func(*fakeDoor, http.ResponseWriter, *http.Request, []sent) bool {
		return func(_ *fakeDoor, w http.ResponseWriter, _ *http.Request, _ []sent) bool {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = w.Write([]byte("<html><body>a proxy speaking</body></html>"))
			return true
		}
	}
	body := func(change func([]byte) []byte) func(*fakeDoor, http.ResponseWriter, *http.Request, []sent) bool {
		return func(d *fakeDoor, w http.ResponseWriter, _ *http.Request, events []sent) bool {
			_, _ = w.Write(change(d.take(events)))
			return true
		}
	}
	for name, c := range map[string]struct {
		fault func(*fakeDoor, http.ResponseWriter, *http.Request, []sent) bool
		code  string
	}{
		"cut before the answer": {func(d *fakeDoor, _ http.ResponseWriter, _ *http.Request, events []sent) bool {
			d.take(events)
			panic(http.ErrAbortHandler)
		}, client.CodeServerUnreachable},
		"cut in the middle of the answer": {func(d *fakeDoor, w http.ResponseWriter, _ *http.Request, events []sent) bool {
			answer := d.take(events)
			w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
			_, _ = w.Write(answer[:len(answer)/2])
			panic(http.ErrAbortHandler)
		}, client.CodeServerUnreachable},
		"never": {func(_ *fakeDoor, _ http.ResponseWriter, r *http.Request, _ []sent) bool {
			<-r.Context().Done()
			return true
		}, client.CodeServerUnreachable},
		"no JSON":        {body(func([]byte) []byte { return []byte("OK") }), client.CodeNotUnderstood},
		"half the JSON":  {body(func(b []byte) []byte { return b[:len(b)/2] }), client.CodeNotUnderstood},
		"other JSON":     {body(func([]byte) []byte { return []byte(`{"status":"fine"}`) }), client.CodeNotUnderstood},
		"one receipt":    {body(func([]byte) []byte { return []byte(`{"receipts":[{"event_id":"x","status":"recorded"}]}`) }), client.CodeNotUnderstood},
		"nobody's ids":   {body(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"event_id":"`), []byte(`"event_id":"x`)) }), client.CodeNotUnderstood},
		"unheard status": {body(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"status":"`), []byte(`"status":"x`)) }), client.CodeNotUnderstood},
		"no status": {body(func(b []byte) []byte {
			b = bytes.ReplaceAll(b, []byte(`"status":"recorded"`), []byte(`"status":""`))
			return bytes.ReplaceAll(b, []byte(`"status":"duplicate"`), []byte(`"status":""`))
		}), client.CodeServerUnavailable},
		"HTML with 200": {html(200), client.CodeNotUnderstood},
		"HTML with 302": {html(302), client.CodeServerRefused},
		"HTML with 403": {html(403), client.CodeServerRefused},
		"HTML with 404": {html(404), client.CodeServerRefused},
		"HTML with 500": {html(500), client.CodeServerUnavailable},
		"HTML with 502": {html(502), client.CodeServerUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door := newFakeDoor(t)
			var failing atomic.Bool
			failing.Store(true)
			door.fault = func(w http.ResponseWriter, r *http.Request, events []sent) bool {
				return failing.Load() && c.fault(door, w, r, events)
			}
			cl := openClient(t, client.Config{Dir: t.TempDir(), Server: door.url, Timeout: time.Second})
			record(t, cl, 0, 500)
			require.Eventually(t, func() bool {
				e, _ := errorOf(cl.Stats().Trouble)
				return e != nil && e.Code == c.code && cl.Stats().Retries > 1
			}, time.Minute, time.Millisecond)
			assert.Equal(t, domain.ClassTransient, domain.ClassOf(cl.Stats().Trouble))
			record(t, cl, 500, 1000)
			failing.Store(false)
			flush(t, cl)
			assertNumbers(t, door.got(), 0, 1000)
			assert.Zero(t, cl.Stats().Rejected)
			require.NoError(t, cl.Stats().Trouble)
		})
	}
}

func errorOf(err error) (*domain.Error, bool) {
	for _, e := range unjoin(err) {
		if found, ok := e.(*domain.Error); ok { //nolint:errorlint // the tree was taken apart
			return found, true
		}
	}
	return nil, false
}

func unjoin(err error) []error {
	switch e := err.(type) { //nolint:errorlint // it is the tree that is looked at
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		var all []error
		for _, inner := range e.Unwrap() {
			all = append(all, unjoin(inner)...)
		}
		return all
	default:
		return []error{e}
	}
}

func TestClient_LeavesAServerAloneAsLongAsItAsks(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		door := newFakeDoor(t)
		var times []time.Time
		door.fault = func(w http.ResponseWriter, _ *http.Request, _ []sent) bool {
			times = append(times, time.Now())
			if len(times) > 1 {
				return false
			}
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(status)
			return true
		}
		c := openClient(t, client.Config{Dir: t.TempDir(), Server: door.url})
		record(t, c, 0, 1)
		flush(t, c)
		door.set(func() { assert.GreaterOrEqual(t, times[1].Sub(times[0]), time.Second) })
	}
}

// A body that is too large is sent in pieces; an event that is too large by itself
// is put aside.
func TestClient_BodiesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	door := newFakeDoor(t)
	door.fault = func(w http.ResponseWriter, _ *http.Request, events []sent) bool {
		large := len(events) > 10
		for _, e := range events {
			large = large || len(e.Data) > 10_000
		}
		if large {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
		return large
	}
	c := openClient(t, client.Config{Dir: t.TempDir(), Server: door.url})
	record(t, c, 0, 100)
	huge := client.Refs{OrderID: "ord-1"}.Event(domain.OrderAccepted, []byte(`{"x":"`+strings.Repeat("x", 20_000)+`"}`))
	require.NoError(t, c.Record(t.Context(), &huge))
	record(t, c, 100, 200)
	flush(t, c)
	assertNumbers(t, door.got(), 0, 200)
	assert.Equal(t, uint64(1), c.Stats().Rejected)
	events := door.notSent()
	require.Len(t, events, 1)
	assert.Contains(t, string(events[0].Raw), `"order_id":"ord-1"`)
	assert.Contains(t, string(events[0].Data), `"sequence":101,"code":"server_refused"`)
	assert.Contains(t, string(events[0].Data), `"partial":true`)
}

// What is too large even for what stands in its place is not given up, and seen.
func TestClient_NothingSmallEnough(t *testing.T) {
	t.Parallel()
	door := newFakeDoor(t)
	var open atomic.Bool
	door.fault = func(w http.ResponseWriter, _ *http.Request, events []sent) bool {
		if open.Load() {
			return false
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return true
	}
	c := openClient(t, client.Config{Dir: t.TempDir(), Server: door.url})
	record(t, c, 0, 2)
	require.Eventually(t, func() bool {
		trouble := c.Stats().Trouble
		return trouble != nil && strings.Contains(trouble.Error(), "nothing moves behind event")
	}, time.Minute, time.Millisecond)
	open.Store(true)
	flush(t, c)
	assertNumbers(t, door.got(), 0, 2)
}

// One 429 says nothing about compression, and its Retry-After counts.
func TestClient_GoesOnCompressingAfterARefusalThatIsNotAboutIt(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests} {
		door := newFakeDoor(t)
		requests := 0
		door.fault = func(w http.ResponseWriter, _ *http.Request, _ []sent) bool {
			requests++
			if requests == 1 {
				w.WriteHeader(status)
			}
			return requests == 1
		}
		c := openClient(t, client.Config{Dir: t.TempDir(), Server: door.url, Compression: client.CompressZstd})
		record(t, c, 0, 1)
		flush(t, c)
		door.set(func() { assert.Equal(t, []string{"zstd", "zstd"}, door.bodies, status) })
	}
}

// A server that has no time for many events gets fewer.
func TestClient_SendsLessToASlowServer(t *testing.T) {
	t.Parallel()
	door := newFakeDoor(t)
	door.fault = func(_ http.ResponseWriter, r *http.Request, events []sent) bool {
		if len(events) > 300 {
			<-r.Context().Done()
			return true
		}
		return false
	}
	dir := t.TempDir()
	c, err := client.Open(t.Context(), client.Config{Dir: dir, Server: "http://127.0.0.1:1"})
	require.NoError(t, err)
	record(t, c, 0, 1000)
	closeNow(t, c)
	c = openClient(t, client.Config{Dir: dir, Server: door.url, Timeout: time.Second})
	flush(t, c)
	assertNumbers(t, door.got(), 0, 1000)
}

// The dead-letter file is full, or can't be written: what the server has whole goes
// on and is counted, what it has only a part of waits.
func TestClient_DeadLettersThatCannotBeKept(t *testing.T) {
	t.Parallel()
	door := newFakeDoor(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "dead-letters.ndjson")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Truncate(path, 64<<20))
	c := openClient(t, client.Config{Dir: dir, Server: door.url})
	small := client.Refs{OrderID: "ord-\xff"}.Event(domain.OrderAccepted, nil)
	require.NoError(t, c.Record(t.Context(), &small))
	flush(t, c)
	require.Len(t, door.notSent(), 1)
	assert.Contains(t, string(door.notSent()[0].Raw), "ord-\xff")
	assert.Equal(t, uint64(1), c.Stats().Unkept)
	require.ErrorContains(t, c.Stats().Trouble, "move it away")

	large := client.Refs{OrderID: "ord-\xff"}.Event(domain.OrderAccepted, []byte(`{"x":"`+strings.Repeat("x", 400_000)+`"}`))
	require.NoError(t, c.Record(t.Context(), &large))
	require.Eventually(t, func() bool { return c.Stats().Retries > 1 }, time.Minute, time.Millisecond)
	assert.Equal(t, uint64(1), c.Stats().Pending)
	require.NoError(t, os.Rename(path, path+".1"))
	flush(t, c)
	require.Eventually(t, func() bool { return c.Stats().Trouble == nil }, time.Minute, time.Millisecond)
	assert.Equal(t, uint64(1), c.Stats().Unkept)
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Greater(t, len(kept), 400_000)
	assert.Len(t, door.notSent(), 2)
}

// A line of the dead-letter file that a crash left half written costs no other.
func TestClient_DeadLettersAfterACrash(t *testing.T) {
	t.Parallel()
	door := newFakeDoor(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "dead-letters.ndjson")
	require.NoError(t, os.WriteFile(path, []byte(`{"event_id":"half`), 0o600))
	c := openClient(t, client.Config{Dir: dir, Server: door.url})
	broken := client.Refs{OrderID: "ord-1"}.Event(domain.OrderAccepted, []byte(`{"n":`))
	require.NoError(t, c.Record(t.Context(), &broken))
	flush(t, c)
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	_, whole, _ := strings.Cut(string(kept), "\n")
	assert.True(t, json.Valid([]byte(whole)), whole)
}

func TestClient_ServersThatDoNotUnpack(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(http.ResponseWriter, []sent){
		"they say so": func(w http.ResponseWriter, _ []sent) { w.WriteHeader(http.StatusUnsupportedMediaType) },
		"they take it for an event": func(w http.ResponseWriter, _ []sent) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"receipts":[{"line":1,"status":"rejected","error":{"code":"malformed","message":"malformed JSON"}}]}`))
		},
	} {
		for _, events := range []int{1, 300} {
			t.Run(fmt.Sprint(name, events), func(t *testing.T) {
				t.Parallel()
				door := newFakeDoor(t)
				door.fault = func(w http.ResponseWriter, r *http.Request, events []sent) bool {
					if r.Header.Get("Content-Encoding") == "" {
						return false
					}
					refuse(w, events)
					return true
				}
				c := openClient(t, client.Config{Dir: t.TempDir(), Server: door.url, Compression: client.CompressZstd})
				record(t, c, 0, events)
				flush(t, c)
				assertNumbers(t, door.got(), 0, events)
				assert.Zero(t, c.Stats().Rejected)
			})
		}
	}
}

func TestClient_ARejectedEventHoldsNothingBack(t *testing.T) {
	t.Parallel()
	door := newFakeDoor(t)
	door.reject = func(e sent) string {
		if e.OrderID == "ord-bad" {
			return "invalid"
		}
		return ""
	}
	dir := t.TempDir()
	told := make(chan client.Rejection, 10)
	c := openClient(t, client.Config{Dir: dir, Server: door.url, OnReject: func(r client.Rejection) {
		told <- r
		panic("a defect of the caller's")
	}})
	record(t, c, 0, 100)
	bad := client.Refs{OrderID: "ord-bad"}.Event(domain.OrderAccepted, nil)
	bad.ID = "bad-1"
	require.NoError(t, c.Record(t.Context(), &bad))
	broken := client.Refs{OrderID: "ord-1"}.Event(domain.OrderAccepted, []byte(`{"n":`))
	broken.ID = "broken-1"
	require.NoError(t, c.Record(t.Context(), &broken))
	nonsense := client.Refs{OrderID: "ord-\xff"}.Event(domain.OrderAccepted, nil)
	nonsense.ID = "nonsense-1"
	require.NoError(t, c.Record(t.Context(), &nonsense))
	record(t, c, 100, 200)
	flush(t, c)
	assertNumbers(t, door.got(), 0, 200)
	assert.Equal(t, uint64(3), c.Stats().Rejected)
	assert.Zero(t, c.Stats().Unkept)
	events := door.notSent()
	require.Len(t, events, 2)
	assert.Contains(t, string(events[0].Data), `"event_id":"broken-1","sequence":102,"code":"malformed","field":"data"`)
	assert.Contains(t, string(events[0].Raw), `{"n":`)
	assert.Contains(t, string(events[1].Data), `"event_id":"nonsense-1","sequence":103,"code":"invalid","field":"order_id"`)
	assert.Contains(t, string(events[1].Raw), "ord-\xff")

	for _, want := range []struct{ id, code, field string }{
		{"bad-1", "invalid", "data"}, {"broken-1", "malformed", "data"}, {"nonsense-1", "invalid", "order_id"},
	} {
		r := <-told
		assert.Equal(t, want.id, r.EventID)
		assert.Equal(t, want.code, r.Code)
		assert.Equal(t, want.field, r.Field)
	}
	file, err := os.Open(filepath.Join(dir, "dead-letters.ndjson"))
	require.NoError(t, err)
	defer file.Close()
	var kept []client.Rejection
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r client.Rejection
		require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
		kept = append(kept, r)
	}
	require.Len(t, kept, 3)
	assert.Contains(t, string(kept[0].Event), `"order_id":"ord-bad"`)
	assert.Contains(t, string(kept[1].Record), `{"n":`, "what can't be sent is kept as it was spooled")
}

func TestClient_RefusesAtTheCall(t *testing.T) {
	t.Parallel()
	c := openClient(t, client.Config{Dir: t.TempDir(), Server: "http://127.0.0.1:1"})
	for _, refused := range []struct {
		code string
		e    client.Event
	}{
		{domain.CodeMissing, client.Event{}},
		{domain.CodeInvalid, client.Event{Type: domain.OrderAccepted, OccurredAt: time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{domain.CodeTooLarge, client.Event{Type: domain.OrderAccepted, Raw: make([]byte, domain.MaxEventBytes+1)}},
		{domain.CodeTooLarge, client.Event{Type: domain.OrderAccepted, Raw: make([]byte, 400<<10)}}, // in base64
		{domain.CodeTooLarge, client.Event{Type: domain.OrderAccepted, Actor: strings.Repeat("\x01", 100<<10)}},
	} {
		err := c.Record(t.Context(), &refused.e)
		var rejected *domain.Error
		require.ErrorAs(t, err, &rejected)
		assert.Equal(t, refused.code, rejected.Code)
	}
	assert.Zero(t, c.Stats().Recorded)
}

func TestOpen_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := client.Open(t.Context(), client.Config{
		Server: "ftp://x", Name: "with space", Sync: "sometimes", Full: "overflow", Compression: "lz4", MaxBytes: 1, Timeout: -1,
	})
	for _, part := range []string{"Dir:", "Server:", "Name:", "Sync:", "Full:", "Compression:", "MaxBytes:", "length of time"} {
		require.ErrorContains(t, err, part)
	}
	dir := t.TempDir()
	openClient(t, client.Config{Dir: dir, Server: "http://127.0.0.1:1"})
	_, err = client.Open(t.Context(), client.Config{Dir: dir, Server: "http://127.0.0.1:1"})
	assert.Equal(t, domain.ClassConflict, domain.ClassOf(err), "one process per spool")
}

// What was dropped is an event in its place, also when the process ends before
// there is room again.
func TestClient_DroppedEventsAreAnEvent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := client.Config{Dir: dir, Server: "http://127.0.0.1:1", Full: client.FullDrop, MaxBytes: 16 << 20}
	c, err := client.Open(t.Context(), cfg)
	require.NoError(t, err)
	e := client.Refs{OrderID: "ord-1"}.Event(domain.OrderAccepted, []byte(`{"x":"`+strings.Repeat("x", 8000)+`"}`))
	for c.Stats().Dropped < 10 {
		require.NoError(t, c.Record(t.Context(), &e))
	}
	s := c.Stats()
	assert.Equal(t, uint64(10), s.Dropped)
	closeNow(t, c)

	door := newFakeDoor(t)
	cfg.Server = door.url
	c = openClient(t, cfg)
	flush(t, c)
	var notices []sent
	kept := 0
	for _, e := range door.got() {
		if e.Type == string(client.TypeEventsDropped) {
			notices = append(notices, e)
		} else {
			kept++
		}
	}
	assert.Equal(t, int(s.Recorded), kept)
	require.Len(t, notices, 1)
	var data struct {
		Count uint64 `json:"count"`
		From  uint64 `json:"from_sequence"`
		To    uint64 `json:"to_sequence"`
	}
	require.NoError(t, json.Unmarshal(notices[0].Data, &data))
	assert.Equal(t, uint64(10), data.Count, "the client has not dropped an event of its own")
	assert.Equal(t, data.To-data.From+1, data.Count)
	assert.Equal(t, s.Recorded+1, data.From)
}

func TestClient_HaltsWhenTheSpoolIsFull(t *testing.T) {
	t.Parallel()
	c := openClient(t, client.Config{Dir: t.TempDir(), Server: "http://127.0.0.1:1", MaxBytes: 16 << 20})
	e := client.Refs{OrderID: "ord-1"}.Event(domain.OrderAccepted, []byte(`{"x":"`+strings.Repeat("x", 100_000)+`"}`))
	var err error
	for err == nil {
		err = c.Record(t.Context(), &e)
	}
	require.ErrorIs(t, err, client.ErrSpoolFull)
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
}
