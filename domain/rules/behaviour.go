package rules

import (
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// mar is where the patterns are described.
const mar = "MAR; Commission Delegated Regulation (EU) 2016/522, Annex II"

// behaviour is what an owner's orders in one instrument look like together. It is
// for somebody to look at, never proof: intent is in no log. An owner is the account,
// or who the configuration says is behind several; without account, strategy and
// user nobody is accused.
func behaviour() []definition {
	pattern := func(id, kind string, severity Severity, title, says, judges, blind string, thresholds ...Threshold) Rule {
		return Rule{
			ID: id, Version: 1, Kind: kind, Severity: severity, Title: title, Says: says, Judges: judges, Source: mar, Blind: blind, Thresholds: thresholds,
		}
	}
	return []definition{
		{
			Rule: pattern("cancel-to-fill", "cancel_ratio", Low, "Very many cancellations for each execution",
				"{owner} cancelled {cancels} {side} orders in {ticker} within an hour and had {fills} executions: {value} for each; {limit} are allowed.",
				"at a cancellation, of each order the first; by side, in each hour of UTC, once",
				"orders that rested before the log began; cancellations by the venue are counted too",
				Threshold{Name: "ratio", Unit: Amount, Value: "100", Means: "cancellations for each execution, more than this", Source: ours + ", between two public, unverified yardsticks: 5 to 30 is healthy, above 500 on a spoofed side"},
				Threshold{Name: "cancels", Unit: Count, Value: "200", Means: "at least so many cancellations", Source: ours}),
			on: []occasion{onCancel}, build: cancelToFill,
		},
		{
			Rule: pattern("layering", "layering", High, "Orders on one side cancelled after an execution on the other",
				"{owner} cancelled {value} {side} orders in {ticker}, all short-lived and without an execution, soon after an execution on the other side; from {limit} on this is shown.",
				"when the log has the execution and the cancellations, by occurred_at",
				"the best bid and ask: whether the orders were away from them needs market data; orders that rested before the log began",
				Threshold{Name: "orders", Unit: Count, Value: "3", Max: strconv.Itoa(maxDeeds), Means: "cancelled orders on one side, at least", Source: ours},
				Threshold{Name: "within", Unit: Duration, Value: "1s", Max: deedsLast.String(), Means: "how soon after the execution they are cancelled", Source: ours},
				Threshold{Name: "life", Unit: Duration, Value: "5s", Means: "how long each of them lived, at most", Source: ours},
				Threshold{Name: "weight", Unit: Amount, Value: "2", Means: "their quantity for each unit executed, at least", Source: ours}),
			on: []occasion{onFill, onCancel}, build: layering,
		},
		{
			Rule: pattern("wash-trade", "wash_trade", High, "Both sides of a trade by one owner",
				"{owner} bought and sold {quantity} {ticker} at nearly the same price within {value}; from {limit} apart it is not shown.",
				"at the later of the two executions in the log, by occurred_at",
				"who the other side was: two executions that match need not be one trade",
				Threshold{Name: "within", Unit: Duration, Value: "1s", Max: deedsLast.String(), Means: "time between the executions", Source: ours},
				Threshold{Name: "price", Unit: Fraction, Value: "0.0001", Means: "difference of the prices", Source: ours},
				Threshold{Name: "quantity", Unit: Fraction, Value: "0.01", Means: "difference of the quantities", Source: ours}),
			on: []occasion{onFill}, build: washTrade,
		},
		{
			Rule: pattern("quote-stuffing", "quote_stuffing", High, "A flood of orders that hardly live",
				"{owner} sent {value} order messages in {ticker} within a second, {cancels} of them cancellations, {quick} of these within 100 ms of the order; {limit} are allowed.",
				"at an order message: a new order, a request to change it (the change itself where none is asked for), a cancellation; in each second, once",
				"a flood over the border of two seconds counts in each; bids and offers of others; a request that two witnesses tell counts twice, a cancellation once",
				Threshold{Name: "messages", Unit: Count, Value: "250", Means: "order messages in a second, more than this", Source: ours},
				Threshold{Name: "cancelled", Unit: Fraction, Value: "0.8", Means: "cancellations for each new order, at least", Source: ours},
				Threshold{Name: "quick", Unit: Fraction, Value: "0.5", Means: "share of the cancellations within 100 ms of the order, at least", Source: ours}),
			on: []occasion{onQuote}, build: quoteStuffing,
		},
		{
			Rule: pattern("marking-the-close", "marking_close", High, "A large share of the last trades, in the direction of the price",
				"{owner} did {value} of the volume in {ticker} around the close on one side ({side}), while the price moved that way; {limit} is allowed.",
				"at an execution in the last minutes before the close or the first after it, which are the closing auction's; once a day. Off until close is set",
				"trades of others that are not in the log: the share is that of the recorded volume, in which an own execution counts twice when the tape reports it without its order; market holidays and half days",
				Threshold{Name: "close", Unit: TimeOfDay, Value: "", Means: "when the market closes; empty: the rule is off", Source: "the market's hours: none are built in"},
				Threshold{Name: "zone", Unit: Zone, Value: "America/New_York", Means: "whose clock that is", Source: ours},
				Threshold{Name: "last", Unit: Duration, Value: "10m", Means: "how long before the close it begins", Source: ours},
				Threshold{Name: "after", Unit: Duration, Value: "5m", Means: "how long after the close it ends", Source: ours},
				Threshold{Name: "share", Unit: Fraction, Value: "0.3", Means: "share of the recorded volume, more than this", Source: ours},
				Threshold{Name: "move", Unit: Fraction, Value: "0.002", Means: "movement of the price since the span began, at least", Source: ours},
				Threshold{Name: "trades", Unit: Count, Value: "20", Means: "trades of all before anybody is judged", Source: ours}),
			on: []occasion{onFill}, build: markingTheClose,
		},
		{
			Rule: pattern("momentum-ignition", "momentum_ignition", Medium, "A burst that moves the price, then the other side",
				"{owner} traded {orders} executions on one side of {ticker} in a burst in which the price moved {value} bps, and then took the other side at a profit; from {limit} bps on this is shown.",
				"at the first execution on the other side, if the log has the burst by then",
				"others' trades, and who was the aggressor: the price is that of the owner's own executions",
				Threshold{Name: "executions", Unit: Count, Value: "5", Max: strconv.Itoa(maxDeeds - 1), Means: "executions of the burst, at least", Source: ours},
				Threshold{Name: "burst", Unit: Duration, Value: "10s", Max: deedsLast.String(), Means: "how long the burst lasts, at most", Source: ours},
				Threshold{Name: "within", Unit: Duration, Value: "1m", Max: deedsLast.String(), Means: "how soon the other side follows", Source: ours},
				Threshold{Name: "move", Unit: Fraction, Value: "0.002", Means: "movement of the price in the burst, at least", Source: ours}),
			on: []occasion{onFill}, build: momentumIgnition,
		},
	}
}

// said are the words that explanations of behaviour share.
func (x *moment) said(buys bool, more ...string) []string {
	return append([]string{"owner", "The " + x.owner, "ticker", x.ticker, "side", sideName(buys)}, more...)
}

// subject is what a tally is of.
func (x *moment) subject(more ...string) []string {
	return append([]string{x.owner, x.ticker}, more...)
}

func cancelToFill(l limits) judge {
	ratio, least := l.number("ratio"), l.count("cancels")
	return func(x *moment) verdict {
		if x.activity == nil || !x.order.known() {
			return verdict{}
		}
		buys, known := x.order.buys()
		t := &x.activity.Sides[side(buys)]
		if !known || t.Found || t.Cancels < least || !t.Start.Equal(x.event.OccurredAt.Truncate(ratioSpan)) {
			return verdict{}
		}
		each := decimal.NewFromInt(int64(t.Cancels)).DivRound(decimal.NewFromInt(int64(max(t.Fills, 1))), 2)
		if !each.GreaterThan(ratio) {
			return verdict{}
		}
		t.Found = true
		return verdict{
			at: x.event.OccurredAt, value: each.String(), limit: ratio.String(), unit: "cancellations per execution", evidence: t.evidence(),
			subject: x.subject(sideName(buys), stamp(t.Start)),
			words:   x.said(buys, "cancels", strconv.Itoa(t.Cancels), "fills", strconv.Itoa(t.Fills)),
		}
	}
}

func layering(l limits) judge {
	least, within, life, weight := l.count("orders"), l.duration("within"), l.duration("life"), l.number("weight")
	judgeFill := func(x *moment, f *deed) verdict {
		if slices.Contains(f.Used, "layering") || !f.Quantity.Valid {
			return verdict{}
		}
		var evidence []string
		quantity := decimal.Zero
		for _, c := range x.activity.Cancels {
			after := c.At.Sub(f.At)
			if c.Buys == f.Buys || c.Order == f.Order || after < 0 || after > within || c.Since.After(f.At) || c.At.Sub(c.Since) > life || !c.Quantity.Valid {
				continue
			}
			evidence = append(evidence, c.ID)
			quantity = quantity.Add(c.Quantity.Decimal)
		}
		if len(evidence) < least || quantity.LessThan(f.Quantity.Decimal.Mul(weight)) {
			return verdict{}
		}
		f.Used = append(f.Used, "layering")
		return verdict{
			at: x.event.OccurredAt, value: strconv.Itoa(len(evidence)), limit: strconv.Itoa(least), unit: "orders",
			evidence: slices.Concat([]string{f.ID}, evidence), subject: []string{f.ID}, words: x.said(!f.Buys),
		}
	}
	return func(x *moment) verdict {
		if x.activity == nil {
			return verdict{}
		}
		fills := x.activity.Fills
		if x.isFill { // the cancellations were recorded before it
			if last := len(fills) - 1; last >= 0 && fills[last].ID == x.event.ID {
				return judgeFill(x, &fills[last])
			}
			return verdict{}
		}
		for i := range fills {
			if v := judgeFill(x, &fills[i]); v.fires() {
				return v
			}
		}
		return verdict{}
	}
}

// latest is the execution that the moment is about, as it was remembered; nil if it
// says no price, quantity or side.
func (x *moment) latest() *deed {
	if x.activity == nil || len(x.activity.Fills) == 0 {
		return nil
	}
	f := &x.activity.Fills[len(x.activity.Fills)-1]
	if f.ID != x.event.ID || !f.Price.Valid || !f.Quantity.Valid || !f.Price.Decimal.IsPositive() {
		return nil
	}
	return f
}

func washTrade(l limits) judge {
	within, price, quantity := l.duration("within"), l.number("price"), l.number("quantity")
	near := func(a, b, allowed domain.Decimal) bool {
		return a.Sub(b).Abs().LessThanOrEqual(decimal.Max(a, b).Mul(allowed))
	}
	return func(x *moment) verdict {
		f := x.latest()
		if f == nil {
			return verdict{}
		}
		for _, g := range slices.Backward(x.activity.Fills) {
			if g.Buys == f.Buys || g.Order == f.Order || !g.Price.Valid || !g.Quantity.Valid {
				continue
			}
			apart := f.At.Sub(g.At)
			if apart.Abs() > within || !near(f.Price.Decimal, g.Price.Decimal, price) || !near(f.Quantity.Decimal, g.Quantity.Decimal, quantity) {
				continue
			}
			evidence := []string{g.ID, f.ID}
			if apart < 0 {
				evidence = []string{f.ID, g.ID}
			}
			return verdict{
				at: x.event.OccurredAt, value: apart.Abs().String(), limit: within.String(), unit: "duration", evidence: evidence,
				words: x.said(f.Buys, "quantity", f.Quantity.Decimal.String()),
			}
		}
		return verdict{}
	}
}

func quoteStuffing(l limits) judge {
	most, cancelled, quick := l.count("messages"), l.number("cancelled"), l.number("quick")
	return func(x *moment) verdict {
		if x.activity == nil {
			return verdict{}
		}
		start := x.event.OccurredAt.Truncate(quoteSpan)
		for i := range x.activity.Quotes {
			t := &x.activity.Quotes[i]
			messages := t.New + t.Cancels + t.Changes
			if !t.Start.Equal(start) || t.Found || messages <= most || t.Cancels == 0 || t.New == 0 {
				continue
			}
			all := decimal.NewFromInt(int64(t.Cancels))
			if all.LessThan(cancelled.Mul(decimal.NewFromInt(int64(t.New)))) || decimal.NewFromInt(int64(t.Quick)).LessThan(quick.Mul(all)) {
				continue
			}
			t.Found = true
			return verdict{
				at: x.event.OccurredAt, value: strconv.Itoa(messages), limit: strconv.Itoa(most), unit: "messages per second", evidence: t.evidence(),
				subject: x.subject(stamp(t.Start)),
				words:   x.said(false, "cancels", strconv.Itoa(t.Cancels), "quick", strconv.Itoa(t.Quick)),
			}
		}
		return verdict{}
	}
}

// closing is when the market closes, and from when to when around it trades count:
// the closing auction prints after the bell.
type closing struct {
	at, last, after time.Duration
	zone            *time.Location
}

// day names the day whose last trades at belongs to; empty: to none.
func (c closing) day(at time.Time) string {
	local := at.In(c.zone)
	year, month, date := local.Date()
	end := time.Date(year, month, date, int(c.at/time.Hour), int(c.at%time.Hour/time.Minute), 0, 0, c.zone)
	if before := end.Sub(local); before < -c.after || before > c.last {
		return ""
	}
	return local.Format(time.DateOnly)
}

// noteInstrument keeps what all trade before the close, and what the owner does.
func (e *Engine) noteInstrument(x *moment) {
	if e.set.closing == nil || x.order == nil && x.event.Type != domain.TradeReported {
		return
	}
	f := x.fill
	if !x.isFill {
		f = x.facts.fill()
	}
	day := e.set.closing.day(x.event.OccurredAt)
	if day == "" || !f.Price.Valid || !f.Quantity.Valid || !f.Price.Decimal.IsPositive() {
		return
	}
	i := e.instruments.get(x.ticker)
	if i == nil {
		i = e.instruments.put(x.ticker, &instrument{})
	}
	switch {
	case day < i.Day:
		return // recorded too late
	case day > i.Day:
		*i = instrument{Day: day}
	}
	x.instrument = i
	if x.told {
		return
	}
	at := x.event.OccurredAt
	if i.Trades == 0 || at.Before(i.FirstAt) {
		i.First, i.FirstAt = f.Price.Decimal, at
	}
	if i.Trades == 0 || !at.Before(i.LastAt) {
		i.Last, i.LastAt = f.Price.Decimal, at
	}
	i.Trades++
	i.Volume = i.Volume.Add(f.Quantity.Decimal)
}

func markingTheClose(l limits) judge {
	share, move, least := l.number("share"), l.number("move"), l.count("trades")
	return func(x *moment) verdict {
		i, f := x.instrument, x.latest()
		if i == nil || f == nil {
			return verdict{}
		}
		run := &x.activity.Closing
		if run.Day != i.Day {
			*run = closeRun{Day: i.Day}
		}
		own := side(f.Buys)
		run.Volume[own] = run.Volume[own].Add(f.Quantity.Decimal)
		if run.Shown[own] = append(run.Shown[own], f.ID); len(run.Shown[own]) > maxEvidence {
			run.Shown[own] = slices.Delete(run.Shown[own], 0, 1)
		}
		moved := i.Last.Sub(i.First)
		if !f.Buys {
			moved = moved.Neg()
		}
		if run.Found || i.Trades < least || !i.Volume.IsPositive() || moved.LessThan(i.First.Mul(move)) {
			return verdict{}
		}
		part := run.Volume[own].DivRound(i.Volume, 4)
		if !part.GreaterThan(share) {
			return verdict{}
		}
		run.Found = true
		return verdict{
			at: x.event.OccurredAt, value: part.String(), limit: share.String(), unit: "fraction",
			evidence: slices.Clone(run.Shown[own]), subject: x.subject(run.Day), words: x.said(f.Buys),
		}
	}
}

func momentumIgnition(l limits) judge {
	least, longest, within, move := l.count("executions"), l.duration("burst"), l.duration("within"), l.number("move")
	return func(x *moment) verdict {
		f := x.latest()
		if f == nil || len(x.activity.Fills) <= least {
			return verdict{}
		}
		var burst []*deed // of the other side, before it
		for i := range x.activity.Fills {
			if g := &x.activity.Fills[i]; g.Buys != f.Buys && g.Price.Valid && g.Quantity.Valid && g.At.Before(f.At) && f.At.Sub(g.At) <= within {
				burst = append(burst, g)
			}
		}
		if len(burst) < least {
			return verdict{}
		}
		slices.SortStableFunc(burst, func(a, b *deed) int { return a.At.Compare(b.At) })
		last := burst[len(burst)-1]
		burst = slices.DeleteFunc(burst, func(g *deed) bool { return last.At.Sub(g.At) > longest })
		if len(burst) < least || slices.Contains(last.Used, "momentum") {
			return verdict{}
		}
		first := burst[0].Price.Decimal
		paid, traded := decimal.Zero, decimal.Zero
		evidence := make([]string, 0, len(burst)+1)
		for _, g := range burst {
			paid, traded = paid.Add(g.Price.Decimal.Mul(g.Quantity.Decimal)), traded.Add(g.Quantity.Decimal)
			evidence = append(evidence, g.ID)
		}
		moved, gained := last.Price.Decimal.Sub(first), f.Price.Decimal.Mul(traded).Sub(paid)
		if f.Buys { // the burst sold
			moved, gained = moved.Neg(), gained.Neg()
		}
		if moved.LessThan(first.Mul(move)) || !first.IsPositive() || !moved.IsPositive() || !gained.IsPositive() {
			return verdict{}
		}
		last.Used = append(last.Used, "momentum")
		return verdict{
			at: x.event.OccurredAt, value: inBps(moved.DivRound(first, 8)).Round(2).String(), limit: inBps(move).String(), unit: "bps",
			evidence: append(evidence, f.ID), subject: []string{last.ID, f.ID}, words: x.said(f.Buys, "orders", strconv.Itoa(len(burst))),
		}
	}
}
