// Servicecall shows a service that calls another one in its own name: it gets a token
// by client credentials, keeps it, and says 503 when there is none.
//
//	ISSUER=https://sso.example.com/realms/shop CLIENT_ID=orders CLIENT_SECRET=… SCOPE=stock:read \
//		STOCK_URL=https://stock.example.com go run ./examples/servicecall
//
// It serves on 127.0.0.1:8080, or on LISTEN. This asks STOCK_URL, which is
// scheme://host[:port], for /stock:
//
//	curl -i http://127.0.0.1:8080/availability
//
// Copy the Config, and what availability does with a TokenError. The route is open:
// put jwtvalidate before it, as in the other examples.
package main
