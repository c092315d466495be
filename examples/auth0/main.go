package main

import (
	"cmp"
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

	"github.com/gatehouse-auth/gatehouse/clientcreds"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

type config struct {
	domain, audience        string         // who logs users in, and what we are to them
	clientID, secret        string         // who we are when we call
	stockURL, stockAudience string         // whom we call
	roots                   *x509.CertPool // nil: the system's
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
	cfg := config{
		domain: env("AUTH0_DOMAIN"), audience: env("API_AUDIENCE"), clientID: env("CLIENT_ID"),
		secret: env("CLIENT_SECRET"), stockURL: env("STOCK_URL"), stockAudience: env("STOCK_AUDIENCE"),
	}
	if missing != nil {
		log.Fatal("set ", strings.Join(missing, ", "), ": doc.go shows how")
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
	issuer := "https://" + cfg.domain + "/" // with the slash
	if u, err := url.Parse(issuer); err != nil || u.Hostname() == "" || u.Host != cfg.domain {
		return nil, errors.New("AUTH0_DOMAIN: want a host such as example.eu.auth0.com, without https:// and without a slash")
	}
	stock, err := url.Parse(cfg.stockURL)
	if err != nil || stock.Host == "" || strings.Trim(stock.Path, "/") != "" {
		return nil, errors.New("STOCK_URL: want https://host[:port], without a path")
	}
	keys, err := jwkcache.New(jwkcache.Config{Issuer: issuer, RootCAs: cfg.roots})
	if err != nil {
		return nil, fmt.Errorf("AUTH0_DOMAIN: %w", err)
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: issuer, Algorithms: []string{"RS256"}, Keys: keys, Audiences: []string{cfg.audience},
	}}})
	if err != nil {
		return nil, fmt.Errorf("AUTH0_DOMAIN, API_AUDIENCE: %w", err)
	}
	source, err := clientcreds.New(clientcreds.Config{
		TokenURL:       issuer + "oauth/token",
		ClientID:       cfg.clientID,
		AuthMethod:     "client_secret_post",
		Secret:         clientcreds.StaticSecret(cfg.secret),
		Audience:       cfg.stockAudience, // without one, Auth0 issues opaque tokens
		AllowedOrigins: []string{cfg.stockURL},
		RootCAs:        cfg.roots,
	})
	if err != nil {
		return nil, fmt.Errorf("CLIENT_ID, CLIENT_SECRET, STOCK_AUDIENCE, STOCK_URL: %w", err)
	}
	read := v.Require(jwtvalidate.AllScopes("read:orders"))
	mux := http.NewServeMux()
	mux.Handle("GET /orders", read(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		fmt.Fprintln(w, "orders of", claims.Subject())
	})))
	mux.Handle("GET /stock/{item}", read(&httputil.ReverseProxy{ // our token goes on, the user's does not
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(stock) },
		Transport: source.Transport(nil),
	}))
	return mux, nil
}
