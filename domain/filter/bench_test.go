package filter_test

import (
	"testing"

	"github.com/tradetrail/tradetrail/domain/filter"
)

func BenchmarkMatch(b *testing.B) {
	e := sample(b)
	short := located(b, `{"event_type":"order.filled","timestamp":1,"order_id":"2","side":"BUY","fill_quantity":"100","fill_price":"412.50","venue":"NASDAQ","slippage_bps":"7.25","commission":"0.35","leaves_quantity":"0"}`)
	for name, expression := range map[string]string{
		"none":      ``,
		"data":      `slippage_bps > 5 && venue == "NASDAQ"`,
		"canonical": `ticker == "AAPL" && occurred_at > "2026-03-02"`,
		"notional":  `price * quantity > 1000000`,
		"nested":    `data.leg.price > 1`,
		"list":      `any(legs, .price > 2)`,
		"error":     `venue > 5`,
	} {
		m := compile(b, filter.Filter{Types: []string{"order.*"}, Expression: expression})
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Match(e); err != nil {
					b.Fatal(err)
				}
			}
		})
		if name == "data" {
			b.Run("data-of-a-fill", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := m.Match(short); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (filter.Filter{Expression: `slippage_bps > 5 && venue == "NASDAQ"`}).Compile(); err != nil {
			b.Fatal(err)
		}
	}
}
