package rules

import (
	"cmp"
	"maps"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// The bounds of an engine. Of what is over them, what was used longest ago is
// forgotten; nothing is found because something was forgotten, but for a second
// record of an order's submission that comes after the order was: it is a new order.
const (
	maxOrders      = 50_000
	maxOver        = 20_000 // orders that are over, for what is recorded late
	maxTrails      = 50_000
	maxActivities  = 4_096  // owner x instrument
	maxInstruments = 16_384 // for the close
	maxScopes      = 16_384 // strategies and accounts whose orders are checked for risk
)

// Grace is how long rules wait for what is recorded late, in the log's own time:
// recorded_at, or occurred_at of events without one.
const Grace = time.Minute

// GraceEvents ends a grace early, so that what waits is bounded.
const GraceEvents = 20_000

// Engine judges the events of one log. It is for one goroutine at a time, and its
// memory is bounded: see docs/rules.md.
type Engine struct {
	set  *Set
	now  time.Time // the latest of the log's own time
	seen int64     // events

	orders      *memory[order]
	over        *memory[order] // over, and their grace has passed
	trails      *memory[trail]
	activities  *memory[activity]
	instruments *memory[instrument]
	scopes      *memory[time.Time]
	horizon     time.Time // of the latest trail that was forgotten
	waiting     queue
	stats       Stats

	moment moment
}

// Stats counts what an engine could not judge.
type Stats struct {
	Events       int64            `json:"events"`                 // observed, without findings
	Forgotten    int64            `json:"forgotten"`              // orders that were forgotten while they were open
	Unjudged     int64            `json:"unjudged"`               // questions whose order or decision was forgotten
	Waiting      int              `json:"waiting"`                // questions that wait for their grace
	Uncomputable map[string]int64 `json:"uncomputable,omitempty"` // by rule: events on which its expression makes no sense

	// Defects of ours. Each was a finding, too.

	Broken map[string]string `json:"broken,omitempty"` // rules that panicked and judge no more, with what they said
	Unfit  int64             `json:"unfit,omitzero"`   // events at which the engine panicked
	Defect string            `json:"defect,omitzero"`  // what the first of these panics said
}

// Engine starts a judgement that has seen nothing.
func (s *Set) Engine() *Engine {
	e := &Engine{set: s}
	e.orders = newMemory(maxOrders, func(o *order) {
		if !o.Fold.Status.Terminal() {
			e.stats.Forgotten++
		}
	})
	e.over = newMemory[order](maxOver, nil)
	e.trails = newMemory(maxTrails, func(t *trail) {
		if t.Seen.After(e.horizon) {
			e.horizon = t.Seen
		}
	})
	e.activities = newMemory[activity](maxActivities, nil)
	e.instruments = newMemory[instrument](maxInstruments, nil)
	e.scopes = newMemory[time.Time](maxScopes, nil)
	e.moment.engine = e
	return e
}

// Stats returns what was counted so far.
func (e *Engine) Stats() Stats {
	out := e.stats
	out.Events, out.Waiting = e.seen, len(e.waiting.waiting())
	out.Uncomputable = make(map[string]int64, len(e.stats.Uncomputable))
	maps.Copy(out.Uncomputable, e.stats.Uncomputable)
	out.Broken = maps.Clone(e.stats.Broken)
	return out
}

// Observe judges the next event of the log and returns what it completes, in the
// order of the set's rules; what waited for its grace comes first. Findings about
// findings would never end: events of type anomaly.* are not looked at. The caller
// must not change the event afterwards.
//
// A rule that panics is a finding of its own and judges no more; the others go on.
func (e *Engine) Observe(l domain.Located) (found []Finding) {
	if l.Event == nil || l.Type.Judgement() {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			found = e.broke(l, p)
		}
	}()
	e.seen++
	if at := cmp.Or(l.RecordedAt, l.OccurredAt); at.After(e.now) {
		e.now = at
	}
	x := &e.moment
	x.begin(l)
	e.settle(x)
	x.begin(l)
	x.facts.read(l.Data)
	x.fill, x.isFill = domain.Fill{}, l.Type == domain.OrderPartiallyFilled || l.Type == domain.OrderFilled
	if x.isFill {
		x.fill = x.facts.fill()
	}
	e.noteTrails(x)
	repeated := l.OrderID != "" && !e.noteOrder(x)
	if !repeated {
		e.noteActivity(x)
		e.ask(x)
	}
	found = x.found
	x.end()
	return found
}

// ask puts the event before every rule that it concerns.
func (e *Engine) ask(x *moment) {
	family := x.event.Type.Family()
	x.judge(onAny)
	x.judge(occasion(x.event.Type))
	if family == "signal" || family == "recommendation" || family == "risk" || family == "approval" {
		x.judge(onTrail)
	}
	if x.order != nil {
		x.judge(onOrder)
	}
	if x.isFill {
		x.judge(onFill)
	}
	switch {
	case x.cancelled:
		x.judge(onCancel)
		x.judge(onQuote)
	case x.quote:
		x.judge(onQuote)
	}
}

// Finish answers what waits for its grace, as if it had passed: for a log that has
// come to its end. The engine observes nothing after it.
func (e *Engine) Finish() []Finding {
	x := &e.moment
	x.begin(domain.Located{Event: &domain.Event{}})
	for q, ok := e.waiting.next(); ok; q, ok = e.waiting.next() {
		e.answer(x, q)
	}
	found := x.found
	x.end()
	return found
}

// settle answers the questions whose grace has passed.
func (e *Engine) settle(x *moment) {
	for q, ok := e.waiting.due(e.now, e.seen); ok; q, ok = e.waiting.due(e.now, e.seen) {
		e.answer(x, q)
	}
	x.order = nil
}

func (e *Engine) answer(x *moment, q question) {
	o := cmp.Or(e.orders.get(q.Order), e.over.get(q.Order))
	if o == nil {
		e.stats.Unjudged++
		return
	}
	x.order, x.question = o, q
	x.judge(q.Kind)
	if q.Kind != dueEnd {
		return
	}
	o.Ending = false
	// A good-till-cancelled order that is done for the day goes on tomorrow.
	if s := o.Fold.Status; s.Terminal() && s != domain.StatusDoneForDay {
		o.Recent = nil
		e.orders.drop(q.Order)
		e.over.put(q.Order, o)
	}
}

// wait puts a question. All have the same grace, so they come due in their order.
func (e *Engine) wait(kind occasion, x *moment, names string) {
	e.waiting.put(question{
		Kind: kind, Order: x.event.OrderID, Due: e.now.Add(Grace), Count: e.seen + GraceEvents,
		Asked: mark{x.event.ID, x.event.OccurredAt}, Names: names,
	})
}

// noteTrails keeps what the event says of a decision.
func (e *Engine) noteTrails(x *moment) {
	ev := x.event
	family := ev.Type.Family()
	switch family {
	case "signal", "recommendation", "risk", "approval":
	default:
		return
	}
	if family == "risk" && !x.ahead() {
		for _, scope := range []string{"strategy-" + ev.StrategyID, "account-" + ev.AccountID} {
			if scope == "strategy-" || scope == "account-" {
				continue
			}
			if first := e.scopes.get(scope); first == nil || ev.OccurredAt.Before(*first) {
				e.scopes.put(scope, new(ev.OccurredAt))
			}
		}
	}
	refs := ev.Refs()
	for _, r := range refs {
		if r.Kind == domain.KindComputation && family != "signal" {
			continue // feeds hundreds of decisions
		}
		key := trailKey(r.Kind, r.ID)
		t := e.trails.get(key)
		if t == nil {
			t = e.trails.put(key, &trail{})
		}
		t.take(x)
		// One recommendation can ask for several approvals: each has a trail of its own.
		if x.trail == nil || family == "approval" && r.Kind == domain.KindApproval {
			x.trail = t
		}
	}
}

// noteOrder folds the event into its order; false says that it is an execution which
// is known already.
func (e *Engine) noteOrder(x *moment) bool {
	id := x.event.OrderID
	o := e.orders.get(id)
	if o == nil {
		if o = e.over.get(id); o == nil {
			o = &order{}
		}
		e.over.drop(id)
		e.orders.put(id, o)
	}
	submitted, dead := o.known(), o.Dead.known()
	x.order = o
	if !o.take(x) {
		return false
	}
	x.opened = !submitted && o.known()
	x.cancelled = x.event.Type == domain.OrderCancelled && !dead
	x.changed = x.event.Type == domain.OrderReplaceRequested || x.event.Type == domain.OrderReplaced && !o.Asks
	if x.opened {
		e.wait(dueSubmission, x, "")
	}
	if orig := x.facts.id(factOrigClientOrderID); orig != "" &&
		(x.event.Type == domain.OrderReplaced || x.event.Type == domain.OrderReplaceRequested) {
		e.wait(dueReplace, x, orig)
	}
	if ref := x.facts.id(factExecRefID); ref != "" && (x.event.Type == domain.TradeBusted || x.event.Type == domain.TradeCorrected) {
		e.wait(dueBust, x, ref)
	}
	if !o.Ending && o.Fold.Status.Terminal() {
		o.Ending = true
		e.wait(dueEnd, x, "")
	}
	return true
}
