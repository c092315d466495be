package jwtvalidate_test

import (
	"context"
	"crypto"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// TestCallerWhoHasLeft: a request that is over before it asks says nothing about the
// issuer. Anybody can send such requests: only iss is needed, and no signature.
func TestCallerWhoHasLeft(t *testing.T) {
	g := newRegistry()
	a := tenantURL(1)
	g.add(t, a)
	now := clock()
	v := validator(t, jwtvalidate.Config{IssuerFor: g.find, Now: func() time.Time { return now }})
	token := tenantToken(t, g.keys[a], a, "")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, when := range []string{"new", "asked for again"} {
		_, err := v.CheckToken(gone, tenantToken(t, evilEC(), a, ""))
		require.ErrorIs(t, err, context.Canceled, when)
		_, err = v.CheckToken(t.Context(), token)
		require.NoError(t, err, when)
		now = now.Add(time.Minute)
	}
}

// TestOwnDeadline: that a request's own time is over says nothing about its token.
func TestOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Minute) // until the question has ended
		v := validator(t, jwtvalidate.Config{IssuerFor: func(ctx context.Context, _ string) (*jwtvalidate.Issuer, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a := record(v.Handler(http.NotFoundHandler()), request("Bearer "+tenantToken(t, ecKey(), tenantURL(1), "")).WithContext(ctx))
		requireRefused(t, a, http.StatusServiceUnavailable, "")
		_, err := v.CheckToken(ctx, tenantToken(t, ecKey(), tenantURL(1), ""))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, jwtvalidate.ErrUnavailable)
	})
}

// TestAbandonedQuestions: of questions that end badly after everybody has left, no
// place is kept.
func TestAbandonedQuestions(t *testing.T) {
	for name, end := range map[string]func(){"a panic": func() { panic("x") }, "its goroutine ends": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRegistry()
				g.add(t, tenantURL(1))
				v := validator(t, jwtvalidate.Config{IssuerFor: func(ctx context.Context, iss string) (*jwtvalidate.Issuer, error) {
					if iss != tenantURL(1) {
						time.Sleep(2 * time.Second)
						end()
					}
					return g.find(ctx, iss)
				}})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var group sync.WaitGroup
				for i := range 256 {
					group.Go(func() {
						_, err := v.CheckToken(ctx, tenantToken(t, ecKey(), fmt.Sprint("https://stranger", i), ""))
						require.Error(t, err)
					})
				}
				group.Wait()
				time.Sleep(time.Minute)
				_, err := v.CheckToken(t.Context(), tenantToken(t, g.keys[tenantURL(1)], tenantURL(1), ""))
				require.NoError(t, err)
			})
		})
	}
}

// TestStrangersAndTenants: strangers who are asked for do not keep those waiting who
// are known, and asked for again.
func TestStrangersAndTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Minute) // until the questions have ended
		g := newRegistry()
		a := tenantURL(1)
		g.add(t, a)
		v := validator(t, jwtvalidate.Config{Now: time.Now, IssuerFor: func(ctx context.Context, iss string) (*jwtvalidate.Issuer, error) {
			if iss != a {
				<-ctx.Done()
			}
			return g.find(ctx, iss)
		}})
		token := tenantToken(t, g.keys[a], a, "")
		_, err := v.CheckToken(t.Context(), token)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		for i := range 300 {
			stranger := tenantToken(t, ecKey(), fmt.Sprint("https://stranger", i), "")
			go func() { _, _ = v.CheckToken(t.Context(), stranger) }()
		}
		synctest.Wait()
		_, err = v.CheckToken(t.Context(), token)
		require.NoError(t, err)
	})
}

// gatedKeys are keys that come when they are let through.
type gatedKeys struct {
	asked, pass chan struct{}
	keys        []crypto.PublicKey
}

func newGatedKeys(keys ...crypto.PublicKey) *gatedKeys {
	return &gatedKeys{make(chan struct{}, 9), make(chan struct{}), keys}
}

func (g *gatedKeys) Keys(context.Context, string, string) ([]crypto.PublicKey, error) {
	g.asked <- struct{}{}
	<-g.pass
	return g.keys, nil
}

// TestPolicyThatIsGone: a token that a request with the policy of before remembers is
// not taken for one of the policy of now.
func TestPolicyThatIsGone(t *testing.T) {
	before, after := newGatedKeys(&ecKey().PublicKey), newGatedKeys(&ecKey().PublicKey)
	answer := policy(before)
	var mu sync.Mutex
	v := validator(t, jwtvalidate.Config{IssuerFor: func(context.Context, string) (*jwtvalidate.Issuer, error) {
		mu.Lock()
		defer mu.Unlock()
		i := answer
		return &i, nil
	}})
	token := good(t)
	check := func() chan error {
		done := make(chan error, 1)
		go func() {
			_, err := v.CheckToken(t.Context(), token)
			done <- err
		}()
		return done
	}
	first := check() // by the policy of before
	<-before.asked
	mu.Lock()
	answer.Keys, answer.Audiences = after, []string{"https://other.example.com"}
	mu.Unlock()
	v.Forget(issuerURL)
	second := check()
	<-after.asked
	close(before.pass)
	require.NoError(t, <-first)
	close(after.pass)
	require.ErrorIs(t, <-second, jwtvalidate.ErrAudience)
}

// TestRecheckOfTenants: a stream goes on while the policy of now would take its token,
// however often the issuer was asked for, dropped or forgotten since.
func TestRecheckOfTenants(t *testing.T) {
	a, b := tenantURL(1), tenantURL(2)
	confirm := func(*http.Request, *jwtvalidate.Claims) error { return nil }
	for _, row := range []struct {
		name   string
		before func(*jwtvalidate.Issuer)
		then   func(*jwtvalidate.Issuer)
		want   error
	}{
		{"the same", nil, nil, nil},
		{"with a function", func(i *jwtvalidate.Issuer) { i.Confirm = confirm }, nil, nil},
		{"more audiences", nil, func(i *jwtvalidate.Issuer) { i.Audiences = []string{audience, "other"} }, nil},
		{"other audiences", nil, func(i *jwtvalidate.Issuer) { i.Audiences = []string{"other"} }, jwtvalidate.ErrAudience},
		{"other types", nil, func(i *jwtvalidate.Issuer) { i.Profile.Types = []string{"at+jwt"} }, jwtvalidate.ErrInvalidToken},
		{"other keys", nil, func(i *jwtvalidate.Issuer) { i.Keys = sourceOf(&evilEC().PublicKey) }, jwtvalidate.ErrUnknownKey},
		{"other algorithms", nil, func(i *jwtvalidate.Issuer) { i.Algorithms = []string{"RS256"} }, jwtvalidate.ErrAlgorithm},
		{"required", nil, func(i *jwtvalidate.Issuer) { i.Required = []string{"sid"} }, jwtvalidate.ErrMissingClaim},
		{"shorter", nil, func(i *jwtvalidate.Issuer) { i.MaxLifetime = time.Minute }, jwtvalidate.ErrMissingClaim},
		{"encrypted", nil, func(i *jwtvalidate.Issuer) { i.Encrypted = true }, jwtvalidate.ErrInvalidToken},
		{"another key id", nil, func(i *jwtvalidate.Issuer) { i.KeyID = "x5t" }, jwtvalidate.ErrInvalidToken},
		{"gone", nil, func(i *jwtvalidate.Issuer) { *i = jwtvalidate.Issuer{} }, jwtvalidate.ErrUnknownIssuer},
	} {
		for _, way := range []string{"IssuerTTL", "Forget", "MaxIssuers"} {
			t.Run(row.name+", "+way, func(t *testing.T) {
				now := clock()
				answer := policy(sourceOf(&ecKey().PublicKey))
				if row.before != nil {
					row.before(&answer)
				}
				v := validator(t, jwtvalidate.Config{
					MaxIssuers: 1, Now: func() time.Time { return now },
					DecryptionKeys: []jwtvalidate.DecryptionKey{{Algorithm: "RSA-OAEP", Key: decryptionPEM(t, rsaKey())}},
					IssuerFor: func(_ context.Context, iss string) (*jwtvalidate.Issuer, error) {
						i := answer
						if len(i.Algorithms) == 0 {
							return nil, nil
						}
						i.URL = iss
						return &i, nil
					},
				})
				c, err := v.CheckToken(t.Context(), tenantToken(t, ecKey(), a, ""))
				require.NoError(t, err)
				switch way {
				case "IssuerTTL":
					now = now.Add(time.Minute)
				case "Forget":
					v.Forget(a)
				case "MaxIssuers":
					_, err := v.CheckToken(t.Context(), tenantToken(t, ecKey(), b, ""))
					require.NoError(t, err)
				}
				if row.then != nil {
					row.then(&answer)
				}
				for range 2 {
					require.ErrorIs(t, v.Recheck(t.Context(), c), row.want)
				}
			})
		}
	}
}

// TestAnyTenantEvent: what a token that nobody has verified says is no label.
func TestAnyTenantEvent(t *testing.T) {
	i := policy(&entra{map[string]crypto.PublicKey{"": &ecKey().PublicKey}})
	i.URL, i.InsecureAnyTenant = "https://login.example.com/{tenantid}/v2.0", true
	var last jwtvalidate.Event
	var lines buffer
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{i}, Logger: lines.logger(),
		Observe: func(_ context.Context, e jwtvalidate.Event) { last = e },
	})
	const iss = "https://login.example.com/" + canary + "/v2.0"
	_, err := v.CheckToken(t.Context(), tenantToken(t, evilEC(), iss, ""))
	require.ErrorIs(t, err, jwtvalidate.ErrSignature)
	require.Equal(t, i.URL, last.Issuer)
	require.NotContains(t, lines.String(), canary)
	_, err = v.CheckToken(t.Context(), tenantToken(t, ecKey(), iss, `,"tid":"`+canary+`"`))
	require.NoError(t, err)
	require.Equal(t, iss, last.Issuer)
}

// TestMaxIssuersAndRemembered: that all tokens of an issuer are remembered does not
// make it the one that was asked for longest ago.
func TestMaxIssuersAndRemembered(t *testing.T) {
	g := newRegistry()
	now := clock()
	v := validator(t, jwtvalidate.Config{IssuerFor: g.find, MaxIssuers: 2, Now: func() time.Time { return now }})
	check := func(i int) {
		t.Helper()
		iss := tenantURL(i)
		if g.keys[iss] == nil {
			g.add(t, iss)
		}
		_, err := v.CheckToken(t.Context(), tenantToken(t, g.keys[iss], iss, ""))
		require.NoError(t, err)
	}
	iss := tenantURL(1)
	g.add(t, iss)
	busy := tenantToken(t, g.keys[iss], iss, "")
	_, err := v.CheckToken(t.Context(), busy)
	require.NoError(t, err)
	check(2) // once, and never again
	for range 3 {
		now = now.Add(time.Minute)
		_, err := v.CheckToken(t.Context(), busy)
		require.NoError(t, err)
	}
	asked := g.times(iss)
	check(3)
	_, err = v.CheckToken(t.Context(), busy)
	require.NoError(t, err)
	require.Equal(t, asked, g.times(iss), "the busiest has left")
}

// TestForgetMeanwhile: a good token is never refused because its issuer is forgotten
// at that moment.
func TestForgetMeanwhile(t *testing.T) {
	g := newRegistry()
	a := tenantURL(1)
	g.add(t, a)
	v := validator(t, jwtvalidate.Config{IssuerFor: g.find, CacheEntries: -1})
	token := tenantToken(t, g.keys[a], a, "")
	var done atomic.Bool
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for !done.Load() {
				v.Forget(a)
			}
		})
	}
	for range 4 {
		group.Go(func() {
			defer done.Store(true)
			for range 3_000 {
				if _, err := v.CheckToken(t.Context(), token); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// TestTenantsAndTheClock: one that is set back makes no answer good for longer, and a
// lifetime without end is one.
func TestTenantsAndTheClock(t *testing.T) {
	g := newRegistry()
	a := tenantURL(1)
	g.add(t, a)
	now := clock()
	v := validator(t, jwtvalidate.Config{IssuerFor: g.find, Now: func() time.Time { return now }})
	token := tenantToken(t, g.keys[a], a, "")
	_, err := v.CheckToken(t.Context(), token)
	require.NoError(t, err)
	delete(g.sets, a)
	now = now.Add(-time.Hour)
	_, err = v.CheckToken(t.Context(), token)
	require.ErrorIs(t, err, jwtvalidate.ErrUnknownIssuer)

	g.add(t, a)
	v = validator(t, jwtvalidate.Config{IssuerFor: g.find, IssuerTTL: math.MaxInt64})
	asked := g.times(a)
	for range 3 {
		_, err := v.CheckToken(t.Context(), tenantToken(t, g.keys[a], a, ""))
		require.NoError(t, err)
	}
	require.Equal(t, asked+1, g.times(a))
}

// TestTemplatesThatCannotBe: what no iss should be read as, and what would be silent.
func TestTemplatesThatCannotBe(t *testing.T) {
	template := func(url string, edit func(*jwtvalidate.Issuer)) jwtvalidate.Issuer {
		i := policy(&entra{map[string]crypto.PublicKey{"": &ecKey().PublicKey}})
		i.URL = url
		edit(&i)
		return i
	}
	const url = "https://login.example.com/{tenantid}/v2.0"
	allowed := func(i *jwtvalidate.Issuer) {
		i.TenantAllowed = func(context.Context, string) (bool, error) { return true, nil }
	}
	everybody := func(i *jwtvalidate.Issuer) { i.InsecureAnyTenant = true }
	tenants := func(list ...string) func(*jwtvalidate.Issuer) {
		return func(i *jwtvalidate.Issuer) { i.Tenants = list }
	}
	for _, row := range []struct {
		name    string
		issuers []jwtvalidate.Issuer
		want    string
	}{
		{"a list and a function", []jwtvalidate.Issuer{template(url, tenants("a")), template(url, allowed)}, ""},
		{"two lists", []jwtvalidate.Issuer{template(url, tenants("a")), template(url, tenants("b"))}, ""},
		{"a function twice", []jwtvalidate.Issuer{template(url, allowed), template(url, allowed)}, "Issuers[1].URL: is listed twice"},
		{"a function and any", []jwtvalidate.Issuer{template(url, allowed), template(url, everybody)}, "Issuers[1].URL: is listed twice"},
		{"the host", []jwtvalidate.Issuer{template("https://{tenantid}/v2.0", everybody)}, "Issuers[0].URL: "},
		{"a dot", []jwtvalidate.Issuer{template(url, tenants(".."))}, "Issuers[0].Tenants[0]: "},
	} {
		_, err := jwtvalidate.New(jwtvalidate.Config{Issuers: row.issuers})
		if row.want == "" {
			require.NoError(t, err, row.name)
			continue
		}
		require.ErrorContains(t, err, "jwtvalidate: "+row.want, row.name)
	}
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{template(url, func(i *jwtvalidate.Issuer) {
		i.TenantAllowed = func(_ context.Context, tenant string) (bool, error) {
			t.Errorf("asked about %q", tenant)
			return true, nil
		}
	})}})
	for _, tenant := range []string{".", "..", "%2e%2e", "a%2Fb", "a?b", "a#b", "a b", "ä", "", "a\u0000"} {
		_, err := v.CheckToken(t.Context(), tenantToken(t, ecKey(), "https://login.example.com/"+tenant+"/v2.0", fmt.Sprintf(`,"tid":%q`, tenant)))
		require.ErrorIs(t, err, jwtvalidate.ErrInvalidToken, tenant)
	}
}

// TestProtectedResourceURLs: the well-known URL is made of the Resource byte for byte.
func TestProtectedResourceURLs(t *testing.T) {
	for resource, want := range map[string]string{
		"https://api.example.com/a%2Fb":  "https://api.example.com/.well-known/oauth-protected-resource/a%2Fb",
		"https://api.example.com/a/":     "https://api.example.com/.well-known/oauth-protected-resource/a/", // RFC 9728 section 3.1: the slash behind the host only
		"https://api.example.com/%41":    "https://api.example.com/.well-known/oauth-protected-resource/%41",
		"https://api.example.com/?a=%22": "https://api.example.com/.well-known/oauth-protected-resource?a=%22",
	} {
		v := validator(t, jwtvalidate.Config{Resource: resource, Issuers: []jwtvalidate.Issuer{policy(sourceOf())}})
		a := record(v.Handler(http.NotFoundHandler()), request())
		require.Equal(t, `Bearer realm="api", resource_metadata="`+want+`"`, a.header.Get("WWW-Authenticate"))
	}
	for _, resource := range []string{"https://user:pass@api.example.com/", "https://:443/", "https://api.example.com/a b"} {
		for _, cfg := range []jwtvalidate.Config{{Resource: resource}, {ResourceMetadata: resource}} {
			cfg.Issuers = []jwtvalidate.Issuer{policy(sourceOf())}
			_, err := jwtvalidate.New(cfg)
			require.ErrorContains(t, err, "want an absolute URL", resource)
			require.NotContains(t, err.Error(), "pass")
		}
	}
}

// TestProtectedResourceForPages: a browser asks before it sends MCP-Protocol-Version.
func TestProtectedResourceForPages(t *testing.T) {
	v := validator(t, jwtvalidate.Config{Resource: resourceURL, Issuers: []jwtvalidate.Issuer{policy(sourceOf())}})
	r := httptest.NewRequest(http.MethodOptions, "/.well-known/oauth-protected-resource/mcp", http.NoBody)
	r.Header.Set("Origin", "https://inspector.example.com")
	r.Header.Set("Access-Control-Request-Method", "GET")
	r.Header.Set("Access-Control-Request-Headers", "mcp-protocol-version")
	a := record(v.ProtectedResource(), r)
	require.Equal(t, 204, a.status)
	require.Equal(t, "*", a.header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "*", a.header.Get("Access-Control-Allow-Headers"))
	require.Empty(t, a.header.Values("Access-Control-Allow-Credentials"))
}
