package revoke

import "iter"

// held is every record that is in force, and every id that is restored, as of about
// now. It has what a Log needs, which knows neither reason nor actor.
func (c *Checker) held() iter.Seq[*stored] {
	return func(yield func(*stored) bool) {
		c.mu.Lock()
		shapes := append([]*shape(nil), c.order...)
		var dead []*stored
		for id, until := range c.dead {
			kind := KindClaims
			if sh := c.shapes[id.shape]; sh != nil {
				kind = sh.kind
			}
			dead = append(dead, &stored{restore: true, kind: kind, id: id, value: uint64(until)})
		}
		c.mu.Unlock()
		for _, r := range dead {
			if !yield(r) {
				return
			}
		}
		for _, sh := range shapes {
			more := sh.table.each(func(fp, value uint64) bool {
				r := &stored{
					kind: sh.kind, issuer: sh.issuer, names: sh.claimNames(), value: value,
					id: recordID{sh.tag, fp, 0}, relies: true,
				}
				if sh.kind.present() {
					c.mu.Lock()
					r.id.tag = sh.raised[fp]
					c.mu.Unlock()
				} else {
					r.id.tag = rule(value).tag()
				}
				return yield(r)
			})
			if !more {
				return
			}
		}
	}
}
