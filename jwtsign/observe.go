package jwtsign

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Reason says in one word what failed. The set is closed: it is fit for a metric's label.
type Reason string

// The reasons. Each but ReasonReload belongs to the error of the same name; an Event
// without one tells of a success.
const (
	ReasonClaims      Reason = "claims"
	ReasonAnswer      Reason = "answer"
	ReasonUnavailable Reason = "unavailable"
	ReasonReload      Reason = "reload" // Reload or Replace could not take the new keys; the old ones stay
)

// Event is a token that was made or not, an answer that could not be rewritten, or
// new keys, by a reload of File or by Replace. It holds no claim.
type Event struct {
	Reason   Reason        // empty: it went well
	Field    string        // path of the answer's member, joined by dots; empty: Sign
	KeyID    string        // that signed, or was to
	Reloaded bool          // it is about new keys, not about a token
	Duration time.Duration // crypto.Signer included
	Err      error
}

// report tells Observe and Logger.
func (s *Signer) report(ctx context.Context, e Event) {
	if s.observe == nil && s.logger == nil {
		return
	}
	switch {
	case e.Err == nil:
	case e.Reloaded:
		e.Reason = ReasonReload
	case errors.Is(e.Err, ErrUnavailable):
		e.Reason = ReasonUnavailable
	case errors.Is(e.Err, ErrClaims):
		e.Reason = ReasonClaims
	default:
		e.Reason = ReasonAnswer
	}
	s.log(ctx, e)
	if s.observe != nil {
		defer func() { _ = recover() }() // a broken counter must not keep a user out
		s.observe(ctx, e)
	}
}

// reportAnswer tells of an answer that was not rewritten for what it is. What failed
// in making a token was told of before.
func (s *Signer) reportAnswer(ctx context.Context, err error) {
	if errors.Is(err, ErrAnswer) {
		s.report(ctx, Event{Err: err})
	}
}

func (s *Signer) log(ctx context.Context, e Event) {
	if s.logger == nil {
		return
	}
	if e.Err == nil {
		if e.Reloaded {
			s.logger.LogAttrs(ctx, slog.LevelInfo, "signing keys loaded", slog.String("kid", e.KeyID))
		}
		return
	}
	now := time.Now().UnixNano()
	warned := &s.warned[0]
	if e.Reloaded {
		warned = &s.warned[1] // who sends bad claims must not hide it
	}
	next := warned.Load()
	if ctx.Err() != nil || now < next || !warned.CompareAndSwap(next, now+int64(time.Second)) {
		return // the caller has left, or a line was written this second
	}
	s.logger.LogAttrs(ctx, slog.LevelWarn, "signing failed", slog.String("reason", string(e.Reason)),
		slog.String("field", e.Field), slog.String("kid", e.KeyID), slog.Any("error", e.Err))
}
