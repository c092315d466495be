package jwtvalidate

import (
	"context"
	"net/http"
	"time"
)

// Issuer is the policy for the tokens of one issuer. Nothing of one issuer's
// policy or keys ever serves another's tokens.
type Issuer struct {
	// URL must equal the token's iss, byte for byte (RFC 7519 section 4.1.1). Required.
	//
	// With {tenantid} for one segment of its path, as Microsoft Entra ID has it for
	// many tenants, the segment must equal the token's tid, the tenant must be allowed,
	// and a key that names its issuer must be that one's: Keys then need KeysOf, as a
	// *jwkcache.Cache has it.
	URL string

	// Tenants, TenantAllowed and InsecureAnyTenant say which tenants a URL with
	// {tenantid} is for: one of them is required by it. TenantAllowed is asked like
	// IssuerFor, about a tenant that is not verified yet. InsecureAnyTenant lets in
	// whoever can get a token from the issuer: everybody, as a rule.
	Tenants           []string
	TenantAllowed     func(ctx context.Context, tenant string) (bool, error)
	InsecureAnyTenant bool

	// Algorithms are the values of alg that are accepted, by registered name:
	// RS, PS and ES with 256, 384 or 512, EdDSA, Ed25519 (RFC 9864: the same as
	// EdDSA, but only the names listed here are taken), or HS with 256, 384 or
	// 512, which need a Secret and allow no others beside them. Required.
	Algorithms []string

	// Keys are the issuer's keys. Required.
	Keys KeySource

	// Audiences are this service's names, of which the token must be for at
	// least one, or for all with AllAudiences. Required.
	Audiences    []string
	AllAudiences bool

	// AudienceClaim is the claim that must name the audience, for issuers that
	// send no aud: Amazon Cognito's access tokens have client_id. It stands in the
	// place of aud, which is not looked at then. Zero: aud.
	AudienceClaim string

	// Profile is the kind of token that is accepted. Zero: typ absent, JWT, JOSE
	// or at+jwt, and no claim required but iss, aud and exp.
	Profile Profile

	// Required are further claims that must be present, neither null nor empty.
	Required []string

	// Encrypted refuses tokens that do not come encrypted (ErrType).
	Encrypted bool

	// MaxLifetime bounds exp - iat, and so makes iat required. Zero: unbounded.
	MaxLifetime time.Duration

	// KeyID says which header members name the key: kid, x5t, x5t#S256, or kid+x5t
	// for the two without a separator. Where the thumbprint is absent, kid is
	// taken; where that is absent too, every key that fits the algorithm may be
	// tried. Zero: kid.
	KeyID string

	// Confirm decides whether a request proves the sender that a token with a
	// cnf claim is bound to (RFC 7800). An error refuses the token, or answers
	// 503 if it wraps ErrUnavailable. Nil: x5t#S256 is compared with the client
	// certificate of the connection (RFC 8705 section 3); any other member, such
	// as the jkt of DPoP, is refused. It does not run for CheckToken, which has
	// no request and refuses every token with a cnf. An error that wraps
	// ErrUnavailable is logged: it must hold nothing of the token.
	Confirm func(r *http.Request, c *Claims) error
}
