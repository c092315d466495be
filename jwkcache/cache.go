package jwkcache

import (
	"context"
	"crypto"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/flight"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Cache holds the keys of one issuer. It is made by New, is safe for concurrent
// use, and has no goroutine but that of a fetch that is under way.
type Cache struct {
	source       source
	snap         atomic.Pointer[snapshot] // nil before the first fetch
	call         flight.Call[*snapshot]
	refreshAfter time.Duration
	maxStale     time.Duration
	logger       *slog.Logger
	observe      func(context.Context, Event)
	now          func() time.Time

	mu     sync.Mutex // orders those who would start a fetch for an unknown kid
	budget budget
}

// Keys finds the public keys of an id that fit an algorithm, by the algorithm's
// registered name: *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey. An id
// is a kid, an x5t, an x5t#S256, or kid and x5t without a separator. For an empty
// id, up to four keys that fit are returned. The slice is shared and read-only.
//
// No keys and a nil error: there is no such key, as of a fetch that is recent. An
// error wraps ErrUnavailable, or is that of ctx.
func (c *Cache) Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	a, known := jose.ParseAlg(alg)
	if !known || a.Symmetric() {
		return nil, nil
	}
	s, now, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	if keys := s.find(kid, a); len(keys) > 0 || s.static {
		return keys, nil
	}
	if s, err = c.refetch(ctx, s, now); err != nil {
		return nil, c.unavailable(ctx, err)
	}
	return s.find(kid, a), nil
}

// Warm makes sure that there are keys, for a service that would rather not start
// without. It is not needed: the first lookup does the same.
func (c *Cache) Warm(ctx context.Context) error {
	_, _, err := c.current(ctx)
	return err
}

// current is the snapshot to serve from: at hand, refreshed behind the caller, or
// waited for.
func (c *Cache) current(ctx context.Context) (*snapshot, time.Time, error) {
	now := c.now()
	s := c.snap.Load()
	if s != nil {
		age := now.Sub(s.at)
		if s.static || age < c.refreshAfter {
			return s, now, nil
		}
		if age < 2*c.refreshAfter || age < c.maxStale && c.failing(now) {
			c.call.Go(c.fetch)
			return s, now, nil
		}
	}
	// No keys, or keys of an idle service, which may have been withdrawn long ago.
	fresh, err := c.call.Do(ctx, c.fetch)
	switch {
	case err == nil:
		return fresh, now, nil
	case ctx.Err() == nil && s != nil && c.now().Sub(s.at) < c.maxStale:
		return s, now, nil
	}
	return nil, now, c.unavailable(ctx, err)
}

// failing reports that a fetch has failed lately: during an outage nobody waits
// again and again for what the keys at hand can answer.
func (c *Cache) failing(now time.Time) bool {
	st := c.call.State()
	return st.Failures > 0 && now.Sub(st.Next) < c.refreshAfter
}

// refetch fetches because s lacks a key, if the budget allows, and otherwise
// joins the fetch that is under way.
func (c *Cache) refetch(ctx context.Context, s *snapshot, now time.Time) (*snapshot, error) {
	c.mu.Lock()
	if c.snap.Load() == s && !c.call.State().Running && c.budget.take(now) && !c.call.Go(c.fetch) {
		c.budget.giveBack() // a remembered failure forbids it
	}
	c.mu.Unlock()
	if fresh, joined, err := c.call.Join(ctx); joined {
		return fresh, err
	}
	return c.snap.Load(), nil
}

// unavailable keeps the caller's own error as it is; everything else is ours.
func (c *Cache) unavailable(ctx context.Context, err error) error {
	if own := ctx.Err(); own != nil {
		return own
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// fetch runs detached from every caller, one at a time.
func (c *Cache) fetch(ctx context.Context) (*snapshot, error) {
	start := time.Now()
	s, err := c.source(ctx, c.snap.Load())
	e := Event{Duration: time.Since(start), Err: err}
	if err == nil {
		c.use(s)
		e.Keys, e.Skipped = s.usable, s.skipped
	} else {
		c.mu.Lock()
		c.budget.giveBack() // it told nothing about any key id
		c.mu.Unlock()
	}
	c.report(ctx, e)
	return s, err
}

func (c *Cache) use(s *snapshot) {
	s.at = c.now()
	c.snap.Store(s)
}

func (c *Cache) report(ctx context.Context, e Event) {
	if e.Err != nil && c.logger != nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "fetching keys failed", slog.Any("error", e.Err))
	}
	if c.observe != nil {
		defer func() { _ = recover() }() // a broken counter must not cost the keys
		c.observe(ctx, e)
	}
}

// backoff is short while there is nothing to serve from, so that a service heals
// within a second of its provider, and long while there is.
func (c *Cache) backoff(error) flight.Backoff {
	s := c.snap.Load()
	if s == nil || c.now().Sub(s.at) >= c.maxStale {
		return flight.Backoff{Max: time.Second, MaxRetryAfter: 5 * time.Second}
	}
	return flight.Backoff{Max: 30 * time.Second}
}

// budget allows one fetch each time span, and saves up to two. It is reserved,
// never waited for.
type budget struct {
	every time.Duration
	spent int // of burst
	since time.Time
}

const burst = 2

func (b *budget) take(now time.Time) bool {
	if b.spent > 0 {
		earned := int(now.Sub(b.since) / b.every)
		b.spent = max(0, b.spent-earned)
		b.since = b.since.Add(time.Duration(earned) * b.every)
	}
	if b.spent == 0 {
		b.since = now
	}
	if b.spent == burst {
		return false
	}
	b.spent++
	return true
}

func (b *budget) giveBack() { b.spent = max(0, b.spent-1) }
