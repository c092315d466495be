package jwtvalidate

import (
	"context"
	"slices"
)

// Recheck asks again about claims of an earlier Check, as a long stream should from
// time to time: has the token expired, does the issuer still have its key, has it
// been revoked; and if IssuerFor has given another policy since, whether that would
// take the claims. Nothing is parsed or verified, and no rule asked: that is Allow.
// Of claims by NewClaims only exp is looked at, if there is one. Claims of another
// Validator are refused (ErrUnknownIssuer). Observe is told of refusals only.
func (v *Validator) Recheck(ctx context.Context, c *Claims) error {
	d := v.begin()
	if d.err = v.recheck(ctx, c); !c.none() && v.knows(c) {
		d.policy, d.claims = c.signer.policy, c
	}
	if d.err != nil {
		v.report(ctx, &d, false)
	}
	return d.err
}

// knows reports whether it was this Validator that has checked the claims, or
// nobody (NewClaims).
func (v *Validator) knows(c *Claims) bool {
	p := c.signer.policy
	return p == nil || p.owner == v
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
	if err := v.checkTime(p, c, v.now()); err != nil {
		return err
	}
	by := c.signer
	current, err := v.tenants.current(ctx, p)
	switch {
	case err != nil:
		return err
	case current == nil:
		return ErrUnknownIssuer
	case current != p: // asked for again since, and not the same
		if err := current.takesOver(c); err != nil {
			return err
		}
		if err := v.checkTime(current, c, v.now()); err != nil {
			return err
		}
		by.policy = current
	}
	keys, err := by.keys(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(keys, c.signer.isBy) {
		return ErrUnknownKey
	}
	return v.checkRevoked(ctx, c)
}
