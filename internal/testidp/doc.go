// Package testidp is an issuer over real HTTP for this module's own tests, the
// hostile twin of jwtvalidate/jwttest: it serves metadata, a JWK set and tokens,
// counts the requests for each, and can rotate, stall, lie and answer garbage.
// It listens on loopback and ends with its test.
package testidp
