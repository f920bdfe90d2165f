package rules

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// pathForm is what explanations, value and limit may name: a field, or one in an
// object. Nothing is computed.
var pathForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,3}$`)

var placeholder = regexp.MustCompile(`\{([^{}]*)\}`)

// placeholders lists what a template names, once each.
func placeholders(template string) []string {
	var out []string
	for _, m := range placeholder.FindAllStringSubmatch(template, -1) {
		if !slices.Contains(out, m[1]) {
			out = append(out, m[1])
		}
	}
	return out
}

const maxWord = 300 // bytes of a value in an explanation; ids fit

// clip bounds a value in an explanation.
func clip(text string) string {
	if len(text) <= maxWord {
		return text
	}
	return strings.ToValidUTF8(text[:maxWord], "") + "..."
}

// resolve is the text or number that stands at a path: of the event itself, else of
// its data. Empty: nothing does.
func resolve(e *domain.Event, path string) string {
	if path == "" {
		return ""
	}
	shallow := *e
	shallow.Data, shallow.Raw = nil, nil
	encoded, err := shallow.Encode()
	if err != nil {
		return ""
	}
	names := strings.Split(path, ".")
	text := dig(encoded, names)
	if text == "" {
		text = dig(e.Data, names)
	}
	return clip(text)
}

func dig(object jsontext.Value, names []string) string {
	for _, name := range names {
		var members map[string]jsontext.Value
		if object.Kind() != '{' || json.Unmarshal(object, &members, jsontext.AllowDuplicateNames(true)) != nil {
			return ""
		}
		object = members[name]
	}
	switch object.Kind() {
	case '"':
		var text string
		if json.Unmarshal(object, &text) != nil {
			return ""
		}
		return text
	case '0', 't', 'f':
		return string(object)
	default:
		return ""
	}
}

func numeral(d decimal.NullDecimal) string {
	if !d.Valid {
		return ""
	}
	return d.Decimal.String()
}

func (m mark) stamp() string {
	if !m.known() {
		return ""
	}
	return stamp(m.At)
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
