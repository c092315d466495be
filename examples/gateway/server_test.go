package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
)

// holding is an upstream that answers when it is let go.
func holding(t *testing.T) (url string, arrived <-chan struct{}, release func()) {
	t.Helper()
	came, gone := make(chan struct{}, 100), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		came <- struct{}{}
		select {
		case <-gone:
			_, _ = io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	}))
	release = sync.OnceFunc(func() { close(gone) })
	t.Cleanup(func() {
		release()
		upstream.Close()
	})
	return upstream.URL, came, release
}

// Requests under way are answered, all of them; those that come later are refused
// by a closed port, and /readyz says no from the first moment on.
func TestShutdownLosesNoRequest(t *testing.T) {
	const requests = 20
	idp := testidp.New(t, jose.ES256)
	upstream, arrived, release := holding(t)
	g := startConfig(t, routes(idp, upstream, "")+"}")
	token := "Bearer " + idp.Token(nil)
	results := make(chan string, requests)
	var running sync.WaitGroup
	for range requests {
		running.Go(func() {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/any/", strings.NewReader("sixteen or fewer"))
			r.Header.Set("Authorization", token)
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				results <- err.Error()
				return
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				text = []byte(err.Error())
			}
			results <- answer.Status + " " + string(text)
		})
	}
	for range requests {
		<-arrived
	}
	g.stop()
	require.Eventually(t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(g.url, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, waitFor, tick, "the port is closed")
	status, _, body := ask(t, g.health+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "shutting down")
	select {
	case err := <-g.ended:
		t.Fatalf("it has ended with requests under way: %v", err)
	default:
	}
	release()
	running.Wait()
	for range requests {
		require.Equal(t, "200 OK done", <-results)
	}
	require.NoError(t, <-g.ended)
}

// A request on a connection that was taken before the port was closed is answered,
// though it comes after that.
func TestShutdownHearsWhoHasCome(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	upstream := httptest.NewServer(http.HandlerFunc(echo))
	defer upstream.Close()
	g := startConfig(t, routes(idp, upstream.URL, "")+"}")
	host := strings.TrimPrefix(g.url, "http://")
	token := idp.Token(nil)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", host)
	require.NoError(t, err)
	defer conn.Close()
	status, _, _ := ask(t, g.url+"/any/", "Bearer "+token) // on a later connection: the one before was taken
	require.Equal(t, http.StatusOK, status)
	g.stop()
	require.Eventually(t, func() bool {
		other, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", host)
		if err == nil {
			other.Close()
		}
		return err != nil
	}, waitFor, tick, "the port is closed")
	_, err = io.WriteString(conn, "GET /any/ HTTP/1.1\r\nHost: "+host+"\r\nAuthorization: Bearer "+token+"\r\n\r\n")
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer answer.Body.Close()
	_, err = io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.True(t, answer.Close)
	require.NoError(t, <-g.ended)
}

// During drain_delay new requests are still served, on connections that end with them.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	idp := testidp.New(t, jose.ES256)
	upstream := httptest.NewServer(http.HandlerFunc(echo))
	defer upstream.Close()
	g := startConfig(t, routes(idp, upstream.URL, "")+`, "drain_delay": "3s"}`)
	token := "Bearer " + idp.Token(nil)
	status, header, _ := ask(t, g.url+"/any/", token)
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, header.Get("Connection"))
	g.stop()
	require.Eventually(t, func() bool {
		status, _, _ := ask(t, g.health+"/readyz")
		return status == http.StatusServiceUnavailable
	}, waitFor, tick)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/any/", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", token)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.True(t, answer.Close, "the connection ends")
	require.NoError(t, <-g.ended)
}

// What takes longer than shutdown_timeout is cut off, and that is an error.
func TestShutdownTimeout(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	upstream, arrived, _ := holding(t)
	g := startConfig(t, routes(idp, upstream, "")+`, "shutdown_timeout": "50ms"}`)
	token := "Bearer " + idp.Token(nil)
	failed := make(chan error, 1)
	go func() {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/any/", http.NoBody)
		r.Header.Set("Authorization", token)
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			answer.Body.Close()
		}
		failed <- err
	}()
	<-arrived
	g.stop()
	require.ErrorContains(t, <-g.ended, "cut off")
	require.Error(t, <-failed)
}

// The program itself, with a config file, over TLS.
func TestConfigFileOverTLS(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	upstream := httptest.NewServer(http.HandlerFunc(echo))
	defer upstream.Close()
	dir := t.TempDir()
	cert := newCert(t, "gateway", nil)
	for name, text := range map[string]string{
		"cert.pem": pemOf("CERTIFICATE", cert.Certificate[0]), "key.pem": pemOf("PRIVATE KEY", pkcs8(t, cert.PrivateKey)),
		"config.json": routes(idp, upstream.URL, "") + `, "tls": {"cert_file": "` + filepath.ToSlash(dir) + `/cert.pem", "key_file": "` + filepath.ToSlash(dir) + `/key.pem"}}`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	file := filepath.Join(dir, "config.json")
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-config", file, "-check"}, &out, io.Discard))
	require.Equal(t, "the config is good\n", out.String())
	url := startProgram(t, "-config", file)
	require.True(t, strings.HasPrefix(url, "https://"), url)
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/any/", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+idp.Token(nil))
	answer, err := (&http.Client{Transport: transport}).Do(r)
	require.NoError(t, err)
	answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)

	require.NoError(t, os.WriteFile(file, []byte("{\n\"listen\": 1\n}"), 0o600))
	err = run(t.Context(), []string{"-config", file}, io.Discard, io.Discard)
	require.ErrorContains(t, err, file)
	require.ErrorContains(t, err, "line 2: listen: want a text")
	require.ErrorContains(t, err, "line 1: routes: is required")
}
