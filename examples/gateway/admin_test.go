package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
)

func revocation(journal string) string {
	if journal != "" {
		journal = fmt.Sprintf(`"journal": %q, "secret": {"env": "JOURNAL"},`, journal)
	}
	return `, "revocation": {` + journal + `
		"listen": "127.0.0.1:0", "max_lifetime": "1h",
		"callers": [
			{"name": "ops", "secret": {"env": "OPS"}, "privileged": true},
			{"name": "web", "secret": {"env": "WEB"}, "client_id": "web"}
		]
	}}`
}

// revocable are the claims of a token that a checker with a journal takes.
func revocable(id string, more map[string]any) map[string]any {
	now := time.Now().Add(-time.Minute).Unix()
	claims := map[string]any{"sub": "alice", "client_id": "web", "jti": id, "iat": now, "exp": now + 600}
	for name, value := range more {
		claims[name] = value
	}
	return claims
}

func (g *running) post(t *testing.T, path, user, secret, contentType, body string) (status int, answer map[string]any) {
	t.Helper()
	r := &http.Request{Header: http.Header{"Content-Type": {contentType}}}
	r.SetBasicAuth(user, secret)
	got, text := request(t, http.MethodPost, g.admin+path, r.Header, strings.NewReader(body))
	_ = json.Unmarshal(text, &answer)
	return got.StatusCode, answer
}

func (g *running) revoke(t *testing.T, user, secret, token string) int {
	t.Helper()
	status, _ := g.post(t, "/revoke", user, secret, "application/x-www-form-urlencoded", url.Values{"token": {token}}.Encode())
	return status
}

func TestAdmin(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	upstream := httptest.NewServer(http.HandlerFunc(echo))
	defer upstream.Close()
	g := startConfig(t, routes(idp, upstream.URL, "")+revocation(""))
	passes := func(token string) int {
		status, _, _ := ask(t, g.url+"/any/", "Bearer "+token)
		return status
	}
	one, two := idp.Token(revocable("one", nil)), idp.Token(revocable("two", nil))
	foreign := idp.Token(revocable("three", map[string]any{"client_id": "another"}))
	bound := idp.Token(revocable("four", map[string]any{"cnf": map[string]any{"x5t#S256": strings.Repeat("A", 43)}}))
	require.Equal(t, 200, passes(one))

	for name, row := range map[string]struct {
		user, secret, token string
		want                int
	}{
		"nobody":                {"", "", one, 401},
		"another secret":        {"web", opsSecret, one, 401},
		"another name":          {"www", webSecret, one, 401},
		"another client's":      {"web", webSecret, foreign, 400},
		"garbage is no token":   {"web", webSecret, "garbage", 200},
		"a token bound to some": {"web", webSecret, bound, 200},
	} {
		require.Equal(t, row.want, g.revoke(t, row.user, row.secret, row.token), name)
	}
	require.Equal(t, 200, passes(one))
	require.Equal(t, 200, passes(foreign))
	status, answer := g.post(t, "/v1/check", "ops", opsSecret, "application/json",
		fmt.Sprintf(`{"claims": {"iss": %q, "jti": "four", "iat": %d, "exp": %d}}`, idp.Issuer(), time.Now().Unix(), time.Now().Unix()+60))
	require.Equal(t, 200, status)
	require.Equal(t, true, answer["revoked"], "by somebody who cannot show the certificate")

	require.Equal(t, 200, g.revoke(t, "web", webSecret, one))
	require.Equal(t, 200, g.revoke(t, "web", webSecret, one), "twice is as good")
	require.Equal(t, 401, passes(one))
	require.Equal(t, 200, passes(two))

	everywhere := fmt.Sprintf(`{"kind": "subject", "issuer": %q, "value": "alice"}`, idp.Issuer())
	status, _ = g.post(t, "/v1/revocations", "web", webSecret, "application/json", everywhere)
	require.Equal(t, 403, status, "not privileged")
	status, _ = g.post(t, "/v1/revocations", "ops", opsSecret, "application/json", everywhere)
	require.Equal(t, 201, status)
	require.Equal(t, 401, passes(two))
	require.Equal(t, 200, passes(idp.Token(revocable("five", map[string]any{"sub": "bob"}))))
	status, _ = g.post(t, "/v1/revocations", "ops", opsSecret, "application/json", `{"kind": "everything"}`)
	require.Equal(t, 403, status, "not global")

	// While the issuer is down, who revokes is told to come again.
	idp.Answer(testidp.JWKSPath, testidp.Body(http.StatusInternalServerError, "text/plain", "down"))
	require.Equal(t, 503, g.revoke(t, "ops", opsSecret, idp.Rotate(jose.ES256, true).Mint(t, "JWT", fmt.Sprintf(`{"iss": %q}`, idp.Issuer()))))
}

// What was revoked is in force after a restart; a journal that cannot be had is an
// error at the start.
func TestJournal(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	upstream := httptest.NewServer(http.HandlerFunc(echo))
	defer upstream.Close()
	path := filepath.Join(t.TempDir(), "revoked")
	config := routes(idp, upstream.URL, "") + revocation(path)
	token := idp.Token(revocable("one", nil))

	g := startConfig(t, config)
	require.Equal(t, 200, g.revoke(t, "web", webSecret, token))
	g.stop()
	require.NoError(t, <-g.ended)

	g = startConfig(t, config)
	status, _, _ := ask(t, g.url+"/any/", "Bearer "+token)
	require.Equal(t, 401, status)
	status, _, _ = ask(t, g.url+"/any/", "Bearer "+idp.Token(revocable("two", nil)))
	require.Equal(t, 200, status)

	from := noHost()
	from.env = func(string) (string, bool) { return strings.Repeat("s", 32), true }
	c, err := readConfig([]byte(routes(idp, upstream.URL, "")+revocation(t.TempDir())), from) // a folder
	require.NoError(t, err)
	broken, err := newGateway(c)
	require.NoError(t, err)
	_, err = broken.open(t.Context())
	require.Error(t, err)
}
