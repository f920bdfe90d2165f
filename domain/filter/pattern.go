package filter

import (
	"regexp"
	"regexp/syntax"

	"github.com/expr-lang/expr/ast"
)

// maxPattern is the size of a regular expression with its repetitions written
// out. Matching is linear in the text, and in this.
const maxPattern = 500

type pattern struct {
	*regexp.Regexp

	size int
}

// pattern compiles the right side of matches. It must be a literal: one that
// comes out of an event would be compiled for every event.
func (w *rewriter) pattern(n ast.Node) ast.Node {
	text, ok := n.(*ast.StringNode)
	if !ok {
		return w.reject(n, "matches takes a text in quotes")
	}
	parsed, err := syntax.Parse(text.Value, syntax.Perl)
	if err != nil {
		return w.reject(n, "%s", err)
	}
	// Before it is compiled: (a{1000}) a few hundred times is a small text and a
	// very large program.
	size := sizeOf(parsed)
	if size > maxPattern {
		return w.reject(n, "the regular expression is too large")
	}
	compiled, err := regexp.Compile(text.Value)
	if err != nil {
		return w.reject(n, "%s", err)
	}
	return constant(n, &pattern{compiled, size})
}

func sizeOf(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)/2
	if re.Op == syntax.OpCharClass {
		size = 1 // looked up, however many ranges it has
	}
	for _, sub := range re.Sub {
		size += sizeOf(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return min(size, 1<<20)
}
