package rules

import (
	"cmp"
	"maps"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// The bounds of an engine. Of what is over them, what was used longest ago is
// forgotten; nothing is found because something was forgotten.
const (
	maxOrders      = 50_000
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
	Uncomputable map[string]int64 `json:"uncomputable,omitempty"` // by rule: events on which its expression makes no sense
}

// Engine starts a judgement that has seen nothing.
func (s *Set) Engine() *Engine {
	e := &Engine{set: s}
	e.orders = newMemory(maxOrders, func(o *order) {
		if !o.Fold.Status.Terminal() {
			e.stats.Forgotten++
		}
	})
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
	out.Events = e.seen
	out.Uncomputable = make(map[string]int64, len(e.stats.Uncomputable))
	maps.Copy(out.Uncomputable, e.stats.Uncomputable)
	return out
}

// Observe judges the next event of the log and returns what it completes, in the
// order of the set's rules; what waited for its grace comes first. Findings about
// findings would never end: events of type anomaly.* are not looked at. The caller
// must not change the event afterwards.
func (e *Engine) Observe(l domain.Located) []Finding {
	if l.Event == nil || l.Type.Family() == "anomaly" {
		return nil
	}
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
	found := x.found
	x.end()
	return found
}

// ask puts the event before every rule that it concerns.
func (e *Engine) ask(x *moment) {
	family := x.event.Type.Family()
	x.judge(onAny)
	x.judge(occasion(x.event.Type))
	if x.order == nil && (family == "signal" || family == "recommendation" || family == "risk" || family == "approval") {
		x.judge(onTrail)
	}
	if x.order != nil {
		x.judge(onOrder)
	}
	if x.isFill {
		x.judge(onFill)
	}
	switch {
	case x.event.Type == domain.OrderCancelled:
		x.judge(onCancel)
		x.judge(onQuote)
	case x.quote:
		x.judge(onQuote)
	}
}

// settle answers the questions whose grace has passed.
func (e *Engine) settle(x *moment) {
	for q, ok := e.waiting.due(e.now, e.seen); ok; q, ok = e.waiting.due(e.now, e.seen) {
		o := e.orders.get(q.Order)
		if o == nil {
			e.stats.Unjudged++
			continue
		}
		x.order, x.question = o, q
		x.judge(q.Kind)
		if q.Kind == dueEnd {
			o.Ending = false
			if o.Fold.Status.Terminal() {
				e.orders.drop(q.Order)
			}
		}
	}
	x.order = nil
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
	if family == "risk" {
		for _, scope := range []string{"strategy-" + ev.StrategyID, "account-" + ev.AccountID} {
			if at := ev.OccurredAt; scope != "strategy-" && scope != "account-" && e.scopes.get(scope) == nil {
				e.scopes.put(scope, &at)
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
		if x.trail == nil {
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
		o = e.orders.put(id, &order{})
	}
	submitted := o.known()
	x.order = o
	if !o.take(x) {
		return false
	}
	x.opened = !submitted && o.known()
	if x.opened {
		e.wait(dueSubmission, x, "")
	}
	if orig := x.facts.text(factOrigClientOrderID); orig != "" &&
		(x.event.Type == domain.OrderReplaced || x.event.Type == domain.OrderReplaceRequested) {
		e.wait(dueReplace, x, orig)
	}
	if ref := x.facts.text(factExecRefID); ref != "" && (x.event.Type == domain.TradeBusted || x.event.Type == domain.TradeCorrected) {
		e.wait(dueBust, x, ref)
	}
	if !o.Ending && o.Fold.Status.Terminal() {
		o.Ending = true
		e.wait(dueEnd, x, "")
	}
	return true
}
