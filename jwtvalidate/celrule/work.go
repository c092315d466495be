package celrule

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// Bounds of the work of one evaluation.
const (
	maxWork  = 50_000 // steps, most of them some ten nanoseconds
	maxCalls = 64     // without macros, that need no counting
	interval = 256    // steps between two looks at the request's context
)

// counter is the name by which a node finds its evaluation. No text can say it.
const counter = "#evaluation"

// spend counts work where it is done, and ends an evaluation that has done too much. It panics, as
// cel-go does for the same purpose and recovers from: an error would be hidden by || and go on.
func spend(frame *interpreter.ExecutionFrame, steps int) {
	found, _ := frame.ResolveName(counter)
	e, ok := found.(*evaluation)
	if !ok {
		return // what is evaluated while a text is compiled is made of literals
	}
	if e.work += steps; e.work > maxWork {
		panic(interpreter.EvalCancelledError{Message: tooMuch, Cause: interpreter.CostLimitExceeded})
	}
	if e.request != nil && e.work >= e.look {
		e.look = e.work + interval
		if e.request.Context().Err() != nil {
			panic(interpreter.EvalCancelledError{Message: stopped, Cause: interpreter.ContextCancelled})
		}
	}
}

// weight is about the time that it takes to go through a value, in steps.
func weight(v ref.Val) int {
	n := 1
	switch v := v.(type) {
	case types.String:
		n += len(v) / 16
	case types.Bytes:
		n += len(v) / 16
	case *lookup: // asked by name
	case traits.MutableLister: // what map and filter have so far
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True && n < maxWork; {
			n += weight(it.Next())
		}
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True && n < maxWork; {
			key := it.Next()
			n += weight(key) + weight(v.Get(key))
		}
	}
	return n
}
