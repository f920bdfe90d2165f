package simulator

import (
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// orderStep tells an event of the decision's order.
func (s *Simulator) orderStep(d *decision, t domain.EventType, pairs ...any) {
	e := d.shared
	e.Type, e.Actor = t, "broker_service"
	e.EntityType, e.EntityID = domain.KindOrder, e.OrderID
	switch t {
	case domain.OrderSubmitted:
		e.Path = s.path("strategy-engine", "risk-gateway", "order-gateway")
	case domain.OrderCancelRequested, domain.OrderReplaceRequested:
		e.Actor = "execution_algo"
	case domain.OrderAccepted, domain.OrderRejected, domain.OrderCancelled, domain.OrderReplaced, domain.OrderExpired:
		e.Clock = s.gatewayClock()
	case domain.OrderPartiallyFilled, domain.OrderFilled:
		e.Clock = s.gatewayClock()
		e.Path = s.path("venue", "fix-gateway")
	default:
	}
	s.tellStep(d, e, append([]any{"ticker", e.Ticker}, pairs...)...)
}

// path ends now, at the last of the hops.
func (s *Simulator) path(names ...string) []domain.Hop {
	hops := make([]domain.Hop, len(names))
	at := s.now
	for i, name := range slices.Backward(names) {
		in := at.Add(-s.latency(40 * time.Microsecond))
		hops[i] = domain.Hop{Hop: name, In: in, Out: at}
		at = in.Add(-s.latency(15 * time.Microsecond))
	}
	return hops
}

func (s *Simulator) gatewayClock() *domain.Clock {
	return &domain.Clock{SourceID: "gw-ny4", Sync: "PTP_LOCKED", OffsetNs: s.between(-400, 400), MaxErrorNs: 1000}
}

func (s *Simulator) submit(d *decision) {
	d.shared.OrderID = s.id("ord", d.number)
	d.shared.ClientOrderID = s.id(d.code+"-"+s.date, d.number)
	key := "idem-" + d.shared.RecommendationID
	pairs := []any{
		"side", d.side, "quantity", shares(d.quantity), "time_in_force", "day",
		"arrival_price", cents(d.arrival), "idempotency_key", key,
		"recommendation_id", d.shared.RecommendationID, "evaluation_id", d.shared.EvaluationID,
		"pre_trade_checks", object("position_limit", "pass", "liquidity", "pass", "circuit_breaker", "pass"),
	}
	if d.limit == 0 {
		pairs = append(pairs, "order_type", "market")
	} else {
		pairs = append(pairs, "order_type", "limit", "limit_price", cents(d.limit))
	}
	s.orderStep(d, domain.OrderSubmitted, pairs...)
	if d.fate != fateDuplicate {
		s.after(s.latency(8*time.Millisecond), func() { s.answer(d) })
		return
	}
	s.after(s.latency(3*time.Millisecond), func() {
		s.orderStep(d, domain.OrderDuplicatePrevented, "idempotency_key", key, "detected_via", "idempotency_key")
		s.after(s.latency(8*time.Millisecond), func() { s.answer(d) })
	})
}

// answer is the broker's: accepted or rejected.
func (s *Simulator) answer(d *decision) {
	if d.fate == fateBrokerRejected {
		d.over = true
		s.orderStep(d, domain.OrderRejected, "reason", pick(s, brokerReasons()), "rejection_source", "broker")
		return
	}
	d.shared.BrokerOrderID = s.id("NY4", d.number)
	s.orderStep(d, domain.OrderAccepted, "broker_order_id", d.shared.BrokerOrderID, "ord_status", string(domain.StatusNew))
	s.follow(d, s.life(d))
}

// act is something that happens to a working order, after a typical wait.
type act struct {
	wait time.Duration
	do   func()
}

// life is what happens to an accepted order, unless the close comes first.
func (s *Simulator) life(d *decision) []act {
	some := d.quantity * s.between(20, 70) / 100
	switch d.fate {
	case fateCancelled:
		return append(
			s.split(d, 0, some),
			s.act(d, 20*time.Second, domain.OrderCancelRequested, "reason", "price_moved_away"),
			act{15 * time.Millisecond, func() {
				d.over = true
				s.orderStep(d, domain.OrderCancelled, "cancelled_quantity", shares(d.quantity-d.cum), "reason", "requested")
			}},
		)
	case fateCancelTooLate:
		return append(
			s.split(d, 0, some),
			s.act(d, 5*time.Second, domain.OrderCancelRequested, "reason", "price_moved_away"),
			act{4 * time.Millisecond, func() { s.fill(d, d.quantity-d.cum) }},
			s.act(d, 8*time.Millisecond, domain.OrderCancelRejected, "reason", "too_late_to_cancel"),
		)
	case fateReplaced:
		quantity := max(d.quantity-d.quantity/10, some+1)
		acts := append(s.split(d, 0, some), s.replace(d, quantity)...)
		return append(acts, s.split(d, some, quantity)...)
	case fateReplaceRejected:
		acts := []act{
			s.act(d, 10*time.Second, domain.OrderReplaceRequested, "quantity", shares(d.quantity*20), "reason", "more_wanted"),
			s.act(d, 15*time.Millisecond, domain.OrderReplaceRejected, "reason", "exceeds_order_limit"),
		}
		return append(acts, s.split(d, 0, d.quantity)...)
	case fateStalled:
		return s.split(d, 0, some)
	case fateUnfilled:
		return nil
	default:
		return s.split(d, 0, d.quantity)
	}
}

// act tells one event after a typical wait.
func (s *Simulator) act(d *decision, wait time.Duration, t domain.EventType, pairs ...any) act {
	return act{wait, func() { s.orderStep(d, t, pairs...) }}
}

// replace asks for the market's new price and less quantity, and gets it.
func (s *Simulator) replace(d *decision, quantity int64) []act {
	var limit int64
	return []act{
		{10 * time.Second, func() {
			limit = s.quote(d.stock) + d.sign*s.between(2, 12)
			s.orderStep(
				d, domain.OrderReplaceRequested,
				"quantity", shares(quantity), "limit_price", cents(limit), "reason", "price_moved_away",
			)
		}},
		{15 * time.Millisecond, func() {
			d.quantity, d.limit = quantity, limit
			s.orderStep(
				d, domain.OrderReplaced, "side", d.side, "order_type", "limit",
				"quantity", shares(quantity), "limit_price", cents(limit), "leaves_quantity", shares(quantity-d.cum),
			)
		}},
	}
}

// split makes fills of what lies between two cumulative quantities.
func (s *Simulator) split(d *decision, from, to int64) []act {
	var acts []act
	for parts := s.between(1, 5); from < to; parts-- {
		quantity := to - from
		if parts > 1 {
			quantity = s.between(1, max(quantity*2/parts, 1))
		}
		from += quantity
		acts = append(acts, act{4 * time.Second, func() { s.fill(d, quantity) }})
	}
	return acts
}

// follow lets the acts happen one after the other. What the close cuts off, and
// what is open when nothing else happens, expires then.
func (s *Simulator) follow(d *decision, acts []act) {
	if len(acts) > 0 {
		if wait := s.latency(acts[0].wait); s.now.Add(wait).Before(s.closing) {
			s.after(wait, func() {
				acts[0].do()
				s.follow(d, acts[1:])
			})
			return
		}
	}
	if !d.over {
		s.after(max(s.closing.Sub(s.now), 0)+s.latency(20*time.Millisecond), func() { s.expire(d) })
	}
}

func (s *Simulator) expire(d *decision) {
	d.over = true
	s.orderStep(d, domain.OrderExpired, "leaves_quantity", shares(d.quantity-d.cum), "reason", "end_of_day")
}

func (s *Simulator) fill(d *decision, quantity int64) {
	price := s.quote(d.stock) + d.sign*s.between(0, 3)
	if d.limit == 0 && s.oneIn(12) {
		price += d.sign * price * s.between(55, 130) / 10_000 // a thin book
	}
	if d.limit != 0 && d.sign*(price-d.limit) > 0 {
		price = d.limit
	}
	d.cum += quantity
	t := domain.OrderPartiallyFilled
	if d.cum == d.quantity {
		d.over, t = true, domain.OrderFilled
	}
	s.fills++
	s.orderStep(
		d, t, "side", d.side, "fill_id", s.id("fill", s.fills),
		"fill_quantity", shares(quantity), "fill_price", cents(price),
		"cum_quantity", shares(d.cum), "leaves_quantity", shares(d.quantity-d.cum),
		"commission", commission(quantity), "slippage_bps", slippage(d.sign, price, d.arrival).StringFixed(2),
		"execution_venue", pick(s, venues()), "broker_order_id", d.shared.BrokerOrderID,
	)
	s.book(d, d.sign*quantity, price)
}

// commission is 0.35 cents a share, at least 35 cents.
func commission(quantity int64) decimal.Decimal {
	return decimal.Max(decimal.New(35, -2), decimal.New(35*quantity, -4))
}

// slippage is in basis points of the price at the decision, positive when the
// fill is worse.
func slippage(sign, price, arrival int64) decimal.Decimal {
	return decimal.NewFromInt(sign*(price-arrival)*10_000).DivRound(decimal.NewFromInt(arrival), 2)
}
