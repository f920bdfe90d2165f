package domain

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"
)

// OrderStatus is where an order stands in its life: FIX OrdStatus (tag 39).
type OrderStatus string

// The states of an order. PENDING_NEW covers everything between the decision to
// send and the broker's or venue's answer.
const (
	StatusPendingNew      OrderStatus = "PENDING_NEW"      // 39=A
	StatusNew             OrderStatus = "NEW"              // 39=0
	StatusPartiallyFilled OrderStatus = "PARTIALLY_FILLED" // 39=1
	StatusFilled          OrderStatus = "FILLED"           // 39=2
	StatusDoneForDay      OrderStatus = "DONE_FOR_DAY"     // 39=3
	StatusCanceled        OrderStatus = "CANCELED"         // 39=4
	StatusPendingCancel   OrderStatus = "PENDING_CANCEL"   // 39=6
	StatusStopped         OrderStatus = "STOPPED"          // 39=7
	StatusRejected        OrderStatus = "REJECTED"         // 39=8
	StatusSuspended       OrderStatus = "SUSPENDED"        // 39=9
	StatusCalculated      OrderStatus = "CALCULATED"       // 39=B
	StatusExpired         OrderStatus = "EXPIRED"          // 39=C
	StatusPendingReplace  OrderStatus = "PENDING_REPLACE"  // 39=E
	StatusUnknown         OrderStatus = "UNKNOWN"          // events name the order, none tells its state
)

// Terminal reports whether the order can't trade any more.
func (s OrderStatus) Terminal() bool {
	switch s {
	case StatusFilled, StatusCanceled, StatusRejected, StatusExpired, StatusDoneForDay:
		return true
	default:
		return false
	}
}

// Order is the state of one order, folded from its events in commit order. The
// fold takes everything: events that are early, late or twice from different
// witnesses leave an odd state, never an error, since the log is the truth.
type Order struct {
	ID       string      `json:"order_id"`
	Status   OrderStatus `json:"status"`
	Side     string      `json:"side,omitzero"`
	Type     string      `json:"order_type,omitzero"`
	Ticker   string      `json:"ticker,omitzero"`
	Account  string      `json:"account_id,omitzero"`
	Strategy string      `json:"strategy_id,omitzero"`
	User     string      `json:"user_id,omitzero"`

	Quantity    decimal.NullDecimal `json:"quantity,omitzero"` // FIX 38, as last replaced
	LimitPrice  decimal.NullDecimal `json:"limit_price,omitzero"`
	CumQuantity Decimal             `json:"cum_quantity"` // FIX 14: sum of the fills
	CumNotional Decimal             `json:"cum_notional"` // sum of price x quantity over the fills that name a price
	PricedQty   Decimal             `json:"priced_quantity"`
	Commission  Decimal             `json:"commission"`

	// Trades are the newest fills that name their execution, oldest first, and
	// OlderTrades digests of the ids of those before; never changed in place. What is
	// busted or corrected is looked up here.
	Trades      []Trade `json:"trades,omitempty"`
	OlderTrades []byte  `json:"older_trades,omitempty"`

	Events  int       `json:"events"`
	Fills   int       `json:"fills"`
	FirstAt time.Time `json:"first_at"` // earliest and latest occurred_at
	LastAt  time.Time `json:"last_at"`

	// Milestones by occurred_at, whatever the order of the log: see Latency.
	SubmittedAt time.Time `json:"submitted_at,omitzero"`  // earliest of received, routed, submitted, pending new
	AcceptedAt  time.Time `json:"accepted_at,omitzero"`   // earliest of accepted, and submitted with OrdStatus NEW
	FirstFillAt time.Time `json:"first_fill_at,omitzero"` // earliest and latest execution
	LastFillAt  time.Time `json:"last_fill_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"` // what made it terminal; if fills did, the latest by then

	Odd []string `json:"odd,omitzero"` // sorted codes, see Oddities; never changed in place
}

// OrderStep is a stretch of an order's life whose length is worth watching.
type OrderStep string

// The steps of an order. Stored names: a test freezes the list.
const (
	StepAccept OrderStep = "accept" // submitted to accepted: how fast the broker answers
	StepFill   OrderStep = "fill"   // accepted, if that is unknown submitted, to the first fill
	StepLife   OrderStep = "life"   // submitted to ended
)

// OrderSteps lists every step.
func OrderSteps() []OrderStep { return []OrderStep{StepAccept, StepFill, StepLife} }

// Latency is how long a step took; not ok while one of its ends is unknown. It is
// negative when clocks disagree. A recorder that comes late can still make it
// longer or shorter: milestones are the earliest of all that is known.
func (o *Order) Latency(step OrderStep) (time.Duration, bool) {
	var from, to time.Time
	switch step {
	case StepAccept:
		from, to = o.SubmittedAt, o.AcceptedAt
	case StepFill:
		from, to = o.AcceptedAt, o.FirstFillAt
		if from.IsZero() {
			from = o.SubmittedAt
		}
	case StepLife:
		from, to = o.SubmittedAt, o.EndedAt
	}
	if from.IsZero() || to.IsZero() {
		return 0, false
	}
	return to.Sub(from), true
}

// AvgPrice is FIX AvgPx (tag 6): the quantity-weighted price of the fills that
// name one, to 8 digits after the point; invalid before the first.
func (o *Order) AvgPrice() decimal.NullDecimal {
	if o.PricedQty.IsZero() {
		return decimal.NullDecimal{}
	}
	return decimal.NewNullDecimal(o.CumNotional.DivRound(o.PricedQty, 8))
}

// Leaves is FIX LeavesQty (tag 151): what is still open. It is invalid when the
// ordered quantity is unknown, and 0 once the order is over.
func (o *Order) Leaves() decimal.NullDecimal {
	switch {
	case o.Status.Terminal():
		return decimal.NewNullDecimal(decimal.Zero)
	case !o.Quantity.Valid:
		return decimal.NullDecimal{}
	default:
		return decimal.NewNullDecimal(decimal.Max(decimal.Zero, o.Quantity.Decimal.Sub(o.CumQuantity)))
	}
}

// orderData is what the fold reads of an order event's data; the aliases are the
// names that the three input shapes and FIX use. Everything is read as it comes:
// one field of a wrong type must not hide the others.
type orderData struct {
	Side         jsontext.Value `json:"side"`
	OrderType    jsontext.Value `json:"order_type"`
	OrdStatus    jsontext.Value `json:"ord_status"`
	Quantity     jsontext.Value `json:"quantity"`
	FillQuantity jsontext.Value `json:"fill_quantity"`
	LastQuantity jsontext.Value `json:"last_quantity"` // FIX 32
	LimitPrice   jsontext.Value `json:"limit_price"`
	Price        jsontext.Value `json:"price"`
	FillPrice    jsontext.Value `json:"fill_price"`
	LastPrice    jsontext.Value `json:"last_price"` // FIX 31
	Commission   jsontext.Value `json:"commission"`
	CumQuantity  jsontext.Value `json:"cum_quantity"` // FIX 14
	AvgPrice     jsontext.Value `json:"avg_price"`    // FIX 6
	ExecID       jsontext.Value `json:"exec_id"`      // FIX 17
	ExecRefID    jsontext.Value `json:"exec_ref_id"`  // FIX 19
}

// word reads a string, or the number that FIX's one-digit codes turn into.
func word(v jsontext.Value) string {
	switch v.Kind() {
	case '"':
		return unquote(v)
	case '0':
		return string(v)
	default:
		return ""
	}
}

func number(values ...jsontext.Value) decimal.NullDecimal {
	for _, v := range values {
		if len(v) == 0 {
			continue
		}
		if d, err := ParseDecimal(word(v)); err == nil {
			return decimal.NewNullDecimal(d)
		}
	}
	return decimal.NullDecimal{}
}

// Apply folds the next event of the order, in commit order. What was found about the
// order is no part of its life, and changes nothing.
func (o *Order) Apply(e *Event) {
	setFirst(&o.ID, e.OrderID)
	if o.Status == "" {
		o.Status = StatusUnknown
	}
	if e.Type.Judgement() {
		return
	}
	o.oddWho(e)
	o.Events++
	if o.FirstAt.IsZero() || e.OccurredAt.Before(o.FirstAt) {
		o.FirstAt = e.OccurredAt
	}
	if e.OccurredAt.After(o.LastAt) {
		o.LastAt = e.OccurredAt
	}
	// Who and what: the first to say so. A later contradiction is odd.
	setFirst(&o.Ticker, e.Ticker)
	setFirst(&o.Account, e.AccountID)
	setFirst(&o.Strategy, e.StrategyID)
	setFirst(&o.User, e.UserID)
	if f := e.Type.Family(); f != "order" && e.Type != TradeBusted && e.Type != TradeCorrected {
		return
	}
	d := readOrderData(e)
	side := word(d.Side)
	if contradicts(o.Side, side) && !sameSide(o.Side, side) {
		o.odd(OddSideChanged)
	}
	setFirst(&o.Side, side)
	setFirst(&o.Type, word(d.OrderType))
	o.oddAfterEnd(e.Type)
	over := o.Status.Terminal()

	switch e.Type {
	case OrderReceived, OrderRouted, OrderSubmitted, OrderPendingNew:
		setEarliest(&o.SubmittedAt, e.OccurredAt)
		o.order(d)
		o.advance(StatusPendingNew)
	case OrderAccepted, OrderReleased, OrderTriggered:
		if e.Type == OrderAccepted {
			setEarliest(&o.AcceptedAt, e.OccurredAt)
		}
		o.order(d)
		o.advance(StatusNew)
	case OrderPartiallyFilled, OrderFilled:
		if !o.opened() {
			o.odd(OddFillBeforeOrder)
		}
		setEarliest(&o.FirstFillAt, e.OccurredAt)
		if e.OccurredAt.After(o.LastFillAt) {
			o.LastFillAt = e.OccurredAt
		}
		o.fill(e.Type, word(d.ExecID), d.fill())
	case TradeBusted, TradeCorrected:
		o.amend(e, d)
	case OrderReplaced, OrderRestated:
		// A good-till-cancelled order that is done for the day is restated when the
		// next one begins.
		if o.Status == StatusPendingReplace || o.Status == StatusDoneForDay && e.Type == OrderRestated {
			o.Status = o.working()
		}
		o.advance(StatusNew)
		if e.Type == OrderRestated {
			o.take(d, e.OccurredAt) // a split changes what was done, too
		}
		if q := number(d.Quantity); q.Valid {
			o.Quantity = q
			if o.filled() {
				o.move(StatusFilled) // cut down to what is done already
			}
		}
		if p := number(d.LimitPrice, d.Price); p.Valid {
			o.LimitPrice = p
		}
	case OrderRejected:
		o.move(StatusRejected)
	case OrderCancelled:
		o.move(StatusCanceled)
	case OrderExpired:
		o.move(StatusExpired)
	case OrderDoneForDay:
		o.move(StatusDoneForDay)
	case OrderCancelRequested, OrderCancelPending:
		o.move(StatusPendingCancel)
	case OrderReplaceRequested, OrderReplacePending:
		o.move(StatusPendingReplace)
	case OrderCancelRejected, OrderReplaceRejected:
		if o.Status == StatusPendingCancel || o.Status == StatusPendingReplace {
			o.Status = o.working()
		}
	case OrderStopped:
		o.move(StatusStopped)
	case OrderSuspended:
		o.move(StatusSuspended)
	case OrderCalculated:
		o.move(StatusCalculated)
	default:
		// The other types name the order without moving it.
	}
	if s := OrderStatus(word(d.OrdStatus)); s == StatusNew && e.Type == OrderSubmitted {
		setEarliest(&o.AcceptedAt, e.OccurredAt)
		o.advance(s) // a venue's own record: submission and acceptance in one
	}
	o.oddQuantity()
	switch ended := o.Status.Terminal(); {
	case over && !ended:
		o.EndedAt = time.Time{}
	case ended && !over && o.Status == StatusFilled && e.Type != OrderReplaced && e.Type != OrderRestated:
		o.EndedAt = o.LastFillAt // this event may be an earlier fill, or the late submission
	case ended && !over:
		o.EndedAt = e.OccurredAt
	}
}

func (o *Order) order(d orderData) {
	if q := number(d.Quantity); q.Valid && !o.Quantity.Valid {
		o.Quantity = q
		// Fills that came first were judged by their names alone. The one way back
		// out of FILLED: the same events must not end differently in another order.
		switch {
		case o.filled():
			o.move(StatusFilled)
		case o.Status == StatusFilled && o.CumQuantity.IsPositive():
			o.Status = StatusPartiallyFilled
		}
	}
	if p := number(d.LimitPrice, d.Price); p.Valid && !o.LimitPrice.Valid {
		o.LimitPrice = p
	}
}

// Fill is what one execution says.
type Fill struct{ Quantity, Price, Commission decimal.NullDecimal }

// FillOf reads the execution that an event of an order reports; ok is false for
// events that are no execution.
func FillOf(e *Event) (fill Fill, ok bool) {
	if e.Type != OrderPartiallyFilled && e.Type != OrderFilled {
		return Fill{}, false
	}
	return readOrderData(e).fill(), true
}

func (d orderData) fill() Fill {
	return Fill{
		Quantity:   number(d.FillQuantity, d.LastQuantity, d.Quantity),
		Price:      number(d.FillPrice, d.LastPrice, d.Price),
		Commission: number(d.Commission),
	}
}

func (o *Order) fill(t EventType, exec string, f Fill) {
	if o.witnessed(exec) {
		return // another witness of the same execution
	}
	o.Fills++
	if f.Quantity.Valid {
		o.remember(Trade{ID: exec, Quantity: f.Quantity.Decimal, Price: f.Price})
		o.count(f.Quantity.Decimal, f.Price)
	} else if t == OrderFilled && o.Quantity.Valid {
		o.CumQuantity = decimal.Max(o.CumQuantity, o.Quantity.Decimal)
	}
	if f.Commission.Valid {
		o.Commission = o.Commission.Add(f.Commission.Decimal)
	}
	if o.Status.Terminal() {
		return
	}
	// Quantities decide where they are known: many systems call every execution
	// a fill.
	full := t == OrderFilled
	if o.Quantity.Valid && o.CumQuantity.IsPositive() {
		full = o.filled()
	}
	switch {
	case full:
		o.Status = StatusFilled
	case o.Status == StatusUnknown, o.Status == StatusPendingNew, o.Status == StatusNew:
		o.Status = StatusPartiallyFilled
	default:
		// FIX 4.4, precedence of OrdStatus: a request that is pending, a stop and a
		// suspension outrank a partial fill.
	}
}

// filled reports whether the known quantity has been executed.
func (o *Order) filled() bool {
	return o.Quantity.Valid && o.CumQuantity.IsPositive() && o.CumQuantity.GreaterThanOrEqual(o.Quantity.Decimal)
}

// advance moves a young order forward, never back.
func (o *Order) advance(to OrderStatus) {
	switch o.Status {
	case StatusUnknown, StatusPendingNew:
		o.Status = to
	case StatusSuspended, StatusStopped:
		if to == StatusNew {
			o.Status = o.working()
		}
	default:
	}
}

// working is the state of an order that is open on the book.
func (o *Order) working() OrderStatus {
	if o.CumQuantity.IsPositive() {
		return StatusPartiallyFilled
	}
	return StatusNew
}

// move changes the state of an order that is not over yet.
func (o *Order) move(to OrderStatus) {
	if !o.Status.Terminal() {
		o.Status = to
	}
}

func setEarliest(target *time.Time, at time.Time) {
	if target.IsZero() || at.Before(*target) {
		*target = at
	}
}

func setFirst(target *string, value string) {
	if *target == "" {
		*target = value
	}
}
