package jwkcache

import (
	"context"
	"crypto"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// wanted is what a lookup looks for.
type wanted struct {
	kid    string
	alg    jose.Alg
	issuer string // with owned: whose it must be, or nobody's
	owned  bool
}

// refetch looks for a key that s lacks in the set of a fetch that began after the
// lookup did: one that was under way then may have been answered before the key was
// there.
func (c *Cache) refetch(ctx context.Context, want wanted, s *snapshot, now time.Time) ([]crypto.PublicKey, error) {
	for !s.asked.After(now) {
		fresh, waited, err := c.newer(ctx, want, s, now)
		if err != nil {
			return nil, c.unavailable(ctx, err)
		}
		if keys := fresh.find(want); len(keys) > 0 || fresh == s && !waited {
			return keys, nil
		}
		s = fresh
	}
	c.mu.Lock()
	c.demand.miss(want.kid, now)
	c.mu.Unlock()
	return nil, nil
}

// newer fetches over s, if the demand allows it, and otherwise joins the fetch that
// is under way. Where there is none, it does not wait.
func (c *Cache) newer(ctx context.Context, want wanted, s *snapshot, now time.Time) (fresh *snapshot, waited bool, err error) {
	c.mu.Lock()
	start := c.snap.Load() == s && !c.call.State().Running && c.demand.take(want.kid, now)
	if start && !c.call.Go(c.fetchOver(s, &want)) {
		c.demand.giveBack() // a remembered failure forbids it
	}
	c.mu.Unlock()
	if fresh, waited, err = c.call.Join(ctx); !waited {
		fresh = c.snap.Load()
	}
	return fresh, waited, err
}

// settle books a fetch, before those who wait for it go on.
func (c *Cache) settle(s, before *snapshot, want *wanted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s == nil && want != nil:
		c.demand.giveBack()
	case s != nil:
		c.demand.renew(s.asked)
		if want != nil && len(s.find(*want)) == 0 {
			c.demand.miss(want.kid, s.asked)
		}
		if before == nil {
			c.demand.take("", s.asked) // the first fetch was worth one that is demanded
		}
	}
}

// demand bounds the fetches that unknown key ids cause: one each time span, up to
// burst of them saved. It is reserved and never waited for.
type demand struct {
	every time.Duration
	spent int // of burst
	since time.Time

	// unknown are the ids that were asked for and not there. One stale client must not
	// use up what a rotation needs: see take.
	unknown map[string]*absence
}

// absence is that of an id from the newest set.
type absence struct {
	since time.Time // it need not be asked for again for a time span: a set may lag behind
	vain  int       // how many fetches since have not brought it
	over  bool      // there is another set since, which may have it
	asked time.Time // for the last time
}

// lasts reports whether an id need not be asked for.
func (a *absence) lasts(now time.Time, span time.Duration) bool {
	return a.vain > 0 && !a.over && now.Before(a.since.Add(span))
}

const (
	burst      = 2
	enough     = 2 // fetches in vain, after which an id is a stale one
	maxUnknown = 1024
	forgotten  = 10 // time spans after which an absence is
)

// take reserves a fetch for an id. A stale one gets what is left over, so that one
// fetch stays saved for ids that are new.
func (d *demand) take(kid string, now time.Time) bool {
	saved := burst
	if a := d.unknown[kid]; a != nil {
		a.asked = now
		if a.lasts(now, d.every) {
			return false
		}
		if a.vain >= enough {
			saved--
		}
	}
	if d.spent > 0 {
		earned := max(0, int(now.Sub(d.since)/d.every))
		d.spent = max(0, d.spent-earned)
		d.since = d.since.Add(time.Duration(earned) * d.every)
	}
	if d.spent == 0 {
		d.since = now
	}
	if d.spent >= saved {
		d.note(kid, now)
		return false
	}
	d.spent++
	return true
}

// giveBack undoes a take whose fetch told nothing about any key.
func (d *demand) giveBack() { d.spent = max(0, d.spent-1) }

// miss notes that a fetch has not brought an id. Those who have waited for one fetch
// count once.
func (d *demand) miss(kid string, now time.Time) {
	if a := d.note(kid, now); a != nil {
		if !a.lasts(now, d.every) {
			a.vain++
		}
		a.since, a.over = now, false
	}
}

// note is what is known of an id; nil if there is no room for it.
func (d *demand) note(kid string, now time.Time) *absence {
	if d.unknown == nil {
		d.unknown = make(map[string]*absence)
	}
	a := d.unknown[kid]
	if a == nil && len(d.unknown) < maxUnknown && len(kid) <= maxUnknownLen {
		a = &absence{since: now, asked: now}
		d.unknown[strings.Clone(kid)] = a // it may be a part of a whole token
	}
	return a
}

// renew is for another set, which each id may be asked for in: without it again, that
// was in vain. What nobody has asked for in a while is forgotten.
func (d *demand) renew(now time.Time) {
	for kid, a := range d.unknown {
		if now.Sub(a.asked) > forgotten*d.every {
			delete(d.unknown, kid)
			continue
		}
		a.vain++
		a.over = true
	}
}

// maxUnknownLen is the longest id worth remembering, in bytes.
const maxUnknownLen = 128
