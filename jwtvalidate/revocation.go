package jwtvalidate

import (
	"context"
	"fmt"
)

// RevocationChecker is asked about every token that is good in all other respects.
type RevocationChecker interface {
	// Revoked reports whether the token is no longer wanted. The claims are a
	// *Claims, read-only; they are spelled without a type of this package, so that
	// others can have the method without importing it. An error says that it cannot
	// be told (503), and must hold nothing of the token: it is logged.
	Revoked(ctx context.Context, claims interface {
		Get(name string) (any, bool)
	}) (bool, error)
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
