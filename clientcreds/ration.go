package clientcreds

import (
	"sync"
	"time"
)

const (
	// justMinted: a token that is this young was made for the request that failed.
	justMinted = time.Second

	forceEvery   = 5 * time.Second
	firstSuspend = time.Minute
	lastSuspend  = 15 * time.Minute
)

// ration bounds the tokens that 401s can cause. An API that rejects the new token
// as well has another trouble: then none are made for a minute, for two, and so on.
type ration struct {
	mu      sync.Mutex // held across nothing else
	last    time.Time
	until   time.Time
	strikes int
	struck  time.Time // when the token was asked for that counted last
}

// within takes no account of what a clock that was set back shows: else nothing
// would be allowed until it is where it was.
func within(since, limit time.Duration) bool { return 0 <= since && since < limit }

// allow reports that t, which an API has rejected, may be replaced.
func (r *ration) allow(now time.Time, t *token) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.forced && t.asked != r.struck && within(now.Sub(t.asked), lastSuspend) {
		if now.Sub(r.until) > lastSuspend {
			r.strikes = 0
		}
		r.struck = t.asked
		r.until = now.Add(min(firstSuspend<<r.strikes, lastSuspend))
		r.strikes = min(r.strikes+1, 8)
	}
	if within(r.until.Sub(now), lastSuspend+1) && now.Before(r.until) || !r.last.IsZero() && within(now.Sub(r.last), forceEvery) {
		return false
	}
	r.last = now
	return true
}

// suspended is when tokens are replaced again; zero: they are.
func (r *ration) suspended(now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.until) {
		return r.until
	}
	return time.Time{}
}
