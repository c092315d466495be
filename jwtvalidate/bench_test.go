package jwtvalidate_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// bench is a token of about 1 KiB with everything that is needed to check it
// with and without the middleware.
type bench struct {
	alg       jose.Alg
	private   any
	source    jwtvalidate.KeySource
	token     string
	input     []byte
	signature []byte
}

func newBench(tb testing.TB, alg jose.Alg) *bench {
	b := &bench{alg: alg}
	var err error
	switch alg {
	case jose.RS256:
		k, keyErr := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(tb, keyErr)
		b.private = k
		b.source, err = jwtvalidate.StaticKeys(&k.PublicKey)
	case jose.ES256:
		k, keyErr := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(tb, keyErr)
		b.private = k
		b.source, err = jwtvalidate.StaticKeys(&k.PublicKey)
	case jose.EdDSA:
		public, k, keyErr := ed25519.GenerateKey(rand.Reader)
		require.NoError(tb, keyErr)
		b.private = k
		b.source, err = jwtvalidate.StaticKeys(public)
	case jose.HS256:
		secret := make([]byte, 32)
		_, _ = rand.Read(secret)
		b.private, err = jose.NewSecret(secret)
		require.NoError(tb, err)
		b.source, err = jwtvalidate.Secret(secret)
	}
	require.NoError(tb, err)
	now := time.Now().Unix()
	b.token = b.mint(tb, fmt.Sprintf(`{"iss":"https://idp.example.com/","aud":["https://api.example.com"],`+
		`"sub":"auth0|5f7c8ec7c33c6c004bbafe82","iat":%d,"nbf":%d,"exp":%d,"jti":"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",`+
		`"azp":"i1dXlGrQ9MBlWbmXw82jGLetLzw9O2cO","scope":"openid profile read:orders write:orders",`+
		`"roles":["user","operator"],"realm_access":{"roles":["offline_access","user"]}}`, now, now, now+36000))
	dot := strings.LastIndexByte(b.token, '.')
	b.input = []byte(b.token[:dot])
	b.signature, err = base64.RawURLEncoding.DecodeString(b.token[dot+1:])
	require.NoError(tb, err)
	return b
}

func (b *bench) mint(tb testing.TB, payload string) string {
	header, err := jose.Protected(b.alg, "JWT", "k1")
	require.NoError(tb, err)
	token, err := jose.Sign(b.alg, b.private, header, []byte(payload))
	require.NoError(tb, err)
	return token
}

func (b *bench) validator(tb testing.TB) *jwtvalidate.Validator {
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://idp.example.com/",
		Algorithms: []string{b.alg.String()},
		Keys:       b.source,
		Audiences:  []string{"https://api.example.com"},
	}}})
	require.NoError(tb, err)
	return v
}

// bare is the signature check alone, as the standard library does it.
func (b *bench) bare() bool {
	switch k := b.private.(type) {
	case *rsa.PrivateKey:
		sum := sha256.Sum256(b.input)
		return rsa.VerifyPKCS1v15(&k.PublicKey, crypto.SHA256, sum[:], b.signature) == nil
	case *ecdsa.PrivateKey:
		sum := sha256.Sum256(b.input)
		return jose.Verify(b.alg, &k.PublicKey, b.input, b.signature) == nil && len(sum) > 0
	case ed25519.PrivateKey:
		return ed25519.Verify(k.Public().(ed25519.PublicKey), b.input, b.signature)
	}
	return false
}

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

func BenchmarkHandlerX(b *testing.B) {
	for _, alg := range []jose.Alg{jose.RS256, jose.ES256, jose.EdDSA, jose.HS256} {
		m := newBench(b, alg)
		b.Run(alg.String()+"/bare", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if alg == jose.HS256 {
					mac := hmac.New(sha256.New, make([]byte, 32))
					mac.Write(m.input)
					hmac.Equal(mac.Sum(nil), m.signature)
				} else if !m.bare() {
					b.Fatal()
				}
			}
		})
		b.Run(alg.String()+"/handler", func(b *testing.B) {
			h := m.validator(b).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
			r, _ := http.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", "Bearer "+m.token)
			w := &discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
