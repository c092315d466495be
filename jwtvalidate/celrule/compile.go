package celrule

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
)

// maxFaults are told of one text, each in a line of at most maxFault runes.
const (
	maxFaults = 5
	maxFault  = 200
)

func compile(expr string) (*program, error) {
	switch {
	case len(expr) > maxText:
		return nil, fmt.Errorf("celrule: a text has at most %d bytes", maxText)
	case !utf8.ValidString(expr):
		return nil, errors.New("celrule: the text is no UTF-8")
	case strings.TrimSpace(expr) == "":
		return nil, errors.New("celrule: no text")
	}
	env, err := language()
	if err != nil {
		return nil, fmt.Errorf("celrule: %w", err)
	}
	parsed, issues := env.Parse(expr)
	var checked *cel.Ast
	if issues.Err() == nil {
		// What macros must not build is refused before types are looked for: .map(x, {x: x}) doubles them each time.
		early := checker{tree: parsed.NativeRep()}
		if early.walk(early.tree.Expr(), scope{}); len(early.faults) > 0 {
			return nil, join(early.faults)
		}
		checked, issues = env.Check(parsed)
	}
	if issues.Err() != nil {
		var all []error
		for _, e := range issues.Errors() {
			message := strings.TrimSuffix(e.Message, " (in container '')")
			if strings.HasPrefix(message, "undeclared reference to 'request'") || strings.HasPrefix(message, "undeclared reference to 'request.") {
				message = "request has method, host, path, path_values, query, headers and client_address"
			}
			place := ""
			if e.Location.Line() > 0 { // of one that is nested too deeply, nobody says where
				place = fmt.Sprintf("%d:%d: ", e.Location.Line(), e.Location.Column()+1)
			}
			all = append(all, wrong(place, message))
		}
		return nil, join(all)
	}
	tree := checked.NativeRep()
	c := checker{tree: tree}
	c.walk(tree.Expr(), scope{})
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		c.refuse(tree.Expr(), "the result is %s, not bool", t)
	}
	if len(c.faults) > 0 {
		return nil, join(c.faults)
	}
	counted := len(c.steps) > 0 || c.calls > maxCalls
	p := &program{source: tree.SourceInfo(), request: c.request}
	nodes := planner{counted: counted, steps: c.steps}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(nodes.node)}
	if p.Program, err = env.Program(checked, options...); err != nil {
		return nil, p.failed(nil, err)
	}
	return p, nil
}

// wrong is a mistake in a text, in one line.
func wrong(place, message string) error {
	return errors.New("celrule: " + place + shown(message, maxFault))
}

func join(all []error) error {
	if len(all) > maxFaults {
		all = append(all[:maxFaults:maxFaults], errors.New("celrule: and more"))
	}
	return errors.Join(all...)
}
