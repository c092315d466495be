package revoke

import (
	"math/bits"
	"sync/atomic"
)

// table is a set of fingerprints with a value each, by open addressing. Readers
// take no lock and see each entry whole: its value is written before its
// fingerprint, and a slot is never used twice. Writers are ordered by the Checker.
//
// The value of a presence is the second until which it is kept; that of a rule is
// packed (see rule.go), and a fingerprint may then have several.
type table struct {
	wide  bool // values have 64 bits
	dir   atomic.Pointer[[]*shard]
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
	keys []uint64
	v32  []uint32
	v64  []uint64
}

const (
	empty = 0
	gone  = 1 // was an entry

	shards    = 256
	oneShard  = 1 << 14 // entries of a table that is not sharded yet
	minSlots  = 8
	fullAbove = 0.73 // of the slots of a shard
	grownTo   = 0.615
)

func newTable(wide bool) *table {
	t := &table{wide: wide}
	t.dir.Store(&[]*shard{t.newShard(0)})
	return t
}

func (t *table) newShard(n int) *shard {
	s := new(shard)
	s.slots.Store(t.newSlots(n))
	return s
}

func (t *table) newSlots(n int) *slots {
	n = max(minSlots, int(float64(n+1)/grownTo))
	s := &slots{keys: make([]uint64, n)}
	if t.wide {
		s.v64 = make([]uint64, n)
	} else {
		s.v32 = make([]uint32, n)
	}
	return s
}

func (t *table) shardOf(fp uint64) *shard {
	dir := *t.dir.Load()
	if len(dir) == 1 {
		return dir[0]
	}
	return dir[fp>>56]
}

// home is where to look first. The shard has used up the upper bits.
func (s *slots) home(fp uint64) int {
	hi, _ := bits.Mul64(fp<<8, uint64(len(s.keys)))
	return int(hi)
}

// next finds fp from slot i on, or says -1. There is always an empty slot.
func (s *slots) next(fp uint64, i int) int {
	for {
		switch atomic.LoadUint64(&s.keys[i]) {
		case fp:
			return i
		case empty:
			return -1
		}
		if i++; i == len(s.keys) {
			i = 0
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
	i := s.home(fp)
	for atomic.LoadUint64(&s.keys[i]) != empty {
		i = s.after(i)
	}
	s.set(i, value)
	atomic.StoreUint64(&s.keys[i], fp)
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
	atomic.StoreUint64(&sh.slots.Load().keys[i], gone)
	sh.live--
	t.count.Add(-1)
}

// rebuild copies the live entries; readers go on in the old slots meanwhile.
func (t *table) rebuild(sh *shard) {
	old, fresh := sh.slots.Load(), t.newSlots(sh.live)
	for i, fp := range old.keys {
		if fp > gone {
			fresh.insert(fp, old.value(i))
		}
	}
	sh.slots.Store(fresh)
	sh.used, sh.hand = sh.live, 0
}

// split is done once in the life of a table.
func (t *table) split() {
	old := (*t.dir.Load())[0].slots.Load()
	var size [shards]int
	for _, fp := range old.keys {
		if fp > gone {
			size[fp>>56]++
		}
	}
	dir := make([]*shard, shards)
	for i, n := range &size {
		dir[i] = t.newShard(n)
		dir[i].used, dir[i].live = n, n
	}
	for i, fp := range old.keys {
		if fp > gone {
			dir[fp>>56].slots.Load().insert(fp, old.value(i))
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
		sh := dir[t.hand]
		s := sh.slots.Load()
		for ; sh.hand < len(s.keys); sh.hand++ {
			if n == 0 {
				return removed, false
			}
			n--
			if s.keys[sh.hand] > gone && dead(s.value(sh.hand)) {
				t.remove(sh, sh.hand)
				removed++
			}
		}
		sh.hand = 0
		if sh.live < len(s.keys)/4 && len(s.keys) > minSlots {
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
	for _, sh := range *t.dir.Load() {
		sh.hand = 0
	}
}

// each goes through all entries.
func (t *table) each(visit func(fp, value uint64) bool) bool {
	for _, sh := range *t.dir.Load() {
		s := sh.slots.Load()
		for i := range s.keys {
			if fp := atomic.LoadUint64(&s.keys[i]); fp > gone && !visit(fp, s.value(i)) {
				return false
			}
		}
	}
	return true
}
