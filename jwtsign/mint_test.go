package jwtsign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

const (
	issuerURL = "https://login.example.com"
	audience  = "https://api.example.com"
	epoch     = 1_800_000_000 // what the clock of the tests shows

	// canary stands in claims: no error, answer or log line may hold it.
	canary = "c4n4ry"
)

func clock() time.Time { return time.Unix(epoch, 0) }

func once[T any](generate func() (T, error)) func() T {
	return sync.OnceValue(func() T {
		k, err := generate()
		if err != nil {
			panic(err)
		}
		return k
	})
}

var (
	rsaKey = once(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	ecKey  = once(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })
	p384   = once(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) })
	p521   = once(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) })
	edKey  = once(func() (ed25519.PrivateKey, error) {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return k, err
	})
	secret = []byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
)

// signers are a key for each algorithm that has a public half.
func signers() map[string]crypto.Signer {
	return map[string]crypto.Signer{
		"RS256": rsaKey(), "RS384": rsaKey(), "RS512": rsaKey(), "PS256": rsaKey(), "PS384": rsaKey(), "PS512": rsaKey(),
		"ES256": ecKey(), "ES384": p384(), "ES512": p521(), "EdDSA": edKey(), "Ed25519": edKey(),
	}
}

func access() jwtsign.Token {
	return jwtsign.Token{Lifetime: time.Hour, Audience: []string{audience}}
}

// config signs with an EC key, and rewrites access_token.
func config() jwtsign.Config {
	return jwtsign.Config{
		Issuer: issuerURL,
		Keys:   []jwtsign.Key{{Private: jwtsign.SignerKey(ecKey()), Algorithm: "ES256", ID: "one"}},
		Token:  access(),
		Fields: []jwtsign.Field{{Path: []string{"access_token"}}},
		Now:    clock,
	}
}

func signer(tb testing.TB, cfg jwtsign.Config) *jwtsign.Signer {
	tb.Helper()
	s, err := jwtsign.New(cfg)
	require.NoError(tb, err)
	return s
}

// opened is a token whose signature was verified.
type opened struct {
	header, payload string // as they stand
	claims          map[string]any
}

// open verifies a token with one of our keys and takes it apart.
func open(tb testing.TB, token string, alg string, key any) opened {
	tb.Helper()
	c, err := jose.ParseCompact(token)
	require.NoError(tb, err)
	require.Equal(tb, alg, c.Header.Alg)
	a, known := jose.ParseAlg(alg)
	require.True(tb, known)
	if signer, ok := key.(crypto.Signer); ok {
		key = signer.Public()
	}
	require.NoError(tb, jose.Verify(a, key, c.SigningInput, c.Signature))
	header, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	require.NoError(tb, err)
	o := opened{header: string(text), payload: c.Payload}
	d := json.NewDecoder(strings.NewReader(c.Payload))
	d.UseNumber()
	require.NoError(tb, d.Decode(&o.claims))
	return o
}
