package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/bits"
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
type Reserved struct {
	names   []string
	capital bool // one of them is not of lower-case ASCII
}

// Reserve makes a Reserved.
func Reserve(names ...string) Reserved {
	return Reserved{names, slices.ContainsFunc(names, capital)}
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
	boxes   atomic.Pointer[[]atomic.Pointer[any]] // values decoded so far, by index of members; nil: none
}

type member struct {
	name    string
	raw     string // the value's text, without white space around it
	at      int32  // where that text begins
	escaped bool   // a string value with escapes in it
}

// ParseObject reads text as one JSON object.
func ParseObject(text string, lim Limits) (*Object, error) {
	var s scanner
	members, err := s.object(text, lim, nil)
	if err != nil {
		return nil, err
	}
	return newObject(text, members), nil
}

func newObject(text string, members []member) *Object {
	return &Object{text: text, members: members}
}

// JSON is the text that the object was read from.
func (o *Object) JSON() string { return o.text }

// Names are the member names, in the order of the text.
func (o *Object) Names() []string {
	names := make([]string, len(o.members))
	for i := range o.members {
		names[i] = o.members[i].name
	}
	return names
}

// All are the members, in the order of the text: names, and the text of each value.
func (o *Object) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := range o.members {
			if !yield(o.members[i].name, o.members[i].raw) {
				return
			}
		}
	}
}

func (o *Object) find(name string) int {
	for i := range o.members {
		if o.members[i].name == name {
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
		return o.members[i].raw, true
	}
	return "", false
}

// Span is where the text of a member's value stands: JSON()[from:to].
func (o *Object) Span(name string) (from, to int, ok bool) {
	if i := o.find(name); i >= 0 {
		from = int(o.members[i].at)
		return from, from + len(o.members[i].raw), true
	}
	return 0, 0, false
}

// Text is the value of a member that is a string; false for any other.
func (o *Object) Text(name string) (string, bool) {
	if i := o.find(name); i >= 0 {
		return o.members[i].text()
	}
	return "", false
}

// Strings is the value of a member that is a string, as a list of one, or an
// array of strings; nil if there is no such member, false if it is anything else.
func (o *Object) Strings(name string) ([]string, bool) {
	i := o.find(name)
	if i < 0 {
		return nil, true
	}
	if s, ok := o.members[i].text(); ok {
		return []string{s}, true
	}
	raw := o.members[i].raw
	if raw[0] != '[' {
		return nil, false
	}
	list := make([]string, 0, min(1+strings.Count(raw, ","), 16)) // a comma may stand in a string
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
		e := member{raw: raw[start:p.i], escaped: escaped}
		s, _ := e.text()
		list = append(list, s)
		p.space()
		p.next(',')
	}
}

func (m *member) text() (string, bool) {
	if m.raw[0] != '"' {
		return "", false
	}
	if !m.escaped {
		return m.raw[1 : len(m.raw)-1], true
	}
	return unescape(m.raw), true
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
	v := o.members[i].decode()
	(*boxes)[i].Store(&v)
	return v, true
}

func (m *member) decode() any {
	switch m.raw[0] {
	case '"':
		s, _ := m.text()
		return s
	case 't':
		return true
	case 'f':
		return false
	case 'n':
		return nil
	case '{', '[':
		return decodeNested(m.raw)
	}
	return json.Number(m.raw)
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

// scanner checks JSON text in one pass and notes where the top-level members are.
type scanner struct {
	s      string
	i      int
	values int
	lim    Limits
	names  []string // names in the objects that are open, outermost first
	loose  bool     // names below the top level may repeat: the reader of each part decides
}

func (p *scanner) object(text string, lim Limits, into []member) ([]member, error) {
	if len(text) > lim.Bytes {
		return nil, errTooLarge
	}
	*p = scanner{s: text, lim: lim, names: p.names[:0], loose: p.loose}
	p.space()
	if p.i >= len(p.s) || p.s[p.i] != '{' {
		return nil, errNotObject
	}
	members, err := p.members(1, into, true)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.i != len(p.s) {
		return nil, errTrailing
	}
	return members, nil
}

// members reads an object, and keeps its members where they are wanted.
func (p *scanner) members(depth int, into []member, keep bool) ([]member, error) {
	if depth > p.lim.Depth {
		return nil, errDepth
	}
	p.i++ // {
	p.space()
	if p.next('}') {
		return into, nil
	}
	base := len(p.names)
	var seen map[string]struct{}
	for {
		start := p.i
		escaped, err := p.str()
		if err != nil {
			return nil, err
		}
		name := p.s[start+1 : p.i-1]
		if escaped {
			name = unescape(p.s[start:p.i])
		}
		if keep || !p.loose {
			if seen, err = p.unique(seen, base, name); err != nil {
				return nil, err
			}
		}
		if keep && p.folds(name) {
			return nil, errFolded
		}
		p.space()
		if !p.next(':') {
			return nil, errSyntax
		}
		p.space()
		start = p.i
		if escaped, err = p.value(depth); err != nil {
			return nil, err
		}
		if keep {
			if into == nil {
				into = make([]member, 0, 8)
			}
			into = append(into, member{name: name, raw: p.s[start:p.i], at: int32(start), escaped: escaped})
		}
		p.space()
		if p.next(',') {
			p.space()
			continue
		}
		if p.next('}') {
			p.names = p.names[:base]
			return into, nil
		}
		return nil, errSyntax
	}
}

// unique notes a name and refuses a second one. A few names are compared one by
// one; many go into a set, so that a hostile object costs linear time.
func (p *scanner) unique(seen map[string]struct{}, base int, name string) (map[string]struct{}, error) {
	const few = 24
	open := p.names[base:]
	switch {
	case seen != nil:
		if _, dup := seen[name]; dup {
			return nil, errDuplicate
		}
		seen[name] = struct{}{}
	case len(open) < few:
		for _, other := range open {
			if other == name {
				return nil, errDuplicate
			}
		}
		p.names = append(p.names, name)
	default:
		seen = make(map[string]struct{}, 4*few)
		for _, other := range open {
			seen[other] = struct{}{}
		}
		if _, dup := seen[name]; dup {
			return nil, errDuplicate
		}
		seen[name] = struct{}{}
	}
	return seen, nil
}

// folds reports whether a name equals a reserved one by case folding only. Names
// of lower-case ASCII, nearly all, are answered without a comparison, unless a
// reserved one has capitals ("x5t#S256").
func (p *scanner) folds(name string) bool {
	if !p.lim.Reserved.capital && !capital(name) {
		return false
	}
	for _, r := range p.lim.Reserved.names {
		if name == r {
			return false
		}
	}
	for _, r := range p.lim.Reserved.names {
		if strings.EqualFold(name, r) {
			return true
		}
	}
	return false
}

// capital reports whether a name holds more than lower-case ASCII.
func capital(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return true
		}
	}
	return false
}

// value reads any value; it reports whether that was a string with escapes.
func (p *scanner) value(depth int) (escaped bool, err error) {
	if p.values++; p.values > p.lim.Values {
		return false, errValues
	}
	if p.i >= len(p.s) {
		return false, errSyntax
	}
	switch c := p.s[p.i]; {
	case c == '"':
		return p.str()
	case c == '{':
		_, err = p.members(depth+1, nil, false)
		return false, err
	case c == '[':
		return false, p.array(depth+1, nil)
	case c == '-' || '0' <= c && c <= '9':
		return false, p.number()
	case c == 't':
		return false, p.literal("true")
	case c == 'f':
		return false, p.literal("false")
	case c == 'n':
		return false, p.literal("null")
	}
	return false, errSyntax
}

// array reads an array and hands each element's text to each, where that is wanted.
func (p *scanner) array(depth int, each func(raw string) error) error {
	if depth > p.lim.Depth {
		return errDepth
	}
	p.i++ // [
	p.space()
	if p.next(']') {
		return nil
	}
	for {
		start := p.i
		if _, err := p.value(depth); err != nil {
			return err
		}
		if each != nil {
			if err := each(p.s[start:p.i]); err != nil {
				return err
			}
		}
		p.space()
		if p.next(',') {
			p.space()
			continue
		}
		if p.next(']') {
			return nil
		}
		return errSyntax
	}
}

// plain marks the bytes that stand for themselves in a string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

func (p *scanner) str() (escaped bool, err error) {
	if p.i >= len(p.s) || p.s[p.i] != '"' {
		return false, errSyntax
	}
	const ones = 0x0101010101010101
	s, i := p.s, p.i+1
	for {
		// Eight bytes at a time, up to the first that does not stand for itself: a
		// borrow reaches only the bytes behind that one.
		for ; i+8 <= len(s); i += 8 {
			b := s[i : i+8]
			v := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
				uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
			quote, backslash := v^('"'*ones), v^('\\'*ones)
			if odd := ((v - 0x20*ones) | (quote - ones) | (backslash - ones) | v) & (0x80 * ones); odd != 0 {
				i += bits.TrailingZeros64(odd) / 8
				break
			}
		}
		for i < len(s) && plain[s[i]] {
			i++
		}
		if i == len(s) {
			return false, errString
		}
		switch c := s[i]; {
		case c == '"':
			p.i = i + 1
			return escaped, nil
		case c == '\\':
			n := escape(s[i:])
			if n == 0 {
				return false, errString
			}
			escaped = true
			i += n
		case c < utf8.RuneSelf: // a control character
			return false, errString
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				return false, errString
			}
			i += n
		}
	}
}

// escape is the length of the escape sequence that s starts with; 0 if it is
// none. A surrogate counts only with its other half (RFC 7493 section 2.1).
func escape(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		u, ok := hex4(s[2:])
		switch {
		case !ok || 0xDC00 <= u && u <= 0xDFFF:
			return 0
		case u < 0xD800 || u > 0xDFFF:
			return 6
		}
		if len(s) < 8 || s[6] != '\\' || s[7] != 'u' {
			return 0
		}
		if low, ok := hex4(s[8:]); ok && 0xDC00 <= low && low <= 0xDFFF {
			return 12
		}
	}
	return 0
}

func hex4(s string) (u rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		u = u<<4 | rune(c)
	}
	return u, true
}

func (p *scanner) number() error {
	p.next('-')
	switch {
	case p.next('0'):
	case p.digits():
	default:
		return errNumber
	}
	if p.next('.') && !p.digits() {
		return errNumber
	}
	if p.next('e') || p.next('E') {
		if !p.next('+') {
			p.next('-')
		}
		if !p.digits() {
			return errNumber
		}
	}
	return nil
}

func (p *scanner) digits() bool {
	start := p.i
	for p.i < len(p.s) && '0' <= p.s[p.i] && p.s[p.i] <= '9' {
		p.i++
	}
	return p.i > start
}

func (p *scanner) literal(word string) error {
	if !strings.HasPrefix(p.s[p.i:], word) {
		return errSyntax
	}
	p.i += len(word)
	return nil
}

func (p *scanner) next(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *scanner) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}
