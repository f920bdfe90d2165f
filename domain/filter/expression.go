package filter

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"github.com/tradetrail/tradetrail/domain"
)

const (
	maxNodes = 2000

	// maxSteps bounds the work on one event: the largest that the door takes is
	// read several times within it, and the worst expression ends in well under a
	// second. A step is some bytes of text; a call, and each element of a list,
	// costs as much as callSteps of them.
	maxSteps  = 4 << 20
	callSteps = 16

	// memoryBudget is the virtual machine's own bound, in elements of lists.
	memoryBudget = 1 << 20
)

// expression is a compiled expression; safe for concurrent use.
type expression struct {
	program *vm.Program
	fields  []field
	inData  map[string]int // the fields that stand in data
	runs    sync.Pool
}

// compile parses, rewrites, checks and compiles. These are the steps of
// expr.Compile, with the rewriting before the first check: the parser shares
// operands between the halves of a < b < c, so what it returns can unfold into a
// tree of exponential size, and its own visitors come after a check of that.
func compile(source string) (x *expression, err error) {
	if len(source) > MaxExpressionBytes {
		return nil, domain.Rejectf(domain.CodeTooLarge, "expression", "longer than %d bytes", MaxExpressionBytes)
	}
	if !utf8.ValidString(source) {
		return nil, domain.Rejectf(domain.CodeInvalid, "expression", "not valid UTF-8")
	}
	defer func() {
		if r := recover(); r != nil {
			x, err = nil, domain.Rejectf(domain.CodeInvalid, "expression", "can't be compiled: %.200v", r)
		}
	}()
	config := conf.CreateNew()
	for _, option := range options {
		option(config)
	}
	tree, err := parser.ParseWithConfig(source, config)
	if err != nil {
		return nil, rejected(err)
	}
	w := rewriter{source: []rune(source), inData: map[string]int{}}
	tree.Node = w.condition(tree.Node)
	if w.err != nil {
		return nil, rejected(w.err.Bind(tree.Source))
	}
	if _, err := checker.Check(tree, config); err != nil {
		return nil, rejected(err)
	}
	program, err := compiler.Compile(tree, config)
	if err != nil {
		return nil, rejected(err)
	}
	x = &expression{program: program, fields: w.fields, inData: w.inData}
	x.runs.New = func() any {
		r := &run{fields: x.fields, inData: x.inData, values: make([]any, len(x.fields)), known: make([]bool, len(x.fields))}
		r.env = map[string]any{runName: r}
		r.vm.MemoryBudget = memoryBudget
		return r
	}
	return x, nil
}

// options is what expr.Compile would be given. The optimiser is off: it computes
// with floats, and what it could fold is in functions of ours.
var options = func() []expr.Option {
	o := []expr.Option{
		expr.Env(map[string]any{}),
		expr.AllowUndefinedVariables(),
		expr.AsBool(),
		expr.Optimize(false),
		expr.MaxNodes(maxNodes),
		func(c *conf.Config) { c.DisableIfOperator = true },
		// A plain function instead of the one that takes a condition.
		expr.Function("sum", func(...any) (any, error) { return nil, errors.ErrUnsupported }),
	}
	for name, f := range functions {
		o = append(o, expr.Function(inner(name), f.invoke, f.signature()))
	}
	return o
}()

func (x *expression) match(e domain.Located) (bool, error) {
	r, ok := x.runs.Get().(*run)
	if !ok {
		return false, errors.New("matching: a foreign run")
	}
	r.e, r.steps = e, maxSteps
	result, err := r.vm.Run(x.program, r.env)
	if err != nil {
		// The run is left to the collector: its machine stopped in the middle.
		if _, defect := errors.AsType[runtime.Error](err); defect {
			return false, fmt.Errorf("matching: %w", err)
		}
		return false, rejected(err)
	}
	r.reset()
	x.runs.Put(r)
	matches, ok := result.(bool)
	if !ok {
		return false, fmt.Errorf("matching: the expression gave a %T", result)
	}
	return matches, nil
}

// rejected makes an error of expr's one of ours: its words and its position, in
// one line. The excerpt that comes with them is the caller's own text.
func rejected(err error) *domain.Error {
	if e, ok := errors.AsType[*domain.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*file.Error](err); ok {
		return domain.Rejectf(domain.CodeInvalid, "expression", "%s (%d:%d)", clip(e.Message), max(e.Line, 1), e.Column+1)
	}
	return domain.Rejectf(domain.CodeInvalid, "expression", "%s", clip(err.Error()))
}

func clip(text string) string {
	const limit = 300
	if len(text) <= limit {
		return text
	}
	cut := limit
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}
