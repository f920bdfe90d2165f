package rules

import (
	"cmp"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// moment is what a rule is shown: the event, what it says, and what is known of its
// order and owner, the event included. For a question that has waited it is the
// order and the question; the event is then merely the one that ended the grace.
type moment struct {
	engine  *Engine
	located domain.Located
	event   *domain.Event
	facts   facts

	fill   domain.Fill
	isFill bool
	quote  bool // an order was entered, changed or cancelled

	opened    bool // the order's submission has become known
	cancelled bool // the order's end is told, for the first time, by a cancellation
	changed   bool // a change of the order was asked for, or made without being asked for
	told      bool // an event of another type told this trade of the order before

	order      *order    // nil: the event names none
	trail      *trail    // of the approval that an answer is about, else of the first thing that the event refers to
	activity   *activity // nil: owner or instrument is unknown
	instrument *instrument
	owner      string // of the activity
	ticker     string // of the activity and the instrument
	question   question
	extended   jsontext.Value // the order's state, made when a rule wants it
	stripped   jsontext.Value // data without what is named as that, made when a rule wants it

	found []Finding
}

func (x *moment) begin(l domain.Located) {
	x.located, x.event = l, l.Event
	x.order, x.trail, x.activity, x.instrument, x.owner, x.ticker = nil, nil, nil, nil, "", ""
	x.quote, x.isFill, x.question, x.extended, x.stripped = false, false, question{}, nil, nil
	x.opened, x.cancelled, x.changed, x.told = false, false, false, false
}

// end lets go of everything.
func (x *moment) end() {
	x.begin(domain.Located{})
	clear(x.facts.values[:])
	x.found = nil
}

// ahead reports an event from the future: it must not hide what follows in time.
func (x *moment) ahead() bool {
	return !x.event.RecordedAt.IsZero() && x.event.OccurredAt.Sub(x.event.RecordedAt) > domain.MaxClockLead
}

// blocked reports whether an answer of risk refuses.
func (x *moment) blocked() bool {
	return x.event.Type == domain.RiskRejected || x.event.Type == domain.RiskEvaluated && x.facts.refuses(factEligible)
}

// judge asks the rules of an occasion.
func (x *moment) judge(on occasion) {
	for _, r := range x.engine.set.asked[on] {
		if r.Once && x.order != nil && !x.order.unfound(r.ID) {
			continue
		}
		if _, broken := x.engine.stats.Broken[r.ID]; broken {
			continue
		}
		v := x.verdict(r)
		if !v.fires() {
			continue
		}
		if r.Once && x.order != nil {
			x.order.setFound(r.ID)
		}
		x.found = append(x.found, x.finding(r, v))
	}
}

func (x *moment) finding(r *compiled, v verdict) Finding {
	e := x.event
	if x.question.Kind != "" {
		e = &domain.Event{OrderID: x.question.Order}
	}
	v.evidence = trimmed(v.evidence)
	f := Finding{
		Rule: r.ID, Version: r.Version, Kind: r.Kind, Severity: r.Severity,
		Explanation: v.explain(r.Says), Evidence: v.evidence, Subject: v.subject,
		Order: e.OrderID, Account: e.AccountID, Strategy: e.StrategyID, User: e.UserID, Ticker: e.Ticker,
		At: v.at.UTC(), Value: v.value, Limit: v.limit, Unit: v.unit,
	}
	f.ID = findingID(f.Rule, f.Version, f.about())
	if v.at.IsZero() {
		f.At = e.OccurredAt.UTC()
	}
	if o := x.order; o != nil { // the order's first word counts, as in its trail
		f.Account, f.Strategy = cmp.Or(f.Account, o.Fold.Account), cmp.Or(f.Strategy, o.Fold.Strategy)
		f.User, f.Ticker = cmp.Or(f.User, o.Fold.User), cmp.Or(f.Ticker, o.Fold.Ticker)
	}
	return f
}
