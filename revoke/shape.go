package revoke

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// shape is what records of one kind, issuer and set of claim names have in common:
// what to ask a token for, and the entries. Only shapes with entries are asked.
type shape struct {
	kind   Kind
	issuer string
	names  []string // the claims to look at
	prf    *prf
	prefix [16]byte
	tag    uint64 // stands for the shape in the id of a record
	table  *table

	presence bool // kind.present(), without comparing texts in each check
	ask      form
	inFilter bool // some are in the filter; set before the shape is shown

	// For writers. A presence is in the table without the tag of its record: it is
	// zero, unless it was restored and then revoked again.
	raised map[uint64]uint32
}

// form is what there is to ask a token for.
type form int

const (
	askNothing form = iota
	askValue
	askClaims
	askKey
)

func (k Kind) form() form {
	switch {
	case k == KindClaims:
		return askClaims
	case k == KindKey:
		return askKey
	case k.identified():
		return askValue
	}
	return askNothing
}

func (c *Checker) newShape(p *prf, kind Kind, issuer string, names []string) *shape {
	b := []byte("gatehouse revoke")
	b = append(b, byte(slices.Index(kinds, kind)), byte(len(names)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(issuer)))
	b = append(b, issuer...)
	for _, name := range names {
		b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
		b = append(b, name...)
	}
	sh := &shape{kind: kind, issuer: issuer, names: names, prf: p, prefix: p.prefix(b)}
	s := &scratch{msg: []byte{0xff}} // a message of values begins with how many there are
	sh.tag = p.fingerprint(s, &sh.prefix)
	sh.table, sh.presence, sh.ask = newTable(!kind.present()), kind.present(), kind.form()
	switch kind {
	case KindToken:
		sh.names = []string{"jti"}
		if name := c.idClaims[issuer]; name != "" {
			sh.names = []string{name}
		}
	case KindSession:
		sh.names = []string{"sid"}
	case KindSubject:
		sh.names = []string{"sub"}
	case KindClient:
		sh.names = []string{"client_id", "azp"}
	}
	return sh
}

// fingerprintOf is for a record that was checked.
func (sh *shape) fingerprintOf(r *Record) uint64 {
	s, _ := scratches.Get().(*scratch)
	defer s.release()
	s.msg = append(s.msg[:0], 0)
	switch {
	case sh.kind.identified():
		s.msg[0] = 1
		s.msg, _ = appendValue(s.msg, r.Value, true)
	case sh.kind == KindClaims:
		s.msg[0] = byte(len(sh.names))
		for _, name := range sh.names {
			s.msg, _ = appendValue(s.msg, r.Claims[name], false)
		}
	}
	return sh.prf.fingerprint(s, &sh.prefix)
}

// namesOf are the claims of a record, in the order in which they are looked at.
func (r *Record) namesOf() []string {
	if len(r.Claims) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(r.Claims))
}

// These bound the work that lists in a token can cause: for one rule, and for all.
const (
	maxCombinations = 4096
	maxTried        = 1 << 16
)

// question is one token that is asked about. What few rules need is read when one does.
type question struct {
	claims  Claims
	scratch *scratch
	left    int  // combinations that may still be tried for a rule
	all     int  // and for all of them
	unsure  bool // a key is not wanted, and nobody says which this one is of

	sameSecond  bool
	maxLifetime time.Duration
	clock       func() time.Time
	at          time.Time // now; zero: not read yet
	issued      instant
	dated, read bool // there is an iat; it has been looked for
}

func (q *question) moment() time.Time {
	if q.at.IsZero() {
		q.at = q.clock()
	}
	return q.at
}

func (q *question) now() int64 { return q.moment().UnixMilli() }

func (q *question) issuedAt() (instant, bool) {
	if !q.read {
		q.issued, q.dated = instantOf(q.claims, "iat")
		q.read = true
	}
	return q.issued, q.dated
}

// refuses reports whether an entry of the shape is about the token. A token that
// has more combinations than can be tried is refused.
func (sh *shape) refuses(q *question) bool {
	if sh.count() == 0 {
		return false
	}
	s := q.scratch
	q.left = min(maxCombinations, q.all)
	switch sh.ask {
	case askClaims:
		s.msg = append(s.msg[:0], byte(len(sh.names)))
		return sh.combine(q, 0)
	case askKey:
		by, ok := q.claims.(interface{ KeyThumbprint() string })
		if !ok {
			q.unsure = true
			return false
		}
		s.msg, ok = appendValue(append(s.msg[:0], 1), by.KeyThumbprint(), true)
		return ok && sh.hit(q)
	case askNothing:
		s.msg = append(s.msg[:0], 0)
		return sh.hit(q)
	case askValue:
	}
	for _, name := range sh.names {
		v, ok := q.claims.Get(name)
		if !ok {
			continue
		}
		list, isList := elements(v)
		if !isList {
			s.msg, ok = appendValue(append(s.msg[:0], 1), v, true)
			if ok && sh.hit(q) {
				return true
			}
			continue
		}
		for _, v := range list {
			s.msg, ok = appendValue(append(s.msg[:0], 1), v, true)
			if ok && (!q.mayTry() || sh.hit(q)) {
				return true
			}
		}
	}
	return false
}

func (q *question) mayTry() bool {
	q.left--
	q.all--
	return q.left >= 0
}

// combine has s.msg hold the values of the first n names, and tries the rest.
func (sh *shape) combine(q *question, n int) bool {
	if n == len(sh.names) {
		return sh.hit(q)
	}
	v, ok := q.claims.Get(sh.names[n])
	if !ok {
		return false
	}
	s, mark := q.scratch, len(q.scratch.msg)
	list, isList := elements(v)
	if !isList {
		s.msg, ok = appendValue(s.msg, v, false)
		return ok && sh.combine(q, n+1)
	}
	for _, v := range list {
		s.msg, ok = appendValue(s.msg[:mark], v, false)
		if ok && (!q.mayTry() || sh.combine(q, n+1)) {
			return true
		}
	}
	return false
}

// hit looks up what s.msg says.
func (sh *shape) hit(q *question) bool {
	fp := sh.prf.fingerprint(q.scratch, &sh.prefix)
	t, i := sh.table.find(fp)
	if sh.presence {
		return i >= 0 && !lapsed(t.value(i), q.now())
	}
	for ; i >= 0; i = t.next(fp, t.after(i)) {
		r := rule(t.value(i))
		if q.now() >= r.until(q.maxLifetime) && r.until(q.maxLifetime) != foreverMilli {
			continue
		}
		if r.ban() {
			return true
		}
		if issued, ok := q.issuedAt(); !ok || r.covers(issued, q.sameSecond) {
			return true
		}
	}
	return false
}

// lapsed reports whether a presence is kept no longer.
func lapsed(second uint64, now int64) bool {
	return second != foreverSecond && now >= int64(second)*1000
}

// claimNames are those of KindClaims, which a stored record has to tell.
func (sh *shape) claimNames() []string {
	if sh.kind == KindClaims {
		return sh.names
	}
	return nil
}

func (sh *shape) count() int64 { return sh.table.count.Load() }
