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
	staff, customers, audience string
	staffKeys, customerKeys    jwtvalidate.KeySource
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
	cfg := config{staff: env("STAFF_ISSUER"), customers: env("CUSTOMER_ISSUER"), audience: env("AUDIENCE")}
	if missing != nil {
		log.Fatal("set ", strings.Join(missing, ", "), ": doc.go shows how")
	}
	staffKeys, err := jwkcache.New(jwkcache.Config{Issuer: cfg.staff})
	if err != nil {
		log.Fatal("STAFF_ISSUER: ", err)
	}
	customerKeys, err := jwkcache.New(jwkcache.Config{Issuer: cfg.customers})
	if err != nil {
		log.Fatal("CUSTOMER_ISSUER: ", err)
	}
	cfg.staffKeys, cfg.customerKeys = staffKeys, customerKeys
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
	audiences := []string{cfg.audience}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{
		{URL: cfg.staff, Algorithms: []string{"ES256"}, Keys: cfg.staffKeys, Audiences: audiences, Profile: jwtvalidate.RFC9068},
		{URL: cfg.customers, Algorithms: []string{"RS256", "ES256"}, Keys: cfg.customerKeys, Audiences: audiences},
	}})
	if err != nil {
		return nil, err
	}
	ofStaff := jwtvalidate.Claim("iss").AnyOf(cfg.staff)

	mux := http.NewServeMux()
	mux.Handle("GET /orders", v.Handler(http.HandlerFunc(hello)))
	mux.Handle("GET /reports", v.Require(ofStaff)(http.HandlerFunc(hello)))
	return mux, nil
}

func hello(w http.ResponseWriter, r *http.Request) {
	claims, _ := jwtvalidate.FromContext(r.Context())
	fmt.Fprintln(w, claims.Subject(), "of", claims.Issuer())
}
