package app_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/app"
)

// A doubt that is found again after a restart, later and among others, is neither
// recorded again nor taken for an input that contradicts itself.
func TestIntegrityRecorder_DoubtsOnce(t *testing.T) {
	node, err := embedded.Open(t.TempDir(), embedded.Options{CacheBytes: 4 << 20})
	require.NoError(t, err)
	store := eventstore.Over(node.Conn(), slog.New(slog.DiscardHandler))
	defer func() {
		assert.NoError(t, store.Close())
		assert.NoError(t, node.Close())
	}()
	say := func(id string, kind domain.EventType, data string) error {
		recorder, err := ingest.NewRecorder(store, slog.New(slog.DiscardHandler), time.Now, prometheus.NewRegistry())
		require.NoError(t, err)
		defer recorder.Close(t.Context())
		return app.RecordsIntegrity(recorder).Record(t.Context(), &domain.Event{
			ID: id, Type: kind, OccurredAt: time.Now().UTC(), EntityType: "tlog", EntityID: "log.example/app", SchemaVersion: domain.SchemaVersion, Data: jsontext.Value(data),
		})
	}
	require.NoError(t, say("one", domain.IntegrityDoubted, `{"size":10}`))
	require.NoError(t, say("one", domain.IntegrityDoubted, `{"size":20}`))
	recorded := make(map[string]int)
	for r, err := range store.Forwards(t.Context(), domain.Position{}, 100) {
		require.NoError(t, err)
		recorded[r.Type]++
	}
	assert.Equal(t, map[string]int{string(domain.IntegrityDoubted): 1}, recorded)
	require.Error(t, say("one", domain.IntegrityCertified, `{"size":20}`), "it is no doubt")
}
