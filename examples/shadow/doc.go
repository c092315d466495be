// Shadow shows a service on its way to tokens: until ENFORCE=true it lets everything
// pass and logs what it would refuse, and why; then it refuses that.
//
//	ISSUER=https://idp.example.com/ AUDIENCE=https://api.example.com go run ./examples/shadow
//
// It serves on 127.0.0.1:8080, or on LISTEN. Who has no token is answered, and the
// log says no_token:
//
//	curl http://127.0.0.1:8080/orders
//
// Copy shadow. Nothing is guarded meanwhile, and Check takes no header away that a
// client has forged: no handler may believe more than it did before.
package main
