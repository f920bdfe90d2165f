package rules

// WithDefect is the rules that come along behind one that panics at an order's events.
func WithDefect(rule string) (*Set, error) {
	broken := definition{
		Rule: Rule{ID: rule, Version: 1, Kind: "test", Severity: Low, Title: "broken"}, on: []occasion{onOrder},
		build: func(limits) judge {
			return func(x *moment) verdict {
				return verdict{evidence: []string{[]string{}[len(x.event.ID)]}}
			}
		},
	}
	return newSet(append([]definition{broken}, builtin()...), nil)
}

// Break makes the engine itself panic at the next event.
func (e *Engine) Break() { e.orders = nil }

// Repair takes that back.
func (e *Engine) Repair() { e.orders = newMemory(maxOrders, func(*order) {}) }
