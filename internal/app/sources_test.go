package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest/source"
	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

func entries(t *testing.T, text string, variables map[string]string) []source.Entry {
	t.Helper()
	parsed, err := source.Parse(strings.NewReader(text), func(name string) (string, bool) { v, ok := variables[name]; return v, ok })
	require.NoError(t, err)
	return parsed
}

func newApp(t *testing.T) *app.App {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.DataDir = "127.0.0.1:0", t.TempDir()
	a, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return a
}

func TestSources_RecordBesideOneThatIsAway(t *testing.T) {
	streams := viewstest.Own(t)
	a := newApp(t)
	require.NoError(t, a.AddSources(entries(t, `
sources:
  - {name: fills, kind: redis, url: "${STREAMS}", streams: [fills]}
  - {name: away, kind: rabbitmq, url: "amqp://127.0.0.1:1/", queue: none}
  - {name: drop-copy, kind: fix, role: acceptor, host: 127.0.0.1, begin_string: FIX.4.4, sender_comp_id: US, target_comp_id: THEM, username: u, password: "${STREAMS}"}
`, map[string]string{"STREAMS": streams.URL})))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	require.NoError(t, streams.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "fills", Values: []any{
		"event", `{"event_type":"order.filled","occurred_at":"2026-03-02T14:30:00Z","order_id":"ord_1"}`,
	}}).Err())

	fetch := func(path string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL()+path, http.NoBody)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, ""
		}
		defer response.Body.Close()
		var body json.RawMessage
		_ = json.NewDecoder(response.Body).Decode(&body)
		return response.StatusCode, string(body)
	}
	assert.Eventually(t, func() bool {
		code, body := fetch("/audit/chain/ord_1")
		return code == http.StatusOK && strings.Contains(body, `"redis:fills"`)
	}, time.Minute, 20*time.Millisecond)
	assert.Eventually(t, func() bool {
		code, body := fetch("/readyz")
		return code == http.StatusOK && strings.Contains(body, `{"name":"source redis:fills","status":"ok"}`) &&
			strings.Contains(body, `{"name":"source rabbitmq:away","status":"failing"`) &&
			strings.Contains(body, `{"name":"source drop-copy","status":"failing"`)
	}, time.Minute, 20*time.Millisecond, "a broker that is away shows, and the service is ready")
}

func TestSources_OfOneStreamHaveConsumersOfTheirOwn(t *testing.T) {
	a := newApp(t)
	t.Cleanup(func() { assert.NoError(t, a.Close()) })
	require.NoError(t, a.AddSources(entries(t, `
sources:
  - {name: a, kind: nats, url: "nats://h", stream: S, subjects: [x]}
  - {name: b, kind: nats, url: "nats://h", stream: S, subjects: [y]}
  - {name: a, kind: kafka, brokers: ["h:1"], topics: [x]}
  - {name: b, kind: kafka, brokers: ["h:1"], topics: [x], group: b}
`, nil)))
}

func TestSources_AreCheckedBeforeAnythingStarts(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"kind":          {"sources: [{name: a, kind: carrier-pigeon}]", "carrier-pigeon"},
		"key":           {"sources: [{name: a, kind: kafka, topix: [b]}]", "topix"},
		"fix":           {"sources: [{name: a, kind: fix, role: listener}]", "listener"},
		"durable twice": {"sources: [{name: a, kind: nats, url: 'nats://h', stream: S, durable: d, subjects: [x]}, {name: b, kind: nats, url: 'nats://h', stream: S, durable: d, subjects: [y]}]", "reads what a reads"},
		"topic twice":   {"sources: [{name: a, kind: kafka, brokers: ['h:1', 'i:1'], topics: [x, y]}, {name: b, kind: kafka, brokers: ['i:1', 'h:1'], topics: [y]}]", "reads what a reads"},
		"queue twice":   {"sources: [{name: a, kind: rabbitmq, url: 'amqp://h', queue: q}, {name: b, kind: rabbitmq, url: 'amqp://h', queue: q}]", "reads what a reads"},
		"stream twice":  {"sources: [{name: a, kind: redis, url: 'redis://h', streams: [x]}, {name: b, kind: redis, url: 'redis://h', streams: [x], consumer: b}]", "reads what a reads"},
		"value":         {"sources: [{name: a, kind: kafka, brokers: ['127.0.0.1:9092']}]", "topics"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			t.Cleanup(func() { assert.NoError(t, a.Close()) })
			err := a.AddSources(entries(t, c.text, nil))
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
		})
	}
}
