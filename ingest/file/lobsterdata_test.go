package file_test

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/file"
)

// sample is the public LOBSTER sample: the file or folder that TRADETRAIL_LOBSTER
// names, else the folder beside the repository.
func sample(t testing.TB) (name string, content []byte) {
	t.Helper()
	path := os.Getenv("TRADETRAIL_LOBSTER")
	if path == "" {
		path = filepath.FromSlash("../../../shared/data/lobster")
	}
	if info, err := os.Stat(path); err != nil {
		t.Skipf("no LOBSTER sample here, and TRADETRAIL_LOBSTER does not name one: %v", err)
	} else if info.IsDir() {
		found, err := filepath.Glob(filepath.Join(path, "AAPL_2012-06-21_*_message_*.csv"))
		require.NoError(t, err)
		if len(found) == 0 {
			t.Skipf("no AAPL_2012-06-21 message file in %s", path)
		}
		path = found[0]
	}
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return filepath.Base(path), content
}

func TestLobster_RealDay(t *testing.T) {
	name, content := sample(t)
	seq, err := file.Lobster(bytes.NewReader(content), file.Options{Name: name, Account: "acc-1"})
	require.NoError(t, err)

	// An independent reading: how often the second column says what.
	want := map[string]int{}
	rows := bufio.NewScanner(bytes.NewReader(content))
	for rows.Scan() {
		want[strings.Split(rows.Text(), ",")[1]]++
	}
	require.NoError(t, rows.Err())
	require.Equal(t, map[string]int{"1": 44256, "2": 469, "3": 41004, "4": 4067, "5": 2201}, want)

	got := map[domain.EventType]int{}
	ids := map[string]bool{}
	orders := map[string]*domain.Order{}
	var big []*domain.Event
	items := 0
	for item, err := range seq {
		items++
		if err != nil || item.Err != nil || item.Line != items {
			t.Fatalf("item %d is line %d: %v, %v", items, item.Line, err, item.Err)
		}
		e := item.Event
		got[e.Type]++
		ids[e.ID] = true
		if items%100 == 0 {
			requireAccepted(t, e)
		}
		if e.OrderID != "" {
			if orders[e.OrderID] == nil {
				orders[e.OrderID] = &domain.Order{}
			}
			orders[e.OrderID].Apply(e)
		}
		if e.OrderID == "73346928" {
			big = append(big, e)
		}
	}
	assert.Equal(t, 91_997, items)
	assert.Len(t, ids, items, "all ids are unique")
	assert.Equal(t, want["1"], got[domain.OrderSubmitted])
	assert.Equal(t, want["2"], got[domain.OrderReplaced])
	assert.Equal(t, want["3"], got[domain.OrderCancelled])
	assert.Equal(t, want["4"], got[domain.OrderPartiallyFilled]+got[domain.OrderFilled])
	assert.Equal(t, want["5"], got[domain.TradeReported])
	assert.Len(t, got, 6)

	require.Len(t, big, 26)
	assert.Equal(t, domain.OrderSubmitted, big[0].Type)
	assert.JSONEq(t, `{"side":"sell","order_type":"limit","quantity":"15000","limit_price":"585.60","ord_status":"NEW","venue":"NASDAQ"}`, string(big[0].Data))
	for _, e := range big[1:25] {
		assert.Equal(t, domain.OrderPartiallyFilled, e.Type)
	}
	assert.Equal(t, domain.OrderFilled, big[25].Type)

	// What the reader says of each fill and what the life cycle makes of it agree.
	filled, overfilled := 0, 0
	for _, o := range orders {
		if o.Status == domain.StatusFilled {
			filled++
		}
		if o.Quantity.Valid && o.CumQuantity.GreaterThan(o.Quantity.Decimal) {
			overfilled++
		}
	}
	assert.Equal(t, got[domain.OrderFilled], filled)
	assert.Zero(t, overfilled)
	assert.Equal(t, "15000", orders["73346928"].CumQuantity.String())
}

func BenchmarkLobster(b *testing.B) {
	name, content := sample(b)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		seq, err := file.Lobster(bytes.NewReader(content), file.Options{Name: name, Account: "acc-1"})
		require.NoError(b, err)
		for item, err := range seq {
			if err != nil || item.Err != nil {
				b.Fatal(err, item.Err)
			}
			rows++
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
