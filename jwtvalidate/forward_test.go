package jwtvalidate_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// forwardSight is what a handler saw of a request: its trailers before and after its body.
type forwardSight struct {
	header, announced, trailer http.Header
	body                       string
}

// forwardWitness is a handler that keeps what it sees.
type forwardWitness chan forwardSight

func newForwardWitness() forwardWitness { return make(forwardWitness, 100) }

func (w forwardWitness) see(r *http.Request) {
	s := forwardSight{header: r.Header.Clone(), announced: r.Trailer.Clone()}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = fmt.Appendf(body, " %v", err)
	}
	s.trailer, s.body = r.Trailer.Clone(), string(body)
	w <- s
}

func (w forwardWitness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.see(r)
	rw.WriteHeader(http.StatusNoContent)
}

// saw is the one request that was seen.
func (w forwardWitness) saw(t *testing.T) forwardSight {
	t.Helper()
	require.Len(t, w, 1, "requests seen")
	return <-w
}

// asCGI is the name under which gateway interfaces hand a header on (RFC 3875
// section 4.1.18), by those that take most characters for the same.
func asCGI(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			return c
		}
		return '_'
	}, name)
}

// namedUser are the fields that some reader could take for X-User.
func namedUser(fields http.Header) http.Header {
	found := http.Header{}
	for name, values := range fields {
		if asCGI(name) == "X_USER" {
			found[name] = values
		}
	}
	return found
}

// requireUser holds that X-User has these lines, and that nothing else in the
// request bears or names it.
func (s forwardSight) requireUser(t *testing.T, want ...string) {
	t.Helper()
	if len(want) == 0 {
		require.Empty(t, namedUser(s.header))
	} else {
		require.Equal(t, http.Header{"X-User": want}, namedUser(s.header))
	}
	require.Empty(t, namedUser(s.announced))
	require.Empty(t, namedUser(s.trailer))
	for _, line := range s.header["Connection"] {
		for _, option := range strings.Split(line, ",") {
			require.NotEqual(t, "X_USER", asCGI(strings.TrimSpace(option)), "Connection: %s", line)
		}
	}
}

var forwardUser = jwtvalidate.ForwardClaim{Claim: []string{"sub"}, Header: "X-User"}

func forwarding(list ...jwtvalidate.ForwardClaim) jwtvalidate.Config {
	return jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Forward: list}
}

// forwardVouch stands for another authenticator.
func forwardVouch(t *testing.T, v *jwtvalidate.Validator, next http.Handler) http.Handler {
	t.Helper()
	batch, err := jwtvalidate.NewClaims(map[string]any{"sub": "batch"})
	require.NoError(t, err)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(v.WithClaims(r.Context(), batch)))
	})
}

// forwardServe puts a handler on a real server. The handler must leave the header of the
// request alone that it was given, down to the lines.
func forwardServe(t *testing.T, h http.Handler) *gate {
	t.Helper()
	g := &gate{server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header, lines := r.Header, r.Header.Clone()
		h.ServeHTTP(w, r)
		if !reflect.DeepEqual(lines, header) || !reflect.DeepEqual(lines, r.Header) {
			t.Errorf("the caller's header was %q, is %q", lines, header)
		}
	}))}
	t.Cleanup(g.server.Close)
	return g
}

// forwardSpoof is a request by which a client tries to set, hide or add to X-User: header
// lines, and a body in chunks with trailers.
type forwardSpoof struct{ name, lines, body string }

func (s forwardSpoof) request(method, lines string) string {
	if s.body != "" {
		lines += "Transfer-Encoding: chunked\n"
	}
	return method + " /orders HTTP/1.1\nHost: api.example.com\n" + lines + s.lines + "\n" + s.body
}

var forwardSpoofs = []forwardSpoof{
	{"H9 nothing", "", ""},
	{"H9 as configured", "X-User: admin\n", ""},
	{"H9 lower case", "x-user: admin\n", ""},
	{"H9 upper case", "X-USER: admin\n", ""},
	{"H9 underscore", "X_User: admin\n", ""},
	{"H9 underscore, mixed case", "x_USER: admin\n", ""},
	{"H9 dot", "X.User: admin\n", ""},
	{"H9 marks", "X!User: a\nX#User: a\nX$User: a\nX%User: a\nX&User: a\nX'User: a\nX*User: a\nX+User: a\nX^User: a\nX`User: a\nX|User: a\nX~User: a\n", ""},
	{"H9 twice", "X-User: admin\nX-User: root\n", ""},
	{"H9 all spellings", "X-User: admin\nx_user: admin\nX.USER: admin\nX-User: root\n", ""},
	{"H9 empty", "X-User:\n", ""},
	{"H9 folded", "X-User:\n admin\n", ""},
	{"H9 Connection", "Connection: X-User\n", ""},
	{"H9 Connection, lower case", "connection: x-user\n", ""},
	{"H9 Connection with close", "Connection: close, x-user\n", ""},
	{"H9 Connection, second line", "Connection: keep-alive\nConnection: X-User\n", ""},
	{"H9 Connection with underscore", "Connection: X_User\n", ""},
	{"H9 Connection with dot", "Connection: X.User\n", ""},
	{"H9 Connection, odd commas", "Connection: ,,X-User\t,\t x-user,,\n", ""},
	{"H9 Connection, folded", "Connection: keep-alive,\n X-User\n", ""},
	{"H9 Connection beside the header", "X-User: admin\nConnection: X-User\n", ""},
	{"H9 Connection among others", "Connection: keep-alive, Foo, X-User, Bar\n", ""},
	{"H9 trailer, announced", "Trailer: X-User\n", "5\nhello\n0\nX-User: admin\n\n"},
	{"H9 trailer, announced in lower case", "trailer: x-user\n", "5\nhello\n0\nx-user: admin\n\n"},
	{"H9 trailer, announced and not sent", "Trailer: X-User\n", "5\nhello\n0\n\n"},
	{"H9 trailer with underscore", "Trailer: X_User, x.user\n", "5\nhello\n0\nX_User: admin\nx.user: admin\n\n"},
	{"H9 trailer, not announced", "", "5\nhello\n0\nX-User: admin\n\n"},
	{"H9 trailer, another is announced", "Trailer: Foo\n", "5\nhello\n0\nFoo: bar\nX-User: admin\nX_USER: admin\n\n"},
	{"H9 trailer and no chunks", "Trailer: X-User\n", ""},
	{"H9 trailer, header and Connection", "Trailer: X-User, Foo\nX-User: admin\nConnection: X-User, Trailer\n", "5\nhello\n0\nFoo: bar\nX-User: admin\n\n"},
}

// H9: on whatever way a request goes, nobody behind sees an X-User of the client.
func TestSpoofedHeaders(t *testing.T) {
	exists := jwtvalidate.Claim("sub").Exists()
	requires := func(rules ...jwtvalidate.Rule) func(*testing.T, *jwtvalidate.Validator, http.Handler) http.Handler {
		return func(_ *testing.T, v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return v.Require(rules...)(next)
		}
	}
	optional := func(c *jwtvalidate.Config) { c.Optional = true }
	ann := "Authorization: Bearer " + es256(t, goodHeader, payload(`"sub":"ann"`)) + "\n"
	for _, way := range []struct {
		name   string
		edit   func(*jwtvalidate.Config)
		build  func(*testing.T, *jwtvalidate.Validator, http.Handler) http.Handler // nil: Handler
		lines  string
		status int
		want   []string // X-User, wherever the request ends
	}{
		{"accepted", nil, nil, ann, 204, []string{"ann"}},
		{"accepted, the claim is missing", nil, nil, "Authorization: Bearer " + es256(t, goodHeader, payload(`"x":1`)) + "\n", 204, nil},
		{"accepted, empty by choice", func(c *jwtvalidate.Config) { c.Forward[0].Empty = true }, nil, "Authorization: Bearer " + es256(t, goodHeader, payload(`"x":1`)) + "\n", 204, []string{""}},
		{"accepted in Require", nil, requires(exists), ann, 204, []string{"ann"}},
		{"accepted, Handler and Require", nil, func(_ *testing.T, v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return v.Handler(v.Require(exists)(next))
		}, ann, 204, []string{"ann"}},
		{"accepted twice", nil, func(_ *testing.T, v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return v.Handler(v.Handler(next))
		}, ann, 204, []string{"ann"}},
		{"anonymous", optional, nil, "", 204, nil},
		{"anonymous, another scheme", optional, nil, "Authorization: Basic eDp5\n", 204, nil},
		{"anonymous, empty by choice is about tokens", func(c *jwtvalidate.Config) { c.Optional, c.Forward[0].Empty = true, true }, nil, "", 204, nil},
		{"no token", nil, nil, "", 401, nil},
		{"no token for Require", optional, requires(exists), "", 401, nil},
		{"no token for Require, behind an optional Handler", optional, func(_ *testing.T, v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return v.Handler(v.Require(exists)(next))
		}, "", 401, nil},
		{"a malformed request", nil, nil, "Authorization: Bearer\n", 400, nil},
		{"a bad token", optional, nil, "Authorization: Bearer a.b.c\n", 401, nil},
		{"an expired token", nil, nil, "Authorization: Bearer " + es256(t, goodHeader, expiring("1")) + "\n", 401, nil},
		{"keys away", func(c *jwtvalidate.Config) { c.Issuers[0].Keys = failing(errDown) }, nil, ann, 503, nil},
		{"refused by a rule", func(c *jwtvalidate.Config) { c.Rules = []jwtvalidate.Rule{jwtvalidate.AllScopes("x")} }, nil, ann, 403, nil},
		{"refused by a rule of the route", nil, requires(jwtvalidate.AllScopes("x")), ann, 403, []string{"ann"}},
		{"refused for the claim", optional, nil, "Authorization: Bearer " + es256(t, goodHeader, payload(`"sub":"a\nb"`)) + "\n", 403, nil},
		{"preflight", nil, nil, "Origin: https://app.example.com\nAccess-Control-Request-Method: GET\n", 204, nil},
		{"preflight with a token", nil, nil, "Origin: https://app.example.com\nAccess-Control-Request-Method: GET\n" + ann, 204, nil},
		{"preflight for Require", nil, requires(exists), "Origin: https://app.example.com\nAccess-Control-Request-Method: GET\n", 204, nil},
		{"preflight that is refused", func(c *jwtvalidate.Config) { c.Preflight = nil }, nil, "Origin: https://app.example.com\nAccess-Control-Request-Method: GET\n", 401, nil},
		{"vouched", nil, func(t *testing.T, v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return forwardVouch(t, v, v.Handler(next))
		}, "", 204, []string{"batch"}},
		{"vouched, Handler and Require", nil, func(t *testing.T, v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return forwardVouch(t, v, v.Handler(v.Require(exists)(next)))
		}, "", 204, []string{"batch"}},
		{"vouched, with a token", nil, func(t *testing.T, v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return forwardVouch(t, v, v.Handler(next))
		}, ann, 204, []string{"ann"}},
		{"vouched for Require", nil, func(t *testing.T, v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return forwardVouch(t, v, v.Require(exists)(next))
		}, "", 204, []string{"batch"}},
		{"vouched, refused by a rule of the route", nil, func(t *testing.T, v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return forwardVouch(t, v, v.Require(jwtvalidate.AllScopes("x"))(next))
		}, "", 403, []string{"batch"}},
		{"vouched behind an optional Handler, for Require", optional, func(t *testing.T, v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return v.Handler(forwardVouch(t, v, v.Require(exists)(next)))
		}, "", 204, []string{"batch"}},
	} {
		t.Run(way.name, func(t *testing.T) {
			w := newForwardWitness()
			cfg := forwarding(forwardUser)
			cfg.Preflight = w
			cfg.OnError = func(rw http.ResponseWriter, r *http.Request, err error) {
				w.see(r)
				jwtvalidate.WriteError(rw, r, err)
			}
			if way.edit != nil {
				way.edit(&cfg)
			}
			v := validator(t, cfg)
			h := v.Handler(w)
			if way.build != nil {
				h = way.build(t, v, w)
			}
			g := forwardServe(t, h)
			for _, s := range forwardSpoofs {
				t.Run(s.name, func(t *testing.T) {
					method := http.MethodPost
					if strings.HasPrefix(way.lines, "Origin") {
						method = http.MethodOptions
					}
					require.Equal(t, way.status, g.ask(t, s.request(method, way.lines)).status)
					seen := w.saw(t)
					seen.requireUser(t, way.want...)
					if s.body != "" {
						require.Equal(t, "hello", seen.body)
					}
					if strings.Contains(s.lines, "Foo") && s.body != "" {
						require.Equal(t, http.Header{"Foo": {"bar"}}, seen.trailer, "other trailers arrive")
					}
				})
			}
		})
	}
}

// What a rule or a Confirm goes by is not the client's either.
func TestRulesSeeNoSpoofedHeader(t *testing.T) {
	var saw []http.Header
	look := func(r *http.Request, _ *jwtvalidate.Claims) error {
		saw = append(saw, namedUser(r.Header))
		return nil
	}
	cfg := forwarding(forwardUser)
	cfg.Issuers[0].Confirm = look
	cfg.Rules = []jwtvalidate.Rule{jwtvalidate.RequestRule(look)}
	v := validator(t, cfg)
	r := request("Bearer " + es256(t, goodHeader, payload(`"sub":"ann","cnf":{"x":1}`)))
	r.Header["X-User"], r.Header["X_user"] = []string{"admin"}, []string{"admin"}
	require.Equal(t, http.StatusOK, record(v.Require(jwtvalidate.RequestRule(look))(okay), r).status)
	require.Equal(t, []http.Header{{}, {}, {"X-User": {"ann"}}}, saw, "Confirm, Config.Rules, Require")
}

// The bytes of HTTP/2 frames (RFC 9113 section 4.1), with header fields as plain
// literals (RFC 7541 section 6.2.2).
func h2Frame(kind, flags byte, stream uint32, load string) string {
	n := len(load)
	return string([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}) + load
}

func h2Field(name, value string) string {
	text := func(s string) string {
		if len(s) < 127 {
			return string([]byte{byte(len(s))}) + s
		}
		n, length := len(s)-127, []byte{127}
		for ; n > 127; n >>= 7 {
			length = append(length, byte(n)|0x80)
		}
		return string(append(length, byte(n))) + s
	}
	return "\x00" + text(name) + text(value)
}

// h2Ask sends one request and returns the first bytes of the answer: \x89 is a 204.
// A stream or connection that is given up has no answer.
func h2Ask(t *testing.T, address string, fields, trailers []string) string {
	t.Helper()
	const (
		data, headers, reset, settings, goAway = 0, 1, 3, 4, 7
		endStream, endHeaders                  = 1, 4
	)
	block := func(fields []string) (b string) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			b += h2Field(name, value)
		}
		return b
	}
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	pseudo := h2Field(":method", "POST") + h2Field(":scheme", "http") + h2Field(":authority", "api.example.com") + h2Field(":path", "/orders")
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+h2Frame(settings, 0, 0, "")+
		h2Frame(headers, endHeaders, 1, pseudo+block(fields))+h2Frame(data, 0, 1, "hello")+h2Frame(headers, endHeaders|endStream, 1, block(trailers)))
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	for {
		var head [9]byte
		_, err := io.ReadFull(in, head[:])
		require.NoError(t, err)
		load := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		_, err = io.ReadFull(in, load)
		require.NoError(t, err)
		switch head[3] {
		case headers:
			return string(load)
		case reset, goAway:
			return ""
		}
	}
}

// H9 by HTTP/2, where names are in lower case and there is no Connection.
func TestSpoofedHeadersHTTP2(t *testing.T) {
	w := newForwardWitness()
	v := validator(t, forwarding(forwardUser))
	server := httptest.NewUnstartedServer(v.Handler(w))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	token := "authorization: Bearer " + es256(t, goodHeader, payload(`"sub":"ann"`))
	for _, row := range []struct {
		name             string
		fields, trailers []string
		runs             bool
		want             http.Header // trailers
	}{
		{"twin: nothing", nil, nil, true, nil},
		{"H9 as configured", []string{"x-user: admin"}, nil, true, nil},
		{"H9 underscore", []string{"x_user: admin"}, nil, true, nil},
		{"H9 dot", []string{"x.user: admin"}, nil, true, nil},
		{"H9 twice", []string{"x-user: admin", "x-user: root", "x_user: admin"}, nil, true, nil},
		{"H9 trailer, announced", []string{"trailer: x-user"}, []string{"x-user: admin"}, true, http.Header{}},
		{"H9 trailer with underscore, announced", []string{"trailer: x_user, foo"}, []string{"x_user: admin", "foo: bar"}, true, http.Header{"Foo": {"bar"}}},
		{"H9 trailer, another is announced", []string{"trailer: foo"}, []string{"foo: bar", "x-user: admin"}, true, http.Header{"Foo": {"bar"}}},
		{"H9 trailer, not announced", nil, []string{"x-user: admin"}, true, nil},
		{"H9 upper case", []string{"X-User: admin"}, nil, false, nil},
		{"H9 Connection", []string{"connection: x-user"}, nil, false, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			answer := h2Ask(t, server.Listener.Addr().String(), append([]string{token}, row.fields...), row.trailers)
			require.Equal(t, row.runs, strings.HasPrefix(answer, "\x89"))
			if !row.runs {
				require.Empty(t, w, "the handler ran")
				return
			}
			seen := w.saw(t)
			seen.requireUser(t, "ann")
			require.Equal(t, "hello", seen.body)
			require.Equal(t, row.want, seen.trailer)
		})
	}
}

// What Connection says of others stays as it is.
func TestConnectionOfOthers(t *testing.T) {
	w := newForwardWitness()
	g := forwardServe(t, validator(t, forwarding(forwardUser)).Handler(w))
	token := "Authorization: Bearer " + es256(t, goodHeader, payload(`"sub":"ann"`)) + "\n"
	for _, row := range []struct {
		lines string
		want  []string
	}{
		{"Connection: keep-alive\n", []string{"keep-alive"}},
		{"Connection: Keep-Alive ,Foo,\tX-User-Id,XUser,,\n", []string{"Keep-Alive ,Foo,\tX-User-Id,XUser,,"}},
		{"Connection: Upgrade\nConnection: Foo\n", []string{"Upgrade", "Foo"}},
		{"Connection: X-User\n", nil},
		{"Connection: X_User,x.user\nConnection: x-user\n", nil},
		{"Connection: close, X-User\n", []string{"close"}},
		{"Connection: keep-alive\nConnection: X-User\n", []string{"keep-alive"}},
		{"Connection: Foo,X-User,Upgrade\nConnection: X-User-Id\n", []string{"Foo, Upgrade", "X-User-Id"}},
	} {
		t.Run(row.lines, func(t *testing.T) {
			require.Equal(t, http.StatusNoContent, g.ask(t, forwardSpoof{lines: row.lines}.request("GET", token)).status)
			seen := w.saw(t)
			require.Equal(t, row.want, seen.header["Connection"])
			seen.requireUser(t, "ann")
		})
	}
}

// All other headers are, byte for byte, those that a server without Validator shows,
// whether or not there was anything to remove.
func TestOtherHeadersStay(t *testing.T) {
	lines := "Authorization: Bearer " + es256(t, goodHeader, payload(`"sub":"ann"`)) +
		"\nX-User-Id: 7\nXUser: a\nX-Users: b\nX-Use: c\nX-Userr: d\n-X-User: e\nX--User: f\nUser: g\nX-User-: h\n" +
		"Accept: a,b\nAccept: c;q=\"1, 2\"\nX-Tab: a\tb\nX-Bytes: \xff\xc3\xa9\nX-Empty:\nx_other: 1\nX-Other: 2\nx.other: 3\nCookie: X-User=admin\nTe: trailers\nForwarded: for=192.0.2.1\n"
	w := newForwardWitness()
	plain, with := forwardServe(t, w), forwardServe(t, validator(t, forwarding(forwardUser)).Handler(w))
	for _, own := range []string{"", "X-User: admin\nX_USER: admin\n"} {
		require.Equal(t, http.StatusNoContent, plain.ask(t, forwardSpoof{lines: lines}.request("GET", "")).status)
		want := w.saw(t).header
		require.Subset(t, want, http.Header{"X-Bytes": {"\xff\xc3\xa9"}, "X_other": {"1"}, "X.other": {"3"}, "X-Other": {"2"}, "Xuser": {"a"}, "-X-User": {"e"}})
		want["X-User"] = []string{"ann"}
		require.Equal(t, http.StatusNoContent, with.ask(t, forwardSpoof{lines: lines}.request("GET", own)).status)
		require.Equal(t, want, w.saw(t).header)
	}
}

// Trailers that may pass do so as they do without Validator: announced before the
// body, there after it.
func TestTrailersArrive(t *testing.T) {
	w := newForwardWitness()
	cfg := forwarding(forwardUser)
	cfg.Optional = true
	g := forwardServe(t, validator(t, cfg).Handler(w))
	for _, lines := range []string{"", "Authorization: Bearer " + good(t) + "\n"} {
		g.ask(t, forwardSpoof{lines: "Trailer: X-User, Checksum\nTrailer: X-User-Id\n", body: "3\nhel\n2\nlo\n0\nchecksum: a\nChecksum: b\nX-USER: admin\nX-User-Id: 7\n\n"}.request("POST", lines))
		seen := w.saw(t)
		require.Equal(t, http.Header{"Checksum": nil, "X-User-Id": nil}, seen.announced)
		require.Equal(t, http.Header{"Checksum": {"a", "b"}, "X-User-Id": {"7"}}, seen.trailer)
		require.Equal(t, "hello", seen.body)
	}
}

// A handler may drop the trailers of its request, as with any other.
func TestTrailersDropped(t *testing.T) {
	cfg := forwarding(forwardUser)
	cfg.Optional = true
	v := validator(t, cfg)
	for name, authorization := range map[string][]string{"anonymous": nil, "accepted": {"Bearer " + good(t)}} {
		t.Run(name, func(t *testing.T) {
			r := request(authorization...)
			r.Body, r.Trailer = io.NopCloser(strings.NewReader("hello")), http.Header{"Foo": nil}
			require.NotPanics(t, func() {
				v.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					r.Trailer = nil
					_, _ = io.ReadAll(r.Body)
				})).ServeHTTP(httptest.NewRecorder(), r)
			})
		})
	}
}

// forwardProxy is a proxy to a backend over a real connection.
func forwardProxy(tb testing.TB, backend http.Handler, edit func(*httputil.ReverseProxy, *url.URL)) http.Handler {
	tb.Helper()
	server := httptest.NewServer(backend)
	tb.Cleanup(server.Close)
	transport := new(http.Transport)
	tb.Cleanup(transport.CloseIdleConnections)
	target, err := url.Parse(server.URL)
	require.NoError(tb, err)
	p := &httputil.ReverseProxy{Transport: transport}
	edit(p, target)
	return p
}

func forwardRewrite(p *httputil.ReverseProxy, target *url.URL) {
	p.Rewrite = func(r *httputil.ProxyRequest) { r.SetURL(target) }
}

func forwardDirector(p *httputil.ReverseProxy, target *url.URL) {
	p.Director = func(r *http.Request) { r.URL.Scheme, r.URL.Host = target.Scheme, target.Host } //nolint:staticcheck // gateways still have it
}

// H9 through a proxy, which does what Connection says.
func TestSpoofedHeadersBehindProxy(t *testing.T) {
	for name, edit := range map[string]func(*httputil.ReverseProxy, *url.URL){"Rewrite": forwardRewrite, "Director": forwardDirector} {
		t.Run(name, func(t *testing.T) {
			w := newForwardWitness()
			cfg := forwarding(forwardUser)
			cfg.Optional = true
			g := forwardServe(t, validator(t, cfg).Handler(forwardProxy(t, w, edit)))
			token := "Authorization: Bearer " + es256(t, goodHeader, payload(`"sub":"ann"`)) + "\n"
			for _, s := range forwardSpoofs {
				t.Run(s.name, func(t *testing.T) {
					require.Equal(t, http.StatusNoContent, g.ask(t, s.request("POST", token)).status)
					w.saw(t).requireUser(t, "ann")
					require.Equal(t, http.StatusNoContent, g.ask(t, s.request("POST", "")).status)
					w.saw(t).requireUser(t)
				})
			}
		})
	}
}

// forwardRow is a claim on its way into X-Value.
type forwardRow struct {
	name, members string
	f             jwtvalidate.ForwardClaim // zero Claim: v
	want          []string                 // the lines that a backend sees; nil: none
}

func (row *forwardRow) config() jwtvalidate.Config {
	row.f.Header = "X-Value"
	if row.f.Claim == nil {
		row.f.Claim = []string{"v"}
	}
	return forwarding(row.f)
}

// The values, among them those of KrakenD's conversions, where it does not round.
func TestForwardedValues(t *testing.T) {
	type f = jwtvalidate.ForwardClaim
	w := newForwardWitness()
	proxy := forwardProxy(t, w, forwardRewrite)
	at := func(path ...string) f { return f{Claim: path} }
	joined, repeat, asJSON, empty := f{}, f{Repeat: true}, f{JSON: true}, f{Empty: true}
	for _, row := range []forwardRow{
		{"42", `"v":42`, joined, []string{"42"}},
		{"0", `"v":0`, joined, []string{"0"}},
		{"minus 0", `"v":-0`, joined, []string{"-0"}},
		{"-42", `"v":-42`, joined, []string{"-42"}},
		{"-42.42", `"v":-42.42`, joined, []string{"-42.42"}},
		{"1000001", `"v":1000001`, joined, []string{"1000001"}},
		{"4.000001", `"v":4.000001`, joined, []string{"4.000001"}},
		{"4.0000001", `"v":4.0000001`, joined, []string{"4.0000001"}},
		{"1651529725", `"v":1651529725`, joined, []string{"1651529725"}},
		{"zeros at the end", `"v":1.50`, joined, []string{"1.50"}},
		{"beyond 2^53", `"v":9007199254740993`, joined, []string{"9007199254740993"}},
		{"beyond 2^63", `"v":12345678901234567890`, joined, []string{"12345678901234567890"}},
		{"beyond float64", `"v":1e400`, joined, []string{"1e400"}},
		{"exponent as written", `"v":1E+02`, joined, []string{"1E+02"}},
		{"a date that the library reads", `"nbf":1799999999`, at("nbf"), []string{"1799999999"}},
		{"true", `"v":true`, joined, []string{"true"}},
		{"false", `"v":false`, joined, []string{"false"}},

		{"text", `"v":"some value"`, joined, []string{"some value"}},
		{"uuid", `"v":"8e7c2b0a-5f1d-4c3e-9a6b-7d8f0e1c2b3a"`, joined, []string{"8e7c2b0a-5f1d-4c3e-9a6b-7d8f0e1c2b3a"}},
		{"text, empty", `"v":""`, joined, []string{""}},
		{"text with comma", `"v":"Doe, Ann"`, joined, []string{"Doe, Ann"}},
		{"text with double spaces", `"v":"a  b"`, joined, []string{"a  b"}},
		{"text with escapes for ASCII", `"v":"\u0041\/\"\\"`, joined, []string{`A/"\`}},
		{"text of all that may be", `"v":"! #$%&'()*+,-./09:;<=>?@AZ[]^_{|}~"`, joined, []string{"! #$%&'()*+,-./09:;<=>?@AZ[]^_{|}~"}},
		{"text that looks like others", `"v":"null"`, joined, []string{"null"}},

		{"array", `"v":["item 1","item-2",1,-2,2.99,-3.01]`, joined, []string{"item 1,item-2,1,-2,2.99,-3.01"}},
		{"array, white space between", "\"v\":[ \"a\" ,\t\"b\" ]", joined, []string{"a,b"}},
		{"array of bools", `"v":[true,false]`, joined, []string{"true,false"}},
		{"array of one", `"v":["a"]`, joined, []string{"a"}},
		{"array, exact numbers", `"v":[9007199254740993,1e400,4.0000001]`, joined, []string{"9007199254740993,1e400,4.0000001"}},
		{"array, empty", `"v":[]`, joined, []string{""}},
		{"array, empty texts", `"v":["",""]`, joined, []string{","}},
		{"array, repeated", `"v":["item 1","item-2",1,-2,2.99,true]`, repeat, []string{"item 1", "item-2", "1", "-2", "2.99", "true"}},
		{"array, repeated: empty text", `"v":["","a"]`, repeat, []string{"", "a"}},
		{"array, repeated: empty", `"v":[]`, repeat, nil},
		{"array, repeated: a text is one line", `"v":"a,b"`, repeat, []string{"a,b"}},
		{"audience, one", `"x":1`, at("aud"), []string{audience}},

		{"object", `"v":{"b":1,"a":["x",null,{"c":1e400}]}`, joined, []string{`{"a":["x",null,{"c":1e400}],"b":1}`}},
		{"object with text beyond ASCII", `"v":{"a":"é\n"}`, joined, []string{`{"a":"\u00e9\n"}`}},
		{"object, empty", `"v":{}`, joined, []string{"{}"}},
		{"nested object", `"a":{"b":{"c":{"d":{"d":7}}}}`, at("a", "b", "c", "d"), []string{`{"d":7}`}},
		{"nested text", `"d":{"d":"x"}`, at("d", "d"), []string{"x"}},
		{"nested array", `"d":{"d":{"c":["a",1]}}`, at("d", "d", "c"), []string{"a,1"}},
		{"name with dots", `"https://example.com/roles.v1":"x"`, at("https://example.com/roles.v1"), []string{"x"}},
		{"name with dots, nested", `"a.b":{"c.d":"x"}`, at("a.b", "c.d"), []string{"x"}},
		{"a dotted name is no path", `"a":{"b":"x"}`, at("a.b"), nil},
		{"a path is no dotted name", `"a.b":"x"`, at("a", "b"), nil},
		{"case", `"V":"x"`, joined, nil},

		{"null", `"v":null`, joined, nil},
		{"missing", `"x":1`, joined, nil},
		{"missing parent", `"x":1`, at("a", "b", "c"), nil},
		{"null parent", `"a":null`, at("a", "b"), nil},
		{"text for a parent", `"a":"b"`, at("a", "b"), nil},
		{"array for a parent", `"a":["x"]`, at("a", "0"), nil},
		{"null: empty", `"v":null`, empty, []string{""}},
		{"missing: empty", `"x":1`, empty, []string{""}},
		{"missing parent: empty", `"x":1`, f{Claim: []string{"a", "b"}, Empty: true}, []string{""}},
		{"missing: empty, repeated", `"x":1`, f{Empty: true, Repeat: true}, []string{""}},
		{"missing: empty, JSON", `"x":1`, f{Empty: true, JSON: true}, []string{""}},
		{"missing: absent, JSON", `"x":1`, asJSON, nil},
		{"there: empty changes nothing", `"v":"x"`, empty, []string{"x"}},

		{"JSON text", `"v":"a b"`, asJSON, []string{`"a b"`}},
		{"JSON text, empty", `"v":""`, asJSON, []string{`""`}},
		{"JSON text with spaces at its ends", `"v":" a "`, asJSON, []string{`" a "`}},
		{"JSON é", `"v":"é"`, asJSON, []string{`"\u00e9"`}},
		{"JSON emoji", `"v":"😀"`, asJSON, []string{`"\ud83d\ude00"`}},
		{"JSON emoji, escaped before", `"v":"\uD83D\uDE00"`, asJSON, []string{`"\ud83d\ude00"`}},
		{"JSON last code point", "\"v\":\"\U0010FFFF\uFFFF\"", asJSON, []string{`"\udbff\udfff\uffff"`}},
		{"JSON controls", `"v":"\u0000\u0001\b\t\n\f\r\u001f\u007f\u0080\u0085\u2028\u2029"`, asJSON, []string{`"\u0000\u0001\b\t\n\f\r\u001f\u007f\u0080\u0085\u2028\u2029"`}},
		{"JSON a line of its own", `"v":"x\r\nX-Admin: 1"`, asJSON, []string{`"x\r\nX-Admin: 1"`}},
		{"JSON markup", `"v":"<a href='x'>&\"\\/"`, asJSON, []string{`"<a href='x'>&\"\\/"`}},
		{"JSON number", `"v":1e400`, asJSON, []string{"1e400"}},
		{"JSON bool", `"v":true`, asJSON, []string{"true"}},
		{"JSON array", `"v":["a,b",null,[1,{"é":2}]]`, asJSON, []string{`["a,b",null,[1,{"\u00e9":2}]]`}},
		{"JSON array, empty", `"v":[]`, asJSON, []string{"[]"}},
		{"JSON object", `"v":{"b":"é","a":4.0000001}`, asJSON, []string{`{"a":4.0000001,"b":"\u00e9"}`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := validator(t, row.config())
			require.Equal(t, http.StatusNoContent, record(v.Handler(proxy), request("Bearer "+es256(t, goodHeader, payload(row.members)))).status)
			seen := w.saw(t).header
			require.Equal(t, row.want, seen["X-Value"])
			if row.f.JSON && len(row.want) > 0 && row.want[0] != "" {
				read := forwardDecoded(t, `{"v":`+seen.Get("X-Value")+"}")
				require.Equal(t, forwardDecoded(t, "{"+row.members+"}"), read, "reads as the same value")
			}
		})
	}
}

// forwardDecoded reads JSON with exact numbers.
func forwardDecoded(t *testing.T, text string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	require.NoError(t, d.Decode(&v))
	require.ErrorIs(t, d.Decode(new(any)), io.EOF)
	return v
}

// H10: what a header cannot hold without doubt goes nowhere.
func TestClaimsThatDoNotFit(t *testing.T) {
	type f = jwtvalidate.ForwardClaim
	repeat := f{Repeat: true}
	for _, row := range []forwardRow{
		{"H10 line break", `"v":"c4n4ry\r\nX-Admin: 1"`, f{}, nil},
		{"H10 CR", `"v":"c4n4ry\r"`, f{}, nil},
		{"H10 LF", `"v":"c4n4ry\nb"`, f{}, nil},
		{"H10 LF, folded", `"v":"c4n4ry\n b"`, f{}, nil},
		{"H10 NUL", `"v":"c4n4ry\u0000"`, f{}, nil},
		{"H10 tab", `"v":"c4n4ry\tb"`, f{}, nil},
		{"H10 escape", `"v":"\u001bc4n4ry"`, f{}, nil},
		{"H10 DEL", `"v":"c4n4ry\u007f"`, f{}, nil},
		{"H10 8-bit control", `"v":"c4n4ry\u0085"`, f{}, nil},
		{"H10 8-bit", `"v":"c4n4ryé"`, f{}, nil},
		{"H10 16-bit, whose low byte is LF", `"v":"c4n4ry\u010aX-Admin: 1"`, f{}, nil},
		{"H10 emoji", `"v":"c4n4ry😀"`, f{}, nil},
		{"H10 full-width letters", `"v":"c4n4ry\uff41"`, f{}, nil},
		{"H10 line separator", `"v":"c4n4ry\u2028"`, f{}, nil},
		{"H10 space before", `"v":" c4n4ry"`, f{}, nil},
		{"H10 space behind", `"v":"c4n4ry "`, f{}, nil},
		{"H10 space alone", `"v":" "`, f{}, nil},
		{"H10 no-break space", `"v":"c4n4ry\u00a0"`, f{}, nil},
		{"H10 nested", `"a":{"v":"c4n4ry\n"}`, f{Claim: []string{"a", "v"}}, nil},
		{"H10 nested: empty by choice does not hide it", `"a":{"v":"c4n4ry\n"}`, f{Claim: []string{"a", "v"}, Empty: true}, nil},
		{"H10 in an array: comma", `"v":["a,c4n4ry"]`, f{}, nil},
		{"H10 in an array: LF", `"v":["a","c4n4ry\n"]`, f{}, nil},
		{"H10 in an array: 8-bit", `"v":["a","c4n4ryé"]`, f{}, nil},
		{"H10 in an array: space", `"v":["a"," c4n4ry"]`, f{}, nil},
		{"H10 in an array: null", `"v":["c4n4ry",null]`, f{}, nil},
		{"H10 in an array: array", `"v":["c4n4ry",["b"]]`, f{}, nil},
		{"H10 in an array: empty array", `"v":["c4n4ry",[]]`, f{}, nil},
		{"H10 in an array: object", `"v":["c4n4ry",{"a":"b"}]`, f{}, nil},
		{"H10 repeated: comma", `"v":["a,c4n4ry"]`, repeat, nil},
		{"H10 repeated: LF", `"v":["a","c4n4ry\n"]`, repeat, nil},
		{"H10 repeated: null", `"v":["c4n4ry",null]`, repeat, nil},
		{"H10 repeated: array", `"v":["c4n4ry",["b"]]`, repeat, nil},
		{"H10 repeated: object", `"v":["c4n4ry",{"a":"b"}]`, repeat, nil},
		{"H10 repeated: a text with LF", `"v":"c4n4ry\n"`, repeat, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			var log buffer
			var events []jwtvalidate.Event
			var errs []error
			cfg := row.config()
			cfg.Forward = append([]jwtvalidate.ForwardClaim{forwardUser}, cfg.Forward...) // one that fits, before it
			cfg.Optional, cfg.Logger = true, log.logger()
			cfg.Observe = func(_ context.Context, e jwtvalidate.Event) { events = append(events, e) }
			cfg.OnError = func(w http.ResponseWriter, r *http.Request, err error) {
				errs = append(errs, err)
				if len(r.Header["X-User"])+len(r.Header["X-Value"]) > 0 {
					t.Error("a part of them is set")
				}
				jwtvalidate.WriteError(w, r, err)
			}
			w := newForwardWitness()
			got := record(validator(t, cfg).Handler(w), request("Bearer "+es256(t, goodHeader, payload(row.members+`,"sub":"ann"`))))
			require.Empty(t, w, "the handler ran")
			require.Equal(t, answer{http.StatusForbidden, http.Header{"Cache-Control": {"no-store"}}, ""}, got)

			require.Len(t, errs, 1)
			require.ErrorIs(t, errs[0], jwtvalidate.ErrForbidden)
			require.NotErrorIs(t, errs[0], jwtvalidate.ErrInvalidToken)
			require.Equal(t, jwtvalidate.ReasonForbidden, jwtvalidate.ReasonOf(errs[0]))
			require.Len(t, events, 1)
			require.Equal(t, "refused", events[0].Kind)
			require.Equal(t, "Forward X-Value", events[0].Rule)
			require.Equal(t, errs[0], events[0].Err)
			require.Equal(t, "ann", events[0].Claims.Subject())
			require.Contains(t, log.String(), `reason=forbidden`)
			require.Contains(t, log.String(), `rule="Forward X-Value"`)
			require.NotContains(t, log.String()+fmt.Sprintf("%v %+v %q %v", errs[0], errs[0], errs[0], errors.Unwrap(errs[0])), canary)
		})
	}

	t.Run("vouched claims too", func(t *testing.T) {
		var events []jwtvalidate.Event
		cfg := forwarding(forwardUser)
		cfg.Observe = func(_ context.Context, e jwtvalidate.Event) { events = append(events, e) }
		v := validator(t, cfg)
		c, err := jwtvalidate.NewClaims(map[string]any{"sub": "c4n4ry\nb"})
		require.NoError(t, err)
		for name, h := range map[string]http.Handler{"Handler": v.Handler(okay), "Require": v.Require(jwtvalidate.Claim("sub").Exists())(okay)} {
			t.Run(name, func(t *testing.T) {
				events = nil
				r := request()
				require.Equal(t, http.StatusForbidden, record(h, r.WithContext(v.WithClaims(r.Context(), c))).status)
				require.Len(t, events, 1)
				require.Equal(t, "refused", events[0].Kind)
				require.Equal(t, "Forward X-User", events[0].Rule)
				require.Same(t, c, events[0].Claims)
			})
		}
	})
	t.Run("Check forwards nothing", func(t *testing.T) {
		_, err := validator(t, forwarding(forwardUser)).Check(request("Bearer " + es256(t, goodHeader, payload(`"sub":"a\nb"`))))
		require.NoError(t, err)
	})
}

var forwardVisible = regexp.MustCompile(`^([\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?)?$`)

// forwardFits says what the lines must be, worked out anew; asJSON: a text that reads as
// the same value.
func forwardFits(v any, f jwtvalidate.ForwardClaim) (lines []string, asJSON, ok bool) {
	scalar := func(v any) (string, bool) {
		switch v := v.(type) {
		case string:
			return v, forwardVisible.MatchString(v)
		case json.Number, bool:
			return fmt.Sprint(v), true
		}
		return "", false
	}
	list, isArray := v.([]any)
	_, isObject := v.(map[string]any)
	switch {
	case v == nil && f.Empty:
		return []string{""}, false, true
	case v == nil:
		return nil, false, true
	case f.JSON || isObject:
		return nil, true, true
	case !isArray:
		text, ok := scalar(v)
		return []string{text}, false, ok
	}
	for _, e := range list {
		text, ok := scalar(e)
		if !ok || strings.Contains(text, ",") {
			return nil, false, false
		}
		lines = append(lines, text)
	}
	if f.Repeat {
		return lines, false, true
	}
	return []string{strings.Join(lines, ",")}, false, true
}

// FuzzForward: whatever the claim holds and the client sends, a backend behind a
// real connection sees what was set, in one header and in plain ASCII; or the
// request was refused.
func FuzzForward(f *testing.F) {
	w := newForwardWitness()
	var set []string
	proxy := forwardProxy(f, w, forwardRewrite)
	next := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		set = slices.Clone(r.Header["X-User"])
		proxy.ServeHTTP(rw, r)
	})
	modes := make([]jwtvalidate.ForwardClaim, 6)
	handlers := make([]http.Handler, len(modes))
	for i := range modes {
		modes[i] = jwtvalidate.ForwardClaim{Claim: []string{"v"}, Header: "X-User", Repeat: i%3 == 1, JSON: i%3 == 2, Empty: i > 2}
		cfg := forwarding(modes[i])
		cfg.Issuers = []jwtvalidate.Issuer{{URL: issuerURL, Algorithms: []string{"HS256"}, Keys: mustSecret(f, []byte(fuzzSecret)), Audiences: []string{audience}}}
		handlers[i] = validator(f, cfg).Handler(next)
	}
	secret, err := jose.NewSecret([]byte(fuzzSecret))
	require.NoError(f, err)
	for i, claim := range []string{
		`"ann"`, `""`, `" a"`, `"a\r\nX-User: admin"`, `"\u0000"`, `"\u007f"`, `"é"`, `"😀"`, `"\ud83d\ude00<>&\u2028"`, `"\u010aX-User: admin"`, "\"\xff\"", "\"a\nb\"",
		`0`, `-42.42`, `1e400`, `12345678901234567890`, `true`, `null`, `[]`, `[""]`, `["a","b"]`, `["a,b"]`, `[null]`, `[[]]`, `["a",1,true]`, `["a","\n"]`,
		`{}`, `{"a":{"b":["é",null,1e400]}}`, `"`, `1,"v":2`, `1}`, ``,
	} {
		for mode := range modes {
			f.Add(claim, uint8(mode), []string{"X-User", "x_USER", "X.User", "X-User-Id", "Connection", "connection", "XUser"}[i%7], []string{"admin", "X-User", "close, x_user"}[i%3])
		}
	}
	f.Fuzz(func(t *testing.T, claim string, mode uint8, name, value string) {
		i := int(mode) % len(modes)
		token, err := jose.Sign(jose.HS256, secret, []byte(`{"alg":"HS256"}`), []byte(payload(`"v":`+claim)))
		require.NoError(t, err)
		r := request("Bearer " + token)
		if regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$").MatchString(name) && regexp.MustCompile(`^[\x20-\x7e]*$`).MatchString(value) {
			if slices.Contains([]string{"AUTHORIZATION", "UPGRADE", "EXPECT", "CONTENT_LENGTH"}, asCGI(name)) {
				return // they mean something to the Validator, the proxy or the backend
			}
			r.Header[http.CanonicalHeaderKey(name)] = []string{strings.TrimSpace(value)} // as a server would
		}
		for len(w) > 0 {
			<-w // of a run that has failed
		}
		before := r.Header.Clone()
		got := record(handlers[i], r)
		require.Equal(t, before, r.Header)
		if got.status == http.StatusUnauthorized {
			require.Empty(t, w)
			return // no JSON, or too strange for a token
		}
		all, _ := forwardDecoded(t, payload(`"v":`+claim)).(map[string]any)
		lines, asJSON, ok := forwardFits(all["v"], modes[i])
		if !ok {
			require.Equal(t, http.StatusForbidden, got.status)
			require.Empty(t, w, "the handler ran")
			return
		}
		require.Equal(t, http.StatusNoContent, got.status)
		seen := w.saw(t)
		if asJSON {
			lines = seen.header["X-User"]
			require.Len(t, lines, 1)
			require.Equal(t, all["v"], forwardDecoded(t, lines[0]))
		}
		seen.requireUser(t, lines...)
		for _, line := range lines {
			require.Regexp(t, forwardVisible, line)
			require.True(t, utf8.ValidString(line))
		}
		require.Equal(t, lines, set, "as it was set")
	})
}

func TestForwardConfig(t *testing.T) {
	type f = jwtvalidate.ForwardClaim
	sub := []string{"sub"}
	type row struct {
		name    string
		list    []f
		sources []jwtvalidate.TokenSource
		wants   []string
	}
	rows := []row{
		{"twin: one", []f{forwardUser}, nil, nil},
		{"twin: one claim, two headers", []f{forwardUser, {Claim: sub, Header: "X-Sub"}}, nil, nil},
		{"twin: a path, and all choices", []f{{Claim: []string{"a.b", "c"}, Header: "x_roles", Repeat: true, Empty: true}, {Claim: sub, Header: "X.Sub", JSON: true, Empty: true}}, nil, nil},
		{"twin: names that look alike", []f{forwardUser, {Claim: sub, Header: "XUser"}, {Claim: sub, Header: "X-User-Id"}, {Claim: sub, Header: "X-Authorization"}}, nil, nil},
		{"twin: not a source here", []f{{Claim: sub, Header: "X-Token"}}, []jwtvalidate.TokenSource{{Cookie: "X-Token"}}, nil},
		{"no claim", []f{{Header: "X-User"}}, nil, []string{"Forward[0].Claim: required"}},
		{"an empty path", []f{{Claim: []string{}, Header: "X-User"}}, nil, []string{"Forward[0].Claim: required"}},
		{"an empty name", []f{{Claim: []string{""}, Header: "X-User"}}, nil, []string{"Forward[0].Claim: required"}},
		{"an empty name on the way", []f{forwardUser, {Claim: []string{"a", "", "b"}, Header: "X-Sub"}}, nil, []string{"Forward[1].Claim: required"}},
		{"no header", []f{{Claim: sub}}, nil, []string{"Forward[0].Header: required"}},
		{"header with a space", []f{{Claim: sub, Header: "X User"}}, nil, []string{"Forward[0].Header: required, a field name"}},
		{"header with a colon", []f{{Claim: sub, Header: "X-User:"}}, nil, []string{"Forward[0].Header"}},
		{"header with a line break", []f{{Claim: sub, Header: "X-User\r\nX-Admin"}}, nil, []string{"Forward[0].Header"}},
		{"header with NUL", []f{{Claim: sub, Header: "X-User\x00"}}, nil, []string{"Forward[0].Header"}},
		{"header beyond ASCII", []f{{Claim: sub, Header: "X-Üser"}}, nil, []string{"Forward[0].Header"}},
		{"Kelvin sign", []f{{Claim: sub, Header: "X-\u212aey"}}, nil, []string{"Forward[0].Header"}},
		{"pseudo header", []f{{Claim: sub, Header: ":path"}}, nil, []string{"Forward[0].Header"}},
		{"Repeat, JSON", []f{{Claim: sub, Header: "X-User", Repeat: true, JSON: true}}, nil, []string{"Forward[0].Repeat, JSON"}},
		{"twice", []f{forwardUser, forwardUser}, nil, []string{"Forward[1].Header: is listed twice"}},
		{"twice, by case", []f{forwardUser, {Claim: []string{"x"}, Header: "x-uSER"}}, nil, []string{"Forward[1].Header: is listed twice"}},
		{"twice, with underscore", []f{{Claim: sub, Header: "X_User"}, forwardUser}, nil, []string{"Forward[1].Header: is listed twice"}},
		{"twice, with dot", []f{forwardUser, {Claim: sub, Header: "x.user"}}, nil, []string{"Forward[1].Header: is listed twice"}},
		{"a source", []f{{Claim: sub, Header: "X-Token"}}, []jwtvalidate.TokenSource{{Header: "X-Token"}}, []string{"Forward[0].Header: means something"}},
		{"a source, with underscore", []f{{Claim: sub, Header: "x_token"}}, []jwtvalidate.TokenSource{{Header: "X-Token", Scheme: "Bearer"}}, []string{"Forward[0].Header: means something"}},
		{"all at once", []f{{Repeat: true, JSON: true}, {Claim: []string{""}, Header: "Host", Repeat: true, JSON: true}, forwardUser, forwardUser}, []jwtvalidate.TokenSource{{}}, []string{
			"Sources[0]", "Forward[0].Claim", "Forward[0].Repeat, JSON", "Forward[0].Header: required", "Forward[1].Claim", "Forward[1].Repeat, JSON",
			"Forward[1].Header: means something", "Forward[3].Header: is listed twice",
		}},
	}
	for _, name := range []string{
		"Authorization", "authorization", "Host", "HOST", "Cookie", "Connection", "Content-Length", "content_length", "Content-Type", "Content.Encoding",
		"Transfer-Encoding", "Transfer_Encoding", "Te", "TE", "Trailer", "Upgrade", "Expect", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
		"Origin", "Via", "Forwarded", "Client-Cert", "Client_Cert_Chain",
		"Proxy-Authenticate", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
	} {
		rows = append(rows, row{name, []f{{Claim: sub, Header: name}}, nil, []string{"Forward[0].Header: means something"}})
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cfg := forwarding(row.list...)
			cfg.Sources = row.sources
			v, err := jwtvalidate.New(cfg)
			if len(row.wants) == 0 {
				require.NoError(t, err)
				require.NotNil(t, v)
				return
			}
			require.Nil(t, v)
			for _, want := range row.wants {
				require.ErrorContains(t, err, "jwtvalidate: "+want)
			}
			require.Len(t, strings.Split(err.Error(), "\n"), len(row.wants))
		})
	}
}

// A Config that is used again changes no Validator.
func TestForwardIsCopied(t *testing.T) {
	path, list := []string{"a", "v"}, []jwtvalidate.ForwardClaim{{Claim: nil, Header: "x-value"}}
	list[0].Claim = path
	w := newForwardWitness()
	h := validator(t, forwarding(list...)).Handler(w)
	path[0], path[1] = "sub", ""
	list[0] = jwtvalidate.ForwardClaim{Claim: []string{"iss"}, Header: "X-Other", Empty: true}
	record(h, request("Bearer "+es256(t, goodHeader, payload(`"a":{"v":"x"}`))))
	seen := w.saw(t).header
	require.Equal(t, []string{"x"}, seen["X-Value"])
	require.NotContains(t, seen, "X-Other")
}

// What one handler does to its headers, no other sees.
func TestForwardConcurrently(t *testing.T) {
	v := validator(t, forwarding(forwardUser, jwtvalidate.ForwardClaim{Claim: []string{"v"}, Header: "X-Value", Repeat: true}))
	vouched, err := jwtvalidate.NewClaims(map[string]any{"sub": "batch", "v": []string{"a", "b", "c"}})
	require.NoError(t, err)
	h := v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s%s%s", r.Header["X-User"], r.Header["X-Value"], r.Header["X-Own"])
		for _, lines := range r.Header {
			for i := range lines {
				lines[i] = "broken"
			}
		}
		r.Header["X-Value"] = append(r.Header["X-Value"][:1], "broken", "broken", "broken")
		r.Header.Set("X-User", "broken")
	}))
	tokens := make([]string, 8)
	for i := range tokens {
		tokens[i] = es256(t, goodHeader, payload(fmt.Sprintf(`"sub":"u%d","v":["a%d","b","c"]`, i, i)))
	}
	var wait sync.WaitGroup
	for i, token := range tokens {
		wait.Go(func() {
			for range 50 {
				r := request("Bearer " + token)
				r.Header["X-Own"], r.Header["X-User"] = []string{"x"}, []string{"admin"}
				if got, want := record(h, r).body, fmt.Sprintf("[u%d][a%d b c][x]", i, i); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				r = request()
				r = r.WithContext(v.WithClaims(r.Context(), vouched))
				if got := record(h, r).body; got != "[batch][a b c][]" {
					t.Errorf("vouched: got %s", got)
				}
			}
		})
	}
	wait.Wait()
}

// What is promised to stand in Authorization can be neither taken away nor given by
// the client.
func TestOnwardTokenOfOurs(t *testing.T) {
	token := es256(t, goodHeader, payload(`"sub":"ann"`))
	replace := func(context.Context, *jwtvalidate.Claims) (string, error) { return "service", nil }
	cookie := []jwtvalidate.TokenSource{{Cookie: "session"}}
	for _, row := range []struct {
		name  string
		cfg   jwtvalidate.Config
		lines string
		want  []string // Authorization, as the backend sees it
	}{
		{"twin: forward", jwtvalidate.Config{Onward: "forward"}, "Authorization: bearer " + token + "\n", []string{"Bearer " + token}},
		{"twin: forward from a cookie", jwtvalidate.Config{Onward: "forward", Sources: cookie}, "Cookie: session=" + token + "\n", []string{"Bearer " + token}},
		{"forward from a cookie, beside the client's own", jwtvalidate.Config{Onward: "forward", Sources: cookie}, "Cookie: session=" + token + "\nAuthorization: Bearer evil\nAuthorization: Bearer evil\n", []string{"Bearer " + token}},
		{"twin: replace", jwtvalidate.Config{OnwardToken: replace}, "Authorization: Bearer " + token + "\n", []string{"Bearer service"}},
		{"twin: strip", jwtvalidate.Config{Onward: "strip"}, "Authorization: Bearer " + token + "\n", nil},
		{"twin: anonymous", jwtvalidate.Config{OnwardToken: replace, Optional: true}, "", nil},
		{"H9 forward, Connection names it", jwtvalidate.Config{Onward: "forward"}, "Authorization: Bearer " + token + "\nConnection: authorization\n", []string{"Bearer " + token}},
		{"H9 forward from a cookie, Connection names it", jwtvalidate.Config{Onward: "forward", Sources: cookie}, "Cookie: session=" + token + "\nConnection: close, Authorization\n", []string{"Bearer " + token}},
		{"H9 replace, Connection names it", jwtvalidate.Config{OnwardToken: replace}, "Authorization: Bearer " + token + "\nConnection: Authorization\n", []string{"Bearer service"}},
		{"anonymous, with a token where ours would stand", jwtvalidate.Config{Onward: "forward", Sources: cookie, Optional: true}, "Authorization: Bearer evil\n", nil},
		{"anonymous, with a token where the service's would stand", jwtvalidate.Config{OnwardToken: replace, Sources: cookie, Optional: true}, "Authorization: Bearer evil\n", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newForwardWitness()
			row.cfg.Issuers = forwarding().Issuers
			g := forwardServe(t, validator(t, row.cfg).Handler(forwardProxy(t, w, forwardRewrite)))
			require.Equal(t, http.StatusNoContent, g.ask(t, forwardSpoof{lines: row.lines}.request("GET", "")).status)
			require.Equal(t, row.want, w.saw(t).header["Authorization"])
		})
	}

	t.Run("vouched for Require", func(t *testing.T) {
		w := newForwardWitness()
		cfg := forwarding()
		cfg.OnwardToken = replace
		v := validator(t, cfg)
		g := forwardServe(t, forwardVouch(t, v, v.Require(jwtvalidate.Claim("sub").Exists())(forwardProxy(t, w, forwardRewrite))))
		require.Equal(t, http.StatusNoContent, g.ask(t, forwardSpoof{}.request("GET", "")).status)
		require.Equal(t, []string{"Bearer service"}, w.saw(t).header["Authorization"])
	})
}

// A form's token is removed, also from a body that trailers follow.
func TestFormTokenBeforeTrailers(t *testing.T) {
	w := newForwardWitness()
	cfg := forwarding(forwardUser)
	cfg.Sources = []jwtvalidate.TokenSource{{InsecureForm: "access_token"}}
	g := forwardServe(t, validator(t, cfg).Handler(w))
	form := "access_token=" + es256(t, goodHeader, payload(`"sub":"ann"`)) + "&a=b"
	for _, s := range []forwardSpoof{
		{"twin: no trailers", "", "\n\n"},
		{"trailers", "Trailer: Foo\n", "\nFoo: bar\n\n"},
		{"H9 trailers that are ours", "Trailer: X-User\n", "\nX-User: admin\n\n"},
	} {
		t.Run(s.name, func(t *testing.T) {
			s.body = fmt.Sprintf("%x\n%s\n0", len(form), form) + s.body
			require.Equal(t, http.StatusNoContent, g.ask(t, s.request("POST", "Content-Type: application/x-www-form-urlencoded\n")).status)
			seen := w.saw(t)
			require.Equal(t, "a=b", seen.body)
			seen.requireUser(t, "ann")
		})
	}
}

// Two Validators, one inside the other, each send their own.
func TestForwardNested(t *testing.T) {
	outer := validator(t, forwarding(forwardUser, jwtvalidate.ForwardClaim{Claim: []string{"v"}, Header: "X-Value"}))
	inner := validator(t, forwarding(jwtvalidate.ForwardClaim{Claim: []string{"jti"}, Header: "X_User"}))
	w := newForwardWitness()
	r := request("Bearer " + es256(t, goodHeader, payload(`"sub":"ann","jti":"7","v":"x"`)))
	r.Header["X-User"], r.Header["X-Value"] = []string{"admin"}, []string{"admin"}
	record(outer.Handler(inner.Handler(w)), r)
	seen := w.saw(t).header
	require.Equal(t, http.Header{"X_user": {"7"}}, namedUser(seen), "the inner one's, in whatever spelling")
	require.Equal(t, []string{"x"}, seen["X-Value"])
	require.ElementsMatch(t, []string{"Authorization", "X_user", "X-Value"}, slices.Collect(maps.Keys(seen)))
}
