package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// MaxBodyBytes bounds one request body. Longer input belongs in several.
const MaxBodyBytes = 16 << 20

// Framing is how events are packed into a body.
type Framing int

// The framings. FramingGuess looks at the bytes, for senders that do not say.
const (
	FramingGuess Framing = iota
	FramingJSON          // one object, or an array of objects
	FramingLines         // NDJSON: one object a line
)

// ParseBody takes a body apart into items, one per event. Every piece that can't
// be understood is an item of its own with its line, its reason and its bytes,
// and the rest goes on. The error is that of reading; a body beyond MaxBodyBytes
// gives the events that fit and an item of code too_large for the rest.
func ParseBody(body io.Reader, framing Framing) ([]Item, error) {
	raw, err := io.ReadAll(io.LimitReader(body, MaxBodyBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	trimmed := bytes.TrimLeft(bytes.TrimPrefix(raw, []byte("\ufeff")), " \t\r\n")
	if len(trimmed) == 0 {
		return []Item{{Line: 1, Raw: raw, Err: domain.Rejectf(domain.CodeMalformed, "", "the body is empty")}}, nil
	}
	if framing != FramingLines && (trimmed[0] == '[' || framing == FramingJSON && !firstLineWhole(trimmed) || jsontext.Value(trimmed).IsValid()) {
		return parseJSON(raw, trimmed), nil
	}
	return parseLines(raw), nil
}

// firstLineWhole reports whether the body's first line is a JSON value and more
// lines follow: NDJSON under the wrong name.
func firstLineWhole(raw []byte) bool {
	line, rest, _ := bytes.Cut(raw, []byte("\n"))
	return len(bytes.TrimSpace(rest)) > 0 && jsontext.Value(line).IsValid()
}

func tooLong(line int, raw []byte) Item {
	return Item{Line: line, Raw: raw, Err: domain.Rejectf(domain.CodeTooLarge, "",
		"the body is longer than %d bytes; what begins here was not taken", MaxBodyBytes)}
}

// parseLines gives one item per non-empty line.
func parseLines(raw []byte) []Item {
	var items []Item
	whole := len(raw) <= MaxBodyBytes
	line := 0
	for rest := raw; len(rest) > 0; {
		line++
		text, next, ended := bytes.Cut(rest, []byte("\n"))
		if !whole && !ended {
			return append(items, tooLong(line, text))
		}
		rest = next
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			items = append(items, Understand(line, text))
		}
	}
	return items
}

// parseJSON gives one item for an object and one per element for an array.
func parseJSON(raw, trimmed []byte) []Item {
	offset := len(raw) - len(trimmed)
	lineAt := func(n int64) int { return 1 + bytes.Count(raw[:min(int64(offset)+n, int64(len(raw)))], []byte("\n")) }
	if trimmed[0] != '[' {
		if len(raw) > MaxBodyBytes {
			return []Item{tooLong(1, raw)}
		}
		return []Item{Understand(1, bytes.TrimSpace(trimmed))}
	}
	// An element's duplicate names are Normalise's to report, with their field.
	dec := jsontext.NewDecoder(bufio.NewReader(bytes.NewReader(trimmed)), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	var items []Item
	if _, err := dec.ReadToken(); err != nil {
		return []Item{malformed(1, raw, err)}
	}
	for {
		start := dec.InputOffset()
		if dec.PeekKind() == ']' {
			if _, err := dec.ReadToken(); err != nil {
				return append(items, malformed(lineAt(start), trimmed[start:], err))
			}
			break
		}
		value, err := dec.ReadValue()
		if err != nil {
			if len(raw) > MaxBodyBytes {
				return append(items, tooLong(lineAt(start), trimmed[start:]))
			}
			return append(items, malformed(lineAt(start), trimmed[start:], err))
		}
		items = append(items, Understand(lineAt(dec.InputOffset()-int64(len(value))), bytes.Clone(value)))
	}
	if rest := bytes.TrimSpace(trimmed[dec.InputOffset():]); len(rest) > 0 {
		items = append(items, malformed(lineAt(dec.InputOffset()), rest, errors.New("more follows the array")))
	}
	if len(items) == 0 {
		return []Item{{Line: 1, Raw: raw, Err: domain.Rejectf(domain.CodeMissing, "", "the array is empty")}}
	}
	return items
}

func malformed(line int, raw []byte, err error) Item {
	return Item{Line: line, Raw: raw, Err: domain.Rejectf(domain.CodeMalformed, "", "malformed JSON: %v", err)}
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
