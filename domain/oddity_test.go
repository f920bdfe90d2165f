package domain_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
)

// Names in storage are for ever: these lists only grow.
func TestOddities_AreFrozen(t *testing.T) {
	assert.Equal(t, []string{
		"account_changed", "event_after_end", "fill_before_order", "from_the_future", "out_of_order",
		"overfilled", "side_changed", "strategy_changed", "ticker_changed",
	}, domain.Oddities())
	assert.Equal(t, []domain.OrderStep{"accept", "fill", "life"}, domain.OrderSteps())
}

type change func(*domain.Event)

func after(d time.Duration) change { return func(e *domain.Event) { e.OccurredAt = morning.Add(d) } }
func recordedAfter(d time.Duration) change {
	return func(e *domain.Event) { e.RecordedAt = e.OccurredAt.Add(d) }
}
func account(id string) change  { return func(e *domain.Event) { e.AccountID = id } }
func strategy(id string) change { return func(e *domain.Event) { e.StrategyID = id } }
func ticker(id string) change   { return func(e *domain.Event) { e.Ticker = id } }

func saying(t domain.EventType, data string, changes ...change) *domain.Event {
	e := of(t, data)
	for _, c := range changes {
		c(e)
	}
	return e
}

func TestOrder_Odd(t *testing.T) {
	const q100 = `"quantity":"100"`
	fill := func(q int, changes ...change) *domain.Event {
		return saying(domain.OrderPartiallyFilled, fmt.Sprintf(`"fill_quantity":"%d"`, q), changes...)
	}
	submitted, accepted := of(domain.OrderSubmitted, q100), of(domain.OrderAccepted, "")
	cancelled, filled := of(domain.OrderCancelled, ""), of(domain.OrderFilled, `"fill_quantity":"100"`)
	tests := []struct {
		name   string
		events []*domain.Event
		want   []string
	}{
		{"a good life", []*domain.Event{submitted, accepted, fill(40), fill(60)}, nil},
		{"filled by name", []*domain.Event{submitted, of(domain.OrderPartiallyFilled, ""), of(domain.OrderFilled, "")}, nil},

		{"fill first, then explained", []*domain.Event{fill(40), submitted, accepted}, []string{domain.OddFillBeforeOrder}},
		{"fill of an order that only risk has named", []*domain.Event{of(domain.RiskEvaluated, q100), fill(40)}, []string{domain.OddFillBeforeOrder}},
		{"fill of an order that nobody opened, but somebody wants cancelled", []*domain.Event{of(domain.OrderCancelRequested, ""), fill(40)}, []string{domain.OddFillBeforeOrder}},
		{"fill after acceptance alone", []*domain.Event{accepted, fill(40)}, nil},
		{"fill of a replacement with an id of its own", []*domain.Event{of(domain.OrderReplaced, q100), fill(40)}, nil},
		{"all executions are called fills, before the order", []*domain.Event{of(domain.OrderFilled, `"quantity":"40"`), of(domain.OrderFilled, `"quantity":"60"`), submitted}, []string{domain.OddFillBeforeOrder}},

		{"overfilled", []*domain.Event{submitted, fill(80), fill(21)}, []string{domain.OddOverfilled}},
		{"overfilled, as the late submission shows", []*domain.Event{accepted, fill(101), submitted}, []string{domain.OddOverfilled}},
		{"cut down below what is done", []*domain.Event{submitted, fill(80), of(domain.OrderReplaced, `"quantity":"50"`)}, []string{domain.OddOverfilled}},
		{"cut down to what is done", []*domain.Event{submitted, fill(80), of(domain.OrderReplaced, `"quantity":"80"`)}, nil},
		{"overfilled before the replacement is told", []*domain.Event{submitted, fill(80), fill(40), of(domain.OrderReplaced, `"quantity":"120"`)}, []string{domain.OddEventAfterEnd, domain.OddOverfilled}},
		{"a quantity below zero, nothing done", []*domain.Event{of(domain.OrderSubmitted, `"quantity":"-5"`)}, nil},

		{"another account, strategy, ticker", []*domain.Event{
			saying(domain.RiskEvaluated, "", account("a1"), strategy("s1"), ticker("MSFT")), submitted,
			saying(domain.OrderAccepted, "", account("a2"), strategy("s2"), ticker("AAPL")),
		}, []string{domain.OddAccountChanged, domain.OddStrategyChanged, domain.OddTickerChanged}},
		{"named late, and again", []*domain.Event{submitted, saying(domain.OrderAccepted, "", account("a1")), saying(domain.PositionUpdated, "", account("a1"))}, nil},
		{"a position of another account", []*domain.Event{saying(domain.OrderSubmitted, q100, account("a1")), saying(domain.PositionUpdated, "", account("a2"))}, []string{domain.OddAccountChanged}},

		{"another side", []*domain.Event{of(domain.OrderSubmitted, `"side":"BUY"`), of(domain.OrderAccepted, `"side":"SELL"`)}, []string{domain.OddSideChanged}},
		{"sold short", []*domain.Event{of(domain.OrderSubmitted, `"side":"sell"`), of(domain.OrderAccepted, `"side":"5"`)}, []string{domain.OddSideChanged}},
		{"the same side in other words", []*domain.Event{of(domain.OrderSubmitted, `"side":"BUY"`), of(domain.OrderAccepted, `"side":"1"`), of(domain.OrderAccepted, `"side":1`), of(domain.OrderAccepted, `"side":"b"`)}, nil},
		{"sides that nobody knows", []*domain.Event{of(domain.OrderSubmitted, `"side":"cross"`), of(domain.OrderAccepted, `"side":"CROSS"`), of(domain.OrderAccepted, `"side":"lend"`)}, []string{domain.OddSideChanged}},
		{"the side of a position", []*domain.Event{of(domain.OrderSubmitted, `"side":"sell"`), of(domain.PositionClosed, `"side":"long"`)}, nil},

		{"fill after the cancellation", []*domain.Event{submitted, cancelled, fill(40)}, []string{domain.OddEventAfterEnd}},
		{"accepted after the rejection", []*domain.Event{submitted, of(domain.OrderRejected, ""), accepted}, []string{domain.OddEventAfterEnd}},
		{"submitted after the cancellation", []*domain.Event{cancelled, submitted}, []string{domain.OddEventAfterEnd}},
		{"replaced after the last fill", []*domain.Event{submitted, filled, of(domain.OrderReplaced, `"quantity":"120"`)}, []string{domain.OddEventAfterEnd}},
		{"cancelled after the last fill", []*domain.Event{submitted, filled, cancelled}, []string{domain.OddEventAfterEnd}},
		{"expired after the cancellation", []*domain.Event{submitted, cancelled, of(domain.OrderExpired, "")}, []string{domain.OddEventAfterEnd}},
		{"two witnesses of acceptance and end", []*domain.Event{submitted, accepted, cancelled, cancelled, accepted, submitted}, nil},
		{"acceptance recorded after the fills", []*domain.Event{submitted, filled, accepted}, nil},
		{"what crosses the end on the wire", []*domain.Event{
			submitted, accepted, filled, of(domain.OrderCancelRequested, ""), of(domain.OrderCancelPending, ""), of(domain.OrderCancelRejected, ""),
			of(domain.OrderReplaceRequested, `"quantity":"120"`), of(domain.OrderReplacePending, ""), of(domain.OrderReplaceRejected, ""),
		}, nil},
		{"what follows the end", []*domain.Event{
			submitted, filled, of(domain.OrderDoneForDay, ""), of(domain.OrderCalculated, ""), of(domain.TradeReported, q100),
			of(domain.TradeCorrected, q100), of(domain.TradeBusted, q100), of(domain.OrderRestated, ""), of(domain.OrderStatusObserved, `"ord_status":"NEW"`),
			of(domain.OrderDuplicatePrevented, ""), of(domain.PositionUpdated, ""), of("order.blessed", ""),
		}, nil},
		{"what follows the end of the day", []*domain.Event{submitted, fill(40), of(domain.OrderDoneForDay, ""), of(domain.OrderRestated, q100), fill(10), of(domain.OrderExpired, "")}, nil},

		{"a clock that is ahead by a minute", []*domain.Event{saying(domain.OrderSubmitted, q100, recordedAfter(-domain.MaxClockLead))}, nil},
		{"a clock that is ahead by more", []*domain.Event{saying(domain.OrderSubmitted, q100, recordedAfter(-domain.MaxClockLead-1))}, []string{domain.OddFromTheFuture}},
		{"recorded much later", []*domain.Event{saying(domain.OrderSubmitted, q100, recordedAfter(24*time.Hour))}, nil},
		{"told by an event beside the order", []*domain.Event{submitted, saying(domain.PositionUpdated, "", recordedAfter(-time.Hour))}, []string{domain.OddFromTheFuture}},

		{"out of order", []*domain.Event{submitted, saying(domain.OrderAccepted, "", after(-1))}, []string{domain.OddOutOfOrder}},
		{"at the same time", []*domain.Event{submitted, accepted}, nil},
		{"before the latest, not before the last", []*domain.Event{
			saying(domain.OrderSubmitted, q100, after(time.Second)), submitted, saying(domain.OrderAccepted, "", after(1)),
		}, []string{domain.OddOutOfOrder}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var o domain.Order
			for _, e := range tt.events {
				o.Apply(e)
			}
			assert.Equal(t, tt.want, o.Odd)
		})
	}
}

func TestOrder_OddProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := histories().Draw(t, "events")
		var o, stored domain.Order
		for _, e := range events {
			e.OccurredAt = morning.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "at")) * time.Minute)
			e.RecordedAt = morning
			e.AccountID = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "account")

			copied, before := o, slices.Clone(o.Odd)
			o.Apply(e)
			require.Equal(t, before, copied.Odd, "a copy stays as it was")
			for _, code := range before {
				require.Contains(t, o.Odd, code, "what was said stays said")
			}
			require.True(t, slices.IsSorted(o.Odd))
			require.Len(t, slices.Compact(slices.Clone(o.Odd)), len(o.Odd))
			require.Subset(t, domain.Oddities(), o.Odd)
			over := o.Quantity.Valid && o.CumQuantity.IsPositive() && o.CumQuantity.GreaterThan(o.Quantity.Decimal)
			require.True(t, !over || slices.Contains(o.Odd, domain.OddOverfilled))
			require.Equal(t, o.Status.Terminal(), !o.EndedAt.IsZero())
			require.Equal(t, o.Fills > 0, !o.FirstFillAt.IsZero())
			require.False(t, o.LastFillAt.Before(o.FirstFillAt))

			stored.Apply(e)
			data := encoded(t, stored)
			stored = domain.Order{}
			require.NoError(t, json.Unmarshal([]byte(data), &stored))
		}
		require.Equal(t, encoded(t, o), encoded(t, stored), "a fold goes on where it was stored")
	})
}

func TestOrder_Latency(t *testing.T) {
	type took map[domain.OrderStep]time.Duration
	const q100 = `"quantity":"100"`
	tests := []struct {
		name   string
		events []*domain.Event
		want   took
	}{
		{"nothing known", nil, took{}},
		{"events beside the order", []*domain.Event{of(domain.RiskEvaluated, ""), of(domain.TradeReported, "")}, took{}},
		{"a good life", []*domain.Event{
			saying(domain.OrderSubmitted, q100, after(1)), saying(domain.OrderAccepted, "", after(10)),
			saying(domain.OrderPartiallyFilled, `"fill_quantity":"40"`, after(100)), saying(domain.OrderFilled, `"fill_quantity":"60"`, after(1000)),
		}, took{domain.StepAccept: 9, domain.StepFill: 90, domain.StepLife: 999}},
		{"not over yet", []*domain.Event{saying(domain.OrderSubmitted, q100), saying(domain.OrderAccepted, "", after(10))}, took{domain.StepAccept: 10}},
		{"no acceptance", []*domain.Event{saying(domain.OrderSubmitted, q100), saying(domain.OrderFilled, "", after(7))}, took{domain.StepFill: 7, domain.StepLife: 7}},
		{"no submission", []*domain.Event{saying(domain.OrderAccepted, q100), saying(domain.OrderFilled, "", after(7))}, took{domain.StepFill: 7}},
		{"submission and acceptance in one", []*domain.Event{saying(domain.OrderSubmitted, `"ord_status":"NEW"`), saying(domain.OrderCancelled, "", after(5))}, took{domain.StepAccept: 0, domain.StepLife: 5}},
		{"the first of many who submit", []*domain.Event{
			saying(domain.OrderPendingNew, "", after(3)), saying(domain.OrderReceived, "", after(1)), saying(domain.OrderRouted, "", after(2)),
			saying(domain.OrderAccepted, "", after(9)), saying(domain.OrderAccepted, "", after(8)),
		}, took{domain.StepAccept: 7}},
		{"clocks that disagree", []*domain.Event{saying(domain.OrderSubmitted, q100), saying(domain.OrderAccepted, "", after(-4))}, took{domain.StepAccept: -4}},
		{"rejected", []*domain.Event{saying(domain.OrderSubmitted, q100), saying(domain.OrderRejected, "", after(6)), saying(domain.OrderCancelled, "", after(60))}, took{domain.StepLife: 6}},
		{"fills out of order", []*domain.Event{
			saying(domain.OrderSubmitted, q100), saying(domain.OrderPartiallyFilled, `"fill_quantity":"60"`, after(20)), saying(domain.OrderPartiallyFilled, `"fill_quantity":"40"`, after(10)),
		}, took{domain.StepFill: 10, domain.StepLife: 20}},
		{"the submission comes last", []*domain.Event{saying(domain.OrderPartiallyFilled, `"fill_quantity":"100"`, after(20)), saying(domain.OrderSubmitted, q100, after(1))}, took{domain.StepFill: 19, domain.StepLife: 19}},
		{"a fill that turns out to be a part", []*domain.Event{saying(domain.OrderFilled, `"quantity":"40"`, after(20)), saying(domain.OrderSubmitted, q100)}, took{domain.StepFill: 20}},
		{"cut down to what is done", []*domain.Event{
			saying(domain.OrderSubmitted, q100), saying(domain.OrderPartiallyFilled, `"fill_quantity":"80"`, after(20)), saying(domain.OrderReplaced, `"quantity":"80"`, after(30)),
		}, took{domain.StepFill: 20, domain.StepLife: 30}},
		{"a fill after the end", []*domain.Event{saying(domain.OrderSubmitted, q100), saying(domain.OrderCancelled, "", after(5)), saying(domain.OrderFilled, "", after(8))}, took{domain.StepFill: 8, domain.StepLife: 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var o domain.Order
			for _, e := range tt.events {
				o.Apply(e)
			}
			got := took{}
			for _, step := range domain.OrderSteps() {
				if d, ok := o.Latency(step); ok {
					got[step] = d
				}
			}
			assert.Equal(t, tt.want, got)
		})
	}
	_, ok := (&domain.Order{SubmittedAt: morning, AcceptedAt: morning}).Latency("dance")
	assert.False(t, ok)
}

// Every event goes through here: what is not odd costs no memory beyond what
// reading the event's data does.
func TestOrder_ApplyAllocatesNothing(t *testing.T) {
	life := []*domain.Event{
		saying(domain.OrderSubmitted, "", account("a"), ticker("T")), saying(domain.OrderAccepted, "", account("a"), recordedAfter(time.Second)),
		of(domain.OrderPartiallyFilled, ""), of(domain.PositionUpdated, ""), of(domain.OrderFilled, ""), of(domain.OrderCancelRejected, ""),
	}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		var o domain.Order
		for _, e := range life {
			o.Apply(e)
		}
	}))
}
