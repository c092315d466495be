// Mtls shows mutual TLS on both sides (RFC 8705). Inbound, a token must be bound to
// the certificate of who brings it. Outbound, the service shows its own certificate to
// the token endpoint in the place of a secret, and to the API that it calls.
//
//	ISSUER=https://idp.internal AUDIENCE=https://orders.internal CLIENT_ID=orders TOKEN_URL=https://idp.internal/token \
//		STOCK_URL=https://stock.internal CA_FILE=ca.pem CERT_FILE=orders.pem KEY_FILE=orders.key go run ./examples/mtls
//
// Copy Required, the two uses of present, and the TLSConfig. Certificates are read once.
package main
