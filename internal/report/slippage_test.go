package report_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/report"
)

// Whoever looks at the day and then at its report finds one average.
func TestDaily_SlippageIsThatOfTheDay(t *testing.T) {
	morning := time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)
	var day domain.Day
	var events []*domain.Event
	for i, data := range []string{
		`{"fill_quantity":"10","fill_price":"412.5","slippage_bps":"12.345678"}`,
		`{"fill_quantity":"7","fill_price":"412.5","slippage":"-0.00031"}`,
		`{"fill_quantity":"1","slippage_bps":"0"}`,
		`{"fill_quantity":"1","slippage_bps":"none"}`,
		`{"fill_quantity":"900","fill_price":"0.01","slippage_bps":"88.0001"}`,
		`{}`,
	} {
		e := &domain.Event{
			ID: fmt.Sprintf("e%d", i), Type: domain.OrderPartiallyFilled, OccurredAt: morning.Add(time.Duration(i) * time.Minute),
			OrderID: fmt.Sprintf("o%d", i%3), StrategyID: fmt.Sprintf("s%d", i%2), Data: []byte(data),
		}
		events = append(events, e)
		day.Add(e)
	}
	var out struct {
		Contents []struct {
			Part   string            `json:"part"`
			Values map[string]string `json:"values"`
		} `json:"contents"`
	}
	require.NoError(t, json.Unmarshal(written(t, newMemory(events...), report.Request{Kind: report.Daily, Day: "2026-03-02", Format: report.JSON}), &out))
	told := make(map[string]string)
	for _, part := range out.Contents {
		for _, name := range []string{"slippage_bps", "slippage_fills"} {
			if value, ok := part.Values[name]; ok {
				told[name] = value
			}
		}
	}
	assert.Equal(t, map[string]string{"slippage_bps": day.Slippage.Average().Decimal.String(), "slippage_fills": "4"}, told)
	assert.Equal(t, "24.3114", told["slippage_bps"])
}
