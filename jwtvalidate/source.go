package jwtvalidate

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// TokenSource is a place of a request where a token may stand. It names one
// place: a header, a cookie, a query parameter or a form field.
type TokenSource struct {
	// Header is the name of a header field, and Scheme the word before the token,
	// compared without case. An empty Scheme: the token stands there alone. The
	// same header may be named again, with another Scheme or none. The Scheme
	// DPoP takes only tokens with the cnf member jkt, and needs a Confirm of every
	// Issuer, which checks the proof (RFC 9449).
	Header, Scheme string

	// Cookie is the name of a cookie. Browsers send it on their own, also on
	// behalf of foreign pages: see Config.TrustedOrigins.
	Cookie string

	// InsecureQuery is the name of a query parameter. URLs end up in logs,
	// histories and the Referer of other sites (RFC 6750 section 5.3).
	InsecureQuery string

	// InsecureForm is the name of a field of application/x-www-form-urlencoded
	// bodies of POST, PUT and PATCH (RFC 6750 section 2.2). Such a body is read
	// before the decision, up to 1 MiB, and put back.
	InsecureForm string
}

// credential is a token as a request brought it.
type credential struct {
	token     string
	unchecked bool // of a header: whether it is token68 is asked only if it is no JWS
	ambient   bool // a cookie: whose page has sent it is not known
	dpop      bool // under the scheme DPoP
}

// sources are the places of a Validator, checked.
type sources struct {
	headers     []headerSource
	cookies     []string
	queries     []string
	forms       []string
	headerFirst bool
}

// headerSource is a header field and the schemes that are taken there.
type headerSource struct {
	name    string // canonical
	schemes []string
	alone   bool // a token without scheme
}

// isBearer reports whether it is the one place of RFC 6750 section 2.1.
func (s headerSource) isBearer() bool {
	return s.name == authorization && slices.ContainsFunc(s.schemes, func(scheme string) bool { return strings.EqualFold(scheme, "Bearer") })
}

const authorization = "Authorization"

var bearerOnly = sources{headers: []headerSource{{name: authorization, schemes: []string{"Bearer"}}}}

func newSources(list []TokenSource, headerFirst bool) (*sources, []error) {
	if len(list) == 0 && !headerFirst {
		return &bearerOnly, nil
	}
	var errs []error
	s := &sources{headerFirst: headerFirst}
	for i, place := range list {
		names := 0
		for _, name := range []string{place.Header, place.Cookie, place.InsecureQuery, place.InsecureForm} {
			if name != "" {
				names++
			}
		}
		var err error
		switch {
		case names != 1:
			err = errors.New("name one of Header, Cookie, InsecureQuery and InsecureForm")
		case place.Scheme != "" && (place.Header == "" || !isToken(place.Scheme)):
			err = errors.New("Scheme: one word, and only with a Header")
		case place.Header != "":
			err = s.addHeader(place.Header, place.Scheme)
		case place.Cookie != "":
			s.cookies, err = add(s.cookies, place.Cookie, isToken(place.Cookie))
		case place.InsecureQuery != "":
			s.queries, err = add(s.queries, place.InsecureQuery, true)
		default:
			s.forms, err = add(s.forms, place.InsecureForm, true)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("Sources[%d]: %w", i, err))
		}
	}
	if headerFirst && (len(s.headers) == 0 || !s.hides()) {
		errs = append(errs, errors.New("HeaderFirst: want a header and something else in Sources"))
	}
	return s, errs
}

// isTwin reports whether a header is another name for one of ours to some readers.
func (s *sources) isTwin(name string) bool {
	return slices.ContainsFunc(s.headers, func(h headerSource) bool { return name != h.name && sameField(name, h.name) })
}

// hides reports whether there are places whose tokens the handlers behind do not see.
func (s *sources) hides() bool { return len(s.cookies)+len(s.queries)+len(s.forms) > 0 }

func add(list []string, name string, valid bool) ([]string, error) {
	if !valid {
		return list, fmt.Errorf("%q is no name", name)
	}
	if slices.Contains(list, name) {
		return list, errors.New("is listed twice")
	}
	return append(list, name), nil
}

func (s *sources) addHeader(name, scheme string) error {
	if !isToken(name) || slices.ContainsFunc(notForTokens, func(other string) bool { return sameField(name, other) }) {
		return fmt.Errorf("Header: %q cannot hold a token", name)
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	if s.isTwin(name) {
		return fmt.Errorf("Header: %q is another spelling of one that is listed", name)
	}
	i := slices.IndexFunc(s.headers, func(h headerSource) bool { return h.name == name })
	if i < 0 {
		i = len(s.headers)
		s.headers = append(s.headers, headerSource{name: name})
	}
	h := &s.headers[i]
	if scheme == "" && h.alone || slices.ContainsFunc(h.schemes, func(other string) bool { return strings.EqualFold(other, scheme) }) {
		return errors.New("is listed twice")
	}
	if scheme == "" {
		h.alone = true
	} else {
		h.schemes = append(h.schemes, scheme)
	}
	return nil
}

// notForTokens are headers that net/http takes out of a request, or that have cookies.
var notForTokens = []string{"Connection", "Cookie", "Host", "Trailer", "Transfer-Encoding"}

const dpop = "DPoP"

func (s *sources) takesDPoP() bool {
	return slices.ContainsFunc(s.headers, func(h headerSource) bool {
		return slices.ContainsFunc(h.schemes, func(scheme string) bool { return strings.EqualFold(scheme, dpop) })
	})
}

// find takes the one credential of a request, wherever it stands. A second one in
// any of the places makes the request malformed, since it cannot be known which
// of them another reader of the request goes by.
func (s *sources) find(r *http.Request) (credential, error) {
	var found credential
	result := ErrNoToken
	last := !s.hides()
	for i := range s.headers {
		c, err := s.headers[i].find(r.Header)
		found, result = one(found, result, c, err)
		last = last || s.headerFirst && r.Header.Get(s.headers[i].name) != ""
	}
	if last {
		return found, result
	}
	for _, name := range s.cookies {
		values, _ := cutCookies(r.Header["Cookie"], name)
		token, err := oneValue(values)
		found, result = one(found, result, credential{token: token, ambient: true}, err)
	}
	for _, name := range s.queries {
		_, values := cutParameter(r.URL.RawQuery, name)
		token, err := oneValue(values)
		found, result = one(found, result, credential{token: token}, err)
	}
	if len(s.forms) > 0 {
		form, err := bufferForm(r)
		if err != nil {
			return credential{}, err
		}
		for _, name := range s.forms {
			_, values := cutParameter(form, name)
			if r.PostForm != nil && r.MultipartForm == nil { // somebody before us has read the body
				values = r.PostForm[name]
			}
			token, err := oneValue(values)
			found, result = one(found, result, credential{token: token}, err)
		}
	}
	return found, result
}

// isNoToken reports whether there is nothing to decide about. errors.Is would see
// into what a KeySource or a Confirm gave.
func isNoToken(err error) bool { return err == ErrNoToken } //nolint:errorlint // itself

// one goes on with what the next place holds: nothing, or the only credential.
func one(found credential, result error, next credential, err error) (credential, error) {
	switch {
	case isNoToken(err):
		return found, result
	case isNoToken(result):
		return next, err
	}
	return credential{}, ErrInvalidRequest
}

// oneValue is the token among the values of a place that must hold one.
func oneValue(values []string) (string, error) {
	switch {
	case len(values) > 1:
		return "", ErrInvalidRequest
	case len(values) == 0 || values[0] == "":
		return "", ErrNoToken
	}
	return checked(values[0])
}

// checked bounds a token's size and alphabet before anything is done with it.
func checked(token string) (string, error) {
	if len(token) > jose.MaxToken {
		return "", ErrMalformed
	}
	if !isToken68(token) {
		return "", ErrInvalidRequest
	}
	return token, nil
}

// find takes the one credential of a header (RFC 6750 section 2.1). Another scheme
// is no credential for us; a second line, a second credential in the line or
// anything but token68 behind the scheme is a malformed request.
func (s *headerSource) find(h http.Header) (credential, error) {
	lines := h[s.name]
	if len(lines) == 0 {
		return credential{}, ErrNoToken
	}
	if len(lines) > 1 {
		return credential{}, ErrInvalidRequest // RFC 9110 section 11.6.2: a singleton field
	}
	line := lines[0]
	if scheme := s.schemeOf(line); scheme != "" {
		token := strings.TrimLeft(line[len(scheme):], " ") // RFC 9110 section 11.4: 1*SP
		return credential{token: token, unchecked: true, dpop: strings.EqualFold(scheme, dpop)}, nil
	}
	if s.alone && line != "" && (s.name != authorization || !strings.Contains(line, " ")) {
		return credential{token: line, unchecked: true}, nil
	}
	for other := line; ; {
		_, rest, more := strings.Cut(other, ",")
		if !more {
			return credential{}, ErrNoToken
		}
		other = strings.TrimLeft(rest, " \t")
		if s.schemeOf(other) != "" {
			return credential{}, ErrInvalidRequest
		}
	}
}

// schemeOf is the scheme of ours that the line starts with, in any case, as a word
// of its own.
func (s *headerSource) schemeOf(line string) string {
	for _, scheme := range s.schemes {
		n := len(scheme)
		if len(line) >= n && strings.EqualFold(line[:n], scheme) && (len(line) == n || strings.IndexByte(" \t,", line[n]) >= 0) {
			return scheme
		}
	}
	return ""
}

// cutCookies takes the cookies of that name out of Cookie lines. Names and values
// are cut as net/http cuts them, and as few as possible are left to interpretation:
// none is skipped for its odd value.
func cutCookies(lines []string, name string) (values, rest []string) {
	for _, line := range lines {
		if !strings.Contains(line, name) {
			rest = append(rest, line)
			continue
		}
		var kept strings.Builder // no list: that of a line of semicolons would be 16 times as large
		some := false
		for part := range strings.SplitSeq(line, ";") {
			key, value, _ := strings.Cut(part, "=")
			if strings.Trim(key, " \t") != name {
				if some {
					kept.WriteByte(';')
				}
				kept.WriteString(part)
				some = true
				continue
			}
			if len(values) > 1 {
				continue // two are one too many
			}
			value = strings.Trim(value, " \t")
			if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' { // RFC 6265 section 4.1.1
				value = value[1 : n-1]
			}
			values = append(values, value)
		}
		if line = strings.Trim(kept.String(), " \t"); line != "" {
			rest = append(rest, line)
		}
	}
	return values, rest
}

// cutParameter takes the parameters of that name out of a query or form. Some
// readers separate at a semicolon too, which net/url refuses: what stands beside
// one is cut, and is no token.
func cutParameter(query, name string) (rest string, values []string) {
	var kept strings.Builder
	for query != "" {
		part, separator := query, ""
		if i := strings.IndexAny(query, "&;"); i >= 0 {
			part, separator = query[:i], query[i:i+1]
		}
		query = query[len(part)+len(separator):]
		key, value, _ := strings.Cut(part, "=")
		if unescaped, err := url.QueryUnescape(key); err != nil || unescaped != name {
			kept.WriteString(part + separator)
			continue
		}
		value, err := url.QueryUnescape(value)
		if err != nil || separator == ";" || strings.HasSuffix(kept.String(), ";") {
			value = ";" // no token68
		}
		values = append(values, value)
	}
	if rest = kept.String(); len(values) > 0 {
		rest = strings.TrimSuffix(rest, "&")
	}
	return rest, values
}

var token68 = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		t[c] = true
	}
	return t
}()

// isToken68 is the syntax of RFC 9110 section 11.2.
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !token68[s[i]] {
			return false
		}
	}
	return s != ""
}

// isToken is the syntax of names and schemes (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
