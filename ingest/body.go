package ingest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// The bounds of one body. Longer input belongs in several.
const (
	MaxBodyBytes  = 16 << 20
	MaxBodyEvents = 50_000 // so that a body of tiny pieces can't take all memory
)

// Framing is how events are packed into a body.
type Framing int

// The framings. FramingGuess looks at the bytes, for senders that do not say.
const (
	FramingGuess Framing = iota
	FramingJSON          // an array of objects, or objects one after the other, over any number of lines
	FramingLines         // NDJSON: one object a line
)

// ParseBody takes a body apart into items, one per event. Every piece that can't
// be understood is an item of its own with its line, its reason and its bytes,
// and the rest goes on. The error is that of reading; a body beyond the bounds
// gives the events that fit and an item of code too_large for the rest.
//
// Objects one after the other are taken as NDJSON and as pretty-printed JSON,
// whatever the framing is called: many senders of NDJSON call it JSON.
func ParseBody(body io.Reader, framing Framing) ([]Item, error) {
	raw, err := io.ReadAll(io.LimitReader(body, MaxBodyBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	p := parser{raw: raw, line: 1, dec: new(jsontext.Decoder)}
	if len(raw) > MaxBodyBytes {
		p.raw, p.cut = raw[:MaxBodyBytes], true
	}
	p.at = len(p.raw) - len(bytes.TrimPrefix(p.raw, []byte("\ufeff")))
	p.at = p.space(p.at)
	switch {
	case p.at == len(p.raw) && !p.cut:
		return []Item{{Line: 1, Raw: raw, Err: domain.Rejectf(domain.CodeMalformed, "", "the body is empty")}}, nil
	case framing == FramingLines:
		p.lines()
	case p.at < len(p.raw) && p.raw[p.at] == '[':
		p.array()
	case p.alone():
	default:
		p.objects()
	}
	return p.items, nil
}

// parser makes items from front to back: everything before at is accounted for.
type parser struct {
	raw   []byte
	cut   bool // the body is longer than raw
	at    int
	items []Item
	dec   *jsontext.Decoder

	line, lineAt int // line is the line of the byte at lineAt; see lineOf
}

// lineOf counts on from where it was last asked, which was not behind at.
func (p *parser) lineOf(at int) int {
	p.line += bytes.Count(p.raw[p.lineAt:at], []byte("\n"))
	p.lineAt = at
	return p.line
}

// space returns where the white space that begins at this byte ends.
func (p *parser) space(at int) int {
	for at < len(p.raw) && isSpace(p.raw[at]) {
		at++
	}
	return at
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// understand makes an item of the bytes up to end. It reports whether there may
// be more.
func (p *parser) understand(end int) bool {
	if len(p.items) == MaxBodyEvents {
		p.reject(len(p.raw), domain.Rejectf(domain.CodeTooLarge, "", "the body has more than %d events; what begins here was not taken", MaxBodyEvents))
		return false
	}
	start := p.at
	for end > start && isSpace(p.raw[end-1]) {
		end--
	}
	p.items = append(p.items, Understand(p.lineOf(start), p.raw[start:end:end]))
	p.at = end
	return true
}

// reject makes an item of the bytes up to end, which are none.
func (p *parser) reject(end int, err *domain.Error) {
	p.items = append(p.items, Item{Line: p.lineOf(p.at), Raw: p.raw[p.at:end:end], Err: err})
	p.at = end
}

// tooLong ends a body that was cut.
func (p *parser) tooLong() {
	p.reject(len(p.raw), domain.Rejectf(domain.CodeTooLarge, "",
		"the body is longer than %d bytes; what begins here was not taken", MaxBodyBytes))
	p.items[len(p.items)-1].Cut = true
}

func malformed(err error) *domain.Error {
	return domain.Rejectf(domain.CodeMalformed, "", "malformed JSON: %v", err)
}

// alone reports whether the body is one event, and takes it then: most are.
func (p *parser) alone() bool {
	if p.cut || len(p.raw)-p.at > domain.MaxEventBytes {
		return false
	}
	end := len(p.raw)
	for end > p.at && isSpace(p.raw[end-1]) {
		end--
	}
	item := Understand(p.lineOf(p.at), p.raw[p.at:end:end])
	if item.Err != nil {
		return false
	}
	p.items, p.at = []Item{item}, end
	return true
}

// lines gives one item per line that is not empty.
func (p *parser) lines() {
	for p.at < len(p.raw) {
		end := len(p.raw)
		if n := bytes.IndexByte(p.raw[p.at:], '\n'); n >= 0 {
			end = p.at + n
		} else if p.cut {
			break
		}
		if !p.understand(end) {
			return
		}
		p.at = p.space(p.at)
	}
	if p.cut {
		p.tooLong()
	}
}

// value returns where the JSON value at at ends. It forgives what is an element's
// own fault: that is for Normalise to report, with its field.
func (p *parser) value() (end int, err error) {
	p.dec.Reset(bytes.NewBuffer(p.raw[p.at:len(p.raw):len(p.raw)]),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	value, err := p.dec.ReadValue()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return p.at + len(value), err
}

// maxBroken bounds the objects which are tried as JSON over several lines though
// they are none: a hostile body could make each of them cost the whole rest.
const maxBroken = 1000

// objects gives one item per value. Where there is none, everything up to the
// next line that begins with a brace is one item: in NDJSON a broken line costs
// no other, and a broken pretty-printed object stays in one piece.
func (p *parser) objects() {
	for broken := 0; p.at < len(p.raw) && broken < maxBroken; p.at = p.space(p.at) {
		end, err := p.value()
		if err != nil {
			broken++
			end = len(p.raw)
			if next := bytes.Index(p.raw[p.at:], []byte("\n{")); next >= 0 {
				end = p.at + next
			} else if p.cut {
				break
			}
		}
		if !p.understand(end) {
			return
		}
	}
	p.lines()
}

// array gives one item per element. An element that is no JSON costs no other as
// long as its brackets tell where it ends.
func (p *parser) array() {
	start := p.at
	p.at = p.space(p.at + 1)
	if p.at < len(p.raw) && p.raw[p.at] == ']' {
		p.reject(p.at+1, domain.Rejectf(domain.CodeMissing, "", "the array is empty"))
		p.items[0].Raw = p.raw[start:p.at:p.at]
		p.behindArray()
		return
	}
	for {
		end, err := p.value()
		if err != nil {
			end = p.matching()
		}
		next := p.space(end)
		if end == p.at || next == len(p.raw) || p.raw[next] != ',' && p.raw[next] != ']' {
			// Here ends what can be told apart.
			if p.cut {
				p.tooLong()
			} else {
				p.reject(len(p.raw), malformed(cmp.Or(err, errors.New("no comma or closing bracket after the element"))))
			}
			return
		}
		if !p.understand(end) {
			return
		}
		if p.at = next + 1; p.raw[next] == ']' {
			p.behindArray()
			return
		}
		p.at = p.space(p.at)
	}
}

func (p *parser) behindArray() {
	switch p.at = p.space(p.at); {
	case p.cut:
		p.tooLong()
	case p.at < len(p.raw):
		p.reject(len(p.raw), malformed(errors.New("more follows the array")))
	}
}

// matching returns where the object at at ends by its brackets, whatever stands
// between them; at itself if there is no telling.
func (p *parser) matching() int {
	if p.at == len(p.raw) || p.raw[p.at] != '{' {
		return p.at
	}
	depth, quoted := 0, false
	for i := p.at; i < len(p.raw); i++ {
		switch c := p.raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return p.at
}

// Understand makes an item of one JSON object in any of the three input shapes.
func Understand(line int, raw []byte) Item {
	item := Item{Line: line, Raw: raw}
	event, err := domain.Normalise(raw)
	if err != nil {
		if e, ok := errors.AsType[*domain.Error](err); ok {
			item.Err = e
		} else {
			item.Err = domain.Rejectf(domain.CodeMalformed, "", "%v", err)
		}
		return item
	}
	item.Event = event
	return item
}
