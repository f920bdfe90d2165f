package client_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/client"
)

// sent is one event as the door got it.
type sent struct {
	ID      string          `json:"event_id"`
	Type    string          `json:"event_type"`
	OrderID string          `json:"order_id"`
	Data    json.RawMessage `json:"data"`
	Raw     []byte          `json:"raw"`
}

// fakeDoor is POST /v1/events with a memory: an event that it had before is a
// duplicate. Its faults are set by tests.
type fakeDoor struct {
	url string

	mu       sync.Mutex
	events   []sent
	known    map[string]bool
	bodies   []string // the content codings of the requests
	fault    func(w http.ResponseWriter, r *http.Request, events []sent) (handled bool)
	reject   func(e sent) (code string)
	announce string // Accept-Encoding of the answers
}

func newFakeDoor(t testing.TB) *fakeDoor {
	t.Helper()
	d := &fakeDoor{known: make(map[string]bool)}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

func (d *fakeDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	coding := r.Header.Get("Content-Encoding")
	switch coding {
	case "gzip":
		unpacked, err := gzip.NewReader(bytes.NewReader(raw))
		if err == nil {
			raw, err = io.ReadAll(unpacked)
		}
		if err != nil {
			panic(err)
		}
	case "zstd":
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
		if err != nil {
			panic(err)
		}
		defer decoder.Close()
		if raw, err = decoder.DecodeAll(raw, nil); err != nil {
			panic(err)
		}
	}
	var events []sent
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e sent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			panic(fmt.Sprintf("%v in %s", err, lines.Bytes()))
		}
		events = append(events, e)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bodies = append(d.bodies, coding)
	if d.announce != "" {
		w.Header().Set("Accept-Encoding", d.announce)
	}
	if d.fault != nil && d.fault(w, r, events) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(d.take(events))
}

// take records events and makes the answer.
func (d *fakeDoor) take(events []sent) []byte {
	var receipts []map[string]any
	for _, e := range events {
		if d.reject != nil {
			if code := d.reject(e); code != "" {
				receipts = append(receipts, map[string]any{"event_id": e.ID, "status": "rejected", "error": map[string]any{"code": code, "field": "data", "message": "no"}})
				continue
			}
		}
		status := "duplicate"
		if !d.known[e.ID] {
			d.known[e.ID] = true
			d.events = append(d.events, e)
			status = "recorded"
		}
		receipts = append(receipts, map[string]any{"event_id": e.ID, "status": status})
	}
	out, err := json.Marshal(map[string]any{"receipts": receipts})
	if err != nil {
		panic(err)
	}
	return out
}

// got is what was recorded, in order, without what the client says about itself.
func (d *fakeDoor) got() (events []sent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		if e.Type != string(client.TypeCost) && e.Type != string(client.TypeEventNotSent) {
			events = append(events, e)
		}
	}
	return events
}

// notSent is what stands in the place of events that could not be sent.
func (d *fakeDoor) notSent() (events []sent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		if e.Type == string(client.TypeEventNotSent) {
			events = append(events, e)
		}
	}
	return events
}

func (d *fakeDoor) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// closeNow closes without waiting for the delivery.
func closeNow(t testing.TB, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.NoError(t, c.Close(ctx))
}

func openClient(t testing.TB, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { closeNow(t, c) })
	return c
}

// hangUp makes the door cut every request while down is set.
func hangUp(d *fakeDoor, down *atomic.Bool) {
	d.fault = func(http.ResponseWriter, *http.Request, []sent) bool {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		return false
	}
}
