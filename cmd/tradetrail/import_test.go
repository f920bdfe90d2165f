package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const realRows = 91_997

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// plainBinary builds tradetrail as a user has it, without the race detector.
func plainBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tradetrail")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// row is a row of the LOBSTER file, read here a second time and differently.
type row struct {
	at      time.Time
	order   string
	message string
	size    string
	price   decimal.Decimal
}

func readRows(t *testing.T, path string) []row {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	midnight := time.Date(2012, 6, 21, 0, 0, 0, 0, newYork)
	var rows []row
	for lines := bufio.NewScanner(f); lines.Scan(); {
		cells := strings.Split(lines.Text(), ",")
		nanoseconds := decimal.RequireFromString(cells[0]).Shift(9).IntPart()
		rows = append(rows, row{
			at: midnight.Add(time.Duration(nanoseconds)).UTC(), message: cells[1], order: cells[2], size: cells[3],
			price: decimal.RequireFromString(cells[4]).Shift(-4),
		})
	}
	return rows
}

// The main job on real input: an import that is killed half-way and run again, a
// subscriber who watches all of it, a chain with its times and prices.
func TestImport_RealOrderFlow(t *testing.T) {
	if testing.Short() {
		t.Skip("imports 91,997 events: not in short mode")
	}
	path := lobsterFile(t)
	binary := plainBinary(t)
	rows := readRows(t, path)
	require.Len(t, rows, realRows)
	server := startBinary(t, binary, t.TempDir(), "")
	watcher := subscribe(t, server, accountSubscription, map[string]any{"id": "ACC-1"})
	importing := []string{"import", "--format", "lobster", "--account", "ACC-1", "--strategy", "mm-1", "--server", server.URL, path}

	first := exec.CommandContext(t.Context(), binary, importing...)
	require.NoError(t, first.Start())
	cursors := make([]string, 0, realRows)
	watch := func(until int) {
		for len(cursors) < until {
			update := readUpdate(t, watcher).AccountEvents
			want := rows[len(cursors)]
			require.Equal(t, want.at.Format(time.RFC3339Nano), update.Event.OccurredAt, "event %d", len(cursors))
			if want.order != "0" {
				require.Equal(t, want.order, update.Event.OrderID, "event %d", len(cursors))
			}
			cursors = append(cursors, update.Cursor)
		}
	}
	watch(realRows / 2)
	require.NoError(t, first.Process.Kill())
	require.Error(t, first.Wait(), "the import was over before it could be killed")
	// What the first import had under way would mix with the second: the order of the
	// log is that of the file within one call.
	require.Eventually(t, func() bool {
		return server.measures("tradetrail_appends_under_way 0") && server.measures("tradetrail_bodies 0")
	}, time.Minute, 20*time.Millisecond, "the server goes on with what the dead import sent")

	code, stdout, stderr := tradetrail("", importing...)
	require.Zero(t, code, stderr)
	t.Log(strings.TrimSpace(stdout))
	var recorded, duplicate, rejected int
	read := func(summary string) {
		_, after, _ := strings.Cut(summary, "events: ")
		_, err := fmt.Sscanf(after, "%d recorded, %d duplicate, %d rejected", &recorded, &duplicate, &rejected)
		require.NoError(t, err, summary)
	}
	read(stdout)
	assert.Equal(t, realRows, recorded+duplicate)
	assert.GreaterOrEqual(t, duplicate, realRows/2)
	assert.Zero(t, rejected)
	watch(realRows)

	code, stdout, stderr = tradetrail("", importing...)
	require.Zero(t, code, stderr)
	read(stdout)
	assert.Equal(t, [3]int{0, realRows, 0}, [3]int{recorded, duplicate, rejected})

	server.caughtUp()
	assert.Len(t, accountEvents(server, "ACC-1"), realRows)
	assertChain73346928(t, server, rows)

	// From the middle to the end, and on: one more event.
	late := subscribeSSE(t, server, accountSubscription, map[string]any{"id": "ACC-1", "after": cursors[realRows-1000]})
	for _, cursor := range cursors[realRows-999:] {
		require.Equal(t, cursor, readUpdate(t, late).AccountEvents.Cursor)
	}
	code, _, stderr = tradetrail("", "record", "--server", server.URL,
		`{"event_type":"user.action","occurred_at":"2026-03-02T14:29:58Z","account_id":"ACC-1","user_id":"ops1"}`)
	require.Zero(t, code, stderr)
	one, other := readUpdate(t, late), readUpdate(t, watcher)
	assert.Equal(t, one, other)
	assertEqualsRebuild(t, server)
	assert.Zero(t, server.stop(), server.output())
}

func assertChain73346928(t *testing.T, server *process, rows []row) {
	t.Helper()
	var answer struct {
		Chain struct {
			Status string
			Events []struct{ Event recordedEvent }
		}
	}
	server.query(&answer, `{ chain(orderId: "73346928") { status events { event { eventId occurredAt orderId data } } } }`, nil)
	assert.Equal(t, "FILLED", answer.Chain.Status)
	require.Len(t, answer.Chain.Events, 26)
	i := 0
	for _, want := range rows {
		if want.order != "73346928" {
			continue
		}
		got := answer.Chain.Events[i].Event
		i++
		assert.Equal(t, want.at.Format(time.RFC3339Nano), got.OccurredAt)
		var data struct {
			Price    string `json:"fill_price"`
			Limit    string `json:"limit_price"`
			Quantity string `json:"quantity"`
			Fill     string `json:"fill_quantity"`
		}
		require.NoError(t, json.Unmarshal(got.Data, &data))
		price, size := data.Price, data.Fill
		if want.message == "1" {
			price, size = data.Limit, data.Quantity
		}
		assert.True(t, want.price.Equal(decimal.RequireFromString(price)), "price %s", price)
		assert.Equal(t, want.size, size)
	}
	assert.Equal(t, 26, i)
}

func TestImport_WithoutServer(t *testing.T) {
	dataDir := t.TempDir()
	path := filepath.Join(t.TempDir(), "events.csv")
	require.NoError(t, os.WriteFile(path, []byte("event_type,timestamp,order_id,account_id,data.quantity\n"+
		"order_submitted,2026-03-02T14:30:05Z,ord-1,ACC-1,100\norder_filled,2026-03-02T14:30:06Z,ord-1,ACC-1,many\norder_filled,2026-03-02T14:30:07Z,ord-1,ACC-1,100\n"), 0o600))
	code, stdout, stderr := tradetrail("", "import", "--format", "csv", "--data-dir", dataDir, path)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stdout, "3 events: 2 recorded, 0 duplicate, 1 rejected")
	assert.Contains(t, stderr, "line 3: data.quantity:")
	code, stdout, _ = tradetrail("", "import", "--format", "csv", "--data-dir", dataDir, path)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stdout, "3 events: 0 recorded, 2 duplicate, 1 rejected")

	server := startServer(t, dataDir, "")
	code, stdout, stderr = tradetrail("", "chain", "ord-1", "--server", server.URL)
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, "order ord-1  FILLED")
	// The data directory has one owner.
	code, _, stderr = tradetrail("", "import", "--format", "csv", "--data-dir", dataDir, path)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "in use")
}
