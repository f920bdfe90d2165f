package report

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// tally are the counts and sums of events, of a window or of one strategy in it. Orders
// are counted by their events: what was submitted twice is counted twice.
type tally struct {
	domain.Traded

	events    int64
	byType    map[domain.EventType]int64
	slippage  domain.Decimal // in basis points, summed over
	slipped   int64          // the fills that name it
	weighted  domain.Decimal // slippage x value, over
	slipValue domain.Decimal // the value of the fills that name price and slippage
	positions positionChanges
}

func (t *tally) add(e *domain.Event) {
	if t.byType == nil {
		t.byType = make(map[domain.EventType]int64)
	}
	t.events++
	t.byType[e.Type]++
	switch {
	case e.Type.Family() == "position":
		t.positions.add(e)
		return
	case e.Type != domain.OrderFilled && e.Type != domain.OrderPartiallyFilled:
		return
	}
	fill, _ := domain.FillOf(e)
	t.Add(fill)
	bps, ok := slippageOf(e)
	if !ok {
		return
	}
	t.slipped++
	t.slippage = t.slippage.Add(bps)
	if fill.Quantity.Valid && fill.Price.Valid {
		value := fill.Quantity.Decimal.Mul(fill.Price.Decimal)
		t.slipValue = t.slipValue.Add(value)
		t.weighted = t.weighted.Add(bps.Mul(value))
	}
}

// slippageOf reads slippage_bps, or slippage, which is a fraction: 0.005 is 50 bps.
func slippageOf(e *domain.Event) (domain.Decimal, bool) {
	d := readData(e)
	if bps, ok := number(d["slippage_bps"]); ok {
		return bps, true
	}
	if fraction, ok := number(d["slippage"]); ok {
		return fraction.Shift(4), true
	}
	return domain.Decimal{}, false
}

func number(v jsontext.Value) (domain.Decimal, bool) {
	if k := v.Kind(); k != '"' && k != '0' {
		return domain.Decimal{}, false
	}
	d, err := domain.ParseDecimal(text(v))
	return d, err == nil
}

// averageDigits is how many digits behind the point a quotient has.
const averageDigits = 4

func quotient(sum, by domain.Decimal) string {
	if by.IsZero() {
		return ""
	}
	return sum.DivRound(by, averageDigits).String()
}

func (t *tally) averageSlippage() string { return quotient(t.slippage, decimal.NewFromInt(t.slipped)) }

func (t *tally) count(types ...domain.EventType) string {
	var n int64
	for _, one := range types {
		n += t.byType[one]
	}
	return strconv.FormatInt(n, 10)
}

// cancelToFill is how many cancellations there are for each execution.
func (t *tally) cancelToFill() string {
	ratio := quotient(decimal.NewFromInt(t.byType[domain.OrderCancelled]), decimal.NewFromInt(t.Fills))
	return cmp.Or(ratio, "no executions")
}

// facts are the sums in the order of a desk's daily audit report.
func (t *tally) facts() Facts {
	return Facts{
		{"events", "Events", strconv.FormatInt(t.events, 10)},
		{"orders_submitted", "Orders submitted", t.count(domain.OrderSubmitted)},
		{"orders_filled", "Orders filled", t.count(domain.OrderFilled)},
		{"orders_rejected", "Orders rejected", t.count(domain.OrderRejected)},
		{"orders_cancelled", "Orders cancelled", t.count(domain.OrderCancelled)},
		{"orders_replaced", "Orders replaced", t.count(domain.OrderReplaced)},
		{"executions", "Executions (full and partial)", strconv.FormatInt(t.Fills, 10)},
		{"cancel_to_fill", "Cancellations per execution", t.cancelToFill()},
		{"quantity", "Quantity executed", t.Quantity.String()},
		{"value", "Total value", t.Value.String()},
		{"slippage_bps", "Average slippage, bps", cmp.Or(t.averageSlippage(), "not recorded")},
		{"slippage_bps_by_value", "Average slippage weighted by value, bps", cmp.Or(quotient(t.weighted, t.slipValue), "not recorded")},
		{"slippage_fills", "Executions that name a slippage", strconv.FormatInt(t.slipped, 10)},
		{"commission", "Total commission", t.Commission.String()},
		{"long_increased", "Long positions increased", strconv.FormatInt(t.positions.longUp, 10)},
		{"long_decreased", "Long positions decreased", strconv.FormatInt(t.positions.longDown, 10)},
		{"short_increased", "Short positions increased", strconv.FormatInt(t.positions.shortUp, 10)},
		{"short_decreased", "Short positions decreased", strconv.FormatInt(t.positions.shortDown, 10)},
		{"positions_unclear", "Position changes without quantities", strconv.FormatInt(t.positions.unclear, 10)},
	}
}

// positionChanges counts how positions moved. One that changes sides in one step is
// two changes: of the side that it leaves, and of the one that it comes to.
type positionChanges struct{ longUp, longDown, shortUp, shortDown, unclear int64 }

func (p *positionChanges) add(e *domain.Event) {
	before, after, ok := holdings(e)
	if !ok {
		p.unclear++
		return
	}
	if was, is := longOf(before), longOf(after); is.GreaterThan(was) {
		p.longUp++
	} else if is.LessThan(was) {
		p.longDown++
	}
	if was, is := longOf(before.Neg()), longOf(after.Neg()); is.GreaterThan(was) {
		p.shortUp++
	} else if is.LessThan(was) {
		p.shortDown++
	}
}

func longOf(d domain.Decimal) domain.Decimal { return decimal.Max(d, decimal.Zero) }

// holdings reads the quantities before and after, below 0 for short positions. Sources
// that count short positions upwards say so by their side.
func holdings(e *domain.Event) (before, after domain.Decimal, ok bool) {
	d := readData(e)
	if before, ok = number(d["quantity_before"]); ok {
		after, ok = number(d["quantity_after"])
	} else {
		if before, ok = shares(d["previous"]); ok {
			after, ok = shares(d["current"])
		}
	}
	if side := text(d["side"]); ok && (side == "short" || side == "SHORT") && !before.IsNegative() && !after.IsNegative() {
		before, after = before.Neg(), after.Neg()
	}
	return before, after, ok
}

func shares(v jsontext.Value) (domain.Decimal, bool) {
	return number(readData(&domain.Event{Data: v})["shares"])
}

// maxGroups bounds the groups of a summary. What comes after is one group.
const maxGroups = 1000

const otherGroups = "(all others)"

// grouped are values by a name that events give.
type grouped[T any] map[string]*T

// of is the group of a name, which may be empty: none.
func (g grouped[T]) of(name string) *T {
	if g[name] == nil {
		if len(g) >= maxGroups {
			name = otherGroups
		}
		if g[name] == nil {
			g[name] = new(T)
		}
	}
	return g[name]
}

func (g grouped[T]) names() []string { return slices.Sorted(maps.Keys(g)) }
