// Package quickstart holds the programs of the README: a service whose one route
// asks for a token with a scope, and what the README shows after it. They are
// Examples, which send their request themselves, and serve on no address:
//
//	go test -v ./examples/quickstart
package quickstart
