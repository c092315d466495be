package jwtvalidate

import (
	"context"
	"net/http"
)

// claimsContext carries claims without the box and the key that
// context.WithValue would allocate.
type claimsContext struct {
	context.Context //nolint:containedctx // it is a context
	validator       *Validator
	claims          *Claims // nil: none, and those of a validator outside do not count
	admitted        bool    // what the client must not set has been taken from the request
}

// claimsKey asks for anybody's claims, ownClaimsKey for those of one Validator.
type (
	claimsKey    struct{}
	ownClaimsKey struct{ validator *Validator }
	admittedKey  struct{ validator *Validator }
)

func (c *claimsContext) Value(key any) any {
	switch key := key.(type) {
	case claimsKey:
		return c.claims
	case ownClaimsKey:
		if key.validator == c.validator {
			return c.claims
		}
	case admittedKey:
		if key.validator == c.validator {
			return c.admitted
		}
	}
	return c.Context.Value(key)
}

// claimsIn are the claims that this Validator itself has put into the context: what
// another one has let through proves nothing here.
func (v *Validator) claimsIn(ctx context.Context) (*Claims, bool) {
	c, _ := ctx.Value(ownClaimsKey{v}).(*Claims)
	return c, c != nil
}

func (v *Validator) hasAdmitted(ctx context.Context) bool {
	admitted, _ := ctx.Value(admittedKey{v}).(bool)
	return admitted
}

// WithClaims puts claims into a context as Handler does, so that another
// authenticator (an API key, Basic) can stand before the same routes. Whoever
// calls it vouches for the claims: see NewClaims. Handler and Require take them
// from a request without a token; a request that brings a token too is decided by
// the token. Config.Rules and Revocation are about tokens only, and exp is looked at
// by Recheck only. Nil claims are none.
func (v *Validator) WithClaims(ctx context.Context, c *Claims) context.Context {
	if c.none() {
		c = nil
	}
	return &claimsContext{ctx, v, c, false}
}

// FromContext returns the claims that [Validator.Handler], [Validator.Require] or
// [Validator.WithClaims] put into the context, whichever Validator's. False where
// none did, or where an Optional Handler saw no credential: the claims are nil then,
// and their methods panic.
func FromContext(ctx context.Context) (*Claims, bool) {
	c, _ := ctx.Value(claimsKey{}).(*Claims)
	return c, c != nil
}

// innermost makes c the claims that FromContext finds: those that were decided by,
// not those of another Validator in between.
func (v *Validator) innermost(r *http.Request, c *Claims) *http.Request {
	if found, _ := FromContext(r.Context()); found == c {
		return r
	}
	return r.WithContext(&claimsContext{r.Context(), v, c, true})
}
