package revoke

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Receipt is what was stored.
type Receipt struct {
	ID string // for Restore; it tells nothing of what was revoked
	// Cutoff is when a login helps again: tokens issued at this time or later pass.
	// Zero: there is none.
	Cutoff time.Time
	Until  time.Time // when it is forgotten; zero: never
}

// Revoke has a Record stored and in force here when it returns. An error is an
// ErrRecord (400), an ErrUnavailable, ErrFull included (503), or that of ctx; then
// it is not in force here, and may be repeated.
func (c *Checker) Revoke(ctx context.Context, r Record) (Receipt, error) {
	now := c.clock()
	if err := r.check(now); err != nil {
		return Receipt{}, err
	}
	if err := c.ready(ctx); err != nil {
		return Receipt{}, err
	}
	sealed, receipt, err := c.prepare(&r, now)
	if err != nil {
		if errors.Is(err, ErrFull) {
			c.alarm(ctx, ReasonFull, err)
		}
		return Receipt{}, err
	}
	if err := c.store(ctx, sealed); err != nil {
		return Receipt{}, err
	}
	if len(sealed) > 0 && (c.observe != nil || c.logger != nil) {
		c.report(ctx, Event{Kind: eventRevoked, Record: r.Kind, Issuer: r.Issuer, ID: receipt.ID, Actor: r.Actor})
	}
	return receipt, nil
}

// prepare makes what is to be stored: nothing, if it is in force already.
func (c *Checker) prepare(r *Record, now time.Time) ([]*stored, Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sh, err := c.shapeFor(r.Kind, r.Issuer, r.namesOf())
	if err != nil {
		return nil, Receipt{}, err
	}
	id := recordID{sh.tag, sh.fingerprintOf(r), 0}
	rec := &stored{
		kind: r.Kind, issuer: r.Issuer, names: sh.claimNames(), at: now.UnixMilli(), reason: r.Reason, actor: r.Actor,
		relies: r.Kind != KindToken || r.Expires.IsZero() || r.exact,
	}
	if r.Kind.present() {
		until := now.Add(c.maxLifetime + grace)
		if !r.Expires.IsZero() {
			until = r.Expires.Add(grace)
		}
		rec.value = uint64(min(max(untilOf(until.Add(-grace)), 0), foreverSecond))
		if until.Before(now) {
			return nil, Receipt{Until: until}, nil // it has expired long ago
		}
		t, i := sh.table.find(id.fp)
		if id.tag = sh.raised[id.fp]; i >= 0 && t.value(i) >= rec.value {
			return nil, receiptOf(id, t.value(i), sh, c.state), nil
		}
		for c.buried(r.Kind, id, now) {
			id.tag++
		}
	} else {
		ban := r.Ban || r.Kind == KindKey && r.IssuedBefore.IsZero()
		milli := cutoffOf(r.IssuedBefore, now, c.sameSecond)
		if ban {
			if milli = foreverMilli; !r.Until.IsZero() {
				milli = min(r.Until.UnixMilli(), foreverMilli)
			}
		}
		for t, i := sh.table.find(id.fp); ban && i >= 0; i = t.next(id.fp, t.after(i)) {
			if v := rule(t.value(i)); v.ban() && v.milli() == milli {
				id.tag = v.tag()
				return nil, receiptOf(id, uint64(v), sh, c.state), nil
			}
		}
		for {
			id.tag = rand.N[uint32](1 << tagBits) // it tells records of one fingerprint apart, and is no secret
			if _, taken := c.entry(sh, id); !taken && !c.buried(r.Kind, id, now) {
				break
			}
		}
		v := newRule(ban, milli, id.tag)
		if v.until(c.maxLifetime) <= now.UnixMilli() {
			return nil, Receipt{}, fmt.Errorf("%w: IssuedBefore: every token from before has expired", ErrRecord)
		}
		rec.value = uint64(v)
	}
	rec.id = id
	if !c.room(1, now) {
		return nil, Receipt{}, &unavailable{ErrFull, time.Minute}
	}
	c.reserved++
	return []*stored{rec}, receiptOf(id, rec.value, sh, c.state), nil
}

// store has records kept by the Log, and puts them in force.
func (c *Checker) store(ctx context.Context, records []*stored) error {
	if len(records) == 0 {
		return nil
	}
	var err error
	if c.logged != nil {
		entries := make([]Entry, len(records))
		for i, r := range records {
			entries[i] = Entry{Data: c.encode(r), Until: c.keepUntil(r)}
		}
		err = c.logged.Append(ctx, entries)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reserved -= len(records)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &unavailable{fmt.Errorf("not stored: %w", err), retryOf(err)}
	}
	for _, r := range records {
		if err := c.apply(r); err != nil {
			return err
		}
	}
	return nil
}

// keepUntil is when a Log may forget a record; zero: never.
func (s *state) keepUntil(r *stored) time.Time {
	milli := int64(r.value)
	switch {
	case r.restore:
	case r.kind.present():
		if milli = int64(r.value) * 1000; r.value == foreverSecond {
			milli = foreverMilli
		}
	default:
		milli = rule(r.value).until(s.maxLifetime)
	}
	if milli == foreverMilli {
		return time.Time{}
	}
	return time.UnixMilli(milli)
}

func receiptOf(id recordID, value uint64, sh *shape, s *state) Receipt {
	rc := Receipt{ID: id.String(), Until: s.keepUntil(&stored{kind: sh.kind, value: value})}
	if r := rule(value); !sh.kind.present() && !r.ban() {
		rc.Cutoff = time.UnixMilli(r.milli())
		if up := rc.Cutoff.Truncate(time.Second); !up.Equal(rc.Cutoff) {
			rc.Cutoff = up // from here on, whole seconds count as after it
			if !s.sameSecond {
				rc.Cutoff = up.Add(time.Second)
			}
		}
	}
	return rc
}

// Restore undoes what has this id, and nothing else: another record about the same
// tokens goes on to refuse them. Of a token or a session there is one record, however
// often it was revoked. To restore it again is no error. An error is ErrUnknown
// (404), an ErrUnavailable (503), or that of ctx.
func (c *Checker) Restore(ctx context.Context, id string) error { return c.restore(ctx, id, "") }

func (c *Checker) restore(ctx context.Context, text, actor string) error {
	id, err := parseID(text)
	if err != nil {
		return err
	}
	if err := c.ready(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	rec, sh, err := c.tombstone(id)
	c.mu.Unlock()
	if err != nil || rec == nil {
		return err
	}
	rec.actor = actor
	if err := c.store(ctx, []*stored{rec}); err != nil {
		return err
	}
	c.report(ctx, Event{Kind: eventRestored, Record: sh.kind, Issuer: sh.issuer, ID: text, Actor: actor})
	return nil
}

// tombstone is the record that undoes another; nil if that is undone already. It
// has its room whatever MaxEntries says, as the entry it takes out gives some.
func (c *Checker) tombstone(id recordID) (*stored, *shape, error) {
	sh := c.shapes[id.shape]
	if sh == nil {
		if c.buried("", id, c.clock()) {
			return nil, nil, nil
		}
		return nil, nil, ErrUnknown
	}
	value, ok := c.entry(sh, id)
	if !ok && c.buried(sh.kind, id, c.clock()) {
		return nil, nil, nil
	}
	if !ok {
		return nil, nil, ErrUnknown
	}
	until := int64(foreverMilli)
	if t := c.keepUntil(&stored{kind: sh.kind, value: value}); !t.IsZero() {
		until = t.UnixMilli()
	}
	c.reserved++
	return &stored{restore: true, kind: sh.kind, id: id, value: uint64(until), at: c.clock().UnixMilli()}, sh, nil
}

// entry is the value of a record that is in force.
func (c *Checker) entry(sh *shape, id recordID) (uint64, bool) {
	t, i := sh.table.find(id.fp)
	for ; i >= 0; i = t.next(id.fp, t.after(i)) {
		if sh.tagAt(t, i, id.fp) == id.tag {
			return t.value(i), true
		}
	}
	return 0, false
}

func (sh *shape) tagAt(t *slots, i int, fp uint64) uint32 {
	if sh.kind.present() {
		return sh.raised[fp]
	}
	return rule(t.value(i)).tag()
}
