package clientcreds_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// TestMixed lets the race detector see every method at once, on a clock that runs a
// thousand times as fast: tokens age, end, are rejected and fail to come.
func TestMixed(t *testing.T) {
	start := time.Now()
	p := &idp{answers: func(n int, _ *http.Request) (int, string) {
		if n%5 == 0 {
			return 500, ""
		}
		return 200, good(n, "60")
	}}
	cfg := config(p)
	cfg.Now = func() time.Time { return start.Add(1000 * time.Since(start)) }
	cfg.AllowedAudiences, cfg.MaxTargets = []string{"a", "b", "c"}, 2
	var events atomic.Int64
	cfg.Observe = func(context.Context, clientcreds.Event) { events.Add(1) }
	s := newSource(t, cfg)
	var calls atomic.Int64
	rt := s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token-") {
			t.Error("no token")
		}
		status := 200
		if calls.Add(1)%17 == 0 {
			status = 401
		}
		return answer(r, status, "", ""), nil
	}))
	var wg sync.WaitGroup
	var served, unavailable atomic.Int64
	for worker := range 8 {
		wg.Go(func() {
			ctx := clientcreds.WithTarget(t.Context(), clientcreds.Target{Audience: []string{"", "a", "b", "c"}[worker%4]})
			for i := range 1000 {
				r, err := http.NewRequestWithContext(ctx, "GET", apiURL, nil)
				require.NoError(t, err)
				if res, err := rt.RoundTrip(r); err == nil {
					_ = res.Body.Close()
					served.Add(1)
				} else {
					unavailable.Add(1)
				}
				if i%50 == 0 {
					_, _ = s.Token(ctx)
					s.Status()
				}
			}
		})
	}
	wg.Wait()
	require.Positive(t, served.Load())
	require.Positive(t, events.Load())
	t.Logf("served %d, unavailable %d, token requests %d", served.Load(), unavailable.Load(), p.requests())
}
