package domain

import (
	"slices"
	"strings"
	"time"
)

// The codes of Order.Odd: what is odd about the record of an order. They are said
// of the log, in commit order, and stay when later events explain them. They
// accuse nobody: late recorders and wrong clocks leave the same traces as wrong
// trades. Stored names: a test freezes the list.
const (
	OddAccountChanged  = "account_changed"   // a later event names another account than the first to name one
	OddEventAfterEnd   = "event_after_end"   // an event that would move the order or fill it, after its end
	OddFillBeforeOrder = "fill_before_order" // an execution before anything that says what was ordered
	OddFromTheFuture   = "from_the_future"   // occurred_at is more than MaxClockLead after recorded_at
	OddOutOfOrder      = "out_of_order"      // occurred_at is before that of an earlier event of the order's log
	OddOverfilled      = "overfilled"        // more executed than ordered, FIX 14 > 38, as known by then
	OddSideChanged     = "side_changed"      // FIX 54, spelling apart
	OddStrategyChanged = "strategy_changed"
	OddTickerChanged   = "ticker_changed" // FIX 55
)

// Oddities lists every code, sorted.
func Oddities() []string {
	return []string{
		OddAccountChanged, OddEventAfterEnd, OddFillBeforeOrder, OddFromTheFuture, OddOutOfOrder,
		OddOverfilled, OddSideChanged, OddStrategyChanged, OddTickerChanged,
	}
}

// MaxClockLead is how far a source's clock may be ahead of ours before an event
// counts as from the future. Clocks in trading are kept to a second at worst (MiFID
// II RTS 25: one second for voice, a millisecond or less for machines), ours can
// be off too; a minute is no drift but a clock that was never set, or a time zone.
const MaxClockLead = time.Minute

// odd says a code once. Odd is never changed in place, so that a copy of an order
// stays as it was.
func (o *Order) odd(code string) {
	if at, said := slices.BinarySearch(o.Odd, code); !said {
		o.Odd = slices.Concat(o.Odd[:at], []string{code}, o.Odd[at:])
	}
}

// oddWho must run before the event is folded into who and when.
func (o *Order) oddWho(e *Event) {
	if e.OccurredAt.Before(o.LastAt) {
		o.odd(OddOutOfOrder)
	}
	if !e.RecordedAt.IsZero() && e.OccurredAt.Sub(e.RecordedAt) > MaxClockLead {
		o.odd(OddFromTheFuture)
	}
	if contradicts(o.Ticker, e.Ticker) {
		o.odd(OddTickerChanged)
	}
	if contradicts(o.Account, e.AccountID) {
		o.odd(OddAccountChanged)
	}
	if contradicts(o.Strategy, e.StrategyID) {
		o.odd(OddStrategyChanged)
	}
}

func contradicts(first, later string) bool { return first != "" && later != "" && first != later }

// sides are the ways to say what systems disagree in, FIX 54 first.
var sides = [][]string{
	{"1", "buy", "b"},
	{"2", "sell", "s"},
	{"5", "sell_short", "sellshort", "short", "ss"},
}

// sameSide knows that a broker answers BUY to an order that said 1.
func sameSide(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	for _, words := range sides {
		says := func(side string) bool {
			return slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(side, word) })
		}
		if says(a) || says(b) {
			return says(a) && says(b)
		}
	}
	return false
}

// oddAfterEnd judges an event by the state before it.
func (o *Order) oddAfterEnd(t EventType) {
	if o.ended() && o.moves(t) {
		o.odd(OddEventAfterEnd)
	}
}

// ended is narrower than Terminal. Done for day ends the day: the order may expire
// after it, be calculated, or go on trading tomorrow. FILLED by name alone, while
// the ordered quantity is unknown, may turn out to be a part.
func (o *Order) ended() bool {
	switch o.Status {
	case StatusDoneForDay:
		return false
	case StatusFilled:
		return o.Quantity.Valid
	default:
		return o.Status.Terminal()
	}
}

// moves reports whether an event claims that an order which has ended had not, or
// had ended otherwise. What normally comes after an end does not: requests and
// their refusal cross the end on the wire (FIX 4.4, appendix D, C.1.c); the end of
// the day, calculation and restatement follow fills; a second witness repeats
// what the first has said.
func (o *Order) moves(t EventType) bool {
	switch t {
	case OrderPartiallyFilled, OrderFilled:
		return true
	case OrderReplaced, OrderStopped, OrderSuspended:
		return true
	case OrderReceived, OrderRouted, OrderSubmitted, OrderPendingNew:
		return o.Fills == 0 && !o.opened()
	case OrderAccepted, OrderReleased, OrderTriggered:
		return o.Fills == 0 && o.AcceptedAt.IsZero()
	case OrderRejected:
		return o.Status != StatusRejected
	case OrderCancelled:
		return o.Status != StatusCanceled
	case OrderExpired:
		return o.Status != StatusExpired
	default:
		return false
	}
}

// opened reports whether any event has said that there is such an order.
func (o *Order) opened() bool {
	return !o.SubmittedAt.IsZero() || !o.AcceptedAt.IsZero() || o.Quantity.Valid
}

// oddQuantity must run after the event is folded.
func (o *Order) oddQuantity() {
	if o.Quantity.Valid && o.CumQuantity.IsPositive() && o.CumQuantity.GreaterThan(o.Quantity.Decimal) {
		o.odd(OddOverfilled)
	}
}
