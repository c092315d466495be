package revoke

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"
)

// Log keeps records, and brings those of other processes. It is trusted with
// nothing but keeping them: entries are sealed, may come in any order and more than
// once, and say nothing of a token to who has not the Secret.
//
// When a Log has lost entries, each Checker gives back what it holds. One that several
// share may have Turn(ctx context.Context) (release func(), err error) besides, so that
// one at a time does; nil and nil: it is another's turn.
type Log interface {
	// Append keeps entries, all or none. When it returns nil they are as durable as
	// the Log is. It fills in no Position.
	Append(ctx context.Context, entries []Entry) error
	// Replay has the entries after a position, the zero value for all, up to the
	// end. It ends with the first error. Data is valid until the next one.
	Replay(ctx context.Context, after [2]uint64) iter.Seq2[Entry, error]
	// Tail is Replay that waits at the end. From time to time it yields an Entry
	// without Data: up to its AsOf there is nothing that was not yielded.
	Tail(ctx context.Context, after [2]uint64) iter.Seq2[Entry, error]
	// State tells how the Log is now.
	State(ctx context.Context) (LogState, error)
}

// Entry is one record in a Log.
type Entry struct {
	Position [2]uint64 // ordered, the first number before the second
	Data     []byte    // at most 4 KiB; nil: nothing new
	Until    time.Time // of Append: when it may be forgotten; of Replay: when this copy will be; zero: never
	AsOf     time.Time // when the exchange began that brought an Entry without Data
}

// LogState is what a reader holds against what it knows.
type LogState struct {
	Epoch       string    // another one: entries may have been lost; empty: nothing was kept yet
	First, Last [2]uint64 // zero: it is empty
	Added       uint64    // entries up to Last, those that were forgotten included
	Local       bool      // nobody else writes: after Replay there is nothing to wait for
}

// MemoryLog is a Log in memory, for tests, and for several Checkers in one process.
// The zero value is empty.
type MemoryLog struct {
	mu      sync.Mutex
	entries []Entry
	added   uint64
	more    chan struct{} // closed by the next Append; nil: nobody waits
}

var _ Log = (*MemoryLog)(nil)

// Append never fails, unless ctx has ended.
func (l *MemoryLog) Append(ctx context.Context, entries []Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		l.added++
		l.entries = append(l.entries, Entry{Position: [2]uint64{0, l.added}, Data: slices.Clone(e.Data), Until: e.Until})
	}
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return nil
}

// next is the entries after a position, and what to wait for if there are none.
func (l *MemoryLog) next(after [2]uint64) ([]Entry, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearchFunc(l.entries, after, func(e Entry, p [2]uint64) int {
		if before(p, e.Position) {
			return 1
		}
		return -1
	})
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return l.entries[i:len(l.entries):len(l.entries)], l.more
}

// Replay has the entries that there are now.
func (l *MemoryLog) Replay(ctx context.Context, after [2]uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		entries, _ := l.next(after)
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				yield(Entry{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Tail says each second that there is nothing new.
func (l *MemoryLog) Tail(ctx context.Context, after [2]uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			asOf := time.Now()
			entries, more := l.next(after)
			for _, e := range entries {
				if after = e.Position; !yield(e, nil) {
					return
				}
			}
			if !yield(Entry{AsOf: asOf}, nil) {
				return
			}
			select {
			case <-ctx.Done():
				yield(Entry{}, ctx.Err())
				return
			case <-more:
			case <-tick.C:
			}
		}
	}
}

// State has one epoch.
func (l *MemoryLog) State(ctx context.Context) (LogState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := LogState{Epoch: "memory", Added: l.added}
	if n := len(l.entries); n > 0 {
		st.First, st.Last = l.entries[0].Position, l.entries[n-1].Position
	}
	return st, ctx.Err()
}

// before orders positions.
func before(a, b [2]uint64) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }
