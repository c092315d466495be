package jwtvalidate_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// Where requests come from: the proxy's address, and anybody's.
const (
	fromProxy    = "192.0.2.10:4711"
	fromStranger = "198.51.100.7:4711"
)

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range list {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// behind is a Config of a service behind the proxies.
func behind(proxies ...string) jwtvalidate.Config {
	return jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, TrustedProxies: prefixes(proxies...), Now: clock,
	}
}

// byteSequence is RFC 8941 section 3.3.5.
func byteSequence(b []byte) string { return ":" + base64.StdEncoding.EncodeToString(b) + ":" }

// sender is a client with a certificate, and a token that is bound to it.
type sender struct {
	der   []byte
	state *tls.ConnectionState
	token string
}

func newSender(t *testing.T, edit func(der []byte) []byte) sender {
	t.Helper()
	certificate, _ := clientCertificate(t, ecKey())
	der := certificate.Certificate[0]
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	if edit != nil {
		der = edit(der)
	}
	return sender{der, &tls.ConnectionState{PeerCertificates: []*x509.Certificate{parsed}}, boundTo(t, der)}
}

func boundTo(t *testing.T, der []byte) string {
	t.Helper()
	return bound(t, `{"x5t#S256":"`+thumbprint(der)+`"}`)
}

// RFC 9440: whose certificate counts.
func TestForwardedCertificate(t *testing.T) {
	ours, other := newSender(t, nil), newSender(t, nil)
	require.NotEqual(t, ours.der, other.der)
	mine, his := byteSequence(ours.der), byteSequence(other.der)
	unbound := good(t)
	for _, row := range []struct {
		name    string
		remote  string
		tls     *tls.ConnectionState
		header  http.Header
		token   string
		good    bool
		without bool // the verdict without TrustedProxies
	}{
		{"the client's", fromProxy, nil, http.Header{"Client-Cert": {mine}}, ours.token, true, false},
		{"another client's", fromProxy, nil, http.Header{"Client-Cert": {his}}, ours.token, false, false},
		{"none", fromProxy, nil, nil, ours.token, false, false},
		{"none, and the token is not bound", fromProxy, nil, nil, unbound, true, true},
		{"the client's, and the token is not bound", fromProxy, nil, http.Header{"Client-Cert": {mine}}, unbound, true, true},
		{"the client's, over the proxy's own TLS", fromProxy, other.state, http.Header{"Client-Cert": {mine}}, ours.token, true, false},
		{"the proxy's own TLS is not the client", fromProxy, ours.state, nil, ours.token, false, true},
		{"the proxy's own TLS beside another client", fromProxy, ours.state, http.Header{"Client-Cert": {his}}, ours.token, false, true},
		{"the proxy's own TLS beside a broken header", fromProxy, ours.state, http.Header{"Client-Cert": {"x"}}, ours.token, false, true},
		{"the proxy's own TLS beside an empty header", fromProxy, ours.state, http.Header{"Client-Cert": {""}}, ours.token, false, true},
		{"the proxy's own TLS beside a header without lines", fromProxy, ours.state, http.Header{"Client-Cert": {}}, ours.token, false, true},
		{"twice", fromProxy, nil, http.Header{"Client-Cert": {mine, mine}}, ours.token, false, false},
		{"twice, the client's first", fromProxy, nil, http.Header{"Client-Cert": {mine, his}}, ours.token, false, false},
		{"twice, the client's last", fromProxy, nil, http.Header{"Client-Cert": {his, mine}}, ours.token, false, false},
		{"twice, one empty", fromProxy, nil, http.Header{"Client-Cert": {"", mine}}, ours.token, false, false},
		{"in the chain only", fromProxy, nil, http.Header{"Client-Cert-Chain": {mine}}, ours.token, false, false},
		{"in the chain, behind another", fromProxy, nil, http.Header{"Client-Cert": {his}, "Client-Cert-Chain": {mine}}, ours.token, false, false},
		{"with a chain", fromProxy, nil, http.Header{"Client-Cert": {mine}, "Client-Cert-Chain": {his}}, ours.token, true, false},
		{"in a spelling that only gateways fold", fromProxy, nil, http.Header{"Client_cert": {mine}}, ours.token, false, false},
		{"in a header of other products", fromProxy, nil, http.Header{"X-Client-Cert": {mine}, "X-Ssl-Cert": {mine}, "X-Forwarded-Client-Cert": {mine}}, ours.token, false, false},

		{"a stranger's header", fromStranger, nil, http.Header{"Client-Cert": {mine}}, ours.token, false, false},
		{"a stranger who names the proxy", fromStranger, nil, http.Header{"Client-Cert": {mine}, "X-Forwarded-For": {fromProxy}, "Forwarded": {"for=192.0.2.10"}, "X-Real-Ip": {"192.0.2.10"}}, ours.token, false, false},
		{"a stranger's own TLS", fromStranger, ours.state, nil, ours.token, true, true},
		{"a stranger's own TLS, whatever the header says", fromStranger, ours.state, http.Header{"Client-Cert": {his}}, ours.token, true, true},
		{"a stranger's header over another's TLS", fromStranger, other.state, http.Header{"Client-Cert": {mine}}, ours.token, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, trusting := range []bool{true, false} {
				cfg, want := behind("192.0.2.10/32"), row.good
				if !trusting {
					cfg, want = behind(), row.without
				}
				v := validator(t, cfg)
				r := request("Bearer " + row.token)
				r.RemoteAddr, r.TLS = row.remote, row.tls
				maps.Copy(r.Header, row.header)
				before := r.Header.Clone()
				c, err := v.Check(r)
				require.Equal(t, want, err == nil, "trusting %v: %v", trusting, err)
				if !want {
					require.Nil(t, c)
					require.ErrorIs(t, err, jwtvalidate.ErrConfirmation)
					requireRefused(t, record(v.Handler(whoami), r), http.StatusUnauthorized, challengeToken)
				} else {
					require.Equal(t, http.StatusOK, record(v.Handler(whoami), r).status)
				}
				require.Equal(t, before, r.Header, "the caller's request stays as it is")
			}
		})
	}
	t.Run("an own Confirm decides alone", func(t *testing.T) {
		cfg := behind("192.0.2.10/32")
		cfg.Issuers[0].Confirm = func(r *http.Request, _ *jwtvalidate.Claims) error {
			if r.Header.Get("Client-Cert") != "" {
				return fmt.Errorf("it sees %q", r.Header["Client-Cert"])
			}
			return nil
		}
		v := validator(t, cfg)
		for remote, want := range map[string]error{fromProxy: jwtvalidate.ErrConfirmation, fromStranger: nil} {
			r := request("Bearer " + ours.token)
			r.RemoteAddr = remote
			r.Header.Set("Client-Cert", mine)
			status := http.StatusOK
			if want != nil {
				status = http.StatusUnauthorized
			}
			require.Equal(t, status, record(v.Handler(whoami), r).status, "what a stranger sends is gone before: %s", remote)
		}
	})
}

// RFC 8941 section 3.3.5, and nothing that some reader would take for it.
func TestForwardedCertificateSyntax(t *testing.T) {
	// Lengths of which base64 has two, one and no characters of padding.
	padded := func(rest int) func([]byte) []byte {
		return func(der []byte) []byte { return append(der, make([]byte, (rest+3-len(der)%3)%3)...) }
	}
	two := newSender(t, padded(1))
	none := newSender(t, padded(0))
	signs := newSender(t, func([]byte) []byte { return []byte("\xfb\xef\xff\xfe\xff\xfe") }) // ++//
	text := func(s sender) string { return base64.StdEncoding.EncodeToString(s.der) }
	require.True(t, strings.HasSuffix(text(two), "=="))
	require.False(t, strings.HasSuffix(text(none), "="))
	require.Contains(t, text(signs), "+")
	pemText := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: two.der}))
	cut := strings.TrimRight(text(two), "=")

	for _, row := range []struct {
		name string
		who  sender
		line string
		good bool
	}{
		{"with padding", two, ":" + text(two) + ":", true},
		{"without, where none is due", none, ":" + text(none) + ":", true},
		{"with + and /", signs, ":" + text(signs) + ":", true},
		{"padding is missing", two, ":" + cut + ":", false},
		{"half of the padding", two, ":" + cut + "=:", false},
		{"too much padding", two, ":" + cut + "===:", false},
		{"padding where none is due", none, ":" + text(none) + "==:", false},
		{"bits behind the end", two, ":" + cut[:len(cut)-1] + "B==:", false},
		{"base64url", signs, ":" + base64.URLEncoding.EncodeToString(signs.der) + ":", false},
		{"no colons", two, text(two), false},
		{"no colon before", two, text(two) + ":", false},
		{"no colon behind", two, ":" + text(two), false},
		{"two colons before", two, "::" + text(two) + ":", false},
		{"two colons behind", two, ":" + text(two) + "::", false},
		{"one colon", two, ":", false},
		{"empty", two, "::", false},
		{"only padding", two, ":====:", false},
		{"nothing", two, "", false},
		{"blanks", two, ": :", false},
		{"a blank before", two, " :" + text(two) + ":", false},
		{"a blank behind", two, ":" + text(two) + ": ", false},
		{"a blank within", two, ":" + text(two)[:8] + " " + text(two)[8:] + ":", false},
		{"a line break within", two, ":" + text(two)[:64] + "\n" + text(two)[64:] + ":", false},
		{"a line break of Windows within", two, ":" + text(two)[:64] + "\r\n" + text(two)[64:] + ":", false},
		{"a line break at the end", two, ":" + text(two) + "\n:", false},
		{"a folded line", two, ":" + text(two)[:64] + "\r\n " + text(two)[64:] + ":", false},
		{"NUL within", two, ":" + text(two)[:64] + "\x00" + text(two)[64:] + ":", false},
		{"a parameter", two, ":" + text(two) + ":;a=1", false},
		{"a parameter without value", two, ":" + text(two) + ":;a", false},
		{"a list", two, ":" + text(two) + ":, :" + text(none) + ":", false},
		{"a list of one", two, ":" + text(two) + ":,", false},
		{"an inner list", two, "(:" + text(two) + ":)", false},
		{"a string", two, `"` + text(two) + `"`, false},
		{"a token", two, "*" + cut, false},
		{"hex", two, ":" + hex.EncodeToString(two.der) + ":", false},
		{"DER", two, ":" + string(two.der) + ":", false},
		{"PEM", two, pemText, false},
		{"PEM, escaped", two, url.PathEscape(pemText), false},
		{"PEM, as a byte sequence", two, ":" + base64.StdEncoding.EncodeToString([]byte(pemText)) + ":", false},
		{"with a tail", two, byteSequence(append(bytes.Clone(two.der), 0)), false},
		{"cut off", two, byteSequence(two.der[:len(two.der)-1]), false},
		{"a megabyte", two, byteSequence(make([]byte, 1<<20)), false},
		{"a megabyte of colons", two, strings.Repeat(":", 1<<20), false},
		{"a megabyte of line breaks", two, ":" + strings.Repeat("\n", 1<<20) + text(two) + ":", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := validator(t, behind("192.0.2.10/32"))
			r := request("Bearer " + row.who.token)
			r.RemoteAddr = fromProxy
			r.Header["Client-Cert"] = []string{row.line}
			_, err := v.Check(r)
			if row.good {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, jwtvalidate.ErrConfirmation)
		})
	}
	t.Run("a token that is bound to nothing", func(t *testing.T) {
		v := validator(t, behind("192.0.2.10/32"))
		for _, line := range []string{"::", ":", "", ":====:"} {
			r := request("Bearer " + boundTo(t, nil))
			r.RemoteAddr = fromProxy
			r.Header["Client-Cert"] = []string{line}
			_, err := v.Check(r)
			require.ErrorIs(t, err, jwtvalidate.ErrConfirmation, line)
		}
	})
}

// Who is a proxy: believing and stripping go by the same answer.
func TestTrustedAddresses(t *testing.T) {
	who := newSender(t, nil)
	for _, row := range []struct {
		name    string
		proxies []string
		remote  string
		trusted bool
	}{
		{"IPv4", []string{"192.0.2.10/32"}, "192.0.2.10:1", true},
		{"IPv4, the next", []string{"192.0.2.10/32"}, "192.0.2.11:1", false},
		{"IPv4, the one before", []string{"192.0.2.10/32"}, "192.0.2.9:1", false},
		{"first of a prefix", []string{"192.0.2.64/26"}, "192.0.2.64:1", true},
		{"last of a prefix", []string{"192.0.2.64/26"}, "192.0.2.127:65535", true},
		{"before a prefix", []string{"192.0.2.64/26"}, "192.0.2.63:1", false},
		{"behind a prefix", []string{"192.0.2.64/26"}, "192.0.2.128:1", false},
		{"one of two prefixes", []string{"192.0.2.0/32", "198.51.100.0/24"}, "198.51.100.7:1", true},
		{"IPv6", []string{"2001:db8::a/128"}, "[2001:db8::a]:1", true},
		{"IPv6, written out", []string{"2001:db8::a/128"}, "[2001:0db8:0:0:0:0:0:a]:1", true},
		{"IPv6, the next", []string{"2001:db8::a/128"}, "[2001:db8::b]:1", false},
		{"IPv6, last of a prefix", []string{"2001:db8::/64"}, "[2001:db8::ffff:ffff:ffff:ffff]:1", true},
		{"IPv6, behind a prefix", []string{"2001:db8::/64"}, "[2001:db8:0:1::]:1", false},
		{"IPv4-mapped", []string{"192.0.2.10/32"}, "[::ffff:192.0.2.10]:1", true},
		{"IPv4-mapped, in hex", []string{"192.0.2.10/32"}, "[::ffff:c000:20a]:1", true},
		{"IPv4-mapped, the next", []string{"192.0.2.10/32"}, "[::ffff:192.0.2.11]:1", false},
		{"IPv4-compatible is IPv6", []string{"192.0.2.10/32"}, "[::192.0.2.10]:1", false},
		{"NAT64 is IPv6", []string{"192.0.2.10/32"}, "[64:ff9b::c000:20a]:1", false},
		{"IPv4-mapped in a prefix of IPv6", []string{"::/1"}, "[::ffff:192.0.2.10]:1", false},
		{"IPv4 in a prefix of IPv6", []string{"::/1"}, "192.0.2.10:1", false},
		{"IPv6 in a prefix of IPv4", []string{"0.0.0.0/1"}, "[::1]:1", false},
		{"loopback", []string{"127.0.0.0/8", "::1/128"}, "[::1]:1", true},
		{"with zone", []string{"fe80::1/128"}, "[fe80::1%eth0]:1", true},
		{"with zone, the next", []string{"fe80::1/128"}, "[fe80::2%eth0]:1", false},
		{"IPv4-mapped, with zone", []string{"192.0.2.10/32"}, "[::ffff:192.0.2.10%eth0]:1", true},
		{"without port", []string{"192.0.2.10/32"}, "192.0.2.10", false},
		{"IPv6 without port", []string{"2001:db8::a/128"}, "2001:db8::a", false},
		{"IPv6 without brackets", []string{"2001:db8::a/128"}, "2001:db8::a:1", false},
		{"a port out of range", []string{"192.0.2.10/32"}, "192.0.2.10:65536", false},
		{"leading zeros", []string{"192.0.2.10/32"}, "192.0.2.010:1", false},
		{"a short form", []string{"127.0.0.1/32"}, "127.1:1", false},
		{"a number", []string{"127.0.0.1/32"}, "2130706433:1", false},
		{"a blank", []string{"192.0.2.10/32"}, " 192.0.2.10:1", false},
		{"two addresses", []string{"192.0.2.10/32"}, "192.0.2.10, 198.51.100.7:1", false},
		{"a name", []string{"127.0.0.1/32"}, "localhost:1", false},
		{"empty", []string{"0.0.0.0/32", "::/128"}, "", false},
		{"a unix socket", []string{"0.0.0.0/32", "::/128"}, "@", false},
		{"a unix socket with a name", []string{"127.0.0.1/32"}, "/run/127.0.0.1:1", false},
		{"garbage", []string{"127.0.0.1/32"}, "\x00\xff", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := validator(t, behind(row.proxies...))
			r := request("Bearer " + who.token)
			r.RemoteAddr = row.remote
			r.Header.Set("Client-Cert", byteSequence(who.der))
			_, err := v.Check(r)
			require.Equal(t, row.trusted, err == nil)
			if !row.trusted {
				require.ErrorIs(t, err, jwtvalidate.ErrConfirmation)
			}
			r.Header.Set("Authorization", "Bearer "+good(t))
			var seen http.Header
			record(v.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header })), r)
			require.Equal(t, row.trusted, seen.Get("Client-Cert") != "", "it stays where it is believed, and only there")
		})
	}
}

// spellings are what some server behind takes for Client-Cert or Client-Cert-Chain.
var spellings = []string{
	"Client-Cert", "client-cert", "CLIENT-CERT", "Client_Cert", "client_cert", "Client_cert", "client.cert", "Client~Cert",
	"Client-Cert-Chain", "client_cert_chain", "Client-Cert_Chain", "CLIENT_CERT-CHAIN",
}

// What a stranger says about certificates reaches nobody, whatever became of the request.
func TestClientCertIsStripped(t *testing.T) {
	const canaryCert = ":c4n4ry:"
	var seen *http.Request
	spy := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r })
	batch, err := jwtvalidate.NewClaims(map[string]any{"sub": "batch"})
	require.NoError(t, err)
	exists := jwtvalidate.Claim("sub").Exists()

	for _, row := range []struct {
		name  string
		edit  func(*http.Request)
		stack func(v *jwtvalidate.Validator) http.Handler
	}{
		{"accepted", nil, func(v *jwtvalidate.Validator) http.Handler { return v.Handler(spy) }},
		{"refused", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, func(v *jwtvalidate.Validator) http.Handler { return v.Handler(okay) }},
		{"refused for lack of a certificate", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+boundTo(t, []byte("x"))) }, func(v *jwtvalidate.Validator) http.Handler { return v.Handler(okay) }},
		{"no token", func(r *http.Request) { r.Header.Del("Authorization") }, func(v *jwtvalidate.Validator) http.Handler { return v.Handler(spy) }},
		{"preflight", func(r *http.Request) {
			r.Method = http.MethodOptions
			r.Header.Set("Origin", "https://app.example.com")
			r.Header.Set("Access-Control-Request-Method", "PUT")
		}, func(v *jwtvalidate.Validator) http.Handler { return v.Handler(okay) }},
		{"Require", nil, func(v *jwtvalidate.Validator) http.Handler { return v.Require(exists)(spy) }},
		{"refused by Require", nil, func(v *jwtvalidate.Validator) http.Handler {
			return v.Require(jwtvalidate.Claim("none").Exists())(okay)
		}},
		{"Handler and Require", nil, func(v *jwtvalidate.Validator) http.Handler { return v.Handler(v.Require(exists)(spy)) }},
		{"claims of another authenticator", func(r *http.Request) { r.Header.Del("Authorization") }, func(v *jwtvalidate.Validator) http.Handler {
			return vouching(v, batch, v.Handler(spy))
		}},
		{"claims of another authenticator, and Require alone", func(r *http.Request) { r.Header.Del("Authorization") }, func(v *jwtvalidate.Validator) http.Handler {
			return vouching(v, batch, v.Require(exists)(spy))
		}},
		{"refused by Require, with claims of another authenticator", nil, func(v *jwtvalidate.Validator) http.Handler {
			return vouching(v, batch, v.Require(jwtvalidate.Claim("none").Exists())(okay))
		}},
	} {
		for _, way := range []struct {
			name    string
			proxies []string
			remote  string
			stays   bool
		}{
			{"a stranger", []string{"192.0.2.10/32"}, fromStranger, false},
			{"the proxy", []string{"192.0.2.10/32"}, fromProxy, true},
			{"no proxies: nothing is looked at", nil, fromStranger, true},
		} {
			t.Run(row.name+", "+way.name, func(t *testing.T) {
				seen = nil
				cfg := behind(way.proxies...)
				cfg.Optional, cfg.Preflight = row.name == "no token", spy
				cfg.OnError = func(w http.ResponseWriter, r *http.Request, err error) {
					jwtvalidate.WriteError(w, r, err)
					seen = r
				}
				r := request("Bearer " + es256(t, goodHeader, payload(`"sub":"ann"`)))
				r.RemoteAddr = way.remote
				r.Trailer = http.Header{"X-Checksum": nil}
				r.Header["Connection"] = []string{"Client-Cert, X-Other", "client_cert", "keep-alive,Client-Cert-Chain"}
				for _, name := range spellings {
					r.Header[name] = []string{canaryCert, canaryCert}
					r.Trailer[name] = []string{canaryCert}
				}
				r.Header["X-Client-Cert"] = []string{"another header"}
				r.Header["Client-Certificate"] = []string{"another header"}
				if row.edit != nil {
					row.edit(r)
				}
				before, trailer := r.Header.Clone(), r.Trailer.Clone()
				row.stack(validator(t, cfg)).ServeHTTP(httptest.NewRecorder(), r)
				require.NotNil(t, seen)
				require.Equal(t, before, r.Header, "the caller's request stays as it is")
				require.Equal(t, trailer, r.Trailer)
				if way.stays && way.proxies == nil {
					require.Equal(t, before, seen.Header)
					return
				}
				if way.stays { // what the proxy does not send under these very names is nobody's word
					require.Equal(t, before["Client-Cert"], seen.Header["Client-Cert"])
					require.Equal(t, before["Client-Cert-Chain"], seen.Header["Client-Cert-Chain"])
					return
				}
				require.NotContains(t, fmt.Sprint(seen.Header, seen.Trailer), canary)
				require.Equal(t, []string{"X-Other", "keep-alive"}, seen.Header["Connection"])
				require.Contains(t, seen.Trailer, "X-Checksum")
				require.Equal(t, "another header", seen.Header.Get("X-Client-Cert"))
				require.Equal(t, "another header", seen.Header.Get("Client-Certificate"))
			})
		}
	}
}

// vouching is another authenticator that trusts everybody.
func vouching(v *jwtvalidate.Validator, c *jwtvalidate.Claims, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(v.WithClaims(r.Context(), c)))
	})
}

// What a client must not set is guarded wherever claims come from.
func TestVouchedRequestsAreGuarded(t *testing.T) {
	var seen http.Header
	spy := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header })
	batch, err := jwtvalidate.NewClaims(map[string]any{"sub": "batch"})
	require.NoError(t, err)
	cfg := behind()
	cfg.Forward = []jwtvalidate.ForwardClaim{{Claim: []string{"sub"}, Header: "X-User"}, {Claim: []string{"role"}, Header: "X-Role"}}
	cfg.OnwardToken = func(_ context.Context, c *jwtvalidate.Claims) (string, error) { return "for-" + c.Subject(), nil }
	v := validator(t, cfg)
	exists := jwtvalidate.Claim("sub").Exists()
	for name, h := range map[string]http.Handler{
		"Handler": v.Handler(spy), "Handler and Require": v.Handler(v.Require(exists)(v.Require(exists)(spy))),
		"Require": v.Require(exists)(spy), "Require twice": v.Require(exists)(v.Require(exists)(spy)),
	} {
		t.Run(name, func(t *testing.T) {
			seen = nil
			r := request()
			r.Header = http.Header{"X-User": {"admin"}, "x_user": {"admin"}, "X-Role": {"admin"}}
			record(vouching(v, batch, h), r)
			require.Equal(t, http.Header{"X-User": {"batch"}, "Authorization": {"Bearer for-batch"}}, seen)
		})
	}
}

// The same on the wire: a service that is itself a proxy for others.
func TestClientCertOnTheWire(t *testing.T) {
	got := make(chan *http.Request, 1)
	last := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got <- r
	}))
	defer last.Close()
	target, err := url.Parse(last.URL)
	require.NoError(t, err)
	who := newSender(t, nil)

	for name, row := range map[string]struct {
		proxies []string
		status  int
	}{
		"a stranger": {[]string{"192.0.2.10/32"}, http.StatusUnauthorized},
		"the proxy":  {[]string{"127.0.0.0/8", "::1/128"}, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			onward := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}
			g := &gate{Validator: validator(t, behind(row.proxies...))}
			g.server = httptest.NewServer(g.Handler(onward))
			defer g.server.Close()
			header := "\nHost: x\nClient-Cert: " + byteSequence(who.der) + "\nclient_cert: c4n4ry\nCLIENT-CERT-CHAIN: c4n4ry\n"

			bounded := g.ask(t, "GET / HTTP/1.1"+header+"Authorization: Bearer "+who.token+"\n\n")
			require.Equal(t, row.status, bounded.status)
			if row.status == http.StatusOK {
				require.NotEmpty(t, (<-got).Header["Client-Cert"])
				return
			}
			requireRefused(t, bounded, row.status, challengeToken)

			answered := g.ask(t, "GET / HTTP/1.1"+header+"Connection: Client-Cert, client_cert\nAuthorization: Bearer "+good(t)+"\n\n")
			require.Equal(t, http.StatusOK, answered.status, "not bound, so it goes on")
			require.NotContains(t, fmt.Sprint((<-got).Header), canary)
		})
	}
}

// A trailer comes when the decision is long past.
func TestClientCertInTrailer(t *testing.T) {
	for name, announced := range map[string]string{
		"announced": "Trailer: Client-Cert, X-Sum\n", "only another is announced": "Trailer: X-Sum\n", "nothing is announced": "",
	} {
		t.Run(name, func(t *testing.T) {
			v := validator(t, behind("192.0.2.10/32"))
			g := &gate{Validator: v}
			g.server = httptest.NewServer(v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, r.Header, r.Trailer)
			})))
			defer g.server.Close()
			got := g.ask(t, "POST / HTTP/1.1\nHost: x\nTE: trailers\n"+announced+"Transfer-Encoding: chunked\nAuthorization: Bearer "+good(t)+
				"\n\n1\nx\n0\nClient-Cert: :c4n4ry:\nclient_cert: c4n4ry\nX-Sum: 1\n\n")
			require.Equal(t, http.StatusOK, got.status)
			require.NotContains(t, got.body, canary)
			require.Equal(t, announced != "", strings.Contains(got.body, "X-Sum:[1]"), got.body)
		})
	}
}

// HTTP/2 has no Connection, and lower case on the wire.
func TestClientCertOverHTTP2(t *testing.T) {
	who := newSender(t, nil)
	v := validator(t, behind("192.0.2.10/32"))
	server := httptest.NewUnstartedServer(v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, len(r.Header["Client-Cert"])) })))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	defer server.Close()
	for token, want := range map[string]string{good(t): "HTTP/2.00", who.token: ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Client-Cert", byteSequence(who.der))
		res, err := server.Client().Do(r)
		require.NoError(t, err)
		body, _ := bufio.NewReader(res.Body).ReadString(0)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, body)
		require.Equal(t, want == "", res.StatusCode == http.StatusUnauthorized)
	}
}

func TestTrustedProxiesConfig(t *testing.T) {
	for _, row := range []struct {
		name   string
		prefix netip.Prefix
		good   bool
	}{
		{"IPv4", netip.MustParsePrefix("192.0.2.10/32"), true},
		{"IPv6", netip.MustParsePrefix("2001:db8::/48"), true},
		{"with host bits", netip.MustParsePrefix("192.0.2.77/26"), false},
		{"the zero prefix", netip.Prefix{}, false},
		{"more bits than there are", netip.PrefixFrom(netip.MustParseAddr("192.0.2.10"), 33), false},
		{"fewer bits than none", netip.PrefixFrom(netip.MustParseAddr("192.0.2.10"), -1), false},
		{"all of IPv4", netip.MustParsePrefix("0.0.0.0/0"), false},
		{"all of IPv6", netip.MustParsePrefix("::/0"), false},
		{"everybody, by one address", netip.MustParsePrefix("192.0.2.10/0"), false},
		{"IPv4-mapped", netip.PrefixFrom(netip.MustParseAddr("::ffff:192.0.2.10"), 128), false},
		{"IPv4-mapped, all", netip.PrefixFrom(netip.MustParseAddr("::ffff:0.0.0.0"), 96), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := behind()
			cfg.TrustedProxies = []netip.Prefix{row.prefix, netip.MustParsePrefix("192.0.2.10/32"), row.prefix}
			_, err := jwtvalidate.New(cfg)
			if row.good {
				require.NoError(t, err)
				return
			}
			cfg.Issuers = nil
			_, err = jwtvalidate.New(cfg)
			for _, want := range []string{"jwtvalidate: TrustedProxies[0]: ", "jwtvalidate: TrustedProxies[2]: ", "jwtvalidate: Issuers: "} {
				require.ErrorContains(t, err, want, "all at once")
			}
			require.NotContains(t, err.Error(), "TrustedProxies[1]")
		})
	}
	t.Run("the list is copied", func(t *testing.T) {
		who := newSender(t, nil)
		cfg := behind("192.0.2.10/32")
		v := validator(t, cfg)
		cfg.TrustedProxies[0] = netip.MustParsePrefix("198.51.100.0/24")
		r := request("Bearer " + who.token)
		r.Header.Set("Client-Cert", byteSequence(who.der))
		r.RemoteAddr = fromStranger
		_, err := v.Check(r)
		require.ErrorIs(t, err, jwtvalidate.ErrConfirmation)
		r.RemoteAddr = fromProxy
		_, err = v.Check(r)
		require.NoError(t, err)
	})
	t.Run("an empty list is none", func(t *testing.T) {
		cfg := behind()
		cfg.TrustedProxies = []netip.Prefix{}
		r := request("Bearer " + good(t))
		r.Header.Set("Client-Cert", "x")
		var seen http.Header
		record(validator(t, cfg).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header })), r)
		require.Equal(t, "x", seen.Get("Client-Cert"))
	})
}
