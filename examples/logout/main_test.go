package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

const issuer, api, client = "https://idp.test", "https://api.test", "web"

var (
	access      = jwtsign.Token{Type: "at+jwt", Lifetime: 10 * time.Minute, Audience: []string{api}, Keep: []string{"iat"}}
	logoutToken = jwtsign.Token{Type: "logout+jwt", Lifetime: 2 * time.Minute, Audience: []string{client}}
	events      = map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
)

// provider has the keys, or is down.
type provider struct {
	jwtvalidate.KeySource
	down atomic.Bool
}

func (p *provider) Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	if p.down.Load() {
		return nil, errors.New("down")
	}
	return p.KeySource.Keys(ctx, kid, alg)
}

// start has the address of the service, what mints tokens for it, and its provider.
func start(t *testing.T) (address string, mint func(kind jwtsign.Token, claims map[string]any) string, idp *provider) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	signer, err := jwtsign.New(jwtsign.Config{
		Issuer: issuer, Keys: []jwtsign.Key{{Private: jwtsign.SignerKey(private), Algorithm: "ES256"}}, Token: access,
	})
	require.NoError(t, err)
	keys, err := jwtvalidate.StaticKeys(&private.PublicKey)
	require.NoError(t, err)
	idp = &provider{KeySource: keys}
	h, err := newHandler(config{issuer: issuer, audience: api, client: client, keys: idp})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL, func(kind jwtsign.Token, claims map[string]any) string {
		t.Helper()
		token, err := signer.SignToken(t.Context(), kind, claims)
		require.NoError(t, err)
		return token
	}, idp
}

// login is a token of a session that began some seconds ago.
func login(sub, sid string, ago time.Duration) map[string]any {
	claims := map[string]any{"sub": sub, "client_id": client, "iat": time.Now().Add(-ago).Unix()}
	if sid != "" {
		claims["sid"] = sid
	}
	return claims
}

func TestLogout(t *testing.T) {
	service, mint, _ := start(t)
	phone, laptop := mint(access, login("ann", "phone", time.Minute)), mint(access, login("ann", "laptop", time.Minute))
	bob := mint(access, login("bob", "", time.Minute))
	status := func(token string) int { return send(t, http.MethodGet, service+"/me", token) }
	require.Equal(t, []int{200, 200, 200, 401}, []int{status(phone), status(laptop), status(bob), status("")})

	require.Equal(t, 401, send(t, http.MethodPost, service+"/logout", ""))
	require.Equal(t, 204, send(t, http.MethodPost, service+"/logout", phone))
	require.Equal(t, []int{401, 200, 200}, []int{status(phone), status(laptop), status(bob)})
	require.Equal(t, 401, send(t, http.MethodPost, service+"/logout", phone), "once")
	require.Equal(t, 200, status(mint(access, login("ann", "phone again", 0))), "a login is a new session")

	require.Equal(t, 204, send(t, http.MethodPost, service+"/logout?all", laptop))
	require.Equal(t, []int{401, 200}, []int{status(laptop), status(bob)})
	require.Equal(t, 204, send(t, http.MethodPost, service+"/logout", bob), "no session is named: all of his")
	require.Equal(t, 401, status(bob))
	later := -time.Second // the second of the logout itself is refused
	require.Equal(t, 200, status(mint(access, login("ann", "tablet", later))))
	require.Equal(t, 200, status(mint(access, login("bob", "", later))))
}

func TestBackChannelLogout(t *testing.T) {
	service, mint, idp := start(t)
	phone, laptop := mint(access, login("ann", "phone", time.Minute)), mint(access, login("ann", "laptop", time.Minute))
	post := func(token string) int {
		res, err := http.PostForm(service+"/backchannel-logout", url.Values{"logout_token": {token}})
		require.NoError(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	status := func(token string) int { return send(t, http.MethodGet, service+"/me", token) }

	elsewhere := logoutToken
	elsewhere.Audience = []string{"another client"}
	require.Equal(t, 400, post(phone), "an access token ends nothing")
	require.Equal(t, 400, post("not.a.token"))
	require.Equal(t, 400, post(mint(elsewhere, map[string]any{"sid": "phone", "events": events})))
	require.Equal(t, []int{200, 200}, []int{status(phone), status(laptop)})

	good := mint(logoutToken, map[string]any{"sid": "phone", "events": events})
	require.Equal(t, 401, status(good), "a logout token is no access token")
	idp.down.Store(true)
	require.Equal(t, 503, post(good), "the provider sends it again")
	idp.down.Store(false)
	require.Equal(t, 200, post(good))
	require.Equal(t, []int{401, 200}, []int{status(phone), status(laptop)})
	require.Equal(t, 400, post(good), "once")
	require.Equal(t, 200, post(mint(logoutToken, map[string]any{"sub": "ann", "events": events})))
	require.Equal(t, 401, status(laptop))
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
