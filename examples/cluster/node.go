package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/revoke/redislog"
)

// node is one process of the service.
type node struct {
	listen, issuer, audience, redis string
	insecureHTTP                    bool
}

const maxLifetime = time.Hour // of the issuer's tokens

// settings has the secret that all nodes share, or names all that is missing.
func (n *node) settings() (secret []byte, err error) {
	var missing []string
	if n.issuer == "" {
		missing = append(missing, "-issuer")
	}
	if n.audience == "" {
		missing = append(missing, "-audience")
	}
	secret, err = base64.StdEncoding.DecodeString(os.Getenv("REVOCATION_SECRET"))
	if err != nil || len(secret) < 32 {
		missing = append(missing, "REVOCATION_SECRET (base64 of 32 bytes or more)")
	}
	if missing != nil {
		return nil, errors.New("set " + strings.Join(missing, ", ") + "; or -demo")
	}
	return secret, nil
}

// serve runs the node until ctx ends.
func (n *node) serve(ctx context.Context) error {
	secret, err := n.settings()
	if err != nil {
		return err
	}
	if os.Getenv("ADMIN_TOKEN") == "" {
		log.Print("ADMIN_TOKEN is not set: the admin API is closed")
	}
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{n.redis}})
	defer rdb.Close() //nolint:errcheck // the process ends
	records, err := redislog.New(redislog.Config{Client: rdb, MaxLifetime: maxLifetime, Block: 500 * time.Millisecond})
	if err != nil {
		return err
	}
	checker, err := revoke.New(revoke.Config{
		Log:         records,
		MaxLifetime: maxLifetime,
		Secret:      func() ([]byte, error) { return secret, nil },
	})
	if err != nil {
		return err
	}
	handler, err := n.handler(checker)
	if err != nil {
		return err
	}
	follow := make(chan error, 1)
	go func() { follow <- checker.Run(ctx) }()
	server := &http.Server{Addr: n.listen, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-follow //nolint:errcheck // it ends with ctx
	return nil
}

// handler is the service, its readiness, and the admin API.
func (n *node) handler(checker *revoke.Checker) (http.Handler, error) {
	keys, err := jwkcache.New(jwkcache.Config{Issuer: n.issuer, InsecureHTTP: n.insecureHTTP})
	if err != nil {
		return nil, fmt.Errorf("-issuer: %w", err)
	}
	validator, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers:    []jwtvalidate.Issuer{{URL: n.issuer, Algorithms: []string{"ES256"}, Keys: keys, Audiences: []string{n.audience}}},
		Revocation: checker,
	})
	if err != nil {
		return nil, err
	}
	admin, err := checker.Admin(revoke.AdminConfig{Authorize: authorize})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", validator.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		fmt.Fprintln(w, "orders of", claims.Subject())
	})))
	mux.Handle("/v1/", admin)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		st := checker.Status()
		if !st.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"entries": st.Entries, "staleness": st.Staleness.String()})
	})
	return mux, nil
}

// authorize knows one caller, by a token of its own. Where to keep admins apart is a
// listener that only they reach.
func authorize(r *http.Request) (revoke.Caller, error) {
	want := os.Getenv("ADMIN_TOKEN")
	got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	if !ok || want == "" || subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
		return revoke.Caller{}, errors.New("not an admin")
	}
	return revoke.Caller{Name: "admin", Privileged: true, Global: true}, nil
}

// ready asks a node whether it is.
func ready(ctx context.Context, base string) bool {
	status, _ := ask(ctx, http.MethodGet, base+"/readyz", "", "")
	return status == http.StatusOK
}
