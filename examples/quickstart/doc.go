// Package quickstart holds the program of the README: a service whose one route
// asks for a token with a scope.
package quickstart
