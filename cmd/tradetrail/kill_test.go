package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
	"github.com/tradetrail/tradetrail/internal/remote"
)

// rounds is how many times a process dies: usually, or in a soak, or as many times as
// TRADETRAIL_KILLS says.
func rounds(usual, soak int) int {
	if count, err := strconv.Atoi(os.Getenv("TRADETRAIL_KILLS")); err == nil {
		return count
	}
	if os.Getenv("TRADETRAIL_SOAK") != "" {
		return soak
	}
	return usual
}

// The real order flow is imported into a real process, which is killed at random
// moments and started again. Every acknowledged event must be there, none twice,
// and the views must equal a rebuild from the log. On the in-process Redis the
// views begin anew with each process; on a redis-server they go on where the
// kill left them.
func TestKill_NothingAcknowledgedIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for half a minute: not in short mode")
	}
	path := lobsterFile(t)
	t.Run("in-process Redis", func(t *testing.T) { testKill(t, path, "", rounds(5, 50)) })
	t.Run("redis-server", func(t *testing.T) { testKill(t, path, redisURL(t), rounds(20, 200)) })
}

func testKill(t *testing.T, path, redis string, rounds int) {
	dataDir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))

	rows := 250 * rounds
	input, err := os.Open(head(t, path, rows))
	require.NoError(t, err)
	defer input.Close()
	items, err := file.Open(file.FormatLobster, input, file.Options{Name: "AAPL_2012-06-21_1_2_message_50.csv", Account: "ACC-1", Strategy: "mm-1"})
	require.NoError(t, err)
	var all []ingest.Item
	for item, err := range items {
		require.NoError(t, err)
		all = append(all, item)
	}
	require.Len(t, all, rows)

	acknowledged := make(map[string]ingest.Receipt) // by event id
	next := 0                                       // the first item that is not acknowledged
	for range rounds {
		server := startServer(t, dataDir, redis)
		died := make(chan struct{})
		chunks := make(chan struct{}, len(all))
		// The moment of death is the experiment: some chunks and some milliseconds
		// into this life.
		lived, delay := random.IntN(20), time.Duration(random.Int64N(int64(30*time.Millisecond)))
		go func() {
			defer close(died)
			for range lived {
				<-chunks
			}
			<-time.After(delay)
			server.kill()
		}()
		client, err := remote.New(server.URL)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-died; cancel() }()
		for next < len(all) {
			chunk := all[next:min(next+20, len(all))]
			receipts, err := client.Record(ctx, "lobster", chunk)
			if err != nil {
				break
			}
			for _, r := range receipts {
				require.NotEqual(t, ingest.Rejected, r.Status, "%v", r.Err)
				if before, ok := acknowledged[r.EventID]; ok {
					require.Equal(t, before.Revision, r.Revision)
				}
				acknowledged[r.EventID] = r
			}
			next += len(chunk)
			chunks <- struct{}{}
		}
		close(chunks) // the file may be over before the life is
		<-died
		cancel()
	}
	t.Logf("%d of %d events acknowledged over %d lives", len(acknowledged), len(all), rounds)
	require.NotEmpty(t, acknowledged)

	server := startServer(t, dataDir, redis)
	server.caughtUp()
	recorded := accountEvents(server, "ACC-1")
	seen := make(map[string]bool)
	for _, e := range recorded {
		require.False(t, seen[e.EventID], "event %s is recorded twice", e.EventID)
		seen[e.EventID] = true
		if r, ok := acknowledged[e.EventID]; ok {
			require.Equal(t, int(r.Revision), e.Revision)
			require.Equal(t, r.Stream, e.Stream)
		}
	}
	for id := range acknowledged {
		require.True(t, seen[id], "acknowledged event %s is lost", id)
	}

	client, err := remote.New(server.URL)
	require.NoError(t, err)
	_, err = client.Record(t.Context(), "lobster", all)
	require.NoError(t, err)
	server.caughtUp()
	again := accountEvents(server, "ACC-1")
	require.Len(t, again, len(all))
	for i, e := range again {
		if i > 0 {
			assert.NotEqual(t, e.Position, again[i-1].Position)
		}
	}
	assertEqualsRebuild(t, server)
	assert.Zero(t, server.stop(), server.output())
}

type recordedEvent struct {
	EventID    string
	Stream     string
	Revision   int
	Position   string
	OccurredAt string
	OrderID    string
	Data       json.RawMessage
}

// accountEvents pages through everything that belongs to an account.
func accountEvents(server *process, account string) []recordedEvent {
	server.t.Helper()
	var all []recordedEvent
	var after *string
	for {
		var answer struct {
			Account struct {
				Events struct {
					TotalCount int
					Edges      []struct{ Node recordedEvent }
					PageInfo   struct {
						HasNextPage bool
						EndCursor   *string
					}
				}
			}
		}
		server.query(&answer, `query($id: ID!, $after: String) { account(id: $id) { events(first: 1000, after: $after) {
			totalCount edges { node { eventId stream revision position occurredAt orderId data } } pageInfo { hasNextPage endCursor } } } }`,
			map[string]any{"id": account, "after": after})
		for _, edge := range answer.Account.Events.Edges {
			all = append(all, edge.Node)
		}
		if !answer.Account.Events.PageInfo.HasNextPage {
			require.Len(server.t, all, answer.Account.Events.TotalCount)
			return all
		}
		after = answer.Account.Events.PageInfo.EndCursor
	}
}

var allViews = []string{
	"events", "search", "orders", "chains", "accounts", "strategies", "users", "instruments", "entities", "daily", "latency", "anomalies",
}

// assertEqualsRebuild rebuilds every view; each must equal what it replaces.
func assertEqualsRebuild(t *testing.T, server *process) {
	t.Helper()
	code, stdout, stderr := tradetrail("", "rebuild", "--server", server.URL)
	require.Zero(t, code, stderr)
	assert.NotContains(t, stdout, "DIFFERS")
	for _, view := range allViews {
		assert.Regexp(t, `(?m)^`+view+`: generation \d+ at C:\d+/P:\d+ equals the one it replaced \(\d+ keys\)$`, stdout)
	}
}
