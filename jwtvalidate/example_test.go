package jwtvalidate_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
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

// An own answer: challenge and Retry-After are set already, OnError adds a body.
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
