// Package filter decides whether an event is one that somebody asked for: by
// type, owner, entity and time, and by an expression over the event's fields.
// docs/filters.md describes the expressions.
//
// Filters come from outside. Compiling one is bounded by the length of its
// expression, matching one event by a budget of steps; the answer depends on the
// filter and the event alone, never on the clock.
package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// The bounds of a filter.
const (
	MaxExpressionBytes = 4 << 10
	MaxValues          = 1000 // in each of the lists
)

// Filter says which events are wanted. Its dimensions must all agree; one that
// is left empty agrees with every event.
type Filter struct {
	// Any of the values. Types also take a family, "order.*", and the aliases
	// that are accepted at the door.
	Types, Tickers, Strategies, Accounts, Users, Orders []string

	// What the event says that it is about, letter by letter.
	EntityType, EntityID string

	// The window of occurred_at, [After, Before).
	After, Before time.Time

	Expression string
}

// Dimension is one part of a filter, for Without. Dimensions are joined by |.
type Dimension uint16

// The dimensions, named as the fields of Filter are.
const (
	Types Dimension = 1 << iota
	Tickers
	Strategies
	Accounts
	Users
	Orders
	Entity     // EntityType and EntityID
	Window     // After and Before
	Expression // Expression
)

// Matcher is a compiled Filter. It is safe for concurrent use.
type Matcher struct {
	types    map[domain.EventType]struct{}
	families []string // with their dot
	sets     [5]set   // tickers, strategies, accounts, users, orders
	filter   Filter
	skip     Dimension

	expression *expression // nil: none
	faults     *faults     // shared with what Without returns
}

type set map[string]struct{}

func (s set) has(value string) bool {
	_, ok := s[value]
	return ok
}

// Compile checks the filter. Errors are of class rejected and name the field at
// fault as the API does: "expression", "after", "types.0".
func (f Filter) Compile() (*Matcher, error) {
	m := &Matcher{filter: f, faults: &faults{}}
	if err := m.compileTypes(f.Types); err != nil {
		return nil, err
	}
	for i, list := range []struct {
		field  string
		values []string
	}{
		{"tickers", f.Tickers},
		{"strategies", f.Strategies},
		{"accounts", f.Accounts},
		{"users", f.Users},
		{"orders", f.Orders},
	} {
		if err := checkValues(list.field, list.values, domain.MaxIDBytes); err != nil {
			return nil, err
		}
		m.sets[i] = make(set, len(list.values))
		for _, value := range list.values {
			m.sets[i][value] = struct{}{}
		}
	}
	if len(f.EntityType) > domain.MaxNameBytes {
		return nil, domain.Rejectf(domain.CodeTooLarge, "entity_type", "longer than %d bytes", domain.MaxNameBytes)
	}
	if len(f.EntityID) > domain.MaxIDBytes {
		return nil, domain.Rejectf(domain.CodeTooLarge, "entity_id", "longer than %d bytes", domain.MaxIDBytes)
	}
	if !f.After.IsZero() && !f.Before.IsZero() && !f.After.Before(f.Before) {
		return nil, domain.Rejectf(domain.CodeInvalid, "after", "must be earlier than before")
	}
	if f.Expression != "" {
		var err error
		if m.expression, err = compile(f.Expression); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Matcher) compileTypes(names []string) error {
	if err := checkValues("types", names, domain.MaxNameBytes); err != nil {
		return err
	}
	m.types = make(map[domain.EventType]struct{}, len(names))
	for i, name := range names {
		family, isFamily := strings.CutSuffix(name, ".*")
		if strings.Contains(family, "*") || isFamily && family == "" {
			return domain.Rejectf(domain.CodeInvalid, fmt.Sprintf("types.%d", i), "%.64q: only a family ends in a wildcard, as in order.*", name)
		}
		if isFamily {
			m.families = append(m.families, family+".")
			continue
		}
		for _, t := range domain.ResolveTypes(name) {
			m.types[t] = struct{}{}
		}
	}
	return nil
}

func checkValues(field string, values []string, limit int) error {
	if len(values) > MaxValues {
		return domain.Rejectf(domain.CodeTooLarge, field, "more than %d values", MaxValues)
	}
	for i, value := range values {
		switch {
		case value == "":
			return domain.Rejectf(domain.CodeInvalid, fmt.Sprintf("%s.%d", field, i), "empty")
		case len(value) > limit:
			return domain.Rejectf(domain.CodeTooLarge, fmt.Sprintf("%s.%d", field, i), "longer than %d bytes", limit)
		}
	}
	return nil
}

// Without returns a matcher that takes every event for agreeing in these
// dimensions. It is for readers that know so by other means: an event that names
// no account belongs to the one that its order's earlier events named, so what
// was found in an account's trail is matched Without(Accounts). The expression
// still sees the event as it was recorded. Errors are counted together.
func (m *Matcher) Without(dimensions ...Dimension) *Matcher {
	without := *m
	for _, d := range dimensions {
		without.skip |= d
	}
	return &without
}

// Counting returns a matcher of the same filter that counts its errors alone.
func (m *Matcher) Counting() *Matcher {
	alone := *m
	alone.faults = &faults{}
	return &alone
}

// Owner are the account, the strategy and the user that an event belongs to.
type Owner struct{ Account, Strategy, User string }

// Match reports whether e is wanted. An expression that can't be computed on
// this event (the venue "NASDAQ" is no number) doesn't match; Errors counts it.
// The error is for defects only and says nothing about e.
func (m *Matcher) Match(e domain.Located) (bool, error) {
	return m.MatchOwned(e, Owner{})
}

// MatchOwned is Match for an event of which the owner is known: what e itself
// doesn't name is taken from owner. The expression still sees e as it was
// recorded.
func (m *Matcher) MatchOwned(e domain.Located, owner Owner) (bool, error) {
	if e.Event == nil {
		return false, errors.New("matching: there is no event")
	}
	if m.checks(Types) && len(m.filter.Types) > 0 && !m.wantsType(e.Type) {
		return false, nil
	}
	for i, value := range [...]string{
		e.Ticker, either(e.StrategyID, owner.Strategy), either(e.AccountID, owner.Account), either(e.UserID, owner.User), e.OrderID,
	} {
		if m.checks(Tickers<<i) && len(m.sets[i]) > 0 && !m.sets[i].has(value) {
			return false, nil
		}
	}
	if m.checks(Entity) {
		if f := &m.filter; f.EntityType != "" && f.EntityType != e.EntityType || f.EntityID != "" && f.EntityID != e.EntityID {
			return false, nil
		}
	}
	if m.checks(Window) {
		f := &m.filter
		if !f.After.IsZero() && e.OccurredAt.Before(f.After) || !f.Before.IsZero() && !e.OccurredAt.Before(f.Before) {
			return false, nil
		}
	}
	if m.expression == nil || !m.checks(Expression) {
		return true, nil
	}
	ok, err := m.expression.match(e)
	if err == nil {
		return ok, nil
	}
	if domain.ClassOf(err) != domain.ClassRejected {
		return false, err
	}
	m.faults.add(err)
	return false, nil
}

func (m *Matcher) checks(d Dimension) bool { return m.skip&d == 0 }

func (m *Matcher) wantsType(t domain.EventType) bool {
	if _, ok := m.types[t]; ok {
		return true
	}
	return slices.ContainsFunc(m.families, func(family string) bool { return strings.HasPrefix(string(t), family) })
}

func either(value, other string) string {
	if value != "" {
		return value
	}
	return other
}

// Errors returns on how many events the expression could not be computed so far,
// and the first reason. The reason names a place in the expression and nothing
// of the event: who asks need not be allowed to see it.
func (m *Matcher) Errors() (n int, first error) {
	m.faults.mu.Lock()
	defer m.faults.mu.Unlock()
	return m.faults.n, m.faults.first
}

type faults struct {
	mu    sync.Mutex
	n     int
	first error
}

func (f *faults) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.first == nil {
		f.first = err
	}
}
