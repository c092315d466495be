// Gateway is an authenticating reverse proxy: a request with a good token goes
// on to its upstream, every other one is answered here.
//
// With -demo it brings a login service and an API, all on loopback, plays the
// whole story by real HTTP and prints what became of each step: login, good and
// bad tokens, scopes and roles, claims in headers, the gateway's own token,
// revocation, key rotation, an outage of the issuer.
//
// With -config it is a real gateway, for the issuers, routes and upstreams of a
// file; config.example.json explains every field. For one issuer and one upstream,
// flags do:
//
//	go run ./examples/gateway -issuer https://idp.example.com/ \
//		-audience https://api.example.com -upstream http://localhost:9000 -listen 127.0.0.1:8080
//
// The files, from outside to inside: main.go reads the flags and server.go listens
// and shuts down. config.go reads the file, by document.go (JSON with lines),
// section.go (members, and all faults at once) and secret.go. gateway.go puts the
// packages together: issuer.go whose tokens are good, route.go what they must allow,
// upstream.go where requests go, body.go what clients may send, admin.go what was
// revoked, access.go and health.go what is told of it all.
//
// The demonstration: demo.go sets the stage with login.go and backend.go, play.go
// has the steps, forgery.go the bad tokens, step.go sends, and table.go prints.
package main
