package jwttest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// hello is the handler to test.
func hello(w http.ResponseWriter, r *http.Request) {
	claims, _ := jwtvalidate.FromContext(r.Context())
	fmt.Fprint(w, "hello ", claims.Subject())
}

func Example() {
	t := new(testing.T) // in a test, it is the test's own
	issuer := jwttest.New(t)
	v, _ := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	for _, token := range []string{issuer.Token(map[string]any{"sub": "ann"}), issuer.Bad("expired"), issuer.Bad("forged")} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		v.Handler(http.HandlerFunc(hello)).ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Body)
	}
	// Output:
	// 200 "hello ann"
	// 401 ""
	// 401 ""
}
