package jwtvalidate_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

const (
	issuerURL = "https://idp.example.com/"
	audience  = "https://api.example.com"
	epoch     = 1_800_000_000 // what the clock of the tests shows

	// canary stands in key ids and claims: no error, answer or log line may hold it.
	canary = "c4n4ry"
)

// A good token of the tests: its header for ES256, and its payload.
const (
	goodHeader  = `{"alg":"ES256","typ":"JWT","kid":"c4n4ry-kid"}`
	goodPayload = `{"iss":"https://idp.example.com/","aud":"https://api.example.com","sub":"c4n4ry-sub","jti":"c4n4ry-jti","exp":1800003600}`
)

func clock() time.Time { return time.Unix(epoch, 0) }

// payload is a good payload with further members.
func payload(members string) string {
	return `{"iss":"https://idp.example.com/","aud":"https://api.example.com","exp":1800003600,` + members + `}`
}

func once[T any](generate func() (T, error)) func() T {
	return sync.OnceValue(func() T {
		k, err := generate()
		if err != nil {
			panic(err)
		}
		return k
	})
}

func newRSA() (*rsa.PrivateKey, error)    { return rsa.GenerateKey(rand.Reader, 2048) }
func newP256() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// The issuer's keys, and those of an attacker.
var (
	rsaKey  = once(newRSA)
	ecKey   = once(newP256)
	p384Key = once(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) })
	p521Key = once(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) })
	edKey   = once(func() (ed25519.PrivateKey, error) {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	})
	secret = []byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")

	evilRSA = once(newRSA)
	evilEC  = once(newP256)
)

func allKeys() []crypto.PublicKey {
	return []crypto.PublicKey{
		&rsaKey().PublicKey, &ecKey().PublicKey, &p384Key().PublicKey, &p521Key().PublicKey, edKey().Public(),
	}
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// raw puts a token together from a header and a payload as they are, and any
// bytes as its signature.
func raw(header, payload string, signature []byte) string {
	return b64(header) + "." + b64(payload) + "." + b64(string(signature))
}

// mint signs a header and a payload as they are, with an algorithm that need not
// be the one that the header names. The key may be a secret's bytes.
func mint(tb testing.TB, alg jose.Alg, key any, header, payload string) string {
	tb.Helper()
	if b, ok := key.([]byte); ok {
		s, err := jose.NewSecret(b)
		require.NoError(tb, err)
		key = s
	}
	token, err := jose.Sign(alg, key, []byte(header), []byte(payload))
	require.NoError(tb, err)
	return token
}

// es256 is a token of the issuer.
func es256(tb testing.TB, header, payload string) string {
	tb.Helper()
	return mint(tb, jose.ES256, ecKey(), header, payload)
}

func good(tb testing.TB) string {
	tb.Helper()
	return es256(tb, goodHeader, goodPayload)
}

// source is a KeySource that counts how often it was asked.
type source struct {
	calls atomic.Int64
	find  func(kid, alg string) ([]crypto.PublicKey, error)
}

func (s *source) Keys(_ context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	s.calls.Add(1)
	return s.find(kid, alg)
}

// sourceOf answers every question with the same keys, whether they fit or not.
func sourceOf(keys ...crypto.PublicKey) *source {
	return &source{find: func(string, string) ([]crypto.PublicKey, error) { return keys, nil }}
}

func failing(err error) *source {
	return &source{find: func(string, string) ([]crypto.PublicKey, error) { return nil, err }}
}

// jwks is a source of the keys of a JWK set that may be used, by kid.
func jwks(tb testing.TB, text string) *source {
	tb.Helper()
	set, err := jose.ParseJWKSet(text, 1<<20, 100)
	require.NoError(tb, err)
	return &source{find: func(kid, alg string) (keys []crypto.PublicKey, _ error) {
		a, _ := jose.ParseAlg(alg)
		for _, k := range set {
			if k.Err == nil && k.JWK.Fits(a) && (kid == "" || kid == k.JWK.KeyID) {
				keys = append(keys, k.JWK.Key)
			}
		}
		return keys, nil
	}}
}

func mustSecret(tb testing.TB, b []byte) jwtvalidate.KeySource {
	tb.Helper()
	s, err := jwtvalidate.Secret(b)
	require.NoError(tb, err)
	return s
}

// policy trusts the issuer's keys of every kind for one algorithm of each.
func policy(keys jwtvalidate.KeySource) jwtvalidate.Issuer {
	return jwtvalidate.Issuer{
		URL: issuerURL, Algorithms: []string{"RS256", "ES256", "EdDSA"}, Keys: keys, Audiences: []string{audience},
	}
}

func validator(tb testing.TB, cfg jwtvalidate.Config) *jwtvalidate.Validator {
	tb.Helper()
	if cfg.Now == nil {
		cfg.Now = clock
	}
	v, err := jwtvalidate.New(cfg)
	require.NoError(tb, err)
	return v
}

// trust makes a validator of one policy.
func trust(tb testing.TB, edit func(*jwtvalidate.Issuer)) *jwtvalidate.Validator {
	tb.Helper()
	p := policy(sourceOf(allKeys()...))
	if edit != nil {
		edit(&p)
	}
	return validator(tb, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}})
}

// buffer is a log that may be written and read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// gate is a service behind a validator on a real server. It counts the requests
// that reach its handler.
type gate struct {
	*jwtvalidate.Validator
	server *httptest.Server
	ran    atomic.Int64
}

func newGate(t *testing.T, cfg jwtvalidate.Config) *gate {
	t.Helper()
	g := &gate{Validator: validator(t, cfg)}
	g.server = httptest.NewServer(g.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.ran.Add(1)
		w.WriteHeader(http.StatusNoContent)
	})))
	t.Cleanup(g.server.Close)
	return g
}

// answer is what a client sees.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request byte by byte as it stands. Line ends are \n here.
func (g *gate) ask(t *testing.T, request string) answer {
	t.Helper()
	conn, err := net.DialTimeout("tcp", g.server.Listener.Addr().String(), 10*time.Second)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n"))
	require.NoError(t, err)
	method, _, _ := strings.Cut(request, " ")
	return read(t, bufio.NewReader(conn), method)
}

func read(t *testing.T, r *bufio.Reader, method string) answer {
	t.Helper()
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{res.StatusCode, res.Header, string(body)}
}

// get sends a GET with these header lines.
func (g *gate) get(t *testing.T, lines ...string) answer {
	t.Helper()
	return g.ask(t, "GET /orders HTTP/1.1\nHost: api.example.com\n"+strings.Join(append(lines, "Connection: close"), "\n")+"\n\n")
}

// record asks a handler without a server.
func record(h http.Handler, r *http.Request) answer {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

func request(authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/orders", http.NoBody)
	if len(authorization) > 0 {
		r.Header["Authorization"] = authorization
	}
	return r
}

// The challenges of a validator without a realm of its own.
const (
	challengeNone    = `Bearer realm="api"`
	challengeRequest = `Bearer realm="api", error="invalid_request"`
	challengeToken   = `Bearer realm="api", error="invalid_token"`
)

// requireRefused holds an answer against the table of answers.
func requireRefused(t *testing.T, a answer, status int, challenge string) {
	t.Helper()
	require.Equal(t, status, a.status)
	require.Empty(t, a.body)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	if status == http.StatusServiceUnavailable {
		require.Empty(t, a.header.Values("WWW-Authenticate"), "a client would throw a good token away")
		require.NotEmpty(t, a.header.Get("Retry-After"))
	} else {
		require.Equal(t, []string{challenge}, a.header.Values("WWW-Authenticate"))
		require.Empty(t, a.header.Values("Retry-After"))
	}
	require.NotContains(t, fmt.Sprint(a.header), canary)
}
