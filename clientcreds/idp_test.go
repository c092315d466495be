package clientcreds_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

const (
	tokenURL = "https://idp.example.com/token"
	apiURL   = "https://api.example.com/orders"
	secret   = "s3cr3t_of_the_test_that_looks_like_a_code"
)

// roundTrip is a transport without a network, fit for a bubble with its own clock.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// idp is a token endpoint. It hands out token-1, token-2 and so on.
type idp struct {
	takes   time.Duration                                            // of each answer
	answers func(n int, r *http.Request) (status int, answer string) // nil: good tokens
	raw     func(n int, r *http.Request) (*http.Response, error)     // in the place of answers
	life    string                                                   // of good tokens, as JSON; empty: 3600

	mu    sync.Mutex
	seen  []asked
	count atomic.Int64
}

// asked is one token request.
type asked struct {
	at            time.Time
	url           string
	authorization string
	form          url.Values
}

func (p *idp) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	n := int(p.count.Add(1))
	p.mu.Lock()
	p.seen = append(p.seen, asked{time.Now(), r.URL.String(), r.Header.Get("Authorization"), form})
	p.mu.Unlock()
	if p.takes > 0 {
		select {
		case <-time.After(p.takes):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if p.raw != nil {
		return p.raw(n, r)
	}
	status, text := 200, good(n, p.life)
	if p.answers != nil {
		status, text = p.answers(n, r)
	}
	return answer(r, status, "application/json", text), nil
}

func (p *idp) requests() int { return int(p.count.Load()) }

func (p *idp) last() asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[len(p.seen)-1]
}

func good(n int, life string) string {
	if life == "" {
		life = "3600"
	}
	return fmt.Sprintf(`{"access_token":"token-%d","token_type":"Bearer","expires_in":%s}`, n, life)
}

func answer(r *http.Request, status int, kind, text string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {kind}}, ContentLength: int64(len(text)), Body: io.NopCloser(strings.NewReader(text)),
	}
}

// config is one that works with p.
func config(p http.RoundTripper) clientcreds.Config {
	return clientcreds.Config{
		TokenURL:       tokenURL,
		ClientID:       "orders",
		Secret:         clientcreds.StaticSecret(secret),
		AllowedOrigins: []string{"https://api.example.com"},
		Client:         &http.Client{Transport: p},
	}
}

func newSource(t testing.TB, cfg clientcreds.Config) *clientcreds.Source {
	t.Helper()
	s, err := clientcreds.New(cfg)
	require.NoError(t, err)
	return s
}

// tokenOf is the token that a call gets.
func tokenOf(t testing.TB, s *clientcreds.Source) string {
	t.Helper()
	tok, err := s.Token(t.Context())
	require.NoError(t, err)
	return tok.AccessToken
}

// failureOf is the *TokenError that a call gets.
func failureOf(t testing.TB, s *clientcreds.Source) *clientcreds.TokenError {
	t.Helper()
	tok, err := s.Token(t.Context())
	require.Nil(t, tok)
	require.ErrorIs(t, err, clientcreds.ErrTokenUnavailable)
	var failed *clientcreds.TokenError
	require.ErrorAs(t, err, &failed)
	return failed
}

// api answers 200 with the Authorization that it got, and 401 to what is in dead.
type api struct {
	dead  sync.Map
	calls atomic.Int64
	say   []string // WWW-Authenticate of a 401
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	a.calls.Add(1)
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	got := r.Header.Get("Authorization")
	if _, dead := a.dead.Load(got); dead {
		res := answer(r, 401, "text/plain", "no")
		res.Header["Www-Authenticate"] = a.say
		return res, nil
	}
	return answer(r, 200, "text/plain", got+"|"+string(body)), nil
}

func (a *api) reject(tokens ...string) {
	for _, token := range tokens {
		a.dead.Store("Bearer "+token, true)
	}
}

// rejectAll makes every token a dead one.
type rejectAll struct{ calls atomic.Int64 }

func (a *rejectAll) RoundTrip(r *http.Request) (*http.Response, error) {
	a.calls.Add(1)
	return answer(r, 401, "text/plain", "no"), nil
}

// send sends a request through rt, and returns status and body.
func send(t testing.TB, rt http.RoundTripper, method, to string, body io.Reader) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, to, body)
	require.NoError(t, err)
	res, err := rt.RoundTrip(r)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode, string(text)
}

// tracked is a body that knows whether it was closed.
type tracked struct {
	io.Reader
	closed atomic.Int64
}

func (b *tracked) Close() error { b.closed.Add(1); return nil }

var errDown = errors.New("test: down")

// after is a context of the test that ends after d.
func after(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
