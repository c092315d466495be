package jwtsign_test

import (
	"bytes"
	"crypto"
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
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// privateJWK is a key as a JWK, by the standard library alone. More are further
// members, as pairs.
func privateJWK(tb testing.TB, key any, more ...string) string {
	tb.Helper()
	var m map[string]string
	switch k := key.(type) {
	case *rsa.PrivateKey:
		m = map[string]string{
			"kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes()),
			"d": b64(k.D.Bytes()), "p": b64(k.Primes[0].Bytes()), "q": b64(k.Primes[1].Bytes()),
		}
	case *ecdsa.PrivateKey:
		d, err := k.Bytes()
		require.NoError(tb, err)
		point, err := k.PublicKey.Bytes()
		require.NoError(tb, err)
		m = map[string]string{"kty": "EC", "crv": k.Params().Name, "x": b64(point[1 : 1+len(point)/2]), "y": b64(point[1+len(point)/2:]), "d": b64(d)}
	case ed25519.PrivateKey:
		m = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(k[32:]), "d": b64(k[:32])}
	case []byte:
		m = map[string]string{"kty": "oct", "k": b64(k)}
	default:
		tb.Fatalf("%T", key)
	}
	for i := 0; i < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	text, err := json.Marshal(m)
	require.NoError(tb, err)
	return string(text)
}

func newEC(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	return k
}

// allKeys are a key for each algorithm; keys of one kind are one key.
func allKeys() map[string]any {
	keys := map[string]any{"HS256": secret, "HS384": secret, "HS512": secret}
	for alg, key := range signers() {
		keys[alg] = key
	}
	return keys
}

func kind(alg string) string {
	switch {
	case alg == "EdDSA" || alg == "Ed25519":
		return "edwards"
	case alg[0] == 'R' || alg[0] == 'P':
		return "RSA"
	case alg[0] == 'H':
		return "secret"
	}
	return alg
}

// TestKeyBoundToAlgorithm: all pairs, by each way that a key comes.
func TestKeyBoundToAlgorithm(t *testing.T) {
	algs := slices.Sorted(maps.Keys(allKeys()))
	require.Len(t, algs, 14)
	pairs := 0
	for _, of := range algs {
		key := allKeys()[of]
		parsed, err := jwtsign.ParseKey([]byte(privateJWK(t, key)))
		require.NoError(t, err)
		ways := []jwtsign.PrivateKey{parsed}
		if signer, ok := key.(crypto.Signer); ok {
			ways = append(ways, jwtsign.SignerKey(signer), jwtsign.SignerKey(remoteKey{signer}))
		} else {
			k, err := jwtsign.Secret(secret)
			require.NoError(t, err)
			ways = append(ways, k)
		}
		for _, alg := range algs {
			for _, private := range ways {
				cfg := config()
				cfg.Keys = []jwtsign.Key{{Private: private, Algorithm: alg}}
				s, err := jwtsign.New(cfg)
				if kind(alg) != kind(of) {
					require.ErrorContains(t, err, "jwtsign: Keys[0].Private: ", "%s for %s", of, alg)
					require.Nil(t, s)
					continue
				}
				require.NoError(t, err)
				_, err = s.Sign(t.Context(), map[string]any{})
				require.NoError(t, err)
				pairs++
			}
			_, err := jwtsign.ParseKey([]byte(privateJWK(t, key, "alg", alg)))
			require.Equal(t, kind(alg) == kind(of), err == nil, "a JWK: %s for %s", of, alg)
		}
	}
	require.Equal(t, 36*3+3*3+4*3+9*2, pairs)
}

// remoteKey hides what a Signer is, as a client of an HSM would.
type remoteKey struct{ crypto.Signer }

type pointerKey struct{ crypto.Signer }

func TestKeyRefused(t *testing.T) {
	short := func(n int) jwtsign.PrivateKey {
		k, err := jwtsign.Secret(secret[:n])
		require.NoError(t, err)
		return k
	}
	ec, other := newEC(t), newEC(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	halves := append(ed25519.PrivateKey(nil), edKey()[:32]...)
	_, otherEd, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	halves = append(halves, otherEd[32:]...)
	ecHalves := &ecdsa.PrivateKey{PublicKey: other.PublicKey, D: ec.D}
	rsaHalves := &rsa.PrivateKey{PublicKey: rsaKey().PublicKey, D: new(big.Int).Add(rsaKey().D, big.NewInt(2)), Primes: rsaKey().Primes}
	of := jwtsign.SignerKey
	for _, row := range []struct {
		name    string
		private jwtsign.PrivateKey
		alg     string
		want    string
	}{
		{"good", of(ec), "ES256", ""},
		{"good, as long as the hash", short(48), "HS384", ""},
		{"zero", jwtsign.PrivateKey{}, "ES256", "Private: required"},
		{"no algorithm", of(ec), "", "Algorithm: required"},
		{"none", of(ec), "none", "Algorithm: "},
		{"another case", of(ec), "es256", "Algorithm: "},
		{"unknown", of(ec), "ES256K", "Algorithm: "},
		{"with a space", of(ec), "ES256 ", "Algorithm: "},
		{"nil", of(nil), "ES256", "Private: "},
		{"nil RSA", of((*rsa.PrivateKey)(nil)), "RS256", "Private: "},
		{"nil EC", of((*ecdsa.PrivateKey)(nil)), "ES256", "Private: "},
		{"nil of another type", of((*pointerKey)(nil)), "ES256", "Private: "},
		{"nil Ed25519", of(ed25519.PrivateKey(nil)), "EdDSA", "Private: "},
		{"Ed25519 of 31 bytes", of(edKey()[:31]), "EdDSA", "Private: "},
		{"an Ed25519 seed", of(edKey()[:32]), "EdDSA", "Private: "}, // its public half is all zeros
		{"Ed25519 of 63 bytes", of(edKey()[:63]), "EdDSA", "Private: "},
		{"Ed25519 of 65 bytes", of(append(edKey()[:64:64], 0)), "EdDSA", "Private: "},
		{"Ed25519 of two halves", of(halves), "EdDSA", "Private: "},
		{"EC of two halves", of(ecHalves), "ES256", "Private: "},
		{"RSA of two halves", of(rsaHalves), "RS256", "Private: "},
		{"RSA empty", of(&rsa.PrivateKey{}), "RS256", "Private: "},  //
		{"EC empty", of(&ecdsa.PrivateKey{}), "ES256", "Private: "}, //
		{"EC public only", of(&ecdsa.PrivateKey{PublicKey: ec.PublicKey}), "ES256", "Private: "},
		{"RSA public only", of(&rsa.PrivateKey{PublicKey: rsaKey().PublicKey}), "RS256", "Private: "},
		{"RSA of 1024 bits", of(small), "RS256", "Private: "},
		{"P-224", of(p224), "ES256", "Private: "},
		{"HS256, a byte short", short(31), "HS256", "Private: "},
		{"HS384, a byte short", short(47), "HS384", "Private: "},
		{"HS512, a byte short", short(63), "HS512", "Private: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := config()
			cfg.Keys = []jwtsign.Key{{Private: row.private, Algorithm: row.alg}}
			var s *jwtsign.Signer
			var err error
			require.NotPanics(t, func() { s, err = jwtsign.New(cfg) })
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "jwtsign: Keys[0]."+row.want)
			require.Nil(t, s)
		})
	}
	_, err = jwtsign.Secret(nil)
	require.Error(t, err)
}

func TestParseKey(t *testing.T) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ecKey())
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	for _, row := range []struct {
		name, text, alg string
		kid             string // "-": the thumbprint; else refused where alg is empty
	}{
		{"JWK", privateJWK(t, ecKey(), "kid", "k", "alg", "ES256"), "", "k"},
		{"JWK without kid", "\n " + privateJWK(t, ecKey(), "alg", "ES256") + " ", "", "-"},
		{"JWK without alg", privateJWK(t, ecKey(), "kid", "k"), "ES256", "k"},
		{"JWK of another alg", privateJWK(t, rsaKey(), "alg", "RS256"), "PS256", ""},
		{"JWK of the older name", privateJWK(t, edKey(), "alg", "EdDSA"), "Ed25519", ""},
		{"JWK, oct", privateJWK(t, secret, "kid", "s"), "HS512", "s"},
		{"PEM", string(text), "ES256", "-"},
		{"PEM with space", "\n\n" + string(text) + "\n", "ES256", "-"},
		{"a JWK set", `{"keys":[` + privateJWK(t, ecKey(), "alg", "ES256") + `]}`, "", ""},
		{"nothing", "", "ES256", ""},
		{"garbage", canary, "ES256", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			private, err := jwtsign.ParseKey([]byte(row.text))
			var s *jwtsign.Signer
			if err == nil {
				cfg := config()
				cfg.Keys = []jwtsign.Key{{Private: private, Algorithm: row.alg}}
				s, err = jwtsign.New(cfg)
			}
			if row.kid == "" {
				require.Error(t, err)
				require.Nil(t, s)
				require.NotContains(t, err.Error(), canary)
				return
			}
			require.NoError(t, err)
			want := row.kid
			if want == "-" {
				want, err = jose.Thumbprint(&ecKey().PublicKey)
				require.NoError(t, err)
			}
			require.Equal(t, want, s.Status().Signing)
		})
	}
}

// TestKeyNeverShows prints whatever holds a key, in every way.
func TestKeyNeverShows(t *testing.T) {
	for alg, key := range allKeys() {
		private, err := jwtsign.ParseKey([]byte(privateJWK(t, key, "kid", "k")))
		require.NoError(t, err)
		cfg := config()
		cfg.Keys = []jwtsign.Key{{Private: private, Algorithm: alg}}
		s := signer(t, cfg)
		var log bytes.Buffer
		for _, shown := range []any{private, &private, cfg.Keys[0], &cfg.Keys[0], cfg.Keys, cfg, &cfg, s, s.Status()} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				fmt.Fprintf(&log, verb+"\n", shown)
			}
			b, _ := json.Marshal(shown)
			log.Write(b)
			for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
				slog.New(h).Info("key", "key", shown)
			}
		}
		var members map[string]string
		require.NoError(t, json.Unmarshal([]byte(privateJWK(t, key)), &members))
		for _, name := range []string{"d", "p", "q", "k"} {
			if members[name] == "" {
				continue
			}
			raw, err := base64.RawURLEncoding.DecodeString(members[name])
			require.NoError(t, err)
			for _, form := range []string{
				members[name][:16], string(raw[:12]), fmt.Sprintf("%x", raw[:12]), new(big.Int).SetBytes(raw).String()[:20],
				strings.Trim(fmt.Sprint(raw[:8]), "[]"), base64.StdEncoding.EncodeToString(raw)[:16],
			} {
				require.NotContains(t, log.String(), form, "%s of %s", name, alg)
			}
		}
	}
}
