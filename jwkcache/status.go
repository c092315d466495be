package jwkcache

import "time"

// Status is the state of a Cache at one moment.
type Status struct {
	Keys       []KeyStatus   // those of the last set, the skipped ones too; nil before the first fetch
	Generation uint64        // counts the sets whose usable keys differed from those before
	FetchedAt  time.Time     // of the last set that was fetched, or confirmed; zero: none yet
	Age        time.Duration // since then
	NextFetch  time.Time     // when a lookup will fetch; zero: never, or at once if there are no keys
	Usable     bool          // lookups are answered: the keys are not older than MaxStale
	Fetches    uint64        // attempts so far
	Failures   uint64        // of these, failed
	LastError  error         // of the last attempt; nil if it succeeded
	StoreError error         // why Snapshot could not be written or read last; nil if it could
}

// KeyStatus is one key of a set.
type KeyStatus struct {
	ID        string // kid; empty: none
	Algorithm string // alg; empty: every one that fits the key
	Skipped   string // why it is not used; empty: it is
}

// Status tells how the keys are. It takes no lock and fetches nothing.
func (c *Cache) Status() Status {
	flight := c.call.State()
	st := Status{
		Fetches:   c.fetches.Load(),
		Failures:  c.failures.Load(),
		LastError: flight.Err,
		NextFetch: flight.Next,
	}
	if err := c.storeError.Load(); err != nil {
		st.StoreError = *err
	}
	s := c.snap.Load()
	if s == nil {
		return st
	}
	for _, k := range s.usable {
		st.Keys = append(st.Keys, k.status)
	}
	st.Keys = append(st.Keys, s.skipped...)
	st.Generation, st.FetchedAt, st.Age = s.generation, s.at, c.now().Sub(s.at)
	st.Usable = s.refresh == 0 || st.Age < c.maxStale
	if due := s.at.Add(s.refresh); s.refresh > 0 && due.After(st.NextFetch) {
		st.NextFetch = due
	}
	return st
}
