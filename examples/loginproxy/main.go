package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

type config struct {
	issuer, audience string
	jwks, login      string // inside
	authority        *x509.CertPool
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
	cfg := config{issuer: env("ISSUER"), audience: env("AUDIENCE"), jwks: env("JWKS_URL"), login: env("LOGIN_URL")}
	ca := env("CA_FILE")
	if missing != nil {
		log.Fatal("set ", strings.Join(missing, ", "), ": doc.go shows how")
	}
	text, err := os.ReadFile(ca) //nolint:gosec // who starts the program says which
	if err != nil {
		log.Fatal("CA_FILE: ", err)
	}
	if cfg.authority = x509.NewCertPool(); !cfg.authority.AppendCertsFromPEM(text) {
		log.Fatal("CA_FILE: no certificates in PEM")
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
	keys, err := jwkcache.New(jwkcache.Config{URL: cfg.jwks, RootCAs: cfg.authority})
	if err != nil {
		return nil, fmt.Errorf("JWKS_URL: %w", err)
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: cfg.issuer, Algorithms: []string{"RS256", "ES256"}, Keys: keys, Audiences: []string{cfg.audience},
	}}})
	if err != nil {
		return nil, err
	}
	login, err := url.Parse(cfg.login)
	if err != nil || login.Scheme != "https" || login.Host == "" {
		return nil, errors.New("LOGIN_URL: want an https URL")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		fmt.Fprintln(w, "orders of", claims.Subject())
	})
	all := http.NewServeMux()
	all.Handle("/", v.Handler(mux)) // whatever is added there is guarded
	all.Handle("POST /login", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			*r.Out.URL = *login // this place alone, whatever the client has behind /login
			r.Out.Host = ""
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.authority},
			ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 10 * time.Second, IdleConnTimeout: 30 * time.Second,
		},
	})
	return all, nil
}
