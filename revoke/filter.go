package revoke

import (
	"context"
	"errors"
	"maps"
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// Filter has single tokens in bloom filters instead of a table: a seventh of the
// memory, for tens of millions of them on a small node. A token that was not revoked
// is then refused at the rate of FalsePositives, unless Confirm says better. Other
// kinds, and tokens of which Expires is not known, stay in the table. What is in a
// filter cannot be restored, nor given back to a Log that has lost it.
//
// KrakenD's settings map onto it:
//
//	N     Capacity: tokens revoked in MaxLifetime, not in one rotation of three
//	P     FalsePositives: holds for all of the life of an entry, not for one of three filters
//	TTL   none: an entry goes with the exp of its token
type Filter struct {
	// Capacity is how many tokens are revoked in MaxLifetime. With more, the rate holds
	// all the same, and each costs more memory. Required.
	Capacity int
	// FalsePositives is the rate, between 1e-12 and 0.1. Required.
	FalsePositives float64
	// Confirm asks an exact store whether a record is there, by Receipt.ID. It runs
	// for revoked tokens, and for false positives. An error is an ErrUnavailable. Nil:
	// the filter decides.
	Confirm func(ctx context.Context, id string) (bool, error)
}

func (f *Filter) check() error {
	var errs []error
	if f.Capacity <= 0 || f.Capacity > maxMaxEntries {
		errs = append(errs, errors.New("revoke: Filter: Capacity: not within 2^30"))
	}
	if !(f.FalsePositives >= 1e-12 && f.FalsePositives <= 0.1) { // NaN is wrong as well
		errs = append(errs, errors.New("revoke: Filter: FalsePositives: not within 1e-12 and 0.1"))
	}
	return errors.Join(errs...)
}

// filter has a bloom filter for each span of time in which tokens expire. A check
// looks into one of them, and it is dropped whole.
type filter struct {
	confirm  func(context.Context, string) (bool, error)
	width    int64 // seconds
	capacity int   // of the first layer of a bucket
	rate     float64
	buckets  atomic.Pointer[map[int64]*bucket]
}

// spans is how many buckets there are in MaxLifetime.
const spans = 8

func newFilter(cfg *Filter, maxLifetime time.Duration) *filter {
	f := &filter{
		confirm: cfg.Confirm, rate: cfg.FalsePositives,
		width:    max(1, int64(maxLifetime/time.Second)/spans),
		capacity: max(64, cfg.Capacity/spans),
	}
	f.buckets.Store(&map[int64]*bucket{})
	return f
}

// bucket has one layer, unless more come than were foreseen: no layer is overfilled.
type bucket struct {
	layers atomic.Pointer[[]*layer]
	count  int
}

type layer struct {
	words []uint64
	k     int
	room  int
}

// newLayer is sized for n entries at a rate (Bloom's m and k).
func newLayer(n int, rate float64) *layer {
	m := math.Ceil(-float64(n) * math.Log(rate) / (math.Ln2 * math.Ln2))
	return &layer{
		words: make([]uint64, int(m)/64+1),
		k:     max(1, int(math.Round(math.Ln2*m/float64(n)))),
		room:  n,
	}
}

// second is another hash of a fingerprint, which is as good as random itself.
func second(fp uint64) uint64 {
	fp = (fp ^ fp>>33) * 0xff51afd7ed558ccd
	fp = (fp ^ fp>>33) * 0xc4ceb9fe1a85ec53
	return fp ^ fp>>33 | 1
}

func (l *layer) place(hash uint64) (word int, bit uint64) {
	at, _ := bits.Mul64(hash, uint64(len(l.words))*64)
	return int(at / 64), 1 << (at % 64)
}

func (l *layer) has(fp, step uint64) bool {
	for range l.k {
		word, bit := l.place(fp)
		if atomic.LoadUint64(&l.words[word])&bit == 0 {
			return false
		}
		fp += step
	}
	return true
}

func (l *layer) add(fp, step uint64) {
	for range l.k {
		word, bit := l.place(fp)
		atomic.OrUint64(&l.words[word], bit)
		fp += step
	}
	l.room--
}

// has reports whether fp was perhaps added with this second until which it is kept.
func (f *filter) has(fp uint64, until int64) bool {
	b := (*f.buckets.Load())[until/f.width]
	return b != nil && b.has(fp)
}

func (b *bucket) has(fp uint64) bool {
	step := second(fp)
	for _, l := range *b.layers.Load() {
		if l.has(fp, step) {
			return true
		}
	}
	return false
}

// first is the part of the rate that the first layer has: the others share the rest.
const first = 0.9

// add is for writers. It reports whether the entry is new.
func (f *filter) add(fp uint64, until int64) bool {
	buckets := *f.buckets.Load()
	b := buckets[until/f.width]
	if b == nil {
		b = new(bucket)
		b.layers.Store(&[]*layer{newLayer(f.capacity, first*f.rate)})
		buckets = maps.Clone(buckets)
		buckets[until/f.width] = b
		f.buckets.Store(&buckets)
	}
	if b.has(fp) {
		return false // it is refused already
	}
	layers := *b.layers.Load()
	last := layers[len(layers)-1]
	if last.room == 0 {
		n := len(layers)
		last = newLayer(f.capacity<<n, (1-first)*f.rate/float64(int(1)<<n))
		layers = append(layers[:n:n], last)
		b.layers.Store(&layers)
	}
	last.add(fp, second(fp))
	b.count++
	return true
}

// sweep drops what has lapsed, and reports how many entries that were.
func (f *filter) sweep(now time.Time) (removed int) {
	old := *f.buckets.Load()
	var next map[int64]*bucket
	for i, b := range old {
		if (i+1)*f.width <= now.Unix() {
			if next == nil {
				next = maps.Clone(old)
			}
			delete(next, i)
			removed += b.count
		}
	}
	if next != nil {
		f.buckets.Store(&next)
	}
	return removed
}

// takes reports whether a record belongs in the filter.
//
// One of a token that lives longer than any should does not: each span of time costs
// memory, and there may be no more of them than were foreseen.
func (f *filter) takes(r *stored, now time.Time) bool {
	return f != nil && r.kind == KindToken && !r.relies && r.id.tag == 0 &&
		int64(r.value) < now.Add(grace+maxSkew).Unix()+(spans+1)*f.width
}

// untilOf is the second until which a token of this exp is kept.
func untilOf(expires time.Time) int64 { return expires.Add(grace).Unix() + 1 }

// filtered looks for the token in the filter.
func (c *Checker) filtered(ctx context.Context, v *view, q *question) (bool, error) {
	issuer := text(q.claims, "iss")
	expires, ends := instantOf(q.claims, "exp")
	if !ends {
		return false, nil
	}
	until := untilOf(time.Unix(0, expires.ns))
	for _, sh := range v.of(issuer) {
		if !sh.inFilter {
			continue
		}
		id, _ := q.claims.Get(sh.names[0])
		var ok bool
		if q.scratch.msg, ok = appendValue(append(q.scratch.msg[:0], 1), id, true); !ok {
			continue
		}
		fp := sh.prf.fingerprint(q.scratch, &sh.prefix)
		if !c.filter.has(fp, until) || q.now() >= until*1000 {
			continue
		}
		if c.filter.confirm == nil {
			return true, nil
		}
		revoked, err := c.filter.confirm(ctx, recordID{sh.tag, fp, 0}.String())
		if err != nil {
			return false, &unavailable{err, retryOf(err)}
		}
		if revoked {
			return true, nil
		}
	}
	return false, nil
}
