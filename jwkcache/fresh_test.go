package jwkcache_test

import (
	"context"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

// Every test here runs in a bubble: it fails if a goroutine is left at its end, and
// its clock moves only while all of them wait.

// untilRefresh is the time to the next fetch.
func untilRefresh(c *jwkcache.Cache) time.Duration { return time.Until(c.Status().NextFetch) }

// atOnce runs f, which must not wait for anything.
func atOnce(tb testing.TB, f func()) {
	tb.Helper()
	start := time.Now()
	f()
	require.Zero(tb, time.Since(start), "it waited")
}

func TestRefreshIsJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(publish(t, newKey(t, "k", jose.ES256)))
		for _, tt := range []struct{ set, mean time.Duration }{{0, 15 * time.Minute}, {20 * time.Second, 20 * time.Second}} {
			seen := map[time.Duration]bool{}
			var early, late bool
			for range 200 {
				c := newCache(t, p, func(c *jwkcache.Config) { c.RefreshAfter = tt.set })
				require.NoError(t, c.Warm(t.Context()))
				d := untilRefresh(c)
				require.GreaterOrEqual(t, d, tt.mean*9/10)
				require.LessOrEqual(t, d, tt.mean*11/10)
				seen[d] = true
				early, late = early || d < tt.mean, late || d > tt.mean
			}
			require.Greater(t, len(seen), 100)
			require.True(t, early && late)
		}
	})
}

func TestAgedSetIsServedWhileOneRefreshRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(publish(t, a))
		c := newCache(t, p)
		has(t, c, a)
		time.Sleep(untilRefresh(c) - 1)
		atOnce(t, func() { has(t, c, a) })
		require.Equal(t, 1, p.asked(), "not a moment too early")

		p.set(after(3*time.Second, publish(t, b)))
		time.Sleep(1)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { atOnce(t, func() { has(t, c, a) }) })
		}
		wg.Wait()
		require.Equal(t, 2, p.asked(), "one refresh")
		time.Sleep(3*time.Second - 1)
		atOnce(t, func() { has(t, c, a) })
		time.Sleep(1)
		synctest.Wait()
		atOnce(t, func() { has(t, c, b) })
		require.Equal(t, 2, p.asked())
		require.EqualValues(t, 2, c.Status().Fetches)
	})
}

// TestRemovedKeyIsNotTrustedBecauseNobodyCalled is the idle service.
func TestRemovedKeyIsNotTrustedBecauseNobodyCalled(t *testing.T) {
	for _, tt := range []struct {
		name string
		idle func(refresh time.Duration) time.Duration
		wait bool
	}{
		{"just below twice the age of refresh", func(d time.Duration) time.Duration { return 2*d - 1 }, false},
		{"twice the age of refresh", func(d time.Duration) time.Duration { return 2 * d }, true},
		{"a day", func(time.Duration) time.Duration { return 24 * time.Hour }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone, stays := newKey(t, "gone", jose.ES256), newKey(t, "stays", jose.ES256)
				p := newProvider(publish(t, gone, stays))
				c := newCache(t, p)
				has(t, c, gone)
				idle := tt.idle(untilRefresh(c))
				p.set(after(3*time.Second, publish(t, stays)))
				time.Sleep(idle)
				if !tt.wait {
					atOnce(t, func() { has(t, c, gone) })
					time.Sleep(time.Minute) // for the refresh behind it
					return
				}
				start := time.Now()
				var wg sync.WaitGroup
				for range 100 {
					wg.Go(func() {
						has(t, c, stays)
						require.Equal(t, 3*time.Second, time.Since(start))
					})
				}
				wg.Wait()
				require.Equal(t, 2, p.asked())
				hasNot(t, c, gone)
			})
		})
	}
}

func TestIdleServiceWaitsOnTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, stays := newKey(t, "gone", jose.ES256), newKey(t, "stays", jose.ES256)
		p := newProvider(publish(t, gone, stays))
		c := newCache(t, p)
		has(t, c, gone)
		time.Sleep(2 * time.Hour)
		p.set(after(3*time.Second, publish(t, stays)))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := c.Keys(ctx, "gone", "ES256")
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, 100*time.Millisecond, time.Since(start))
		time.Sleep(2900 * time.Millisecond)
		synctest.Wait()
		atOnce(t, func() { has(t, c, stays) })
		hasNot(t, c, gone)
		require.Equal(t, 3, p.asked(), "one for the age, one for the key that is gone")
	})
}

// TestIdleServiceFallsBack: the old set serves only if the fetch fails, and only up
// to MaxStale.
func TestIdleServiceFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(publish(t, k))
		c := newCache(t, p)
		has(t, c, k)
		time.Sleep(40 * time.Minute)
		p.set(after(3*time.Second, fails))
		start := time.Now()
		has(t, c, k)
		require.Equal(t, 3*time.Second, time.Since(start), "the fetch comes first")
		atOnce(t, func() { has(t, c, k) }) // and is not waited for again and again
		for time.Since(start) < 19*time.Minute {
			time.Sleep(time.Minute)
			atOnce(t, func() { has(t, c, k) })
		}
		time.Sleep(20*time.Minute - time.Since(start))
		_, err := c.Keys(t.Context(), "k", "ES256")
		require.ErrorIs(t, err, jwkcache.ErrUnavailable)
	})
}

// TestIdleAfterAnOutage: a failure long ago is no reason to trust an old set.
func TestIdleAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, stays := newKey(t, "gone", jose.ES256), newKey(t, "stays", jose.ES256)
		p := newProvider(publish(t, gone))
		c := newCache(t, p)
		has(t, c, gone)
		p.set(fails)
		time.Sleep(untilRefresh(c))
		has(t, c, gone)
		synctest.Wait()
		require.Error(t, c.Status().LastError)
		p.set(after(time.Second, publish(t, stays)))
		time.Sleep(20 * time.Minute) // without a lookup: older than twice the age of refresh, and well within MaxStale
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { has(t, c, stays) }) // all of them wait
		}
		wg.Wait()
	})
}

func TestNothingServesBeyondMaxStale(t *testing.T) {
	for _, tt := range []struct{ name, header string }{
		{"twice RefreshAfter is more", ""},
		{"the server would shorten it", "Cache-Control: max-age=900"},
	} {
		for _, maxStale := range []time.Duration{15 * time.Minute, 20 * time.Minute, 29 * time.Minute} {
			t.Run(tt.name+" "+maxStale.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := newKey(t, "k", jose.ES256)
					p := newProvider(says(200, setOf(jwk(t, k, nil)), tt.header))
					c := newCache(t, p, func(c *jwkcache.Config) { c.MaxStale = maxStale })
					has(t, c, k)
					start := time.Now()
					for range 20 {
						another := newCache(t, p, func(c *jwkcache.Config) { c.MaxStale = maxStale })
						require.NoError(t, another.Warm(t.Context()))
						require.LessOrEqual(t, untilRefresh(another), maxStale, "a fetch is due when nothing else serves")
					}
					p.set(fails)
					for time.Since(start) < maxStale-time.Second {
						has(t, c, k)
						time.Sleep(time.Second)
						synctest.Wait()
					}
					time.Sleep(maxStale - time.Since(start))
					_, err := c.Keys(t.Context(), "k", "ES256")
					require.ErrorIs(t, err, jwkcache.ErrUnavailable)
					require.False(t, c.Status().Usable)
				})
			})
		}
	}
}

func TestServerMayShortenNeverLengthen(t *testing.T) {
	const never = time.Duration(-1) // not shortened: within a tenth of 15 min
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	httpTime := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, tt := range []struct {
		name    string
		headers []string
		want    time.Duration
	}{
		{"nothing", nil, never},
		{"max-age=300", []string{"Cache-Control: max-age=300"}, 5 * time.Minute},
		{"among others", []string{"Cache-Control: public, max-age=300, must-revalidate"}, 5 * time.Minute},
		{"less Age", []string{"Cache-Control: max-age=300", "Age: 100"}, 200 * time.Second},
		{"the floor", []string{"Cache-Control: max-age=60"}, time.Minute},
		{"below the floor", []string{"Cache-Control: max-age=59"}, time.Minute},
		{"max-age=0", []string{"Cache-Control: max-age=0"}, time.Minute},
		{"Age beyond it", []string{"Cache-Control: max-age=300", "Age: 9999"}, time.Minute},
		{"no-store", []string{"Cache-Control: no-store"}, time.Minute},
		{"no-cache", []string{"Cache-Control: no-cache"}, time.Minute},
		{"negative", []string{"Cache-Control: max-age=-1"}, time.Minute},
		{"no number", []string{"Cache-Control: max-age=soon"}, time.Minute},
		{"a year", []string{"Cache-Control: max-age=31536000"}, never},
		{"overflow", []string{"Cache-Control: max-age=99999999999999999999"}, never},
		{"overflow of Age", []string{"Cache-Control: max-age=300", "Age: 99999999999999999999"}, time.Minute},
		{"Expires", []string{"Expires: " + httpTime(5*time.Minute)}, 5 * time.Minute},
		{"Expires by the server's clock", []string{"Date: " + httpTime(-time.Hour), "Expires: " + httpTime(-55*time.Minute)}, 5 * time.Minute},
		{"Expires in the past", []string{"Expires: " + httpTime(-time.Hour)}, time.Minute},
		{"Expires: 0", []string{"Expires: 0"}, time.Minute},
		{"Expires in a year", []string{"Expires: " + httpTime(365*24*time.Hour)}, never},
		{"max-age before Expires", []string{"Cache-Control: max-age=300", "Expires: 0"}, 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				require.True(t, now.Equal(time.Now()), "the clock of a bubble")
				k := newKey(t, "k", jose.ES256)
				p := newProvider(says(200, setOf(jwk(t, k, nil)), tt.headers...))
				c := newCache(t, p)
				has(t, c, k)
				d := untilRefresh(c)
				if tt.want == never {
					require.GreaterOrEqual(t, d, 15*time.Minute*9/10)
					require.LessOrEqual(t, d, 15*time.Minute*11/10)
					return
				}
				require.Equal(t, tt.want, d)
				time.Sleep(d - 1)
				has(t, c, k)
				require.Equal(t, 1, p.asked())
				time.Sleep(1)
				atOnce(t, func() { has(t, c, k) })
				synctest.Wait()
				require.Equal(t, 2, p.asked())
			})
		})
	}
}

func TestOwnRefreshAfterBelowTheFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(says(200, setOf(jwk(t, newKey(t, "k", jose.ES256), nil)), "Cache-Control: no-store"))
		c := newCache(t, p, func(c *jwkcache.Config) { c.RefreshAfter = 10 * time.Second })
		require.NoError(t, c.Warm(t.Context()))
		require.LessOrEqual(t, untilRefresh(c), 11*time.Second, "the floor is for servers")
	})
}

func TestWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(after(time.Second, fails))
		c := newCache(t, p)
		require.Zero(t, p.asked())
		err := c.Warm(t.Context())
		require.ErrorIs(t, err, jwkcache.ErrUnavailable)
		p.set(after(time.Second, publish(t, k)))
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, c.Warm(ctx))
		require.NoError(t, c.Warm(t.Context()))
		require.Equal(t, 2, p.asked(), "the fetch that was left is the one that was used")
		atOnce(t, func() { require.NoError(t, c.Warm(t.Context())) })
		atOnce(t, func() { has(t, c, k) })
		require.Equal(t, 2, p.asked())
	})
}

// run starts Run in a bubble; the returned function ends it.
func run(tb testing.TB, c *jwkcache.Cache) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	return func() {
		cancel()
		atOnce(tb, func() { require.Equal(tb, context.Canceled, <-ended) })
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(publish(t, a))
		c := newCache(t, p)
		stop := run(t, c)
		synctest.Wait()
		require.Equal(t, 1, p.asked(), "at once")
		p.set(publish(t, b))
		time.Sleep(15 * time.Minute * 12 / 10)
		require.Equal(t, 2, p.asked(), "although nobody asks")
		atOnce(t, func() { has(t, c, b) })
		time.Sleep(24 * time.Hour)
		n := p.asked()
		require.GreaterOrEqual(t, n, 2+24*60*10/(15*11))
		require.LessOrEqual(t, n, 2+24*60*10/(15*9)+1)
		stop()
		time.Sleep(24 * time.Hour)
		require.Equal(t, n, p.asked())
		require.Equal(t, context.Canceled, c.Run(canceled(t)))
		require.Equal(t, n, p.asked(), "not even once")
	})
}

func canceled(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	cancel()
	return ctx
}

func TestRunBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(fails)
		c := newCache(t, p)
		stop := run(t, c)
		defer stop()
		time.Sleep(time.Minute)
		n := p.asked()
		require.GreaterOrEqual(t, n, 60, "at least once a second while there are no keys")
		require.LessOrEqual(t, n, 130)
		p.set(publish(t, k))
		time.Sleep(time.Second)
		n = p.asked()
		atOnce(t, func() { has(t, c, k) })
		require.Equal(t, n, p.asked())

		p.set(fails)
		start := time.Now()
		time.Sleep(55 * time.Minute)
		require.GreaterOrEqual(t, p.asked()-n, int((55-17)*time.Minute/(30*time.Second)))
		require.LessOrEqual(t, p.asked()-n, int((55-13)*time.Minute/(15*time.Second))+12)
		atOnce(t, func() { has(t, c, k) })
		time.Sleep(time.Hour - time.Since(start))
		_, err := c.Keys(t.Context(), "k", "ES256")
		require.ErrorIs(t, err, jwkcache.ErrUnavailable)
	})
}

// TestRunCountsOtherFetches: what a lookup has fetched is not fetched again because
// it was due before.
func TestRunCountsOtherFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, "a", jose.ES256), newKey(t, "b", jose.ES256)
		p := newProvider(publish(t, a))
		c := newCache(t, p)
		stop := run(t, c)
		defer stop()
		synctest.Wait()
		first := untilRefresh(c)
		time.Sleep(first - time.Second)
		p.set(publish(t, a, b))
		has(t, c, b)
		require.Equal(t, 2, p.asked())
		time.Sleep(time.Minute)
		require.Equal(t, 2, p.asked())
		time.Sleep(17 * time.Minute)
		require.Equal(t, 3, p.asked())
	})
}

// TestRunIsNotBusyWhileAFetchIsStuck: a transport that is deaf to its context.
func TestRunIsNotBusyWhileAFetchIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		release := make(chan struct{})
		p := newProvider(func(r *http.Request) (*http.Response, error) {
			<-release
			return publish(t, k)(r)
		})
		var clock atomicCounter
		c := newCache(t, p, func(c *jwkcache.Config) { c.Now = clock.now })
		stop := run(t, c)
		defer stop()
		time.Sleep(time.Minute)
		before := clock.count()
		time.Sleep(time.Minute)
		require.Less(t, clock.count()-before, 1000, "it looks at the clock now and then only")
		require.Equal(t, 1, p.asked(), "and nothing is started beside the stuck one")
		close(release)
		time.Sleep(2 * time.Second)
		atOnce(t, func() { has(t, c, k) })
	})
}

// atomicCounter is a clock that counts how often it is looked at.
type atomicCounter struct {
	mu sync.Mutex
	n  int
}

func (a *atomicCounter) now() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n++; a.n > 1_000_000 {
		panic("a busy loop")
	}
	return time.Now()
}

func (a *atomicCounter) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

func TestInjectedClockDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, late := newKey(t, "k", jose.ES256), newKey(t, "late", jose.ES256)
		now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		p := newProvider(publish(t, k))
		c := newCache(t, p, func(c *jwkcache.Config) { c.Now = func() time.Time { return now } })
		has(t, c, k)
		require.Equal(t, now, c.Status().FetchedAt)
		time.Sleep(100 * time.Hour)
		has(t, c, k)
		require.Equal(t, 1, p.asked(), "the runtime's clock does not count")
		p.set(publish(t, k, late))
		has(t, c, late) // and a clock that stands still does not keep a new key out
		now = now.Add(17 * time.Minute)
		has(t, c, k)
		synctest.Wait()
		require.Equal(t, 3, p.asked())
		p.set(fails)
		now = now.Add(time.Hour - 1)
		has(t, c, k)
		now = now.Add(1)
		_, err := c.Keys(t.Context(), "k", "ES256")
		require.ErrorIs(t, err, jwkcache.ErrUnavailable)
	})
}

func TestLongestSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(publish(t, k))
		c := newCache(t, p, func(c *jwkcache.Config) {
			c.RefreshAfter, c.MaxStale, c.MinRefetch = 365*24*time.Hour, math.MaxInt64, math.MaxInt64
		})
		for range 1000 {
			has(t, c, k)
			time.Sleep(time.Hour)
		}
		require.Equal(t, 1, p.asked())
		p.set(publish(t, newKey(t, "l", jose.ES256)))
		require.Len(t, lookup(t, c, "l", "ES256"), 1)
	})
}

// TestNoConnectionIsKept: with the cache's own transport a fetch leaves
// nothing open, and so no goroutine.
func TestNoConnectionIsKept(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	closed := make(chan struct{}, 8)
	counted := httptest.NewUnstartedServer(idp.Server().Config.Handler)
	counted.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	counted.Start()
	defer counted.Close()
	c, err := jwkcache.New(jwkcache.Config{URL: counted.URL + testidp.JWKSPath, InsecureHTTP: true})
	require.NoError(t, err)
	has(t, c, idp.Key())
	<-closed
	hasNot(t, c, newKey(t, "unknown", jose.ES256))
	<-closed
	require.Equal(t, 2, idp.Requests(testidp.JWKSPath))
}
