// Package source reads the file that says which sources the service records from.
// It knows what every source has, a name and a kind; what else a kind needs is
// decoded into that kind's own configuration.
package source

import (
	"errors"
	"fmt"
	"io"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/tradetrail/tradetrail/domain"
)

// Entry is one source of the file.
type Entry struct {
	Name string // unique among the sources of its kind; part of the ids of its events
	Kind string

	node *yaml.Node
}

// validName keeps names fit for labels, ids and the field source of events.
var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Parse reads the file. ${NAME} in a value stands for what lookup knows under that
// name, $${ for ${ itself; so secrets need not stand in the file. Errors name the
// line and never a value.
func Parse(file io.Reader, lookup func(string) (string, bool)) ([]Entry, error) {
	var document struct {
		Sources []yaml.Node `yaml:"sources"`
	}
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	if err := decoder.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, domain.Rejectf(domain.CodeMalformed, "sources", "%v", err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, domain.Rejectf(domain.CodeMalformed, "sources", "the file has a second document, after ---")
	}
	var entries []Entry
	var problems []error
	taken := make(map[[2]string]bool)
	for i := range document.Sources {
		entry, err := parse(&document.Sources[i], lookup)
		if key := [2]string{entry.Kind, entry.Name}; err == nil && taken[key] {
			err = entry.problem(entry.node.Line, "there is another %s source of this name", entry.Kind)
		} else {
			taken[key] = true
		}
		problems = append(problems, err)
		entries = append(entries, entry)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return entries, nil
}

func parse(node *yaml.Node, lookup func(string) (string, bool)) (Entry, error) {
	entry := Entry{node: node}
	if node.Kind != yaml.MappingNode {
		return entry, entry.problem(node.Line, "a source has a name and a kind")
	}
	if err := entry.expand(node, lookup); err != nil {
		return entry, err
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		switch value := node.Content[i+1]; node.Content[i].Value {
		case "name":
			entry.Name = value.Value
		case "kind":
			entry.Kind = value.Value
		}
	}
	if !validName.MatchString(entry.Name) {
		return entry, entry.problem(node.Line, "name must be lower-case letters, digits, - and _, at most 63")
	}
	if entry.Kind == "" {
		return entry, entry.problem(node.Line, "kind is missing")
	}
	return entry, nil
}

var variable = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

// expand puts variables into values. It works on what YAML has made of the file, so
// no secret can be taken for syntax.
func (e *Entry) expand(node *yaml.Node, lookup func(string) (string, bool)) error {
	var problems []error
	if node.Kind == yaml.ScalarNode {
		before := node.Value
		node.Value = variable.ReplaceAllStringFunc(node.Value, func(found string) string {
			if found[1] == '$' {
				return found[1:]
			}
			name := regexp.MustCompile(`^\$\{(\w+)\}$`).FindStringSubmatch(found)
			if name == nil {
				problems = append(problems, e.problem(node.Line, "what begins with ${ is no variable; write $${ for the characters themselves"))
				return found
			}
			value, ok := lookup(name[1])
			if !ok {
				problems = append(problems, e.problem(node.Line, "the environment has no %s", name[1]))
			}
			return value
		})
		if node.Value != before && node.Tag == "!!str" {
			node.Style = yaml.DoubleQuotedStyle // a password of digits is no number
		}
	}
	for _, child := range node.Content {
		problems = append(problems, e.expand(child, lookup))
	}
	return errors.Join(problems...)
}

// problem is an error about a line.
func (e *Entry) problem(line int, format string, args ...any) error {
	return domain.Rejectf(domain.CodeInvalid, fmt.Sprintf("sources, line %d", line), format, args...)
}
