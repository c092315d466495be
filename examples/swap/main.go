package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

func main() {
	file := os.Getenv("ISSUERS_FILE")
	if file == "" {
		log.Fatal("set ISSUERS_FILE: doc.go shows how")
	}
	pool, err := jwkcache.NewPool(jwkcache.PoolConfig{InsecurePrivateAddresses: true}) // the issuers are our own choice
	if err != nil {
		log.Fatal(err)
	}
	s := &service{keys: func(issuer string) (jwtvalidate.KeySource, error) { return pool.Get(issuer, "") }}
	if err := s.load(file); err != nil {
		log.Fatal(err)
	}
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	go func() {
		for range again {
			if err := s.load(file); err != nil {
				log.Print("all stays as it was: ", err)
			}
		}
	}()
	server := &http.Server{
		Addr: cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:8080"), Handler: s,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	fmt.Println("listening on http://" + server.Addr)
	log.Fatal(server.ListenAndServe())
}

// service has its routes as the present Validator guards them. They change together:
// a Require takes no claims from another Validator's Handler.
type service struct {
	keys   func(issuer string) (jwtvalidate.KeySource, error)
	routes atomic.Pointer[http.ServeMux]
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.routes.Load().ServeHTTP(w, r) }

func (s *service) load(file string) error {
	text, err := os.ReadFile(file) //nolint:gosec // who starts the program says which
	if err != nil {
		return err
	}
	var entries []struct {
		URL                   string
		Algorithms, Audiences []string
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&entries); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var cfg jwtvalidate.Config
	for _, e := range entries {
		keys, err := s.keys(e.URL)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", file, e.URL, err)
		}
		cfg.Issuers = append(cfg.Issuers, jwtvalidate.Issuer{URL: e.URL, Algorithms: e.Algorithms, Audiences: e.Audiences, Keys: keys})
	}
	v, err := jwtvalidate.New(cfg)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", v.Require(jwtvalidate.AllScopes("orders:read"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		fmt.Fprintln(w, "orders of", claims.Subject())
	})))
	s.routes.Store(mux)
	return nil
}
