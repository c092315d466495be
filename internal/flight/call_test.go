package flight_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/flight"
)

// Every test that starts a call runs in a synctest bubble: it fails if a
// goroutine is left at its end, and its clock moves only when all of them wait.

var errDown = errors.New("test: provider down")

type key struct{}

// wait is what an error asks for by RetryAfter.
func wait(t *testing.T, err error) time.Duration {
	t.Helper()
	var e interface{ RetryAfter() time.Duration }
	require.ErrorAs(t, err, &e)
	return e.RetryAfter()
}

// between checks one pause: the last half of it is random.
func between(t *testing.T, d, full time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, d, full/2)
	require.LessOrEqual(t, d, full)
}

func fails(context.Context) (int, error)    { return 0, errDown }
func succeeds(context.Context) (int, error) { return 7, nil }
func mustNotRun(t *testing.T) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		t.Error("a second call was started")
		return 0, nil
	}
}

func TestThousandCallersOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call flight.Call[int]
		var calls, good atomic.Int32
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				v, err := call.Do(t.Context(), func(context.Context) (int, error) {
					calls.Add(1)
					time.Sleep(time.Second)
					return 7, nil
				})
				if v == 7 && err == nil {
					good.Add(1)
				}
			})
		}
		start := time.Now()
		wg.Wait()
		require.EqualValues(t, 1, calls.Load())
		require.EqualValues(t, 1000, good.Load())
		require.Equal(t, time.Second, time.Since(start))
		require.Equal(t, flight.State{}, call.State())

		v, err := call.Do(t.Context(), func(context.Context) (int, error) { return 8, nil })
		require.NoError(t, err)
		require.Equal(t, 8, v, "results are not kept")
	})
}

func TestWaiterLeavesAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call flight.Call[string]
		start := time.Now()
		fn := func(context.Context) (string, error) {
			time.Sleep(5 * time.Second)
			return "keys", nil
		}
		require.True(t, call.Go(fn))
		var wg sync.WaitGroup
		wg.Go(func() {
			v, err := call.Do(t.Context(), fn)
			require.NoError(t, err)
			require.Equal(t, "keys", v)
			require.Equal(t, 5*time.Second, time.Since(start))
		})
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			v, err := call.Do(ctx, fn)
			require.Equal(t, context.DeadlineExceeded, err)
			require.Empty(t, v)
			require.Equal(t, 100*time.Millisecond, time.Since(start))
			require.True(t, call.State().Running, "the call goes on")
		})
		wg.Wait()
	})
}

func TestFirstCallerLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := flight.Call[int]{Timeout: 3 * time.Second}
		var calls atomic.Int32
		fn := func(ctx context.Context) (int, error) {
			calls.Add(1)
			deadline, ok := ctx.Deadline()
			require.True(t, ok)
			require.Equal(t, 3*time.Second, time.Until(deadline))
			require.Nil(t, ctx.Value(key{}))
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(2 * time.Second):
				return 7, nil
			}
		}
		first, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "of the first caller"))
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := call.Do(first, fn)
			require.Equal(t, context.Canceled, err)
		})
		synctest.Wait()
		wg.Go(func() {
			v, err := call.Do(t.Context(), fn)
			require.NoError(t, err)
			require.Equal(t, 7, v)
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		require.EqualValues(t, 1, calls.Load())

		_, err := call.Do(first, mustNotRun(t))
		require.Equal(t, context.Canceled, err, "who has left already starts nothing")
	})
}

func TestFailureIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call flight.Call[int]
		v, err := call.Do(t.Context(), func(context.Context) (int, error) { return 7, errDown })
		require.Zero(t, v)
		require.ErrorIs(t, err, errDown)
		require.EqualError(t, err, errDown.Error())
		pause := wait(t, err)
		between(t, pause, 250*time.Millisecond)
		require.Equal(t, flight.State{Failures: 1, Err: errDown, Next: time.Now().Add(pause)}, call.State())

		time.Sleep(pause - 1)
		v, err = call.Do(t.Context(), mustNotRun(t))
		require.ErrorIs(t, err, errDown)
		require.Zero(t, v)
		require.EqualValues(t, 1, wait(t, err), "the remaining time")
		require.False(t, call.Go(mustNotRun(t)))

		time.Sleep(1)
		v, err = call.Do(t.Context(), succeeds)
		require.NoError(t, err)
		require.Equal(t, 7, v)
		require.Equal(t, flight.State{}, call.State(), "a success clears it")
	})
}

func TestRetryIsWaitedForWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call flight.Call[int]
		_, err := call.Do(t.Context(), fails)
		time.Sleep(wait(t, err))
		require.True(t, call.Go(func(context.Context) (int, error) {
			time.Sleep(time.Second)
			return 7, nil
		}))
		s := call.State()
		require.True(t, s.Running)
		require.Equal(t, 1, s.Failures)
		require.ErrorIs(t, s.Err, errDown)
		v, err := call.Do(t.Context(), mustNotRun(t))
		require.NoError(t, err)
		require.Equal(t, 7, v)
	})
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call flight.Call[int]
		call.Forget()
		require.Equal(t, flight.State{}, call.State())
		_, err := call.Do(t.Context(), fails)
		require.Error(t, err)
		call.Forget()
		require.Equal(t, flight.State{}, call.State())

		require.True(t, call.Go(func(context.Context) (int, error) {
			time.Sleep(time.Second)
			return 7, nil
		}))
		call.Forget()
		require.Equal(t, flight.State{Running: true}, call.State())
		v, err := call.Do(t.Context(), mustNotRun(t))
		require.NoError(t, err)
		require.Equal(t, 7, v)
	})
}

func TestGoStartsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call flight.Call[int]
		var calls atomic.Int32
		slow := func(context.Context) (int, error) {
			calls.Add(1)
			time.Sleep(time.Second)
			return 0, errDown
		}
		require.True(t, call.Go(slow))
		require.Zero(t, testing.AllocsPerRun(100, func() { require.True(t, call.Go(slow)) }))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Zero(t, testing.AllocsPerRun(100, func() { require.False(t, call.Go(slow)) }))
		require.EqualValues(t, 1, calls.Load())
	})
}

func TestNoLockIsHeldAcrossTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call flight.Call[int]
		call.Backoff = func(error) flight.Backoff {
			call.State()
			call.Forget()
			return flight.Backoff{}
		}
		_, err := call.Do(t.Context(), func(context.Context) (int, error) {
			require.True(t, call.State().Running)
			require.True(t, call.Go(fails))
			call.Forget()
			return 0, errDown
		})
		require.ErrorIs(t, err, errDown)
	})
}

func TestInjectedClockDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Unix(1_000_000, 0)
		call := flight.Call[int]{Now: func() time.Time { return now }}
		_, err := call.Do(t.Context(), fails)
		pause := wait(t, err)
		require.Equal(t, now.Add(pause), call.State().Next)
		now = now.Add(pause)
		_, err = call.Do(t.Context(), succeeds)
		require.NoError(t, err)
	})
}

func TestAborted(t *testing.T) {
	var none []int
	var pointer *int
	for _, tt := range []struct {
		name, want string
		fn         func()
	}{
		{"panic with text", "flight: call aborted: panic with a string at call_test.go:", func() { panic("secret") }},
		{"panic with an error", "flight: call aborted: panic with a *errors.errorString at call_test.go:", func() { panic(errors.New("secret")) }},
		{"panic(nil)", "flight: call aborted: panic called with nil argument", func() { panic(nil) }}, //nolint:govet // that is the case
		{"index", "flight: call aborted: runtime error: index out of range [3] with length 0 at call_test.go:", func() { none[3]++ }},
		{"nil pointer", "flight: call aborted: runtime error: invalid memory address or nil pointer dereference at call_test.go:", func() { *pointer = 1 }},
		{"runtime.Goexit", "flight: call aborted: its goroutine was ended", runtime.Goexit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var call flight.Call[int]
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() {
						v, err := call.Do(t.Context(), func(context.Context) (int, error) {
							time.Sleep(time.Second)
							tt.fn()
							return 7, nil
						})
						require.Zero(t, v)
						require.ErrorIs(t, err, flight.ErrAborted)
						require.Contains(t, err.Error(), tt.want)
						require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "secret")
						between(t, wait(t, err), 250*time.Millisecond)
					})
				}
				wg.Wait()
				require.Equal(t, 1, call.State().Failures)
				require.False(t, call.State().Running)
			})
		})
	}
}

type panics struct{ error }

func (panics) RetryAfter() time.Duration { panic("of a foreign error") }

func TestForeignErrorPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call flight.Call[int]
		_, err := call.Do(t.Context(), func(context.Context) (int, error) { return 7, panics{errDown} })
		require.ErrorIs(t, err, flight.ErrAborted)
	})
}

func TestDeadlineOfTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call flight.Call[int]
		start := time.Now()
		_, err := call.Do(t.Context(), func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, fmt.Errorf("test: body: %w", ctx.Err())
		})
		require.EqualError(t, err, "test: body: context deadline exceeded")
		require.NoError(t, t.Context().Err())
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestOverdue(t *testing.T) {
	for _, tt := range []struct {
		name     string
		err      error
		failures int
	}{
		{"returns well in the end", nil, 0},
		{"fails in the end", errDown, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				call := flight.Call[int]{Timeout: 2 * time.Second}
				release := make(chan struct{})
				start := time.Now()
				_, err := call.Do(t.Context(), func(context.Context) (int, error) {
					<-release // deaf to its context
					return 7, tt.err
				})
				require.ErrorIs(t, err, flight.ErrOverdue)
				require.Equal(t, 3*time.Second, time.Since(start), "Timeout and a second")
				between(t, wait(t, err), 250*time.Millisecond)

				for range 3 { // also long after the backoff: no second goroutine
					_, err = call.Do(t.Context(), mustNotRun(t))
					require.ErrorIs(t, err, flight.ErrOverdue)
					require.Positive(t, wait(t, err))
					require.False(t, call.Go(mustNotRun(t)))
					call.Forget()
					time.Sleep(time.Hour)
				}
				require.True(t, call.State().Running)
				require.Equal(t, 1, call.State().Failures)

				close(release)
				synctest.Wait()
				require.False(t, call.State().Running)
				require.Equal(t, tt.failures, call.State().Failures, "counted once")
				v, err := call.Do(t.Context(), succeeds)
				require.NoError(t, err)
				require.Equal(t, 7, v)
			})
		})
	}
}

// TestOverdueRace has the call return in the moment it becomes overdue: whichever
// comes first, the waiters get one result and the call counts once.
func TestOverdueRace(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			call := flight.Call[int]{Timeout: time.Second}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					v, err := call.Do(t.Context(), func(context.Context) (int, error) {
						time.Sleep(2 * time.Second)
						return 7, nil
					})
					if err != nil {
						require.ErrorIs(t, err, flight.ErrOverdue)
						require.Zero(t, v)
					} else {
						require.Equal(t, 7, v)
					}
				})
			}
			wg.Wait()
			synctest.Wait()
			require.Equal(t, flight.State{}, call.State())
		})
	}
}

// TestMixed lets the race detector see every method at once, on the real clock.
func TestMixed(t *testing.T) {
	call := flight.Call[int]{Backoff: func(error) flight.Backoff { return flight.Backoff{Min: 1, Max: 1} }}
	var running, most, calls atomic.Int32
	fn := func(context.Context) (int, error) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		if calls.Add(1)%3 == 0 {
			return 0, errDown
		}
		return 7, nil
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				v, err := call.Do(t.Context(), fn)
				require.True(t, err == nil && v == 7 || errors.Is(err, errDown) && v == 0)
				call.Go(fn)
				call.Forget()
				call.State()
			}
		})
	}
	wg.Wait()
	for call.State().Running {
		runtime.Gosched()
	}
	require.EqualValues(t, 1, most.Load(), "never two at once")
}
