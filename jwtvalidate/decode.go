package jwtvalidate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
)

// Decode reads the claims into a T, as encoding/json does, but with exact names:
// a claim whose name differs from a field's by case only is left out, at every
// level, so that ROLE never fills role: give each field its json tag. Numbers in fields of type any are
// json.Number. The error names the field that did not fit and no value; nil claims, as
// behind an Optional Handler, are ErrNoToken.
func Decode[T any](c *Claims) (T, error) {
	var v, zero T
	if c.none() {
		return zero, ErrNoToken
	}
	text, err := exactJSON(c, reflect.TypeFor[T]())
	if err != nil {
		return zero, err
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		var fit *json.UnmarshalTypeError
		if errors.As(err, &fit) {
			return zero, fmt.Errorf("jwtvalidate: decode: %q does not fit %s", fit.Field, fit.Type)
		}
		return zero, errors.New("jwtvalidate: decode: a claim does not fit its field")
	}
	return v, nil
}

// exactJSON is the payload, without the members that encoding/json would match
// to a field of t by case folding.
func exactJSON(c *Claims, t reflect.Type) (string, error) {
	members := make(map[string]any)
	for _, name := range c.object.Names() {
		members[name], _ = c.object.Get(name)
	}
	pruned, changed := prune(members, t)
	if !changed {
		return c.object.JSON(), nil
	}
	text, err := json.Marshal(pruned)
	if err != nil {
		return "", fmt.Errorf("jwtvalidate: decode: %w", err)
	}
	return string(text), nil
}

var jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()

// prune returns v without folded names for t; what it changes, it copies, since
// claims are shared.
func prune(v any, t reflect.Type) (any, bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(jsonUnmarshaler) {
		return v, false // it reads the text itself
	}
	switch v := v.(type) {
	case map[string]any:
		return pruneMap(v, t)
	case []any:
		if k := t.Kind(); k != reflect.Slice && k != reflect.Array {
			return v, false
		}
		out, changed := make([]any, len(v)), false
		for i, e := range v {
			var c bool
			out[i], c = prune(e, t.Elem())
			changed = changed || c
		}
		return out, changed
	}
	return v, false
}

func pruneMap(m map[string]any, t reflect.Type) (any, bool) {
	typeOf := func(string) reflect.Type { return nil }
	folds := func(string) bool { return false }
	switch t.Kind() {
	case reflect.Map:
		typeOf = func(string) reflect.Type { return t.Elem() }
	case reflect.Struct:
		fields := make(map[string]reflect.Type)
		jsonFields(t, fields)
		typeOf = func(name string) reflect.Type { return fields[name] }
		folds = func(name string) bool {
			if fields[name] != nil {
				return false
			}
			for field := range fields {
				if strings.EqualFold(field, name) {
					return true
				}
			}
			return false
		}
	}
	out, changed := maps.Clone(m), false
	for name, v := range m {
		if folds(name) {
			delete(out, name)
			changed = true
		} else if ft := typeOf(name); ft != nil {
			p, c := prune(v, ft)
			out[name] = p
			changed = changed || c
		}
	}
	return out, changed
}

// jsonFields collects the names under which encoding/json fills t: of two fields
// of one name, it fills the one that is embedded less deeply.
func jsonFields(t reflect.Type, into map[string]reflect.Type) {
	const maxEmbedded = 8 // a type may embed itself by pointer
	level := []reflect.Type{t}
	for depth := 0; depth <= maxEmbedded && len(level) > 0; depth++ {
		found, next := make(map[string]reflect.Type), []reflect.Type(nil)
		for _, t := range level {
			for i := range t.NumField() {
				f := t.Field(i)
				embedded := f.Type
				if embedded.Kind() == reflect.Pointer {
					embedded = embedded.Elem()
				}
				inner := f.Anonymous && embedded.Kind() == reflect.Struct
				tag := f.Tag.Get("json")
				name, _, _ := strings.Cut(tag, ",")
				switch {
				case tag == "-" || !f.IsExported() && !inner:
				case name != "":
					found[name] = f.Type
				case !inner:
					found[f.Name] = f.Type
				default:
					next = append(next, embedded)
				}
			}
		}
		for name, t := range found {
			if into[name] == nil {
				into[name] = t
			}
		}
		level = next
	}
}
