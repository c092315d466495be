// Package frameworks shows one service in net/http, chi, gin and echo: a login whose
// answer leaves as a signed token, a route that asks for a scope, one for admins,
// one that belongs to a user, and a stream. All four answer alike; the tests hold
// them to one table.
package frameworks
