package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tradetrail/tradetrail/domain"
)

// The bounds of a file of rules.
const (
	MaxFileBytes = 1 << 20
	MaxOwnRules  = 200
)

// loader reads a file of rules. It walks over YAML's nodes, so that each error can
// name its line, and so that aliases, which can unfold without end, stay outside.
type loader struct {
	definitions []definition
	owners      map[string]string
	own         int
}

// Load compiles the rules that come along, changed as the YAML says, and the rules of
// one's own in it. docs/rules.md describes the form. Errors are of class rejected, say
// line, rule and field, and nothing is loaded then.
func Load(text []byte) (*Set, error) {
	if len(text) > MaxFileBytes {
		return nil, domain.Rejectf(domain.CodeTooLarge, "rules", "larger than %d bytes", MaxFileBytes)
	}
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, domain.Rejectf(domain.CodeMalformed, "rules", "not YAML: %v", err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, domain.Rejectf(domain.CodeInvalid, "rules", "more than one YAML document: what follows the first would not be read")
	}
	l := loader{definitions: builtin(), owners: make(map[string]string)}
	if len(document.Content) > 0 {
		if err := l.file(document.Content[0]); err != nil {
			return nil, err
		}
	}
	return newSet(l.definitions, l.owners)
}

// fault names the place of an error: the line, the rule if there is one, the field.
func fault(n *yaml.Node, rule, field, format string, args ...any) error {
	where := "line " + strconv.Itoa(n.Line)
	path := "rules"
	if rule != "" {
		where += ", rule " + rule
		path += "." + rule
	}
	if field != "" {
		where += ", " + field
		path += "." + field
	}
	return domain.Rejectf(domain.CodeInvalid, path, "%s: %s", where, fmt.Sprintf(format, args...))
}

// entry is a key of a mapping and what stands there.
type entry struct {
	key   string
	at    *yaml.Node
	value *yaml.Node
}

// mapping lists the entries of a mapping; each key must be one of the allowed, or
// anything if none are named, and stand there once.
func mapping(n *yaml.Node, rule, field string, allowed ...string) ([]entry, error) {
	if n.Kind != yaml.MappingNode {
		return nil, fault(n, rule, field, "must be a mapping of names to values")
	}
	var out []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || value.Kind == yaml.AliasNode {
			return nil, fault(key, rule, field, "aliases and keys that are no words are not taken")
		}
		if len(allowed) > 0 && !slices.Contains(allowed, key.Value) {
			return nil, fault(key, rule, field, "unknown field %.64q; known are %s", key.Value, strings.Join(allowed, ", "))
		}
		if slices.ContainsFunc(out, func(e entry) bool { return e.key == key.Value }) {
			return nil, fault(key, rule, field, "%.64q stands here twice", key.Value)
		}
		out = append(out, entry{key.Value, key, value})
	}
	return out, nil
}

func scalar(n *yaml.Node, rule, field string) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", fault(n, rule, field, "must be a text or a number")
	}
	return n.Value, nil
}

func (l *loader) file(n *yaml.Node) error {
	sections, err := mapping(n, "", "", "thresholds", "rules", "owners")
	if err != nil {
		return err
	}
	for _, s := range sections {
		switch s.key {
		case "thresholds":
			err = l.changes(s.value)
		case "rules":
			err = l.ownRules(s.value)
		case "owners":
			err = l.ownersOf(s.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// changes are made to the rules that come along.
func (l *loader) changes(n *yaml.Node) error {
	changed, err := mapping(n, "", "thresholds")
	if err != nil {
		return err
	}
	for _, c := range changed {
		i := slices.IndexFunc(l.definitions, func(d definition) bool { return d.ID == c.key && !d.Own })
		if i < 0 {
			return fault(c.at, c.key, "", "no rule of this name comes along; `tradetrail rules list` names them")
		}
		if err := change(&l.definitions[i], c.value); err != nil {
			return err
		}
	}
	return nil
}

func change(d *definition, n *yaml.Node) error {
	allowed := []string{"severity", "enabled"}
	for _, t := range d.Thresholds {
		allowed = append(allowed, t.Name)
	}
	fields, err := mapping(n, d.ID, "", allowed...)
	if err != nil {
		return err
	}
	for _, f := range fields {
		text, err := scalar(f.value, d.ID, f.key)
		if err != nil {
			return err
		}
		switch f.key {
		case "severity":
			d.Severity, err = severity(f.value, d.ID)
		case "enabled":
			d.Off, err = disabled(f.value, d.ID)
		default:
			i := slices.IndexFunc(d.Thresholds, func(t Threshold) bool { return t.Name == f.key })
			d.Thresholds[i].Value, d.Thresholds[i].Source = text, "the file of rules"
			if _, bad := d.Thresholds[i].read(); bad != nil {
				err = fault(f.value, d.ID, f.key, "%s", said(bad))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func severity(n *yaml.Node, rule string) (Severity, error) {
	text, err := scalar(n, rule, "severity")
	if s := Severity(text); err != nil || s.Known() {
		return s, err
	}
	return "", fault(n, rule, "severity", "%.64q is none of info, low, medium, high, critical", text)
}

func disabled(n *yaml.Node, rule string) (bool, error) {
	text, err := scalar(n, rule, "enabled")
	if err != nil || text == "true" || text == "false" {
		return text == "false", err
	}
	return false, fault(n, rule, "enabled", "%.64q is neither true nor false", text)
}

// ownersOf reads who is behind several accounts.
func (l *loader) ownersOf(n *yaml.Node) error {
	owners, err := mapping(n, "", "owners")
	if err != nil {
		return err
	}
	for _, o := range owners {
		if o.value.Kind != yaml.SequenceNode {
			return fault(o.value, "", "owners."+o.key, "must be a list of accounts")
		}
		for _, account := range o.value.Content {
			id, err := scalar(account, "", "owners."+o.key)
			if err != nil {
				return err
			}
			if other, taken := l.owners[id]; taken {
				return fault(account, "", "owners."+o.key, "account %.64q is %s's already", id, other)
			}
			l.owners[id] = o.key
		}
	}
	return nil
}

// ruleID is what a rule may be called: it stands in findings, keys and paths.
var ruleID = regexp.MustCompile(`^[a-z][a-z0-9]*([-_][a-z0-9]+){0,15}$`)

func (l *loader) ownRules(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return fault(n, "", "rules", "must be a list of rules")
	}
	for _, item := range n.Content {
		if l.own++; l.own > MaxOwnRules {
			return fault(item, "", "rules", "more than %d rules", MaxOwnRules)
		}
		d, err := l.ownRule(item)
		if err != nil {
			return err
		}
		l.definitions = append(l.definitions, d)
	}
	return nil
}

func (l *loader) ownRule(n *yaml.Node) (definition, error) {
	fields, err := mapping(n, "", "rules", "id", "version", "kind", "severity", "title", "types", "when", "explanation",
		"value", "limit", "threshold", "once", "source", "enabled")
	if err != nil {
		return definition{}, err
	}
	o := ownRule{Rule{Version: 1, Severity: Medium, Own: true, Source: "a file of rules", Judges: "at each event that fits"}}
	places := map[string]*yaml.Node{"id": n}
	for _, f := range fields {
		places[f.key] = f.value
		if f.key == "id" {
			if o.ID, err = scalar(f.value, "", "id"); err != nil {
				return definition{}, err
			}
		}
	}
	if len(o.ID) > 64 || !ruleID.MatchString(o.ID) {
		return definition{}, fault(places["id"], "", "id", "%.64q is no id such as big-fill: small letters, digits, - and _", o.ID)
	}
	if slices.ContainsFunc(l.definitions, func(d definition) bool { return d.ID == o.ID }) {
		return definition{}, fault(places["id"], o.ID, "id", "there is a rule of this id already")
	}
	for _, f := range fields {
		if err := o.field(f); err != nil {
			return definition{}, err
		}
	}
	for _, need := range []struct{ field, value string }{{"when", o.When}, {"explanation", o.Says}} {
		if need.value == "" {
			return definition{}, fault(n, o.ID, need.field, "missing")
		}
	}
	if o.Title == "" {
		o.Title = o.ID
	}
	if o.Kind == "" {
		o.Kind = o.ID
	}
	d, err := o.define()
	if err != nil {
		field := "types"
		if e, ok := errors.AsType[*domain.Error](err); ok && e.Field == "expression" {
			field = "when"
		}
		return definition{}, fault(placeOf(places, field, n), o.ID, field, "%s", said(err))
	}
	return d, nil
}

func placeOf(places map[string]*yaml.Node, field string, otherwise *yaml.Node) *yaml.Node {
	if n := places[field]; n != nil {
		return n
	}
	return otherwise
}

func (o *ownRule) field(f entry) (err error) {
	if f.key == "types" {
		o.Types, err = o.list(f.value)
		return err
	}
	if f.key == "threshold" {
		return o.threshold(f.value)
	}
	text, err := scalar(f.value, o.ID, f.key)
	if err != nil {
		return err
	}
	const maxText = 1000
	if len(text) > maxText && f.key != "when" {
		return fault(f.value, o.ID, f.key, "longer than %d bytes", maxText)
	}
	switch f.key {
	case "version":
		if o.Version, err = strconv.Atoi(text); err != nil || o.Version < 1 {
			return fault(f.value, o.ID, f.key, "%.64q is no whole number from 1 on", text)
		}
	case "kind":
		if o.Kind = text; len(text) > 64 || !ruleID.MatchString(text) {
			return fault(f.value, o.ID, f.key, "%.64q is no word such as size: small letters, digits, - and _", text)
		}
	case "severity":
		o.Severity, err = severity(f.value, o.ID)
	case "enabled":
		o.Off, err = disabled(f.value, o.ID)
	case "title":
		o.Title = text
	case "source":
		o.Source = text
	case "when":
		o.When = text
	case "value", "limit":
		if !pathForm.MatchString(text) {
			return fault(f.value, o.ID, f.key, "%.64q is no path such as fill_price or order.cum_quantity", text)
		}
		if f.key == "value" {
			o.Value = text
		} else {
			o.Limit = text
		}
	case "once":
		if text != "event" && text != "order" {
			return fault(f.value, o.ID, f.key, "%.64q is neither event nor order", text)
		}
		o.Once = text == "order"
	case "explanation":
		o.Says = text
		for _, path := range placeholders(text) {
			if !pathForm.MatchString(path) {
				return fault(f.value, o.ID, f.key, "{%.64s} is no path such as fill_price or order.cum_quantity", path)
			}
		}
	}
	return err
}

func (o *ownRule) list(n *yaml.Node) ([]string, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, fault(n, o.ID, "types", "must be a list of event types")
	}
	var out []string
	for _, item := range n.Content {
		text, err := scalar(item, o.ID, "types")
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

// threshold reads numbers that the expression names, as threshold.name.
func (o *ownRule) threshold(n *yaml.Node) error {
	entries, err := mapping(n, o.ID, "threshold")
	if err != nil {
		return err
	}
	for _, e := range entries {
		field := "threshold." + e.key
		text, err := scalar(e.value, o.ID, field)
		if err != nil {
			return err
		}
		if !pathForm.MatchString(e.key) || strings.Contains(e.key, ".") {
			return fault(e.at, o.ID, field, "is no name")
		}
		t := Threshold{Name: e.key, Unit: Amount, Value: text, Means: "named by the expression", Source: "the file of rules"}
		if _, bad := t.read(); bad != nil {
			t.Unit = Duration
			if _, bad := t.read(); bad != nil {
				return fault(e.value, o.ID, field, "%.64q is neither a decimal from 0 on nor a duration", text)
			}
		}
		o.Thresholds = append(o.Thresholds, t)
	}
	return nil
}
