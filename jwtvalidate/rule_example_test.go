package jwtvalidate_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// A rule of your own asks who owns the order that the path names. It says no with
// ErrForbidden, and with ErrUnavailable that it cannot tell now.
func ExampleRequestRule() {
	issuer := jwttest.New(new(testing.T)) // in the place of your provider
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	if err != nil {
		panic(err)
	}
	ownerOf := func(id string) (string, error) { // your database
		if id == "9" {
			return "", errors.New("no connection")
		}
		return map[string]string{"1": "ann", "2": "bob"}[id], nil
	}
	owns := jwtvalidate.RequestRule(func(r *http.Request, claims *jwtvalidate.Claims) error {
		owner, err := ownerOf(r.PathValue("id"))
		if err != nil {
			return fmt.Errorf("%w: %w", jwtvalidate.ErrUnavailable, err)
		}
		if owner == "" || owner != claims.Subject() { // whether there is such an order is nobody else's business
			return jwtvalidate.ErrForbidden
		}
		return nil
	}).Named("owns the order") // for logs and Observe
	mux := http.NewServeMux()
	show := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /orders/{id}", v.Require(jwtvalidate.Any(jwtvalidate.AllScopes("orders:read-all"), owns))(show))

	for _, id := range []string{"1", "2", "3", "9"} {
		r := httptest.NewRequest(http.MethodGet, "/orders/"+id, http.NoBody)
		r.Header.Set("Authorization", "Bearer "+issuer.Token(map[string]any{"sub": "ann", "scope": "orders:read"}))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println("order", id, w.Code)
	}
	// Output:
	// order 1 200
	// order 2 403
	// order 3 403
	// order 9 503
}
