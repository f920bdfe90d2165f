package fix

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// data writes the data of an event, in the order of the calls.
type data struct{ out []byte }

func newData() data { return data{out: append(make([]byte, 0, 1024), '{')} }

func (d *data) name(name string) {
	if len(d.out) > 1 {
		d.out = append(d.out, ',')
	}
	d.out = append(d.out, '"')
	d.out = append(d.out, name...) // ours: nothing to escape
	d.out = append(d.out, '"', ':')
}

func (d *data) text(name, value string) {
	if value != "" {
		d.name(name)
		d.out = appendQuoted(d.out, value)
	}
}

func (d *data) number(name string, value int) {
	d.name(name)
	d.out = strconv.AppendInt(d.out, int64(value), 10)
}

func (d *data) flag(name string, value bool) {
	d.name(name)
	d.out = strconv.AppendBool(d.out, value)
}

func (d *data) done() jsontext.Value { return append(d.out, '}') }

// appendQuoted writes text as it is, but for bytes that are no UTF-8.
func appendQuoted(out []byte, text string) []byte {
	out, _ = jsontext.AppendQuote(out, strings.ToValidUTF8(text, "\uFFFD")) // can't fail on UTF-8
	return out
}

// control reports a character that no id may have.
func control(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\uFEFF'
}
