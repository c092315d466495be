package jwtvalidate

import (
	"encoding/json"
	"errors"
	"fmt"
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
	text, _, err := prune(json.RawMessage(strings.TrimSpace(c.object.JSON())), t)
	if err != nil {
		return "", fmt.Errorf("jwtvalidate: decode: %w", err)
	}
	return string(text), nil
}

var jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()

// prune returns a value without folded names for t. What has none stays as it is, byte
// for byte: a field may be a json.RawMessage.
func prune(raw json.RawMessage, t reflect.Type) (json.RawMessage, bool, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(jsonUnmarshaler) {
		return raw, false, nil // it reads the text itself
	}
	switch k := t.Kind(); raw[0] {
	case '{':
		if k == reflect.Map || k == reflect.Struct {
			return pruneObject(raw, t)
		}
	case '[':
		if k == reflect.Slice || k == reflect.Array {
			return pruneArray(raw, t)
		}
	}
	return raw, false, nil
}

func pruneArray(raw json.RawMessage, t reflect.Type) (json.RawMessage, bool, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, false, err
	}
	out, changed := []byte("["), false
	for i, e := range list {
		p, c, err := prune(e, t.Elem())
		if err != nil {
			return nil, false, err
		}
		changed = changed || c
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, p...)
	}
	if !changed {
		return raw, false, nil
	}
	return append(out, ']'), true, nil
}

func pruneObject(raw json.RawMessage, t reflect.Type) (json.RawMessage, bool, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, false, err
	}
	fields := make(map[string]reflect.Type)
	if t.Kind() == reflect.Struct {
		jsonFields(t, fields)
	}
	folds := func(name string) bool {
		for field := range fields {
			if strings.EqualFold(field, name) {
				return true
			}
		}
		return false
	}
	out, changed := []byte("{"), false
	for name, v := range members {
		ft := fields[name]
		switch {
		case t.Kind() == reflect.Map:
			ft = t.Elem()
		case ft == nil && folds(name):
			changed = true
			continue
		}
		if ft != nil {
			p, c, err := prune(v, ft)
			if err != nil {
				return nil, false, err
			}
			v, changed = p, changed || c
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, false, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, quoted...), ':'), v...)
	}
	if !changed {
		return raw, false, nil
	}
	return append(out, '}'), true, nil
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
