package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

const issuer, audience = "https://login.example.com", "https://api.example.com"

// inside is the provider, and all that it was asked.
type inside struct {
	*httptest.Server
	signer *jwtsign.Signer
	mu     sync.Mutex
	asked  []string
}

func newInside(t *testing.T) *inside {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p := &inside{}
	p.signer, err = jwtsign.New(jwtsign.Config{
		Issuer: issuer, Keys: []jwtsign.Key{{Private: jwtsign.SignerKey(key), Algorithm: "ES256"}},
		Token: jwtsign.Token{Lifetime: time.Hour, Audience: []string{audience}},
	})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("GET /jwks", p.signer.JWKS())
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("password") != "ann's" || r.Header.Get("X-Forwarded-For") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		token, err := p.signer.Sign(r.Context(), map[string]any{"sub": "ann"})
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, token)
	})
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Method+" "+r.URL.RequestURI())
		p.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func TestLoginProxy(t *testing.T) {
	idp := newInside(t)
	cfg := config{issuer: issuer, audience: audience, jwks: idp.URL + "/jwks", login: idp.URL + "/token", authority: x509.NewCertPool()}
	cfg.authority.AddCert(idp.Certificate())
	h, err := newHandler(cfg)
	require.NoError(t, err)
	server := httptest.NewServer(h)
	defer server.Close()

	status, token := send(t, http.MethodPost, server.URL+"/login", "", "ann's")
	require.Equal(t, 200, status)
	status, body := send(t, http.MethodGet, server.URL+"/orders", token, "")
	require.Equal(t, 200, status)
	require.Equal(t, "orders of ann\n", body)

	for name, row := range map[string]struct {
		method, path, token, password string
		status                        int
	}{
		"a guess":                  {"POST", "/login", "", "a guess", 400},
		"a query is not passed on": {"POST", "/login?admin=1", "", "a guess", 400},
		"no token":                 {"GET", "/orders", "", "", 401},
		"the keys are not shown":   {"GET", "/jwks", "", "", 401},
		"nor anything else":        {"GET", "/admin", token, "", 404},
		"nor by way of the login":  {"POST", "/login/../admin", token, "", 404},
		"nor behind it":            {"POST", "/login/admin", token, "", 404},
		"nor by another method":    {"GET", "/login", token, "", 404},
	} {
		t.Run(name, func(t *testing.T) {
			status, _ := send(t, row.method, server.URL+row.path, row.token, row.password)
			require.Equal(t, row.status, status)
		})
	}
	idp.mu.Lock()
	defer idp.mu.Unlock()
	for _, asked := range idp.asked {
		require.Contains(t, []string{"POST /token", "GET /jwks"}, asked)
	}

	cfg.login = "http://idp.internal/token"
	_, err = newHandler(cfg)
	require.ErrorContains(t, err, "LOGIN_URL")
}

func send(t *testing.T, method, address, token, password string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(url.Values{"password": {password}}.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
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
