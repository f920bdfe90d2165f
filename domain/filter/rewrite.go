package filter

import (
	"fmt"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"github.com/tradetrail/tradetrail/domain"
)

// kind is what is known about a value before there is an event.
type kind uint8

const (
	anything kind = iota
	truth         // true or false
	value         // certainly not true or false
	moment        // a time
	place         // a position
)

// inner is the name of a function or variable that no expression can spell.
func inner(name string) string { return " " + name }

var runName = inner("run")

// rewriter turns the tree that the parser made into one in which all but the
// control flow (and, or, ?:, ??, loops over lists) is calls of functions: they
// know decimals, missing fields and the budget, expr's own operators don't. What
// is not rewritten here is not in the language, so what a later version of expr
// adds stays outside until somebody lets it in.
//
// The parser's nodes are never changed: it shares some of them.
type rewriter struct {
	source []rune
	fields []field
	inData map[string]int
	seen   map[string]int
	nodes  int
	loops  int
	err    *file.Error // the first
}

// maxLoops is how deep all, any, filter ... may stand in each other. The steps
// bound the work anyway; this says so before there is an event.
const maxLoops = 3

func (w *rewriter) reject(n ast.Node, format string, args ...any) ast.Node {
	if w.err == nil {
		w.err = &file.Error{Location: n.Location(), Message: fmt.Sprintf(format, args...)}
	}
	return &ast.NilNode{}
}

func (w *rewriter) call(at ast.Node, name string, args ...ast.Node) ast.Node {
	run := locate(at, &ast.IdentifierNode{Value: runName})
	return locate(at, &ast.CallNode{
		Callee:    locate(at, &ast.IdentifierNode{Value: inner(name)}),
		Arguments: append([]ast.Node{run}, args...),
	})
}

func locate(at, n ast.Node) ast.Node {
	n.SetLocation(at.Location())
	return n
}

func constant(at ast.Node, v any) ast.Node { return locate(at, &ast.ConstantNode{Value: v}) }

// condition rewrites n where true or false is needed; a missing field is false.
func (w *rewriter) condition(n ast.Node) ast.Node {
	node, k := w.node(n)
	switch k {
	case truth:
		return node
	case anything:
		return w.call(n, "bool", node)
	default:
		return w.reject(n, "must be true or false")
	}
}

func (w *rewriter) value(n ast.Node) ast.Node {
	node, _ := w.node(n)
	return node
}

func (w *rewriter) node(n ast.Node) (ast.Node, kind) {
	if w.err != nil || n == nil {
		return &ast.NilNode{}, anything
	}
	if w.nodes++; w.nodes > 2*maxNodes {
		return w.reject(n, "the expression is too large"), anything
	}
	switch n := n.(type) {
	case *ast.NilNode:
		return locate(n, &ast.NilNode{}), anything
	case *ast.BoolNode:
		return locate(n, &ast.BoolNode{Value: n.Value}), truth
	case *ast.StringNode:
		return locate(n, &ast.StringNode{Value: n.Value}), value
	case *ast.IntegerNode, *ast.FloatNode:
		return w.number(n), value
	case *ast.IdentifierNode:
		return w.field(n)
	case *ast.MemberNode:
		return w.call(n, "get", w.value(n.Node), w.value(n.Property)), anything
	case *ast.ChainNode:
		return w.node(n.Node)
	case *ast.UnaryNode:
		return w.unary(n)
	case *ast.BinaryNode:
		return w.binary(n)
	case *ast.ConditionalNode:
		cond := w.condition(n.Cond)
		yes, k1 := w.node(n.Exp1)
		no, k2 := w.node(n.Exp2)
		if k1 != k2 {
			k1 = anything
		}
		return locate(n, &ast.ConditionalNode{Ternary: true, Cond: cond, Exp1: yes, Exp2: no}), k1
	case *ast.ArrayNode:
		return w.array(n), value
	case *ast.BuiltinNode:
		return w.invoke(n, n.Name, n.Arguments)
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		if !ok {
			return w.reject(n, "fields have no methods"), anything
		}
		return w.invoke(n, callee.Value, n.Arguments)
	case *ast.PointerNode:
		if n.Name != "" && n.Name != "index" {
			return w.reject(n, "unknown pointer #%s", n.Name), anything
		}
		return locate(n, &ast.PointerNode{Name: n.Name}), anything
	case *ast.SliceNode:
		return w.reject(n, "slices are not part of filter expressions"), anything
	case *ast.MapNode:
		return w.reject(n, "objects are not part of filter expressions"), anything
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		return w.reject(n, "a filter is one expression, without let and semicolons"), anything
	default:
		return w.reject(n, "not part of filter expressions"), anything
	}
}

// number reads a literal from the source, digit by digit; the parser has made a
// float of it.
func (w *rewriter) number(n ast.Node) ast.Node {
	at := n.Location()
	if at.From < 0 || at.To > len(w.source) || at.From >= at.To {
		return w.reject(n, "number without a place")
	}
	text := strings.ReplaceAll(string(w.source[at.From:at.To]), "_", "")
	if i, ok := n.(*ast.IntegerNode); ok {
		text = fmt.Sprint(i.Value) // may be hexadecimal in the source
	}
	d, err := domain.ParseDecimal(text)
	if err != nil {
		return w.reject(n, "%s", err)
	}
	return constant(n, d)
}

func (w *rewriter) field(n *ast.IdentifierNode) (ast.Node, kind) {
	if strings.HasPrefix(n.Value, "$") {
		return w.reject(n, "unknown name %s", n.Value), anything
	}
	if w.seen == nil {
		w.seen = map[string]int{}
	}
	i, ok := w.seen[n.Value]
	if !ok {
		i = len(w.fields)
		w.seen[n.Value] = i
		f, canonical := canonical[n.Value]
		if !canonical {
			w.inData[n.Value] = i
		}
		w.fields = append(w.fields, f)
	}
	return w.call(n, "field", constant(n, i)), w.fields[i].kind
}

func (w *rewriter) array(n *ast.ArrayNode) ast.Node {
	array, fixed, constants := &ast.ArrayNode{}, true, []any{}
	for _, item := range n.Nodes {
		node := w.value(item)
		array.Nodes = append(array.Nodes, node)
		switch c := node.(type) {
		case *ast.ConstantNode:
			constants = append(constants, c.Value)
		case *ast.StringNode:
			constants = append(constants, c.Value)
		case *ast.BoolNode:
			constants = append(constants, c.Value)
		case *ast.NilNode:
			constants = append(constants, nil)
		default:
			fixed = false
		}
	}
	if fixed {
		return constant(n, constants) // made once, not per event
	}
	return locate(n, array)
}

func (w *rewriter) unary(n *ast.UnaryNode) (ast.Node, kind) {
	switch n.Operator {
	case "!", "not":
		return locate(n, &ast.UnaryNode{Operator: "not", Node: w.condition(n.Node)}), truth
	case "-", "+":
		node := w.value(n.Node)
		if c, ok := node.(*ast.ConstantNode); ok {
			if d, ok := c.Value.(domain.Decimal); ok {
				if n.Operator == "-" {
					d = d.Neg()
				}
				return constant(n, d), value
			}
		}
		if n.Operator == "-" {
			return w.call(n, "negate", node), value
		}
		return w.call(n, "number", node), value
	default:
		return w.reject(n, "%s is not part of filter expressions", n.Operator), anything
	}
}

// operators maps the binary operators to functions.
var operators = map[string]struct {
	function string
	kind     kind
}{
	"==": {"equal", truth}, "!=": {"equal", truth}, "in": {"in", truth},
	"<": {"less", truth}, "<=": {"atMost", truth}, ">": {"more", truth}, ">=": {"atLeast", truth},
	"+": {"add", value}, "-": {"subtract", value}, "*": {"multiply", value}, "/": {"divide", value}, "%": {"modulo", value},
	"contains": {"contains", truth}, "startsWith": {"hasPrefix", truth}, "endsWith": {"hasSuffix", truth}, "matches": {"matches", truth},
}

func (w *rewriter) binary(n *ast.BinaryNode) (ast.Node, kind) {
	switch n.Operator {
	case "&&", "and", "||", "or":
		return locate(n, &ast.BinaryNode{Operator: n.Operator, Left: w.condition(n.Left), Right: w.condition(n.Right)}), truth
	case "??":
		left, k1 := w.node(n.Left)
		right, k2 := w.node(n.Right)
		if k1 != k2 {
			k1 = anything
		}
		return locate(n, &ast.BinaryNode{Operator: "??", Left: left, Right: right}), k1
	}
	op, ok := operators[n.Operator]
	if !ok {
		return w.reject(n, "%s is not part of filter expressions", n.Operator), anything
	}
	left, k1 := w.node(n.Left)
	var right ast.Node
	k2 := value
	if n.Operator == "matches" {
		right = w.pattern(n.Right)
	} else {
		right, k2 = w.node(n.Right)
	}
	if op.kind == truth {
		left, right = w.literal(left, k2), w.literal(right, k1)
	}
	node := w.call(n, op.function, left, right)
	if n.Operator == "!=" {
		node = locate(n, &ast.UnaryNode{Operator: "not", Node: node})
	}
	return node, op.kind
}

// literal turns a text that stands opposite of a time or a position into one, so
// that a typing error is told at once.
func (w *rewriter) literal(n ast.Node, opposite kind) ast.Node {
	text, ok := n.(*ast.StringNode)
	if !ok {
		return n
	}
	switch opposite {
	case moment:
		at, ok := parseTime(text.Value)
		if !ok {
			return w.reject(n, "%.64q is not an RFC 3339 time or date", text.Value)
		}
		return constant(n, at)
	case place:
		p, err := domain.ParsePosition(text.Value)
		if err != nil {
			return w.reject(n, "%s", err)
		}
		return constant(n, p)
	default:
		return n
	}
}

// loops are the functions that take a condition or another expression for each
// element; expr has control flow of its own for them.
var loops = map[string]kind{
	"all": truth, "any": truth, "none": truth, "one": truth,
	"count": value, "filter": value, "map": value, "find": anything,
}

func (w *rewriter) invoke(n ast.Node, name string, args []ast.Node) (ast.Node, kind) {
	if k, ok := loops[name]; ok {
		return w.loop(n, name, args), k
	}
	f, ok := functions[name]
	if !ok || !f.public {
		return w.reject(n, "unknown function %s", name), anything
	}
	if len(args) < f.min || len(args) > f.max {
		return w.reject(n, "%s takes %s", name, f.arity()), anything
	}
	// What is the same for every event is computed, and judged, now.
	if text, ok := args[0].(*ast.StringNode); ok {
		switch name {
		case "date":
			return w.literal(w.value(text), moment), moment
		case "duration":
			d, err := time.ParseDuration(text.Value)
			if err != nil {
				return w.reject(text, "%.64q is not a duration such as 1s or 250ms", text.Value), value
			}
			return constant(n, d), value
		}
	}
	rewritten := make([]ast.Node, len(args))
	for i, arg := range args {
		rewritten[i] = w.value(arg)
	}
	return w.call(n, name, rewritten...), f.kind
}

func (w *rewriter) loop(n ast.Node, name string, args []ast.Node) ast.Node {
	if len(args) != 2 {
		return w.reject(n, "%s takes a list and a condition", name)
	}
	predicate, ok := args[1].(*ast.PredicateNode)
	if !ok {
		return w.reject(n, "%s takes a list and a condition", name)
	}
	list := w.call(n, "list", w.value(args[0]))
	if w.loops++; w.loops > maxLoops {
		return w.reject(n, "more than %d loops in each other", maxLoops)
	}
	var body ast.Node
	if name == "map" {
		body = w.value(predicate.Node)
	} else {
		body = w.condition(predicate.Node)
	}
	w.loops--
	return locate(n, &ast.BuiltinNode{
		Name:      name,
		Arguments: []ast.Node{list, locate(predicate, &ast.PredicateNode{Node: body})},
	})
}
