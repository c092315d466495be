package revoke

import "time"

// Cutoffs is how many entries rules have.
func (c *Checker) Cutoffs() (n int) {
	for _, sh := range c.order {
		if !sh.kind.present() {
			n += int(sh.count())
		}
	}
	return n
}

// CMAC is that of RFC 4493, of a message that is not empty.
func CMAC(key, msg []byte) [16]byte {
	var none [16]byte
	s := &scratch{msg: msg}
	cmac(key).sum(s, &none)
	return s.state
}

// Table is a table by itself.
type Table struct{ *table }

// NewTable makes one.
func NewTable(wide bool) Table { return Table{newTable(wide)} }

// Add adds.
func (t Table) Add(fp, value uint64) { t.add(fp, value) }

// Get finds.
func (t Table) Get(fp uint64) (uint64, bool) {
	s, i := t.find(fp)
	if i < 0 {
		return 0, false
	}
	return s.value(i), true
}

// All is everything in it.
func (t Table) All() map[uint64]uint64 {
	all := map[uint64]uint64{}
	t.each(func(fp, value uint64) bool { all[fp] = value; return true })
	return all
}

// Sweep goes round once, in steps.
func (t Table) Sweep(dead func(uint64) bool) {
	t.rewind()
	for round := false; !round; {
		_, round = t.sweep(7, dead)
	}
}

// Slots is the size of all shards.
func (t Table) Slots() (n int) {
	dir := *t.dir.Load()
	for i := range dir {
		n += len(dir[i].slots.Load().keys)
	}
	return n
}

// Fill puts n entries of made-up fingerprints in force, beside one that was revoked.
func (c *Checker) Fill(kind Kind, n int, until uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, sh := range c.order {
		if sh.kind == kind {
			next := uint64(n)
			for range n {
				next += 0x9e3779b97f4a7c15 // splitmix64
				z := (next ^ next>>30) * 0xbf58476d1ce4e5b9
				z = (z ^ z>>27) * 0x94d049bb133111eb
				sh.table.add(max(z^z>>31, 2), until)
				c.total++
			}
		}
	}
}

// Seal puts a good MAC behind whatever it is given.
func (c *Checker) Seal(b []byte) []byte {
	mac := c.prfs[0].seal(b)
	return append(append([]byte(nil), b...), mac[:]...)
}

// Recode decodes and encodes.
func (c *Checker) Recode(data []byte) ([]byte, error) {
	r, err := c.decode(data)
	if err != nil {
		return nil, err
	}
	return c.encode(r), nil
}

// FilterOf is a filter by itself, of an hour.
type FilterOf struct{ f *filter }

// NewFilter makes one.
func NewFilter(capacity int, rate float64) FilterOf {
	return FilterOf{newFilter(&Filter{Capacity: capacity, FalsePositives: rate}, time.Hour)}
}

// Put adds.
func (f FilterOf) Put(fp uint64, until int64) { f.f.add(fp, until) }

// Has finds.
func (f FilterOf) Has(fp uint64, until int64) bool { return f.f.has(fp, until) }

// Bytes is the size of all layers.
func (f FilterOf) Bytes() (n int) {
	for _, b := range *f.f.buckets.Load() {
		for _, l := range *b.layers.Load() {
			n += 8 * len(l.words)
		}
	}
	return n
}

// Quota is one by itself.
type Quota struct{ q quota }

// Take takes.
func (q *Quota) Take(caller string, now time.Time) bool {
	q.q.perMinute = 2
	_, ok := q.q.take(caller, now)
	return ok
}

// Names is how many callers are counted by themselves.
func (q *Quota) Names() int { return len(q.q.used) }

// FilterBytes is the size of all layers of the filter of a Checker.
func FilterBytes(c *Checker) int { return FilterOf{c.filter}.Bytes() }
