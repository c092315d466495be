package clientcreds

import "time"

// Status is the state of a Source at one moment. Times and LastError are those of
// the Config's own target.
type Status struct {
	Usable      bool      // there is a token that can be sent
	Expires     time.Time // when it is not sent any more; zero: there is none
	NextFetch   time.Time // when a call will ask for another; zero: at once if there is none
	LastError   error     // of the last token request; nil if it succeeded
	Suspended   time.Time // until then, no 401 has a token replaced; zero: they do
	Targets     int       // of requests, beside the own one
	Waiting     int       // calls that wait for a token now
	Requests    uint64    // token requests so far, of all targets
	Failures    uint64    // renewals that failed
	Replays     uint64    // requests that were sent again after a 401
	ServedStale uint64    // calls served with an ageing token after its renewal had failed
}

// Status tells how things are. It fetches nothing.
func (s *Source) Status() Status {
	now := s.now()
	flight := s.own.call.State()
	st := Status{
		NextFetch:   flight.Next,
		Suspended:   s.own.ration.suspended(now),
		Targets:     len(s.targets.load()),
		Waiting:     int(s.waiting.Load()),
		Requests:    s.requests.Load(),
		Failures:    s.failures.Load(),
		Replays:     s.replays.Load(),
		ServedStale: s.stale.Load(),
	}
	if flight.Err != nil {
		st.LastError = asTokenError(flight.Err).at(flight.Next.Sub(now))
	}
	if t := s.own.tok.Load(); t.usable(now) {
		st.Usable, st.Expires = true, t.hard.at
		if t.soft.at.After(st.NextFetch) && !t.rejected {
			st.NextFetch = t.soft.at
		}
	}
	return st
}
