// Package revoke knows which tokens are no longer wanted, though they are valid:
// those of a stolen phone, of a user who has logged out, of a key that has leaked.
//
//	checker, err := revoke.New(revoke.Config{MaxLifetime: time.Hour})
//	v, err := jwtvalidate.New(jwtvalidate.Config{Revocation: checker /* … */})
//	…
//	_, err = checker.Revoke(ctx, revoke.Record{Kind: revoke.KindSubject, Issuer: iss, Value: sub})
//
// A check costs one atomic load while nothing was ever revoked, and some table
// lookups by keyed fingerprint after that: no lock, no allocation, no request to
// anybody. Nothing runs while nobody asks.
//
// # Rules
//
// Each record is held against the token on its own, and any hit refuses: by token
// id, by session, by subject, client or any set of claims, by signing key, by
// issuer, or everything. Those that concern what was issued before a time let a
// user log in again. iat is mostly in whole seconds, so that a login in the very
// second of a cutoff is refused as well: [Receipt.Cutoff] says when it helps, and
// [Config.AcceptSameSecond] decides otherwise. A token without iat fits every cutoff.
//
// Tokens are named by issuer and id, never by their bytes, of which one token has
// many spellings. A token without an id is not refused for it (but see [Config.RequireID]):
// what one user revokes changes nothing for others.
//
// # How long
//
// Records are kept until the last token that they are about has expired, and two
// minutes more: that is why MaxLifetime is required, and why tokens that live
// longer are refused, but for a Checker without a Log that had only single tokens
// revoked of which [Record.Expires] was known.
//
// # Errors
//
//	ErrUnavailable, ErrFull  it could not be told, or stored: 503, with RetryAfter
//	ErrRecord                the Record makes no sense: 400
//	ErrUnknown               there is no such record: 404
//	ctx.Err()                as it is
//
// "Could not tell" is never a pass, unless [Config.Mode] is [BestEffort] or, for some
// tokens, [Graded].
//
// # What is not done
//
// No signature is looked at: the claims must be those of a token that was verified.
// Identifiers are not kept in any form that can be listed. Clocks of the issuer and
// of who revokes must agree to within what a cutoff is to be exact to.
package revoke
