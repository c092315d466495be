package celrule

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// adapter gives CEL the values of claims, at every level.
type adapter struct{ types.Adapter }

func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case ref.Val:
		return v
	case string:
		return types.String(v)
	case json.Number:
		return number(string(v))
	case []any:
		return types.NewDynamicList(a, v)
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	}
	return a.Adapter.NativeToValue(v)
}

func claim(v any) ref.Val {
	if !fits(v) {
		return fault(tooLarge)
	}
	return adapter{types.DefaultTypeAdapter}.NativeToValue(v)
}

// fits reports whether all numbers of a value can be said. One that cannot is an error of the whole
// claim: within a list or map it would count as equal to any value, and in would pass over it.
func fits(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return !types.IsError(number(string(v)))
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !fits(e) })
	case map[string]any:
		for _, e := range v {
			if !fits(e) {
				return false
			}
		}
	}
	return true
}

// number keeps integers exact.
func number(s string) ref.Val {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return types.Int(n)
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return types.Uint(n)
	}
	if !strings.ContainsAny(s, ".eE") {
		return fault(tooLarge)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return fault(tooLarge)
	}
	return types.Double(f)
}
