package revoke

import (
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Checker knows what is no longer wanted. It is made by New and is safe for
// concurrent use. It has no goroutine but that of a load that is under way; see Run.
type Checker struct {
	*state
	mode Mode
}

// state is what the views of a Checker share.
type state struct {
	view atomic.Pointer[view] // nil: no record was ever made

	maxLifetime          time.Duration
	prfs                 []*prf // of the current secret, and of the previous one
	idClaims             map[string]string
	requireID            bool
	sameSecond           bool
	maxEntries           int
	maxStaleness         time.Duration
	graceAge, graceLife  time.Duration
	logger               *slog.Logger
	observe              func(context.Context, Event)
	clock                func() time.Time
	lines                [3]line
	refused, stale       atomic.Uint64
	damaged, unavailable atomic.Uint64

	mu       sync.Mutex // orders the writers; held across no I/O
	shapes   map[uint64]*shape
	current  map[shapeName]*shape // those of the current secret
	order    []*shape             // for the sweep
	hand     int                  // where it is
	dead     map[recordID]int64   // restored, until this millisecond
	tops     map[recordID]uint32  // of restored presences, the last tag, if above zero
	total    int                  // entries and restored ids
	reserved int                  // room for what is being stored
	swept    time.Time            // when all was swept last, for want of room
	filter   *filter              // of single tokens; nil: they are in a table
	follower                      // of the Log
}

// view is what a check reads: immutable, but for the tables in it.
type view struct {
	lifetime  bool // there was a record that relies on MaxLifetime
	requireID bool
	global    []*shape
	issuers   *issuers // nil: none
	count     int      // of them
	only      string   // the issuer, where there is one
	shapes    []*shape // its
}

// issuers has the shapes of each. It is in parts, so that a write copies one of them
// and not what a service with many tenants has.
type issuers [256]map[string][]*shape

var issuerSeed = maphash.MakeSeed()

func partOf(issuer string) uint8 { return uint8(maphash.String(issuerSeed, issuer)) }

// of is the shapes of an issuer.
func (v *view) of(issuer string) []*shape {
	switch {
	case v == nil || v.count == 0:
		return nil
	case v.count > 1:
		return v.issuers[partOf(issuer)][issuer]
	case issuer == v.only:
		return v.shapes
	}
	return nil
}

// set puts the shapes of an issuer into a copy of the part that it is in.
func (v *view) set(issuer string, list []*shape) {
	all := new(issuers)
	if v.issuers != nil {
		*all = *v.issuers
	}
	part := maps.Clone(all[partOf(issuer)])
	if part == nil {
		part = map[string][]*shape{}
	}
	v.count -= len(part)
	if part[issuer] = list; len(list) == 0 {
		delete(part, issuer)
	}
	v.count += len(part)
	all[partOf(issuer)] = part
	v.issuers = all
	if v.count != 1 {
		return
	}
	for _, part := range all {
		for v.only, v.shapes = range part {
		}
	}
}

// Format keeps keys out of every fmt verb.
func (c *Checker) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "revoke.Checker") }

// Revoked reports whether a token is no longer wanted. The claims are of a token
// that is good in all other respects. An error is an ErrUnavailable: it could not
// be told.
func (c *Checker) Revoked(ctx context.Context, claims interface {
	Get(name string) (any, bool)
}) (bool, error) {
	if c.view.Load() == nil {
		return false, nil
	}
	reason, err := c.Check(ctx, claims)
	return reason != "" && err == nil, err
}

// Check is Revoked with the reason for which a token is refused, empty if it is not.
// With an error it is ReasonUnavailable, which refuses nothing: ask for the error first.
func (c *Checker) Check(ctx context.Context, claims Claims) (Reason, error) {
	v := c.view.Load()
	if v == nil {
		return "", nil
	}
	if claims == nil {
		return ReasonUnavailable, errNoClaims
	}
	s, _ := scratches.Get().(*scratch)
	q := question{
		claims: claims, scratch: s, all: maxTried,
		sameSecond: c.sameSecond, maxLifetime: c.maxLifetime, clock: c.clock,
	}
	doubt := c.doubt(&q) // first: what is missing may come while it is asked for, too late for this one
	v = c.view.Load()
	reason := c.ask(v, &q)
	var err error
	if reason == "" && c.filter != nil {
		var found bool
		if found, err = c.filtered(ctx, v, &q); found {
			reason = ReasonToken
		}
	}
	s.release()
	if reason != "" {
		c.refused.Add(1)
		c.report(ctx, Event{Kind: eventRefused, Reason: reason})
		return reason, nil
	}
	if err == nil && q.unsure {
		err = errNoKey
	}
	if err == nil && doubt != nil {
		err = c.settle(ctx, &q, doubt)
	}
	if err != nil {
		c.unavailable.Add(1)
		c.report(ctx, Event{Kind: eventUnavailable, Reason: ReasonUnavailable, Err: err})
		return ReasonUnavailable, err
	}
	return "", nil
}

// ask holds each rule against the token, on its own.
func (c *Checker) ask(v *view, q *question) Reason {
	for _, sh := range v.global {
		if sh.refuses(q) {
			return Reason(sh.kind)
		}
	}
	iss, _ := q.claims.Get("iss")
	issuer, _ := iss.(string)
	for _, sh := range v.of(issuer) {
		if sh.refuses(q) {
			return Reason(sh.kind)
		}
	}
	if v.requireID && !c.hasID(q, issuer) {
		return ReasonNoID
	}
	if v.lifetime && c.outlives(q) {
		return ReasonLifetime
	}
	return ""
}

func (c *Checker) hasID(q *question, issuer string) bool {
	id, _ := q.claims.Get(c.idClaim(issuer))
	var ok bool
	q.scratch.msg, ok = appendValue(q.scratch.msg[:0], id, true)
	return ok
}

func (s *state) idClaim(issuer string) string {
	if name := s.idClaims[issuer]; name != "" {
		return name
	}
	return "jti"
}

// outlives reports whether a record could be forgotten before the token expires: also
// when it has no iat, as it may have been issued before a cutoff that is forgotten.
func (c *Checker) outlives(q *question) bool {
	expires, ends := instantOf(q.claims, "exp")
	if !ends {
		return true
	}
	issued, dated := q.issuedAt()
	if !dated {
		return true // nobody knows how long it has lived
	}
	life := expires.ns - issued.ns
	return life > int64(c.maxLifetime) || expires.ns > issued.ns && life < 0
}

// show makes the shapes that have entries, and the flags, what checks read. The
// caller holds mu.
func (s *state) show(sh *shape, lifetime bool) {
	old := s.view.Load()
	next := &view{requireID: s.requireID, lifetime: lifetime}
	if old != nil {
		*next = *old
		next.lifetime = old.lifetime || lifetime
	}
	if sh != nil {
		list := next.global
		if !sh.kind.global() {
			list = next.of(sh.issuer)
		}
		list = slices.DeleteFunc(slices.Clone(list), func(o *shape) bool { return o.tag == sh.tag })
		if sh.count() > 0 || sh.inFilter {
			list = append(list, sh)
		}
		if sh.kind.global() {
			next.global = list
		} else {
			next.set(sh.issuer, list)
		}
	}
	s.view.Store(next)
}
