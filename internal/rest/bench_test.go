package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
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
func BenchmarkEvents_Single(b *testing.B) {
	b.Run("echo", func(b *testing.B) {
		b.ReportMetric(postAll(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
		})), "events/s")
	})
	b.Run("door", func(b *testing.B) {
		node := eventstoretest.OpenNode(b, b.TempDir())
		store := eventstore.Over(node.Conn(), quiet)
		defer store.Close()
		recorder, err := ingest.NewRecorder(store, quiet, time.Now, prometheus.NewRegistry())
		require.NoError(b, err)
		defer recorder.Close(context.WithoutCancel(b.Context()))
		b.ReportMetric(postAll(b, rest.Events(recorder, quiet)), "events/s")
	})
}

// postAll returns how many events a second were answered.
func postAll(b *testing.B, handler http.Handler) float64 {
	b.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	defer client.CloseIdleConnections()
	var n atomic.Int64
	b.SetParallelism(32) // times two processors
	b.ResetTimer()
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
	return float64(b.N) / b.Elapsed().Seconds()
}
