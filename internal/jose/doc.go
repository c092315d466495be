// Package jose reads and writes JSON Object Signing and Encryption objects,
// strictly: compact JWS (RFC 7515), compact JWE that holds one (RFC 7516, read only),
// JWK (RFC 7517), the algorithms of RFC 7518, RFC 8037 and RFC 9864, and JWK
// thumbprints (RFC 7638).
//
// It is the only place of the module that imports lestrrat-go/jwx, which is
// used on keys and inputs that were checked here first: key import, thumbprints and
// publishing of public keys. Parsing, JSON, verification, signing and decryption are
// done here on top of crypto/*: there jwx would add another parser, looser bounds (any
// PSS salt, any curve, inflated content), copies of the key on each call, and a panic
// where a signer errs.
//
// What is refused: everything that is not three base64url segments (five, where
// Decrypt is asked) in their one canonical spelling; JSON with duplicate, case-folded
// or unbounded members; crit, b64, zip, more than one nesting; keys whose type, curve,
// size, use or key_ops do not fit the algorithm. What is not done here: time, issuer,
// audience and the other claims (see jwtvalidate), and finding keys (see jwkcache).
// The header members jwk, jku, x5u and x5c are never looked at.
package jose
