package celrule

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// checker refuses what is CEL, and of the right types, but not for rules.
type checker struct {
	tree    *ast.AST
	faults  []error
	request bool // the text speaks of the request
	calls   int
	pattern int            // instructions of all patterns
	steps   map[int64]bool // what macros evaluate for each element
}

// scope is where an expression stands. In the body of a macro nothing may be built
// that is larger than its parts: doubling something in each of many macros, one
// behind the other, would take for ever, and no step of it would be long.
type scope struct {
	depth  int      // macros around it
	names  []string // of their variables
	body   bool     // it is evaluated for each element
	result string   // the macro's own variable for what it has so far
}

func (c *checker) refuse(e ast.Expr, format string, args ...any) {
	c.faults = append(c.faults, wrong(place(c.tree.SourceInfo(), e.ID()), fmt.Sprintf(format, args...)))
}

func (c *checker) walk(e ast.Expr, s scope) {
	switch e.Kind() {
	case ast.IdentKind:
		if name := c.ident(e); byName[name] {
			c.refuse(e, "%s is asked by name: %s.name, %s['name'], has(%s.name), 'name' in %s", name, name, name, name, name)
		}
	case ast.SelectKind:
		c.named(e.AsSelect().Operand(), s)
	case ast.CallKind:
		c.call(e, s)
	case ast.ListKind:
		c.built(e, s)
		for _, element := range e.AsList().Elements() {
			c.walk(element, s)
		}
	case ast.MapKind:
		c.built(e, s)
		for _, entry := range e.AsMap().Entries() {
			c.walk(entry.AsMapEntry().Key(), s)
			c.walk(entry.AsMapEntry().Value(), s)
		}
	case ast.StructKind:
		c.refuse(e, "there are no messages")
	case ast.ComprehensionKind:
		c.comprehension(e, s)
	}
}

// ident notes which variables the text speaks of.
func (c *checker) ident(e ast.Expr) string {
	name := strings.TrimPrefix(e.AsIdent(), ".")
	c.request = c.request || strings.HasPrefix(name, "request.")
	return name
}

// named is an expression that is asked for something by name.
func (c *checker) named(e ast.Expr, s scope) {
	if e.Kind() == ast.IdentKind {
		c.ident(e)
		return
	}
	c.walk(e, s)
}

func (c *checker) call(e ast.Expr, s scope) {
	call := e.AsCall()
	name, args := call.FunctionName(), call.Args()
	c.calls++
	_, operator := operators.FindReverse(name)
	if !operator && name != operators.NotStrictlyFalse && !allowed[name] {
		c.refuse(e, "there is no function %s", name)
	}
	if call.IsMemberFunction() {
		c.walk(call.Target(), s)
	}
	switch {
	case name == operators.Index:
		c.named(args[0], s)
		args = args[1:]
	case name == operators.In:
		c.named(args[1], s)
		args = args[:1]
	case name == operators.Add && s.body:
		if args[0].Kind() == ast.IdentKind && args[0].AsIdent() == s.result && args[1].Kind() == ast.ListKind { // of map or filter
			args = args[1].AsList().Elements()
			break
		}
		if slices.Contains(c.tree.GetOverloadIDs(e.ID()), overloads.AddList) {
			c.refuse(e, "within a macro a sum must not be one of lists: say which type it has, as in int(a) + int(b)")
		}
	case name == overloads.Matches:
		c.matches(args[len(args)-1])
	case zoned[name] && len(args) == 1:
		if zone, ok := literal(args[0]); !ok {
			c.refuse(args[0], "a time zone must be a literal")
		} else if _, err := loadZone(zone); err != nil {
			c.refuse(args[0], "%v", err)
		}
	}
	for _, arg := range args {
		c.walk(arg, s)
	}
}

func (c *checker) matches(e ast.Expr) {
	pattern, ok := literal(e)
	if !ok {
		c.refuse(e, "a pattern must be a literal")
		return
	}
	if c.pattern += instructions(pattern); c.pattern > maxPattern {
		c.refuse(e, "the patterns are too large")
	}
}

// instructions are the size of a compiled pattern, and what a byte of text may cost; zero if it does not compile.
func instructions(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	program, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return len(program.Inst)
}

// built refuses a list or map of variables in the body of a macro.
func (c *checker) built(e ast.Expr, s scope) {
	if s.body && !fixed(e) {
		c.refuse(e, "within a macro a list or map holds literals only")
	}
}

func (c *checker) comprehension(e ast.Expr, s scope) {
	f := e.AsComprehension()
	switch name := f.IterVar(); name {
	case "claims", "request", "now":
		c.refuse(e, "a macro's variable cannot be %s", name)
	}
	if slices.Contains(s.names, f.IterVar()) {
		c.refuse(e, "the variable %s is that of a macro around this one", f.IterVar())
	}
	if s.body && f.AccuInit().Kind() == ast.ListKind {
		c.refuse(e, "map and filter do not stand within another macro: use exists, all or exists_one")
	}
	if s.depth == maxNesting {
		c.refuse(e, "macros stand in each other %d deep at most", maxNesting)
	}
	c.walk(f.IterRange(), s)
	if c.steps == nil {
		c.steps = make(map[int64]bool)
	}
	c.steps[f.LoopCondition().ID()], c.steps[f.LoopStep().ID()] = true, true
	inner := scope{depth: s.depth + 1, names: append(slices.Clone(s.names), f.IterVar()), body: true, result: f.AccuVar()}
	c.walk(f.LoopCondition(), inner)
	c.walk(f.LoopStep(), inner)
	c.walk(f.Result(), s)
}

// fixed reports whether an expression consists of literals.
func fixed(e ast.Expr) bool {
	switch e.Kind() {
	case ast.LiteralKind:
		return true
	case ast.ListKind:
		return !slices.ContainsFunc(e.AsList().Elements(), func(e ast.Expr) bool { return !fixed(e) })
	case ast.MapKind:
		return !slices.ContainsFunc(e.AsMap().Entries(), func(e ast.EntryExpr) bool {
			return !fixed(e.AsMapEntry().Key()) || !fixed(e.AsMapEntry().Value())
		})
	}
	return false
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}
