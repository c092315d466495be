package jwtvalidate_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// Apps send the token in Authorization, browsers in a cookie. A page of another origin
// can make a browser send the cookie too: it may change nothing by that.
func ExampleTokenSource() {
	issuer := jwttest.New(new(testing.T)) // in the place of your provider
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{issuer.Policy()},
		Sources: []jwtvalidate.TokenSource{
			{Header: "Authorization", Scheme: "Bearer"},
			{Cookie: "__Host-token"}, // set it Secure, HttpOnly and SameSite
		},
		TrustedOrigins: []string{"https://shop.example.com"}, // beside the service's own
	})
	if err != nil {
		panic(err)
	}
	h := v.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	token := issuer.Token(map[string]any{"sub": "ann"})
	for _, request := range []struct{ method, header, value, origin string }{
		{"POST", "Authorization", "Bearer " + token, ""},
		{"POST", "Cookie", "__Host-token=" + token, "https://shop.example.com"},
		{"POST", "Cookie", "__Host-token=" + token, "https://evil.example.net"},
		{"GET", "Cookie", "__Host-token=" + token, "https://evil.example.net"},
	} {
		r := httptest.NewRequest(request.method, "/orders", http.NoBody)
		r.Header.Set(request.header, request.value)
		r.Header.Set("Origin", request.origin)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Printf("%s %s from %q: %d\n", request.method, request.header, request.origin, w.Code)
	}
	// Output:
	// POST Authorization from "": 200
	// POST Cookie from "https://shop.example.com": 200
	// POST Cookie from "https://evil.example.net": 403
	// GET Cookie from "https://evil.example.net": 200
}
