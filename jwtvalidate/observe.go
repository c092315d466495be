package jwtvalidate

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Kind is the outcome that an Event tells of.
type Kind string

// The kinds.
const (
	KindAccepted    Kind = "accepted"
	KindAnonymous   Kind = "anonymous"   // no token, where that is allowed (Optional)
	KindRefused     Kind = "refused"     // no token, or a bad one
	KindUnavailable Kind = "unavailable" // could not tell
)

// Event is one decision. It holds nothing of a token but the configured issuer that
// it named, until its signature was good; only KindAccepted says that the whole
// token was.
type Event struct {
	Kind     Kind
	Reason   Reason        // empty when accepted
	Issuer   string        // URL of the policy that was chosen; empty if none was
	Duration time.Duration // of the whole decision
	Rule     string        // name of the rule that refused; empty: none did
	Claims   *Claims       // who it was, also if refused; nil unless the signature was good or WithClaims vouched
	Err      error         // what Check, Allow, Require or Recheck came to
}

// report tells Observe and Logger of a decision. Without them, it costs nothing.
func (v *Validator) report(ctx context.Context, d *decision, optional bool) {
	if v.observe == nil && v.logger == nil || d.vouched && d.err == nil {
		return
	}
	e := Event{Kind: KindAccepted, Reason: ReasonOf(d.err), Duration: time.Since(d.start), Claims: d.claims, Err: d.err}
	if d.policy != nil {
		e.Issuer = d.policy.url
	}
	if d, ok := denialOf(d.err); ok {
		e.Rule = d.rule
	}
	switch {
	case e.Reason == ReasonUnavailable:
		e.Kind = KindUnavailable
	case e.Reason == ReasonNoToken && optional:
		e.Kind = KindAnonymous
	case d.err != nil:
		e.Kind = KindRefused
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
	switch e.Kind {
	case KindRefused:
		attrs := []slog.Attr{slog.String("reason", string(e.Reason)), slog.String("issuer", e.Issuer)}
		if e.Rule != "" {
			attrs = append(attrs, slog.String("rule", e.Rule))
		}
		v.logger.LogAttrs(ctx, slog.LevelDebug, "token refused", attrs...)
	case KindUnavailable:
		if ctx.Err() == nil && v.warned.allow(time.Now()) { // else it was the caller who left
			v.logger.LogAttrs(ctx, slog.LevelWarn, "tokens cannot be checked",
				slog.String("issuer", e.Issuer), slog.Any("error", e.Err))
		}
	}
}

// onceASecond lets one caller through each second.
type onceASecond struct{ next atomic.Int64 }

func (o *onceASecond) allow(now time.Time) bool {
	next := o.next.Load()
	return now.UnixNano() >= next && o.next.CompareAndSwap(next, now.Add(time.Second).UnixNano())
}
