package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

func TestServiceCall(t *testing.T) {
	issuer := jwttest.New(t)
	var fetched atomic.Int32
	mux := http.NewServeMux()
	idp := httptest.NewServer(mux)
	defer idp.Close()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":%q}`, idp.URL, idp.URL+"/token")
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		w.Header().Set("Content-Type", "application/json")
		id, secret, _ := r.BasicAuth()
		if secret != "hush" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		token := issuer.Token(map[string]any{"sub": id, "scope": r.PostFormValue("scope")})
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600})
	})
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	require.NoError(t, err)
	stock := httptest.NewServer(v.Require(jwtvalidate.AllScopes("stock:read"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := jwtvalidate.FromContext(r.Context())
		fmt.Fprint(w, r.URL.Path, " for ", claims.Subject())
	})))
	defer stock.Close()

	start := func(scope, secret string) string {
		h, err := newHandler(config{issuer: idp.URL, clientID: "orders", secret: secret, scope: scope, stockURL: stock.URL})
		require.NoError(t, err)
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	t.Run("one token for all calls", func(t *testing.T) {
		before, service := fetched.Load(), start("stock:read", "hush")
		for range 3 {
			res, body := get(t, service+"/availability", "Bearer of-the-user")
			require.Equal(t, 200, res.StatusCode)
			require.Equal(t, "/stock for orders", body)
		}
		require.Equal(t, int32(1), fetched.Load()-before)
	})
	t.Run("the wrong scope is our fault", func(t *testing.T) {
		res, _ := get(t, start("billing", "hush")+"/availability", "")
		require.Equal(t, 502, res.StatusCode)
		require.Empty(t, res.Header.Get("WWW-Authenticate"))
	})
	t.Run("no token", func(t *testing.T) {
		before, service := fetched.Load(), start("stock:read", "a guess")
		for range 3 {
			res, body := get(t, service+"/availability", "")
			require.Equal(t, 503, res.StatusCode)
			require.NotEmpty(t, res.Header.Get("Retry-After"))
			require.Empty(t, body)
		}
		require.Equal(t, int32(1), fetched.Load()-before, "a refusal is remembered")
	})
}

func TestSettings(t *testing.T) {
	for name, row := range map[string]struct {
		issuer, stockURL string
		want             string // in the error; empty: none
	}{
		"good":                  {"https://idp.test", "https://stock.test", ""},
		"issuer, not https":     {"http://idp.test", "https://stock.test", "ISSUER"},
		"issuer without scheme": {"idp.test", "https://stock.test", "ISSUER"},
		"stock, a slash":        {"https://idp.test", "https://stock.test/", ""},
		"stock, a path":         {"https://idp.test", "https://stock.test/v1", "STOCK_URL: want https://host[:port]"},
		"stock without scheme":  {"https://idp.test", "stock.test", "STOCK_URL: want https://host[:port]"},
		"stock, not https":      {"https://idp.test", "http://stock.test", "STOCK_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newHandler(config{issuer: row.issuer, clientID: "orders", secret: "hush", scope: "stock:read", stockURL: row.stockURL})
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.want)
			require.NotContains(t, err.Error(), "hush")
		})
	}
}

func get(t *testing.T, url, authorization string) (res *http.Response, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", authorization)
	res, err = http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(text)
}
