package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	waitFor = 10 * time.Second
	tick    = 20 * time.Millisecond
)

// provider is a real, independent OpenID server: npm oidc-provider on node.
type provider struct {
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`
	Secret   string `json:"client_secret"`

	kill func() // the server is gone, at once and before the end of the test
}

// startProvider starts the server on loopback; it ends with the test. Where node
// or the npm packages are absent, the test is skipped, except under GATEHOUSE_CI.
func startProvider(t *testing.T, env ...string) provider {
	t.Helper()
	const dir = "testdata/oidc-provider"
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(dir + "/node_modules")
	}
	if err != nil {
		if os.Getenv("GATEHOUSE_CI") != "" {
			t.Fatalf("the real OpenID server must run here: %v", err)
		}
		t.Skipf("no real OpenID server here (want node, and npm ci in %s): %v", dir, err)
	}
	server := exec.CommandContext(t.Context(), node, "server.mjs")
	server.Dir, server.Stderr = dir, t.Output()
	server.Env = append(os.Environ(), env...)
	stdin, err := server.StdinPipe() // its end ends the server
	require.NoError(t, err)
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = server.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	var p provider
	require.NoError(t, json.Unmarshal(line, &p))
	require.NotEmpty(t, p.Issuer)
	p.kill = func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}
	return p
}

// token asks the real server for an access token (RFC 6749 section 4.4).
func (p provider) token(t *testing.T, client, resource string) string {
	t.Helper()
	body := form("grant_type", "client_credentials", "scope", "api:read", "resource", resource).Encode()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+"/token", strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client, p.Secret)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	var got struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&got))
	require.Empty(t, got.Error)
	return got.AccessToken
}

// A real server's tokens pass the real proxy, with every algorithm; the same
// tokens for another audience, changed by a bit, or with the algorithm switched
// off do not.
func TestRealOpenIDProvider(t *testing.T) {
	p := startProvider(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer upstream.Close()
	base := []string{"-issuer", p.Issuer, "-audience", p.Audience, "-upstream", upstream.URL, "-insecure-http"}
	gateway := startGateway(t, append(base, "-alg", "RS256,PS256,ES256,EdDSA,Ed25519")...)
	withoutAll := startGateway(t, append(base, "-alg", "RS512")...)

	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA", "Ed25519"} {
		t.Run(alg, func(t *testing.T) {
			client := "client-" + strings.ToLower(alg)
			token := p.token(t, client, p.Audience)
			require.Contains(t, headerOf(t, token), `"alg":"`+alg+`"`)

			status, _, _ := ask(t, gateway, "Bearer "+token)
			require.Equal(t, http.StatusOK, status)

			status, _, _ = ask(t, withoutAll, "Bearer "+token)
			require.Equal(t, http.StatusUnauthorized, status, "an algorithm that the policy does not name")

			status, _, _ = ask(t, gateway, "Bearer "+p.token(t, client, "https://other.example.com"))
			require.Equal(t, http.StatusUnauthorized, status, "another audience")

			status, header, _ := ask(t, gateway, "Bearer "+flip(token))
			require.Equal(t, http.StatusUnauthorized, status, "a changed signature")
			require.Equal(t, `Bearer realm="api", error="invalid_token"`, header.Get("WWW-Authenticate"))
		})
	}
}

func headerOf(t *testing.T, token string) string {
	t.Helper()
	segment, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(segment)
	require.NoError(t, err)
	return string(text)
}

// flip changes the first character of the signature.
func flip(token string) string {
	i := strings.LastIndexByte(token, '.') + 1
	c := byte('A')
	if token[i] == c {
		c = 'B'
	}
	return token[:i] + string(c) + token[i+1:]
}
