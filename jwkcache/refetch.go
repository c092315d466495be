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
		clear(c.demand.unknown) // there is another set
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

	// unknown are the ids that the newest set lacks, and until when that need not
	// be asked again: one stale client must not use up what a rotation needs. It
	// ends with the set, and with the time span, since a set may lag behind.
	unknown map[string]time.Time
}

const (
	burst      = 2
	maxUnknown = 1024
)

func (d *demand) take(kid string, now time.Time) bool {
	if now.Before(d.unknown[kid]) {
		return false
	}
	if d.spent > 0 {
		earned := max(0, int(now.Sub(d.since)/d.every))
		d.spent = max(0, d.spent-earned)
		d.since = d.since.Add(time.Duration(earned) * d.every)
	}
	if d.spent == 0 {
		d.since = now
	}
	if d.spent == burst {
		return false
	}
	d.spent++
	return true
}

// giveBack undoes a take whose fetch told nothing about any key.
func (d *demand) giveBack() { d.spent = max(0, d.spent-1) }

func (d *demand) miss(kid string, now time.Time) {
	if d.unknown == nil {
		d.unknown = make(map[string]time.Time)
	}
	if len(d.unknown) < maxUnknown && len(kid) <= maxUnknownLen {
		d.unknown[strings.Clone(kid)] = now.Add(d.every) // it may be a part of a whole token
	}
}

// maxUnknownLen is the longest id worth remembering, in bytes.
const maxUnknownLen = 128
