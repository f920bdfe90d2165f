package client

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// membersBytes is what the data of most steps fits in.
const membersBytes = 384

// members writes a JSON object member by member, without what is empty. The names
// are constants of ours.
type members struct{ b []byte }

func (w *members) name(name string) {
	if w.b == nil {
		w.b = append(make([]byte, 0, membersBytes), '{')
	} else {
		w.b = append(w.b, ',')
	}
	w.b = append(append(append(w.b, '"'), name...), `":`...)
}

func (w *members) text(name, value string) {
	if value == "" {
		return
	}
	w.name(name)
	w.quote(value)
}

// quote writes a string. What is no UTF-8 gets replacement characters: a step is
// not lost over a byte in its reason.
func (w *members) quote(value string) {
	b, err := appendString(w.b, value)
	if err != nil {
		b, _ = appendString(w.b, toValid(value)) // can't fail any more
	}
	w.b = b
}

func (w *members) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	w.name(name)
	for i, value := range values {
		w.b = append(w.b, "[,"[min(i, 1)])
		w.quote(value)
	}
	w.b = append(w.b, ']')
}

func (w *members) amount(name string, a Amount) {
	if !a.set {
		return
	}
	w.name(name)
	if a.text != "" {
		w.quote(a.text)
		return
	}
	w.b = append(a.appendTo(append(w.b, '"')), '"')
}

func (w *members) count(name string, n uint64) {
	w.name(name)
	w.b = strconv.AppendUint(w.b, n, 10)
}

func (w *members) number(name string, n int) {
	if n == 0 {
		return
	}
	w.name(name)
	w.b = strconv.AppendInt(w.b, int64(n), 10)
}

func (w *members) flag(name string, value bool) {
	w.name(name)
	w.b = strconv.AppendBool(w.b, value)
}

func (w *members) time(name string, at time.Time) {
	if at.IsZero() {
		return
	}
	w.name(name)
	w.b = append(at.UTC().AppendFormat(append(w.b, '"'), time.RFC3339Nano), '"')
}

// object ends the object; nil if it has no member.
func (w *members) object() jsontext.Value {
	if w.b == nil {
		return nil
	}
	return append(w.b, '}')
}
