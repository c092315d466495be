// Roles shows a service behind Keycloak: which route is for whom is said by roles,
// which stand in nested claims.
//
//	ISSUER=https://sso.example.com/realms/shop AUDIENCE=orders-api go run ./examples/roles
//
// AUDIENCE is the client id of the service at Keycloak. Copy the two rules, and the
// Profile: without it an ID token that has the audience too would pass.
package main
