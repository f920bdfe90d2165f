package filter

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// The values of an expression: nil, bool, string (text that the expression or a
// field of the event itself says), datum, numeral, domain.Decimal, int and uint64
// (counts), time.Time, time.Duration, domain.Position, lists ([]any, or the
// text of one), objects (the text of one, *domain.Clock, *domain.Hop).
type (
	// datum is a string in data. It may be meant as text or as a number; whoever
	// it meets decides.
	datum string
	// numeral is a number in data, as it is written.
	numeral string
)

// fault is why an expression can't be computed on an event. It names no value:
// see Matcher.Errors.
type fault string

func (f fault) Error() string { return string(f) }

// nameOf says what a value is, for faults.
func nameOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case bool:
		return "true or false"
	case string, datum:
		return "a text"
	case numeral, domain.Decimal, int, uint64:
		return "a number"
	case time.Time:
		return "a time"
	case time.Duration:
		return "a duration"
	case domain.Position:
		return "a position"
	case []any:
		return "a list"
	case jsontext.Value:
		if v.Kind() == '[' {
			return "a list"
		}
		return "an object"
	default:
		return "an object"
	}
}

// textOf returns what is text, or can be read as it was written.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case datum:
		return string(v), true
	case numeral:
		return string(v), true
	case domain.Decimal:
		return v.String(), true
	case int:
		return fmt.Sprint(v), true
	case uint64:
		return fmt.Sprint(v), true
	default:
		return "", false
	}
}

func isText(v any) bool {
	switch v.(type) {
	case string, datum:
		return true
	default:
		return false
	}
}

func isNumber(v any) bool {
	switch v.(type) {
	case numeral, domain.Decimal, int, uint64:
		return true
	default:
		return false
	}
}

// numberOf returns what is a number, or a text that is one.
func numberOf(v any) (domain.Decimal, bool) {
	switch v := v.(type) {
	case domain.Decimal:
		return v, true
	case numeral:
		return parseNumber(string(v))
	case datum:
		return parseNumber(string(v))
	case string:
		return parseNumber(v)
	case int:
		return decimal.NewFromInt(int64(v)), true
	case uint64:
		return decimal.NewFromUint64(v), true
	default:
		return domain.Decimal{}, false
	}
}

// What is read in data is bounded more loosely than domain.ParseDecimal does: a
// score of 1.2345678901234567e-05 has more digits after the point than money.
const (
	maxNumberBytes = 64
	maxExponent    = 400
)

func parseNumber(text string) (domain.Decimal, bool) {
	n := shapeOf(text)
	switch {
	case !n.ok || len(text) > maxNumberBytes:
		return domain.Decimal{}, false
	case !n.exponent && len(text) <= 18: // fits into 64 bits
		return decimal.New(n.coefficient, -int32(n.scale)), true //nolint:gosec // scale is below 18
	}
	d, err := decimal.NewFromString(text)
	if err != nil || d.Exponent() > maxExponent || d.Exponent() < -maxExponent {
		return domain.Decimal{}, false
	}
	return d, true
}

// shape is how a number is written. The coefficient is right for short numbers
// without exponent only.
type shape struct {
	ok, exponent bool
	plain        bool // digits as programs write them: no +, no needless zeros in front
	coefficient  int64
	scale        int
}

// shapeOf reads [+-] digits [. digits] [e [+-] digits].
func shapeOf(text string) (n shape) {
	i := 0
	negative := false
	n.plain = true
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		negative, n.plain = text[i] == '-', text[i] == '-'
		i++
	}
	start := i
	for ; i < len(text) && isDigit(text[i]); i++ {
		n.coefficient = n.coefficient*10 + int64(text[i]-'0')
	}
	whole := i - start
	n.plain = n.plain && (whole == 1 || whole > 1 && text[start] != '0')
	if i < len(text) && text[i] == '.' {
		for i++; i < len(text) && isDigit(text[i]); i++ {
			n.coefficient = n.coefficient*10 + int64(text[i]-'0')
			n.scale++
		}
		n.plain = n.plain && n.scale > 0
	}
	if whole+n.scale == 0 {
		return shape{}
	}
	if negative {
		n.coefficient = -n.coefficient
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		n.exponent, n.plain = true, false
		if i++; i < len(text) && (text[i] == '-' || text[i] == '+') {
			i++
		}
		first := i
		for i < len(text) && isDigit(text[i]) {
			i++
		}
		if i == first {
			return shape{}
		}
	}
	n.ok = i == len(text)
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// timeOf returns what is a time, or a text that is one.
func timeOf(v any) (time.Time, bool) {
	if at, ok := v.(time.Time); ok {
		return at, true
	}
	if !isText(v) {
		return time.Time{}, false
	}
	text, _ := textOf(v)
	return parseTime(text)
}

// parseTime takes RFC 3339 with a zone, or a date, which begins at midnight UTC.
func parseTime(text string) (time.Time, bool) {
	layout := time.RFC3339Nano
	if len(text) == len(time.DateOnly) {
		layout = time.DateOnly
	}
	if len(text) > 64 {
		return time.Time{}, false
	}
	at, err := time.Parse(layout, text)
	return at, err == nil
}

func durationOf(v any) (time.Duration, bool) {
	switch v := v.(type) {
	case time.Duration:
		return v, true
	case string, datum:
		text, _ := textOf(v)
		if len(text) > maxNumberBytes {
			return 0, false
		}
		d, err := time.ParseDuration(text)
		return d, err == nil
	default:
		return 0, false
	}
}

func positionOf(v any) (domain.Position, bool) {
	if p, ok := v.(domain.Position); ok {
		return p, true
	}
	if !isText(v) {
		return domain.Position{}, false
	}
	text, _ := textOf(v)
	p, err := domain.ParsePosition(text)
	return p, err == nil
}

// relation is what a comparison finds.
type relation int

const (
	less relation = iota - 1
	equal
	greater
	apart // values of which none is before the other, and which are not equal
)

// compare relates two values that are there. Texts from outside of data are
// text, so an order id "007" never equals "7"; a text that meets a number is read
// as one; two strings of data are numbers if both look like what programs write
// for numbers ("412.50" and "412.5", not "007").
func (r *run) compare(a, b any) (relation, error) {
	switch {
	case isText(a) && isText(b):
		return r.compareTexts(a, b)
	case isNumber(a) || isNumber(b):
		if p, ok := a.(domain.Position); ok {
			a = p.Commit
		}
		if p, ok := b.(domain.Position); ok {
			b = p.Commit
		}
		x, okX := numberOf(a)
		y, okY := numberOf(b)
		if okX && okY {
			return relation(x.Cmp(y)), nil
		}
		return apart, nil
	}
	if isOne[time.Time](a, b) {
		x, okX := timeOf(a)
		y, okY := timeOf(b)
		if okX && okY {
			return relation(x.Compare(y)), nil
		}
	}
	if isOne[time.Duration](a, b) {
		x, okX := durationOf(a)
		y, okY := durationOf(b)
		if okX && okY {
			return relation(compareOrdered(x, y)), nil
		}
	}
	if isOne[domain.Position](a, b) {
		x, okX := positionOf(a)
		y, okY := positionOf(b)
		if okX && okY {
			return relation(x.Compare(y)), nil
		}
	}
	if x, ok := a.(bool); ok {
		if y, ok := b.(bool); ok && x == y {
			return equal, nil
		}
	}
	return apart, nil
}

func isOne[T any](a, b any) bool {
	_, okA := a.(T)
	_, okB := b.(T)
	return okA || okB
}

func compareOrdered(x, y time.Duration) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	default:
		return 0
	}
}

func (r *run) compareTexts(a, b any) (relation, error) {
	x, _ := textOf(a)
	y, _ := textOf(b)
	if x == y {
		return equal, r.charge(len(x) / 64)
	}
	_, okX := a.(datum)
	_, okY := b.(datum)
	if okX && okY && len(x) <= maxNumberBytes && len(y) <= maxNumberBytes && shapeOf(x).plain && shapeOf(x).ok && shapeOf(y).plain && shapeOf(y).ok {
		dx, okX := parseNumber(x)
		dy, okY := parseNumber(y)
		if okX && okY {
			return relation(dx.Cmp(dy)), nil
		}
	}
	return relation(strings.Compare(x, y)), r.charge(min(len(x), len(y)) / 64)
}

// equals holds for nothing and nothing, and for equal values; values of different
// kinds are simply not equal.
func (r *run) equals(a, b any) (bool, error) {
	if a == nil || b == nil {
		return a == nil && b == nil, nil
	}
	if isCompound(a) && isCompound(b) {
		return false, fault("lists and objects can't be compared as a whole")
	}
	found, err := r.compare(a, b)
	return found == equal, err
}

func isCompound(v any) bool {
	switch v.(type) {
	case []any, jsontext.Value, *domain.Clock, *domain.Hop:
		return true
	default:
		return false
	}
}

// ordered returns the relation of two values that must have an order; apart if
// one is missing.
func (r *run) ordered(a, b any) (relation, error) {
	if a == nil || b == nil {
		return apart, nil
	}
	found, err := r.compare(a, b)
	if err == nil && found == apart {
		err = fault(nameOf(a) + " can't be ordered with " + nameOf(b))
	}
	return found, err
}

// The bounds of what arithmetic gives; they keep a long product cheap.
const maxResultDigits = 200

func bounded(d domain.Decimal) (any, error) {
	if e := d.Exponent(); e > maxExponent || e < -maxExponent || d.NumDigits() > maxResultDigits {
		return nil, fault("the result has too many digits")
	}
	return d, nil
}

// arithmetic computes with decimals: what is missing stays missing.
func (r *run) arithmetic(a, b any, compute func(x, y domain.Decimal) (domain.Decimal, error)) (any, error) {
	if a == nil || b == nil {
		return nil, nil
	}
	x, ok := numberOf(a)
	if !ok {
		return nil, fault(nameOf(a) + " is not a number")
	}
	y, ok := numberOf(b)
	if !ok {
		return nil, fault(nameOf(b) + " is not a number")
	}
	d, err := compute(x, y)
	if err != nil {
		return nil, err
	}
	return bounded(d)
}

func (r *run) add(a, b any) (any, error) {
	if _, ok := b.(time.Time); ok {
		a, b = b, a
	}
	if d, ok := b.(time.Duration); ok {
		switch a := a.(type) {
		case time.Time:
			return a.Add(d), nil
		case time.Duration:
			return addDurations(a, d)
		}
	}
	return r.arithmetic(a, b, func(x, y domain.Decimal) (domain.Decimal, error) { return x.Add(y), nil })
}

func (r *run) subtract(a, b any) (any, error) {
	switch x := a.(type) {
	case time.Time:
		if y, ok := timeOf(b); ok {
			return x.Sub(y), nil
		}
		if d, ok := b.(time.Duration); ok && d != math.MinInt64 {
			return x.Add(-d), nil
		}
	case time.Duration:
		if d, ok := b.(time.Duration); ok && d != math.MinInt64 {
			return addDurations(x, -d)
		}
	default:
		if y, ok := b.(time.Time); ok {
			if x, ok := timeOf(a); ok {
				return x.Sub(y), nil
			}
		}
	}
	return r.arithmetic(a, b, func(x, y domain.Decimal) (domain.Decimal, error) { return x.Sub(y), nil })
}

func addDurations(x, y time.Duration) (any, error) {
	if sum := x + y; (sum > x) == (y > 0) {
		return sum, nil
	}
	return nil, fault("the duration is too long")
}

// divisionScale is how many digits after the point a quotient is rounded to.
const divisionScale = domain.MaxDecimalScale

func quotient(x, y domain.Decimal) (domain.Decimal, error) {
	if y.IsZero() {
		return domain.Decimal{}, fault("division by zero")
	}
	return x.DivRound(y, divisionScale), nil
}

func remainder(x, y domain.Decimal) (domain.Decimal, error) {
	if y.IsZero() {
		return domain.Decimal{}, fault("division by zero")
	}
	return x.Mod(y), nil
}
