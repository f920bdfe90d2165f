package rules

import (
	"cmp"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// ownerOf is who is behind an order: the account's owner by the set, else the
// account, else the strategy, else the user. Empty: nobody can be accused.
func (e *Engine) ownerOf(x *moment) string {
	account, strategy, user := x.event.AccountID, x.event.StrategyID, x.event.UserID
	if o := x.order; o != nil {
		account, strategy, user = cmp.Or(o.Fold.Account, account), cmp.Or(o.Fold.Strategy, strategy), cmp.Or(o.Fold.User, user)
	}
	switch {
	case account != "" && e.set.owners[account] != "":
		return "owner " + e.set.owners[account]
	case account != "":
		return "account " + account
	case strategy != "":
		return "strategy " + strategy
	case user != "":
		return "user " + user
	default:
		return ""
	}
}

// The spans in which behaviour is counted.
const (
	quoteSpan = time.Second
	ratioSpan = time.Hour
)

// noteActivity keeps what the event says of its owner's behaviour.
func (e *Engine) noteActivity(x *moment) {
	ev := x.event
	if x.ahead() {
		return
	}
	x.quote = x.opened || x.cancelled || x.changed
	if !x.quote && !x.isFill && ev.Type != domain.TradeReported {
		return
	}
	if x.ticker = ev.Ticker; x.order != nil {
		x.ticker = cmp.Or(x.order.Fold.Ticker, x.ticker)
	}
	if x.ticker == "" {
		return
	}
	if x.isFill || ev.Type == domain.TradeReported {
		e.noteInstrument(x)
	}
	if x.owner = e.ownerOf(x); x.owner == "" || x.order == nil {
		return
	}
	key := x.owner + "\x00" + x.ticker
	if x.activity = e.activities.get(key); x.activity == nil {
		x.activity = e.activities.put(key, &activity{})
	}
	a, o := x.activity, x.order
	if quotes := span(a.Quotes[:], ev.OccurredAt, quoteSpan); quotes != nil && x.quote {
		quotes.count(x, 100*time.Millisecond)
	}
	buys, known := o.buys()
	if !known {
		return
	}
	// A tally of a side is of the running hour alone: late arrivals of the hour before
	// are left out.
	if hour := span(a.Sides[side(buys):side(buys)+1], ev.OccurredAt, ratioSpan); hour != nil && (x.isFill || x.cancelled && o.known()) {
		hour.count(x, 0)
	}
	switch {
	case x.isFill:
		a.Fills = remember(a.Fills, deed{
			mark: mark{ev.ID, ev.OccurredAt}, Order: o.Fold.ID, Buys: buys, Price: x.fill.Price, Quantity: x.fill.Quantity,
		})
	case x.cancelled && o.known() && o.Fold.Fills == 0:
		var open decimal.NullDecimal
		if o.Fold.Quantity.Valid {
			open = o.Fold.Quantity
		}
		a.Cancels = remember(a.Cancels, deed{
			mark: mark{ev.ID, ev.OccurredAt}, Order: o.Fold.ID, Buys: buys, Quantity: open, Since: o.Submitted.At,
		})
	}
}

// count adds the moment to a tally; quick is what counts as a short life.
func (t *tally) count(x *moment, quick time.Duration) {
	ev := x.event
	switch {
	case x.isFill:
		t.Fills++
	case x.cancelled:
		t.Cancels++
		if o := x.order; o.known() && ev.OccurredAt.Sub(o.Submitted.At) <= quick {
			t.Quick++
		}
	case x.opened:
		t.New++
	default:
		t.Changes++
	}
	if !x.isFill {
		t.show(ev.ID)
	}
}
