// Gateway is an authenticating reverse proxy: a request with a good token goes
// on to the upstream, every other one is answered here.
//
// With -demo it brings its own issuer and its own API, both on loopback, sends
// itself good and bad requests over real HTTP and prints what became of them.
// With -issuer, -audience and -upstream it stands in front of a real service:
//
//	go run ./examples/gateway -issuer https://idp.example.com/ \
//		-audience https://api.example.com -upstream http://localhost:9000 -listen :8080
//
// The files: main.go reads the flags and serves, gateway.go puts the packages
// together, demo.go is the demonstration and issuer.go the issuer it brings.
package main
