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
	const known = "orders of which the log has no submission: they may have rested before it began"
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
				"when the log has both, by occurred_at", "FIX 4.4, appendix D: no execution follows a terminal state", "", tolerance()),
			on: []occasion{onOrder}, build: fillAfterEnd,
		},
		{
			Rule: law("overfilled", Critical, "More was executed than ordered",
				"{value} was executed of an order of {limit}.",
				"at the execution or, while a replacement is pending, when it is answered; the largest quantity that was ever ordered counts, each execution once",
				"FIX: CumQty (14) is at most OrderQty (38)", known+", and orders with a trade that was busted or corrected"),
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
				"The broker's last word is {value} executed in all; the executions in the log add up to {limit}.",
				"when the order is over and the grace has passed", "FIX: CumQty (14) is the sum of LastQty (32)",
				known+", orders with an execution that names no quantity, or with a trade that was busted or corrected"),
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
				known+", and replacements that name nothing"),
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
				known+", orders whose executions have no ids, and those with more than 128 executions"),
			on: []occasion{dueBust},
			build: func(limits) judge {
				return func(x *moment) verdict {
					o, q := x.order, x.question
					if !o.known() || o.Overflowed || len(o.Executions) < o.Fold.Fills || slices.Contains(o.Executions, q.Names) {
						return verdict{}
					}
					return verdict{at: q.Asked.At, evidence: unique(o.Submitted.ID, q.Asked.ID), words: []string{"ref", q.Names}}
				}
			},
		},
		{
			Rule: law("no-risk-check", High, "An order without a risk check",
				"The order was sent without a risk check, which other orders of its strategy or account have.",
				"when the grace after the submission has passed", "SEC 15c3-5 and RTS 6 Art. 15 ask for pre-trade checks",
				known+"; flows without any risk events; orders that refer to a decision of which the log has nothing; child orders; checks longer ago than within",
				Threshold{Name: "within", Unit: Duration, Value: "24h", Means: "how long before the submission a check counts", Source: ours}),
			on: []occasion{dueSubmission}, build: noRiskCheck,
		},
		{
			Rule: law("risk-block-ignored", Critical, "An order in spite of a refusal by risk",
				"Risk had refused the decision {value} before the order was sent, and never agreed to it.",
				"when the grace after the submission has passed", "SEC 15c3-5 and RTS 6 Art. 15 ask for pre-trade checks", ""),
			on: []occasion{dueSubmission},
			build: func(limits) judge {
				return func(x *moment) verdict {
					all, _ := x.engine.decision(x.order)
					if !all.Blocked.known() || all.Checked.known() || x.order.Checked || !all.Blocked.At.Before(x.order.Submitted.At) {
						return verdict{}
					}
					return verdict{
						at: x.order.Submitted.At, value: x.order.Submitted.At.Sub(all.Blocked.At).String(), unit: "duration",
						evidence: []string{all.Blocked.ID, x.order.Submitted.ID},
					}
				}
			},
		},
		{
			Rule: law("no-approval", High, "An order without the approval that it needs",
				"{why}, and the order was sent without one.",
				"when the grace after the submission has passed",
				"the log: an approval was requested for the decision; and the threshold", "approvals that were asked for elsewhere",
				Threshold{Name: "value", Unit: Amount, Value: "0", Means: "orders of at least this value (quantity x limit price, else arrival price) need one; 0: only those for which one was requested", Source: ours}),
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
		o := x.order
		if !o.Dead.known() || !o.LastFill.known() || o.LastFill.At.Sub(o.Dead.At) <= allowed {
			return verdict{}
		}
		return verdict{
			at: x.event.OccurredAt, value: o.LastFill.At.Sub(o.Dead.At).String(), limit: allowed.String(), unit: "duration",
			evidence: []string{o.Dead.ID, o.LastFill.ID},
		}
	}
}

func noRiskCheck(l limits) judge {
	within := l.duration("within")
	return func(x *moment) verdict {
		o, e := x.order, x.engine
		if o.Checked || o.Child || !e.checksOrders(o) {
			return verdict{}
		}
		all, seen := e.decision(o)
		refers := o.Refs[0] != "" || o.Refs[1] != "" || o.Refs[2] != ""
		switch {
		case all.Checked.known() || all.Blocked.known(): // a refusal is another rule's matter
			return verdict{}
		case refers && !seen:
			return verdict{} // what the log doesn't have can't be missed
		case !e.horizon.IsZero() && e.horizon.After(e.now.Add(-within)) && refers:
			e.stats.Unjudged++
			return verdict{}
		}
		return verdict{at: o.Submitted.At, evidence: []string{o.Submitted.ID}}
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
	value := l.number("value")
	return func(x *moment) verdict {
		o := x.order
		all, _ := x.engine.decision(o)
		if all.Approved.known() {
			return verdict{}
		}
		v := verdict{at: o.Submitted.At, evidence: unique(all.Requested.ID, all.Denied.ID, o.Submitted.ID)}
		if all.Requested.known() {
			why := "An approval was requested and not given"
			if all.Denied.known() {
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
