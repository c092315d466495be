package clientcreds_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

func TestTokenIsAttached(t *testing.T) {
	p := &idp{}
	s := newSource(t, config(p))
	status, body := send(t, s.Transport(&api{}), "POST", apiURL, strings.NewReader("order"))
	require.Equal(t, 200, status)
	require.Equal(t, "Bearer token-1|order", body)
	require.Equal(t, 30*time.Second, s.Client().Timeout)
}

// TestReplay: a 401 that may mean a dead token has the request sent once more, if
// its body can be had again.
func TestReplay(t *testing.T) {
	type body func() (io.Reader, func() (io.ReadCloser, error))
	none := func() (io.Reader, func() (io.ReadCloser, error)) { return nil, nil }
	withGetBody := func() (io.Reader, func() (io.ReadCloser, error)) {
		return strings.NewReader("order"), func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("order")), nil }
	}
	for _, tt := range []struct {
		name   string
		method string
		body   body
		say    []string
		only   bool // ReplayNamedOnly
		status int
		sent   string
	}{
		{"no body, no challenge", "GET", none, nil, false, 200, ""},
		{"body with GetBody", "POST", withGetBody, nil, false, 200, "order"},
		{"body without GetBody", "POST", func() (io.Reader, func() (io.ReadCloser, error)) { return strings.NewReader("order"), nil }, nil, false, 401, ""},
		{"streaming body", "POST", func() (io.Reader, func() (io.ReadCloser, error)) {
			r, w := io.Pipe()
			go func() { _, _ = io.WriteString(w, "order"); _ = w.Close() }()
			return r, nil
		}, nil, false, 401, ""},
		{"NoBody", "POST", func() (io.Reader, func() (io.ReadCloser, error)) { return http.NoBody, nil }, nil, false, 200, ""},
		{"GetBody fails", "POST", func() (io.Reader, func() (io.ReadCloser, error)) {
			return strings.NewReader("order"), func() (io.ReadCloser, error) { return nil, errDown }
		}, nil, false, 401, ""},

		{"invalid_token", "GET", none, []string{`Bearer realm="a, b", error="invalid_token"`}, false, 200, ""},
		{"invalid_token as a token", "GET", none, []string{`bearer error=invalid_token`}, true, 200, ""},
		{"named only", "GET", none, []string{`Bearer realm="x" , error="invalid_token", error_description="a \"b\", Basic x"`}, true, 200, ""},
		{"bare Bearer", "GET", none, []string{`Bearer`}, false, 200, ""},
		{"bare Bearer, named only", "GET", none, []string{`Bearer realm="x"`}, true, 401, ""},
		{"no challenge, named only", "GET", none, nil, true, 401, ""},
		{"insufficient_scope", "GET", none, []string{`Bearer error="insufficient_scope"`}, false, 401, ""},
		{"another error beside it", "GET", none, []string{`Bearer error="invalid_token"`, `Bearer error="invalid_request"`}, false, 401, ""},
		{"Basic", "GET", none, []string{`Basic realm="x"`}, false, 401, ""},
		{"Basic with a Bearer text", "GET", none, []string{`Basic realm="Bearer error=\"invalid_token\""`}, false, 401, ""},
		{"the second of two", "GET", none, []string{`Basic realm="x", Bearer error="invalid_token"`}, true, 200, ""},
		{"the first of two", "GET", none, []string{`Bearer error="invalid_token", Digest qop="auth", nonce="x"`}, true, 200, ""},
		{"behind a token68", "GET", none, []string{`Negotiate abc==, Bearer error="invalid_token"`}, true, 200, ""},
		{"another's error", "GET", none, []string{`Bearer realm="x", Foo error="other"`}, false, 200, ""},
		{"DPoP", "GET", none, []string{`DPoP error="invalid_token"`}, false, 401, ""},
		{"not to be read", "GET", none, []string{`"`}, false, 401, ""},
		{"unended quote", "GET", none, []string{`Bearer error="invalid_token`}, true, 401, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, a := &idp{}, &api{say: tt.say}
				cfg := config(p)
				cfg.ReplayNamedOnly = tt.only
				var events []clientcreds.Event
				cfg.Observe = func(_ context.Context, e clientcreds.Event) { events = append(events, e) }
				s := newSource(t, cfg)
				require.Equal(t, "token-1", tokenOf(t, s))
				a.reject("token-1")
				time.Sleep(time.Minute)

				reader, getBody := tt.body()
				r, err := http.NewRequest(tt.method, apiURL, reader)
				require.NoError(t, err)
				r.GetBody = getBody
				res, err := s.Transport(a).RoundTrip(r)
				require.NoError(t, err)
				require.Equal(t, tt.status, res.StatusCode)
				text, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				synctest.Wait()
				if tt.status == 200 {
					require.Equal(t, "Bearer token-2|"+tt.sent, string(text))
					require.EqualValues(t, 1, s.Status().Replays)
					require.Equal(t, clientcreds.KindReplayed, events[len(events)-1].Kind)
					require.Equal(t, 200, events[len(events)-1].Status)
				} else {
					require.Equal(t, "no", string(text), "the caller gets the 401 whole")
				}
				if tt.body != nil && tt.method == "POST" {
					require.Equal(t, "token-2", tokenOf(t, s), "the token is replaced, also where the request cannot be sent again")
				}
			})
		})
	}
}

// TestOneReplay: a second 401 is the caller's, and a 403 is none of ours.
func TestOneReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{}, &rejectAll{}
		s := newSource(t, config(p))
		tokenOf(t, s)
		time.Sleep(time.Minute)
		status, _ := send(t, s.Transport(a), "GET", apiURL, nil)
		require.Equal(t, 401, status)
		require.EqualValues(t, 2, a.calls.Load())
		require.Equal(t, 2, p.requests())

		status, _ = send(t, s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			return answer(r, 403, "", ""), nil
		})), "GET", apiURL, nil)
		require.Equal(t, 403, status)
		require.Equal(t, 2, p.requests())
	})
}

// TestFreshTokenIsNotReplaced: the token was made for this very request.
func TestFreshTokenIsNotReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{}, &rejectAll{}
		status, _ := send(t, newSource(t, config(p)).Transport(a), "GET", apiURL, nil)
		require.Equal(t, 401, status)
		require.EqualValues(t, 1, a.calls.Load())
		require.Equal(t, 1, p.requests())
	})
}

// TestRejectedTokenThatAnotherReplaced: the 401 came late, for a token that has
// been replaced meanwhile. Then the new one is taken, and none is fetched.
func TestRejectedTokenThatAnotherReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{}, &api{}
		s := newSource(t, config(p))
		tokenOf(t, s)
		a.reject("token-1")
		time.Sleep(time.Minute)
		slow := s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			res, err := a.RoundTrip(r)
			if res.StatusCode == 401 {
				time.Sleep(3 * time.Second)
			}
			return res, err
		}))
		var wg sync.WaitGroup
		wg.Go(func() {
			_, body := send(t, slow, "GET", apiURL, nil)
			require.Equal(t, "Bearer token-2|", body)
		})
		synctest.Wait()
		_, body := send(t, s.Transport(a), "GET", apiURL, nil)
		require.Equal(t, "Bearer token-2|", body)
		require.Equal(t, 2, p.requests())
		wg.Wait()
		require.Equal(t, 2, p.requests())
	})
}

// TestConcurrent401s share one new token.
func TestConcurrent401s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{takes: 100 * time.Millisecond}, &api{}
		s := newSource(t, config(p))
		tokenOf(t, s)
		a.reject("token-1")
		time.Sleep(time.Minute)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				_, body := send(t, s.Transport(a), "GET", apiURL, nil)
				require.Equal(t, "Bearer token-2|", body)
			})
		}
		wg.Wait()
		require.Equal(t, 2, p.requests())
	})
}

// TestStormOf401: an API that answers 401 to everything, for two hours, ten times a
// second, cannot use up a quota: one token at most in 5 s, and since the new ones
// are rejected too, one in 1, 2, 4, 8 and then 15 minutes.
func TestStormOf401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{life: "86400"}, &rejectAll{}
		s := newSource(t, config(p))
		rt := s.Transport(a)
		start := time.Now()
		for time.Since(start) < 2*time.Hour {
			status, _ := send(t, rt, "GET", apiURL, nil)
			require.Equal(t, 401, status)
			time.Sleep(100 * time.Millisecond)
		}
		require.GreaterOrEqual(t, p.requests(), 6)
		require.LessOrEqual(t, p.requests(), 14)
		for i := 1; i < len(p.seen); i++ {
			if i > 1 {
				require.GreaterOrEqual(t, p.seen[i].at.Sub(p.seen[i-1].at), 5*time.Second)
			}
		}
		require.False(t, s.Status().Suspended.IsZero())
	})
}

// TestDyingTokens: tokens that the API forgets every 20 minutes are replaced each
// time, at once.
func TestDyingTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{life: "86400"}, &api{}
		s := newSource(t, config(p))
		rt := s.Transport(a)
		for i := range 10 {
			_, body := send(t, rt, "GET", apiURL, nil)
			require.Equal(t, fmt.Sprintf("Bearer token-%d|", i+1), body)
			time.Sleep(20 * time.Minute)
			a.reject(fmt.Sprintf("token-%d", i+1))
		}
	})
}

// TestRejectedWhileTheEndpointIsDown: the 401 may have had another cause. The token
// goes on to serve while no other can be had.
func TestRejectedWhileTheEndpointIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{}, &api{}
		p.answers = func(n int, _ *http.Request) (int, string) {
			if n > 1 && n < 4 {
				return 500, ""
			}
			return 200, good(n, "")
		}
		s := newSource(t, config(p))
		rt := s.Transport(a)
		tokenOf(t, s)
		time.Sleep(time.Minute)
		a.reject("token-1")
		status, _ := send(t, rt, "GET", apiURL, nil)
		require.Equal(t, 401, status)
		a.dead.Clear()
		status, body := send(t, rt, "GET", apiURL, nil)
		require.Equal(t, 200, status)
		require.Equal(t, "Bearer token-1|", body)
		time.Sleep(time.Minute)
		send(t, rt, "GET", apiURL, nil)
		time.Sleep(time.Minute)
		_, body = send(t, rt, "GET", apiURL, nil)
		require.Equal(t, "Bearer token-4|", body)
	})
}

// TestOrigins: the token goes where the Config says, and nowhere else.
func TestOrigins(t *testing.T) {
	for _, tt := range []struct {
		name    string
		allowed []string
		any     bool
		http    bool
		url     string
		host    string // of the Host header
		goes    bool
	}{
		{"the origin", []string{"https://api.example.com"}, false, false, "https://api.example.com/a?b", "", true},
		{"its default port", []string{"https://api.example.com"}, false, false, "https://api.example.com:443/", "", true},
		{"upper case", []string{"https://API.example.com/"}, false, false, "https://api.EXAMPLE.com/", "", true},
		{"another port", []string{"https://api.example.com"}, false, false, "https://api.example.com:8443/", "", false},
		{"that port", []string{"https://api.example.com:8443"}, false, false, "https://api.example.com:8443/", "", true},
		{"http", []string{"https://api.example.com"}, false, false, "http://api.example.com/", "", false},
		{"http at 443, where http is allowed", []string{"https://api.example.com"}, false, true, "http://api.example.com:443/", "", false},
		{"http at 443", []string{"https://api.example.com"}, false, false, "http://api.example.com:443/", "", false},
		{"another host", []string{"https://api.example.com"}, false, false, "https://evil.example.com/", "", false},
		{"longer", []string{"https://api.example.com"}, false, false, "https://api.example.com.evil.org/", "", false},
		{"a user that looks like it", []string{"https://api.example.com"}, false, false, "https://api.example.com@evil.org/", "", false},
		{"a trailing dot", []string{"https://api.example.com"}, false, false, "https://api.example.com./", "", false},
		{"a Host header elsewhere", []string{"https://api.example.com"}, false, false, "https://evil.org/", "api.example.com", false},
		{"a Host header from elsewhere", []string{"https://api.example.com"}, false, false, "https://api.example.com/", "evil.org", true},
		{"loopback", []string{"http://127.0.0.1:8080"}, false, false, "http://127.0.0.1:8080/", "", true},
		{"loopback IPv6", []string{"http://[::1]:8080"}, false, false, "http://[::1]:8080/", "", true},
		{"none", nil, false, false, "https://api.example.com/", "", false},
		{"any", nil, true, false, "https://elsewhere.example.org/", "", true},
		{"any, but http", nil, true, false, "http://elsewhere.example.org/", "", false},
		{"any, http too", nil, true, true, "http://elsewhere.example.org/", "", true},
		{"http by name", []string{"http://api.internal"}, false, true, "http://api.internal/", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &idp{}
			cfg := config(p)
			cfg.AllowedOrigins, cfg.InsecureAnyOrigin, cfg.InsecureHTTP = tt.allowed, tt.any, tt.http
			var refused []clientcreds.Event
			cfg.Observe = func(_ context.Context, e clientcreds.Event) {
				if e.Kind == clientcreds.KindRefused {
					refused = append(refused, e)
				}
			}
			s := newSource(t, cfg)
			body := &tracked{Reader: strings.NewReader("")}
			r, err := http.NewRequest("POST", tt.url, body)
			require.NoError(t, err)
			r.Host = tt.host
			sent := false
			res, err := s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
				sent = true
				require.Equal(t, "Bearer token-1", r.Header.Get("Authorization"))
				return answer(r, 200, "", ""), nil
			})).RoundTrip(r)
			require.Equal(t, tt.goes, sent)
			if tt.goes {
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				return
			}
			require.ErrorIs(t, err, clientcreds.ErrOrigin)
			require.EqualValues(t, 1, body.closed.Load())
			require.Zero(t, p.requests(), "and none is fetched")
			require.Len(t, refused, 1)
			require.Equal(t, clientcreds.ReasonOrigin, refused[0].Reason)
		})
	}
	_, err := newSource(t, config(&idp{})).Transport(&api{}).RoundTrip(&http.Request{})
	require.ErrorIs(t, err, clientcreds.ErrOrigin)
}

// TestRedirects: a server must not send the token on, nor choose where it goes.
func TestRedirects(t *testing.T) {
	for _, tt := range []struct {
		name string
		hops []string // Location after Location; the first is asked for
		want []bool   // has the token
	}{
		{"same origin", []string{"https://api.example.com/a", "https://api.example.com/b"}, []bool{true, true}},
		{"cross-host", []string{"https://api.example.com/a", "https://evil.example.org/b"}, []bool{true, false}},
		{"cross-host, allowed by itself", []string{"https://api.example.com/a", "https://other.example.com/b"}, []bool{true, false}},
		{"subdomain", []string{"https://api.example.com/a", "https://x.api.example.com/b"}, []bool{true, false}},
		{"https to http", []string{"https://api.example.com/a", "http://api.example.com/b"}, []bool{true, false}},
		{"port change", []string{"https://api.example.com/a", "https://api.example.com:8443/b"}, []bool{true, false}},
		{"there and back", []string{"https://api.example.com/a", "https://evil.example.org/b", "https://api.example.com/c"}, []bool{true, false, false}},
		{"far and back", []string{"https://api.example.com/a", "https://api.example.com/b", "https://evil.example.org/b", "https://api.example.com/c"}, []bool{true, true, false, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(&idp{})
			cfg.AllowedOrigins = append(cfg.AllowedOrigins, "https://other.example.com")
			var got []bool
			client := &http.Client{Transport: newSource(t, cfg).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
				require.Equal(t, tt.hops[len(got)], r.URL.String())
				got = append(got, r.Header.Get("Authorization") != "")
				res := answer(r, 200, "", "")
				if len(got) < len(tt.hops) {
					res.StatusCode = 307
					res.Header.Set("Location", tt.hops[len(got)])
				}
				return res, nil
			}))}
			res, err := client.Get(tt.hops[0])
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, tt.want, got)
		})
	}
}

// TestCraftedRedirects: who fills in Response by hand gets no token by it.
func TestCraftedRedirects(t *testing.T) {
	s := newSource(t, config(&idp{}))
	loop, err := http.NewRequest("GET", apiURL, nil)
	require.NoError(t, err)
	loop.Response = &http.Response{Request: loop}
	orphan, err := http.NewRequest("GET", apiURL, nil)
	require.NoError(t, err)
	orphan.Response = &http.Response{}
	for _, r := range []*http.Request{loop, orphan} {
		res, err := s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			require.Empty(t, r.Header.Get("Authorization"))
			return answer(r, 200, "", ""), nil
		})).RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
	}
}

func TestCallersAuthorization(t *testing.T) {
	for _, tt := range []struct {
		name string
		keep bool
		have http.Header
		want http.Header
	}{
		{"replaced", false, http.Header{"Authorization": {"Bearer users"}}, http.Header{"Authorization": {"Bearer token-1"}}},
		{"replaced, all of them", false, http.Header{"Authorization": {"a", "b"}, "authorization": {"c"}, "AUTHORIZATION": {"d"}}, http.Header{"Authorization": {"Bearer token-1"}}},
		{"kept", true, http.Header{"Authorization": {"Bearer users"}}, http.Header{"Authorization": {"Bearer users"}}},
		{"none to keep", true, http.Header{"X": {"y"}}, http.Header{"X": {"y"}, "Authorization": {"Bearer token-1"}}},
		{"no header at all", false, nil, http.Header{"Authorization": {"Bearer token-1"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(&idp{})
			cfg.KeepAuthorization = tt.keep
			u, err := url.Parse(apiURL)
			require.NoError(t, err)
			r := &http.Request{Method: "GET", URL: u, Header: tt.have}
			res, err := newSource(t, cfg).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
				require.Equal(t, tt.want, r.Header)
				return answer(r, 200, "", ""), nil
			})).RoundTrip(r)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
		})
	}
}

// TestRequestIsNotChanged compares it, field by field, after a replay too.
func TestRequestIsNotChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{}, &api{}
		s := newSource(t, config(p))
		tokenOf(t, s)
		a.reject("token-1")
		time.Sleep(time.Minute)
		fresh := func() *http.Request {
			r, err := http.NewRequest("POST", apiURL, bytes.NewReader([]byte("order")))
			require.NoError(t, err)
			r.Header = http.Header{"Authorization": {"Bearer users"}, "X": {"a", "b"}}
			return r
		}
		r, want := fresh(), fresh()
		spare := append(make([]string, 0, 8), "a", "b")
		r.Header["X"] = spare
		rt := s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			res, err := a.RoundTrip(r)
			r.Header.Add("X", "added by the base")
			r.Header.Set("Y", "added by the base")
			return res, err
		}))
		res, err := rt.RoundTrip(r)
		require.NoError(t, err)
		require.Equal(t, 200, res.StatusCode)
		body := r.Body
		r.Body, want.Body, r.GetBody, want.GetBody = nil, nil, nil, nil
		require.True(t, reflect.DeepEqual(want, r))
		require.NotNil(t, body)
		require.Empty(t, spare[:3][2], "nor what lies behind")
	})
}

// TestBodyIsClosedOnEveryPath: the contract of http.RoundTripper, also on errors.
func TestBodyIsClosedOnEveryPath(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*clientcreds.Config, *idp)
		ctx  func(context.Context) context.Context
		url  string
		base http.RoundTripper
	}{
		{name: "sent"},
		{name: "another origin", url: "https://evil.example.org"},
		{name: "target", ctx: func(ctx context.Context) context.Context {
			return clientcreds.WithTarget(ctx, clientcreds.Target{Audience: "x"})
		}},
		{name: "no token", set: func(_ *clientcreds.Config, p *idp) {
			p.answers = func(int, *http.Request) (int, string) { return 500, "" }
		}},
		{name: "caller has left", ctx: func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx
		}},
		{name: "kept", set: func(cfg *clientcreds.Config, _ *idp) { cfg.KeepAuthorization = true }},
		{name: "401", base: &rejectAll{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &idp{}
			cfg := config(p)
			if tt.set != nil {
				tt.set(&cfg, p)
			}
			ctx := t.Context()
			if tt.ctx != nil {
				ctx = tt.ctx(ctx)
			}
			to, base := apiURL, http.RoundTripper(&api{})
			if tt.url != "" {
				to = tt.url
			}
			if tt.base != nil {
				inner := tt.base
				base = roundTrip(func(r *http.Request) (*http.Response, error) { _ = r.Body.Close(); return inner.RoundTrip(r) })
			}
			body := &tracked{Reader: strings.NewReader("order")}
			r, err := http.NewRequestWithContext(ctx, "POST", to, body)
			require.NoError(t, err)
			if cfg.KeepAuthorization {
				r.Header.Set("Authorization", "x")
			}
			res, err := newSource(t, cfg).Transport(base).RoundTrip(r)
			if err == nil {
				require.NoError(t, res.Body.Close())
			} else {
				require.Nil(t, res)
			}
			require.EqualValues(t, 1, body.closed.Load())
		})
	}
}

// TestAnswersAreClosed: the first of two, and both of a replay that fails.
func TestAnswersAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, config(&idp{}))
		tokenOf(t, s)
		time.Sleep(time.Minute)
		first := &tracked{Reader: strings.NewReader(strings.Repeat("x", 1<<20))}
		calls := 0
		_, err := s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			if calls++; calls > 1 {
				return nil, errDown
			}
			res := answer(r, 401, "", "")
			res.Body = first
			return res, nil
		})).RoundTrip(httptest.NewRequest("GET", apiURL, nil))
		require.ErrorIs(t, err, errDown)
		require.EqualValues(t, 1, first.closed.Load())
		left, err := io.ReadAll(first)
		require.NoError(t, err)
		require.Len(t, left, 1<<20-4<<10, "no more is read than helps the connection")
	})
}

type closing struct {
	api
	closed int
}

func (c *closing) CloseIdleConnections() { c.closed++ }

func TestCloseIdleConnections(t *testing.T) {
	base := &closing{}
	s := newSource(t, config(&idp{}))
	(&http.Client{Transport: s.Transport(base)}).CloseIdleConnections()
	(&http.Client{Transport: s.Transport(&api{})}).CloseIdleConnections()
	s.Client().CloseIdleConnections()
	require.Equal(t, 1, base.closed)
}

// TestRealRedirect is over HTTP, with two servers and net/http's own client.
func TestRealRedirect(t *testing.T) {
	var leaked []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		leaked = append(leaked, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	var got string
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	defer here.Close()
	cfg := config(&idp{})
	cfg.AllowedOrigins = []string{here.URL, elsewhere.URL}
	client := newSource(t, cfg).Client()
	defer client.CloseIdleConnections()
	res, err := client.Get(here.URL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "Bearer token-1", got)
	require.Equal(t, []string{""}, leaked)
}

// TestAnswerShowsNoToken: who dumps the request of an answer finds the own one.
func TestAnswerShowsNoToken(t *testing.T) {
	r := httptest.NewRequest("GET", apiURL, nil)
	res, err := newSource(t, config(&idp{})).Transport(&api{}).RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Same(t, r, res.Request)
	require.Empty(t, r.Header)
}

func TestBrokenBase(t *testing.T) {
	_, err := newSource(t, config(&idp{})).Transport(roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, nil
	})).RoundTrip(httptest.NewRequest("GET", apiURL, nil))
	require.ErrorContains(t, err, "neither answer nor error")
}

// TestSameTokenAfter401: the server has no other token than the one that the API
// rejects. It is not sent twice, and not asked for with every call.
func TestSameTokenAfter401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{answers: func(int, *http.Request) (int, string) { return 200, good(1, "") }}
		a := &rejectAll{}
		s := newSource(t, config(p))
		tokenOf(t, s)
		time.Sleep(time.Minute)
		for range 600 { // a minute
			status, _ := send(t, s.Transport(a), "GET", apiURL, nil)
			require.Equal(t, 401, status)
			time.Sleep(100 * time.Millisecond)
		}
		require.EqualValues(t, 600, a.calls.Load())
		require.LessOrEqual(t, p.requests(), 1+60/5)
	})
}

func TestRation(t *testing.T) {
	var r clientcreds.Ration
	now := time.Now()
	allow := func(forced bool, age time.Duration) bool { return r.Allow(now, forced, now.Add(-age)) }
	require.True(t, allow(false, time.Hour))
	now = now.Add(5*time.Second - 1)
	require.False(t, allow(false, time.Hour), "one in 5 s")
	now = now.Add(1)
	require.True(t, allow(false, time.Hour))

	now = now.Add(time.Hour)
	for _, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		require.False(t, allow(true, time.Second), "the new one was rejected too")
		now = now.Add(pause - 1)
		require.False(t, allow(false, time.Hour))
		now = now.Add(1)
		require.True(t, allow(false, time.Hour))
		now = now.Add(5 * time.Second)
	}
	require.True(t, allow(true, 15*time.Minute), "it was good for long")
	now = now.Add(16 * time.Minute)
	require.False(t, allow(true, time.Second))
	now = now.Add(time.Minute)
	require.True(t, allow(false, time.Hour), "and the count begins anew")
}

// TestAnyOriginAndRedirects: whichever origin was asked for first is where the
// token stays.
func TestAnyOriginAndRedirects(t *testing.T) {
	cfg := config(&idp{})
	cfg.AllowedOrigins, cfg.InsecureAnyOrigin = nil, true
	var got []bool
	client := &http.Client{Transport: newSource(t, cfg).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		got = append(got, r.Header.Get("Authorization") != "")
		res := answer(r, 200, "", "")
		if len(got) == 1 {
			res.StatusCode = 302
			res.Header.Set("Location", "https://elsewhere.example.org/")
		}
		return res, nil
	}))}
	res, err := client.Get(apiURL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, []bool{true, false}, got)
}

// TestReplayAfterStalled401: the body of the 401 does not come, and the request is sent
// again all the same, on another connection.
func TestReplayAfterStalled401(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stall bool
	}{
		{"the body comes", false},
		{"the body stalls", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSource(t, config(&idp{}))
				require.Equal(t, "token-1", tokenOf(t, s))
				time.Sleep(time.Minute)
				body := &stalled{closed: make(chan struct{})}
				if !tt.stall {
					require.NoError(t, body.Close())
				}
				transport := s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
					if r.Header.Get("Authorization") == "Bearer token-1" {
						return &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{}, Body: body}, nil
					}
					return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
				}))
				r, err := http.NewRequest(http.MethodGet, apiURL, nil) // no deadline
				require.NoError(t, err)
				start := time.Now()
				res, err := transport.RoundTrip(r)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				require.Equal(t, http.StatusOK, res.StatusCode)
				require.LessOrEqual(t, time.Since(start), time.Second)
			})
		})
	}
}

// stalled is a body that comes to its end only by being closed, as that of net/http.
type stalled struct {
	once   sync.Once
	closed chan struct{}
}

func (s *stalled) Read([]byte) (int, error) {
	<-s.closed
	return 0, io.ErrUnexpectedEOF
}

func (s *stalled) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// TestPlainServerIsNamed: https to a server without TLS, as a wrong port gives it.
func TestPlainServerIsNamed(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	cfg := config(nil)
	cfg.TokenURL, cfg.Client = strings.Replace(plain.URL, "http:", "https:", 1), nil
	_, err := newSource(t, cfg).Token(t.Context())
	require.ErrorContains(t, err, "server gave HTTP response to HTTPS client")
}
