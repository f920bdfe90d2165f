package domain

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

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

// member is one name and value of a JSON object, in input order. Both are parts
// of the input, not copies.
type member struct {
	within string // path of the object in the input; "" at the top
	name   []byte
	value  jsontext.Value
	outer  int  // how many members before it have its name; see merge
	taken  bool // has become a field of the event
}

// is reports whether the member goes by this name in Data.
func (m *member) is(name string) bool { return m.outer == 0 && string(m.name) == name }

// key is the member's name in Data.
func (m *member) key() string { return strings.Repeat("top.", m.outer) + string(m.name) }

// path names the member in errors.
func (m *member) path() string { return clipPath(join(m.within, string(m.name))) }

func join(within, name string) string {
	switch {
	case within == "":
		return name
	case name == "":
		return within
	default:
		return within + "." + name
	}
}

// clipPath keeps hostile names from filling answers and logs.
func clipPath(path string) string {
	if len(path) <= MaxIDBytes {
		return path
	}
	return strings.ToValidUTF8(path[:MaxIDBytes], "") + "…"
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
	if typeName[0] == '$' {
		n.fail(Rejectf(CodeInvalid, "event_type", "begins with $, which the event store keeps for its own events"))
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
	e.Version = n.text(MaxNameBytes, "version") // often a number
	e.Actor = n.id("actor")
	e.CorrelationID = n.id("correlation_id")
	e.CausationID = n.id("causation_id")
	n.structured("path", &e.Path)
	n.structured("clock", &e.Clock)
	n.structured("raw", &e.Raw)
	n.dropDoorsOwn()
	data := n.data()
	if n.err != nil {
		return nil
	}
	e.Type = resolveType(typeName, data)
	n.link(e, data)
	e.Data = n.encode(data, e.Type)
	return e
}

// dropDoorsOwn takes off what the door sets and no sender can. Only canonical
// events, which carry our schema version, mean these fields in our sense; under
// the same names others have facts of their own, and those stay in Data.
func (n *normaliser) dropDoorsOwn() {
	version, err := strconv.Atoi(string(lookup(n.fields, "schema_version")))
	if err != nil || version < 1 || version > SchemaVersion {
		return
	}
	for _, name := range []string{"recorded_at", "schema_version", "source"} {
		n.take(name)
	}
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
		{&e.ParentOrderID, []string{"parent_order_id"}},
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
	if e.OrderID == "" {
		e.OrderID = n.dataID(innerMembers(data, "change"), "order_id")
	}
	n.linkEntity(e)
	if e.Actor == "" && e.UserID != "" {
		e.Actor = e.UserID
	}
}

func (n *normaliser) linkEntity(e *Event) {
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
	case "instrument":
		return &e.Ticker
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

// ResolveTypes returns the types under which events that are sent as name are
// recorded: one, except for position_changed, which becomes one of three.
func ResolveTypes(name string) []EventType {
	if name == "position_changed" {
		return []EventType{PositionOpened, PositionUpdated, PositionClosed}
	}
	return []EventType{resolveType(name, nil)}
}

// positionType tells opened, updated and closed apart by the shares before and
// after. Signs don't matter: a short that opens goes from 0 to below 0.
func positionType(data []member) EventType {
	shares := func(name string) (Decimal, bool) {
		text, err := decimalText(lookup(innerMembers(data, name), "shares"))
		if err != nil {
			return Decimal{}, false
		}
		d, err := ParseDecimal(text)
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

// take returns the first of the named fields that is present and not null, and
// marks it and the nulls before it as taken.
func (n *normaliser) take(names ...string) *member {
	for _, name := range names {
		for i := range n.fields {
			m := &n.fields[i]
			if m.taken || string(m.name) != name {
				continue
			}
			m.taken = true
			if m.value.Kind() != 'n' {
				return m
			}
			break
		}
	}
	return nil
}

func (n *normaliser) fail(err *Error) {
	if n.err == nil {
		n.err = err
	}
}

// text takes a string field; numbers are accepted where ids are meant, since
// many systems send numeric ids.
func (n *normaliser) text(limit int, names ...string) string {
	m := n.take(names...)
	if m == nil {
		return ""
	}
	text, err := textOf(m.value, limit)
	if err != nil {
		n.fail(fieldError(err, m.path()))
	}
	return text
}

func (n *normaliser) id(names ...string) string { return n.text(MaxIDBytes, names...) }

// name is a text that is never a number: a type, not an id.
func (n *normaliser) name(names ...string) string {
	for i := range n.fields {
		m := &n.fields[i]
		if m.value.Kind() == '0' && slices.ContainsFunc(names, m.is) {
			n.fail(Rejectf(CodeWrongType, m.path(), "must be a string, not a number"))
			return ""
		}
	}
	return n.text(MaxNameBytes, names...)
}

// dataID reads an id inside data, and leaves it there.
func (n *normaliser) dataID(data []member, name string) string {
	for i := range data {
		m := &data[i]
		if !m.is(name) {
			continue
		}
		if kind := m.value.Kind(); kind != '"' && kind != '0' {
			return ""
		}
		text, err := textOf(m.value, MaxIDBytes)
		if err != nil {
			n.fail(fieldError(err, m.path()))
		}
		return text
	}
	return ""
}

func textOf(value jsontext.Value, limit int) (string, error) {
	var text string
	switch value.Kind() {
	case '"':
		text = unquote(value)
	case '0':
		text = string(value)
		if strings.ContainsAny(text, ".eE") {
			return "", Rejectf(CodeWrongType, "", "must be a string, or a whole number")
		}
	default:
		return "", Rejectf(CodeWrongType, "", "must be a string, not %s", kindName(value.Kind()))
	}
	switch {
	case text == "":
		return "", Rejectf(CodeInvalid, "", "empty; leave the field out if there is no value")
	case len(text) > limit:
		return "", Rejectf(CodeTooLarge, "", "longer than %d bytes", limit)
	case strings.TrimSpace(text) != text:
		return "", Rejectf(CodeInvalid, "", "begins or ends with white space")
	}
	for i, r := range text {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\uFEFF' {
			return "", Rejectf(CodeInvalid, "", "control character %U at byte %d", r, i)
		}
	}
	return text, nil
}

// structured takes a field with a form of its own. If it says more than that
// form holds, the whole of it stays in Data too.
func (n *normaliser) structured(name string, target any) {
	m := n.take(name)
	if m == nil || json.Unmarshal(m.value, target, json.RejectUnknownMembers(true)) == nil {
		return
	}
	err := json.Unmarshal(m.value, target)
	if err == nil {
		m.taken = false
		return
	}
	path, reason := m.path(), "wrong type"
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		if e.JSONPointer != "" {
			path = join(path, pointerPath(e.JSONPointer))
		}
		if e.Err != nil {
			reason = e.Err.Error()
		}
	}
	n.fail(Rejectf(CodeWrongType, path, "%s", reason))
}

// The first and last moments that fit into 64 bits of nanoseconds.
var (
	minTime = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	maxTime = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
)

// occurredAt reads RFC 3339 with a zone, or epoch seconds with a fraction.
func (n *normaliser) occurredAt() time.Time {
	m := n.take("occurred_at", "created_at", "timestamp")
	if m == nil {
		n.fail(Rejectf(CodeMissing, "occurred_at", "missing (created_at and timestamp are understood too)"))
		return time.Time{}
	}
	at, err := timeOf(m.value)
	if err != nil {
		n.fail(fieldError(err, m.path()))
	}
	return at
}

func timeOf(value jsontext.Value) (time.Time, error) {
	var at time.Time
	var err error
	switch value.Kind() {
	case '"':
		at, err = zonedTime(unquote(value))
	case '0':
		at, err = epochTime(string(value))
	default:
		err = Rejectf(CodeWrongType, "", "must be an RFC 3339 string or epoch seconds, not %s", kindName(value.Kind()))
	}
	if err != nil {
		return time.Time{}, err
	}
	if at.Before(minTime) || !at.Before(maxTime) {
		return time.Time{}, Rejectf(CodeInvalid, "", "outside of the years 1970 to 2261")
	}
	return at.UTC(), nil
}

func zonedTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, text)
	// Parse also takes one digit for the hour and a comma for the point.
	if err != nil || text[13] != ':' || text[19] == ',' {
		if _, zoneless := time.Parse("2006-01-02T15:04:05", strings.Replace(text, " ", "T", 1)); zoneless == nil {
			return at, Rejectf(CodeInvalid, "", "%.64q has no time zone: append Z or an offset such as -05:00", text)
		}
		return at, Rejectf(CodeInvalid, "", "%.64q is not an RFC 3339 time", text)
	}
	if _, fraction, ok := strings.Cut(text, "."); ok {
		digits, _, _ := strings.Cut(strings.TrimRight(fraction, "Z"), "+")
		digits, _, _ = strings.Cut(digits, "-")
		if len(strings.TrimRight(digits, "0")) > 9 {
			return at, Rejectf(CodeInvalid, "", "%.64q is finer than a nanosecond", text)
		}
	}
	return at, nil
}

// epochTime reads the number digit by digit: a float would invent nanoseconds.
func epochTime(text string) (time.Time, error) {
	d, err := ParseDecimal(text)
	if err != nil {
		return time.Time{}, err
	}
	// Before the multiplication, which could leave the 64 bits and come back in.
	if d.IsNegative() {
		return time.Time{}, Rejectf(CodeInvalid, "", "outside of the years 1970 to 2261")
	}
	if d.GreaterThanOrEqual(decimal.NewFromInt(maxTime.Unix())) {
		return time.Time{}, Rejectf(CodeInvalid, "", "%s is after the year 2261: epoch seconds are expected, not milliseconds", text)
	}
	ns := d.Shift(9)
	if !ns.IsInteger() {
		return time.Time{}, Rejectf(CodeInvalid, "", "%s is finer than a nanosecond", text)
	}
	return time.Unix(0, ns.IntPart()), nil
}

// data gathers the stage's own fields: data or details, and whatever else stood
// at the top. A name that stands in both is kept twice, the outer as top.<name>.
func (n *normaliser) data() []member {
	var data []member
	for _, name := range []string{"data", "details"} {
		m := n.take(name)
		if m == nil {
			continue
		}
		if m.value.Kind() != '{' {
			n.fail(Rejectf(CodeWrongType, name, "must be an object, not %s", kindName(m.value.Kind())))
			return nil
		}
		data = merge(data, membersOf(m))
	}
	rest := n.fields[:0]
	for i := range n.fields {
		if !n.fields[i].taken {
			rest = append(rest, n.fields[i])
		}
	}
	return merge(data, rest)
}

func merge(data, more []member) []member {
	if len(data) == 0 {
		return more
	}
	if len(more) == 0 {
		return data
	}
	keys := make(map[string]bool, len(data)+len(more))
	for i := range data {
		keys[data[i].key()] = true
	}
	for _, m := range more {
		for keys[m.key()] {
			m.outer++
		}
		keys[m.key()] = true
		data = append(data, m)
	}
	return data
}

// encode writes data with every known decimal, at any depth, as a string. At the
// top of an event whose type we know, and anywhere in a position, such a field
// must be a decimal. Elsewhere the name may mean something else (a pre-trade
// check called price says "pass"), so what is no decimal stays as it is.
func (n *normaliser) encode(data []member, t EventType) jsontext.Value {
	if len(data) == 0 {
		return nil
	}
	size := 2
	for i := range data {
		size += len(data[i].name) + len(data[i].value) + len(`"":"",`)
	}
	known, position := t.Known(), t.Family() == "position"
	w := transcriber{out: append(make([]byte, 0, size), '{')}
	for i := range data {
		m := &data[i]
		if i > 0 {
			w.out = append(w.out, ',')
		}
		if m.outer == 0 {
			w.out, _ = jsontext.AppendQuote(w.out, m.name) // can't fail: it comes out of well-formed JSON
		} else {
			w.out, _ = jsontext.AppendQuote(w.out, m.key())
		}
		w.out = append(w.out, ':')
		var err error
		at := 0
		if kind := m.value.Kind(); kind == '{' || kind == '[' {
			w.strict = known && position
			at, err = w.value(m.value)
		} else {
			w.strict = known
			err = w.scalar(m.value, decimalNames[string(m.name)])
		}
		if err != nil {
			n.fail(fieldError(err, clipPath(join(m.path(), pathAt(m.value, at)))))
			return nil
		}
	}
	if len(w.out) >= MaxEventBytes {
		n.fail(Rejectf(CodeTooLarge, "data", "has %d bytes when written out, at most %d are taken", len(w.out)+1, MaxEventBytes))
		return nil
	}
	return append(w.out, '}')
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
		text = unquote(v)
	default:
		return "", Rejectf(CodeWrongType, "", "must be a decimal number, not %s", kindName(v.Kind()))
	}
	if len(text) <= MaxDecimalScale && !strings.ContainsAny(text, "eE+") && isDecimal(text) {
		return text, nil // too short to be out of bounds
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

// parseObject splits raw, which must be one well-formed JSON object within the
// bounds of depth and numbers.
func parseObject(raw []byte) ([]member, error) {
	if len(raw) > MaxEventBytes {
		return nil, Rejectf(CodeTooLarge, "", "event has %d bytes, at most %d are taken", len(raw), MaxEventBytes)
	}
	if !withinBounds(raw) || !jsontext.Value(raw).IsValid() || jsontext.Value(raw).Kind() != '{' {
		return nil, diagnose(raw)
	}
	return splitObject(raw, ""), nil
}

// membersOf returns the members of m's value if that is an object, else none.
func membersOf(m *member) []member {
	if m.value.Kind() != '{' {
		return nil
	}
	return splitObject(m.value, m.path())
}

// innerMembers returns the members of the object in data that has this name.
func innerMembers(data []member, name string) []member {
	for i := range data {
		if data[i].is(name) {
			return membersOf(&data[i])
		}
	}
	return nil
}

// withinBounds looks at every bracket and number of a JSON text once; about text
// that is no JSON it may say anything.
func withinBounds(raw []byte) bool {
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > MaxDepth {
				return false
			}
		case '}', ']':
			depth--
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			start, exponent := i, false
			for ; i < len(raw) && isNumberByte(raw[i]); i++ {
				exponent = exponent || raw[i]|0x20 == 'e'
			}
			// Without an exponent, a number of this length is no larger than 1e64.
			if i-start > maxNumberBytes || exponent && boundNumber(string(raw[start:i])) != nil {
				return false
			}
			i--
		}
	}
	return true
}

func isNumberByte(c byte) bool {
	return '0' <= c && c <= '9' || c == '.' || c == '-' || c == '+' || c|0x20 == 'e'
}

// diagnose says what is wrong with raw, and where. It takes its time: only input
// that is refused comes here.
func diagnose(raw []byte) *Error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw))
	for first := true; first || dec.StackDepth() > 0; first = false {
		token, err := dec.ReadToken()
		if err != nil {
			return malformed(dec, err)
		}
		if first && token.Kind() != '{' {
			return Rejectf(CodeWrongType, "", "must be a JSON object, not %s", kindName(token.Kind()))
		}
		if dec.StackDepth() > MaxDepth {
			return Rejectf(CodeTooLarge, pointerPath(dec.StackPointer()), "nested deeper than %d", MaxDepth)
		}
		if token.Kind() == '0' {
			if err := boundNumber(token.String()); err != nil {
				return fieldError(err, pointerPath(dec.StackPointer()))
			}
		}
	}
	return Rejectf(CodeMalformed, "", "malformed JSON: more follows after the object, at byte %d", dec.InputOffset())
}

// pathAt is the path of the value at this byte of v; "" for v itself.
func pathAt(v jsontext.Value, at int) string {
	dec := jsontext.NewDecoder(bytes.NewBuffer(v))
	for dec.InputOffset() <= int64(at) {
		if _, err := dec.ReadToken(); err != nil {
			return ""
		}
	}
	return pointerPath(dec.StackPointer())
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

// malformed makes the decoder's error one that helps the sender. Where the error
// names only the object, the field which was read last is nearer.
func malformed(dec *jsontext.Decoder, err error) *Error {
	if errors.Is(err, io.EOF) {
		return Rejectf(CodeMalformed, "", "empty: a JSON object is expected")
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		pointer := e.JSONPointer
		if last := dec.StackPointer(); pointer.Contains(last) {
			pointer = last
		}
		return Rejectf(CodeMalformed, pointerPath(pointer), "malformed JSON: %v at byte %d", e.Err, e.ByteOffset)
	}
	return Rejectf(CodeMalformed, "", "malformed JSON: %v", err)
}

func lookup(members []member, name string) jsontext.Value {
	for i := range members {
		if members[i].is(name) {
			return members[i].value
		}
	}
	return nil
}

// fieldError says which field err is about, unless err knows.
func fieldError(err error, field string) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Field != "" {
			return e
		}
		return &Error{Class: e.Class, Code: e.Code, Field: field, Message: e.Message, Err: e.Err}
	}
	return Rejectf(CodeInvalid, field, "%s", err)
}

// pointerPath turns a JSON pointer (RFC 6901) into the dotted path that the
// errors use: /data/legs/0/price is data.legs.0.price.
func pointerPath(p jsontext.Pointer) string {
	return clipPath(strings.Join(slices.Collect(p.Tokens()), "."))
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
