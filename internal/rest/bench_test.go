package rest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/eventstoretest"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/rest"
)

// BenchmarkEvents_Single is 64 clients that each wait for their event's receipt,
// beside the same clients and bodies against a server that decodes and answers.
// Client, server and store share the processors.
func BenchmarkEvents_Single(b *testing.B) {
	b.Run("echo", func(b *testing.B) {
		postAll(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var event struct {
				EventID    string    `json:"event_id"`
				EventType  string    `json:"event_type"`
				OccurredAt time.Time `json:"occurred_at"`
				OrderID    string    `json:"order_id"`
			}
			if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(event)
		}))
	})
	b.Run("door", func(b *testing.B) { postAll(b, benchDoor(b)) })
}

// benchDoor is a door before a store in this process, as serve has it.
func benchDoor(b *testing.B) *rest.Door {
	b.Helper()
	store := eventstore.Over(eventstoretest.OpenNode(b, b.TempDir()).Conn(), quiet)
	b.Cleanup(func() { _ = store.Close() })
	recorder, err := ingest.NewRecorder(store, quiet, time.Now, prometheus.NewRegistry())
	require.NoError(b, err)
	b.Cleanup(func() { recorder.Close(context.WithoutCancel(b.Context())) })
	return newDoor(recorder)
}

func postAll(b *testing.B, handler http.Handler) {
	b.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	defer client.CloseIdleConnections()
	var n atomic.Int64
	b.SetParallelism(32) // times two processors
	b.ResetTimer()
	cpu := cpuTime()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			body := fmt.Sprintf(`{"event_id":"%d","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"%d"}`, i, i/5)
			response, err := client.Post(server.URL, "application/json", strings.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				b.Error(response.Status)
			}
		}
	})
	reportEvents(b, b.N, cpu)
}

// reportEvents also tells what others on the machine don't change as much: the
// processor time of an event.
func reportEvents(b *testing.B, events int, before time.Duration) {
	b.Helper()
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(events), "cpu-µs/event")
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // of itself, it can't fail
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkEvents_Stream is one NDJSON body that never ends, with a receipt for
// each line: one operation is one event. per-order is how many neighbours share a
// stream, and so an append.
func BenchmarkEvents_Stream(b *testing.B) {
	for _, perOrder := range []int{1, 5, 50} {
		b.Run(fmt.Sprint("per-order=", perOrder), func(b *testing.B) {
			server := httptest.NewServer(benchDoor(b))
			defer server.Close()
			in, out := io.Pipe()
			request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL, in)
			require.NoError(b, err)
			request.Header.Set("Content-Type", ndjson)
			request.Header.Set("Accept", ndjson)
			cpu := cpuTime()
			b.ResetTimer()
			go func() {
				buffered := bufio.NewWriterSize(out, 64<<10)
				for i := range b.N {
					fmt.Fprintf(buffered, `{"event_id":"%d","event_type":"order.partially_filled","occurred_at":"2012-06-21T09:30:00.004241176Z",`+
						`"order_id":"%d","account_id":"ACC-1","strategy_id":"mm-1","ticker":"AAPL","data":{"side":"buy","fill_price":"585.33","fill_quantity":"18","venue":"NASDAQ"}}`+"\n", i, i/perOrder)
				}
				_ = out.CloseWithError(buffered.Flush())
			}()
			response, err := http.DefaultClient.Do(request)
			require.NoError(b, err)
			defer response.Body.Close()
			lines := bufio.NewScanner(response.Body)
			n := 0
			for ; lines.Scan(); n++ {
				if n == b.N {
					require.Contains(b, lines.Text(), fmt.Sprintf(`"recorded":%d`, b.N))
				}
			}
			require.Equal(b, b.N+1, n)
			reportEvents(b, b.N, cpu)
		})
	}
}
