package quickstart_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// The claims, in a handler behind.
func Example_claims() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		fmt.Fprintln(w, "hello", claims.Subject())
	})

	issuer := jwttest.New(new(testing.T)) // in the place of your provider
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(get(v.Handler(hello), "/", issuer.Token(map[string]any{"sub": "alice"})).Body)
	// Output: hello alice
}

// Rules for single routes.
func Example_rules() {
	issuer := jwttest.New(new(testing.T))
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	if err != nil {
		log.Fatal(err)
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux, remove, user := http.NewServeMux(), ok, ok

	mux.Handle("DELETE /orders/{id}", v.Require(jwtvalidate.Claim("realm_access", "roles").AnyOf("admin"))(remove))
	mux.Handle("GET /users/{id}", v.Require(jwtvalidate.Claim("sub").PathValue("id"))(user)) // http.Handlers

	alice := issuer.Token(map[string]any{"sub": "alice"})
	fmt.Println(get(mux, "/users/alice", alice).Code, get(mux, "/users/bob", alice).Code)
	// Output: 200 403
}

// A test of your own handlers.
func Example_testing() {
	t := new(testing.T) // the test's own

	issuer := jwttest.New(t)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+issuer.Token(map[string]any{"sub": "alice"}))

	w := httptest.NewRecorder()
	v.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output: 404
}

func get(h http.Handler, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
