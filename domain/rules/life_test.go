package rules_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tradetrail/tradetrail/domain"
)

// past is when a minute's grace has passed.
func past(at time.Duration) *domain.Event { return before(domain.UserAction, at, ``) }

// story is what a log may tell, and all that rules find in it.
type story struct {
	yaml string
	log  tale
	want []string
}

func tell(t *testing.T, stories map[string]story) {
	t.Helper()
	for name, s := range stories {
		t.Run(name, func(t *testing.T) {
			var found []string
			for _, f := range observe(load(t, s.yaml).Engine(), recordedAs(s.log)) {
				found = append(found, f.Rule)
			}
			assert.ElementsMatch(t, s.want, found)
		})
	}
}

func TestRules_OrdersThatAreOver(t *testing.T) {
	const day = 24 * time.Hour
	checked := before(domain.RiskEvaluated, ms(-10), `"eligible":true`, recommendation("r0"))
	exec := func(id string) change { return said(`"exec_id":"` + id + `"`) }
	tell(t, map[string]story{
		"an execution two minutes after the cancellation": {
			log: tale{
				submitted(0, ``), of(domain.OrderAccepted, ms(1), ``), of(domain.OrderCancelled, ms(100), ``),
				past(2 * time.Minute), fill(2*time.Minute+ms(1), 10, "1"), later(),
			},
			want: []string{"fill-after-end"},
		},
		"more executed, told after the grace": {
			log: tale{
				submitted(0, ``), fill(ms(1), 100, "1", exec("x1")), past(2 * time.Minute),
				fill(ms(2), 10, "1", exec("x2")), later(),
			},
			want: []string{"overfilled"},
		},
		"a bust of a trade that nobody told, after the grace": {
			log: tale{
				submitted(0, ``), fill(ms(1), 100, "1", exec("x1")), past(2 * time.Minute),
				of(domain.TradeBusted, ms(2), `"exec_ref_id":"x9"`), later(),
			},
			want: []string{"bust-without-trade"},
		},
		"a late copy of an order that was checked and is filled": {
			log: tale{
				checked, of(domain.RiskEvaluated, ms(-5), `"eligible":true`), submitted(0, ``),
				fill(ms(2), 100, "101", said(`"exec_id":"x1","arrival_price":"100"`)), past(5 * time.Minute),
				of(domain.OrderPendingNew, ms(1), `"side":"1","quantity":"100"`, recorded(6*time.Minute), strategy("")),
				of(domain.OrderFilled, ms(2), `"fill_quantity":"100","fill_price":"101","exec_id":"x1","arrival_price":"100"`, recorded(6*time.Minute)), later(),
			},
			want: []string{"slippage"},
		},
		"good till cancelled, over two days": {
			log: tale{
				checked, of(domain.RiskEvaluated, ms(-5), `"eligible":true`), submitted(0, ``), of(domain.OrderAccepted, ms(1), ``),
				fill(ms(2), 40, "10", said(`"cum_quantity":"40"`)), of(domain.OrderDoneForDay, ms(3), ``), past(day - time.Hour),
				of(domain.OrderRestated, day, `"quantity":"100"`), of(domain.OrderRouted, day+ms(1), `"quantity":"100"`),
				of(domain.OrderFilled, day+ms(2), `"fill_quantity":"60","fill_price":"10","cum_quantity":"100"`), past(2 * day),
			},
		},
		"rejected on one route, executed on the next": {
			log: tale{
				submitted(0, ``), of(domain.OrderRouted, ms(1), ``), of(domain.OrderRejected, ms(5), `"reason":"closed"`),
				of(domain.OrderRouted, ms(10), ``), fill(ms(500), 100, "1"), later(),
			},
			want: []string{"order-rejected"},
		},
		"rejected on both routes, executed": {
			log: tale{
				submitted(0, ``), of(domain.OrderRejected, ms(5), `"reason":"closed"`), of(domain.OrderRouted, ms(10), ``),
				of(domain.OrderRejected, ms(20), `"reason":"closed"`), fill(ms(500), 100, "1"), later(),
			},
			want: []string{"order-rejected", "order-rejected", "fill-after-end"},
		},
	})
}

func TestRules_OrdersThatRested(t *testing.T) {
	resting := func(c change) tale {
		log := tale{
			fill(0, 40, "10", said(`"cum_quantity":"90"`)), of(domain.OrderRouted, 5*time.Minute, `"side":"buy","quantity":"100"`),
			fill(6*time.Minute, 10, "10", said(`"cum_quantity":"100"`)), of(domain.OrderCancelled, 7*time.Minute, ``),
		}
		return append(without(log, c), later())
	}
	tell(t, map[string]story{
		"routed again after an execution": {log: resting(func(*domain.Event) {})},
		"the same, all recorded at once":  {log: resting(recorded(time.Hour))},
		"a check long before the submission is no sign of rest": {
			log: tale{
				of(domain.RiskEvaluated, 0, `"eligible":true`), submitted(10*time.Minute, ``),
				fill(10*time.Minute+ms(1), 101, "1"), past(time.Hour),
			},
			want: []string{"latency-submit", "overfilled"},
		},
	})
}

func TestRules_SumsOfExecutions(t *testing.T) {
	says := func(exec, cum string) change { return said(`"exec_id":"` + exec + `","cum_quantity":"` + cum + `"`) }
	tell(t, map[string]story{
		"a trade is reported before its execution": {
			log: tale{
				submitted(0, ``), of(domain.TradeReported, ms(2), `"trade_id":"x1","quantity":"60","price":"10"`),
				fill(ms(2), 60, "10", says("x1", "60")), fill(ms(3), 40, "10", says("x2", "100")), of(domain.OrderCancelled, ms(5), ``), later(),
			},
		},
		"a split": {
			log: tale{
				submitted(0, ``), fill(ms(2), 40, "10", says("x1", "40")), of(domain.OrderRestated, ms(3), `"quantity":"200","cum_quantity":"80","avg_price":"5"`),
				fill(ms(4), 120, "5", says("x2", "200")), later(),
			},
		},
		"restated as it was": {
			log: tale{
				submitted(0, ``), of(domain.OrderRestated, ms(3), `"quantity":"100"`),
				fill(ms(4), 60, "5", says("x2", "100")), of(domain.OrderCancelled, ms(5), ``), later(),
			},
			want: []string{"quantity-mismatch"},
		},
		"a bust of a correction": {
			log: tale{
				submitted(0, ``), fill(ms(1), 10, "1", said(`"exec_id":"x1"`)),
				of(domain.TradeCorrected, ms(2), `"exec_id":"x2","exec_ref_id":"x1","fill_quantity":"9","fill_price":"1"`),
				of(domain.TradeBusted, ms(3), `"exec_id":"x3","exec_ref_id":"x2"`), later(),
			},
		},
	})
}

func TestRules_BehaviourIsCountedOnce(t *testing.T) {
	twice := func(log tale, types ...domain.EventType) tale {
		var out tale
		for _, e := range log {
			out = append(out, e)
			if slices.Contains(types, e.Type) {
				out = append(out, without(tale{e})...)
			}
		}
		return out
	}
	layers := with(
		cancelledOrders(2, 0, ms(800), ms(1), "buy")[:2],
		tale{fill(ms(500), 100, "412.50", order("real"), sided("sell"))},
		twice(cancelledOrders(2, 0, ms(800), ms(1), "buy")[2:], domain.OrderCancelled),
	)
	amended := tale{submitted(0, ``)}
	for i := range 10 {
		amended = append(amended, of(domain.OrderReplaceRequested, ms(5+i), ``), of(domain.OrderReplaced, ms(5+i), ``))
	}
	amended = append(amended, of(domain.OrderCancelled, ms(50), ``))
	tell(t, map[string]story{
		"layers that two witnesses cancel":   {log: layers},
		"orders that two witnesses cancel":   {yaml: "thresholds: {cancel-to-fill: {ratio: 9, cancels: 10}}", log: twice(pairs(5, 0, ms(500), time.Second), domain.OrderCancelled)},
		"a second that two witnesses cancel": {yaml: "thresholds: {quote-stuffing: {messages: 14}}", log: twice(pairs(7, 0, ms(1), ms(10)), domain.OrderCancelled)},
		"changes, asked for and made":        {yaml: "thresholds: {quote-stuffing: {messages: 12}}", log: amended},
		"and one more": {
			yaml: "thresholds: {quote-stuffing: {messages: 11}}", log: amended, want: []string{"quote-stuffing"},
		},
		"changes that nobody asked for": {
			yaml: "thresholds: {quote-stuffing: {messages: 11}}",
			log:  slices.DeleteFunc(slices.Clone(amended), func(e *domain.Event) bool { return e.Type == domain.OrderReplaceRequested }),
			want: []string{"quote-stuffing"},
		},
	})
}

func TestRules_AnEventFromTheFutureHidesNothing(t *testing.T) {
	future := recorded(-ms(5))
	check := before(domain.RiskEvaluated, 1000*time.Hour, `"eligible":true`, recommendation("r8"), future)
	wash := fill(1000*time.Hour, 1, "412.50", order("w0"), sided("buy"), future)
	cancel := of(domain.OrderCancelled, 1000*time.Hour, ``, order("c0"), future)
	tell(t, map[string]story{
		"wash": {
			log:  tale{wash, fill(0, 100, "412.50", order("w1"), sided("buy"), recorded(0)), fill(ms(10), 100, "412.50", order("w2"), sided("sell"), recorded(ms(10)))},
			want: []string{"clock-ahead", "wash-trade"},
		},
		"cancellations": {
			yaml: "thresholds: {cancel-to-fill: {ratio: 9, cancels: 10}, quote-stuffing: {messages: 19}}",
			log:  with(tale{submitted(0, ``, order("c0")), cancel}, without(pairs(10, 0, ms(1), ms(10)), recorded(time.Second))),
			want: []string{"clock-ahead", "cancel-to-fill", "quote-stuffing"},
		},
		"checks": {
			log:  tale{check, before(domain.RiskEvaluated, ms(-10), `"eligible":true`, recommendation("r0")), submitted(0, ``), later()},
			want: []string{"clock-ahead", "no-risk-check"},
		},
	})
}

func TestRules_TheClosingAuction(t *testing.T) {
	const bell = 6*time.Hour + 30*time.Minute
	const yaml = `thresholds: {marking-the-close: {close: "16:00"}}`
	at := func(end time.Duration, more ...*domain.Event) tale {
		var log tale
		for i := range 20 {
			o := strconv.Itoa(i)
			log = append(log, fill(bell-time.Minute+ms(i*100), 10, "100.00", order("m"+o), sided("buy"), account("other"+o)))
		}
		return append(append(log, more...), fill(end, 500, "101.00", order("auction"), sided("buy"), said(`"exec_id":"x1"`)))
	}
	report := of(domain.TradeReported, bell+ms(290), `"trade_id":"x1","quantity":"500","price":"101.00"`, order("auction"))
	tell(t, map[string]story{
		"prints after the bell":    {yaml: yaml, log: at(bell + ms(300)), want: []string{"marking-the-close"}},
		"at the end of the span":   {yaml: yaml, log: at(bell + 5*time.Minute), want: []string{"marking-the-close"}},
		"later":                    {yaml: yaml, log: at(bell + 5*time.Minute + 1)},
		"reported and executed":    {yaml: `thresholds: {marking-the-close: {close: "16:00", share: 70%}}`, log: at(bell+ms(300), report), want: []string{"marking-the-close"}},
		"counted once, 500 of 700": {yaml: `thresholds: {marking-the-close: {close: "16:00", share: 72%}}`, log: at(bell+ms(300), report)},
	})
}

func TestRules_WhatCameAfterAnOrderExcusesNothing(t *testing.T) {
	risk := func(at time.Duration, agrees bool, changes ...change) *domain.Event {
		return before(domain.RiskEvaluated, at, `"eligible":`+strconv.FormatBool(agrees), append([]change{recommendation("r1")}, changes...)...)
	}
	checked := before(domain.RiskEvaluated, -time.Hour, `"eligible":true`, recommendation("r0"))
	sent := func(at time.Duration) *domain.Event { return submitted(at, ``, recommendation("r1")) }
	tell(t, map[string]story{
		"approved half a minute after it was sent": {
			log: tale{
				before(domain.ApprovalRequested, 0, ``, approval("p1")), submitted(ms(5), ``, approval("p1")),
				before(domain.ApprovalApproved, 30*time.Second, ``, approval("p1")), later(),
			},
			want: []string{"no-approval"},
		},
		"approval asked for after it was sent": {
			log: tale{sent(ms(5)), before(domain.ApprovalRequested, 10*time.Second, ``, approval("p2"), recommendation("r1")), later()},
		},
		"denied, then the order's own approval": {
			log: tale{
				before(domain.ApprovalRequested, 0, ``, approval("p1"), recommendation("r1")),
				before(domain.ApprovalRequested, ms(1), ``, approval("p2"), recommendation("r1")),
				before(domain.ApprovalApproved, ms(2), ``, approval("p2"), recommendation("r1")),
				before(domain.ApprovalRejected, ms(3), ``, approval("p1"), recommendation("r1")),
				submitted(ms(5), ``, recommendation("r1"), approval("p2")), later(),
			},
		},
		"approved, then denied, then sent": {
			log: tale{
				before(domain.ApprovalRequested, 0, ``, approval("p1")), before(domain.ApprovalApproved, ms(1), ``, approval("p1")),
				before(domain.ApprovalRejected, ms(2), ``, approval("p1")), submitted(ms(5), ``, approval("p1")), later(),
			},
			want: []string{"no-approval"},
		},
		"a check of the order after it was sent": {
			log:  tale{checked, submitted(ms(5), ``), of(domain.RiskEvaluated, 30*time.Second, `"eligible":true`), later()},
			want: []string{"no-risk-check"},
		},
		"a check within the tolerance": {
			log: tale{checked, submitted(ms(5), ``), of(domain.RiskEvaluated, ms(55), `"eligible":true`), later()},
		},
		"a check three days before": {
			yaml: "thresholds: {no-risk-check: {within: 72h}, latency-submit: {enabled: false}}",
			log:  tale{checked, risk(0, true), sent(72*time.Hour + 1), past(74 * time.Hour)},
			want: []string{"no-risk-check"},
		},
		"a check that counts still": {
			yaml: "thresholds: {no-risk-check: {within: 72h}, latency-submit: {enabled: false}}",
			log:  tale{checked, risk(0, true), sent(72 * time.Hour), past(74 * time.Hour)},
		},
		"agreed, refused, sent": {
			log:  tale{risk(0, true), risk(ms(10), false), sent(ms(20)), later()},
			want: []string{"risk-block", "risk-block-ignored"},
		},
		"refused, agreed, sent, told in another order": {
			log:  tale{risk(ms(10), true), sent(ms(20)), risk(0, false), later()},
			want: []string{"risk-block"},
		},
		"refused, sent, agreed": {
			log:  tale{risk(0, false), sent(ms(20)), risk(30*time.Second, true), later()},
			want: []string{"risk-block", "risk-block-ignored"},
		},
		"the order itself is refused by name": {
			log:  tale{of(domain.RiskRejected, 0, ``), submitted(ms(20), ``), later()},
			want: []string{"risk-block", "risk-block-ignored"},
		},
	})
}

func TestRules_StretchesOfTime(t *testing.T) {
	r1 := recommendation("r1")
	checked := func(at time.Duration) *domain.Event { return before(domain.RiskEvaluated, at, `"eligible":true`, r1) }
	asked := func(t domain.EventType, at time.Duration, id string) *domain.Event {
		return before(t, at, ``, approval(id), r1)
	}
	tell(t, map[string]story{
		"checked again just before it is sent": {log: tale{checked(0), checked(time.Hour), submitted(time.Hour+ms(5), ``, r1)}},
		"slices of a parent": {
			log: tale{checked(0), submitted(time.Minute, ``, r1, func(e *domain.Event) { e.ParentOrderID = "p" })},
		},
		"a fill that is told before the acceptance": {
			log:  tale{submitted(ms(30_000), `,"order_type":"market"`), fill(ms(61_000), 10, "1"), of(domain.OrderAccepted, ms(30_900), ``)},
			want: []string{"latency-fill"},
		},
		"a fill that is told before an acceptance that was slow": {
			log:  tale{submitted(0, `,"order_type":"market"`), fill(ms(31_000), 10, "1"), of(domain.OrderAccepted, ms(30_900), ``)},
			want: []string{"latency-accept"},
		},
		"a check that names an order, too": {
			log:  tale{before(domain.RecommendationGenerated, 0, ``, r1), of(domain.RiskEvaluated, 5*time.Second, ``, r1)},
			want: []string{"latency-risk"},
		},
		"two approvals of a recommendation": {
			log: tale{asked(domain.ApprovalRequested, 0, "p1"), asked(domain.ApprovalRequested, time.Hour, "p2"), asked(domain.ApprovalApproved, time.Hour+ms(1000), "p2")},
		},
		"the second one is slow": {
			log: tale{
				asked(domain.ApprovalRequested, 0, "p1"), asked(domain.ApprovalApproved, ms(1), "p1"),
				asked(domain.ApprovalRequested, ms(2), "p2"), asked(domain.ApprovalApproved, time.Hour, "p2"),
			},
			want: []string{"latency-approval"},
		},
	})
}
