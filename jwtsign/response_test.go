package jwtsign_test

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

const backendVariable = "GATEHOUSE_TEST_BACKEND"

// serveBackend is the other process of TestBackendProcess. It ends with its input.
func serveBackend() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
			switch r.URL.Path {
			case "/chunked":
				_, _ = io.WriteString(w, `{"access_token":`)
				_ = http.NewResponseController(w).Flush()
				_, _ = io.WriteString(w, `{"sub":"ann"}}`)
			case "/gzip":
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				_, _ = io.WriteString(z, `{"access_token":{"sub":"ann"}}`)
				_ = z.Close()
			case "/cut":
				w.Header().Set("Content-Length", "100")
				_, _ = io.WriteString(w, `{"access_token":{"sub":"c4n4ry"}}`)
			case "/refused":
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"error":"no"}`)
			default:
				_, _ = io.WriteString(w, `{"access_token":{"sub":"ann"}}`)
			}
		}))
	}()
	fmt.Println(listener.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// A reverse proxy in front of a login service in a process of its own.
func TestBackendProcess(t *testing.T) {
	if os.Getenv(backendVariable) != "" {
		serveBackend()
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestBackendProcess$")
	cmd.Env = append(os.Environ(), backendVariable+"=1")
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() {
		_ = input.Close()
		_ = cmd.Wait()
	}()
	address, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)

	target := &url.URL{Scheme: "http", Host: strings.TrimSpace(address)}
	s := signer(t, config())
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: s.ModifyResponse,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if errors.Is(err, jwtsign.ErrAnswer) {
				w.WriteHeader(http.StatusBadGateway)
			}
		},
	})
	defer proxy.Close()
	for path, status := range map[string]int{"/": 200, "/chunked": 200, "/gzip": 200, "/cut": 502, "/refused": 401} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, proxy.URL+path, http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Accept-Encoding", "gzip")
		res, err := proxy.Client().Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, status, res.StatusCode, path)
		require.NotContains(t, string(body), canary)
		switch status {
		case http.StatusOK:
			token := strings.TrimSuffix(strings.TrimPrefix(string(body), `{"access_token":"`), `"}`)
			require.Equal(t, "ann", open(t, token, "ES256", ecKey()).claims["sub"], path)
			require.Equal(t, []string{"a=1", "b=2"}, res.Header.Values("Set-Cookie"))
			require.EqualValues(t, len(body), res.ContentLength)
		case http.StatusUnauthorized:
			require.JSONEq(t, `{"error":"no"}`, string(body))
		}
	}
}
