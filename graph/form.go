package graph

import (
	"context"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/tradetrail/tradetrail/domain"
)

// The limits of a query's form. They are checked before it is validated: validation
// compares fields of one name, and fragments, each with each, and complexity is
// computed anew at each spread of a fragment. Texts of a few kilobytes can keep
// both busy for minutes.
const (
	maxTextBytes  = 128 << 10 // longer lists of values and events to record go into variables
	maxTokens     = 10_000
	maxFragments  = 100
	maxDepth      = 20     // introspection as GraphiQL asks for it is 15 deep
	maxSelections = 20_000 // of the whole text, with every fragment in each place where it is spread
	maxRepeats    = 50     // of a field in one place

	schemaWeight = 5_000 // selections that __schema counts for: the answer is long
	typeWeight   = 200   // and __type
)

// The codes of queries that are over a limit.
const (
	codeTooDeep = "query_too_deep"
	codeTooLong = "query_too_long"
)

// textLimit refuses the text of a query before anything is done with it.
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

// formLimit refuses texts that are too deep, or huge once their fragments are put
// in place. A text that is in the cache has passed before.
type formLimit struct {
	cache graphql.Cache[*ast.QueryDocument]
}

var _ graphql.OperationParameterMutator = formLimit{}

// ExtensionName implements graphql.HandlerExtension.
func (formLimit) ExtensionName() string { return "FormLimit" }

// Validate implements graphql.HandlerExtension.
func (formLimit) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters refuses what is over a limit. What can't be parsed is
// left to whoever says where.
func (l formLimit) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	if _, known := l.cache.Get(ctx, params.Query); known {
		return nil
	}
	source := &ast.Source{Input: params.Query}
	doc, err := parser.ParseQueryWithTokenLimit(source, maxTokens)
	if err != nil {
		return nil //nolint:nilerr // gqlgen parses it again, and tells
	}
	if err := checkForm(doc); err != nil {
		return gqlerror.Wrap(err)
	}
	return checkNumbers(source)
}

// checkNumbers refuses numbers that Go has no place for, wherever they stand:
// validation lets them pass for scalars of ours, and whatever takes their value
// panics.
func checkNumbers(source *ast.Source) *gqlerror.Error {
	for tokens := lexer.New(source); ; {
		token, err := tokens.ReadToken()
		if err != nil || token.Kind == lexer.EOF {
			return nil //nolint:nilerr // the parser has read it to its end
		}
		switch token.Kind { //nolint:exhaustive // the others are no numbers
		case lexer.Int:
			_, err = strconv.ParseInt(token.Value, 10, 64)
		case lexer.Float:
			_, err = strconv.ParseFloat(token.Value, 64)
		}
		if err != nil {
			problem := gqlerror.ErrorLocf("", token.Pos.Line, token.Pos.Column, "the number %s is out of range; write ids and decimals as strings", cut(token.Value))
			errcode.Set(problem, errcode.ValidationFailed)
			return problem
		}
	}
}

func checkForm(doc *ast.QueryDocument) error {
	if len(doc.Fragments) > maxFragments {
		return domain.Rejectf(codeTooLong, "query", "the query has more than %d fragments", maxFragments)
	}
	w := walk{fragments: doc.Fragments, left: maxSelections}
	for _, operation := range doc.Operations {
		if err := w.fields(0, operation.SelectionSet); err != nil {
			return err
		}
	}
	for _, fragment := range doc.Fragments { // also those that nobody spreads are validated
		if err := w.fields(0, fragment.SelectionSet); err != nil {
			return err
		}
	}
	return nil
}

// walk looks at a text as execution does: fields of one name are one, with all that
// is selected below any of them. It ends, whatever fragments spread each other,
// since it may visit so many selections and no more.
type walk struct {
	fragments ast.FragmentDefinitionList
	left      int
}

func (w *walk) fields(depth int, sets ...ast.SelectionSet) error {
	below := make(map[string][]ast.SelectionSet)
	for _, set := range sets {
		if err := w.collect(set, 0, below); err != nil {
			return err
		}
	}
	if len(below) > 0 && depth == maxDepth {
		return domain.Rejectf(codeTooDeep, "query", "the query is nested deeper than %d fields", maxDepth)
	}
	for name, inner := range below {
		if len(inner) > maxRepeats {
			return domain.Rejectf(codeTooLong, "query", "the query selects %s more than %d times in one place", cut(name), maxRepeats)
		}
		if err := w.fields(depth+1, inner...); err != nil {
			return err
		}
	}
	return nil
}

// collect adds the fields of a selection, by the name that they have in the answer.
// nested is how many fragments it is in.
func (w *walk) collect(set ast.SelectionSet, nested int, below map[string][]ast.SelectionSet) error {
	for _, selection := range set {
		if w.left--; w.left < 0 {
			return domain.Rejectf(codeTooLong, "query", "the query has more than %d fields, fragments included", maxSelections)
		}
		if nested > maxFragments {
			return domain.Rejectf(codeTooDeep, "query", "the query has fragments nested deeper than %d", maxFragments)
		}
		var err error
		switch selection := selection.(type) {
		case *ast.Field:
			switch selection.Name {
			case "__schema":
				w.left -= schemaWeight
			case "__type":
				w.left -= typeWeight
			}
			below[selection.Alias] = append(below[selection.Alias], selection.SelectionSet)
		case *ast.InlineFragment:
			err = w.collect(selection.SelectionSet, nested+1, below)
		case *ast.FragmentSpread:
			if fragment := w.fragments.ForName(selection.Name); fragment != nil {
				err = w.collect(fragment.SelectionSet, nested+1, below)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
