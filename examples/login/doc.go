// Login shows how the login of an old application gets signed tokens while the
// application stays as it is: its answer to POST /login has the claims as plain JSON
// in the member token, and leaves with a JWT there.
//
//	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
//	KEY_FILE=key.pem ISSUER=https://login.example.com AUDIENCE=https://api.example.com \
//		LEGACY_URL=http://localhost:9000 go run ./examples/login
//
// Copy newHandler. Nobody but this program may reach the application's own /login.
package main
