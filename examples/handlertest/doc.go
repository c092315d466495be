// Handlertest shows how handlers of your own are tested with tokens that are good,
// bad, or cannot be checked: main.go is a service like yours, main_test.go the test.
//
//	ISSUER=https://idp.example.com/ AUDIENCE=https://api.example.com go run ./examples/handlertest
//
// Copy the test, and that newHandler takes its issuer: main gives it the real one,
// the test an issuer in memory. No port is opened, and nothing is fetched.
package main
