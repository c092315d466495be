// Apikey shows API keys and HTTP Basic beside JWTs, before the same rules: for
// machines that cannot get a token.
//
//	ISSUER=https://idp.example.com/ AUDIENCE=https://api.example.com CREDENTIALS_FILE=keys.json go run ./examples/apikey
//
// It serves on 127.0.0.1:8080, or on LISTEN:
//
//	curl -H "X-Api-Key: $KEY" http://127.0.0.1:8080/orders
//
// keys.json is [{"name": "batch", "sha256": "…", "scope": "orders:read"}] with the hash
// of a random key: KEY=$(openssl rand -hex 32); printf %s "$KEY" | sha256sum | cut -c 1-64.
// A client sends the key in X-Api-Key, or by Basic with the name as its user. Copy
// authenticate. A password that a person has chosen needs a slow hash, such as
// crypto/pbkdf2 with a salt.
package main
