// Loginproxy shows an identity provider that no client can reach: tokens name its
// public issuer, the keys are fetched inside, and of all that it has, POST /login is
// passed on to it.
//
//	ISSUER=https://login.example.com AUDIENCE=https://api.example.com CA_FILE=inside.pem JWKS_URL=https://idp.internal/jwks \
//		LOGIN_URL=https://idp.internal/token go run ./examples/loginproxy
//
// Copy the two URLs in the place of one, and the proxy. Nothing ever asks ISSUER. To
// bound guesses of passwords is for the provider, who gets the client's address in
// X-Forwarded-For.
package main
