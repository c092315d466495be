package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

type config struct {
	issuer, audience, client string
	keys                     jwtvalidate.KeySource
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
	cfg := config{issuer: env("ISSUER"), audience: env("AUDIENCE"), client: env("CLIENT_ID")}
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
	checker, err := revoke.New(revoke.Config{MaxLifetime: time.Hour}) // tokens that live longer are refused
	if err != nil {
		return nil, err
	}
	issuer := jwtvalidate.Issuer{URL: cfg.issuer, Algorithms: []string{"RS256", "ES256"}, Keys: cfg.keys, Audiences: []string{cfg.audience}, Required: []string{"sub"}}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer}, Revocation: checker})
	if err != nil {
		return nil, fmt.Errorf("ISSUER, AUDIENCE: %w", err)
	}
	issuer.Audiences, issuer.Required, issuer.Profile = []string{cfg.client}, nil, jwtvalidate.LogoutToken
	logoutTokens, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer}})
	if err != nil {
		return nil, fmt.Errorf("CLIENT_ID: %w", err)
	}
	backChannel, err := checker.Logout(revoke.LogoutConfig{
		Audiences: []string{cfg.client},
		Verify: func(ctx context.Context, token string) (revoke.Claims, error) {
			claims, err := logoutTokens.CheckToken(ctx, token)
			if err != nil && !errors.Is(err, jwtvalidate.ErrUnavailable) {
				return nil, nil // it is bad; only an outage is worth another try
			}
			return claims, err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("CLIENT_ID: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /me", v.Handler(http.HandlerFunc(me)))
	mux.Handle("POST /logout", v.Handler(logout(checker)))
	mux.Handle("POST /backchannel-logout", backChannel) // the provider's, who shows nothing but the logout token
	return mux, nil
}

func logout(checker *revoke.Checker) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		record := revoke.Record{Kind: revoke.KindSubject, Issuer: claims.Issuer(), Value: claims.Subject()} // all from before now
		if sid, _ := claims.Get("sid"); sid != nil && !r.URL.Query().Has("all") {
			session, _ := sid.(string)
			record.Kind, record.Value = revoke.KindSession, session
		}
		if _, err := checker.Revoke(r.Context(), record); err != nil {
			log.Print(err)
			http.Error(w, "you are still logged in", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func me(w http.ResponseWriter, r *http.Request) {
	claims, _ := jwtvalidate.FromContext(r.Context())
	fmt.Fprintln(w, claims.Subject())
}
