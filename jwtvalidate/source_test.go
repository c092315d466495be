package jwtvalidate_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// The places of these tests.
var (
	inBearer = jwtvalidate.TokenSource{Header: "Authorization", Scheme: "Bearer"}
	inDPoP   = jwtvalidate.TokenSource{Header: "Authorization", Scheme: "DPoP"}
	inPlain  = jwtvalidate.TokenSource{Header: "Authorization"}
	inScheme = jwtvalidate.TokenSource{Header: "X-Custom", Scheme: "Token"}
	inCustom = jwtvalidate.TokenSource{Header: "x-custom"}
	inCookie = jwtvalidate.TokenSource{Cookie: "session"}
	inQuery  = jwtvalidate.TokenSource{InsecureQuery: "access_token"}
	inForm   = jwtvalidate.TokenSource{InsecureForm: "access_token"}
)

// anybody is the rule that refuses nobody.
var anybody = jwtvalidate.Claim("iss").Exists()

func places(list ...jwtvalidate.TokenSource) []jwtvalidate.TokenSource { return list }

// verdict is one row of the table of answers.
type verdict struct {
	status    int
	challenge string
}

var (
	goesOn       = verdict{status: 204}
	noCredential = verdict{401, challengeNone}
	badRequest   = verdict{400, challengeRequest}
	badToken     = verdict{401, challengeToken}
	crossOrigin  = verdict{status: 403}
	cannotTell   = verdict{status: 503}
)

func (want verdict) require(t *testing.T, got answer) {
	t.Helper()
	switch want {
	case goesOn:
		require.Equal(t, want.status, got.status, "%v", got.header)
		require.Empty(t, got.header.Values("WWW-Authenticate"))
	case crossOrigin:
		require.Equal(t, want.status, got.status)
		require.Empty(t, got.body)
		require.Equal(t, "no-store", got.header.Get("Cache-Control"))
		require.Empty(t, got.header.Values("WWW-Authenticate"), "no other token would help")
		require.Empty(t, got.header.Values("Retry-After"))
	default:
		requireRefused(t, got, want.status, want.challenge)
	}
}

const formType = "Content-Type: application/x-www-form-urlencoded"

// wire makes a whole request of "METHOD target", header lines, and behind an empty
// line a body. GOOD is a good token, BAD an expired one, and LENGTH is that of the
// chunk access_token=GOOD.
func wire(text, token, expired string) string {
	head, body, hasBody := strings.Cut(strings.NewReplacer("GOOD", token, "BAD", expired, "LENGTH", fmt.Sprintf("%x", len("access_token="+token))).Replace(text), "\n\n")
	line, lines, _ := strings.Cut(head, "\n")
	if lines != "" {
		lines = "\n" + lines
	}
	if hasBody && !strings.Contains(lines, "Transfer-Encoding") && !strings.Contains(lines, "Content-Length") {
		lines += "\nContent-Length: " + strconv.Itoa(len(strings.ReplaceAll(body, "\n", "\r\n")))
	}
	return line + " HTTP/1.1\nHost: api.example.com\nConnection: close" + lines + "\n\n" + body
}

func expired(tb testing.TB) string {
	tb.Helper()
	return es256(tb, goodHeader, expiring("1700000000"))
}

// sight is what a handler behind, or OnError, sees of a request.
type sight struct {
	method, url, query, uri, body string
	length                        int64
	header                        http.Header
	form, postForm, multi         url.Values
	claims                        bool
	err                           error // of OnError
}

func look(r *http.Request) sight {
	body, err := io.ReadAll(r.Body)
	s := sight{method: r.Method, url: r.URL.String(), query: r.URL.RawQuery, uri: r.RequestURI, body: string(body), length: r.ContentLength, header: r.Header.Clone()}
	_, s.claims = jwtvalidate.FromContext(r.Context())
	copied := *r
	copied.Body = io.NopCloser(strings.NewReader(string(body)))
	if err != nil {
		copied.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(body)), failingReader{err}))
	}
	_ = copied.ParseMultipartForm(1 << 20)
	s.form, s.postForm = copied.Form, copied.PostForm
	if copied.MultipartForm != nil {
		s.multi = copied.MultipartForm.Value
	}
	return s
}

// holds reports whether a text is anywhere in what was seen.
func (s *sight) holds(text string) bool {
	return strings.Contains(fmt.Sprint(s.method, s.url, s.uri, s.body, s.header, s.form, s.postForm, s.multi), text)
}

// window is a gate that shows what the handler and OnError behind it see.
type window struct {
	*gate
	keys          *source
	seen, refused chan sight
}

// newWindow puts around the showing handler what wrap says; nil: Handler.
func newWindow(t *testing.T, cfg jwtvalidate.Config, wrap func(*jwtvalidate.Validator, http.Handler) http.Handler) *window {
	t.Helper()
	w := &window{keys: sourceOf(allKeys()...), seen: make(chan sight, 10), refused: make(chan sight, 10)}
	if cfg.Issuers == nil {
		cfg.Issuers = []jwtvalidate.Issuer{policy(w.keys)}
	}
	cfg.OnError = func(rw http.ResponseWriter, r *http.Request, err error) {
		s := look(r)
		s.err = err
		w.refused <- s
		jwtvalidate.WriteError(rw, r, err)
	}
	w.gate = &gate{Validator: validator(t, cfg)}
	if wrap == nil {
		wrap = (*jwtvalidate.Validator).Handler
	}
	w.server = httptest.NewServer(wrap(w.Validator, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.ran.Add(1)
		w.seen <- look(r)
		rw.WriteHeader(http.StatusNoContent)
	})))
	t.Cleanup(w.server.Close)
	return w
}

// last takes the one thing that was seen.
func last(t *testing.T, from chan sight) sight {
	t.Helper()
	require.Len(t, from, 1)
	return <-from
}

// askFor sends a request and holds the answer, and whether the handler ran, against want.
func (w *window) askFor(t *testing.T, want verdict, request string) {
	t.Helper()
	before := w.ran.Load()
	want.require(t, w.ask(t, request))
	ran := int64(0)
	if want == goesOn {
		ran = 1
	}
	require.Equal(t, ran, w.ran.Load()-before, "how often the handler ran")
}

// drain forgets what was seen.
func (w *window) drain() {
	for len(w.seen) > 0 {
		<-w.seen
	}
	for len(w.refused) > 0 {
		<-w.refused
	}
}

// One place at a time: what is a credential there, what is a malformed one, and
// what is none.
func TestOnePlace(t *testing.T) {
	const oneMiB = 1 << 20
	token, bad := good(t), expired(t)
	both := places(inScheme, inCustom)
	cookie, query, form := places(inCookie), places(inQuery), places(inForm)
	post := func(rest string) string { return "POST /orders\n" + formType + rest }
	filler := func(n int) string { return strings.Repeat("x", n-len("access_token=&f=")-len(token)) }
	chunk := func(text string) string { return fmt.Sprintf("%x\n%s\n0\n\n", len(text), text) }
	for _, row := range []struct {
		name    string
		sources []jwtvalidate.TokenSource
		request string
		want    verdict
	}{
		{"default: Bearer", nil, "GET /orders\nAuthorization: Bearer GOOD", goesOn},
		{"default: nothing else", nil, "POST /orders?access_token=GOOD\nX-Custom: Token GOOD\nCookie: session=GOOD\n" + formType + "\n\naccess_token=GOOD", noCredential},
		{"an empty list is the default", places(), "GET /orders\nAuthorization: Bearer GOOD", goesOn},

		{"header with scheme", places(inScheme), "GET /orders\nX-Custom: Token GOOD", goesOn},
		{"header with scheme, expired", places(inScheme), "GET /orders\nX-Custom: Token BAD", badToken},
		{"header with scheme, name in other case", places(inScheme), "GET /orders\nx-cUSTOM: Token GOOD", goesOn},
		{"header with scheme, in other case", places(inScheme), "GET /orders\nX-Custom: tOKEN GOOD", goesOn},
		{"header with scheme, two spaces", places(inScheme), "GET /orders\nX-Custom: Token  GOOD", goesOn},
		{"header with scheme, a tab", places(inScheme), "GET /orders\nX-Custom: Token\tGOOD", badRequest},
		{"header with scheme, which is missing", places(inScheme), "GET /orders\nX-Custom: GOOD", noCredential},
		{"header with scheme, another", places(inScheme), "GET /orders\nX-Custom: Bearer GOOD", noCredential},
		{"header with scheme, a longer one", places(inScheme), "GET /orders\nX-Custom: Tokens GOOD", noCredential},
		{"header with scheme, no token", places(inScheme), "GET /orders\nX-Custom: Token", badRequest},
		{"header with scheme, two tokens", places(inScheme), "GET /orders\nX-Custom: Token GOOD GOOD", badRequest},
		{"header with scheme, listed", places(inScheme), "GET /orders\nX-Custom: Token GOOD, Token GOOD", badRequest},
		{"header with scheme, behind another", places(inScheme), "GET /orders\nX-Custom: Basic x, Token GOOD", badRequest},
		{"header with scheme, empty", places(inScheme), "GET /orders\nX-Custom:", noCredential},
		{"header with scheme, two lines", places(inScheme), "GET /orders\nX-Custom: Token GOOD\nX-Custom: Token GOOD", badRequest},
		{"header with scheme, an empty line and it", places(inScheme), "GET /orders\nX-Custom:\nX-Custom: Token GOOD", badRequest},
		{"header with scheme, another header", places(inScheme), "GET /orders\nX_Custom: Token GOOD", noCredential},
		{"header with scheme, the token in Authorization", places(inScheme), "GET /orders\nAuthorization: Bearer GOOD", noCredential},
		{"header with scheme, another token in Authorization", places(inScheme), "GET /orders\nX-Custom: Token GOOD\nAuthorization: Bearer BAD", goesOn},
		{"header with scheme, in a trailer", places(inScheme), "POST /orders\nTransfer-Encoding: chunked\nTrailer: X-Custom\n\n1\nx\n0\nX-Custom: Token GOOD\n\n", noCredential},

		{"header alone", places(inCustom), "GET /orders\nX-Custom: GOOD", goesOn},
		{"header alone, expired", places(inCustom), "GET /orders\nX-Custom: BAD", badToken},
		{"header alone, spaces around", places(inCustom), "GET /orders\nX-Custom:  \t GOOD \t ", goesOn},
		{"header alone, with a scheme", places(inCustom), "GET /orders\nX-Custom: Token GOOD", badRequest},
		{"header alone, listed", places(inCustom), "GET /orders\nX-Custom: GOOD,GOOD", badRequest},
		{"header alone, quoted", places(inCustom), "GET /orders\nX-Custom: \"GOOD\"", badRequest},
		{"header alone, empty", places(inCustom), "GET /orders\nX-Custom:", noCredential},
		{"header alone, two lines", places(inCustom), "GET /orders\nX-Custom: GOOD\nX-Custom: BAD", badRequest},
		{"header alone, two lines in other case", places(inCustom), "GET /orders\nX-Custom: GOOD\nx-custom: GOOD", badRequest},
		{"header alone, too large", places(inCustom), "GET /orders\nX-Custom: " + strings.Repeat("a", 16<<10+1), badToken},
		{"header alone, the token in Authorization", places(inCustom), "GET /orders\nAuthorization: Bearer GOOD", noCredential},

		{"header with and without scheme: with", both, "GET /orders\nX-Custom: token GOOD", goesOn},
		{"header with and without scheme: without", both, "GET /orders\nX-Custom: GOOD", goesOn},
		{"header with and without scheme: the scheme alone", both, "GET /orders\nX-Custom: Token", badRequest},
		{"header with and without scheme: another scheme", both, "GET /orders\nX-Custom: Bearer GOOD", badRequest},
		{"header with and without scheme: both", both, "GET /orders\nX-Custom: GOOD, Token GOOD", badRequest},

		{"Authorization without scheme", places(inPlain), "GET /orders\nAuthorization: GOOD", goesOn},
		{"Authorization without scheme, expired", places(inPlain), "GET /orders\nAuthorization: BAD", badToken},
		{"Authorization without scheme, Bearer", places(inPlain), "GET /orders\nAuthorization: Bearer GOOD", noCredential},
		{"Authorization without scheme, Basic", places(inPlain), "GET /orders\nAuthorization: Basic eDp5", noCredential},
		{"Authorization without scheme, empty", places(inPlain), "GET /orders\nAuthorization:", noCredential},
		{"Authorization without scheme, two lines", places(inPlain), "GET /orders\nAuthorization: GOOD\nAuthorization: Basic eDp5", badRequest},
		{"Authorization both ways, without", places(inBearer, inPlain), "GET /orders\nAuthorization: GOOD", goesOn},
		{"Authorization both ways, with", places(inPlain, inBearer), "GET /orders\nAuthorization: bearer GOOD", goesOn},
		{"Authorization both ways, Basic", places(inPlain, inBearer), "GET /orders\nAuthorization: Basic eDp5", noCredential},
		{"Authorization both ways, listed", places(inPlain, inBearer), "GET /orders\nAuthorization: Basic eDp5, Bearer GOOD", badRequest},

		{"cookie", cookie, "GET /orders\nCookie: session=GOOD", goesOn},
		{"cookie among others", cookie, "GET /orders\nCookie: a=1; session=GOOD; b=2", goesOn},
		{"cookie without the space", cookie, "GET /orders\nCookie: a=1;session=GOOD;b=2", goesOn},
		{"cookie in the second line", cookie, "GET /orders\nCookie: a=1\nCookie: session=GOOD", goesOn},
		{"cookie, expired", cookie, "GET /orders\nCookie: session=BAD", badToken},
		{"cookie, garbage", cookie, "GET /orders\nCookie: session=x", badToken},
		{"cookie, odd characters", cookie, "GET /orders\nCookie: session=x!y", badRequest},
		{"cookie with a scheme", cookie, "GET /orders\nCookie: session=Bearer GOOD", badRequest},
		{"cookie percent-encoded", cookie, "GET /orders\nCookie: session=%2E", badRequest},
		{"cookie, empty", cookie, "GET /orders\nCookie: session=", noCredential},
		{"cookie, empty and quoted", cookie, "GET /orders\nCookie: session=\"\"", noCredential},
		{"cookie without =", cookie, "GET /orders\nCookie: session", noCredential},
		{"cookie, quoted", cookie, "GET /orders\nCookie: session=\"GOOD\"", goesOn},
		{"cookie, half quoted", cookie, "GET /orders\nCookie: session=\"GOOD", badRequest},
		{"cookie in the quotes of another", cookie, "GET /orders\nCookie: a=\"x; session=GOOD\"", badRequest},
		{"H6 cookie twice in a line", cookie, "GET /orders\nCookie: session=GOOD; session=GOOD", badRequest},
		{"H6 cookie twice, the first empty", cookie, "GET /orders\nCookie: session=; session=GOOD", badRequest},
		{"H6 cookie twice, the second without =", cookie, "GET /orders\nCookie: session=GOOD; session", badRequest},
		{"H6 cookie twice, in two lines", cookie, "GET /orders\nCookie: session=GOOD\nCookie: session=BAD", badRequest},
		{"H6 cookie twice, spaces around the name", cookie, "GET /orders\nCookie: session=GOOD; \t session =BAD", badRequest},
		{"cookie with spaces around name and value", cookie, "GET /orders\nCookie:  session = GOOD ;", goesOn},
		{"cookie, name in other case", cookie, "GET /orders\nCookie: Session=GOOD", noCredential},
		{"cookie, name in other case beside it", cookie, "GET /orders\nCookie: SESSION=BAD; session=GOOD", goesOn},
		{"cookie, longer name", cookie, "GET /orders\nCookie: xsession=GOOD; sessionx=GOOD; __Host-session=GOOD", noCredential},
		{"cookie, its name in a value", cookie, "GET /orders\nCookie: a=session=GOOD", noCredential},
		{"cookie, its name quoted", cookie, "GET /orders\nCookie: \"session\"=GOOD", noCredential},
		{"cookie by a comma", cookie, "GET /orders\nCookie: a=1, session=GOOD", noCredential},
		{"cookie, the token in Authorization", cookie, "GET /orders\nAuthorization: Bearer GOOD", noCredential},
		{"cookie, another token in Authorization", cookie, "GET /orders\nCookie: session=GOOD\nAuthorization: Bearer BAD", goesOn},
		{"cookie of Set-Cookie", cookie, "GET /orders\nSet-Cookie: session=GOOD", noCredential},

		{"query", query, "GET /orders?access_token=GOOD", goesOn},
		{"query among others", query, "GET /orders?a=1&access_token=GOOD&b=2", goesOn},
		{"query, expired", query, "GET /orders?access_token=BAD", badToken},
		{"query, any method", query, "DELETE /orders?access_token=GOOD", goesOn},
		{"query, an absolute target", query, "GET http://api.example.com/orders?access_token=GOOD", goesOn},
		{"query, empty", query, "GET /orders?access_token=", noCredential},
		{"query without =", query, "GET /orders?access_token", noCredential},
		{"query in the path", query, "GET /orders%3Faccess_token=GOOD", noCredential},
		{"H7 query twice", query, "GET /orders?access_token=GOOD&access_token=GOOD", badRequest},
		{"H7 query twice, the first empty", query, "GET /orders?access_token=&access_token=GOOD", badRequest},
		{"H7 query twice, an encoded name", query, "GET /orders?access_token=GOOD&access%5Ftoken=BAD", badRequest},
		{"H7 query as an array", query, "GET /orders?access_token[]=GOOD", noCredential},
		{"H7 query as an array, beside it", query, "GET /orders?access_token=GOOD&access_token%5B%5D=BAD", goesOn},
		{"query, an encoded name", query, "GET /orders?%61ccess_token=GOOD", goesOn},
		{"query, a name encoded twice", query, "GET /orders?%2561ccess_token=GOOD", noCredential},
		{"query, a name in other case", query, "GET /orders?Access_Token=GOOD", noCredential},
		{"query, a name with NUL", query, "GET /orders?access_token%00=GOOD", noCredential},
		{"query, bad encoding in the name", query, "GET /orders?access_token%=GOOD", noCredential},
		{"query, bad encoding in the value", query, "GET /orders?access_token=%zz", badRequest},
		{"query, an encoded value", query, "GET /orders?access_token=%2E%2E", badToken},
		{"query, a plus is a space", query, "GET /orders?access_token=a+b", badRequest},
		{"query, a fragment is none", query, "GET /orders?access_token=GOOD#x", badRequest},
		{"query behind a semicolon", query, "GET /orders?a=1;access_token=GOOD", badRequest},
		{"query before a semicolon", query, "GET /orders?access_token=GOOD;a=1", badRequest},
		{"query twice by a semicolon", query, "GET /orders?access_token=GOOD;access_token=GOOD", badRequest},
		{"query, a semicolon elsewhere", query, "GET /orders?a=1;b=2&access_token=GOOD", goesOn},
		{"query, an encoded semicolon", query, "GET /orders?a=1%3Baccess_token=BAD&access_token=GOOD", goesOn},
		{"query, the token in a form", query, post("\n\naccess_token=GOOD"), noCredential},

		{"form", form, post("\n\naccess_token=GOOD"), goesOn},
		{"form with charset", form, "POST /orders\n" + formType + "; charset=utf-8\n\na=1&access_token=GOOD", goesOn},
		{"form with odd parameters", form, "POST /orders\n" + formType + "; =\n\naccess_token=GOOD", goesOn},
		{"form, type in other case", form, "POST /orders\nContent-Type: Application/X-WWW-Form-URLencoded\n\naccess_token=GOOD", goesOn},
		{"form by PUT", form, "PUT /orders\n" + formType + "\n\naccess_token=GOOD", goesOn},
		{"form by PATCH", form, "PATCH /orders\n" + formType + "\n\naccess_token=GOOD", goesOn},
		{"form, expired", form, post("\n\naccess_token=BAD"), badToken},
		{"form, empty", form, post("\n\naccess_token="), noCredential},
		{"form without a body", form, post(""), noCredential},
		{"form of zero bytes", form, post("\n\n"), noCredential},
		{"form, chunked", form, post("\nTransfer-Encoding: chunked\n\n" + chunk("a=1&access_token="+token)), goesOn},
		{"form, chunked, expired", form, post("\nTransfer-Encoding: chunked\n\n" + chunk("access_token="+bad)), badToken},
		{"form, read failing", form, post("\nTransfer-Encoding: chunked\n\nzz\n"), badRequest},
		{"H7 form twice", form, post("\n\naccess_token=GOOD&access_token=GOOD"), badRequest},
		{"H7 form twice, an encoded name", form, post("\n\naccess_token=GOOD&%61ccess_token=BAD"), badRequest},
		{"H7 form by GET", form, "GET /orders\n" + formType + "\n\naccess_token=GOOD", noCredential},
		{"H7 form by DELETE", form, "DELETE /orders\n" + formType + "\n\naccess_token=GOOD", noCredential},
		{"H7 multipart", form, "POST /orders\nContent-Type: multipart/form-data; boundary=x\n\n--x\nContent-Disposition: form-data; name=\"access_token\"\n\nGOOD\n--x--\n", noCredential},
		{"form of another type", form, "POST /orders\nContent-Type: text/plain\n\naccess_token=GOOD", noCredential},
		{"form without a type", form, "POST /orders\n\naccess_token=GOOD", noCredential},
		{"form, JSON", form, "POST /orders\nContent-Type: application/json\n\n{\"access_token\":\"GOOD\"}", noCredential},
		{"form, compressed", form, post("\nContent-Encoding: gzip\n\n\x1f\x8b\x08"), noCredential},
		{"form by a semicolon", form, post("\n\na=1;access_token=GOOD"), badRequest},
		{"form of 1 MiB", form, post("\n\naccess_token=GOOD&f=" + filler(oneMiB)), goesOn},
		{"form of more than 1 MiB", form, post("\n\naccess_token=GOOD&f=" + filler(oneMiB+1)), badRequest},
		{"form, the token in the query", form, "POST /orders?access_token=GOOD\n" + formType + "\n\na=1", noCredential},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWindow(t, jwtvalidate.Config{Sources: row.sources}, nil)
			w.askFor(t, row.want, wire(row.request, token, bad))
			if calls := w.keys.calls.Load(); row.want != goesOn && row.want != badToken {
				require.Zero(t, calls, "keys were asked for")
			}
		})
	}
}

// A middleware before us has parsed the form, and so has read the body.
func TestFormWasParsedBefore(t *testing.T) {
	token, bad := good(t), expired(t)
	parse := func(r *http.Request) { _ = r.ParseForm() }
	parseAll := func(r *http.Request) { _ = r.ParseMultipartForm(1 << 20) }
	override := func(r *http.Request) { // a middleware for method overrides
		if method := r.FormValue("_method"); method != "" {
			r.Method = method
		}
	}
	const multipart = "POST /orders\nContent-Type: multipart/form-data; boundary=x\n\n--x\nContent-Disposition: form-data; name=\"access_token\"\n\nGOOD\n--x--\n"
	for _, row := range []struct {
		name    string
		sources []jwtvalidate.TokenSource
		before  func(*http.Request)
		request string
		want    verdict
	}{
		{"form", places(inForm), parse, "POST /orders?a=1\n" + formType + "\n\nb=2&access_token=GOOD", goesOn},
		{"form, expired", places(inForm), parse, "POST /orders?a=1\n" + formType + "\n\nb=2&access_token=BAD", badToken},
		{"form twice", places(inForm), parse, "POST /orders\n" + formType + "\n\naccess_token=GOOD&access_token=GOOD", badRequest},
		{"form beside a header", places(inForm, inBearer), parse, "POST /orders\nAuthorization: Bearer GOOD\n" + formType + "\n\naccess_token=BAD", badRequest},
		{"query", places(inQuery), parse, "GET /orders?a=1&b=2&access_token=GOOD", goesOn},
		{"query and form", places(inQuery, inForm), parse, "POST /orders?access_token=GOOD\n" + formType + "\n\naccess_token=GOOD", badRequest},
		{"form by GET", places(inForm), parse, "GET /orders\n" + formType + "\n\naccess_token=GOOD", noCredential},
		{"as multipart", places(inForm), parseAll, "POST /orders?a=1\n" + formType + "\n\nb=2&access_token=GOOD", goesOn},
		{"multipart", places(inForm), parseAll, multipart, noCredential},
		{"the method was overridden behind the token", places(inQuery), override, "POST /orders?a=1&b=2&access_token=GOOD\n" + formType + "\n\n_method=DELETE", goesOn},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWindow(t, jwtvalidate.Config{Sources: row.sources}, func(v *jwtvalidate.Validator, next http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					row.before(r)
					v.Handler(next).ServeHTTP(rw, r)
				})
			})
			w.askFor(t, row.want, wire(row.request, token, bad))
			if row.want == goesOn {
				s := last(t, w.seen)
				require.False(t, s.holds(token), "%+v", s)
				require.Equal(t, "1", s.form.Get("a"))
				require.Equal(t, "2", s.form.Get("b"))
			}
		})
	}
}

// site is a place in a whole request.
type site struct {
	name   string
	source jwtvalidate.TokenSource
	fill   func(value string) (query, line, body string)
}

var sites = []site{
	{"Bearer", inBearer, func(v string) (string, string, string) { return "", "Authorization: Bearer " + v, "" }},
	{"scheme", inScheme, func(v string) (string, string, string) { return "", "X-Custom: Token " + v, "" }},
	{"alone", jwtvalidate.TokenSource{Header: "X-Alone"}, func(v string) (string, string, string) { return "", "X-Alone: " + v, "" }},
	{"cookie", inCookie, func(v string) (string, string, string) { return "", "Cookie: session=" + v, "" }},
	{"other cookie", jwtvalidate.TokenSource{Cookie: "__Host-t"}, func(v string) (string, string, string) { return "", "Cookie: __Host-t=" + v, "" }},
	{"query", inQuery, func(v string) (string, string, string) { return "access_token=" + v, "", "" }},
	{"other query", jwtvalidate.TokenSource{InsecureQuery: "jwt"}, func(v string) (string, string, string) { return "jwt=" + v, "", "" }},
	{"form", inForm, func(v string) (string, string, string) { return "", "", "access_token=" + v }},
	{"other form", jwtvalidate.TokenSource{InsecureForm: "jwt"}, func(v string) (string, string, string) { return "", "", "jwt=" + v }},
}

// filled is a POST with these values in these places; an empty one is left out.
func filled(values map[int]string) string {
	var query, body []string
	lines := ""
	for i, s := range sites {
		if values[i] == "" {
			continue
		}
		q, l, b := s.fill(values[i])
		if q != "" {
			query = append(query, q)
		}
		if l != "" {
			lines += "\n" + l
		}
		if b != "" {
			body = append(body, b)
		}
	}
	return "POST /orders?" + strings.Join(query, "&") + "\n" + formType + lines + "\n\n" + strings.Join(body, "&")
}

// H5: a second credential in any enabled place makes the request malformed,
// whichever would be the good one.
func TestOneCredentialOnly(t *testing.T) {
	token, bad := good(t), expired(t)
	every := make([]jwtvalidate.TokenSource, len(sites))
	for i := range sites {
		every[i] = sites[i].source
	}
	backwards := slices.Clone(every)
	slices.Reverse(backwards)
	all, reversed := newWindow(t, jwtvalidate.Config{Sources: every}, nil), newWindow(t, jwtvalidate.Config{Sources: backwards}, nil)
	optional := newWindow(t, jwtvalidate.Config{Sources: every, Optional: true}, nil)
	for i, one := range sites {
		all.askFor(t, goesOn, wire(filled(map[int]string{i: "GOOD"}), token, bad))
		all.askFor(t, badToken, wire(filled(map[int]string{i: "BAD"}), token, bad))
		all.askFor(t, badRequest, wire(filled(map[int]string{i: "x!y"}), token, bad))
		all.drain()
		for j, other := range sites[:i] {
			t.Run(one.name+" and "+other.name, func(t *testing.T) {
				all.keys.calls.Store(0)
				for _, pair := range [][2]string{{"GOOD", "GOOD"}, {"GOOD", "BAD"}, {"BAD", "GOOD"}, {"GOOD", "x!y"}, {"x!y", "GOOD"}, {"x", "x!y"}} {
					request := wire(filled(map[int]string{i: pair[0], j: pair[1]}), token, bad)
					for _, w := range []*window{all, reversed, optional} {
						w.askFor(t, badRequest, request)
						w.drain()
					}
				}
				require.Zero(t, all.keys.calls.Load(), "keys were asked for")

				// Alone enabled, it is the only place that is looked at.
				w := newWindow(t, jwtvalidate.Config{Sources: places(one.source)}, nil)
				for _, value := range []string{"BAD", "x!y", "GOOD"} {
					w.askFor(t, goesOn, wire(filled(map[int]string{i: "GOOD", j: value}), token, bad))
					w.askFor(t, noCredential, wire(filled(map[int]string{j: value}), token, bad))
					w.drain()
				}
			})
		}
	}
	t.Run("three", func(t *testing.T) { // not "two make one, and a third is fine again"
		all.askFor(t, badRequest, wire(filled(map[int]string{0: "GOOD", 3: "GOOD", 5: "GOOD"}), token, bad))
		all.askFor(t, badRequest, wire(filled(map[int]string{0: "x!y", 1: "x!y", 2: "GOOD"}), token, bad))
		all.drain()
	})
	t.Run("empty places do not count", func(t *testing.T) {
		all.askFor(t, goesOn, wire("POST /orders?access_token=&jwt\nAuthorization: Bearer GOOD\nX-Custom:\nX-Alone:\nCookie: session=; __Host-t=\n"+formType+"\n\naccess_token=&jwt=", token, bad))
		all.askFor(t, goesOn, wire("POST /orders\nAuthorization: Basic eDp5\nX-Custom: Other x\nCookie: session=GOOD", token, bad))
		all.drain()
	})
}

// What net/http's own ParseForm reads is a place, whatever else the request says
// about its body: the handler behind goes by it.
func TestFormThatOnlyTheHandlerReads(t *testing.T) {
	token, bad := good(t), expired(t)
	for _, row := range []struct{ name, lines string }{
		{"twin", formType},
		{"Content-Encoding: identity", formType + "\nContent-Encoding: identity"},
		{"Content-Encoding: gzip, which it is not", formType + "\nContent-Encoding: gzip"},
		{"an empty Content-Encoding", formType + "\nContent-Encoding:"},
		{"a second Content-Type", formType + "\nContent-Type: text/plain"},
		{"the same Content-Type twice", formType + "\n" + formType},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWindow(t, jwtvalidate.Config{Sources: places(inBearer, inForm)}, nil)
			got := w.ask(t, wire("POST /orders\nAuthorization: Bearer GOOD\n"+row.lines+"\n\naccess_token=BAD", token, bad))
			if got.status == http.StatusNoContent {
				s := last(t, w.seen)
				require.Empty(t, s.postForm["access_token"], "a second token, and the handler's ParseForm finds it")
			}
			badRequest.require(t, got)
		})
	}
}

// Gateway interfaces fold marks in names (RFC 3875 section 4.1.18): to some backends
// X_Custom is X-Custom. It is a second credential, or it does not go on.
func TestFoldedPlaces(t *testing.T) {
	token, bad := good(t), expired(t)
	for _, name := range []string{"X_Custom", "x_custom", "X.Custom"} {
		for _, onward := range []string{"", "forward", "strip"} {
			w := newWindow(t, jwtvalidate.Config{Sources: places(inScheme, inCookie), Onward: onward}, nil)
			for _, place := range []string{"X-Custom: Token GOOD", "Cookie: session=GOOD"} {
				got := w.ask(t, wire("GET /orders\n"+place+"\n"+name+": Token BAD", token, bad))
				if got.status == http.StatusNoContent {
					s := last(t, w.seen)
					require.False(t, s.holds(bad), "%s %q: an unchecked token goes on: %v", name, onward, s.header)
					continue
				}
				badRequest.require(t, got)
			}
		}
	}
}

func TestHeaderFirst(t *testing.T) {
	token, bad := good(t), expired(t)
	with := func(sources ...jwtvalidate.TokenSource) jwtvalidate.Config {
		return jwtvalidate.Config{Sources: sources, HeaderFirst: true}
	}
	every := with(inForm, inCookie, inBearer, inQuery, inScheme)
	const other = "Cookie: session=BAD"
	for _, row := range []struct {
		name    string
		cfg     jwtvalidate.Config
		request string
		want    verdict
	}{
		{"good header, bad cookie", every, "GET /orders\nAuthorization: Bearer GOOD\n" + other, goesOn},
		{"good header, cookie twice", every, "GET /orders\nAuthorization: Bearer GOOD\nCookie: session=x; session=y", goesOn},
		{"good header, everything else", every, "POST /orders?access_token=BAD\nAuthorization: Bearer GOOD\n" + other, goesOn},
		{"good header, cookie from a foreign page", every, "POST /orders\nOrigin: https://evil.example\nAuthorization: Bearer GOOD\nCookie: session=GOOD", goesOn},
		{"bad header, good cookie", every, "GET /orders\nAuthorization: Bearer BAD\nCookie: session=GOOD", badToken},
		{"malformed header, good cookie", every, "GET /orders\nAuthorization: Bearer\nCookie: session=GOOD", badRequest},
		{"Basic, good cookie", every, "GET /orders\nAuthorization: Basic eDp5\nCookie: session=GOOD", noCredential},
		{"Basic, good query", every, "GET /orders?access_token=GOOD\nAuthorization: Basic eDp5", noCredential},
		{"another scheme in the other header, good cookie", every, "GET /orders\nX-Custom: Basic eDp5\nCookie: session=GOOD", noCredential},
		{"another scheme in one header, good in the other", every, "GET /orders\nX-Custom: Basic eDp5\nAuthorization: Bearer GOOD\n" + other, goesOn},
		{"an empty header, good cookie", every, "GET /orders\nAuthorization:\nCookie: session=GOOD", goesOn},
		{"an empty header, bad cookie", every, "GET /orders\nAuthorization:\n" + other, badToken},
		{"two empty lines, good cookie", every, "GET /orders\nAuthorization:\nAuthorization:\nCookie: session=GOOD", badRequest},
		{"an empty line and a good one, good cookie", every, "GET /orders\nAuthorization:\nAuthorization: Bearer GOOD\nCookie: session=GOOD", badRequest},
		{"a header that is no place, good cookie", with(inScheme, inCookie), "GET /orders\nAuthorization: Bearer BAD\nCookie: session=GOOD", goesOn},
		{"no header, good cookie", every, "GET /orders\nCookie: session=GOOD", goesOn},
		{"no header, good query", every, "GET /orders?access_token=GOOD", goesOn},
		{"no header, good form", every, "POST /orders\n" + formType + "\n\naccess_token=GOOD", goesOn},
		{"H5 no header, cookie and query", every, "GET /orders?access_token=GOOD\nCookie: session=GOOD", badRequest},
		{"H5 no header, cookie and form", every, "POST /orders\nCookie: session=GOOD\n" + formType + "\n\naccess_token=BAD", badRequest},
		{"H5 two headers", every, "GET /orders\nAuthorization: Bearer GOOD\nX-Custom: Token GOOD", badRequest},
		{"nothing", every, "GET /orders", noCredential},
		{"no header, a foreign page's cookie", every, "POST /orders\nOrigin: https://evil.example\nCookie: session=GOOD", crossOrigin},
		{"an empty header, a foreign page's cookie", every, "POST /orders\nOrigin: https://evil.example\nAuthorization:\nCookie: session=GOOD", crossOrigin},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWindow(t, row.cfg, nil)
			w.askFor(t, row.want, wire(row.request, token, bad))
			seen := w.refused
			if row.want == goesOn {
				seen = w.seen
			}
			s := last(t, seen)
			require.Empty(t, s.header["Cookie"])
			require.NotContains(t, s.url+s.uri, "access_token")
			require.NotContains(t, fmt.Sprint(s.form, s.postForm, s.body), "access_token")
		})
	}
	t.Run("what is not looked at is removed too", func(t *testing.T) {
		w := newWindow(t, every, nil)
		w.askFor(t, goesOn, wire("POST /orders?a=1&access_token=BAD\nAuthorization: Bearer GOOD\nCookie: b=2; session=BAD\n"+formType+"\n\nc=3", token, bad))
		s := last(t, w.seen)
		require.Equal(t, "/orders?a=1", s.uri)
		require.Equal(t, []string{"b=2"}, s.header["Cookie"])
		require.Equal(t, "c=3", s.body)

		w.askFor(t, goesOn, wire("POST /orders\nAuthorization: Bearer GOOD\n"+formType+"\n\nc=3&access_token=BAD", token, bad))
		require.Equal(t, "c=3", last(t, w.seen).body)
	})
}

// H17: a browser sends a cookie on its own, whatever page has made the request.
func TestCrossOrigin(t *testing.T) {
	token, bad := good(t), expired(t)
	const (
		evil    = "Origin: https://evil.example\n"
		own     = "Origin: https://api.example.com\n"
		app     = "Origin: https://app.example.com\n"
		ws      = "Upgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\n"
		cookie  = "Cookie: session=GOOD"
		site    = "Sec-Fetch-Site: "
		another = "https://other.example.com"
	)
	trusted := []string{another, "https://app.example.com"}
	for _, row := range []struct {
		name, request string
		trusted       []string
		insecure      bool
		want          verdict
	}{
		{"POST by evil", "POST /orders\n" + evil + cookie, nil, false, crossOrigin},
		{"PUT by evil", "PUT /orders\n" + evil + cookie, nil, false, crossOrigin},
		{"PATCH by evil", "PATCH /orders\n" + evil + cookie, nil, false, crossOrigin},
		{"DELETE by evil", "DELETE /orders\n" + evil + cookie, nil, false, crossOrigin},
		{"an unknown method by evil", "BREW /orders\n" + evil + cookie, nil, false, crossOrigin},
		{"a method in lower case by evil", "get /orders\n" + evil + cookie, nil, false, crossOrigin},
		{"TRACE by evil", "TRACE /orders\n" + evil + cookie, nil, false, crossOrigin},
		{"GET by evil only reads", "GET /orders\n" + evil + cookie, nil, false, goesOn},
		{"HEAD by evil only reads", "HEAD /orders\n" + evil + cookie, nil, false, goesOn},
		{"OPTIONS by evil", "OPTIONS /orders\n" + evil + cookie, nil, false, goesOn},
		{"GET by evil with a method override is a GET to us", "GET /orders\n" + evil + "X-HTTP-Method-Override: DELETE\n" + cookie, nil, false, goesOn},
		{"POST by evil with a method override", "POST /orders\n" + evil + "X-HTTP-Method-Override: GET\n" + cookie, nil, false, crossOrigin},

		{"POST, cross-site", "POST /orders\n" + site + "cross-site\n" + cookie, nil, false, crossOrigin},
		{"POST, same-site", "POST /orders\n" + site + "same-site\n" + cookie, nil, false, crossOrigin},
		{"POST, same-origin", "POST /orders\n" + site + "same-origin\n" + cookie, nil, false, goesOn},
		{"POST, none: the user himself", "POST /orders\n" + site + "none\n" + cookie, nil, false, goesOn},
		{"POST, an unknown word", "POST /orders\n" + site + "Same-Origin\n" + cookie, nil, false, crossOrigin},
		{"POST, cross-site with our Origin", "POST /orders\n" + site + "cross-site\n" + own + cookie, nil, false, crossOrigin},
		{"POST, same-origin, with another Origin", "POST /orders\n" + site + "same-origin\n" + evil + cookie, nil, false, goesOn},
		{"GET, cross-site", "GET /orders\n" + site + "cross-site\n" + cookie, nil, false, goesOn},
		{"POST, Origin null", "POST /orders\nOrigin: null\n" + cookie, nil, false, crossOrigin},
		{"POST, our Origin", "POST /orders\n" + own + cookie, nil, false, goesOn},
		{"POST, our Origin with a port", "POST /orders\nOrigin: https://api.example.com:8443\n" + cookie, nil, false, crossOrigin},
		{"POST, a name that ends alike", "POST /orders\nOrigin: https://evilapi.example.com\n" + cookie, nil, false, crossOrigin},
		{"POST, our name as the user of evil", "POST /orders\nOrigin: https://api.example.com@evil.example\n" + cookie, nil, false, crossOrigin},
		{"POST, no Origin at all: no browser", "POST /orders\n" + cookie, nil, false, goesOn},
		{"POST, only a foreign Referer", "POST /orders\nReferer: https://evil.example/\n" + cookie, nil, false, goesOn},

		{"WebSocket by evil", "GET /orders\n" + evil + ws + cookie, nil, false, crossOrigin},
		{"WebSocket, cross-site", "GET /orders\n" + site + "cross-site\n" + ws + cookie, nil, false, crossOrigin},
		{"WebSocket, same-site", "GET /orders\n" + site + "same-site\n" + own + ws + cookie, nil, false, crossOrigin},
		{"WebSocket, Origin null", "GET /orders\nOrigin: null\n" + ws + cookie, nil, false, crossOrigin},
		{"WebSocket of our own", "GET /orders\n" + own + ws + cookie, nil, false, goesOn},
		{"WebSocket, same-origin", "GET /orders\n" + site + "same-origin\n" + own + ws + cookie, nil, false, goesOn},
		{"WebSocket by no browser", "GET /orders\n" + ws + cookie, nil, false, goesOn},
		{"another Upgrade by evil", "GET /orders\n" + evil + "Upgrade: x\n" + cookie, nil, false, crossOrigin},
		{"an empty Upgrade by evil", "GET /orders\n" + evil + "Upgrade:\n" + cookie, nil, false, crossOrigin},
		{"two Upgrades by evil", "GET /orders\n" + evil + "Upgrade:\nUpgrade: websocket\n" + cookie, nil, false, crossOrigin},
		{"WebSocket by HEAD", "HEAD /orders\n" + evil + ws + cookie, nil, false, crossOrigin},
		{"WebSocket by a trusted page", "GET /orders\n" + app + ws + cookie, trusted, false, goesOn},

		{"POST by a trusted page", "POST /orders\n" + app + cookie, trusted, false, goesOn},
		{"POST by a trusted page, cross-site", "POST /orders\n" + site + "cross-site\n" + app + cookie, trusted, false, goesOn},
		{"POST, cross-site, no Origin", "POST /orders\n" + site + "cross-site\n" + cookie, trusted, false, crossOrigin},
		{"POST by evil, others are trusted", "POST /orders\n" + evil + cookie, trusted, false, crossOrigin},
		{"POST by a trusted page on another port", "POST /orders\nOrigin: https://app.example.com:8443\n" + cookie, trusted, false, crossOrigin},
		{"POST by a trusted page by another scheme", "POST /orders\nOrigin: http://app.example.com\n" + cookie, trusted, false, crossOrigin},
		{"POST by a page below a trusted one", "POST /orders\nOrigin: https://x.app.example.com\n" + cookie, trusted, false, crossOrigin},
		{"POST by a trusted page and evil", "POST /orders\n" + evil + app + cookie, trusted, false, crossOrigin},

		{"insecure: POST by evil", "POST /orders\n" + evil + cookie, nil, true, goesOn},
		{"insecure: WebSocket by evil", "GET /orders\n" + evil + ws + cookie, nil, true, goesOn},
		{"insecure: an expired token is one", "POST /orders\n" + evil + "Cookie: session=BAD", nil, true, badToken},

		{"an expired token: the page is told first", "POST /orders\n" + evil + "Cookie: session=BAD", nil, false, crossOrigin},
		{"an expired token of our own", "POST /orders\n" + own + "Cookie: session=BAD", nil, false, badToken},
		{"a malformed cookie", "POST /orders\n" + evil + "Cookie: session=x!y", nil, false, badRequest},
		{"no cookie", "POST /orders\n" + evil + "Cookie: a=1", nil, false, noCredential},
		{"two credentials", "POST /orders\n" + evil + "Authorization: Bearer GOOD\n" + cookie, nil, false, badRequest},
	} {
		for _, optional := range []bool{false, true} {
			name := row.name
			if optional {
				name += ", optional"
			}
			t.Run(name, func(t *testing.T) {
				want := row.want
				if optional && want == noCredential {
					want = goesOn
				}
				w := newWindow(t, jwtvalidate.Config{
					Sources: places(inBearer, inCookie, inQuery), TrustedOrigins: row.trusted, InsecureCrossOrigin: row.insecure, Optional: optional,
				}, nil)
				request := wire(row.request, token, bad)
				w.askFor(t, want, request)
				if want == crossOrigin {
					s := last(t, w.refused)
					require.ErrorIs(t, s.err, jwtvalidate.ErrForbidden)
					require.NotErrorIs(t, s.err, jwtvalidate.ErrInvalidToken)
					require.NotErrorIs(t, s.err, jwtvalidate.ErrInsufficientScope)
					require.Equal(t, jwtvalidate.ReasonCrossOrigin, jwtvalidate.ReasonOf(s.err))
					require.Zero(t, w.keys.calls.Load(), "keys were asked for")
					require.False(t, s.holds(token))

					r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
					require.NoError(t, err)
					c, err := w.Check(r)
					require.Nil(t, c)
					require.ErrorIs(t, err, jwtvalidate.ErrForbidden)
					require.Equal(t, jwtvalidate.ReasonCrossOrigin, jwtvalidate.ReasonOf(err))

					// A page cannot set this header, and needs no browser's help for a query.
					inHeader := strings.Replace(row.request, cookie, "Authorization: Bearer GOOD", 1)
					w.askFor(t, goesOn, wire(strings.Replace(inHeader, "Cookie: session=BAD", "Authorization: Bearer GOOD", 1), token, bad))
				}
			})
		}
	}

	t.Run("Require alone", func(t *testing.T) {
		w := newWindow(t, jwtvalidate.Config{Sources: places(inCookie)}, func(v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return v.Require(anybody)(next)
		})
		w.askFor(t, crossOrigin, wire("DELETE /orders\n"+evil+cookie, token, bad))
		w.askFor(t, crossOrigin, wire("GET /orders\n"+evil+ws+cookie, token, bad))
		w.askFor(t, goesOn, wire("DELETE /orders\n"+own+cookie, token, bad))
	})
	t.Run("it is told to Observe", func(t *testing.T) {
		var events []jwtvalidate.Event
		v := validator(t, jwtvalidate.Config{
			Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Sources: places(inCookie), Optional: true,
			Observe: func(_ context.Context, e jwtvalidate.Event) { events = append(events, e) },
		})
		r := httptest.NewRequest(http.MethodPost, "/orders", http.NoBody)
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Cookie", "session="+token)
		crossOrigin.require(t, record(v.Handler(okay), r))
		require.Len(t, events, 1)
		require.Equal(t, "refused", events[0].Kind)
		require.Equal(t, jwtvalidate.ReasonCrossOrigin, events[0].Reason)
		require.Nil(t, events[0].Claims)
	})
	t.Run("without a cookie source it is nobody's business", func(t *testing.T) {
		w := newWindow(t, jwtvalidate.Config{}, nil)
		w.askFor(t, goesOn, wire("POST /orders\n"+evil+site+"cross-site\n"+ws+"Authorization: Bearer GOOD", token, bad))
	})
}

// The token is cut out byte by byte, and nothing else is touched.
func TestWhatHandlersSee(t *testing.T) {
	token, bad := good(t), expired(t)
	every := places(inBearer, inCookie, inQuery, inForm)
	post := func(lines string) string { return "POST /orders?q=%7e\n" + formType + lines }
	for _, row := range []struct {
		name, request string
		uri           string
		cookies       []string
		body          string
	}{
		{"nothing of ours", "GET /orders?a=%7E&a=1&;&=&%zz&b\nAuthorization: Bearer GOOD\nCookie: a=1;b=\"2\" ; c", "/orders?a=%7E&a=1&;&=&%zz&b", []string{"a=1;b=\"2\" ; c"}, ""},
		{"query: alone", "GET /orders?access_token=GOOD", "/orders", nil, ""},
		{"query: first", "GET /orders?access_token=GOOD&a=1&b=%7e", "/orders?a=1&b=%7e", nil, ""},
		{"query: in the middle", "GET /orders?a=+&access_token=GOOD&b=%20", "/orders?a=+&b=%20", nil, ""},
		{"query: last", "GET /orders?b=2&a=1&access_token=GOOD", "/orders?b=2&a=1", nil, ""},
		{"query: odd neighbours", "GET /orders?&&a&=x&access_token=GOOD&%zz&c;d", "/orders?&&a&=x&%zz&c;d", nil, ""},
		{"query: an encoded name", "GET /orders?a=1&%61%63cess_token=GOOD&b=2", "/orders?a=1&b=2", nil, ""},
		{"query: encoded path", "GET /a%2Fb/%3F/c?access_token=GOOD", "/a%2Fb/%3F/c", nil, ""},
		{"query: a question mark in a value", "GET /orders?a=?&access_token=GOOD", "/orders?a=?", nil, ""},
		{"query: an absolute target", "GET http://api.example.com/orders?access_token=GOOD&a=1", "http://api.example.com/orders?a=1", nil, ""},
		{"query: an empty one beside a header", "GET /orders?access_token=&a=1\nAuthorization: Bearer GOOD", "/orders?a=1", nil, ""},
		{"query: as an array", "GET /orders?access_token[]=x&access_token=GOOD", "/orders?access_token[]=x", nil, ""},

		{"cookie: alone", "GET /orders\nCookie: session=GOOD", "/orders", nil, ""},
		{"cookie: first", "GET /orders\nCookie: session=GOOD; a=1; b=2", "/orders", []string{"a=1; b=2"}, ""},
		{"cookie: in the middle", "GET /orders\nCookie: a=\"1\"; session=GOOD; b=x=y", "/orders", []string{"a=\"1\"; b=x=y"}, ""},
		{"cookie: last", "GET /orders\nCookie: a=1;b;c=; session=GOOD", "/orders", []string{"a=1;b;c="}, ""},
		{"cookie: lines", "GET /orders\nCookie: a=1\nCookie: session=GOOD\nCookie: b=2", "/orders", []string{"a=1", "b=2"}, ""},
		{"cookie: odd neighbours", "GET /orders\nCookie: ;a b;Session=x;session=GOOD;;xsession=y", "/orders", []string{";a b;Session=x;;xsession=y"}, ""},
		{"cookie: an empty one beside a header", "GET /orders\nAuthorization: Bearer GOOD\nCookie: a=1; session=", "/orders", []string{"a=1"}, ""},

		{"form: alone", post("\n\naccess_token=GOOD"), "/orders?q=%7e", nil, ""},
		{"form: in the middle", post("\n\na=+%7e&access_token=GOOD&b=%20"), "/orders?q=%7e", nil, "a=+%7e&b=%20"},
		{"form: last", post("\n\na=1&a=2&access_token=GOOD"), "/orders?q=%7e", nil, "a=1&a=2"},
		{"form: odd neighbours", post("\n\n&=&%zz&c;d&access_token=GOOD&\xff\x00"), "/orders?q=%7e", nil, "&=&%zz&c;d&\xff\x00"},
		{"form: chunked", post("\nTransfer-Encoding: chunked\n\n4\na=1&\nLENGTH\naccess_token=GOOD\n4\n&b=2\n0\n\n"), "/orders?q=%7e", nil, "a=1&b=2"},
		{"form: chunked, with a trailer", post("\nTransfer-Encoding: chunked\nTrailer: X-Sum\n\n4\na=1&\nLENGTH\naccess_token=GOOD\n4\n&b=2\n0\nX-Sum: 1\n\n"), "/orders?q=%7e", nil, "a=1&b=2"},
		{"form: the token in the header", post("\nAuthorization: Bearer GOOD\n\na=1&b=%zz"), "/orders?q=%7e", nil, "a=1&b=%zz"},
		{"form: an empty one beside a header", post("\nAuthorization: Bearer GOOD\n\na=1&access_token=&b=%zz"), "/orders?q=%7e", nil, "a=1&b=%zz"},
		{"another body is not touched", "PUT /orders\nAuthorization: Bearer GOOD\nContent-Type: text/plain\n\na=1&access_token=x", "/orders", nil, "a=1&access_token=x"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, headerFirst := range []bool{false, true} {
				w := newWindow(t, jwtvalidate.Config{Sources: every, HeaderFirst: headerFirst}, nil)
				if headerFirst && strings.Contains(row.name, "form: an empty one") {
					continue // see TestHeaderFirst
				}
				request := wire(row.request, token, bad)
				w.askFor(t, goesOn, request)
				s := last(t, w.seen)
				require.Equal(t, row.uri, s.uri)
				sent, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(request, "\n", "\r\n"))))
				require.NoError(t, err)
				_, query, _ := strings.Cut(row.uri, "?")
				require.Equal(t, query, s.query)
				require.Equal(t, row.uri, s.url)
				require.Equal(t, row.cookies, s.header["Cookie"])
				require.Equal(t, row.body, s.body)
				require.NotContains(t, s.form, "access_token")
				require.NotContains(t, s.postForm, "access_token")
				s.header.Del("Authorization") // where it stays
				require.False(t, s.holds(token), "%+v", s)
				if sent.ContentLength >= 0 {
					require.EqualValues(t, len(row.body), s.length)
				}
				if sent.Header.Get("Content-Length") != "" {
					require.Equal(t, []string{strconv.Itoa(len(row.body))}, s.header["Content-Length"])
				}
				for name, lines := range sent.Header {
					if name != "Cookie" && name != "Authorization" && name != "Content-Length" && name != "Trailer" {
						require.Equal(t, lines, s.header[name], name)
					}
				}

				// OnError sees no more than the handler would have.
				w.askFor(t, badToken, wire(row.request, bad, bad))
				s = last(t, w.refused)
				require.Equal(t, row.uri, s.uri)
				require.Equal(t, row.cookies, s.header["Cookie"])
				require.Equal(t, row.body, s.body)
				s.header.Del("Authorization")
				require.False(t, s.holds(bad), "%+v", s)
			}
		})
	}
}

// OnError sees no token of a malformed request either, nor an anonymous handler.
func TestWhatRefusersSee(t *testing.T) {
	token, bad := good(t), expired(t)
	for _, request := range []string{
		"GET /orders?access_token=GOOD&a=1&access_token=GOOD\nCookie: b=2; session=GOOD; session=GOOD",
		"GET /orders?access_token=GOOD;a=1\nCookie: b=2; session=\"GOOD",
		"GET /orders?a=1;access_token=GOOD\nCookie: session =GOOD;b=2",
		"POST /orders?a=1&access_token=GOOD\nCookie: b=2\n" + formType + "\n\naccess_token=GOOD;c=3&access_token=GOOD",
		"POST /orders?access_token=GOOD&a=1\nAuthorization: Bearer\nCookie: b=2\n" + formType + "\n\nc=3&access_token=GOOD",
	} {
		w := newWindow(t, jwtvalidate.Config{Sources: places(inBearer, inCookie, inQuery, inForm), Optional: true}, nil)
		w.askFor(t, badRequest, wire(request, token, bad))
		s := last(t, w.refused)
		require.ErrorIs(t, s.err, jwtvalidate.ErrInvalidRequest)
		require.False(t, s.holds(token), "%+v", s)
		require.Contains(t, s.uri, "a=1")
		require.Equal(t, []string{"b=2"}, s.header["Cookie"])
	}
	for _, first := range []bool{false, true} {
		w := newWindow(t, jwtvalidate.Config{Sources: places(inBearer, inCookie, inQuery, inForm), Optional: true, HeaderFirst: first}, nil)
		w.askFor(t, goesOn, wire("POST /orders?a=1&access_token=\nAuthorization: Basic eDp5\nCookie: session=; b=2\n"+formType+"\n\nc=3", token, bad))
		s := last(t, w.seen)
		require.Equal(t, "/orders?a=1", s.uri)
		require.Equal(t, []string{"b=2"}, s.header["Cookie"])
		require.Equal(t, []string{"Basic eDp5"}, s.header["Authorization"])
		require.Equal(t, "c=3", s.body)
	}
	// Not looked at, and all the same not shown.
	w := newWindow(t, jwtvalidate.Config{Sources: places(inBearer, inCookie, inQuery), Optional: true, HeaderFirst: true}, nil)
	w.askFor(t, goesOn, wire("GET /orders?a=1&access_token=GOOD\nAuthorization: Basic eDp5\nCookie: session=GOOD", token, bad))
	s := last(t, w.seen)
	require.False(t, s.claims)
	require.False(t, s.holds(token), "%+v", s)
}

// The caller's own request stays as it was: its headers, URL and parsed forms.
func TestCallersRequestStays(t *testing.T) {
	token := good(t)
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Sources: places(inScheme, inCookie, inQuery, inForm), Onward: "forward",
		Forward: []jwtvalidate.ForwardClaim{{Claim: []string{"sub"}, Header: "X-User"}},
	})
	newRequest := func(target, body string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		r.Header.Set("X-User", "mallory")
		return r
	}
	for name, r := range map[string]*http.Request{
		"header": newRequest("/orders?a=1", "b=2"),
		"cookie": newRequest("/orders?a=1", "b=2"),
		"query":  newRequest("/orders?a=1&access_token="+token, "b=2"),
		"form":   newRequest("/orders?a=1", "b=2&access_token="+token),
		"parsed": newRequest("/orders?a=1", "b=2&access_token="+token),
	} {
		t.Run(name, func(t *testing.T) {
			switch name {
			case "header":
				r.Header.Set("X-Custom", "Token "+token)
			case "cookie":
				r.Header["Cookie"] = []string{"a=1; session=" + token}
			case "parsed":
				require.NoError(t, r.ParseForm())
			}
			cookies := r.Header["Cookie"]
			before := *r
			header, target, form, postForm := r.Header.Clone(), *r.URL, maps.Clone(r.Form), maps.Clone(r.PostForm)
			var seen sight
			v.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = look(r) })).ServeHTTP(nil, r)
			require.True(t, seen.claims)
			require.Equal(t, []string{"Bearer " + token}, seen.header["Authorization"])
			require.Equal(t, []string{"c4n4ry-sub"}, seen.header["X-User"])
			seen.header.Del("Authorization")
			require.False(t, seen.holds(token), "%+v", seen)

			require.Equal(t, header, r.Header)
			require.Equal(t, cookies, r.Header["Cookie"])
			require.Same(t, before.URL, r.URL)
			require.Equal(t, target, *r.URL)
			require.Equal(t, form, r.Form)
			require.Equal(t, postForm, r.PostForm)
			require.Equal(t, before.RequestURI, r.RequestURI)
			require.Equal(t, before.Method, r.Method)
			require.Equal(t, before.ContentLength, r.ContentLength)
		})
	}
}

// Check reads a form and puts it back, as often as it is asked, and so do handlers
// that are nested.
func TestFormIsPutBack(t *testing.T) {
	token := good(t)
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Sources: places(inForm)})
	newRequest := func(body io.Reader) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/orders", body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r
	}
	text := "a=1&access_token=" + token + "&b=2"
	r := newRequest(strings.NewReader(text))
	for range 2 {
		c, err := v.Check(r)
		require.NoError(t, err)
		require.NotNil(t, c)
	}
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, text, string(body))
	require.NoError(t, r.Body.Close())
	require.EqualValues(t, len(text), r.ContentLength)

	t.Run("the body is closed", func(t *testing.T) {
		closed := &closing{Reader: strings.NewReader(text)}
		r := newRequest(closed)
		v.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.Body.Close() != nil || !closed.closed {
				t.Error("still open")
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		require.True(t, closed.closed)
	})
	t.Run("one that is too large, or fails, is as it was", func(t *testing.T) {
		errRead := errors.New("connection lost")
		for name, row := range map[string]struct {
			reader io.Reader
			err    error
		}{
			"too large":    {strings.NewReader(text + strings.Repeat("&", 1<<20)), nil},
			"failing":      {io.MultiReader(strings.NewReader(text), failingReader{errRead}), errRead},
			"failing once": {io.MultiReader(strings.NewReader(text), &failingOnce{err: errRead}), errRead},
		} {
			r := newRequest(row.reader)
			_, err := v.Check(r)
			require.ErrorIs(t, err, jwtvalidate.ErrInvalidRequest, name)
			body, err := io.ReadAll(r.Body)
			require.ErrorIs(t, err, row.err, name)
			require.True(t, strings.HasPrefix(string(body), text), name)
			if row.err == nil {
				require.Len(t, body, len(text)+1<<20)
			}
		}
	})
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

// failingOnce is at its end after an error, as the bodies of net/http are.
type failingOnce struct{ err error }

func (f *failingOnce) Read([]byte) (int, error) {
	err := f.err
	f.err = io.EOF
	return 0, err
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// Optional lets in who shows nothing, and nobody else.
func TestOptionalPlaces(t *testing.T) {
	token, bad := good(t), expired(t)
	every := make([]jwtvalidate.TokenSource, len(sites))
	for i := range sites {
		every[i] = sites[i].source
	}
	for i, s := range sites {
		for _, list := range [][]jwtvalidate.TokenSource{places(s.source), every} {
			w := newWindow(t, jwtvalidate.Config{Sources: list, Optional: true}, nil)
			for _, row := range []struct {
				value  string
				want   verdict
				claims bool
			}{{"", goesOn, false}, {"GOOD", goesOn, true}, {"BAD", badToken, false}, {"x!y", badRequest, false}} {
				w.askFor(t, row.want, wire(filled(map[int]string{i: row.value}), token, bad))
				if row.want == goesOn {
					require.Equal(t, row.claims, last(t, w.seen).claims, s.name)
				}
			}
		}
	}
	down := newWindow(t, jwtvalidate.Config{Sources: every, Optional: true, Issuers: []jwtvalidate.Issuer{policy(failing(errDown))}}, nil)
	for i := range sites {
		down.askFor(t, goesOn, wire(filled(nil), token, bad))
		down.askFor(t, cannotTell, wire(filled(map[int]string{i: "GOOD"}), token, bad))
		down.drain()
	}
}

// What of the token goes on.
func TestOnward(t *testing.T) {
	token, bad := good(t), expired(t)
	every := places(inBearer, inScheme, inCookie, inQuery, inForm)
	type mode struct {
		name    string
		onward  string
		replace func(context.Context, *jwtvalidate.Claims) (string, error)
	}
	modes := []mode{{name: ""}, {name: "forward", onward: "forward"}, {name: "strip", onward: "strip"}, {name: "replace", replace: func(_ context.Context, c *jwtvalidate.Claims) (string, error) {
		return "onward." + c.Subject(), nil
	}}}
	bearer := "Bearer " + token
	for _, row := range []struct {
		name, request string
		plain         [2]string // Authorization and X-Custom, where the token stays as it came
		strip         [2]string
	}{
		{"Authorization", "GET /orders\nAuthorization: bearer  GOOD", [2]string{"bearer  " + token}, [2]string{}},
		{"custom", "GET /orders\nX-Custom: token GOOD", [2]string{"", "token " + token}, [2]string{}},
		{"custom beside Basic", "GET /orders\nX-Custom: Token GOOD\nAuthorization: Basic eDp5", [2]string{"Basic eDp5", "Token " + token}, [2]string{"Basic eDp5"}},
		{"cookie", "GET /orders\nCookie: session=GOOD", [2]string{}, [2]string{}},
		{"cookie beside Basic and another", "GET /orders\nCookie: session=GOOD\nAuthorization: Basic eDp5\nX-Custom: Other x", [2]string{"Basic eDp5", "Other x"}, [2]string{"Basic eDp5", "Other x"}},
		{"query", "GET /orders?access_token=GOOD", [2]string{}, [2]string{}},
		{"form", "POST /orders\n" + formType + "\n\naccess_token=GOOD", [2]string{}, [2]string{}},
	} {
		for _, m := range modes {
			t.Run(row.name+", "+m.name, func(t *testing.T) {
				w := newWindow(t, jwtvalidate.Config{Sources: every, Onward: m.onward, OnwardToken: m.replace}, nil)
				w.askFor(t, goesOn, wire(row.request, token, bad))
				s := last(t, w.seen)
				want := row.plain
				switch m.name {
				case "forward":
					want = [2]string{bearer, row.strip[1]}
				case "strip":
					want = row.strip
				case "replace":
					want = [2]string{"Bearer onward.c4n4ry-sub", row.strip[1]}
				}
				require.Equal(t, want, [2]string{s.header.Get("Authorization"), s.header.Get("X-Custom")})
				require.LessOrEqual(t, len(s.header["Authorization"]), 1)
				s.header.Del("Authorization")
				s.header.Del("X-Custom")
				require.False(t, s.holds(token), "%+v", s)

				w.askFor(t, badToken, wire(row.request, bad, bad))
				require.NotContains(t, last(t, w.refused).header.Get("Authorization"), "onward")
			})
		}
	}

	t.Run("other lines of Authorization do not survive", func(t *testing.T) { // where it is no place
		for _, m := range modes[1:] {
			if m.name == "strip" {
				continue
			}
			w := newWindow(t, jwtvalidate.Config{Sources: places(inCookie), Onward: m.onward, OnwardToken: m.replace}, nil)
			w.askFor(t, goesOn, wire("GET /orders\nAuthorization: Bearer BAD\nAuthorization: Bearer BAD\nCookie: session=GOOD", token, bad))
			s := last(t, w.seen)
			require.Len(t, s.header["Authorization"], 1)
			require.False(t, s.holds(bad), "%+v", s)
		}
	})
	t.Run("who is anonymous brings no token", func(t *testing.T) {
		for _, m := range modes[1:] {
			if m.name == "strip" {
				continue
			}
			w := newWindow(t, jwtvalidate.Config{Sources: places(inCookie), Optional: true, Onward: m.onward, OnwardToken: m.replace}, nil)
			w.askFor(t, goesOn, wire("GET /orders\nAuthorization: Bearer onward.root", token, bad))
			s := last(t, w.seen)
			require.False(t, s.claims)
			require.Empty(t, s.header["Authorization"])
		}
	})
	t.Run("a client cannot have it removed on the way", func(t *testing.T) { // H9
		var got atomic.Value
		backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got.Store(strings.Join(r.Header["Authorization"], "|"))
		}))
		defer backend.Close()
		target, err := url.Parse(backend.URL)
		require.NoError(t, err)
		for _, m := range []mode{modes[1], modes[3]} {
			w := newWindow(t, jwtvalidate.Config{Sources: places(inCookie), Onward: m.onward, OnwardToken: m.replace}, func(v *jwtvalidate.Validator, _ http.Handler) http.Handler {
				return v.Handler(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }})
			})
			for _, connection := range []string{"", "Connection: X-Other\n", "Connection: close, Authorization\n"} {
				got.Store("")
				require.Equal(t, http.StatusOK, w.ask(t, wire("GET /orders\n"+connection+"Cookie: session=GOOD", token, bad)).status)
				require.NotEmpty(t, got.Load(), "%s %q", m.name, connection)
			}
		}
	})
}

func TestOnwardToken(t *testing.T) {
	token, bad := good(t), expired(t)
	errExchange := errors.New("exchange c4n4ry")
	type key struct{}
	var asked atomic.Int64
	var give atomic.Pointer[func() (string, error)]
	cfg := jwtvalidate.Config{
		Sources: places(inBearer, inCookie), Optional: true,
		OnwardToken: func(ctx context.Context, c *jwtvalidate.Claims) (string, error) {
			asked.Add(1)
			if ctx.Value(key{}) != "kept" || c.Subject() != "c4n4ry-sub" {
				return "", errors.New("not the request's")
			}
			return (*give.Load())()
		},
	}
	w := newWindow(t, cfg, func(v *jwtvalidate.Validator, next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			v.Handler(next).ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), key{}, "kept")))
		})
	})
	for _, row := range []struct {
		name  string
		token string
		err   error
		after string // Retry-After; empty: it passes
	}{
		{"a token", "a.b-c_d~e+f/g==", nil, ""},
		{"an error", "", errExchange, "5"},
		{"an error beside a token", "x", errExchange, "5"},
		{"an error with a hint", "", slow(9e9), "9"},
		{"an error that looks like no token", "", jwtvalidate.ErrNoToken, "5"},
		{"an error that looks like a bad token", "", jwtvalidate.ErrExpired, "5"},
		{"an error that looks like a denial", "", jwtvalidate.ErrForbidden, "5"},
		{"empty", "", nil, "5"},
		{"with a space", "a b", nil, "5"},
		{"with a scheme", "Bearer x", nil, "5"},
		{"with CR LF", "a\r\nX-User: root", nil, "5"},
		{"with a comma", "a,b", nil, "5"},
		{"only =", "==", nil, "5"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := func() (string, error) { return row.token, row.err }
			give.Store(&f)
			asked.Store(0)
			for _, line := range []string{"Authorization: Bearer GOOD", "Cookie: session=GOOD"} {
				got := w.ask(t, wire("GET /orders\n"+line, token, bad))
				if row.after == "" {
					goesOn.require(t, got)
					s := last(t, w.seen)
					require.Equal(t, []string{"Bearer " + row.token}, s.header["Authorization"])
					require.False(t, s.holds(token))
					continue
				}
				cannotTell.require(t, got)
				require.Equal(t, row.after, got.header.Get("Retry-After"))
				require.Empty(t, w.seen)
				s := last(t, w.refused)
				require.ErrorIs(t, s.err, jwtvalidate.ErrUnavailable)
				require.Equal(t, jwtvalidate.ReasonUnavailable, jwtvalidate.ReasonOf(s.err))
				require.NotErrorIs(t, s.err, errDown)
				if row.err != nil {
					require.ErrorIs(t, s.err, row.err)
				}
			}
			require.EqualValues(t, 2, asked.Load())
		})
	}
	t.Run("only for requests with claims", func(t *testing.T) {
		asked.Store(0)
		w.askFor(t, goesOn, wire("GET /orders", token, bad))
		w.askFor(t, goesOn, wire("GET /orders\nAuthorization: Basic eDp5", token, bad))
		w.askFor(t, badToken, wire("GET /orders\nCookie: session=BAD", token, bad))
		w.askFor(t, badRequest, wire("GET /orders\nCookie: session=GOOD\nAuthorization: Bearer GOOD", token, bad))
		w.askFor(t, crossOrigin, wire("POST /orders\nOrigin: null\nCookie: session=GOOD", token, bad))
		w.drain()
		require.Zero(t, asked.Load())
	})
	t.Run("Check and CheckToken ask for none", func(t *testing.T) {
		asked.Store(0)
		_, err := w.Check(request("Bearer " + token))
		require.NoError(t, err)
		_, err = w.CheckToken(t.Context(), token)
		require.NoError(t, err)
		require.Zero(t, asked.Load())
	})
	t.Run("a rule that refuses comes first", func(t *testing.T) {
		asked.Store(0)
		cfg := cfg
		cfg.Rules = []jwtvalidate.Rule{jwtvalidate.AllScopes("none")}
		w := newWindow(t, cfg, nil)
		require.Equal(t, http.StatusForbidden, w.ask(t, wire("GET /orders\nAuthorization: Bearer GOOD", token, bad)).status)
		require.Zero(t, asked.Load())
	})
}

// R9: under DPoP only a token with a jkt is taken, and only Confirm knows of proofs.
func TestDPoP(t *testing.T) {
	const jkt = `"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"`
	certificate, sum := clientCertificate(t, ecKey())
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	require.NoError(t, err)
	thumbprint := base64.RawURLEncoding.EncodeToString(sum[:])
	tokens := map[string]string{
		"unbound": good(t), "expired": expired(t), "jkt": bound(t, `{`+jkt+`}`), "x5t": bound(t, `{"x5t#S256":"`+thumbprint+`"}`),
		"both": bound(t, `{"x5t#S256":"`+thumbprint+`",`+jkt+`}`), "empty jkt": bound(t, `{"jkt":""}`), "odd jkt": bound(t, `{"jkt":["x"]}`),
		"null": bound(t, `null`), "text": bound(t, `"jkt"`), "case": bound(t, `{"JKT":"x"}`), "empty": bound(t, `{}`),
	}
	var asked atomic.Int64
	errProof := errors.New("no proof")
	p := policy(sourceOf(allKeys()...))
	p.Confirm = func(r *http.Request, c *jwtvalidate.Claims) error {
		asked.Add(1)
		cnf, _ := c.Get("cnf")
		if r.Header.Get("DPoP") != "proof" || cnf.(map[string]any)["jkt"] == nil {
			return errProof
		}
		return nil
	}
	sources := places(inDPoP, inBearer, jwtvalidate.TokenSource{Header: "X-Custom", Scheme: "dpop"}, inCookie)
	w := newWindow(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}, Sources: sources}, nil)
	for _, row := range []struct {
		name, token, lines string
		want               verdict
		asked              int64
	}{
		{"bound, with a proof", "jkt", "Authorization: DPoP GOOD\nDPoP: proof", goesOn, 1},
		{"bound, scheme in other case", "jkt", "Authorization: dPOP GOOD\nDPoP: proof", goesOn, 1},
		{"bound, in another header", "jkt", "X-Custom: DPoP GOOD\nDPoP: proof", goesOn, 1},
		{"bound, without a proof", "jkt", "Authorization: DPoP GOOD", badToken, 1},
		{"bound to both", "both", "Authorization: DPoP GOOD\nDPoP: proof", goesOn, 1},
		{"R9 unbound", "unbound", "Authorization: DPoP GOOD\nDPoP: proof", badToken, 0},
		{"R9 unbound, in another header", "unbound", "X-Custom: DPoP GOOD\nDPoP: proof", badToken, 0},
		{"R9 bound to a certificate", "x5t", "Authorization: DPoP GOOD\nDPoP: proof", badToken, 0},
		{"R9 an empty jkt", "empty jkt", "Authorization: DPoP GOOD\nDPoP: proof", badToken, 0},
		{"R9 an odd jkt", "odd jkt", "Authorization: DPoP GOOD\nDPoP: proof", badToken, 0},
		{"R9 JKT", "case", "Authorization: DPoP GOOD\nDPoP: proof", badToken, 0},
		{"R9 cnf null", "null", "Authorization: DPoP GOOD\nDPoP: proof", badToken, 0},
		{"R9 cnf a text", "text", "Authorization: DPoP GOOD\nDPoP: proof", badToken, 0},
		{"R9 cnf empty", "empty", "Authorization: DPoP GOOD\nDPoP: proof", badToken, 0},
		{"R9 bound, as Bearer, without a proof", "jkt", "Authorization: Bearer GOOD", badToken, 1},
		{"R9 bound, in a cookie, without a proof", "jkt", "Cookie: session=GOOD", badToken, 1},
		{"unbound, as Bearer", "unbound", "Authorization: Bearer GOOD", goesOn, 0},
		{"expired", "expired", "Authorization: DPoP GOOD\nDPoP: proof", badToken, 0},
		{"H2 DPoP and Bearer in a line", "jkt", "Authorization: DPoP GOOD, Bearer GOOD\nDPoP: proof", badRequest, 0},
		{"H2 Bearer and DPoP in a line", "jkt", "Authorization: Bearer GOOD, DPoP GOOD\nDPoP: proof", badRequest, 0},
		{"H2 Basic, then DPoP", "jkt", "Authorization: Basic x, DPoP GOOD\nDPoP: proof", badRequest, 0},
		{"H1 DPoP and Bearer in two lines", "jkt", "Authorization: DPoP GOOD\nAuthorization: Bearer GOOD\nDPoP: proof", badRequest, 0},
		{"DPoP alone", "jkt", "Authorization: DPoP\nDPoP: proof", badRequest, 0},
		{"a proof alone", "jkt", "DPoP: proof", noCredential, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			asked.Store(0)
			w.askFor(t, row.want, wire("GET /orders\n"+row.lines, tokens[row.token], ""))
			require.Equal(t, row.asked, asked.Load(), "questions to Confirm")
			w.drain()
		})
	}
	t.Run("a certificate proves nothing under DPoP", func(t *testing.T) {
		r := request("DPoP " + tokens["x5t"])
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
		_, err := w.Check(r)
		require.ErrorIs(t, err, jwtvalidate.ErrConfirmation)
	})
}

// Everything that is contradictory is told at once, by the name of its field.
func TestSourcesConfig(t *testing.T) {
	type (
		config = jwtvalidate.Config
		place  = jwtvalidate.TokenSource
	)
	onward := func(context.Context, *jwtvalidate.Claims) (string, error) { return "x", nil }
	confirm := func(*http.Request, *jwtvalidate.Claims) error { return nil }
	confirmed := policy(sourceOf())
	confirmed.Confirm = confirm
	second := confirmed
	second.URL, second.Confirm = "https://other.example.com/", nil
	origins := func(list ...string) config { return config{Sources: places(inCookie), TrustedOrigins: list} }
	for _, row := range []struct {
		name  string
		cfg   config
		wants []string // each is a part of the error; none: there is none
	}{
		{"every place", config{Sources: places(inBearer, inPlain, inScheme, inCustom, inCookie, inQuery, inForm)}, nil},
		{"one field of every kind", config{Sources: places(place{Header: "a"}, place{Cookie: "a"}, place{InsecureQuery: "a"}, place{InsecureForm: "a"})}, nil},
		{"no place", config{Sources: places(inBearer, place{})}, []string{"Sources[1]: name one"}},
		{"only a scheme", config{Sources: places(place{Scheme: "Bearer"})}, []string{"Sources[0]: name one"}},
		{"header and cookie in one", config{Sources: places(place{Header: "a", Cookie: "b"})}, []string{"Sources[0]: name one"}},
		{"query and form in one", config{Sources: places(place{InsecureQuery: "a", InsecureForm: "a"})}, []string{"Sources[0]: name one"}},
		{"a scheme for a cookie", config{Sources: places(place{Cookie: "a", Scheme: "Bearer"})}, []string{"Sources[0]: Scheme"}},
		{"a scheme of two words", config{Sources: places(place{Header: "a", Scheme: "Bearer x"})}, []string{"Sources[0]: Scheme"}},
		{"a scheme with its space", config{Sources: places(place{Header: "a", Scheme: "Bearer "})}, []string{"Sources[0]: Scheme"}},
		{"a header with a space", config{Sources: places(place{Header: "X Custom"})}, []string{"Sources[0]: Header"}},
		{"a header with a colon", config{Sources: places(place{Header: "X-Custom:"})}, []string{"Sources[0]: Header"}},
		{"a header with CR LF", config{Sources: places(place{Header: "X\r\nY"})}, []string{"Sources[0]: Header"}},
		{"a header beyond ASCII", config{Sources: places(place{Header: "X-\u00e4"})}, []string{"Sources[0]: Header"}},
		{"the header Cookie", config{Sources: places(place{Header: "cOOKIE"})}, []string{"Sources[0]: Header"}},
		{"a header twice", config{Sources: places(inCustom, place{Header: "X-CUSTOM"})}, []string{"Sources[1]: is listed twice"}},
		{"a scheme twice", config{Sources: places(inBearer, place{Header: "authorization", Scheme: "bEARER"})}, []string{"Sources[1]: is listed twice"}},
		{"two schemes", config{Sources: places(inBearer, place{Header: "authorization", Scheme: "JWT"})}, nil},
		{"a cookie twice", config{Sources: places(inCookie, inBearer, inCookie)}, []string{"Sources[2]: is listed twice"}},
		{"two cookies by case", config{Sources: places(inCookie, place{Cookie: "Session"})}, nil},
		{"a cookie with a space", config{Sources: places(place{Cookie: "a b"})}, []string{`Sources[0]: "a b"`}},
		{"a cookie with =", config{Sources: places(place{Cookie: "a=b"})}, []string{`Sources[0]: "a=b"`}},
		{"a cookie with a semicolon", config{Sources: places(place{Cookie: "a;b"})}, []string{`Sources[0]: "a;b"`}},
		{"a query twice", config{Sources: places(inQuery, inQuery)}, []string{"Sources[1]: is listed twice"}},
		{"a form twice", config{Sources: places(inForm, inForm)}, []string{"Sources[1]: is listed twice"}},
		{"query and form of one name", config{Sources: places(inForm, inQuery)}, nil},

		{"header first", config{Sources: places(inCookie, inBearer), HeaderFirst: true}, nil},
		{"header first, with nothing else", config{Sources: places(inBearer, inScheme), HeaderFirst: true}, []string{"HeaderFirst"}},
		{"header first, of the default", config{HeaderFirst: true}, []string{"HeaderFirst"}},
		{"header first, without one", config{Sources: places(inCookie, inQuery), HeaderFirst: true}, []string{"HeaderFirst"}},

		{"origins", origins("https://app.example.com", "http://localhost:3000"), nil},
		{"origin without a scheme", origins("https://a.example", "app.example.com"), []string{"TrustedOrigins[1]"}},
		{"origin with a slash", origins("https://app.example.com/"), []string{"TrustedOrigins[0]"}},
		{"origin with a query", origins("https://app.example.com?x"), []string{"TrustedOrigins[0]"}},
		{"origin empty", origins(""), []string{"TrustedOrigins[0]"}},
		{"origin null", origins("null"), []string{"TrustedOrigins[0]"}},
		{"origin star", origins("*"), []string{"TrustedOrigins[0]"}},
		{"all bad origins", origins("*", "https://app.example.com", "null"), []string{"TrustedOrigins[0]", "TrustedOrigins[2]"}},
		{"origins without a cookie", config{TrustedOrigins: []string{"https://app.example.com"}}, []string{"TrustedOrigins"}},
		{"origins without a cookie, but a query", config{Sources: places(inQuery), TrustedOrigins: []string{"https://app.example.com"}}, []string{"TrustedOrigins"}},
		{"insecure", config{Sources: places(inCookie), InsecureCrossOrigin: true}, nil},
		{"insecure without a cookie", config{InsecureCrossOrigin: true}, []string{"InsecureCrossOrigin"}},
		{"insecure beside origins", config{Sources: places(inCookie), InsecureCrossOrigin: true, TrustedOrigins: []string{"https://a.example"}}, []string{"TrustedOrigins", "InsecureCrossOrigin"}},

		{"forward", config{Onward: "forward"}, nil},
		{"strip", config{Onward: "strip"}, nil},
		{"a token of our own", config{OnwardToken: onward}, nil},
		{"an unknown word", config{Onward: "Strip"}, []string{"Onward"}},
		{"strip and a token", config{Onward: "strip", OnwardToken: onward}, []string{"Onward", "OnwardToken"}},
		{"forward and a token", config{Onward: "forward", OnwardToken: onward}, []string{"Onward", "OnwardToken"}},

		{"DPoP", config{Sources: places(inDPoP), Issuers: []jwtvalidate.Issuer{confirmed}}, nil},
		{"DPoP without Confirm", config{Sources: places(inDPoP)}, []string{"DPoP", "Confirm"}},
		{"dpop without Confirm", config{Sources: places(inBearer, place{Header: "X", Scheme: "dpop"})}, []string{"DPoP", "Confirm"}},
		{"DPoP without the other Confirm", config{Sources: places(inDPoP), Issuers: []jwtvalidate.Issuer{confirmed, second}}, []string{"DPoP", "Confirm"}},

		{"all at once", config{
			Sources:     places(place{}, place{Header: "Cookie"}, place{Cookie: "a b"}, inQuery, inQuery, inDPoP),
			HeaderFirst: true, TrustedOrigins: []string{"*"}, InsecureCrossOrigin: true, Onward: "x", Leeway: -5,
		}, []string{"Sources[0]", "Sources[1]", "Sources[2]", "Sources[4]", "DPoP", "TrustedOrigins", "InsecureCrossOrigin", "Onward", "Leeway"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.cfg.Issuers == nil {
				row.cfg.Issuers = []jwtvalidate.Issuer{policy(sourceOf())}
			}
			v, err := jwtvalidate.New(row.cfg)
			if len(row.wants) == 0 {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			require.Nil(t, v)
			for _, line := range strings.Split(err.Error(), "\n") {
				require.True(t, strings.HasPrefix(line, "jwtvalidate: "), line)
			}
			for _, want := range row.wants {
				require.ErrorContains(t, err, want)
			}
		})
	}
	t.Run("the lists are copied", func(t *testing.T) {
		list, trusted := places(inCookie, inBearer), []string{"https://app.example.com"}
		w := newWindow(t, jwtvalidate.Config{Sources: list, TrustedOrigins: trusted}, nil)
		list[0], list[1], trusted[0] = inQuery, inQuery, "https://evil.example"
		w.askFor(t, goesOn, wire("POST /orders\nOrigin: https://app.example.com\nCookie: session=GOOD", good(t), ""))
		w.askFor(t, crossOrigin, wire("POST /orders\nOrigin: https://evil.example\nCookie: session=GOOD", good(t), ""))
		w.askFor(t, noCredential, wire("GET /orders?access_token=GOOD", good(t), ""))
	})
}

// Behind Handler the token may be gone, and the decision stands.
func TestNestedPlaces(t *testing.T) {
	token, bad := good(t), expired(t)
	type wrap = func(*jwtvalidate.Validator, http.Handler) http.Handler
	twice := func(v *jwtvalidate.Validator, next http.Handler) http.Handler { return v.Handler(v.Handler(next)) }
	route := func(v *jwtvalidate.Validator, next http.Handler) http.Handler {
		return v.Handler(v.Require(jwtvalidate.Claim("sub").Exists())(next))
	}
	routes := func(v *jwtvalidate.Validator, next http.Handler) http.Handler {
		return v.Require(anybody)(v.Require(anybody)(v.Handler(next)))
	}
	requests := map[string]string{
		"header": "GET /orders?a=1\nAuthorization: Bearer GOOD\nCookie: b=2", "cookie": "GET /orders?a=1\nCookie: b=2; session=GOOD",
		"query": "GET /orders?a=1&access_token=GOOD\nCookie: b=2", "form": "POST /orders?a=1\nCookie: b=2\n" + formType + "\n\nc=3&access_token=GOOD",
	}
	for name, w := range map[string]wrap{"Handler twice": twice, "Require behind Handler": route, "Handler behind Require": routes} {
		for _, onward := range []string{"", "forward", "strip"} {
			for _, optional := range []bool{false, true} {
				t.Run(fmt.Sprint(name, " ", onward, " ", optional), func(t *testing.T) {
					w := newWindow(t, jwtvalidate.Config{Sources: places(inBearer, inCookie, inQuery, inForm), Onward: onward, Optional: optional}, w)
					for place, request := range requests {
						w.askFor(t, goesOn, wire(request, token, bad))
						s := last(t, w.seen)
						require.True(t, s.claims)
						require.Equal(t, "/orders?a=1", s.uri)
						require.Equal(t, []string{"b=2"}, s.header["Cookie"])
						if place == "form" {
							require.Equal(t, "c=3", s.body)
						}
						stays := onward == "forward" || onward == "" && place == "header"
						require.Equal(t, stays, s.header.Get("Authorization") == "Bearer "+token, place)
						w.askFor(t, badToken, wire(request, bad, bad))
					}
					w.askFor(t, crossOrigin, wire("POST /orders\nOrigin: null\nCookie: session=GOOD", token, bad))
					want := noCredential
					if optional && name == "Handler twice" {
						want = goesOn
					}
					w.askFor(t, want, wire("GET /orders", token, bad))
				})
			}
		}
	}
	t.Run("a token of our own", func(t *testing.T) {
		for name, wrap := range map[string]wrap{"Require behind Handler": route, "Handler twice": twice} {
			var asked atomic.Int64
			w := newWindow(t, jwtvalidate.Config{Sources: places(inBearer, inCookie), OnwardToken: func(context.Context, *jwtvalidate.Claims) (string, error) {
				asked.Add(1)
				return "onward", nil
			}}, wrap)
			want := goesOn
			if name == "Handler twice" { // the second judges what the first has put there
				want = badToken
			}
			w.askFor(t, want, wire(requests["cookie"], token, bad))
			require.EqualValues(t, 1, asked.Load(), name)
		}
	})
	t.Run("a Validator behind sees no cookie that another has taken", func(t *testing.T) {
		inner := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Sources: places(inCookie)})
		both := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}})
		w := newWindow(t, jwtvalidate.Config{Sources: places(inCookie)}, func(v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return v.Handler(inner.Handler(next))
		})
		w.askFor(t, noCredential, wire(requests["cookie"], token, bad))
		w = newWindow(t, jwtvalidate.Config{Sources: places(inCookie), Onward: "forward"}, func(v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return v.Handler(both.Handler(next))
		})
		w.askFor(t, goesOn, wire(requests["cookie"], token, bad))
	})
	t.Run("claims that another authenticator vouched for", func(t *testing.T) {
		c, err := jwtvalidate.NewClaims(map[string]any{"sub": "batch"})
		require.NoError(t, err)
		w := newWindow(t, jwtvalidate.Config{Sources: places(inBearer, inCookie), Onward: "forward"}, func(v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				v.Handler(next).ServeHTTP(rw, r.WithContext(v.WithClaims(r.Context(), c)))
			})
		})
		w.askFor(t, goesOn, wire("GET /orders", token, bad))
		require.Empty(t, last(t, w.seen).header["Authorization"])
		w.askFor(t, goesOn, wire("GET /orders\nCookie: session=GOOD", token, bad))
		require.Equal(t, []string{"Bearer " + token}, last(t, w.seen).header["Authorization"])
		w.askFor(t, badToken, wire("GET /orders\nCookie: session=BAD", token, bad))
		w.askFor(t, crossOrigin, wire("POST /orders\nOrigin: null\nCookie: session=GOOD", token, bad))
		w.askFor(t, badRequest, wire("GET /orders\nAuthorization: Bearer GOOD\nCookie: session=GOOD", token, bad))
	})
}

// Behind another authenticator a token is not asked for, but one that is there decides.
func TestVouchedRouteShowsNoToken(t *testing.T) {
	token, bad := good(t), expired(t)
	c, err := jwtvalidate.NewClaims(map[string]any{"iss": "https://keys.example.com/", "sub": "batch"})
	require.NoError(t, err)
	for _, onward := range []string{"", "strip", "forward"} {
		w := newWindow(t, jwtvalidate.Config{Sources: places(inScheme, inCookie, inQuery, inForm), Onward: onward}, func(v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				v.Require(anybody)(next).ServeHTTP(rw, r.WithContext(v.WithClaims(r.Context(), c)))
			})
		})
		for _, request := range []string{
			"GET /orders?a=1&access_token=GOOD\nCookie: b=2", "GET /orders?a=1\nCookie: b=2; session=GOOD",
			"POST /orders?a=1\nCookie: b=2\n" + formType + "\n\nc=3&access_token=GOOD",
		} {
			w.askFor(t, goesOn, wire(request, token, bad))
			s := last(t, w.seen)
			require.True(t, s.claims)
			require.Equal(t, "/orders?a=1", s.uri)
			require.Equal(t, []string{"b=2"}, s.header["Cookie"])
			require.Equal(t, onward == "forward", s.holds(token), "%q: %+v", onward, s)
			w.askFor(t, badToken, wire(strings.ReplaceAll(request, "GOOD", "BAD"), token, bad)) // as Handler has it
		}
		w.askFor(t, goesOn, wire("GET /orders?a=1\nCookie: b=2", token, bad))
		s := last(t, w.seen)
		require.False(t, s.holds(token))
	}
}

// HTTP/2 sends each cookie in a field of its own (RFC 9113 section 8.2.3).
func TestCookiesOverHTTP2(t *testing.T) {
	token := good(t)
	seen := make(chan sight, 1)
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Sources: places(inCookie)})
	server := httptest.NewUnstartedServer(v.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- look(r) })))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, row := range []struct {
		method, origin string
		cookies        []string
		status         int
	}{
		{http.MethodGet, "", []string{"a=1", "session=" + token, "b=2"}, 200},
		{http.MethodGet, "", []string{"session=" + token, "a=1", "session=x"}, 400},
		{http.MethodGet, "", []string{"a=1"}, 401},
		{http.MethodPost, "https://evil.example", []string{"session=" + token}, 403},
		{http.MethodPost, server.URL, []string{"session=" + token}, 200},
	} {
		r, err := http.NewRequestWithContext(t.Context(), row.method, server.URL+"/orders", http.NoBody)
		require.NoError(t, err)
		r.Header["Cookie"] = row.cookies
		if row.origin != "" {
			r.Header.Set("Origin", row.origin)
		}
		res, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 2, res.ProtoMajor)
		require.Equal(t, row.status, res.StatusCode, "%v", row.cookies)
		if row.status == http.StatusOK {
			s := last(t, seen)
			require.False(t, s.holds(token))
			require.Equal(t, len(row.cookies) > 1, s.header.Get("Cookie") == "a=1; b=2")
		}
	}
}

// FuzzSources: nothing panics; what is accepted has one credential, as net/http
// reads the request; and of what stood in a cookie, query or form nothing is left.
// A $ in the request stands for a good token.
func FuzzSources(f *testing.F) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), []byte(fuzzSecret))
	require.NoError(f, err)
	static, err := jwtvalidate.StaticKeys(&key.PublicKey)
	require.NoError(f, err)
	var refused *http.Request
	var validators []*jwtvalidate.Validator
	for _, onward := range []string{"", "forward", "strip"} {
		for _, headerFirst := range []bool{false, true} {
			validators = append(validators, validator(f, jwtvalidate.Config{
				Issuers: []jwtvalidate.Issuer{{URL: "https://es.example.com/", Algorithms: []string{"ES256"}, Keys: static, Audiences: []string{audience}}},
				Sources: places(inBearer, jwtvalidate.TokenSource{Header: "X-Alone"}, inCookie, inQuery, inForm), HeaderFirst: headerFirst, Onward: onward, Optional: true,
				OnError: func(w http.ResponseWriter, r *http.Request, err error) {
					refused = r
					jwtvalidate.WriteError(w, r, err)
				},
			}))
		}
	}
	for _, head := range []string{
		"GET / HTTP/1.1\nAuthorization: Bearer $", "GET / HTTP/1.1\nAuthorization: Bearer $\nCookie: session=$", "GET / HTTP/1.1\nX-Alone: $", "GET / HTTP/1.1\nX-Alone: $\nX-Alone: $",
		"GET / HTTP/1.1\nCookie: a=1; session=$; b", "GET / HTTP/1.1\nCookie: session=\"$\"\nCookie: session =$", "GET / HTTP/1.1\nCookie: a=\"session=$;session=$\"",
		"GET /?access_token=$&a=1 HTTP/1.1", "GET /?a;%61ccess_token=$&access_token=$ HTTP/1.1", "GET http://h/?&access_token=$&#& HTTP/1.1", "OPTIONS * HTTP/1.1\nX-Alone: $",
		"POST / HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 19\n\naccess_token=1&b=23", "PUT /?x HTTP/1.1\nContent-Type: application/x-www-form-urlencoded;\nContent-Length: 282\n\na=1&access_token=$",
		"POST / HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nTransfer-Encoding: chunked\n\n118\na&access_token=$\n0\n\n", "POST / HTTP/1.1\nHost: h\nOrigin: null\nCookie: session=$",
		"POST / HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nTrailer: a\nTransfer-Encoding: chunked\n\n118\na&access_token=$\n0\n\n",
		"POST / HTTP/1.1\nX-Alone: $\nContent-Type: application/x-www-form-urlencoded\nContent-Encoding: identity\nContent-Length: 282\n\na=1&access_token=$",
		"POST / HTTP/1.1\nX-Alone: $\nContent-Type: application/x-www-form-urlencoded\nContent-Type: x/y\nContent-Length: 282\n\na=1&access_token=$",
		"GET / HTTP/1.1\nHost: h\nUpgrade: h2c\nOrigin: https://x\nCookie: session=$", "POST /?access_token= HTTP/1.1\nAuthorization: Basic $\nX-Alone:\nCookie: session=$",
		"POST / HTTP/1.1\nX-Alone: $\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 282\n\naccess_token=x", // ends early
		"POST / HTTP/1.1\nContent-Type: multipart/form-data; boundary=x\nContent-Length: 9\n\n--x\n\n--x--",
	} {
		for kind := range validators {
			f.Add(byte(kind), head)
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, text string) {
		whole := strings.ReplaceAll(strings.ReplaceAll(text, "\n", "\r\n"), "$", fuzzES256)
		if !strings.Contains(whole, "\r\n\r\n") {
			whole += "\r\n\r\n"
		}
		parse := func() *http.Request {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(whole)))
			if err != nil {
				t.Skip()
			}
			return r
		}
		refused = nil
		var inner *http.Request
		w := httptest.NewRecorder()
		validators[int(kind)%len(validators)].Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inner = r })).ServeHTTP(w, parse())
		require.NotEqual(t, inner == nil, refused == nil, "one of the two")
		sent := countCredentials(parse())
		if refused != nil {
			require.GreaterOrEqual(t, w.Code, 400)
			require.Empty(t, refused.CookiesNamed("session"))
			require.NotContains(t, refused.URL.Query(), "access_token")
			return
		}
		_, accepted := jwtvalidate.FromContext(inner.Context())
		left := look(inner)
		require.Empty(t, inner.CookiesNamed("session"))
		require.NotContains(t, left.form, "access_token")
		require.NotContains(t, left.postForm, "access_token")
		headerFirst := kind%byte(len(validators))%2 == 1
		switch {
		case accepted && (!headerFirst || sent.headers == 0):
			require.Equal(t, 1, sent.headers+sent.hidden, "%+v", sent)
		case accepted:
			require.Equal(t, 1, sent.headers)
		default:
			require.Zero(t, sent.headers)
			require.True(t, headerFirst || sent.hidden == 0, "anonymous, with a credential")
		}
		if accepted && sent.hidden == 1 && sent.headers == 0 && strings.Count(whole, fuzzES256) == 1 {
			left.header.Del("Authorization") // where it may stand now
			require.False(t, left.holds(fuzzES256), "%+v", left)
		}
	})
}

// credentials is how many there are in a request, as net/http reads it.
type credentials struct{ headers, hidden int }

func countCredentials(r *http.Request) (n credentials) {
	filled := func(values []string) {
		for _, v := range values {
			if v != "" {
				n.hidden++
			}
		}
	}
	for _, line := range r.Header["Authorization"] {
		if anyBearer.MatchString(line) {
			n.headers++
		}
	}
	for _, line := range r.Header["X-Alone"] {
		if line != "" {
			n.headers++
		}
	}
	for _, c := range r.CookiesNamed("session") {
		filled([]string{c.Value})
	}
	filled(r.URL.Query()["access_token"])
	_ = r.ParseForm()
	filled(r.PostForm["access_token"])
	return n
}
