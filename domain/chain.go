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

	Stage               Stage
	LatencyFromPrevious time.Duration // 0 for the first; negative when clocks disagree
}

// Chain is an order's whole decision history.
type Chain struct {
	Order Order
	Steps []Step
}

// Belongs reports whether an event that was found through one of order's
// references is part of order's chain: events of sibling orders, which share a
// recommendation, are not.
func Belongs(e *Event, order string) bool { return e.OrderID == "" || e.OrderID == order }

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
	for i, e := range events {
		step := Step{Located: e, Stage: e.Type.Stage()}
		if i > 0 {
			step.LatencyFromPrevious = e.OccurredAt.Sub(events[i-1].OccurredAt)
		}
		chain.Steps = append(chain.Steps, step)
	}
	return chain
}

// Stages lists the stages that the chain has been through, in causal order.
func (c Chain) Stages() []Stage {
	var stages []Stage
	for _, s := range c.Steps {
		if !slices.Contains(stages, s.Stage) {
			stages = append(stages, s.Stage)
		}
	}
	slices.SortFunc(stages, func(a, b Stage) int { return cmp.Compare(a.rank(), b.rank()) })
	return stages
}

// LatencyTotal is the time from the first step to the last.
func (c Chain) LatencyTotal() time.Duration {
	if len(c.Steps) == 0 {
		return 0
	}
	return c.Steps[len(c.Steps)-1].OccurredAt.Sub(c.Steps[0].OccurredAt)
}
