package frameworks_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// Anonymous requests pass the group, bad tokens do not, and one route asks for more.
func Example_chi() {
	issuer := jwttest.New(new(testing.T)) // in the place of your provider
	v, err := jwtvalidate.New(jwtvalidate.Config{Optional: true, Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	if err != nil {
		log.Fatal(err)
	}
	shop := func(http.ResponseWriter, *http.Request) {}
	r, me := chi.NewRouter(), shop

	r.Use(v.Handler)
	r.Get("/shop", shop)
	r.With(v.Require(jwtvalidate.Claim("sub").Exists())).Get("/me", me)

	for _, path := range []string{"/shop", "/me"} {
		for _, token := range []string{"", issuer.Token(map[string]any{"sub": "alice"}), issuer.Bad("expired")} {
			q := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			if token != "" {
				q.Header.Set("Authorization", "Bearer "+token)
			}
			w := httptest.NewRecorder()
			r.ServeHTTP(w, q)
			fmt.Print(path, " ", w.Code, " ")
		}
	}
	// Output: /shop 200 /shop 200 /shop 401 /me 401 /me 200 /me 401
}
