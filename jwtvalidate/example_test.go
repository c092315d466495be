package jwtvalidate_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

var orders = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	claims, _ := jwtvalidate.FromContext(r.Context())
	fmt.Fprint(w, "orders of ", claims.Subject())
})

// Only requests with a token of the issuer reach the handler. For keys that the
// issuer publishes and changes, Keys is a *jwkcache.Cache.
func Example() {
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // the issuer's
	keys, err := jwtvalidate.StaticKeys(&private.PublicKey)
	if err != nil {
		panic(err)
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL:        "https://idp.example.com/",
		Algorithms: []string{"ES256"},
		Keys:       keys,
		Audiences:  []string{"https://api.example.com"},
	}}})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/orders", v.Handler(orders))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/orders", http.NoBody))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer realm="api"
}

// An answer of your own: challenge and Retry-After are set already, OnError adds a body.
func ExampleConfig_onError() {
	keys, _ := jwtvalidate.Secret([]byte("a secret of at least thirty-two bytes"))
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{{
			URL: "https://idp.example.com/", Algorithms: []string{"HS256"}, Keys: keys, Audiences: []string{"https://api.example.com"},
		}},
		OnError: func(w http.ResponseWriter, r *http.Request, err error) {
			jwtvalidate.WriteError(w, r, err)
			if errors.Is(err, jwtvalidate.ErrUnavailable) {
				fmt.Fprint(w, "try again")
			} else {
				fmt.Fprint(w, "log in again")
			}
		},
	})
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer not.a.token")
	w := httptest.NewRecorder()
	v.Handler(orders).ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 401 log in again
}

// Decode goes by exact names: the Roles of this token fill nothing.
func ExampleDecode() {
	keys, _ := jwtvalidate.Secret([]byte("a secret of at least thirty-two bytes"))
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: "https://idp.example.com/", Algorithms: []string{"HS256"}, Keys: keys, Audiences: []string{"https://api.example.com"},
	}}})
	if err != nil {
		panic(err)
	}
	// {"iss":"https://idp.example.com/","aud":"https://api.example.com","sub":"ann","exp":253402300799,"roles":["buyer"],"Roles":["admin"]}
	claims, err := v.CheckToken(context.Background(), "eyJhbGciOiJIUzI1NiJ9."+
		"eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLmNvbS8iLCJhdWQiOiJodHRwczovL2FwaS5leGFtcGxlLmNvbSIsInN1YiI6ImFubiIsImV4cCI6MjUzNDAyMzAwNzk5LCJyb2xlcyI6WyJidXllciJdLCJSb2xlcyI6WyJhZG1pbiJdfQ."+
		"Yn96dFpSdVWoE77Wg2Y-JNTK_ozETI0zoCjRS8psUtc")
	if err != nil {
		panic(err)
	}
	type mine struct {
		Subject string   `json:"sub"`
		Roles   []string `json:"roles"`
	}
	who, err := jwtvalidate.Decode[mine](claims)
	fmt.Println(who, err)
	// Output: {ann [buyer]} <nil>
}

// A route asks for more than a good token: a scope to read, a role at a nested
// claim to delete, and that users see themselves only.
func ExampleValidator_Require() {
	issuer := jwttest.New(new(testing.T)) // in your tests: jwttest.New(t)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	if err != nil {
		panic(err)
	}
	admin := jwtvalidate.Claim("realm_access", "roles").AnyOf("admin")
	mux := http.NewServeMux()
	mux.Handle("GET /orders", v.Require(jwtvalidate.AllScopes("orders:read"))(orders))
	mux.Handle("DELETE /orders", v.Require(admin)(orders))
	mux.Handle("GET /users/{id}", v.Require(jwtvalidate.Any(admin, jwtvalidate.Claim("sub").PathValue("id")))(orders))

	token := issuer.Token(map[string]any{"sub": "ann", "scope": "profile orders:read"})
	for _, route := range []string{"GET /orders", "DELETE /orders", "GET /users/ann", "GET /users/bob"} {
		method, path, _ := strings.Cut(route, " ")
		r := httptest.NewRequest(method, path, http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(route, w.Code)
	}
	// Output:
	// GET /orders 200
	// DELETE /orders 403
	// GET /users/ann 200
	// GET /users/bob 403
}

// An API key stands before the same rules as a token.
func ExampleValidator_WithClaims() {
	issuer := jwttest.New(new(testing.T))
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	if err != nil {
		panic(err)
	}
	batch, err := jwtvalidate.NewClaims(map[string]any{"sub": "batch", "scope": "orders:read"})
	if err != nil {
		panic(err)
	}
	apiKey := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Api-Key")), []byte("the key of the batch job")) == 1 {
				r = r.WithContext(v.WithClaims(r.Context(), batch))
			}
			next.ServeHTTP(w, r)
		})
	}
	h := apiKey(v.Require(jwtvalidate.AllScopes("orders:read"))(orders))

	for _, key := range []string{"the key of the batch job", "a guess"} {
		r := httptest.NewRequest(http.MethodGet, "/orders", http.NoBody)
		r.Header.Set("X-Api-Key", key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 orders of batch
	// 401
}

// A browser asks first whether it may send a request with a token. The answer to that
// needs none; every other request is decided about. For refusals that pages may
// read, and where a router refuses OPTIONS by itself, put a CORS middleware around.
func ExampleConfig_preflight() {
	issuer := jwttest.New(new(testing.T))
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{issuer.Policy()},
		Preflight: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Origin") == "https://shop.example.com" {
				w.Header().Set("Access-Control-Allow-Origin", "https://shop.example.com")
				w.Header().Set("Access-Control-Allow-Headers", "Authorization")
			}
			w.WriteHeader(http.StatusNoContent)
		}),
	})
	if err != nil {
		panic(err)
	}
	h := v.Handler(orders) // around the whole router
	for _, method := range []string{http.MethodOptions, http.MethodGet} {
		r := httptest.NewRequest(method, "/orders", http.NoBody)
		r.Header.Set("Origin", "https://shop.example.com")
		r.Header.Set("Access-Control-Request-Method", http.MethodGet)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(method, w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	}
	// Output:
	// OPTIONS 204 https://shop.example.com
	// GET 401
}
