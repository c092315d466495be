package flight_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/flight"
)

func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call flight.Call[int]
		_, joined, err := call.Join(t.Context())
		require.False(t, joined, "before the first call")
		require.NoError(t, err)

		require.True(t, call.Go(func(context.Context) (int, error) {
			time.Sleep(time.Second)
			return 7, nil
		}))
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, joined, err := call.Join(ctx)
			require.True(t, joined)
			require.Equal(t, context.DeadlineExceeded, err)
			require.Equal(t, 100*time.Millisecond, time.Since(start))
		})
		v, joined, err := call.Join(t.Context())
		wg.Wait()
		require.True(t, joined)
		require.NoError(t, err)
		require.Equal(t, 7, v)
		require.Equal(t, time.Second, time.Since(start))

		_, joined, err = call.Join(t.Context())
		require.False(t, joined, "after a success")
		require.NoError(t, err)

		_, failed := call.Do(t.Context(), fails)
		v, joined, err = call.Join(t.Context())
		require.True(t, joined)
		require.ErrorIs(t, err, errDown)
		require.Equal(t, wait(t, failed), wait(t, err))
		require.Zero(t, v)

		time.Sleep(wait(t, failed))
		_, joined, err = call.Join(t.Context())
		require.False(t, joined, "when the backoff is over")
		require.NoError(t, err)
	})
}

func TestJoinOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call flight.Call[int]
		release := make(chan struct{})
		require.True(t, call.Go(func(context.Context) (int, error) {
			<-release
			return 7, nil
		}))
		_, joined, err := call.Join(t.Context())
		require.True(t, joined)
		require.ErrorIs(t, err, flight.ErrOverdue)
		time.Sleep(time.Hour)
		_, joined, err = call.Join(t.Context())
		require.True(t, joined)
		require.ErrorIs(t, err, flight.ErrOverdue)
		require.Positive(t, wait(t, err))
		close(release)
	})
}
