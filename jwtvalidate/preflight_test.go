package jwtvalidate_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// overriding is a middleware behind the token that goes by a method override.
func overriding(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if method := r.Header.Get("X-HTTP-Method-Override"); method != "" {
			r.Method = method
		}
		next.ServeHTTP(w, r)
	})
}

// H12, H18: Preflight answers what is truly a preflight, and nothing else: it is no
// way around the token.
func TestPreflight(t *testing.T) {
	token, bad := good(t), expired(t)
	const ask = "Origin: https://app.example.com\nAccess-Control-Request-Method: DELETE"
	type wrap = func(*jwtvalidate.Validator, http.Handler) http.Handler
	wraps := map[string]wrap{
		"Handler": func(v *jwtvalidate.Validator, next http.Handler) http.Handler { return v.Handler(overriding(next)) },
		"Require": func(v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return v.Require(anybody)(overriding(next))
		},
		"Require behind Handler": func(v *jwtvalidate.Validator, next http.Handler) http.Handler {
			return v.Handler(v.Require(anybody)(overriding(next)))
		},
	}
	answered := verdict{status: http.StatusAccepted} // by Preflight
	for _, row := range []struct {
		name, request string
		want          verdict // with a Preflight
		without       verdict // with none
	}{
		{"H12 a preflight", "OPTIONS /orders\n" + ask, answered, noCredential},
		{"a preflight with headers", "OPTIONS /orders\n" + ask + "\nAccess-Control-Request-Headers: authorization", answered, noCredential},
		{"a preflight of an unknown method", "OPTIONS /orders\nOrigin: null\nAccess-Control-Request-Method: BREW", answered, noCredential},
		{"a preflight with a body", "OPTIONS /orders\n" + ask + "\n" + formType + "\n\na=1", answered, noCredential},
		{"H18 a preflight with a method override", "OPTIONS /orders\n" + ask + "\nX-HTTP-Method-Override: DELETE", answered, noCredential},
		{"H18 a preflight with an override and a good token", "OPTIONS /orders\n" + ask + "\nX-HTTP-Method-Override: DELETE\nAuthorization: Bearer GOOD", answered, goesOn},
		{"a preflight with a good token", "OPTIONS /orders\n" + ask + "\nAuthorization: Bearer GOOD", answered, goesOn},
		{"a preflight with a good cookie", "OPTIONS /orders\n" + ask + "\nCookie: session=GOOD", answered, goesOn},
		{"a preflight with a bad token", "OPTIONS /orders\n" + ask + "\nAuthorization: Bearer BAD", answered, badToken},
		{"a preflight with two tokens", "OPTIONS /orders\n" + ask + "\nAuthorization: Bearer GOOD\nCookie: session=GOOD", answered, badRequest},
		{"a preflight that upgrades, with a cookie", "OPTIONS /orders\n" + ask + "\nUpgrade: websocket\nCookie: session=GOOD", answered, crossOrigin},

		{"OPTIONS", "OPTIONS /orders", noCredential, noCredential},
		{"OPTIONS with a token", "OPTIONS /orders\nAuthorization: Bearer GOOD", goesOn, goesOn},
		{"OPTIONS without Origin", "OPTIONS /orders\nAccess-Control-Request-Method: DELETE", noCredential, noCredential},
		{"OPTIONS with an empty Origin", "OPTIONS /orders\nOrigin:\nAccess-Control-Request-Method: DELETE", noCredential, noCredential},
		{"OPTIONS without a method", "OPTIONS /orders\nOrigin: https://app.example.com", noCredential, noCredential},
		{"OPTIONS with an empty method", "OPTIONS /orders\nOrigin: https://app.example.com\nAccess-Control-Request-Method:", noCredential, noCredential},
		{"OPTIONS that asks for headers only", "OPTIONS /orders\nOrigin: https://app.example.com\nAccess-Control-Request-Headers: x", noCredential, noCredential},
		{"OPTIONS with an underscore", "OPTIONS /orders\nOrigin: https://app.example.com\nAccess_Control_Request_Method: DELETE", noCredential, noCredential},
		{"options", "options /orders\n" + ask, noCredential, noCredential},
		{"GET", "GET /orders\n" + ask, noCredential, noCredential},
		{"HEAD", "HEAD /orders\n" + ask, noCredential, noCredential},
		{"DELETE", "DELETE /orders\n" + ask, noCredential, noCredential},
		{"H18 GET with an override to OPTIONS", "GET /orders\n" + ask + "\nX-HTTP-Method-Override: OPTIONS", noCredential, noCredential},
		{"H18 POST with an override to OPTIONS", "POST /orders\n" + ask + "\nX-HTTP-Method-Override: OPTIONS\n\n", noCredential, noCredential},
		{"OPTIONS with an override to DELETE, no preflight", "OPTIONS /orders\nX-HTTP-Method-Override: DELETE", noCredential, noCredential},
		{"GET with a token", "GET /orders\n" + ask + "\nAuthorization: Bearer GOOD", goesOn, goesOn},
	} {
		for name, wrap := range wraps {
			t.Run(row.name+", "+name, func(t *testing.T) {
				asked := make(chan sight, 1)
				var events int
				sources := places(inBearer, inCookie, inQuery)
				w := newWindow(t, jwtvalidate.Config{
					Sources: sources,
					Preflight: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						asked <- look(r)
						rw.WriteHeader(http.StatusAccepted)
					}),
					Observe: func(context.Context, jwtvalidate.Event) { events++ },
				}, wrap)
				if row.want == answered {
					got := w.ask(t, wire(row.request, token, bad))
					require.Equal(t, http.StatusAccepted, got.status)
					require.Empty(t, got.header.Values("WWW-Authenticate"))
					require.Zero(t, w.ran.Load(), "next ran")
					s := last(t, asked)
					require.Equal(t, http.MethodOptions, s.method)
					require.False(t, s.claims)
					require.Zero(t, w.keys.calls.Load())
					require.Zero(t, events, "nothing was decided")
					s.header.Del("Authorization") // what stands in a header stays there
					require.False(t, s.holds(token), "%+v", s)
				} else {
					w.askFor(t, row.want, wire(row.request, token, bad))
					require.Empty(t, asked)
				}

				w = newWindow(t, jwtvalidate.Config{Sources: sources}, wrap)
				w.askFor(t, row.without, wire(row.request, token, bad))
			})
		}
	}
}

// What the client must not tell the handlers behind, it does not tell Preflight.
func TestPreflightSeesACleanRequest(t *testing.T) {
	token := good(t)
	asked := make(chan sight, 1)
	w := newWindow(t, jwtvalidate.Config{
		Sources: places(inBearer, inCookie, inQuery), Forward: []jwtvalidate.ForwardClaim{{Claim: []string{"sub"}, Header: "X-User"}},
		Preflight: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- look(r) }),
	}, nil)
	got := w.ask(t, wire("OPTIONS /orders?a=1&access_token=GOOD\nOrigin: https://app.example.com\nAccess-Control-Request-Method: GET\nX-User: root\nx_user: root\nCookie: b=2; session=GOOD", token, ""))
	require.Equal(t, http.StatusOK, got.status)
	s := last(t, asked)
	require.Equal(t, "/orders?a=1", s.uri)
	require.Equal(t, []string{"b=2"}, s.header["Cookie"])
	require.Empty(t, s.header["X-User"])
	require.Empty(t, s.header["X_user"])
	require.Equal(t, []string{"https://app.example.com"}, s.header["Origin"])
	require.False(t, s.holds(token), "%+v", s)
}

// An Optional group lets preflights through to its handlers, as it does anybody;
// with a Preflight they end there.
func TestPreflightInOptional(t *testing.T) {
	const ask = "OPTIONS /orders\nOrigin: https://app.example.com\nAccess-Control-Request-Method: GET"
	w := newWindow(t, jwtvalidate.Config{Optional: true}, nil)
	w.askFor(t, goesOn, wire(ask, "", ""))
	require.False(t, last(t, w.seen).claims)
	w = newWindow(t, jwtvalidate.Config{Optional: true, Preflight: http.NotFoundHandler()}, nil)
	require.Equal(t, http.StatusNotFound, w.ask(t, wire(ask, "", "")).status)
	require.Zero(t, w.ran.Load())
}

// A nil pointer, as of a constructor whose error was overlooked, is told by New, and
// not by a panic at the first preflight.
func TestPreflightIsNil(t *testing.T) {
	_, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf())}, Preflight: (*http.ServeMux)(nil)})
	require.ErrorContains(t, err, "Preflight")
	_, err = jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf())}, Preflight: http.NewServeMux()})
	require.NoError(t, err)
}

// Check is about tokens: to it a preflight is a request without one.
func TestCheckOfAPreflight(t *testing.T) {
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Preflight: http.NotFoundHandler()})
	r := httptest.NewRequest(http.MethodOptions, "/orders", http.NoBody)
	r.Header.Set("Origin", "https://app.example.com")
	r.Header.Set("Access-Control-Request-Method", "GET")
	_, err := v.Check(r)
	require.ErrorIs(t, err, jwtvalidate.ErrNoToken)
}
