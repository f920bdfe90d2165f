package rules

import (
	"slices"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// trail is what rules remember of what comes before an order, for each
// recommendation, evaluation, approval and computation that events name.
type trail struct {
	Signal      mark `json:"signal,omitzero"` // each the earliest of its type
	Recommended mark `json:"recommended,omitzero"`
	Checked     mark `json:"checked,omitzero"` // risk.evaluated that does not refuse
	Blocked     mark `json:"blocked,omitzero"` // risk.rejected, or evaluated and refused
	Requested   mark `json:"requested,omitzero"`
	Approved    mark `json:"approved,omitzero"`
	Denied      mark `json:"denied,omitzero"` // rejected or expired

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
		if x.blocked() {
			t.Blocked.earlier(e)
		} else {
			t.Checked.earlier(e)
		}
	case domain.ApprovalRequested:
		t.Requested.earlier(e)
	case domain.ApprovalApproved:
		t.Approved.earlier(e)
	case domain.ApprovalRejected, domain.ApprovalExpired:
		t.Denied.earlier(e)
	default:
	}
}

// begun is the first step of the decision.
func (t *trail) begun() mark {
	return earliest(t.Signal, t.Recommended, t.Checked, t.Blocked, t.Requested)
}

// judged is the answer of risk.
func (t *trail) judged() mark { return earliest(t.Checked, t.Blocked) }

// answered is the answer to a request for approval.
func (t *trail) answered() mark { return earliest(t.Approved, t.Denied) }

// merge takes what another trail of the same order knows.
func (t *trail) merge(other *trail) {
	if other == nil {
		return
	}
	for _, pair := range []struct{ mine, its *mark }{
		{&t.Signal, &other.Signal},
		{&t.Recommended, &other.Recommended},
		{&t.Checked, &other.Checked},
		{&t.Blocked, &other.Blocked},
		{&t.Requested, &other.Requested},
		{&t.Approved, &other.Approved},
		{&t.Denied, &other.Denied},
	} {
		*pair.mine = earliest(*pair.mine, *pair.its)
	}
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

// decision is all that is known of what came before an order; seen reports whether
// the log has anything of it besides the order's own events.
func (e *Engine) decision(o *order) (all trail, seen bool) {
	for i, kind := range orderRefs {
		if o.Refs[i] == "" {
			continue
		}
		if t := e.trails.get(trailKey(kind, o.Refs[i])); t != nil {
			seen = seen || kind != domain.KindComputation
			all.merge(t)
		}
	}
	return all, seen
}
