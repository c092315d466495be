package frameworks

import (
	"net/http"

	"github.com/go-chi/chi/v5"
)

// Chi is the service on chi: a group with a Validator, and stricter routes in it.
// chi sets the path values of the request itself.
func Chi(s Service) http.Handler {
	r := chi.NewRouter()
	r.With(s.Signer.Handler).Post("/login", s.login)
	r.Group(func(r chi.Router) {
		r.Use(s.Validator.Handler)
		r.With(s.Validator.Require(readOrders)).Get("/orders", s.orders)
		r.With(s.Validator.Require(isAdmin, freshLogin)).Delete("/orders", s.orders)
		r.With(s.Validator.Require(isSelf)).Get("/users/{id}", s.orders)
		r.Get("/stream", s.stream)
		r.Get("/broken", s.broken)
	})
	return r
}
