package revoke_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// Fault: shapes whose entries have all lapsed are given up only when MaxEntries are
// held. After 65 536 tenants ever, nothing can be revoked for a further one: ErrFull
// for ever, with no entry held.
func TestAttackIdleShapesAreGivenUp(t *testing.T) {
	var now clock
	c := newChecker(t, revoke.Config{Now: now.now})
	for i := range 1 << 16 {
		r := record(revoke.KindToken, "id")
		r.Issuer = fmt.Sprint("https://", i)
		receipt := mustRevoke(t, c, r)
		require.NoError(t, c.Restore(t.Context(), receipt.ID)) // only so that this is fast; a lapse does the same
	}
	now.add(3 * time.Hour)
	_, err := c.Revoke(t.Context(), record(revoke.KindToken, "id-1"))
	require.NoError(t, err)
}

// Fault: what stores nothing (an expired token, a cutoff that is too old) leaves a
// shape behind, which counts against no bound but that of all shapes.
func TestAttackRefusedRecordsLeaveNoShape(t *testing.T) {
	c := newChecker(t, revoke.Config{Now: new(clock).now})
	for i := range 1 << 16 {
		r := record(revoke.KindToken, "id")
		r.Issuer, r.Expires = fmt.Sprint("https://", i), epoch.Add(-time.Hour)
		mustRevoke(t, c, r)
	}
	_, err := c.Revoke(t.Context(), record(revoke.KindToken, "id-1"))
	require.NoError(t, err)
}

// Fault: claim sets fill what an issuer may have, and then no token, session or subject
// of it can be revoked any more.
func TestAttackClaimSetsLeaveRoomForTokens(t *testing.T) {
	c := newChecker(t, revoke.Config{Now: new(clock).now})
	for i := range 64 {
		mustRevoke(t, c, revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: map[string]any{fmt.Sprint("c", i): 1}})
	}
	for _, kind := range []revoke.Kind{revoke.KindToken, revoke.KindSession, revoke.KindSubject, revoke.KindClient, revoke.KindIssuer} {
		r := record(kind, "x")
		if kind == revoke.KindIssuer {
			r.Value = ""
		}
		_, err := c.Revoke(t.Context(), r)
		require.NoError(t, err, kind)
	}
}

// Fault: the bound per issuer is held against what comes from the Log too. While a
// secret is rotated, a set of records that was fine makes holes: 503 for everybody.
func TestAttackRotationMakesNoHoles(t *testing.T) {
	var log revoke.MemoryLog
	old := newChecker(t, revoke.Config{Log: &log, Secret: secret("1")})
	next := newChecker(t, revoke.Config{Log: &log, Secret: secret("2"), PreviousSecret: secret("1")})
	for i := range 40 {
		r := revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: map[string]any{fmt.Sprint("c", i): 1}}
		mustRevoke(t, old, r)
		if i < 30 {
			mustRevoke(t, next, r)
		}
	}
	fresh := newChecker(t, revoke.Config{Log: &log, Secret: secret("2"), PreviousSecret: secret("1")})
	require.NoError(t, fresh.Warm(t.Context()))
	require.True(t, fresh.Status().Ready)
}

// Fault: with a Filter, a token that was revoked without Expires, restored, and revoked
// again with Expires is acknowledged, and passes.
func TestAttackFilterRevokesARestoredToken(t *testing.T) {
	c := newChecker(t, revoke.Config{Now: new(clock).now, Filter: &revoke.Filter{Capacity: 100, FalsePositives: 1e-4}})
	receipt := mustRevoke(t, c, record(revoke.KindToken, "id-1"))
	require.NoError(t, c.Restore(t.Context(), receipt.ID))
	mustRevoke(t, c, expiring("id-1", epoch.Add(time.Hour)))
	requireReason(t, c, revoke.ReasonToken, issued(epoch, nil))
}

// Fault: with a Filter that has Confirm, each repetition counts as another entry: who
// revokes the own token again and again fills MaxEntries, and nobody else can revoke.
func TestAttackFilterCountsATokenOnce(t *testing.T) {
	c := newChecker(t, revoke.Config{Now: new(clock).now, MaxEntries: 100, Filter: &revoke.Filter{
		Capacity: 100, FalsePositives: 1e-4,
		Confirm: func(context.Context, string) (bool, error) { return true, nil },
	}})
	for range 100 {
		mustRevoke(t, c, expiring("id-1", epoch.Add(time.Hour)))
	}
	require.Equal(t, 1, c.Status().Entries)
	_, err := c.Revoke(t.Context(), expiring("id-2", epoch.Add(time.Hour)))
	require.NoError(t, err)
}

// Fault: a token may expire in 2100 for all that anybody knows. Each span of such an
// exp gets a whole layer of the filter, which MaxEntries does not bound.
func TestAttackFilterIsBounded(t *testing.T) {
	c := newChecker(t, revoke.Config{Now: new(clock).now, Filter: &revoke.Filter{Capacity: 100_000, FalsePositives: 1e-4}})
	for i := range 100 {
		mustRevoke(t, c, expiring(fmt.Sprint(i), epoch.Add(time.Duration(i)*24*time.Hour)))
	}
	require.Less(t, revoke.FilterBytes(c), 1_000_000, "of 100 entries; 2.4 bytes each for 100 000 were agreed to")
}

// Fault: one user who logs out every now and then leaves an undone cutoff each time,
// and so fills MaxEntries for all.
func TestAttackOneUserFillsNothing(t *testing.T) {
	var now clock
	c := newChecker(t, revoke.Config{Now: now.now, MaxEntries: 100})
	for range 200 {
		_, err := c.Revoke(t.Context(), record(revoke.KindSubject, "ann"))
		require.NoError(t, err)
		now.add(time.Second)
	}
	_, err := c.Revoke(t.Context(), record(revoke.KindSubject, "bob"))
	require.NoError(t, err)
}

// Fault: a ban that is there already is stored again, each time, in the same place of
// the table: a retry loop makes checks of it, and of its neighbours there, slow.
func TestAttackSameBanIsOneEntry(t *testing.T) {
	c := newChecker(t, revoke.Config{Now: new(clock).now})
	r := record(revoke.KindSubject, "ann")
	r.Ban = true
	for range 1000 {
		mustRevoke(t, c, r)
	}
	require.LessOrEqual(t, c.Cutoffs(), 9)
}

// Fault: a token without iat outlives the cutoff that was about it: refused for days,
// then accepted in the last MaxLifetime before its exp.
func TestAttackUndatedTokenOutlivesItsCutoff(t *testing.T) {
	var now clock
	var log revoke.MemoryLog
	c := newChecker(t, revoke.Config{Now: now.now, Log: &log, MaxStaleness: time.Hour})
	mustRevoke(t, c, record(revoke.KindSubject, "ann"))
	undated := issued(epoch, token{"iat": nil, "exp": date(epoch.Add(30 * 24 * time.Hour))})
	for _, at := range []time.Duration{0, 2 * time.Hour, 15 * 24 * time.Hour, 30*24*time.Hour - 30*time.Minute} {
		now.set(epoch.Add(at))
		require.NoError(t, c.Warm(t.Context()))
		revoked, err := c.Revoked(t.Context(), undated)
		require.NoError(t, err)
		require.True(t, revoked, "after %s", at)
	}
}

// Fault: of two cutoffs with one id (tags are random, of 21 bits, and made by nodes that
// do not know each other) the first to come wins, not the later cutoff.
func TestAttackSameIDMergesToTheStricter(t *testing.T) {
	var now clock
	var log revoke.MemoryLog
	writer := newChecker(t, revoke.Config{Now: now.now, Log: &log})
	mustRevoke(t, writer, record(revoke.KindSubject, "ann"))
	one := entries(t, &log)[0].Data
	two := append([]byte(nil), one[:len(one)-16]...)
	value := binary.BigEndian.Uint64(two[24:])
	binary.BigEndian.PutUint64(two[24:], value+10_000<<21) // ten seconds later, the same tag
	two = writer.Seal(two)
	for _, order := range [][][]byte{{one, two}, {two, one}} {
		var other revoke.MemoryLog
		for _, data := range order {
			require.NoError(t, other.Append(t.Context(), []revoke.Entry{{Data: data}}))
		}
		c := newChecker(t, revoke.Config{Now: now.now, Log: &other})
		require.NoError(t, c.Warm(t.Context()))
		requireReason(t, c, revoke.ReasonSubject, issued(epoch.Add(5*time.Second), nil))
	}
}

// Fault: a record of tag 0 that comes when the sweep has taken the entry of a raised
// tag is in the table under that other tag: its Restore does nothing here.
func TestAttackTagOfASweptEntry(t *testing.T) {
	for writes := range 14 {
		var now clock
		var log revoke.MemoryLog
		node := newChecker(t, revoke.Config{Now: now.now, Log: &log, MaxStaleness: time.Hour})
		receipt := mustRevoke(t, node, record(revoke.KindSession, "s-1"))
		require.NoError(t, node.Restore(t.Context(), receipt.ID))
		mustRevoke(t, node, record(revoke.KindSession, "s-1")) // tag 1
		for i := range 200 {
			mustRevoke(t, node, record(revoke.KindSession, fmt.Sprint(i)))
		}
		require.NoError(t, node.Warm(t.Context()))
		now.add(2 * time.Hour)
		for i := range writes { // the sweep of node goes on, but not round
			mustRevoke(t, node, record(revoke.KindSession, fmt.Sprint("more", i)))
		}
		other := newChecker(t, revoke.Config{Now: now.now, Log: &log, MaxStaleness: time.Hour})
		receipt = mustRevoke(t, other, record(revoke.KindSession, "s-1")) // tag 0, as all else has lapsed
		require.NoError(t, node.Warm(t.Context()))
		require.NoError(t, other.Restore(t.Context(), receipt.ID))
		require.NoError(t, node.Warm(t.Context()))
		requireReason(t, other, "", issued(now.now(), nil))
		requireReason(t, node, "", issued(now.now(), nil), "after %d writes", writes)
	}
}

// Fault: what was restored comes back after a restart with a longer MaxLifetime, as its
// tombstone lapses with the old one.
func TestAttackRestoredStaysRestored(t *testing.T) {
	var now clock
	path := filepath.Join(t.TempDir(), "journal")
	j := &revoke.Journal{Path: path}
	c := newChecker(t, revoke.Config{Now: now.now, Log: j})
	receipt := mustRevoke(t, c, record(revoke.KindEverything, ""))
	require.NoError(t, c.Restore(t.Context(), receipt.ID))
	require.NoError(t, j.Close())
	now.add(2 * time.Hour)
	j = &revoke.Journal{Path: path}
	t.Cleanup(func() { _ = j.Close() })
	c = newChecker(t, revoke.Config{Now: now.now, Log: j, MaxLifetime: 24 * time.Hour})
	require.NoError(t, c.Warm(t.Context()))
	requireReason(t, c, "", issued(epoch, token{"exp": date(epoch.Add(24 * time.Hour))}))
}

// gated is a Log whose Replay stops at an entry until it is let go on, or fails there.
type gated struct {
	*revoke.MemoryLog
	mu      sync.Mutex
	epoch   string
	failAt  int // 1: the first; 0: none
	stopAt  int
	stopped chan struct{}
	goOn    chan struct{}
	appends atomic.Int64
	refuses atomic.Int64 // Appends to refuse
}

func (g *gated) State(ctx context.Context) (revoke.LogState, error) {
	st, err := g.MemoryLog.State(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.epoch != "" {
		st.Epoch = g.epoch
	}
	return st, err
}

func (g *gated) Append(ctx context.Context, e []revoke.Entry) error {
	if g.refuses.Add(-1) >= 0 {
		return errDown
	}
	g.appends.Add(1)
	return g.MemoryLog.Append(ctx, e)
}

func (g *gated) Replay(ctx context.Context, after [2]uint64) iter.Seq2[revoke.Entry, error] {
	return func(yield func(revoke.Entry, error) bool) {
		g.mu.Lock()
		failAt, stopAt := g.failAt, g.stopAt
		g.failAt, g.stopAt = 0, 0
		g.mu.Unlock()
		n := 0
		if failAt == -1 {
			yield(revoke.Entry{}, errDown)
			return
		}
		for e, err := range g.MemoryLog.Replay(ctx, after) {
			n++
			if n == failAt {
				yield(revoke.Entry{}, errDown)
				return
			}
			if n == stopAt {
				close(g.stopped)
				<-g.goOn
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Fault: holes are forgotten when a reading begins, not when it has shown that nothing
// is missing. Until it meets them again, Strict lets revoked tokens pass.
func TestAttackHolesStayWhileReading(t *testing.T) {
	log := &gated{MemoryLog: new(revoke.MemoryLog), stopped: make(chan struct{}), goOn: make(chan struct{})}
	big := newChecker(t, revoke.Config{Log: log})
	for i := range 20 {
		mustRevoke(t, big, record(revoke.KindToken, fmt.Sprint(i)))
	}
	small := newChecker(t, revoke.Config{Log: log, MaxEntries: 10})
	require.NoError(t, small.Warm(t.Context()))
	_, err := small.Revoked(t.Context(), issued(time.Now(), token{"jti": "15"}))
	require.ErrorIs(t, err, revoke.ErrUnavailable)
	log.mu.Lock()
	log.stopAt = 1
	log.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- small.Warm(context.Background()) }()
	<-log.stopped
	_, err = small.Revoked(t.Context(), issued(time.Now(), token{"jti": "15"}))
	close(log.goOn)
	require.NoError(t, <-done)
	require.ErrorIs(t, err, revoke.ErrUnavailable)
}

// Fault: without Run, nothing reads again what was missing for want of room: 503 for
// ever, though all has lapsed.
func TestAttackHolesHeal(t *testing.T) {
	var now clock
	var log revoke.MemoryLog
	big := newChecker(t, revoke.Config{Log: &log, Now: now.now})
	for i := range 20 {
		mustRevoke(t, big, record(revoke.KindToken, fmt.Sprint(i)))
	}
	small := newChecker(t, revoke.Config{Log: &log, MaxEntries: 10, Now: now.now})
	require.NoError(t, small.Warm(t.Context()))
	now.add(24 * time.Hour)
	require.Eventually(t, func() bool {
		_, err := small.Revoked(t.Context(), issued(now.now(), token{"jti": "other"}))
		return err == nil
	}, 2*time.Second, time.Millisecond)
}

// Fault: a Log has lost everything, and the first reading after that fails half-way, or
// the giving back does: nobody gives back what is held here.
func TestAttackRefillIsTriedAgain(t *testing.T) {
	for _, row := range []string{"replay fails", "append fails"} {
		t.Run(row, func(t *testing.T) {
			var now clock
			log := &gated{MemoryLog: new(revoke.MemoryLog)}
			c := newChecker(t, revoke.Config{Log: log, Now: now.now, MaxStaleness: time.Hour})
			mustRevoke(t, c, record(revoke.KindSession, "s-1"))
			require.NoError(t, c.Warm(t.Context()))
			log.mu.Lock()
			log.MemoryLog, log.epoch = new(revoke.MemoryLog), "another"
			if row == "replay fails" {
				log.failAt = -1
			} else {
				log.refuses.Store(1)
			}
			log.mu.Unlock()
			_ = c.Warm(t.Context())
			now.add(time.Minute)
			_ = c.Warm(t.Context())
			require.NoError(t, c.Warm(t.Context()))
			fresh := newChecker(t, revoke.Config{Log: log, Now: now.now})
			require.NoError(t, fresh.Warm(t.Context()))
			requireReason(t, fresh, revoke.ReasonSession, issued(epoch, nil))
		})
	}
}

// trimmed is a Log that forgets its oldest entries, and to which others write while it
// is read.
type trimmed struct {
	*revoke.MemoryLog
	trim    uint64
	replays atomic.Int64
	full    atomic.Int64
	during  func()
}

func (l *trimmed) State(ctx context.Context) (revoke.LogState, error) {
	st, err := l.MemoryLog.State(ctx)
	st.First = [2]uint64{0, l.trim + 1}
	return st, err
}

func (l *trimmed) Replay(ctx context.Context, after [2]uint64) iter.Seq2[revoke.Entry, error] {
	l.replays.Add(1)
	if after == [2]uint64{} {
		l.full.Add(1)
	}
	if l.during != nil {
		l.during()
	}
	if after[1] < l.trim {
		after[1] = l.trim
	}
	return l.MemoryLog.Replay(ctx, after)
}

// Fault: what is appended between State and Replay is not counted when all is read, as
// what the log has forgotten hides it: the next catch-up believes that entries were
// missed, fails, and reads everything again; with a writer beside it, for ever.
func TestAttackCountAfterAFullReading(t *testing.T) {
	var now clock
	log := &trimmed{MemoryLog: new(revoke.MemoryLog), trim: 50}

	n := 0
	write := func() {
		n++
		require.NoError(t, log.MemoryLog.Append(t.Context(), []revoke.Entry{{Data: sealed(t, n)}}))
	}
	for range 100 {
		write()
	}

	c := newChecker(t, revoke.Config{Log: log, Now: now.now})
	log.during = func() {
		write()
		if log.full.Load() == 1 && log.replays.Load() == 1 {
			write() // all of it takes longer to read
		}
	}
	require.NoError(t, c.Warm(t.Context()))
	for range 5 {
		now.add(15 * time.Second)
		require.NoError(t, c.Warm(t.Context()))
	}
	require.Equal(t, int64(1), log.full.Load())
}

var sealedEntries = sync.OnceValue(func() [][]byte {
	var log revoke.MemoryLog
	c, _ := revoke.New(revoke.Config{MaxLifetime: time.Hour, Secret: secret("s"), Log: &log, Now: new(clock).now})
	var all [][]byte
	for i := range 500 {
		_, _ = c.Revoke(context.Background(), revoke.Record{Kind: revoke.KindToken, Issuer: issuer, Value: fmt.Sprint("n", i)})
	}
	for e := range log.Replay(context.Background(), [2]uint64{}) {
		all = append(all, e.Data)
	}
	return all
})

func sealed(_ testing.TB, i int) []byte { return sealedEntries()[i] }

// Fault: loaded is told before asOf and local are: a check in between dereferences nil.
func TestAttackCheckWhileLoading(t *testing.T) {
	for range 3000 {
		var log revoke.MemoryLog
		c := newChecker(t, revoke.Config{Log: &log})
		var stop atomic.Bool
		var panicked atomic.Value
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panicked.Store(fmt.Sprint(p))
				}
			}()
			tok := issued(time.Now(), nil)
			for !stop.Load() {
				_, _ = c.Revoked(context.Background(), tok)
			}
		})
		_ = c.Warm(t.Context())
		stop.Store(true)
		wg.Wait()
		require.Nil(t, panicked.Load())
	}
}

// Fault: an AsOf in the future (a Log whose clock is ahead, or our own that was set
// back) is believed: nothing is ever stale again.
func TestAttackAsOfInTheFuture(t *testing.T) {
	var now clock
	log := &flaky{MemoryLog: new(revoke.MemoryLog)}
	c := newChecker(t, revoke.Config{Log: log, Now: now.now})
	now.set(epoch.Add(10 * time.Hour))
	require.NoError(t, c.Warm(t.Context()))
	now.set(epoch) // the clock was wrong
	log.down.Store(true)
	now.add(time.Hour)
	_, err := c.Revoked(t.Context(), issued(now.now(), nil))
	require.ErrorIs(t, err, revoke.ErrUnavailable, "the log was not heard of for an hour")
}

// Fault: LoadTimeout does not end a Replay that never ends by itself.
type endless struct{ *revoke.MemoryLog }

func (endless) Replay(context.Context, [2]uint64) iter.Seq2[revoke.Entry, error] {
	return func(yield func(revoke.Entry, error) bool) {
		for yield(revoke.Entry{Data: []byte("x")}, nil) {
		}
	}
}

func TestAttackLoadTimeoutEndsAReplay(t *testing.T) {
	var after atomic.Int64
	var began = time.Now()
	c := newChecker(t, revoke.Config{Log: endless{new(revoke.MemoryLog)}, LoadTimeout: 50 * time.Millisecond, Observe: func(context.Context, revoke.Event) {
		after.Store(int64(time.Since(began)))
	}})
	require.Error(t, c.Warm(t.Context()))
	last := after.Load()
	require.Never(t, func() bool { return after.Load() > last+int64(200*time.Millisecond) }, 500*time.Millisecond, 50*time.Millisecond)
}

// Fault: a journal that was moved away or replaced (logrotate, a restore of a backup)
// goes on to be written to: what is acknowledged is not there after a restart.
func TestAttackJournalThatWasReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, c := journal(t, path)
	mustRevoke(t, c, record(revoke.KindToken, "a"))
	require.NoError(t, os.Rename(path, path+".1"))
	_, err := c.Revoke(t.Context(), record(revoke.KindToken, "b"))
	if err != nil {
		return // loud is fine
	}
	require.NoError(t, j.Close())
	_, again := journal(t, path)
	require.NoError(t, again.Warm(t.Context()))
	requireReason(t, again, revoke.ReasonToken, issued(time.Now(), token{"jti": "b"}))
}

type texts struct{ token }

// Fault: claims of other shapes than encoding/json's (a list of strings, a narrower
// integer, a named string) are no values at all: the rule does not fit, without a word.
func TestAttackClaimsOfGoTypes(t *testing.T) {
	type id string
	for name, row := range map[string]struct{ rule, claim any }{
		"list of strings": {"x", []string{"y", "x"}},
		"int32":           {7, int32(7)},
		"uint":            {7, uint(7)},
		"float32":         {0.5, float32(0.5)},
		"named string":    {"x", id("x")},
	} {
		c := newChecker(t, revoke.Config{Now: new(clock).now})
		mustRevoke(t, c, revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: map[string]any{"c": row.rule}, Ban: true})
		requireReason(t, c, revoke.ReasonClaims, texts{issued(epoch, token{"c": row.claim})}, name)
	}
}

// Fault: with AcceptSameSecond a cutoff of now is rounded down to the millisecond: what
// was issued just before, with a fraction, passes. "Fractional iat compared exactly".
func TestAttackFractionBeforeTheCutoff(t *testing.T) {
	var now clock
	now.set(epoch.Add(100*time.Millisecond + 700*time.Microsecond))
	c := newChecker(t, revoke.Config{Now: now.now, AcceptSameSecond: true})
	mustRevoke(t, c, record(revoke.KindSubject, "ann"))
	requireReason(t, c, revoke.ReasonSubject, issued(epoch.Add(100*time.Millisecond+500*time.Microsecond), nil))
	requireReason(t, c, "", issued(epoch, nil))
	requireReason(t, c, "", issued(epoch.Add(101*time.Millisecond), nil))
}

// Fault: numbers with more than 64 digits, or an exponent above 64, are compared by how
// they are spelt.
func TestAttackHugeNumbersAreCanonical(t *testing.T) {
	for _, row := range [][2]json.Number{{"1e65", "10e64"}, {"1e66", "1" + json.Number(strings.Repeat("0", 66))}, {"1e-65", "0.1e-64"}} {
		c := newChecker(t, revoke.Config{Now: new(clock).now})
		mustRevoke(t, c, revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: map[string]any{"n": row[0]}, Ban: true})
		requireReason(t, c, revoke.ReasonClaims, issued(epoch, token{"n": row[1]}), row)
	}
}

// Fault: each first record of an issuer copies the map of all issuers, under the lock:
// 8 000 tenants took 6 s, and a log of 65 000 takes longer to load than LoadTimeout.
func TestAttackManyIssuers(t *testing.T) {
	c := newChecker(t, revoke.Config{Now: new(clock).now})
	add := func(i int) {
		r := record(revoke.KindToken, "id")
		r.Issuer = fmt.Sprint("https://", i)
		mustRevoke(t, c, r)
	}
	for i := range 4000 {
		add(i)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	add(4000)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<10), "bytes for one more")
}

// Fault: a Filter for more than MaxEntries (a million, if nothing is said) is taken by
// New, and refuses writes at a fiftieth of its Capacity.
func TestAttackFilterAboveMaxEntries(t *testing.T) {
	_, err := revoke.New(revoke.Config{MaxLifetime: time.Hour, MaxEntries: 1000, Filter: &revoke.Filter{Capacity: 50_000_000, FalsePositives: 1e-4}})
	require.ErrorContains(t, err, "Capacity")
}

// Fault: a key is banned by whatever text: a thumbprint in hex, padded, or of another
// key form is acknowledged and refuses nothing.
func TestAttackKeyThatIsNoThumbprint(t *testing.T) {
	c := newChecker(t, revoke.Config{})
	for _, value := range []string{strings.Repeat("ab", 32), strings.Repeat("A", 43) + "=", "kid-2024"} {
		_, err := c.Revoke(t.Context(), revoke.Record{Kind: revoke.KindKey, Value: value})
		require.ErrorIs(t, err, revoke.ErrRecord, value)
	}
}

// Fault: while a key is banned, a token of which the key is not told (claims of another
// package, or in a wrapper that hides the method) passes without a word.
func TestAttackKeyRuleWithoutAThumbprint(t *testing.T) {
	c := newChecker(t, revoke.Config{})
	mustRevoke(t, c, record(revoke.KindKey, "key"))
	revoked, err := c.Revoked(t.Context(), issued(time.Now(), nil))
	require.True(t, revoked || err != nil, "it cannot be told")
}

// Fault: many rules about lists used up what one token may cost, and a token that none
// of them is about was refused.
func TestAttackManyRulesAboutLists(t *testing.T) {
	c := newChecker(t, revoke.Config{})
	var groups []any
	for i := range 200 {
		groups = append(groups, fmt.Sprint("group-", i))
	}
	for i := range 60 {
		mustRevoke(t, c, revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: map[string]any{"groups": "none", fmt.Sprint("claim-", i): true}})
	}
	claims := token{"groups": groups}
	for i := range 60 {
		claims[fmt.Sprint("claim-", i)] = true
	}
	requireReason(t, c, "", issued(time.Now().Add(-time.Minute), claims))
}
