package filter

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tradetrail/tradetrail/domain"
)

// function is what an expression can call by its name (public), or what an
// operator stands for.
type function struct {
	public   bool
	min, max int // number of arguments, for public ones
	kind     kind
	call     func(r *run, args []any) (any, error)
}

func (f function) arity() string {
	switch {
	case f.max == math.MaxInt:
		return fmt.Sprintf("at least %d arguments", f.min)
	case f.min == 1 && f.max == 1:
		return "1 argument"
	default:
		return fmt.Sprintf("%d arguments", f.min)
	}
}

// signature is what expr's checker is told of the function.
func (f function) signature() any {
	if f.kind == truth {
		return new(func(...any) bool)
	}
	return new(func(...any) any)
}

func (f function) invoke(args ...any) (any, error) {
	r, ok := args[0].(*run)
	if !ok {
		return nil, errors.New("a foreign run")
	}
	if err := r.charge(callSteps); err != nil {
		return nil, err
	}
	return f.call(r, args[1:])
}

// functions is the whole vocabulary, besides the loops. Nothing in it looks at a
// clock or at anything else but its arguments.
var functions = map[string]function{
	// What operators stand for.
	"field": {call: func(r *run, a []any) (any, error) {
		i, ok := a[0].(int)
		if !ok {
			return nil, errors.New("a field without a number")
		}
		return r.field(i)
	}},
	"get":  {call: func(r *run, a []any) (any, error) { return r.get(a[0], a[1]) }},
	"list": {call: func(r *run, a []any) (any, error) { return r.list(a[0]) }},
	"bool": {kind: truth, call: func(_ *run, a []any) (any, error) {
		switch v := a[0].(type) {
		case nil:
			return false, nil
		case bool:
			return v, nil
		default:
			return nil, fault(nameOf(v) + " is not true or false")
		}
	}},
	"equal":    {kind: truth, call: func(r *run, a []any) (any, error) { return r.equals(a[0], a[1]) }},
	"less":     ordering(func(c relation) bool { return c == less }),
	"atMost":   ordering(func(c relation) bool { return c == less || c == equal }),
	"more":     ordering(func(c relation) bool { return c == greater }),
	"atLeast":  ordering(func(c relation) bool { return c == greater || c == equal }),
	"in":       {kind: truth, call: contained},
	"add":      {call: func(r *run, a []any) (any, error) { return r.add(a[0], a[1]) }},
	"subtract": {call: func(r *run, a []any) (any, error) { return r.subtract(a[0], a[1]) }},
	"multiply": {call: func(r *run, a []any) (any, error) {
		return r.arithmetic(a[0], a[1], func(x, y domain.Decimal) (domain.Decimal, error) { return x.Mul(y), nil })
	}},
	"divide": {call: func(r *run, a []any) (any, error) { return r.arithmetic(a[0], a[1], quotient) }},
	"modulo": {call: func(r *run, a []any) (any, error) { return r.arithmetic(a[0], a[1], remainder) }},
	"negate": {call: func(_ *run, a []any) (any, error) {
		if d, ok := a[0].(time.Duration); ok && d != math.MinInt64 {
			return -d, nil
		}
		return onNumber(a[0], domain.Decimal.Neg)
	}},
	"contains": {kind: truth, call: onTexts(strings.Contains)},
	"matches":  {kind: truth, call: matches},

	// Text.
	"hasPrefix":  {true, 2, 2, truth, onTexts(strings.HasPrefix)},
	"hasSuffix":  {true, 2, 2, truth, onTexts(strings.HasSuffix)},
	"lower":      {true, 1, 1, value, onText(strings.ToLower)},
	"upper":      {true, 1, 1, value, onText(strings.ToUpper)},
	"trim":       {true, 1, 1, value, onText(strings.TrimSpace)},
	"trimPrefix": {true, 2, 2, value, cut(strings.TrimPrefix)},
	"trimSuffix": {true, 2, 2, value, cut(strings.TrimSuffix)},
	"split":      {true, 2, 2, value, split},
	"string":     {true, 1, 1, value, onText(func(s string) string { return s })},
	"len":        {true, 1, 1, value, length},

	// Numbers.
	"number": {true, 1, 1, value, func(_ *run, a []any) (any, error) {
		return onNumber(a[0], func(d domain.Decimal) domain.Decimal { return d })
	}},
	"abs":   {true, 1, 1, value, func(_ *run, a []any) (any, error) { return absolute(a[0]) }},
	"floor": {true, 1, 1, value, func(_ *run, a []any) (any, error) { return onNumber(a[0], domain.Decimal.Floor) }},
	"ceil":  {true, 1, 1, value, func(_ *run, a []any) (any, error) { return onNumber(a[0], domain.Decimal.Ceil) }},
	"round": {true, 1, 1, value, func(_ *run, a []any) (any, error) {
		return onNumber(a[0], func(d domain.Decimal) domain.Decimal { return d.Round(0) })
	}},
	"min": {true, 1, math.MaxInt, value, extreme(less)},
	"max": {true, 1, math.MaxInt, value, extreme(greater)},
	"sum": {true, 1, 1, value, sum},

	// Lists.
	"first": {true, 1, 1, anything, func(r *run, a []any) (any, error) { return r.end(a[0], 0) }},
	"last":  {true, 1, 1, anything, func(r *run, a []any) (any, error) { return r.end(a[0], -1) }},

	// Times.
	"date": {true, 1, 1, moment, func(_ *run, a []any) (any, error) {
		if a[0] == nil {
			return nil, nil
		}
		if at, ok := timeOf(a[0]); ok {
			return at, nil
		}
		return nil, fault(nameOf(a[0]) + " is not an RFC 3339 time or date")
	}},
	"duration": {true, 1, 1, value, func(_ *run, a []any) (any, error) {
		if a[0] == nil {
			return nil, nil
		}
		if d, ok := durationOf(a[0]); ok {
			return d, nil
		}
		return nil, fault(nameOf(a[0]) + " is not a duration")
	}},
}

func ordering(holds func(relation) bool) function {
	return function{kind: truth, call: func(r *run, a []any) (any, error) {
		found, err := r.ordered(a[0], a[1])
		return found != apart && holds(found), err
	}}
}

// contained is in: an element of a list, or the name of a field of an object.
func contained(r *run, a []any) (any, error) {
	if isCompound(a[1]) && nameOf(a[1]) == "an object" {
		found, err := r.get(a[1], a[0])
		return found != nil, err
	}
	list, err := r.list(a[1])
	if err != nil {
		return nil, err
	}
	if err := r.charge(len(list) * callSteps / 2); err != nil {
		return nil, err
	}
	for _, item := range list {
		same, err := r.equals(a[0], item)
		if err != nil || same {
			return same, err
		}
	}
	return false, nil
}

// text returns the argument's text and pays for reading it once.
func (r *run) text(v any) (string, error) {
	text, ok := textOf(v)
	if !ok {
		return "", fault(nameOf(v) + " is not a text")
	}
	return text, r.charge(len(text) / 8)
}

func onText(apply func(string) string) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		if a[0] == nil {
			return nil, nil
		}
		text, err := r.text(a[0])
		if err != nil {
			return nil, err
		}
		return apply(text), nil
	}
}

func onTexts(holds func(text, other string) bool) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		if a[0] == nil || a[1] == nil {
			return false, nil
		}
		text, other, err := r.texts(a)
		return err == nil && holds(text, other), err
	}
}

func (r *run) texts(a []any) (text, other string, err error) {
	if text, err = r.text(a[0]); err == nil {
		other, err = r.text(a[1])
	}
	return text, other, err
}

func cut(apply func(text, part string) string) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		if a[0] == nil || a[1] == nil {
			return a[0], nil
		}
		text, part, err := r.texts(a)
		if err != nil {
			return nil, err
		}
		return apply(text, part), nil
	}
}

func split(r *run, a []any) (any, error) {
	if a[0] == nil || a[1] == nil {
		return nil, nil
	}
	text, separator, err := r.texts(a)
	if err != nil {
		return nil, err
	}
	if err := r.charge(len(text) * callSteps); err != nil { // up to as many elements
		return nil, err
	}
	parts := strings.Split(text, separator)
	list := make([]any, len(parts))
	for i, part := range parts {
		list[i] = part
	}
	return list, nil
}

func matches(r *run, a []any) (any, error) {
	p, ok := a[1].(*pattern)
	if !ok {
		return nil, errors.New("matches without a pattern")
	}
	if a[0] == nil {
		return false, nil
	}
	text, err := r.text(a[0])
	if err != nil {
		return nil, err
	}
	if err := r.charge(len(text) * p.size / 4); err != nil {
		return nil, err
	}
	return p.MatchString(text), nil
}

func length(r *run, a []any) (any, error) {
	if a[0] == nil {
		return nil, nil
	}
	if isText(a[0]) {
		text, err := r.text(a[0])
		return utf8.RuneCountInString(text), err
	}
	list, err := r.list(a[0])
	return len(list), err
}

func onNumber(v any, apply func(domain.Decimal) domain.Decimal) (any, error) {
	if v == nil {
		return nil, nil
	}
	d, ok := numberOf(v)
	if !ok {
		return nil, fault(nameOf(v) + " is not a number")
	}
	return bounded(apply(d))
}

func absolute(v any) (any, error) {
	if d, ok := v.(time.Duration); ok {
		return d.Abs(), nil
	}
	return onNumber(v, domain.Decimal.Abs)
}

// elements are the arguments, or the elements of the only one.
func (r *run) elements(a []any) ([]any, error) {
	if len(a) == 1 && (isCompound(a[0]) || a[0] == nil) {
		return r.list(a[0])
	}
	return a, nil
}

// extreme is the least or greatest of what is there.
func extreme(wanted relation) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		list, err := r.elements(a)
		if err != nil {
			return nil, err
		}
		if err := r.charge(len(list) * callSteps); err != nil {
			return nil, err
		}
		var found any
		for _, v := range list {
			if v == nil {
				continue
			}
			d, ok := numberOf(v)
			if !ok {
				return nil, fault(nameOf(v) + " is not a number")
			}
			if best, ok := found.(domain.Decimal); !ok || relation(d.Cmp(best)) == wanted {
				found = d
			}
		}
		return found, nil
	}
}

func sum(r *run, a []any) (any, error) {
	list, err := r.list(a[0])
	if err != nil || list == nil {
		return nil, err
	}
	if err := r.charge(len(list) * callSteps); err != nil {
		return nil, err
	}
	var total any = domain.Decimal{}
	for _, v := range list {
		if v == nil {
			continue
		}
		if total, err = r.add(total, v); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func (r *run) end(v any, i int) (any, error) {
	if v == nil {
		return nil, nil
	}
	list, err := r.list(v)
	if err != nil {
		return nil, err
	}
	return r.at(list, i)
}
