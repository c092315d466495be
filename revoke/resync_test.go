package revoke_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// shared is a Log of several nodes that can be trimmed, lose entries, and be written to
// at the wrong moment.
type shared struct {
	mu      sync.Mutex
	entries []revoke.Entry
	last    uint64
	added   uint64
	epoch   string

	afterState func()      // runs once, behind the next State
	full       atomic.Bool // nothing more is kept
	turns      chan struct{}
	appended   atomic.Int64
}

func newShared() *shared { return &shared{epoch: "1", turns: make(chan struct{}, 1)} }

func (l *shared) Append(_ context.Context, entries []revoke.Entry) error {
	if l.full.Load() {
		return errDown
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		l.last++
		l.added++
		l.appended.Add(1)
		l.entries = append(l.entries, revoke.Entry{Position: [2]uint64{1, l.last}, Data: append([]byte(nil), e.Data...)})
	}
	return nil
}

func (l *shared) Replay(_ context.Context, after [2]uint64) iter.Seq2[revoke.Entry, error] {
	return func(yield func(revoke.Entry, error) bool) {
		l.mu.Lock()
		all := append([]revoke.Entry(nil), l.entries...)
		l.mu.Unlock()
		for _, e := range all {
			if e.Position[1] > after[1] && !yield(e, nil) {
				return
			}
		}
	}
}

func (l *shared) Tail(ctx context.Context, after [2]uint64) iter.Seq2[revoke.Entry, error] {
	return func(yield func(revoke.Entry, error) bool) {
		for {
			asOf := time.Now()
			for e := range l.Replay(ctx, after) {
				if after = e.Position; !yield(e, nil) {
					return
				}
			}
			if !yield(revoke.Entry{AsOf: asOf}, nil) {
				return
			}
			select {
			case <-ctx.Done():
				yield(revoke.Entry{}, ctx.Err())
				return
			case <-time.After(time.Second):
			}
		}
	}
}

func (l *shared) State(context.Context) (revoke.LogState, error) {
	l.mu.Lock()
	st := revoke.LogState{Epoch: l.epoch, Last: [2]uint64{1, l.last}, Added: l.added}
	if len(l.entries) > 0 {
		st.First = l.entries[0].Position
	}
	if l.last == 0 {
		st.Last = [2]uint64{}
	}
	after := l.afterState
	l.afterState = nil
	l.mu.Unlock()
	if after != nil {
		after()
	}
	return st, nil
}

// Turn is had by one at a time.
func (l *shared) Turn(context.Context) (func(), error) {
	select {
	case l.turns <- struct{}{}:
		return func() { <-l.turns }, nil
	default:
		return nil, nil
	}
}

// trim forgets the oldest.
func (l *shared) trim(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = l.entries[n:]
}

// lose is a failover to a server that had not got the newest.
func (l *shared) lose(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = l.entries[:len(l.entries)-n]
	l.added -= uint64(n)
}

// loads counts what is told of.
type loads struct{ n, alarms atomic.Int64 }

func (l *loads) observe(_ context.Context, e revoke.Event) {
	switch e.Kind {
	case "loaded":
		l.n.Add(1)
	case "alarm":
		l.alarms.Add(1)
	}
}

// TestNoFalseGap: entries that come between a State and its Replay, on a log that was
// trimmed, or that Run has read meanwhile, are no sign that any were missed.
func TestNoFalseGap(t *testing.T) {
	log := newShared()
	var seen loads
	a, b := newChecker(t, revoke.Config{Log: log}), newChecker(t, revoke.Config{Log: log, Observe: seen.observe})
	revokeSome := func(prefix string) {
		for i := range 3 {
			mustRevoke(t, a, record(revoke.KindToken, fmt.Sprint(prefix, i)))
		}
	}
	revokeSome("old")
	log.trim(2)
	for i := range 5 {
		log.afterState = func() { revokeSome(fmt.Sprint("meanwhile", i)) }
		require.NoError(t, b.Warm(t.Context()))
	}
	require.Equal(t, int64(1), seen.n.Load(), "all of it was read once")

	synctest.Test(t, func(t *testing.T) {
		var seen loads
		b := newChecker(t, revoke.Config{Log: log, Observe: seen.observe})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		log.afterState = func() {
			revokeSome("by Run")
			time.Sleep(2 * time.Second)
		}
		appended := log.appended.Load()
		require.NoError(t, b.Warm(t.Context()))
		require.Equal(t, int64(1), seen.n.Load())
		require.Equal(t, appended+3, log.appended.Load(), "nothing was given back")
		cancel()
		<-done
	})
}

// TestLossBehindNewEntries: a log that has lost some, and got more since than it has
// lost, is found out by their number.
func TestLossBehindNewEntries(t *testing.T) {
	log := newShared()
	a, b := newChecker(t, revoke.Config{Log: log}), newChecker(t, revoke.Config{Log: log})
	for i := range 10 {
		mustRevoke(t, a, record(revoke.KindToken, fmt.Sprint("early", i)))
	}
	require.NoError(t, b.Warm(t.Context()))
	log.lose(5)
	for i := range 7 {
		mustRevoke(t, a, record(revoke.KindToken, fmt.Sprint("late", i)))
	}
	appended := log.appended.Load()
	require.NoError(t, b.Warm(t.Context()))
	require.Equal(t, appended+5, log.appended.Load(), "what it has lost, and no more")
	c := newChecker(t, revoke.Config{Log: log})
	require.NoError(t, c.Warm(t.Context()))
	for _, id := range []string{"early0", "early9", "late0", "late6"} {
		for _, n := range []*revoke.Checker{a, b, c} {
			requireReason(t, n, revoke.ReasonToken, issued(time.Now(), token{"jti": id}))
		}
	}
}

// TestGiveBack: of the nodes that see a loss, one at a time gives back what is not
// there; one that cannot is none the less fresh, and tries again.
func TestGiveBack(t *testing.T) {
	log := newShared()
	var seen loads
	a, b := newChecker(t, revoke.Config{Log: log}), newChecker(t, revoke.Config{Log: log, Observe: seen.observe})
	for i := range 10 {
		mustRevoke(t, a, record(revoke.KindToken, fmt.Sprint(i)))
	}
	undone := mustRevoke(t, a, record(revoke.KindSubject, "ann"))
	require.NoError(t, a.Restore(t.Context(), undone.ID))
	require.NoError(t, b.Warm(t.Context()))
	require.NoError(t, a.Warm(t.Context()))
	empty := func(epoch string) {
		log.mu.Lock()
		defer log.mu.Unlock()
		log.entries, log.last, log.added, log.epoch = nil, 0, 0, epoch
		log.appended.Store(0)
	}

	empty("2")
	release, err := log.Turn(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Warm(t.Context()))
	require.Zero(t, log.appended.Load(), "it is another's turn")
	require.True(t, b.Status().Ready)
	release()
	log.full.Store(true)
	require.NoError(t, b.Warm(t.Context()))
	require.True(t, b.Status().Ready)
	require.Equal(t, int64(1), seen.alarms.Load())
	log.full.Store(false)
	require.NoError(t, b.Warm(t.Context()))
	require.Equal(t, int64(11), log.appended.Load())
	require.NoError(t, a.Warm(t.Context()))
	require.NoError(t, b.Warm(t.Context()))
	require.Equal(t, int64(11), log.appended.Load(), "and once is enough")

	empty("") // again, before anything was read of the last time
	require.NoError(t, a.Warm(t.Context()))
	require.Equal(t, int64(11), log.appended.Load())
	empty("")
	require.NoError(t, a.Warm(t.Context()))
	require.Equal(t, int64(11), log.appended.Load())
}
