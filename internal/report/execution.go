package report

import (
	"cmp"
	"crypto/sha256"
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// maxExecutions is how many executions a report compares later ones with: the newest.
const maxExecutions = 50_000

// execution is what one execution adds to sums.
type execution struct {
	domain.Fill

	currency string
	slippage decimal.NullDecimal // in basis points
}

// counted is an execution with the sums that it is in; none: it was busted, or only
// amendments of it are known.
type counted struct {
	execution

	sums  []*tally
	early bool // busted before it was told
}

// executions counts each execution once, however many witnesses tell it, takes out again
// what is busted and puts in as it is what is corrected. It knows executions by their
// order and execution id; those without one of these are all counted.
type executions struct {
	known map[execKey]*counted
	order []execKey // of known, a ring when it is full
	next  int       // the oldest in it

	told, busted, corrected, elsewhere, forgotten int64
}

// execKey is a digest of an order's id and an execution's.
type execKey [16]byte

func keyOf(order, exec string) (key execKey, ok bool) {
	if order == "" || exec == "" {
		return execKey{}, false
	}
	sum := sha256.Sum256([]byte(order + "\x00" + exec))
	return execKey(sum[:len(key)]), true
}

// add counts the execution that an event tells in these sums, or changes them by what it
// says of an earlier one.
func (x *executions) add(e *domain.Event, sums ...*tally) {
	switch e.Type {
	case domain.OrderFilled, domain.OrderPartiallyFilled:
		d := readData(e)
		key, named := keyOf(e.OrderID, text(d["exec_id"]))
		if earlier := x.known[key]; named && earlier != nil {
			x.again(earlier)
			return
		}
		one := &counted{execution: readExecution(e), sums: sums}
		one.count(1)
		if named {
			x.remember(key, one)
		}
	case domain.TradeBusted, domain.TradeCorrected:
		x.amend(e)
	default:
		// No execution.
	}
}

// again counts what was told of an execution that is known, or known to be busted.
func (x *executions) again(one *counted) {
	if !one.early {
		x.told++
		return
	}
	one.early = false
	x.busted++
	x.elsewhere--
}

func (x *executions) amend(e *domain.Event) {
	d := readData(e)
	exec, ref := text(d["exec_id"]), text(d["exec_ref_id"])
	own, named := keyOf(e.OrderID, exec)
	if named && ref != "" && exec != ref && x.known[own] != nil {
		x.told++
		return
	}
	key, ok := keyOf(e.OrderID, cmp.Or(ref, exec))
	one, busted, next := x.known[key], e.Type == domain.TradeBusted, readExecution(e)
	switch {
	case one == nil:
		x.elsewhere++
		one = &counted{early: busted}
		if ok && busted {
			x.remember(key, one)
		}
	case one.sums == nil:
		x.told++
	case busted:
		x.busted++
		one.count(-1)
		one.sums = nil
	case next.Quantity.Valid:
		x.corrected++
		one.count(-1)
		one.correct(next)
		one.count(1)
	}
	if named && x.known[own] == nil {
		x.remember(own, one)
	}
}

func (x *executions) remember(key execKey, one *counted) {
	if x.known == nil {
		x.known = make(map[execKey]*counted)
	}
	x.known[key] = one
	if len(x.order) < maxExecutions {
		x.order = append(x.order, key)
		return
	}
	delete(x.known, x.order[x.next])
	x.order[x.next] = key
	x.next = (x.next + 1) % maxExecutions
	x.forgotten++
}

// count adds an execution to its sums, once or -1 times.
func (c *counted) count(times int64) {
	for _, t := range c.sums {
		t.trade(c.execution, times)
	}
}

// correct replaces quantity and price; the rest stays unless it is stated anew.
func (c *counted) correct(next execution) {
	c.Quantity, c.Price = next.Quantity, next.Price
	if next.Commission.Valid {
		c.Commission = next.Commission
	}
	if next.slippage.Valid {
		c.slippage = next.slippage
	}
	c.currency = cmp.Or(next.currency, c.currency)
}

func readExecution(e *domain.Event) execution {
	fill, _ := domain.FillOf(&domain.Event{Type: domain.OrderFilled, Data: e.Data}) // a correction is read as what it makes of the fill
	one := execution{Fill: fill, currency: short(text(readData(e)["currency"]))}
	if bps, ok := domain.SlippageOf(e); ok {
		one.slippage = decimal.NewNullDecimal(bps)
	}
	return one
}

// facts say what became of what was told of executions.
func (x *executions) facts() Facts {
	return Facts{
		{"executions_told_again", "Executions and amendments told again", strconv.FormatInt(x.told, 10)},
		{"executions_busted", "Executions busted, not counted", strconv.FormatInt(x.busted, 10)},
		{"executions_corrected", "Executions corrected", strconv.FormatInt(x.corrected, 10)},
		{"amended_elsewhere", "Amendments of executions not told before", strconv.FormatInt(x.elsewhere, 10)},
		{"executions_forgotten", "Executions not compared with the last", strconv.FormatInt(x.forgotten, 10)},
	}
}
