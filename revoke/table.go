package revoke

import (
	"math/bits"
	"sync/atomic"
)

// table is a set of fingerprints with a value each, by open addressing in groups of
// eight. A byte of tag for each slot tells a look that finds nothing so from one
// word, as a rule. Readers take no lock and see each entry whole: its value and its
// fingerprint are written before its tag, and a slot is never used twice. Writers
// are ordered by the Checker.
//
// The value of a presence is the second until which it is kept; that of a rule is
// packed (see rule.go), and a fingerprint may then have several.
type table struct {
	wide  bool // values have 64 bits
	dir   atomic.Pointer[[]shard]
	count atomic.Int64
	hand  int // the shard where the sweep is
}

// shard is the part of a table that grows by itself, so that no write waits for
// the copy of ten million entries.
type shard struct {
	slots      atomic.Pointer[slots]
	used, live int
	hand       int // the slot where the sweep is
}

type slots struct {
	tags []uint64 // eight of them in a word, the first in its lowest byte
	keys []uint64
	v32  []uint32
	v64  []uint64
}

// Tags of slots without an entry. Those of entries have the top bit set, and seven
// bits of the fingerprint.
const (
	empty = 0
	gone  = 1 // was an entry

	group     = 8
	shards    = 256
	oneShard  = 1 << 14 // entries of a table that is not sharded yet
	fullAbove = 0.87    // of the slots of a shard
	grownTo   = 0.68
)

// ones and tops repeat a byte in a word.
const (
	ones = 0x0101010101010101
	tops = 0x80 * ones
)

func newTable(wide bool) *table {
	t := &table{wide: wide}
	dir := make([]shard, 1)
	dir[0].slots.Store(t.newSlots(0))
	t.dir.Store(&dir)
	return t
}

func (t *table) newSlots(n int) *slots {
	groups := int(float64(n+1)/grownTo)/group + 1
	s := &slots{tags: make([]uint64, groups), keys: make([]uint64, groups*group)}
	if t.wide {
		s.v64 = make([]uint64, groups*group)
	} else {
		s.v32 = make([]uint32, groups*group)
	}
	return s
}

func (t *table) shardOf(fp uint64) *shard {
	dir := *t.dir.Load()
	if len(dir) == 1 {
		return &dir[0]
	}
	return &dir[fp>>56]
}

// home is the first slot of the group where to look first. The shard has used up the
// upper bits of fp, and the tag the lower.
func (s *slots) home(fp uint64) int {
	hi, _ := bits.Mul64(fp<<8, uint64(len(s.tags)))
	return int(hi) * group
}

func tagOf(fp uint64) uint64 { return 0x80 | fp&0x7f }

// tag is that of slot i.
func (s *slots) tag(i int) byte {
	return byte(atomic.LoadUint64(&s.tags[i/group]) >> (i % group * 8))
}

// setTag is for writers.
func (s *slots) setTag(i int, tag uint64) {
	word, at := &s.tags[i/group], i%group*8
	atomic.StoreUint64(word, atomic.LoadUint64(word)&^(0xff<<at)|tag<<at)
}

// holds reports whether slot i has an entry.
func (s *slots) holds(i int) bool { return s.tag(i)&0x80 != 0 }

// next finds fp from slot i on, or says -1. There is always an empty slot.
func (s *slots) next(fp uint64, i int) int {
	tag := tagOf(fp)
	skip := ^uint64(0) << (i % group * 8) // of the first group, what is before i was seen
	for g := i / group; ; skip = ^uint64(0) {
		word := atomic.LoadUint64(&s.tags[g])
		odd := word ^ tag*ones
		// The lowest of these is a slot of that tag; one above may seem to be.
		for found := (odd - ones) &^ odd & tops & skip; found != 0; found &= found - 1 {
			at := bits.TrailingZeros64(found)
			if i = g*group + at/8; atomic.LoadUint64(&s.keys[i]) == fp && byte(word>>(at-7)) == byte(tag) {
				return i
			}
		}
		if (word-ones)&^word&tops != 0 {
			return -1
		}
		if g++; g == len(s.tags) {
			g = 0
		}
	}
}

func (s *slots) after(i int) int {
	if i++; i == len(s.keys) {
		return 0
	}
	return i
}

// find is the slots to read and the first that has fp, or -1.
func (t *table) find(fp uint64) (*slots, int) {
	s := t.shardOf(fp).slots.Load()
	i := s.next(fp, s.home(fp))
	return s, i
}

func (s *slots) value(i int) uint64 {
	if s.v64 != nil {
		return atomic.LoadUint64(&s.v64[i])
	}
	return uint64(atomic.LoadUint32(&s.v32[i]))
}

func (s *slots) set(i int, value uint64) {
	if s.v64 != nil {
		atomic.StoreUint64(&s.v64[i], value)
	} else {
		atomic.StoreUint32(&s.v32[i], uint32(value))
	}
}

// insert is for a shard that has room.
func (s *slots) insert(fp, value uint64) {
	i := s.free(fp)
	s.set(i, value)
	atomic.StoreUint64(&s.keys[i], fp)
	s.setTag(i, tagOf(fp))
}

// fill is insert before there are readers.
func (s *slots) fill(fp, value uint64) {
	i := s.free(fp)
	if s.v64 != nil {
		s.v64[i] = value
	} else {
		s.v32[i] = uint32(value)
	}
	s.keys[i] = fp
	s.tags[i/group] |= tagOf(fp) << (i % group * 8)
}

// free is the slot for another entry of fp.
func (s *slots) free(fp uint64) int {
	g := s.home(fp) / group
	for {
		word := atomic.LoadUint64(&s.tags[g])
		if free := (word - ones) &^ word & tops; free != 0 {
			return g*group + bits.TrailingZeros64(free)/8
		}
		if g++; g == len(s.tags) {
			g = 0
		}
	}
}

// add puts an entry in, whether there is another of fp or not.
func (t *table) add(fp, value uint64) {
	if len(*t.dir.Load()) == 1 && t.count.Load() >= oneShard {
		t.split()
	}
	sh := t.shardOf(fp)
	if s := sh.slots.Load(); float64(sh.used+1) > fullAbove*float64(len(s.keys)) {
		t.rebuild(sh)
	}
	sh.slots.Load().insert(fp, value)
	sh.used++
	sh.live++
	t.count.Add(1)
}

// remove takes the entry at i out. Its slot stays used until the shard is rebuilt.
func (t *table) remove(sh *shard, i int) {
	sh.slots.Load().setTag(i, gone)
	sh.live--
	t.count.Add(-1)
}

// rebuild copies the live entries; readers go on in the old slots meanwhile.
func (t *table) rebuild(sh *shard) {
	old, fresh := sh.slots.Load(), t.newSlots(sh.live)
	for i, fp := range old.keys {
		if old.holds(i) {
			fresh.fill(fp, old.value(i))
		}
	}
	sh.slots.Store(fresh)
	sh.used, sh.hand = sh.live, 0
}

// split is done once in the life of a table.
func (t *table) split() {
	old := (*t.dir.Load())[0].slots.Load()
	dir := make([]shard, shards)
	for i, fp := range old.keys {
		if old.holds(i) {
			dir[fp>>56].live++
		}
	}
	for i := range dir {
		dir[i].used = dir[i].live
		dir[i].slots.Store(t.newSlots(dir[i].live))
	}
	for i, fp := range old.keys {
		if old.holds(i) {
			dir[fp>>56].slots.Load().fill(fp, old.value(i))
		}
	}
	t.dir.Store(&dir)
}

// sweep looks at the next n slots, and takes out what is dead. It reports how many
// entries that were, and whether it has come round.
func (t *table) sweep(n int, dead func(value uint64) bool) (removed int, round bool) {
	dir := *t.dir.Load()
	t.hand %= len(dir)
	for {
		sh := &dir[t.hand]
		s := sh.slots.Load()
		for ; sh.hand < len(s.keys); sh.hand++ {
			if n == 0 {
				return removed, false
			}
			n--
			if s.holds(sh.hand) && dead(s.value(sh.hand)) {
				t.remove(sh, sh.hand)
				removed++
			}
		}
		sh.hand = 0
		if sh.live < len(s.keys)/4 && len(s.keys) > group {
			t.rebuild(sh) // give memory back
		}
		if t.hand++; t.hand == len(dir) {
			t.hand = 0
			return removed, true
		}
	}
}

// rewind has the next sweep begin at the beginning.
func (t *table) rewind() {
	t.hand = 0
	dir := *t.dir.Load()
	for i := range dir {
		dir[i].hand = 0
	}
}

// each goes through all entries.
func (t *table) each(visit func(fp, value uint64) bool) bool {
	dir := *t.dir.Load()
	for i := range dir {
		s := dir[i].slots.Load()
		for i := range s.keys {
			if s.holds(i) && !visit(atomic.LoadUint64(&s.keys[i]), s.value(i)) {
				return false
			}
		}
	}
	return true
}
