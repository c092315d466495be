package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// legacy answers in plain JSON, as it has for years.
func legacy(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch body, _ := io.ReadAll(r.Body); string(body) {
	case "ann's password":
		_, _ = io.WriteString(w, `{"token": {"sub": "ann", "roles": ["clerk"], "iss": "me"}, "name": "Ann"}`)
	case "a new kind of login":
		_, _ = io.WriteString(w, `{"session": {"sub": "ann"}}`)
	case "nobody's password":
		_, _ = io.WriteString(w, `{"token": {"roles": ["admin"]}}`)
	default:
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error": "wrong password"}`)
	}
}

func TestLogin(t *testing.T) {
	behind := httptest.NewServer(http.HandlerFunc(legacy))
	defer behind.Close()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	key, err := jwtsign.ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	require.NoError(t, err)

	mux := http.NewServeMux() // known before its URL is
	server := httptest.NewServer(mux)
	defer server.Close()
	h, err := newHandler(config{issuer: server.URL, audience: "https://api.example.com", legacy: behind.URL, key: key})
	require.NoError(t, err)
	mux.Handle("/", h)

	status, body := login(t, server.URL, "ann's password")
	require.Equal(t, 200, status)
	var answer struct{ Token, Name string }
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Equal(t, "Ann", answer.Name)

	// An API that knows nothing but the issuer takes the token.
	keys, err := jwkcache.New(jwkcache.Config{Issuer: server.URL, InsecureHTTP: true})
	require.NoError(t, err)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: server.URL, Algorithms: []string{"ES256"}, Keys: keys, Audiences: []string{"https://api.example.com"},
	}}})
	require.NoError(t, err)
	claims, err := v.CheckToken(t.Context(), answer.Token)
	require.NoError(t, err)
	require.Equal(t, "ann", claims.Subject())
	require.NoError(t, v.Allow(t.Context(), claims, jwtvalidate.Claim("roles").AnyOf("clerk")))
	require.Equal(t, server.URL, claims.Issuer(), "not what the application says")

	for name, row := range map[string]struct {
		password string
		status   int
		body     string
	}{
		"refusals pass as they are":       {"a guess", 403, `{"error": "wrong password"}`},
		"an answer without token":         {"a new kind of login", 502, ""},
		"claims that say nothing of whom": {"nobody's password", 502, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := login(t, server.URL, row.password)
			require.Equal(t, row.status, status)
			require.Equal(t, row.body, body)
		})
	}
	res, err := http.Get(server.URL + "/admin")
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 404, res.StatusCode, "the login alone is proxied")
}

func login(t *testing.T, url, password string) (status int, body string) {
	t.Helper()
	res, err := http.Post(url+"/login", "text/plain", strings.NewReader(password))
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}
