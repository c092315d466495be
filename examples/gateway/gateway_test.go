package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
)

const (
	opsSecret = "ops-secret-0123456789"
	webSecret = "web-secret-0123456789"
)

// buffer is a log that a test may read while the gateway writes it.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// running is a gateway that a test has started from a config.
type running struct {
	url, health, admin string
	log                buffer
	stop               context.CancelFunc
	ended              chan error
}

// startConfig runs a gateway with a config, until the test ends.
func startConfig(t *testing.T, config string) *running {
	t.Helper()
	from := host{read: os.ReadFile, env: func(name string) (string, bool) {
		value, ok := map[string]string{"OPS": opsSecret, "WEB": webSecret, "CLIENT": "client-secret-canary", "JOURNAL": strings.Repeat("j", 32)}[name]
		return value, ok
	}}
	g := &running{ended: make(chan error, 1)}
	from.log = &g.log
	c, err := readConfig([]byte(config), from)
	require.NoError(t, err)
	made, err := newGateway(c)
	require.NoError(t, err)
	h, err := made.open(t.Context())
	require.NoError(t, err)
	g.url = h.front.url
	if h.watcher != nil {
		g.health = h.watcher.url
	}
	if h.office != nil {
		g.admin = h.office.url
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	g.stop = stop
	done := make(chan struct{})
	go func() {
		g.ended <- h.serve(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return g
}

// echo answers with the headers that it was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(map[string]any{"path": r.URL.RequestURI(), "header": r.Header})
}

type echoed struct {
	Path   string
	Header http.Header
}

// request sends one, and reads the answer.
func request(t *testing.T, method, url string, header http.Header, body io.Reader) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	if header != nil {
		r.Header = header
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, text
}

// routes is a config with every kind of route.
func routes(idp *testidp.IDP, upstream, more string) string {
	return fmt.Sprintf(`{
	"listen": "127.0.0.1:0",
	"health": {"listen": "127.0.0.1:0"},
	"log": {"level": "debug", "format": "json"},
	"max_body_bytes": 16,
	"issuers": [{"url": %q, "audiences": [%q], "algorithms": ["ES256"], "insecure_http": true, "min_refetch": "1ms"}],
	"forward": [{"claim": ["sub"], "header": "X-User"}, {"claim": ["profile"], "header": "X-Profile", "json": true}],
	"upstreams": [
		{"name": "plain", "url": "%[3]s/base"},
		{"name": "strip", "url": "%[3]s", "user_token": "strip"}%[4]s
	],
	"routes": [
		{"pattern": "/any/", "upstream": "plain"},
		{"pattern": "/strip/", "upstream": "strip"},
		{"pattern": "GET /scopes/", "upstream": "plain", "scopes": ["a", "b"]},
		{"pattern": "GET /anyscope/", "upstream": "plain", "any_scope": ["a", "b"]},
		{"pattern": "GET /roles/", "upstream": "plain", "claims": [{"path": ["realm", "roles"], "any_of": ["admin"]}, {"path": ["groups"], "all_of": ["x", "y"]}]},
		{"pattern": "GET /both/", "upstream": "plain", "scopes": ["a"], "claims": [{"path": ["tier"], "any_of": ["gold"]}]},
		{"pattern": "GET /public/", "upstream": "plain", "public": true}
	]`, idp.Issuer(), testidp.Audience, upstream, more)
}

func TestRoutes(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	upstream := httptest.NewServer(http.HandlerFunc(echo))
	defer upstream.Close()
	g := startConfig(t, routes(idp, upstream.URL, "")+"}")
	type object = map[string]any
	for name, row := range map[string]struct {
		target string // zero method: GET
		claims object // nil: no token
		status int
		sees   func(t *testing.T, seen echoed)
	}{
		"any token": {"/any/a?b=c", object{"sub": "alice"}, 200, func(t *testing.T, seen echoed) {
			require.Equal(t, "/base/any/a?b=c", seen.Path)
			require.Equal(t, []string{"alice"}, seen.Header["X-User"])
			require.Len(t, seen.Header["Authorization"], 1, "the user's token goes on")
			require.NotEmpty(t, seen.Header["X-Forwarded-For"])
		}},
		"no token":           {"/any/a", nil, 401, nil},
		"token stays":        {"/strip/", object{}, 200, func(t *testing.T, seen echoed) { require.NotContains(t, seen.Header, "Authorization") }},
		"both scopes":        {"/scopes/", object{"scope": "b a c"}, 200, nil},
		"one scope of two":   {"/scopes/", object{"scope": "a"}, 403, nil},
		"any scope":          {"/anyscope/", object{"scope": "b"}, 200, nil},
		"no scope of any":    {"/anyscope/", object{"scope": "c"}, 403, nil},
		"role and groups":    {"/roles/", object{"realm": object{"roles": []string{"admin"}}, "groups": []string{"x", "y", "z"}}, 200, nil},
		"role, not groups":   {"/roles/", object{"realm": object{"roles": []string{"admin"}}, "groups": []string{"x"}}, 403, nil},
		"role at the top":    {"/roles/", object{"roles": []string{"admin"}, "groups": []string{"x", "y"}}, 403, nil},
		"scope and claim":    {"/both/", object{"scope": "a", "tier": "gold"}, 200, nil},
		"scope, not claim":   {"/both/", object{"scope": "a", "tier": "tin"}, 403, nil},
		"claim, not scope":   {"/both/", object{"tier": "gold"}, 403, nil},
		"public":             {"/public/", nil, 200, func(t *testing.T, seen echoed) { require.NotContains(t, seen.Header, "X-User") }},
		"public, with token": {"/public/", object{"sub": "bob"}, 200, func(t *testing.T, seen echoed) { require.Equal(t, []string{"bob"}, seen.Header["X-User"]) }},
		"public, bad token":  {"/public/", object{"aud": "other"}, 401, nil},
		"claim as JSON": {"/any/", object{"profile": object{"name": "Zoë"}}, 200, func(t *testing.T, seen echoed) {
			require.Contains(t, seen.Header.Get("X-Profile"), `"Zo\u00eb"`)
		}},
		"no such route":     {"/", object{}, 404, nil},
		"another method":    {"POST /scopes/", object{"scope": "a b"}, 405, nil},
		"body":              {"POST /any/", object{}, 200, nil},
		"body too large":    {"PUT /any/", object{}, 413, nil},
		"encoded slash":     {"/public/..%2Fany%2F", object{}, 400, nil},
		"encoded dots":      {"/public/%2e%2e/any/", object{}, 400, nil},
		"encoded backslash": {"/public/..%5Cany", object{}, 400, nil},
		"two slashes":       {"/public//any/", object{}, 400, nil},
		"a parameter":       {"/public/..;/any/", object{}, 400, nil},
		"an encoded space":  {"/any/a%20b", object{}, 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			method, target, ok := strings.Cut(row.target, " ")
			if !ok {
				method, target = http.MethodGet, row.target
			}
			header := http.Header{"X-User": {"root"}, "x_user": {"root"}, "X-Profile": {"root"}}
			if row.claims != nil {
				header.Set("Authorization", "Bearer "+idp.Token(row.claims))
			}
			body := map[string]string{http.MethodPost: "sixteen or fewer", http.MethodPut: "more than sixteen"}[method]
			answer, text := request(t, method, g.url+target, header, strings.NewReader(body))
			require.Equal(t, row.status, answer.StatusCode)
			if row.status == http.StatusOK {
				var seen echoed
				require.NoError(t, json.Unmarshal(text, &seen))
				require.NotContains(t, string(text), "root", "no claim header of the client's own")
				if row.sees != nil {
					row.sees(t, seen)
				}
			}
		})
	}
}

// The upstream gets the gateway's own token in the place of the user's; what goes
// wrong with it is not the user's fault.
func TestOwnToken(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	var refuse sync.Map
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, refused := refuse.Load("upstream"); refused {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		echo(w, r)
	}))
	defer upstream.Close()
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, secret, _ := r.BasicAuth()
		if _, refused := refuse.Load("tokens"); refused || client != "gateway" || secret != "client-secret-canary" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token": "own", "token_type": "Bearer", "expires_in": 600}`)
	}))
	defer tokens.Close()
	config := strings.Replace(routes(idp, upstream.URL, "")+"}", `"user_token": "strip"`,
		fmt.Sprintf(`"own_token": {"token_url": %q, "client_id": "gateway", "client_secret": {"env": "CLIENT"}}`, tokens.URL), 1)
	g := startConfig(t, config)
	ask := func() (*http.Response, string) {
		answer, text := request(t, http.MethodGet, g.url+"/strip/", http.Header{"Authorization": {"Bearer " + idp.Token(nil)}}, http.NoBody)
		return answer, string(text)
	}

	refuse.Store("tokens", true)
	answer, _ := ask()
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	require.NotEmpty(t, answer.Header.Get("Retry-After"))
	require.Empty(t, answer.Header.Get("WWW-Authenticate"))

	refuse.Delete("tokens")
	var text string
	require.Eventually(t, func() bool { // a failure is remembered for a moment
		answer, text = ask()
		return answer.StatusCode == http.StatusOK
	}, waitFor, tick)
	var seen echoed
	require.NoError(t, json.Unmarshal([]byte(text), &seen))
	require.Equal(t, []string{"Bearer own"}, seen.Header["Authorization"])

	refuse.Store("upstream", true)
	answer, text = ask()
	require.Equal(t, http.StatusBadGateway, answer.StatusCode)
	require.Empty(t, answer.Header.Get("WWW-Authenticate"), "the challenge was for the gateway")
	require.Empty(t, text)
}

func TestSlowUpstream(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	gone := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-gone:
		case <-r.Context().Done():
		}
	}))
	defer upstream.Close()
	defer close(gone)
	g := startConfig(t, strings.Replace(routes(idp, upstream.URL, "")+"}", `"user_token": "strip"`, `"timeout": "50ms"`, 1))
	answer, _ := request(t, http.MethodGet, g.url+"/strip/", http.Header{"Authorization": {"Bearer " + idp.Token(nil)}}, http.NoBody)
	require.Equal(t, http.StatusGatewayTimeout, answer.StatusCode)
}
