package revoke

import (
	"math"
	"time"
)

// grace is how much longer than its tokens a record is kept: above any leeway that
// a validator may give an expired token, and what clocks differ by.
const grace = 2 * time.Minute

// forever is the second of a presence, and the millisecond of a ban, that have no end.
const (
	foreverSecond = math.MaxUint32
	foreverMilli  = 1<<milliBits - 1
)

// rule is a cutoff or a ban, packed into 64 bits: whether it is a ban, the
// millisecond of its cutoff or end, and the tag of its record.
type rule uint64

const (
	tagBits   = 21
	milliBits = 42 // until the year 2109
	banBit    = 1 << 63
)

func newRule(ban bool, milli int64, tag uint32) rule {
	r := rule(min(max(milli, 0), foreverMilli))<<tagBits | rule(tag&(1<<tagBits-1))
	if ban {
		r |= banBit
	}
	return r
}

func (r rule) ban() bool    { return r&banBit != 0 }
func (r rule) tag() uint32  { return uint32(r & (1<<tagBits - 1)) }
func (r rule) milli() int64 { return int64(r >> tagBits & foreverMilli) }

// until is the millisecond at which it is forgotten.
func (r rule) until(maxLifetime time.Duration) int64 {
	if r.ban() {
		return r.milli()
	}
	return r.milli() + (maxLifetime + grace).Milliseconds()
}

// covers reports whether a token issued at a time is refused. A fraction of a
// second is compared exactly. Of a whole second nobody knows when in it the token
// was issued: it counts as before the cutoff unless sameSecond is set.
func (r rule) covers(issued instant, sameSecond bool) bool {
	cutoff := r.milli()
	if issued.whole && sameSecond {
		cutoff -= cutoff % 1000
	}
	return issued.ns < cutoff*int64(time.Millisecond)
}

// cutoffOf is the millisecond that covers what was issued before t, rounded up. A
// cutoff of now lies behind the moment itself, so that a token of this whole second
// is before it, unless those pass anyway.
func cutoffOf(t, now time.Time, sameSecond bool) int64 {
	if t.IsZero() {
		milli := now.UnixMilli() + 1
		if sameSecond && milli%1000 == 0 {
			milli-- // it would be the next second, and cover all of this one
		}
		return milli
	}
	milli := t.UnixMilli()
	if t.After(time.UnixMilli(milli)) {
		milli++
	}
	return milli
}
