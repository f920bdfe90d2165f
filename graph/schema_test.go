package graph_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/tradetrail/tradetrail/graph"
)

// Whoever reads the schema in GraphiQL reads nothing else.
func TestSchema_IsDescribed(t *testing.T) {
	t.Parallel()
	for _, missing := range undescribed(graph.Schema()) {
		assert.Fail(t, "without a description", missing)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: `"a" type Query { "b" a(x: Int, "c" y: Int): E b: I } enum E { X "d" Y } "e" input J { f: Int } interface I { "g" h: Int }`})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"Query.a(x:)", "Query.b", "E", "E.X", "J.f", "I"}, undescribed(schema))
}

// obvious are arguments that mean the same everywhere, which the descriptions of
// Query and of connections say.
var obvious = map[string]bool{"first": true, "after": true, "last": true, "before": true, "notOlderThan": true, "id": true, "orderId": true}

// undescribed lists what has no description.
func undescribed(schema *ast.Schema) []string {
	var missing []string
	look := func(name, description string) {
		if strings.TrimSpace(description) == "" {
			missing = append(missing, name)
		}
	}
	for _, def := range schema.Types {
		if def.BuiltIn {
			continue
		}
		look(def.Name, def.Description)
		for _, field := range def.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			look(def.Name+"."+field.Name, field.Description)
			for _, arg := range field.Arguments {
				if !obvious[arg.Name] {
					look(def.Name+"."+field.Name+"("+arg.Name+":)", arg.Description)
				}
			}
		}
		for _, value := range def.EnumValues {
			look(def.Name+"."+value.Name, value.Description)
		}
	}
	return missing
}

// What clients of the last release ask for must go on working. After a release,
// copy schema.graphqls over testdata/released.graphqls.
func TestSchema_BreaksNothing(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/released.graphqls")
	require.NoError(t, err)
	released, err := gqlparser.LoadSchema(&ast.Source{Name: "released.graphqls", Input: string(text)})
	require.NoError(t, err)
	assert.Empty(t, graph.Breaking(released, graph.Schema()))
}

func TestBreaking(t *testing.T) {
	t.Parallel()
	const before = `type Query { a(x: Int, y: Int! = 1): Int! b: [T!] c(i: J): E u: U }
		type T implements I { id: ID! } type S { id: ID! } interface I { id: ID! } union U = T | S enum E { X Y } input J { f: Int g: Int! } scalar Z`
	for _, c := range []struct {
		name, old, new string
		want           []string
	}{
		{"nothing", ``, ``, nil},
		{"a new field", `b: [T!]`, `b: [T!] d: Int`, nil},
		{"a new type", `scalar Z`, `scalar Z type New { a: Int }`, nil},
		{"a new value", `{ X Y }`, `{ X Y W }`, nil},
		{"a new optional argument", `x: Int,`, `x: Int, z: Int, w: Int! = 3,`, nil},
		{"a new optional input field", `f: Int `, `f: Int h: Int k: Int! = 1 `, nil},
		{"a field that is never null any more", `b: [T!]`, `b: [T!]!`, nil},
		{"items that are never null any more", `c(i: J): E`, `c(i: J): E! `, nil},
		{"an argument that may be null now", `y: Int! = 1`, `y: Int = 1`, nil},
		{"an input field that may be null now", `g: Int!`, `g: Int`, nil},

		{"a type is gone", `scalar Z`, ``, []string{"Z is gone"}},
		{"a type is another kind", `scalar Z`, `enum Z { A }`, []string{"Z is an ENUM, was a SCALAR"}},
		{"a field is gone", `b: [T!]`, ``, []string{"Query.b is gone"}},
		{"a value is gone", `{ X Y }`, `{ X }`, []string{"E.Y is gone"}},
		{"an input field is gone", `f: Int `, ``, []string{"J.f is gone"}},
		{"an argument is gone", `x: Int,`, ``, []string{"Query.a(x:) is gone"}},
		{"a field may be null now", `): Int!`, `): Int`, []string{"Query.a is Int, was Int!"}},
		{"items may be null now", `b: [T!]`, `b: [T]`, []string{"Query.b is [T], was [T!]"}},
		{"a field is a list now", `c(i: J): E`, `c(i: J): [E]`, []string{"Query.c is [E], was E"}},
		{"a field of another type", `c(i: J): E`, `c(i: J): Z`, []string{"Query.c is Z, was E"}},
		{"an argument of another type", `x: Int,`, `x: Float,`, []string{"Query.a(x:) is Float, was Int"}},
		{"an argument is required now", `x: Int,`, `x: Int!,`, []string{"Query.a(x:) is Int!, was Int"}},
		{"a new required argument", `x: Int,`, `x: Int, z: Int!,`, []string{"Query.a(z:) is new and required"}},
		{"a new required input field", `f: Int `, `f: Int h: Int! `, []string{"J.h is new and required"}},
		{"an input field is required now", `f: Int `, `f: Int! `, []string{"J.f is Int!, was Int"}},
		{"a default is another", `= 1`, `= 2`, []string{"Query.a(y:) is 2 unless said, was 1"}},
		{"a default is gone", `y: Int! = 1`, `y: Int!`, []string{"Query.a(y:) is required, was 1 unless said"}},
		{"a member of a union is gone", `T | S`, `T`, []string{"U is S no more"}},
		{"an interface is gone", `type T implements I`, `type T`, []string{"T is I no more"}},
	} {
		load := func(text string) *ast.Schema {
			schema, err := gqlparser.LoadSchema(&ast.Source{Input: text})
			require.NoError(t, err, c.name)
			return schema
		}
		after := strings.Replace(before, c.old, c.new, 1)
		if c.old != "" {
			require.NotEqual(t, before, after, c.name)
		}
		assert.Equal(t, c.want, graph.Breaking(load(before), load(after)), c.name)
	}
}

// The tabs of GraphiQL can be executed as they are.
func TestExamples_FitTheSchema(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("graphiql/src/examples.js")
	require.NoError(t, err)
	examples := regexp.MustCompile("(?s)query: `(.*?)`").FindAllStringSubmatch(string(source), -1)
	assert.Len(t, examples, 6)
	for _, example := range examples {
		_, problems := gqlparser.LoadQueryWithRules(graph.Schema(), example[1], rules.NewDefaultRules())
		assert.Empty(t, problems, example[1])
	}
}
