package domain

import (
	"cmp"
	"slices"
	"time"
)

// Located is an event and where the store keeps it.
type Located struct {
	*Event

	Stream   string
	Revision uint64
	Position Position
}

// Step is one event of a chain.
type Step struct {
	Located

	Stage Stage
	// LatencyFromPrevious is 0 for the first; negative when clocks disagree. What was
	// found about a chain is no step of it: latencies reach over that.
	LatencyFromPrevious time.Duration
}

// Chain is an order's whole decision history.
type Chain struct {
	Order Order
	Steps []Step
}

// Concerns lists what an event without an order is about, of what comes before
// an order: everything it refers to, except a computation that it merely came
// out of. A computation feeds hundreds of recommendations; a chain wants the
// computation's own events, not all that followed from it.
func Concerns(e *Event) []Ref {
	refs := e.Refs()
	if e.Home().Kind != KindComputation {
		refs = slices.DeleteFunc(refs, func(r Ref) bool { return r.Kind == KindComputation })
	}
	return refs
}

// maxChainRefs bounds how far a chain is followed; hostile events could name
// references without end.
const maxChainRefs = 256

// CollectChain gathers the events of order's chain: its own, and those without
// an order that concern what it refers to, step by step. fetch returns the
// events that concern any of the references, some perhaps twice. What belongs to a sibling order is left
// out: events that name another order, and events that name another
// recommendation than the order's own.
func CollectChain(order string, own []Located, fetch func([]Ref) ([]Located, error)) ([]Located, error) {
	events := slices.Clone(own)
	taken := make(map[Position]struct{})
	refs := make(map[Ref]struct{})
	recommendations := 0
	var queue []Ref
	enqueue := func(e *Event) {
		for _, r := range e.Refs() {
			if _, known := refs[r]; known || len(refs) >= maxChainRefs {
				continue
			}
			refs[r] = struct{}{}
			queue = append(queue, r)
			if r.Kind == KindRecommendation {
				recommendations++
			}
		}
	}
	for _, e := range own {
		taken[e.Position] = struct{}{}
		enqueue(e.Event)
	}
	for len(queue) > 0 {
		batch := queue
		queue = nil
		found, err := fetch(batch)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			if _, twice := taken[e.Position]; twice || e.OrderID != "" && e.OrderID != order {
				continue
			}
			if _, ours := refs[Ref{KindRecommendation, e.RecommendationID}]; e.RecommendationID != "" && !ours && recommendations > 0 {
				continue
			}
			taken[e.Position] = struct{}{}
			events = append(events, e)
			enqueue(e.Event)
		}
	}
	return events, nil
}

// BuildChain puts an order's own events and those it refers to into causal
// order. What happens before an order exists is sorted by stage first, because
// clocks of different systems disagree and the decision can't follow the order;
// from the order on, executions, cancellations and positions are one history,
// sorted by occurred_at, then stage, then position in the log. events may come
// in any order and are reordered in place; duplicates must have been removed.
func BuildChain(order string, events []Located) Chain {
	chain := Chain{Order: Order{ID: order, Status: StatusUnknown}}
	slices.SortFunc(events, func(a, b Located) int { return a.Position.Compare(b.Position) })
	for _, e := range events {
		if e.OrderID == order {
			chain.Order.Apply(e.Event)
		}
	}
	slices.SortStableFunc(events, func(a, b Located) int {
		stageA, stageB := a.Type.Stage().rank(), b.Type.Stage().rank()
		trade := StageOrder.rank()
		return cmp.Or(
			cmp.Compare(min(stageA, trade), min(stageB, trade)),
			a.OccurredAt.Compare(b.OccurredAt),
			cmp.Compare(stageA, stageB),
		)
	})
	var previous *Event
	for _, e := range events {
		step := Step{Located: e, Stage: e.Type.Stage()}
		if previous != nil {
			step.LatencyFromPrevious = e.OccurredAt.Sub(previous.OccurredAt)
		}
		if !e.Type.Judgement() {
			previous = e.Event
		}
		chain.Steps = append(chain.Steps, step)
	}
	return chain
}

// Stages lists the stages that the chain has been through, in causal order.
func (c Chain) Stages() []Stage {
	var stages []Stage
	for _, s := range c.Steps {
		if !s.Type.Judgement() && !slices.Contains(stages, s.Stage) {
			stages = append(stages, s.Stage)
		}
	}
	slices.SortFunc(stages, func(a, b Stage) int { return cmp.Compare(a.rank(), b.rank()) })
	return stages
}

// LatencyTotal is the time from the first step to the last, without what was found
// about them.
func (c Chain) LatencyTotal() time.Duration {
	var first, last *Event
	for _, s := range c.Steps {
		if s.Type.Judgement() {
			continue
		}
		if last = s.Event; first == nil {
			first = s.Event
		}
	}
	if first == nil {
		return 0
	}
	return last.OccurredAt.Sub(first.OccurredAt)
}
