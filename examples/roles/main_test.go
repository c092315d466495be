package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

func TestRoles(t *testing.T) {
	idp := jwttest.New(t)
	h, err := newHandler(config{issuer: idp.Policy().URL, audience: "orders-api", keys: idp})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	defer server.Close()

	realm := func(roles ...string) map[string]any {
		return map[string]any{"realm_access": map[string]any{"roles": roles}}
	}
	client := func(name string, roles ...string) map[string]any {
		return map[string]any{"resource_access": map[string]any{name: map[string]any{"roles": roles}}}
	}
	for name, row := range map[string]struct {
		claims       map[string]any
		read, remove int
	}{
		"a clerk":                     {realm("offline_access", "clerk"), 200, 403},
		"an admin":                    {client("orders-api", "admin"), 200, 200},
		"an admin of another client":  {client("account", "admin"), 403, 403},
		"admin, but in the realm":     {realm("admin"), 403, 403},
		"roles with a dotted name":    {map[string]any{"realm_access.roles": []string{"clerk"}}, 403, 403},
		"roles in one text":           {map[string]any{"realm_access": map[string]any{"roles": "clerk admin"}}, 403, 403},
		"no roles":                    {map[string]any{}, 403, 403},
		"a clerk, by an ID token":     {map[string]any{"typ": "ID", "realm_access": map[string]any{"roles": []string{"clerk"}}}, 401, 401},
		"a clerk, of another service": {map[string]any{"aud": "account", "realm_access": map[string]any{"roles": []string{"clerk"}}}, 401, 401},
	} {
		t.Run(name, func(t *testing.T) {
			claims := map[string]any{"aud": []string{"orders-api", "account"}, "typ": "Bearer"}
			maps.Copy(claims, row.claims)
			token := idp.Token(claims)
			require.Equal(t, row.read, send(t, http.MethodGet, server.URL+"/orders", token))
			require.Equal(t, row.remove, send(t, http.MethodDelete, server.URL+"/orders/7", token))
		})
	}
	require.Equal(t, 401, send(t, http.MethodGet, server.URL+"/orders", ""))
}

// send has the status of the answer to a request with a token, or without.
func send(t *testing.T, method, url, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	return res.StatusCode
}
