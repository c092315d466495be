package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/stretchr/testify/require"
)

func TestSign(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms() {
		for _, payload := range []string{"", `{"sub":"s"}`, "\x00\xff no JSON", strings.Repeat("x", 9000)} {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				header, err := jose.Protected(a.alg, "at+jwt", "k1")
				require.NoError(t, err)
				require.Equal(t, `{"alg":"`+a.name+`","typ":"at+jwt","kid":"k1"}`, string(header))
				key := a.private
				if signer, ok := key.(crypto.Signer); ok {
					key = opaque{signer} // as an HSM would be
				}
				for _, key := range []any{a.private, key} {
					token, err := jose.Sign(a.alg, key, header, []byte(payload))
					require.NoError(t, err)
					c, err := jose.ParseCompact(token)
					require.NoError(t, err)
					require.Equal(t, jose.Header{Alg: a.name, KeyID: "k1", Type: "at+jwt", HasType: true}, c.Header)
					require.Equal(t, payload, c.Payload)
					require.Equal(t, encode(string(header))+"."+encode(payload), string(c.SigningInput))
					require.NoError(t, jose.Verify(a.alg, a.public, c.SigningInput, c.Signature))
					require.True(t, strings.HasPrefix(token, string(c.SigningInput)+"."))
					switch a.kind {
					case "P-256", "P-384", "P-521":
						require.Len(t, c.Signature, 2*half(a))
					default:
						if !strings.HasPrefix(a.name, "PS") {
							require.Equal(t, sign(t, a, c.SigningInput), c.Signature, "deterministic")
						}
					}
				}
			})
		}
	}
}

// TestSignBindsKeyToAlgorithm: no key signs for another algorithm than its own.
func TestSignBindsKeyToAlgorithm(t *testing.T) {
	t.Parallel()
	list := algorithms()
	for _, a := range list {
		for _, key := range list {
			token, err := jose.Sign(a.alg, key.private, []byte(`{}`), []byte(`{}`))
			if key.kind == a.kind {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, jose.ErrKey)
			require.Empty(t, token)
		}
	}
}

func TestSignRefusesKeys(t *testing.T) {
	t.Parallel()
	k := makeKeys()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	short, err := jose.NewSecret([]byte("too short"))
	require.NoError(t, err)
	for name, key := range map[string]any{
		"nil": nil, "bytes": k.secretBytes, "text": "secret", "public RSA": &k.rsa.PublicKey, "public EC": &k.p256.PublicKey,
		"public Ed25519": k.ed25519.Public(), "RSA by value": *k.rsa, "EC by value": *k.p256, "JWK": &jose.JWK{Key: k.secret},
		"RSA of 1024 bits": small, "P-224": p224, "short secret": short, "nil secret": (*jose.Secret)(nil),
		"signer without a key": fake{nil, nil, nil}, "signer with another key": fake{k.secretBytes, nil, nil},
		"signer with a secret": fake{(*jose.Secret)(nil), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for a := range jose.AlgCount + 2 {
				token, err := jose.Sign(a, key, []byte(`{}`), []byte(`{}`))
				require.ErrorIs(t, err, jose.ErrKey)
				require.Empty(t, token)
				require.NotContains(t, err.Error(), "too short")
			}
		})
	}
	for _, a := range []jose.Alg{0, jose.AlgCount, 255} {
		for _, good := range algorithms() {
			_, err := jose.Sign(a, good.private, []byte(`{}`), []byte(`{}`))
			require.ErrorIs(t, err, jose.ErrKey)
		}
	}
}

// fake is a signer that answers anything.
type fake struct {
	public crypto.PublicKey
	answer []byte
	err    error
}

func (f fake) Public() crypto.PublicKey { return f.public }

func (f fake) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return f.answer, f.err }

// TestSignWithABrokenSigner: what an HSM answers is held to its form, so that a
// fault there is an error here, and neither a bad token nor a panic.
func TestSignWithABrokenSigner(t *testing.T) {
	t.Parallel()
	k := makeKeys()
	n := elliptic.P256().Params().N
	five, zero, wide := big.NewInt(5), big.NewInt(0), bits(300)
	below := new(big.Int).Sub(n, big.NewInt(1))
	tests := []struct {
		name   string
		alg    jose.Alg
		public crypto.PublicKey
		answer []byte
		good   bool
	}{
		{"EC", jose.ES256, &k.p256.PublicKey, der(t, five, below), true},
		{"EC, nothing", jose.ES256, &k.p256.PublicKey, nil, false},
		{"EC, garbage", jose.ES256, &k.p256.PublicKey, []byte("garbage"), false},
		{"EC, bytes behind", jose.ES256, &k.p256.PublicKey, append(der(t, five, five), 0), false},
		{"EC, R || S", jose.ES256, &k.p256.PublicKey, bytes.Repeat([]byte{0x11}, 64), false},
		{"EC, R of 300 bits", jose.ES256, &k.p256.PublicKey, der(t, wide, five), false},
		{"EC, S of 300 bits", jose.ES256, &k.p256.PublicKey, der(t, five, wide), false},
		{"EC, R = n", jose.ES256, &k.p256.PublicKey, der(t, n, five), false},
		{"EC, S = n", jose.ES256, &k.p256.PublicKey, der(t, five, n), false},
		{"EC, R = 0", jose.ES256, &k.p256.PublicKey, der(t, zero, five), false},
		{"EC, S = 0", jose.ES256, &k.p256.PublicKey, der(t, five, zero), false},
		{"EC, R negative", jose.ES256, &k.p256.PublicKey, der(t, big.NewInt(-5), five), false},
		{"EC, S negative", jose.ES256, &k.p256.PublicKey, der(t, five, big.NewInt(-5)), false},
		{"EC, of another curve", jose.ES384, &k.p384.PublicKey, der(t, bits(500), five), false},
		{"EC, text for R", jose.ES256, &k.p256.PublicKey, mustDER(t, struct {
			R string
			S *big.Int
		}{"R", five}), false},
		{"RSA", jose.RS256, &k.rsa.PublicKey, make([]byte, 256), true},
		{"RSA, nothing", jose.RS256, &k.rsa.PublicKey, nil, false},
		{"RSA, 255 bytes", jose.RS256, &k.rsa.PublicKey, make([]byte, 255), false},
		{"RSA, 257 bytes", jose.PS256, &k.rsa.PublicKey, make([]byte, 257), false},
		{"Ed25519", jose.EdDSA, k.ed25519.Public(), make([]byte, 64), true},
		{"Ed25519, nothing", jose.EdDSA, k.ed25519.Public(), nil, false},
		{"Ed25519, 63 bytes", jose.Ed25519, k.ed25519.Public(), make([]byte, 63), false},
		{"Ed25519, 65 bytes", jose.EdDSA, k.ed25519.Public(), make([]byte, 65), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token, err := jose.Sign(tt.alg, fake{tt.public, tt.answer, nil}, []byte(`{}`), []byte(`{}`))
			if tt.good {
				require.NoError(t, err)
				_, err := jose.ParseCompact(token)
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "jose: signing failed: ")
			require.Empty(t, token)
			require.NotErrorIs(t, err, jose.ErrKey)
		})
	}

	down := errors.New("the HSM is down")
	for _, a := range algorithms()[:11] {
		token, err := jose.Sign(a.alg, fake{a.public, sign(t, a, nil), down}, []byte(`{}`), []byte(`{}`))
		require.ErrorIs(t, err, down, a.name)
		require.Empty(t, token)
	}
}

func mustDER(t *testing.T, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	require.NoError(t, err)
	return b
}

// TestSignAsksForTheRightOperation: what an HSM is asked, which nobody else sees.
func TestSignAsksForTheRightOperation(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms()[:11] {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			asked := &recorder{Signer: a.private.(crypto.Signer)}
			token, err := jose.Sign(a.alg, asked, []byte(`{}`), []byte(`{}`))
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(token, "e30.e30."))
			require.Equal(t, 1, asked.times)
			require.Equal(t, a.hash, asked.opts.HashFunc())
			opts, isPSS := asked.opts.(*rsa.PSSOptions)
			require.Equal(t, strings.HasPrefix(a.name, "PS"), isPSS)
			if isPSS {
				require.Contains(t, []int{rsa.PSSSaltLengthEqualsHash, a.hash.Size()}, opts.SaltLength)
			}
			if a.hash == 0 {
				require.Equal(t, "e30.e30", string(asked.digest))
			} else {
				require.Equal(t, a.digest([]byte("e30.e30")), asked.digest)
			}
			require.NotNil(t, asked.random)
		})
	}
}

type recorder struct {
	crypto.Signer
	times  int
	random io.Reader
	digest []byte
	opts   crypto.SignerOpts
}

func (r *recorder) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	r.times, r.random, r.digest, r.opts = r.times+1, random, slices.Clone(digest), opts
	return r.Signer.Sign(random, digest, opts)
}

// TestSignTwice: an ECDSA or PSS signature is another one each time; R is never
// the same, or the key could be computed.
func TestSignTwice(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms()[3:9] {
		seen := map[string]bool{}
		for range 8 {
			token, err := jose.Sign(a.alg, a.private, []byte(`{}`), []byte(`{}`))
			require.NoError(t, err)
			c, err := jose.ParseCompact(token)
			require.NoError(t, err)
			seen[string(c.Signature[:len(c.Signature)/2])] = true
		}
		require.Len(t, seen, 8, a.name)
	}
}

func TestProtected(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, typ, kid string
		want           string
	}{
		{"all", "at+jwt", "k", `{"alg":"ES256","typ":"at+jwt","kid":"k"}`},
		{"no typ", "", "k", `{"alg":"ES256","kid":"k"}`},
		{"no kid", "JWT", "", `{"alg":"ES256","typ":"JWT"}`},
		{"alg only", "", "", `{"alg":"ES256"}`},
		{"quotes", `a","alg":"none`, "k", `{"alg":"ES256","typ":"a\",\"alg\":\"none","kid":"k"}`},
		{"control characters", "", "k\x00\n", `{"alg":"ES256","kid":"k\u0000\n"}`},
		{"beyond ASCII", "", "é😀", `{"alg":"ES256","kid":"é😀"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			header, err := jose.Protected(jose.ES256, tt.typ, tt.kid)
			require.NoError(t, err)
			require.Equal(t, tt.want, string(header))
			require.True(t, json.Valid(header))
			c, err := jose.ParseCompact(tokenOf(string(header)))
			require.NoError(t, err)
			require.Equal(t, jose.Header{Alg: "ES256", KeyID: tt.kid, Type: tt.typ, HasType: tt.typ != ""}, c.Header)
		})
	}
}
