package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/tradetrail/tradetrail/domain"
)

// The limits of a query's form, looked at before anything else is computed from
// it. Introspection as GraphiQL asks for it is 15 deep and has 200 fields.
const (
	maxTextBytes  = 128 << 10 // longer lists of values and events to record go into variables
	maxTokens     = 10_000
	maxDepth      = 20
	maxSelections = 10_000 // with every fragment in each place where it is spread
)

// The codes of queries that are over a limit.
const (
	codeTooDeep = "query_too_deep"
	codeTooLong = "query_too_long"
)

// textLimit refuses the text of a query before it is parsed.
type textLimit struct{}

var _ graphql.OperationParameterMutator = textLimit{}

// ExtensionName implements graphql.HandlerExtension.
func (textLimit) ExtensionName() string { return "TextLimit" }

// Validate implements graphql.HandlerExtension.
func (textLimit) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters refuses what is too long.
func (textLimit) MutateOperationParameters(_ context.Context, params *graphql.RawParams) *gqlerror.Error {
	if len(params.Query) > maxTextBytes {
		return gqlerror.Wrap(domain.Rejectf(codeTooLong, "query", "the query has %d bytes, at most %d are taken; send long values as variables", len(params.Query), maxTextBytes))
	}
	return nil
}

// shapeLimit refuses operations that are too deep, or huge once their fragments
// are put in place. It must come before the limit of complexity: that one walks
// into a fragment at each spread, which a few fragments that spread each other
// twice make endless.
type shapeLimit struct{}

var _ graphql.OperationContextMutator = shapeLimit{}

// ExtensionName implements graphql.HandlerExtension.
func (shapeLimit) ExtensionName() string { return "ShapeLimit" }

// Validate implements graphql.HandlerExtension.
func (shapeLimit) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext refuses what is over a limit.
func (shapeLimit) MutateOperationContext(_ context.Context, operation *graphql.OperationContext) *gqlerror.Error {
	m := measure{fragments: make(map[string]shape, len(operation.Doc.Fragments))}
	s := m.of(operation.Operation.SelectionSet)
	switch {
	case s.depth > maxDepth:
		return gqlerror.Wrap(domain.Rejectf(codeTooDeep, "query", "the query is nested deeper than %d fields", maxDepth))
	case s.selections > maxSelections:
		return gqlerror.Wrap(domain.Rejectf(codeTooLong, "query", "the query has more than %d fields, fragments included", maxSelections))
	default:
		return nil
	}
}

// shape is how deep and how large a selection is. Its numbers stop rising behind
// the limits.
type shape struct{ depth, selections int }

// measure walks each fragment once.
type measure struct{ fragments map[string]shape }

func (m measure) of(set ast.SelectionSet) shape {
	var all shape
	for _, selection := range set {
		var s shape
		switch selection := selection.(type) {
		case *ast.Field:
			s = m.of(selection.SelectionSet)
			s.depth++
		case *ast.InlineFragment:
			s = m.of(selection.SelectionSet)
		case *ast.FragmentSpread:
			s = m.fragment(selection)
		}
		all.depth = max(all.depth, min(s.depth, maxDepth+1))
		all.selections = min(all.selections+s.selections+1, maxSelections+1)
	}
	return all
}

func (m measure) fragment(spread *ast.FragmentSpread) shape {
	if known, ok := m.fragments[spread.Name]; ok {
		return known
	}
	// A fragment that comes back to itself is too deep, whatever else it is.
	m.fragments[spread.Name] = shape{depth: maxDepth + 1}
	if spread.Definition != nil {
		m.fragments[spread.Name] = m.of(spread.Definition.SelectionSet)
	}
	return m.fragments[spread.Name]
}
