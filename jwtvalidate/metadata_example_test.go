package jwtvalidate_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// A client that knows the address and nothing else, such as one of MCP, is told by
// the refusal where the metadata stands, and by that where to get a token (RFC 9728).
func ExampleValidator_ProtectedResource() {
	keys, err := jwkcache.New(jwkcache.Config{Issuer: "https://idp.example.com"}) // nothing is fetched yet
	if err != nil {
		panic(err)
	}
	const resource = "https://api.example.com/mcp"
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{{
			URL: "https://idp.example.com", Algorithms: []string{"ES256"}, Keys: keys, Audiences: []string{resource},
		}},
		Resource: resource,
		Scopes:   []string{"files:read", "files:write"}, // all that a token for it may have
	})
	if err != nil {
		panic(err)
	}
	tools := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("/mcp", v.Require(jwtvalidate.AllScopes("files:read"))(tools))
	mux.Handle("/.well-known/oauth-protected-resource/mcp", v.ProtectedResource()) // open to all

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/mcp", http.NoBody))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/oauth-protected-resource/mcp", http.NoBody))
	fmt.Println(w.Code, w.Body)
	// Output:
	// 401 Bearer realm="api", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp", scope="files:read files:write"
	// 200 {"resource":"https://api.example.com/mcp","authorization_servers":["https://idp.example.com"],"scopes_supported":["files:read","files:write"],"bearer_methods_supported":["header"]}
}
