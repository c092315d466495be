// Auth0 shows an API behind Auth0 that calls another API in its own name: it lets in
// who has logged in, and gets its own token by client credentials.
//
//	AUTH0_DOMAIN=example.eu.auth0.com API_AUDIENCE=https://api.example.com STOCK_AUDIENCE=https://stock.example.com \
//		CLIENT_ID=… CLIENT_SECRET=… STOCK_URL=https://stock.example.com go run ./examples/auth0
//
// It serves on 127.0.0.1:8080, or on LISTEN. With a TOKEN for API_AUDIENCE that has the
// scope read:orders; the second calls the other API:
//
//	curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/orders
//	curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/stock/7
//
// At Auth0 there are two APIs, by their identifiers, and an application of the type
// machine to machine, which may call the second. AUTH0_DOMAIN has no https:// and no
// slash, and STOCK_URL is scheme://host[:port]. Copy the two Configs.
package main
