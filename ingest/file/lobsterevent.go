package file

import (
	"strconv"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
)

// venue is where LOBSTER's order flow comes from: all of it is NASDAQ's.
const venue = "NASDAQ"

// restingOrders are the orders on the book that the file has submitted, by
// number. What leaves the book is forgotten.
type restingOrders map[uint64]restingOrder

type restingOrder struct {
	quantity uint64 // as submitted, less partial cancellations
	leaves   uint64
}

// submitted is submission and acceptance in one: the venue's record begins with
// an order on its book.
func (f *lobster) submitted(e *domain.Event, m message) {
	f.resting[m.order] = restingOrder{quantity: m.size, leaves: m.size}
	e.Type = domain.OrderSubmitted
	var d data
	d.text("side", m.side)
	d.text("order_type", "limit")
	d.quantity("quantity", m.size)
	d.price("limit_price", m.price)
	d.text("ord_status", string(domain.StatusNew))
	d.text("venue", venue)
	e.Data = d.object()
}

func (f *lobster) reduced(e *domain.Event, m message) {
	e.Type = domain.OrderReplaced
	var d data
	d.text("side", m.side)
	d.quantity("cancelled_quantity", m.size)
	d.price("limit_price", m.price)
	if order, known := f.resting[m.order]; known && m.size < order.leaves {
		order.quantity -= m.size
		order.leaves -= m.size
		f.resting[m.order] = order
		d.quantity("quantity", order.quantity)
		d.quantity("leaves_quantity", order.leaves)
	} else {
		// Unknown, or the file contradicts itself: claim nothing from here on.
		delete(f.resting, m.order)
	}
	d.text("reason", "partial_cancellation")
	e.Data = d.object()
}

func (f *lobster) cancelled(e *domain.Event, m message) {
	delete(f.resting, m.order)
	e.Type = domain.OrderCancelled
	var d data
	d.text("side", m.side)
	d.quantity("cancelled_quantity", m.size)
	d.price("limit_price", m.price)
	d.text("reason", "deletion")
	e.Data = d.object()
}

func (f *lobster) executed(e *domain.Event, m message) {
	e.Type = domain.OrderPartiallyFilled
	var d data
	d.text("side", m.side)
	d.quantity("fill_quantity", m.size)
	d.price("fill_price", m.price)
	if order, known := f.resting[m.order]; known {
		order.leaves -= min(order.leaves, m.size)
		f.resting[m.order] = order
		if order.leaves == 0 {
			e.Type = domain.OrderFilled
			delete(f.resting, m.order)
		}
		d.quantity("leaves_quantity", order.leaves)
	}
	d.text("execution_venue", venue)
	e.Data = d.object()
}

// hidden executions name no order, so they are trades on their own.
func hidden(e *domain.Event, m message) {
	e.Type = domain.TradeReported
	var d data
	d.text("side", m.side)
	d.quantity("quantity", m.size)
	d.price("price", m.price)
	d.flag("hidden")
	d.text("execution_venue", venue)
	e.Data = d.object()
}

func halt(e *domain.Event, m message) {
	e.Type = domain.TradingModeChanged
	var d data
	d.text("new_mode", [...]string{"halted", "quoting", "trading"}[m.price+1])
	d.text("venue", venue)
	e.Data = d.object()
}

// data builds an event's data. Names and values are plain ASCII: nothing needs
// an escape.
type data struct{ json []byte }

func (d *data) member(name string) {
	if len(d.json) == 0 {
		d.json = append(make([]byte, 0, 192), '{')
	} else {
		d.json = append(d.json, ',')
	}
	d.json = append(append(append(d.json, '"'), name...), `":`...)
}

func (d *data) text(name, value string) {
	d.member(name)
	d.json = append(append(append(d.json, '"'), value...), '"')
}

func (d *data) flag(name string) {
	d.member(name)
	d.json = append(d.json, "true"...)
}

func (d *data) quantity(name string, shares uint64) {
	d.text(name, strconv.FormatUint(shares, 10))
}

// price writes dollars times 10,000 as dollars with two to four decimals.
func (d *data) price(name string, units int64) {
	d.text(name, dollars(units))
}

func (d *data) object() []byte { return append(d.json, '}') }

// dollars is exact: 5856000 is 585.60, 5856050 is 585.605.
func dollars(units int64) string {
	fraction := strconv.FormatInt(10_000+units%10_000, 10)[1:]
	fraction = fraction[:2] + strings.TrimRight(fraction[2:], "0")
	return strconv.FormatInt(units/10_000, 10) + "." + fraction
}
