package jwtvalidate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ForwardClaim sends a claim on to the handlers behind, in a header of the request
// that only the Validator can set. What the client sent under that name is removed
// from every request, with or without a token, and so are all spellings that some
// server would take for the same: X_User, x.user and X-User are one. A Connection
// header cannot name it away, and no trailer bears its name.
//
// A text goes as it is, a number in the token's own digits, true and false as
// words, an array joined with commas, an object as JSON. A value that a header
// cannot hold without doubt is refused (403): control characters and anything
// beyond ASCII, spaces at an end, and in an array commas, null and nesting.
// Where such values are to be expected, such as names of people, use JSON.
type ForwardClaim struct {
	Claim  []string // path, as of the function Claim. Required
	Header string   // Required
	Repeat bool     // an array as one line for each of its elements
	JSON   bool     // any value as JSON, in one line of ASCII
	Empty  bool     // a missing or null claim as an empty header; else the header is absent
}

// forward is a ForwardClaim that was checked.
type forward struct {
	ForwardClaim
	path ClaimPath
	name string // of the rule that a refusal names
}

func newForwards(list []ForwardClaim, taken []headerSource) ([]forward, []error) {
	var errs []error
	forwards := make([]forward, len(list))
	for i, f := range list {
		bad := func(text string) { errs = append(errs, fmt.Errorf("Forward[%d].%s", i, text)) }
		if len(f.Claim) == 0 || slices.Contains(f.Claim, "") {
			bad("Claim: required, without empty names")
		}
		if f.Repeat && f.JSON {
			bad("Repeat, JSON: not together")
		}
		f.Claim = slices.Clone(f.Claim)
		forwards[i] = forward{f, ClaimPath{path: f.Claim}, "Forward " + f.Header}
		forwards[i].Header = textproto.CanonicalMIMEHeaderKey(f.Header)
		same := func(name string) bool { return sameField(name, f.Header) }
		switch {
		case !isToken(f.Header):
			bad("Header: required, a field name")
		case slices.ContainsFunc(notForClaims, same), slices.ContainsFunc(taken, func(h headerSource) bool { return same(h.name) }):
			bad(fmt.Sprintf("Header: means something to HTTP, to a proxy or in Sources; take another name than %q", f.Header))
		case slices.ContainsFunc(list[:i], func(other ForwardClaim) bool { return same(other.Header) }):
			bad("Header: is listed twice")
		}
	}
	return forwards, errs
}

// notForClaims are headers that mean something to HTTP itself or to a proxy.
var notForClaims = []string{
	authorization, "Proxy-Authenticate", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Expect", "Host", "Keep-Alive", "Origin",
	"Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "Forwarded", clientCert, clientCertChain,
}

// values are the lines of the header; none if it is to be absent.
func (f *forward) values(c *Claims) ([]string, error) {
	v, _ := f.path.value(c)
	if v == nil {
		if f.Empty {
			return []string{""}, nil
		}
		return nil, nil
	}
	list, isArray := v.([]any)
	if !isArray || f.JSON {
		text, ok := f.text(v)
		if !ok {
			return nil, f.refusal()
		}
		return []string{text}, nil
	}
	lines := make([]string, len(list))
	for i, element := range list {
		_, isObject := element.(map[string]any)
		_, isArray := element.([]any)
		text, ok := f.text(element)
		if !ok || isObject || isArray || element == nil || strings.Contains(text, ",") {
			return nil, f.refusal()
		}
		lines[i] = text
	}
	if f.Repeat {
		return lines, nil
	}
	return []string{strings.Join(lines, ",")}, nil
}

func (f *forward) refusal() error {
	return &denial{
		failure: forbidden, rule: f.name,
		cause: errors.New("jwtvalidate: the claim does not fit into the header"),
	}
}

// text is a value as it stands in a header, false if it cannot.
func (f *forward) text(v any) (string, bool) {
	if _, isObject := v.(map[string]any); !isObject && !f.JSON {
		switch v := v.(type) {
		case string:
			return v, isHeaderText(v)
		case json.Number:
			return v.String(), true
		case bool:
			return strconv.FormatBool(v), true
		}
	}
	return asciiJSON(v)
}

// isHeaderText reports whether a text arrives as it was sent (RFC 9110 section 5.5).
func isHeaderText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s == strings.Trim(s, " ")
}

// asciiJSON is a value as JSON, with everything beyond ASCII escaped.
func asciiJSON(v any) (string, bool) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return "", false
	}
	out := make([]byte, 0, text.Len())
	for _, c := range strings.TrimSuffix(text.String(), "\n") {
		switch {
		case c < utf8.RuneSelf && c != 0x7F:
			out = append(out, byte(c))
		case c > 0xFFFF:
			high, low := utf16.EncodeRune(c)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, c)
		}
	}
	return string(out), true
}
