package clientcreds_test

import (
	"context"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// BenchmarkHit is what a call costs inside, with a clock that costs nothing.
func BenchmarkHit(b *testing.B) {
	cfg := config(&idp{})
	now := time.Now()
	cfg.Now = func() time.Time { return now }
	s := newSource(b, cfg)
	ctx := context.Background()
	require.NoError(b, s.Warm(ctx))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Hit(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClock is the reading of the clock that every call needs.
func BenchmarkClock(b *testing.B) {
	for b.Loop() {
		_ = time.Now()
	}
}

// BenchmarkCopy is a copy of an oauth2.Token: what Token hands out, and no less.
func BenchmarkCopy(b *testing.B) {
	from := &oauth2.Token{AccessToken: "a", TokenType: "Bearer", Expiry: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		own := *from
		kept = &own
	}
}

var kept *oauth2.Token

func BenchmarkToken(b *testing.B) {
	cfg := config(&idp{})
	cfg.AllowedAudiences = []string{"a"}
	s := newSource(b, cfg)
	ballast := make([]byte, 64<<20) // a service's heap: with less, it is the collector that is measured
	for _, bb := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // a row of a table
	}{
		{"own", context.Background()},
		{"target", clientcreds.WithTarget(context.Background(), clientcreds.Target{Audience: "a"})},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Token(bb.ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	runtime.KeepAlive(ballast)
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := s.Token(context.Background()); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("x-oauth2/parallel", func(b *testing.B) {
		ts := oauth2.ReuseTokenSource(nil, s.TokenSource())
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := ts.Token(); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkRoundTrip is the cost above the base transport, which does nothing here.
func BenchmarkRoundTrip(b *testing.B) {
	s := newSource(b, config(&idp{}))
	res := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	base := roundTrip(func(*http.Request) (*http.Response, error) { return res, nil })
	ts := oauth2.ReuseTokenSource(nil, s.TokenSource())
	for _, bb := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"base", base},
		{"clientcreds", s.Transport(base)},
		{"x-oauth2", &oauth2.Transport{Source: ts, Base: base}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			r, err := http.NewRequest("GET", apiURL, nil)
			require.NoError(b, err)
			r.Header = http.Header{"Accept": {"application/json"}, "User-Agent": {"x"}, "X-Request-Id": {"1"}, "Traceparent": {"2"}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bb.rt.RoundTrip(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestAllocations holds what the benchmarks show.
func TestAllocations(t *testing.T) {
	cfg := config(&idp{})
	cfg.AllowedAudiences, cfg.AllowedScopes = []string{"a"}, []string{"r", "w"}
	s := newSource(t, cfg)
	ctx := context.Background()
	require.NoError(t, s.Warm(ctx))
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = s.Hit(ctx) }))
	target := clientcreds.WithTarget(ctx, clientcreds.Target{Audience: "a", Scopes: []string{"r", "w"}})
	for _, c := range []context.Context{ctx, target} {
		require.NoError(t, func() error { _, err := s.Token(c); return err }())
		require.Equal(t, 1, int(testing.AllocsPerRun(100, func() { _, _ = s.Token(c) })))
	}
}
