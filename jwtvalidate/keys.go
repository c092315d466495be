package jwtvalidate

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// KeySource finds the keys of one issuer. kid is the key id that the issuer's
// KeyID makes of the header, empty if the token names none; alg is the
// registered name of an algorithm that the policy allows.
//
// No keys and a nil error say: there is no such key (401). Any error says: could
// not tell (503); it may have RetryAfter() time.Duration, and its text, which is
// logged, must hold nothing of the token. The keys are
// *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey; others never verify
// anything. The slice is shared and read-only; at most 8 of its keys are tried.
// A *jwkcache.Cache is a KeySource.
type KeySource interface {
	Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error)
}

// maxTried bounds the signature checks that one token can cause.
const maxTried = 8

// secretSource is the one source of HS* keys. Its type is the proof that the
// application itself made the key.
type secretSource struct{ keys []crypto.PublicKey }

func (s *secretSource) Keys(context.Context, string, string) ([]crypto.PublicKey, error) {
	return s.keys, nil
}

// Format keeps fmt from walking into the key.
func (s *secretSource) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("secret")) }

// Secret is the KeySource of HS256, HS384 and HS512: one key that the issuer and
// this service share, at least as long as the hash (RFC 7518 section 3.2; New
// checks it against Algorithms). The bytes are copied and never shown. A text
// that holds a public key or JSON is refused: it would be no secret.
func Secret(b []byte) (KeySource, error) {
	if err := jose.CheckSecretText(b); err != nil {
		return nil, fmt.Errorf("jwtvalidate: Secret: %w", err)
	}
	secret, err := jose.NewSecret(b)
	if err != nil {
		return nil, fmt.Errorf("jwtvalidate: Secret: %w", err)
	}
	return &secretSource{keys: []crypto.PublicKey{secret}}, nil
}

// staticSource is a fixed set of keys, without ids.
type staticSource [jose.AlgCount][]crypto.PublicKey

func (s *staticSource) Keys(_ context.Context, _, alg string) ([]crypto.PublicKey, error) {
	a, _ := jose.ParseAlg(alg)
	return s[a], nil
}

// StaticKeys is a KeySource of fixed public keys: *rsa.PublicKey,
// *ecdsa.PublicKey or ed25519.PublicKey, at most 8. The token's kid is not
// looked at; each key that fits the algorithm is tried. For keys that change,
// and for JWK sets, use jwkcache.
func StaticKeys(keys ...crypto.PublicKey) (KeySource, error) {
	if len(keys) == 0 || len(keys) > maxTried {
		return nil, fmt.Errorf("jwtvalidate: StaticKeys: want 1 to %d keys, got %d", maxTried, len(keys))
	}
	s := new(staticSource)
	var errs []error
	for i, key := range keys {
		fits := false
		for a := jose.Alg(1); a < jose.AlgCount; a++ {
			if !a.Symmetric() && jose.CheckKey(a, key) == nil {
				s[a] = append(s[a], key)
				fits = true
			}
		}
		if k, isEC := key.(*ecdsa.PublicKey); isEC && fits {
			_, err := k.ECDH()
			fits = err == nil // a point on its curve
		}
		if !fits {
			errs = append(errs, fmt.Errorf("jwtvalidate: StaticKeys: key %d (%T) fits no algorithm", i, key))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}
