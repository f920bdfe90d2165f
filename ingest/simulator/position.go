package simulator

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// holding names a position: what an account has of a stock.
type holding struct{ account, stock int }

// position is signed: a short position is below 0.
type position struct {
	quantity int64
	entry    decimal.Decimal // average price; 0 when there is none
	booked   time.Time       // when the last fill is in
}

// positions are few, so a list does, and its order is always the same.
type positions struct {
	holdings []holding
	values   []position
}

func (p *positions) at(h holding) *position {
	for i := range p.holdings {
		if p.holdings[i] == h {
			return &p.values[i]
		}
	}
	p.holdings, p.values = append(p.holdings, h), append(p.values, position{})
	return &p.values[len(p.values)-1]
}

// open lists what is held.
func (p *positions) open() []holding {
	var open []holding
	for i, h := range p.holdings {
		if p.values[i].quantity != 0 {
			open = append(open, h)
		}
	}
	return open
}

// book brings a fill (signed) into its position a moment later. Fills of one
// position are booked in the order in which they happen.
func (s *Simulator) book(d *decision, quantity, price int64) {
	h := holding{d.account, d.stock}
	e := d.shared
	e.CausationID, e.Actor = d.cause, "broker_service"
	e.EntityType, e.EntityID = "position", e.OrderID
	p := s.positions.at(h)
	at := s.now.Add(s.latency(3 * time.Millisecond))
	if !at.After(p.booked) {
		at = p.booked.Add(time.Microsecond)
	}
	p.booked = at
	s.at(at, func() { s.position(e, h, quantity, decimal.New(price, -2)) })
}

func (s *Simulator) position(e domain.Event, h holding, quantity int64, price decimal.Decimal) {
	p := s.positions.at(h)
	before := *p
	p.apply(quantity, price)
	switch {
	case before.quantity == 0:
		e.Type = domain.PositionOpened
	case p.quantity == 0:
		e.Type = domain.PositionClosed
	default:
		e.Type = domain.PositionUpdated
	}
	side := "long"
	if p.quantity < 0 || p.quantity == 0 && before.quantity < 0 {
		side = "short"
	}
	s.tell(
		e, "ticker", e.Ticker, "side", side,
		"quantity_before", shares(before.quantity), "quantity_after", shares(p.quantity),
		"avg_entry_before", before.entry, "avg_entry_after", p.entry,
	)
}

// apply adds a signed quantity at a price. The entry price changes when the
// position grows, and begins anew when it changes sides.
func (p *position) apply(quantity int64, price decimal.Decimal) {
	before := p.quantity
	p.quantity += quantity
	switch {
	case p.quantity == 0:
		p.entry = decimal.Zero
	case before == 0 || before > 0 != (p.quantity > 0):
		p.entry = price
	case before > 0 == (quantity > 0):
		paid := p.entry.Mul(shares(before)).Add(price.Mul(shares(quantity)))
		p.entry = paid.DivRound(shares(p.quantity), 4)
	}
}
