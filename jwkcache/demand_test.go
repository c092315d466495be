package jwkcache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// warmed is a cache with one key in a bubble, whose first fetch is long enough ago
// for both demanded ones to be saved up.
func warmed(tb testing.TB, p *provider, change ...func(*jwkcache.Config)) *jwkcache.Cache {
	tb.Helper()
	c := newCache(tb, p, change...)
	require.NoError(tb, c.Warm(tb.Context()))
	time.Sleep(time.Minute)
	return c
}

// demanded looks an unknown kid up and returns how many fetches that made.
func demanded(tb testing.TB, c *jwkcache.Cache, kid string) uint64 {
	tb.Helper()
	before := c.Status().Fetches
	require.Empty(tb, lookup(tb, c, kid, "ES256"))
	return c.Status().Fetches - before
}

func TestUnknownKidWaitsForOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(publish(t, a))
		c := warmed(t, p)
		p.set(after(2*time.Second, publish(t, a, b)))
		start := time.Now()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				has(t, c, b)
				require.Equal(t, 2*time.Second, time.Since(start))
			})
			wg.Go(func() { atOnce(t, func() { has(t, c, a) }) })
		}
		wg.Wait()
		require.Equal(t, 2, p.asked())
		atOnce(t, func() { has(t, c, b) })
	})
}

func TestKnownKidForAnotherAlgorithmIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "same", jose.ES256), newKey(t, "same", jose.ES384)
		p := newProvider(publish(t, a))
		c := warmed(t, p)
		p.set(publish(t, a, b))
		has(t, c, b)
		require.Equal(t, 2, p.asked())
	})
}

func TestFirstKeyOfAnAlgorithmForTokensWithoutKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES384)
		p := newProvider(publish(t, a))
		c := warmed(t, p)
		p.set(publish(t, a, b))
		requireKeys(t, lookup(t, c, "", "ES384"), b)
		require.Equal(t, 2, p.asked())
	})
}

func TestWaiterLeavesAndTheFetchIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(publish(t, a))
		c := warmed(t, p)
		p.set(after(5*time.Second, publish(t, b)))
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := c.Keys(ctx, "b", "ES256")
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, 100*time.Millisecond, time.Since(start))
		has(t, c, b)
		require.Equal(t, 5*time.Second, time.Since(start))
		require.Equal(t, 2, p.asked())
	})
}

// TestFlood: 10 000 unknown kids in a burst, from every state that a cache can be in.
func TestFlood(t *testing.T) {
	for _, tt := range []struct {
		name string
		warm bool
		took time.Duration // of one fetch
	}{
		{"warm", true, time.Second},
		{"warm, answered at once", true, 0},
		{"cold", false, time.Second},
		{"cold, answered at once", false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKey(t, "k", jose.ES256)
				p := newProvider(publish(t, k))
				c := newCache(t, p)
				if tt.warm {
					c = warmed(t, p)
				}
				before := p.asked()
				p.set(after(tt.took, publish(t, k)))
				var wg sync.WaitGroup
				for i := range 10_000 {
					wg.Go(func() {
						require.Empty(t, lookup(t, c, fmt.Sprintf("unknown-%d", i), "ES256"))
					})
					if i%10 == 0 && tt.warm {
						wg.Go(func() { atOnce(t, func() { has(t, c, k) }) })
					}
				}
				wg.Wait()
				for i := range 1000 { // and it goes on
					require.Empty(t, lookup(t, c, fmt.Sprintf("later-%d", i), "ES256"))
				}
				require.LessOrEqual(t, p.asked()-before, 2)
				require.Positive(t, p.asked()-before)
				atOnce(t, func() { has(t, c, k) })
			})
		})
	}
}

// TestFloodOfOneKid is one stale client with many requests: one fetch, and the
// other one is left for a rotation.
func TestFloodOfOneKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(publish(t, a))
		c := warmed(t, p)
		p.set(after(time.Second, publish(t, a)))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { require.Empty(t, lookup(t, c, "stale", "ES256")) })
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		require.Equal(t, 2, p.asked())
		for range 25 {
			require.Zero(t, demanded(t, c, "stale"))
			time.Sleep(time.Second)
		}
		p.set(publish(t, b))
		has(t, c, b)
		require.Equal(t, 3, p.asked())
	})
}

// TestFloodLeavesValidLookupsAlone is on the real clock, and against a fetch that
// hangs until it is over.
func TestFloodLeavesValidLookupsAlone(t *testing.T) {
	k := newKey(t, "k", jose.ES256)
	p := newProvider(publish(t, k))
	c := newCache(t, p)
	has(t, c, k)
	const n = 20_000
	p99 := func() time.Duration {
		took := make([]time.Duration, n)
		for i := range took {
			start := time.Now()
			keys, err := c.Keys(t.Context(), "k", "ES256")
			took[i] = time.Since(start)
			if len(keys) != 1 || err != nil {
				t.Errorf("%v %v", keys, err)
			}
		}
		slices.Sort(took)
		return took[n*99/100]
	}
	quiet := p99()

	arrived, release := make(chan struct{}, 8), make(chan struct{})
	p.set(func(r *http.Request) (*http.Response, error) {
		arrived <- struct{}{}
		<-release
		return publish(t, k)(r)
	})
	var wg sync.WaitGroup
	for i := range 10_000 {
		wg.Go(func() {
			keys, err := c.Keys(t.Context(), fmt.Sprintf("unknown-%d", i), "ES256")
			if len(keys) != 0 || err != nil {
				t.Errorf("%v %v", keys, err)
			}
		})
	}
	<-arrived
	loud := p99()
	close(release)
	wg.Wait()
	t.Logf("p99 of a valid lookup: %v in quiet, %v in the flood", quiet, loud)
	require.Less(t, loud, quiet+5*time.Millisecond)
	require.LessOrEqual(t, p.asked(), 3)
}

func TestDemandIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		set   time.Duration
		every time.Duration
	}{
		{"30 s", 0, 30 * time.Second},
		{"as set", time.Second, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(publish(t, newKey(t, "k", jose.ES256)))
				c := warmed(t, p, func(c *jwkcache.Config) { c.MinRefetch = tt.set })
				serial := 0
				unknown := func() uint64 {
					serial++
					return demanded(t, c, fmt.Sprintf("unknown-%d", serial))
				}
				require.EqualValues(t, 1, unknown())
				require.EqualValues(t, 1, unknown(), "two are saved up")
				require.Zero(t, unknown())
				time.Sleep(tt.every - 1)
				require.Zero(t, unknown())
				time.Sleep(1)
				require.EqualValues(t, 1, unknown(), "one is earned")
				require.Zero(t, unknown())
				time.Sleep(tt.every * 3 / 2)
				require.EqualValues(t, 1, unknown())
				require.Zero(t, unknown())
				time.Sleep(tt.every / 2)
				require.EqualValues(t, 1, unknown(), "half of the time was kept")
				require.Zero(t, unknown())
				time.Sleep(5 * time.Minute)
				require.EqualValues(t, 1, unknown())
				require.EqualValues(t, 1, unknown())
				require.Zero(t, unknown(), "no more than two are saved up")
			})
		})
	}
}

// TestFirstFetchCounts: right after the start there is one more, not two.
func TestFirstFetchCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(publish(t, a))
		c := newCache(t, p)
		has(t, c, a)
		p.set(publish(t, a, b))
		has(t, c, b)
		require.Zero(t, demanded(t, c, "unknown"))
		require.Equal(t, 2, p.asked())
	})
}

func TestFailedFetchGivesBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		bad  replier
	}{
		{"network", fails},
		{"no answer", hangs},
		{"status 503", says(503, "")},
		{"garbage", says(200, "garbage")},
		{"a panic", func(*http.Request) (*http.Response, error) { panic("of the transport") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, d := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256), newKey(t, "d", jose.ES256)
				p := newProvider(publish(t, a))
				c := warmed(t, p, func(c *jwkcache.Config) {
					c.MinRefetch, c.RefreshAfter, c.MaxStale = 6*time.Hour, 12*time.Hour, 12*time.Hour
				})
				time.Sleep(6 * time.Hour)
				p.set(tt.bad)
				start := p.asked()
				for range 10 {
					for range 3 { // a failure that is remembered makes no fetch, and takes nothing
						_, err := c.Keys(t.Context(), "b", "ES256")
						require.ErrorIs(t, err, jwkcache.ErrUnavailable, "no kid is banned")
					}
					time.Sleep(31 * time.Second)
				}
				require.Equal(t, 10, p.asked()-start)
				p.set(publish(t, a, b))
				has(t, c, b)
				p.set(publish(t, a, b, d))
				has(t, c, d)
				require.Zero(t, demanded(t, c, "unknown"), "and there were two of them, as before")
			})
		})
	}
}

// TestFailedFetchGivesBackNoMore than what it took.
func TestFailedFetchGivesBackNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(publish(t, k))
		c := warmed(t, p)
		require.EqualValues(t, 1, demanded(t, c, "a"))
		p.set(fails)
		unavailable(t, c, "b")
		time.Sleep(time.Second)
		p.set(publish(t, k))
		require.EqualValues(t, 1, demanded(t, c, "c"))
		require.Zero(t, demanded(t, c, "d"))
	})
}

// TestClockGoesBack: that earns nothing, and stops no lookup.
func TestClockGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(publish(t, k))
		var back atomic.Int64
		c := warmed(t, p, func(c *jwkcache.Config) {
			c.Now = func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
		})
		require.EqualValues(t, 1, demanded(t, c, "a"))
		back.Store(int64(time.Hour))
		before := p.asked()
		for i := range 20 {
			require.Empty(t, lookup(t, c, fmt.Sprintf("b-%d", i), "ES256"))
			has(t, c, k)
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, p.asked()-before, 1)
	})
}

// TestOtherFetchesGiveNothingBack: a refresh that fails was not demanded.
func TestOtherFetchesGiveNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(publish(t, k))
		c := newCache(t, p, func(c *jwkcache.Config) { c.MinRefetch = 10 * time.Hour })
		has(t, c, k)
		require.EqualValues(t, 1, demanded(t, c, "unknown"))
		require.Zero(t, demanded(t, c, "another"))
		p.set(fails)
		for range 3 {
			time.Sleep(untilRefresh(c))
			atOnce(t, func() { has(t, c, k) })
			synctest.Wait()
		}
		require.EqualValues(t, 3, c.Status().Failures)
		p.set(publish(t, k))
		refreshed(t, c)
		require.Zero(t, demanded(t, c, "another"))
	})
}

func TestUnknownKidIsRemembered(t *testing.T) {
	long := strings.Repeat("k", 129)
	nothing := func(*testing.T, *provider, *jwkcache.Cache) {}
	wait := func(d time.Duration) func(*testing.T, *provider, *jwkcache.Cache) {
		return func(*testing.T, *provider, *jwkcache.Cache) { time.Sleep(d) }
	}
	for _, tt := range []struct {
		name string
		kid  string
		then func(*testing.T, *provider, *jwkcache.Cache)
		want uint64 // fetches when it is asked for again

		refreshAfter time.Duration
	}{
		{"at once", "kid", nothing, 0, 70 * time.Second},
		{"no kid", "", nothing, 0, 70 * time.Second},
		{"128 bytes", long[1:], nothing, 0, 70 * time.Second},
		{"too long to be remembered", long, nothing, 1, 70 * time.Second},
		{"just before the end", "kid", wait(30*time.Second - time.Millisecond), 0, 70 * time.Second},
		{"after MinRefetch", "kid", wait(30 * time.Second), 1, 70 * time.Second},
		{"after another fetch", "kid", func(t *testing.T, _ *provider, c *jwkcache.Cache) {
			time.Sleep(23 * time.Second)
			require.NoError(t, c.Warm(t.Context()))
			synctest.Wait()
			require.EqualValues(t, 3, c.Status().Fetches, "for its age")
		}, 1, 20 * time.Second},
		{"after a fetch that failed", "kid", func(t *testing.T, p *provider, c *jwkcache.Cache) {
			p.set(fails)
			_, err := c.Keys(t.Context(), "another", "ES256")
			require.ErrorIs(t, err, jwkcache.ErrUnavailable)
			time.Sleep(time.Second)
			require.EqualValues(t, 1, c.Status().Failures)
			p.set(publish(t, newKey(t, "k", jose.EdDSA)))
		}, 0, 70 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var clock tickingClock
				p := newProvider(publish(t, newKey(t, "k", jose.EdDSA)))
				c := warmed(t, p, func(c *jwkcache.Config) { c.Now, c.RefreshAfter = clock.now, tt.refreshAfter })
				require.EqualValues(t, 1, demanded(t, c, tt.kid))
				tt.then(t, p, c)
				require.Equal(t, tt.want, demanded(t, c, tt.kid))
			})
		})
	}
}

// tickingClock never stands still, as the real one, although the bubble's does.
type tickingClock struct{ ticks atomic.Int64 }

func (c *tickingClock) now() time.Time { return time.Now().Add(time.Duration(c.ticks.Add(1))) }

func TestUnknownKidThatComesIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, d := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256), newKey(t, "d", jose.ES256)
		p := newProvider(publish(t, a))
		c := warmed(t, p)
		hasNot(t, c, b) // a stranger guesses the next kid, or an instance of the issuer lags behind
		p.set(publish(t, a, b, d))
		has(t, c, d)
		has(t, c, b)
	})
}

// TestWhoeverWaitedIsRemembered: not only the lookup that started the fetch.
func TestWhoeverWaitedIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(publish(t, k))
		c := warmed(t, p)
		time.Sleep(untilRefresh(c))
		p.set(after(2*time.Second, publish(t, k)))
		atOnce(t, func() { has(t, c, k) })
		time.Sleep(time.Second)
		kids := []string{"a", "b", "c"}
		var wg sync.WaitGroup
		for _, kid := range kids { // wait for the refresh, and then for one fetch of their own
			wg.Go(func() { require.Empty(t, lookup(t, c, kid, "ES256")) })
		}
		wg.Wait()
		require.Equal(t, 3, p.asked())
		for _, kid := range kids {
			require.Zero(t, demanded(t, c, kid), kid)
		}
		require.EqualValues(t, 1, demanded(t, c, "d"), "there was one left")
	})
}

// TestUnknownKidsAreNotHoarded measures what a flood leaves behind: of many kids,
// and of kids that are a part of something large, as of a token.
func TestUnknownKidsAreNotHoarded(t *testing.T) {
	for _, tt := range []struct{ n, whole int }{{10_000, 128}, {1500, 16 << 10}} {
		t.Run(fmt.Sprintf("%d kids in %d bytes", tt.n, tt.whole), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKey(t, "k", jose.ES256)
				p := newProvider(publish(t, k))
				c := warmed(t, p)
				p.set(after(time.Second, publish(t, k)))
				heap := func() int64 {
					var m runtime.MemStats
					runtime.GC()
					runtime.GC()
					runtime.ReadMemStats(&m)
					return int64(m.HeapAlloc)
				}
				burst := func(f func(i int)) {
					var wg sync.WaitGroup
					for i := range tt.n {
						wg.Go(func() { f(i) })
					}
					wg.Wait()
				}
				burst(func(int) { time.Sleep(time.Second) }) // the runtime hoards goroutines itself
				before := heap()
				burst(func(i int) {
					kid := strings.Repeat("k", tt.whole-8) + fmt.Sprintf("%08d", i)
					_, _ = c.Keys(t.Context(), kid[tt.whole-128:], "ES256")
				})
				require.Less(t, heap()-before, int64(1<<20), "1024 kids are 0.2 MB")
				require.Equal(t, 3, p.asked())
			})
		})
	}
}

// TestFetchUnderWayMayBeOlderThanTheKey: an answer that was made before the rotation
// tells nothing about the new key.
func TestFetchUnderWayMayBeOlderThanTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(publish(t, a))
		c := warmed(t, p)
		time.Sleep(untilRefresh(c))
		p.set(after(2*time.Second, publish(t, a))) // the old set, slowly
		atOnce(t, func() { has(t, c, a) })
		time.Sleep(time.Second)
		p.set(publish(t, b))
		start := time.Now()
		has(t, c, b)
		require.Equal(t, time.Second, time.Since(start), "it waited for the one, and then for its own")
		require.Equal(t, 3, p.asked())
	})
}

// TestFetchIsOverBeforeItIsReported: who comes between the two is not sent away
// with a set that is older than the lookup.
func TestFetchIsOverBeforeItIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(publish(t, a))
		c := newCache(t, p, func(c *jwkcache.Config) {
			c.Observe = func(context.Context, jwkcache.Event) { time.Sleep(time.Second) }
		})
		has(t, c, a)
		time.Sleep(time.Minute)
		go c.Keys(t.Context(), "unknown", "ES256")
		synctest.Wait()
		p.set(publish(t, b))
		atOnce(t, func() { has(t, c, a) })
		has(t, c, b)
		time.Sleep(time.Minute)
	})
}

// validator trusts one issuer, by the keys of a cache.
func validator(tb testing.TB, c *jwkcache.Cache, iss string, algs ...string) *jwtvalidate.Validator {
	tb.Helper()
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: iss, Algorithms: algs, Keys: c, Audiences: []string{testidp.Audience},
	}}})
	require.NoError(tb, err)
	return v
}

// mint makes a good token for a day, by the clock of the bubble if there is one.
func mint(tb testing.TB, k testidp.Key, iss string) string {
	tb.Helper()
	now := time.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": iss, "aud": testidp.Audience, "sub": "user", "iat": now.Unix(), "exp": now.Add(24 * time.Hour).Unix(),
	})
	require.NoError(tb, err)
	return k.Mint(tb, "at+jwt", string(payload))
}

func TestBadSignatureOfAKnownKidNeverFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, stranger := newKey(t, "k", jose.ES256), newKey(t, "k", jose.ES256)
		p := newProvider(publish(t, k))
		c := warmed(t, p)
		v := validator(t, c, issuer, "ES256")
		good, bad := mint(t, k, issuer), mint(t, stranger, issuer)
		for range 1000 {
			_, err := v.CheckToken(t.Context(), bad)
			require.ErrorIs(t, err, jwtvalidate.ErrSignature)
			_, err = v.CheckToken(t.Context(), good)
			require.NoError(t, err)
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, 1, p.asked())
	})
}
