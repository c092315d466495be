// Package jwtsign turns plain answers into signed tokens. A login handler answers
// JSON with claims, as it always has; on the way out the claims become a JWT.
//
//	key, err := jwtsign.ParseKey(text) // a JWK or PEM
//	s, err := jwtsign.New(jwtsign.Config{
//		Issuer: "https://login.example.com",
//		Keys:   []jwtsign.Key{{Private: key, Algorithm: "ES256"}},
//		Token:  jwtsign.Token{Lifetime: 10 * time.Minute, Audience: []string{"https://api.example.com"}},
//		Fields: []jwtsign.Field{{Path: []string{"access_token"}}},
//	})
//	http.Handle("POST /login", s.Handler(login))
//	http.Handle("GET /.well-known/jwks.json", s.JWKS())
//
// [Signer.Sign] makes a token in code, [Signer.Handler] rewrites the answers of a
// handler, and [Signer.ModifyResponse] those of a backend behind an httputil.ReverseProxy.
//
// # Which answers
//
// Those to POST with a status of 2xx whose Content-Type is JSON, or that have none
// and begin as an object does; methods and statuses can be set. Everything else
// passes as it is written, streams included. In an answer that is rewritten, all
// but the fields stays as it was, to the byte; all headers stay but those that
// describe a body that is another now, and Cache-Control, which is no-store. gzip
// is undone; another Content-Encoding is refused.
//
// Claims that are not signed do not leave: a field that is missing or no object, an
// answer that is no strict JSON (duplicate names, names that differ from a field's
// by case only, invalid UTF-8), of more than 1 MiB, 65 536 values or a depth of 64,
// or claims that lack what is required, are answered 502, and a key that cannot sign
// now 503.
//
// # Which claims
//
// iss, aud, iat, nbf, exp and jti are set here, whatever the handler sent, unless
// [Token.Keep] says otherwise (RFC 7519 section 4.1); jti has 128 random bits. All
// other claims stay in their own spelling: numbers keep their digits. typ is JWT, or
// at+jwt with what RFC 9068 requires, or another. Two fields whose tokens could be
// taken for each other, by typ and audience, are refused by New.
//
// # Keys
//
// One key signs at a time: the one whose [Key.SignFrom] has come last.
// [Key.PublishFrom] and [Key.RetireAt] say when it appears among the public keys and when it no longer signs;
// it stays published until its last token has expired. All are absolute times, so
// that replicas with the same keys agree. [Config.File] is looked at while there are
// requests, and a file that cannot be read leaves the old keys.
//
// # What is not checked
//
// Whether the handler was right to answer so. What the claims mean, beyond the types
// of sub and client_id. Who asks for the keys.
//
// # Errors
//
// [ErrClaims]: these claims cannot be signed. [ErrAnswer]: this answer cannot be
// rewritten. [ErrUnavailable]: no key, or its Signer failed or took too long. None
// of them holds a claim.
package jwtsign
