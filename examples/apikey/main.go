package main

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
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
	keys             jwtvalidate.KeySource
	credentials      []byte // JSON
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
	file := env("CREDENTIALS_FILE")
	if missing != nil {
		log.Fatal("set ", strings.Join(missing, ", "), ": doc.go shows how")
	}
	keys, err := jwkcache.New(jwkcache.Config{Issuer: cfg.issuer})
	if err != nil {
		log.Fatal("ISSUER: ", err)
	}
	cfg.keys = keys
	if cfg.credentials, err = os.ReadFile(file); err != nil { //nolint:gosec // who starts the program says which
		log.Fatal("CREDENTIALS_FILE: ", err)
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
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: cfg.issuer, Algorithms: []string{"RS256", "ES256"}, Keys: cfg.keys, Audiences: []string{cfg.audience},
	}}})
	if err != nil {
		return nil, fmt.Errorf("ISSUER, AUDIENCE: %w", err)
	}
	known, err := parseCredentials(cfg.credentials)
	if err != nil {
		return nil, fmt.Errorf("CREDENTIALS_FILE: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", v.Require(jwtvalidate.AllScopes("orders:read"))(http.HandlerFunc(orders)))
	mux.Handle("DELETE /orders/{id}", v.Require(jwtvalidate.AllScopes("orders:write"))(http.HandlerFunc(orders)))
	return authenticate(v, known, mux), nil
}

func orders(w http.ResponseWriter, r *http.Request) {
	claims, _ := jwtvalidate.FromContext(r.Context())
	fmt.Fprintln(w, claims.Subject())
}

type credential struct {
	Name   string
	SHA256 string
	Scope  string
	hash   []byte
	claims *jwtvalidate.Claims
}

func parseCredentials(text []byte) (list []credential, err error) {
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	for i := range list {
		c := &list[i]
		if c.hash, err = hex.DecodeString(c.SHA256); err != nil || len(c.hash) != sha256.Size || c.Name == "" {
			return nil, fmt.Errorf("entry %d: want name, and sha256 in hexadecimal", i)
		}
		if c.claims, err = jwtvalidate.NewClaims(map[string]any{"sub": "key:" + c.Name, "scope": c.Scope}); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return list, nil
}

// authenticate vouches for who shows a key. Who shows none, or a wrong one, goes on
// without claims, and is answered by Require; so is who brings a token as well.
func authenticate(v *jwtvalidate.Validator, known []credential, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("X-Api-Key")
		name, password, basic := r.BasicAuth()
		if basic {
			key = password
		}
		sum := sha256.Sum256([]byte(key))
		for _, c := range known { // all of them: the time tells nothing
			if subtle.ConstantTimeCompare(sum[:], c.hash) == 1 && (!basic || name == c.Name) {
				r = r.WithContext(v.WithClaims(r.Context(), c.claims))
			}
		}
		next.ServeHTTP(w, r)
	})
}
