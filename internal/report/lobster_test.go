package report_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/file"
	"github.com/tradetrail/tradetrail/internal/report"
)

// The numbers of the daily report of a real order flow are those of its file, counted
// without any of our code.
func TestDaily_RealOrderFlow(t *testing.T) {
	folder := os.Getenv("TRADETRAIL_LOBSTER")
	if folder == "" {
		folder = "../../../shared/data/lobster"
	}
	found, err := filepath.Glob(filepath.Join(folder, "*_message_*.csv"))
	require.NoError(t, err)
	if len(found) == 0 {
		t.Skip("the LOBSTER sample is neither in ../shared/data/lobster nor named by TRADETRAIL_LOBSTER")
	}
	path := found[0]
	in, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, in.Close()) }()

	counts := make(map[string]int64)
	value, quantity := decimal.Zero, decimal.Zero
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		columns := strings.Split(lines.Text(), ",")
		counts[columns[1]]++
		if columns[1] == "4" {
			size, price := decimal.RequireFromString(columns[3]), decimal.RequireFromString(columns[4])
			quantity, value = quantity.Add(size), value.Add(size.Mul(price).Shift(-4))
		}
	}
	require.NoError(t, lines.Err())

	_, err = in.Seek(0, 0)
	require.NoError(t, err)
	items, err := file.Lobster(in, file.Options{Name: filepath.Base(path)})
	require.NoError(t, err)
	var events []*domain.Event
	for item, err := range items {
		require.NoError(t, err)
		require.Nil(t, item.Err)
		events = append(events, item.Event)
	}
	var out struct {
		Contents []struct {
			Part   string            `json:"part"`
			Values map[string]string `json:"values"`
		} `json:"contents"`
	}
	require.NoError(t, json.Unmarshal(written(t, newMemory(events...), report.Request{Kind: report.Daily, Day: "2012-06-21", Format: report.JSON}), &out))
	var sums map[string]string
	for _, part := range out.Contents {
		if part.Part == "facts" {
			sums = part.Values
		}
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	assert.Equal(t, number(counts["1"]), sums["orders_submitted"])
	assert.Equal(t, number(counts["2"]), sums["orders_replaced"])
	assert.Equal(t, number(counts["3"]), sums["orders_cancelled"])
	assert.Equal(t, number(counts["4"]), sums["executions"])
	assert.Equal(t, quantity.String(), sums["quantity"])
	assert.Equal(t, value.String(), sums["value"])
	assert.Equal(t, decimal.NewFromInt(counts["3"]).DivRound(decimal.NewFromInt(counts["4"]), 4).String(), sums["cancel_to_fill"])
	t.Logf("%d orders, %d deletions, %d executions, %s cancellations per execution", counts["1"], counts["3"], counts["4"], sums["cancel_to_fill"])
}
