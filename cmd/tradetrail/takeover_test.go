package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
	"github.com/tradetrail/tradetrail/internal/remote"
)

// takeOverWithin is the promise, 5 seconds, and what a busy machine may add.
const takeOverWithin = 10 * time.Second

// Two processes share an event store and a redis-server, and events come in
// through both all the time. Whichever writes the views is killed, again and
// again: the other goes on within seconds, and in the end the views say what the
// log says, nothing twice and nothing missing, whoever is asked.
//
// The event store is embedded in a third process, which outlives the others and
// has a Redis of its own.
func TestKill_WriterOfTheViews(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for half a minute: not in short mode")
	}
	path := lobsterFile(t)
	redis := redisURL(t)
	rounds := rounds(5, 40)

	store := startServer(t, t.TempDir(), "", "--eventstore-listen", "127.0.0.1:0")
	esdb := regexp.MustCompile(`esdb://127\.0\.0\.1:\d+\?tls=false`).FindString(store.output())
	require.NotEmpty(t, esdb, store.output())
	replica := func() *process { return startServer(t, t.TempDir(), redis, "--eventstore", esdb) }
	both := [2]*process{replica(), replica()}

	// Who records through a replica that dies sends the same again through the next:
	// an event that was durable already is a duplicate.
	flow := endless(t, path)
	var doors [3]atomic.Pointer[process]
	for i, p := range append(both[:], store) {
		doors[i].Store(p)
	}
	var over, recorded atomic.Int64
	recording := make(chan error, 1)
	go func() {
		recording <- func() error {
			for n := 0; over.Load() == 0; {
				chunk := make([]ingest.Item, 20)
				for i := range chunk {
					chunk[i] = flow(n + i)
				}
				for try := 0; ; try++ { // through the one, the other, and the third
					err := recordUntilItDies(t.Context(), doors[(n/20+try)%3].Load(), chunk)
					if err == nil {
						break
					}
					if try == 100 {
						return err
					}
				}
				n += len(chunk)
				recorded.Store(int64(n))
			}
			return nil
		}()
	}()

	var slowest time.Duration
	for round := range rounds {
		var writer int
		require.Eventually(t, func() bool {
			for i, p := range both {
				if p.writes() {
					writer = i
					return true
				}
			}
			return false
		}, time.Minute, 10*time.Millisecond, "nobody writes the views")
		other := both[1-writer]
		require.False(t, other.writes(), "both write the views")
		before := recorded.Load()
		require.Eventually(t, func() bool { return recorded.Load() > before }, time.Minute, time.Millisecond, "nothing is recorded")
		both[writer].kill()
		died := time.Now()
		require.Eventually(t, other.writes, time.Minute, 10*time.Millisecond, "nobody takes over")
		took := time.Since(died)
		slowest = max(slowest, took)
		t.Logf("round %d: taken over after %s, with %d events recorded", round, took.Round(time.Millisecond), recorded.Load())
		assert.Less(t, took, takeOverWithin)
		both[writer] = replica()
		doors[writer].Store(both[writer])
	}
	over.Store(1)
	require.NoError(t, <-recording)
	t.Logf("%d take-overs, the slowest after %s; %d events", rounds, slowest.Round(time.Millisecond), recorded.Load())

	var trails [3][]recordedEvent
	for i, p := range append(both[:], store) {
		p.caughtUp()
		trails[i] = accountEvents(p, "ACC-1")
	}
	require.Len(t, trails[0], int(recorded.Load()))
	// What died on the way may be stored beside its repetition: the order is that of
	// the file within each stream.
	want, got := make(map[string][]string), make(map[string][]string)
	for i, e := range trails[0] {
		event := flow(i).Event
		want[event.Stream()] = append(want[event.Stream()], event.ID)
		got[e.Stream] = append(got[e.Stream], e.EventID)
	}
	require.Equal(t, want, got)
	require.Equal(t, trails[0], trails[1])
	require.Equal(t, trails[0], trails[2], "the views of the third process, which nobody killed")
	first := answers(both[0])
	assert.Equal(t, first, answers(both[1]))
	for _, p := range both {
		assertEqualsRebuild(t, p)
	}
	assert.Equal(t, withoutGeneration(first), withoutGeneration(answers(both[1])))
	for _, p := range append(both[:], store) {
		assert.Zero(t, p.stop(), p.output())
	}
}

// endless is the order flow, and again with other orders, as long as it is wanted.
func endless(t *testing.T, path string) func(n int) ingest.Item {
	t.Helper()
	input, err := os.Open(head(t, path, 5000))
	require.NoError(t, err)
	defer input.Close()
	items, err := file.Open(file.FormatLobster, input, file.Options{Name: "AAPL_2012-06-21_1_2_message_50.csv", Account: "ACC-1", Strategy: "mm-1"})
	require.NoError(t, err)
	var all []ingest.Item
	for item, err := range items {
		require.NoError(t, err)
		all = append(all, item)
	}
	return func(n int) ingest.Item {
		item := all[n%len(all)]
		event, pass := *item.Event, n/len(all)
		event.ID = fmt.Sprint(event.ID, "-", pass)
		if event.OrderID != "" {
			event.OrderID = fmt.Sprint(event.OrderID, "-", pass)
			event.EntityType, event.EntityID = "order", event.OrderID
		}
		item.Event = &event
		return item
	}
}

// recordUntilItDies does not wait for a server that is gone to come back.
func recordUntilItDies(ctx context.Context, server *process, items []ingest.Item) error {
	client, err := remote.New(server.URL)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	defer func() { <-ended }()
	defer cancel()
	go func() {
		defer close(ended)
		select {
		case <-server.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	_, err = client.Record(ctx, "lobster", items)
	return err
}

// writes asks the process whether it writes the views.
func (p *process) writes() bool { return p.measures("tradetrail_projection_writes 1") }

// measures reports whether a metric of the process has this value.
func (p *process) measures(line string) bool {
	response, err := http.Get(p.URL + "/metrics")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return err == nil && strings.Contains(string(text), "\n"+line+"\n")
}

// answers are a process's answers about what all events add up to.
func answers(p *process) string {
	var answer map[string]any
	p.query(&answer, `{
		account(id: "ACC-1") { stats { events orders fills value firstAt lastAt byType { eventType count } }
			orders(last: 100) { totalCount edges { node { orderId status cumQuantity avgPrice odd } } } }
		instrument(id: "AAPL") { stats { events value } }
		daily(date: "2012-06-21") { events fills quantity value byHour { hour count } }
		latencies { stage count mean p99 }
		events(last: 100) { totalCount edges { node { eventId position } } }
		projections { name generation position hash parked }
	}`, nil)
	text, err := json.MarshalIndent(answer, "", " ")
	require.NoError(p.t, err)
	return string(text)
}

var generation = regexp.MustCompile(`"generation": \d+`)

func withoutGeneration(answer string) string {
	return generation.ReplaceAllString(answer, "generation")
}
