package domain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"
)

// The bounds of one event at the door.
const (
	MaxEventBytes  = 512 << 10 // of JSON; the store takes 1 MiB with metadata
	MaxIDBytes     = 256
	MaxNameBytes   = 128 // event_type, entity_type, environment ...
	MaxDepth       = 32
	maxNumberBytes = 64
)

// Normalise reads one JSON object in any of the three input shapes (canonical,
// flat, minimal; docs/formats.md) and returns the canonical event. The shapes
// differ only in names and nesting, so one table serves all three, and mixtures
// of them too. What nobody knows is kept in Data, money and quantities in Data
// become strings with the digits that were sent.
//
// The event's ID is empty when the input carries none; RecordedAt and Source are
// the door's to set. Every error is ClassRejected and names the field by its
// path in the input.
func Normalise(raw []byte) (*Event, error) {
	fields, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	n := &normaliser{fields: fields}
	e := n.event()
	if n.err != nil {
		return nil, n.err
	}
	return e, nil
}

// member is one name and value of a JSON object, in input order.
type member struct {
	name  string
	value jsontext.Value
}

// normaliser takes known fields off the input one by one; the first error stays.
type normaliser struct {
	fields []member
	err    *Error
}

func (n *normaliser) event() *Event {
	e := &Event{SchemaVersion: SchemaVersion}
	typeName := n.name("event_type")
	if typeName == "" {
		n.fail(Rejectf(CodeMissing, "event_type", "missing"))
		return nil
	}
	e.ID = n.id("event_id")
	e.OccurredAt = n.occurredAt()
	e.EntityType = n.name("entity_type")
	e.EntityID = n.id("entity_id")
	e.OrderID = n.id("order_id")
	e.ClientOrderID = n.id("client_order_id")
	e.BrokerOrderID = n.id("broker_order_id")
	e.ParentOrderID = n.id("parent_order_id")
	e.AccountID = n.id("account_id", "account")
	e.UserID = n.id("user_id", "user")
	e.StrategyID = n.id("strategy_id", "strategy")
	e.Ticker = n.id("ticker", "symbol")
	e.RecommendationID = n.id("recommendation_id")
	e.ComputationID = n.id("computation_id")
	e.EvaluationID = n.id("evaluation_id")
	e.ApprovalID = n.id("approval_id")
	e.SessionID = n.id("session_id")
	e.Environment = n.name("environment")
	e.Version = n.name("version")
	e.Actor = n.id("actor")
	e.CorrelationID = n.id("correlation_id")
	e.CausationID = n.id("causation_id")
	n.structured("path", &e.Path)
	n.structured("clock", &e.Clock)
	n.structured("raw", &e.Raw)
	n.drop("recorded_at", "schema_version", "source") // the door's own: a sender can't set them
	data := n.data()
	if n.err != nil {
		return nil
	}
	e.Type = resolveType(typeName, data)
	n.link(e, data)
	e.Data = n.encode(data, e.Type.Known())
	return e
}

// link fills the references that the input gives in other words: the entity it
// is about, and ids inside data.
func (n *normaliser) link(e *Event, data []member) {
	for _, l := range []struct {
		target *string
		names  []string
	}{
		{&e.OrderID, []string{"order_id"}},
		{&e.ClientOrderID, []string{"client_order_id"}},
		{&e.BrokerOrderID, []string{"broker_order_id"}},
		{&e.AccountID, []string{"account_id", "account"}},
		{&e.UserID, []string{"user_id", "user"}},
		{&e.StrategyID, []string{"strategy_id", "strategy"}},
		{&e.Ticker, []string{"ticker", "symbol"}},
		{&e.RecommendationID, []string{"recommendation_id"}},
		{&e.ComputationID, []string{"computation_id"}},
		{&e.EvaluationID, []string{"evaluation_id"}},
		{&e.ApprovalID, []string{"approval_id"}},
	} {
		for _, name := range l.names {
			if *l.target == "" {
				*l.target = n.dataID(data, name)
			}
		}
	}
	if change := lookup(data, "change"); e.OrderID == "" && change.Kind() == '{' {
		if inner, err := parseMembers(change); err == nil {
			e.OrderID = n.dataID(inner, "order_id")
		}
	}
	if e.Actor == "" && e.UserID != "" {
		e.Actor = e.UserID
	}

	if e.EntityType == "" && e.EntityID != "" {
		e.EntityType = familyEntity(e.Type.Family())
	}
	if e.EntityID != "" {
		if target := e.entityField(); target != nil && *target == "" {
			*target = e.EntityID
		}
		return
	}
	// No entity: what the event is about, as Home sees it.
	if home := e.Home(); home.Kind != "event" && (e.EntityType == "" || e.EntityType == home.Kind) {
		e.EntityType, e.EntityID = home.Kind, home.ID
	}
}

// familyEntity is what the minimal shape's entity_id is the id of.
func familyEntity(family string) string {
	switch family {
	case "order", "trade", "position":
		return KindOrder
	case "signal":
		return KindComputation
	case "risk":
		return "risk_evaluation"
	case "recommendation", "approval", "user", "session", "config":
		return family
	default:
		return "entity"
	}
}

// entityField is the field which the entity's id also belongs in, or nil.
func (e *Event) entityField() *string {
	switch e.EntityType {
	case "order", "position": // position trails are kept under the id of their order
		return &e.OrderID
	case "recommendation":
		return &e.RecommendationID
	case "risk_evaluation", "evaluation":
		return &e.EvaluationID
	case "approval":
		return &e.ApprovalID
	case "signal", "computation":
		return &e.ComputationID
	case "account":
		return &e.AccountID
	case "user":
		return &e.UserID
	case "strategy":
		return &e.StrategyID
	case "session":
		return &e.SessionID
	default:
		return nil
	}
}

// resolveType turns a sender's name into the canonical one.
func resolveType(name string, data []member) EventType {
	if name == "position_changed" {
		return positionType(data)
	}
	if t, ok := aliases[name]; ok {
		return t
	}
	return EventType(name)
}

// positionType tells opened, updated and closed apart by the shares before and
// after. Signs don't matter: a short that opens goes from 0 to below 0.
func positionType(data []member) EventType {
	shares := func(name string) (Decimal, bool) {
		inner, err := parseMembers(lookup(data, name))
		if err != nil {
			return Decimal{}, false
		}
		value := lookup(inner, "shares")
		d, err := ParseDecimal(strings.Trim(string(value), `"`))
		return d, err == nil
	}
	before, okBefore := shares("previous")
	after, okAfter := shares("current")
	switch {
	case okBefore && okAfter && before.IsZero() && !after.IsZero():
		return PositionOpened
	case okBefore && okAfter && !before.IsZero() && after.IsZero():
		return PositionClosed
	default:
		return PositionUpdated
	}
}

// take removes the first of the named fields that is present and not null.
func (n *normaliser) take(names ...string) (string, jsontext.Value) {
	for _, name := range names {
		for i, m := range n.fields {
			if m.name == name {
				n.fields = slices.Delete(n.fields, i, i+1)
				if m.value.Kind() == 'n' {
					break
				}
				return name, m.value
			}
		}
	}
	return "", nil
}

func (n *normaliser) drop(names ...string) {
	for _, name := range names {
		n.take(name)
	}
}

func (n *normaliser) fail(err *Error) {
	if n.err == nil {
		n.err = err
	}
}

// text takes a string field; numbers are accepted where ids are meant, since
// many systems send numeric ids.
func (n *normaliser) text(limit int, names ...string) string {
	name, value := n.take(names...)
	if name == "" {
		return ""
	}
	text, err := textOf(name, value, limit)
	if err != nil {
		n.fail(err)
	}
	return text
}

func (n *normaliser) id(names ...string) string   { return n.text(MaxIDBytes, names...) }
func (n *normaliser) name(names ...string) string { return n.text(MaxNameBytes, names...) }

// dataID reads an id inside data, and leaves it there.
func (n *normaliser) dataID(data []member, name string) string {
	value := lookup(data, name)
	if kind := value.Kind(); kind != '"' && kind != '0' {
		return ""
	}
	text, err := textOf("data."+name, value, MaxIDBytes)
	if err != nil {
		n.fail(err)
	}
	return text
}

func textOf(name string, value jsontext.Value, limit int) (string, *Error) {
	var text string
	switch value.Kind() {
	case '"':
		if err := json.Unmarshal(value, &text); err != nil {
			return "", Rejectf(CodeMalformed, name, "not a JSON string")
		}
	case '0':
		text = string(value)
		if strings.ContainsAny(text, ".eE") {
			return "", Rejectf(CodeWrongType, name, "must be a string, or a whole number")
		}
	default:
		return "", Rejectf(CodeWrongType, name, "must be a string, not %s", kindName(value.Kind()))
	}
	switch {
	case text == "":
		return "", Rejectf(CodeInvalid, name, "empty; leave the field out if there is no value")
	case len(text) > limit:
		return "", Rejectf(CodeTooLarge, name, "longer than %d bytes", limit)
	case strings.TrimSpace(text) != text:
		return "", Rejectf(CodeInvalid, name, "begins or ends with white space")
	}
	for i, r := range text {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\uFEFF' {
			return "", Rejectf(CodeInvalid, name, "control character %U at byte %d", r, i)
		}
	}
	return text, nil
}

func (n *normaliser) structured(name string, target any) {
	if _, value := n.take(name); value != nil {
		if err := json.Unmarshal(value, target); err != nil {
			n.fail(Rejectf(CodeWrongType, name, "%s", jsonReason(err)))
		}
	}
}

// The first and last moments that fit into 64 bits of nanoseconds.
var (
	minTime = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	maxTime = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
)

// occurredAt reads RFC 3339 with a zone, or epoch seconds with a fraction. The
// number is read digit by digit: a float would invent nanoseconds.
func (n *normaliser) occurredAt() time.Time {
	name, value := n.take("occurred_at", "created_at", "timestamp")
	if name == "" {
		n.fail(Rejectf(CodeMissing, "occurred_at", "missing (created_at and timestamp are understood too)"))
		return time.Time{}
	}
	var at time.Time
	switch value.Kind() {
	case '"':
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			n.fail(Rejectf(CodeMalformed, name, "not a JSON string"))
			return at
		}
		var err error
		if at, err = time.Parse(time.RFC3339Nano, text); err != nil {
			if _, zoneless := time.Parse("2006-01-02T15:04:05", strings.Replace(text, " ", "T", 1)); zoneless == nil {
				n.fail(Rejectf(CodeInvalid, name, "%.64q has no time zone: append Z or an offset such as -05:00", text))
			} else {
				n.fail(Rejectf(CodeInvalid, name, "%.64q is not an RFC 3339 time", text))
			}
			return at
		}
		if i := strings.IndexByte(text, '.'); i >= 0 && len(strings.TrimRight(text[i+1:], "Zz+-:0123456789")) == 0 {
			if digits := strings.IndexAny(text[i+1:], "Zz+-"); digits > 9 {
				n.fail(Rejectf(CodeInvalid, name, "%.64q is finer than a nanosecond", text))
			}
		}
	case '0':
		d, err := ParseDecimal(string(value))
		if err != nil {
			n.fail(fieldError(err, name))
			return at
		}
		ns := d.Shift(9)
		if !ns.IsInteger() {
			n.fail(Rejectf(CodeInvalid, name, "%s is finer than a nanosecond", value))
			return at
		}
		if d.GreaterThan(decimal.NewFromInt(maxTime.Unix())) {
			n.fail(Rejectf(CodeInvalid, name, "%s is after the year 2261: epoch seconds are expected, not milliseconds", value))
			return at
		}
		at = time.Unix(0, ns.IntPart())
	default:
		n.fail(Rejectf(CodeWrongType, name, "must be an RFC 3339 string or epoch seconds, not %s", kindName(value.Kind())))
		return at
	}
	if at.Before(minTime) || !at.Before(maxTime) {
		n.fail(Rejectf(CodeInvalid, name, "outside of the years 1970 to 2261"))
	}
	return at.UTC()
}

// data gathers the stage's own fields: data or details, and whatever else stood
// at the top. A name that stands in both is kept twice, the outer as top.<name>.
func (n *normaliser) data() []member {
	var data []member
	for _, name := range []string{"data", "details"} {
		_, value := n.take(name)
		if value == nil {
			continue
		}
		if value.Kind() != '{' {
			n.fail(Rejectf(CodeWrongType, name, "must be an object, not %s", kindName(value.Kind())))
			return nil
		}
		inner, err := parseMembers(value)
		if err != nil {
			n.fail(Rejectf(CodeMalformed, name, "%s", jsonReason(err)))
			return nil
		}
		data = merge(data, inner)
	}
	return merge(data, n.fields)
}

func merge(data, more []member) []member {
	for _, m := range more {
		for lookup(data, m.name) != nil {
			m.name = "top." + m.name
		}
		data = append(data, m)
	}
	return data
}

// encode writes data with every known decimal, at any depth, as a string. In an
// event whose type we know, such a field must be a decimal; in others the name
// may mean something else, so what is no decimal stays as it is.
func (n *normaliser) encode(data []member, strict bool) jsontext.Value {
	if len(data) == 0 {
		return nil
	}
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out)
	var object func(path string, members []member) error
	var value func(path, name string, v jsontext.Value) error
	value = func(path, name string, v jsontext.Value) error {
		switch v.Kind() {
		case '{':
			members, err := parseMembers(v)
			if err != nil {
				return err
			}
			return object(path+".", members)
		case '[':
			items, err := parseItems(v)
			if err != nil {
				return err
			}
			if err := enc.WriteToken(jsontext.BeginArray); err != nil {
				return err
			}
			for i, item := range items {
				if err := value(path+"["+strconv.Itoa(i)+"]", "", item); err != nil {
					return err
				}
			}
			return enc.WriteToken(jsontext.EndArray)
		}
		if decimalNames[name] {
			text, err := decimalText(v)
			if err != nil && strict {
				return fieldError(err, path)
			}
			if err == nil && text != "" {
				return enc.WriteToken(jsontext.String(text))
			}
		}
		return enc.WriteValue(v)
	}
	object = func(path string, members []member) error {
		if err := enc.WriteToken(jsontext.BeginObject); err != nil {
			return err
		}
		for _, m := range members {
			if err := enc.WriteToken(jsontext.String(m.name)); err != nil {
				return err
			}
			if err := value(path+m.name, m.name, m.value); err != nil {
				return err
			}
		}
		return enc.WriteToken(jsontext.EndObject)
	}
	if err := object("data.", data); err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			n.fail(e)
		} else {
			n.fail(Rejectf(CodeMalformed, "data", "%s", jsonReason(err)))
		}
		return nil
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// decimalNames are the fields of data that hold money, quantities or ratios.
var decimalNames = map[string]bool{
	"price": true, "fill_price": true, "limit_price": true, "stop_price": true, "avg_price": true, "average_price": true,
	"last_price": true, "arrival_price": true, "expected_price": true, "reference_price": true,
	"quantity": true, "fill_quantity": true, "cum_quantity": true, "leaves_quantity": true, "cancelled_quantity": true,
	"filled_quantity": true, "remaining_quantity": true, "last_quantity": true, "quantity_before": true, "quantity_after": true,
	"size": true, "shares": true, "avg_entry_before": true, "avg_entry_after": true,
	"commission": true, "fee": true, "fees": true, "slippage": true, "slippage_bps": true,
	"estimated_value": true, "notional": true, "market_value": true,
}

// decimalText is the number as it was written, in plain notation; "" for null.
func decimalText(v jsontext.Value) (string, error) {
	var text string
	switch v.Kind() {
	case 'n':
		return "", nil
	case '0':
		text = string(v)
	case '"':
		if err := json.Unmarshal(v, &text); err != nil {
			return "", Rejectf(CodeMalformed, "", "not a JSON string")
		}
	default:
		return "", Rejectf(CodeWrongType, "", "must be a decimal number, not %s", kindName(v.Kind()))
	}
	d, err := ParseDecimal(text)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(text, "eE+") {
		return d.String(), nil
	}
	return text, nil
}

// parseObject checks that raw is one well-formed JSON object within bounds.
func parseObject(raw []byte) ([]member, error) {
	if len(raw) > MaxEventBytes {
		return nil, Rejectf(CodeTooLarge, "", "event has %d bytes, at most %d are taken", len(raw), MaxEventBytes)
	}
	if !utf8.Valid(raw) {
		return nil, Rejectf(CodeMalformed, "", "invalid UTF-8 at byte %d", invalidUTF8(raw))
	}
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for first := true; ; first = false {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) && !first {
			break
		}
		if err != nil {
			return nil, Rejectf(CodeMalformed, pointerPath(dec.StackPointer()), "malformed JSON: %s", jsonReason(err))
		}
		if first && token.Kind() != '{' {
			return nil, Rejectf(CodeWrongType, "", "must be a JSON object, not %s", kindName(token.Kind()))
		}
		if dec.StackDepth() > MaxDepth {
			return nil, Rejectf(CodeTooLarge, pointerPath(dec.StackPointer()), "nested deeper than %d", MaxDepth)
		}
		if token.Kind() == '0' {
			if err := boundNumber(token.String()); err != nil {
				return nil, fieldError(err, pointerPath(dec.StackPointer()))
			}
		}
	}
	members, err := parseMembers(raw)
	if err != nil {
		return nil, Rejectf(CodeMalformed, "", "malformed JSON: %s", jsonReason(err))
	}
	return members, nil
}

// boundNumber refuses numbers that JSON allows and no program reads back as
// they were: beyond 64 characters, or beyond what a 64-bit float can hold.
func boundNumber(text string) error {
	if len(text) > maxNumberBytes {
		return Rejectf(CodeTooLarge, "", "number has more than %d characters", maxNumberBytes)
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return Rejectf(CodeTooLarge, "", "number %s is too large", text)
	}
	return nil
}

func invalidUTF8(raw []byte) int {
	for i := 0; i < len(raw); {
		r, size := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(raw)
}

// parseMembers splits a JSON object; the values are not copied.
func parseMembers(object jsontext.Value) ([]member, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(object))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '{' {
		return nil, fmt.Errorf("not an object: %w", err)
	}
	var members []member
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		members = append(members, member{key, value.Clone()})
	}
	_, err := dec.ReadToken()
	return members, err
}

func parseItems(array jsontext.Value) ([]jsontext.Value, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(array))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var items []jsontext.Value
	for dec.PeekKind() != ']' {
		item, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		items = append(items, item.Clone())
	}
	_, err := dec.ReadToken()
	return items, err
}

func lookup(members []member, name string) jsontext.Value {
	for _, m := range members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

func fieldError(err error, field string) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Class: e.Class, Code: e.Code, Field: field, Message: e.Message, Err: e.Err}
	}
	return Rejectf(CodeInvalid, field, "%s", err)
}

// pointerPath turns a JSON pointer (RFC 6901) into the dotted path that the
// errors use: /data/legs/0/price is data.legs.0.price.
func pointerPath(p jsontext.Pointer) string {
	return strings.Join(slices.Collect(p.Tokens()), ".")
}

// jsonReason is the part of a JSON error that helps the sender.
func jsonReason(err error) string {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf("%v at byte %d", e.Err, e.ByteOffset)
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok && e.Err != nil {
		return e.Err.Error()
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	default:
		return "nothing"
	}
}
