package rules

import (
	"github.com/tradetrail/tradetrail/domain"
)

// Rule is what there is to know about a rule.
type Rule struct {
	ID       string   `json:"id"`      // stored in findings: for ever
	Version  int      `json:"version"` // raised when it judges otherwise; a new threshold is no new version
	Kind     string   `json:"kind"`    // what findings are grouped by
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`

	Says   string `json:"says"`   // template of the explanation
	Judges string `json:"judges"` // when it judges, and by which time
	Source string `json:"source"`
	Blind  string `json:"blind,omitzero"` // what it can't see

	Thresholds []Threshold `json:"thresholds,omitempty"`
	Own        bool        `json:"own"`             // comes from a file, not with Tradetrail
	Types      []string    `json:"types,omitempty"` // of a rule of one's own: which events it looks at; none: all
	When       string      `json:"when,omitzero"`   // its expression
	Value      string      `json:"value,omitzero"`  // where what it shows stands
	Limit      string      `json:"limit,omitzero"`
	Once       bool        `json:"once"` // at most one finding of an order
	Off        bool        `json:"off"`  // is in the set and does not judge
}

// Threshold is a number or a word that a rule is configured by.
type Threshold struct {
	Name   string `json:"name"`
	Unit   Unit   `json:"unit"`
	Value  string `json:"value"`
	Max    string `json:"max,omitzero"` // of a duration or a count: what the engine remembers
	Means  string `json:"means"`
	Source string `json:"source"` // of the default; "ours" when it is a choice of ours
}

// Unit says how a threshold is written.
type Unit string

// The units of thresholds.
const (
	Fraction  Unit = "fraction" // 0.005, also written 50bps or 0.5%
	Amount    Unit = "amount"   // a decimal from 0 on
	Duration  Unit = "duration" // 1.5s
	Count     Unit = "count"    // a whole number from 1 on
	TimeOfDay Unit = "time"     // 16:00, or empty
	Zone      Unit = "zone"     // America/New_York
)

// ours is the source of a threshold for which no public yardstick was found.
const ours = "ours"

// judge looks at the moment and says what it finds. It changes nothing but marks of
// its own rule in what it was shown.
type judge func(x *moment) verdict

// occasion is when a rule is asked. The name of an event type is one, too.
type occasion string

const (
	onAny    occasion = "any event"
	onOrder  occasion = "any event of an order"
	onFill   occasion = "an execution"
	onCancel occasion = "a cancellation"
	onQuote  occasion = "an order message"
	onTrail  occasion = "any event before an order"

	// What is judged when the grace has passed.
	dueSubmission occasion = "grace after a submission"
	dueReplace    occasion = "grace after a replacement"
	dueBust       occasion = "grace after a bust"
	dueEnd        occasion = "grace after an end"
)

// types are occasions of event types.
func types(names ...domain.EventType) []occasion {
	out := make([]occasion, len(names))
	for i, name := range names {
		out[i] = occasion(name)
	}
	return out
}

// definition is a rule and how it judges.
type definition struct {
	Rule

	on    []occasion
	build func(limits) judge
}

// builtin are the rules that come along, in the order of docs/rules.md.
func builtin() []definition {
	var all []definition
	for _, family := range [][]definition{incidents(), slippage(), latency(), lifecycle(), clocks(), behaviour()} {
		all = append(all, family...)
	}
	return all
}
