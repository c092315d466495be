package jwtvalidate_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// These examples are the five ways in which a gateway treats tokens: who checks the
// client's, and which one the backend gets. Of what stands at the end of this file,
// onwardIssuer is the identity provider, onwardBackend is a backend that answers
// with what it was shown, and onwardVisit sends a request and prints the answer.

// None: a public route. There is no Validator, and nothing of the client's
// credentials goes on. A backend that believes forwarded claims does not belong
// here: only a Validator, Optional for a public route, keeps the client's own away.
func Example_onwardNone() {
	backend := onwardBackend()
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	if err != nil {
		panic(err)
	}
	public := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Del("Authorization") // clients send it out of habit
		r.Out.Header.Del("Cookie")
	}}

	token := onwardIssuer().Token(map[string]any{"sub": "ann"})
	onwardVisit("anonymous", public, "Accept", "*/*")
	onwardVisit("token", public, "Authorization", "Bearer "+token)
	onwardVisit("cookie", public, "Cookie", "session="+token)
	// Output:
	// anonymous: 200 token "", user ""
	// token: 200 token "", user ""
	// cookie: 200 token "", user ""
}

// Delegated: the gateway passes the token on unread, and the backend checks it.
func Example_onwardDelegated() {
	issuer := onwardIssuer()
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	if err != nil {
		panic(err)
	}
	backend := httptest.NewServer(v.Handler(orders))
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	if err != nil {
		panic(err)
	}
	gateway := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}

	onwardVisit("good", gateway, "Authorization", "Bearer "+issuer.Token(map[string]any{"sub": "ann"}))
	onwardVisit("expired", gateway, "Authorization", "Bearer "+issuer.Bad("expired"))
	onwardVisit("none", gateway, "Accept", "*/*")
	// Output:
	// good: 200 orders of ann
	// expired: 401
	// none: 401
}

// Client: the gateway checks the client's token, here in a cookie, and the backend
// gets the same token as a Bearer token, and no cookie.
func Example_onwardClient() {
	backend := onwardBackend()
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	if err != nil {
		panic(err)
	}
	issuer := onwardIssuer()
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{issuer.Policy()},
		Sources: []jwtvalidate.TokenSource{{Cookie: "session"}},
		Onward:  "forward",
	})
	if err != nil {
		panic(err)
	}
	gateway := v.Handler(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})

	onwardVisit("good", gateway, "Cookie", "session="+issuer.Token(map[string]any{"sub": "ann"}))
	onwardVisit("forged", gateway, "Cookie", "session="+issuer.Bad("forged"))
	// Output:
	// good: 200 token "Bearer (of the client)", user ""
	// forged: 401
}

// Client and gateway: the client's token ends here. The backend gets the service's
// own token, and in a header the user for whom it acts; a client cannot set it.
func Example_onwardClientAndGateway() {
	backend := onwardBackend()
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	if err != nil {
		panic(err)
	}
	issuer := onwardIssuer()
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers:     []jwtvalidate.Issuer{issuer.Policy()},
		Forward:     []jwtvalidate.ForwardClaim{{Claim: []string{"sub"}, Header: "X-User"}},
		OnwardToken: func(context.Context, *jwtvalidate.Claims) (string, error) { return "service-token", nil },
	})
	if err != nil {
		panic(err)
	}
	gateway := v.Handler(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})

	token := issuer.Token(map[string]any{"sub": "ann"})
	onwardVisit("good", gateway, "Authorization", "Bearer "+token)
	onwardVisit("spoofed", gateway, "Authorization", "Bearer "+token, "X-User", "admin", "X_User", "admin")
	onwardVisit("none", gateway, "X-User", "admin")
	// Output:
	// good: 200 token "Bearer service-token", user "ann"
	// spoofed: 200 token "Bearer service-token", user "ann"
	// none: 401
}

// onwardTransport adds the service's own token to every request that it sends.
type onwardTransport struct{ token func() string }

func (o onwardTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+o.token())
	return http.DefaultTransport.RoundTrip(r)
}

// Gateway: clients are anonymous, and the backend gets the service's own token,
// whatever a client has sent.
func Example_onwardGateway() {
	backend := onwardBackend()
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	if err != nil {
		panic(err)
	}
	gateway := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: onwardTransport{token: func() string { return "service-token" }},
	}

	onwardVisit("anonymous", gateway, "Accept", "*/*")
	onwardVisit("token", gateway, "Authorization", "Bearer "+onwardIssuer().Token(nil))
	onwardVisit("hop by hop", gateway, "Connection", "Authorization")
	// Output:
	// anonymous: 200 token "Bearer service-token", user ""
	// token: 200 token "Bearer service-token", user ""
	// hop by hop: 200 token "Bearer service-token", user ""
}

func onwardIssuer() *jwttest.Issuer { return jwttest.New(new(testing.T)) } // in your tests: jwttest.New(t)

func onwardBackend() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("Authorization")
		if strings.Count(token, ".") == 2 {
			token = "Bearer (of the client)"
		}
		fmt.Fprintf(w, "token %q, user %q", token, strings.Join(append(r.Header["X-User"], r.Header["X_user"]...), "|"))
		if len(r.Header["Cookie"]) > 0 {
			fmt.Fprint(w, ", and a cookie")
		}
	}))
}

func onwardVisit(name string, h http.Handler, headers ...string) {
	r := httptest.NewRequest(http.MethodGet, "/orders", http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(strings.TrimSpace(fmt.Sprint(name, ": ", w.Code, " ", w.Body)))
}
