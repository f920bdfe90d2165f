package domain

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// The functions here walk over JSON that jsontext has accepted as well-formed.
// They check nothing and allocate next to nothing: an event is read by a full
// decoder once, and a second and third time by these.

// splitObject returns the members of an object, in order; within is the object's
// own path. The values are parts of the object's text.
func splitObject(object jsontext.Value, within string) []member {
	// A good guess at their number; the bound is for hostile input.
	members := make([]member, 0, min(24, bytes.Count(object, []byte{':'})))
	i := skipSpace(object, skipSpace(object, 0)+1)
	for object[i] != '}' {
		if object[i] == ',' {
			i = skipSpace(object, i+1)
		}
		end := stringEnd(object, i)
		name := unquoted(object[i:end])
		i = skipSpace(object, skipSpace(object, end)+1) // over the colon
		end = valueEnd(object, i)
		members = append(members, member{within: within, name: name, value: object[i:end]})
		i = skipSpace(object, end)
	}
	return members
}

// unquoted returns what a JSON string says: a part of it where it can.
func unquoted(quoted jsontext.Value) []byte {
	if inner := quoted[1 : len(quoted)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // can't fail on well-formed JSON
	return text
}

func unquote(quoted jsontext.Value) string { return string(unquoted(quoted)) }

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
		i++
	}
	return i
}

// stringEnd returns where the string that begins at i ends.
func stringEnd(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd returns where the value that begins at i ends.
func valueEnd(text []byte, i int) int {
	depth := 0
	for {
		switch text[i] {
		case '"':
			i = stringEnd(text, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ' ', '\n', '\r', '\t', ',', ':':
			i++
			continue // between values, so depth is above 0
		default:
			i = wordEnd(text, i)
		}
		if depth == 0 {
			return i
		}
	}
}

// wordEnd returns where the number or literal that begins at i ends.
func wordEnd(text []byte, i int) int {
	for i < len(text) {
		switch text[i] {
		case ' ', '\n', '\r', '\t', ',', ']', '}':
			return i
		}
		i++
	}
	return i
}

// transcriber writes values in the one form that Data has: no white space, no
// needless escapes, and known decimals, at any depth, as strings.
type transcriber struct {
	out    []byte
	strict bool // what has a decimal's name must be a decimal
}

// value writes v. If it can't, it tells at which byte of v.
func (t *transcriber) value(v jsontext.Value) (at int, err error) {
	var objects uint64 // one bit for each level, the innermost lowest: is it an object?
	isName, isDecimal := false, false
	for i := 0; i < len(v); {
		switch c := v[i]; c {
		case ' ', '\n', '\r', '\t':
			i++
			continue
		case '{', '[':
			objects <<= 1
			if c == '{' {
				objects |= 1
			}
			isName, isDecimal = c == '{', false
		case '}', ']':
			objects >>= 1
		case ',':
			isName = objects&1 == 1
		case ':':
			isName = false
		case '"':
			end := stringEnd(v, i)
			if isName {
				isDecimal = decimalNames[string(unquoted(v[i:end]))]
				t.text(v[i:end])
			} else if err := t.scalar(v[i:end], isDecimal); err != nil {
				return i, err
			} else {
				isDecimal = false
			}
			i = end
			continue
		default:
			end := wordEnd(v, i)
			if err := t.scalar(v[i:end], isDecimal); err != nil {
				return i, err
			}
			isDecimal = false
			i = end
			continue
		}
		t.out = append(t.out, v[i])
		i++
	}
	return 0, nil
}

// scalar writes a string, number or literal.
func (t *transcriber) scalar(v jsontext.Value, isDecimal bool) error {
	if isDecimal {
		text, err := decimalText(v)
		switch {
		case err != nil && t.strict:
			return err
		case err == nil && text != "":
			t.out = append(t.out, '"')
			t.out = append(t.out, text...) // digits, no character to escape
			t.out = append(t.out, '"')
			return nil
		}
	}
	if v.Kind() == '"' {
		t.text(v)
	} else {
		t.out = append(t.out, v...)
	}
	return nil
}

// text writes a JSON string with no more escapes than it needs.
func (t *transcriber) text(quoted jsontext.Value) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		t.out = append(t.out, quoted...)
		return
	}
	t.out, _ = jsontext.AppendQuote(t.out, unquoted(quoted)) // can't fail on well-formed JSON
}
