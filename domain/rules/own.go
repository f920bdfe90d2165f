package rules

import (
	"bytes"
	"cmp"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
)

// ownRule is a rule from a file: an expression over the event and its order.
type ownRule struct{ Rule }

// define makes the rule judge. An expression that makes no sense even on an event
// without any fields is refused: it would on none.
func (o ownRule) define() (definition, error) {
	matcher, err := filter.Filter{Types: o.Types, Expression: o.When}.Compile()
	if err != nil {
		return definition{}, err
	}
	probe := matcher.Without(filter.Types)
	if _, err := probe.Match(domain.Located{Event: &domain.Event{}}); err != nil {
		return definition{}, err
	}
	if n, why := probe.Errors(); n > 0 {
		return definition{}, domain.Rejectf(domain.CodeInvalid, "expression", "makes no sense where all fields are missing: %s", said(why))
	}
	thresholds := make(map[string]string, len(o.Thresholds))
	for _, t := range o.Thresholds {
		thresholds[t.Name] = t.Value
	}
	encoded, err := json.Marshal(thresholds, json.Deterministic(true))
	if err != nil {
		return definition{}, err
	}
	r := ownJudge{
		ownRule: o, encoded: encoded,
		wantsOrder: o.mentions("order"), wantsThreshold: o.mentions("threshold"),
	}
	d := definition{Rule: o.Rule, on: []occasion{onAny}}
	d.build = func(limits) judge { return r.judge(matcher) }
	return d, nil
}

// said is an error's public message, without the field that its caller calls
// otherwise.
func said(err error) string {
	if e, ok := errors.AsType[*domain.Error](err); ok {
		return e.Message
	}
	return err.Error()
}

// mentions reports whether the rule may name a field; more than needed does no harm.
func (o ownRule) mentions(name string) bool {
	for _, text := range []string{o.When, o.Says, o.Value, o.Limit} {
		if strings.Contains(text, name) {
			return true
		}
	}
	return false
}

type ownJudge struct {
	ownRule

	encoded                    []byte // the thresholds
	wantsOrder, wantsThreshold bool
}

func (r ownJudge) judge(matcher *filter.Matcher) judge {
	types := matcher.Without(filter.Expression)
	return func(x *moment) verdict {
		if fits, err := types.Match(x.located); err != nil || !fits {
			return verdict{}
		}
		seen := x.located
		if r.wantsOrder || r.wantsThreshold {
			extended := *x.event
			extended.Data = r.extend(x)
			seen.Event = &extended
		}
		// The counter is shared by all engines of the set, so the difference would be
		// wrong: a matcher of its own costs no more than a few words.
		own := matcher.Counting()
		fits, err := own.Match(seen)
		if n, _ := own.Errors(); n > 0 || err != nil {
			x.engine.uncomputable(r.ID)
			return verdict{}
		}
		if !fits {
			return verdict{}
		}
		v := verdict{at: x.event.OccurredAt, evidence: []string{x.event.ID}, unit: r.unit()}
		v.value, v.limit = resolve(seen.Event, r.Value), resolve(seen.Event, r.Limit)
		for _, path := range placeholders(r.Says) {
			switch path {
			case "value", "limit", "unit":
			default:
				v.words = append(v.words, path, cmp.Or(resolve(seen.Event, path), "unknown"))
			}
		}
		return v
	}
}

func (r ownJudge) unit() string {
	for _, t := range r.Thresholds {
		if r.Limit == "threshold."+t.Name {
			return string(t.Unit)
		}
	}
	return ""
}

// extend is the event's data with what rules of one's own may name besides: order and
// threshold. A field of the source can't pose as them: it is left out.
func (r ownJudge) extend(x *moment) jsontext.Value {
	if x.stripped == nil {
		x.stripped = stripped(x.event.Data)
	}
	out := make([]byte, 0, len(x.stripped)+1024)
	out = append(out, '{')
	if r.wantsThreshold {
		out = append(append(out, `"threshold":`...), r.encoded...)
		out = append(out, ',')
	}
	if r.wantsOrder && x.order != nil {
		if x.extended == nil {
			x.extended = x.order.state(x)
		}
		out = append(append(out, `"order":`...), x.extended...)
		out = append(out, ',')
	}
	if rest := bytes.TrimSpace(x.stripped[1:]); rest[0] != '}' {
		return append(out, rest...)
	}
	return append(bytes.TrimSuffix(out, []byte(",")), '}')
}

// stripped is the object without members named order or threshold; what is no object
// has no members.
func stripped(data jsontext.Value) jsontext.Value {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || data[0] != '{' {
		return jsontext.Value("{}")
	}
	if !bytes.Contains(data, []byte(`"order"`)) && !bytes.Contains(data, []byte(`"threshold"`)) && bytes.IndexByte(data, '\\') < 0 {
		return data
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	out := []byte("{")
	if _, err := decoder.ReadToken(); err != nil {
		return jsontext.Value("{}")
	}
	for decoder.PeekKind() == '"' {
		name, err := decoder.ReadValue()
		if err != nil {
			return jsontext.Value("{}")
		}
		text := unquoted(name)
		name = name.Clone() // good until the next read only
		value, err := decoder.ReadValue()
		if err != nil {
			return jsontext.Value("{}")
		}
		if text == "order" || text == "threshold" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}')
}

func (e *Engine) uncomputable(rule string) {
	if e.stats.Uncomputable == nil {
		e.stats.Uncomputable = make(map[string]int64)
	}
	e.stats.Uncomputable[rule]++
}

// orderState is what expressions see as order.
type orderState struct {
	ID          string `json:"id"`
	Status      string `json:"status"`
	Side        string `json:"side,omitzero"`
	Type        string `json:"type,omitzero"`
	Ticker      string `json:"ticker,omitzero"`
	Account     string `json:"account,omitzero"`
	Strategy    string `json:"strategy,omitzero"`
	User        string `json:"user,omitzero"`
	Known       bool   `json:"known"`
	Events      int    `json:"events"`
	Fills       int    `json:"fills"`
	Quantity    string `json:"quantity,omitzero"`
	LimitPrice  string `json:"limit_price,omitzero"`
	Arrival     string `json:"arrival_price,omitzero"`
	CumQuantity string `json:"cum_quantity"`
	Leaves      string `json:"leaves_quantity,omitzero"`
	AvgPrice    string `json:"avg_price,omitzero"`
	CumNotional string `json:"cum_notional"`
	Commission  string `json:"commission"`
	Accept      string `json:"latency_accept,omitzero"`
	Fill        string `json:"latency_fill,omitzero"`
	Life        string `json:"latency_life,omitzero"`
	Chain       string `json:"latency_chain,omitzero"`
	Submitted   string `json:"submitted_at,omitzero"`
	Accepted    string `json:"accepted_at,omitzero"`
	FirstFill   string `json:"first_fill_at,omitzero"`
}

func (o *order) state(x *moment) jsontext.Value {
	f := &o.Fold
	s := orderState{
		ID: f.ID, Status: string(f.Status), Side: f.Side, Type: f.Type, Ticker: f.Ticker, Account: f.Account, Strategy: f.Strategy, User: f.User,
		Known: o.known(), Events: f.Events, Fills: f.Fills, Quantity: numeral(f.Quantity), LimitPrice: numeral(f.LimitPrice), Arrival: numeral(o.Arrival),
		CumQuantity: f.CumQuantity.String(), Leaves: numeral(f.Leaves()), AvgPrice: numeral(f.AvgPrice()),
		CumNotional: f.CumNotional.String(), Commission: f.Commission.String(),
		Submitted: o.Submitted.stamp(), Accepted: o.Accepted.stamp(), FirstFill: o.FirstFill.stamp(),
	}
	for step, target := range map[domain.OrderStep]*string{domain.StepAccept: &s.Accept, domain.StepFill: &s.Fill, domain.StepLife: &s.Life} {
		if d, ok := f.Latency(step); ok {
			*target = d.String()
		}
	}
	if begun := x.engine.decision(o).begun(); begun.known() {
		s.Chain = x.event.OccurredAt.Sub(begun.At).String()
	}
	out, err := json.Marshal(s)
	if err != nil {
		return jsontext.Value("{}") // a text that is not UTF-8
	}
	return out
}
