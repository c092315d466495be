package revoke

import (
	"fmt"
	"slices"
	"time"
)

// maxShapes bounds what checks go through: kinds, times issuers, times sets of
// claim names.
const (
	maxShapes    = 1 << 16
	maxPerIssuer = 64
)

// shapeFor finds the shape for new records, or makes it. The caller holds mu.
func (c *Checker) shapeFor(kind Kind, issuer string, names []string) (*shape, error) {
	name := shapeName{kind, issuer, joined(names)}
	if sh := c.current[name]; sh != nil && c.shapes[sh.tag] == sh {
		return sh, nil
	}
	sh := c.newShape(c.prfs[0], kind, issuer, names)
	if known := c.shapes[sh.tag]; known != nil {
		sh = known
	} else if c.crowded(kind, issuer) {
		return nil, &unavailable{ErrFull, time.Minute}
	} else if _, err := c.keep(sh); err != nil {
		return nil, err
	}
	c.current[name] = sh
	return sh, nil
}

// shapeName finds a shape of the current secret without a computation.
type shapeName struct {
	kind   Kind
	issuer string
	names  string
}

// joined is unambiguous, as each name is quoted.
func joined(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("%q", names)
}

func (c *Checker) keep(sh *shape) (*shape, error) {
	if len(c.order) >= maxShapes {
		c.sweepAll(c.clock())
	}
	if len(c.order) >= maxShapes {
		return nil, &unavailable{ErrFull, time.Minute}
	}
	c.shapes[sh.tag] = sh
	c.order = append(c.order, sh)
	return sh, nil
}

// crowded reports whether an issuer has as many sets of claim names as one may have:
// what the Log brings is taken all the same, and so are the other kinds.
func (c *Checker) crowded(kind Kind, issuer string) bool {
	return kind == KindClaims && len(c.view.Load().of(issuer)) >= maxPerIssuer
}

// shapeOf is the shape of a stored record, under the secret that its fingerprint
// was made with.
func (c *Checker) shapeOf(r *stored) (*shape, error) {
	if sh := c.shapes[r.id.shape]; sh != nil {
		return sh, nil
	}
	for _, p := range c.prfs {
		if sh := c.newShape(p, r.kind, r.issuer, r.names); sh.tag == r.id.shape {
			return c.keep(sh)
		}
	}
	return nil, errDamaged // of a secret before the previous one
}

// apply merges a record. Records may come in any order and any number of times. The
// caller holds mu.
func (c *Checker) apply(r *stored) error {
	now := c.clock()
	defer c.sweepSome(sweepStep, now)
	if r.restore {
		c.bury(r, now)
		return nil
	}
	if c.buried(r.kind, r.id, now) {
		return nil
	}
	if t := c.keepUntil(r); !t.IsZero() && !now.Before(t) {
		c.forgotten(1, now)
		return nil
	}
	room := c.room(1, now) // first, as it may forget idle shapes
	sh, err := c.shapeOf(r)
	if err != nil {
		return err
	}
	if c.filter.takes(r, now) {
		return c.applyFiltered(sh, r, room)
	}
	if old, i := sh.table.find(r.id.fp); i >= 0 && sh.kind.present() {
		sh.raise(old, i, r, now)
		c.flag(r)
		return nil
	}
	if have, known := c.entry(sh, r.id); known {
		sh.stricter(r, have)
		return nil
	}
	if c.superseded(sh, r) {
		return nil
	}
	if !room && !c.room(1, now) {
		return &unavailable{ErrFull, time.Minute}
	}
	sh.table.add(r.id.fp, r.value)
	if sh.kind.present() {
		sh.mark(r.id)
	}
	c.total++
	if sh.count() == 1 {
		c.show(sh, r.relies)
	}
	c.flag(r)
	return nil
}

// maxCutoffs is how many cutoffs one fingerprint may have: who logs out again and
// again must not make checks slow, nor fill the table. Above, the oldest is given up:
// the later ones cover it, unless all of them are restored.
const maxCutoffs = 8

// superseded makes room for a cutoff among those of its fingerprint, or reports that it
// is the oldest.
func (c *Checker) superseded(sh *shape, r *stored) bool {
	if sh.kind.present() || rule(r.value).ban() {
		return false
	}
	n, at, oldest := 0, -1, r.value
	t, i := sh.table.find(r.id.fp)
	for ; i >= 0; i = t.next(r.id.fp, t.after(i)) {
		if v := t.value(i); !rule(v).ban() {
			if n++; v < oldest {
				at, oldest = i, v
			}
		}
	}
	if n < maxCutoffs {
		return false
	}
	if at >= 0 {
		sh.table.remove(sh.table.shardOf(r.id.fp), at)
		c.total--
	}
	return at < 0
}

// applyFiltered puts a token into the filter. Its shape is shown anew, as those who
// read it must see that it is there.
func (c *Checker) applyFiltered(sh *shape, r *stored, room bool) error {
	if !room {
		return &unavailable{ErrFull, time.Minute}
	}
	if c.filter.add(r.id.fp, int64(r.value)) {
		c.total++
	}
	if !sh.inFilter {
		shown := *sh
		shown.inFilter = true
		c.replace(sh, &shown)
	}
	return nil
}

// replace is for a change of a shape that readers must not see half of.
func (c *Checker) replace(old, next *shape) {
	c.shapes[old.tag] = next
	c.order[slices.Index(c.order, old)] = next
	for name, sh := range c.current {
		if sh == old {
			c.current[name] = next
		}
	}
	c.show(next, false)
}

func (c *Checker) flag(r *stored) {
	if v := c.view.Load(); r.relies && (v == nil || !v.lifetime) {
		c.show(nil, true)
	}
}

// raise merges a presence into an entry: a later tag wins, then a later end. An entry
// that has lapsed is as good as none.
func (sh *shape) raise(t *slots, i int, r *stored, now time.Time) {
	if lapsed(t.value(i), now.UnixMilli()) {
		delete(sh.raised, r.id.fp)
		t.set(i, 0)
	}
	have := sh.raised[r.id.fp]
	if r.id.tag > have || r.id.tag == have && r.value > t.value(i) {
		t.set(i, r.value)
		sh.mark(r.id)
	}
}

// stricter merges two rules of one id, which nodes that do not know each other may have
// drawn: a ban wins, then the later time.
func (sh *shape) stricter(r *stored, have uint64) {
	if r.value <= have {
		return
	}
	t, i := sh.table.find(r.id.fp)
	for ; i >= 0; i = t.next(r.id.fp, t.after(i)) {
		if t.value(i) == have {
			t.set(i, r.value)
			return
		}
	}
}

func (sh *shape) mark(id recordID) {
	if id.tag == 0 {
		delete(sh.raised, id.fp)
		return
	}
	if sh.raised == nil {
		sh.raised = map[uint64]uint32{}
	}
	sh.raised[id.fp] = id.tag
}

// buried reports whether an id is restored. That lapses with what was restored: the
// id may then come again.
//
// A presence was revoked again only when all tags before were restored: a restore of a
// later tag is one of them too, or they would come back by the order of the records.
func (c *Checker) buried(kind Kind, id recordID, now time.Time) bool {
	last := id.tag
	if kind.present() {
		last = max(last, c.tops[recordID{id.shape, id.fp, 0}])
	}
	for ; id.tag <= last; id.tag++ {
		if until, ok := c.dead[id]; ok && !c.exhumed(kind, until, now) {
			return true
		}
	}
	return false
}

// exhumed reports whether a restored id has lapsed. That of a rule is kept for longer
// than who restored it could know of: MaxLifetime may have been raised since, and with
// it the life of the rule.
func (c *Checker) exhumed(kind Kind, until int64, now time.Time) bool {
	if until == foreverMilli {
		return false
	}
	if !kind.present() {
		until += c.maxLifetime.Milliseconds()
	}
	return now.UnixMilli() >= until
}

// bury takes out the record of an id, and keeps it out.
func (c *Checker) bury(r *stored, now time.Time) {
	if c.exhumed(r.kind, int64(r.value), now) {
		return
	}
	if _, known := c.dead[r.id]; !known {
		c.total++
	}
	c.dead[r.id] = max(c.dead[r.id], int64(r.value))
	if first := (recordID{r.id.shape, r.id.fp, 0}); r.kind.present() && r.id.tag > c.tops[first] {
		c.tops[first] = r.id.tag
	}
	sh := c.shapes[r.id.shape]
	if sh == nil {
		return
	}
	t, i := sh.table.find(r.id.fp)
	for ; i >= 0; i = t.next(r.id.fp, t.after(i)) {
		if tag := sh.tagAt(t, i, r.id.fp); tag == r.id.tag || sh.kind.present() && tag < r.id.tag {
			sh.table.remove(sh.table.shardOf(r.id.fp), i)
			delete(sh.raised, r.id.fp)
			c.total--
			break
		}
	}
	if sh.count() == 0 {
		c.show(sh, false)
	}
}

// sweepStep is how many slots each write looks at: what has expired is gone after
// about as many writes as there are entries, over ten.
const sweepStep = 16

// sweepSome goes on where it was. The caller holds mu.
func (c *Checker) sweepSome(n int, now time.Time) {
	if len(c.order) == 0 {
		return
	}
	c.hand %= len(c.order)
	sh := c.order[c.hand]
	if c.sweepShape(sh, n, now) {
		c.hand++
	}
	if c.filter != nil {
		removed := c.filter.sweep(now) // a look at some ten buckets
		c.total -= removed
		c.forgotten(removed, now)
	}
}

// sweepShape takes out what has expired, and reports whether it has come round.
func (c *Checker) sweepShape(sh *shape, n int, now time.Time) bool {
	milli := now.UnixMilli()
	dead := func(value uint64) bool {
		if sh.kind.present() {
			return lapsed(value, milli)
		}
		until := rule(value).until(c.maxLifetime)
		return until != foreverMilli && milli >= until
	}
	before := sh.count()
	removed, round := sh.table.sweep(n, dead)
	c.total -= removed
	c.forgotten(removed, now)
	if before > 0 && sh.count() == 0 {
		c.show(sh, false)
	}
	if round {
		for fp := range sh.raised {
			if _, i := sh.table.find(fp); i < 0 {
				delete(sh.raised, fp)
			}
		}
	}
	return round
}

// forgotten notes that n records had lapsed, by a clock that may be set back: then the
// Log is read again. The caller holds mu.
func (c *Checker) forgotten(n int, now time.Time) {
	if n > 0 {
		c.forgot.Store(max(c.forgot.Load(), now.UnixMilli()))
	}
}

// kindOfID is the kind of what had an id, if anything is known of it.
func (c *Checker) kindOfID(id recordID) Kind {
	if sh := c.shapes[id.shape]; sh != nil {
		return sh.kind
	}
	return ""
}

// sweepAll is for when there is no room, a second apart at most.
func (c *Checker) sweepAll(now time.Time) {
	if since := now.Sub(c.swept); since >= 0 && since < time.Second {
		return
	}
	c.swept = now
	if c.filter != nil {
		removed := c.filter.sweep(now)
		c.total -= removed
		c.forgotten(removed, now)
	}
	for id, until := range c.dead {
		if c.exhumed(c.kindOfID(id), until, now) {
			delete(c.dead, id)
			c.total--
		}
	}
	for first, top := range c.tops {
		if _, known := c.dead[recordID{first.shape, first.fp, top}]; !known {
			if top--; top > 0 {
				c.tops[first] = top // the rest the next time
			} else {
				delete(c.tops, first)
			}
		}
	}
	for _, sh := range c.order {
		sh.table.rewind()
		for !c.sweepShape(sh, 1<<20, now) {
		}
	}
	c.order = slices.DeleteFunc(c.order, func(sh *shape) bool {
		idle := sh.count() == 0 && !sh.inFilter
		if idle {
			delete(c.shapes, sh.tag)
			delete(c.current, shapeName{sh.kind, sh.issuer, joined(sh.claimNames())})
		}
		return idle
	})
	c.hand = 0
}

// room reports whether n more may be held.
func (c *Checker) room(n int, now time.Time) bool {
	if c.total+c.reserved+n > c.maxEntries {
		c.sweepAll(now)
	}
	return c.total+c.reserved+n <= c.maxEntries
}
