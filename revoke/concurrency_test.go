package revoke_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// TestConcurrentChecks: no revoked id passes while eight goroutines check, and others
// add, expire, restore and so make tables grow, split and shrink.
func TestConcurrentChecks(t *testing.T) {
	checks, known := 10_000_000, 2000
	if raceEnabled || testing.Short() {
		checks = 400_000
	}
	var now clock
	c := newChecker(t, revoke.Config{MaxLifetime: 100 * time.Hour, Now: now.now, MaxEntries: 400_000})
	kept := make([]token, 2*known)
	for i := range kept {
		kept[i] = issued(epoch, token{"jti": fmt.Sprint("kept-", i), "sub": fmt.Sprint("kept-", i), "exp": date(epoch.Add(100 * time.Hour))})
		r := record(revoke.KindToken, fmt.Sprint("kept-", i))
		if i >= known {
			r = record(revoke.KindSubject, fmt.Sprint("kept-", i))
		}
		mustRevoke(t, c, r)
	}
	var stop atomic.Bool
	var writers, readers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := 0; !stop.Load(); i++ {
				r := record(revoke.KindToken, fmt.Sprint(w, "-", i))
				r.Expires = now.now().Add(time.Duration(i%100) * time.Millisecond)
				if i%3 == 0 {
					r = record(revoke.KindSubject, fmt.Sprint(w, "-", i))
					r.Ban, r.Until = true, now.now().Add(time.Duration(1+i%100)*time.Millisecond)
				}
				receipt, err := c.Revoke(context.Background(), r)
				if err == nil && i%7 == 0 {
					_ = c.Restore(context.Background(), receipt.ID)
				}
				if i%50 == 0 {
					now.add(10 * time.Millisecond)
				}
			}
		})
	}
	var missed atomic.Int64
	for g := range 8 {
		readers.Go(func() {
			for i := range checks / 8 {
				if revoked, err := c.Revoked(context.Background(), kept[(g*7919+i)%len(kept)]); !revoked || err != nil {
					missed.Add(1)
				}
			}
		})
	}
	readers.Wait()
	stop.Store(true)
	writers.Wait()
	require.Zero(t, missed.Load(), "of %d", checks)
	require.Positive(t, c.Status().Entries)
}

// TestTableAgainstMap: a table is a map with expiry, whatever the order of writes.
func TestTableAgainstMap(t *testing.T) {
	for _, n := range []int{100, 40_000} {
		tb := revoke.NewTable(false)
		want := map[uint64]uint64{}
		next := uint64(1)
		for range n {
			next = next*6364136223846793005 + 1442695040888963407
			tb.Add(next|2, next%1000)
			want[next|2] = next % 1000
		}
		require.Equal(t, want, tb.All())
		tb.Sweep(func(v uint64) bool { return v < 900 })
		for fp, v := range want {
			if v < 900 {
				delete(want, fp)
			}
		}
		require.Equal(t, want, tb.All())
		for fp, v := range want {
			got, ok := tb.Get(fp)
			require.True(t, ok)
			require.Equal(t, v, got)
		}
		require.Less(t, tb.Slots(), 6*len(want)+8*256, "memory was given back")
	}
}
