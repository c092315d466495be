package jwtvalidate

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// RevocationChecker is asked about every token that is good in all other respects.
type RevocationChecker interface {
	// Revoked reports whether the token is no longer wanted. The claims are a
	// *Claims, read-only. An error says that it cannot be told (503), and must hold
	// nothing of the token: it is logged.
	Revoked(ctx context.Context, claims interface {
		Get(name string) (any, bool)
	}) (bool, error)
}

// signer is how a token was verified: by which key, found how, for which policy.
type signer struct {
	policy *policy
	alg    jose.Alg
	keyID  string
	key    crypto.PublicKey
}

// keys asks the issuer's own source.
func (s *signer) keys(ctx context.Context) ([]crypto.PublicKey, error) {
	keys, err := s.policy.keys.Keys(ctx, s.keyID, s.alg.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return keys[:min(len(keys), maxTried)], nil
}

// verify finds the key that has made the signature.
func (s *signer) verify(ctx context.Context, t *jose.Compact) (crypto.PublicKey, error) {
	keys, err := s.keys(ctx)
	if err != nil {
		return nil, err
	}
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

// Recheck asks again about claims of an earlier Check, as a long stream should from
// time to time: has the token expired, does the issuer still have its key, has it
// been revoked. Nothing is parsed or verified, and no rule asked: that is Allow.
// Of claims by NewClaims only exp is looked at, if there is one. Claims of another
// Validator are refused (ErrUnknownIssuer).
func (v *Validator) Recheck(ctx context.Context, c *Claims) error {
	d := v.begin()
	if d.err = v.recheck(ctx, c); !c.none() && v.knows(c) {
		d.policy, d.claims = c.signer.policy, c
	}
	v.report(ctx, &d, false)
	return d.err
}

// knows reports whether it was this Validator that has checked the claims, or
// nobody (NewClaims).
func (v *Validator) knows(c *Claims) bool {
	p := c.signer.policy
	return p == nil || v.policies[p.url] == p
}

func (v *Validator) recheck(ctx context.Context, c *Claims) error {
	if c.none() {
		return ErrNoToken
	}
	p := c.signer.policy
	if p == nil {
		if !c.expiry.IsZero() && !v.now().Before(c.expiry.Add(v.leeway)) {
			return ErrExpired
		}
		return nil
	}
	if !v.knows(c) {
		return ErrUnknownIssuer
	}
	if err := v.checkTime(p, c); err != nil {
		return err
	}
	keys, err := c.signer.keys(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(keys, c.signer.isBy) {
		return ErrUnknownKey
	}
	return v.checkRevoked(ctx, c)
}

// isBy compares key material; a source may hand out a new value for the same key.
// What is no key for the algorithm is none here either: Equal would panic.
func (s *signer) isBy(b crypto.PublicKey) bool {
	a := s.key
	if jose.CheckKey(s.alg, b) != nil {
		return false
	}
	if ed, ok := a.(ed25519.PublicKey); ok { // a slice: == would panic
		return ed.Equal(b)
	}
	if a == b {
		return true
	}
	key, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

func (v *Validator) checkRevoked(ctx context.Context, c *Claims) error {
	if v.revocation == nil {
		return nil
	}
	revoked, err := v.revocation.Revoked(ctx, c)
	switch {
	case err != nil:
		return fmt.Errorf("%w: revocation: %w", ErrUnavailable, err)
	case revoked:
		return ErrRevoked
	}
	return nil
}
