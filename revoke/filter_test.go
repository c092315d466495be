package revoke_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

func expiring(id string, expires time.Time) revoke.Record {
	r := record(revoke.KindToken, id)
	r.Expires = expires
	return r
}

// TestFilter: what KrakenD's rotation was tested for. Members are found, also behind
// others, until their exp; others are not; what is not about single tokens is exact.
func TestFilter(t *testing.T) {
	var now clock
	c := newChecker(t, revoke.Config{Now: now.now, Filter: &revoke.Filter{Capacity: 1000, FalsePositives: 1e-9}})
	at := func(id string, expires time.Duration) token {
		return issued(epoch.Add(expires-time.Hour), token{"jti": id, "exp": date(epoch.Add(expires))})
	}
	for i := range 5000 { // five times what was foreseen
		mustRevoke(t, c, expiring(fmt.Sprint(i), epoch.Add(time.Duration(i)*time.Second/2)))
	}
	unknown := record(revoke.KindToken, "unknown exp")
	restorable := mustRevoke(t, c, unknown)
	for i := range 5000 {
		requireReason(t, c, revoke.ReasonToken, at(fmt.Sprint(i), time.Duration(i)*time.Second/2), i)
		requireReason(t, c, "", at(fmt.Sprint("x", i), time.Duration(i)*time.Second/2))
	}
	requireReason(t, c, revoke.ReasonToken, at("unknown exp", time.Hour))
	require.NoError(t, c.Restore(t.Context(), restorable.ID))
	requireReason(t, c, "", at("unknown exp", time.Hour))
	filtered := mustRevoke(t, c, expiring("4999", epoch.Add(2499500*time.Millisecond)))
	require.ErrorIs(t, c.Restore(t.Context(), filtered.ID), revoke.ErrUnknown)
	requireReason(t, c, revoke.ReasonLifetime, issued(epoch, token{"jti": "1", "exp": nil}), "no exp, no bucket")

	before := c.Status().Entries
	now.add(40 * time.Minute)
	mustRevoke(t, c, expiring("late", now.now().Add(time.Minute)))
	require.Less(t, c.Status().Entries, before/2, "dropped with their time")
	require.Equal(t, revoke.ReasonToken, first(c.Check(t.Context(), at("late", 41*time.Minute))))
	require.Empty(t, first(c.Check(t.Context(), at("1", 0))))
}

func first(r revoke.Reason, _ error) revoke.Reason { return r }

// TestFilterRate: the stated rate holds at the stated capacity, and memory with it.
func TestFilterRate(t *testing.T) {
	n, probes := 800_000, 2_000_000
	if raceEnabled || testing.Short() {
		n, probes = 80_000, 200_000
	}
	for _, overfull := range []int{1, 4} {
		f := revoke.NewFilter(n/overfull, 1e-4)
		for i := range n {
			f.Put(mixed(uint64(i)), int64(i%8)*450) // all the eight spans of an hour
		}
		for i := range n {
			require.True(t, f.Has(mixed(uint64(i)), int64(i%8)*450))
		}
		found := 0
		for i := range probes {
			if f.Has(mixed(uint64(n+i)), int64(i%8)*450) {
				found++
			}
		}
		rate := float64(found) / float64(probes)
		require.LessOrEqual(t, rate, 1e-4+3*math.Sqrt(1e-4/float64(probes)), "overfull %d", overfull)
		if perEntry := float64(f.Bytes()) / float64(n); overfull == 1 {
			require.LessOrEqual(t, perEntry, 2.5)
		}
		t.Logf("capacity exceeded %d times: rate %.2e, %.2f B an entry", overfull, rate, float64(f.Bytes())/float64(n))
	}
}

// mixed is splitmix64: what stands for a keyed fingerprint.
func mixed(n uint64) uint64 {
	n = (n + 1) * 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// TestConfirm makes the filter exact.
func TestConfirm(t *testing.T) {
	held := map[string]bool{}
	down := false
	asked := 0
	c := newChecker(t, revoke.Config{Now: new(clock).now, Filter: &revoke.Filter{
		Capacity: 10, FalsePositives: 0.1,
		Confirm: func(_ context.Context, id string) (bool, error) {
			if asked++; down {
				return false, errDown
			}
			return held[id], nil
		},
	}})
	for i := range 2000 {
		held[mustRevoke(t, c, expiring(fmt.Sprint(i), epoch.Add(time.Hour))).ID] = true
	}
	for i := range 2000 {
		requireReason(t, c, revoke.ReasonToken, issued(epoch, token{"jti": fmt.Sprint(i)}))
		requireReason(t, c, "", issued(epoch, token{"jti": fmt.Sprint("x", i)}))
	}
	require.Less(t, asked, 2*2000+2*2000*2/10)
	down = true
	_, err := c.Revoked(t.Context(), issued(epoch, token{"jti": "1"}))
	require.ErrorIs(t, err, revoke.ErrUnavailable)
	require.ErrorIs(t, err, errDown)
}

func TestFilterSettings(t *testing.T) {
	_, err := revoke.New(revoke.Config{MaxLifetime: time.Hour, Filter: &revoke.Filter{FalsePositives: math.NaN()}})
	require.ErrorContains(t, err, "Filter: Capacity")
	require.ErrorContains(t, err, "Filter: FalsePositives")
}
