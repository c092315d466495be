package jwtvalidate_test

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // RSA-OAEP of RFC 7518 is defined with it
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// seal encrypts a text for a key as RFC 7516 section 5.1 says, with RSA-OAEP and A256GCM.
func seal(tb testing.TB, to *rsa.PublicKey, header, text string) string {
	tb.Helper()
	cek := make([]byte, 32)
	_, _ = rand.Read(cek)
	key, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, to, cek, nil)
	require.NoError(tb, err)
	block, err := aes.NewCipher(cek)
	require.NoError(tb, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(tb, err)
	iv := make([]byte, 12)
	_, _ = rand.Read(iv)
	sealed := gcm.Seal(nil, iv, []byte(text), []byte(b64(header)))
	parts := []string{b64(header)}
	for _, part := range [][]byte{key, iv, sealed[:len(text)], sealed[len(text):]} {
		parts = append(parts, base64.RawURLEncoding.EncodeToString(part))
	}
	return strings.Join(parts, ".")
}

const sealedHeader = `{"alg":"RSA-OAEP","enc":"A256GCM","cty":"JWT"}`

func decryptionPEM(tb testing.TB, key *rsa.PrivateKey) func() ([]byte, error) {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(tb, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return func() ([]byte, error) { return text, nil }
}

// TestEncryptedTokens: one layer, around a token that is good by itself.
func TestEncryptedTokens(t *testing.T) {
	ours := &rsaKey().PublicKey
	var cached atomic.Bool
	cfg := jwtvalidate.Config{
		Issuers:        []jwtvalidate.Issuer{policy(sourceOf(&ecKey().PublicKey))},
		DecryptionKeys: []jwtvalidate.DecryptionKey{{Algorithm: "RSA-OAEP", Key: decryptionPEM(t, rsaKey())}},
		Observe:        func(_ context.Context, e jwtvalidate.Event) { cached.Store(e.Cached) },
	}
	v := validator(t, cfg)
	strict := cfg
	strict.Issuers = []jwtvalidate.Issuer{cfg.Issuers[0]}
	strict.Issuers[0].Encrypted = true
	none := cfg
	none.DecryptionKeys = nil
	for _, row := range []struct {
		name, token           string
		want, strict, plainly error // with keys, where it must be encrypted, and without keys
	}{
		{"plain", good(t), nil, jwtvalidate.ErrType, nil},
		{"encrypted", seal(t, ours, sealedHeader, good(t)), nil, nil, jwtvalidate.ErrMalformed},
		{"for another", seal(t, &evilRSA().PublicKey, sealedHeader, good(t)), jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed},
		{"compressed", seal(t, ours, `{"alg":"RSA-OAEP","enc":"A256GCM","cty":"JWT","zip":"DEF"}`, good(t)), jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed},
		{"by a password", seal(t, ours, `{"alg":"PBES2-HS256+A128KW","p2c":2147483648,"p2s":"AAAAAAAAAAA","enc":"A256GCM","cty":"JWT"}`, good(t)), jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed},
		{"direct", seal(t, ours, `{"alg":"dir","enc":"A256GCM","cty":"JWT"}`, good(t)), jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed},
		{"twice", seal(t, ours, sealedHeader, seal(t, ours, sealedHeader, good(t))), jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed},
		{"no token within", seal(t, ours, sealedHeader, goodPayload), jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed},
		{"unsigned within", seal(t, ours, sealedHeader, raw(`{"alg":"none"}`, goodPayload, nil)), jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed},
		{"unsigned within, with a signature", seal(t, ours, sealedHeader, raw(`{"alg":"none"}`, goodPayload, []byte("x"))), jwtvalidate.ErrAlgorithm, jwtvalidate.ErrAlgorithm, jwtvalidate.ErrMalformed},
		{"forged within", seal(t, ours, sealedHeader, good(t)[:len(good(t))-10]+"AAAAAAAAAA"), jwtvalidate.ErrInvalidToken, jwtvalidate.ErrInvalidToken, jwtvalidate.ErrMalformed},
		{"expired within", seal(t, ours, sealedHeader, es256(t, goodHeader, `{"iss":"https://idp.example.com/","aud":"https://api.example.com","exp":1}`)), jwtvalidate.ErrExpired, jwtvalidate.ErrExpired, jwtvalidate.ErrMalformed},
		{"not base64 within", seal(t, ours, sealedHeader, "a.b!.c"), jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed},
		{"too large", seal(t, ours, sealedHeader, strings.Repeat("a", 16<<10)+".b.c"), jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed},
		{"four dots", "....", jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed, jwtvalidate.ErrMalformed},
	} {
		for mode, want := range map[*jwtvalidate.Config]error{&cfg: row.want, &strict: row.strict, &none: row.plainly} {
			g := newGate(t, *mode)
			a := g.get(t, "Authorization: Bearer "+row.token)
			if want == nil {
				require.Equal(t, http.StatusNoContent, a.status, row.name)
			} else {
				requireRefused(t, a, http.StatusUnauthorized, challengeToken)
			}
			_, err := g.CheckToken(t.Context(), row.token)
			require.ErrorIs(t, err, want, row.name)
		}
	}
	token := seal(t, ours, sealedHeader, good(t))
	for _, want := range []bool{false, true} { // remembered as it came
		_, err := v.CheckToken(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, want, cached.Load())
	}
}

// decrypter is a key in an HSM.
type decrypter struct{ *rsa.PrivateKey }

// TestDecryptionKeys: what fits together, and that no key is shown.
func TestDecryptionKeys(t *testing.T) {
	key := decryptionPEM(t, rsaKey())
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	for _, row := range []struct {
		name string
		key  jwtvalidate.DecryptionKey
		want string
	}{
		{"PEM", jwtvalidate.DecryptionKey{Algorithm: "RSA-OAEP-256", Key: key}, ""},
		{"elsewhere", jwtvalidate.DecryptionKey{Algorithm: "RSA-OAEP", Decrypter: decrypter{rsaKey()}}, ""},
		{"none", jwtvalidate.DecryptionKey{Algorithm: "RSA-OAEP"}, "DecryptionKeys[0].Key, Decrypter: "},
		{"both", jwtvalidate.DecryptionKey{Algorithm: "RSA-OAEP", Key: key, Decrypter: decrypter{rsaKey()}}, "DecryptionKeys[0].Key, Decrypter: "},
		{"a nil pointer", jwtvalidate.DecryptionKey{Algorithm: "RSA-OAEP", Decrypter: (*rsa.PrivateKey)(nil)}, "DecryptionKeys[0].Key, Decrypter: "},
		{"no algorithm", jwtvalidate.DecryptionKey{Key: key}, "DecryptionKeys[0].Algorithm: required"},
		{"another algorithm", jwtvalidate.DecryptionKey{Algorithm: "ECDH-ES", Key: key}, "DecryptionKeys[0].Algorithm: "},
		{"RSA1_5", jwtvalidate.DecryptionKey{Algorithm: "RSA1_5", Key: key}, "DecryptionKeys[0].Algorithm: "},
		{"no key", jwtvalidate.DecryptionKey{Algorithm: "RSA-OAEP", Key: func() ([]byte, error) { return []byte("{}"), nil }}, "DecryptionKeys[0].Key: "},
		{"an error", jwtvalidate.DecryptionKey{Algorithm: "RSA-OAEP", Key: func() ([]byte, error) { return nil, errors.New("sealed") }}, "DecryptionKeys[0].Key: sealed"},
		{"short", jwtvalidate.DecryptionKey{Algorithm: "RSA-OAEP", Key: decryptionPEM(t, small)}, "DecryptionKeys[0].Key: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			v, err := jwtvalidate.New(jwtvalidate.Config{
				Issuers: []jwtvalidate.Issuer{policy(sourceOf(&ecKey().PublicKey))}, DecryptionKeys: []jwtvalidate.DecryptionKey{row.key}, Now: clock,
			})
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
				require.NotContains(t, fmt.Sprintf(verb, row.key), rsaKey().D.String()[:20])
			}
			if row.want != "" {
				require.ErrorContains(t, err, "jwtvalidate: "+row.want)
				return
			}
			require.NoError(t, err)
			if row.key.Algorithm == "RSA-OAEP" {
				_, err = v.CheckToken(t.Context(), seal(t, &rsaKey().PublicKey, sealedHeader, good(t)))
				require.NoError(t, err)
			}
		})
	}
	i := policy(sourceOf(&ecKey().PublicKey))
	i.Encrypted = true
	_, err = jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{i}})
	require.ErrorContains(t, err, "jwtvalidate: Issuers[0].Encrypted: only with DecryptionKeys")
}

// failing is a key in an HSM that does not answer, or worse.
type failingDecrypter struct {
	decrypter
	err error
}

func (f failingDecrypter) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	if f.err == nil {
		panic("x")
	}
	return nil, f.err
}

// TestDecrypterOutage: a token is not bad because the HSM does not answer.
func TestDecrypterOutage(t *testing.T) {
	token := seal(t, &rsaKey().PublicKey, sealedHeader, good(t))
	for _, row := range []struct{ err, want error }{
		{errors.New("rsa: decryption error"), jwtvalidate.ErrMalformed},
		{fmt.Errorf("%w: no HSM", jwtvalidate.ErrUnavailable), jwtvalidate.ErrUnavailable},
		{nil, jwtvalidate.ErrUnavailable},
	} {
		v := validator(t, jwtvalidate.Config{
			Issuers:        []jwtvalidate.Issuer{policy(sourceOf(&ecKey().PublicKey))},
			DecryptionKeys: []jwtvalidate.DecryptionKey{{Algorithm: "RSA-OAEP", Decrypter: failingDecrypter{decrypter{rsaKey()}, row.err}}},
		})
		_, err := v.CheckToken(t.Context(), token)
		require.ErrorIs(t, err, row.want)
	}
	many := make([]jwtvalidate.DecryptionKey, 9)
	for i := range many {
		many[i] = jwtvalidate.DecryptionKey{Algorithm: "RSA-OAEP", Decrypter: decrypter{rsaKey()}}
	}
	_, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(&ecKey().PublicKey))}, DecryptionKeys: many})
	require.ErrorContains(t, err, "jwtvalidate: DecryptionKeys: more than 8 for RSA-OAEP")
}

var _ crypto.Decrypter = decrypter{}
