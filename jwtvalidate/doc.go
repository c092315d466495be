// Package jwtvalidate is net/http middleware that answers two questions about a
// request: is its token good and meant for this service, and may it do this. Only
// requests with a good token reach the handler behind it.
//
//	keys, err := jwkcache.New(jwkcache.Config{Issuer: "https://idp.example.com/"})
//	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
//		URL:        "https://idp.example.com/",
//		Algorithms: []string{"RS256"},
//		Keys:       keys,
//		Audiences:  []string{"https://api.example.com"},
//	}}})
//	http.Handle("/orders", v.Handler(orders))
//
// # What is checked
//
// The credential: one Authorization header with one Bearer token (RFC 6750). The
// form: strict compact JWS, strict JSON, no crit, no nesting, at most 16 KiB; where
// [Config.DecryptionKeys] say so, in one layer of encryption (RFC 7516). The issuer:
// iss equals a configured URL, byte for byte, before anything is fetched. The
// algorithm: one that this issuer's policy names, bound to the key's type, curve and
// size. The signature, once, by a key of this issuer. The type: typ is
// one that the profile allows. The time: exp is required, nbf and iat are held
// against the clock, with leeway; a token that has expired costs no key and no
// verification. The audience, the required claims, and cnf: a
// token that is bound to its sender is refused unless the request proves it.
// Revocation, where one is configured.
//
// # Many issuers
//
// [Config.Issuers] are fixed; nothing of one ever serves another's tokens.
// [Config.IssuerFor] finds the policies of tenants when a token of theirs comes, and a
// URL with {tenantid} stands for those of a provider who has a URL for each.
// [Validator.Forget] has one asked for again.
//
// # Where the token may stand, and what goes on
//
// [Config.Sources] names other headers and schemes, and cookies; what a browser
// sends on its own is held against the page that made it. One request has one
// token: a second one in an enabled place is malformed. [Config.Forward] sends claims
// to the handlers behind in headers that no client can set; [Config.Onward] and
// [Config.OnwardToken] say which token they see.
//
// # What is remembered
//
// That a token's signature was made by a key, and the claims ([Config.CacheEntries]).
// The next request with the same token asks the clock, the issuer's source for that
// key, the request's client certificate, Revocation and the rules as if it were the
// first, and so is refused as soon as any of them says so. No refusal is remembered.
//
// # What a token may do
//
// Rules are values: about scopes, about any claim by its path, about the time and
// means of the user's authentication, about the request itself. [Config.Rules] hold
// for every token, [Validator.Require] for a route; [All], [Any] and [Not] combine them.
//
//	admin := jwtvalidate.Claim("realm_access", "roles").AnyOf("admin")
//	mux.Handle("GET /orders", v.Require(jwtvalidate.AllScopes("orders:read"))(list))
//	mux.Handle("DELETE /orders/{id}", v.Require(admin)(remove))
//
// A stream that outlives its token asks again by [Validator.Recheck]. Other transports
// use [Validator.CheckToken] and [Validator.Allow], other authenticators
// [Validator.WithClaims].
//
// A client that knows nothing but the service finds out where to get a token from
// the challenge and from [Validator.ProtectedResource] (RFC 9728), given a [Config.Resource].
//
// # What is not checked
//
// Whether the token was revoked, unless [Config.Revocation] says so. The proofs of
// DPoP (RFC 9449), unless [Issuer.Confirm] does. The header members jwk, jku, x5u
// and x5c are never looked at. A symmetric key never comes from anywhere but [Secret].
//
// # Answers
//
// Deciding ([Validator.Check]) and answering ([WriteError]) are apart;
// [Validator.Handler] does both. All
// answers have an empty body and Cache-Control: no-store.
//
//	error                             status  challenge or header
//	ErrNoToken                        401     Bearer realm="…"
//	ErrInvalidRequest                 400     Bearer realm="…", error="invalid_request"
//	ErrInvalidToken and its family    401     Bearer realm="…", error="invalid_token"
//	ErrForbidden                      403     none
//	ErrInsufficientScope              403     Bearer realm="…", error="insufficient_scope", scope="…"
//	ErrStepUp                         401     Bearer realm="…", error="insufficient_user_authentication", acr_values="…", max_age=…
//	ErrUnavailable                    503     Retry-After: seconds
//
// The family of ErrInvalidToken is ErrMalformed, ErrAlgorithm, ErrType,
// ErrUnknownIssuer, ErrUnknownKey, ErrSignature, ErrExpired, ErrNotYetValid,
// ErrLifetime, ErrAudience, ErrMissingClaim, ErrConfirmation and ErrRevoked. Which
// of them it was is for logs (ReasonOf, Observe) and never for the client. A cookie
// from a foreign page is an ErrForbidden.
//
// A malformed credential behind the scheme Bearer, or a second one, is a
// malformed request (400). Another scheme is no credential at all: 401 without
// error code. 503 has no challenge, since the token may well be good: a client
// must not throw it away because the issuer's keys could not be had.
package jwtvalidate
