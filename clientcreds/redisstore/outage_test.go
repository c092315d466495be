package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds/redisstore"
)

// fake is a client that takes its time, and heeds no context, as go-redis by
// default.
type fake struct {
	redis.UniversalClient

	takes atomic.Int64                              // of a read, in nanoseconds
	get   func(ctx context.Context) (string, error) // nil: v
	setNX func(ctx context.Context) (bool, error)
	reads atomic.Int64
	freed atomic.Int64
}

func (f *fake) GetRange(ctx context.Context, _ string, _, _ int64) *redis.StringCmd {
	f.reads.Add(1)
	time.Sleep(time.Duration(f.takes.Load()))
	cmd := redis.NewStringCmd(ctx)
	if f.get == nil {
		cmd.SetVal("v")
		return cmd
	}
	value, err := f.get(ctx)
	cmd.SetVal(value)
	cmd.SetErr(err)
	return cmd
}

func (f *fake) SetNX(ctx context.Context, _ string, _ any, _ time.Duration) *redis.BoolCmd {
	cmd := redis.NewBoolCmd(ctx)
	got, err := f.setNX(ctx)
	cmd.SetVal(got)
	cmd.SetErr(err)
	return cmd
}

func (f *fake) Eval(ctx context.Context, _ string, _ []string, _ ...any) *redis.Cmd {
	if ctx.Err() == nil {
		f.freed.Add(1)
	}
	cmd := redis.NewCmd(ctx)
	cmd.SetVal(int64(1))
	return cmd
}

// taking is a fake whose reads take d.
func taking(d time.Duration) *fake {
	f := &fake{}
	f.takes.Store(int64(d))
	return f
}

// bubble is one with a clock of its own, in which whatever hangs comes to an end.
func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t)
		time.Sleep(2 * time.Hour)
	})
}

// TestSilence: a call costs Timeout, and the next ones nothing.
func TestSilence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := taking(time.Hour)
		s := newStore(t, redisstore.Config{Client: f})
		get := func(most time.Duration) error {
			start := time.Now()
			_, err := s.Get(t.Context(), "k")
			require.Equal(t, most, time.Since(start))
			return err
		}
		err := get(250 * time.Millisecond)
		require.ErrorIs(t, err, redisstore.ErrUnavailable)
		require.EqualError(t, err, "redisstore: get: no answer in 250ms")
		for range 100 {
			err = get(0)
			require.ErrorIs(t, err, redisstore.ErrUnavailable)
			require.EqualError(t, err, "redisstore: get: no answer a moment ago")
		}
		for op, err := range calls(t.Context(), s) {
			require.ErrorIs(t, err, redisstore.ErrUnavailable, op)
		}
		time.Sleep(5*time.Second - time.Nanosecond)
		_ = get(0)
		time.Sleep(time.Nanosecond)
		_ = get(250 * time.Millisecond)
		require.Equal(t, int64(2), f.reads.Load())
	})
}

// TestLateAnswer: it ends the pause, whoever has left.
func TestLateAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := taking(time.Second)
		s := newStore(t, redisstore.Config{Client: f})
		_, err := s.Get(t.Context(), "k")
		require.ErrorIs(t, err, redisstore.ErrUnavailable)
		f.takes.Store(0)
		time.Sleep(700 * time.Millisecond)
		_, err = s.Get(t.Context(), "k")
		require.ErrorIs(t, err, redisstore.ErrUnavailable)
		time.Sleep(100 * time.Millisecond)
		got, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "v", string(got))
	})
}

// TestClockSetBack: the pause ends all the same.
func TestClockSetBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, now := taking(time.Hour), time.Now()
		s := newStore(t, redisstore.Config{Client: f, Now: func() time.Time { return now }})
		_, err := s.Get(t.Context(), "k")
		require.ErrorIs(t, err, redisstore.ErrUnavailable)
		f.takes.Store(0)
		_, err = s.Get(t.Context(), "k")
		require.ErrorIs(t, err, redisstore.ErrUnavailable)
		now = now.Add(-time.Minute)
		_, err = s.Get(t.Context(), "k")
		require.NoError(t, err)
	})
}

// TestCallerLeaves: its own context says so, and that is no outage.
func TestCallerLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var lines bytes.Buffer
		f := taking(200 * time.Millisecond)
		s := newStore(t, redisstore.Config{Client: f, Logger: slog.New(slog.NewTextHandler(&lines, nil))})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := s.Get(ctx, "k")
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, 50*time.Millisecond, time.Since(start))
		_, err = s.Get(t.Context(), "k")
		require.NoError(t, err)
		require.Empty(t, lines.String())
	})
}

// TestLostLock: a lock that nobody got to know of is given back, and only that.
func TestLostLock(t *testing.T) {
	errDown := errors.New("test: down")
	for _, tt := range []struct {
		name  string
		takes time.Duration
		got   bool
		err   error
		freed int64
	}{
		{"in time", 0, true, nil, 0},
		{"somebody else's", 0, false, nil, 0},
		{"late", time.Second, true, nil, 1},
		{"very late", time.Minute, true, nil, 1},
		{"late, and failed", time.Second, false, errDown, 1},
		{"failed, so that nobody knows", 0, false, errDown, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := &fake{setNX: func(context.Context) (bool, error) {
					time.Sleep(tt.takes)
					return tt.got, tt.err
				}}
				unlock, err := newStore(t, redisstore.Config{Client: f}).Lock(t.Context(), "k", time.Minute)
				require.Equal(t, tt.takes > 0 || tt.err != nil, err != nil)
				require.Equal(t, err == nil && tt.got, unlock != nil)
				time.Sleep(time.Hour)
				require.Equal(t, tt.freed, f.freed.Load())
			})
		})
	}
}

// TestBoundedCalls: a client that never comes back has 64 calls at most, and those
// who find none free wait no longer than the others.
func TestBoundedCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := taking(time.Hour)
		s := newStore(t, redisstore.Config{Client: f})
		start := time.Now()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				_, err := s.Get(t.Context(), "k")
				require.ErrorIs(t, err, redisstore.ErrUnavailable)
			})
		}
		wg.Wait()
		require.Equal(t, 250*time.Millisecond, time.Since(start))
		require.Equal(t, int64(64), f.reads.Load())
		for range 20 { // as long as they hang, there is no other
			time.Sleep(time.Minute)
			_, err := s.Get(t.Context(), "k")
			require.ErrorIs(t, err, redisstore.ErrUnavailable)
		}
		require.Equal(t, int64(64), f.reads.Load())
		time.Sleep(time.Hour)
		f.takes.Store(0)
		_, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
	})
}

// TestCrowd: many calls at a time are no outage, as long as Redis answers.
func TestCrowd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStore(t, redisstore.Config{Client: taking(10 * time.Millisecond)})
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				got, err := s.Get(t.Context(), "k")
				require.NoError(t, err)
				require.Equal(t, "v", string(got))
			})
		}
		wg.Wait()
	})
}

// TestPatience: a command goes on when its caller has left, but not for ever if the
// client heeds its context.
func TestPatience(t *testing.T) {
	for _, tt := range []struct {
		name   string
		caller time.Duration
		want   error
	}{
		{"the caller waits", time.Minute, redisstore.ErrUnavailable},
		{"the caller leaves", 50 * time.Millisecond, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ended, start := make(chan time.Duration, 1), time.Now()
				s := newStore(t, redisstore.Config{Client: &fake{get: func(ctx context.Context) (string, error) {
					<-ctx.Done()
					ended <- time.Since(start)
					return "", ctx.Err()
				}}})
				ctx, cancel := context.WithTimeout(t.Context(), tt.caller)
				defer cancel()
				_, err := s.Get(ctx, "k")
				require.ErrorIs(t, err, tt.want)
				require.Equal(t, 2*time.Second, <-ended)
			})
		})
	}
}

func TestPanics(t *testing.T) {
	seen := 0
	s := newStore(t, redisstore.Config{
		Client:  &fake{get: func(context.Context) (string, error) { panic("of a hook, with a secret") }},
		Observe: func(context.Context, redisstore.Event) { seen++; panic("of a counter") },
	})
	_, err := s.Get(t.Context(), "k")
	require.EqualError(t, err, "redisstore: get: the client panicked")
	require.Equal(t, 1, seen)
}

// TestErrorTexts: what a client says is shown where it is known to be harmless.
func TestErrorTexts(t *testing.T) {
	down := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 6379}, Err: errors.New("refused\r\nlevel=ERROR")}
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"address", fmt.Errorf("after 5 attempts: %w", down), "dial tcp 192.0.2.1:6379: refusedlevel=ERROR"},
		{"closed", redis.ErrClosed, "redis: client is closed"},
		{"no connection free", redis.ErrPoolTimeout, "redis: connection pool timeout"},
		{"bytes of the server", errors.New(`redis: can't parse "secret"`), "the client failed"},
		{"deadline of the client", context.DeadlineExceeded, "timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t, redisstore.Config{Client: &fake{get: func(context.Context) (string, error) { return "", tt.err }}})
			_, err := s.Get(t.Context(), "k")
			require.EqualError(t, err, "redisstore: get: "+tt.want)
			require.ErrorIs(t, err, tt.err)
			require.NotErrorIs(t, err, redisstore.ErrUnavailable)
		})
	}
}

func TestEventsAndLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var lines bytes.Buffer
		var events []redisstore.Event
		f := &fake{setNX: func(context.Context) (bool, error) { return true, nil }}
		s := newStore(t, redisstore.Config{
			Client: f, Logger: slog.New(slog.NewTextHandler(&lines, nil)),
			Observe: func(_ context.Context, e redisstore.Event) { events = append(events, e) },
		})
		_, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
		lock(t, s, time.Minute)()
		require.Equal(t, []redisstore.Event{{Op: "get"}, {Op: "lock"}, {Op: "unlock"}}, events)
		require.Empty(t, lines.String())

		f.takes.Store(int64(time.Hour))
		for range 10 {
			_, err = s.Get(t.Context(), "k")
			require.Equal(t, err, events[len(events)-1].Err)
		}
		require.Equal(t, 250*time.Millisecond, events[3].Duration)
		time.Sleep(time.Second)
		_, _ = s.Get(t.Context(), "k")
		text := strings.Split(strings.TrimSpace(lines.String()), "\n")
		require.Len(t, text, 2)
		require.Contains(t, text[0], `level=WARN msg="tokens are not shared" error="redisstore: get: no answer in 250ms"`)
		require.Contains(t, text[1], "unwritten=9")
	})
}

// TestHangingServer: with the real client, however it is set up.
func TestHangingServer(t *testing.T) {
	nowhere := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	addr := silent(t)
	for _, tt := range []struct {
		name string
		o    redis.Options
	}{
		{"as it comes", redis.Options{}},
		{"heeds deadlines", redis.Options{ContextTimeoutEnabled: true}},
		{"never tries again", redis.Options{MaxRetries: -1}},
		{"one connection", redis.Options{PoolSize: 1}},
		{"never dials through", redis.Options{Dialer: nowhere, DialTimeout: 300 * time.Millisecond}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Addr = addr
			c := redis.NewClient(&tt.o)
			before := runtime.NumGoroutine()
			s := newStore(t, redisstore.Config{Client: c, Timeout: 100 * time.Millisecond})
			start := time.Now()
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					for op, err := range calls(t.Context(), s) {
						require.ErrorIs(t, err, redisstore.ErrUnavailable, op)
					}
				})
			}
			wg.Wait()
			took := time.Since(start)
			t.Logf("50 callers, 150 calls: %s", took)
			require.Less(t, took, 500*time.Millisecond)
			_ = c.Close()
			require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before }, 30*time.Second, 50*time.Millisecond)
		})
	}
}

// TestPausedServer: one that stops in the middle, and goes on.
func TestPausedServer(t *testing.T) {
	srv := startRedis(t)
	now := time.Now() // stands still: no pause ends by itself
	s := newStore(t, redisstore.Config{Client: srv.client(t), Timeout: 100 * time.Millisecond, Now: func() time.Time { return now }})
	require.Eventually(t, func() bool { return s.Put(t.Context(), "k", []byte("v"), time.Minute) == nil }, 10*time.Second, 10*time.Millisecond)

	require.NoError(t, srv.client(t).Do(t.Context(), "CLIENT", "PAUSE", 700, "ALL").Err())
	start := time.Now()
	_, err := s.Lock(t.Context(), "k", time.Hour)
	require.ErrorIs(t, err, redisstore.ErrUnavailable)
	require.Less(t, time.Since(start), 500*time.Millisecond)
	require.Eventually(t, func() bool {
		got, err := s.Get(t.Context(), "k")
		return err == nil && string(got) == "v"
	}, 10*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return lock(t, s, time.Minute) != nil }, 10*time.Second, 10*time.Millisecond, "the lock of an hour was given back")
}
