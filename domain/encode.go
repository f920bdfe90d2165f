package domain

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Encode returns the canonical JSON of the event.
func (e *Event) Encode() ([]byte, error) {
	data, _, err := e.encode()
	return data, err
}

// EncodeTo is Encode, and writes what the source said, the bytes that Digest
// digests, to said. Errors of said are not looked at: it is a hash.
func (e *Event) EncodeTo(said io.Writer) ([]byte, error) {
	data, door, err := e.encode()
	if err != nil {
		return nil, err
	}
	at := 0
	for _, s := range door {
		_, _ = said.Write(data[at:s.from])
		at = s.to
	}
	_, _ = said.Write(data[at:])
	return data, nil
}

// Digest identifies what the source said: the canonical bytes without what the
// door and the way add (recorded_at, source, path). Two inputs with one id and
// different digests are two different facts.
func (e *Event) Digest() ([sha256.Size]byte, error) {
	said := *e
	said.RecordedAt, said.Source, said.Path = time.Time{}, "", nil
	data, _, err := said.encode()
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(data), nil
}

// span is a part of an encoding.
type span struct{ from, to int }

// encode is json.Marshal by hand, byte for byte: every event passes here at least
// once, and reflection took three times as long. It also says where the members
// are that the door and the way add.
func (e *Event) encode() (data []byte, door [2]span, err error) {
	w := objectWriter{out: make([]byte, 0, 512+len(e.Data)+2*len(e.Raw)+64*len(e.Path))}
	w.out = append(w.out, '{')
	w.text("event_id", e.ID)
	w.name("event_type")
	w.quote(string(e.Type))
	w.name("occurred_at")
	w.time(e.OccurredAt)
	door[0].from = len(w.out)
	if !e.RecordedAt.IsZero() {
		w.name("recorded_at")
		w.time(e.RecordedAt)
	}
	door[0].to = len(w.out)
	w.text("entity_type", e.EntityType)
	w.text("entity_id", e.EntityID)
	w.text("order_id", e.OrderID)
	w.text("client_order_id", e.ClientOrderID)
	w.text("broker_order_id", e.BrokerOrderID)
	w.text("parent_order_id", e.ParentOrderID)
	w.text("account_id", e.AccountID)
	w.text("user_id", e.UserID)
	w.text("strategy_id", e.StrategyID)
	w.text("ticker", e.Ticker)
	w.text("recommendation_id", e.RecommendationID)
	w.text("computation_id", e.ComputationID)
	w.text("evaluation_id", e.EvaluationID)
	w.text("approval_id", e.ApprovalID)
	w.text("session_id", e.SessionID)
	w.text("environment", e.Environment)
	w.text("version", e.Version)
	w.text("actor", e.Actor)
	door[1].from = len(w.out)
	w.text("source", e.Source)
	if len(e.Path) > 0 {
		w.name("path")
		w.value(e.Path)
	}
	door[1].to = len(w.out)
	w.text("correlation_id", e.CorrelationID)
	w.text("causation_id", e.CausationID)
	if e.Clock != nil {
		w.name("clock")
		w.value(e.Clock)
	}
	w.name("schema_version")
	w.out = strconv.AppendInt(w.out, int64(e.SchemaVersion), 10)
	if e.Data != nil {
		w.name("data")
		w.json(e.Data)
	}
	if len(e.Raw) > 0 {
		w.name("raw")
		w.out = append(w.out, '"')
		w.out = base64.StdEncoding.AppendEncode(w.out, e.Raw)
		w.out = append(w.out, '"')
	}
	if w.err != nil {
		return nil, door, w.err
	}
	return append(w.out, '}'), door, nil
}

// objectWriter writes the members of one object; its first error stays.
type objectWriter struct {
	out []byte
	err error
}

// name begins a member; the name needs no escapes.
func (w *objectWriter) name(name string) {
	if w.out[len(w.out)-1] != '{' {
		w.out = append(w.out, ',')
	}
	w.out = append(w.out, '"')
	w.out = append(w.out, name...)
	w.out = append(w.out, '"', ':')
}

// text is left out when it is empty.
func (w *objectWriter) text(name, value string) {
	if value != "" {
		w.name(name)
		w.quote(value)
	}
}

func (w *objectWriter) quote(value string) {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			var err error
			w.out, err = jsontext.AppendQuote(w.out, value)
			w.fail(err)
			return
		}
	}
	w.out = append(w.out, '"')
	w.out = append(w.out, value...)
	w.out = append(w.out, '"')
}

func (w *objectWriter) time(t time.Time) {
	if t.Location() != time.UTC || t.Year() < 0 || t.Year() > 9999 {
		w.value(t) // it knows which offsets and years there are in JSON
		return
	}
	w.out = append(w.out, '"')
	w.out = t.AppendFormat(w.out, time.RFC3339Nano)
	w.out = append(w.out, '"')
}

func (w *objectWriter) json(value jsontext.Value) {
	from := len(w.out)
	var err error
	if w.out, err = jsontext.AppendFormat(w.out, value); err != nil {
		w.out = w.out[:from]
	}
	w.fail(err)
}

func (w *objectWriter) value(value any) {
	encoded, err := json.Marshal(value)
	w.out = append(w.out, encoded...)
	w.fail(err)
}

func (w *objectWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}
