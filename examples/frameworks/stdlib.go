package frameworks

import "net/http"

// Stdlib is the service on http.ServeMux.
func Stdlib(s Service) http.Handler {
	protect := func(h http.HandlerFunc) http.Handler { return s.Validator.Handler(h) }
	mux := http.NewServeMux()
	mux.Handle("POST /login", s.Signer.Handler(http.HandlerFunc(login)))
	mux.Handle("GET /orders", s.Validator.Require(readOrders)(http.HandlerFunc(orders)))
	mux.Handle("DELETE /orders", s.Validator.Require(isAdmin)(http.HandlerFunc(orders)))
	mux.Handle("GET /users/{id}", s.Validator.Require(isSelf)(http.HandlerFunc(orders)))
	mux.Handle("GET /stream", protect(stream))
	mux.Handle("GET /broken", protect(broken))
	return mux
}
