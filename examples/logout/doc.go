// Logout shows tokens that end with the login they came from: POST /logout ends the
// user's session here, or with ?all all that the user has; and the provider ends
// sessions by itself (OpenID Connect Back-Channel Logout 1.0).
//
//	ISSUER=https://sso.example.com/realms/shop AUDIENCE=orders-api CLIENT_ID=shop-web go run ./examples/logout
//
// It serves on 127.0.0.1:8080, or on LISTEN. GET /me knows the TOKEN, and after this no more:
//
//	curl -X POST -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/logout
//
// CLIENT_ID is whom logout tokens are for. Copy Revocation and the two handlers. A
// restart forgets what was revoked; give revoke.Config a Log to keep it.
package main
