package client_test

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/client"
)

// The server is away while a system records 2,000 events a second; when it is
// back, all arrive, in order. What the calls took is logged for both times; that it
// does not depend on the server is for the benchmarks to say.
func TestOutage_EverythingArrivesAfterwards(t *testing.T) {
	if testing.Short() {
		t.Skip("records for some seconds: not in short mode")
	}
	away := 2 * time.Second
	if os.Getenv("TRADETRAIL_SOAK") != "" {
		away = 10 * time.Minute
	}
	door := newFakeDoor(t)
	var down atomic.Bool
	hangUp(door, &down)
	c := openClient(t, client.Config{Dir: t.TempDir(), Server: door.url, Timeout: 5 * time.Second})
	n := atRateFor(t, c, 0, away/2)
	flush(t, c)
	up := c.Stats()
	down.Store(true)
	n = atRateFor(t, c, n, away)
	s := c.Stats()
	assert.GreaterOrEqual(t, s.Pending, uint64(away.Seconds())*1900)
	require.Error(t, s.Trouble)
	assert.Positive(t, s.OldestWaits)
	down.Store(false)
	require.Eventually(t, func() bool { return c.Stats().Pending == 0 }, 2*time.Minute, 10*time.Millisecond)
	assertNumbers(t, door.got(), 0, n)
	t.Logf("p50 %s p99 %s p99.9 %s with the server, %s %s %s of all, with %d of %d events while it was away",
		up.P50, up.P99, up.P999, s.P50, s.P99, s.P999, s.Recorded-up.Recorded, s.Recorded)
}

// atRateFor records 2,000 events a second, ten at a time, and returns the next
// number.
func atRateFor(t *testing.T, c *client.Client, n int, length time.Duration) int {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range int(length / (5 * time.Millisecond)) {
		<-tick.C
		record(t, c, n, n+10)
		n += 10
	}
	return n
}
