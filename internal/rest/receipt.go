package rest

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// receipt answers one event.
type receipt struct {
	Line     int           `json:"line"` // of the body, from 1
	EventID  string        `json:"event_id,omitzero"`
	Status   string        `json:"status,omitzero"` // missing: unknown, send the event again
	Stream   string        `json:"stream,omitzero"` // of a rejected event: where its bytes are kept
	Revision *uint64       `json:"revision,omitzero"`
	Position string        `json:"position,omitzero"`
	Error    *receiptError `json:"error,omitzero"`
}

type receiptError struct {
	Code    string `json:"code"`
	Field   string `json:"field,omitzero"`
	Message string `json:"message"`
}

// appendTo writes the receipt as a line, as json.Marshal would: there is one for each
// event, and reflection takes longer than recording some of them.
func (r *receipt) appendTo(b []byte) []byte {
	b = append(b, `{"line":`...)
	b = strconv.AppendInt(b, int64(r.Line), 10)
	b = appendText(b, "event_id", r.EventID)
	b = appendText(b, "status", r.Status)
	b = appendText(b, "stream", r.Stream)
	if r.Revision != nil {
		b = append(b, `,"revision":`...)
		b = strconv.AppendUint(b, *r.Revision, 10)
	}
	b = appendText(b, "position", r.Position)
	if r.Error != nil {
		b = append(b, `,"error":{"code":`...)
		b = appendQuoted(b, r.Error.Code)
		b = appendText(b, "field", r.Error.Field)
		b = append(b, `,"message":`...)
		b = appendQuoted(b, r.Error.Message)
		b = append(b, '}')
	}
	return append(b, '}', '\n')
}

func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return appendQuoted(b, value)
}

// appendQuoted writes what is not UTF-8, as messages that quote input may be, with
// replacement characters.
func appendQuoted(b []byte, value string) []byte {
	b, _ = jsontext.AppendQuote(b, value)
	return b
}
