package main

import (
	"cmp"
	"fmt"
	"log"
	"log/slog"
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
	enforce          bool
	logger           *slog.Logger
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
	cfg := config{issuer: env("ISSUER"), audience: env("AUDIENCE"), enforce: os.Getenv("ENFORCE") == "true", logger: slog.Default()}
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
		URL: cfg.issuer, Algorithms: []string{"RS256", "ES256"}, Keys: cfg.keys, Audiences: []string{cfg.audience},
	}}})
	if err != nil {
		return nil, fmt.Errorf("ISSUER, AUDIENCE: %w", err)
	}
	guard := v.Require
	if !cfg.enforce {
		guard = func(rules ...jwtvalidate.Rule) func(http.Handler) http.Handler {
			return shadow(v, cfg.logger, rules...)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard(jwtvalidate.AllScopes("orders:read"))(http.HandlerFunc(orders)))
	mux.Handle("DELETE /orders/{id}", guard(jwtvalidate.AllScopes("orders:write"))(http.HandlerFunc(orders)))
	return mux, nil
}

// shadow decides as Require will, and lets the request pass.
func shadow(v *jwtvalidate.Validator, logger *slog.Logger, rules ...jwtvalidate.Rule) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, err := v.Check(r)
			if err == nil {
				err = v.Allow(r.Context(), claims, rules...)
			}
			if err != nil { // the pattern, not the path: clients choose that
				logger.LogAttrs(r.Context(), slog.LevelWarn, "will be refused",
					slog.String("reason", string(jwtvalidate.ReasonOf(err))), slog.String("route", r.Pattern))
			} else {
				r = r.WithContext(v.WithClaims(r.Context(), claims))
			}
			next.ServeHTTP(w, r)
		})
	}
}

func orders(w http.ResponseWriter, r *http.Request) {
	who := "somebody" // as ever
	if claims, ok := jwtvalidate.FromContext(r.Context()); ok {
		who = claims.Subject()
	}
	fmt.Fprintln(w, "orders of", who)
}
