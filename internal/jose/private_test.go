package jose_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// The private halves that RFC 7515 and RFC 8037 print.
const (
	rsaD = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ"
	rsaP = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc"
	rsaQ = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc"

	p256D = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
	p521D = "AY5pb7A0UFiB3RELSD64fTLOSV_jazdF7fLYyuTw8lOfRhWg6Y6rUrPAxerEzgdRhajnu0ferB0d53vM9mE15j2C"
	edD   = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"

	rsaPrivate  = rsaKey + `,"d":"` + rsaD + `","p":"` + rsaP + `","q":"` + rsaQ + `"`
	ecPrivate   = ecKey + `,"d":"` + p256D + `"`
	p521Private = p521Key + `,"d":"` + p521D + `"`
	edPrivate   = edKey + `,"d":"` + edD + `"`
)

// TestPrivateRFC signs again what the RFCs print, with the keys that they print.
func TestPrivateRFC(t *testing.T) {
	t.Parallel()
	var file struct {
		Vectors []rfcVector `json:"vectors"`
	}
	unmarshal(t, readFile(t, "testdata", "rfc_vectors.json"), &file)
	for _, tt := range []struct {
		id, key string
		equal   bool
	}{
		{"rfc7515-A1", octKey, true},
		{"rfc7515-A2", rsaPrivate, true},
		{"rfc7515-A3", ecPrivate, false},
		{"rfc7515-A4", p521Private, false},
		{"rfc8037-A4", edPrivate, true},
	} {
		t.Run(tt.id, func(t *testing.T) {
			var v rfcVector
			for _, v = range file.Vectors {
				if v.ID == tt.id {
					break
				}
			}
			require.Equal(t, tt.id, v.ID)
			key, err := jose.ParsePrivateJWK("{" + tt.key + "}")
			require.NoError(t, err)
			a, known := jose.ParseAlg(v.Alg)
			require.True(t, known)
			want := v.compact(t)
			parts := strings.Split(want, ".")
			got, err := jose.Sign(a, key.Key, decode(t, parts[0]), decode(t, parts[1]))
			require.NoError(t, err)
			if tt.equal {
				require.Equal(t, want, got)
			}
			require.NoError(t, verifyWith(got, v.Key))
		})
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwkOf is a private key as a JWK, made by the standard library alone.
func jwkOf(tb testing.TB, key any) map[string]any {
	tb.Helper()
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return map[string]any{
			"kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes()),
			"d": b64(k.D.Bytes()), "p": b64(k.Primes[0].Bytes()), "q": b64(k.Primes[1].Bytes()),
		}
	case *ecdsa.PrivateKey:
		d, err := k.Bytes()
		require.NoError(tb, err)
		point, err := k.PublicKey.Bytes()
		require.NoError(tb, err)
		size := len(point) / 2
		return map[string]any{
			"kty": "EC", "crv": k.Params().Name, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:]), "d": b64(d),
		}
	case ed25519.PrivateKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(k[32:]), "d": b64(k[:32])}
	case []byte:
		return map[string]any{"kty": "oct", "k": b64(k)}
	}
	tb.Fatalf("%T", key)
	return nil
}

// with is a JWK with members changed; nil takes one away.
func with(jwk map[string]any, change map[string]any) map[string]any {
	jwk = maps.Clone(jwk)
	for name, value := range change {
		if jwk[name] = value; value == nil {
			delete(jwk, name)
		}
	}
	return jwk
}

func toText(tb testing.TB, jwk map[string]any) string {
	tb.Helper()
	b, err := json.Marshal(jwk)
	require.NoError(tb, err)
	return string(b)
}

// requireNothingOf holds that no private member of a document shows in a text.
func requireNothingOf(tb testing.TB, shown, document string) {
	tb.Helper()
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(document), &members) != nil {
		return
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
		var value string
		if json.Unmarshal(members[name], &value) != nil || len(value) < 16 {
			continue
		}
		require.NotContains(tb, shown, value[:16], name)
		raw, err := base64.RawURLEncoding.DecodeString(value)
		if err != nil {
			continue
		}
		number := new(big.Int).SetBytes(raw).String()
		if len(number) < 16 {
			continue
		}
		for _, form := range []string{string(raw[:12]), fmt.Sprintf("%x", raw[:12]), fmt.Sprintf("%X", raw[:12]), number[:16], strings.Trim(fmt.Sprint(raw[:8]), "[]")} {
			require.NotContains(tb, shown, form, name)
		}
	}
}

func TestParsePrivateJWK(t *testing.T) {
	t.Parallel()
	k := makeKeys()
	rsaOther, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	rsaSmall, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	three, err := rsa.GenerateMultiPrimeKey(rand.Reader, 3, 2048) //nolint:staticcheck // SA1019: to see it refused
	require.NoError(t, err)
	ecOther, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	_, edOther, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	r, e, d, o := jwkOf(t, k.rsa), jwkOf(t, k.p256), jwkOf(t, k.ed25519), jwkOf(t, k.secretBytes)
	r2, e2, d2 := jwkOf(t, rsaOther), jwkOf(t, ecOther), jwkOf(t, edOther)
	change := func(jwk map[string]any, members ...any) string {
		m := map[string]any{}
		for i := 0; i < len(members); i += 2 {
			m[members[i].(string)] = members[i+1]
		}
		return toText(t, with(jwk, m))
	}
	zero := func(name string, jwk map[string]any) string {
		return b64(append([]byte{0}, decode(t, jwk[name].(string))...))
	}
	n1 := new(big.Int).Sub(k.rsa.N, big.NewInt(1))
	phi := new(big.Int).Mul(new(big.Int).Sub(k.rsa.Primes[0], big.NewInt(1)), new(big.Int).Sub(k.rsa.Primes[1], big.NewInt(1)))
	add := func(a, b *big.Int) string { return b64(new(big.Int).Add(a, b).Bytes()) }
	for _, tt := range []struct {
		name, text string
		alg        jose.Alg // with which it must sign; 0: refused
		err        error
	}{
		{"RSA", change(r), jose.PS512, nil},
		{"RSA, all members", change(r, "dp", "AQ", "dq", "AQ", "qi", "AQ", "use", "sig", "key_ops", []string{"sign", "verify"}, "alg", "RS384", "kid", "k", "x5u", "https://a.test"), jose.RS384, nil},
		{"P-256", change(e), jose.ES256, nil},
		{"P-384", toText(t, jwkOf(t, k.p384)), jose.ES384, nil},
		{"P-521", toText(t, jwkOf(t, k.p521)), jose.ES512, nil},
		{"Ed25519", change(d), jose.Ed25519, nil},
		{"Ed25519 for EdDSA", change(d, "alg", "EdDSA"), jose.EdDSA, nil},
		{"oct", change(o, "alg", "HS512"), jose.HS512, nil},
		{"space around and within", " \n" + strings.ReplaceAll(change(e), ",", " ,\t") + "\r\n", jose.ES256, nil},

		{"RSA: d of another", change(r, "d", r2["d"]), 0, jose.ErrKeyValue},
		{"RSA: p, q of another", change(r, "p", r2["p"], "q", r2["q"]), 0, jose.ErrKeyValue},
		{"RSA: p of another", change(r, "p", r2["p"]), 0, jose.ErrKeyValue},
		{"RSA: n of another", change(r, "n", r2["n"]), 0, jose.ErrKeyValue},
		{"RSA: q twice", change(r, "p", r["q"]), 0, jose.ErrKeyValue},
		{"RSA: 1 and n", change(r, "p", "AQ", "q", r["n"]), 0, jose.ErrKeyValue},
		{"RSA: p is 0", change(r, "p", "AA"), 0, jose.ErrKeyValue},
		{"RSA: both are 0", change(r, "p", "AA", "q", "AA"), 0, jose.ErrKeyValue},
		{"RSA: both are 1", change(r, "p", "AQ", "q", "AQ"), 0, jose.ErrKeyValue},
		{"RSA: both are 2", change(r, "p", "Ag", "q", "Ag"), 0, jose.ErrKeyValue},
		{"RSA: d is huge", change(r, "d", b64(bytes.Repeat([]byte{0xff}, 20_000))), 0, jose.ErrKeyValue},
		{"RSA: d is 0", change(r, "d", "AA"), 0, jose.ErrKeyValue},
		{"RSA: d is 1", change(r, "d", "AQ"), 0, jose.ErrKeyValue},
		{"RSA: d is off by 1", change(r, "d", add(k.rsa.D, big.NewInt(1))), 0, jose.ErrKeyValue},
		{"RSA: d is n - 1", change(r, "d", b64(n1.Bytes())), 0, jose.ErrKeyValue},
		{"RSA: d is beyond n", change(r, "d", add(k.rsa.D, new(big.Int).Mul(phi, big.NewInt(4)))), 0, jose.ErrKeyValue},
		{"RSA: three primes", change(r, "oth", []map[string]string{{"r": "AQ", "d": "AQ", "t": "AQ"}}), 0, jose.ErrKeyValue},
		{"RSA: oth is null", change(r, "oth", json.RawMessage("null")), 0, jose.ErrKeyValue},
		{"RSA: three primes, two named", change(map[string]any{"kty": "RSA", "n": b64(three.N.Bytes()), "e": "AQAB", "d": b64(three.D.Bytes()), "p": b64(three.Primes[0].Bytes()), "q": b64(three.Primes[1].Bytes())}), 0, jose.ErrKeyValue},
		{"RSA: public only", change(r, "d", nil, "p", nil, "q", nil), 0, jose.ErrKeyValue},
		{"RSA: d only", change(r, "p", nil, "q", nil), 0, jose.ErrKeyValue},
		{"RSA: no d", change(r, "d", nil), 0, jose.ErrKeyValue},
		{"RSA: no q", change(r, "q", nil), 0, jose.ErrKeyValue},
		{"RSA: no n", change(r, "n", nil), 0, jose.ErrKeyValue},
		{"RSA: no e", change(r, "e", nil), 0, jose.ErrKeyValue},
		{"RSA: 1024 bits", toText(t, jwkOf(t, rsaSmall)), 0, jose.ErrKey},
		{"RSA: e is 1", change(r, "e", "AQ", "d", "AQ"), 0, jose.ErrKey},
		{"RSA: e is even", change(r, "e", "BA"), 0, jose.ErrKey},
		{"RSA: d is a number", change(r, "d", 7), 0, jose.ErrKeyValue},
		{"RSA: d is empty", change(r, "d", ""), 0, jose.ErrKeyValue},
		{"RSA: d padded", change(r, "d", r["d"].(string)+"=="), 0, jose.ErrKeyValue},
		{"RSA: for ES256", change(r, "alg", "ES256"), 0, jose.ErrKey},
		{"RSA: for encryption", change(r, "alg", "RSA-OAEP"), 0, jose.ErrKeyUse},

		{"EC: d of another", change(e, "d", e2["d"]), 0, jose.ErrKeyValue},
		{"EC: x, y of another", change(e, "x", e2["x"], "y", e2["y"]), 0, jose.ErrKeyValue},
		{"EC: x of another", change(e, "x", e2["x"]), 0, jose.ErrKeyValue},
		{"EC: x and y swapped", change(e, "x", e["y"], "y", e["x"]), 0, jose.ErrKeyValue},
		{"EC: public only", change(e, "d", nil), 0, jose.ErrKeyValue},
		{"EC: no x", change(e, "x", nil), 0, jose.ErrKeyValue},
		{"EC: no y", change(e, "y", nil), 0, jose.ErrKeyValue},
		{"EC: no crv", change(e, "crv", nil), 0, jose.ErrKeyType},
		{"EC: of another curve", change(e, "crv", "P-384"), 0, jose.ErrKeyValue},
		{"EC: secp256k1", change(e, "crv", "secp256k1"), 0, jose.ErrKeyType},
		{"EC: P-224", change(map[string]any{"kty": "EC", "crv": "P-224", "x": jwkOf(t, p224)["x"], "y": jwkOf(t, p224)["y"], "d": jwkOf(t, p224)["d"]}), 0, jose.ErrKeyType},
		{"EC: d with a zero before", change(e, "d", zero("d", e)), 0, jose.ErrKeyValue},
		{"EC: d cut", change(e, "d", b64(decode(t, e["d"].(string))[1:])), 0, jose.ErrKeyValue},
		{"EC: d is 0", change(e, "d", b64(make([]byte, 32))), 0, jose.ErrKeyValue},
		{"EC: d is n", change(e, "d", b64(elliptic.P256().Params().N.Bytes())), 0, jose.ErrKeyValue},
		{"EC: d + n", change(e, "d", add(new(big.Int).SetBytes(decode(t, e["d"].(string))), elliptic.P256().Params().N)), 0, jose.ErrKeyValue},
		{"EC: d in the other base64", change(e, "d", "+/"+e["d"].(string)[2:]), 0, jose.ErrKeyValue},
		{"EC: d with a line feed", change(e, "d", e["d"].(string)+"\n"), 0, jose.ErrKeyValue},
		{"EC: for ES384", change(e, "alg", "ES384"), 0, jose.ErrKey},
		{"EC: for HS256", change(e, "alg", "HS256"), 0, jose.ErrKey},
		{"EC: alg none", change(e, "alg", "none"), 0, jose.ErrKeyUse},
		{"EC: alg in lower case", change(e, "alg", "es256"), 0, jose.ErrKeyUse},
		{"EC: alg is null", change(e, "alg", json.RawMessage("null")), 0, jose.ErrKeyValue},
		{"EC: kid is a number", change(e, "kid", 7), 0, jose.ErrKeyValue},
		{"EC: kid too long", change(e, "kid", strings.Repeat("k", 513)), 0, jose.ErrKeyValue},
		{"EC: use enc", change(e, "use", "enc"), 0, jose.ErrKeyUse},
		{"EC: use empty", change(e, "use", ""), 0, jose.ErrKeyUse},
		{"EC: key_ops without sign", change(e, "key_ops", []string{"verify"}), 0, jose.ErrKeyUse},
		{"EC: key_ops empty", change(e, "key_ops", []string{}), 0, jose.ErrKeyUse},
		{"EC: key_ops twice", change(e, "key_ops", []string{"sign", "sign"}), 0, jose.ErrKeyUse},
		{"EC: key_ops no list", change(e, "key_ops", "sign"), 0, jose.ErrKeyUse},

		{"OKP: d of another", change(d, "d", d2["d"]), 0, jose.ErrKeyValue},
		{"OKP: x of another", change(d, "x", d2["x"]), 0, jose.ErrKeyValue},
		{"OKP: x of small order", change(d, "x", b64(make([]byte, 32))), 0, jose.ErrKey},
		{"OKP: d of 64 bytes", change(d, "d", b64(k.ed25519)), 0, jose.ErrKeyValue},
		{"OKP: d of 31 bytes", change(d, "d", b64(k.ed25519[:31])), 0, jose.ErrKeyValue},
		{"OKP: public only", change(d, "d", nil), 0, jose.ErrKeyValue},
		{"OKP: no x", change(d, "x", nil), 0, jose.ErrKeyValue},
		{"OKP: X25519", change(d, "crv", "X25519"), 0, jose.ErrKeyType},
		{"OKP: Ed448", change(d, "crv", "Ed448"), 0, jose.ErrKeyType},
		{"OKP: last bits set", change(d, "d", d["d"].(string)[:42]+"B"), 0, jose.ErrKeyValue},

		{"oct: short", change(o, "k", b64(k.secretBytes[:31]), "alg", "HS256"), 0, jose.ErrKey},
		{"oct: short for HS512", change(o, "k", b64(k.secretBytes[:63]), "alg", "HS512"), 0, jose.ErrKey},
		{"oct: short without alg", change(o, "k", b64(k.secretBytes[:31])), 0, jose.ErrKeyType},
		{"oct: empty", change(o, "k", ""), 0, jose.ErrKeyValue},
		{"oct: no k", change(o, "k", nil), 0, jose.ErrKeyValue},
		{"oct: padded", change(o, "k", o["k"].(string)+"=="), 0, jose.ErrKeyValue},
		{"oct: for RS256", change(o, "alg", "RS256"), 0, jose.ErrKey},
		{"oct: to encrypt", change(o, "use", "enc"), 0, jose.ErrKeyUse},
		{"oct: to verify only", change(o, "key_ops", []string{"verify"}), 0, jose.ErrKeyUse},

		{"a name twice", strings.Replace(change(e), "{", `{"d":"`+e2["d"].(string)+`",`, 1), 0, jose.ErrKeyValue},
		{"a name twice, escaped", strings.Replace(change(e), "{", `{"\u0064":"`+e2["d"].(string)+`",`, 1), 0, jose.ErrKeyValue},
		{"a folded name", strings.Replace(change(e), `"d":`, `"D":`, 1), 0, jose.ErrKeyValue},
		{"a folded name beside", change(e, "ALG", "ES256"), 0, jose.ErrKeyValue},
		{"a name with the Kelvin sign", change(o, "\u212aty", "oct"), 0, jose.ErrKeyValue},
		{"no kty", change(e, "kty", nil), 0, jose.ErrKeyType},
		{"another kty", change(e, "kty", "RSA"), 0, jose.ErrKeyValue},
		{"kty in lower case", change(e, "kty", "ec"), 0, jose.ErrKeyType},
		{"nothing", "", 0, jose.ErrKeyValue},
		{"null", "null", 0, jose.ErrKeyValue},
		{"an array", "[" + change(e) + "]", 0, jose.ErrKeyValue},
		{"a string", `"` + canaryD + `"`, 0, jose.ErrKeyValue},
		{"garbage", canaryD + "\x00\xff{", 0, jose.ErrKeyValue},
		{"cut", change(e)[:len(change(e))-2], 0, jose.ErrKeyValue},
		{"two", change(e) + change(e), 0, jose.ErrKeyValue},
		{"huge", change(e, "x5c", strings.Repeat("x", 64<<10)), 0, jose.ErrKeyValue},
		{"deep", strings.Replace(change(e), "{", `{"x":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+",", 1), 0, jose.ErrKeyValue},
		{"many values", change(e, "x", make([]int, 600)), 0, jose.ErrKeyValue},
		{"a byte order mark", "\ufeff" + change(e), 0, jose.ErrKeyValue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key, err := jose.ParsePrivateJWK(tt.text)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
				require.ErrorIs(t, err, jose.ErrKey)
				require.Nil(t, key)
				require.NotContains(t, err.Error(), canaryD)
				requireNothingOf(t, err.Error(), tt.text)
				if tt.text != "" {
					_, err = jose.ParsePrivateJWKSet(`{"keys":[`+tt.text+`]}`, 1)
					require.Error(t, err)
				}
				return
			}
			require.NoError(t, err)
			requireSigns(t, tt.alg, key)
			set, err := jose.ParsePrivateJWKSet(`{"keys":[`+tt.text+`]}`, 1)
			require.NoError(t, err)
			require.Len(t, set, 1)
			requireSigns(t, tt.alg, set[0])
			_, err = jose.ParseJWK(tt.text)
			require.ErrorIs(t, err, jose.ErrKeyPrivate, "it is no public document")
			requireHidden(t, key, tt.text)
		})
	}
}

const canaryD = "c4n4ryc4n4ryc4n4ry"

// What is computed with a prime takes the longer, the larger it is: for one of 40 kB,
// many minutes.
func TestPrivateRSAIsBounded(t *testing.T) {
	start := time.Now()
	_, err := jose.ParsePrivateJWK(`{` + rsaKey + `,"d":"` + rsaD + `","p":"` + b64(bytes.Repeat([]byte{0xff}, 2_000)) + `","q":"` + rsaQ + `"}`)
	require.ErrorIs(t, err, jose.ErrKeyValue)
	require.Less(t, time.Since(start), 300*time.Millisecond)
}

// requireSigns signs with a key and verifies with its public half.
func requireSigns(tb testing.TB, a jose.Alg, key *jose.PrivateJWK) {
	tb.Helper()
	token, err := jose.Sign(a, key.Key, []byte(`{"alg":"`+a.String()+`"}`), []byte(`{}`))
	require.NoError(tb, err)
	c, err := jose.ParseCompact(token)
	require.NoError(tb, err)
	public := key.Key
	if signer, ok := public.(crypto.Signer); ok {
		public = signer.Public()
	}
	require.NoError(tb, jose.Verify(a, public, c.SigningInput, c.Signature))
}

// requireHidden prints a key in every way.
func requireHidden(tb testing.TB, key *jose.PrivateJWK, text string) {
	tb.Helper()
	var log bytes.Buffer
	for _, shown := range []any{key, *key, []any{*key}, map[string]any{"k": key}, struct{ K *jose.PrivateJWK }{key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&log, verb+"\n", shown)
		}
		b, _ := json.Marshal(shown)
		log.Write(b)
		slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", shown)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", shown)
	}
	requireNothingOf(tb, log.String(), text)
	if signer, ok := key.Key.(ed25519.PrivateKey); ok {
		require.NotContains(tb, log.String(), base64.StdEncoding.EncodeToString(signer)[:20])
	}
}

func TestParsePrivateJWKSet(t *testing.T) {
	t.Parallel()
	k := makeKeys()
	e, d, o := toText(t, jwkOf(t, k.p256)), toText(t, jwkOf(t, k.ed25519)), toText(t, jwkOf(t, k.secretBytes))
	public := toText(t, with(jwkOf(t, k.p256), map[string]any{"d": nil}))
	many := strings.Repeat(d+",", 8) + d
	for _, tt := range []struct {
		name, text string
		keys       int // -1: refused
	}{
		{"one JWK", e, 1},
		{"a set of one", `{"keys":[` + e + `]}`, 1},
		{"three", `{"x":1,"keys":[` + e + " ,\n" + d + "," + o + `]}`, 3},
		{"none", `{"keys":[]}`, 0},
		{"as many as may be", `{"keys":[` + many[len(d)+1:] + `]}`, 8},
		{"one more", `{"keys":[` + many + `]}`, -1},
		{"a public one among them", `{"keys":[` + e + "," + public + `]}`, -1},
		{"an unknown one among them", `{"keys":[` + e + `,{"kty":"AKP","alg":"ML-DSA-44"}]}`, -1},
		{"a null among them", `{"keys":[` + e + `,null]}`, -1},
		{"a set in a set", `{"keys":[{"keys":[` + e + `]}]}`, -1},
		{"keys is no array", `{"keys":` + e + `}`, -1},
		{"keys is null", `{"keys":null}`, -1},
		{"keys twice", `{"keys":[` + e + `],"keys":[` + d + `]}`, -1},
		{"Keys", `{"Keys":[` + e + `]}`, -1},
		{"an array", `[` + e + `]`, -1},
		{"data behind", `{"keys":[` + e + `]}x`, -1},
		{"cut", `{"keys":[` + e + `]`, -1},
		{"a comma too many", `{"keys":[` + e + `,]}`, -1},
		{"empty", ``, -1},
		{"an empty object", `{}`, -1},
		{"a name twice in a key", `{"keys":[` + strings.Replace(e, "{", `{"kty":"EC",`, 1) + `]}`, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			keys, err := jose.ParsePrivateJWKSet(tt.text, 8)
			if tt.keys < 0 {
				require.Error(t, err)
				require.Empty(t, keys, "all or none")
				for _, text := range []string{e, d, o} {
					requireNothingOf(t, err.Error(), text)
				}
				return
			}
			require.NoError(t, err)
			require.Len(t, keys, tt.keys)
		})
	}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestParsePrivatePEM(t *testing.T) {
	t.Parallel()
	k := makeKeys()
	pkcs8 := func(key any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		return block("PRIVATE KEY", b)
	}
	sec1 := func(key *ecdsa.PrivateKey) []byte {
		b, err := x509.MarshalECPrivateKey(key)
		require.NoError(t, err)
		return block("EC PRIVATE KEY", b)
	}
	pkcs1 := func(key *rsa.PrivateKey) []byte {
		return block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.p256.PublicKey, k.p256)
	require.NoError(t, err)
	certificate := block("CERTIFICATE", der)
	spki, err := x509.MarshalPKIXPublicKey(&k.p256.PublicKey)
	require.NoError(t, err)
	public := block("PUBLIC KEY", spki)
	legacy, err := x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k.rsa), []byte("x"), x509.PEMCipherAES256) //nolint:staticcheck // SA1019: such files exist
	require.NoError(t, err)
	parameters := block("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})
	wrong := *k.rsa
	wrong.D = new(big.Int).Add(k.rsa.D, big.NewInt(2))
	wrong.Precomputed = rsa.PrecomputedValues{}
	for _, tt := range []struct {
		name string
		text []byte
		alg  jose.Alg // 0: refused
	}{
		{"PKCS #8 RSA", pkcs8(k.rsa), jose.RS256},
		{"PKCS #8 P-256", pkcs8(k.p256), jose.ES256},
		{"PKCS #8 P-521", pkcs8(k.p521), jose.ES512},
		{"PKCS #8 Ed25519", pkcs8(k.ed25519), jose.EdDSA},
		{"PKCS #1", pkcs1(k.rsa), jose.PS256},
		{"SEC 1", sec1(k.p384), jose.ES384},
		{"SEC 1 behind its parameters", join(parameters, sec1(k.p256)), jose.ES256},
		{"text before, space behind", join([]byte("Bag Attributes\n"), sec1(k.p256), []byte("\n \t\r\n")), jose.ES256},
		{"CRLF", bytes.ReplaceAll(sec1(k.p256), []byte("\n"), []byte("\r\n")), jose.ES256},

		{"PKCS #8 encrypted", block("ENCRYPTED PRIVATE KEY", der), 0},
		{"PKCS #1 encrypted", pem.EncodeToMemory(legacy), 0},
		{"a certificate", certificate, 0},
		{"a public key", public, 0},
		{"a public key that says it is private", block("PRIVATE KEY", spki), 0},
		{"a certificate behind", join(sec1(k.p256), certificate), 0},
		{"two keys", join(sec1(k.p256), sec1(k.p384)), 0},
		{"the same key twice", join(pkcs8(k.rsa), pkcs8(k.rsa)), 0},
		{"text behind", join(sec1(k.p256), []byte(canaryD)), 0},
		{"DER behind, which crypto/x509 overlooks", block("PRIVATE KEY", append(mustDecode(t, pkcs8(k.p256)), 0)), jose.ES256},
		{"DER behind SEC 1, which crypto/x509 overlooks", block("EC PRIVATE KEY", append(mustDecode(t, sec1(k.p256)), 0)), jose.ES256},
		{"parameters only", parameters, 0},
		{"P-224", sec1(p224), 0},
		{"P-224, PKCS #8", pkcs8(p224), 0},
		{"X25519", pkcs8(x25519), 0},
		{"RSA of 1024 bits", pkcs1(small), 0},
		{"RSA with another d", pkcs1(&wrong), 0},
		{"DSA", block("DSA PRIVATE KEY", []byte{0x30, 3, 2, 1, 0}), 0},
		{"OpenSSH", block("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00")), 0},
		{"PKCS #1 named SEC 1", block("EC PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k.rsa)), 0},
		{"cut", sec1(k.p256)[:80], 0},
		{"cut DER", block("EC PRIVATE KEY", mustDecode(t, sec1(k.p256))[:20]), 0},
		{"no DER", block("PRIVATE KEY", nil), 0},
		{"garbage", []byte(canaryD + "\x00\xff"), 0},
		{"nothing", nil, 0},
		{"DER alone", mustDecode(t, pkcs8(k.rsa)), 0},
		{"many parameters", bytes.Repeat(parameters, 1000), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key, err := jose.ParsePrivatePEM(tt.text)
			if tt.alg == 0 {
				require.ErrorIs(t, err, jose.ErrKey)
				require.Nil(t, key)
				require.NotContains(t, err.Error(), canaryD)
				return
			}
			require.NoError(t, err)
			requireSigns(t, tt.alg, &jose.PrivateJWK{Key: key})
		})
	}
}

func mustDecode(t *testing.T, text []byte) []byte {
	t.Helper()
	b, _ := pem.Decode(text)
	require.NotNil(t, b)
	return b.Bytes
}

// TestParseOpenSSL reads what openssl writes.
func TestParseOpenSSL(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("GATEHOUSE_CI") != "" {
			t.Fatal("openssl must run here")
		}
		t.Skip("no openssl here")
	}
	dir := t.TempDir()
	run := func(args ...string) []byte {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, openssl, args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		require.NoError(t, err, "%v", args)
		return out
	}
	ec := filepath.Join(dir, "ec.pem")
	require.NoError(t, os.WriteFile(ec, run("ecparam", "-name", "prime256v1", "-genkey"), 0o600))
	rsaFile := filepath.Join(dir, "rsa.pem")
	require.NoError(t, os.WriteFile(rsaFile, run("genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"), 0o600))
	for _, tt := range []struct {
		name string
		text []byte
		alg  jose.Alg // 0: refused
	}{
		{"ecparam -genkey, with its parameters", readFile(t, ec), jose.ES256},
		{"EC as PKCS #8", run("pkcs8", "-topk8", "-nocrypt", "-in", ec), jose.ES256},
		{"genpkey P-384", run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"), jose.ES384},
		{"genpkey P-521", run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"), jose.ES512},
		{"genpkey RSA", readFile(t, rsaFile), jose.RS256},
		{"RSA as PKCS #1", run("rsa", "-traditional", "-in", rsaFile), jose.PS384},
		{"genpkey Ed25519", run("genpkey", "-algorithm", "ED25519"), jose.Ed25519},
		{"with its text before", run("pkey", "-in", ec, "-text"), 0}, // the text stands behind
		{"encrypted PKCS #8", run("pkcs8", "-topk8", "-passout", "pass:x", "-in", ec), 0},
		{"encrypted SEC 1", run("ec", "-aes256", "-passout", "pass:x", "-in", ec), 0},
		{"encrypted PKCS #1", run("rsa", "-traditional", "-aes256", "-passout", "pass:x", "-in", rsaFile), 0},
		{"public", run("pkey", "-in", ec, "-pubout"), 0},
		{"P-224", run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"), 0},
		{"secp256k1", run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"), 0},
		{"explicit parameters", run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"), 0},
		{"X25519", run("genpkey", "-algorithm", "X25519"), 0},
		{"Ed448", run("genpkey", "-algorithm", "ED448"), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key, err := jose.ParsePrivatePEM(tt.text)
			if tt.alg == 0 {
				require.ErrorIs(t, err, jose.ErrKey)
				return
			}
			require.NoError(t, err)
			requireSigns(t, tt.alg, &jose.PrivateJWK{Key: key})
		})
	}
}

// FuzzPrivateJWK: nothing panics; what is accepted signs, and its public half verifies.
func FuzzPrivateJWK(f *testing.F) {
	k := makeKeys()
	for _, key := range []any{k.rsa, k.p256, k.p384, k.p521, k.ed25519, k.secretBytes} {
		f.Add(toText(f, jwkOf(f, key)))
	}
	for _, text := range []string{
		rsaPrivate, ecPrivate, p521Private, edPrivate, octKey, rsaKey, edKey,
		rsaKey + `,"d":"AQ","p":"AA","q":"AA"`, rsaKey + `,"d":"AQ","p":"AQ","q":"Ag"`, rsaKey + `,"d":"` + rsaD + `","p":"` + rsaP + `","q":"` + rsaP + `"`,
		ecPrivate + `,"alg":"ES256","use":"sig","key_ops":["sign"],"kid":"k"`, `"keys":[{` + edPrivate + `}]`,
	} {
		f.Add("{" + text + "}")
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := jose.ParsePrivateJWK(text)
		set, setErr := jose.ParsePrivateJWKSet(text, 4)
		if err != nil {
			require.ErrorIs(t, err, jose.ErrKey)
			require.Nil(t, key)
			return
		}
		require.NoError(t, setErr)
		require.Len(t, set, 1)
		public := key.Key
		if signer, ok := public.(crypto.Signer); ok {
			public = signer.Public()
		}
		fits := 0
		for a := jose.Alg(1); a < jose.AlgCount; a++ {
			if key.Alg != 0 && key.Alg != a || jose.CheckKey(a, public) != nil {
				continue
			}
			requireSigns(t, a, key)
			fits++
		}
		require.Positive(t, fits)
	})
}
