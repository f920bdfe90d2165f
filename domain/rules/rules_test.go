package rules_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
)

type tale []*domain.Event

// trial is a case that must fire, one just below the limit, and one in which what the
// rule needs is missing.
type trial struct {
	yaml  string // configuration, if the rule needs one
	fires tale
	value string
	says  string

	below, missing []tale
}

func submitted(at time.Duration, data string, changes ...change) *domain.Event {
	return of(domain.OrderSubmitted, at, `"side":"buy","quantity":"100"`+data, changes...)
}

func fill(at time.Duration, quantity int, price string, changes ...change) *domain.Event {
	return of(domain.OrderPartiallyFilled, at, fmt.Sprintf(`"fill_quantity":"%d","fill_price":"%s"`, quantity, price), changes...)
}

func sided(side string) change {
	return func(e *domain.Event) { e.Data = append(e.Data[:len(e.Data)-1], `,"side":"`+side+`"}`...) }
}

func said(data string) change {
	return func(e *domain.Event) { e.Data = append(e.Data[:len(e.Data)-1], ","+data+"}"...) }
}

// cancelledOrders are n orders that come and go, quickly; each is one quarter of the
// quantity of what usually is executed.
func cancelledOrders(n int, from, life, apart time.Duration, side string) tale {
	var out tale
	for i := range n {
		at, o := from+time.Duration(i)*apart, order("c"+side+strconv.Itoa(i))
		out = append(out, of(domain.OrderSubmitted, at, `"side":"`+side+`","quantity":"100"`, o))
	}
	for i := range n {
		at, o := from+life+time.Duration(i)*apart, order("c"+side+strconv.Itoa(i))
		out = append(out, of(domain.OrderCancelled, at, ``, o))
	}
	return out
}

// pairs are n orders, each cancelled after life and before the next.
func pairs(n int, from, life, apart time.Duration) tale {
	var out tale
	for i := range n {
		at, o := from+time.Duration(i)*apart, order("p"+strconv.Itoa(i))
		out = append(out, of(domain.OrderSubmitted, at, `"side":"buy","quantity":"100"`, o), of(domain.OrderCancelled, at+life, ``, o))
	}
	return out
}

func with(parts ...tale) tale { return slices.Concat(parts...) }

func without(events tale, changes ...change) tale {
	out := make(tale, len(events))
	for i, e := range events {
		clone := *e
		for _, c := range changes {
			c(&clone)
		}
		out[i] = &clone
	}
	return out
}

func trials() map[string]trial {
	checked := before(domain.RiskEvaluated, ms(-10), `"eligible":true`, recommendation("r0"))
	layers := func(side string, n int, life time.Duration) tale {
		return with(
			cancelledOrders(n, 0, life, ms(1), side)[:n],
			tale{fill(ms(500), 100, "412.50", order("real"), sided("sell"))},
			cancelledOrders(n, 0, life, ms(1), side)[n:],
		)
	}
	burst := func(n int, step float64, endPrice string) tale {
		var out tale
		for i := range n {
			out = append(out, fill(ms(1000*i), 100, fmt.Sprintf("%.2f", 100+step*float64(i)), order("b"+strconv.Itoa(i)), sided("buy")))
		}
		return append(out, fill(ms(20_000), 100, endPrice, order("out"), sided("sell")))
	}
	closing := func(own int, end string) tale {
		var out tale
		at := 6*time.Hour + 22*time.Minute // 15:52 in New York, on a day of winter time
		for i := range 20 {
			c := account("other" + strconv.Itoa(i%5))
			if i >= 20-own {
				c = account("a1")
			}
			price := "100.00"
			if i >= 20-own {
				price = end
			}
			out = append(out, fill(at+ms(1000*i), 10, price, order("m"+strconv.Itoa(i)), sided("buy"), c))
		}
		return out
	}
	return map[string]trial{
		"risk-block": {
			fires: tale{before(domain.RiskRejected, 0, `"rejection_reasons":["max_position","liquidity"]`)}, says: "max_position, liquidity",
			below: []tale{{before(domain.RiskEvaluated, 0, `"eligible":true`)}}, missing: []tale{{before(domain.RiskEvaluated, 0, ``)}},
		},
		"order-rejected": {
			fires: tale{of(domain.OrderRejected, 0, `"reason":"too late"`)}, says: "too late",
			below: []tale{{of(domain.OrderCancelRejected, 0, ``)}}, missing: []tale{{of("order.refused_somehow", 0, ``)}},
		},
		"duplicate-prevented": {
			fires: tale{of(domain.OrderDuplicatePrevented, 0, ``)}, says: "twice",
			below: []tale{{submitted(0, ``)}}, missing: []tale{{of("order.maybe_twice", 0, ``)}},
		},
		"circuit-breaker": {
			fires: tale{before(domain.CircuitBreakerTriggered, 0, `"breaker":"daily_loss"`)}, says: "daily_loss",
			below: []tale{{before(domain.TradingModeChanged, 0, `"new_mode":"halted"`)}}, missing: []tale{{before("circuit_breaker.checked", 0, ``)}},
		},
		"approval-expired": {
			fires: tale{before(domain.ApprovalExpired, 0, ``, approval("p1"))}, says: "expired",
			below: []tale{{before(domain.ApprovalRejected, 0, ``, approval("p1"))}}, missing: []tale{{before(domain.ApprovalRequested, 0, ``, approval("p1"))}},
		},
		"slippage": {
			fires: tale{submitted(0, `,"arrival_price":"100"`), fill(ms(5), 10, "100.51")}, value: "51", says: "50 bps are allowed",
			below: []tale{
				{submitted(0, `,"arrival_price":"100"`), fill(ms(5), 10, "100.50")},
				{submitted(0, `,"arrival_price":"100"`), fill(ms(5), 10, "90")},
				{fill(0, 10, "1", said(`"slippage_bps":"50"`))},
				{fill(0, 10, "1", said(`"slippage":"0.005"`))},
			},
			missing: []tale{
				{fill(0, 10, "999")},
				{submitted(0, `,"arrival_price":"0"`), fill(ms(5), 10, "100.51")},
				{of(domain.OrderFilled, 0, `"slippage_bps":"high"`)},
				{fill(0, 10, "200", said(`"arrival_price":"100"`))},
			},
		},
		"latency-signal": {
			fires: tale{before(domain.SignalComputed, 0, ``, computation("c1")), before(domain.RecommendationGenerated, ms(30_001), ``, computation("c1"), recommendation("r1"))},
			value: "30.001s", says: "30s is allowed",
			below:   []tale{{before(domain.SignalComputed, 0, ``, computation("c1")), before(domain.RecommendationGenerated, ms(30_000), ``, computation("c1"), recommendation("r1"))}},
			missing: []tale{{before(domain.RecommendationGenerated, ms(30_001), ``, computation("c1"), recommendation("r1"))}, {before(domain.RecommendationGenerated, 0, ``)}},
		},
		"latency-risk": {
			fires: tale{before(domain.RecommendationGenerated, 0, ``, recommendation("r1")), before(domain.RiskEvaluated, ms(1001), ``, recommendation("r1"))}, value: "1.001s",
			below:   []tale{{before(domain.RecommendationGenerated, 0, ``, recommendation("r1")), before(domain.RiskEvaluated, ms(1000), ``, recommendation("r1"))}},
			missing: []tale{{before(domain.RiskEvaluated, ms(1001), ``, recommendation("r1"))}},
		},
		"latency-approval": {
			fires: tale{before(domain.ApprovalRequested, 0, ``, approval("p1")), before(domain.ApprovalRejected, 901*time.Second, ``, approval("p1"))}, value: "15m1s",
			below:   []tale{{before(domain.ApprovalRequested, 0, ``, approval("p1")), before(domain.ApprovalApproved, 900*time.Second, ``, approval("p1"))}},
			missing: []tale{{before(domain.ApprovalApproved, 901*time.Second, ``, approval("p1"))}},
		},
		"latency-submit": {
			fires: tale{before(domain.RiskEvaluated, 0, ``, recommendation("r1")), submitted(ms(1001), ``, recommendation("r1"))}, value: "1.001s",
			below: []tale{
				{before(domain.RiskEvaluated, 0, ``, recommendation("r1")), submitted(ms(1000), ``, recommendation("r1"))},
				{before(domain.RiskEvaluated, 0, ``, recommendation("r1")), before(domain.ApprovalApproved, time.Hour, ``, recommendation("r1")), submitted(time.Hour+ms(5), ``, recommendation("r1"))},
			},
			missing: []tale{{submitted(ms(1001), ``, recommendation("r1"))}},
		},
		"latency-accept": {
			fires: tale{of(domain.OrderAccepted, ms(1001), ``), submitted(0, ``)}, value: "1.001s", // in whatever order they are recorded
			below: []tale{{submitted(0, ``), of(domain.OrderAccepted, ms(1000), ``)}}, missing: []tale{{of(domain.OrderAccepted, ms(1001), ``)}},
		},
		"latency-fill": {
			fires: tale{submitted(0, `,"order_type":"market"`), of(domain.OrderAccepted, ms(1), ``), fill(ms(30_002), 10, "1")}, value: "30.001s",
			below: []tale{
				{submitted(0, `,"order_type":"market"`), of(domain.OrderAccepted, ms(1), ``), fill(ms(30_001), 10, "1")},
				{submitted(0, `,"order_type":"limit"`), fill(time.Hour, 10, "1")},
			},
			missing: []tale{{submitted(0, ``), fill(time.Hour, 10, "1")}, {fill(time.Hour, 10, "1", said(`"order_type":"market"`))}},
		},
		"latency-chain": {
			fires: tale{before(domain.RecommendationGenerated, 0, ``, recommendation("r1")), submitted(ms(5), ``, recommendation("r1")), fill(time.Hour+ms(1), 10, "1")}, value: "1h0m0.001s",
			below:   []tale{{before(domain.RecommendationGenerated, 0, ``, recommendation("r1")), submitted(ms(5), ``, recommendation("r1")), fill(time.Hour, 10, "1")}},
			missing: []tale{{submitted(ms(5), ``, recommendation("r1")), fill(2*time.Hour, 10, "1")}},
		},
		"fill-before-acceptance": {
			fires: tale{submitted(0, ``), fill(ms(10), 10, "1"), of(domain.OrderAccepted, ms(61), ``)}, value: "51ms", says: "accepted",
			below: []tale{
				{submitted(0, ``), fill(ms(10), 10, "1"), of(domain.OrderAccepted, ms(60), ``)},
				{submitted(0, ``), fill(ms(10), 10, "1"), of(domain.OrderAccepted, ms(5), ``)}, // merely recorded late
			},
			missing: []tale{{fill(ms(10), 10, "1"), of(domain.OrderAccepted, ms(999), ``)}, {submitted(0, ``), fill(ms(10), 10, "1")}},
		},
		"fill-after-end": {
			fires: tale{submitted(0, ``), of(domain.OrderCancelled, ms(100), ``), fill(ms(151), 10, "1")}, value: "51ms",
			below: []tale{
				{submitted(0, ``), of(domain.OrderCancelled, ms(100), ``), fill(ms(150), 10, "1")},
				{submitted(0, ``), of(domain.OrderCancelled, ms(100), ``), fill(ms(99), 10, "1")}, // late recorder
			},
			missing: []tale{{fill(ms(999), 10, "1")}, {of(domain.OrderCancelled, ms(100), ``)}},
		},
		"overfilled": {
			fires: tale{submitted(0, ``), fill(ms(1), 60, "1"), fill(ms(2), 41, "1")}, value: "101", says: "an order of 100",
			below: []tale{
				{submitted(0, ``), fill(ms(1), 60, "1"), fill(ms(2), 40, "1")},
				{submitted(0, ``), fill(ms(1), 60, "1", said(`"exec_id":"x1"`)), fill(ms(2), 60, "1", said(`"exec_id":"x1"`))}, // two witnesses
				{submitted(0, ``), of(domain.OrderReplaced, ms(1), `"quantity":"120"`), fill(ms(2), 110, "1")},
				{submitted(0, ``), fill(ms(1), 60, "1"), of(domain.OrderReplaceRequested, ms(2), `"quantity":"150"`), fill(ms(3), 60, "1")},
			},
			missing: []tale{{fill(ms(1), 60, "1"), fill(ms(2), 41, "1")}, {of(domain.OrderSubmitted, 0, ``), fill(ms(1), 60, "1")}},
		},
		"quantity-mismatch": {
			fires: tale{submitted(0, ``), fill(ms(1), 40, "1", said(`"cum_quantity":"50"`)), of(domain.OrderCancelled, ms(2), ``), later()}, value: "50", says: "add up to 40",
			below: []tale{
				{submitted(0, ``), fill(ms(1), 40, "1", said(`"cum_quantity":"40"`)), of(domain.OrderCancelled, ms(2), ``), later()},
				{submitted(0, ``), fill(ms(2), 40, "1", said(`"cum_quantity":"50"`)), of(domain.OrderCancelled, ms(3), ``), fill(ms(1), 10, "1"), later()}, // recorded late
			},
			missing: []tale{
				{fill(ms(1), 40, "1", said(`"cum_quantity":"50"`)), of(domain.OrderCancelled, ms(2), ``), later()},
				{submitted(0, ``), fill(ms(1), 40, "1"), of(domain.OrderCancelled, ms(2), ``), later()},
			},
		},
		"replace-chain-broken": {
			fires: tale{submitted(0, ``, client("k1")), of(domain.OrderReplaced, ms(1), `"orig_client_order_id":"k9"`, client("k2")), later()}, says: "client order id k9",
			below: []tale{
				{submitted(0, ``, client("k1")), of(domain.OrderReplaced, ms(1), `"orig_client_order_id":"k1"`, client("k2")), later()},
				{submitted(0, ``, client("k1")), of(domain.OrderReplaced, ms(2), `"orig_client_order_id":"k2"`, client("k3")), of(domain.OrderReplaced, ms(1), `"orig_client_order_id":"k1"`, client("k2")), later()},
			},
			missing: []tale{
				{of(domain.OrderReplaced, ms(1), `"orig_client_order_id":"k9"`, client("k2")), later()},
				{submitted(0, ``, client("k1")), of(domain.OrderReplaced, ms(1), ``, client("k2")), later()},
			},
		},
		"bust-without-trade": {
			fires: tale{submitted(0, ``), fill(ms(1), 10, "1", said(`"exec_id":"x1"`)), of(domain.TradeBusted, ms(2), `"exec_ref_id":"x9"`), later()}, says: "trade x9",
			below: []tale{
				{submitted(0, ``), fill(ms(1), 10, "1", said(`"exec_id":"x1"`)), of(domain.TradeBusted, ms(2), `"exec_ref_id":"x1"`), later()},
				{submitted(0, ``), of(domain.TradeBusted, ms(2), `"exec_ref_id":"x1"`), fill(ms(1), 10, "1", said(`"exec_id":"x1"`)), later()},
			},
			missing: []tale{
				{of(domain.TradeBusted, ms(2), `"exec_ref_id":"x9"`), later()},
				{submitted(0, ``), fill(ms(1), 10, "1"), of(domain.TradeBusted, ms(2), `"exec_ref_id":"x9"`), later()},
			},
		},
		"no-risk-check": {
			fires: tale{checked, submitted(0, ``), later()}, says: "without a risk check",
			below: []tale{
				{checked, submitted(0, ``, recommendation("r0")), later()},
				{checked, submitted(0, `,"pre_trade_checks":{"position_limit":"pass"}`), later()},
				{checked, submitted(0, ``, recommendation("r1")), before(domain.RiskEvaluated, ms(-1), ``, recommendation("r1")), later()}, // recorded late
				{checked, of(domain.RiskEvaluated, ms(-1), ``), submitted(0, ``), later()},
			},
			missing: []tale{{submitted(0, ``), later()}, {checked, submitted(0, ``, recommendation("r1")), later()}, {checked, of(domain.OrderAccepted, 0, ``), later()}},
		},
		"risk-block-ignored": {
			fires: tale{before(domain.RiskRejected, 0, ``, recommendation("r1")), submitted(ms(5), ``, recommendation("r1")), later()}, value: "5ms",
			below:   []tale{{before(domain.RiskRejected, 0, ``, recommendation("r1")), before(domain.RiskEvaluated, ms(2), ``, recommendation("r1")), submitted(ms(5), ``, recommendation("r1")), later()}},
			missing: []tale{{before(domain.RiskRejected, 0, ``), submitted(ms(5), ``), later()}},
		},
		"no-approval": {
			fires: tale{before(domain.ApprovalRequested, 0, ``, approval("p1")), submitted(ms(5), ``, approval("p1")), later()}, says: "requested and not given",
			below: []tale{
				{before(domain.ApprovalRequested, 0, ``, approval("p1")), submitted(ms(5), ``, approval("p1")), before(domain.ApprovalApproved, ms(1), ``, approval("p1")), later()},
				{submitted(0, `,"limit_price":"1000000"`), later()},
			},
			missing: []tale{{submitted(ms(5), ``, approval("p1")), later()}},
		},
		"clock-backwards": {
			fires: tale{submitted(ms(100), ``, id("s")), of(domain.OrderAccepted, ms(49), ``, causedBy("s"))}, value: "51ms", says: "before its cause",
			below: []tale{
				{submitted(ms(100), ``, id("s")), of(domain.OrderAccepted, ms(50), ``, causedBy("s"))},
				{submitted(ms(100), ``, id("s")), of(domain.OrderAccepted, ms(10), ``)}, // merely recorded late
			},
			missing: []tale{{of(domain.OrderAccepted, ms(49), ``, causedBy("s"))}},
		},
		"clock-ahead": {
			fires: tale{of(domain.OrderAccepted, ms(60_001), ``, recorded(0))}, value: "1m0.001s",
			below: []tale{{of(domain.OrderAccepted, ms(60_000), ``, recorded(0))}}, missing: []tale{{of(domain.OrderAccepted, time.Hour, ``)}},
		},
		"cancel-to-fill": {
			yaml:  "thresholds: {cancel-to-fill: {ratio: 9, cancels: 10}}",
			fires: pairs(10, 0, ms(500), time.Second), value: "10", says: "cancelled 10 buy orders in MSFT",
			below: []tale{
				pairs(9, 0, ms(500), time.Second),
				with(tale{fill(0, 1, "1", order("f1"), sided("buy")), fill(0, 1, "1", order("f2"), sided("buy"))}, pairs(10, 0, ms(500), time.Second)),
				pairs(10, 29*time.Minute+55*time.Second, ms(500), time.Second), // over the border of an hour
			},
			missing: []tale{
				without(pairs(10, 0, ms(500), time.Second), account(""), strategy("")),
				without(pairs(10, 0, ms(500), time.Second), func(e *domain.Event) { e.Ticker = "" }),
			},
		},
		"layering": {
			fires: layers("buy", 3, ms(800)), value: "3", says: "3 buy orders",
			below: []tale{layers("buy", 2, ms(800)), layers("buy", 3, ms(1600)), layers("buy", 3, ms(400)), layers("sell", 3, ms(800)), layers("buy", 3, 6*time.Second)},
			missing: []tale{
				without(layers("buy", 3, ms(800)), account(""), strategy("")),
				layers("buy", 3, ms(800))[3:], // the orders rested before the log began
				without(layers("buy", 3, ms(800)), func(e *domain.Event) {
					if e.OrderID == "real" {
						e.Data = []byte(`{"side":"sell"}`)
					}
				}),
			},
		},
		"wash-trade": {
			fires: tale{fill(0, 100, "412.50", order("w1"), sided("buy")), fill(ms(1000), 100, "412.51", order("w2"), sided("SELL"))}, value: "1s", says: "bought and sold 100 MSFT",
			below: []tale{
				{fill(0, 100, "412.50", order("w1"), sided("buy")), fill(ms(1001), 100, "412.50", order("w2"), sided("sell"))},
				{fill(0, 100, "412.50", order("w1"), sided("buy")), fill(0, 100, "412.55", order("w2"), sided("sell"))},
				{fill(0, 100, "412.50", order("w1"), sided("buy")), fill(0, 98, "412.50", order("w2"), sided("sell"))},
				{fill(0, 100, "412.50", order("w1"), sided("buy")), fill(0, 100, "412.50", order("w2"), sided("sell"), account("a2"))},
				{fill(0, 100, "412.50", order("w1"), sided("buy")), fill(0, 100, "412.50", order("w2"), sided("buy"))},
			},
			missing: []tale{
				without(tale{fill(0, 100, "412.50", order("w1"), sided("buy")), fill(0, 100, "412.50", order("w2"), sided("sell"))}, account(""), strategy("")),
				{fill(0, 100, "412.50", order("w1")), fill(0, 100, "412.50", order("w2"), sided("sell"))},
				{fill(0, 100, "", order("w1"), sided("buy")), fill(0, 100, "412.50", order("w2"), sided("sell"))},
			},
		},
		"quote-stuffing": {
			yaml:  "thresholds: {quote-stuffing: {messages: 19}}",
			fires: pairs(10, 0, ms(1), ms(10)), value: "20", says: "10 of them cancellations",
			below: []tale{pairs(9, 0, ms(1), ms(10)), pairs(10, 0, ms(101), ms(10)), pairs(10, 0, ms(1), ms(200))},
			missing: []tale{
				without(pairs(10, 0, ms(1), ms(10)), account(""), strategy("")),
				slices.DeleteFunc(pairs(40, 0, ms(1), ms(10)), func(e *domain.Event) bool { return e.Type == domain.OrderSubmitted }),
			},
		},
		"marking-the-close": {
			yaml:  `thresholds: {marking-the-close: {close: "16:00"}}`,
			fires: closing(7, "100.20"), value: "0.35", says: "0.35 of the volume in MSFT",
			below: []tale{closing(6, "100.20"), closing(7, "100.19"), without(closing(7, "100.20"), func(e *domain.Event) { e.OccurredAt = e.OccurredAt.Add(-3 * time.Minute) })},
			missing: []tale{
				without(closing(7, "100.20"), account(""), strategy("")),
				closing(7, ""),
			},
		},
		"momentum-ignition": {
			fires: burst(5, 0.05, "100.19"), value: "20", says: "5 executions",
			below:   []tale{burst(4, 0.07, "100.19"), burst(5, 0.04, "100.19"), burst(5, 0.05, "100.10")},
			missing: []tale{without(burst(5, 0.05, "100.19"), account(""), strategy("")), burst(5, 0.05, "")},
		},
	}
}

func TestRules_FireAtTheirLimits(t *testing.T) {
	all := trials()
	for _, r := range rules.Default().Rules() {
		assert.Contains(t, all, r.ID, "every rule has its trial")
	}
	for id, c := range all {
		t.Run(id, func(t *testing.T) {
			set := load(t, c.yaml)
			rule, err := set.Rule(id)
			require.NoError(t, err)
			log := recordedAs(c.fires)
			findings := ofRule(id, observe(set.Engine(), log))
			require.Len(t, findings, 1)
			f := findings[0]
			assert.Equal(t, c.value, f.Value)
			assert.Contains(t, f.Explanation, c.says)
			assert.NotContains(t, f.Explanation, "{")
			assert.Equal(t, rule.Kind, f.Kind)
			assert.Equal(t, rule.Severity, f.Severity)
			assert.False(t, f.At.IsZero())
			for _, evidence := range f.Evidence {
				assert.True(t, slices.ContainsFunc(log, func(l domain.Located) bool { return l.ID == evidence }), "evidence %s is in the log", evidence)
			}
			require.NotEmpty(t, c.below)
			for i, events := range c.below {
				assert.Empty(t, ofRule(id, observe(set.Engine(), recordedAs(events))), "just below, %d", i)
			}
			require.NotEmpty(t, c.missing)
			for i, events := range c.missing {
				assert.Empty(t, ofRule(id, observe(set.Engine(), recordedAs(events))), "missing, %d", i)
			}
		})
	}
}

func TestRules_ApprovalByValue(t *testing.T) {
	set := load(t, "thresholds: {no-approval: {value: 41250}}")
	judge := func(price string) []rules.Finding {
		return ofRule("no-approval", observe(set.Engine(), recordedAs(tale{submitted(0, `,"limit_price":"`+price+`"`), later()})))
	}
	found := judge("412.50")
	require.Len(t, found, 1)
	assert.Equal(t, "41250", found[0].Value)
	assert.Empty(t, judge("412.49"))
}

func TestRules_OwnerOfSeveralAccounts(t *testing.T) {
	events := tale{fill(0, 100, "412.50", order("w1"), sided("buy")), fill(0, 100, "412.50", order("w2"), sided("sell"), account("a2"))}
	set := load(t, "owners: {family-office: [a1, a2]}")
	found := ofRule("wash-trade", observe(set.Engine(), recordedAs(events)))
	require.Len(t, found, 1)
	assert.Contains(t, found[0].Explanation, "The owner family-office bought and sold 100 MSFT")
	assert.Empty(t, ofRule("wash-trade", observe(rules.Default().Engine(), recordedAs(events))))
}

func TestRules_Hops(t *testing.T) {
	e := of(domain.OrderAccepted, 0, ``)
	e.Path = []domain.Hop{{Hop: "gateway", In: morning.Add(time.Second), Out: morning}}
	found := ofRule("clock-backwards", observe(rules.Default().Engine(), recordedAs(tale{e})))
	require.Len(t, found, 1)
	assert.Contains(t, found[0].Explanation, "left gateway before it came in by 1s")
}

func TestObserve_LooksAtNoFindings(t *testing.T) {
	engine := rules.Default().Engine()
	assert.Empty(t, engine.Observe(domain.Located{}))
	assert.Empty(t, engine.Observe(recordedAs(tale{of(domain.AnomalyDetected, time.Hour, ``, recorded(0)), of("anomaly.dismissed", 0, ``)})[0]))
	assert.Zero(t, engine.Stats().Events)
}
