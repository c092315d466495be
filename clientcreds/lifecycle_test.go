package clientcreds_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// TestConvoy has 50 callers with deadlines of 200 ms ask while the token endpoint
// fails after 100 ms: here, and with x/oauth2, where each waits for a mutex, which
// no bubble's clock can see, and then fails on its own.
func TestConvoy(t *testing.T) {
	t.Parallel()
	const callers, patience, takes = 50, 200 * time.Millisecond, 100 * time.Millisecond
	run := func(t *testing.T, get func(context.Context) error) (slowest time.Duration) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		start := time.Now()
		for range callers {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				require.Error(t, get(ctx))
				mu.Lock()
				defer mu.Unlock()
				slowest = max(slowest, time.Since(start))
			})
		}
		wg.Wait()
		return slowest
	}
	failing := func(status int) *idp {
		return &idp{takes: takes, answers: func(int, *http.Request) (int, string) { return status, "down" }}
	}

	them := failing(500)
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: them})
	ts := (&clientcredentials.Config{ClientID: "orders", ClientSecret: secret, TokenURL: tokenURL}).TokenSource(ctx)
	theirs := run(t, func(context.Context) error { _, err := ts.Token(); return err })
	t.Logf("%d callers, %v deadlines, the token endpoint fails after %v:", callers, patience, takes)
	t.Logf("x/oauth2           all answered after %8v, %3d requests", theirs.Round(time.Millisecond), them.requests())
	require.GreaterOrEqual(t, theirs, 10*time.Second)
	require.Equal(t, 100, them.requests())

	for _, status := range []int{500, 503} {
		us := failing(status)
		synctest.Test(t, func(t *testing.T) {
			s := newSource(t, config(us))
			ours := run(t, func(ctx context.Context) error { _, err := s.Token(ctx); return err })
			t.Logf("clientcreds, %d   all answered after %8v, %3d requests", status, ours, us.requests())
			require.LessOrEqual(t, ours, 250*time.Millisecond)
			time.Sleep(time.Second) // the retry ends, though nobody waits for it
		})
		require.LessOrEqual(t, us.requests(), 2)
	}
}

func TestOneOfManyWaitersLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{takes: time.Second}
		s := newSource(t, config(p))
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { // the first, whose call it is
			_, err := s.Token(after(t, 100*time.Millisecond))
			require.Equal(t, context.DeadlineExceeded, err)
			require.Equal(t, 100*time.Millisecond, time.Since(start))
		})
		synctest.Wait()
		for range 10 {
			wg.Go(func() {
				require.Equal(t, "token-1", tokenOf(t, s))
				require.Equal(t, time.Second, time.Since(start))
			})
		}
		synctest.Wait()
		require.Equal(t, 11, s.Status().Waiting)
		wg.Wait()
		require.Equal(t, 1, p.requests())
		require.Zero(t, s.Status().Waiting)
	})
}

func TestAllWaitersLeaveAndTheTokenIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{takes: time.Second}
		s := newSource(t, config(p))
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := s.Token(after(t, 100*time.Millisecond))
				require.Equal(t, context.DeadlineExceeded, err)
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		require.Equal(t, "token-1", tokenOf(t, s))
		require.Equal(t, 1, p.requests())
	})
}

func TestThousandColdCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{takes: 100 * time.Millisecond}
		s := newSource(t, config(p))
		rt := s.Transport(&api{})
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				if i%2 == 0 {
					require.Equal(t, "token-1", tokenOf(t, s))
				} else {
					_, body := send(t, rt, "GET", apiURL, nil)
					require.Equal(t, "Bearer token-1|", body)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, p.requests())
	})
}

// TestSoftWindow: an hour's token serves alone for about 55 minutes; then one
// renewal runs behind the calls, and nobody waits.
func TestSoftWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{takes: time.Second}
		s := newSource(t, config(p))
		require.Equal(t, "token-1", tokenOf(t, s))
		start := time.Now().Add(-time.Second)
		next := s.Status().NextFetch.Sub(start)
		require.Greater(t, next, 54*time.Minute)
		require.Less(t, next, 56*time.Minute)

		time.Sleep(time.Until(s.Status().NextFetch) - 1)
		require.Equal(t, "token-1", tokenOf(t, s))
		synctest.Wait()
		require.Equal(t, 1, p.requests())

		time.Sleep(1)
		before := time.Now()
		for range 100 {
			require.Equal(t, "token-1", tokenOf(t, s))
		}
		require.Equal(t, before, time.Now(), "nobody waits")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, "token-2", tokenOf(t, s))
		require.Equal(t, 2, p.requests())
	})
}

func TestFailureInTheSoftWindowNeverSurfaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		p := &idp{answers: func(n int, _ *http.Request) (int, string) {
			if down.Load() {
				return 503, "down"
			}
			return 200, good(n, "")
		}}
		s := newSource(t, config(p))
		require.Equal(t, "token-1", tokenOf(t, s))
		time.Sleep(time.Until(s.Status().NextFetch))
		down.Store(true)
		for range 300 { // 30 s
			require.Equal(t, "token-1", tokenOf(t, s))
			time.Sleep(100 * time.Millisecond)
		}
		require.Less(t, p.requests(), 15, "with growing pauses")
		st := s.Status()
		require.ErrorIs(t, st.LastError, clientcreds.ErrTokenUnavailable)
		require.True(t, st.Usable)
		require.Positive(t, st.ServedStale)
		require.Equal(t, uint64(p.requests()-1), st.Failures)

		down.Store(false)
		for tokenOf(t, s) == "token-1" {
			time.Sleep(100 * time.Millisecond)
		}
		require.NoError(t, s.Status().LastError)
	})
}

// TestNeverSentPastHard asks all through the life of a token that cannot be
// renewed, and past it: it serves until shortly before its end, and not longer.
func TestNeverSentPastHard(t *testing.T) {
	for _, tt := range []struct {
		life int
		hard time.Duration
	}{
		{5, 4500 * time.Millisecond},
		{60, 54 * time.Second},
		{3600, 3590 * time.Second},
	} {
		t.Run(fmt.Sprint(tt.life), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &idp{life: fmt.Sprint(tt.life), answers: nil}
				p.answers = func(n int, _ *http.Request) (int, string) {
					if n > 1 {
						return 500, ""
					}
					return 200, good(n, fmt.Sprint(tt.life))
				}
				s := newSource(t, config(p))
				start := time.Now()
				rt := s.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
					require.Less(t, time.Since(start), tt.hard)
					return answer(r, 200, "text/plain", ""), nil
				}))
				step := tt.hard / 90
				for time.Since(start) < tt.hard {
					status, _ := send(t, rt, "GET", apiURL, nil)
					require.Equal(t, 200, status)
					time.Sleep(step)
				}
				r, err := http.NewRequest("GET", apiURL, nil)
				require.NoError(t, err)
				_, err = rt.RoundTrip(r)
				require.ErrorIs(t, err, clientcreds.ErrTokenUnavailable)
				require.False(t, s.Status().Usable)
			})
		})
	}
}

// TestCountsFromTheRequest: what a slow answer took is part of the token's life.
func TestCountsFromTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{takes: 8 * time.Second, life: "60"}
		s := newSource(t, config(p))
		start := time.Now()
		tok, err := s.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, start.Add(60*time.Second).UnixNano(), tok.Expiry.UnixNano())
		require.Equal(t, start.Add(54*time.Second), s.Status().Expires)
	})
}

// TestWallClock: a machine that slept has a monotonic clock that stood still.
func TestWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slept time.Duration
		p := &idp{}
		cfg := config(p)
		cfg.Now = func() time.Time { return time.Now().Round(0).Add(slept) }
		s := newSource(t, cfg)
		require.Equal(t, "token-1", tokenOf(t, s))
		slept = 2 * time.Hour
		require.Equal(t, "token-2", tokenOf(t, s))
	})
}

func TestFailureIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{answers: func(int, *http.Request) (int, string) { return 500, "" }}
		s := newSource(t, config(p))
		first := failureOf(t, s)
		require.Positive(t, first.RetryAfter())
		for range 100 {
			require.Equal(t, clientcreds.ReasonStatus, failureOf(t, s).Reason)
		}
		require.Equal(t, 1, p.requests())
		time.Sleep(first.RetryAfter())
		failureOf(t, s)
		require.Equal(t, 2, p.requests())
		for range 60 { // however often it failed, who waits is helped within 5 s
			require.LessOrEqual(t, failureOf(t, s).RetryAfter(), 5*time.Second)
			time.Sleep(time.Second)
		}
	})
}

func TestRetryAfterIsHeeded(t *testing.T) {
	for _, tt := range []struct {
		name, header string
		want         time.Duration
	}{
		{"seconds", "60", time.Minute},
		{"a date", "Sat, 01 Jan 2000 00:02:00 GMT", 2 * time.Minute},
		{"an hour is cut", "3600", 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &idp{raw: func(_ int, r *http.Request) (*http.Response, error) {
					res := answer(r, 429, "text/plain", "")
					res.Header.Set("Retry-After", tt.header)
					return res, nil
				}}
				s := newSource(t, config(p))
				require.Equal(t, tt.want, failureOf(t, s).RetryAfter())
				time.Sleep(tt.want - 1)
				failureOf(t, s)
				require.Equal(t, 1, p.requests())
				time.Sleep(1)
				failureOf(t, s)
				require.Equal(t, 2, p.requests())
			})
		})
	}
}

// TestOneRetry: who has no token gets a second try for what passes in a moment.
func TestOneRetry(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fails func(r *http.Request) (*http.Response, error)
		want  int
	}{
		{"502", func(r *http.Request) (*http.Response, error) { return answer(r, 502, "text/html", "<html>"), nil }, 2},
		{"connection", func(*http.Request) (*http.Response, error) { return nil, errDown }, 2},
		{"500", func(r *http.Request) (*http.Response, error) { return answer(r, 500, "text/html", "<html>"), nil }, 1},
		{"503 with Retry-After", func(r *http.Request) (*http.Response, error) {
			res := answer(r, 503, "text/html", "")
			res.Header.Set("Retry-After", "1")
			return res, nil
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &idp{raw: func(n int, r *http.Request) (*http.Response, error) {
					if n == 1 {
						return tt.fails(r)
					}
					return answer(r, 200, "application/json", good(n, "")), nil
				}}
				s := newSource(t, config(p))
				_, err := s.Token(t.Context())
				require.Equal(t, tt.want, p.requests())
				require.Equal(t, tt.want == 2, err == nil)
			})
		})
	}
}

// TestSameTokenAgain: some servers hand out the same token until it expires. That
// is no renewal, and no reason to ask with every call.
func TestSameTokenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := &idp{answers: func(int, *http.Request) (int, string) {
			left := 60 - int(time.Since(start).Seconds())%60
			return 200, fmt.Sprintf(`{"access_token":"minute-%d","expires_in":%d}`, int(time.Since(start).Minutes()), left)
		}}
		s := newSource(t, config(p))
		for time.Since(start) < 59*time.Second {
			if time.Since(start) < 54*time.Second {
				require.Equal(t, "minute-0", tokenOf(t, s))
			} else {
				_, _ = s.Token(t.Context())
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.Less(t, p.requests(), 20)
		time.Sleep(10 * time.Second)
		require.Equal(t, "minute-1", tokenOf(t, s))
	})
}

func TestSecretRotatesMidFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var current atomic.Value
		current.Store("old")
		p := &idp{takes: time.Second, answers: func(n int, r *http.Request) (int, string) {
			if _, pass, _ := r.BasicAuth(); pass != "new" {
				return 401, `{"error":"invalid_client"}`
			}
			return 200, good(n, "")
		}}
		cfg := config(p)
		cfg.Secret = func(context.Context) (string, error) { return current.Load().(string), nil }
		s := newSource(t, cfg)
		time.AfterFunc(500*time.Millisecond, func() { current.Store("new") })
		require.Equal(t, "token-2", tokenOf(t, s), "read again once, and tried again once")
		require.Equal(t, 2, p.requests())
	})
}

// TestRefusedSecret is not sent again for a while, and a new one at once.
func TestRefusedSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		current := "old"
		p := &idp{answers: func(n int, r *http.Request) (int, string) {
			if _, pass, _ := r.BasicAuth(); pass != "new" {
				return 401, `{"error":"invalid_client"}`
			}
			return 200, good(n, "")
		}}
		cfg := config(p)
		cfg.Secret = func(context.Context) (string, error) { return current, nil }
		s := newSource(t, cfg)
		failed := failureOf(t, s)
		require.Equal(t, clientcreds.ReasonClient, failed.Reason)
		require.Equal(t, "invalid_client", failed.Code)
		require.Equal(t, 401, failed.Status)
		require.False(t, failed.Temporary)
		require.Equal(t, 30*time.Second, failed.RetryAfter())
		for range 29 {
			time.Sleep(time.Second)
			require.Equal(t, clientcreds.ReasonClient, failureOf(t, s).Reason)
		}
		require.Equal(t, 1, p.requests())
		time.Sleep(time.Second)
		failureOf(t, s)
		require.Equal(t, 2, p.requests())

		current = "new"
		time.Sleep(time.Second)
		require.Equal(t, "token-3", tokenOf(t, s))
	})
}

func TestTokenIsACopy(t *testing.T) {
	p := &idp{answers: func(n int, _ *http.Request) (int, string) {
		return 200, `{"access_token":"a","token_type":"bearer","expires_in":60,"scope":"read"}`
	}}
	s := newSource(t, config(p))
	tok, err := s.Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, "read", tok.Extra("scope"))
	require.Equal(t, "Bearer", tok.TokenType)
	require.Empty(t, tok.RefreshToken)
	tok.AccessToken = "mine"
	require.Equal(t, "a", tokenOf(t, s))
}

func TestTokenSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{takes: 5 * time.Second}
		cfg := config(p)
		cfg.Timeout = 2 * time.Second
		s := newSource(t, cfg)
		start := time.Now()
		_, err := s.TokenSource().Token()
		require.Error(t, err)
		require.LessOrEqual(t, time.Since(start), 2*time.Second)

		time.Sleep(time.Minute)
		synctest.Wait()
		p.takes = 0
		tok, err := oauth2.ReuseTokenSource(nil, s.TokenSource()).Token()
		require.NoError(t, err)
		require.Equal(t, "token-2", tok.AccessToken)
	})
}

func TestWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{takes: time.Second}
		s := newSource(t, config(p))
		require.Zero(t, s.Status(), "New asks nobody")
		require.Equal(t, context.DeadlineExceeded, s.Warm(after(t, time.Millisecond)))
		require.NoError(t, s.Warm(t.Context()))
		require.Equal(t, 1, p.requests())
		require.True(t, s.Status().Usable)
	})
}

func TestSecretFailsOrPanics(t *testing.T) {
	for _, tt := range []struct {
		name   string
		secret func(context.Context) (string, error)
		reason clientcreds.Reason
		want   string
	}{
		{"error", func(context.Context) (string, error) { return "", fmt.Errorf("vault: %s", secret) }, clientcreds.ReasonSecret, "secret"},
		{"empty", func(context.Context) (string, error) { return "", nil }, clientcreds.ReasonSecret, "secret: Secret is empty"},
		{"panic", func(context.Context) (string, error) { panic(secret) }, clientcreds.ReasonAborted, "aborted: a call panicked or does not return"},
		{"hangs", func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }, clientcreds.ReasonSecret, "secret"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &idp{}
				cfg := config(p)
				cfg.Secret = tt.secret
				failed := failureOf(t, newSource(t, cfg))
				require.Equal(t, tt.reason, failed.Reason)
				require.True(t, failed.Temporary)
				require.EqualError(t, failed, "clientcreds: token unavailable: "+tt.want)
				require.Positive(t, failed.RetryAfter())
				require.Zero(t, p.requests())
			})
		})
	}
}

// TestTokensForOneUseInTheSoftWindow: an answer that is worth nothing is no reason
// to ask with every call, while the token at hand serves.
func TestTokensForOneUseInTheSoftWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &idp{answers: func(n int, _ *http.Request) (int, string) {
			if n > 1 {
				return 200, good(n, "0")
			}
			return 200, good(n, "")
		}}
		s := newSource(t, config(p))
		tokenOf(t, s)
		time.Sleep(time.Until(s.Status().NextFetch))
		for range 100 {
			require.Equal(t, "token-1", tokenOf(t, s))
			time.Sleep(10 * time.Millisecond)
		}
		require.LessOrEqual(t, p.requests(), 6)
	})
}

// TestLogLines are one a second, and say how many there were.
func TestLogLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines strings.Builder
		cfg := config(&idp{life: "0"})
		cfg.Logger = slog.New(slog.NewTextHandler(&lines, nil))
		s := newSource(t, cfg)
		for range 100 {
			tokenOf(t, s)
		}
		require.Equal(t, 1, strings.Count(lines.String(), "\n"))
		time.Sleep(time.Second)
		tokenOf(t, s)
		require.Equal(t, 2, strings.Count(lines.String(), "\n"))
		require.Contains(t, lines.String(), "unwritten=99")
	})
}

// TestBothClocks: a token ends by the clock that says so first.
func TestBothClocks(t *testing.T) {
	now := time.Now()
	later, sooner := now.Add(time.Hour), now.Add(-time.Hour)
	require.True(t, clientcreds.Ahead(later, later.UnixNano(), now))
	require.False(t, clientcreds.Ahead(later, sooner.UnixNano(), now), "the machine slept")
	require.False(t, clientcreds.Ahead(sooner, later.UnixNano(), now), "the clock was set back")
}
