// Package jwttest is an issuer in memory, for tests of handlers that stand
// behind jwtvalidate: it mints good tokens and bad ones by name, rotates its
// keys, and can be made unavailable. It opens no port. Its keys are made anew
// for each Issuer, so that no token of a test is good anywhere else.
//
//	issuer := jwttest.New(t)
//	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
//	good := issuer.Token(map[string]any{"sub": "alice", "scope": "orders:read"})
//	bad := issuer.Bad("expired") // Bad lists the kinds
package jwttest
