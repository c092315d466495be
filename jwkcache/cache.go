package jwkcache

import (
	"context"
	"crypto"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/flight"
	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// Cache holds the keys of one issuer. It is made by New, is safe for concurrent
// use, and has no goroutine but that of a fetch that is under way.
type Cache struct {
	name         string // of the source
	source       source
	snap         atomic.Pointer[snapshot] // nil before the first fetch
	call         flight.Call[*snapshot]
	refreshAfter time.Duration // zero: the set never ages
	maxStale     time.Duration
	store        *store // nil: none
	logger       *slog.Logger
	observe      func(context.Context, Event)
	now          func() time.Time

	fetches, failures atomic.Uint64
	storeError        atomic.Pointer[error]

	mu     sync.Mutex // guards demand; held across no I/O
	demand demand
}

// Keys finds the public keys of an id that fit an algorithm, by the algorithm's
// registered name: *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey. An id
// is a kid, an x5t, an x5t#S256, or kid and x5t without a separator. For an empty
// id, up to four keys that fit are returned. The slice is shared and read-only.
//
// No keys and a nil error: there is no such key, as of a fetch that is recent. An
// error wraps ErrUnavailable, or is that of ctx.
func (c *Cache) Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	return c.lookup(ctx, wanted{kid: kid}, alg)
}

// KeysOf is Keys without those that are another issuer's: for a set that serves
// several, in which a key says by a member issuer whose it is. "{tenantid}" in it
// stands for one segment of a path, as in the sets of Microsoft Entra ID. A key
// that says nothing is everybody's.
func (c *Cache) KeysOf(ctx context.Context, issuer, kid, alg string) ([]crypto.PublicKey, error) {
	return c.lookup(ctx, wanted{kid: kid, issuer: issuer, owned: true}, alg)
}

func (c *Cache) lookup(ctx context.Context, want wanted, alg string) ([]crypto.PublicKey, error) {
	var known bool
	if want.alg, known = jose.ParseAlg(alg); !known || want.alg.Symmetric() {
		return nil, nil
	}
	s, now, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	if keys := s.find(want); len(keys) > 0 || s.refresh == 0 {
		return keys, nil
	}
	return c.refetch(ctx, want, s, now)
}

// current is the snapshot to serve from: at hand, refreshed behind the caller, or
// waited for.
func (c *Cache) current(ctx context.Context) (*snapshot, time.Time, error) {
	now := c.now()
	s := c.snap.Load()
	if s != nil {
		age := now.Sub(s.at)
		if s.refresh == 0 || age < s.refresh {
			return s, now, nil
		}
		if st := c.call.State(); age < c.maxStale && (age < 2*s.refresh || c.failing(st, now)) {
			if !st.Running && !now.Before(st.Next) { // else Go would start nothing
				c.call.Go(c.fetchOver(s, nil))
			}
			return s, now, nil
		}
	}
	// No keys, or those of an idle service, which may have been withdrawn long ago.
	fresh, err := c.call.Do(ctx, c.fetchOver(s, nil))
	if err == nil {
		return fresh, now, nil
	}
	if ctx.Err() == nil {
		if s = c.snap.Load(); s != nil && c.now().Sub(s.at) < c.maxStale {
			return s, now, nil
		}
	}
	return nil, now, c.unavailable(ctx, err)
}

// failing reports that a fetch has failed lately: during an outage nobody waits
// again and again for what the keys at hand can answer.
func (c *Cache) failing(st flight.State, now time.Time) bool {
	return st.Failures > 0 && now.Sub(st.Next) < c.refreshAfter
}

// unavailable keeps the caller's own error as it is; everything else is ours.
func (c *Cache) unavailable(ctx context.Context, err error) error {
	if own := ctx.Err(); own != nil {
		return own
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// fetchOver is the call that replaces a snapshot, for a key that it lacks or, nil,
// for its age. A caller may come when another one has just replaced it: then there
// is nothing to do.
func (c *Cache) fetchOver(seen *snapshot, want *wanted) func(context.Context) (*snapshot, error) {
	return func(ctx context.Context) (*snapshot, error) {
		if s := c.snap.Load(); s != seen {
			return s, nil
		}
		return c.fetch(ctx, seen, want)
	}
}

// fetch runs detached from every caller, one at a time.
func (c *Cache) fetch(ctx context.Context, before *snapshot, want *wanted) (s *snapshot, err error) {
	start, asked := time.Now(), c.now()
	err = flight.ErrAborted // this is what stays if the source panics
	defer func() {
		e := Event{Source: c.name, Duration: time.Since(start), Err: err}
		c.fetches.Add(1)
		if s != nil {
			s.asked = asked
			c.use(s)
			e.Keys, e.Skipped = len(s.usable), len(s.skipped)
		} else {
			c.failures.Add(1)
		}
		c.settle(s, before, want)
		c.keep(s, before)
		if s != nil && s.exposed > 0 && c.logger != nil {
			c.logger.LogAttrs(ctx, slog.LevelWarn, "the key set shows private or symmetric keys",
				slog.String("source", c.name), slog.Int("keys", s.exposed))
		}
		c.report(ctx, e)
	}()
	return c.source(ctx, before)
}

// minRefresh is the shortest age that a server can ask for.
const minRefresh = time.Minute

// use puts a set into service. Its age of refresh is spread by a tenth, so that a
// fleet that started together does not ask together; a server may shorten it.
func (c *Cache) use(s *snapshot) {
	s.at = c.now()
	s.refresh = 0
	if c.refreshAfter > 0 {
		spread := c.refreshAfter / 10
		s.refresh = c.refreshAfter - spread + rand.N(2*spread+1) //nolint:gosec // spread by chance, which need not be secret
		if s.lifetime >= 0 {
			s.refresh = min(s.refresh, max(s.lifetime, minRefresh))
		}
		s.refresh = min(s.refresh, c.maxStale)
	}
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
// within a second of its provider, and long while there is: but no longer than
// the keys at hand serve.
func (c *Cache) backoff(error) flight.Backoff {
	var left time.Duration
	if s := c.snap.Load(); s != nil {
		left = c.maxStale - c.now().Sub(s.at)
	}
	return flight.Backoff{
		Max:           min(max(left, time.Second), 30*time.Second),
		MaxRetryAfter: min(max(left, 5*time.Second), 5*time.Minute),
	}
}
