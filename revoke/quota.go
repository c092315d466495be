package revoke

import (
	"sync"
	"time"
)

// quota counts what each caller has written in the minute that runs. Whoever has
// tokens made as fast as it likes could otherwise use up MaxEntries by revoking them.
type quota struct {
	perMinute int
	mu        sync.Mutex
	begun     time.Time
	used      map[string]int
}

// maxCallers bounds the names that are counted by themselves: the others share one.
const maxCallers = 10_000

// take counts one write. If there is none left, it says when there is.
func (q *quota) take(caller string, now time.Time) (wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	since := now.Sub(q.begun)
	if q.used == nil || since < 0 || since >= time.Minute {
		q.begun, q.used, since = now, map[string]int{}, 0
	}
	if _, known := q.used[caller]; !known && len(q.used) >= maxCallers {
		caller = ""
	}
	if q.used[caller] >= q.perMinute {
		return time.Minute - since, false
	}
	q.used[caller]++
	return 0, true
}
