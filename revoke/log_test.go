package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// flaky is a Log that can be down, or have lost what it had.
type flaky struct {
	*revoke.MemoryLog
	down   atomic.Bool
	epoch  atomic.Value
	states atomic.Int64
}

var errDown = errors.New("connection refused")

func (f *flaky) Append(ctx context.Context, entries []revoke.Entry) error {
	if f.down.Load() {
		return errDown
	}
	return f.MemoryLog.Append(ctx, entries)
}

func (f *flaky) State(ctx context.Context) (revoke.LogState, error) {
	f.states.Add(1)
	if f.down.Load() {
		return revoke.LogState{}, errDown
	}
	st, err := f.MemoryLog.State(ctx)
	if e, ok := f.epoch.Load().(string); ok {
		st.Epoch = e
	}
	return st, err
}

func (f *flaky) Tail(ctx context.Context, after [2]uint64) iter.Seq2[revoke.Entry, error] {
	return func(yield func(revoke.Entry, error) bool) {
		for e, err := range f.MemoryLog.Tail(ctx, after) {
			if f.down.Load() {
				yield(revoke.Entry{}, errDown)
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// entries is all that is in a log.
func entries(tb testing.TB, l revoke.Log) (all []revoke.Entry) {
	tb.Helper()
	for e, err := range l.Replay(context.Background(), [2]uint64{}) {
		require.NoError(tb, err)
		all = append(all, e)
	}
	return all
}

func TestLogIsShared(t *testing.T) {
	var log revoke.MemoryLog
	a, b := newChecker(t, revoke.Config{Log: &log}), newChecker(t, revoke.Config{Log: &log})
	now := time.Now()
	receipt := mustRevoke(t, a, record(revoke.KindSubject, "ann"))
	mustRevoke(t, a, revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: map[string]any{"tenant": 7}})
	require.False(t, b.Status().Ready)
	require.NoError(t, b.Warm(t.Context()))
	require.True(t, b.Status().Ready)
	requireReason(t, b, revoke.ReasonSubject, issued(now.Truncate(time.Second), nil))
	requireReason(t, b, revoke.ReasonClaims, issued(now.Truncate(time.Second), token{"sub": "bob", "tenant": 7}))
	require.NoError(t, b.Restore(t.Context(), receipt.ID))
	require.NoError(t, a.Warm(t.Context()))
	requireReason(t, a, "", issued(now.Truncate(time.Second), nil))
}

// TestNotReadyUntilLoaded: before the first load, nothing is known of what was revoked.
func TestNotReadyUntilLoaded(t *testing.T) {
	log := &flaky{MemoryLog: new(revoke.MemoryLog)}
	log.down.Store(true)
	c := newChecker(t, revoke.Config{Log: log, GraceAge: time.Minute, GraceLife: time.Minute})
	for _, mode := range []revoke.Mode{revoke.Strict, revoke.Graded} {
		view, err := c.WithMode(mode)
		require.NoError(t, err)
		revoked, err := view.Revoked(t.Context(), issued(time.Now(), nil))
		require.ErrorIs(t, err, revoke.ErrUnavailable)
		require.False(t, revoked)
		var later interface{ RetryAfter() time.Duration }
		require.ErrorAs(t, err, &later)
		require.Positive(t, later.RetryAfter())
	}
	view, err := c.WithMode(revoke.BestEffort)
	require.NoError(t, err)
	requireReason(t, view, "", issued(time.Now(), nil))
	_, err = c.Revoke(t.Context(), record(revoke.KindToken, "x"))
	require.ErrorIs(t, err, revoke.ErrUnavailable, "a write that is not stored is not made")
	require.ErrorIs(t, c.Warm(t.Context()), errDown)
	require.ErrorIs(t, c.Status().LastError, errDown)
}

// TestModes has the table of what passes while the Log cannot be had.
func TestModes(t *testing.T) {
	var now clock
	log := &flaky{MemoryLog: new(revoke.MemoryLog)}
	var stale atomic.Int64
	strict := newChecker(t, revoke.Config{
		Log: log, Now: now.now, MaxStaleness: 30 * time.Second, GraceAge: time.Minute, GraceLife: 5 * time.Minute,
		Observe: func(_ context.Context, e revoke.Event) {
			if e.Kind == "stale" {
				stale.Add(1)
			}
		},
	})
	graded, err := strict.WithMode(revoke.Graded)
	require.NoError(t, err)
	best, err := strict.WithMode(revoke.BestEffort)
	require.NoError(t, err)
	_, err = strict.WithMode(7)
	require.Error(t, err)
	_, err = newChecker(t, revoke.Config{}).WithMode(revoke.Graded)
	require.ErrorContains(t, err, "GraceAge")

	mustRevoke(t, strict, record(revoke.KindToken, "revoked"))
	require.NoError(t, strict.Warm(t.Context()))
	log.down.Store(true)
	for _, row := range []struct {
		name   string
		after  time.Duration
		claims token
		passes [3]bool // strict, graded, best effort
	}{
		{"fresh", 29 * time.Second, issued(epoch, nil), [3]bool{true, true, true}},
		{"old token", 2 * time.Minute, issued(epoch, nil), [3]bool{false, false, true}},
		{"young", 2 * time.Minute, issued(epoch.Add(61*time.Second), nil), [3]bool{false, true, true}},
		{"too old by a second", 2 * time.Minute, issued(epoch.Add(60*time.Second), nil), [3]bool{false, false, true}},
		{"from the future", 2 * time.Minute, issued(epoch.Add(20*time.Minute), nil), [3]bool{false, false, true}},
		{"nearly over", 2 * time.Minute, issued(epoch, token{"exp": date(epoch.Add(7 * time.Minute))}), [3]bool{false, true, true}},
		{"not nearly over", 2 * time.Minute, issued(epoch, token{"exp": date(epoch.Add(7*time.Minute + time.Second))}), [3]bool{false, false, true}},
	} {
		now.set(epoch.Add(row.after))
		for i, c := range []*revoke.Checker{strict, graded, best} {
			revoked, err := c.Revoked(t.Context(), row.claims)
			require.False(t, revoked, row.name)
			if row.passes[i] {
				require.NoError(t, err, "%s %d", row.name, i)
			} else {
				require.ErrorIs(t, err, revoke.ErrUnavailable, "%s %d", row.name, i)
			}
			revoked, err = c.Revoked(t.Context(), issued(epoch, token{"jti": "revoked"}))
			require.True(t, revoked && err == nil, "what is known is enforced in every mode")
		}
	}
	require.Positive(t, stale.Load())
	require.False(t, strict.Status().Ready)
}

// TestMergeInAnyOrder: whatever the order in which records come, and however often,
// the decisions are the same.
func TestMergeInAnyOrder(t *testing.T) {
	rounds := 60
	if raceEnabled {
		rounds = 10
	}
	for round := range rounds {
		random := rand.New(rand.NewPCG(7, uint64(round)))
		var now clock
		var log revoke.MemoryLog
		first := newChecker(t, revoke.Config{Log: &log, Now: now.now})
		var made []string
		pick := func(texts ...string) string { return texts[random.IntN(len(texts))] }
		for range 60 {
			r := record(revoke.Kind(pick("token", "session", "subject", "client", "claims", "key", "issuer", "everything")), pick("a", "b", "c"))
			switch r.Kind {
			case revoke.KindClaims:
				r.Value, r.Claims = "", map[string]any{pick("sub", "azp"): pick("a", "b"), "sid": pick("a", "b")}
			case revoke.KindIssuer, revoke.KindEverything:
				r.Value, r.IssuedBefore = "", epoch.Add(-time.Duration(random.IntN(59))*time.Minute)
			}
			if r.Kind == revoke.KindSubject && random.IntN(4) == 0 {
				r.Ban, r.Until = true, now.now().Add(time.Duration(1+random.IntN(20))*time.Minute)
			}
			receipt := mustRevoke(t, first, r)
			made = append(made, receipt.ID)
			if random.IntN(3) == 0 {
				require.NoError(t, ignoreUnknown(first.Restore(t.Context(), made[random.IntN(len(made))])))
			}
			now.add(time.Duration(random.IntN(1500)) * time.Millisecond)
		}
		all := entries(t, &log)
		shuffled := append(append([]revoke.Entry(nil), all...), all[:len(all)/2]...)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		var other revoke.MemoryLog
		require.NoError(t, other.Append(t.Context(), shuffled))
		second := newChecker(t, revoke.Config{Log: &other, Now: now.now})
		require.NoError(t, second.Warm(t.Context()))
		for range 300 {
			claims := issued(epoch.Add(time.Duration(random.IntN(4000)-3600)*time.Second), token{
				"jti": pick("a", "b", "c", "d"), "sid": pick("a", "b", "d"), "sub": pick("a", "b", "c", "d"), "client_id": pick("a", "d"), "azp": pick("a", "b"),
			})
			now.add(5 * time.Second)
			asked := revoke.Claims(signed{claims, thumbOf(pick("a", "b", "d"))})
			one, err := first.Revoked(t.Context(), asked)
			require.NoError(t, ignoreStale(err))
			two, err := second.Revoked(t.Context(), asked)
			require.NoError(t, ignoreStale(err))
			require.Equal(t, one, two, "round %d", round)
		}
	}
}

func ignoreUnknown(err error) error {
	if errors.Is(err, revoke.ErrUnknown) {
		return nil
	}
	return err
}

func ignoreStale(err error) error {
	if errors.Is(err, revoke.ErrUnavailable) {
		return nil
	}
	return err
}

// TestLapsedIsAsGoodAsNone: of a session that was restored and revoked again, long ago,
// nothing stands in the way of a record by a node that has forgotten it.
func TestLapsedIsAsGoodAsNone(t *testing.T) {
	var now clock
	var log revoke.MemoryLog
	old := newChecker(t, revoke.Config{Log: &log, Now: now.now, MaxStaleness: time.Hour})
	for range 2 {
		receipt := mustRevoke(t, old, record(revoke.KindSession, "s-1"))
		require.NoError(t, old.Restore(t.Context(), receipt.ID))
	}
	mustRevoke(t, old, record(revoke.KindSession, "s-1"))
	now.add(2 * time.Hour)
	fresh := newChecker(t, revoke.Config{Log: &log, Now: now.now})
	mustRevoke(t, fresh, record(revoke.KindSession, "s-1"))
	require.NoError(t, old.Warm(t.Context()))
	for _, c := range []*revoke.Checker{old, fresh} {
		requireReason(t, c, revoke.ReasonSession, issued(now.now(), nil))
	}
}

// TestForeignRecords: a record with a bad MAC, or of no known form, is skipped with an
// alarm; those beside it count.
func TestForeignRecords(t *testing.T) {
	var log, foreign revoke.MemoryLog
	mustRevoke(t, newChecker(t, revoke.Config{Log: &foreign, Secret: secret("x")}), record(revoke.KindEverything, ""))
	good := newChecker(t, revoke.Config{Log: &log})
	mustRevoke(t, good, record(revoke.KindToken, "id-1"))
	sealed := entries(t, &log)[0].Data
	bad := entries(t, &foreign)
	for i := range sealed {
		flipped := append([]byte(nil), sealed...)
		flipped[i] ^= 1 << (i % 8)
		bad = append(bad, revoke.Entry{Data: flipped})
	}
	bad = append(bad, revoke.Entry{Data: []byte{}}, revoke.Entry{Data: sealed[:20]}, revoke.Entry{Data: make([]byte, 1<<20)})
	require.NoError(t, log.Append(t.Context(), bad))
	var alarms atomic.Int64
	c := newChecker(t, revoke.Config{Log: &log, Observe: func(_ context.Context, e revoke.Event) {
		if e.Kind == "alarm" && e.Reason == revoke.ReasonRecord {
			alarms.Add(1)
		}
	}})
	mustRevoke(t, good, record(revoke.KindToken, "id-2"))
	require.NoError(t, c.Warm(t.Context()))
	require.Equal(t, len(bad), int(alarms.Load()))
	require.Equal(t, len(bad), int(c.Status().Damaged))
	require.Equal(t, 2, c.Status().Entries)
	requireReason(t, c, revoke.ReasonToken, issued(time.Now(), nil))
	requireReason(t, c, "", issued(time.Now(), token{"jti": "x"}))
}

// TestSecretRotation: records of the previous secret hold, until it is taken away.
func TestSecretRotation(t *testing.T) {
	var log revoke.MemoryLog
	old := newChecker(t, revoke.Config{Log: &log, Secret: secret("1")})
	receipt := mustRevoke(t, old, record(revoke.KindToken, "id-1"))
	rotated := newChecker(t, revoke.Config{Log: &log, Secret: secret("2"), PreviousSecret: secret("1")})
	require.NoError(t, rotated.Warm(t.Context()))
	requireReason(t, rotated, revoke.ReasonToken, issued(time.Now(), nil))
	mustRevoke(t, rotated, record(revoke.KindToken, "id-2"))
	require.NoError(t, rotated.Restore(t.Context(), receipt.ID))
	requireReason(t, rotated, "", issued(time.Now(), nil))
	requireReason(t, rotated, revoke.ReasonToken, issued(time.Now(), token{"jti": "id-2"}))

	late := newChecker(t, revoke.Config{Log: &log, Secret: secret("3"), PreviousSecret: secret("2")})
	require.NoError(t, late.Warm(t.Context()))
	require.Equal(t, 1, int(late.Status().Damaged), "the record of the first secret, and an alarm")
	requireReason(t, late, revoke.ReasonToken, issued(time.Now(), token{"jti": "id-2"}))
}

// TestLogThatLostEverything: nodes go on to enforce, and give it back what they have.
func TestLogThatLostEverything(t *testing.T) {
	log := &flaky{MemoryLog: new(revoke.MemoryLog)}
	c := newChecker(t, revoke.Config{Log: log})
	mustRevoke(t, c, record(revoke.KindToken, "id-1"))
	cutoff := mustRevoke(t, c, record(revoke.KindSubject, "ann"))
	undone := mustRevoke(t, c, record(revoke.KindSubject, "bob"))
	require.NoError(t, c.Restore(t.Context(), undone.ID))
	require.NoError(t, c.Warm(t.Context()))
	log.MemoryLog = new(revoke.MemoryLog)
	log.epoch.Store("another")
	require.NoError(t, c.Warm(t.Context()))
	at := time.Now().Truncate(time.Second)
	fresh := newChecker(t, revoke.Config{Log: log})
	require.NoError(t, fresh.Warm(t.Context()))
	for _, c := range []*revoke.Checker{c, fresh} {
		requireReason(t, c, revoke.ReasonToken, issued(at.Add(time.Minute), nil))
		requireReason(t, c, revoke.ReasonSubject, issued(at.Add(-time.Minute), token{"jti": "x"}))
		requireReason(t, c, "", issued(at.Add(-time.Minute), token{"jti": "x", "sub": "bob"}))
	}
	require.NoError(t, fresh.Restore(t.Context(), cutoff.ID), "ids are the same")
}

// TestHoles: a node that cannot hold what it is told of does not know, and says so.
func TestHoles(t *testing.T) {
	var log revoke.MemoryLog
	big := newChecker(t, revoke.Config{Log: &log})
	for i := range 20 {
		mustRevoke(t, big, record(revoke.KindToken, fmt.Sprint(i)))
	}
	small := newChecker(t, revoke.Config{Log: &log, MaxEntries: 10})
	require.NoError(t, small.Warm(t.Context()))
	require.False(t, small.Status().Ready)
	requireReason(t, small, revoke.ReasonToken, issued(time.Now(), token{"jti": "3"}))
	_, err := small.Revoked(t.Context(), issued(time.Now(), token{"jti": "15"}))
	require.ErrorIs(t, err, revoke.ErrUnavailable)
}

// TestLifetimeIsRememberedByTheLog (R14): the cutoff may have lapsed before a restart.
func TestLifetimeIsRememberedByTheLog(t *testing.T) {
	var log revoke.MemoryLog
	var now clock
	mustRevoke(t, newChecker(t, revoke.Config{Log: &log, Now: now.now}), record(revoke.KindSubject, "ann"))
	now.add(3 * time.Hour)
	c := newChecker(t, revoke.Config{Log: &log, Now: now.now})
	require.NoError(t, c.Warm(t.Context()))
	require.Zero(t, c.Status().Entries)
	requireReason(t, c, revoke.ReasonLifetime, issued(epoch, token{"exp": date(epoch.Add(720 * time.Hour))}))
}

// TestRun: with it, what others revoke is in force at once; it ends with its context,
// and an outage is got over.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &flaky{MemoryLog: new(revoke.MemoryLog)}
		a, b := newChecker(t, revoke.Config{Log: log}), newChecker(t, revoke.Config{Log: log})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		mustRevoke(t, a, record(revoke.KindToken, "1"))
		synctest.Wait()
		requireReason(t, b, revoke.ReasonToken, issued(time.Now(), token{"jti": "1"}))
		time.Sleep(2 * time.Minute)
		requireReason(t, b, "", issued(time.Now(), token{"jti": "2"}), "still fresh")

		log.down.Store(true)
		time.Sleep(time.Minute)
		_, err := b.Revoked(t.Context(), issued(time.Now(), token{"jti": "2"}))
		require.ErrorIs(t, err, revoke.ErrUnavailable)
		log.down.Store(false)
		mustRevoke(t, a, record(revoke.KindToken, "2"))
		time.Sleep(10 * time.Second)
		requireReason(t, b, revoke.ReasonToken, issued(time.Now(), token{"jti": "2"}))
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// TestCatchUpBehindChecks: without Run, checks bring the news by themselves, and an
// idle Checker has no goroutine.
func TestCatchUpBehindChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &flaky{MemoryLog: new(revoke.MemoryLog)}
		a, b := newChecker(t, revoke.Config{Log: log}), newChecker(t, revoke.Config{Log: log})
		_, err := b.Revoked(t.Context(), issued(time.Now(), nil))
		require.ErrorIs(t, err, revoke.ErrUnavailable)
		synctest.Wait()
		requireReason(t, b, "", issued(time.Now(), nil))
		mustRevoke(t, a, record(revoke.KindToken, "id-1"))
		time.Sleep(11 * time.Second)
		reason, err := b.Check(t.Context(), issued(time.Now(), nil)) // once: the reading may be done before another
		require.NoError(t, err)
		require.Empty(t, reason, "this one starts to read")
		synctest.Wait()
		requireReason(t, b, revoke.ReasonToken, issued(time.Now(), nil))
		asked := log.states.Load()
		for range 100 {
			requireReason(t, b, "", issued(time.Now(), token{"jti": "x"}))
		}
		require.Equal(t, asked, log.states.Load())
	})
	require.Less(t, runtime.NumGoroutine(), 50)
}

// FuzzDecode: what is accepted encodes to the same again.
func FuzzDecode(f *testing.F) {
	var log revoke.MemoryLog
	c := newChecker(f, revoke.Config{Log: &log})
	mustRevoke(f, c, record(revoke.KindToken, "id-1"))
	mustRevoke(f, c, revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: map[string]any{"a": 1, "b": "2"}, Reason: "r", Actor: "a"})
	for _, e := range entries(f, &log) {
		f.Add(e.Data[:len(e.Data)-16])
	}
	f.Fuzz(func(t *testing.T, unsealed []byte) {
		data := c.Seal(unsealed)
		again, err := c.Recode(data)
		if err == nil {
			require.Equal(t, data, again)
		}
	})
}
