package main

import (
	"cmp"
	"context"
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
	keys             *jwkcache.Cache
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
	var err error
	cfg.keys, err = jwkcache.New(jwkcache.Config{
		Issuer:   cfg.issuer,
		MaxStale: 12 * time.Hour,             // how long an outage may be; a key that is withdrawn meanwhile is still taken
		Snapshot: os.Getenv("SNAPSHOT_FILE"), // for a start while the provider is down
	})
	if err != nil {
		log.Fatal("ISSUER: ", err)
	}
	h, err := newHandler(cfg)
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = cfg.keys.Run(context.Background()) }()
	server := &http.Server{
		Addr: cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:8080"), Handler: h,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	fmt.Println("listening on http://" + server.Addr)
	log.Fatal(server.ListenAndServe())
}

func newHandler(cfg config) (http.Handler, error) {
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: cfg.issuer, Algorithms: []string{"RS256", "ES256"}, Keys: cfg.keys, Audiences: []string{cfg.audience},
	}}})
	if err != nil {
		return nil, fmt.Errorf("ISSUER, AUDIENCE: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", v.Handler(http.HandlerFunc(orders)))
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if cfg.keys.Status().FetchedAt.IsZero() { // not Usable: that ends everywhere at the same time
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /alarm", func(w http.ResponseWriter, _ *http.Request) {
		st := cfg.keys.Status()
		if !st.Usable || st.LastError != nil && st.Age > time.Hour {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintf(w, "usable=%t age=%s failures=%d error=%v\n", st.Usable, st.Age.Round(time.Second), st.Failures, st.LastError)
	})
	return mux, nil
}

func orders(w http.ResponseWriter, r *http.Request) {
	claims, _ := jwtvalidate.FromContext(r.Context())
	fmt.Fprintln(w, "orders of", claims.Subject())
}
