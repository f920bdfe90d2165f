package graph

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// Breaking lists what clients of an old schema may ask for or rely on, and a new one
// has not: sorted by type, in the order of the old schema within each.
func Breaking(before, after *ast.Schema) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(before.Types)) {
		was, is := before.Types[name], after.Types[name]
		switch {
		case was.BuiltIn:
		case is == nil:
			found = append(found, name+" is gone")
		case is.Kind != was.Kind:
			found = append(found, fmt.Sprintf("%s is an %s, was a %s", name, is.Kind, was.Kind))
		default:
			found = append(found, inType(was, is)...)
		}
	}
	return found
}

func inType(was, is *ast.Definition) []string {
	var found []string
	input := was.Kind == ast.InputObject
	for _, field := range was.Fields {
		name := was.Name + "." + field.Name
		now := is.Fields.ForName(field.Name)
		switch {
		case now == nil:
			found = append(found, name+" is gone")
		case input:
			found = append(found, inInput(name, field.Type, now.Type, field.DefaultValue, now.DefaultValue)...)
		case !accepts(field.Type, now.Type):
			found = append(found, fmt.Sprintf("%s is %s, was %s", name, now.Type, field.Type))
		}
		if now != nil {
			found = append(found, inArguments(name, field, now)...)
		}
	}
	for _, field := range is.Fields {
		if input && was.Fields.ForName(field.Name) == nil && required(field.Type, field.DefaultValue) {
			found = append(found, was.Name+"."+field.Name+" is new and required")
		}
	}
	for _, value := range was.EnumValues {
		if is.EnumValues.ForName(value.Name) == nil {
			found = append(found, was.Name+"."+value.Name+" is gone")
		}
	}
	for _, name := range append(slices.Clone(was.Types), was.Interfaces...) {
		if !slices.Contains(is.Types, name) && !slices.Contains(is.Interfaces, name) {
			found = append(found, was.Name+" is "+name+" no more")
		}
	}
	return found
}

func inArguments(field string, was, is *ast.FieldDefinition) []string {
	var found []string
	for _, arg := range was.Arguments {
		name := fmt.Sprintf("%s(%s:)", field, arg.Name)
		if now := is.Arguments.ForName(arg.Name); now == nil {
			found = append(found, name+" is gone")
		} else {
			found = append(found, inInput(name, arg.Type, now.Type, arg.DefaultValue, now.DefaultValue)...)
		}
	}
	for _, arg := range is.Arguments {
		if was.Arguments.ForName(arg.Name) == nil && required(arg.Type, arg.DefaultValue) {
			found = append(found, fmt.Sprintf("%s(%s:) is new and required", field, arg.Name))
		}
	}
	return found
}

func inInput(name string, was, is *ast.Type, wasDefault, isDefault *ast.Value) []string {
	switch {
	case !accepts(is, was):
		return []string{fmt.Sprintf("%s is %s, was %s", name, is, was)}
	case wasDefault != nil && required(is, isDefault):
		return []string{fmt.Sprintf("%s is required, was %s unless said", name, wasDefault)}
	case wasDefault != nil && (isDefault == nil || isDefault.String() != wasDefault.String()):
		return []string{fmt.Sprintf("%s is %v unless said, was %s", name, isDefault, wasDefault)}
	default:
		return nil
	}
}

func required(of *ast.Type, value *ast.Value) bool { return of.NonNull && value == nil }

// accepts reports whether every value of a type is one of another, wider type.
func accepts(wide, narrow *ast.Type) bool {
	if wide.NonNull && !narrow.NonNull || (wide.Elem == nil) != (narrow.Elem == nil) {
		return false
	}
	if wide.Elem != nil {
		return accepts(wide.Elem, narrow.Elem)
	}
	return wide.NamedType == narrow.NamedType
}
