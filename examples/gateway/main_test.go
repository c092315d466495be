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
	require.Contains(t, out.String(), "all 14 answers as expected")
	require.NotContains(t, out.String(), "UNEXPECTED")
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
		"nothing":            {nil, "is required"},
		"no audience":        {[]string{"-issuer", "https://idp.test", "-upstream", "http://127.0.0.1:9"}, "-audience is required"},
		"unknown flag":       {[]string{"-nonsense"}, "not defined"},
		"an argument":        {append(complete, "extra"), "unexpected argument"},
		"http issuer":        {[]string{"-issuer", "http://idp.test", "-audience", "a", "-upstream", "http://127.0.0.1:9"}, "not https"},
		"upstream is a path": {[]string{"-issuer", "https://idp.test", "-audience", "a", "-upstream", "/api"}, "-upstream"},
		"unknown algorithm":  {append(complete, "-alg", "none"), `"none" is not supported`},
		"bad address":        {append(complete, "-listen", "nowhere:port"), "listen"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, run(t.Context(), row.args, io.Discard, io.Discard), row.want)
		})
	}
	require.NoError(t, run(t.Context(), []string{"-h"}, io.Discard, io.Discard))
}

// startGateway runs the program itself, as the flags say, until the test ends.
func startGateway(t *testing.T, args ...string) (url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	var running sync.WaitGroup
	running.Go(func() {
		err := run(ctx, append(args, "-listen", "127.0.0.1:0"), write, io.Discard)
		_ = write.CloseWithError(fmt.Errorf("the gateway has ended: %w", err))
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	_, err := fmt.Fscanf(read, "listening on %s\n", &url)
	require.NoError(t, err)
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

func TestServeEnds(t *testing.T) {
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.Error(t, serve(t.Context(), listener, http.NotFoundHandler()))
}

func form(pairs ...string) url.Values {
	v := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}
