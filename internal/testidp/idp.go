package testidp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Audience is what tokens are for unless they say otherwise.
const Audience = "https://api.example.com"

// Paths of what an IDP serves.
const (
	MetadataPath = "/.well-known/openid-configuration"
	OAuthPath    = "/.well-known/oauth-authorization-server"
	JWKSPath     = "/jwks"
	TokenPath    = "/token"
)

// IDP is one issuer. It is safe for concurrent use.
type IDP struct {
	tb     testing.TB
	server *httptest.Server

	mu       sync.Mutex
	serial   int
	keys     []Key // published; the last one signs
	extra    []string
	override map[string]http.HandlerFunc // by path
	requests map[string]int              // by path
}

// Key is a signing key with the id under which it is published.
type Key struct {
	ID     string
	Alg    jose.Alg
	Signer crypto.Signer
}

// New starts an issuer on a loopback address, with one key.
func New(tb testing.TB, alg jose.Alg) *IDP {
	tb.Helper()
	p := prepare(tb, alg)
	p.server.Start()
	return p
}

// NewTLS is New with https; Server().Certificate() is its own authority.
func NewTLS(tb testing.TB, alg jose.Alg) *IDP {
	tb.Helper()
	p := prepare(tb, alg)
	p.server.StartTLS()
	return p
}

func prepare(tb testing.TB, alg jose.Alg) *IDP {
	tb.Helper()
	p := &IDP{tb: tb, override: make(map[string]http.HandlerFunc), requests: make(map[string]int)}
	p.Rotate(alg, false)
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	tb.Cleanup(func() {
		p.server.CloseClientConnections() // a stalled answer must not hold up the end of the test
		p.server.Close()
	})
	return p
}

// Server is the server underneath.
func (p *IDP) Server() *httptest.Server { return p.server }

// Issuer is the issuer's URL.
func (p *IDP) Issuer() string { return p.server.URL }

// JWKSURL is where the JWK set is.
func (p *IDP) JWKSURL() string { return p.server.URL + JWKSPath }

// Requests counts what has been asked for at a path.
func (p *IDP) Requests(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[path]
}

// Rotate makes a new signing key. The keys before it stay published, or not.
func (p *IDP) Rotate(alg jose.Alg, keep bool) Key {
	p.tb.Helper()
	key := Key{Alg: alg, Signer: GenerateKey(p.tb, alg)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serial++
	key.ID = fmt.Sprintf("key-%d", p.serial)
	if !keep {
		p.keys = nil
	}
	p.keys = append(p.keys, key)
	return key
}

// GenerateKey makes a key for an asymmetric algorithm.
func GenerateKey(tb testing.TB, alg jose.Alg) crypto.Signer {
	tb.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.ES512:
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case jose.EdDSA, jose.Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		tb.Fatalf("testidp: %v", err)
	}
	return key
}

// Publish adds JWKs, as they are, to the set in front of the issuer's own.
func (p *IDP) Publish(jwks ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.extra = append(p.extra, jwks...)
}

// Answer replaces what is served at a path; nil is the truth again.
func (p *IDP) Answer(path string, h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.override[path] = h
}

// Stall makes a path hang until release is called, the client leaves or the test
// ends. Each request that hangs is sent to arrived.
func (p *IDP) Stall(path string) (arrived <-chan struct{}, release func()) {
	came, gone := make(chan struct{}, 1024), make(chan struct{})
	p.Answer(path, func(w http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		select {
		case <-gone:
			p.honest(w, r)
		case <-r.Context().Done():
		}
	})
	return came, sync.OnceFunc(func() {
		p.Answer(path, nil)
		close(gone)
	})
}

// Body answers with a status, a content type and a body.
func Body(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func (p *IDP) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests[r.URL.Path]++
	h := p.override[r.URL.Path]
	p.mu.Unlock()
	if h == nil {
		h = p.honest
	}
	h(w, r)
}

func (p *IDP) honest(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case MetadataPath, OAuthPath:
		p.json(w, map[string]any{
			"issuer": p.Issuer(), "jwks_uri": p.JWKSURL(), "token_endpoint": p.Issuer() + TokenPath,
		})
	case JWKSPath:
		Body(http.StatusOK, "application/jwk-set+json", p.JWKS())(w, r)
	case TokenPath:
		p.json(w, map[string]any{"access_token": p.Token(nil), "token_type": "Bearer", "expires_in": 3600})
	default:
		http.NotFound(w, r)
	}
}

func (p *IDP) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.tb.Errorf("testidp: %v", err)
	}
}

// JWKS is the JWK set that the issuer publishes now.
func (p *IDP) JWKS() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := append([]string(nil), p.extra...)
	for _, key := range p.keys {
		jwk, err := jose.MarshalJWK(key.Signer.Public(), key.ID, key.Alg)
		if err != nil {
			p.tb.Errorf("testidp: %v", err)
		}
		list = append(list, string(jwk))
	}
	return `{"keys":[` + strings.Join(list, ",") + `]}`
}

// Key is the key that signs now.
func (p *IDP) Key() Key {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[len(p.keys)-1]
}

// Token mints a good access token (RFC 9068), signed by the current key. The
// claims given replace those of the same name; nil leaves one out.
func (p *IDP) Token(claims map[string]any) string {
	p.tb.Helper()
	now := time.Now()
	all := map[string]any{
		"iss": p.Issuer(), "aud": Audience, "sub": "user", "client_id": "client", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	payload, err := json.Marshal(all)
	if err != nil {
		p.tb.Fatalf("testidp: %v", err)
	}
	return p.Key().Mint(p.tb, "at+jwt", string(payload))
}

// Mint signs any payload.
func (k Key) Mint(tb testing.TB, typ, payload string) string {
	tb.Helper()
	header, err := jose.Protected(k.Alg, typ, k.ID)
	if err != nil {
		tb.Fatalf("testidp: %v", err)
	}
	token, err := jose.Sign(k.Alg, k.Signer, header, []byte(payload))
	if err != nil {
		tb.Fatalf("testidp: %v", err)
	}
	return token
}
