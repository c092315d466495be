package jwkcache

import (
	"context"
	"time"
)

// refetch fetches because s lacks a key, if the demand allows it, and otherwise
// joins the fetch that is under way.
func (c *Cache) refetch(ctx context.Context, kid string, s *snapshot, now time.Time) (*snapshot, error) {
	c.mu.Lock()
	start := c.snap.Load() == s && !c.call.State().Running && c.demand.take(kid, now)
	if start && !c.call.Go(c.fetchOver(s)) {
		c.demand.giveBack() // a remembered failure forbids it
	}
	c.mu.Unlock()
	if fresh, joined, err := c.call.Join(ctx); joined {
		return fresh, err
	}
	return c.snap.Load(), nil
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

// fetched forgets the unknown ids: there is another set.
func (d *demand) fetched() { clear(d.unknown) }

func (d *demand) miss(kid string, now time.Time) {
	if d.unknown == nil {
		d.unknown = make(map[string]time.Time)
	}
	if len(d.unknown) < maxUnknown && len(kid) <= maxUnknownLen {
		d.unknown[kid] = now.Add(d.every)
	}
}

// maxUnknownLen is the longest id worth remembering, in bytes.
const maxUnknownLen = 128
