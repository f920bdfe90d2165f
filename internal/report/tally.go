package report

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// tally are the counts and sums of events, of a window or of one strategy in it. Orders
// are counted by their events: what was submitted twice is counted twice. What is in the
// sums of executions is decided by executions.
type tally struct {
	events    int64
	byType    map[domain.EventType]int64 // of the known types
	fills     int64
	quantity  domain.Decimal
	slippage  domain.Slippage
	money     map[string]*money
	unsummed  int64 // fills in more currencies than maxCurrencies
	positions positionChanges
}

// money are sums in one currency.
type money struct {
	fills             int64
	value, commission domain.Decimal
	weighted          domain.Decimal // slippage x value, over
	slipValue         domain.Decimal // the value of the fills that name price and slippage
}

// maxCurrencies is how many currencies have sums of their own; there is no sum of
// several.
const maxCurrencies = 50

func (t *tally) add(e *domain.Event) {
	if t.byType == nil {
		t.byType = make(map[domain.EventType]int64)
	}
	t.events++
	if e.Type.Known() {
		t.byType[e.Type]++
	}
	if e.Type.Family() == "position" {
		t.positions.add(e)
	}
}

// trade adds an execution, once or, to take it out, -1 times.
func (t *tally) trade(one execution, times int64) {
	n := decimal.NewFromInt(times)
	t.fills += times
	t.quantity = t.quantity.Add(n.Mul(one.Quantity.Decimal))
	bps := one.slippage.Decimal
	if one.slippage.Valid {
		t.slippage.Add(bps, times)
	}
	m := t.money[one.currency]
	if m == nil {
		if len(t.money) == maxCurrencies {
			t.unsummed += times
			return
		}
		if t.money == nil {
			t.money = make(map[string]*money)
		}
		m = &money{}
		t.money[one.currency] = m
	}
	m.fills += times
	m.commission = m.commission.Add(n.Mul(one.Commission.Decimal))
	value := n.Mul(one.Quantity.Decimal).Mul(one.Price.Decimal) // 0 where one of them is not stated
	m.value = m.value.Add(value)
	if one.slippage.Valid {
		m.slipValue = m.slipValue.Add(value)
		m.weighted = m.weighted.Add(bps.Mul(value))
	}
}

// amounts are sums by currency: "7", or "7 USD, 2 EUR", those without a currency first.
func (t *tally) amounts(of func(*money) string) string {
	var parts []string
	for _, currency := range slices.Sorted(maps.Keys(t.money)) {
		m := t.money[currency]
		if amount := of(m); amount != "" && m.fills > 0 {
			parts = append(parts, strings.TrimRight(amount+" "+currency, " "))
		}
	}
	if t.unsummed > 0 {
		parts = append(parts, strconv.FormatInt(t.unsummed, 10)+" executions in other currencies not summed")
	}
	return strings.Join(parts, ", ")
}

func (t *tally) value() string {
	return cmp.Or(t.amounts(func(m *money) string { return m.value.String() }), "0")
}

func (t *tally) commission() string {
	return cmp.Or(t.amounts(func(m *money) string { return m.commission.String() }), "0")
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

func (t *tally) averageSlippage() string {
	if average := t.slippage.Average(); average.Valid {
		return average.Decimal.String()
	}
	return ""
}

func (t *tally) count(types ...domain.EventType) string {
	var n int64
	for _, one := range types {
		n += t.byType[one]
	}
	return strconv.FormatInt(n, 10)
}

// cancelToFill is how many cancellations there are for each execution.
func (t *tally) cancelToFill() string {
	ratio := quotient(decimal.NewFromInt(t.byType[domain.OrderCancelled]), decimal.NewFromInt(t.fills))
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
		{"executions", "Executions (full and partial)", strconv.FormatInt(t.fills, 10)},
		{"cancel_to_fill", "Cancellations per execution", t.cancelToFill()},
		{"quantity", "Quantity executed", t.quantity.String()},
		{"value", "Total value", t.value()},
		{"slippage_bps", "Average slippage, bps", cmp.Or(t.averageSlippage(), "not recorded")},
		{"slippage_bps_by_value", "Average slippage weighted by value, bps", cmp.Or(t.amounts(func(m *money) string { return quotient(m.weighted, m.slipValue) }), "not recorded")},
		{"slippage_fills", "Executions that name a slippage", strconv.FormatInt(t.slippage.Fills, 10)},
		{"commission", "Total commission", t.commission()},
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
	before, hadBefore := number(d["quantity_before"])
	after, hasAfter := number(d["quantity_after"])
	if !hadBefore && !hasAfter {
		before, hadBefore = shares(d["previous"])
		after, hasAfter = shares(d["current"])
	}
	// Before a position was opened there was none, nor is there after it was closed.
	ok = (hadBefore || e.Type == domain.PositionOpened && hasAfter) && (hasAfter || e.Type == domain.PositionClosed)
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
