package celrule

import (
	"errors"
	"regexp"
	"time"

	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// planner changes the nodes that cel-go has planned.
type planner struct {
	counted bool
	steps   map[int64]bool // what a macro evaluates for each element
}

func (p *planner) node(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	switch n := i.(type) {
	case call, match, counting, countingAttribute: // a select is planned upon its operand
		return i, nil
	case interpreter.InterpretableCall:
		return p.call(n)
	case interpreter.InterpretableAttribute:
		if p.counted {
			return countingAttribute{n}, nil
		}
	default:
		if p.counted && p.steps[i.ID()] {
			return counting{i}, nil
		}
	}
	return i, nil
}

// call replaces the calls that would compile or read files on each evaluation.
func (p *planner) call(c interpreter.InterpretableCall) (interpreter.InterpretableV2, error) {
	args := c.Args()
	switch {
	case c.Function() == overloads.Matches:
		pattern, err := constant(args[1])
		if err != nil {
			return nil, err
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, errors.New("a pattern does not compile")
		}
		perText := 0
		if p.counted {
			perText = instructions(pattern)
		}
		return match{c, re, perText}, nil
	case zoned[c.Function()] && len(args) == 2:
		name, err := constant(args[1])
		if err != nil {
			return nil, err
		}
		zone, err := loadZone(name)
		if err != nil {
			return nil, err
		}
		c = interpreter.NewCall(c.ID(), c.Function(), c.OverloadID(), args[:1], in(zone, c.Function()))
	}
	literals := 0
	for _, arg := range c.Args() {
		if l, ok := arg.(interpreter.InterpretableConst); ok && p.counted {
			literals += weight(l.Value())
		}
	}
	return call{c, p.counted, literals}, nil
}

func constant(i interpreter.InterpretableV2) (string, error) {
	if c, ok := i.(interpreter.InterpretableConst); ok {
		if s, ok := c.Value().(types.String); ok {
			return string(s), nil
		}
	}
	return "", errors.New("a literal is needed")
}

// call is a call that knows its place also for a shared error.
type call struct {
	interpreter.InterpretableCall
	counted  bool
	literals int // weight of those among its arguments, which are gone through too
}

func (c call) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	v := c.InterpretableCall.Exec(frame)
	if err, failed := v.(*types.Err); failed {
		for _, s := range shared {
			if v == s {
				return types.NewErrWithNodeID(c.ID(), "%s", err.Error())
			}
		}
	}
	if c.counted {
		spend(frame, weight(v)+c.literals)
	}
	return v
}

// counting is a node of no other kind that a macro evaluates for each element.
type counting struct{ interpreter.InterpretableV2 }

func (c counting) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	spend(frame, 1)
	return c.InterpretableV2.Exec(frame)
}

// countingAttribute is a variable, or what it holds, which is taken to be gone through.
type countingAttribute struct {
	interpreter.InterpretableAttribute
}

func (a countingAttribute) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	v := a.InterpretableAttribute.Exec(frame)
	spend(frame, weight(v))
	return v
}

// match is a call of matches whose pattern was compiled when the rule was made.
type match struct {
	interpreter.InterpretableCall
	pattern *regexp.Regexp
	perText int // zero: not counted
}

// Function hides it from cel-go, which would replace it by an unbounded one.
func (m match) Function() string { return "@matches" }

func (m match) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	v := m.Args()[0].Exec(frame)
	s, ok := v.(types.String)
	switch {
	case !ok:
		return types.LabelErrNode(m.ID(), types.ValOrErr(v, "no such overload"))
	case len(s) > maxMatched:
		return types.LabelErrNode(m.ID(), fault(tooLarge))
	case m.perText > 0:
		spend(frame, 1+len(s)*m.perText/8)
	}
	return types.Bool(m.pattern.MatchString(string(s)))
}

// zoned are the functions of a time that may have a zone for an argument.
var zoned = set("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
	"getHours", "getMinutes", "getSeconds", "getMilliseconds")

func in(zone *time.Location, function string) func(...ref.Val) ref.Val {
	return func(args ...ref.Val) ref.Val {
		t, ok := args[0].(types.Timestamp)
		if !ok {
			return types.MaybeNoSuchOverloadErr(args[0])
		}
		return types.Timestamp{Time: t.In(zone)}.Receive(function, "", nil)
	}
}

// loadZone takes a name of the time zone database, or an offset such as +02:00.
func loadZone(name string) (*time.Location, error) {
	if t, err := time.Parse("-07:00", name); err == nil {
		_, offset := t.Zone()
		return time.FixedZone(name, offset), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, errors.New("no such time zone")
	}
	return zone, nil
}
