package jose

import (
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// scanner checks JSON text in one pass and notes where the top-level members are.
type scanner struct {
	s      string
	i      int
	values int
	lim    Limits
	names  []string // names in the objects that are open, outermost first
	loose  bool     // names below the top level may repeat: the reader of each part decides
}

// object reads text into o, whose buffers it uses again.
func (p *scanner) object(o *Object, text string, lim Limits) error {
	if len(text) > lim.Bytes {
		return errTooLarge
	}
	o.text, o.members, o.odd = text, o.members[:0], nil
	*p = scanner{s: text, lim: lim, names: p.names[:0], loose: p.loose}
	p.space()
	if p.i >= len(p.s) || p.s[p.i] != '{' {
		return errNotObject
	}
	if err := p.members(1, o); err != nil {
		return err
	}
	p.space()
	if p.i != len(p.s) {
		return errTrailing
	}
	return nil
}

// members reads an object, and keeps its members where they are wanted: in o.
func (p *scanner) members(depth int, o *Object) error {
	if depth > p.lim.Depth {
		return errDepth
	}
	p.i++ // {
	p.space()
	if p.next('}') {
		return nil
	}
	names := nameSet{base: len(p.names)}
	for {
		start := p.i
		escaped, err := p.str()
		if err != nil {
			return err
		}
		m := member{name: int32(start + 1), nameEnd: int32(p.i - 1)}
		name := p.s[m.name:m.nameEnd]
		if escaped {
			name = unescape(p.s[start:p.i])
		}
		if o != nil || !p.loose {
			if err := p.unique(&names, name); err != nil {
				return err
			}
		}
		if o != nil && p.folds(name) {
			return errFolded
		}
		p.space()
		if !p.next(':') {
			return errSyntax
		}
		p.space()
		start = p.i
		if m.escaped, err = p.value(depth); err != nil {
			return err
		}
		if o != nil {
			if escaped {
				m.name = ^int32(len(o.odd))
				o.odd = append(o.odd, name)
			}
			m.at, m.end = int32(start), int32(p.i)
			if o.members == nil {
				o.members = make([]member, 0, 8)
			}
			o.members = append(o.members, m)
		}
		p.space()
		if p.next(',') {
			p.space()
			continue
		}
		if p.next('}') {
			p.names = p.names[:names.base]
			return nil
		}
		return errSyntax
	}
}

// nameSet are the names of one object: a few stand in scanner.names, many in a set of
// their own, so that a hostile object costs linear time.
type nameSet struct {
	base  int    // where they begin
	marks uint64 // a bit for each of the few; a name without its bit is new
	many  map[string]struct{}
}

// mark is a bit that differs for most names of an object.
func mark(name string) uint64 {
	if name == "" {
		return 1
	}
	return 1 << ((uint(len(name))*7 + uint(name[0])*3 + uint(name[len(name)-1])) % 64)
}

// unique notes a name and refuses a second one.
func (p *scanner) unique(names *nameSet, name string) error {
	const few = 24
	open := p.names[names.base:]
	if names.many == nil && len(open) < few {
		if bit := mark(name); names.marks&bit == 0 {
			names.marks |= bit
		} else if slices.Contains(open, name) {
			return errDuplicate
		}
		p.names = append(p.names, name)
		return nil
	}
	if names.many == nil {
		names.many = make(map[string]struct{}, 4*few)
		for _, other := range open {
			names.many[other] = struct{}{}
		}
	}
	if _, dup := names.many[name]; dup {
		return errDuplicate
	}
	names.many[name] = struct{}{}
	return nil
}

// folds reports whether a name equals a reserved one by case folding only. Names
// of lower-case ASCII, nearly all, are answered without a comparison, unless a
// reserved one has capitals ("x5t#S256").
func (p *scanner) folds(name string) bool {
	reserved := p.lim.Reserved.reserved
	if reserved == nil || !reserved.capital && !capital(name) || slices.Contains(reserved.names, name) {
		return false
	}
	return slices.ContainsFunc(reserved.names, func(r string) bool { return strings.EqualFold(name, r) })
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
		return false, p.members(depth+1, nil)
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

// space passes over white space, of which most tokens have none.
func (p *scanner) space() {
	if p.i < len(p.s) && p.s[p.i] <= ' ' {
		p.spaces()
	}
}

func (p *scanner) spaces() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}
