package jwtvalidate_test

import (
	"bufio"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// attack is one token against one policy. The names start with the line of the
// catalogue of attacks; rows without an error are the good twins.
type attack struct {
	name  string
	token string
	edit  func(*jwtvalidate.Issuer) // nil: all keys, for RS256, ES256 and EdDSA
	want  error                     // nil: it passes
	calls int                       // how often the keys are asked for; -1: they are not counted
}

var token68 = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// wireSafe are the values that an HTTP client can send in a header line.
var wireSafe = regexp.MustCompile(`^[\t\x20-\x7e\x80-\xff]*$`)

// run sends each token through CheckToken and through a real server.
func run(t *testing.T, attacks []attack) {
	t.Helper()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			keys := sourceOf(allKeys()...)
			p := policy(keys)
			if a.edit != nil {
				a.edit(&p)
				keys, _ = p.Keys.(*source)
			}
			var log buffer
			g := newGate(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}, Logger: log.logger()})
			requireCalls := func() {
				t.Helper()
				if a.calls >= 0 {
					require.EqualValues(t, a.calls, keys.calls.Swap(0), "questions to the key source")
				}
			}

			claims, err := g.CheckToken(t.Context(), a.token)
			requireCalls()
			if a.want == nil {
				require.NoError(t, err)
				require.NotNil(t, claims)
			} else {
				require.ErrorIs(t, err, a.want)
				require.ErrorIs(t, err, jwtvalidate.ErrInvalidToken)
				require.NotErrorIs(t, err, jwtvalidate.ErrUnavailable)
				require.Equal(t, jwtvalidate.ReasonOf(a.want), jwtvalidate.ReasonOf(err))
				require.Nil(t, claims)
				require.NotContains(t, err.Error(), canary)
			}

			if len(a.token) > 100_000 {
				return // the server itself answers 431
			}
			var got answer
			if wireSafe.MatchString(a.token) {
				got = g.get(t, "Authorization: Bearer "+a.token)
			} else {
				ran := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { g.ran.Add(1) })
				got = record(g.Handler(ran), request("Bearer "+a.token))
			}
			switch {
			case a.want == nil:
				require.Equal(t, http.StatusNoContent, got.status)
				require.EqualValues(t, 1, g.ran.Load())
			case !token68.MatchString(a.token) && len(a.token) <= 16<<10:
				requireRefused(t, got, http.StatusBadRequest, challengeRequest)
			default:
				requireRefused(t, got, http.StatusUnauthorized, challengeToken)
			}
			if a.want != nil {
				require.Zero(t, g.ran.Load(), "the handler ran")
				if token68.MatchString(a.token) {
					requireCalls()
				}
				if len(a.token) > 20 {
					require.NotContains(t, fmt.Sprint(got.header), a.token)
				}
			}
			require.NotContains(t, log.String(), canary)
		})
	}
}

func algs(names ...string) func(*jwtvalidate.Issuer) {
	return func(p *jwtvalidate.Issuer) { p.Algorithms = names }
}

func keysOf(s jwtvalidate.KeySource, names ...string) func(*jwtvalidate.Issuer) {
	return func(p *jwtvalidate.Issuer) { p.Algorithms, p.Keys = names, s }
}

func secretPolicy(tb testing.TB) func(*jwtvalidate.Issuer) {
	return keysOf(mustSecret(tb, secret), "HS256")
}

// 3.1: which algorithm, and which key for it.
func TestAlgorithmAttacks(t *testing.T) {
	der, err := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
	require.NoError(t, err)
	pemText := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	jwkText, err := jose.MarshalJWK(&rsaKey().PublicKey, "k1", jose.RS256)
	require.NoError(t, err)
	n := base64.RawURLEncoding.EncodeToString(rsaKey().N.Bytes())

	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	weakInput := b64(`{"alg":"RS256"}`) + "." + b64(goodPayload)
	weakSum := sha256.Sum256([]byte(weakInput))
	weakSig, err := rsa.SignPKCS1v15(nil, weak, crypto.SHA256, weakSum[:])
	require.NoError(t, err)

	header := func(alg string) string { return `{"alg":` + alg + `,"kid":"c4n4ry-kid"}` }
	named := func(alg string) string { return es256(t, header(alg), goodPayload) }
	hmacWith := func(key []byte) string { return mint(t, jose.HS256, key, header(`"HS256"`), goodPayload) }
	rs256 := mint(t, jose.RS256, rsaKey(), `{"alg":"RS256","kid":"k1"}`, goodPayload)
	ed := mint(t, jose.EdDSA, edKey(), header(`"EdDSA"`), goodPayload)
	ed25519Named := mint(t, jose.Ed25519, edKey(), header(`"Ed25519"`), goodPayload)
	set := func(members string) func(*jwtvalidate.Issuer) {
		return keysOf(jwks(t, `{"keys":[{"kty":"RSA","kid":"k1","n":"`+n+`",`+members+`}]}`), "RS256", "RS384")
	}

	run(t, []attack{
		{name: "A1 alg none, empty third segment", token: raw(`{"alg":"none","typ":"JWT"}`, goodPayload, nil), want: jwtvalidate.ErrMalformed},
		{name: "A1 alg none, no third segment", token: b64(`{"alg":"none"}`) + "." + b64(goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "A1 alg none, some signature", token: raw(`{"alg":"none"}`, goodPayload, []byte("x")), want: jwtvalidate.ErrAlgorithm},
		{name: "A1 alg none, the signature of a good token", token: named(`"none"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A2 None", token: named(`"None"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A2 NONE", token: named(`"NONE"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A2 nOnE", token: named(`"nOnE"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A2 none with a space", token: named(`"none "`), want: jwtvalidate.ErrAlgorithm},
		{name: "A2 none escaped", token: named(`"\u006eone"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A2 alg array", token: named(`["ES256"]`), want: jwtvalidate.ErrMalformed},
		{name: "A2 alg number", token: named(`256`), want: jwtvalidate.ErrMalformed},
		{name: "A2 alg true", token: named(`true`), want: jwtvalidate.ErrMalformed},
		{name: "A2 alg null", token: named(`null`), want: jwtvalidate.ErrMalformed},
		{name: "A2 alg object", token: named(`{"ES256":1}`), want: jwtvalidate.ErrMalformed},
		{name: "A2 alg empty", token: named(`""`), want: jwtvalidate.ErrAlgorithm},
		{name: "A2 alg absent", token: es256(t, `{"kid":"c4n4ry-kid"}`, goodPayload), want: jwtvalidate.ErrAlgorithm},
		{name: "A2 alg in lower case", token: named(`"es256"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A2 alg with a NUL", token: named(`"ES256\u0000"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A2 twin: ES256", token: named(`"ES256"`), calls: 1},
		{name: "A2 twin: ES256 escaped is ES256", token: named(`"\u0045S256"`), calls: 1},

		{name: "A3 PEM as HMAC secret", token: hmacWith(pemText), want: jwtvalidate.ErrAlgorithm},
		{name: "A3 PEM without its newline", token: hmacWith(pemText[:len(pemText)-1]), want: jwtvalidate.ErrAlgorithm},
		{name: "A3 DER as HMAC secret", token: hmacWith(der), want: jwtvalidate.ErrAlgorithm},
		{name: "A3 JWK text as HMAC secret", token: hmacWith(jwkText), want: jwtvalidate.ErrAlgorithm},
		{name: "A3 header says RS256, the signature is an HMAC", token: mint(t, jose.HS256, pemText, header(`"RS256"`), goodPayload), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "A3 twin: HS256 with the secret", token: mint(t, jose.HS256, secret, header(`"HS256"`), goodPayload), edit: secretPolicy(t), calls: -1},
		{name: "A3 RS256 where a secret is trusted", token: rs256, edit: secretPolicy(t), want: jwtvalidate.ErrAlgorithm, calls: -1},
		{name: "A3 HS512 where HS256 is trusted", token: mint(t, jose.HS512, secret, header(`"HS512"`), goodPayload), edit: secretPolicy(t), want: jwtvalidate.ErrAlgorithm, calls: -1},

		{name: "A4 PS256 with a key for RS256", token: mint(t, jose.PS256, rsaKey(), header(`"PS256"`), goodPayload), want: jwtvalidate.ErrAlgorithm},
		{name: "A4 RS512 with a key for RS256", token: mint(t, jose.RS512, rsaKey(), header(`"RS512"`), goodPayload), want: jwtvalidate.ErrAlgorithm},
		{name: "A4 header says RS256, the signature is PSS", token: mint(t, jose.PS256, rsaKey(), header(`"RS256"`), goodPayload), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "A4 ES256 becomes ES384", token: named(`"ES384"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A4 ES256 becomes ES384, which is allowed as well", token: named(`"ES384"`), edit: algs("ES256", "ES384"), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "A4 EdDSA becomes Ed25519", token: ed25519Named, want: jwtvalidate.ErrAlgorithm},
		{name: "A4 Ed25519 becomes EdDSA", token: ed, edit: algs("Ed25519"), want: jwtvalidate.ErrAlgorithm},
		{name: "A4 twin: both names allowed", token: ed25519Named, edit: algs("EdDSA", "Ed25519"), calls: 1},
		{name: "A4 twin: EdDSA", token: ed, calls: 1},
		{name: "A4 twin: PS256 where it is allowed", token: mint(t, jose.PS256, rsaKey(), header(`"PS256"`), goodPayload), edit: algs("PS256"), calls: 1},

		{name: "A5 ES256 with a P-384 key", token: mint(t, jose.ES384, p384Key(), header(`"ES256"`), goodPayload), edit: keysOf(sourceOf(&p384Key().PublicKey), "ES256"), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A5 ES512 with a P-256 key", token: named(`"ES512"`), edit: keysOf(sourceOf(&ecKey().PublicKey), "ES512"), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A5 ES256 with an RSA key", token: mint(t, jose.RS256, rsaKey(), header(`"ES256"`), goodPayload), edit: keysOf(sourceOf(&rsaKey().PublicKey), "ES256"), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A5 EdDSA with an EC key", token: named(`"EdDSA"`), edit: keysOf(sourceOf(&ecKey().PublicKey), "EdDSA"), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A5 RS256 with an Ed25519 key", token: mint(t, jose.EdDSA, edKey(), header(`"RS256"`), goodPayload), edit: keysOf(sourceOf(edKey().Public()), "RS256"), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A5 twin: ES384 with its key", token: mint(t, jose.ES384, p384Key(), header(`"ES384"`), goodPayload), edit: algs("ES384"), calls: 1},
		{name: "A5 twin: ES512 with its key", token: mint(t, jose.ES512, p521Key(), header(`"ES512"`), goodPayload), edit: algs("ES512"), calls: 1},

		{name: "A6 RSA key of 1024 bits", token: weakInput + "." + b64(string(weakSig)), edit: keysOf(sourceOf(&weak.PublicKey), "RS256"), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A6 RSA key of 512 bits", token: rs256, edit: keysOf(sourceOf(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 511, 1), E: 65537}), "RS256"), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A6 e=1: the padded hash is its own signature", token: selfSigned(256), edit: keysOf(sourceOf(&rsa.PublicKey{N: rsaKey().N, E: 1}), "RS256"), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A6 e even", token: rs256, edit: keysOf(sourceOf(&rsa.PublicKey{N: rsaKey().N, E: 65536}), "RS256"), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A6 e=2^64+65537 is not 65537", token: rs256, edit: set(`"e":"AQAAAAAAAQAB"`), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A6 twin: e=65537", token: rs256, edit: set(`"e":"AQAB"`), calls: 1},
		{name: "A8 the key is for another algorithm of the policy", token: rs256, edit: set(`"e":"AQAB","alg":"RS384"`), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A8 twin: the key's alg", token: rs256, edit: set(`"e":"AQAB","alg":"RS256"`), calls: 1},
		{name: "A9 key for RSA-OAEP", token: rs256, edit: set(`"e":"AQAB","alg":"RSA-OAEP"`), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A9 key for encryption", token: rs256, edit: set(`"e":"AQAB","use":"enc"`), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A10 key_ops without verify", token: rs256, edit: set(`"e":"AQAB","key_ops":["sign"]`), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A10 use sig, key_ops encrypt", token: rs256, edit: set(`"e":"AQAB","use":"sig","key_ops":["encrypt"]`), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "A10 twin: use sig, key_ops verify", token: rs256, edit: set(`"e":"AQAB","use":"sig","key_ops":["verify"]`), calls: 1},

		{name: "A11 alg in an unprotected header", token: `{"protected":"` + b64(`{}`) + `","header":{"alg":"ES256"},"payload":"` + b64(goodPayload) + `","signature":"AA"}`, want: jwtvalidate.ErrMalformed},
		{name: "A12 RS1", token: named(`"RS1"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A12 HS1", token: named(`"HS1"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A12 RSA1_5", token: named(`"RSA1_5"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A12 ES256K", token: named(`"ES256K"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A12 dir", token: named(`"dir"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A12 __proto__", token: named(`"__proto__"`), want: jwtvalidate.ErrAlgorithm},
		{name: "A13 HS256 with an oct key of the JWK set", token: mint(t, jose.HS256, secret, `{"alg":"HS256","kid":"k1"}`, goodPayload), edit: keysOf(jwks(t, `{"keys":[{"kty":"oct","kid":"k1","k":"`+b64(string(secret))+`"}]}`), "RS256"), want: jwtvalidate.ErrAlgorithm},
		{name: "A13 header says RS256, the key is the set's oct key", token: mint(t, jose.HS256, secret, `{"alg":"RS256","kid":"k1"}`, goodPayload), edit: keysOf(jwks(t, `{"keys":[{"kty":"oct","kid":"k1","k":"`+b64(string(secret))+`"}]}`), "RS256"), want: jwtvalidate.ErrUnknownKey, calls: 1},
	})
}

// A3, across issuers: the algorithm is bound to the issuer's policy, not to the validator.
func TestAlgorithmOfAnotherIssuer(t *testing.T) {
	der, err := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
	require.NoError(t, err)
	keys := sourceOf(&rsaKey().PublicKey)
	partner := jwtvalidate.Issuer{URL: "https://partner.example.com/", Algorithms: []string{"HS256"}, Keys: mustSecret(t, secret), Audiences: []string{audience}}
	p := policy(keys)
	p.Algorithms = []string{"RS256"}
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p, partner}})

	partnerPayload := strings.Replace(goodPayload, issuerURL, partner.URL, 1)
	for _, row := range []struct {
		name, token string
		want        error
	}{
		{"A3 HS256 with the PEM, iss of the RSA issuer", mint(t, jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), `{"alg":"HS256"}`, goodPayload), jwtvalidate.ErrAlgorithm},
		{"A3 HS256 with the partner's secret, iss of the RSA issuer", mint(t, jose.HS256, secret, `{"alg":"HS256"}`, goodPayload), jwtvalidate.ErrAlgorithm},
		{"A3 RS256, iss of the partner", mint(t, jose.RS256, rsaKey(), `{"alg":"RS256"}`, partnerPayload), jwtvalidate.ErrAlgorithm},
		{"twin: the partner's token", mint(t, jose.HS256, secret, `{"alg":"HS256"}`, partnerPayload), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := v.CheckToken(t.Context(), row.token)
			require.ErrorIs(t, err, row.want)
			require.Zero(t, keys.calls.Load())
		})
	}
}

// padded is the start of a PKCS #1 v1.5 block for SHA-256, with n bytes of padding.
func padded(n int, input string) []byte {
	sum := sha256.Sum256([]byte(input))
	info, _ := hex.DecodeString("3031300d060960864801650304020105000420")
	block := append([]byte{0, 1}, []byte(strings.Repeat("\xff", n))...)
	return append(append(append(block, 0), info...), sum[:]...)
}

// selfSigned is a token whose signature is the padded hash itself.
func selfSigned(size int) string {
	input := b64(`{"alg":"RS256"}`) + "." + b64(goodPayload)
	return input + "." + b64(string(padded(size-54, input)))
}

// cubeRoot forges a signature for e=3 that verifiers take who do not look at what
// is behind the hash (Bleichenbacher 2006).
func cubeRoot(t *testing.T) string {
	t.Helper()
	const size = 256
	input := b64(`{"alg":"RS256"}`) + "." + b64(goodPayload)
	want := padded(8, input)
	block := make([]byte, size)
	copy(block, want)
	target := new(big.Int).SetBytes(block)
	low, high := big.NewInt(0), new(big.Int).Lsh(big.NewInt(1), size*8/3+1)
	cube := func(x *big.Int) *big.Int { return new(big.Int).Exp(x, big.NewInt(3), nil) }
	for low.Cmp(high) < 0 { // the least x with x^3 >= target
		mid := new(big.Int).Rsh(new(big.Int).Add(low, high), 1)
		if cube(mid).Cmp(target) < 0 {
			low = mid.Add(mid, big.NewInt(1))
		} else {
			high = mid
		}
	}
	got := cube(low).FillBytes(make([]byte, size))
	require.Equal(t, want, got[:len(want)], "the forgery is one")
	return input + "." + b64(string(low.FillBytes(make([]byte, size))))
}

// 3.2: which key, and whose.
func TestKeyAttacks(t *testing.T) {
	var fetched atomic.Int64
	attacker := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	defer attacker.Close()
	evilJWK, err := jose.MarshalJWK(&evilEC().PublicKey, "evil", jose.ES256)
	require.NoError(t, err)
	certificate, err := x509.CreateCertificate(rand.Reader, template(), template(), &evilEC().PublicKey, evilEC())
	require.NoError(t, err)
	x5c := `["` + base64.StdEncoding.EncodeToString(certificate) + `"]`

	evil := func(members string) string {
		return mint(t, jose.ES256, evilEC(), `{"alg":"ES256",`+members+`}`, goodPayload)
	}
	ours := func(members string) string { return es256(t, `{"alg":"ES256",`+members+`}`, goodPayload) }
	from := func(iss string) string {
		return es256(t, goodHeader, `{"iss":`+iss+`,"aud":"https://api.example.com","exp":1800003600}`)
	}
	only := func(kid string, keys ...crypto.PublicKey) func(*jwtvalidate.Issuer) {
		return func(p *jwtvalidate.Issuer) {
			p.Keys = &source{find: func(asked, _ string) ([]crypto.PublicKey, error) {
				if asked == kid {
					return keys, nil
				}
				return nil, nil
			}}
		}
	}
	kid := func(text string) string { return ours(`"kid":` + text) }
	k1 := only("k1", &ecKey().PublicKey)
	many := func(n int) []crypto.PublicKey {
		return append(slices.Repeat([]crypto.PublicKey{&evilEC().PublicKey}, n), &ecKey().PublicKey)
	}
	private := func(members string) func(*jwtvalidate.Issuer) {
		return keysOf(jwks(t, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k1",`+
			`"x":"`+b64(string(ecKey().X.FillBytes(make([]byte, 32))))+`","y":"`+b64(string(ecKey().Y.FillBytes(make([]byte, 32))))+`"`+members+`}]}`), "ES256")
	}

	run(t, []attack{
		{name: "K1 embedded jwk", token: evil(`"jwk":` + string(evilJWK)), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "K1 twin: a foreign jwk is not looked at", token: ours(`"jwk":` + string(evilJWK)), calls: 1},
		{name: "K2 jku", token: evil(`"jku":"` + attacker.URL + `"`), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "K2 x5u", token: evil(`"x5u":"` + attacker.URL + `"`), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "K2 jku to the metadata service", token: evil(`"jku":"http://169.254.169.254/latest/meta-data/"`), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "K2 x5u to a file", token: evil(`"x5u":"file:///etc/passwd"`), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "K2 twin: jku is not looked at", token: ours(`"jku":"` + attacker.URL + `"`), calls: 1},
		{name: "K3 x5c of the attacker", token: evil(`"x5c":` + x5c), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "K3 twin: x5c is not looked at", token: ours(`"x5c":` + x5c), calls: 1},

		{name: "K4 kid with path traversal", token: kid(`"../../../../../dev/null/c4n4ry"`), edit: k1, want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "K4 kid with SQL", token: kid(`"c4n4ry' UNION SELECT 'key'; --"`), edit: k1, want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "K4 kid with NUL", token: kid(`"k1\u0000"`), edit: k1, want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "K4 kid with a newline", token: kid(`"k1\nc4n4ry"`), edit: k1, want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "K4 kid in another case", token: kid(`"K1"`), edit: k1, want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "K4 kid of 512 bytes", token: kid(`"` + strings.Repeat("k", 512) + `"`), edit: k1, want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "K4 kid of 513 bytes", token: kid(`"` + strings.Repeat("k", 513) + `"`), edit: k1, want: jwtvalidate.ErrMalformed},
		{name: "K4 kid of 1 MB", token: kid(`"` + strings.Repeat("k", 1<<20) + `"`), edit: k1, want: jwtvalidate.ErrMalformed},
		{name: "K4 kid number", token: kid(`1`), edit: k1, want: jwtvalidate.ErrMalformed},
		{name: "K4 kid array", token: kid(`["k1"]`), edit: k1, want: jwtvalidate.ErrMalformed},
		{name: "K4 kid object", token: kid(`{"k1":"k1"}`), edit: k1, want: jwtvalidate.ErrMalformed},
		{name: "K4 kid null", token: kid(`null`), edit: k1, want: jwtvalidate.ErrMalformed},
		{name: "K4 kid true", token: kid(`true`), edit: k1, want: jwtvalidate.ErrMalformed},
		{name: "K4 kid empty", token: kid(`""`), want: jwtvalidate.ErrMalformed},
		{name: "K4 twin: the kid", token: kid(`"k1"`), edit: k1, calls: 1},
		{name: "K4 twin: the kid escaped", token: kid(`"\u006b1"`), edit: k1, calls: 1},

		{name: "K6 no kid, one key", token: ours(`"typ":"JWT"`), edit: only("", &ecKey().PublicKey), calls: 1},
		{name: "K6 no kid, ours is the eighth key", token: ours(`"typ":"JWT"`), edit: only("", many(7)...), calls: 1},
		{name: "K6 no kid, a ninth key is not tried", token: ours(`"typ":"JWT"`), edit: only("", many(8)...), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "K6 no kid, no keys", token: ours(`"typ":"JWT"`), edit: only(""), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "K7 twin: two keys of one kid, one of the wrong type", token: kid(`"k1"`), edit: only("k1", &rsaKey().PublicKey, &ecKey().PublicKey), calls: 1},
		{name: "K7 two keys of one kid, both of the wrong type", token: kid(`"k1"`), edit: only("k1", &rsaKey().PublicKey, edKey().Public()), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "K7 two keys of one kid, the right type is another key", token: kid(`"k1"`), edit: only("k1", &rsaKey().PublicKey, &evilEC().PublicKey), want: jwtvalidate.ErrSignature, calls: 1},

		{name: "K9 iss unknown", token: from(`"https://evil.example.com/"`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K9 iss absent", token: es256(t, goodHeader, `{"aud":"https://api.example.com","exp":1800003600}`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K9 iss empty", token: from(`""`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K9 iss null", token: from(`null`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K9 iss number", token: from(`1`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K9 iss array", token: from(`["https://idp.example.com/"]`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K9 iss object", token: from(`{"https://idp.example.com/":1}`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K10 iss without the slash", token: from(`"https://idp.example.com"`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K10 iss with two slashes", token: from(`"https://idp.example.com//"`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K10 iss with upper-case host", token: from(`"https://IDP.example.com/"`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K10 iss with userinfo", token: from(`"https://x@idp.example.com/"`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K10 iss with the port", token: from(`"https://idp.example.com:443/"`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K10 iss with a Cyrillic letter", token: from("\"https://idp.ex\u0430mple.com/\""), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K10 iss with a space", token: from(`"https://idp.example.com/ "`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K10 iss with a NUL", token: from(`"https://idp.example.com/\u0000"`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K10 iss over http", token: from(`"http://idp.example.com/"`), want: jwtvalidate.ErrUnknownIssuer},
		{name: "K10 twin: the iss", token: from(`"https://idp.example.com/"`), calls: 1},
		{name: "K10 twin: the iss with escapes", token: from(`"https:\/\/idp.example.com\/"`), calls: 1},
		{name: "K12 private key in the set", token: kid(`"k1"`), edit: private(`,"d":"` + b64(string(secret[:32])) + `"`), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "K12 twin: public key in the set", token: kid(`"k1"`), edit: private(``), calls: 1},
	})
	require.Zero(t, fetched.Load(), "K2: nothing is fetched")
}

func template() *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: clock().Add(-time.Hour), NotAfter: clock().Add(time.Hour)}
}

// K8: the same kid, but the key of another issuer.
func TestIssuersAreApart(t *testing.T) {
	keysA, keysB := sourceOf(&ecKey().PublicKey), sourceOf(&evilEC().PublicKey)
	a, b := policy(keysA), policy(keysB)
	b.URL, b.Audiences = "https://other.example.com/", []string{"https://b.example.com"}
	g := newGate(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{a, b}})

	payloadB := `{"iss":"https://other.example.com/","aud":"https://b.example.com","exp":1800003600}`
	for _, row := range []struct {
		name, token    string
		status         int
		askedA, askedB int
	}{
		{"twin: A's token", es256(t, goodHeader, goodPayload), 204, 1, 0},
		{"twin: B's token", mint(t, jose.ES256, evilEC(), goodHeader, payloadB), 204, 0, 1},
		{"K8 iss A, B's key", mint(t, jose.ES256, evilEC(), goodHeader, goodPayload), 401, 1, 0},
		{"K8 iss B, A's key", es256(t, goodHeader, payloadB), 401, 0, 1},
		{"K8 A's token for B's audience", es256(t, goodHeader, `{"iss":"https://idp.example.com/","aud":"https://b.example.com","exp":1800003600}`), 401, 1, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := g.get(t, "Authorization: Bearer "+row.token)
			require.Equal(t, row.status, got.status)
			require.EqualValues(t, row.askedA, keysA.calls.Swap(0))
			require.EqualValues(t, row.askedB, keysB.calls.Swap(0))
		})
	}
}

// K11: a key that is gone verifies nothing, also no token that it verified before.
func TestWithdrawnKey(t *testing.T) {
	var gone atomic.Bool
	keys := &source{find: func(string, string) ([]crypto.PublicKey, error) {
		if gone.Load() {
			return nil, nil
		}
		return []crypto.PublicKey{&ecKey().PublicKey}, nil
	}}
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(keys)}})
	_, err := v.CheckToken(t.Context(), good(t))
	require.NoError(t, err)
	gone.Store(true)
	_, err = v.CheckToken(t.Context(), good(t))
	require.ErrorIs(t, err, jwtvalidate.ErrUnknownKey)
}

// 3.3: the signature's own bytes.
func TestSignatureAttacks(t *testing.T) {
	input := b64(`{"alg":"ES256"}`) + "." + b64(goodPayload)
	sum := sha256.Sum256([]byte(input))
	der, err := ecKey().Sign(nil, sum[:], crypto.SHA256)
	require.NoError(t, err)
	es := es256(t, `{"alg":"ES256"}`, goodPayload)
	sig, err := base64.RawURLEncoding.DecodeString(es[strings.LastIndexByte(es, '.')+1:])
	require.NoError(t, err)
	require.Len(t, sig, 64)
	r, s := string(sig[:32]), string(sig[32:])
	order := ecKey().Params().N
	fill := func(n *big.Int) string { return string(n.FillBytes(make([]byte, 32))) }
	zero, n, tooLarge := strings.Repeat("\x00", 32), fill(order), strings.Repeat("\xff", 32)
	with := func(signature string) string { return raw(`{"alg":"ES256"}`, goodPayload, []byte(signature)) }
	twin := fill(new(big.Int).Sub(order, new(big.Int).SetBytes([]byte(s))))

	rs := mint(t, jose.RS256, rsaKey(), `{"alg":"RS256"}`, goodPayload)
	rsaSig, err := base64.RawURLEncoding.DecodeString(rs[strings.LastIndexByte(rs, '.')+1:])
	require.NoError(t, err)
	rsaWith := func(signature string) string { return raw(`{"alg":"RS256"}`, goodPayload, []byte(signature)) }
	aboveN := string(new(big.Int).Add(rsaKey().N, big.NewInt(1)).Bytes())

	ed := mint(t, jose.EdDSA, edKey(), `{"alg":"EdDSA"}`, goodPayload)
	edSig, err := base64.RawURLEncoding.DecodeString(ed[strings.LastIndexByte(ed, '.')+1:])
	require.NoError(t, err)
	edWith := func(signature string) string { return raw(`{"alg":"EdDSA"}`, goodPayload, []byte(signature)) }
	smallOrder := ed25519.PublicKey("\x01" + strings.Repeat("\x00", 31))

	hs := mint(t, jose.HS256, secret, `{"alg":"HS256"}`, goodPayload)
	hsSig, err := base64.RawURLEncoding.DecodeString(hs[strings.LastIndexByte(hs, '.')+1:])
	require.NoError(t, err)
	hsWith := func(signature string) string { return raw(`{"alg":"HS256"}`, goodPayload, []byte(signature)) }

	run(t, []attack{
		{name: "S1 twin: r and s", token: with(r + s), calls: 1},
		{name: "S1 r=s=0", token: with(zero + zero), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S1 r=0", token: with(zero + s), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S1 s=0", token: with(r + zero), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S1 r=n", token: with(n + s), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S1 s=n", token: with(r + n), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S1 r=s=n", token: with(n + n), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S1 r>n", token: with(tooLarge + s), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S1 s>n", token: with(r + tooLarge), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S2 DER", token: with(string(der)), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S2 63 bytes", token: with((r + s)[:63]), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S2 65 bytes", token: with(r + s + "\x00"), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S2 a zero before r", token: with("\x00" + r + s), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S2 zeros before r and s", token: with("\x00" + r + "\x00" + s), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S3 no signature", token: with(""), want: jwtvalidate.ErrMalformed},
		{name: "S3 one byte", token: with("\x01"), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S3 half", token: with(r), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S3 twice", token: with(r + s + r + s), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S4 s becomes n-s: ECDSA itself takes both", token: with(r + twin), calls: 1},
		{name: "S5 twin: EdDSA", token: ed, calls: 1},
		{name: "S5 S plus the order", token: edWith(string(edSig[:32]) + string(addOrder(edSig[32:]))), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S5 EdDSA signature shortened", token: edWith(string(edSig[:63])), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S5 EdDSA signature extended", token: edWith(string(edSig) + "\x00"), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S5 key of small order", token: edWith(string(smallOrder) + zero), edit: keysOf(sourceOf(smallOrder), "EdDSA"), want: jwtvalidate.ErrUnknownKey, calls: 1},
		{name: "S6 cube root", token: cubeRoot(t), edit: keysOf(sourceOf(&rsa.PublicKey{N: rsaKey().N, E: 3}), "RS256"), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S7 twin: RS256", token: rs, calls: 1},
		{name: "S7 255 bytes", token: rsaWith(string(rsaSig[:255])), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S7 257 bytes", token: rsaWith(string(rsaSig) + "\x00"), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S7 a zero before", token: rsaWith("\x00" + string(rsaSig)), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S7 value above n", token: rsaWith(aboveN), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S7 all ones", token: rsaWith(strings.Repeat("\xff", 256)), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S7 all zeros", token: rsaWith(strings.Repeat("\x00", 256)), want: jwtvalidate.ErrSignature, calls: 1},
		{name: "S8 twin: HMAC", token: hs, edit: secretPolicy(t), calls: -1},
		{name: "S8 HMAC shortened", token: hsWith(string(hsSig[:16])), edit: secretPolicy(t), want: jwtvalidate.ErrSignature, calls: -1},
		{name: "S8 HMAC extended", token: hsWith(string(hsSig) + "\x00"), edit: secretPolicy(t), want: jwtvalidate.ErrSignature, calls: -1},
		{name: "S8 HMAC with one bit changed", token: hsWith(string(hsSig[:31]) + string(hsSig[31]^1)), edit: secretPolicy(t), want: jwtvalidate.ErrSignature, calls: -1},
	})

	t.Run("S4 both spellings are one token to whoever revokes by jti", func(t *testing.T) {
		v := trust(t, nil)
		a, err := v.CheckToken(t.Context(), with(r+s))
		require.NoError(t, err)
		b, err := v.CheckToken(t.Context(), with(r+twin))
		require.NoError(t, err)
		require.Equal(t, a.ID(), b.ID())
	})
}

// addOrder adds the order of edwards25519's group to a little-endian number.
func addOrder(s []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	b := make([]byte, 32)
	for i := range s {
		b[31-i] = s[i]
	}
	sum := new(big.Int).Add(new(big.Int).SetBytes(b), order).FillBytes(b)
	out := make([]byte, 32)
	for i := range sum {
		out[31-i] = sum[i]
	}
	return out
}

// 3.4: spellings of the token, and JSON that readers disagree about.
func TestEncodingAttacks(t *testing.T) {
	token := good(t)
	parts := strings.Split(token, ".")
	h, p, s := parts[0], parts[1], parts[2]
	signed := func(header, payload string) string { return es256(t, header, payload) }
	claims := func(payload string) string { return es256(t, goodHeader, payload) }
	// loose changes bits of the last character that no byte is made of.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	loose := func(segment string) string {
		require.NotZero(t, len(segment)%4, "the segment has loose bits")
		last := strings.IndexByte(alphabet, segment[len(segment)-1])
		return segment[:len(segment)-1] + alphabet[last^1:last^1+1]
	}
	looseHeader := signed(`{"alg":"ES256"}  `, goodPayload)
	loosePayload := signed(`{"alg":"ES256"}`, goodPayload+strings.Repeat(" ", (4-len(goodPayload)%3)%3))
	lh, lp := strings.Split(looseHeader, "."), strings.Split(loosePayload, ".")
	plus := strings.Split(signed(`{"alg":"ES256","x":"???>>>~~~"}`, `{"iss":"https://idp.example.com/","aud":"https://api.example.com","exp":1800003600,"x":"???>>>~~~"}`), ".")
	require.Contains(t, plus[1], "_")
	std := strings.NewReplacer("-", "+", "_", "/")
	compact := `{"protected":"` + h + `","payload":"` + p + `","signature":"` + s + `"}`
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

	run(t, []attack{
		{name: "E1 twin: three segments", token: token, calls: 1},
		{name: "E1 no dot", token: h + p + s, want: jwtvalidate.ErrMalformed},
		{name: "E1 one character", token: "a", want: jwtvalidate.ErrMalformed},
		{name: "E1 two segments", token: h + "." + p, want: jwtvalidate.ErrMalformed},
		{name: "E1 four segments", token: token + ".AA", want: jwtvalidate.ErrMalformed},
		{name: "E1 five segments", token: token + ".AA.AA", want: jwtvalidate.ErrMalformed},
		{name: "E1 six segments", token: token + "." + token, want: jwtvalidate.ErrMalformed},
		{name: "E1 dot before", token: "." + token, want: jwtvalidate.ErrMalformed},
		{name: "E1 dot behind", token: token + ".", want: jwtvalidate.ErrMalformed},
		{name: "E1 two dots after the header", token: h + ".." + p + "." + s, want: jwtvalidate.ErrMalformed},
		{name: "E1 empty payload", token: h + ".." + s, want: jwtvalidate.ErrMalformed},
		{name: "E1 empty header", token: "." + p + "." + s, want: jwtvalidate.ErrMalformed},
		{name: "E1 only dots", token: "..", want: jwtvalidate.ErrMalformed},
		{name: "E2 50 000 dots", token: strings.Repeat(".", 50_000), want: jwtvalidate.ErrMalformed},
		{name: "E2 10 MB of dots", token: strings.Repeat(".", 10<<20), want: jwtvalidate.ErrMalformed},

		{name: "E3 padding behind the header", token: h + "=." + p + "." + s, want: jwtvalidate.ErrMalformed},
		{name: "E3 padding behind the payload", token: h + "." + p + "==." + s, want: jwtvalidate.ErrMalformed},
		{name: "E3 padding behind the signature", token: token + "==", want: jwtvalidate.ErrMalformed},
		{name: "E3 space inside", token: h + ". " + p + "." + s, want: jwtvalidate.ErrMalformed},
		{name: "E3 space behind", token: token + " x", want: jwtvalidate.ErrMalformed},
		{name: "E3 tab inside", token: h + "." + p + ".\t" + s, want: jwtvalidate.ErrMalformed},
		{name: "E3 LF in the header", token: h[:4] + "\n" + h[4:] + "." + p + "." + s, want: jwtvalidate.ErrMalformed},
		{name: "E3 CR LF in the payload", token: h + "." + p[:4] + "\r\n" + p[4:] + "." + s, want: jwtvalidate.ErrMalformed},
		{name: "E3 four LF in the payload", token: h + "." + p[:4] + "\n\n\n\n" + p[4:] + "." + s, want: jwtvalidate.ErrMalformed},
		{name: "E3 CR in the signature", token: h + "." + p + "." + s[:4] + "\r" + s[4:], want: jwtvalidate.ErrMalformed},
		{name: "E3 four LF behind the signature", token: token + "\n\n\n\n", want: jwtvalidate.ErrMalformed},
		{name: "E3 standard alphabet in the payload", token: plus[0] + "." + std.Replace(plus[1]) + "." + plus[2], want: jwtvalidate.ErrMalformed},
		{name: "E3 standard alphabet in the header", token: std.Replace(plus[0]) + "." + plus[1] + "." + plus[2], want: jwtvalidate.ErrMalformed},
		{name: "E3 twin: base64url", token: strings.Join(plus, "."), calls: 1},
		{name: "E3 loose bits in the signature", token: h + "." + p + "." + loose(s), want: jwtvalidate.ErrMalformed},
		{name: "E3 loose bits in the header", token: loose(lh[0]) + "." + lh[1] + "." + lh[2], want: jwtvalidate.ErrMalformed},
		{name: "E3 loose bits in the payload", token: lp[0] + "." + loose(lp[1]) + "." + lp[2], want: jwtvalidate.ErrMalformed},
		{name: "E3 twin: white space in the JSON", token: looseHeader, calls: 1},
		{name: "E3 one character too many", token: h + "." + p + "." + s + "AAA", want: jwtvalidate.ErrMalformed},

		{name: "E4 alg twice", token: signed(`{"alg":"ES256","alg":"ES256"}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E4 alg twice, once escaped", token: signed(`{"alg":"ES256","\u0061lg":"none"}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E4 kid twice", token: signed(`{"alg":"ES256","kid":"a","kid":"a"}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E4 unknown header member twice", token: signed(`{"alg":"ES256","x":1,"x":1}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E4 sub twice", token: claims(payload(`"sub":"a","sub":"b"`)), want: jwtvalidate.ErrMalformed},
		{name: "E4 exp twice", token: claims(payload(`"exp":1900000000`)), want: jwtvalidate.ErrMalformed},
		{name: "E4 aud twice", token: claims(payload(`"aud":"https://other.example.com"`)), want: jwtvalidate.ErrMalformed},
		{name: "E4 iss twice", token: claims(payload(`"iss":"https://other.example.com"`)), want: jwtvalidate.ErrMalformed},
		{name: "E4 iss twice, once escaped", token: claims(payload(`"\u0069ss":"https://other.example.com"`)), want: jwtvalidate.ErrMalformed},
		{name: "E4 a claim of the user's twice", token: claims(payload(`"role":"a","role":"b"`)), want: jwtvalidate.ErrMalformed},
		{name: "E4 a nested name twice", token: claims(payload(`"a":{"role":"a","role":"b"}`)), want: jwtvalidate.ErrMalformed},
		{name: "E4 twin: the same name at two levels", token: claims(payload(`"a":{"sub":"a"},"sub":"b"`)), calls: 1},

		{name: "E5 Alg", token: signed(`{"Alg":"ES256"}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E5 ALG beside alg", token: signed(`{"alg":"ES256","ALG":"none"}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E5 Kid", token: signed(`{"alg":"ES256","Kid":"k1"}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E5 Typ", token: signed(`{"alg":"ES256","Typ":"at+jwt"}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E5 CRIT", token: signed(`{"alg":"ES256","CRIT":["x"]}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E5 kid with the Kelvin sign", token: signed("{\"alg\":\"ES256\",\"\u212aid\":\"k1\"}", goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E5 EXP for exp", token: claims(`{"iss":"https://idp.example.com/","aud":"https://api.example.com","EXP":1800003600}`), want: jwtvalidate.ErrMalformed},
		{name: "E5 EXP beside exp", token: claims(payload(`"EXP":1900000000`)), want: jwtvalidate.ErrMalformed},
		{name: "E5 Iss for iss", token: claims(`{"Iss":"https://idp.example.com/","aud":"https://api.example.com","exp":1800003600}`), want: jwtvalidate.ErrMalformed},
		{name: "E5 iss with the long s", token: claims(payload(`"i\u017fs":"x"`)), want: jwtvalidate.ErrMalformed},
		{name: "E5 Cnf", token: claims(payload(`"Cnf":{"jkt":"x"}`)), want: jwtvalidate.ErrMalformed},
		{name: "E5 Scope", token: claims(payload(`"Scope":"admin"`)), want: jwtvalidate.ErrMalformed},
		{name: "E5 twin: EXP inside a claim of the user's", token: claims(payload(`"x":{"EXP":1,"exp":2}`)), calls: 1},
		{name: "E5 twin: Role and role are two claims", token: claims(payload(`"Role":"a","role":"b"`)), calls: 1},

		{name: "E6 header array", token: signed(`["alg","ES256"]`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E6 header string", token: signed(`"ES256"`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E6 header null", token: signed(`null`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E6 header {}", token: signed(`{}`, goodPayload), want: jwtvalidate.ErrAlgorithm},
		{name: "E6 header cut off", token: signed(`{"alg":"ES256"`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E6 header with data behind", token: signed(`{"alg":"ES256"}{}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E6 header with BOM", token: signed("\xef\xbb\xbf"+`{"alg":"ES256"}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E6 header in UTF-16", token: signed("{\x00\"\x00a\x00l\x00g\x00\"\x00:\x00", goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E6 payload array", token: claims(`[` + goodPayload + `]`), want: jwtvalidate.ErrMalformed},
		{name: "E6 payload string", token: claims(`"x"`), want: jwtvalidate.ErrMalformed},
		{name: "E6 payload number", token: claims(`1`), want: jwtvalidate.ErrMalformed},
		{name: "E6 payload null", token: claims(`null`), want: jwtvalidate.ErrMalformed},
		{name: "E6 payload cut off", token: claims(goodPayload[:len(goodPayload)-1]), want: jwtvalidate.ErrMalformed},
		{name: "E6 payload with data behind", token: claims(goodPayload + `x`), want: jwtvalidate.ErrMalformed},
		{name: "E6 payload with a NUL behind", token: claims(goodPayload + "\x00"), want: jwtvalidate.ErrMalformed},
		{name: "E6 payload with BOM", token: claims("\xef\xbb\xbf" + goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E6 invalid UTF-8", token: claims(payload("\"sub\":\"\xff\"")), want: jwtvalidate.ErrMalformed},
		{name: "E6 overlong UTF-8", token: claims(payload("\"sub\":\"\xc0\xaf\"")), want: jwtvalidate.ErrMalformed},
		{name: "E6 invalid UTF-8 in a name", token: claims(payload("\"\xff\":1")), want: jwtvalidate.ErrMalformed},
		{name: "E6 lone high surrogate", token: claims(payload(`"sub":"\ud800"`)), want: jwtvalidate.ErrMalformed},
		{name: "E6 lone low surrogate", token: claims(payload(`"sub":"\udc00"`)), want: jwtvalidate.ErrMalformed},
		{name: "E6 twin: a pair of surrogates", token: claims(payload(`"sub":"\ud83d\ude00"`)), calls: 1},
		{name: "E6 raw control character", token: claims(payload("\"sub\":\"a\x01b\"")), want: jwtvalidate.ErrMalformed},
		{name: "E6 comma at the end", token: claims(`{"iss":"https://idp.example.com/","aud":"https://api.example.com","exp":1800003600,}`), want: jwtvalidate.ErrMalformed},
		{name: "E6 comment", token: claims(payload(`/**/"sub":"a"`)), want: jwtvalidate.ErrMalformed},
		{name: "E6 leading zero", token: claims(payload(`"n":01`)), want: jwtvalidate.ErrMalformed},
		{name: "E6 leading plus", token: claims(payload(`"n":+1`)), want: jwtvalidate.ErrMalformed},

		{name: "E7 33 deep", token: claims(payload(`"x":` + deep(32))), want: jwtvalidate.ErrMalformed},
		{name: "E7 twin: 32 deep", token: claims(payload(`"x":` + deep(31))), calls: 1},
		{name: "E7 10 000 deep", token: claims(`{"x":` + strings.Repeat("[", 10_000)), want: jwtvalidate.ErrMalformed},
		{name: "E7 10 000 deep in the header", token: signed(`{"x":`+strings.Repeat("[", 10_000), goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E7 5 000 elements", token: claims(payload(`"x":[1` + strings.Repeat(",1", 5_000) + `]`)), want: jwtvalidate.ErrMalformed},
		{name: "E7 twin: 4 000 elements", token: claims(payload(`"x":[1` + strings.Repeat(",1", 4_000) + `]`)), calls: 1},
		{name: "E7 1 000 header members", token: signed(`{"alg":"ES256"`+members(1_000)+`}`, goodPayload), want: jwtvalidate.ErrMalformed},
		{name: "E7 a million members", token: raw(goodHeader, `{"iss":"https://idp.example.com/"`+members(1_000_000)+`}`, []byte("x")), want: jwtvalidate.ErrMalformed},
		{name: "E7 string of 1 MB", token: claims(payload(`"x":"` + strings.Repeat("x", 1<<20) + `"`)), want: jwtvalidate.ErrMalformed},

		{name: "E8 exp 1e400", token: claims(expiring(`1e400`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 exp 1e308", token: claims(expiring(`1e308`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 exp 1e999999999", token: claims(expiring(`1e999999999`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 exp -1", token: claims(expiring(`-1`)), want: jwtvalidate.ErrExpired},
		{name: "E8 exp NaN", token: claims(expiring(`NaN`)), want: jwtvalidate.ErrMalformed},
		{name: "E8 exp Infinity", token: claims(expiring(`Infinity`)), want: jwtvalidate.ErrMalformed},
		{name: "E8 exp string", token: claims(expiring(`"1800003600"`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 exp null", token: claims(expiring(`null`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 exp true", token: claims(expiring(`true`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 exp array", token: claims(expiring(`[1800003600]`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 exp object", token: claims(expiring(`{"$numberLong":"1800003600"}`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 exp 2^63-1", token: claims(expiring(`9223372036854775807`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 exp 2^63", token: claims(expiring(`9223372036854775808`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 exp of the year 10000", token: claims(expiring(`253402300800`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 exp in milliseconds", token: claims(expiring(`1800003600000`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E8 twin: exp at the end of 9999", token: claims(expiring(`253402300799`)), calls: 1},
		{name: "E8 exp 1.5", token: claims(expiring(`1.5`)), want: jwtvalidate.ErrExpired},
		{name: "E8 twin: exp with a fraction", token: claims(expiring(`1800003600.5`)), calls: 1},
		{name: "E8 exp absent", token: claims(`{"iss":"https://idp.example.com/","aud":"https://api.example.com"}`), want: jwtvalidate.ErrMissingClaim, calls: 1},
		{name: "E9 exp 0", token: claims(expiring(`0`)), want: jwtvalidate.ErrExpired},
		{name: "E9 exp -0", token: claims(expiring(`-0`)), want: jwtvalidate.ErrExpired},

		{name: "E10 aud empty", token: claims(meantFor(`""`)), want: jwtvalidate.ErrAudience, calls: 1},
		{name: "E10 aud []", token: claims(meantFor(`[]`)), want: jwtvalidate.ErrAudience, calls: 1},
		{name: "E10 aud [1]", token: claims(meantFor(`[1]`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E10 aud with ours and a number", token: claims(meantFor(`["https://api.example.com",1]`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E10 aud {}", token: claims(meantFor(`{}`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E10 aud object with our name", token: claims(meantFor(`{"https://api.example.com":true}`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E10 aud null", token: claims(meantFor(`null`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E10 aud true", token: claims(meantFor(`true`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E10 aud nested array", token: claims(meantFor(`[["https://api.example.com"]]`)), want: jwtvalidate.ErrMalformed, calls: 1},
		{name: "E10 aud string with a space", token: claims(meantFor(`"https://api.example.com https://other.example.com"`)), want: jwtvalidate.ErrAudience, calls: 1},
		{name: "E10 aud string with a comma", token: claims(meantFor(`"https://api.example.com,https://other.example.com"`)), want: jwtvalidate.ErrAudience, calls: 1},
		{name: "E10 aud a prefix of ours", token: claims(meantFor(`"https://api.example.co"`)), want: jwtvalidate.ErrAudience, calls: 1},
		{name: "E10 aud longer than ours", token: claims(meantFor(`"https://api.example.com/"`)), want: jwtvalidate.ErrAudience, calls: 1},
		{name: "E10 aud in another case", token: claims(meantFor(`"HTTPS://api.example.com"`)), want: jwtvalidate.ErrAudience, calls: 1},
		{name: "E10 aud *", token: claims(meantFor(`"*"`)), want: jwtvalidate.ErrAudience, calls: 1},
		{name: "E10 aud absent", token: claims(`{"iss":"https://idp.example.com/","exp":1800003600}`), want: jwtvalidate.ErrAudience, calls: 1},
		{name: "E10 twin: aud among others", token: claims(meantFor(`["https://other.example.com","https://api.example.com"]`)), calls: 1},

		{name: "E13 NUL in the token", token: h + ".\x00" + p + "." + s, want: jwtvalidate.ErrMalformed},
		{name: "E13 colon", token: h + ":" + p + ":" + s, want: jwtvalidate.ErrMalformed},
		{name: "E13 tilde", token: token + "~", want: jwtvalidate.ErrMalformed},
		{name: "E13 full-width dot", token: h + "\uff0e" + p + "\uff0e" + s, want: jwtvalidate.ErrMalformed},
		{name: "E13 percent-encoded dot", token: h + "%2e" + p + "%2e" + s, want: jwtvalidate.ErrMalformed},
		{name: "E14 flattened JSON", token: compact, want: jwtvalidate.ErrMalformed},
		{name: "E14 general JSON, one signature valid", token: `{"payload":"` + p + `","signatures":[{"protected":"` + h + `","signature":"AA"},{"protected":"` + h + `","signature":"` + s + `"}]}`, want: jwtvalidate.ErrMalformed},
		{name: "E15 ? in the header", token: h[:8] + "?" + h[8:] + "." + p + "." + s, want: jwtvalidate.ErrMalformed},
		{name: "E15 ? in the payload", token: h + "." + p[:8] + "?" + p[8:] + "." + s, want: jwtvalidate.ErrMalformed},
	})

	t.Run("E12 2^53+1 stays exact", func(t *testing.T) {
		c, err := trust(t, nil).CheckToken(t.Context(), claims(payload(`"n":9007199254740993`)))
		require.NoError(t, err)
		n, has := c.Get("n")
		require.True(t, has)
		require.Equal(t, "9007199254740993", fmt.Sprint(n))
	})
	t.Run("E2 dots cost nothing", func(t *testing.T) {
		v, dots := trust(t, nil), strings.Repeat(".", 10<<20)
		require.LessOrEqual(t, testing.AllocsPerRun(10, func() {
			_, _ = v.CheckToken(t.Context(), dots)
		}), 2.0)
	})
}

func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return b.String()
}

func expiring(exp string) string {
	return `{"iss":"https://idp.example.com/","aud":"https://api.example.com","exp":` + exp + `}`
}

func meantFor(aud string) string {
	return `{"iss":"https://idp.example.com/","aud":` + aud + `,"exp":1800003600}`
}

// 3.5: tokens of another kind, and extensions that nobody here understands.
func TestTypeAttacks(t *testing.T) {
	with := func(members string) string { return es256(t, `{"alg":"ES256",`+members+`}`, goodPayload) }
	typ := func(value string) string { return with(`"typ":` + value) }
	access := func(p *jwtvalidate.Issuer) { p.Profile = jwtvalidate.Profile{Types: jwtvalidate.RFC9068.Types} }
	jwe := func(header string) string { return b64(header) + ".AAAA.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA" }

	attacks := []attack{
		{name: "T1 crit unknown", token: with(`"crit":["unknown"],"unknown":1`), want: jwtvalidate.ErrMalformed},
		{name: "T2 crit []", token: with(`"crit":[]`), want: jwtvalidate.ErrMalformed},
		{name: "T2 crit string", token: with(`"crit":"exp"`), want: jwtvalidate.ErrMalformed},
		{name: "T2 crit exp", token: with(`"crit":["exp"],"exp":1800003600`), want: jwtvalidate.ErrMalformed},
		{name: "T2 crit registered name", token: with(`"crit":["alg"]`), want: jwtvalidate.ErrMalformed},
		{name: "T2 crit absent member", token: with(`"crit":["absent"]`), want: jwtvalidate.ErrMalformed},
		{name: "T2 crit duplicates", token: with(`"crit":["x","x"],"x":1`), want: jwtvalidate.ErrMalformed},
		{name: "T2 crit null", token: with(`"crit":null`), want: jwtvalidate.ErrMalformed},
		{name: "T2 crit escaped", token: with(`"cr\u0069t":["x"],"x":1`), want: jwtvalidate.ErrMalformed},
		{name: "T3 b64 false", token: with(`"b64":false`), want: jwtvalidate.ErrMalformed},
		{name: "T3 b64 false with crit", token: with(`"b64":false,"crit":["b64"]`), want: jwtvalidate.ErrMalformed},
		{name: "T3 b64 true", token: with(`"b64":true`), want: jwtvalidate.ErrMalformed},
		{name: "T3 b64 false, payload not encoded", token: b64(`{"alg":"ES256","b64":false}`) + "." + goodPayload + ".AA", want: jwtvalidate.ErrMalformed},
		{name: "T3 twin: an unknown member that is not critical", token: with(`"unknown":1`), calls: 1},

		{name: "T4 JWT where at+jwt is demanded", token: typ(`"JWT"`), edit: access, want: jwtvalidate.ErrType},
		{name: "T4 no typ where at+jwt is demanded", token: es256(t, `{"alg":"ES256"}`, goodPayload), edit: access, want: jwtvalidate.ErrType},
		{name: "T4 JOSE where at+jwt is demanded", token: typ(`"JOSE"`), edit: access, want: jwtvalidate.ErrType},
		{name: "T4 twin: JWT", token: typ(`"JWT"`), calls: 1},
		{name: "T4 twin: jwt", token: typ(`"jwt"`), calls: 1},
		{name: "T4 twin: JOSE", token: typ(`"JOSE"`), calls: 1},
		{name: "T4 twin: no typ", token: es256(t, `{"alg":"ES256"}`, goodPayload), calls: 1},
		{name: "T4 twin: at+jwt where nothing is demanded", token: typ(`"at+jwt"`), calls: 1},
		{name: "T4 twin: application/jwt", token: typ(`"application/jwt"`), calls: 1},
		{name: "T5 at+jwt", token: typ(`"at+jwt"`), edit: access, calls: 1},
		{name: "T5 AT+JWT", token: typ(`"AT+JWT"`), edit: access, calls: 1},
		{name: "T5 application/at+jwt", token: typ(`"application/at+jwt"`), edit: access, calls: 1},
		{name: "T5 Application/AT+JWT", token: typ(`"Application/AT+JWT"`), edit: access, calls: 1},

		{name: "T7 cty JWT", token: with(`"cty":"JWT"`), want: jwtvalidate.ErrMalformed},
		{name: "T7 cty jwt", token: with(`"cty":"jwt"`), want: jwtvalidate.ErrMalformed},
		{name: "T7 cty application/jwt", token: with(`"cty":"application/JWT"`), want: jwtvalidate.ErrMalformed},
		{name: "T7 cty number", token: with(`"cty":1`), want: jwtvalidate.ErrMalformed},
		{name: "T7 twin: another cty", token: with(`"cty":"json"`), calls: 1},
		{name: "T7 a token in a token", token: es256(t, `{"alg":"ES256"}`, good(t)), want: jwtvalidate.ErrMalformed},
		{name: "T7 an unsigned token in a JWE", token: b64(`{"alg":"RSA-OAEP","enc":"A256GCM","cty":"JWT"}`) + "." + b64("key") + "." + b64("iv") + "." + b64(raw(`{"alg":"none"}`, goodPayload, nil)) + "." + b64("tag"), want: jwtvalidate.ErrMalformed},
		{name: "T8 JWE", token: jwe(`{"alg":"dir","enc":"A256GCM"}`), want: jwtvalidate.ErrMalformed},
		{name: "T8 JWE with PBES2", token: jwe(`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":1000000,"p2s":"AAAA"}`), want: jwtvalidate.ErrMalformed},
		{name: "T9 JWE with p2c 2^31", token: jwe(`{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":2147483648,"p2s":"AAAA"}`), want: jwtvalidate.ErrMalformed},
		{name: "T9 JWE with zip", token: jwe(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`), want: jwtvalidate.ErrMalformed},
		{name: "T9 zip in three segments inflates nothing", token: es256(t, `{"alg":"ES256","zip":"DEF"}`, "\x4b\x4c\x4a\x06\x00"), want: jwtvalidate.ErrMalformed},
		{name: "T10 ID token", token: es256(t, `{"alg":"ES256"}`, `{"iss":"https://idp.example.com/","aud":"client-1","azp":"client-1","nonce":"n","at_hash":"x","sub":"u","iat":1800000000,"exp":1800003600}`), want: jwtvalidate.ErrAudience, calls: 1},
		{name: "T11 JWE made with the public key", token: jwe(`{"alg":"ECDH-ES","enc":"A256GCM","epk":{}}`), want: jwtvalidate.ErrMalformed},
	}
	for _, kind := range []string{
		"logout+jwt", "secevent+jwt", "dpop+jwt", "oauth-authz-req+jwt", "statuslist+jwt", "token-introspection+jwt",
		"client-authentication+jwt", "refresh+jwt", "entity-statement+jwt", "kb+jwt", "vc+sd-jwt", "unheard-of",
	} {
		attacks = append(attacks,
			attack{name: "T4 " + kind, token: typ(`"` + kind + `"`), want: jwtvalidate.ErrType},
			attack{name: "T4 application/" + kind, token: typ(`"application/` + kind + `"`), want: jwtvalidate.ErrType},
			attack{name: "T4 " + kind + " where at+jwt is demanded", token: typ(`"` + kind + `"`), edit: access, want: jwtvalidate.ErrType},
		)
	}
	for name, text := range map[string]string{
		"number": `1`, "null": `null`, "array": `["JWT"]`, "object": `{"typ":"JWT"}`, "true": `true`,
	} {
		attacks = append(attacks, attack{name: "T6 typ " + name, token: typ(text), want: jwtvalidate.ErrMalformed})
	}
	for name, text := range map[string]string{
		"with a parameter": `"at+jwt; x=1"`, "with a space": `"JWT "`, "empty": `""`, "only application/": `"application/"`,
		"behind another type of that length": `"xpplication/at+jwt"`,
		"application/ twice":                 `"application/application/at+jwt"`, "with the long s": `"JO\u017fE"`, "a prefix": `"at+jw"`,
		"longer": `"at+jwtx"`, "text/": `"text/jwt"`, "with a NUL": `"JWT\u0000"`,
	} {
		attacks = append(attacks,
			attack{name: "T6 typ " + name, token: typ(text), want: jwtvalidate.ErrType},
			attack{name: "T6 typ " + name + " where at+jwt is demanded", token: typ(text), edit: access, want: jwtvalidate.ErrType},
		)
	}
	run(t, attacks)
}

// 3.6: the request around the token.
func TestHTTPAttacks(t *testing.T) {
	keys := sourceOf(allKeys()...)
	g := newGate(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(keys)}})
	token, bad := good(t), raw(goodHeader, goodPayload, []byte("x"))
	a := "Authorization: "
	of := func(n int) string { // a token of exactly that size
		const rest = 86 + 2 // the signature and two dots
		for pad := n/4*3 - 1000; ; pad++ {
			head := b64(goodHeader)
			body := payload(`"x":"` + strings.Repeat("x", pad) + `"`)
			if size := len(head) + base64.RawURLEncoding.EncodedLen(len(body)) + rest; size >= n {
				require.Equal(t, n, size)
				return es256(t, goodHeader, body)
			}
		}
	}

	for _, row := range []struct {
		name      string
		lines     []string
		status    int
		challenge string // what is expected besides 204
		calls     int
	}{
		{"twin: one line", []string{a + "Bearer " + token}, 204, "", 1},
		{"H1 valid, then invalid", []string{a + "Bearer " + token, a + "Bearer " + bad}, 400, challengeRequest, 0},
		{"H1 invalid, then valid", []string{a + "Bearer " + bad, a + "Bearer " + token}, 400, challengeRequest, 0},
		{"H1 the same twice", []string{a + "Bearer " + token, a + "Bearer " + token}, 400, challengeRequest, 0},
		{"H1 valid, then Basic", []string{a + "Bearer " + token, a + "Basic eDp5"}, 400, challengeRequest, 0},
		{"H1 Basic, then valid", []string{a + "Basic eDp5", a + "Bearer " + token}, 400, challengeRequest, 0},
		{"H1 valid, then an empty line", []string{a + "Bearer " + token, a}, 400, challengeRequest, 0},
		{"H1 names in another case", []string{"authorization: Bearer " + token, "AUTHORIZATION: Bearer " + token}, 400, challengeRequest, 0},
		{"H2 Bearer, Bearer", []string{a + "Bearer " + token + ", Bearer " + token}, 400, challengeRequest, 0},
		{"H2 Bearer,Bearer", []string{a + "Bearer " + token + ",Bearer " + token}, 400, challengeRequest, 0},
		{"H2 Basic, Bearer", []string{a + "Basic eDp5, Bearer " + token}, 400, challengeRequest, 0},
		{"H2 Basic,\tbearer", []string{a + "Basic eDp5,\tbearer " + token}, 400, challengeRequest, 0},
		{"H2 Basic, Digest, Bearer", []string{a + "Basic eDp5, Digest a=b , Bearer " + token}, 400, challengeRequest, 0},
		{"H2 Bearer, Basic", []string{a + "Bearer " + token + ", Basic eDp5"}, 400, challengeRequest, 0},
		{"H2 comma behind", []string{a + "Bearer " + token + ","}, 400, challengeRequest, 0},
		{"H2 comma behind the scheme", []string{a + "Bearer, Bearer " + token}, 400, challengeRequest, 0},
		{"H3 bearer", []string{a + "bearer " + token}, 204, "", 1},
		{"H3 BEARER", []string{a + "BEARER " + token}, 204, "", 1},
		{"H3 bEaReR and the header in lower case", []string{"authorization: bEaReR " + token}, 204, "", 1},
		{"H4a scheme alone", []string{a + "Bearer"}, 400, challengeRequest, 0},
		{"H4a scheme and a space", []string{a + "Bearer "}, 400, challengeRequest, 0},
		{"H4a comma alone", []string{a + "Bearer,"}, 400, challengeRequest, 0},
		{"H4a comma for space", []string{a + "Bearer," + token}, 400, challengeRequest, 0},
		{"H4a two tokens", []string{a + "Bearer a b"}, 400, challengeRequest, 0},
		{"H4a good token and a word", []string{a + "Bearer " + token + " x"}, 400, challengeRequest, 0},
		{"H4a tab for space", []string{a + "Bearer\t" + token}, 400, challengeRequest, 0},
		{"H4a space and tab", []string{a + "Bearer \t" + token}, 400, challengeRequest, 0},
		{"H4a quoted", []string{a + `Bearer "` + token + `"`}, 400, challengeRequest, 0},
		{"H4a parameter", []string{a + "Bearer token=" + token}, 400, challengeRequest, 0},
		{"H4a only padding", []string{a + "Bearer =="}, 400, challengeRequest, 0},
		{"H4a padding inside", []string{a + "Bearer a=b"}, 400, challengeRequest, 0},
		{"H4a eighth bit", []string{a + "Bearer " + token + "\xe9"}, 400, challengeRequest, 0},
		{"H4a twin: two spaces, RFC 9110 has 1*SP", []string{a + "Bearer  " + token}, 204, "", 1},
		{"H4a token68, but no token", []string{a + "Bearer mF_9.B5f-4.1JqM+/~=="}, 401, challengeToken, 0},
		{"H4b no line", nil, 401, challengeNone, 0},
		{"H4b empty line", []string{a}, 401, challengeNone, 0},
		{"H4b Basic", []string{a + "Basic eDp5"}, 401, challengeNone, 0},
		{"H4b Bearertok", []string{a + "Bearer" + token}, 401, challengeNone, 0},
		{"H4b xBearer tok", []string{a + "xBearer " + token}, 401, challengeNone, 0},
		{"H4b x Bearer tok", []string{a + "x Bearer " + token}, 401, challengeNone, 0},
		{"H4b Bearer-like", []string{a + "Bearer-x " + token}, 401, challengeNone, 0},
		{"H4b Beare", []string{a + "Beare " + token}, 401, challengeNone, 0},
		{"H4b token without scheme", []string{a + token}, 401, challengeNone, 0},
		{"H5 twin: cookie and query beside the header are ignored", []string{a + "Bearer " + token, "Cookie: access_token=" + bad}, 204, "", 1},
		{"H5 only a cookie", []string{"Cookie: access_token=" + token}, 401, challengeNone, 0},
		{"H8 exactly 16 KiB", []string{a + "Bearer " + of(16<<10)}, 204, "", 1},
		{"H8 a byte more", []string{a + "Bearer " + strings.Repeat("a", 16<<10+1)}, 401, challengeToken, 0},
		{"H8 a good token that is too large", []string{a + "Bearer " + es256(t, goodHeader, payload(`"x":"`+strings.Repeat("x", 16<<10)+`"`))}, 401, challengeToken, 0},
		{"H8 large and malformed", []string{a + "Bearer " + strings.Repeat("a ", 16<<10)}, 401, challengeToken, 0},
		{"H8 a hundred thousand commas", []string{a + "Basic " + strings.Repeat(",", 100_000)}, 401, challengeNone, 0},
		{"H14 token in a WebSocket subprotocol", []string{"Upgrade: websocket", "Sec-WebSocket-Protocol: bearer, " + token}, 401, challengeNone, 0},
		{"R9 token as DPoP", []string{a + "DPoP " + token, "DPoP: " + token}, 401, challengeNone, 0},
		{"R11 forged certificate headers", []string{
			a + "Bearer " + es256(t, goodHeader, payload(`"cnf":{"x5t#S256":"`+b64(string(secret[:32]))+`"}`)),
			"Client-Cert: :MIIB:", "X-Forwarded-Client-Cert: Hash=" + hex.EncodeToString(secret[:32]), "X-SSL-Client-Verify: SUCCESS",
		}, 401, challengeToken, 1},
		{"R9 DPoP-bound token as Bearer", []string{
			a + "Bearer " + es256(t, goodHeader, payload(`"cnf":{"jkt":"c4n4ry"}`)), "DPoP: " + token,
		}, 401, challengeToken, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			keys.calls.Store(0)
			g.ran.Store(0)
			got := g.get(t, row.lines...)
			require.EqualValues(t, row.calls, keys.calls.Load(), "questions to the key source")
			if row.status == http.StatusNoContent {
				require.Equal(t, row.status, got.status)
				require.EqualValues(t, 1, g.ran.Load())
				return
			}
			requireRefused(t, got, row.status, row.challenge)
			require.Zero(t, g.ran.Load(), "the handler ran")
		})
	}

	for _, row := range []struct {
		name, request, challenge string
		status                   int
	}{
		{"H5 only a query", "GET /orders?access_token=" + token + " HTTP/1.1\nHost: x\nConnection: close\n\n", challengeNone, 401},
		{"H5 only a form", "POST /orders HTTP/1.1\nHost: x\nConnection: close\nContent-Type: application/x-www-form-urlencoded\nContent-Length: " + strconv.Itoa(13+len(token)) + "\n\naccess_token=" + token, challengeNone, 401},
		{"H5 twin: a bad token in the query beside a good header", "GET /orders?access_token=" + bad + " HTTP/1.1\nHost: x\nConnection: close\nAuthorization: Bearer " + token + "\n\n", "", 204},
		{"H12 OPTIONS", "OPTIONS /orders HTTP/1.1\nHost: x\nConnection: close\n\n", challengeNone, 401},
		{"H12 preflight", "OPTIONS /orders HTTP/1.1\nHost: x\nConnection: close\nOrigin: https://x\nAccess-Control-Request-Method: GET\n\n", challengeNone, 401},
		{"H13 odd path", "GET //orders;x/%2e%2e/? HTTP/1.1\nHost: x\nConnection: close\n\n", challengeNone, 401},
		{"H16 HEAD", "HEAD /orders HTTP/1.1\nHost: x\nConnection: close\nAuthorization: Bearer " + bad + "\n\n", challengeToken, 401},
		{"H16 twin: HEAD", "HEAD /orders HTTP/1.1\nHost: x\nConnection: close\nAuthorization: Bearer " + token + "\n\n", "", 204},
		{"H16 trailer", "POST /orders HTTP/1.1\nHost: x\nConnection: close\nTransfer-Encoding: chunked\nTrailer: Authorization\n\n1\nx\n0\nAuthorization: Bearer " + token + "\n\n", challengeNone, 401},
		{"H16 unknown method", "BREW /orders HTTP/1.1\nHost: x\nConnection: close\nAuthorization: Bearer " + bad + "\n\n", challengeToken, 401},
		{"H16 HTTP/1.0", "GET /orders HTTP/1.0\nAuthorization: Bearer " + bad + "\n\n", challengeToken, 401},
		{"H16 twin: net/http unfolds a line to one space", "GET /orders HTTP/1.1\nHost: x\nConnection: close\nAuthorization: Bearer\n " + token + "\n\n", "", 204},
		{"H16 folded line, another credential", "GET /orders HTTP/1.1\nHost: x\nConnection: close\nAuthorization: Bearer " + token + "\n Bearer " + token + "\n\n", challengeRequest, 400},
		{"H16 space before the colon", "GET /orders HTTP/1.1\nHost: x\nConnection: close\nAuthorization : Bearer " + token + "\n\n", "", 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			g.ran.Store(0)
			got := g.ask(t, row.request)
			switch {
			case row.status == http.StatusNoContent:
				require.Equal(t, row.status, got.status)
				require.EqualValues(t, 1, g.ran.Load())
			case row.challenge == "": // the server's own answer, before any handler
				require.Equal(t, row.status, got.status)
				require.Zero(t, g.ran.Load())
			default:
				requireRefused(t, got, row.status, row.challenge)
				require.Zero(t, g.ran.Load(), "the handler ran")
			}
		})
	}

	t.Run("H16 Expect: the body is neither asked for nor read", func(t *testing.T) {
		g.ran.Store(0)
		// ask fails if the first line says 100 Continue, or if the answer waits for the body.
		got := g.ask(t, "POST /orders HTTP/1.1\nHost: x\nExpect: 100-continue\nContent-Length: 1000000\nAuthorization: Bearer "+bad+"\n\n")
		requireRefused(t, got, http.StatusUnauthorized, challengeToken)
		require.Zero(t, g.ran.Load())
	})
	t.Run("H15 all bad tokens get one answer", func(t *testing.T) {
		var first answer
		for i, token := range []string{
			bad, "x", es256(t, goodHeader, expiring("1")), es256(t, goodHeader, meantFor(`"x"`)),
			mint(t, jose.ES256, evilEC(), goodHeader, goodPayload), es256(t, goodHeader, strings.Replace(goodPayload, "idp", "idq", 1)),
			raw(`{"alg":"none"}`, goodPayload, []byte("x")), es256(t, `{"alg":"ES256","typ":"dpop+jwt"}`, goodPayload),
			es256(t, goodHeader, payload(`"nbf":1900000000`)), es256(t, goodHeader, payload(`"cnf":{}`)),
		} {
			got := g.get(t, "Authorization: Bearer "+token)
			delete(got.header, "Date")
			if i == 0 {
				first = got
			}
			require.Equal(t, first, got)
		}
	})
}

// H16 over HTTP/2: trailers are no credential, and nothing is read of the body.
func TestHTTP2Attacks(t *testing.T) {
	v := trust(t, nil)
	var ran atomic.Int64
	server := httptest.NewUnstartedServer(v.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran.Add(1) })))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()

	ask := func(header, trailer http.Header) (answer, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, io.NopCloser(strings.NewReader("body")))
		require.NoError(t, err)
		r.Header, r.Trailer = header, trailer
		res, err := server.Client().Do(r)
		if err != nil {
			return answer{}, err
		}
		defer res.Body.Close()
		require.Equal(t, 2, res.ProtoMajor)
		body, err := io.ReadAll(res.Body)
		return answer{res.StatusCode, res.Header, string(body)}, err
	}
	line := "Bearer " + good(t)
	got, err := ask(http.Header{"Authorization": {line, "Bearer x"}}, nil)
	require.NoError(t, err)
	requireRefused(t, got, http.StatusBadRequest, challengeRequest)
	require.Zero(t, ran.Load())

	got, err = ask(http.Header{"Authorization": {line}}, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.status)
	require.EqualValues(t, 1, ran.Load())

	got, err = ask(http.Header{}, http.Header{"Authorization": {line}})
	if err == nil { // else the server has refused the trailer itself, with the connection
		requireRefused(t, got, http.StatusUnauthorized, challengeNone)
	}
	require.EqualValues(t, 1, ran.Load())
}

// A client that sends headers slowly or never finishes its body is no concern of
// the validator: the refusal goes out when the headers are there.
func TestRefusalBeforeTheBody(t *testing.T) {
	g := newGate(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf())}})
	conn, err := net.DialTimeout("tcp", g.server.Listener.Addr().String(), 10*time.Second)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhalf of it")
	require.NoError(t, err)
	requireRefused(t, read(t, bufio.NewReader(conn), http.MethodPost), http.StatusUnauthorized, challengeNone)
}
