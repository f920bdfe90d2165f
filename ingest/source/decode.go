package source

import (
	"errors"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode fills a kind's configuration, a pointer to a struct with yaml tags. A key
// that the struct does not know is an error with its line: a word that is
// misspelt must not be left out in silence.
func (e *Entry) Decode(config any) error {
	if err := e.known(e.node, reflect.TypeOf(config), "name", "kind"); err != nil {
		return err
	}
	if err := e.node.Decode(config); err != nil {
		// The library's text quotes values, and they may be secrets.
		wrong, ok := errors.AsType[*yaml.TypeError](err)
		if !ok || len(wrong.Errors) == 0 {
			return e.problem(e.node.Line, "it can't be read")
		}
		where, _, _ := strings.Cut(wrong.Errors[0], ":")
		return e.problem(e.node.Line, "a value is of the wrong type (%s)", where)
	}
	return nil
}

// known holds the keys of a mapping against the fields of a struct, all the way
// down. (The library does so for whole documents only.)
func (e *Entry) known(node *yaml.Node, into reflect.Type, also ...string) error {
	for into.Kind() == reflect.Pointer || into.Kind() == reflect.Slice {
		into = into.Elem()
	}
	if node.Kind == yaml.SequenceNode {
		var problems []error
		for _, child := range node.Content {
			problems = append(problems, e.known(child, into))
		}
		return errors.Join(problems...)
	}
	if node.Kind != yaml.MappingNode || into.Kind() != reflect.Struct {
		return nil // of the wrong type, or a value: that is for the library to say
	}
	fields := make(map[string]reflect.Type)
	for field := range into.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		fields[name] = field.Type
	}
	for _, name := range also {
		fields[name] = reflect.TypeFor[string]()
	}
	var problems []error
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if field, ok := fields[key.Value]; ok && key.Value != "" {
			problems = append(problems, e.known(value, field))
		} else {
			problems = append(problems, e.problem(key.Line, "%.50q is no key of kind %s", key.Value, e.Kind))
		}
	}
	return errors.Join(problems...)
}
