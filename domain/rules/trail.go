package rules

import (
	"slices"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// trail is what rules remember of what comes before an order, for each
// recommendation, evaluation, approval and computation that events name.
type trail struct {
	Signal      mark    `json:"signal,omitzero"` // each the earliest of its type
	Recommended mark    `json:"recommended,omitzero"`
	Requested   mark    `json:"requested,omitzero"`
	Risk        answers `json:"risk,omitempty"`
	Approval    answers `json:"approval,omitempty"`

	Seen  time.Time `json:"seen"` // by the engine's time
	Found []string  `json:"found,omitempty"`
}

func (t *trail) take(x *moment) {
	e := x.event
	t.Seen = x.engine.now
	switch e.Type {
	case domain.SignalComputed:
		t.Signal.earlier(e)
	case domain.RecommendationGenerated, domain.RecommendationSuppressed:
		t.Recommended.earlier(e)
	case domain.RiskEvaluated, domain.RiskRejected:
		t.Risk.take(e, x.blocked())
	case domain.ApprovalRequested:
		t.Requested.earlier(e)
	case domain.ApprovalApproved:
		t.Approval.take(e, false)
	case domain.ApprovalRejected, domain.ApprovalExpired:
		t.Approval.take(e, true)
	default:
	}
}

// begun is the first step of the decision.
func (t *trail) begun() mark {
	return earliest(t.Signal, t.Recommended, t.Risk.first(), t.Requested)
}

// answer is what risk, or who approves, says.
type answer struct {
	mark

	Refuses bool `json:"refuses,omitzero"`
}

// maxAnswers bounds the answers that are kept: the first and the latest.
const maxAnswers = 16

// answers are in the order of occurred_at.
type answers []answer

func (all *answers) take(e *domain.Event, refuses bool) {
	at := len(*all)
	for at > 0 && (*all)[at-1].At.After(e.OccurredAt) {
		at--
	}
	if *all = slices.Insert(*all, at, answer{mark{e.ID, e.OccurredAt}, refuses}); len(*all) > maxAnswers {
		*all = slices.Delete(*all, 1, 2)
	}
}

func (all answers) first() mark {
	if len(all) == 0 {
		return mark{}
	}
	return all[0].mark
}

// until is the latest answer of its kind that was given by then.
func (all answers) until(at time.Time, refuses bool) mark {
	for _, a := range slices.Backward(all) {
		if a.Refuses == refuses && !a.At.After(at) {
			return a.mark
		}
	}
	return mark{}
}

func latest(a, b mark) mark {
	if !a.known() || b.known() && b.At.After(a.At) {
		return b
	}
	return a
}

func earliest(marks ...mark) mark {
	var first mark
	for _, m := range marks {
		if m.known() && (!first.known() || m.At.Before(first.At)) {
			first = m
		}
	}
	return first
}

func (t *trail) unfound(rule string) bool { return !slices.Contains(t.Found, rule) }
func (t *trail) setFound(rule string)     { t.Found = append(t.Found, rule) }

func trailKey(kind, id string) string { return kind + "-" + id }

// orderRefs are the kinds of order.Refs, in their order.
var orderRefs = [4]string{domain.KindRecommendation, domain.KindEvaluation, domain.KindApproval, domain.KindComputation}

// decision is what is known of what came before an order, by order.Refs; nil: nothing.
type decision struct {
	order  *order
	trails [len(orderRefs)]*trail
}

func (e *Engine) decision(o *order) decision {
	d := decision{order: o}
	for i, kind := range orderRefs {
		if o.Refs[i] != "" {
			d.trails[i] = e.trails.get(trailKey(kind, o.Refs[i]))
		}
	}
	return d
}

// seen reports whether the log has anything of the decision besides the order's own
// events and the computation, which feeds hundreds.
func (d decision) seen() bool { return d.trails[0] != nil || d.trails[1] != nil || d.trails[2] != nil }

// begun is the first step of the decision.
func (d decision) begun() mark {
	var first mark
	for _, t := range d.trails {
		if t != nil {
			first = earliest(first, t.begun())
		}
	}
	return first
}

// risk is what risk last said by then, agreeing or refusing, of the decision or of
// the order itself.
func (d decision) risk(at time.Time, refuses bool) mark {
	last := d.order.Risk.until(at, refuses)
	for _, t := range d.trails {
		if t != nil {
			last = latest(last, t.Risk.until(at, refuses))
		}
	}
	return last
}

// approval is what was last said by then to who asked for it. Of several approvals
// that of the order's own id counts.
func (d decision) approval(at time.Time, refuses bool) mark {
	var last mark
	for _, t := range d.asked() {
		if t != nil {
			last = latest(last, t.Approval.until(at, refuses))
		}
	}
	return last
}

// requested is when an approval was first asked for.
func (d decision) requested() mark {
	var first mark
	for _, t := range d.asked() {
		if t != nil {
			first = earliest(first, t.Requested)
		}
	}
	return first
}

func (d decision) asked() []*trail {
	const ofApproval = 2
	if d.trails[ofApproval] != nil {
		return d.trails[ofApproval : ofApproval+1]
	}
	return d.trails[:]
}
