package rules

import (
	"cmp"

	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

func slippage() []definition {
	return []definition{{
		Rule: Rule{
			ID: "slippage", Version: 1, Kind: "slippage", Severity: Medium, Title: "An execution was much worse than expected",
			Says:   "The execution was {value} bps worse than expected; {limit} bps are allowed ({how}).",
			Judges: "at each execution, with what the log knows of the order by then",
			Source: "slippage that the source names (slippage_bps, or slippage as a fraction; worse is above 0), else computed from side, price and the order's arrival, expected or reference price",
			Blind:  "the market's price: an execution is held against the source's own expectation",
			Thresholds: []Threshold{
				{Name: "limit", Unit: Fraction, Value: "0.005", Means: "slippage above this", Source: "common default of execution trails; ours"},
			},
		},
		on: []occasion{onFill},
		build: func(l limits) judge {
			limit := l.number("limit")
			return func(x *moment) verdict {
				slipped, how, known := x.slipped()
				if !known || !slipped.GreaterThan(limit) {
					return verdict{}
				}
				v := verdict{
					at: x.event.OccurredAt, value: inBps(slipped).Round(2).String(), limit: inBps(limit).String(), unit: "bps",
					evidence: []string{x.event.ID}, words: []string{"how", how},
				}
				if x.order != nil && x.order.Submitted.known() && x.order.Submitted.ID != x.event.ID {
					v.evidence = []string{x.order.Submitted.ID, x.event.ID}
				}
				return v
			}
		},
	}}
}

// slipped is by which fraction the execution was worse than expected.
func (x *moment) slipped() (fraction domain.Decimal, how string, known bool) {
	if bps := x.facts.number(factSlippageBps); bps.Valid {
		return bps.Decimal.Shift(-4), "as its source says", true
	}
	if said := x.facts.number(factSlippage); said.Valid {
		return said.Decimal, "as its source says", true
	}
	expected := x.facts.number(factArrivalPrice, factExpectedPrice, factReferencePrice)
	text := x.facts.text(factSide)
	if x.order != nil {
		if !expected.Valid {
			expected = x.order.Arrival
		}
		text = cmp.Or(text, x.order.Fold.Side)
	}
	buys, sided := domain.Buys(text)
	if !expected.Valid || !sided || !x.fill.Price.Valid || !expected.Decimal.IsPositive() {
		return decimal.Zero, "", false
	}
	worse := x.fill.Price.Decimal.Sub(expected.Decimal)
	if !buys {
		worse = worse.Neg()
	}
	return worse.DivRound(expected.Decimal, 12), "executed at " + x.fill.Price.Decimal.String() + ", expected " + expected.Decimal.String(), true
}
