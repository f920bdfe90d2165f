package app_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/remote"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// envBenchLeaves is how many events are recorded and sealed before proofs are asked for.
const (
	envBenchLeaves     = "TRADETRAIL_BENCH_LEAVES"
	defaultBenchLeaves = 20_000
	provenOrders       = 500 // whose events are proven, drawn from all
	stepsOfOrder       = 5
)

// BenchmarkProof asks a whole server over HTTP for inclusion proofs of events from all
// over the log, by id and position, one after the other, on a redis-server of its own.
// Whoever asks shares the cores with it.
func BenchmarkProof(b *testing.B) {
	total := defaultBenchLeaves
	if text := os.Getenv(envBenchLeaves); text != "" {
		var err error
		total, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	url := serving(b, viewstest.Own(b).URL, func(c *config.Config) { c.Detect = false })
	client, err := remote.New(url)
	require.NoError(b, err)
	for from := 0; from < total; from += benchChunk {
		var body strings.Builder
		for i := from; i < min(from+benchChunk, total); i++ {
			fmt.Fprintf(&body, `{"event_id":"p%d","event_type":"order.accepted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o%d","account_id":"A%d","data":{"quantity":"100","limit_price":"412.50"}}`+"\n",
				i, i/stepsOfOrder, i%97)
		}
		response, err := http.Post(url+"/v1/events", "application/x-ndjson", strings.NewReader(body.String()))
		require.NoError(b, err)
		require.NoError(b, response.Body.Close())
		require.Equal(b, http.StatusOK, response.StatusCode)
	}
	type event struct {
		EventID  string `json:"eventId"`
		Position string `json:"position"`
	}
	var events []event
	rng := rand.New(rand.NewPCG(1, 8))
	for range provenOrders {
		var answer struct {
			Chain struct {
				Events []struct {
					Event event `json:"event"`
				} `json:"events"`
			} `json:"chain"`
		}
		order := fmt.Sprintf("o%d", rng.IntN(total/stepsOfOrder))
		require.Eventually(b, func() bool {
			err := client.Query(b.Context(), `query($id: ID!) { chain(orderId: $id) { events { event { eventId position } } } }`, map[string]any{"id": order}, &answer)
			return err == nil && len(answer.Chain.Events) == stepsOfOrder
		}, 10*time.Minute, 20*time.Millisecond, "the views have not caught up with %s", order)
		for _, e := range answer.Chain.Events {
			events = append(events, e.Event)
		}
	}
	var sealed struct {
		Checkpoint struct {
			Size int `json:"size"`
		} `json:"checkpoint"`
	}
	require.Eventually(b, func() bool {
		return client.Query(b.Context(), `{ checkpoint { size } }`, nil, &sealed) == nil && sealed.Checkpoint.Size == total
	}, 10*time.Minute, 20*time.Millisecond, "not sealed")
	rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })

	b.ResetTimer()
	var latencies []time.Duration
	for i := 0; b.Loop(); i++ {
		e := events[i%len(events)]
		var answer struct {
			Proof struct {
				LeafIndex int `json:"leafIndex"`
				TreeSize  int `json:"treeSize"`
			} `json:"proof"`
		}
		begun := time.Now()
		err := client.Query(b.Context(), `query($id: ID!, $at: String) { proof(eventId: $id, position: $at) { leafIndex treeSize leaf rootHash hashes checkpoint { note } } }`,
			map[string]any{"id": e.EventID, "at": e.Position}, &answer)
		latencies = append(latencies, time.Since(begun))
		require.NoError(b, err)
		require.Equal(b, e.EventID, fmt.Sprintf("p%d", answer.Proof.LeafIndex))
		require.Equal(b, total, answer.Proof.TreeSize)
	}
	slices.Sort(latencies)
	b.ReportMetric(milliseconds(latencies[len(latencies)/2]), "p50-ms")
	b.ReportMetric(milliseconds(latencies[len(latencies)*99/100]), "p99-ms")
}
