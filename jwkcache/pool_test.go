package jwkcache_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

// loopbackPool may connect to the servers of the tests.
func loopbackPool(t *testing.T, change ...func(*jwkcache.PoolConfig)) *jwkcache.Pool {
	t.Helper()
	cfg := jwkcache.PoolConfig{InsecurePrivateAddresses: true, Cache: jwkcache.Config{InsecureHTTP: true}}
	for _, f := range change {
		f(&cfg)
	}
	p, err := jwkcache.NewPool(cfg)
	require.NoError(t, err)
	return p
}

func mustGet(t *testing.T, p *jwkcache.Pool, issuer, url string) *jwkcache.Cache {
	t.Helper()
	c, err := p.Get(issuer, url)
	require.NoError(t, err)
	return c
}

func TestPoolKeysByIssuerAndURL(t *testing.T) {
	p := loopbackPool(t)
	pairs := [][2]string{
		{"https://a.example.com", ""},
		{"https://a.example.com/", ""},
		{"https://b.example.com", ""},
		{"https://a.example.com", "https://a.example.com"},
		{"https://a.example.com", "https://b.example.com"},
		{"https://b.example.com", "https://a.example.com"},
		{"an issuer that is no URL", "https://a.example.com"},
	}
	seen := make(map[*jwkcache.Cache][2]string)
	for _, pair := range pairs {
		c := mustGet(t, p, pair[0], pair[1])
		require.NotContains(t, seen, c, "%v", pair)
		seen[c] = pair
	}
	for _, pair := range pairs {
		require.Equal(t, pair, seen[mustGet(t, p, pair[0], pair[1])])
	}
	require.Equal(t, len(pairs), p.Len())
}

// TestPoolNothingCrosses: CVE-2026-49998 of Centrifugo is a cache whose key was
// the kid.
func TestPoolNothingCrosses(t *testing.T) {
	p := loopbackPool(t)
	a, b := testidp.New(t, jose.ES256), testidp.New(t, jose.ES256)
	require.Equal(t, a.Key().ID, b.Key().ID, "the same kid")
	onlyB := b.Rotate(jose.ES256, true)

	find := func(issuer, url, kid string) []crypto.PublicKey {
		t.Helper()
		keys, err := mustGet(t, p, issuer, url).Keys(t.Context(), kid, "ES256")
		require.NoError(t, err)
		return keys
	}
	require.Equal(t, []crypto.PublicKey{a.Key().Signer.Public()}, find(a.Issuer(), "", "key-1"))
	require.Equal(t, []crypto.PublicKey{onlyB.Signer.Public()}, find(b.Issuer(), "", onlyB.ID))
	require.NotEqual(t, find(a.Issuer(), "", "key-1"), find(b.Issuer(), "", "key-1"))
	before := b.Requests(testidp.JWKSPath)
	require.Empty(t, find(a.Issuer(), "", onlyB.ID))
	require.Equal(t, before, b.Requests(testidp.JWKSPath), "a's unknown kid is not asked for at b")

	// Two issuers at one URL are two caches all the same, and one issuer may be at two.
	before = a.Requests(testidp.JWKSPath)
	for _, issuer := range []string{"https://one.example.com", "https://two.example.com"} {
		require.Len(t, find(issuer, a.JWKSURL(), "key-1"), 1)
	}
	require.Equal(t, before+2, a.Requests(testidp.JWKSPath))
	require.Equal(t, []crypto.PublicKey{onlyB.Signer.Public()}, find(a.Issuer(), b.JWKSURL(), onlyB.ID))
	require.Empty(t, find(a.Issuer(), "", onlyB.ID))
}

// TestPoolFailuresDoNotCross: one issuer's outage is its own.
func TestPoolFailuresDoNotCross(t *testing.T) {
	p := loopbackPool(t)
	down, up := testidp.New(t, jose.ES256), testidp.New(t, jose.ES256)
	down.Answer(testidp.JWKSPath, testidp.Body(503, "text/plain", ""))
	require.ErrorIs(t, mustGet(t, p, down.Issuer(), "").Warm(t.Context()), jwkcache.ErrUnavailable)
	require.NoError(t, mustGet(t, p, up.Issuer(), "").Warm(t.Context()))
	require.NoError(t, mustGet(t, p, up.Issuer(), "").Status().LastError)
	require.Error(t, mustGet(t, p, down.Issuer(), "").Status().LastError)
}

func TestPoolDropsWhatWasAskedForLongestAgo(t *testing.T) {
	p := loopbackPool(t, func(c *jwkcache.PoolConfig) { c.MaxCaches = 2 })
	a, b := mustGet(t, p, "https://a.test", ""), mustGet(t, p, "https://b.test", "")
	require.Same(t, a, mustGet(t, p, "https://a.test", ""))
	mustGet(t, p, "https://c.test", "")
	require.Equal(t, 2, p.Len())
	require.Same(t, a, mustGet(t, p, "https://a.test", ""), "it was asked for after b")
	require.NotSame(t, b, mustGet(t, p, "https://b.test", ""))
	require.Equal(t, 2, p.Len())

	one := loopbackPool(t, func(c *jwkcache.PoolConfig) { c.MaxCaches = 1 })
	for i := range 100 {
		mustGet(t, one, "https://"+strconv.Itoa(i)+".test", "")
		require.Equal(t, 1, one.Len())
	}
	thousand := loopbackPool(t)
	for i := range 1100 {
		mustGet(t, thousand, "https://"+strconv.Itoa(i)+".test", "")
	}
	require.Equal(t, 1000, thousand.Len(), "by default")
}

func TestPoolDropsTheIdle(t *testing.T) {
	for _, tt := range []struct{ set, idle time.Duration }{{0, time.Hour}, {time.Minute, time.Minute}} {
		t.Run(tt.idle.String(), func(t *testing.T) {
			clock := newSettable()
			p := loopbackPool(t, func(c *jwkcache.PoolConfig) { c.IdleAfter, c.Cache.Now = tt.set, clock.Now })
			a, b := mustGet(t, p, "https://a.test", ""), mustGet(t, p, "https://b.test", "")
			clock.add(tt.idle - 1)
			require.Same(t, a, mustGet(t, p, "https://a.test", ""))
			require.Equal(t, 2, p.Len())
			clock.add(1)
			require.Same(t, a, mustGet(t, p, "https://a.test", ""))
			require.Equal(t, 1, p.Len(), "b has been idle")
			require.NotSame(t, b, mustGet(t, p, "https://b.test", ""))
			clock.add(tt.idle)
			require.NotSame(t, a, mustGet(t, p, "https://a.test", ""), "one that is idle is not served once more")
			require.Equal(t, 1, p.Len())
		})
	}
}

// TestPoolGuard: an issuer that is not known beforehand must not make us ask what
// is inside (CVE-2026-32301 of Centrifugo, CVE-2025-52477 of octo-sts).
func TestPoolGuard(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	guarded := loopbackPool(t, func(c *jwkcache.PoolConfig) { c.InsecurePrivateAddresses = false })
	_, port, _ := strings.Cut(strings.TrimPrefix(idp.Issuer(), "http://"), ":")
	for _, base := range []string{idp.Issuer(), "http://localhost:" + port, "http://[::ffff:127.0.0.1]:" + port} {
		for _, url := range []string{"", base + testidp.JWKSPath} {
			err := mustGet(t, guarded, base, url).Warm(t.Context())
			require.ErrorIs(t, err, jwkcache.ErrUnavailable)
			require.ErrorContains(t, err, "fetch: address is not public: ")
		}
	}
	require.Zero(t, idp.Requests(testidp.JWKSPath)+idp.Requests(testidp.MetadataPath))

	require.NoError(t, mustGet(t, loopbackPool(t), idp.Issuer(), "").Warm(t.Context()), "opted out by name")
	lent := loopbackPool(t, func(c *jwkcache.PoolConfig) { c.Cache.Client = idp.Server().Client() })
	require.NoError(t, mustGet(t, lent, idp.Issuer(), "").Warm(t.Context()))
}

func TestPoolConfig(t *testing.T) {
	const foreign = "jwkcache: Cache: URL, Issuer, File, Set, Decrypt and Snapshot belong to one cache"
	const unguarded = "jwkcache: Cache.Client: its Transport is not guarded; say InsecurePrivateAddresses, or leave it out"
	for _, tt := range []struct {
		name string
		cfg  jwkcache.PoolConfig
		want string
	}{
		{"the zero value", jwkcache.PoolConfig{}, ""},
		{"URL", jwkcache.PoolConfig{Cache: jwkcache.Config{URL: keysURL}}, foreign},
		{"Issuer", jwkcache.PoolConfig{Cache: jwkcache.Config{Issuer: keysURL}}, foreign},
		{"File", jwkcache.PoolConfig{Cache: jwkcache.Config{File: "keys.json"}}, foreign},
		{"Set", jwkcache.PoolConfig{Cache: jwkcache.Config{Set: []byte{}}}, foreign},
		{"Snapshot", jwkcache.PoolConfig{Cache: jwkcache.Config{Snapshot: "keys.json"}}, foreign},
		{"Decrypt", jwkcache.PoolConfig{Cache: jwkcache.Config{Decrypt: plain}}, foreign},
		{"MaxCaches", jwkcache.PoolConfig{MaxCaches: -1}, "jwkcache: MaxCaches: negative"},
		{"IdleAfter", jwkcache.PoolConfig{IdleAfter: -1}, "jwkcache: IdleAfter: negative"},
		{"Client", jwkcache.PoolConfig{Cache: jwkcache.Config{Client: &http.Client{}}}, unguarded},
		{"Client, opted out", jwkcache.PoolConfig{Cache: jwkcache.Config{Client: &http.Client{}}, InsecurePrivateAddresses: true}, ""},
		{"all at once", jwkcache.PoolConfig{
			Cache:     jwkcache.Config{URL: keysURL, Client: &http.Client{}, MinRefetch: -1, MaxKeys: -1, Timeout: -1},
			MaxCaches: -1, IdleAfter: -1,
		}, strings.Join([]string{
			foreign, unguarded, "jwkcache: MaxCaches: negative", "jwkcache: IdleAfter: negative",
			"jwkcache: Cache.MinRefetch: negative", "jwkcache: Cache.MaxKeys: negative", "jwkcache: Cache.Timeout: negative",
		}, "\n")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := jwkcache.NewPool(tt.cfg)
			if tt.want == "" {
				require.NoError(t, err)
				require.Zero(t, p.Len())
				return
			}
			require.EqualError(t, err, tt.want)
			require.Nil(t, p)
		})
	}
}

func TestPoolRefusesBadPairs(t *testing.T) {
	p, err := jwkcache.NewPool(jwkcache.PoolConfig{})
	require.NoError(t, err)
	for _, tt := range []struct{ name, issuer, url, want string }{
		{"no issuer", "", "", "jwkcache: Pool: an issuer is required"},
		{"no issuer, with a URL", "", keysURL, "jwkcache: Pool: an issuer is required"},
		{"http issuer", "http://idp.test", "", "jwkcache: Issuer: not https (InsecureHTTP allows http)"},
		{"issuer with a query", "https://idp.test?x", "", "jwkcache: Issuer: with a query"},
		{"http URL", "https://idp.test", "http://idp.test", "jwkcache: URL: not https (InsecureHTTP allows http)"},
		{"relative URL", "https://idp.test", "jwks", "jwkcache: URL: not https"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				c, err := p.Get(tt.issuer, tt.url)
				require.EqualError(t, err, tt.want)
				require.Nil(t, c)
			}
			require.Zero(t, p.Len(), "nothing is kept of it")
		})
	}
	full := loopbackPool(t, func(c *jwkcache.PoolConfig) { c.MaxCaches = 1 })
	kept := mustGet(t, full, "https://idp.test", "")
	_, err = full.Get("https://idp.test?x", "")
	require.Error(t, err)
	require.Same(t, kept, mustGet(t, full, "https://idp.test", ""), "and it crowds nobody out")
}

// TestPoolThousandIssuers: each has its own key under the same kid, is fetched
// once, and answers with its own key only.
func TestPoolThousandIssuers(t *testing.T) {
	const issuers, callers = 1000, 8
	var want [issuers]testidp.Key
	var sets [issuers]string
	var asked [issuers]atomic.Int32
	for i := range issuers {
		want[i] = newKey(t, "kid", jose.EdDSA)
		sets[i] = setOf(jwk(t, want[i], nil))
	}
	p := loopbackPool(t, func(c *jwkcache.PoolConfig) {
		c.Cache.Client = newProvider(func(r *http.Request) (*http.Response, error) {
			i, err := strconv.Atoi(r.URL.Path[1:])
			if err != nil {
				return nil, err
			}
			asked[i].Add(1)
			return says(http.StatusOK, sets[i])(r)
		}).client()
	})
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			for j := range issuers {
				i := (j + n*issuers/callers/4) % issuers
				c, err := p.Get(fmt.Sprintf("https://%d.test", i), "https://keys.test/"+strconv.Itoa(i))
				if err != nil {
					t.Error(err)
					return
				}
				keys, err := c.Keys(t.Context(), "kid", "EdDSA")
				if err != nil || len(keys) != 1 || !want[i].Signer.Public().(ed25519.PublicKey).Equal(keys[0]) {
					t.Errorf("issuer %d: %d keys, %v", i, len(keys), err)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, issuers, p.Len())
	for i := range asked {
		require.EqualValues(t, 1, asked[i].Load(), "issuer %d", i)
	}
}

// TestPoolLeavesNothingBehind: a dropped cache is garbage, and a fetch of it that
// is under way ends by its deadline.
func TestPoolLeavesNothingBehind(t *testing.T) {
	good, stuck := testidp.New(t, jose.ES256), testidp.New(t, jose.ES256)
	arrived, release := stuck.Stall(testidp.JWKSPath)
	defer release()
	before := runtime.NumGoroutine()
	p := loopbackPool(t, func(c *jwkcache.PoolConfig) { c.MaxCaches, c.Cache.Timeout = 1, 200*time.Millisecond })
	var dropped []weak.Pointer[jwkcache.Cache]
	for i := range 20 {
		issuer := "https://" + strconv.Itoa(i) + ".test"
		if i%2 == 0 {
			c := mustGet(t, p, issuer, good.JWKSURL())
			require.NoError(t, c.Warm(t.Context()))
			dropped = append(dropped, weak.Make(c))
			continue
		}
		c := mustGet(t, p, issuer, stuck.JWKSURL())
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		require.Equal(t, context.Canceled, c.Warm(ctx), "the caller leaves, the fetch goes on")
		dropped = append(dropped, weak.Make(c))
	}
	mustGet(t, p, "https://last.test", "")
	gone := func() bool {
		runtime.GC()
		for _, c := range dropped {
			if c.Value() != nil {
				return false
			}
		}
		return runtime.NumGoroutine() <= before
	}
	for deadline := time.Now().Add(10 * time.Second); !gone(); runtime.Gosched() {
		require.True(t, time.Now().Before(deadline), "caches or goroutines are left: %d, before %d", runtime.NumGoroutine(), before)
	}
	runtime.KeepAlive(p)
}
