package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/remote"
)

const everyOrder = `
rules:
  - id: every
    types: [order.*]
    when: "true"
    explanation: "An event of {order_id}."
`

// A process that judges is killed at random moments. In the end everything is found,
// and nothing twice.
func TestKill_EachFindingIsRecordedOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some seconds: not in short mode")
	}
	t.Run("in-process Redis", func(t *testing.T) { testDetectionKill(t, "", rounds(4, 50)) })
	t.Run("redis-server", func(t *testing.T) { testDetectionKill(t, redisURL(t), rounds(4, 100)) })
}

func testDetectionKill(t *testing.T, redis string, lives int) {
	dataDir := t.TempDir()
	rulesFile := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(rulesFile, []byte(everyOrder), 0o600))
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	detect := []string{"--detect", "--rules", rulesFile}

	said := make(map[string]bool) // ids that were acknowledged or may be recorded
	count := 0
	for range lives {
		server := startServer(t, dataDir, redis, detect...)
		client, err := remote.New(server.URL)
		require.NoError(t, err)
		for range 1 + random.IntN(5) {
			items := make([]ingest.Item, 50)
			for i := range items {
				count++
				id := domain.DeriveID("kill", "", fmt.Sprint(count))
				said[id] = true
				items[i] = ingest.Item{Event: &domain.Event{
					ID: id, Type: domain.OrderStatusObserved, SchemaVersion: 1, OrderID: fmt.Sprint("o", count%20),
					OccurredAt: time.Date(2026, 3, 2, 14, 30, 0, count, time.UTC),
				}}
			}
			_, err := client.Record(t.Context(), "kill", items)
			require.NoError(t, err)
		}
		// The moment of death is the experiment.
		<-time.After(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
		server.kill()
	}

	server := startServer(t, dataDir, redis, detect...)
	found := func() map[string]int {
		code, stdout, stderr := tradetrail("", "query", "--server", server.URL, "--type", "anomaly.detected", "--format", "json")
		require.Zero(t, code, stderr)
		times := make(map[string]int)
		decoder := json.NewDecoder(strings.NewReader(stdout))
		for decoder.More() {
			var e struct {
				Data struct {
					Rule     string
					Evidence []string
				}
			}
			require.NoError(t, decoder.Decode(&e), "%.200s", stdout)
			if e.Data.Rule == "every" {
				times[e.Data.Evidence[0]]++
			}
		}
		return times
	}
	require.Eventually(t, func() bool {
		server.caughtUp()
		return len(found()) == len(said)
	}, time.Minute, 100*time.Millisecond, "findings are missing")
	for id, times := range found() {
		require.True(t, said[id])
		require.Equal(t, 1, times, "the finding about %s is recorded more than once", id)
	}
	require.Zero(t, server.stop(), server.output())
}
