package frameworks_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/examples/frameworks"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

const audience = "https://api.example.com"

// service is a signer and a Validator that fetches its keys over HTTP.
func service(t *testing.T) frameworks.Service {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	mux := http.NewServeMux()
	idp := httptest.NewServer(mux)
	t.Cleanup(idp.Close)
	signer, err := jwtsign.New(jwtsign.Config{
		Issuer: idp.URL,
		Keys:   []jwtsign.Key{{Private: jwtsign.SignerKey(key), Algorithm: "ES256"}},
		Token:  jwtsign.Token{Lifetime: time.Hour, Audience: []string{audience}},
		Fields: []jwtsign.Field{{Path: []string{"access_token"}}},
	})
	require.NoError(t, err)
	mux.Handle("/.well-known/openid-configuration", signer.Discovery())
	mux.Handle("/.well-known/jwks.json", signer.JWKS())
	keys, err := jwkcache.New(jwkcache.Config{Issuer: idp.URL, InsecureHTTP: true})
	require.NoError(t, err)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: idp.URL, Algorithms: []string{"ES256"}, Keys: keys, Audiences: []string{audience},
	}}})
	require.NoError(t, err)
	return frameworks.Service{Signer: signer, Validator: v}
}

// Every framework answers every request of the table alike.
func TestFrameworks(t *testing.T) {
	s := service(t)
	admin, err := s.Signer.Sign(t.Context(), map[string]any{"sub": "root", "roles": []string{"admin"}})
	require.NoError(t, err)
	for name, build := range map[string]func(frameworks.Service) http.Handler{
		"net/http": frameworks.Stdlib, "chi": frameworks.Chi, "gin": frameworks.Gin, "echo": frameworks.Echo,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(build(s))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.Start()
			defer server.Close()
			ask := func(t *testing.T, method, path, token string) (*http.Response, string) {
				t.Helper()
				var body io.Reader = http.NoBody
				if method == http.MethodPost {
					body = strings.NewReader(token)
				}
				r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, body)
				require.NoError(t, err)
				if method == http.MethodPost {
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				} else if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				res, err := server.Client().Do(r)
				if err != nil {
					return nil, ""
				}
				defer res.Body.Close()
				text, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				return res, string(text)
			}

			res, body := ask(t, http.MethodPost, "/login", "password=open+sesame")
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			var answer struct {
				Token string `json:"access_token"`
				Type  string `json:"token_type"`
			}
			require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
			require.Equal(t, "Bearer", answer.Type)
			res, body = ask(t, http.MethodPost, "/login", "password=guess")
			require.Equal(t, http.StatusUnauthorized, res.StatusCode)
			require.Equal(t, "wrong password\n", body)

			for _, row := range []struct {
				name, method, path, token string
				status                    int
				body, challenge           string
			}{
				{"good", http.MethodGet, "/orders", answer.Token, 200, "orders of ann", ""},
				{"no token", http.MethodGet, "/orders", "", 401, "", `Bearer realm="api"`},
				{"bad token", http.MethodGet, "/orders", answer.Token[:len(answer.Token)-4], 401, "", `Bearer realm="api", error="invalid_token"`},
				{"lacking scope", http.MethodGet, "/orders", admin, 403, "", `Bearer realm="api", error="insufficient_scope", scope="orders:read"`},
				{"lacking role", http.MethodDelete, "/orders", answer.Token, 403, "", ""},
				{"admin", http.MethodDelete, "/orders", admin, 200, "orders of root", ""},
				{"oneself", http.MethodGet, "/users/ann", answer.Token, 200, "orders of ann", ""},
				{"another", http.MethodGet, "/users/bob", answer.Token, 403, "", ""},
				{"stream", http.MethodGet, "/stream", answer.Token, 200, "data: 0\n\ndata: 1\n\ndata: 2\n\n", ""},
				{"stream without token", http.MethodGet, "/stream", "", 401, "", `Bearer realm="api"`},
			} {
				res, body := ask(t, row.method, row.path, row.token)
				require.NotNil(t, res, row.name)
				require.Equal(t, row.status, res.StatusCode, row.name)
				require.Equal(t, row.body, body, row.name)
				require.Equal(t, row.challenge, res.Header.Get("WWW-Authenticate"), row.name)
			}
			res, _ = ask(t, http.MethodGet, "/broken", answer.Token)
			require.Nil(t, res, "the connection is cut, as net/http does it")
		})
	}
}
