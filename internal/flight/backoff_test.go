package flight_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/flight"
)

// pauses fails n times in a row and returns the pause after each failure.
func pauses(t *testing.T, call *flight.Call[int], n int, err error) []time.Duration {
	t.Helper()
	out := make([]time.Duration, n)
	for i := range out {
		_, got := call.Do(t.Context(), func(context.Context) (int, error) { return 0, err })
		require.ErrorIs(t, got, err)
		require.Equal(t, i+1, call.State().Failures)
		out[i] = wait(t, got)
		time.Sleep(out[i])
	}
	return out
}

func TestBackoff(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for _, tt := range []struct {
		name    string
		backoff flight.Backoff
		want    []time.Duration
	}{
		{"zero value", flight.Backoff{}, []time.Duration{250 * ms, 500 * ms, s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}},
		{"no keys yet", flight.Backoff{Max: s}, []time.Duration{250 * ms, 500 * ms, s, s}},
		{"permanent", flight.Backoff{Min: 30 * s, Max: 30 * s}, []time.Duration{30 * s, 30 * s}},
		{"Max below Min", flight.Backoff{Min: 10 * s, Max: s}, []time.Duration{s, s}},
		{"negative", flight.Backoff{Min: -1, Max: -1}, []time.Duration{250 * ms, 500 * ms}},
		{"tiny", flight.Backoff{Min: 1, Max: 1}, []time.Duration{1, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				call := flight.Call[int]{Backoff: func(error) flight.Backoff { return tt.backoff }}
				for i, d := range pauses(t, &call, len(tt.want), errDown) {
					between(t, d, tt.want[i])
				}
			})
		})
	}
}

func TestBackoffHugeMaxDoesNotOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Unix(0, 0)
		call := flight.Call[int]{
			Now:     func() time.Time { return now },
			Backoff: func(error) flight.Backoff { return flight.Backoff{Min: time.Hour, Max: math.MaxInt64} },
		}
		for range 80 {
			_, err := call.Do(t.Context(), fails)
			d := wait(t, err)
			require.GreaterOrEqual(t, d, time.Hour/2)
			now = now.Add(d)
		}
	})
}

func TestBackoffIsJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for range 50 {
			var call flight.Call[int]
			seen[pauses(t, &call, 1, errDown)[0]] = true
		}
		require.Greater(t, len(seen), 10)
	})
}

// TestBackoffChangesWithTheFailure is a key cache: patient while it has keys.
func TestBackoffChangesWithTheFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		haveKeys := true
		var asked error
		call := flight.Call[int]{Backoff: func(err error) flight.Backoff {
			asked = err
			if haveKeys {
				return flight.Backoff{}
			}
			return flight.Backoff{Max: time.Second, MaxRetryAfter: 5 * time.Second}
		}}
		between(t, pauses(t, &call, 10, errDown)[9], 30*time.Second)
		require.Equal(t, errDown, asked)
		haveKeys = false
		_, err := call.Do(t.Context(), fails)
		between(t, wait(t, err), time.Second)
	})
}

type busy time.Duration

func (b busy) Error() string             { return "test: 429" }
func (b busy) RetryAfter() time.Duration { return time.Duration(b) }

func TestRetryAfterLengthens(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		backoff flight.Backoff
		min     time.Duration
		max     time.Duration
	}{
		{"longer", busy(time.Minute), flight.Backoff{}, time.Minute, time.Minute},
		{"wrapped", fmt.Errorf("%w: %w", errors.New("test: keys"), busy(time.Minute)), flight.Backoff{}, time.Minute, time.Minute},
		{"capped", busy(time.Hour), flight.Backoff{}, 5 * time.Minute, 5 * time.Minute},
		{"capped by the caller", busy(time.Hour), flight.Backoff{Max: time.Second, MaxRetryAfter: 5 * time.Second}, 5 * time.Second, 5 * time.Second},
		{"not asked", busy(time.Hour), flight.Backoff{MaxRetryAfter: -1}, 125 * time.Millisecond, 250 * time.Millisecond},
		{"shorter", busy(1), flight.Backoff{}, 125 * time.Millisecond, 250 * time.Millisecond},
		{"zero", busy(0), flight.Backoff{}, 125 * time.Millisecond, 250 * time.Millisecond},
		{"negative", busy(-time.Hour), flight.Backoff{}, 125 * time.Millisecond, 250 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				call := flight.Call[int]{Backoff: func(error) flight.Backoff { return tt.backoff }}
				d := pauses(t, &call, 1, tt.err)[0]
				require.GreaterOrEqual(t, d, tt.min)
				require.LessOrEqual(t, d, tt.max)
			})
		})
	}
}
