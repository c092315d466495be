package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

const api, stock = "https://api.example.com", "https://stock.example.com"

// tenant is what Auth0 does here: metadata, keys and tokens for those who know
// their secret, with the scopes that they may have.
func tenant(t *testing.T, scopes map[string]string) (server *httptest.Server, roots *x509.CertPool) {
	t.Helper()
	mux := http.NewServeMux()
	server = httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	signer, err := jwtsign.New(jwtsign.Config{
		Issuer: server.URL + "/",
		Keys:   []jwtsign.Key{{Private: jwtsign.SignerKey(key), Algorithm: "RS256"}},
		Token:  jwtsign.Token{Lifetime: time.Hour, Audience: []string{api}},
	})
	require.NoError(t, err)
	mux.Handle("GET /.well-known/openid-configuration", signer.Discovery())
	mux.Handle("GET /.well-known/jwks.json", signer.JWKS())
	mux.HandleFunc("POST /oauth/token", func(w http.ResponseWriter, r *http.Request) {
		id := r.PostFormValue("client_id")
		scope, known := scopes[id]
		if !known || r.PostFormValue("client_secret") != "secret of "+id {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"access_denied"}`)
			return
		}
		kind := jwtsign.Token{Lifetime: time.Hour, Audience: []string{r.PostFormValue("audience")}}
		token, err := signer.SignToken(r.Context(), kind, map[string]any{"sub": id + "@clients", "azp": id, "scope": scope})
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600})
	})
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server, roots
}

// login is how one gets a token in the console of Auth0, or with curl.
func login(t *testing.T, tenant *httptest.Server, id, audience string) string {
	t.Helper()
	res, err := tenant.Client().PostForm(tenant.URL+"/oauth/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {"secret of " + id}, "audience": {audience},
	})
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	var answer struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	return answer.Token
}

func TestAuth0(t *testing.T) {
	auth0, roots := tenant(t, map[string]string{"web": "openid read:orders", "guest": "openid", "orders": "read:stock"})
	domain := strings.TrimPrefix(auth0.URL, "https://")

	keys, err := jwkcache.New(jwkcache.Config{Issuer: auth0.URL + "/", RootCAs: roots})
	require.NoError(t, err)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: auth0.URL + "/", Algorithms: []string{"RS256"}, Keys: keys, Audiences: []string{stock},
	}}})
	require.NoError(t, err)
	behind := httptest.NewServer(v.Require(jwtvalidate.AllScopes("read:stock"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		_, _ = io.WriteString(w, r.URL.Path+" for "+claims.Subject())
	})))
	defer behind.Close()

	cfg := config{
		domain: domain, audience: api, clientID: "orders", secret: "secret of orders",
		stockURL: behind.URL, stockAudience: stock, roots: roots,
	}
	start := func(cfg config) string {
		h, err := newHandler(cfg)
		require.NoError(t, err)
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	service := start(cfg)
	web := login(t, auth0, "web", api)
	for name, row := range map[string]struct {
		path, token string
		status      int
		body        string
	}{
		"no token":                   {"/orders", "", 401, ""},
		"logged in":                  {"/orders", web, 200, "orders of web@clients\n"},
		"not for this API":           {"/orders", login(t, auth0, "web", stock), 401, ""},
		"without the permission":     {"/orders", login(t, auth0, "guest", api), 403, ""},
		"no token, behind":           {"/stock/7", "", 401, ""},
		"logged in, behind":          {"/stock/7", web, 200, "/stock/7 for orders@clients"},
		"our own token is not yours": {"/stock/7", login(t, auth0, "orders", stock), 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := get(t, service+row.path, row.token)
			require.Equal(t, row.status, status)
			require.Equal(t, row.body, body)
		})
	}

	cfg.secret = "a guess"
	status, _ := get(t, start(cfg)+"/stock/7", web)
	require.Equal(t, http.StatusBadGateway, status)
}

func TestSettings(t *testing.T) {
	good := config{
		domain: "example.eu.auth0.com", audience: api, clientID: "orders", secret: "secret of orders",
		stockURL: "https://stock.example.com", stockAudience: stock,
	}
	for name, row := range map[string]struct {
		change func(cfg *config)
		want   string // in the error; empty: none
	}{
		"good":                  {func(*config) {}, ""},
		"a port":                {func(cfg *config) { cfg.domain = "127.0.0.1:8443" }, ""},
		"a scheme":              {func(cfg *config) { cfg.domain = "https://example.eu.auth0.com" }, "AUTH0_DOMAIN: want a host such as"},
		"a scheme and a slash":  {func(cfg *config) { cfg.domain = "https://example.eu.auth0.com/" }, "AUTH0_DOMAIN: want a host such as"},
		"a slash":               {func(cfg *config) { cfg.domain = "example.eu.auth0.com/" }, "AUTH0_DOMAIN: want a host such as"},
		"a user":                {func(cfg *config) { cfg.domain = "ann@example.eu.auth0.com" }, "AUTH0_DOMAIN: want a host such as"},
		"a space":               {func(cfg *config) { cfg.domain = "example.eu.auth0.com " }, "AUTH0_DOMAIN: want a host such as"},
		"no domain":             {func(cfg *config) { cfg.domain = "" }, "AUTH0_DOMAIN: want a host such as"},
		"stock, a slash":        {func(cfg *config) { cfg.stockURL += "/" }, ""},
		"stock, a path":         {func(cfg *config) { cfg.stockURL += "/v1" }, "STOCK_URL: want https://host[:port]"},
		"stock, without scheme": {func(cfg *config) { cfg.stockURL = "stock.example.com" }, "STOCK_URL: want https://host[:port]"},
		"stock, not https":      {func(cfg *config) { cfg.stockURL = "http://stock.example.com" }, "CLIENT_ID, CLIENT_SECRET, STOCK_AUDIENCE, STOCK_URL: "},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			row.change(&cfg)
			_, err := newHandler(cfg)
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.want)
		})
	}
}

func get(t *testing.T, url, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}
