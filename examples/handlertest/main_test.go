package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// serve is one request to the service, with a token or without.
func serve(h http.Handler, path, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWhoMaySeeOrders(t *testing.T) {
	issuer := jwttest.New(t)
	h, err := newHandler(issuer.Policy())
	require.NoError(t, err)
	token := func(sub, scope string) string { return issuer.Token(map[string]any{"sub": sub, "scope": scope}) }
	for name, row := range map[string]struct {
		token  string
		status int
		body   string
	}{
		"ann":                      {token("ann", "orders:read"), 200, "orders, shown to ann\n"},
		"support":                  {token("support", "orders:read-all"), 200, "orders, shown to support\n"},
		"bob":                      {token("bob", "orders:read"), 403, ""},
		"ann, without scope":       {token("ann", ""), 403, ""},
		"an app without a user":    {issuer.Token(map[string]any{"sub": nil, "scope": "orders:read"}), 403, ""},
		"somebody without a token": {"", 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(h, "/users/ann/orders", row.token)
			require.Equal(t, row.status, w.Code)
			require.Equal(t, row.body, w.Body.String())
		})
	}
}

func TestBadTokens(t *testing.T) {
	issuer := jwttest.New(t)
	h, err := newHandler(issuer.Policy())
	require.NoError(t, err)
	for _, kind := range []string{"alg none", "audience", "expired", "forged", "issuer", "kid", "malformed", "not yet valid", "signature", "type"} {
		t.Run(kind, func(t *testing.T) {
			w := serve(h, "/users/user/orders", issuer.Bad(kind))
			require.Equal(t, http.StatusUnauthorized, w.Code)
			require.Contains(t, w.Header().Get("WWW-Authenticate"), `error="invalid_token"`)
			require.Empty(t, w.Body, "no client is told why")
		})
	}
}

// What providers do: they change keys, and they fail.
func TestRotationAndOutage(t *testing.T) {
	issuer := jwttest.New(t)
	h, err := newHandler(issuer.Policy())
	require.NoError(t, err)
	claims := map[string]any{"sub": "ann", "scope": "orders:read"}
	old := issuer.Token(claims)
	require.Equal(t, http.StatusOK, serve(h, "/users/ann/orders", old).Code)

	issuer.Rotate()
	require.Equal(t, http.StatusUnauthorized, serve(h, "/users/ann/orders", old).Code)
	renewed := issuer.Token(claims)
	require.Equal(t, http.StatusOK, serve(h, "/users/ann/orders", renewed).Code)

	issuer.Outage(true)
	w := serve(h, "/users/ann/orders", renewed)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"), "the client keeps its token, and comes back")
	issuer.Outage(false)
	require.Equal(t, http.StatusOK, serve(h, "/users/ann/orders", renewed).Code)
}
