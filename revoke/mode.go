package revoke

import (
	"context"
	"errors"
	"time"
)

// Mode is what becomes of a token that no record at hand refuses, when those of
// others may be missing: the Log was not heard of for MaxStaleness. A record that
// is at hand is enforced in every mode. Before the first load, nothing passes but
// by BestEffort.
type Mode int

const (
	// Strict says that it cannot be told (ErrUnavailable).
	Strict Mode = iota
	// Graded lets it pass if it was issued less than GraceAge ago, or expires within
	// GraceLife; else it cannot be told.
	Graded
	// BestEffort lets it pass, and an Event says so.
	BestEffort
)

// WithMode is the same Checker, with the same records, and another Mode: for a
// second Validator on routes that must be stricter, or need not be.
func (c *Checker) WithMode(m Mode) (*Checker, error) {
	if err := c.checkMode(m); err != nil {
		return nil, err
	}
	return &Checker{c.state, m}, nil
}

func (s *state) checkMode(m Mode) error {
	switch {
	case m < Strict || m > BestEffort:
		return errors.New("revoke: Mode: unknown")
	case m == Graded && (s.graceAge <= 0 || s.graceLife <= 0):
		return errors.New("revoke: GraceAge, GraceLife: required by Graded")
	}
	return nil
}

// settle decides about a token that no record at hand refuses, though some may be
// missing.
func (c *Checker) settle(ctx context.Context, q *question, err *unavailable) error {
	pass := c.mode == BestEffort
	if c.mode == Graded && err != errLoading {
		now := q.now()
		issued, dated := q.issuedAt()
		expires, ends := instantOf(q.claims, "exp")
		ms := int64(time.Millisecond)
		age, life := now-issued.ns/ms, expires.ns/ms-now
		pass = dated && age < c.graceAge.Milliseconds() && age > -maxSkew.Milliseconds() ||
			ends && life <= c.graceLife.Milliseconds()
	}
	if pass {
		c.stale.Add(1)
		c.report(ctx, Event{Kind: eventStale, Reason: ReasonUnavailable, Err: err})
		return nil
	}
	return err
}
