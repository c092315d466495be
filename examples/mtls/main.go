package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
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
	issuer, audience             string
	tokenURL, clientID, stockURL string
	certificate                  tls.Certificate // ours, as a server and as a client
	authority                    *x509.CertPool  // of everybody's certificates
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
	cfg := config{issuer: env("ISSUER"), audience: env("AUDIENCE"), tokenURL: env("TOKEN_URL"), clientID: env("CLIENT_ID"), stockURL: env("STOCK_URL")}
	ca, cert, key := env("CA_FILE"), env("CERT_FILE"), env("KEY_FILE")
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
	if cfg.certificate, err = tls.LoadX509KeyPair(cert, key); err != nil {
		log.Fatal("CERT_FILE, KEY_FILE: ", err)
	}
	server, err := newServer(cfg)
	if err != nil {
		log.Fatal(err)
	}
	server.Addr = cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:8443")
	fmt.Println("listening on https://" + server.Addr)
	log.Fatal(server.ListenAndServeTLS("", ""))
}

func newServer(cfg config) (*http.Server, error) {
	keys, err := jwkcache.New(jwkcache.Config{Issuer: cfg.issuer, RootCAs: cfg.authority})
	if err != nil {
		return nil, fmt.Errorf("ISSUER: %w", err)
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: cfg.issuer, Algorithms: []string{"RS256", "ES256"}, Keys: keys, Audiences: []string{cfg.audience},
		Required: []string{"cnf"}, // a cnf is always checked; this refuses the tokens that have none
	}}})
	if err != nil {
		return nil, err
	}
	present := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cfg.certificate, nil }
	source, err := clientcreds.New(clientcreds.Config{
		TokenURL: cfg.tokenURL, ClientID: cfg.clientID, AllowedOrigins: []string{cfg.stockURL}, RootCAs: cfg.authority,
		AuthMethod: "tls_client_auth", ClientCertificate: present, // here the token becomes bound
	})
	if err != nil {
		return nil, err
	}
	stock, err := url.Parse(cfg.stockURL)
	if err != nil {
		return nil, fmt.Errorf("STOCK_URL: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		fmt.Fprintln(w, "orders of", claims.Subject())
	})
	mux.Handle("GET /stock/{item}", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(stock) },
		Transport: source.Transport(&http.Transport{ // and here the binding is proven
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.authority, GetClientCertificate: present},
			ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: 30 * time.Second,
		}),
	})
	return &http.Server{
		Handler:     v.Handler(mux),
		TLSConfig:   &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cfg.certificate}, ClientCAs: cfg.authority, ClientAuth: tls.RequireAndVerifyClientCert},
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}, nil
}
