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

func main() {
	var missing []string
	env := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			missing = append(missing, name)
		}
		return value
	}
	issuer := jwtvalidate.Issuer{URL: env("ISSUER"), Audiences: []string{env("AUDIENCE")}, Algorithms: []string{"RS256"}}
	if missing != nil {
		log.Fatal("set ", strings.Join(missing, ", "), ": doc.go shows how")
	}
	keys, err := jwkcache.New(jwkcache.Config{Issuer: issuer.URL})
	if err != nil {
		log.Fatal("ISSUER: ", err)
	}
	issuer.Keys = keys
	h, err := newHandler(issuer)
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

// newHandler has the orders of each user for that user, and for who may read all.
func newHandler(issuer jwtvalidate.Issuer) (http.Handler, error) {
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer}})
	if err != nil {
		return nil, fmt.Errorf("ISSUER, AUDIENCE: %w", err)
	}
	mine := jwtvalidate.All(jwtvalidate.AllScopes("orders:read"), jwtvalidate.Claim("sub").PathValue("user"))
	mux := http.NewServeMux()
	mux.Handle("GET /users/{user}/orders", v.Require(jwtvalidate.Any(mine, jwtvalidate.AllScopes("orders:read-all")))(http.HandlerFunc(list)))
	return mux, nil
}

func list(w http.ResponseWriter, r *http.Request) {
	claims, _ := jwtvalidate.FromContext(r.Context())
	fmt.Fprintln(w, "orders, shown to", claims.Subject())
}
