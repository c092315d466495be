package jwtvalidate

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// signer is how a token was verified: by which key, found how, for which policy.
type signer struct {
	policy *policy
	alg    jose.Alg
	keyID  string
	key    crypto.PublicKey
}

// keys asks the issuer's own source.
func (s *signer) keys(ctx context.Context) ([]crypto.PublicKey, error) {
	var keys []crypto.PublicKey
	var err error
	if p := s.policy; p.owned != nil {
		keys, err = p.owned.KeysOf(ctx, p.url, s.keyID, s.alg.String())
	} else {
		keys, err = p.keys.Keys(ctx, s.keyID, s.alg.String())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return keys[:min(len(keys), maxTried)], nil
}

// verify finds the key that has made the signature.
func (s *signer) verify(keys []crypto.PublicKey, t *jose.Compact) (crypto.PublicKey, error) {
	reason := ErrUnknownKey
	for _, key := range keys {
		err := jose.Verify(s.alg, key, t.SigningInput, t.Signature)
		if err == nil {
			return key, nil
		}
		if errors.Is(err, jose.ErrSignature) {
			reason = ErrSignature
		}
	}
	return nil, reason
}

// isBy compares key material; a source may hand out a new value for the same key.
// What is no key for the algorithm is none here either: Equal would panic.
func (s *signer) isBy(b crypto.PublicKey) bool {
	a := s.key
	if ed, ok := a.(ed25519.PublicKey); ok { // a slice: == would panic
		return ed.Equal(b)
	}
	if a == b {
		return true
	}
	if jose.CheckKey(s.alg, b) != nil {
		return false
	}
	key, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && key.Equal(b)
}
