package filter

import (
	"bytes"

	"github.com/expr-lang/expr/vm"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// field is one that an expression names. A field without read stands in data.
type field struct {
	kind kind
	read func(e *domain.Located) any
}

func textField(read func(e *domain.Located) string) field {
	return field{value, func(e *domain.Located) any {
		if text := read(e); text != "" {
			return text
		}
		return nil
	}}
}

// canonical are the fields of the event itself, by the names of its JSON form.
// raw is the exception to that form: the bytes, not their base64.
var canonical = map[string]field{
	"event_id":   textField(func(e *domain.Located) string { return e.ID }),
	"event_type": textField(func(e *domain.Located) string { return string(e.Type) }),
	"occurred_at": {moment, func(e *domain.Located) any {
		if e.OccurredAt.IsZero() {
			return nil
		}
		return e.OccurredAt
	}},
	"recorded_at": {moment, func(e *domain.Located) any {
		if e.RecordedAt.IsZero() {
			return nil
		}
		return e.RecordedAt
	}},
	"entity_type":       textField(func(e *domain.Located) string { return e.EntityType }),
	"entity_id":         textField(func(e *domain.Located) string { return e.EntityID }),
	"order_id":          textField(func(e *domain.Located) string { return e.OrderID }),
	"client_order_id":   textField(func(e *domain.Located) string { return e.ClientOrderID }),
	"broker_order_id":   textField(func(e *domain.Located) string { return e.BrokerOrderID }),
	"parent_order_id":   textField(func(e *domain.Located) string { return e.ParentOrderID }),
	"account_id":        textField(func(e *domain.Located) string { return e.AccountID }),
	"user_id":           textField(func(e *domain.Located) string { return e.UserID }),
	"strategy_id":       textField(func(e *domain.Located) string { return e.StrategyID }),
	"ticker":            textField(func(e *domain.Located) string { return e.Ticker }),
	"recommendation_id": textField(func(e *domain.Located) string { return e.RecommendationID }),
	"computation_id":    textField(func(e *domain.Located) string { return e.ComputationID }),
	"evaluation_id":     textField(func(e *domain.Located) string { return e.EvaluationID }),
	"approval_id":       textField(func(e *domain.Located) string { return e.ApprovalID }),
	"session_id":        textField(func(e *domain.Located) string { return e.SessionID }),
	"environment":       textField(func(e *domain.Located) string { return e.Environment }),
	"version":           textField(func(e *domain.Located) string { return e.Version }),
	"actor":             textField(func(e *domain.Located) string { return e.Actor }),
	"source":            textField(func(e *domain.Located) string { return e.Source }),
	"correlation_id":    textField(func(e *domain.Located) string { return e.CorrelationID }),
	"causation_id":      textField(func(e *domain.Located) string { return e.CausationID }),
	"path": {value, func(e *domain.Located) any {
		if len(e.Path) == 0 {
			return nil
		}
		hops := make([]any, len(e.Path))
		for i := range e.Path {
			hops[i] = &e.Path[i]
		}
		return hops
	}},
	"clock": {value, func(e *domain.Located) any {
		if e.Clock == nil {
			return nil
		}
		return e.Clock
	}},
	"schema_version": {value, func(e *domain.Located) any { return e.SchemaVersion }},
	"data": {value, func(e *domain.Located) any {
		if e.Data.Kind() != '{' {
			return nil
		}
		return e.Data
	}},
	"raw":    textField(func(e *domain.Located) string { return string(e.Raw) }),
	"stream": textField(func(e *domain.Located) string { return e.Stream }),
	"revision": {value, func(e *domain.Located) any {
		if e.Stream == "" {
			return nil
		}
		return e.Revision
	}},
	"position": {place, func(e *domain.Located) any {
		if e.Position.IsZero() {
			return nil
		}
		return e.Position
	}},
}

// run is the state of one evaluation.
type run struct {
	vm     vm.VM
	env    map[string]any
	fields []field
	inData map[string]int

	e      domain.Located
	values []any
	known  []bool
	inside bool // data has been read
	steps  int

	decoder *jsontext.Decoder
	buffer  bytes.Buffer
}

// reset lets go of the event.
func (r *run) reset() {
	r.e = domain.Located{}
	clear(r.values)
	clear(r.known)
	r.inside = false
	clear(r.vm.Stack[:cap(r.vm.Stack)])
	clear(r.vm.Scopes[:cap(r.vm.Scopes)])
	r.buffer = bytes.Buffer{}
}

// charge pays for work; see maxSteps.
func (r *run) charge(steps int) error {
	if r.steps -= steps; r.steps < 0 {
		return fault("too much work for one event")
	}
	return nil
}

// field reads the event on demand: data is decoded when an expression comes to
// something in it, and then only what the expression names.
func (r *run) field(i int) (any, error) {
	if r.known[i] {
		return r.values[i], nil
	}
	if read := r.fields[i].read; read != nil {
		r.values[i], r.known[i] = read(&r.e), true
		return r.values[i], nil
	}
	if r.inside {
		return nil, nil
	}
	r.inside = true
	missing := len(r.inData)
	err := r.members(r.e.Data, func(name []byte) bool {
		_, wanted := r.inData[string(name)]
		return wanted
	}, func(name []byte, v any) bool {
		i := r.inData[string(name)]
		if !r.known[i] {
			r.values[i], r.known[i] = v, true
			missing--
		}
		return missing > 0
	})
	return r.values[i], err
}

// members walks over an object and yields the wanted members until yield returns
// false. The names are good until the next one.
func (r *run) members(object jsontext.Value, wanted func(name []byte) bool, yield func(name []byte, v any) bool) error {
	if object.Kind() != '{' {
		return nil
	}
	if err := r.open(object); err != nil {
		return err
	}
	for r.decoder.PeekKind() != '}' {
		quoted, err := r.decoder.ReadValue()
		if err != nil || quoted.Kind() != '"' {
			return errNotJSON
		}
		name := quoted[1 : len(quoted)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			name, _ = jsontext.AppendUnquote(nil, quoted) // the decoder has accepted it
		}
		if !wanted(name) {
			if err := r.decoder.SkipValue(); err != nil {
				return errNotJSON
			}
			continue
		}
		name = append(make([]byte, 0, 64), name...)
		v, err := r.next(object)
		if err != nil {
			return err
		}
		if !yield(name, v) {
			return nil
		}
	}
	return nil
}

const errNotJSON = fault("data is not well-formed JSON")

func (r *run) open(v jsontext.Value) error {
	if err := r.charge(len(v) / 4); err != nil {
		return err
	}
	r.buffer = *bytes.NewBuffer(v)
	options := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	if r.decoder == nil {
		r.decoder = jsontext.NewDecoder(&r.buffer, options...)
	} else {
		r.decoder.Reset(&r.buffer, options...)
	}
	if _, err := r.decoder.ReadToken(); err != nil {
		return errNotJSON
	}
	return nil
}

// next reads the next value of what was opened. Objects and arrays stay text, a
// part of the event's, until something in them is asked for.
func (r *run) next(of jsontext.Value) (any, error) {
	v, err := r.decoder.ReadValue()
	if err != nil {
		return nil, errNotJSON
	}
	switch v.Kind() {
	case '"':
		if inner := v[1 : len(v)-1]; bytes.IndexByte(inner, '\\') < 0 {
			return datum(inner), nil
		}
		text, _ := jsontext.AppendUnquote(nil, v) // the decoder has accepted it
		return datum(text), nil
	case '0':
		return numeral(v), nil
	case 't':
		return true, nil
	case 'f':
		return false, nil
	case '{', '[':
		end := r.decoder.InputOffset()
		return of[end-int64(len(v)) : end : end], nil
	default:
		return nil, nil
	}
}

// list returns the elements of a list; nothing is a list without any.
func (r *run) list(v any) ([]any, error) {
	var list []any
	switch v := v.(type) {
	case nil:
		return list, nil
	case []any:
		list = v
	case jsontext.Value:
		if v.Kind() != '[' {
			return nil, fault("an object is not a list")
		}
		if err := r.open(v); err != nil {
			return nil, err
		}
		for r.decoder.PeekKind() != ']' {
			item, err := r.next(v)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
	default:
		return nil, fault(nameOf(v) + " is not a list")
	}
	return list, r.charge(len(list) * callSteps)
}

// get returns what stands under key in an object or a list: nil if nothing does.
func (r *run) get(v, key any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		return r.at(v, key)
	case jsontext.Value:
		if v.Kind() == '[' {
			list, err := r.list(v)
			if err != nil {
				return nil, err
			}
			return r.at(list, key)
		}
		name, ok := textOf(key)
		if !ok {
			return nil, nil
		}
		var found any
		err := r.members(v,
			func(n []byte) bool { return string(n) == name },
			func(_ []byte, v any) bool { found = v; return false })
		return found, err
	case *domain.Clock:
		name, _ := textOf(key)
		switch name {
		case "source_id":
			return orNil(v.SourceID), nil
		case "sync":
			return orNil(v.Sync), nil
		case "offset_ns":
			return int(v.OffsetNs), nil
		case "max_error_ns":
			return int(v.MaxErrorNs), nil
		}
		return nil, nil
	case *domain.Hop:
		name, _ := textOf(key)
		switch {
		case name == "hop":
			return orNil(v.Hop), nil
		case name == "in" && !v.In.IsZero():
			return v.In, nil
		case name == "out" && !v.Out.IsZero():
			return v.Out, nil
		}
		return nil, nil
	default:
		return nil, fault(nameOf(v) + " has no fields")
	}
}

func (r *run) at(list []any, key any) (any, error) {
	d, ok := numberOf(key)
	if !ok {
		return nil, fault("a list is indexed by numbers")
	}
	i := d.IntPart()
	if !d.IsInteger() || !d.BigInt().IsInt64() {
		return nil, nil
	}
	if i < 0 {
		i += int64(len(list))
	}
	if i < 0 || i >= int64(len(list)) {
		return nil, nil
	}
	return list[i], nil
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}
