package redislog

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// Log is a revoke.Log on one stream of Redis. Its methods may be called at the same
// time.
type Log struct {
	cfg                Config
	client             redis.UniversalClient
	stream, kept, turn string // keys
	owner              string // of a turn
	slots, appends     chan struct{}

	newest   atomic.Uint64            // milliseconds of the newest id that was seen
	last     atomic.Pointer[snapshot] // that was seen
	told     atomic.Pointer[snapshot] // by State
	tailed   atomic.Pointer[[2]uint64]
	gaps     atomic.Uint64
	asked    atomic.Bool // for the eviction policy
	noRole   atomic.Bool // ROLE is refused
	eviction atomic.Pointer[string]

	lastLine  atomic.Int64 // the second of it
	unwritten atomic.Int64 // lines since
}

var _ revoke.Log = (*Log)(nil)

// The fields of an entry and of the hash of what is kept beside the stream.
const (
	dataField  = "d"
	epochField = "epoch"
	pinPrefix  = "pin:"
)

// saw notes how late it is by the ids, which are the clock of whichever server is
// the master, and never go back.
func (l *Log) saw(id [2]uint64) {
	for {
		old := l.newest.Load()
		if id[0] <= old || l.newest.CompareAndSwap(old, id[0]) {
			return
		}
	}
}

// horizon is the millisecond before which entries have lapsed; zero: it is not known.
// Our own clock can only make it earlier: a server whose clock has jumped ahead must
// not forget everything.
func (l *Log) horizon() int64 {
	newest := int64(l.newest.Load())
	if newest == 0 {
		return 0
	}
	return max(0, min(newest, time.Now().UnixMilli())-l.window().Milliseconds())
}

// premature is whether an entry is gone before anybody may have trimmed it, by clocks
// that differ by no more than half of the margin.
func (l *Log) premature(id [2]uint64) bool {
	now := min(int64(l.newest.Load()), time.Now().UnixMilli())
	return int64(id[0])+(l.cfg.MaxLifetime+margin/2).Milliseconds() > now
}

// window is how long an entry is in the stream.
func (l *Log) window() time.Duration { return l.cfg.MaxLifetime + margin }

func parseID(text string) ([2]uint64, bool) { return position([]byte(text)) }

func formatID(id [2]uint64) string {
	return strconv.FormatUint(id[0], 10) + "-" + strconv.FormatUint(id[1], 10)
}

// before orders positions.
func before(a, b [2]uint64) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }

// Status is what was last seen of Redis.
type Status struct {
	AsOf     time.Time // zero: nothing was seen yet
	Epoch    string    // changes when Redis was emptied
	Last     [2]uint64 // the newest entry
	Position [2]uint64 // that of Tail: what is behind Last is the lag
	Kept     int64     // entries in the stream
	Gaps     uint64    // ErrGap so far
	Eviction string    // maxmemory-policy; empty: not known. Anything but noeviction loses records
}

// Status reads nothing.
func (l *Log) Status() Status {
	st := Status{Gaps: l.gaps.Load()}
	if s := l.last.Load(); s != nil {
		st.AsOf, st.Epoch, st.Last, st.Kept = s.asOf, s.Epoch, s.Last, s.kept
	}
	if p := l.tailed.Load(); p != nil {
		st.Position = *p
	}
	if p := l.eviction.Load(); p != nil {
		st.Eviction = *p
	}
	return st
}
