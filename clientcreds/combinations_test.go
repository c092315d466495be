package clientcreds_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// TestUsersTokenIsNotSentOn: the caller's Authorization was replaced at the first
// hop. net/http keeps it for the same host over http, for other ports and for
// subdomains: it must not come back there.
func TestUsersTokenIsNotSentOn(t *testing.T) {
	for _, to := range []string{"http://api.example.com/b", "https://api.example.com:8443/b", "https://x.api.example.com/b"} {
		t.Run(to, func(t *testing.T) {
			var got []string
			client := &http.Client{Transport: newSource(t, config(&idp{})).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
				got = append(got, r.Header.Get("Authorization"))
				res := answer(r, 200, "", "")
				if len(got) == 1 {
					res.StatusCode = 307
					res.Header.Set("Location", to)
				}
				return res, nil
			}))}
			r, err := http.NewRequest("GET", apiURL, nil)
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer users")
			res, err := client.Do(r)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, []string{"Bearer token-1", ""}, got)
			require.Equal(t, "Bearer users", r.Header.Get("Authorization"), "and the request is not changed")
		})
	}
}

// rude is a Store that panics, or is deaf to its context, in one of its methods.
type rude struct {
	memory
	in    string
	panic bool
	until chan struct{}
}

func (s *rude) act(method string) {
	if s.in != method {
		return
	}
	if s.panic {
		panic("of the store")
	}
	<-s.until
}

func (s *rude) Get(ctx context.Context, key string) ([]byte, error) {
	s.act("Get")
	return s.memory.Get(ctx, key)
}

func (s *rude) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.act("Put")
	return s.memory.Put(ctx, key, value, ttl)
}

func (s *rude) Lock(ctx context.Context, key string, ttl time.Duration) (func(), error) {
	s.act("Lock")
	unlock, err := s.memory.Lock(ctx, key, ttl)
	if unlock == nil {
		return nil, err
	}
	return func() { s.act("unlock"); unlock() }, err
}

// TestRudeStore: a Store can make tokens rarer, never calls fail. One that looks at
// no context is a Redis client as it is by default (go-redis without
// ContextTimeoutEnabled).
func TestRudeStore(t *testing.T) {
	for _, in := range []string{"Get", "Put", "Lock", "unlock"} {
		for _, panics := range []bool{true, false} {
			t.Run(fmt.Sprint(in, " panics ", panics), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := &rude{in: in, panic: panics, until: make(chan struct{})}
					cfg := withStore(&idp{}, &store.memory)
					cfg.Store = store
					start := time.Now()
					s := newSource(t, cfg)
					_, err := s.Token(after(t, time.Minute))
					took := time.Since(start)
					again := s.Warm(after(t, time.Minute))
					close(store.until)
					synctest.Wait()
					require.NoError(t, err)
					require.NoError(t, again)
					require.LessOrEqual(t, took, 4*time.Second)
				})
			})
		}
	}
}

// TestStoreCannotGoBack: who writes to the store, without the key, cannot put an
// older token in the place of the one that an API has just rejected.
func TestStoreCannotGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, m, a := &idp{life: "86400"}, &memory{}, &api{}
		cfg := withStore(p, m)
		tokenOf(t, newSource(t, cfg))
		old := map[string][]byte{}
		for key, box := range m.values {
			old[key] = box
		}
		time.Sleep(10 * time.Minute)
		m.values = nil
		s := newSource(t, cfg)
		require.Equal(t, "token-2", tokenOf(t, s))
		time.Sleep(time.Minute)
		a.reject("token-1", "token-2") // both revoked
		m.values = old
		status, body := send(t, s.Transport(a), "GET", apiURL, nil)
		require.Equal(t, 200, status)
		require.Equal(t, "Bearer token-3|", body)
	})
}

// TestStoreNeedsAName: without a ClientID it is the assertion that names the
// client. Two workloads with one store must not get each other's tokens.
func TestStoreNeedsAName(t *testing.T) {
	m := &memory{}
	p := &idp{answers: func(_ int, r *http.Request) (int, string) {
		return 200, `{"access_token":"of-the-first","expires_in":3600}`
	}}
	workload := func(p http.RoundTripper, assertion string) (*clientcreds.Source, error) {
		cfg := config(p)
		cfg.Store, cfg.StoreKey = m, func() ([]byte, error) { return []byte("0123456789abcdef"), nil }
		cfg.ClientID, cfg.Secret, cfg.AuthMethod = "", nil, "client_assertion"
		cfg.Assertion = func(context.Context) (string, error) { return assertion, nil }
		return clientcreds.New(cfg)
	}
	first, err := workload(p, "admin.jwt.x")
	if err != nil {
		require.ErrorContains(t, err, "ClientID")
		return
	}
	tokenOf(t, first)
	second, err := workload(&idp{}, "guest.jwt.x")
	require.NoError(t, err)
	require.Equal(t, "token-1", tokenOf(t, second))
}

// TestStoreIsNotGivenWhatHasEnded: no time to live that is zero or negative, which
// for Redis clients means for ever.
func TestStoreIsNotGivenWhatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		cfg := withStore(&idp{life: "2", takes: 3 * time.Second}, m)
		_, _ = newSource(t, cfg).Token(t.Context())
		for _, ttl := range m.ttls {
			require.Positive(t, ttl)
		}
	})
}

// TestMetadataHang: while metadata cannot be had, what they said last holds; also
// where their server does not answer at all.
func TestMetadataHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{takes: 10 * time.Millisecond}
		hangs := false
		cfg := config(roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.Path, "/.well-known/") {
				if hangs {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				return answer(r, 200, "application/json", `{"issuer":"https://idp.example.com","token_endpoint":"https://idp.example.com/t"}`), nil
			}
			return p.RoundTrip(r)
		}))
		cfg.TokenURL, cfg.Issuer = "", issuer
		s := newSource(t, cfg)
		tokenOf(t, s)
		time.Sleep(2 * time.Hour)
		hangs = true
		start := time.Now()
		require.Equal(t, "token-2", tokenOf(t, s))
		require.Less(t, time.Since(start), 5*time.Second)
		time.Sleep(10 * time.Second)
	})
}

// TestBaseThatBreaksTheContract: no panic, no leak.
func TestBaseThatBreaksTheContract(t *testing.T) {
	t.Run("401 without a body", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSource(t, config(&idp{}))
			tokenOf(t, s)
			time.Sleep(time.Minute)
			rt := s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.Header.Get("Authorization") == "Bearer token-1" {
					return &http.Response{StatusCode: 401}, nil
				}
				return &http.Response{StatusCode: 200}, nil
			}))
			var res *http.Response
			var err error
			require.NotPanics(t, func() { res, err = rt.RoundTrip(httptest.NewRequest("GET", apiURL, nil)) })
			require.NoError(t, err)
			require.Equal(t, 200, res.StatusCode)
			require.NotNil(t, res.Body, "http.RoundTripper: non-nil if err is nil")
		})
	})
	t.Run("answer and error", func(t *testing.T) {
		body := &tracked{Reader: strings.NewReader("")}
		res, err := newSource(t, config(&idp{})).Transport(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: body}, errDown
		})).RoundTrip(httptest.NewRequest("GET", apiURL, nil))
		require.ErrorIs(t, err, errDown)
		require.Nil(t, res, "http.RoundTripper: nil if err is not")
		require.EqualValues(t, 1, body.closed.Load())
	})
}

// TestTokenHostNotKnownYet: it is empty, as Event and TokenError say.
func TestTokenHostNotKnownYet(t *testing.T) {
	var events []clientcreds.Event
	cfg := config(roundTrip(func(*http.Request) (*http.Response, error) { return nil, errDown }))
	cfg.TokenURL, cfg.Issuer = "", issuer
	cfg.Observe = func(_ context.Context, e clientcreds.Event) { events = append(events, e) }
	require.Error(t, newSource(t, cfg).Warm(t.Context()))
	require.Len(t, events, 1)
	require.Empty(t, events[0].TokenHost)
}

// TestTinyRefreshIn: a server that wants its token renewed at once, all the time,
// is not asked in a loop.
func TestTinyRefreshIn(t *testing.T) {
	for _, in := range []string{"0.001", "1"} {
		synctest.Test(t, func(t *testing.T) {
			p := &idp{takes: time.Millisecond, answers: func(n int, _ *http.Request) (int, string) {
				return 200, fmt.Sprintf(`{"access_token":"token-%d","expires_in":3600,"refresh_in":%s}`, n, in)
			}}
			s := newSource(t, config(p))
			for range 6000 { // a minute
				tokenOf(t, s)
				time.Sleep(10 * time.Millisecond)
			}
			require.LessOrEqual(t, p.requests(), 10)
		})
	}
}

// TestTokensForOneUseAfterAGoodOne: when the good one has ended, those for one use
// serve, at once.
func TestTokensForOneUseAfterAGoodOne(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			p := &idp{answers: func(n int, _ *http.Request) (int, string) {
				if n > 1 {
					return 200, good(n, "0")
				}
				return 200, good(n, "120")
			}}
			s := newSource(t, config(p))
			start := time.Now()
			var failed time.Duration
			for time.Since(start) < 3*time.Minute {
				if _, err := s.Token(t.Context()); err != nil {
					failed += 50 * time.Millisecond
				}
				time.Sleep(50 * time.Millisecond)
			}
			require.LessOrEqual(t, failed, 200*time.Millisecond)
		})
	}
}

// TestClockIsSetBack: by an hour, for a Now that has no monotonic reading.
func TestClockIsSetBack(t *testing.T) {
	setBack := func(cfg *clientcreds.Config) (back func()) {
		var off time.Duration
		cfg.Now = func() time.Time { return time.Now().Round(0).Add(off) }
		return func() { off = -time.Hour }
	}
	t.Run("new targets", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := targets(&idp{})
			back := setBack(&cfg)
			s := newSource(t, cfg)
			get := func(audience string) error {
				return s.Warm(clientcreds.WithTarget(t.Context(), clientcreds.Target{Audience: audience}))
			}
			require.NoError(t, get("a"))
			back()
			require.NoError(t, get("b"))
			time.Sleep(time.Second)
			require.NoError(t, s.Warm(clientcreds.WithTarget(t.Context(), clientcreds.Target{Scopes: []string{"write"}})))
		})
	})
	t.Run("401s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := &api{}
			cfg := config(&idp{life: "86400"})
			back := setBack(&cfg)
			s := newSource(t, cfg)
			tokenOf(t, s)
			time.Sleep(10 * time.Second)
			a.reject("token-1")
			_, body := send(t, s.Transport(a), "GET", apiURL, nil)
			require.Equal(t, "Bearer token-2|", body)
			time.Sleep(20 * time.Minute)
			back()
			a.reject("token-2")
			_, body = send(t, s.Transport(a), "GET", apiURL, nil)
			require.Equal(t, "Bearer token-3|", body)
		})
	})
}

// TestStoreAheadOfTheClock: the token comes from a machine whose clock is ahead by
// half a minute. Its 401 counts nevertheless.
func TestStoreAheadOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, m, a := &idp{}, &memory{}, &api{}
		cfg := withStore(p, m)
		ahead := cfg
		ahead.Now = func() time.Time { return time.Now().Add(30 * time.Second) }
		tokenOf(t, newSource(t, ahead))
		s := newSource(t, cfg)
		require.Equal(t, "token-1", tokenOf(t, s))
		time.Sleep(10 * time.Second)
		a.reject("token-1")
		_, body := send(t, s.Transport(a), "GET", apiURL, nil)
		require.Equal(t, "Bearer token-2|", body)
	})
}

// TestAliasForCertificateBoundTokens: RFC 8705 section 5 has the aliases for whoever
// presents a certificate, also where it is for the token and not for the client.
func TestAliasForCertificateBoundTokens(t *testing.T) {
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			_, _ = fmt.Fprintf(w, `{"issuer":"https://%[1]s","token_endpoint":"https://%[1]s/t","mtls_endpoint_aliases":{"token_endpoint":"https://%[1]s/mtls"}}`, r.Host)
			return
		}
		_, _ = io.WriteString(w, good(1, ""))
	}))
	defer server.Close()
	cfg := config(nil)
	cfg.Client, cfg.TokenURL, cfg.Issuer = nil, "", server.URL
	cfg.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	cfg.ClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	tokenOf(t, newSource(t, cfg))
	require.Equal(t, "/mtls", asked[len(asked)-1])
}

// TestProxyGoesByHost: a proxy for plain http is told the Host of the request, not
// that of its URL, and connects there.
func TestProxyGoesByHost(t *testing.T) {
	type seen struct{ host, authorization string }
	for name, set := range map[string]func(*http.Request){
		"Host":   func(r *http.Request) { r.Host = "evil.example.org" },
		"Opaque": func(r *http.Request) { r.URL.Opaque = "http://evil.example.org/" },
	} {
		t.Run(name, func(t *testing.T) {
			var got []seen
			proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = append(got, seen{r.URL.Host, r.Header.Get("Authorization")})
			}))
			defer proxy.Close()
			u, err := url.Parse(proxy.URL)
			require.NoError(t, err)
			base := &http.Transport{Proxy: http.ProxyURL(u), DisableKeepAlives: true}
			cfg := config(&idp{})
			cfg.AllowedOrigins, cfg.InsecureHTTP = []string{"http://api.internal"}, true
			r, err := http.NewRequest("GET", "http://api.internal/", nil)
			require.NoError(t, err)
			set(r)
			res, err := newSource(t, cfg).Transport(base).RoundTrip(r)
			if err == nil {
				require.NoError(t, res.Body.Close())
			}
			for _, s := range got {
				require.False(t, s.host != "api.internal" && s.authorization != "", "%v", s)
			}
		})
	}
}

// TestWrongSecretForManyTargets: it is the client that is not known, whatever it
// asks for. A lock-out must not be provoked by asking for each target.
func TestWrongSecretForManyTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{answers: func(int, *http.Request) (int, string) { return 401, `{"error":"invalid_client"}` }}
		cfg := config(p)
		for i := range 50 {
			cfg.AllowedAudiences = append(cfg.AllowedAudiences, fmt.Sprint("aud-", i))
		}
		s := newSource(t, cfg)
		for range 10 {
			for _, audience := range cfg.AllowedAudiences {
				err := s.Warm(clientcreds.WithTarget(t.Context(), clientcreds.Target{Audience: audience}))
				var failed *clientcreds.TokenError
				require.ErrorAs(t, err, &failed)
				require.Equal(t, clientcreds.ReasonClient, failed.Reason)
				require.Greater(t, failed.RetryAfter(), 15*time.Second)
			}
			time.Sleep(time.Second)
		}
		require.Equal(t, 1, p.requests())
	})
}

// TestOneUseTokenAnd401: the next call asks anyhow, also where there once was a
// token that could be kept.
func TestOneUseTokenAnd401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{}, &rejectAll{}
		p.answers = func(n int, _ *http.Request) (int, string) {
			if n > 1 {
				return 200, good(n, "0")
			}
			return 200, good(n, "60")
		}
		s := newSource(t, config(p))
		tokenOf(t, s)
		time.Sleep(2 * time.Minute)
		before := p.requests()
		for range 10 {
			send(t, s.Transport(a), "GET", apiURL, nil)
		}
		require.Equal(t, 10, p.requests()-before)
	})
}

// TestConfigThatCannotWork is reported by New.
func TestConfigThatCannotWork(t *testing.T) {
	cfg := config(&idp{})
	cfg.AllowedOrigins = []string{"https://*.example.com"}
	_, err := clientcreds.New(cfg)
	require.ErrorContains(t, err, "AllowedOrigins[0]")
}

// TestBrokenTokenTransport is a failure of the network, not of the Config's functions.
func TestBrokenTokenTransport(t *testing.T) {
	for name, res := range map[string]*http.Response{"nothing": nil, "no body": {StatusCode: 500, Header: http.Header{}}} {
		t.Run(name, func(t *testing.T) {
			failed := failureOf(t, newSource(t, config(roundTrip(func(*http.Request) (*http.Response, error) { return res, nil }))))
			require.NotEqual(t, clientcreds.ReasonAborted, failed.Reason)
		})
	}
}

// TestMixedUse has -race see targets, 401s, refusals, redirects, a failing store and
// Status at once.
func TestMixedUse(t *testing.T) {
	p := &idp{life: "1", answers: func(n int, _ *http.Request) (int, string) {
		switch n % 5 {
		case 0:
			return 500, ""
		case 1:
			return 200, good(n, "0.05")
		}
		return 200, good(n, "1")
	}}
	cfg := targets(p)
	m := &memory{}
	cfg.Store, cfg.StoreKey = m, func() ([]byte, error) { return []byte("0123456789abcdef"), nil }
	cfg.MaxTargets = 3
	s := newSource(t, cfg)
	var n int
	var mu sync.Mutex
	base := roundTrip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		n++
		k := n
		mu.Unlock()
		if k%3 == 0 {
			return answer(r, 401, "", ""), nil
		}
		res := answer(r, 200, "", "")
		if k%7 == 0 {
			res.StatusCode = 307
			res.Header.Set("Location", "https://evil.example.org/")
		}
		if r.URL.Host == "evil.example.org" && r.Header.Get("Authorization") != "" {
			t.Error("a token went elsewhere")
		}
		return res, nil
	})
	client := &http.Client{Transport: s.Transport(base)}
	var wg sync.WaitGroup
	stop := time.Now().Add(2 * time.Second)
	for g := range 8 {
		wg.Go(func() {
			for i := 0; time.Now().Before(stop); i++ {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+i%50)*time.Millisecond)
				if i%2 == 0 {
					ctx = clientcreds.WithTarget(ctx, clientcreds.Target{Audience: []string{"a", "b", "own", "x"}[(g+i)%4]})
				}
				r, _ := http.NewRequestWithContext(ctx, "POST", apiURL, strings.NewReader("order"))
				r.Header.Set("Authorization", "Bearer users")
				if res, err := client.Do(r); err == nil {
					_ = res.Body.Close()
				} else if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, clientcreds.ErrTokenUnavailable) && !errors.Is(err, clientcreds.ErrTarget) {
					t.Error(err)
				}
				_ = s.Status()
				cancel()
			}
		})
	}
	wg.Wait()
}

// TestEndedTokenIsReportedAsAFailure: nobody got it. An Event that says "fetched"
// for it, and a counter that stands still, hide an outage.
func TestEndedTokenIsReportedAsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []clientcreds.Event
		cfg := config(&idp{life: "2", takes: 3 * time.Second})
		cfg.Observe = func(_ context.Context, e clientcreds.Event) { events = append(events, e) }
		s := newSource(t, cfg)
		require.Equal(t, clientcreds.ReasonLifetime, failureOf(t, s).Reason)
		require.Len(t, events, 1)
		require.Equal(t, clientcreds.KindFailed, events[0].Kind)
		require.Equal(t, clientcreds.ReasonLifetime, events[0].Reason)
		require.EqualValues(t, 1, s.Status().Failures)
	})
}

// TestLastErrorIsATokenError, as callers get it.
func TestLastErrorIsATokenError(t *testing.T) {
	cfg := config(&idp{})
	cfg.Secret = func(context.Context) (string, error) { panic(secret) }
	s := newSource(t, cfg)
	require.Error(t, s.Warm(t.Context()))
	require.ErrorIs(t, s.Status().LastError, clientcreds.ErrTokenUnavailable)
	var failed *clientcreds.TokenError
	require.ErrorAs(t, s.Status().LastError, &failed)
	require.Positive(t, failed.RetryAfter())
}

// From here on: what holds, but no test had seen.

// TestRefusedTargetIsReported with its own reason.
func TestRefusedTargetIsReported(t *testing.T) {
	var events []clientcreds.Event
	cfg := targets(&idp{})
	cfg.KeyFunc = func(*http.Request) clientcreds.Target { return clientcreds.Target{Audience: "x"} }
	cfg.Observe = func(_ context.Context, e clientcreds.Event) { events = append(events, e) }
	_, err := newSource(t, cfg).Transport(&api{}).RoundTrip(httptest.NewRequest("GET", apiURL, nil))
	require.ErrorIs(t, err, clientcreds.ErrTarget)
	require.Len(t, events, 1)
	require.Equal(t, clientcreds.ReasonTarget, events[0].Reason)
}

// TestOverlapping401s: all were sent before the first answer came.
func TestOverlapping401s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{takes: 100 * time.Millisecond}, &api{}
		s := newSource(t, config(p))
		tokenOf(t, s)
		a.reject("token-1")
		time.Sleep(time.Minute)
		rt := s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			time.Sleep(50 * time.Millisecond)
			return a.RoundTrip(r)
		}))
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				status, body := send(t, rt, "GET", apiURL, nil)
				if status != 200 || body != "Bearer token-2|" {
					t.Error(status, body)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		require.Equal(t, 2, p.requests())
	})
}

// TestLate401FetchesNothing, not behind the caller either.
func TestLate401FetchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{}, &api{}
		s := newSource(t, config(p))
		tokenOf(t, s)
		a.reject("token-1")
		time.Sleep(time.Minute)
		rt := s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			res, err := a.RoundTrip(r)
			if res.StatusCode == 401 {
				time.Sleep(10 * time.Second)
			}
			return res, err
		}))
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = send(t, rt, "GET", apiURL, nil) })
		synctest.Wait()
		send(t, s.Transport(a), "GET", apiURL, nil)
		wg.Wait()
		synctest.Wait()
		require.Equal(t, 2, p.requests())
	})
}

// TestNaturalRenewalIsNotAForcedOne: a 401 to it is its first, and has it replaced.
func TestNaturalRenewalIsNotAForcedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{life: "60"}, &api{}
		s := newSource(t, config(p))
		tokenOf(t, s)
		time.Sleep(52 * time.Second)
		tokenOf(t, s)
		synctest.Wait()
		require.Equal(t, "token-2", tokenOf(t, s))
		time.Sleep(5 * time.Second)
		a.reject("token-2")
		status, body := send(t, s.Transport(a), "GET", apiURL, nil)
		require.Equal(t, 200, status)
		require.Equal(t, "Bearer token-3|", body)
	})
}

// TestSameTokenAfter401IsAFailure: of lifetime, and the token stays a rejected one,
// although the server says that it lives longer now.
func TestSameTokenAfter401IsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reasons []clientcreds.Reason
		cfg := config(&idp{answers: func(int, *http.Request) (int, string) { return 200, good(1, "") }})
		cfg.Observe = func(_ context.Context, e clientcreds.Event) { reasons = append(reasons, e.Reason) }
		s := newSource(t, cfg)
		tokenOf(t, s)
		time.Sleep(time.Minute)
		send(t, s.Transport(&rejectAll{}), "GET", apiURL, nil)
		synctest.Wait()
		require.Equal(t, []clientcreds.Reason{"", clientcreds.ReasonLifetime}, reasons)
		require.True(t, s.Status().Suspended.IsZero(), "no new token was rejected")
	})
}

// TestOneUseTokenAfter401 is better than the one that was rejected.
func TestOneUseTokenAfter401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{}, &api{}
		p.answers = func(n int, _ *http.Request) (int, string) {
			if n > 1 {
				return 200, good(n, "0")
			}
			return 200, good(n, "")
		}
		s := newSource(t, config(p))
		tokenOf(t, s)
		time.Sleep(time.Minute)
		a.reject("token-1")
		_, body := send(t, s.Transport(a), "GET", apiURL, nil)
		require.Equal(t, "Bearer token-2|", body)
	})
}

// TestBackoffWithARejectedToken is the short one: callers have nothing good.
func TestBackoffWithARejectedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{life: "86400"}
		p.answers = func(n int, _ *http.Request) (int, string) {
			if n > 1 {
				return 500, ""
			}
			return 200, good(n, "86400")
		}
		s := newSource(t, config(p))
		tokenOf(t, s)
		time.Sleep(time.Minute)
		a := &rejectAll{}
		for range 1200 { // two minutes
			send(t, s.Transport(a), "GET", apiURL, nil)
			time.Sleep(100 * time.Millisecond)
		}
		require.GreaterOrEqual(t, p.requests(), 120/5)
	})
}

// TestSecretComesBack: it is asked for once a second, at least.
func TestSecretComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		cfg := config(&idp{})
		cfg.Secret = func(context.Context) (string, error) { asked++; return "", errDown }
		s := newSource(t, cfg)
		for range 600 {
			_ = s.Warm(t.Context())
			time.Sleep(100 * time.Millisecond)
		}
		require.GreaterOrEqual(t, asked, 50)
	})
}

// TestCraftedRedirectWithinAForeignOrigin: the chain is straight, and leads nowhere
// that is allowed.
func TestCraftedRedirectWithinAForeignOrigin(t *testing.T) {
	first, err := http.NewRequest("GET", "https://evil.example.org/a", nil)
	require.NoError(t, err)
	r, err := http.NewRequest("GET", "https://evil.example.org/b", nil)
	require.NoError(t, err)
	r.Response = &http.Response{Request: first}
	res, err := newSource(t, config(&idp{})).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		require.Empty(t, r.Header.Get("Authorization"))
		return answer(r, 200, "", ""), nil
	})).RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
}

// TestManyRedirects within the origin keep the token.
func TestManyRedirects(t *testing.T) {
	n := 0
	client := &http.Client{Transport: newSource(t, config(&idp{})).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		require.Equal(t, "Bearer token-1", r.Header.Get("Authorization"))
		res := answer(r, 200, "", "")
		if n++; n < 9 {
			res.StatusCode = 302
			res.Header.Set("Location", fmt.Sprint("/", n))
		}
		return res, nil
	}))}
	res, err := client.Get(apiURL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 9, n)
}

func TestAnyOriginHasAHost(t *testing.T) {
	cfg := config(&idp{})
	cfg.AllowedOrigins, cfg.InsecureAnyOrigin = nil, true
	_, err := newSource(t, cfg).Transport(&api{}).RoundTrip(&http.Request{Method: "GET", URL: &url.URL{Scheme: "https", Opaque: "//api.example.com/"}})
	require.ErrorIs(t, err, clientcreds.ErrOrigin)
}

func TestOddAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		text   string
		want   clientcreds.TokenError
	}{
		{"a token under 1xx", 150, good(1, ""), clientcreds.TokenError{Reason: clientcreds.ReasonStatus, Status: 150, Temporary: true}},
		{"a long code", 400, `{"error":"` + strings.Repeat("a", 65) + `"}`, clientcreds.TokenError{Reason: clientcreds.ReasonStatus, Status: 400, Temporary: true}},
		{"408 with a code", 408, `{"error":"invalid_request"}`, clientcreds.TokenError{Reason: clientcreds.ReasonStatus, Status: 408, Code: "invalid_request", Temporary: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			failed := failureOf(t, newSource(t, config(&idp{answers: func(int, *http.Request) (int, string) { return tt.status, tt.text }})))
			require.Equal(t, tt.want.Reason, failed.Reason)
			require.Equal(t, tt.want.Status, failed.Status)
			require.Equal(t, tt.want.Code, failed.Code)
			require.Equal(t, tt.want.Temporary, failed.Temporary)
		})
	}
}

// late is a Store whose first Get is too early.
type late struct {
	*memory
	gets int
}

func (s *late) Get(ctx context.Context, key string) ([]byte, error) {
	if s.gets++; s.gets == 1 {
		return nil, nil
	}
	return s.memory.Get(ctx, key)
}

// TestLockIsGivenBack when the other was done between.
func TestLockIsGivenBack(t *testing.T) {
	p, m := &idp{}, &memory{}
	cfg := withStore(p, m)
	tokenOf(t, newSource(t, cfg))
	cfg.Store = &late{memory: m}
	require.Equal(t, "token-1", tokenOf(t, newSource(t, cfg)))
	for key := range m.locked {
		require.False(t, m.locked[key])
	}
	require.Equal(t, 1, p.requests())
}

// TestOddRedirects through net/http's client.
func TestOddRedirects(t *testing.T) {
	for _, tt := range []struct {
		location string
		has      bool
	}{
		{"/b", true}, {"?x", true}, {"HTTPS://API.Example.COM:443/b", true}, {"https://u:p@api.example.com/b", true},
		{"//evil.example.org/b", false}, {"https://api.example.com./b", false}, {"https://api.example.com@evil.example.org/", false},
		{"https://api.example.com:80/b", false}, {"http://api.example.com:443/b", false}, {"https://xn--pi-bia.example.com/", false},
		{"http://[::1%25lo]/b", false}, {"https://api.example.com%2eevil.example.org/", false},
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, open := range []bool{false, true} {
				cfg := config(&idp{})
				if open {
					cfg.AllowedOrigins, cfg.InsecureAnyOrigin = nil, true
				}
				var got []string
				client := &http.Client{Transport: newSource(t, cfg).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
					got = append(got, r.Header.Get("Authorization"))
					res := answer(r, 200, "", "")
					if len(got) == 1 {
						res.StatusCode = status
						res.Header.Set("Location", tt.location)
					}
					return res, nil
				}))}
				res, err := client.Post(apiURL, "text/plain", strings.NewReader("order"))
				if err != nil {
					require.Len(t, got, 1, tt.location)
					continue
				}
				require.NoError(t, res.Body.Close())
				require.Len(t, got, 2)
				require.Equal(t, tt.has, got[1] == "Bearer token-1", "%s %d %v", tt.location, status, got)
			}
		}
	}
}

// TestCallerLeavesBetweenTheTries: the 401 is whole, and the next call has the new
// token.
func TestCallerLeavesBetweenTheTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := &idp{}, &api{}
		s := newSource(t, config(p))
		tokenOf(t, s)
		a.reject("token-1")
		time.Sleep(time.Minute)
		p.takes = time.Second
		r, err := http.NewRequestWithContext(after(t, 100*time.Millisecond), "GET", apiURL, nil)
		require.NoError(t, err)
		res, err := s.Transport(a).RoundTrip(r)
		require.NoError(t, err)
		require.Equal(t, 401, res.StatusCode)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Equal(t, "no", string(text))
		require.NoError(t, res.Body.Close())
		time.Sleep(time.Second)
		require.Equal(t, "token-2", tokenOf(t, s))
		require.Equal(t, 2, p.requests())
	})
}

// TestGzipBomb: what is read is bounded after decompression.
func TestGzipBomb(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte(`{"access_token":"`))
		page := bytes.Repeat([]byte("a"), 1<<20)
		for range 64 {
			if _, err := z.Write(page); err != nil {
				return
			}
		}
		_ = z.Close()
	}))
	defer server.Close()
	cfg := config(nil)
	cfg.Client, cfg.TokenURL = nil, server.URL
	require.Equal(t, clientcreds.ReasonTooLarge, failureOf(t, newSource(t, cfg)).Reason)
}

// TestEarly401OverHTTP: the API answers before it has read the body.
func TestEarly401OverHTTP(t *testing.T) {
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(401)
			return
		}
		size, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, r.Header.Get("Authorization"), size)
	}))
	defer server.Close()
	var off atomic.Int64
	cfg := config(&idp{})
	cfg.AllowedOrigins = []string{server.URL}
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
	s := newSource(t, cfg)
	tokenOf(t, s)
	off.Store(int64(time.Minute))
	client := s.Client()
	defer client.CloseIdleConnections()
	r, err := http.NewRequest("POST", server.URL, bytes.NewReader(make([]byte, 8<<20)))
	require.NoError(t, err)
	r.Header.Set("Expect", "100-continue")
	res, err := client.Do(r)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, fmt.Sprint("Bearer token-2", 8<<20), string(text))
}

// TestComesJustAfter: a caller saw no token, and asks when another's fetch has just
// ended. Then there is nothing to do.
func TestComesJustAfter(t *testing.T) {
	var s *clientcreds.Source
	var calls atomic.Int64
	p := &idp{}
	cfg := config(p)
	cfg.Now = func() time.Time {
		if calls.Add(1) == 2 { // the first is of get, the second of what starts the fetch
			tokenOf(t, s)
		}
		return time.Now()
	}
	s = newSource(t, cfg)
	calls.Store(0)
	require.Equal(t, "token-1", tokenOf(t, s))
	require.Equal(t, 1, p.requests())
}

// TestSameTokenASecondLater: seconds are rounded somewhere. That is no renewal.
func TestSameTokenASecondLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var last clientcreds.Event
		cfg := config(&idp{answers: func(n int, _ *http.Request) (int, string) {
			return 200, good(1, fmt.Sprint(3600+min(n-1, 1)-int(time.Since(start).Seconds())))
		}})
		cfg.Observe = func(_ context.Context, e clientcreds.Event) { last = e }
		s := newSource(t, cfg)
		tokenOf(t, s)
		time.Sleep(time.Until(s.Status().NextFetch))
		tokenOf(t, s)
		synctest.Wait()
		require.Equal(t, clientcreds.ReasonLifetime, last.Reason)
	})
}

// TestTimeoutIsNotTriedAgain within a fetch: it took its time.
func TestTimeoutIsNotTriedAgain(t *testing.T) {
	p := &idp{raw: func(int, *http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded }}
	require.Equal(t, clientcreds.ReasonTimeout, failureOf(t, newSource(t, config(p))).Reason)
	require.Equal(t, 1, p.requests())
}

// TestExpiryIsOfTheWall, as everything else that leaves the process.
func TestExpiryIsOfTheWall(t *testing.T) {
	tok, err := newSource(t, config(&idp{})).Token(t.Context())
	require.NoError(t, err)
	require.NotContains(t, tok.Expiry.String(), "m=")
}

// TestHostOnLoopback: a sidecar is told the name that is outside.
func TestHostOnLoopback(t *testing.T) {
	cfg := config(&idp{})
	cfg.AllowedOrigins = []string{"http://127.0.0.1:8080"}
	r, err := http.NewRequest("GET", "http://127.0.0.1:8080/", nil)
	require.NoError(t, err)
	r.Host = "shop.example.com"
	res, err := newSource(t, cfg).Transport(&api{}).RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
}

// TestOneTargetIsNotForThisClient, the others are.
func TestOneTargetIsNotForThisClient(t *testing.T) {
	p := &idp{}
	p.answers = func(n int, _ *http.Request) (int, string) {
		if p.last().form.Get("audience") == "a" {
			return 400, `{"error":"unauthorized_client"}` //nolint:misspell // as RFC 6749 spells it
		}
		return 200, good(n, "")
	}
	s := newSource(t, targets(p))
	for audience, good := range map[string]bool{"a": false, "b": true, "own": true} {
		err := s.Warm(clientcreds.WithTarget(t.Context(), clientcreds.Target{Audience: audience}))
		require.Equal(t, good, err == nil, audience)
	}
	require.Error(t, s.Warm(clientcreds.WithTarget(t.Context(), clientcreds.Target{Audience: "a"})))
	require.Equal(t, 3, p.requests())
}

// TestSuspensionAndAClockThatIsSetBack: 15 minutes are the most.
func TestSuspensionAndAClockThatIsSetBack(t *testing.T) {
	var r clientcreds.Ration
	now := time.Now().Round(0)
	require.False(t, r.Allow(now, true, now.Add(-time.Second)))
	now = now.Add(-time.Hour)
	require.True(t, r.Allow(now, false, now.Add(-time.Minute)))
}

// TestLockThatComesTooLate is given back.
func TestLockThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &rude{in: "Lock", until: make(chan struct{})}
		cfg := withStore(&idp{}, &store.memory)
		cfg.Store = store
		tokenOf(t, newSource(t, cfg))
		close(store.until)
		synctest.Wait()
		store.mu.Lock()
		defer store.mu.Unlock()
		require.Len(t, store.locked, 1)
		for _, locked := range store.locked {
			require.False(t, locked)
		}
	})
}
