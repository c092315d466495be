package revoke

import "time"

// Status is the state of a Checker at one moment.
type Status struct {
	Ready       bool          // it can tell: records are loaded, none are missing, and they are fresh
	Entries     int           // held, restored ids included
	MaxEntries  int           // above, nothing is stored
	Shapes      int           // kinds, times issuers, that have entries
	AsOf        time.Time     // the Log was heard of; zero: never, or there is none
	Staleness   time.Duration // since then
	Refused     uint64        // tokens so far
	Unavailable uint64        // checks that could not tell
	ServedStale uint64        // tokens that passed by Graded or BestEffort
	Damaged     uint64        // entries of the Log that could not be read
	LastError   error         // of the last reading of the Log; nil if it succeeded
}

// Status tells how things are. It reads nothing of the Log.
func (c *Checker) Status() Status {
	st := Status{
		MaxEntries: c.maxEntries,
		Refused:    c.refused.Load(), Unavailable: c.unavailable.Load(),
		ServedStale: c.stale.Load(), Damaged: c.damaged.Load(),
	}
	c.mu.Lock()
	st.Entries = c.total
	for _, sh := range c.order {
		if sh.count() > 0 {
			st.Shapes++
		}
	}
	c.mu.Unlock()
	if c.logged == nil {
		st.Ready = true
		return st
	}
	st.LastError = c.call.State().Err
	st.Ready = c.loaded.Load() && !c.holes.Load()
	if at := c.asOf.Load(); at != nil && !c.local.Load() {
		st.AsOf, st.Staleness = *at, c.clock().Sub(*at)
		st.Ready = st.Ready && st.Staleness <= c.maxStaleness
	}
	return st
}
