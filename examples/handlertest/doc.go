// Handlertest shows how handlers of your own are tested with tokens that are good,
// bad, or cannot be checked: main.go is a service like yours, main_test.go the test.
//
//	ISSUER=https://idp.example.com/ AUDIENCE=https://api.example.com go run ./examples/handlertest
//
// It serves on 127.0.0.1:8080, or on LISTEN. With a TOKEN that has ann as its sub, and the
// scope orders:read:
//
//	curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/users/ann/orders
//
// Copy the test, and that newHandler takes its issuer: main gives it the real one,
// the test an issuer in memory. It opens no port and fetches nothing.
package main
