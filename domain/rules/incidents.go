package rules

import (
	"cmp"

	"github.com/tradetrail/tradetrail/domain"
)

// incidents are what a source itself reports as gone wrong.
func incidents() []definition {
	return []definition{
		{
			Rule: Rule{
				ID: "risk-block", Version: 1, Kind: "risk_block", Severity: Medium, Title: "Risk blocked a decision",
				Says: "Risk refused the decision: {reason}.", Judges: "at risk.rejected, or risk.evaluated with eligible: false",
				Source: "the event itself",
			},
			on: types(domain.RiskEvaluated, domain.RiskRejected),
			build: func(limits) judge {
				return func(x *moment) verdict {
					if !x.blocked() {
						return verdict{}
					}
					return x.reported("reason", cmp.Or(x.facts.text(factReason), x.facts.list(factReasons)))
				}
			},
		},
		{
			Rule: Rule{
				ID: "order-rejected", Version: 1, Kind: "rejection", Severity: Medium, Title: "An order was rejected",
				Says: "The order was rejected: {reason}.", Judges: "at order.rejected", Source: "FIX ExecType 8",
			},
			on: types(domain.OrderRejected),
			build: func(limits) judge {
				return func(x *moment) verdict { return x.reported("reason", x.facts.text(factReason)) }
			},
		},
		{
			Rule: Rule{
				ID: "duplicate-prevented", Version: 1, Kind: "duplicate", Severity: Low, Title: "A second order was prevented",
				Says:   "The same order was about to be sent twice, and was stopped.",
				Judges: "at order.duplicate_prevented", Source: "the event itself",
			},
			on:    types(domain.OrderDuplicatePrevented),
			build: func(limits) judge { return func(x *moment) verdict { return x.reported() } },
		},
		{
			Rule: Rule{
				ID: "circuit-breaker", Version: 1, Kind: "circuit_breaker", Severity: High, Title: "A circuit breaker tripped",
				Says: "The circuit breaker {breaker} tripped.", Judges: "at circuit_breaker.triggered",
				Source: "the event itself",
			},
			on: types(domain.CircuitBreakerTriggered),
			build: func(limits) judge {
				return func(x *moment) verdict { return x.reported("breaker", x.facts.text(factBreaker)) }
			},
		},
		{
			Rule: Rule{
				ID: "approval-expired", Version: 1, Kind: "approval_expired", Severity: Low, Title: "Nobody answered a request for approval",
				Says:   "The request for approval expired before anybody answered it.",
				Judges: "at approval.expired", Source: "the event itself",
			},
			on:    types(domain.ApprovalExpired),
			build: func(limits) judge { return func(x *moment) verdict { return x.reported() } },
		},
	}
}

// reported is the verdict that the event itself pronounces. A word without a value
// is said to be unknown.
func (x *moment) reported(words ...string) verdict {
	for i := 1; i < len(words); i += 2 {
		words[i] = cmp.Or(words[i], "no reason given")
	}
	return verdict{at: x.event.OccurredAt, evidence: []string{x.event.ID}, words: words}
}
