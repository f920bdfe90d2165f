package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A process is killed in the middle of an NDJSON stream, again and again, and the
// same stream sent anew each time. What had a receipt is there at the same place,
// and in the end every event is there once.
func TestKill_InTheMiddleOfAStream(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some seconds: not in short mode")
	}
	const events = 3000
	dataDir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	places := make(map[string]streamReceipt)
	for range rounds(3, 30) {
		server := startServer(t, dataDir, "")
		after := random.IntN(events / 2)
		receipts, _ := streamOrders(t, server, events, func(n int) {
			if n == after {
				server.kill()
			}
		})
		server.kill()
		for _, r := range receipts {
			keepPlace(t, places, r)
		}
	}
	require.NotEmpty(t, places)
	server := startServer(t, dataDir, "")
	receipts, complete := streamOrders(t, server, events, func(int) {})
	require.True(t, complete)
	require.Len(t, receipts, events)
	stands := make(map[string]bool)
	for _, r := range receipts {
		keepPlace(t, places, r)
		at := fmt.Sprint(r.Stream, "/", r.Revision)
		require.False(t, stands[at], "two events stand at %s", at)
		stands[at] = true
	}
	server.caughtUp()
	require.Len(t, accountEvents(server, "ACC-1"), events)
	require.Zero(t, server.stop(), server.output())
}

type streamReceipt struct {
	EventID  string `json:"event_id"`
	Status   string
	Stream   string
	Revision uint64
	Receipts *int
	Complete bool
}

// keepPlace holds a receipt against those of earlier lives.
func keepPlace(t *testing.T, places map[string]streamReceipt, r streamReceipt) {
	t.Helper()
	if r.Status == "" {
		return // unknown
	}
	require.NotEqual(t, "rejected", r.Status)
	if before, ok := places[r.EventID]; ok {
		require.Equal(t, before.Stream, r.Stream)
		require.Equal(t, before.Revision, r.Revision, r.EventID)
	}
	places[r.EventID] = r
}

// streamOrders sends the same events every time, and calls with how many receipts
// there were. It ends with the totals or with the connection.
func streamOrders(t *testing.T, server *process, events int, answered func(n int)) (receipts []streamReceipt, complete bool) {
	t.Helper()
	in, out := io.Pipe()
	go func() {
		for i := range events {
			if _, err := fmt.Fprintf(out, `{"event_id":"e%d","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o%d","account_id":"ACC-1"}`+"\n", i, i%300); err != nil {
				return
			}
		}
		_ = out.Close()
	}()
	defer in.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/events", in)
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-ndjson")
	request.Header.Set("Accept", "application/x-ndjson")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, false
	}
	defer response.Body.Close()
	for lines := bufio.NewReader(response.Body); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return receipts, false
		}
		var r streamReceipt
		require.NoError(t, json.Unmarshal(line, &r))
		if r.Receipts != nil {
			return receipts, r.Complete
		}
		receipts = append(receipts, r)
		answered(len(receipts))
	}
}
