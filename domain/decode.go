package domain

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Decode reads canonical JSON that Encode wrote. It does not judge: what was
// recorded stays readable. Fields of later versions are skipped.
func Decode(data []byte) (*Event, error) {
	e, plain := decodePlain(data)
	if !plain {
		e = new(Event)
		if err := json.Unmarshal(data, e); err != nil {
			return nil, &Error{Class: ClassRejected, Code: CodeMalformed, Message: "not a canonical event", Err: err}
		}
	}
	if e.Type == "" {
		return nil, Rejectf(CodeMissing, "event_type", "missing")
	}
	return e, nil
}

// decodePlain reads what nearly all events are: JSON without white space, with
// known names, once each, and without escapes. Reading a chain decodes all its
// events, and reflection took four times as long. Of anything else it says that it
// is not plain; then json.Unmarshal decides.
func decodePlain(text []byte) (*Event, bool) {
	p := plainReader{text: text}
	e := new(Event)
	if !p.members(func(name []byte) (number int, ok bool) { return p.member(e, string(name)) }) {
		return nil, false
	}
	return e, p.at == len(text)
}

// plainReader walks over JSON. What its methods say about a value that is not plain
// is "no", and where it stands then means nothing.
type plainReader struct {
	text []byte
	at   int
}

// member reads the value of a member; its number tells members apart.
func (p *plainReader) member(e *Event, name string) (number int, ok bool) {
	switch name {
	case "event_id":
		return 0, p.string(&e.ID)
	case "event_type":
		text := p.quoted()
		if known, ok := knownTypes[EventType(text)]; ok {
			e.Type = known // and no copy of its name
		} else {
			e.Type = EventType(text)
		}
		return 1, text != nil
	case "occurred_at":
		return 2, p.time(&e.OccurredAt)
	case "recorded_at":
		return 3, p.time(&e.RecordedAt)
	case "entity_type":
		return 4, p.string(&e.EntityType)
	case "entity_id":
		return 5, p.string(&e.EntityID)
	case "order_id":
		return 6, p.string(&e.OrderID)
	case "client_order_id":
		return 7, p.string(&e.ClientOrderID)
	case "broker_order_id":
		return 8, p.string(&e.BrokerOrderID)
	case "parent_order_id":
		return 9, p.string(&e.ParentOrderID)
	case "account_id":
		return 10, p.string(&e.AccountID)
	case "user_id":
		return 11, p.string(&e.UserID)
	case "strategy_id":
		return 12, p.string(&e.StrategyID)
	case "ticker":
		return 13, p.string(&e.Ticker)
	case "recommendation_id":
		return 14, p.string(&e.RecommendationID)
	case "computation_id":
		return 15, p.string(&e.ComputationID)
	case "evaluation_id":
		return 16, p.string(&e.EvaluationID)
	case "approval_id":
		return 17, p.string(&e.ApprovalID)
	case "session_id":
		return 18, p.string(&e.SessionID)
	case "environment":
		return 19, p.string(&e.Environment)
	case "version":
		return 20, p.string(&e.Version)
	case "actor":
		return 21, p.string(&e.Actor)
	case "source":
		return 22, p.string(&e.Source)
	case "path":
		return 23, p.path(&e.Path)
	case "correlation_id":
		return 24, p.string(&e.CorrelationID)
	case "causation_id":
		return 25, p.string(&e.CausationID)
	case "clock":
		return 26, p.clock(&e.Clock)
	case "schema_version":
		return 27, p.smallNumber(&e.SchemaVersion)
	case "data":
		value, ok := p.value(0)
		e.Data = slices.Clone(value)
		return 28, ok
	case "raw":
		return 29, p.other(&e.Raw)
	default:
		return 0, false
	}
}

func (p *plainReader) skip(c byte) bool {
	if p.at == len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

// quoted returns what stands between quotation marks; nil if there is an escape in
// it, or what JSON does not allow.
func (p *plainReader) quoted() []byte {
	if !p.skip('"') {
		return nil
	}
	ascii := true
	for i := nextSpecial(p.text, p.at); i < len(p.text); i = nextSpecial(p.text, i+1) {
		switch c := p.text[i]; {
		case c == '"':
			inner := p.text[p.at:i:i]
			p.at = i + 1
			if !ascii && !utf8.Valid(inner) {
				return nil
			}
			return inner
		case c < utf8.RuneSelf:
			return nil // an escape, or a control character
		}
		ascii = false
	}
	return nil
}

// nextSpecial returns where the next byte stands that is a quotation mark, a
// backslash, a control character, or not of ASCII; eight at a time ("Bit Twiddling
// Hacks": a zero byte in a word; what is found behind the first may be wrong).
func nextSpecial(text []byte, i int) int {
	const each, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(text); i += 8 {
		word := binary.LittleEndian.Uint64(text[i:])
		quote, escape := word^('"'*each), word^('\\'*each)
		if found := (word | (word - ' '*each) | (quote - each) | (escape - each)) & high; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(text) && text[i] != '"' && text[i] != '\\' && text[i] >= ' ' && text[i] < utf8.RuneSelf {
		i++
	}
	return i
}

func (p *plainReader) string(to *string) bool {
	text := p.quoted()
	*to = string(text)
	return text != nil
}

// time reads a time of the form 2026-03-02T09:30:00.123456789Z.
func (p *plainReader) time(to *time.Time) bool {
	const layout = "2006-01-02T15:04:05"
	text := p.quoted()
	if len(text) <= len(layout) || text[len(text)-1] != 'Z' {
		return false
	}
	var numbers [6]int
	for n, from := range [6]int{0, 5, 8, 11, 14, 17} {
		to := from + 2
		if n == 0 {
			to = 4
		}
		for _, c := range text[from:to] {
			if c < '0' || c > '9' {
				return false
			}
			numbers[n] = 10*numbers[n] + int(c-'0')
		}
	}
	for _, i := range [5]int{4, 7, 10, 13, 16} {
		if text[i] != layout[i] {
			return false
		}
	}
	nanoseconds, fraction := 0, text[len(layout):len(text)-1]
	if len(fraction) > 0 {
		if fraction[0] != '.' || len(fraction) == 1 || len(fraction) > 10 {
			return false
		}
		for i := 1; i < 10; i++ {
			nanoseconds *= 10
			if i < len(fraction) {
				if fraction[i] < '0' || fraction[i] > '9' {
					return false
				}
				nanoseconds += int(fraction[i] - '0')
			}
		}
	}
	year, month, day := numbers[0], time.Month(numbers[1]), numbers[2]
	hour, minute, second := numbers[3], numbers[4], numbers[5]
	*to = time.Date(year, month, day, hour, minute, second, nanoseconds, time.UTC)
	// What is no date was carried over to another.
	return to.Month() == month && to.Day() == day && hour < 24 && minute < 60 && second < 60
}

// smallNumber reads an integer that is not negative and has few digits.
func (p *plainReader) smallNumber(to *int) bool {
	from := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' && p.at-from < 9 {
		*to = 10**to + int(p.text[p.at]-'0')
		p.at++
	}
	return p.at > from && (p.text[from] != '0' || p.at == from+1) && p.at < len(p.text) && (p.text[p.at] == ',' || p.text[p.at] == '}')
}

// other leaves a value to json.Unmarshal.
func (p *plainReader) other(to any) bool {
	value, ok := p.value(0)
	return ok && json.Unmarshal(value, to) == nil
}

const (
	plainDepth = 16 // levels of objects and arrays
	plainNames = 48 // members of an object
)

// value returns the value that begins here. It is well-formed, and no object in it
// has a name twice.
func (p *plainReader) value(depth int) (jsontext.Value, bool) {
	from := p.at
	ok := false
	if p.at < len(p.text) && depth < plainDepth {
		switch p.text[p.at] {
		case '"':
			ok = p.quoted() != nil
		case '{':
			ok = p.object(depth)
		case '[':
			ok = p.array(depth)
		case 't':
			ok = p.literal("true")
		case 'f':
			ok = p.literal("false")
		case 'n':
			ok = p.literal("null")
		default:
			ok = p.number()
		}
	}
	if !ok {
		return nil, false
	}
	return p.text[from:p.at:p.at], true
}

func (p *plainReader) object(depth int) bool {
	return p.named(depth, func([]byte, jsontext.Value) {})
}

// named reads an object at a depth, and gives take its values; names that come twice are
// not plain.
func (p *plainReader) named(depth int, take func(name []byte, value jsontext.Value)) bool {
	if !p.skip('{') {
		return false
	}
	var known [plainNames][]byte
	for n := 0; !p.skip('}'); n++ {
		if n == plainNames || n > 0 && !p.skip(',') {
			return false
		}
		name := p.quoted()
		if name == nil || !p.skip(':') || contains(known[:n], name) {
			return false
		}
		known[n] = name
		value, ok := p.value(depth + 1)
		if !ok {
			return false
		}
		take(name, value)
	}
	return true
}

func contains(names [][]byte, name []byte) bool {
	return slices.ContainsFunc(names, func(k []byte) bool { return bytes.Equal(k, name) })
}

func (p *plainReader) array(depth int) bool {
	p.at++
	for first := true; !p.skip(']'); first = false {
		if !first && !p.skip(',') {
			return false
		}
		if _, ok := p.value(depth + 1); !ok {
			return false
		}
	}
	return true
}

func (p *plainReader) literal(text string) bool {
	if !bytes.HasPrefix(p.text[p.at:], []byte(text)) {
		return false
	}
	p.at += len(text)
	return true
}

// number reads a number as RFC 8259 has it.
func (p *plainReader) number() bool {
	p.skip('-')
	if zero := p.skip('0'); !zero && !p.digits() {
		return false
	}
	if p.skip('.') && !p.digits() {
		return false
	}
	if p.skip('e') || p.skip('E') {
		if !p.skip('+') {
			p.skip('-')
		}
		return p.digits()
	}
	return true
}

func (p *plainReader) digits() bool {
	from := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at > from
}
