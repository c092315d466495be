package jwtvalidate_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// A backend learns who the user is from headers that no client can set: what came
// under those names, in any spelling, is gone. A name that may have any letter goes
// as JSON.
func ExampleForwardClaim() {
	issuer := jwttest.New(new(testing.T)) // in the place of your provider
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{issuer.Policy()},
		Forward: []jwtvalidate.ForwardClaim{
			{Claim: []string{"sub"}, Header: "X-User"},
			{Claim: []string{"realm_access", "roles"}, Header: "X-Roles"},
			{Claim: []string{"name"}, Header: "X-Name", JSON: true},
		},
	})
	if err != nil {
		panic(err)
	}
	backend := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // or an httputil.ReverseProxy
		for _, name := range []string{"X-User", "X_user", "X-Roles", "X-Name"} {
			fmt.Fprintf(w, "%s: %q\n", name, strings.Join(r.Header[name], "|"))
		}
	})

	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+issuer.Token(map[string]any{
		"sub": "ann", "realm_access": map[string]any{"roles": []string{"clerk", "buyer"}}, "name": "Ann Müller",
	}))
	r.Header.Set("X-User", "root")
	r.Header["X_user"] = []string{"root"} // some servers take it for X-User
	w := httptest.NewRecorder()
	v.Handler(backend).ServeHTTP(w, r)
	fmt.Print(w.Body)
	// Output:
	// X-User: "ann"
	// X_user: ""
	// X-Roles: "clerk,buyer"
	// X-Name: "\"Ann M\\u00fcller\""
}
