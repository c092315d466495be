package jwtvalidate

import (
	"context"
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// memory remembers that a token's signature was made by a key for a policy, and the
// claims that were parsed then: what cannot change while the token and the key live.
// Everything else is asked every time. It holds no refusal.
//
// It is a table of small buckets, found by a seeded hash; a hash alone decides
// nothing, the whole token is compared. Lookups take no lock.
type memory struct {
	seed    maphash.Seed
	buckets []bucket
	storing [64]sync.Mutex  // by bucket
	seeing  [256]sync.Mutex // by the whole token: those that are verified at this moment
}

// A bucket has places for regulars and a few for newcomers. A newcomer displaces a
// newcomer; only one that was asked for again becomes a regular. So a burst of
// tokens that are seen once leaves the regulars alone.
//
// What a look at all its places needs stands in the bucket itself: following a
// pointer to each would cost more than the whole lookup.
type bucket struct {
	tags    [ways]atomic.Uint32 // half of the hash
	expires [ways]uint32        // guarded by storing
	entries [ways]atomic.Pointer[remembered]
}

const (
	ways      = 8
	regulars  = 6
	maxUsed   = 3
	entries   = 10_000
	maxLength = 4 << 10 // longer tokens are verified each time

	maxEntries = 1 << 24
)

type remembered struct {
	tokenKey
	claims *Claims
	used   atomic.Uint32 // how often it was asked for, up to maxUsed
}

// isOf reports whether a token was accepted by a policy, and not by one that was
// there for the tenant before.
func (e *remembered) isOf(p *policy) bool { return p.tenant == nil || e.claims.signer.policy == p }

// newMemory has room for so many tokens; nil for none.
func newMemory(size int) *memory {
	if size < 0 || size > maxEntries {
		return nil
	}
	if size == 0 {
		size = entries
	}
	return &memory{seed: maphash.MakeSeed(), buckets: make([]bucket, (size+ways-1)/ways)}
}

// tokenKey is a token and the hash by which it is looked up.
type tokenKey struct {
	token string
	hash  uint64
}

// hashed is how much of a token's end is hashed, in bytes: of its signature, which
// nobody can choose who does not hold the key. A forger who borrows it from another
// token finds that token's bucket, and not that token. Of an encrypted token it is the
// tag, which its sender can choose: tokens that share one displace only each other.
const hashed = 64

func (m *memory) keyOf(token string) tokenKey {
	return tokenKey{token, maphash.String(m.seed, token[max(len(token)-hashed, 0):])}
}

// seeingOf goes by the whole token: forgeries with one end stand in no queue.
func (m *memory) seeingOf(token string) *sync.Mutex {
	return &m.seeing[maphash.String(m.seed, token)%uint64(len(m.seeing))]
}

func (m *memory) bucket(hash uint64) (*bucket, *sync.Mutex) {
	i, _ := bits.Mul64(hash, uint64(len(m.buckets)))
	return &m.buckets[i], &m.storing[i%uint64(len(m.storing))]
}

func tagOf(hash uint64) uint32 { return uint32(hash) }

// find returns what is remembered of a token; nil if nothing is.
func (m *memory) find(k tokenKey) *remembered {
	b, _ := m.bucket(k.hash)
	for i := range b.tags {
		if b.tags[i].Load() != tagOf(k.hash) {
			continue
		}
		if e := b.entries[i].Load(); e != nil && e.tokenKey == k {
			if e.used.Load() < maxUsed {
				e.used.Add(1)
			}
			return e
		}
	}
	return nil
}

// forget takes an entry out, unless something else stands in its place by now.
func (m *memory) forget(e *remembered) {
	b, mu := m.bucket(e.hash)
	mu.Lock() // store counts on what it has seen there
	defer mu.Unlock()
	for i := range b.entries {
		if b.entries[i].CompareAndSwap(e, nil) {
			return
		}
	}
}

// store remembers a token. What expired before it was issued makes room first: that
// costs no clock.
func (m *memory) store(k tokenKey, claims *Claims) {
	k.token = strings.Clone(k.token) // of a whole header
	e := &remembered{tokenKey: k, claims: claims}
	b, mu := m.bucket(k.hash)
	mu.Lock()
	defer mu.Unlock()
	issued := seconds(claims.issued)
	for i := range b.entries {
		if old := b.entries[i].Load(); old == nil || b.expires[i] < issued || b.tags[i].Load() == tagOf(k.hash) && old.tokenKey == k {
			b.put(i, e)
			return
		}
	}
	place := regulars
	for i := regulars; i < ways; i++ {
		if b.used(i).Load() == 0 {
			place = i
		}
	}
	if newcomer := b.entries[place].Load(); newcomer.used.Load() > 0 {
		b.promote(newcomer)
	}
	b.put(place, e)
}

// put writes an entry into a place. A lookup in between finds nothing there.
func (b *bucket) put(i int, e *remembered) {
	b.tags[i].Store(tagOf(e.hash))
	b.expires[i] = seconds(e.claims.expiry)
	b.entries[i].Store(e)
}

func (b *bucket) used(i int) *atomic.Uint32 { return &b.entries[i].Load().used }

// promote gives a newcomer that was asked for again the place of the regular that
// is asked for least, and ages the others.
func (b *bucket) promote(newcomer *remembered) {
	least := 0
	for i := range regulars {
		if b.used(i).Load() < b.used(least).Load() {
			least = i
		}
	}
	for i := range regulars {
		if used := b.used(i); used.Load() > 0 {
			used.Add(^uint32(0))
		}
	}
	b.put(least, newcomer)
}

// seconds are those since 1970, as far as 32 bits go: 0 for what was before.
func seconds(t time.Time) uint32 { return uint32(min(max(t.Unix(), 0), math.MaxUint32)) }

// see looks a token up. On a hit the issuer's own source is asked for the key as if
// the token were new; without that key the token is forgotten, and is new.
func (v *Validator) see(ctx context.Context, d *decision, k tokenKey) (hit bool, err error) {
	e := v.memory.find(k)
	if e == nil {
		return false, nil
	}
	by := &e.claims.signer
	if current, err := v.tenants.current(ctx, by.policy); current != by.policy { // nil with an error
		if err == nil {
			v.memory.forget(e)
		}
		d.policy = by.policy
		return err != nil, err
	}
	keys, err := by.keys(ctx)
	if err != nil {
		d.policy = by.policy
		return true, err
	}
	if !slices.ContainsFunc(keys, by.isBy) {
		v.memory.forget(e)
		return false, nil
	}
	d.policy, d.claims, d.cached = by.policy, e.claims, true
	return true, nil
}
