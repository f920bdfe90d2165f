package domain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
)

var morning = time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)

func of(t domain.EventType, data string) *domain.Event {
	e := &domain.Event{Type: t, OrderID: "o1", OccurredAt: morning, SchemaVersion: 1}
	if data != "" {
		e.Data = jsontext.Value("{" + data + "}")
	}
	return e
}

// state is "STATUS cum/leaves": a leaves quantity that is unknown is "?".
func state(o *domain.Order) string {
	leaves := "?"
	if l := o.Leaves(); l.Valid {
		leaves = l.Decimal.String()
	}
	return fmt.Sprintf("%s %s/%s", o.Status, o.CumQuantity, leaves)
}

// The cases follow the order state change matrices of FIX 4.4 (volume 4, appendix
// D): each line is an event and the state that it leaves behind.
func TestOrder_StateChanges(t *testing.T) {
	type line struct {
		event domain.EventType
		data  string
		want  string
	}
	tests := []struct {
		name  string
		lines []line
	}{
		{"A.1 filled in parts", []line{
			{domain.OrderReceived, `"quantity":"10000"`, "PENDING_NEW 0/10000"},
			{domain.OrderRouted, `"quantity":"10000"`, "PENDING_NEW 0/10000"},
			{domain.OrderPendingNew, ``, "PENDING_NEW 0/10000"},
			{domain.OrderAccepted, ``, "NEW 0/10000"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"2000"`, "PARTIALLY_FILLED 2000/8000"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"1000"`, "PARTIALLY_FILLED 3000/7000"},
			{domain.OrderFilled, `"fill_quantity":"7000"`, "FILLED 10000/0"},
		}},
		{"A.2 part-filled day order, then done for day", []line{
			{domain.OrderSubmitted, `"quantity":"10000"`, "PENDING_NEW 0/10000"},
			{domain.OrderAccepted, ``, "NEW 0/10000"},
			{domain.OrderPartiallyFilled, `"quantity":"2000"`, "PARTIALLY_FILLED 2000/8000"},
			{domain.OrderDoneForDay, ``, "DONE_FOR_DAY 2000/0"},
		}},
		{"B.1 rejected at once", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderRejected, `"reason":"no"`, "REJECTED 0/0"},
			{domain.OrderAccepted, ``, "REJECTED 0/0"},
		}},
		{"C.1.a cancelled with nothing done", []line{
			{domain.OrderSubmitted, `"quantity":"10000"`, "PENDING_NEW 0/10000"},
			{domain.OrderAccepted, ``, "NEW 0/10000"},
			{domain.OrderCancelRequested, ``, "PENDING_CANCEL 0/10000"},
			{domain.OrderCancelPending, ``, "PENDING_CANCEL 0/10000"},
			{domain.OrderCancelled, ``, "CANCELED 0/0"},
		}},
		{"C.1.b executions while a cancel request is pending", []line{
			{domain.OrderSubmitted, `"quantity":"10000"`, "PENDING_NEW 0/10000"},
			{domain.OrderAccepted, ``, "NEW 0/10000"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"2000"`, "PARTIALLY_FILLED 2000/8000"},
			{domain.OrderCancelRequested, ``, "PENDING_CANCEL 2000/8000"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"3000"`, "PENDING_CANCEL 5000/5000"},
			{domain.OrderCancelled, ``, "CANCELED 5000/0"},
		}},
		{"C.1.c filled before the cancel is looked at", []line{
			{domain.OrderSubmitted, `"quantity":"10000"`, "PENDING_NEW 0/10000"},
			{domain.OrderAccepted, ``, "NEW 0/10000"},
			{domain.OrderCancelRequested, ``, "PENDING_CANCEL 0/10000"},
			{domain.OrderFilled, `"fill_quantity":"10000"`, "FILLED 10000/0"},
			{domain.OrderCancelRejected, `"reason":"too late"`, "FILLED 10000/0"},
		}},
		{"C.1.d cancel rejected, order works on", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderAccepted, ``, "NEW 0/100"},
			{domain.OrderCancelRequested, ``, "PENDING_CANCEL 0/100"},
			{domain.OrderCancelRejected, ``, "NEW 0/100"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"40"`, "PARTIALLY_FILLED 40/60"},
			{domain.OrderCancelRequested, ``, "PENDING_CANCEL 40/60"},
			{domain.OrderCancelRejected, ``, "PARTIALLY_FILLED 40/60"},
			{domain.OrderCancelRejected, ``, "PARTIALLY_FILLED 40/60"},
		}},
		{"C.3.a fill after cancel: the venue was faster", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderCancelled, ``, "CANCELED 0/0"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"40","fill_price":"10"`, "CANCELED 40/0"},
			{domain.OrderFilled, `"fill_quantity":"60"`, "CANCELED 100/0"},
		}},
		{"D.1.a quantity raised", []line{
			{domain.OrderSubmitted, `"quantity":"10000"`, "PENDING_NEW 0/10000"},
			{domain.OrderAccepted, ``, "NEW 0/10000"},
			{domain.OrderReplaceRequested, `"quantity":"11000"`, "PENDING_REPLACE 0/10000"},
			{domain.OrderReplacePending, `"quantity":"11000"`, "PENDING_REPLACE 0/10000"},
			{domain.OrderReplaced, `"quantity":"11000"`, "NEW 0/11000"},
			{domain.OrderFilled, `"fill_quantity":"10000"`, "PARTIALLY_FILLED 10000/1000"},
			{domain.OrderFilled, `"fill_quantity":"1000"`, "FILLED 11000/0"},
		}},
		{"D.2.a replaced while filling", []line{
			{domain.OrderSubmitted, `"quantity":"10000"`, "PENDING_NEW 0/10000"},
			{domain.OrderAccepted, ``, "NEW 0/10000"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"1000"`, "PARTIALLY_FILLED 1000/9000"},
			{domain.OrderReplaceRequested, `"quantity":"12000"`, "PENDING_REPLACE 1000/9000"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"100"`, "PENDING_REPLACE 1100/8900"},
			{domain.OrderReplaced, `"quantity":"12000"`, "PARTIALLY_FILLED 1100/10900"},
		}},
		{"D.2.c filled while a replace is pending", []line{
			{domain.OrderSubmitted, `"quantity":"10000"`, "PENDING_NEW 0/10000"},
			{domain.OrderReplaceRequested, `"quantity":"12000"`, "PENDING_REPLACE 0/10000"},
			{domain.OrderFilled, `"fill_quantity":"10000"`, "FILLED 10000/0"},
			{domain.OrderReplaceRejected, ``, "FILLED 10000/0"},
		}},
		{"D.2.d cut down to what is done", []line{
			{domain.OrderSubmitted, `"quantity":"10000"`, "PENDING_NEW 0/10000"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"8000"`, "PARTIALLY_FILLED 8000/2000"},
			{domain.OrderReplaceRequested, `"quantity":"7000"`, "PENDING_REPLACE 8000/2000"},
			{domain.OrderReplaced, `"quantity":"8000"`, "FILLED 8000/0"},
		}},
		{"D.1.c replace rejected", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderAccepted, ``, "NEW 0/100"},
			{domain.OrderReplaceRequested, `"quantity":"120"`, "PENDING_REPLACE 0/100"},
			{domain.OrderReplaceRejected, ``, "NEW 0/100"},
		}},
		{"replaced without a request, without a quantity", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderReplaced, `"limit_price":"9"`, "NEW 0/100"},
			{domain.OrderReplaced, `"quantity":"NaN"`, "NEW 0/100"},
		}},
		{"E unsolicited cancel, expiry", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"40"`, "PARTIALLY_FILLED 40/60"},
			{domain.OrderExpired, ``, "EXPIRED 40/0"},
			{domain.OrderCancelled, ``, "EXPIRED 40/0"},
		}},
		{"F stopped, then filled", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderAccepted, ``, "NEW 0/100"},
			{domain.OrderStopped, ``, "STOPPED 0/100"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"40"`, "STOPPED 40/60"},
			{domain.OrderFilled, `"fill_quantity":"60"`, "FILLED 100/0"},
		}},
		{"suspended and released", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderSuspended, ``, "SUSPENDED 0/100"},
			{domain.OrderSubmitted, ``, "SUSPENDED 0/100"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"1"`, "SUSPENDED 1/99"},
			{domain.OrderReleased, ``, "PARTIALLY_FILLED 1/99"},
		}},
		{"triggered, restated, calculated", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderTriggered, ``, "NEW 0/100"},
			{domain.OrderRestated, `"quantity":"50"`, "NEW 0/50"},
			{domain.OrderCalculated, ``, "CALCULATED 0/50"},
		}},
		{"fill before submission", []line{
			{domain.OrderPartiallyFilled, `"fill_quantity":"40"`, "PARTIALLY_FILLED 40/?"},
			{domain.OrderSubmitted, `"quantity":"100"`, "PARTIALLY_FILLED 40/60"},
			{domain.OrderAccepted, ``, "PARTIALLY_FILLED 40/60"},
			{domain.OrderFilled, `"fill_quantity":"60"`, "FILLED 100/0"},
		}},
		{"all fills before submission", []line{
			{domain.OrderPartiallyFilled, `"fill_quantity":"40"`, "PARTIALLY_FILLED 40/?"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"60"`, "PARTIALLY_FILLED 100/?"},
			{domain.OrderSubmitted, `"quantity":"100"`, "FILLED 100/0"},
		}},
		{"execution before submission, which turns out to be a part", []line{
			{domain.OrderFilled, `"quantity":"40"`, "FILLED 40/0"},
			{domain.OrderSubmitted, `"quantity":"100"`, "PARTIALLY_FILLED 40/60"},
			{domain.OrderFilled, `"quantity":"60"`, "FILLED 100/0"},
		}},
		{"cancelled before submission is known", []line{
			{domain.OrderFilled, `"quantity":"40"`, "FILLED 40/0"},
			{domain.OrderCancelled, ``, "FILLED 40/0"},
		}},
		{"every execution is called a fill", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderFilled, `"price":"412.44","quantity":"30"`, "PARTIALLY_FILLED 30/70"},
			{domain.OrderFilled, `"price":"412.44","quantity":"70"`, "FILLED 100/0"},
		}},
		{"a last part that is called partial", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"100"`, "FILLED 100/0"},
		}},
		{"over-fill", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"80"`, "PARTIALLY_FILLED 80/20"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"40"`, "FILLED 120/0"},
			{domain.OrderFilled, `"fill_quantity":"5"`, "FILLED 125/0"},
			{domain.OrderFilled, ``, "FILLED 125/0"},
		}},
		{"fills that name no quantity", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderPartiallyFilled, ``, "PARTIALLY_FILLED 0/100"},
			{domain.OrderFilled, ``, "FILLED 100/0"},
		}},
		{"nothing names a quantity", []line{
			{domain.OrderSubmitted, ``, "PENDING_NEW 0/?"},
			{domain.OrderPartiallyFilled, ``, "PARTIALLY_FILLED 0/?"},
			{domain.OrderFilled, ``, "FILLED 0/0"},
			{domain.OrderSubmitted, `"quantity":"100"`, "FILLED 0/0"},
		}},
		{"a quantity below zero leaves nothing", []line{
			{domain.OrderSubmitted, `"quantity":"-5"`, "PENDING_NEW 0/0"},
		}},
		{"fractions of a share", []line{
			{domain.OrderSubmitted, `"quantity":"0.3"`, "PENDING_NEW 0/0.3"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"0.1"`, "PARTIALLY_FILLED 0.1/0.2"},
			{domain.OrderPartiallyFilled, `"fill_quantity":"0.2"`, "FILLED 0.3/0"},
		}},
		{"FIX names, with the ordered quantity on each report", []line{
			{domain.OrderAccepted, `"quantity":"100"`, "NEW 0/100"},
			{domain.OrderPartiallyFilled, `"quantity":"100","last_quantity":"30","last_price":"9"`, "PARTIALLY_FILLED 30/70"},
		}},
		{"numbers as JSON numbers, of a witness that bypassed the door", []line{
			{domain.OrderSubmitted, `"quantity":100`, "PENDING_NEW 0/100"},
			{domain.OrderFilled, `"fill_quantity":1e2`, "FILLED 100/0"},
		}},
		{"fields of wrong types hide nothing else", []line{
			{domain.OrderSubmitted, `"side":1,"order_type":{},"limit_price":[],"quantity":"100","ord_status":7`, "PENDING_NEW 0/100"},
			{domain.OrderFilled, `"fill_quantity":{},"last_quantity":"x","quantity":"100","fill_price":null,"commission":true`, "FILLED 100/0"},
		}},
		{"submission and acceptance in one", []line{
			{domain.OrderSubmitted, `"quantity":"100","ord_status":"NEW"`, "NEW 0/100"},
		}},
		{"acceptance first", []line{
			{domain.OrderAccepted, ``, "NEW 0/?"},
			{domain.OrderSubmitted, `"quantity":"100"`, "NEW 0/100"},
			{domain.OrderPendingNew, ``, "NEW 0/100"},
		}},
		{"cancelled first, then everything else", []line{
			{domain.OrderCancelled, ``, "CANCELED 0/0"},
			{domain.OrderSubmitted, `"quantity":"100"`, "CANCELED 0/0"},
			{domain.OrderAccepted, ``, "CANCELED 0/0"},
			{domain.OrderCancelRequested, ``, "CANCELED 0/0"},
			{domain.OrderReplaced, `"quantity":"50"`, "CANCELED 0/0"},
			{domain.OrderRejected, ``, "CANCELED 0/0"},
			{domain.OrderExpired, ``, "CANCELED 0/0"},
			{domain.OrderSuspended, ``, "CANCELED 0/0"},
		}},
		{"what is observed, prevented or told by others moves nothing", []line{
			{domain.OrderSubmitted, `"quantity":"100"`, "PENDING_NEW 0/100"},
			{domain.OrderStatusObserved, `"ord_status":"FILLED","quantity":"7","cum_quantity":"7"`, "PENDING_NEW 0/100"},
			{domain.OrderDuplicatePrevented, `"quantity":"7"`, "PENDING_NEW 0/100"},
			{domain.OrderMassCancelRequested, ``, "PENDING_NEW 0/100"},
			{domain.OrderLocked, ``, "PENDING_NEW 0/100"},
			{domain.PositionOpened, `"quantity_after":"7","quantity":"7"`, "PENDING_NEW 0/100"},
			{domain.TradeReported, `"quantity":"7"`, "PENDING_NEW 0/100"},
			{domain.RiskRejected, ``, "PENDING_NEW 0/100"},
			{"order.teleported", `"quantity":"7"`, "PENDING_NEW 0/100"},
		}},
		{"events that only name the order", []line{
			{domain.RiskEvaluated, `"quantity":"7"`, "UNKNOWN 0/?"},
			{domain.OrderDuplicatePrevented, ``, "UNKNOWN 0/?"},
			{domain.OrderCancelRejected, ``, "UNKNOWN 0/?"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var o domain.Order
			for i, l := range tt.lines {
				o.Apply(of(l.event, l.data))
				assert.Equal(t, l.want, state(&o), "after event %d, %s", i+1, l.event)
			}
			assert.Equal(t, len(tt.lines), o.Events)
		})
	}
}

func TestOrder_PricesAndCommission(t *testing.T) {
	var o domain.Order
	assert.False(t, o.AvgPrice().Valid)
	for _, e := range []*domain.Event{
		of(domain.OrderSubmitted, `"quantity":"100","limit_price":"412.50"`),
		of(domain.OrderPartiallyFilled, `"fill_quantity":"30","fill_price":"412.40","commission":"0.10"`),
		of(domain.OrderPartiallyFilled, `"fill_quantity":"10"`), // names no price: must not drag the average down
		of(domain.OrderPartiallyFilled, `"fill_quantity":"60","price":"412.46","commission":"0.205"`),
	} {
		o.Apply(e)
	}
	assert.Equal(t, "412.44", o.AvgPrice().Decimal.String())
	assert.Equal(t, "37119.6", o.CumNotional.String())
	assert.Equal(t, "90", o.PricedQty.String())
	assert.Equal(t, "0.305", o.Commission.String())
	assert.Equal(t, "412.5", o.LimitPrice.Decimal.String())
	assert.Equal(t, 3, o.Fills)

	o = domain.Order{}
	o.Apply(of(domain.OrderFilled, `"quantity":"3","price":"1"`))
	o.Apply(of(domain.OrderFilled, `"quantity":"3","price":"1.00000001"`))
	o.Apply(of(domain.OrderFilled, `"quantity":"1","price":"2"`))
	assert.Equal(t, "1.14285715", o.AvgPrice().Decimal.String(), "rounded to 8 digits")
}

func TestOrder_WhoAndWhatIsTheFirstToSaySo(t *testing.T) {
	first := of(domain.RiskEvaluated, "")
	first.AccountID, first.UserID = "a1", "u1"
	second := of(domain.OrderSubmitted, `"side":"buy","order_type":"limit","limit_price":"9","quantity":"10"`)
	second.AccountID, second.StrategyID, second.Ticker = "a2", "s1", "MSFT"
	third := of(domain.OrderAccepted, `"side":"sell","order_type":"market","limit_price":"8","quantity":"11"`)
	third.StrategyID, third.Ticker, third.UserID = "s2", "AAPL", "u2"
	second.OccurredAt, third.OccurredAt = morning.Add(time.Minute), morning.Add(-time.Minute)

	var o domain.Order
	for _, e := range []*domain.Event{first, second, third} {
		o.Apply(e)
	}
	assert.Equal(t, []string{"o1", "a1", "u1", "s1", "MSFT", "buy", "limit", "9", "10"}, []string{
		o.ID, o.Account, o.User, o.Strategy, o.Ticker, o.Side, o.Type, o.LimitPrice.Decimal.String(), o.Quantity.Decimal.String(),
	})
	assert.Equal(t, morning.Add(-time.Minute), o.FirstAt)
	assert.Equal(t, morning.Add(time.Minute), o.LastAt)

	o.Apply(of(domain.OrderReplaced, `"limit_price":"7.5","quantity":"12"`))
	assert.Equal(t, "7.5", o.LimitPrice.Decimal.String(), "a replacement is the new order")
	assert.Equal(t, "12", o.Quantity.Decimal.String())
}

func TestOrder_TakesAnyData(t *testing.T) {
	for _, known := range domain.EventTypes() {
		for _, data := range []string{``, `null`, `[]`, `1`, `"x"`, `{}`, `{"quantity":{"quantity":1}}`, `{"quantity":"1e1000000000"}`, `{`, `{"quantity":`} {
			var o domain.Order
			o.Apply(&domain.Event{Type: known, OrderID: "o", Data: jsontext.Value(data)})
			want := 1
			if known.Judgement() {
				want = 0
			}
			assert.Equal(t, want, o.Events)
			assert.True(t, o.CumQuantity.IsZero())
		}
	}
}

// The state of an order is stored in the read models.
func TestOrder_JSON(t *testing.T) {
	var o domain.Order
	o.Apply(of(domain.OrderSubmitted, `"quantity":"100","side":"buy"`))
	o.Apply(of(domain.OrderPartiallyFilled, `"fill_quantity":"40","fill_price":"412.50"`))
	encoded, err := json.Marshal(&o)
	require.NoError(t, err)
	assert.Equal(t, `{"order_id":"o1","status":"PARTIALLY_FILLED","side":"buy","quantity":"100","cum_quantity":"40","cum_notional":"16500",`+
		`"priced_quantity":"40","commission":"0","events":2,"fills":1,"first_at":"2026-03-02T14:30:00Z","last_at":"2026-03-02T14:30:00Z",`+
		`"submitted_at":"2026-03-02T14:30:00Z","first_fill_at":"2026-03-02T14:30:00Z","last_fill_at":"2026-03-02T14:30:00Z"}`, string(encoded))

	var again domain.Order
	require.NoError(t, json.Unmarshal(encoded, &again))
	o.Apply(of(domain.OrderFilled, `"fill_quantity":"60"`))
	again.Apply(of(domain.OrderFilled, `"fill_quantity":"60"`))
	assert.Equal(t, state(&o), state(&again), "a fold goes on where it was stored")
}

func TestFillOf(t *testing.T) {
	for _, known := range domain.EventTypes() {
		fill, ok := domain.FillOf(of(known, `"fill_quantity":"40","quantity":"100","last_price":"9","commission":"0.1"`))
		assert.Equal(t, known == domain.OrderFilled || known == domain.OrderPartiallyFilled, ok, known)
		if ok {
			assert.Equal(t, "40 9 0.1", fmt.Sprint(fill.Quantity.Decimal, fill.Price.Decimal, fill.Commission.Decimal))
		}
	}
	fill, ok := domain.FillOf(of(domain.OrderFilled, ""))
	assert.True(t, ok)
	assert.Equal(t, domain.Fill{}, fill)
}

func TestOrderStatus_Terminal(t *testing.T) {
	var over []domain.OrderStatus
	for _, s := range []domain.OrderStatus{
		domain.StatusPendingNew, domain.StatusNew, domain.StatusPartiallyFilled, domain.StatusFilled, domain.StatusDoneForDay,
		domain.StatusCanceled, domain.StatusPendingCancel, domain.StatusStopped, domain.StatusRejected, domain.StatusSuspended,
		domain.StatusCalculated, domain.StatusExpired, domain.StatusPendingReplace, domain.StatusUnknown,
	} {
		if s.Terminal() {
			over = append(over, s)
		}
	}
	assert.Equal(t, []domain.OrderStatus{
		domain.StatusFilled, domain.StatusDoneForDay, domain.StatusCanceled, domain.StatusRejected, domain.StatusExpired,
	}, over)
}

// histories draws any events in any order: the log is the truth, whatever it says.
func histories() *rapid.Generator[[]*domain.Event] {
	types := slices.DeleteFunc(domain.EventTypes(), func(t domain.EventType) bool { return t.Family() != "order" })
	quantity := rapid.Custom(func(t *rapid.T) string {
		return decimal.New(rapid.Int64Range(1, 5000).Draw(t, "digits"), -rapid.Int32Range(0, 2).Draw(t, "scale")).String()
	})
	one := rapid.Custom(func(t *rapid.T) *domain.Event {
		var data []string
		if rapid.IntRange(0, 3).Draw(t, "quantity?") > 0 {
			data = append(data, `"quantity":"`+quantity.Draw(t, "quantity")+`"`)
		}
		if rapid.Bool().Draw(t, "price?") {
			data = append(data, `"price":"`+quantity.Draw(t, "price")+`"`)
		}
		kinds := append(types, domain.OrderFilled, domain.OrderPartiallyFilled, domain.OrderPartiallyFilled, domain.OrderSubmitted)
		return of(rapid.SampledFrom(kinds).Draw(t, "type"), strings.Join(data, ","))
	})
	return rapid.SliceOfN(one, 1, 25)
}

func TestOrder_Properties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := histories().Draw(t, "events")
		var o domain.Order
		var over domain.OrderStatus // the terminal state that it has reached
		fills, sum, unnamed := 0, decimal.Zero, false
		for _, e := range events {
			known := o.Quantity.Valid
			o.Apply(e)

			if fill, ok := domain.FillOf(e); ok {
				fills++
				sum = sum.Add(fill.Quantity.Decimal)
				unnamed = unnamed || !fill.Quantity.Valid && e.Type == domain.OrderFilled
			}
			if !unnamed {
				require.True(t, sum.Equal(o.CumQuantity), "cum %s is not the sum of the fills, %s", o.CumQuantity, sum)
			}
			require.False(t, o.CumQuantity.LessThan(o.PricedQty))

			// A terminal state is never left, but for a FILLED that was believed
			// before the ordered quantity was known, and for a day that was done
			// when the next one begins.
			believed := over == domain.StatusFilled && !known && o.Quantity.Valid
			renewed := over == domain.StatusDoneForDay && e.Type == domain.OrderRestated
			if over != "" && !believed && !renewed {
				require.Equal(t, over, o.Status)
			}
			if over = ""; o.Status.Terminal() {
				over = o.Status
			}

			if slices.Contains([]domain.OrderStatus{domain.StatusNew, domain.StatusPendingNew, domain.StatusPartiallyFilled}, o.Status) {
				require.False(t, o.Quantity.Valid && o.CumQuantity.IsPositive() && o.CumQuantity.GreaterThanOrEqual(o.Quantity.Decimal),
					"%s with %s of %s done", o.Status, o.CumQuantity, o.Quantity.Decimal)
			}
			if leaves := o.Leaves(); leaves.Valid {
				require.False(t, leaves.Decimal.IsNegative())
				require.False(t, o.Status.Terminal() && !leaves.Decimal.IsZero())
			}
		}
		require.Equal(t, fills, o.Fills)
		require.Equal(t, len(events), o.Events)

		var again domain.Order
		for _, e := range events {
			again.Apply(e)
		}
		require.Equal(t, o, again, "a fold is a function of its events")
	})
}

// Recorders of different systems are not in step: where the submission stands
// among the fills must not decide how the order ends.
func TestOrder_SubmissionMayComeLate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fills := rapid.SliceOfN(rapid.IntRange(1, 60), 1, 6).Draw(t, "fills")
		kind := rapid.SampledFrom([]domain.EventType{domain.OrderFilled, domain.OrderPartiallyFilled})
		var events []*domain.Event
		for _, q := range fills {
			events = append(events, of(kind.Draw(t, "type"), fmt.Sprintf(`"fill_quantity":"%d"`, q)))
		}
		submitted := of(domain.OrderSubmitted, `"quantity":"100"`)
		fold := func(at int) string {
			var o domain.Order
			for _, e := range slices.Insert(slices.Clone(events), at, submitted) {
				o.Apply(e)
			}
			return state(&o)
		}
		at := rapid.IntRange(0, len(events)).Draw(t, "at")
		require.Equal(t, fold(0), fold(at))
	})
}
