package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

type config struct {
	issuer, audience, legacy string
	key                      jwtsign.PrivateKey
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
	cfg := config{issuer: env("ISSUER"), audience: env("AUDIENCE"), legacy: env("LEGACY_URL")}
	file := env("KEY_FILE")
	if missing != nil {
		log.Fatal("set ", strings.Join(missing, ", "), ": doc.go shows how")
	}
	text, err := os.ReadFile(file) //nolint:gosec // who starts the program says which
	if err != nil {
		log.Fatal("KEY_FILE: ", err)
	}
	if cfg.key, err = jwtsign.ParseKey(text); err != nil {
		log.Fatal("KEY_FILE: ", err)
	}
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
	signer, err := jwtsign.New(jwtsign.Config{
		Issuer: cfg.issuer,
		Keys:   []jwtsign.Key{{Private: cfg.key, Algorithm: "ES256"}},
		Token:  jwtsign.Token{Lifetime: 15 * time.Minute, Audience: []string{cfg.audience}, Required: []string{"sub"}},
		Fields: []jwtsign.Field{{Path: []string{"token"}}},
	})
	if err != nil {
		return nil, err
	}
	legacy, err := url.Parse(cfg.legacy)
	if err != nil {
		return nil, fmt.Errorf("LEGACY_URL: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /login", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(legacy)
			r.SetXForwarded()
		},
		ModifyResponse: signer.ModifyResponse, // what cannot be signed is a 502, and does not leave
	})
	mux.Handle("GET /.well-known/jwks.json", signer.JWKS())
	mux.Handle("GET /.well-known/openid-configuration", signer.Discovery()) // validators find the keys by ISSUER alone
	return mux, nil
}
