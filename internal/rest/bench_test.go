package rest_test

import (
	"context"
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

	"github.com/tradetrail/tradetrail/eventstore/eventstoretest"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/rest"
)

// BenchmarkEvents_Single is 64 clients that each wait for their event's receipt.
func BenchmarkEvents_Single(b *testing.B) {
	store := eventstoretest.OpenStore(b, eventstoretest.OpenNode(b, b.TempDir()), "")
	recorder, err := ingest.NewRecorder(store, quiet, time.Now, prometheus.NewRegistry())
	require.NoError(b, err)
	defer recorder.Close(context.WithoutCancel(b.Context()))
	server := httptest.NewServer(rest.Events(recorder, quiet))
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
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
