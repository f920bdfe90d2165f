package rules

import (
	"slices"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// tolerance is how far two clocks may disagree before one event counts as before
// another.
func tolerance() Threshold {
	return Threshold{
		Name: "tolerance", Unit: Duration, Value: "50ms", Means: "how far the clocks of two systems may disagree",
		Source: "FINRA 6820 and the CAT NMS Plan: 50 ms for electronic orders",
	}
}

// lifecycle is the law of an order's life. What depends on the order of things goes
// by occurred_at, so a late recorder accuses nobody; what depends on something being
// absent waits for the grace.
func lifecycle() []definition {
	law := func(id string, severity Severity, title, says, judges, source, blind string, thresholds ...Threshold) Rule {
		return Rule{
			ID: id, Version: 1, Kind: "lifecycle", Severity: severity, Title: title, Says: says, Judges: judges, Source: source, Blind: blind,
			Thresholds: thresholds, Once: id != "replace-chain-broken" && id != "bust-without-trade",
		}
	}
	const known = "orders whose submission the log doesn't have, or only a minute after it had them at work: they may have rested before it began"
	const sums = "a trade that was busted or corrected, and orders that were restated in other quantities"
	return []definition{
		{
			Rule: law("fill-before-acceptance", High, "An execution before the order was accepted",
				"The first execution occurred {value} before the order was {step}; clocks may disagree by {limit}.",
				"when the log has both, by occurred_at", "FIX 4.4, appendix D: New comes before the first trade", known, tolerance()),
			on: []occasion{onOrder}, build: fillBeforeAcceptance,
		},
		{
			Rule: law("fill-after-end", Critical, "An execution after the order was over",
				"An execution occurred {value} after the order was cancelled, rejected or had expired; clocks may disagree by {limit}.",
				"when the log has both, by occurred_at; a rejection is no end when the order is sent again after it",
				"FIX 4.4, appendix D: no execution follows a terminal state", "orders that were over so long that they are forgotten", tolerance()),
			on: []occasion{onOrder}, build: fillAfterEnd,
		},
		{
			Rule: law("overfilled", Critical, "More was executed than ordered",
				"{value} was executed of an order of {limit}.",
				"at the execution or, while a replacement is pending, when it is answered; the largest quantity that was ever ordered counts, each execution once",
				"FIX: CumQty (14) is at most OrderQty (38)", known+"; orders with "+sums),
			on: []occasion{onOrder},
			build: func(limits) judge {
				return func(x *moment) verdict {
					o := x.order
					if !o.known() || !o.Ordered.Valid || o.Corrected || o.Replacing ||
						!o.Executed.GreaterThan(o.Ordered.Decimal) || !o.Ordered.Decimal.IsPositive() {
						return verdict{}
					}
					return verdict{
						at: x.event.OccurredAt, value: o.Executed.String(), limit: o.Ordered.Decimal.String(), unit: "quantity",
						evidence: unique(o.Submitted.ID, o.LastFill.ID),
					}
				}
			},
		},
		{
			Rule: law("quantity-mismatch", High, "The executions don't add up to what the broker says",
				"The broker counts {value} executed in all; the executions in the log add up to {limit}.",
				"when the order is over and the grace has passed; the most that the broker has counted is taken", "FIX: CumQty (14) is the sum of LastQty (32)",
				known+"; orders with an execution that names no quantity, with "+sums),
			on: []occasion{dueEnd},
			build: func(limits) judge {
				return func(x *moment) verdict {
					o := x.order
					if !o.known() || !o.Said.Valid || o.Unsized || o.Corrected || o.Said.Decimal.Equal(o.Executed) {
						return verdict{}
					}
					return verdict{
						at: x.question.Asked.At, value: o.Said.Decimal.String(), limit: o.Executed.String(), unit: "quantity",
						evidence: unique(o.Submitted.ID, o.SaidBy, x.question.Asked.ID),
					}
				}
			},
		},
		{
			Rule: law("replace-chain-broken", Medium, "A replacement of something unknown",
				"The replacement names client order id {orig} as what it replaces, which no event of the order has.",
				"when the grace after the replacement has passed", "FIX: OrigClOrdID (41) is the ClOrdID (11) before",
				known+"; replacements that name nothing"),
			on: []occasion{dueReplace},
			build: func(limits) judge {
				return func(x *moment) verdict {
					o, q := x.order, x.question
					if !o.known() || o.Overflowed || len(o.ClientIDs) == 0 || slices.Contains(o.ClientIDs, q.Names) {
						return verdict{}
					}
					return verdict{at: q.Asked.At, evidence: unique(o.Submitted.ID, q.Asked.ID), words: []string{"orig", q.Names}}
				}
			},
		},
		{
			Rule: law("bust-without-trade", High, "A bust or correction of a trade that is not there",
				"The trade {ref} was busted or corrected, and no execution of the order has this id.",
				"when the grace after it has passed", "FIX: ExecRefID (19) names an ExecID (17)",
				known+"; orders with an execution that has no id, and those with more than 128 executions"),
			on: []occasion{dueBust},
			build: func(limits) judge {
				return func(x *moment) verdict {
					o, q := x.order, x.question
					if !o.known() || o.Overflowed || o.Unnamed || slices.Contains(o.Executions, q.Names) {
						return verdict{}
					}
					return verdict{at: q.Asked.At, evidence: unique(o.Submitted.ID, q.Asked.ID), words: []string{"ref", q.Names}}
				}
			},
		},
		{
			Rule: law("no-risk-check", High, "An order without a risk check",
				"The order was sent without a risk check in the {limit} before it; other orders of its strategy or account have one.",
				"when the grace after the submission has passed; a check counts that occurred before the submission", "SEC 15c3-5 and RTS 6 Art. 15 ask for pre-trade checks",
				known+"; flows without any risk events; orders that refer to a decision of which the log has nothing; child orders",
				Threshold{Name: "within", Unit: Duration, Value: "24h", Means: "how long before the submission a check counts", Source: ours}, tolerance()),
			on: []occasion{dueSubmission}, build: noRiskCheck,
		},
		{
			Rule: law("risk-block-ignored", Critical, "An order in spite of a refusal by risk",
				"Risk had refused the decision {value} before the order was sent, and had not agreed to it since.",
				"when the grace after the submission has passed; the last answer before the submission decides",
				"SEC 15c3-5 and RTS 6 Art. 15 ask for pre-trade checks", "orders with an event that names its pre_trade_checks", tolerance()),
			on: []occasion{dueSubmission}, build: riskBlockIgnored,
		},
		{
			Rule: law("no-approval", High, "An order without the approval that it needs",
				"{why}, and the order was sent without one.",
				"when the grace after the submission has passed; the last answer before the submission decides, of the approval that the order names or, without one, of its decision",
				"the log: an approval was requested for the decision; and the threshold", "approvals that were asked for elsewhere",
				Threshold{Name: "value", Unit: Amount, Value: "0", Means: "orders of at least this value (quantity x limit price, else arrival price) need one; 0: only those for which one was requested", Source: ours}, tolerance()),
			on: []occasion{dueSubmission}, build: noApproval,
		},
	}
}

func unique(ids ...string) []string {
	var out []string
	for _, id := range ids {
		if id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func fillBeforeAcceptance(l limits) judge {
	allowed := l.duration("tolerance")
	return func(x *moment) verdict {
		o := x.order
		if !o.known() || !o.FirstFill.known() {
			return verdict{}
		}
		step, against := "accepted", o.Accepted
		if !against.known() {
			step, against = "sent", o.Submitted
		}
		early := against.At.Sub(o.FirstFill.At)
		if early <= allowed {
			return verdict{}
		}
		return verdict{
			at: x.event.OccurredAt, value: early.String(), limit: allowed.String(), unit: "duration",
			evidence: []string{o.FirstFill.ID, against.ID}, words: []string{"step", step},
		}
	}
}

func fillAfterEnd(l limits) judge {
	allowed := l.duration("tolerance")
	return func(x *moment) verdict {
		last, end := x.order.LastFill, x.order.ended()
		if !end.known() || !last.known() || last.At.Sub(end.At) <= allowed {
			return verdict{}
		}
		return verdict{
			at: x.event.OccurredAt, value: last.At.Sub(end.At).String(), limit: allowed.String(), unit: "duration",
			evidence: []string{end.ID, last.ID},
		}
	}
}

func noRiskCheck(l limits) judge {
	within, allowed := l.duration("within"), l.duration("tolerance")
	return func(x *moment) verdict {
		o, e := x.order, x.engine
		if o.Checked || o.Child || !e.checksOrders(o) {
			return verdict{}
		}
		d := e.decision(o)
		sent := o.Submitted.At.Add(allowed)
		// A refusal is another rule's matter.
		last := latest(d.risk(sent, false), d.risk(sent, true))
		refers := o.Refs[0] != "" || o.Refs[1] != "" || o.Refs[2] != ""
		switch {
		case last.known() && o.Submitted.At.Sub(last.At) <= within:
			return verdict{}
		case refers && !d.seen() && !last.known():
			return verdict{} // what the log doesn't have can't be missed
		case !e.horizon.IsZero() && e.horizon.After(e.now.Add(-within)) && refers:
			e.stats.Unjudged++
			return verdict{}
		}
		return verdict{at: o.Submitted.At, limit: within.String(), unit: "duration", evidence: unique(last.ID, o.Submitted.ID)}
	}
}

func riskBlockIgnored(l limits) judge {
	allowed := l.duration("tolerance")
	return func(x *moment) verdict {
		o := x.order
		d := x.engine.decision(o)
		refused := d.risk(o.Submitted.At, true)
		agreed := d.risk(o.Submitted.At.Add(allowed), false)
		if o.Checked || !refused.known() || !refused.At.Before(o.Submitted.At) || agreed.known() && !agreed.At.Before(refused.At) {
			return verdict{}
		}
		return verdict{
			at: o.Submitted.At, value: o.Submitted.At.Sub(refused.At).String(), unit: "duration",
			evidence: []string{refused.ID, o.Submitted.ID},
		}
	}
}

// checksOrders reports whether orders of this strategy or account are checked for
// risk, as far as the log shows.
func (e *Engine) checksOrders(o *order) bool {
	scope := e.scopes.get("strategy-" + o.Fold.Strategy)
	if o.Fold.Strategy == "" {
		scope = e.scopes.get("account-" + o.Fold.Account)
	}
	return scope != nil && scope.Before(o.Submitted.At)
}

func noApproval(l limits) judge {
	value, allowed := l.number("value"), l.duration("tolerance")
	return func(x *moment) verdict {
		o := x.order
		d := x.engine.decision(o)
		requested, denied := d.requested(), d.approval(o.Submitted.At, true)
		approved := d.approval(o.Submitted.At.Add(allowed), false)
		if approved.known() && (!denied.known() || !approved.At.Before(denied.At)) {
			return verdict{}
		}
		if requested.At.After(o.Submitted.At) {
			requested = mark{}
		}
		v := verdict{at: o.Submitted.At, evidence: unique(requested.ID, denied.ID, o.Submitted.ID)}
		if requested.known() {
			why := "An approval was requested and not given"
			if denied.known() {
				why = "The approval that was requested was denied or expired"
			}
			v.words = []string{"why", why}
			return v
		}
		price := o.Fold.LimitPrice
		if !price.Valid {
			price = o.Arrival
		}
		if !value.IsPositive() || !price.Valid || !o.Ordered.Valid || o.Child {
			return verdict{}
		}
		worth := price.Decimal.Mul(o.Ordered.Decimal)
		if worth.LessThan(value) {
			return verdict{}
		}
		v.value, v.limit, v.unit = worth.String(), value.String(), "value"
		v.words = []string{"why", "Orders of " + v.limit + " or more need an approval, this one is worth " + v.value}
		return v
	}
}

// clocks are rules about times that can't be.
func clocks() []definition {
	return []definition{
		{
			Rule: Rule{
				ID: "clock-backwards", Version: 1, Kind: "clock", Severity: Medium, Title: "A clock went backwards",
				Says:       "{what} by {value}; clocks may disagree by {limit}.",
				Judges:     "at the event: it left a system before it entered it, or occurred before the event of its order that caused it",
				Source:     "RTS 25 and FINRA 6820 ask for synchronised clocks",
				Blind:      "causes that are not among the last 8 events of the order; a later event that merely has an earlier time may only have been recorded late",
				Thresholds: []Threshold{tolerance()},
			},
			on: []occasion{onAny}, build: clockBackwards,
		},
		{
			Rule: Rule{
				ID: "clock-ahead", Version: 1, Kind: "clock", Severity: Medium, Title: "A clock is ahead of ours",
				Says:   "The event was recorded {value} before its source says that it occurred; {limit} is allowed.",
				Judges: "at the event", Source: "RTS 25: 1 s at worst, for voice; more than a minute is no drift",
				Thresholds: []Threshold{{Name: "limit", Unit: Duration, Value: domain.MaxClockLead.String(), Means: "occurred_at after recorded_at by more than this", Source: ours}},
			},
			on: []occasion{onAny},
			build: func(l limits) judge {
				limit := l.duration("limit")
				return func(x *moment) verdict {
					e := x.event
					lead := e.OccurredAt.Sub(e.RecordedAt)
					if e.RecordedAt.IsZero() || lead <= limit {
						return verdict{}
					}
					return verdict{at: e.OccurredAt, value: lead.String(), limit: limit.String(), unit: "duration", evidence: []string{e.ID}}
				}
			},
		},
	}
}

func clockBackwards(l limits) judge {
	allowed := l.duration("tolerance")
	return func(x *moment) verdict {
		e := x.event
		found := func(back time.Duration, what string, evidence ...string) verdict {
			return verdict{
				at: e.OccurredAt, value: back.String(), limit: allowed.String(), unit: "duration",
				evidence: evidence, words: []string{"what", what},
			}
		}
		for _, hop := range e.Path {
			if back := hop.In.Sub(hop.Out); !hop.In.IsZero() && !hop.Out.IsZero() && back > allowed {
				return found(back, "The event left "+hop.Hop+" before it came in", e.ID)
			}
		}
		if x.order == nil {
			return verdict{}
		}
		if cause, ok := x.order.cause(e.CausationID); ok && cause.ID != e.ID {
			if back := cause.At.Sub(e.OccurredAt); back > allowed {
				return found(back, "The event occurred before its cause", cause.ID, e.ID)
			}
		}
		return verdict{}
	}
}
