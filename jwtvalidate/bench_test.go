package jwtvalidate_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// candidate is a token of about 1 KiB, the validator for it, and the bare check of
// its signature by the standard library.
type candidate struct {
	alg    jose.Alg
	key    any
	source jwtvalidate.KeySource
	token  string
	minted int
	bare   func() bool
}

func newCandidate(b *testing.B, alg jose.Alg) *candidate {
	b.Helper()
	c := &candidate{alg: alg}
	var err error
	if alg == jose.HS256 {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret)
		c.key, err = jose.NewSecret(secret)
		require.NoError(b, err)
		c.source, err = jwtvalidate.Secret(secret)
		require.NoError(b, err)
		input, signature := c.mint(b)
		c.bare = func() bool {
			mac := hmac.New(sha256.New, secret)
			mac.Write(input)
			return hmac.Equal(mac.Sum(nil), signature)
		}
		return c
	}
	signer := testidp.GenerateKey(b, alg)
	c.key = signer
	c.source, err = jwtvalidate.StaticKeys(signer.Public())
	require.NoError(b, err)
	input, signature := c.mint(b)
	switch k := signer.Public().(type) {
	case *rsa.PublicKey:
		c.bare = func() bool {
			sum := sha256.Sum256(input)
			return rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], signature) == nil
		}
	case *ecdsa.PublicKey:
		der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])})
		require.NoError(b, err)
		c.bare = func() bool {
			sum := sha256.Sum256(input)
			return ecdsa.VerifyASN1(k, sum[:], der)
		}
	case ed25519.PublicKey:
		c.bare = func() bool { return ed25519.Verify(k, input, signature) }
	}
	return c
}

const benchIssuer, benchAudience = "https://idp.example.com/", "https://api.example.com"

func (c *candidate) mint(b *testing.B) (input, signature []byte) {
	b.Helper()
	now := time.Now().Unix()
	payload := fmt.Sprintf(`{"iss":%q,"aud":[%q],"sub":"auth0|5f7c8ec7c33c6c004bbafe82","iat":%d,"nbf":%d,"exp":%d,`+
		`"jti":"0f1e2d3c-4b5a-6978-8796-a5b4c3d2%04d","azp":"i1dXlGrQ9MBlWbmXw82jGLetLzw9O2cO",`+
		`"scope":"openid profile read:orders write:orders","roles":["user","operator"],`+
		`"realm_access":{"roles":["offline_access","user"]}}`, benchIssuer, benchAudience, now, now, now+36000, c.minted)
	c.minted++
	header, err := jose.Protected(c.alg, "JWT", "k1")
	require.NoError(b, err)
	c.token, err = jose.Sign(c.alg, c.key, header, []byte(payload))
	require.NoError(b, err)
	dot := strings.LastIndexByte(c.token, '.')
	signature, err = base64.RawURLEncoding.DecodeString(c.token[dot+1:])
	require.NoError(b, err)
	return []byte(c.token[:dot]), signature
}

func (c *candidate) handler(b *testing.B, cfg jwtvalidate.Config) http.Handler {
	b.Helper()
	cfg.Issuers = []jwtvalidate.Issuer{{
		URL: benchIssuer, Algorithms: []string{c.alg.String()}, Keys: c.source, Audiences: []string{benchAudience},
	}}
	v, err := jwtvalidate.New(cfg)
	require.NoError(b, err)
	return v.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
}

// recorder keeps the status and throws the rest away.
type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *recorder) WriteHeader(status int)      { r.status = status }

func serve(b *testing.B, h http.Handler, authorization string, want int) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
	require.NoError(b, err)
	r.Header.Set("Authorization", authorization)
	w := &recorder{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
	require.Equal(b, want, w.status)
}

// BenchmarkFirstSight is the whole middleware on a token that it has not seen
// before. The metric x/bare is its time by that of the signature check alone,
// taken in turns in the same run.
func BenchmarkFirstSight(b *testing.B) {
	for _, alg := range []jose.Alg{jose.RS256, jose.ES256, jose.EdDSA, jose.HS256} {
		b.Run(alg.String(), func(b *testing.B) {
			c := newCandidate(b, alg)
			require.True(b, c.bare())
			h := c.handler(b, jwtvalidate.Config{CacheEntries: 8}) // full at once: each token is stored, and gone before its turn
			refuses(b, h, c.token)
			var requests []*http.Request
			for range 64 {
				c.mint(b)
				r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
				require.NoError(b, err)
				r.Header.Set("Authorization", "Bearer "+c.token)
				requests = append(requests, r)
			}
			w := &recorder{header: make(http.Header)}
			for _, r := range requests[:8] {
				h.ServeHTTP(w, r)
			}
			requests = requests[8:]
			next := 0
			serveNext := func() {
				h.ServeHTTP(w, requests[next])
				if next++; next == len(requests) {
					next = 0
				}
			}
			var bare, whole time.Duration
			const batch = 50
			n := 0
			for b.Loop() {
				start := time.Now()
				for range batch {
					c.bare()
				}
				middle := time.Now()
				for range batch {
					serveNext()
				}
				bare += middle.Sub(start)
				whole += time.Since(middle)
				n += batch
			}
			require.Equal(b, http.StatusNoContent, w.status)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(bare.Nanoseconds())/float64(n), "ns/bare")
			b.ReportMetric(float64(whole.Nanoseconds())/float64(n), "ns/request")
			b.ReportMetric(float64(whole)/float64(bare), "x/bare")
			b.ReportMetric(testing.AllocsPerRun(100, serveNext), "allocs/request")
		})
	}
}

// BenchmarkSeenBefore is the whole middleware on a token that it has verified
// before: as it is, on all cores, and with what else may be asked.
func BenchmarkSeenBefore(b *testing.B) {
	c := newCandidate(b, jose.RS256)
	set, err := jose.MarshalJWK(c.key.(crypto.Signer).Public(), "k1", jose.RS256)
	require.NoError(b, err)
	cache, err := jwkcache.New(jwkcache.Config{Set: []byte(`{"keys":[` + string(set) + `]}`)})
	require.NoError(b, err)
	static := c.source
	for _, row := range []struct {
		name string
		keys jwtvalidate.KeySource
		cfg  jwtvalidate.Config
	}{
		{"plain", static, jwtvalidate.Config{}},
		{"jwkcache", cache, jwtvalidate.Config{}},
		{"revocation", static, jwtvalidate.Config{Revocation: revokes(false)}},
		{"rule", static, jwtvalidate.Config{Rules: []jwtvalidate.Rule{jwtvalidate.AllScopes("write:orders")}}},
		{"forward", static, jwtvalidate.Config{Forward: []jwtvalidate.ForwardClaim{{Claim: []string{"sub"}, Header: "X-User"}}}},
		{"cookie", static, jwtvalidate.Config{Sources: []jwtvalidate.TokenSource{{Cookie: "session"}}}},
	} {
		b.Run(row.name, func(b *testing.B) {
			c.source = row.keys
			h := c.handler(b, row.cfg)
			if row.name != "cookie" {
				serve(b, h, "Bearer "+c.token, http.StatusNoContent)
				return
			}
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
			require.NoError(b, err)
			r.Header.Set("Cookie", "session="+c.token)
			w := &recorder{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
			require.Equal(b, http.StatusNoContent, w.status)
		})
	}
	b.Run("all cores", func(b *testing.B) {
		c.source = static
		h := c.handler(b, jwtvalidate.Config{})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
			if err != nil {
				b.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+c.token)
			w := &recorder{header: make(http.Header)}
			for pb.Next() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	})
}

// refuses proves that what is timed does check.
func refuses(b *testing.B, h http.Handler, token string) {
	b.Helper()
	i := strings.LastIndexByte(token, '.') + 1
	other := byte('A')
	if token[i] == other {
		other = 'B'
	}
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
	require.NoError(b, err)
	r.Header.Set("Authorization", "Bearer "+token[:i]+string(other)+token[i+1:])
	w := &recorder{header: make(http.Header)}
	h.ServeHTTP(w, r)
	require.Equal(b, http.StatusUnauthorized, w.status)
}

// BenchmarkRefusals is what hostile and foreign requests cost.
func BenchmarkRefusals(b *testing.B) {
	c := newCandidate(b, jose.RS256)
	h := c.handler(b, jwtvalidate.Config{})
	segments := strings.Split(c.token, ".")
	segment := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	with := func(payload string) string { return segments[0] + "." + segment(payload) + "." + segments[2] }
	for _, row := range []struct {
		name, token string
		status      int
	}{
		{"garbage", "not.a.token", http.StatusUnauthorized},
		{"unknown algorithm", segment(`{"alg":"RS1"}`) + "." + segments[1] + "." + segments[2], http.StatusUnauthorized},
		{"unknown issuer", with(`{"iss":"https://other.example.com","exp":1}`), http.StatusUnauthorized},
		{"16 KiB", with(`{"iss":"` + strings.Repeat("x", 11_000) + `"}`), http.StatusUnauthorized},
		{"10 MB", strings.Repeat("x", 10_000_000), http.StatusUnauthorized},
		{"50 000 dots", strings.Repeat(".", 50_000), http.StatusUnauthorized},
		{"10 000 deep", with(strings.Repeat("[", 10_000)), http.StatusUnauthorized},
		{"a million members", with(`{` + strings.Repeat(`"a":1,`, 1_000_000)), http.StatusUnauthorized},
		{"1 000 members", with(manyMembers(1_000)), http.StatusUnauthorized},
	} {
		b.Run(row.name, func(b *testing.B) { serve(b, h, "Bearer "+row.token, row.status) })
	}
}

// manyMembers is an object of n members with names of their own.
func manyMembers(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, `%c"%d":1`, "{,"[min(i, 1)], i)
	}
	return s.String() + "}"
}

// BenchmarkRequire is what a route's scope rule adds to a request whose token has
// been checked, with 20 scopes in the token.
func BenchmarkRequire(b *testing.B) {
	c := newCandidate(b, jose.RS256)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: benchIssuer, Algorithms: []string{c.alg.String()}, Keys: c.source, Audiences: []string{benchAudience},
	}}})
	require.NoError(b, err)
	claims, err := jwtvalidate.NewClaims(map[string]any{"scope": strings.Repeat("orders:list ", 19) + "orders:write"})
	require.NoError(b, err)
	h := v.Require(jwtvalidate.AllScopes("orders:write"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r, err := http.NewRequestWithContext(v.WithClaims(b.Context(), claims), http.MethodGet, "/", nil)
	require.NoError(b, err)
	w := &recorder{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
