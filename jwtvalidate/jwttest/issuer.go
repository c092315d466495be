package jwttest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// The issuer's URL and the audience of its tokens.
const (
	url      = "https://issuer.test"
	audience = "https://api.test"
)

// Issuer is an issuer of ES256 tokens. It is a jwtvalidate.KeySource, and safe
// for concurrent use.
type Issuer struct {
	tb testing.TB

	mu      sync.Mutex
	serial  int
	signing *ecdsa.PrivateKey
	public  map[string][]crypto.PublicKey // by kid
	down    error
}

// New makes an issuer with one key. Mistakes in its use fail tb.
func New(tb testing.TB) *Issuer {
	tb.Helper()
	i := &Issuer{tb: tb}
	i.Rotate()
	return i
}

// Policy is what a jwtvalidate.Config needs to trust this issuer: its URL,
// algorithm, keys and one audience. Change what your service has otherwise;
// tokens follow Token's claims, not the policy.
func (i *Issuer) Policy() jwtvalidate.Issuer {
	return jwtvalidate.Issuer{URL: url, Algorithms: []string{"ES256"}, Keys: i, Audiences: []string{audience}}
}

// Token mints a token that is good for Policy: typ at+jwt, one hour, with the
// claims of RFC 9068 and the subject "user". The claims given replace those of
// the same name; a nil value leaves one out. Nil: none.
func (i *Issuer) Token(claims map[string]any) string {
	i.tb.Helper()
	return i.mint("at+jwt", claims)
}

// Bad mints a token that must not pass, by what is wrong with it: "alg none",
// "audience", "expired", "forged" (the payload changed behind the signature),
// "issuer", "kid" (unknown), "malformed", "not yet valid", "signature" (another
// key's) or "type" (a logout token). Another name fails the test.
func (i *Issuer) Bad(kind string) string {
	i.tb.Helper()
	bad := map[string]func() string{
		"alg none": func() string {
			_, rest, _ := strings.Cut(i.Token(nil), ".")
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + rest
		},
		"audience": func() string { return i.Token(map[string]any{"aud": "https://other.test"}) },
		"expired": func() string {
			return i.Token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix(), "iat": time.Now().Add(-2 * time.Hour).Unix()})
		},
		"forged": func() string {
			parts := strings.Split(i.Token(nil), ".")
			parts[1] = strings.Split(i.Token(map[string]any{"sub": "admin"}), ".")[1]
			return strings.Join(parts, ".")
		},
		"issuer": func() string { return i.Token(map[string]any{"iss": "https://other.test"}) },
		"kid": func() string {
			stranger := &Issuer{tb: i.tb, serial: 1 << 20}
			stranger.Rotate()
			return stranger.Token(nil)
		},
		"malformed":     func() string { return "not.a.token" },
		"not yet valid": func() string { return i.Token(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}) },
		"signature": func() string {
			i.mu.Lock()
			stranger := &Issuer{tb: i.tb, serial: i.serial - 1} // the same kid, another key
			i.mu.Unlock()
			stranger.Rotate()
			return stranger.Token(nil)
		},
		"type": func() string { return i.mint("logout+jwt", nil) },
	}
	mint, known := bad[kind]
	if !known {
		i.tb.Fatalf("jwttest: Bad(%q): want one of %q", kind, slices.Sorted(maps.Keys(bad)))
	}
	return mint()
}

// Rotate makes a new signing key and forgets the ones before: tokens that were
// minted with them are refused from now on.
func (i *Issuer) Rotate() {
	i.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.tb.Fatalf("jwttest: %v", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.serial++
	i.signing = key
	i.public = map[string][]crypto.PublicKey{i.kid(): {&key.PublicKey}}
}

// Outage makes the keys unavailable, or available again: while they are not, every
// token is answered 503 that is not refused before its key is asked for, as an expired
// or a malformed one is.
func (i *Issuer) Outage(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = nil
	if down {
		i.down = errors.New("jwttest: outage")
	}
}

// Keys makes an Issuer a jwtvalidate.KeySource.
func (i *Issuer) Keys(_ context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down != nil || alg != "ES256" {
		return nil, i.down
	}
	return i.public[kid], nil
}

func (i *Issuer) kid() string { return fmt.Sprintf("key-%d", i.serial) }

func (i *Issuer) mint(typ string, claims map[string]any) string {
	i.tb.Helper()
	now := time.Now()
	all := map[string]any{
		"iss": url, "aud": audience, "sub": "user", "client_id": "client", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	payload, err := json.Marshal(all)
	if err != nil {
		i.tb.Fatalf("jwttest: claims: %v", err)
	}
	i.mu.Lock()
	key, kid := i.signing, i.kid()
	i.mu.Unlock()
	header, err := jose.Protected(jose.ES256, typ, kid)
	if err != nil {
		i.tb.Fatalf("jwttest: %v", err)
	}
	token, err := jose.Sign(jose.ES256, key, header, payload)
	if err != nil {
		i.tb.Fatalf("jwttest: %v", err)
	}
	return token
}
