// Readiness shows a service that stays in the load balancer while the provider is
// down: only who has never had keys is not ready. For the tokens that it cannot check,
// it answers 503 by itself; people are woken by /alarm, which no balancer asks.
//
//	ISSUER=https://idp.example.com/ AUDIENCE=https://api.example.com go run ./examples/readiness
//
// It serves on 127.0.0.1:8080, or on LISTEN. GET /orders wants a token, these want none:
//
//	curl -i http://127.0.0.1:8080/readyz
//	curl -i http://127.0.0.1:8080/alarm
//
// Copy the two handlers, and the go keys.Run: without it, who is not ready gets no
// request, and so fetches nothing. Serve /alarm where the public cannot reach it.
package main
