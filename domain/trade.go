package domain

import (
	"slices"

	"github.com/shopspring/decimal"
)

// Trade is one execution of an order, as long as a bust or a correction may name
// it.
type Trade struct {
	ID       string              `json:"exec_id"`        // FIX 17, as last corrected
	First    string              `json:"first,omitzero"` // FIX 17 before any correction, if there was one
	Quantity Decimal             `json:"quantity"`
	Price    decimal.NullDecimal `json:"price,omitzero"`
}

// maxTrades is how many executions an order remembers. Of older ones a bust or a
// correction counts by what it states of the whole order.
const maxTrades = 128

func (o *Order) remember(t Trade) {
	if t.ID == "" {
		return
	}
	from := max(0, len(o.Trades)+1-maxTrades)
	o.Trades = append(slices.Clone(o.Trades[from:]), t)
}

// trade finds an execution by its id before or after corrections, -1 if it is not
// remembered.
func (o *Order) trade(id string) int {
	return slices.IndexFunc(o.Trades, func(t Trade) bool { return id != "" && (t.ID == id || t.First == id) })
}

// count adds to what has been executed; a quantity below 0 takes away.
func (o *Order) count(quantity Decimal, price decimal.NullDecimal) {
	o.CumQuantity = o.CumQuantity.Add(quantity)
	if price.Valid {
		o.PricedQty = o.PricedQty.Add(quantity)
		o.CumNotional = o.CumNotional.Add(price.Decimal.Mul(quantity))
	}
}

// take replaces what has been executed by what the venue states, if it differs:
// FIX 14 and 6 are on every report.
func (o *Order) take(d orderData) {
	cum := number(d.CumQuantity)
	if !cum.Valid || cum.Decimal.Equal(o.CumQuantity) {
		return
	}
	o.CumQuantity = cum.Decimal
	o.PricedQty, o.CumNotional = decimal.Zero, decimal.Zero
	if avg := number(d.AvgPrice); avg.Valid && cum.Decimal.IsPositive() {
		o.PricedQty, o.CumNotional = cum.Decimal, avg.Decimal.Mul(cum.Decimal)
	}
}

// amend folds a trade bust or correction (FIX 150=H and G, in 4.2 20=1 and 2). The
// execution that it names is taken out, and put in again as corrected. Where that
// one is unknown, what the report states of the whole order counts; a bust that
// names none takes away its own quantity.
func (o *Order) amend(t EventType, d orderData) {
	ref := word(d.ExecRefID)
	fill := d.fill()
	switch i := o.trade(ref); {
	case i >= 0:
		old := o.Trades[i]
		o.count(old.Quantity.Neg(), old.Price)
		o.Trades = slices.Delete(slices.Clone(o.Trades), i, i+1)
		if t == TradeBusted || !fill.Quantity.Valid {
			break
		}
		first := old.First
		if first == "" {
			first = old.ID
		}
		id := word(d.ExecID)
		if id == "" {
			id = first
		}
		o.Trades = slices.Insert(o.Trades, i, Trade{ID: id, First: first, Quantity: fill.Quantity.Decimal, Price: fill.Price})
		o.count(fill.Quantity.Decimal, fill.Price)
	case number(d.CumQuantity).Valid:
		o.take(d)
	case t == TradeBusted && ref == "" && fill.Quantity.Valid && !fill.Quantity.Decimal.GreaterThan(o.CumQuantity):
		o.count(fill.Quantity.Decimal.Neg(), fill.Price)
	}
	o.settle()
}

// settle moves an order whose executions have changed. What ended it otherwise
// stands; FILLED does not, when it is not.
func (o *Order) settle() {
	switch o.Status {
	case StatusFilled:
		if !o.filled() && (o.Quantity.Valid || o.CumQuantity.IsZero()) {
			o.Status = o.working()
		}
	case StatusNew, StatusPartiallyFilled:
		o.Status = o.working()
		if o.filled() {
			o.Status = StatusFilled
		}
	default:
		if o.filled() {
			o.move(StatusFilled)
		}
	}
}
