package jwkcache_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
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

// unavailable is a lookup that must end in ErrUnavailable. It returns when to come
// back.
func unavailable(tb testing.TB, c *jwkcache.Cache, kid string) time.Duration {
	tb.Helper()
	keys, err := c.Keys(tb.Context(), kid, "ES256")
	require.Nil(tb, keys)
	require.ErrorIs(tb, err, jwkcache.ErrUnavailable)
	var later interface{ RetryAfter() time.Duration }
	require.ErrorAs(tb, err, &later)
	require.Positive(tb, later.RetryAfter())
	return later.RetryAfter()
}

func TestThousandColdLookupsOneFetch(t *testing.T) {
	for _, took := range []time.Duration{0, time.Second} {
		t.Run(took.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKey(t, "k", jose.ES256)
				p := newProvider(after(took, publish(t, k)))
				c := newCache(t, p)
				start := time.Now()
				var wg sync.WaitGroup
				for range 1000 {
					wg.Go(func() {
						has(t, c, k)
						require.Equal(t, took, time.Since(start))
					})
				}
				wg.Wait()
				require.Equal(t, 1, p.asked())
			})
		})
	}
}

// TestLookupRightAfterAFetchEnded: one that has seen no keys, and comes to fetch
// them when another one has just done so.
func TestLookupRightAfterAFetchEnded(t *testing.T) {
	for _, aged := range []bool{false, true} {
		t.Run("aged "+strconv.FormatBool(aged), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKey(t, "k", jose.ES256)
				p := newProvider(publish(t, k))
				var c *jwkcache.Cache
				var reading atomic.Int32 // of the clock, while it is armed
				c = newCache(t, p, func(cfg *jwkcache.Config) {
					cfg.Now = func() time.Time {
						if reading.Load() > 0 && reading.Add(1) == 3 { // after the look at the set, before the fetch
							reading.Store(0)
							require.NoError(t, c.Warm(t.Context()))
						}
						return time.Now()
					}
				})
				if aged {
					require.NoError(t, c.Warm(t.Context()))
					time.Sleep(50 * time.Minute)
				}
				asked := p.asked()
				reading.Store(1)
				has(t, c, k)
				require.Zero(t, reading.Load(), "it came to that")
				require.Equal(t, asked+1, p.asked())
			})
		})
	}
}

func TestHangingFetchHoldsNobodyUp(t *testing.T) {
	k, late := newKey(t, "k", jose.ES256), newKey(t, "late", jose.ES256)
	for _, tt := range []struct {
		name  string
		aged  bool // the fetch is a refresh; else it is for an unknown kid
		fails bool // the one before failed
	}{
		{"for an unknown kid", false, false},
		{"for its age", true, false},
		{"for its age, in an outage", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(publish(t, k))
				c := warmed(t, p)
				if tt.fails {
					p.set(fails)
					for age := time.Minute; age < 45*time.Minute; age += time.Minute { // well beyond twice the age of refresh
						has(t, c, k)
						time.Sleep(time.Minute)
						synctest.Wait()
					}
				} else if tt.aged {
					time.Sleep(untilRefresh(c))
				}
				asked := p.asked()
				p.set(after(9*time.Second, publish(t, k, late)))
				if tt.aged {
					atOnce(t, func() { has(t, c, k) })
				}
				start := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() {
					has(t, c, late)
					require.Equal(t, 9*time.Second, time.Since(start))
				})
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
					defer cancel()
					_, err := c.Keys(ctx, "late", "ES256")
					require.Equal(t, context.DeadlineExceeded, err)
					require.Equal(t, 100*time.Millisecond, time.Since(start))
				})
				for range 90 {
					synctest.Wait()
					atOnce(t, func() { has(t, c, k) })
					atOnce(t, func() { requireKeys(t, lookup(t, c, "", "ES256"), k) })
					require.Zero(t, testing.AllocsPerRun(10, func() { _, _ = c.Keys(t.Context(), "k", "ES256") }))
					time.Sleep(100 * time.Millisecond)
				}
				wg.Wait()
				require.Equal(t, 1, p.asked()-asked)
				require.NoError(t, c.Status().LastError)
			})
		})
	}
}

// TestHangUntilTheDeadline: the provider never answers. Hits go on, waiters learn it
// at the deadline of the fetch at the latest.
func TestHangUntilTheDeadline(t *testing.T) {
	for _, tt := range []struct{ set, want time.Duration }{{0, 10 * time.Second}, {3 * time.Second, 3 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			k := newKey(t, "k", jose.ES256)
			p := newProvider(publish(t, k))
			c := warmed(t, p, func(c *jwkcache.Config) { c.Timeout = tt.set })
			p.set(hangs)
			start := time.Now()
			unavailable(t, c, "unknown")
			require.Equal(t, tt.want, time.Since(start))
			atOnce(t, func() { has(t, c, k) })
			require.ErrorIs(t, c.Status().LastError, context.DeadlineExceeded)
		})
	}
}

func TestCallersErrorPassesThrough(t *testing.T) {
	cause := errors.New("of the caller")
	for _, tt := range []struct {
		name string
		ctx  func(context.Context) (context.Context, func())
		want error
	}{
		{"deadline", func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			return ctx, cancel
		}, context.DeadlineExceeded},
		{"cancelled meanwhile", func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, context.Canceled},
		{"cancelled before", func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, context.Canceled},
		{"cancelled with a cause", func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(cause)
			return ctx, func() { cancel(nil) }
		}, context.Canceled},
	} {
		for _, state := range []string{"cold", "unknown kid", "idle"} {
			t.Run(tt.name+", "+state, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := newKey(t, "k", jose.ES256)
					p := newProvider(publish(t, k))
					c := newCache(t, p)
					kid := "unknown"
					switch state {
					case "unknown kid":
						require.NoError(t, c.Warm(t.Context()))
					case "idle":
						require.NoError(t, c.Warm(t.Context()))
						time.Sleep(50 * time.Minute)
						kid = "k"
					}
					p.set(after(5*time.Second, fails))
					ctx, cancel := tt.ctx(t.Context())
					defer cancel()
					keys, err := c.Keys(ctx, kid, "ES256")
					require.Nil(t, keys)
					require.Equal(t, tt.want, err)
					time.Sleep(time.Minute)
				})
			})
		}
	}
}

func TestHitNeedsNoContext(t *testing.T) {
	k := newKey(t, "k", jose.ES256)
	c := newCache(t, newProvider(publish(t, k)))
	has(t, c, k)
	keys, err := c.Keys(canceled(t), "k", "ES256")
	require.NoError(t, err)
	requireKeys(t, keys, k)
}

// TestOutageCostsHitsNothing: no allocation, while a failure is remembered either.
func TestOutageCostsHitsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(publish(t, k))
		c := newCache(t, p)
		has(t, c, k)
		p.set(fails)
		time.Sleep(untilRefresh(c))
		has(t, c, k)
		synctest.Wait()
		require.EqualValues(t, 1, c.Status().Failures)
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = c.Keys(t.Context(), "k", "ES256") }))
		require.EqualValues(t, 1, c.Status().Failures)
	})
}

func TestLastGoodSetUpToMaxStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(publish(t, k))
		c := newCache(t, p, func(c *jwkcache.Config) { c.MaxStale = 2 * time.Hour })
		has(t, c, k)
		start := time.Now()
		p.set(fails)
		for time.Since(start) < 2*time.Hour-10*time.Second {
			atOnce(t, func() { has(t, c, k) })
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		time.Sleep(2*time.Hour - 1 - time.Since(start))
		has(t, c, k)
		require.True(t, c.Status().Usable)
		time.Sleep(1)
		synctest.Wait()
		require.False(t, c.Status().Usable)
		require.LessOrEqual(t, unavailable(t, c, "k"), time.Second)
		unavailable(t, c, "")
		require.Len(t, c.Status().Keys, 1, "they are still told of")
		p.set(publish(t, k))
		time.Sleep(time.Second)
		has(t, c, k)
		require.True(t, c.Status().Usable)
	})
}

// pauses lets n fetches fail, each asked for as soon as it may be, and returns the
// time between them.
func pauses(tb testing.TB, c *jwkcache.Cache, n int) []time.Duration {
	tb.Helper()
	var list []time.Duration
	for range n {
		_, _ = c.Keys(tb.Context(), "unknown", "ES256")
		synctest.Wait()
		st := c.Status()
		require.Error(tb, st.LastError)
		list = append(list, time.Until(st.NextFetch))
		time.Sleep(time.Until(st.NextFetch))
	}
	return list
}

func TestBackoff(t *testing.T) {
	for _, tt := range []struct {
		name     string
		warm     bool
		reply    replier
		min, max time.Duration // of the longest pause
	}{
		{"without keys", false, fails, 500 * time.Millisecond, time.Second},
		{"without keys, Retry-After 2", false, says(503, "", "Retry-After: 2"), 2 * time.Second, 2 * time.Second},
		{"without keys, Retry-After 300", false, says(429, "", "Retry-After: 300"), 5 * time.Second, 5 * time.Second},
		{"without keys, Retry-After negative", false, says(503, "", "Retry-After: -1"), 500 * time.Millisecond, time.Second},
		{"with keys", true, fails, 15 * time.Second, 30 * time.Second},
		{"with keys, Retry-After 60", true, says(503, "", "Retry-After: 60"), time.Minute, time.Minute},
		{"with keys, Retry-After 86400", true, says(429, "", "Retry-After: 86400"), 5 * time.Minute, 5 * time.Minute},
		{"with keys, Retry-After overflow", true, says(429, "", "Retry-After: 99999999999999999999"), 5 * time.Minute, 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKey(t, "k", jose.ES256)
				p := newProvider(tt.reply)
				c := newCache(t, p, func(c *jwkcache.Config) { c.MaxStale = 24 * time.Hour })
				if tt.warm {
					p.set(publish(t, k))
					require.NoError(t, c.Warm(t.Context()))
					p.set(tt.reply)
					time.Sleep(untilRefresh(c))
				}
				list := pauses(t, c, 12)
				require.GreaterOrEqual(t, slices.Max(list), tt.min)
				require.LessOrEqual(t, slices.Max(list), tt.max)
				require.GreaterOrEqual(t, list[0], 125*time.Millisecond)
				require.Greater(t, len(slices.Compact(slices.Sorted(slices.Values(pausesOf(t, p, tt.reply))))), 3, "a fleet does not come back together")
				if tt.warm {
					has(t, c, k)
				}
			})
		})
	}
}

// pausesOf are the first pauses of caches that fail for the first time.
func pausesOf(tb testing.TB, p *provider, bad replier) (list []time.Duration) {
	tb.Helper()
	p.set(fails)
	for range 10 {
		list = append(list, pauses(tb, newCache(tb, p), 1)...)
	}
	p.set(bad)
	return list
}

// TestBackoffEndsWithTheKeys: a long pause is for those who have keys; it must not
// outlast them.
func TestBackoffEndsWithTheKeys(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply replier
		heals time.Duration // at most, after the keys have ended
	}{
		{"Retry-After 300", says(503, "", "Retry-After: 300"), 5 * time.Second},
		{"nothing said", fails, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKey(t, "k", jose.ES256)
				p := newProvider(publish(t, k))
				c := newCache(t, p)
				has(t, c, k)
				start := time.Now()
				p.set(tt.reply)
				for time.Since(start) < time.Hour-time.Millisecond {
					has(t, c, k)
					time.Sleep(min(time.Second, time.Hour-time.Millisecond-time.Since(start)))
					synctest.Wait()
				}
				p.set(publish(t, k))
				time.Sleep(time.Millisecond + tt.heals)
				has(t, c, k)
			})
		})
	}
}

func TestStartsWithTheProviderDown(t *testing.T) {
	for _, tt := range []struct {
		name string
		down replier
	}{
		{"refused", fails},
		{"503", says(503, "maintenance")},
		{"garbage", says(200, "<html>", "Content-Type: text/html")},
		{"slow failure", after(700*time.Millisecond, fails)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKey(t, "k", jose.ES256)
				p := newProvider(tt.down)
				c := newCache(t, p)
				start := time.Now()
				for time.Since(start) < 2*time.Minute {
					require.LessOrEqual(t, unavailable(t, c, "k"), time.Second)
					time.Sleep(100 * time.Millisecond)
				}
				require.LessOrEqual(t, p.asked(), 2*60*2+5, "no more than two a second")
				synctest.Wait()
				p.set(publish(t, k))
				back := time.Now()
				for {
					keys, err := c.Keys(t.Context(), "k", "ES256")
					if err == nil {
						requireKeys(t, keys, k)
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				require.LessOrEqual(t, time.Since(back), time.Second+700*time.Millisecond+10*time.Millisecond)
			})
		})
	}
}

// wire is a real HTTP server and a real http.Transport over pipes in a bubble: a
// slow answer costs virtual time only.
type wire struct {
	conns chan net.Conn
	done  chan struct{}

	mu      sync.Mutex
	handler http.HandlerFunc
}

func newWire(tb testing.TB) *wire {
	tb.Helper()
	w := &wire{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		h := w.handler
		w.mu.Unlock()
		h(rw, r)
	})}
	go server.Serve(w)
	tb.Cleanup(func() { server.Close() })
	return w
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error   { close(w.done); return nil }
func (w *wire) Addr() net.Addr { return &net.TCPAddr{} }

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case w.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *wire) serve(h http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handler = h
}

func (w *wire) transport() *http.Transport {
	return &http.Transport{DialContext: w.dial, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10} // as the cache's own
}

// gzipBomb is 100 MB of blanks in about 100 KB: one member (RFC 1952 section 2.2)
// after the other.
var gzipBomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
	_ = z.Close()
	return bytes.Repeat(b.Bytes(), 100)
})

// hostile are ways of a server to do harm.
var hostile = []struct {
	name  string
	serve http.HandlerFunc
}{
	{"503", testidp.Body(http.StatusServiceUnavailable, "text/html", "maintenance")},
	{"garbage", testidp.Body(http.StatusOK, "application/json", "\x00\xff garbage")},
	{"slow-loris, 1 byte/s", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for {
			if _, err := w.Write([]byte(" ")); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return
			}
		}
	}},
	{"slow-loris in the header", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: ")
		for err == nil {
			_, err = conn.Write([]byte("x"))
			time.Sleep(time.Second)
		}
	}},
	{"connection cut", func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	}},
	{"cut within the body", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"keys":[`))
		panic(http.ErrAbortHandler)
	}},
	{"100 MB", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		chunk := bytes.Repeat([]byte(" "), 1<<16)
		for range 100 << 4 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}},
	{"gzip bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(gzipBomb())
	}},
	{"endless header", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		line := []byte("X: " + string(bytes.Repeat([]byte("x"), 8000)) + "\r\n")
		for err == nil {
			_, err = conn.Write(line)
		}
	}},
}

// TestFlappingProvider asks on through all of it: good tokens pass up to MaxStale,
// then it is 503, and then it heals.
func TestFlappingProvider(t *testing.T) {
	gzipBomb()
	synctest.Test(t, func(t *testing.T) {
		k, next := newKey(t, "k", jose.ES256), newKey(t, "next", jose.ES256)
		w := newWire(t)
		honest := func(keys ...testidp.Key) http.HandlerFunc {
			var list []string
			for _, k := range keys {
				list = append(list, jwk(t, k, nil))
			}
			return testidp.Body(http.StatusOK, "application/jwk-set+json", setOf(list...))
		}
		w.serve(honest(k))
		c, err := jwkcache.New(jwkcache.Config{URL: "http://idp/jwks", InsecureHTTP: true, Client: &http.Client{Transport: w.transport()}})
		require.NoError(t, err)
		v := validator(t, c, issuer, "ES256")
		good, fresh, stray := mint(t, k, issuer), mint(t, next, issuer), mint(t, newKey(t, "stray", jose.ES256), issuer)
		_, err = v.CheckToken(t.Context(), good)
		require.NoError(t, err)
		fetched := c.Status().FetchedAt

		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		allocated := m.TotalAlloc
		round := 0
		var wg sync.WaitGroup
		for time.Since(fetched) < time.Hour-time.Second {
			h := hostile[round%len(hostile)]
			round++
			w.serve(h.serve)
			failures := c.Status().Failures
			wg.Go(func() { _, _ = v.CheckToken(t.Context(), stray) }) // somebody always asks for what is not there
			for c.Status().Failures == failures && time.Since(fetched) < time.Hour-time.Second {
				synctest.Wait()
				atOnce(t, func() { has(t, c, k) })
				time.Sleep(time.Second)
			}
			_, err = v.CheckToken(t.Context(), good)
			require.NoError(t, err, h.name)
		}
		wg.Wait()
		st := c.Status()
		require.Greater(t, int(st.Failures), 5*len(hostile))
		runtime.ReadMemStats(&m)
		perFetch := (m.TotalAlloc - allocated) / st.Failures
		t.Logf("%d bad answers, %d KB allocated for each on both sides", st.Failures, perFetch>>10)
		require.Less(t, perFetch, uint64(8<<20), "the largest are 100 MB")

		time.Sleep(time.Until(fetched.Add(time.Hour)))
		for _, h := range hostile {
			w.serve(h.serve)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			_, err = v.CheckToken(ctx, good)
			require.NoError(t, ctx.Err(), h.name)
			cancel()
			require.ErrorIs(t, err, jwtvalidate.ErrUnavailable, h.name)
			require.ErrorIs(t, err, jwkcache.ErrUnavailable, h.name)
			time.Sleep(time.Second)
		}
		w.serve(honest(next))
		time.Sleep(time.Second)
		_, err = v.CheckToken(t.Context(), fresh)
		require.NoError(t, err)
		_, err = v.CheckToken(t.Context(), good)
		require.ErrorIs(t, err, jwtvalidate.ErrUnknownKey)
		time.Sleep(time.Minute)
	})
}

// TestReset is a RST on a real connection.
func TestReset(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	c, err := jwkcache.New(jwkcache.Config{URL: idp.JWKSURL(), InsecureHTTP: true})
	require.NoError(t, err)
	has(t, c, idp.Key())
	idp.Answer(testidp.JWKSPath, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	})
	unavailable(t, c, "unknown")
	has(t, c, idp.Key())
}

func TestRotation(t *testing.T) {
	for _, overlap := range []bool{true, false} {
		t.Run("overlap "+strconv.FormatBool(overlap), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before, next := newKey(t, "key-1", jose.ES256), newKey(t, "key-2", jose.ES256)
				p := newProvider(publish(t, before))
				c := warmed(t, p)
				v := validator(t, c, issuer, "ES256")
				check := func(token string) error {
					_, err := v.CheckToken(t.Context(), token)
					return err
				}
				old, fresh := mint(t, before, issuer), mint(t, next, issuer)
				require.NoError(t, check(old))

				if overlap {
					p.set(after(time.Second, publish(t, before, next)))
				} else {
					p.set(after(time.Second, publish(t, next)))
				}
				var wg sync.WaitGroup
				for range 100 {
					wg.Go(func() { require.NoError(t, check(fresh), "the first request with the new key") })
					wg.Go(func() { atOnce(t, func() { require.NoError(t, check(old)) }) })
				}
				wg.Wait()
				require.Equal(t, 2, p.asked())
				if overlap {
					require.NoError(t, check(old))
					p.set(publish(t, next))
					refreshed(t, c)
				}
				require.ErrorIs(t, check(old), jwtvalidate.ErrUnknownKey, "also for a token that was verified before")
				require.NoError(t, check(fresh))
				require.EqualValues(t, map[bool]int{true: 3, false: 2}[overlap], c.Status().Generation)
			})
		})
	}
}

// TestRotationUnderTheSameKid: nothing is asked for while the old key is there, and
// the refresh brings the new one.
func TestRotationUnderTheSameKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, next := newKey(t, "k", jose.ES256), newKey(t, "k", jose.ES256)
		p := newProvider(publish(t, before))
		c := warmed(t, p)
		v := validator(t, c, issuer, "ES256")
		old, fresh := mint(t, before, issuer), mint(t, next, issuer)
		p.set(publish(t, next))
		_, err := v.CheckToken(t.Context(), fresh)
		require.ErrorIs(t, err, jwtvalidate.ErrSignature)
		refreshed(t, c)
		_, err = v.CheckToken(t.Context(), fresh)
		require.NoError(t, err)
		_, err = v.CheckToken(t.Context(), old)
		require.ErrorIs(t, err, jwtvalidate.ErrSignature)
	})
}

// TestStuckTransport: one that is deaf to its context costs one goroutine, holds
// nobody up for longer than Timeout and a second, and is used when it answers.
func TestStuckTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k", jose.ES256)
		p := newProvider(publish(t, k))
		c := warmed(t, p)
		release := make(chan struct{})
		p.set(func(r *http.Request) (*http.Response, error) {
			<-release
			return publish(t, k)(r)
		})
		start := time.Now()
		unavailable(t, c, "unknown")
		require.Equal(t, 11*time.Second, time.Since(start))
		for time.Since(start) < 58*time.Minute {
			atOnce(t, func() { has(t, c, k) })
			atOnce(t, func() { unavailable(t, c, "unknown") })
			time.Sleep(time.Minute)
		}
		require.Equal(t, 2, p.asked())
		time.Sleep(time.Hour)
		atOnce(t, func() { unavailable(t, c, "k") })
		close(release)
		synctest.Wait()
		p.set(publish(t, k))
		has(t, c, k)
	})
}
