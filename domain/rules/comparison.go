package rules

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
)

// Comparison holds the findings of one judgement against those of another, by their
// ids: of the same rule, version and evidence. It keeps what only one of the two has
// found so far, and nothing of what both have.
type Comparison struct {
	ahead [2]map[string]Finding // found by one of the two
	both  map[string]int        // by rule
}

// Compare begins a comparison.
func Compare() *Comparison {
	return &Comparison{ahead: [2]map[string]Finding{make(map[string]Finding), make(map[string]Finding)}, both: make(map[string]int)}
}

// Then adds what was found before, or by the rules that are compared with.
func (c *Comparison) Then(found ...Finding) { c.add(0, found) }

// Now adds what the rules under test find.
func (c *Comparison) Now(found ...Finding) { c.add(1, found) }

func (c *Comparison) add(which int, found []Finding) {
	for _, f := range found {
		if _, other := c.ahead[1-which][f.ID]; other {
			delete(c.ahead[1-which], f.ID)
			c.both[f.Rule]++
			continue
		}
		c.ahead[which][f.ID] = f
	}
}

// Difference is how two judgements differ in one rule.
type Difference struct {
	Rule      string `json:"rule"`
	New       int    `json:"new"`
	Vanished  int    `json:"vanished"`
	Unchanged int    `json:"unchanged"`
}

// Differences counts by rule, sorted by its id.
func (c *Comparison) Differences() []Difference {
	byRule := make(map[string]*Difference)
	at := func(rule string) *Difference {
		if byRule[rule] == nil {
			byRule[rule] = &Difference{Rule: rule}
		}
		return byRule[rule]
	}
	for _, f := range c.ahead[0] {
		at(f.Rule).Vanished++
	}
	for _, f := range c.ahead[1] {
		at(f.Rule).New++
	}
	for rule, n := range c.both {
		at(rule).Unchanged = n
	}
	out := make([]Difference, 0, len(byRule))
	for _, rule := range slices.Sorted(maps.Keys(byRule)) {
		out = append(out, *byRule[rule])
	}
	return out
}

// New returns up to limit findings of each rule that only the rules under test have,
// by rule, then time, then id.
func (c *Comparison) New(limit int) []Finding { return examples(c.ahead[1], limit) }

// Vanished returns up to limit findings of each rule that they don't have any more.
func (c *Comparison) Vanished(limit int) []Finding { return examples(c.ahead[0], limit) }

func examples(found map[string]Finding, limit int) []Finding {
	all := slices.SortedFunc(maps.Values(found), func(a, b Finding) int { return a.compare(b) })
	out := make([]Finding, 0)
	ofRule := make(map[string]int)
	for _, f := range all {
		if ofRule[f.Rule]++; ofRule[f.Rule] <= limit {
			out = append(out, f)
		}
	}
	return out
}

// Recorded reads the finding that an anomaly.detected event keeps; false for other
// events, and for anomalies that no rule has found.
func Recorded(e *domain.Event) (Finding, bool) {
	var data struct {
		Kind        string   `json:"kind"`
		Rule        string   `json:"rule"`
		Version     int      `json:"rule_version"`
		Severity    Severity `json:"severity"`
		Explanation string   `json:"explanation"`
		Evidence    []string `json:"evidence"`
		Value       string   `json:"value"`
		Limit       string   `json:"limit"`
		Unit        string   `json:"unit"`
	}
	if e.Type != domain.AnomalyDetected || e.EntityID == "" || json.Unmarshal(e.Data, &data) != nil || data.Rule == "" {
		return Finding{}, false
	}
	return Finding{
		ID: e.EntityID, Rule: data.Rule, Version: data.Version, Kind: data.Kind, Severity: data.Severity, Explanation: data.Explanation,
		Evidence: data.Evidence, Order: e.OrderID, Account: e.AccountID, Strategy: e.StrategyID, User: e.UserID, Ticker: e.Ticker,
		At: e.OccurredAt, Value: data.Value, Limit: data.Limit, Unit: data.Unit,
	}, true
}
