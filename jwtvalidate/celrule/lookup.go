package celrule

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// lookup is a map that is asked by name. The rest of a Mapper is nil: no text that
// asks for it is accepted, and if one were, its evaluation would fail.
type lookup struct {
	traits.Mapper
	of   *evaluation
	find func(e *evaluation, name string) ref.Val // nil: none of that name
}

func (l *lookup) Type() ref.Type { return types.MapType }

// Find gives an error as a value, with false, as cel-go expects it.
func (l *lookup) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	v := l.find(l.of, string(name))
	if v == nil || types.IsError(v) {
		return v, false
	}
	return v, true
}

func (l *lookup) Contains(key ref.Val) ref.Val {
	v, ok := l.Find(key)
	if types.IsError(v) {
		return v
	}
	return types.Bool(ok)
}
