// Issuers shows a service that takes the tokens of two issuers, each with keys,
// algorithms and audience of its own, and has a route that is for one of them only.
//
//	STAFF_ISSUER=https://sso.example.com/realms/staff CUSTOMER_ISSUER=https://shop.eu.auth0.com/ \
//		AUDIENCE=https://api.example.com go run ./examples/issuers
//
// Copy the list of Issuers, and the rule about iss: a sub means somebody else at
// each issuer, so that data belong to iss and sub together.
package main
