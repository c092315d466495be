package jwkcache_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

// BenchmarkNow is the clock reading that each lookup needs, and that the bound of a
// hit (40 ns) does not count.
func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		_ = time.Now()
	}
}

func BenchmarkKeys(b *testing.B) {
	var keys []testidp.Key
	for i := range 100 {
		keys = append(keys, newKey(b, fmt.Sprintf("kid-%d-of-a-usual-length", i), jose.ES256))
	}
	kid := keys[50].ID
	warm := func(b *testing.B, p *provider, change ...func(*jwkcache.Config)) *jwkcache.Cache {
		b.Helper()
		c := newCache(b, p, change...)
		require.NoError(b, c.Warm(b.Context()))
		return c
	}
	one := func(b *testing.B, c *jwkcache.Cache, kid string) {
		b.Helper()
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			if found, err := c.Keys(ctx, kid, "ES256"); len(found) == 0 || err != nil {
				b.Fatal(found, err)
			}
		}
	}

	b.Run("hit", func(b *testing.B) { one(b, warm(b, newProvider(publish(b, keys[50]))), kid) })
	b.Run("hit, no kid", func(b *testing.B) { one(b, warm(b, newProvider(publish(b, keys...))), "") })
	b.Run("hit, both cores", func(b *testing.B) {
		c := warm(b, newProvider(publish(b, keys[50])))
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = c.Keys(context.Background(), kid, "ES256")
			}
		})
	})
	b.Run("10 issuers, 100 keys each", func(b *testing.B) {
		var caches []*jwkcache.Cache
		for range 10 {
			caches = append(caches, warm(b, newProvider(publish(b, keys...))))
		}
		ctx := context.Background()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if found, err := caches[i%10].Keys(ctx, keys[i%100].ID, "ES256"); len(found) == 0 || err != nil {
				b.Fatal(found, err)
			}
		}
	})
	b.Run("a fetch for an unknown kid hangs", func(b *testing.B) {
		p := newProvider(publish(b, keys[50]))
		c := warm(b, p, func(c *jwkcache.Config) { c.Timeout = 10 * time.Minute })
		hang(b, p, func() { go c.Keys(b.Context(), "unknown", "ES256") })
		one(b, c, kid)
	})
	b.Run("a refresh hangs", func(b *testing.B) {
		p := newProvider(publish(b, keys[50]))
		aged := time.Duration(0)
		c := warm(b, p, func(c *jwkcache.Config) {
			c.Timeout = 10 * time.Minute
			c.Now = func() time.Time { return time.Now().Add(aged) }
		})
		aged = 17 * time.Minute
		hang(b, p, func() { _, _ = c.Keys(b.Context(), kid, "ES256") })
		one(b, c, kid)
	})
	b.Run("outage", func(b *testing.B) {
		p := newProvider(publish(b, keys[50]))
		aged := time.Duration(0)
		c := warm(b, p, func(c *jwkcache.Config) { c.Now = func() time.Time { return time.Now().Add(aged) } })
		p.set(says(503, "", "Retry-After: 300"))
		aged = 45 * time.Minute
		one(b, c, kid)
		require.EqualValues(b, 1, c.Status().Failures)
	})
}

// hang makes p hang until the benchmark ends, and waits until it does.
func hang(b *testing.B, p *provider, ask func()) {
	b.Helper()
	arrived, release := make(chan struct{}), make(chan struct{})
	p.set(func(r *http.Request) (*http.Response, error) {
		close(arrived)
		<-release
		return fails(r)
	})
	b.Cleanup(func() { close(release) })
	ask()
	<-arrived
}
