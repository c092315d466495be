package jwtvalidate_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// registry is where the tenants of a service are looked up.
type registry struct {
	mu    sync.Mutex
	keys  map[string]*ecdsa.PrivateKey
	sets  map[string]*source
	asked map[string]int
	err   error
}

func newRegistry() *registry {
	return &registry{keys: map[string]*ecdsa.PrivateKey{}, sets: map[string]*source{}, asked: map[string]int{}}
}

func tenantURL(i int) string { return fmt.Sprintf("https://tenant%d.example.com", i) }

func (g *registry) add(tb testing.TB, iss string) {
	tb.Helper()
	key, err := newP256()
	require.NoError(tb, err)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keys[iss], g.sets[iss] = key, sourceOf(&key.PublicKey)
}

func (g *registry) find(_ context.Context, iss string) (*jwtvalidate.Issuer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked[iss]++
	set := g.sets[iss]
	if g.err != nil || set == nil {
		return nil, g.err
	}
	return &jwtvalidate.Issuer{URL: iss, Algorithms: []string{"ES256"}, Keys: set, Audiences: []string{audience}}, nil
}

func (g *registry) times(iss string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[iss]
}

func (g *registry) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

func tenantToken(tb testing.TB, key any, iss, members string) string {
	tb.Helper()
	return mint(tb, jose.ES256, key, `{"alg":"ES256"}`, fmt.Sprintf(`{"iss":%q,"aud":"https://api.example.com","exp":1800003600%s}`, iss, members))
}

// TestIssuerFor: who is found, for how long that is good, and what an answer that
// cannot be had means.
func TestIssuerFor(t *testing.T) {
	g := newRegistry()
	now := clock()
	v := validator(t, jwtvalidate.Config{IssuerFor: g.find, IssuerTTL: 2 * time.Minute, Now: func() time.Time { return now }})
	a, b := tenantURL(1), tenantURL(2)
	g.add(t, a)
	g.add(t, b)
	token := tenantToken(t, g.keys[a], a, "")
	check := func(token string, want error) {
		t.Helper()
		c, err := v.CheckToken(t.Context(), token)
		require.ErrorIs(t, err, want)
		require.Equal(t, err == nil, c != nil)
	}
	for range 3 {
		check(token, nil)
	}
	require.Equal(t, 1, g.times(a))
	check(tenantToken(t, g.keys[b], a, ""), jwtvalidate.ErrSignature) // a key crosses no tenant
	check(tenantToken(t, g.keys[a], b, ""), jwtvalidate.ErrSignature)

	stranger := tenantURL(3)
	for range 3 {
		check(tenantToken(t, g.keys[a], stranger, ""), jwtvalidate.ErrUnknownIssuer)
	}
	require.Equal(t, 1, g.times(stranger))
	g.add(t, stranger)
	now = now.Add(29 * time.Second)
	check(tenantToken(t, g.keys[stranger], stranger, ""), jwtvalidate.ErrUnknownIssuer) // as of half a minute ago
	now = now.Add(time.Second)
	check(tenantToken(t, g.keys[stranger], stranger, ""), nil)

	known, err := v.CheckToken(t.Context(), token)
	require.NoError(t, err)
	now = clock().Add(2 * time.Minute)
	g.fail(errors.New("the table is locked"))
	require.ErrorIs(t, v.Recheck(t.Context(), known), jwtvalidate.ErrUnavailable)
	check(token, jwtvalidate.ErrUnavailable)
	check(token, jwtvalidate.ErrUnavailable)
	require.Equal(t, 2, g.times(a), "an error is remembered for a second")
	now = now.Add(time.Second)
	g.fail(nil)
	check(token, nil)
	require.Equal(t, 3, g.times(a))

	delete(g.sets, a) // the tenant has left
	check(token, nil)
	claims, err := v.CheckToken(t.Context(), token)
	require.NoError(t, err)
	require.NoError(t, v.Recheck(t.Context(), claims))
	v.Forget(a)
	require.ErrorIs(t, v.Recheck(t.Context(), claims), jwtvalidate.ErrUnknownIssuer)
	check(token, jwtvalidate.ErrUnknownIssuer)
	v.Forget("https://nobody.example.com")

	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err = v.CheckToken(gone, tenantToken(t, g.keys[b], tenantURL(4), ""))
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, g.times(tenantURL(4)), "nothing is asked for who has left")
}

// TestIssuerForAnswers: what an answer must be like.
func TestIssuerForAnswers(t *testing.T) {
	url := tenantURL(1)
	for _, row := range []struct {
		name   string
		answer func(jwtvalidate.Issuer) (*jwtvalidate.Issuer, error)
		want   error
	}{
		{"good", func(i jwtvalidate.Issuer) (*jwtvalidate.Issuer, error) { return &i, nil }, nil},
		{"unknown", func(jwtvalidate.Issuer) (*jwtvalidate.Issuer, error) { return nil, nil }, jwtvalidate.ErrUnknownIssuer},
		{"an error", func(i jwtvalidate.Issuer) (*jwtvalidate.Issuer, error) { return &i, errors.New("x") }, jwtvalidate.ErrUnavailable},
		{"of another issuer", func(i jwtvalidate.Issuer) (*jwtvalidate.Issuer, error) { i.URL += "/"; return &i, nil }, jwtvalidate.ErrUnavailable},
		{"of another case", func(i jwtvalidate.Issuer) (*jwtvalidate.Issuer, error) {
			i.URL = strings.ToUpper(i.URL)
			return &i, nil
		}, jwtvalidate.ErrUnavailable},
		{"empty", func(jwtvalidate.Issuer) (*jwtvalidate.Issuer, error) { return &jwtvalidate.Issuer{}, nil }, jwtvalidate.ErrUnavailable},
		{"without audiences", func(i jwtvalidate.Issuer) (*jwtvalidate.Issuer, error) { i.Audiences = nil; return &i, nil }, jwtvalidate.ErrUnavailable},
		{"of another algorithm", func(i jwtvalidate.Issuer) (*jwtvalidate.Issuer, error) {
			i.Algorithms = []string{"RS256"}
			return &i, nil
		}, jwtvalidate.ErrAlgorithm},
		{"HS256 with public keys", func(i jwtvalidate.Issuer) (*jwtvalidate.Issuer, error) {
			i.Algorithms = []string{"HS256"}
			return &i, nil
		}, jwtvalidate.ErrUnavailable},
		{"a panic", func(jwtvalidate.Issuer) (*jwtvalidate.Issuer, error) { panic("x") }, jwtvalidate.ErrUnavailable},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := validator(t, jwtvalidate.Config{IssuerFor: func(_ context.Context, iss string) (*jwtvalidate.Issuer, error) {
				require.Equal(t, url, iss)
				i := policy(sourceOf(&ecKey().PublicKey))
				i.URL = iss
				return row.answer(i)
			}})
			for range 2 {
				_, err := v.CheckToken(t.Context(), tenantToken(t, ecKey(), url, ""))
				require.ErrorIs(t, err, row.want)
			}
		})
	}
	v := validator(t, jwtvalidate.Config{IssuerFor: func(context.Context, string) (*jwtvalidate.Issuer, error) {
		t.Error("it is asked for what no issuer can be")
		return nil, nil
	}})
	for _, iss := range []string{`""`, `null`, `1`, `["https://tenant1.example.com"]`, `"` + strings.Repeat("x", 513) + `"`} {
		_, err := v.CheckToken(t.Context(), es256(t, `{"alg":"ES256"}`, `{"iss":`+iss+`,"aud":"https://api.example.com","exp":1800003600}`))
		require.ErrorIs(t, err, jwtvalidate.ErrUnknownIssuer, iss)
	}
	_, err := v.CheckToken(t.Context(), es256(t, `{"alg":"none"}`, goodPayload))
	require.ErrorIs(t, err, jwtvalidate.ErrAlgorithm)
}

// TestIssuerForTheSame: an answer that says the same forgets no token; one that says
// anything else does.
func TestIssuerForTheSame(t *testing.T) {
	now := clock()
	answer := policy(sourceOf(&ecKey().PublicKey))
	var cached atomic.Bool
	v := validator(t, jwtvalidate.Config{
		Now:       func() time.Time { return now },
		IssuerFor: func(context.Context, string) (*jwtvalidate.Issuer, error) { i := answer; return &i, nil },
		Observe:   func(_ context.Context, e jwtvalidate.Event) { cached.Store(e.Cached) },
	})
	token := good(t)
	check := func(want bool, err error) {
		t.Helper()
		now = now.Add(time.Minute)
		_, got := v.CheckToken(t.Context(), token)
		require.ErrorIs(t, got, err)
		require.Equal(t, want, cached.Load())
	}
	check(false, nil)
	check(true, nil)
	answer.Audiences = []string{audience, "other"}
	check(false, nil)
	check(true, nil)
	answer.Keys = sourceOf(&ecKey().PublicKey)
	check(false, nil)
	check(true, nil)
	answer.Required = []string{"sid"}
	check(false, jwtvalidate.ErrMissingClaim)
	answer.Required = nil
	check(false, nil)
	answer.Keys = sourceByValue{"x": {&ecKey().PublicKey}} // which == would panic on
	check(false, nil)
	check(false, nil)
}

type sourceByValue map[string][]crypto.PublicKey

func (s sourceByValue) Keys(context.Context, string, string) ([]crypto.PublicKey, error) {
	return s["x"], nil
}

// TestIssuerForHangs: who asks can leave, one question is asked for an issuer, and
// strangers cannot hold more than so many.
func TestIssuerForHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		release := make(chan struct{})
		v := validator(t, jwtvalidate.Config{IssuerFor: func(context.Context, string) (*jwtvalidate.Issuer, error) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer running.Add(-1)
			<-release // without regard to its context
			return nil, nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		tokens := make([]string, 1000)
		for i := range tokens {
			tokens[i] = tenantToken(t, ecKey(), tenantURL(i), "")
		}
		for range 10 {
			go func() {
				_, err := v.CheckToken(ctx, tokens[0])
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			}()
		}
		time.Sleep(2 * time.Second)
		require.Equal(t, int64(1), most.Load())
		var group sync.WaitGroup
		for _, token := range tokens {
			group.Go(func() {
				_, err := v.CheckToken(t.Context(), token)
				assert.ErrorIs(t, err, jwtvalidate.ErrUnavailable)
			})
		}
		group.Wait()
		require.Less(t, time.Since(start), 20*time.Second)
		require.LessOrEqual(t, most.Load(), int64(256))
		close(release)
		synctest.Wait()
		require.Zero(t, running.Load())
	})
}

// TestThousandTenants: they are made on demand under load, no key crosses a tenant,
// and what strangers ask for does not drive out who is known.
func TestThousandTenants(t *testing.T) {
	const n = 1000
	g := newRegistry()
	for i := range n {
		g.add(t, tenantURL(i))
	}
	v := validator(t, jwtvalidate.Config{IssuerFor: g.find})
	tokens := make([]string, n)
	for i := range n {
		tokens[i] = tenantToken(t, g.keys[tenantURL(i)], tenantURL(i), "")
	}
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for k := range n {
				i := (k*(2*w+1) + w) % n
				c, err := v.CheckToken(t.Context(), tokens[i])
				if err != nil || c.Issuer() != tenantURL(i) {
					t.Errorf("tenant %d: %v", i, err)
				}
				forged := tenantToken(t, g.keys[tenantURL((i+1)%n)], tenantURL(i), "")
				if _, err := v.CheckToken(t.Context(), forged); !errors.Is(err, jwtvalidate.ErrSignature) {
					t.Errorf("tenant %d: a key of another: %v", i, err)
				}
			}
		})
	}
	group.Wait()
	for i := range 5 * n {
		_, err := v.CheckToken(t.Context(), tenantToken(t, ecKey(), fmt.Sprintf("https://stranger%d.example.com", i), ""))
		require.ErrorIs(t, err, jwtvalidate.ErrUnknownIssuer)
	}
	for i := range n {
		_, err := v.CheckToken(t.Context(), tokens[i])
		require.NoError(t, err)
		require.Equal(t, 1, g.times(tenantURL(i)))
	}
}

// TestMaxIssuers: above it, the one that was asked for longest ago goes.
func TestMaxIssuers(t *testing.T) {
	g := newRegistry()
	v := validator(t, jwtvalidate.Config{IssuerFor: g.find, MaxIssuers: 2, CacheEntries: -1})
	for _, i := range []int{1, 2, 1, 3, 1, 2} {
		iss := tenantURL(i)
		if g.keys[iss] == nil {
			g.add(t, iss)
		}
		_, err := v.CheckToken(t.Context(), tenantToken(t, g.keys[iss], iss, ""))
		require.NoError(t, err)
	}
	require.Equal(t, []int{1, 2, 1}, []int{g.times(tenantURL(1)), g.times(tenantURL(2)), g.times(tenantURL(3))})
}

// entra is an issuer of many tenants with one set of keys, of which some are one tenant's.
type entra struct{ keys map[string]crypto.PublicKey }

func (e entra) Keys(context.Context, string, string) ([]crypto.PublicKey, error) {
	return nil, errors.New("nobody says whose")
}

func (e entra) KeysOf(_ context.Context, issuer, _, _ string) ([]crypto.PublicKey, error) {
	if key := e.keys[issuer]; key != nil {
		return []crypto.PublicKey{key}, nil
	}
	return []crypto.PublicKey{e.keys[""]}, nil
}

// TestTemplateIssuer: the segment is the tid, the tenant is allowed, and a key is its own.
func TestTemplateIssuer(t *testing.T) {
	const one, two, three = "11111111-aaaa", "22222222-bbbb", "33333333-cccc"
	url := func(tenant string) string { return "https://login.example.com/" + tenant + "/v2.0" }
	keys := &entra{map[string]crypto.PublicKey{"": &ecKey().PublicKey, url(two): &evilEC().PublicKey}}
	ways := map[string]func(*jwtvalidate.Issuer){
		"Tenants": func(i *jwtvalidate.Issuer) { i.Tenants = []string{one, two} },
		"TenantAllowed": func(i *jwtvalidate.Issuer) {
			i.TenantAllowed = func(_ context.Context, tenant string) (bool, error) {
				if tenant == "down" || tenant == "unsure" {
					return tenant == "unsure", errors.New("x")
				}
				return tenant == one || tenant == two, nil
			}
		},
		"InsecureAnyTenant": func(i *jwtvalidate.Issuer) { i.InsecureAnyTenant = true },
	}
	for way, set := range ways {
		t.Run(way, func(t *testing.T) {
			i := policy(keys)
			i.URL = url("{tenantid}")
			set(&i)
			var cached atomic.Bool
			v := validator(t, jwtvalidate.Config{
				Issuers: []jwtvalidate.Issuer{i},
				Observe: func(_ context.Context, e jwtvalidate.Event) { cached.Store(e.Cached) },
			})
			tid := func(tenant string) string { return fmt.Sprintf(`,"tid":%q`, tenant) }
			anyTenant := way == "InsecureAnyTenant"
			unless := func(accepted bool, err error) error {
				if accepted {
					return nil
				}
				return err
			}
			for _, row := range []struct {
				name     string
				key      any
				iss, tid string
				want     error
			}{
				{"good", ecKey(), url(one), tid(one), nil},
				{"the tenant's own key", evilEC(), url(two), tid(two), nil},
				{"the key of another tenant", evilEC(), url(one), tid(one), jwtvalidate.ErrSignature},
				{"tid of another", ecKey(), url(one), tid(two), jwtvalidate.ErrUnknownIssuer},
				{"no tid", ecKey(), url(one), "", jwtvalidate.ErrUnknownIssuer},
				{"tid that is no text", ecKey(), url(one), `,"tid":["` + one + `"]`, jwtvalidate.ErrUnknownIssuer},
				{"another case", ecKey(), url(strings.ToUpper(one)), tid(strings.ToUpper(one)), unless(anyTenant, jwtvalidate.ErrUnknownIssuer)},
				{"not allowed", ecKey(), url(three), tid(three), unless(anyTenant, jwtvalidate.ErrUnknownIssuer)},
				{"cannot say", ecKey(), url("down"), tid("down"), map[string]error{
					"Tenants": jwtvalidate.ErrUnknownIssuer, "TenantAllowed": jwtvalidate.ErrUnavailable, "InsecureAnyTenant": nil,
				}[way]},
				{"yes, and an error", ecKey(), url("unsure"), tid("unsure"), map[string]error{
					"Tenants": jwtvalidate.ErrUnknownIssuer, "TenantAllowed": jwtvalidate.ErrUnavailable, "InsecureAnyTenant": nil,
				}[way]},
				{"no prefix", ecKey(), one + "/v2.0", tid(one), jwtvalidate.ErrUnknownIssuer},
				{"the template itself", ecKey(), url("{tenantid}"), tid("{tenantid}"), jwtvalidate.ErrUnknownIssuer},
				{"an empty segment", ecKey(), url(""), tid(""), jwtvalidate.ErrUnknownIssuer},
				{"two segments", ecKey(), url(one + "/x"), tid(one + "/x"), jwtvalidate.ErrUnknownIssuer},
				{"another prefix", ecKey(), "https://evil.example.com/" + one + "/v2.0", tid(one), jwtvalidate.ErrUnknownIssuer},
				{"another suffix", ecKey(), "https://login.example.com/" + one + "/v1.0", tid(one), jwtvalidate.ErrUnknownIssuer},
				{"no suffix", ecKey(), "https://login.example.com/" + one, tid(one), jwtvalidate.ErrUnknownIssuer},
			} {
				token := tenantToken(t, row.key, row.iss, row.tid)
				for n := range 2 {
					c, err := v.CheckToken(t.Context(), token)
					require.ErrorIs(t, err, row.want, row.name)
					if err == nil {
						require.Equal(t, row.iss, c.Issuer())
						require.Equal(t, n == 1, cached.Load(), row.name)
						require.NoError(t, v.Recheck(t.Context(), c))
					}
				}
			}
		})
	}
}

// TestTenantSettings: what fits together.
func TestTenantSettings(t *testing.T) {
	allowed := func(context.Context, string) (bool, error) { return true, nil }
	template := func(edit func(*jwtvalidate.Issuer)) func(*jwtvalidate.Config) {
		return func(c *jwtvalidate.Config) {
			c.Issuers[0].URL = "https://login.example.com/{tenantid}/v2.0"
			c.Issuers[0].Keys = &entra{}
			edit(&c.Issuers[0])
		}
	}
	for _, row := range []struct {
		name string
		edit func(*jwtvalidate.Config)
		want string
	}{
		{"no template", func(*jwtvalidate.Config) {}, ""},
		{"tenants", template(func(i *jwtvalidate.Issuer) { i.Tenants = []string{"a", "b"} }), ""},
		{"static keys", template(func(i *jwtvalidate.Issuer) {
			i.InsecureAnyTenant = true
			i.Keys, _ = jwtvalidate.StaticKeys(&ecKey().PublicKey)
		}), ""},
		{"none of them", template(func(*jwtvalidate.Issuer) {}), "Issuers[0].Tenants, TenantAllowed, InsecureAnyTenant: "},
		{"two of them", template(func(i *jwtvalidate.Issuer) { i.TenantAllowed, i.InsecureAnyTenant = allowed, true }), "Issuers[0].Tenants, TenantAllowed, InsecureAnyTenant: "},
		{"an odd tenant", template(func(i *jwtvalidate.Issuer) { i.Tenants = []string{"a", "b/c"} }), "Issuers[0].Tenants[1]: "},
		{"a tenant twice", template(func(i *jwtvalidate.Issuer) { i.Tenants = []string{"a", "a"} }), "Issuers[0].URL: "},
		{"keys that are nobody's", template(func(i *jwtvalidate.Issuer) { i.InsecureAnyTenant, i.Keys = true, sourceOf() }), "Issuers[0].Keys: "},
		{"half a segment", template(func(i *jwtvalidate.Issuer) { i.URL, i.InsecureAnyTenant = "https://a.example.com/x{tenantid}", true }), "Issuers[0].URL: "},
		{"a host", template(func(i *jwtvalidate.Issuer) { i.URL, i.InsecureAnyTenant = "https://{tenantid}.example.com/", true }), "Issuers[0].URL: "},
		{"twice", template(func(i *jwtvalidate.Issuer) {
			i.URL, i.InsecureAnyTenant = "https://a.example.com/{tenantid}/{tenantid}", true
		}), "Issuers[0].URL: "},
		{"tenants without a template", func(c *jwtvalidate.Config) { c.Issuers[0].Tenants = []string{"a"} }, "Issuers[0].Tenants, TenantAllowed, InsecureAnyTenant: "},
		{"IssuerFor alone", func(c *jwtvalidate.Config) { c.Issuers, c.IssuerFor = nil, newRegistry().find }, ""},
		{"neither", func(c *jwtvalidate.Config) { c.Issuers = nil }, "Issuers: "},
		{"a lifetime of nothing", func(c *jwtvalidate.Config) { c.IssuerTTL = time.Minute }, "IssuerTTL, MaxIssuers: "},
		{"negative", func(c *jwtvalidate.Config) { c.IssuerFor, c.MaxIssuers = newRegistry().find, -1 }, "IssuerTTL, MaxIssuers: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(&ecKey().PublicKey))}}
			row.edit(&cfg)
			_, err := jwtvalidate.New(cfg)
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "jwtvalidate: "+row.want)
		})
	}
}
