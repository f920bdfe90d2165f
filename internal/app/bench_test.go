package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/remote"
)

// serving starts an App for a benchmark and returns its URL.
func serving(b *testing.B, redis string, changes ...func(*config.Config)) string {
	b.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.DataDir, cfg.Redis = "127.0.0.1:0", b.TempDir(), redis
	for _, change := range changes {
		change(&cfg)
	}
	a, err := app.New(b.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		require.NoError(b, <-done)
		http.DefaultClient.CloseIdleConnections()
	})
	client, err := remote.New(a.URL())
	require.NoError(b, err)
	require.Eventually(b, func() bool { return client.Ready(b.Context()) == nil }, time.Minute, time.Millisecond)
	return a.URL()
}

// redisKinds are the in-process Redis and, where TRADETRAIL_TEST_REDIS names
// one, database 15 of a real server. It must be empty: the views in it would
// belong to another log.
func redisKinds() map[string]string {
	kinds := map[string]string{"in-process": ""}
	if url := os.Getenv("TRADETRAIL_TEST_REDIS"); url != "" {
		kinds["redis-server"] = strings.TrimSuffix(url, "/0") + "/15"
	}
	return kinds
}

// BenchmarkLive measures one event at a time from the start of its POST to its
// arrival at a subscriber over server-sent events.
func BenchmarkLive(b *testing.B) {
	for kind, redis := range redisKinds() {
		b.Run(kind, func(b *testing.B) {
			url := serving(b, redis)
			updates := follow(b, url, "live")
			latencies := make([]time.Duration, 0, b.N)
			for i := 0; b.Loop(); i++ {
				body := fmt.Sprintf(`{"event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"live-%d","account_id":"live","data":{"quantity":"100","limit_price":"412.50","note":"%s"}}`,
					i, strings.Repeat("x", 200))
				begun := time.Now()
				response, err := http.Post(url+"/v1/events", "application/json", strings.NewReader(body))
				require.NoError(b, err)
				_, err = io.Copy(io.Discard, response.Body)
				require.NoError(b, err)
				require.NoError(b, response.Body.Close())
				<-updates
				latencies = append(latencies, time.Since(begun))
			}
			slices.Sort(latencies)
			b.ReportMetric(float64(latencies[len(latencies)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// follow subscribes to an account; a value arrives for each event.
func follow(b *testing.B, url, account string) <-chan struct{} {
	b.Helper()
	body, err := json.Marshal(map[string]any{
		"query":     `subscription($id: ID!) { accountEvents(accountId: $id, after: "C:0/P:0") { cursor event { eventId } } }`,
		"variables": map[string]any{"id": account},
	})
	require.NoError(b, err)
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/graphql", strings.NewReader(string(body)))
	require.NoError(b, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // closed by the reader below
	require.NoError(b, err)
	updates := make(chan struct{}, 1024)
	go func() {
		defer close(updates)
		defer func() { _ = response.Body.Close() }()
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "data: {") {
				updates <- struct{}{}
			}
		}
	}()
	return updates
}

// BenchmarkImport records real order flow through HTTP, 1,000 events a request,
// one request after the other, as tradetrail import does, views included.
func BenchmarkImport(b *testing.B) {
	found, err := filepath.Glob("../../../shared/data/lobster/*_message_*.csv")
	require.NoError(b, err)
	if path := os.Getenv("TRADETRAIL_LOBSTER"); path != "" {
		found = []string{path}
	}
	if len(found) == 0 {
		b.Skip("the LOBSTER sample is neither in ../shared/data/lobster nor named by TRADETRAIL_LOBSTER")
	}
	for kind, redis := range redisKinds() {
		b.Run(kind, func(b *testing.B) {
			client, err := remote.New(serving(b, redis))
			require.NoError(b, err)
			input, err := os.Open(found[0])
			require.NoError(b, err)
			defer func() { _ = input.Close() }()
			items, err := file.Open(file.FormatLobster, input, file.Options{Name: filepath.Base(found[0]), Account: "A", Strategy: b.TempDir()})
			require.NoError(b, err)
			var chunk []ingest.Item
			b.ResetTimer()
			events := 0
			for item, err := range items {
				require.NoError(b, err)
				if chunk = append(chunk, item); len(chunk) < 1000 {
					continue
				}
				_, err := client.Record(b.Context(), "bench", chunk)
				require.NoError(b, err)
				if events += len(chunk); events >= 20*1000*b.N {
					break
				}
				chunk = chunk[:0]
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
