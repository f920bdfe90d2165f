package rules

import (
	"strings"
	"time"
)

// stretch is from one step of a chain to another.
type stretch struct{ from, to mark }

func (s stretch) took() time.Duration { return s.to.At.Sub(s.from.At) }

// latency rules hold a stretch of a chain against a limit, as soon as the log has
// both of its ends. Where clocks disagree so much that it comes out below zero,
// clock rules speak.
func latency() []definition {
	order := func(id, title, from, to, limit, blind string, of func(x *moment) stretch) definition {
		return slow(Rule{ID: id, Title: title, Blind: blind}, from, to, limit, []occasion{onOrder}, of)
	}
	before := func(id, title, from, to, limit string, of func(t *trail) stretch) definition {
		return slow(Rule{ID: id, Title: title}, from, to, limit, []occasion{onTrail}, func(x *moment) stretch {
			if x.trail == nil {
				return stretch{}
			}
			return of(x.trail)
		})
	}
	return []definition{
		slow(
			Rule{ID: "latency-signal", Title: "A recommendation came long after its signal"}, "the signal", "the recommendation", "30s",
			[]occasion{"recommendation.generated"},
			func(x *moment) stretch {
				t := x.engine.trails.get(trailKey(orderRefs[3], x.event.ComputationID))
				if t == nil || x.event.ComputationID == "" {
					return stretch{}
				}
				return stretch{t.Signal, mark{x.event.ID, x.event.OccurredAt}}
			},
		),
		before("latency-risk", "Risk took long to answer", "the recommendation", "the answer of risk", "1s",
			func(t *trail) stretch { return stretch{t.Recommended, t.Risk.first()} }),
		before("latency-approval", "An approval took long", "the request", "the answer", "15m",
			func(t *trail) stretch { return stretch{t.Requested, t.Approval.first()} }),
		order("latency-submit", "An order was sent long after its decision", "the last decision", "the submission", "1s", "child orders: slices are sent one after the other",
			func(x *moment) stretch {
				o := x.order
				if o.Child || !o.known() {
					return stretch{}
				}
				d := x.engine.decision(o)
				return stretch{latest(d.risk(o.Submitted.At, false), d.approval(o.Submitted.At, false)), o.Submitted}
			}),
		order("latency-accept", "The broker took long to accept", "the submission", "the acceptance", "1s", "",
			func(x *moment) stretch { return stretch{x.order.Submitted, x.order.Accepted} }),
		order("latency-fill", "A market order waited for its execution", "the acceptance", "the first execution", "30s",
			"limit orders: they may wait; orders of which the log has no acceptance",
			func(x *moment) stretch {
				if t := strings.ToLower(x.order.Fold.Type); t != "market" && t != "1" {
					return stretch{}
				}
				return stretch{x.order.Accepted, x.order.FirstFill}
			}),
		order("latency-chain", "The whole chain was slow", "the first step of the decision", "the first execution", "1h",
			"what is done after the first execution",
			func(x *moment) stretch {
				return stretch{x.engine.decision(x.order).begun(), x.order.FirstFill}
			}),
	}
}

// slow defines a rule about a stretch.
func slow(r Rule, from, to, limit string, on []occasion, of func(x *moment) stretch) definition {
	r.Version, r.Kind, r.Severity = 1, "latency", Low
	r.Says = "From " + from + " to " + to + " it took {value}; {limit} is allowed."
	r.Judges = "when the log has both " + from + " and " + to + ", in whatever order they were recorded"
	if on[0] != onOrder && on[0] != onTrail {
		r.Judges = "at " + to + ", if " + from + " was recorded before it"
	}
	r.Source = "the difference of occurred_at"
	r.Thresholds = []Threshold{{Name: "limit", Unit: Duration, Value: limit, Means: "a stretch longer than this", Source: ours}}
	r.Once = on[0] == onOrder
	return definition{
		Rule: r, on: on,
		build: func(l limits) judge {
			limit := l.duration("limit")
			return func(x *moment) verdict {
				s := of(x)
				if !s.from.known() || !s.to.known() || s.took() <= limit {
					return verdict{}
				}
				if on[0] == onTrail {
					if !x.trail.unfound(r.ID) {
						return verdict{}
					}
					x.trail.setFound(r.ID)
				}
				return verdict{
					at: x.event.OccurredAt, value: s.took().String(), limit: limit.String(), unit: "duration",
					evidence: []string{s.from.ID, s.to.ID},
				}
			}
		},
	}
}
