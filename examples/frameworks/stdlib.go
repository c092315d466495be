package frameworks

import "net/http"

// Stdlib is the service on http.ServeMux.
func Stdlib(s Service) http.Handler {
	protect := func(h http.HandlerFunc) http.Handler { return s.Validator.Handler(h) }
	mux := http.NewServeMux()
	mux.Handle("POST /login", s.Signer.Handler(http.HandlerFunc(s.login)))
	mux.Handle("GET /orders", s.Validator.Require(readOrders)(http.HandlerFunc(s.orders)))
	mux.Handle("DELETE /orders", s.Validator.Require(isAdmin, freshLogin)(http.HandlerFunc(s.orders)))
	mux.Handle("GET /users/{id}", s.Validator.Require(isSelf)(http.HandlerFunc(s.orders)))
	mux.Handle("GET /stream", protect(s.stream))
	mux.Handle("GET /broken", protect(s.broken))
	return mux
}
