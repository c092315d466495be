package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

type config struct {
	issuer, audience string
	keys             jwtvalidate.KeySource
}

func main() {
	var missing []string
	env := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			missing = append(missing, name)
		}
		return value
	}
	cfg := config{issuer: env("ISSUER"), audience: env("AUDIENCE")}
	if missing != nil {
		log.Fatal("set ", strings.Join(missing, ", "), ": doc.go shows how")
	}
	keys, err := jwkcache.New(jwkcache.Config{Issuer: cfg.issuer})
	if err != nil {
		log.Fatal("ISSUER: ", err)
	}
	cfg.keys = keys
	h, err := newHandler(cfg)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Addr: cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:8080"), Handler: h,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	fmt.Println("listening on http://" + server.Addr)
	log.Fatal(server.ListenAndServe())
}

func newHandler(cfg config) (http.Handler, error) {
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        cfg.issuer, // no slash at the end
		Algorithms: []string{"RS256", "ES256"},
		Keys:       cfg.keys,
		Audiences:  []string{cfg.audience}, // by an audience mapper
		Profile:    jwtvalidate.Profile{Types: []string{"JWT", "at+jwt"}, Claims: map[string]string{"typ": "Bearer"}},
	}}})
	if err != nil {
		return nil, fmt.Errorf("ISSUER, AUDIENCE: %w", err)
	}
	clerk := jwtvalidate.Claim("realm_access", "roles").AnyOf("clerk")                  // a role of the realm
	admin := jwtvalidate.Claim("resource_access", cfg.audience, "roles").AnyOf("admin") // a role of this client

	mux := http.NewServeMux()
	mux.Handle("GET /orders", v.Require(jwtvalidate.Any(clerk, admin))(answer("orders")))
	mux.Handle("DELETE /orders/{id}", v.Require(admin)(answer("deleted")))
	return mux, nil
}

func answer(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		fmt.Fprintln(w, text, "for", claims.Subject())
	})
}
