package rules

import (
	"cmp"
	"maps"
	"slices"
)

// The bounds of a comparison.
const (
	maxCompared = 500_000 // keys of findings, two of each
	MaxExamples = 100     // that are kept, of each rule and judgement
)

// Comparison holds the findings of one judgement against those of another. Two are the
// same if their ids are, or their rules and what they are about: so two versions of a
// rule can be compared. What one judgement finds twice counts once.
type Comparison struct {
	known      map[string]*met // by id, and by rule and what the finding is about
	byRule     map[string]*compared
	uncompared int64
}

// met is a finding, by which of the two judgements found it.
type met struct{ by [2]bool }

// compared is a rule's findings; only has those that one of the two judgements found.
type compared struct {
	only     [2]int
	both     int
	examples [2]map[*met]Finding
}

// Compare begins a comparison.
func Compare() *Comparison {
	return &Comparison{known: make(map[string]*met), byRule: make(map[string]*compared)}
}

// Then adds what was found before, or by the rules that are compared with.
func (c *Comparison) Then(found ...Finding) { c.add(0, found) }

// Now adds what the rules under test find.
func (c *Comparison) Now(found ...Finding) { c.add(1, found) }

// Uncompared counts the findings for which there was no room: they are in no other
// number.
func (c *Comparison) Uncompared() int64 { return c.uncompared }

func (c *Comparison) add(which int, found []Finding) {
	for _, f := range found {
		m := c.find(f)
		if m == nil {
			c.uncompared++
			continue
		}
		r := c.byRule[f.Rule]
		if r == nil {
			r = &compared{examples: [2]map[*met]Finding{make(map[*met]Finding), make(map[*met]Finding)}}
			c.byRule[f.Rule] = r
		}
		switch other := 1 - which; {
		case m.by[which]:
		case m.by[other]:
			r.only[other]--
			r.both++
			delete(r.examples[other], m)
		default:
			r.only[which]++
			if len(r.examples[which]) < MaxExamples {
				r.examples[which][m] = f
			}
		}
		m.by[which] = true
	}
}

// find is the entry of a finding, a new one if there is room.
func (c *Comparison) find(f Finding) *met {
	keys := []string{f.ID}
	if about := f.about(); len(about) > 0 {
		keys = append(keys, findingID(f.Rule, 0, about))
	}
	var m *met
	for _, k := range keys {
		m = cmp.Or(m, c.known[k])
	}
	if m == nil {
		if len(c.known) >= maxCompared {
			return nil
		}
		m = new(met)
	}
	for _, k := range keys {
		c.known[k] = m
	}
	return m
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
	out := make([]Difference, 0, len(c.byRule))
	for _, rule := range slices.Sorted(maps.Keys(c.byRule)) {
		r := c.byRule[rule]
		out = append(out, Difference{Rule: rule, New: r.only[1], Vanished: r.only[0], Unchanged: r.both})
	}
	return out
}

// New returns up to limit of the kept findings of each rule that only the rules under
// test have, by rule, then time, then id.
func (c *Comparison) New(limit int) []Finding { return c.examples(1, limit) }

// Vanished returns up to limit of the kept findings of each rule that they don't have
// any more.
func (c *Comparison) Vanished(limit int) []Finding { return c.examples(0, limit) }

func (c *Comparison) examples(which, limit int) []Finding {
	out := make([]Finding, 0)
	for _, rule := range slices.Sorted(maps.Keys(c.byRule)) {
		all := slices.SortedFunc(maps.Values(c.byRule[rule].examples[which]), func(a, b Finding) int { return a.compare(b) })
		out = append(out, all[:min(limit, len(all))]...)
	}
	return out
}
