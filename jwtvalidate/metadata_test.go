package jwtvalidate_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

const resourceURL = "https://api.example.com/mcp"

// resourceServer is a service as MCP describes one.
func resourceServer(t *testing.T) (*jwtvalidate.Validator, http.Handler) {
	t.Helper()
	i := policy(sourceOf(&ecKey().PublicKey))
	i.Audiences = []string{resourceURL}
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{i}, Resource: resourceURL, Scopes: []string{"files:read", "files:write"},
	})
	mux := http.NewServeMux()
	mux.Handle("/.well-known/oauth-protected-resource/mcp", v.ProtectedResource())
	mux.Handle("/mcp", v.Require(jwtvalidate.AllScopes("files:read", "files:write"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", r.Header.Get("Authorization"))
	})))
	return v, mux
}

// TestMCP holds what a server of the Model Context Protocol must do, one line each.
func TestMCP(t *testing.T) {
	_, mux := resourceServer(t)
	call := func(path, token string) answer {
		r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		if token != "" {
			r.Header.Set("Authorization", token)
		}
		return record(mux, r)
	}
	bearer := func(members string) string {
		return "Bearer " + mint(t, jose.ES256, ecKey(), `{"alg":"ES256"}`, `{"iss":"https://idp.example.com/","exp":1800003600`+members+`}`)
	}
	const metadata = `resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp"`
	const scope = `scope="files:read files:write"`
	full := bearer(`,"aud":"` + resourceURL + `","scope":"files:read files:write"`)

	doc := call("/.well-known/oauth-protected-resource/mcp", "")
	require.Equal(t, 200, doc.status)
	require.Equal(t, "application/json", doc.header.Get("Content-Type"))
	var members map[string]any
	require.NoError(t, json.Unmarshal([]byte(doc.body), &members))
	require.Equal(t, resourceURL, members["resource"])                                // equal to what the URL was made of
	require.Equal(t, []any{issuerURL}, members["authorization_servers"])              // at least one, equal to the issuer
	require.Equal(t, []any{"files:read", "files:write"}, members["scopes_supported"]) // without offline_access
	require.Equal(t, []any{"header"}, members["bearer_methods_supported"])            // never in a query

	challenge := func(a answer) string { return a.header.Get("WWW-Authenticate") }
	nobody := call("/mcp", "")
	require.Equal(t, 401, nobody.status)
	require.Equal(t, `Bearer realm="api", `+metadata+`, `+scope, challenge(nobody))
	require.Equal(t, 401, call("/mcp?access_token="+full[7:], "").status) // no token in a query
	invalid := call("/mcp", "Bearer x")
	require.Equal(t, 401, invalid.status)
	require.Equal(t, `Bearer realm="api", `+metadata+`, error="invalid_token", `+scope, challenge(invalid))
	expired := call("/mcp", "Bearer "+es256(t, `{"alg":"ES256"}`, `{"iss":"https://idp.example.com/","exp":1,"aud":"`+resourceURL+`"}`))
	require.Equal(t, 401, expired.status)
	foreign := call("/mcp", bearer(`,"aud":"https://other.example.com","scope":"files:read files:write"`)) // a token for somebody else
	require.Equal(t, 401, foreign.status)
	require.Equal(t, 401, call("/mcp", bearer(`,"scope":"files:read files:write"`)).status) // or for nobody
	few := call("/mcp", bearer(`,"aud":"`+resourceURL+`","scope":"files:read"`))
	require.Equal(t, 403, few.status)
	require.Equal(t, `Bearer realm="api", `+metadata+`, error="insufficient_scope", `+scope, challenge(few)) // all of them in one
	require.Equal(t, 400, call("/mcp", "Bearer").status)                                                     // malformed
	require.Equal(t, 200, call("/mcp", full).status)
}

// TestProtectedResource: where it is, what it says, and what it leaves out.
func TestProtectedResource(t *testing.T) {
	issuer := func(url string) jwtvalidate.Issuer {
		i := policy(sourceOf(&ecKey().PublicKey))
		i.URL = url
		return i
	}
	template := issuer("https://login.example.com/{tenantid}/v2.0")
	template.Keys, template.Tenants = &entra{}, []string{"a", "b"}
	header, cookie := jwtvalidate.TokenSource{Header: "Authorization", Scheme: "Bearer"}, jwtvalidate.TokenSource{Cookie: "__Host-token"}
	for _, row := range []struct {
		name     string
		cfg      jwtvalidate.Config
		metadata string
		document string
	}{
		{"a host", jwtvalidate.Config{Resource: "https://api.example.com", Issuers: []jwtvalidate.Issuer{issuer(issuerURL)}},
			"https://api.example.com/.well-known/oauth-protected-resource",
			`{"resource":"https://api.example.com","authorization_servers":["https://idp.example.com/"],"bearer_methods_supported":["header"]}`},
		{"a host with a slash", jwtvalidate.Config{Resource: "https://api.example.com/", Issuers: []jwtvalidate.Issuer{issuer(issuerURL)}},
			"https://api.example.com/.well-known/oauth-protected-resource",
			`{"resource":"https://api.example.com/","authorization_servers":["https://idp.example.com/"],"bearer_methods_supported":["header"]}`},
		{"a path, a port and a query", jwtvalidate.Config{Resource: "http://127.0.0.1:8080/a/b?c=d", Issuers: []jwtvalidate.Issuer{issuer(issuerURL)}},
			"http://127.0.0.1:8080/.well-known/oauth-protected-resource/a/b?c=d",
			`{"resource":"http://127.0.0.1:8080/a/b?c=d","authorization_servers":["https://idp.example.com/"],"bearer_methods_supported":["header"]}`},
		{"elsewhere", jwtvalidate.Config{Resource: resourceURL, ResourceMetadata: "https://docs.example.com/x", Issuers: []jwtvalidate.Issuer{issuer(issuerURL)}},
			"https://docs.example.com/x",
			`{"resource":"https://api.example.com/mcp","authorization_servers":["https://idp.example.com/"],"bearer_methods_supported":["header"]}`},
		{"issuers that are no URL, and tenants", jwtvalidate.Config{Resource: resourceURL, Issuers: []jwtvalidate.Issuer{issuer("me"), template}},
			"https://api.example.com/.well-known/oauth-protected-resource/mcp",
			`{"resource":"https://api.example.com/mcp","authorization_servers":["https://login.example.com/a/v2.0","https://login.example.com/b/v2.0"],"bearer_methods_supported":["header"]}`},
		{"cookies alone, and rules", jwtvalidate.Config{
			Resource: resourceURL, Issuers: []jwtvalidate.Issuer{issuer("me")}, Sources: []jwtvalidate.TokenSource{cookie},
			Rules: []jwtvalidate.Rule{jwtvalidate.AllScopes("a", "b")},
		},
			"https://api.example.com/.well-known/oauth-protected-resource/mcp",
			`{"resource":"https://api.example.com/mcp","scopes_supported":["a","b"]}`},
		{"a header and a cookie, and no scopes", jwtvalidate.Config{
			Resource: resourceURL, Issuers: []jwtvalidate.Issuer{issuer("me")}, Sources: []jwtvalidate.TokenSource{header, cookie},
			Rules: []jwtvalidate.Rule{jwtvalidate.AllScopes("a", "b")}, Scopes: []string{},
		},
			"https://api.example.com/.well-known/oauth-protected-resource/mcp",
			`{"resource":"https://api.example.com/mcp","bearer_methods_supported":["header"]}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := validator(t, row.cfg)
			h := v.ProtectedResource()
			a := record(h, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
			require.Equal(t, row.document, a.body)
			require.Equal(t, "*", a.header.Get("Access-Control-Allow-Origin"))
			require.Contains(t, record(v.Handler(h), request()).header.Get("WWW-Authenticate"), `resource_metadata="`+row.metadata+`"`)
			require.Equal(t, 405, record(h, httptest.NewRequest(http.MethodPost, "/", http.NoBody)).status)
		})
	}
	for _, row := range []struct {
		cfg  jwtvalidate.Config
		want string
	}{
		{jwtvalidate.Config{Resource: "api.example.com"}, "jwtvalidate: Resource: want an absolute URL"},
		{jwtvalidate.Config{Resource: "https://api.example.com/#a"}, "jwtvalidate: Resource: want no fragment"},
		{jwtvalidate.Config{Scopes: []string{"a b"}}, "jwtvalidate: Scopes: "},
		{jwtvalidate.Config{Scopes: []string{`a"`}}, "jwtvalidate: Scopes: "},
	} {
		_, err := jwtvalidate.New(row.cfg)
		require.ErrorContains(t, err, row.want)
	}
	require.Panics(t, func() { trust(t, nil).ProtectedResource() })
}
