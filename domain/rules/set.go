package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
)

// Set is compiled rules with their thresholds. It is immutable and safe for
// concurrent use; each log that is judged needs an Engine of its own.
type Set struct {
	rules   []*compiled
	asked   map[occasion][]*compiled // in the order of rules
	owners  map[string]string        // by account
	closing *closing                 // nil: nobody wants to know
	hash    string
}

// compiled is a rule that can judge.
type compiled struct {
	Rule

	judge judge
}

// Default is the rules that come along, with their default thresholds.
func Default() *Set {
	s, err := newSet(builtin(), nil)
	if err != nil {
		panic("rules: the rules that come along: " + err.Error()) // a test compiles them
	}
	return s
}

// newSet compiles. Errors name the rule in their field.
func newSet(definitions []definition, owners map[string]string) (*Set, error) {
	s := &Set{asked: make(map[occasion][]*compiled), owners: owners}
	for _, d := range definitions {
		c, err := s.compile(d)
		if err != nil {
			return nil, err
		}
		s.rules = append(s.rules, c)
		if c.Off {
			continue
		}
		for _, on := range d.on {
			s.asked[on] = append(s.asked[on], c)
		}
	}
	s.hash = s.digest()
	return s, nil
}

func (s *Set) compile(d definition) (*compiled, error) {
	l := make(limits, len(d.Thresholds))
	for _, t := range d.Thresholds {
		read, err := t.read()
		if err != nil {
			return nil, err
		}
		l[t.Name] = read
	}
	if d.ID == "marking-the-close" {
		if l["close"].text == "" {
			d.Off = true
		} else if !d.Off {
			s.closing = &closing{at: l.duration("close"), last: l.duration("last"), after: l.duration("after"), zone: l["zone"].zone}
		}
	}
	return &compiled{Rule: d.Rule, judge: d.build(l)}, nil
}

// Rules lists all rules, also those that are off, in the order in which they judge.
func (s *Set) Rules() []Rule {
	out := make([]Rule, len(s.rules))
	for i, c := range s.rules {
		out[i] = c.Rule
		out[i].Thresholds = slices.Clone(c.Thresholds)
	}
	return out
}

// Rule returns the rule of that id.
func (s *Set) Rule(id string) (Rule, error) {
	for _, r := range s.Rules() {
		if r.ID == id {
			return r, nil
		}
	}
	return Rule{}, &domain.Error{Class: domain.ClassNotFound, Code: "no_such_rule", Message: "there is no rule " + id}
}

// Hash identifies what the set judges by: ids, versions, thresholds, what is off,
// expressions, owners. Two sets of one hash find the same.
func (s *Set) Hash() string { return s.hash }

func (s *Set) digest() string {
	data, err := json.Marshal(struct {
		Rules  []Rule            `json:"rules"`
		Owners map[string]string `json:"owners"`
		Grace  int64             `json:"grace"`
		Events int               `json:"grace_events"`
	}{s.Rules(), s.owners, int64(Grace), GraceEvents}, json.Deterministic(true))
	if err != nil {
		panic("rules: " + err.Error()) // texts and numbers only
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
