// Program cluster is a service of several processes that agree on what is revoked,
// through a Redis that may be killed and come back empty.
//
//	cd examples/cluster
//	go run . -demo                                      starts all of it on loopback, and shows what happens
//	REVOCATION_SECRET=$(openssl rand -base64 32) ADMIN_TOKEN=… go run . \
//		-listen … -issuer … -audience … -redis …          one node, for an issuer (ES256) and a Redis of your own
//	curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/orders
//	curl -H "Authorization: Bearer $ADMIN_TOKEN" http://127.0.0.1:8080/v1/status
//
// What to copy is node.go: a Checker on a Log, Run beside the server, and the Checker as
// the Validator's Revocation. REVOCATION_SECRET is base64 of 32 bytes or more, the same
// on all nodes and required. By ADMIN_TOKEN, as a Bearer token, the admin API at /v1/ is
// called; without it, by nobody, which a line says at the start.
package main
