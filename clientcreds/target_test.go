package clientcreds_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

func targets(p http.RoundTripper) clientcreds.Config {
	cfg := config(p)
	cfg.Audience, cfg.Scopes = "own", []string{"read"}
	cfg.AllowedAudiences = []string{"a", "b"}
	cfg.AllowedResources = []string{"https://r.example.com"}
	cfg.AllowedScopes = []string{"write", "delete"}
	return cfg
}

func TestTargets(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target clientcreds.Target
		form   url.Values // empty: refused
	}{
		{"none", clientcreds.Target{}, url.Values{"audience": {"own"}, "scope": {"read"}}},
		{"audience", clientcreds.Target{Audience: "a"}, url.Values{"audience": {"a"}, "scope": {"read"}}},
		{"the own one", clientcreds.Target{Audience: "own", Scopes: []string{"read", "read"}}, url.Values{"audience": {"own"}, "scope": {"read"}}},
		{"scopes", clientcreds.Target{Scopes: []string{"write", "read"}}, url.Values{"audience": {"own"}, "scope": {"read write"}}},
		{"resource", clientcreds.Target{Resource: "https://r.example.com"}, url.Values{"audience": {"own"}, "scope": {"read"}, "resource": {"https://r.example.com"}}},
		{"all", clientcreds.Target{Audience: "b", Resource: "https://r.example.com", Scopes: []string{"delete"}}, url.Values{"audience": {"b"}, "scope": {"delete"}, "resource": {"https://r.example.com"}}},
		{"unknown audience", clientcreds.Target{Audience: "c"}, nil},
		{"unknown resource", clientcreds.Target{Resource: "https://s.example.com"}, nil},
		{"unknown scope", clientcreds.Target{Scopes: []string{"read", "admin"}}, nil},
		{"two scopes in one", clientcreds.Target{Scopes: []string{"read write"}}, nil},
		{"empty scope", clientcreds.Target{Scopes: []string{""}}, nil},
		{"audience in another case", clientcreds.Target{Audience: "A"}, nil},
		{"a byte between", clientcreds.Target{Audience: "a\x00"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, by := range []string{"context", "KeyFunc", "Token"} {
				p := &idp{}
				cfg := targets(p)
				ctx := t.Context()
				if by == "KeyFunc" {
					cfg.KeyFunc = func(*http.Request) clientcreds.Target { return tt.target }
				} else {
					ctx = clientcreds.WithTarget(ctx, tt.target)
				}
				s := newSource(t, cfg)
				var err error
				for range 3 {
					if by == "Token" {
						_, err = s.Token(ctx)
						continue
					}
					r, e := http.NewRequestWithContext(ctx, "GET", apiURL, nil)
					require.NoError(t, e)
					var res *http.Response
					if res, err = s.Transport(&api{}).RoundTrip(r); err == nil {
						require.NoError(t, res.Body.Close())
					}
				}
				if tt.form == nil {
					require.ErrorIs(t, err, clientcreds.ErrTarget)
					require.Zero(t, p.requests())
					continue
				}
				require.NoError(t, err)
				require.Equal(t, 1, p.requests())
				tt.form.Set("grant_type", "client_credentials")
				require.Equal(t, tt.form, p.last().form)
			}
		})
	}
}

// TestTargetsAreApart: a token of one scope or audience never serves another; the
// order of scopes makes none.
func TestTargetsAreApart(t *testing.T) {
	p := &idp{}
	s := newSource(t, targets(p))
	get := func(target clientcreds.Target) string {
		tok, err := s.Token(clientcreds.WithTarget(t.Context(), target))
		require.NoError(t, err)
		return tok.AccessToken
	}
	require.Equal(t, "token-1", get(clientcreds.Target{}))
	require.Equal(t, "token-2", get(clientcreds.Target{Audience: "a"}))
	require.Equal(t, "token-3", get(clientcreds.Target{Audience: "b"}))
	require.Equal(t, "token-4", get(clientcreds.Target{Scopes: []string{"write", "delete"}}))
	require.Equal(t, "token-4", get(clientcreds.Target{Scopes: []string{"delete", "write", "delete"}}))
	require.Equal(t, "token-5", get(clientcreds.Target{Scopes: []string{"write"}}))
	require.Equal(t, "token-1", get(clientcreds.Target{Audience: "own"}))
	require.Equal(t, "token-1", tokenOf(t, s))
	require.Equal(t, 5, p.requests())
}

func TestContextGoesBeforeKeyFunc(t *testing.T) {
	p := &idp{}
	cfg := targets(p)
	cfg.KeyFunc = func(*http.Request) clientcreds.Target { return clientcreds.Target{Audience: "a"} }
	rt := newSource(t, cfg).Transport(&api{})
	r, err := http.NewRequestWithContext(clientcreds.WithTarget(t.Context(), clientcreds.Target{Audience: "b"}), "GET", apiURL, nil)
	require.NoError(t, err)
	res, err := rt.RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "b", p.last().form.Get("audience"))
	send(t, rt, "GET", apiURL, nil)
	require.Equal(t, "a", p.last().form.Get("audience"))
}

// TestManyTargets: 10 000 distinct keys stay within the bound, and cost no more
// tokens than the rate allows.
func TestManyTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 10_000
		p := &idp{}
		cfg := config(p)
		cfg.MaxTargets = 64
		for i := range n {
			cfg.AllowedAudiences = append(cfg.AllowedAudiences, fmt.Sprint("aud-", i))
		}
		s := newSource(t, cfg)
		ask := func(i int) error {
			_, err := s.Token(clientcreds.WithTarget(t.Context(), clientcreds.Target{Audience: fmt.Sprint("aud-", i%n)}))
			return err
		}
		refused := 0
		for i := range n {
			if err := ask(i); err != nil {
				require.ErrorIs(t, err, clientcreds.ErrTarget)
				refused++
			}
			require.LessOrEqual(t, s.Status().Targets, 64)
		}
		require.Equal(t, n-100, refused, "100 at once")
		time.Sleep(time.Second)
		refused = 0
		for i := range 100 {
			if ask(n/2+i) != nil {
				refused++
			}
		}
		require.Equal(t, 80, refused, "20 a second")
		require.Equal(t, 120, p.requests())

		// The one that is used stays; those that are not go.
		for i := range 200 {
			time.Sleep(time.Second)
			require.NoError(t, ask(n/2))
			require.NoError(t, ask(200+i))
		}
		require.Equal(t, 320, p.requests())
		require.Equal(t, "token-321", tokenOf(t, s), "the own one has its place")
	})
}

// TestTargetsInUse: none is put out that is being waited for.
func TestTargetsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{takes: time.Second}
		cfg := targets(p)
		cfg.MaxTargets = 1
		s := newSource(t, cfg)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := s.Token(clientcreds.WithTarget(t.Context(), clientcreds.Target{Audience: "a"}))
			require.NoError(t, err)
		})
		synctest.Wait()
		_, err := s.Token(clientcreds.WithTarget(context.Background(), clientcreds.Target{Audience: "b"}))
		require.ErrorIs(t, err, clientcreds.ErrTarget)
		wg.Wait()
		_, err = s.Token(clientcreds.WithTarget(t.Context(), clientcreds.Target{Audience: "b"}))
		require.NoError(t, err)
	})
}
