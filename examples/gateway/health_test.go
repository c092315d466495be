package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
)

func TestHealth(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	idp.Answer(testidp.JWKSPath, testidp.Body(http.StatusInternalServerError, "text/plain", "down"))
	upstream := httptest.NewServer(http.HandlerFunc(echo))
	defer upstream.Close()
	g := startConfig(t, routes(idp, upstream.URL, `, {"name": "own", "url": "`+upstream.URL+`",
		"own_token": {"token_url": "`+idp.Issuer()+`/token", "client_id": "c", "client_secret": {"env": "CLIENT"}}}`)+revocation(""))
	is := func(path string, want int, text string) {
		t.Helper()
		status, header, body := ask(t, g.health+path)
		require.Equal(t, want, status, body)
		require.Contains(t, body, text)
		require.Equal(t, "application/json", header.Get("Content-Type"))
		require.Equal(t, "no-store", header.Get("Cache-Control"))
	}

	is("/healthz", 200, "true")
	is("/readyz", 503, "keys")
	idp.Answer(testidp.JWKSPath, nil)
	require.Eventually(t, func() bool { // nobody has sent a request
		status, _, _ := ask(t, g.health+"/readyz")
		return status == 200
	}, waitFor, tick)

	good := idp.Token(revocable("canary-id", nil))
	for authorization, want := range map[string]int{"Bearer " + good: 200, "Bearer garbage-canary": 401, "Bearer " + flip(good): 401} {
		status, _, _ := ask(t, g.url+"/any/path-canary?query-canary", authorization)
		require.Equal(t, want, status)
	}
	idp.Server().Close()
	is("/readyz", 200, "true") // the keys at hand are good

	_, _, body := ask(t, g.health+"/status")
	var st status
	require.NoError(t, json.Unmarshal([]byte(body), &st))
	require.True(t, st.Ready)
	require.EqualValues(t, 3, st.Requests)
	require.Zero(t, st.UnderWay)
	require.Equal(t, map[int]uint64{200: 1, 401: 2}, st.Statuses)
	require.Equal(t, map[string]uint64{"malformed": 1, "signature": 1}, st.Refusals)
	require.Equal(t, idp.Issuer(), st.Issuers[0].URL)
	require.True(t, st.Issuers[0].Usable)
	require.Equal(t, 1, st.Issuers[0].Keys)
	require.Equal(t, []string{"own"}, keysOf(st.OwnTokens))
	require.True(t, st.Revocation.Ready)
	for _, secret := range []string{"canary", "secret", "alice", "Bearer"} {
		require.NotContains(t, body, secret)
	}
	status, _, _ := ask(t, g.url+"/status")
	require.Equal(t, 404, status, "not among the routes")
	answer, _ := request(t, http.MethodPost, g.health+"/healthz", nil, strings.NewReader("x"))
	require.Equal(t, 405, answer.StatusCode)
}

func keysOf[V any](m map[string]V) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	return names
}

// No line of the log, at level debug, has anything secret or a name of somebody;
// there is one for each request.
func TestLogHasNoSecrets(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/base/any/broken" {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Set-Cookie", "session=canary-cookie")
	}))
	defer upstream.Close()
	g := startConfig(t, routes(idp, upstream.URL, "")+revocation(""))
	good := idp.Token(revocable("canary-id", map[string]any{"sub": "canary-alice", "scope": "canary-scope"}))
	sent := 0
	for _, authorization := range []string{
		"Bearer " + good, "Bearer " + flip(good), "Bearer canary-garbage", "Basic Y2FuYXJ5", "Bearer " + good + ", canary", "Bearer " + idp.Token(map[string]any{"aud": "canary"}),
	} {
		for _, path := range []string{"/any/canary-path", "/scopes/canary-path", "/public/canary", "/canary-nowhere", "/public/..%2Fcanary", "/any/broken"} {
			_, _, _ = ask(t, g.url+path+"?token=canary-query", authorization)
			sent++
		}
	}
	answer, _ := request(t, "CANARY", g.url+"/any/", http.Header{"X-User": {"canary"}}, http.NoBody)
	require.Equal(t, 401, answer.StatusCode)
	sent++
	require.Equal(t, 200, g.revoke(t, "web", webSecret, good))
	require.Equal(t, 401, g.revoke(t, "canary-caller", "canary-secret", good))
	g.stop()
	require.NoError(t, <-g.ended)

	log := g.log.String()
	require.Equal(t, sent, strings.Count(log, `"msg":"request"`))
	for _, expected := range []string{`"route":"/any/"`, `"reason":"signature"`, `"msg":"upstream failed"`, `"method":"other"`, `"msg":"shutting down"`, `"msg":"admin"`} {
		require.Contains(t, log, expected)
	}
	signature := good[strings.LastIndexByte(good, '.')+1:]
	for _, secret := range []string{"canary", "CANARY", "Y2FuYXJ5", signature, strings.Split(good, ".")[1], webSecret, opsSecret} {
		require.NotContains(t, log, secret)
	}
}
