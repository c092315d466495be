package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
)

// A body that stalls is given up, with or without a good token; an answer that takes
// longer than that is not.
func TestStalledBody(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	release := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-release:
			_, _ = io.WriteString(w, "late")
		case <-r.Context().Done():
		}
	}))
	defer upstream.Close()
	g := startConfig(t, routes(idp, upstream.URL, "")+`, "body_timeout": "50ms"}`)
	token := idp.Token(nil)
	send := func(authorization, body string) (net.Conn, *http.Response) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(g.url, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		_, err = fmt.Fprintf(conn, "POST /any/ HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nContent-Length: 10\r\n\r\n%s", authorization, body)
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(waitFor)))
		answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodPost})
		require.NoError(t, err)
		return conn, answer
	}

	_, answer := send("Bearer "+token, "half")
	require.Equal(t, http.StatusRequestTimeout, answer.StatusCode, g.log.String())

	conn, answer := send("Bearer garbage", "half")
	require.Equal(t, http.StatusUnauthorized, answer.StatusCode)
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "the server has given up the rest")

	_, answer = send("Bearer "+token, "ten bytes!")
	require.Equal(t, http.StatusOK, answer.StatusCode)
	time.AfterFunc(200*time.Millisecond, func() { close(release) })
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, "late", string(text))
}

// An upgraded connection goes through, and answers that come in pieces come at once.
func TestUpgradeAndStream(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	more := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
			<-more
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, line)
	}))
	defer upstream.Close()
	defer close(more)
	g := startConfig(t, routes(idp, upstream.URL, "")+"}")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(g.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET /any/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", idp.Token(nil))
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, answer.StatusCode)
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", line)

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/any/", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+idp.Token(nil))
	stream, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer stream.Body.Close()
	first := make([]byte, len("data: 1\n\n"))
	_, err = io.ReadFull(stream.Body, first)
	require.NoError(t, err)
	require.Equal(t, "data: 1\n\n", string(first))
}
