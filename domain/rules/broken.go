package rules

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
)

// What an engine finds about itself. Stored names, beside those of the rules.
const (
	brokenRule  = "rule-broken"
	brokenEvent = "event-not-judged"
	brokenKind  = "detection"
)

// maxDefect bounds how much of a panic is kept.
const maxDefect = 200

// verdict asks a rule. One that panics judges no more: its half-made judgements could
// be wrong. That is a finding of its own, and what a snapshot remembers.
func (x *moment) verdict(r *compiled) (v verdict) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		v = verdict{}
		defects := &x.engine.stats.Broken
		if *defects == nil {
			*defects = make(map[string]string)
		}
		(*defects)[r.ID] = defectText(p)
		x.found = append(x.found, x.defect(brokenRule, r.ID,
			"The rule "+r.ID+" broke at this event and judges no more. The service's log says why."))
	}()
	return r.judge(x)
}

// broke is what Observe finds when the engine itself panics over an event.
func (e *Engine) broke(l domain.Located, p any) []Finding {
	x := &e.moment
	x.begin(l)
	e.stats.Unfit++
	e.stats.Defect = cmp.Or(e.stats.Defect, defectText(p))
	x.found = append(x.found, x.defect(brokenEvent, "",
		"This event could not be judged, and what rules remember of it may be incomplete. The service's log says why."))
	found := x.found
	x.end()
	return found
}

// defect says that something of ours went wrong at the event of the moment. What a
// panic says is no part of it: the same log must give the same finding.
func (x *moment) defect(rule, of, explanation string) Finding {
	e := x.event
	evidence := []string{e.ID}
	return Finding{
		ID: findingID(rule+" "+of, 1, evidence), Rule: rule, Version: 1, Kind: brokenKind, Severity: High,
		Explanation: explanation, Evidence: evidence,
		Order: e.OrderID, Account: e.AccountID, Strategy: e.StrategyID, User: e.UserID, Ticker: e.Ticker, At: e.OccurredAt.UTC(),
	}
}

func defectText(p any) string {
	text := fmt.Sprint(p)
	return strings.ToValidUTF8(text[:min(len(text), maxDefect)], "")
}
