// Package frameworks shows one service in net/http, chi, gin, echo and gRPC, a file
// each: a login whose answer leaves as a signed token, a route that asks for a scope,
// one for admins with a fresh login, one that belongs to a user, and a stream that
// asks again whether its token is still wanted. All answer alike; the tests hold them
// to one table.
//
// To copy: of chi.go, gin.go and echo.go, the few lines that put the middleware in
// front of the routes, and echo.go's wrap if rules ask for path values; for gRPC,
// grpc.go as it stands, and the rules at the head of grpcservice.go, whose rest is
// what protoc generates for you. Field Service.Ran is there for the tests only.
package frameworks
