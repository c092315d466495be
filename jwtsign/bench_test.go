package jwtsign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

// BenchmarkSign is a whole Sign, of claims of about 1 KiB, beside the bare signature.
func BenchmarkSign(b *testing.B) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(b, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(b, err)
	input := []byte(strings.Repeat("x", 1500))
	claims := map[string]any{"sub": "user", "client_id": "app", "scope": strings.Repeat("orders:read ", 70)}
	for _, row := range []struct {
		alg  string
		key  crypto.Signer
		bare func() error
	}{
		{"RS256", rsaKey, func() error {
			sum := sha256.Sum256(input)
			_, err := rsa.SignPKCS1v15(nil, rsaKey, crypto.SHA256, sum[:])
			return err
		}},
		{"ES256", ecKey, func() error {
			sum := sha256.Sum256(input)
			_, err := ecdsa.SignASN1(rand.Reader, ecKey, sum[:])
			return err
		}},
		{"EdDSA", edKey, func() error {
			ed25519.Sign(edKey, input)
			return nil
		}},
	} {
		b.Run(row.alg, func(b *testing.B) {
			s, err := jwtsign.New(jwtsign.Config{
				Issuer: "https://login.example.com",
				Keys:   []jwtsign.Key{{Private: jwtsign.SignerKey(row.key), Algorithm: row.alg}},
				Token:  jwtsign.Token{Lifetime: time.Hour, Audience: []string{"https://api.example.com"}},
			})
			require.NoError(b, err)
			var bare, whole time.Duration
			for b.Loop() {
				start := time.Now()
				if err := row.bare(); err != nil {
					b.Fatal(err)
				}
				middle := time.Now()
				if _, err := s.Sign(b.Context(), claims); err != nil {
					b.Fatal(err)
				}
				bare += middle.Sub(start)
				whole += time.Since(middle)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(bare.Nanoseconds())/float64(b.N), "ns/bare")
			b.ReportMetric(float64(whole.Nanoseconds())/float64(b.N), "ns/token")
			b.ReportMetric(float64(whole)/float64(bare), "x/bare")
		})
	}
}

// recorder is a ResponseWriter that costs nothing.
type recorder struct{ header http.Header }

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }
func (*recorder) WriteHeader(int)               {}

// BenchmarkHandler is what the middleware adds to an answer: one of 10 KiB that it
// rewrites, with a key that costs nothing to speak of, and ones that it leaves alone.
func BenchmarkHandler(b *testing.B) {
	secret, err := jwtsign.Secret([]byte(strings.Repeat("k", 32)))
	require.NoError(b, err)
	s, err := jwtsign.New(jwtsign.Config{
		Issuer: "https://login.example.com",
		Keys:   []jwtsign.Key{{Private: secret, Algorithm: "HS256"}},
		Token:  jwtsign.Token{Lifetime: time.Hour, Audience: []string{"https://api.example.com"}},
		Fields: []jwtsign.Field{{Path: []string{"access_token"}}},
	})
	require.NoError(b, err)
	var rows strings.Builder
	for i := range 100 {
		fmt.Fprintf(&rows, `,{"id":%d,"name":"item %d","note":"%s"}`, i, i, strings.Repeat("n", 60))
	}
	answer := []byte(`{"access_token":{"sub":"user","scope":"orders:read"},"items":[` + rows.String()[1:] + `]}`)
	for _, row := range []struct{ name, method, contentType string }{
		{"rewritten 10 KiB", http.MethodPost, "application/json"},
		{"untouched: HTML", http.MethodPost, "text/html"},
		{"untouched: GET", http.MethodGet, "application/json"},
	} {
		b.Run(row.name, func(b *testing.B) {
			h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = []string{row.contentType}
				_, _ = w.Write(answer)
			}))
			r, err := http.NewRequestWithContext(b.Context(), row.method, "/login", http.NoBody)
			require.NoError(b, err)
			w := &recorder{make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}
