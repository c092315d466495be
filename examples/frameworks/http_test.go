package frameworks_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/examples/frameworks"
)

var builds = map[string]func(frameworks.Service) http.Handler{
	"net/http": frameworks.Stdlib, "chi": frameworks.Chi, "gin": frameworks.Gin, "echo": frameworks.Echo,
}

// each runs a test for each framework, with a world and a server of its own.
func each(t *testing.T, test func(t *testing.T, w *world, server *httptest.Server)) {
	for name, build := range builds {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, false)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				build(w.Service).ServeHTTP(rw, r) // built late: tests set fields of the service
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the panics
			server.Start()
			t.Cleanup(server.Close)
			server.Client().Transport.(*http.Transport).DisableKeepAlives = true // else it asks twice where the connection is cut
			test(t, w, server)
		})
	}
}

// open sends a request; a nil answer is a connection that was cut.
func open(t *testing.T, server *httptest.Server, method, path string, credentials []string, body io.Reader) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, server.URL+path, body)
	require.NoError(t, err)
	r.Header["Authorization"] = credentials
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := server.Client().Do(r)
	if err != nil {
		require.ErrorIs(t, err, io.EOF)
		return nil
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// holds asks for a row, and holds the answer to it.
func holds(t *testing.T, w *world, server *httptest.Server, r row) {
	t.Helper()
	before := w.ran.Load()
	res := open(t, server, r.action.method, r.action.path, r.credentials, http.NoBody)
	if r.status == 0 {
		require.Nil(t, res, r.name)
	} else {
		require.NotNil(t, res, r.name)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err, r.name)
		require.Equal(t, r.status, res.StatusCode, r.name)
		require.Equal(t, r.body, string(body), r.name)
		require.Equal(t, r.challenge, res.Header.Get("WWW-Authenticate"), r.name)
		require.Equal(t, r.status == 503, res.Header.Get("Retry-After") != "", r.name)
	}
	require.Equal(t, r.runs(), w.ran.Load() == before+1, r.name)
	require.Equal(t, !r.runs(), w.ran.Load() == before, r.name)
}

// Every framework answers every request of the table alike, and no handler behind a
// refusal runs.
func TestHTTP(t *testing.T) {
	each(t, func(t *testing.T, w *world, server *httptest.Server) {
		for _, r := range table(t, w) {
			holds(t, w, server, r)
		}
	})
}

// A login's answer leaves as a token, which is good here.
func TestLogin(t *testing.T) {
	each(t, func(t *testing.T, w *world, server *httptest.Server) {
		res := open(t, server, http.MethodPost, "/login", nil, strings.NewReader("password=open+sesame"))
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
		var answer struct {
			Token string `json:"access_token"`
			Type  string `json:"token_type"`
		}
		require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
		require.Equal(t, "Bearer", answer.Type)
		holds(t, w, server, row{name: "good", action: list, credentials: []string{"Bearer " + answer.Token}, status: 200, body: "orders of ann"})

		res = open(t, server, http.MethodPost, "/login", nil, strings.NewReader("password=guess"))
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, res.StatusCode)
		require.Equal(t, "wrong password\n", string(body))
	})
}

// A token that has passed, and is remembered, is refused by the next request once it
// is revoked, or has expired; while that cannot be told, it is nobody's fault.
func TestRevoked(t *testing.T) {
	each(t, func(t *testing.T, w *world, server *httptest.Server) {
		token, other := w.token(t), w.token(t)
		good := row{name: "before", action: list, credentials: []string{"Bearer " + token}, status: 200, body: "orders of ann"}
		holds(t, w, server, good)
		holds(t, w, server, good)
		w.unsure.Store(true)
		holds(t, w, server, row{name: "cannot tell", action: list, credentials: good.credentials, status: 503})
		w.unsure.Store(false)
		w.revoke(t, token)
		holds(t, w, server, row{name: "revoked", action: list, credentials: good.credentials, status: 401, challenge: bad})
		good.name, good.credentials = "another", []string{"Bearer " + other}
		holds(t, w, server, good)
		w.ahead.Store(int64(2 * time.Hour))
		holds(t, w, server, row{name: "expired", action: list, credentials: good.credentials, status: 401, challenge: bad})
	})
}

// Without the issuer's keys nobody can tell; with keys at hand, its outage changes nothing.
func TestKeyServerDown(t *testing.T) {
	each(t, func(t *testing.T, w *world, server *httptest.Server) {
		w.idp.Close()
		holds(t, w, server, row{name: "never fetched", action: list, credentials: []string{"Bearer " + w.token(t)}, status: 503})
		holds(t, w, server, row{name: "no token", action: list, status: 401, challenge: noToken})
	})
	each(t, func(t *testing.T, w *world, server *httptest.Server) {
		good := row{name: "before", action: list, credentials: []string{"Bearer " + w.token(t)}, status: 200, body: "orders of ann"}
		holds(t, w, server, good)
		w.idp.Close()
		good.credentials = []string{"Bearer " + w.token(t)}
		holds(t, w, server, good)
	})
}

// Each event arrives while the handler waits for the next, and the stream ends when
// its token is no longer wanted.
func TestStream(t *testing.T) {
	each(t, func(t *testing.T, w *world, server *httptest.Server) {
		feed := make(chan string)
		w.Events = func() <-chan string { return feed }
		token := w.token(t)
		res := open(t, server, http.MethodGet, "/stream", []string{"Bearer " + token}, http.NoBody)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
		for _, event := range []string{"0", "1"} {
			offer(t, feed, event)
			line := make([]byte, len("data: 0\n\n"))
			_, err := io.ReadFull(res.Body, line)
			require.NoError(t, err)
			require.Equal(t, "data: "+event+"\n\n", string(line))
		}
		w.revoke(t, token)
		offer(t, feed, "2")
		rest, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Empty(t, rest)
	})
}
