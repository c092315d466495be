package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits bound what ParseObject takes. Every field must be set.
type Limits struct {
	Bytes  int // length of the text
	Depth  int // nesting; the object itself is 1
	Values int // members and array elements, counted over all levels

	// Reserved names may appear, but no other top-level name may equal one of
	// them under Unicode case folding ("ISS", "i\u017fs"): a reader that folds
	// names would take one for the other.
	Reserved Reserved
}

// Reserved are names that no other may be mistaken for. The zero value is none.
type Reserved struct{ *reserved }

type reserved struct {
	names   []string
	capital bool // one of them is not of lower-case ASCII
}

// Reserve makes a Reserved.
func Reserve(names ...string) Reserved {
	return Reserved{&reserved{names, slices.ContainsFunc(names, capital)}}
}

// DefaultLimits serve documents that name no claims: metadata, single keys.
var DefaultLimits = Limits{Bytes: 1 << 20, Depth: 32, Values: 4096}

// ErrJSON is wrapped by every error of ParseObject. No error holds any of the
// text: it may be a token's.
var ErrJSON = errors.New("jose: malformed JSON")

var (
	errTooLarge  = fmt.Errorf("%w: too large", ErrJSON)
	errNotObject = fmt.Errorf("%w: not an object", ErrJSON)
	errSyntax    = fmt.Errorf("%w: syntax", ErrJSON)
	errTrailing  = fmt.Errorf("%w: data after the object", ErrJSON)
	errDepth     = fmt.Errorf("%w: nested too deeply", ErrJSON)
	errValues    = fmt.Errorf("%w: too many values", ErrJSON)
	errDuplicate = fmt.Errorf("%w: duplicate member name", ErrJSON)
	errFolded    = fmt.Errorf("%w: name differs from a registered one by case only", ErrJSON)
	errString    = fmt.Errorf("%w: string", ErrJSON)
	errNumber    = fmt.Errorf("%w: number", ErrJSON)
)

// Object is a JSON object that was read strictly (RFC 8259, RFC 7493): valid
// UTF-8 without lone surrogates, unique member names at every level also when
// escaped, nothing behind it. Names are exact and case-sensitive; values are
// decoded when they are first asked for. It is immutable and safe for
// concurrent use.
type Object struct {
	text    string
	members []member
	odd     []string                              // names that are spelled with escapes
	boxes   atomic.Pointer[[]atomic.Pointer[any]] // values decoded so far, by index of members; nil: none
}

// member says where in the text a name and its value stand. It holds no pointer: many
// objects are remembered, and the garbage collector need not look into their members.
type member struct {
	name, nameEnd int32 // between the quotes; a negative name is odd[^name]
	at, end       int32 // without white space around it
	escaped       bool  // a string value with escapes in it
}

// ParseObject reads text as one JSON object.
func ParseObject(text string, lim Limits) (*Object, error) {
	if len(text) > lim.Bytes {
		return nil, errTooLarge
	}
	var s scanner
	o := new(Object)
	if err := s.object(o, text, lim); err != nil {
		return nil, err
	}
	return o, nil
}

// Copy makes o, which must be new, a copy that stays as it is when of is used again.
func (o *Object) Copy(of *Object) {
	o.text, o.members, o.odd = of.text, slices.Clone(of.members), of.odd
}

// JSON is the text that the object was read from.
func (o *Object) JSON() string { return o.text }

// Names are the member names, in the order of the text.
func (o *Object) Names() []string {
	names := make([]string, len(o.members))
	for i := range names {
		names[i] = o.name(i)
	}
	return names
}

// All are the members, in the order of the text: names, and the text of each value.
func (o *Object) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := range o.members {
			if !yield(o.name(i), o.raw(i)) {
				return
			}
		}
	}
}

func (o *Object) name(i int) string {
	m := &o.members[i]
	if m.name < 0 {
		return o.odd[^m.name]
	}
	return o.text[m.name:m.nameEnd]
}

// raw is the text of a value.
func (o *Object) raw(i int) string { return o.text[o.members[i].at:o.members[i].end] }

// textAt is a value that is a string.
func (o *Object) textAt(i int) (string, bool) {
	return textOf(o.raw(i), o.members[i].escaped)
}

func textOf(raw string, escaped bool) (string, bool) {
	if raw[0] != '"' {
		return "", false
	}
	if !escaped {
		return raw[1 : len(raw)-1], true
	}
	return unescape(raw), true
}

func (o *Object) find(name string) int {
	for i := range o.members {
		if o.name(i) == name {
			return i
		}
	}
	return -1
}

// Has reports whether the object has a member of that name, null included.
func (o *Object) Has(name string) bool { return o.find(name) >= 0 }

// Raw is the exact text of a member's value.
func (o *Object) Raw(name string) (string, bool) {
	if i := o.find(name); i >= 0 {
		return o.raw(i), true
	}
	return "", false
}

// Span is where the text of a member's value stands: JSON()[from:to].
func (o *Object) Span(name string) (from, to int, ok bool) {
	if i := o.find(name); i >= 0 {
		return int(o.members[i].at), int(o.members[i].end), true
	}
	return 0, 0, false
}

// Text is the value of a member that is a string; false for any other.
func (o *Object) Text(name string) (string, bool) {
	if i := o.find(name); i >= 0 {
		return o.textAt(i)
	}
	return "", false
}

// Strings is the value of a member that is a string, as a list of one, or an
// array of strings; nil if there is no such member, false if it is anything else.
func (o *Object) Strings(name string) ([]string, bool) { return o.StringsIn(name, nil) }

// StringsIn is Strings in the room of a list, if that is enough.
func (o *Object) StringsIn(name string, room []string) ([]string, bool) {
	i := o.find(name)
	if i < 0 {
		return nil, true
	}
	if s, ok := o.textAt(i); ok {
		return append(room[:0], s), true
	}
	raw := o.raw(i)
	if raw[0] != '[' {
		return nil, false
	}
	list := room[:0]
	if n := 1 + strings.Count(raw, ","); list == nil || n > cap(room) { // a comma may stand in a string
		list = make([]string, 0, min(n, 16))
	}
	p := scanner{s: raw, i: 1}
	for {
		p.space()
		if p.next(']') {
			return list, true
		}
		start := p.i
		escaped, err := p.str()
		if err != nil {
			return nil, false // the text is valid, so this element is no string
		}
		s, _ := textOf(raw[start:p.i], escaped)
		list = append(list, s)
		p.space()
		p.next(',')
	}
}

// Get is a member's value: string, bool, json.Number with the exact text, nil,
// []any or map[string]any. The value is shared: read-only.
func (o *Object) Get(name string) (any, bool) {
	i := o.find(name)
	if i < 0 {
		return nil, false
	}
	boxes := o.boxes.Load()
	if boxes == nil {
		made := make([]atomic.Pointer[any], len(o.members))
		if boxes = &made; !o.boxes.CompareAndSwap(nil, boxes) {
			boxes = o.boxes.Load()
		}
	}
	if box := (*boxes)[i].Load(); box != nil {
		return *box, true
	}
	v := o.decode(i)
	(*boxes)[i].Store(&v)
	return v, true
}

func (o *Object) decode(i int) any {
	raw := o.raw(i)
	switch raw[0] {
	case '"':
		s, _ := o.textAt(i)
		return s
	case 't':
		return true
	case 'f':
		return false
	case 'n':
		return nil
	case '{', '[':
		return decodeNested(raw)
	}
	return json.Number(raw)
}

// decodeNested reads what the scanner has accepted: names are unique and the
// text is valid, so encoding/json sees no case that readers disagree about.
func decodeNested(raw string) any {
	var v any
	d := json.NewDecoder(strings.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil // unreachable after the scan; nil satisfies no rule
	}
	return v
}

// unescape decodes a string that str has accepted. encoding/json would allocate
// five times for it, which many escaped names make dear.
func unescape(quoted string) string {
	s := quoted[1 : len(quoted)-1]
	b := make([]byte, 0, len(s))
	for {
		n := strings.IndexByte(s, '\\')
		if n < 0 {
			return string(append(b, s...))
		}
		b = append(b, s[:n]...)
		c := s[n+1]
		s = s[n+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, _ := hex4(s)
			s = s[4:]
			if utf16.IsSurrogate(r) { // the other half stands behind it
				low, _ := hex4(s[2:])
				r = utf16.DecodeRune(r, low)
				s = s[6:]
			}
			b = utf8.AppendRune(b, r)
			continue
		}
		b = append(b, c)
	}
}
