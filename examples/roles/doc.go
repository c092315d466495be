// Roles shows a service behind Keycloak: which route is for whom is said by roles,
// which stand in nested claims.
//
//	ISSUER=https://sso.example.com/realms/shop AUDIENCE=orders-api go run ./examples/roles
//
// It serves on 127.0.0.1:8080, or on LISTEN. With the TOKEN of a clerk:
//
//	curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/orders
//
// AUDIENCE is the client id of the service at Keycloak. Copy the two rules, and the
// Profile: without it an ID token that has the audience too would pass.
package main
