package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
)

func TestDemo(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-demo"}, &out, io.Discard), out.String())
	require.Contains(t, out.String(), "all 46 steps as expected")
	require.NotContains(t, out.String(), "UNEXPECTED")
}

// The demonstration fails, and says what it wanted, when anything goes otherwise.
func TestDemoIsSurprised(t *testing.T) {
	for name, row := range map[string]struct {
		wrong step
		want  string
	}{
		"status":    {step{status: 200, reason: "no_token", challenge: bare}, "want status 200, got 401"},
		"reason":    {step{status: 401, reason: "expired", challenge: bare}, "want reason expired, got no_token"},
		"challenge": {step{status: 401, reason: "no_token", challenge: invalid}, "want challenge"},
		"none":      {step{status: 401, reason: "no_token"}, "want challenge"},
		"answer":    {step{status: 401, reason: "no_token", challenge: bare, sees: map[string]string{"user": "alice"}}, "want user alice"},
		"no server": {step{url: "http://127.0.0.1:1"}, "127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			s := newStage()
			err := s.show(t.Context(), &out, func(ctx context.Context) error {
				s.do(ctx, &step{name: "as it must", status: 401, reason: "no_token", challenge: bare})
				s.do(ctx, &row.wrong)
				return nil
			})
			require.EqualError(t, err, "1 of 2 steps did not go as expected")
			require.Contains(t, out.String(), "UNEXPECTED: ")
			require.Contains(t, out.String(), row.want)
		})
	}
}

func TestDemoIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, run(ctx, []string{"-demo"}, io.Discard, io.Discard))
}

func TestFlags(t *testing.T) {
	complete := []string{"-issuer", "https://idp.test", "-audience", "a", "-upstream", "http://127.0.0.1:9"}
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"nothing":             {nil, "is required"},
		"no audience":         {[]string{"-issuer", "https://idp.test", "-upstream", "http://127.0.0.1:9"}, "-audience is required"},
		"unknown flag":        {[]string{"-nonsense"}, "not defined"},
		"an argument":         {append(complete[:6:6], "extra"), "unexpected argument"},
		"http issuer":         {[]string{"-issuer", "http://idp.test", "-audience", "a", "-upstream", "http://127.0.0.1:9"}, "not https"},
		"upstream is a path":  {[]string{"-issuer", "https://idp.test", "-audience", "a", "-upstream", "/api"}, "-upstream"},
		"unknown algorithm":   {append(complete[:6:6], "-alg", "none"), `"none" is not supported`},
		"bad address":         {append(complete[:6:6], "-listen", "nowhere:port"), "listen"},
		"no address":          {append(complete[:6:6], "-listen", "8080"), "-listen: want host:port"},
		"flags beside a file": {[]string{"-config", "config.example.json", "-issuer", "https://idp.test"}, "-issuer stands in the config file"},
		"no such file":        {[]string{"-config", "nowhere.json"}, "nowhere.json"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, run(t.Context(), row.args, io.Discard, io.Discard), row.want)
		})
	}
	err := run(t.Context(), []string{"-issuer", "http://idp.test", "-audience", "a", "-upstream", "/api", "-alg", "RS255"}, io.Discard, io.Discard)
	for _, flag := range []string{"-issuer: ", "-alg: ", "-upstream: "} {
		require.ErrorContains(t, err, flag, "all faults at once")
	}
	require.NoError(t, run(t.Context(), []string{"-h"}, io.Discard, io.Discard))
}

// startGateway runs the program itself, as the flags say, until the test ends.
func startGateway(t *testing.T, args ...string) (url string) {
	t.Helper()
	return startProgram(t, append(args, "-listen", "127.0.0.1:0")...)
}

func startProgram(t *testing.T, args ...string) (url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	var running sync.WaitGroup
	running.Go(func() {
		err := run(ctx, args, write, io.Discard)
		_ = write.CloseWithError(fmt.Errorf("the gateway has ended: %w", err))
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	_, err := fmt.Fscanf(read, "listening on %s\n", &url)
	require.NoError(t, err)
	running.Go(func() { _, _ = io.Copy(io.Discard, read) }) // the other addresses
	return url
}

// ask sends a request with these Authorization lines.
func ask(t *testing.T, target string, authorization ...string) (status int, header http.Header, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	require.NoError(t, err)
	r.Header["Authorization"] = authorization
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, answer.Header, string(text)
}

func TestProxy(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	var seen http.Header
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		_, _ = io.WriteString(w, "path "+r.URL.Path)
	}))
	defer upstream.Close()
	gateway := startGateway(t, "-issuer", idp.Issuer(), "-audience", testidp.Audience, "-upstream", upstream.URL, "-insecure-http")

	status, _, body := ask(t, gateway+"/orders/7", "Bearer "+idp.Token(nil))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "path /orders/7", body)
	require.NotEmpty(t, seen.Get("X-Forwarded-For"))

	status, header, body := ask(t, gateway+"/orders/7")
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, `Bearer realm="api"`, header.Get("WWW-Authenticate"))
	require.Empty(t, body)

	upstream.Close()
	status, _, body = ask(t, gateway+"/orders/7", "Bearer "+idp.Token(nil))
	require.Equal(t, http.StatusBadGateway, status)
	require.Empty(t, body)
	require.Equal(t, 1, idp.Requests(testidp.JWKSPath))
}

// The proxy starts while its issuer is down, answers 503, and needs no restart.
func TestProxyBeforeItsIssuer(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	idp.Answer(testidp.MetadataPath, testidp.Body(http.StatusInternalServerError, "text/plain", "down"))
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer upstream.Close()
	gateway := startGateway(t, "-issuer", idp.Issuer(), "-audience", testidp.Audience, "-upstream", upstream.URL, "-insecure-http")

	status, header, _ := ask(t, gateway, "Bearer "+idp.Token(nil))
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.NotEmpty(t, header.Get("Retry-After"))
	require.Empty(t, header.Get("WWW-Authenticate"))

	idp.Answer(testidp.MetadataPath, nil)
	require.Eventually(t, func() bool {
		status, _, _ = ask(t, gateway, "Bearer "+idp.Token(nil))
		return status == http.StatusOK
	}, waitFor, tick)
}

// A listener that fails ends the program with an error, and nothing is left behind.
func TestServeEnds(t *testing.T) {
	c, err := simple{listen: "127.0.0.1:0", issuer: "https://idp.test", audience: "a", upstream: "http://127.0.0.1:9", algorithms: "RS256"}.config(host{log: io.Discard})
	require.NoError(t, err)
	g, err := newGateway(c)
	require.NoError(t, err)
	h, err := g.open(t.Context())
	require.NoError(t, err)
	require.NoError(t, h.front.listener.Close())
	require.ErrorIs(t, h.serve(t.Context()), net.ErrClosed)
}

func form(pairs ...string) url.Values {
	v := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}
