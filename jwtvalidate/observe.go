package jwtvalidate

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Event is one decision. It holds nothing of a token but the configured issuer that
// it named, until its signature was good; only the kind accepted says that the whole
// token was.
type Event struct {
	Kind     string        // accepted, anonymous (Optional), refused, or unavailable: could not tell
	Reason   Reason        // empty when accepted
	Issuer   string        // URL of the policy that was chosen; empty if none was
	Cached   bool          // the signature was known to be good from an earlier request
	Duration time.Duration // of the whole decision
	Rule     string        // name of the rule that refused; empty: none did
	Claims   *Claims       // who it was, also if refused; nil unless the signature was good (one that has expired is not verified) or WithClaims vouched
	Err      error         // what Check, Allow, Require or Recheck came to
}

const (
	kindAccepted    = "accepted"
	kindAnonymous   = "anonymous"
	kindRefused     = "refused"
	kindUnavailable = "unavailable"
)

// report tells Observe and Logger of a decision. Without them, it costs nothing.
func (v *Validator) report(ctx context.Context, d *decision, optional bool) {
	if v.observe == nil && v.logger == nil {
		return
	}
	e := Event{Kind: kindAccepted, Reason: ReasonOf(d.err), Duration: time.Since(d.start), Cached: d.cached, Claims: d.claims, Err: d.err}
	if d.policy != nil {
		e.Issuer = d.policy.url
		if d.claims == nil && v.policies[e.Issuer] == nil && d.policy.tenant == nil {
			e.Issuer = d.policy.base.url // any tenant's: whoever sends tokens could make up as many as he likes
		}
	}
	if d, ok := denialOf(d.err); ok {
		e.Rule = d.rule
	}
	switch {
	case e.Reason == ReasonUnavailable:
		e.Kind = kindUnavailable
	case e.Reason == ReasonNoToken && optional:
		e.Kind = kindAnonymous
	case d.err != nil:
		e.Kind = kindRefused
	}
	v.log(ctx, e)
	if v.observe != nil {
		defer func() { _ = recover() }() // a broken counter must not decide who comes in
		v.observe(ctx, e)
	}
}

func (v *Validator) log(ctx context.Context, e Event) {
	if v.logger == nil {
		return
	}
	level, text := slog.LevelDebug, "request refused"
	switch {
	case e.Kind == kindUnavailable && ctx.Err() == nil: // else it was the caller who left
		level, text = slog.LevelWarn, "tokens cannot be checked"
	case e.Kind != kindRefused:
		return
	}
	if !v.logger.Enabled(ctx, level) {
		return
	}
	repeated, ok := v.lines[e.Reason].allow(time.Now())
	if !ok {
		return
	}
	attrs := []slog.Attr{slog.String("reason", string(e.Reason)), slog.String("issuer", e.Issuer)}
	if e.Rule != "" {
		attrs = append(attrs, slog.String("rule", e.Rule))
	}
	if d, ok := denialOf(e.Err); ok && d.unsure {
		attrs = append(attrs, slog.Bool("cannot_say", true)) // a claim is missing or oddly typed, or a function of yours failed
	}
	if e.Kind == kindUnavailable {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	if repeated > 0 {
		attrs = append(attrs, slog.Int64("repeated", repeated))
	}
	v.logger.LogAttrs(ctx, level, text, attrs...)
}

// limiter lets a few log lines of a kind through each second, and counts the rest.
type limiter struct {
	burst          int64
	second, passed atomic.Int64
	repeated       atomic.Int64
}

// How many lines a second a reason may have: who sends bad tokens decides how often.
const (
	refusalLines = 10
	warningLines = 1
)

// newLimiters has one for each reason that is logged.
func newLimiters() map[Reason]*limiter {
	lines := make(map[Reason]*limiter, len(reasons))
	for _, reason := range reasons {
		lines[reason] = &limiter{burst: refusalLines}
	}
	lines[ReasonUnavailable].burst = warningLines
	return lines
}

// allow reports whether a line may be written, and how many were not since the last.
func (l *limiter) allow(now time.Time) (repeated int64, ok bool) {
	this := now.Unix()
	if last := l.second.Load(); last != this && l.second.CompareAndSwap(last, this) {
		l.passed.Store(0)
	}
	if l.passed.Add(1) > l.burst {
		l.repeated.Add(1)
		return 0, false
	}
	return l.repeated.Swap(0), true
}
