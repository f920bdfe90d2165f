package domain_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
)

func execution(id, quantity, price string) string {
	return fmt.Sprintf(`"exec_id":%q,"last_quantity":%q,"last_price":%q`, id, quantity, price)
}

// Execution cancels and corrects of FIX 4.4, volume 4, appendix D, and what a log
// that begins in the middle makes of them. want is the state, then average price
// and number of remembered fills.
func TestOrder_BustsAndCorrections(t *testing.T) {
	type line struct {
		event domain.EventType
		data  string
		want  string
	}
	tests := []struct {
		name  string
		lines []line
	}{
		{"filled order, then correction and bust of executions", []line{
			{domain.OrderReceived, `"quantity":"10000"`, "PENDING_NEW 0/10000 avg ? of 0"},
			{domain.OrderAccepted, ``, "NEW 0/10000 avg ? of 0"},
			{domain.OrderPartiallyFilled, execution("B", "2000", "50"), "PARTIALLY_FILLED 2000/8000 avg 50 of 1"},
			{domain.OrderFilled, execution("C", "8000", "51"), "FILLED 10000/0 avg 50.8 of 2"},
			{domain.TradeCorrected, `"exec_ref_id":"C",` + execution("D", "8000", "50"), "FILLED 10000/0 avg 50 of 2"},
			{domain.TradeBusted, `"exec_id":"E","exec_ref_id":"B"`, "PARTIALLY_FILLED 8000/2000 avg 50 of 1"},
			{domain.OrderFilled, execution("F", "2000", "52"), "FILLED 10000/0 avg 50.4 of 2"},
		}},
		{"cancelled order, then a busted execution and a new one", []line{
			{domain.OrderReceived, `"quantity":"10000"`, "PENDING_NEW 0/10000 avg ? of 0"},
			{domain.OrderPartiallyFilled, execution("B", "5000", "50"), "PARTIALLY_FILLED 5000/5000 avg 50 of 1"},
			{domain.OrderCancelled, ``, "CANCELED 5000/0 avg 50 of 1"},
			{domain.TradeBusted, `"exec_ref_id":"B"`, "CANCELED 0/0 avg ? of 0"},
			{domain.OrderPartiallyFilled, execution("E", "4000", "49"), "CANCELED 4000/0 avg 49 of 1"},
		}},
		{"done for the day, then correction and bust", []line{
			{domain.OrderReceived, `"quantity":"10000"`, "PENDING_NEW 0/10000 avg ? of 0"},
			{domain.OrderPartiallyFilled, execution("B", "1000", "50"), "PARTIALLY_FILLED 1000/9000 avg 50 of 1"},
			{domain.OrderDoneForDay, ``, "DONE_FOR_DAY 1000/0 avg 50 of 1"},
			{domain.TradeCorrected, `"exec_ref_id":"B",` + execution("D", "500", "50"), "DONE_FOR_DAY 500/0 avg 50 of 1"},
			{domain.TradeBusted, `"exec_ref_id":"D"`, "DONE_FOR_DAY 0/0 avg ? of 0"},
		}},
		{"good till cancelled: restated the next day, corrections of both executions", []line{
			{domain.OrderReceived, `"quantity":"10000"`, "PENDING_NEW 0/10000 avg ? of 0"},
			{domain.OrderPartiallyFilled, execution("B", "2000", "50"), "PARTIALLY_FILLED 2000/8000 avg 50 of 1"},
			{domain.OrderDoneForDay, ``, "DONE_FOR_DAY 2000/0 avg 50 of 1"},
			{domain.OrderRestated, `"restatement_reason":"1"`, "PARTIALLY_FILLED 2000/8000 avg 50 of 1"},
			{domain.OrderPartiallyFilled, execution("E", "1000", "50"), "PARTIALLY_FILLED 3000/7000 avg 50 of 2"},
			{domain.TradeCorrected, `"exec_ref_id":"B",` + execution("F", "1500", "50"), "PARTIALLY_FILLED 2500/7500 avg 50 of 2"},
			{domain.TradeCorrected, `"exec_ref_id":"E",` + execution("G", "500", "50"), "PARTIALLY_FILLED 2000/8000 avg 50 of 2"},
		}},
		{"good till cancelled: split two for one, restated with what is done", []line{
			{domain.OrderReceived, `"quantity":"10000"`, "PENDING_NEW 0/10000 avg ? of 0"},
			{domain.OrderPartiallyFilled, execution("B", "2000", "50"), "PARTIALLY_FILLED 2000/8000 avg 50 of 1"},
			{domain.OrderDoneForDay, ``, "DONE_FOR_DAY 2000/0 avg 50 of 1"},
			{domain.OrderRestated, `"quantity":"20000","cum_quantity":"4000","avg_price":"25"`, "PARTIALLY_FILLED 4000/16000 avg 25 of 1"},
			{domain.OrderPartiallyFilled, execution("E", "4000", "26"), "PARTIALLY_FILLED 8000/12000 avg 25.5 of 2"},
		}},
		{"a correction names the execution as it was first, or as last corrected", []line{
			{domain.OrderReceived, `"quantity":"100"`, "PENDING_NEW 0/100 avg ? of 0"},
			{domain.OrderPartiallyFilled, execution("B", "10", "5"), "PARTIALLY_FILLED 10/90 avg 5 of 1"},
			{domain.TradeCorrected, `"exec_ref_id":"B",` + execution("C", "20", "5"), "PARTIALLY_FILLED 20/80 avg 5 of 1"},
			{domain.TradeCorrected, `"exec_ref_id":"B",` + execution("D", "30", "6"), "PARTIALLY_FILLED 30/70 avg 6 of 1"},
			{domain.TradeCorrected, `"exec_ref_id":"D",` + execution("E", "100", "6"), "FILLED 100/0 avg 6 of 1"},
			{domain.TradeBusted, `"exec_ref_id":"B"`, "NEW 0/100 avg ? of 0"},
		}},
		{"a second witness of everything", []line{
			{domain.OrderReceived, `"quantity":"100"`, "PENDING_NEW 0/100 avg ? of 0"},
			{domain.OrderPartiallyFilled, execution("B", "10", "5"), "PARTIALLY_FILLED 10/90 avg 5 of 1"},
			{domain.OrderPartiallyFilled, execution("B", "10", "5"), "PARTIALLY_FILLED 10/90 avg 5 of 1"},
			{domain.TradeCorrected, `"exec_ref_id":"B",` + execution("C", "20", "5"), "PARTIALLY_FILLED 20/80 avg 5 of 1"},
			{domain.TradeCorrected, `"exec_ref_id":"B",` + execution("C", "20", "5"), "PARTIALLY_FILLED 20/80 avg 5 of 1"},
			{domain.TradeBusted, `"exec_ref_id":"C"`, "NEW 0/100 avg ? of 0"},
			{domain.TradeBusted, `"exec_ref_id":"C"`, "NEW 0/100 avg ? of 0"},
		}},
		{"executions before the log: what the report states of the order counts", []line{
			{domain.OrderStatusObserved, ``, "UNKNOWN 0/? avg ? of 0"},
			{domain.OrderAccepted, `"quantity":"100"`, "NEW 0/100 avg ? of 0"},
			{domain.TradeCorrected, `"exec_ref_id":"X","cum_quantity":"40","avg_price":"7.5",` + execution("Y", "10", "9"), "PARTIALLY_FILLED 40/60 avg 7.5 of 0"},
			{domain.TradeBusted, `"exec_ref_id":"X","cum_quantity":"0"`, "NEW 0/100 avg ? of 0"},
			{domain.TradeBusted, `"exec_ref_id":"X"`, "NEW 0/100 avg ? of 0"},
		}},
		{"witnesses without execution ids", []line{
			{domain.OrderReceived, `"quantity":"100"`, "PENDING_NEW 0/100 avg ? of 0"},
			{domain.OrderFilled, `"fill_quantity":"100","fill_price":"5"`, "FILLED 100/0 avg 5 of 0"},
			{domain.TradeBusted, `"fill_quantity":"40","fill_price":"5"`, "PARTIALLY_FILLED 60/40 avg 5 of 0"},
			{domain.TradeBusted, `"fill_quantity":"61","fill_price":"5"`, "PARTIALLY_FILLED 60/40 avg 5 of 0"},
			{domain.TradeBusted, ``, "PARTIALLY_FILLED 60/40 avg 5 of 0"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var o domain.Order
			for i, l := range tt.lines {
				o.Apply(of(l.event, l.data))
				avg := "?"
				if p := o.AvgPrice(); p.Valid {
					avg = p.Decimal.String()
				}
				assert.Equal(t, l.want, fmt.Sprintf("%s avg %s of %d", state(&o), avg, standing(&o)), "after event %d, %s", i+1, l.event)
			}
		})
	}
}

// standing counts the remembered fills that are not busted.
func standing(o *domain.Order) (n int) {
	for _, t := range o.Trades {
		if !t.Busted {
			n++
		}
	}
	return n
}

// Two sessions report the same executions, busts and corrections, the second one
// later: each counts once.
func TestOrder_TheSecondWitnessComesLater(t *testing.T) {
	later := of(domain.OrderPartiallyFilled, execution("E2", "100", "1")+`,"cum_quantity":"100"`)
	later.OccurredAt = morning.Add(time.Second)
	stated := of(domain.TradeBusted, `"exec_id":"H0","exec_ref_id":"before the log","cum_quantity":"0"`)
	var o domain.Order
	o.Apply(of(domain.OrderAccepted, `"quantity":"300"`))
	for range 2 {
		for _, e := range []*domain.Event{
			of(domain.OrderPartiallyFilled, execution("E1", "100", "1")+`,"cum_quantity":"100"`),
			of(domain.TradeCorrected, `"exec_ref_id":"E1","cum_quantity":"50",`+execution("C1", "50", "1")),
			of(domain.TradeCorrected, `"exec_ref_id":"C1","cum_quantity":"40",`+execution("C2", "40", "1")),
			of(domain.TradeBusted, `"exec_id":"H","exec_ref_id":"C2","cum_quantity":"0"`),
			of(domain.TradeBusted, `"exec_id":"H9","exec_ref_id":"comes late"`),
			of(domain.OrderPartiallyFilled, execution("comes late", "7", "1")),
			later, stated,
		} {
			o.Apply(e)
		}
		require.Equal(t, "PARTIALLY_FILLED 100/200", state(&o))
	}
}

// Whatever is corrected, and how often: what remains are the last words.
func TestOrder_CorrectionsLeaveTheLastWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o domain.Order
		o.Apply(of(domain.OrderReceived, `"quantity":"1000000"`))
		last := map[int]int{}
		ids := map[int]string{}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			n := rapid.IntRange(0, 9).Draw(t, "execution")
			quantity := rapid.IntRange(1, 500).Draw(t, "quantity")
			id := fmt.Sprint("e", i)
			fill := execution(id, fmt.Sprint(quantity), "3")
			switch _, done := last[n]; {
			case !done:
				o.Apply(of(domain.OrderPartiallyFilled, fill))
				last[n], ids[n] = quantity, id
			case rapid.Bool().Draw(t, "bust?"):
				o.Apply(of(domain.TradeBusted, fmt.Sprintf(`"exec_ref_id":%q`, ids[n])))
				delete(last, n)
			default:
				o.Apply(of(domain.TradeCorrected, fmt.Sprintf(`"exec_ref_id":%q,`, ids[n])+fill))
				last[n], ids[n] = quantity, id
			}
			sum := 0
			for _, q := range last {
				sum += q
			}
			require.Equal(t, fmt.Sprint(sum), o.CumQuantity.String())
			require.Equal(t, fmt.Sprint(3*sum), o.CumNotional.String())
			require.Equal(t, sum > 0, o.Status == domain.StatusPartiallyFilled)
		}
	})
}

func TestOrder_CountsManyExecutionsOnce(t *testing.T) {
	var o domain.Order
	for range 2 {
		for i := range 2000 {
			o.Apply(of(domain.OrderPartiallyFilled, execution(fmt.Sprint(i), "1", "1")))
		}
		require.Equal(t, "2000", o.CumQuantity.String())
		require.Equal(t, 2000, o.Fills)
	}
}

func TestOrder_RemembersABoundedNumberOfTrades(t *testing.T) {
	var o domain.Order
	for i := range 1000 {
		before := o
		o.Apply(of(domain.OrderPartiallyFilled, execution(fmt.Sprint(i), "1", "1")))
		require.Len(t, before.Trades, min(i, 128), "a copy stays as it was")
	}
	assert.Len(t, o.Trades, 128)
	assert.Equal(t, "1000", o.CumQuantity.String())
	assert.Equal(t, "872", o.Trades[0].ID)
}
