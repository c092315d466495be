package revoke_test

import (
	"context"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// tardy is a Log that can be made to wait.
type tardy struct {
	revoke.Log
	gate atomic.Pointer[chan struct{}] // nil: open
}

func (h *tardy) State(ctx context.Context) (revoke.LogState, error) {
	if gate := h.gate.Load(); gate != nil {
		select {
		case <-*gate:
		case <-ctx.Done():
			return revoke.LogState{}, ctx.Err()
		}
	}
	return h.Log.State(ctx)
}

// TestClockWasAhead: what lapses by a clock that is ahead is swept, and wanted again
// when the clock is set back. The Log has it: until that was read again nobody passes,
// and then what was revoked is refused, and nobody else.
func TestClockWasAhead(t *testing.T) {
	memory := func(*testing.T) revoke.Log { return new(revoke.MemoryLog) }
	disk := func(t *testing.T) revoke.Log {
		j := &revoke.Journal{Path: filepath.Join(t.TempDir(), "journal"), NoSync: true}
		t.Cleanup(func() { require.NoError(t, j.Close()) })
		return j
	}
	filter := &revoke.Filter{Capacity: 10_000, FalsePositives: 1e-6}
	for _, row := range []struct {
		name   string
		log    func(*testing.T) revoke.Log
		filter *revoke.Filter
		ahead  time.Duration // what was revoked is wanted for up to an hour
		start  bool          // a Checker is made while its clock is ahead
		writes int           // while it is: each sweeps a bit
		unsure bool          // 503 until the Log was read again
	}{
		{"MemoryLog", memory, nil, 48 * time.Hour, false, 1000, true},
		{"Journal", disk, nil, 48 * time.Hour, false, 1000, true},
		{"MemoryLog, filter", memory, filter, 48 * time.Hour, false, 1000, true},
		{"Journal, filter", disk, filter, 48 * time.Hour, false, 1000, true},
		{"MemoryLog, started while it is ahead", memory, nil, 48 * time.Hour, true, 0, true},
		{"Journal, started while it is ahead", disk, nil, 48 * time.Hour, true, 0, true},
		{"ahead by little more than they are wanted for", memory, nil, 2 * time.Hour, false, 1000, true},

		{"nothing was swept", memory, nil, 48 * time.Hour, false, 0, false},
		{"nothing had lapsed", memory, nil, 15 * time.Minute, false, 1000, false},
		{"Journal, nothing had lapsed", disk, nil, 15 * time.Minute, false, 1000, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var now clock
				log := &tardy{Log: row.log(t)}
				open := func() *revoke.Checker {
					return newChecker(t, revoke.Config{Log: log, Now: now.now, Filter: row.filter})
				}
				c := open()
				byID := record(revoke.KindToken, "id-1")
				byID.Expires = epoch.Add(30 * time.Minute)
				of := func(claims token) revoke.Claims { // a filter asks by exp as well
					claims["exp"] = date(byID.Expires)
					return issued(epoch.Add(-time.Second), claims)
				}
				mustRevoke(t, c, byID)
				mustRevoke(t, c, record(revoke.KindSubject, "bob"))
				revoked := map[revoke.Reason]revoke.Claims{
					revoke.ReasonToken:   of(token{}),
					revoke.ReasonSubject: of(token{"sub": "bob", "jti": "id-2"}),
				}
				other := of(token{"jti": "id-3"})

				now.add(row.ahead)
				if row.start {
					c = open()
					require.NoError(t, c.Warm(t.Context()))
				}
				for i := range row.writes {
					r := record(revoke.KindToken, "ahead-"+strconv.Itoa(i))
					r.Expires = now.now().Add(10 * time.Minute)
					mustRevoke(t, c, r)
				}
				now.set(epoch)
				gate := make(chan struct{})
				release := sync.OnceFunc(func() { close(gate) })
				defer release()
				log.gate.Store(&gate)
				for range 3 {
					for want, claims := range revoked {
						reason, err := c.Check(t.Context(), claims)
						if !row.unsure {
							require.NoError(t, err)
							require.Equal(t, want, reason)
							continue
						}
						require.True(t, err != nil || reason == want, "it passes")
					}
					_, err := c.Check(t.Context(), other)
					if row.unsure {
						require.ErrorIs(t, err, revoke.ErrUnavailable)
						require.ErrorContains(t, err, "the clock was ahead")
					} else {
						require.NoError(t, err)
					}
					require.Equal(t, !row.unsure, c.Status().Ready)
					synctest.Wait()
				}
				release()
				synctest.Wait()
				for want, claims := range revoked {
					requireReason(t, c, want, claims)
				}
				requireReason(t, c, "", other)
				require.True(t, c.Status().Ready)
			})
		})
	}
}
