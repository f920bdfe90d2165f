package domain_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
)

func TestSlippageOf(t *testing.T) {
	for data, want := range map[string]string{
		`"slippage_bps":"12.50"`:                   "12.5",
		`"slippage_bps":-3`:                        "-3",
		`"slippage":"0.005"`:                       "50",
		`"slippage":0.00015`:                       "1.5",
		`"slippage_bps":"2","slippage":"0.005"`:    "2",
		`"slippage_bps":"wide","slippage":"0.001"`: "10",
		`"slippage_bps":"0"`:                       "0",
	} {
		bps, ok := domain.SlippageOf(of(domain.OrderFilled, data))
		assert.True(t, ok, data)
		assert.Equal(t, want, bps.String(), data)
	}
	for _, data := range []string{``, `"slippage":null`, `"slippage":true`, `"slippage_bps":"NaN"`, `"price":"5"`} {
		_, ok := domain.SlippageOf(of(domain.OrderFilled, data))
		assert.False(t, ok, data)
	}
}

func TestSlippage_Average(t *testing.T) {
	var s domain.Slippage
	assert.False(t, s.Average().Valid, "nobody has named any")
	for _, text := range []string{"1", "-2", "11"} {
		bps, err := domain.ParseDecimal(text)
		require.NoError(t, err)
		s.Add(bps, 1)
	}
	assert.Equal(t, "3.3333", s.Average().Decimal.String())
	last, err := domain.ParseDecimal("11")
	require.NoError(t, err)
	s.Add(last, -1)
	assert.Equal(t, "-0.5", s.Average().Decimal.String())
}

// Only what executions say is in a day's average.
func TestDay_Slippage(t *testing.T) {
	var d domain.Day
	for _, e := range []*domain.Event{
		of(domain.OrderFilled, `"fill_quantity":"10","slippage_bps":"4"`),
		of(domain.OrderPartiallyFilled, `"fill_quantity":"1","slippage":"0.0001"`),
		of(domain.OrderFilled, `"fill_quantity":"10"`),
		of(domain.OrderSubmitted, `"slippage_bps":"900"`),
	} {
		d.Add(e)
	}
	assert.Equal(t, int64(2), d.Slippage.Fills)
	assert.Equal(t, "2.5", d.Slippage.Average().Decimal.String())
}
