package clientcreds

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// table holds the entries of the targets that requests asked for. Readers take no
// lock: the map is replaced, never changed. That costs the rare new target a copy.
type table struct {
	max     int
	entries atomic.Pointer[map[string]*entry]

	mu     sync.Mutex // orders the writers; held across nothing else
	refill time.Time
	credit float64
}

// How many new targets may come: each costs a token request, and who can choose
// among the allowed ones could choose all.
const (
	newPerSecond = 20
	newAtOnce    = 100
)

func (tb *table) load() map[string]*entry {
	if m := tb.entries.Load(); m != nil {
		return *m
	}
	return nil
}

// entry finds the entry of a target, or makes one.
func (s *Source) entry(t Target) (*entry, error) {
	if t.zero() {
		return s.own, nil
	}
	var buf [256]byte
	key := t.appendKey(buf[:0])
	if e := s.targets.load()[string(key)]; e != nil {
		return e, nil
	}
	to, err := s.policy.resolve(t)
	if err != nil {
		return nil, err
	}
	return s.targets.add(string(key), s.now(), func() *entry {
		if to.equal(s.own.to) {
			return s.own
		}
		return s.newEntry(to)
	})
}

func (tb *table) add(key string, now time.Time, create func() *entry) (*entry, error) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	old := tb.load()
	if e := old[key]; e != nil {
		return e, nil
	}
	if !tb.refill.IsZero() {
		tb.credit += newPerSecond * max(now.Sub(tb.refill).Seconds(), 0) // less than zero: the clock was set back
	} else {
		tb.credit = newAtOnce
	}
	tb.credit, tb.refill = min(tb.credit, newAtOnce), now
	if tb.credit < 1 {
		return nil, fmt.Errorf("%w: too many new ones at once", ErrTarget)
	}
	next := maps.Clone(old)
	if next == nil {
		next = map[string]*entry{}
	}
	if len(next) >= tb.max {
		out, ok := spare(next, now)
		if !ok {
			return nil, fmt.Errorf("%w: MaxTargets are in use", ErrTarget)
		}
		delete(next, out)
	}
	tb.credit--
	e := create()
	e.used.Store(now.Unix())
	next[key] = e
	tb.entries.Store(&next)
	return e, nil
}

// spare is the key to put out: one whose token has ended, else the one that was
// not used for longest; none that is being waited for.
func spare(entries map[string]*entry, now time.Time) (key string, ok bool) {
	idle := func(e *entry) int64 {
		if e.tok.Load().usable(now) {
			return e.used.Load()
		}
		return 0
	}
	keys := slices.DeleteFunc(slices.Collect(maps.Keys(entries)), func(k string) bool { return entries[k].call.State().Running })
	if len(keys) == 0 {
		return "", false
	}
	return slices.MinFunc(keys, func(a, b string) int { return int(idle(entries[a]) - idle(entries[b])) }), true
}

// equal compares what is asked for, in whatever order.
func (t target) equal(o target) bool {
	sorted := func(v []string) []string { return slices.Compact(slices.Sorted(slices.Values(v))) }
	return t.audience == o.audience && slices.Equal(sorted(t.resources), sorted(o.resources)) && slices.Equal(sorted(t.scopes), sorted(o.scopes))
}
