package domain

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// Trade is one execution of an order, as long as a bust or a correction may name
// it. What is busted stays, so that another witness of it is known for one.
type Trade struct {
	ID       string              `json:"exec_id"`          // FIX 17, as last corrected
	Earlier  []string            `json:"earlier,omitzero"` // FIX 17 before each correction; never changed in place
	Busted   bool                `json:"busted,omitzero"`  // it counts for nothing
	Quantity Decimal             `json:"quantity"`
	Price    decimal.NullDecimal `json:"price,omitzero"`
}

// The bounds of what an order remembers: maxTrades executions as they are, of older
// ones a digest of each id, which is enough to count nothing twice. Of those a bust
// or a correction counts by what it states of the whole order.
const (
	maxTrades      = 128
	maxOlderTrades = 2048
	maxEarlier     = 16
	execDigest     = 8 // bytes
)

func (o *Order) remember(t Trade) {
	if t.ID == "" {
		return
	}
	from := max(0, len(o.Trades)+1-maxTrades)
	for _, old := range o.Trades[:from] {
		o.forget(old)
	}
	o.Trades = append(slices.Clone(o.Trades[from:]), t)
}

// forget keeps the ids of an execution only.
func (o *Order) forget(t Trade) {
	older := slices.Clone(o.OlderTrades)
	for _, id := range append(slices.Clone(t.Earlier), t.ID) {
		digest := sha256.Sum256([]byte(id))
		older = append(older, digest[:execDigest]...)
	}
	o.OlderTrades = older[max(0, len(older)-maxOlderTrades*execDigest):]
}

// forgotten reports an execution that is remembered by its id only.
func (o *Order) forgotten(id string) bool {
	if len(o.OlderTrades) == 0 {
		return false
	}
	digest := sha256.Sum256([]byte(id))
	for known := range slices.Chunk(o.OlderTrades, execDigest) {
		if bytes.Equal(known, digest[:execDigest]) {
			return true
		}
	}
	return false
}

// witnessed reports an execution, a bust or a correction that was told before.
func (o *Order) witnessed(id string) bool {
	return id != "" && (o.trade(id) >= 0 || o.forgotten(id))
}

// trade finds an execution by its id before or after corrections, -1 if it is not
// remembered.
func (o *Order) trade(id string) int {
	return slices.IndexFunc(o.Trades, func(t Trade) bool {
		return id != "" && (t.ID == id || slices.Contains(t.Earlier, id))
	})
}

// count adds to what has been executed; a quantity below 0 takes away.
func (o *Order) count(quantity Decimal, price decimal.NullDecimal) {
	o.CumQuantity = o.CumQuantity.Add(quantity)
	if price.Valid {
		o.PricedQty = o.PricedQty.Add(quantity)
		o.CumNotional = o.CumNotional.Add(price.Decimal.Mul(quantity))
	}
}

// take replaces what has been executed by what the venue states, if it differs and
// nothing was executed since: FIX 14 and 6 are on every report.
func (o *Order) take(d orderData, at time.Time) {
	cum := number(d.CumQuantity)
	if !cum.Valid || cum.Decimal.Equal(o.CumQuantity) || at.Before(o.LastFillAt) {
		return
	}
	o.CumQuantity = cum.Decimal
	o.PricedQty, o.CumNotional = decimal.Zero, decimal.Zero
	if avg := number(d.AvgPrice); avg.Valid && cum.Decimal.IsPositive() {
		o.PricedQty, o.CumNotional = cum.Decimal, avg.Decimal.Mul(cum.Decimal)
	}
}

// amend folds a trade bust or correction (FIX 150=H and G, in 4.2 20=1 and 2). The
// execution that it names is taken out, and put in again as corrected; what another
// witness told already changes nothing. Where that execution is unknown, what the
// report states of the whole order counts; a bust that names none takes away its own
// quantity.
func (o *Order) amend(e *Event, d orderData) {
	busted := e.Type == TradeBusted
	ref, id := word(d.ExecRefID), word(d.ExecID)
	if id != ref && o.witnessed(id) {
		return
	}
	fill := d.fill()
	switch i := o.trade(ref); {
	case i >= 0 && o.Trades[i].Busted:
		return
	case i >= 0 && !busted && !fill.Quantity.Valid:
		return
	case i >= 0:
		next := o.Trades[i]
		o.count(next.Quantity.Neg(), next.Price)
		if busted {
			next.Busted, next.Quantity, next.Price = true, decimal.Zero, decimal.NullDecimal{}
		} else {
			next.correct(id, fill)
			o.count(next.Quantity, next.Price)
		}
		o.Trades = slices.Clone(o.Trades)
		o.Trades[i] = next
	default:
		switch {
		case number(d.CumQuantity).Valid:
			o.take(d, e.OccurredAt)
		case busted && ref == "" && fill.Quantity.Valid && !fill.Quantity.Decimal.GreaterThan(o.CumQuantity):
			o.count(fill.Quantity.Decimal.Neg(), fill.Price)
		}
		if busted { // the execution may still come, the bust again
			if ref == "" {
				ref = id
			}
			o.remember(Trade{ID: ref, Busted: true})
		}
	}
	o.settle()
}

// correct gives an execution its new id and what it is now.
func (t *Trade) correct(id string, f Fill) {
	if id != "" && id != t.ID {
		first := min(1, len(t.Earlier)) // the one that most refer to
		from := max(first, len(t.Earlier)+1-maxEarlier+first)
		t.Earlier = slices.Concat(t.Earlier[:first], t.Earlier[min(from, len(t.Earlier)):], []string{t.ID})
		t.ID = id
	}
	t.Quantity, t.Price = f.Quantity.Decimal, f.Price
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
