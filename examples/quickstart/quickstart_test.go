package quickstart_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

func list(w http.ResponseWriter, r *http.Request) {
	claims, _ := jwtvalidate.FromContext(r.Context())
	fmt.Fprintln(w, "orders of", claims.Subject())
}

func Example() {
	keys, err := jwkcache.New(jwkcache.Config{Issuer: "https://idp.example.com/"}) // fetched when needed, kept fresh
	if err != nil {
		log.Fatal(err)
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://idp.example.com/", // iss, byte for byte
		Algorithms: []string{"RS256"},          // what this issuer signs with
		Keys:       keys,
		Audiences:  []string{"https://api.example.com"}, // who you are
	}}})
	if err != nil {
		log.Fatal(err)
	}
	read := v.Require(jwtvalidate.AllScopes("orders:read"))
	http.Handle("GET /orders", read(http.HandlerFunc(list)))

	w := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/orders", http.NoBody))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer realm="api"
}
