package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

func TestReadiness(t *testing.T) {
	var down atomic.Bool
	var ahead atomic.Int64 // of the clock of the keys
	mux := http.NewServeMux()
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	defer idp.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	signer, err := jwtsign.New(jwtsign.Config{
		Issuer: idp.URL, Keys: []jwtsign.Key{{Private: jwtsign.SignerKey(key), Algorithm: "ES256"}},
		Token: jwtsign.Token{Lifetime: time.Hour, Audience: []string{"api"}},
	})
	require.NoError(t, err)
	mux.Handle("GET /.well-known/openid-configuration", signer.Discovery())
	mux.Handle("GET /.well-known/jwks.json", signer.JWKS())
	token, err := signer.Sign(t.Context(), map[string]any{"sub": "ann"})
	require.NoError(t, err)

	keys, err := jwkcache.New(jwkcache.Config{
		Issuer: idp.URL, InsecureHTTP: true, MaxStale: 12 * time.Hour,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	require.NoError(t, err)
	h, err := newHandler(config{issuer: idp.URL, audience: "api", keys: keys})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	defer server.Close()
	states := func() [4]int {
		return [4]int{
			send(t, http.MethodGet, server.URL+"/orders", token), send(t, http.MethodGet, server.URL+"/orders", ""),
			send(t, http.MethodGet, server.URL+"/readyz", ""), send(t, http.MethodGet, server.URL+"/alarm", ""),
		}
	}

	down.Store(true)
	require.Equal(t, [4]int{503, 401, 503, 503}, states(), "never had keys")
	down.Store(false)
	require.Eventually(t, func() bool { return keys.Warm(t.Context()) == nil }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, [4]int{200, 401, 200, 200}, states())

	down.Store(true)
	for _, step := range []struct {
		after time.Duration
		want  [4]int
		why   string
	}{
		{45 * time.Minute, [4]int{200, 401, 200, 200}, "an outage that may pass"},
		{2 * time.Hour, [4]int{200, 401, 200, 503}, "one that somebody must see to"},
		{13 * time.Hour, [4]int{503, 401, 200, 503}, "the keys are too old: tokens cannot be checked, and the fleet stays"},
	} {
		ahead.Store(int64(step.after))
		require.Equal(t, step.want, states(), step.why)
	}

	down.Store(false)
	ahead.Add(int64(time.Minute)) // a failure is remembered for a moment
	require.Equal(t, [4]int{200, 401, 200, 200}, states(), "nothing has to be restarted")
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
