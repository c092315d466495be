package clientcreds

import (
	"context"
	"log/slog"
	"time"
)

// Kind is what an Event tells of.
type Kind string

// The kinds.
const (
	KindFetched  Kind = "fetched"  // there is a new token
	KindFailed   Kind = "failed"   // there is none; the one at hand, if any, goes on to serve
	KindReplayed Kind = "replayed" // a request was answered 401, and was sent again with another token
	KindRefused  Kind = "refused"  // a request was not sent, by ErrOrigin or ErrTarget
)

// Event is one token request, or one request that did not simply pass.
type Event struct {
	Kind      Kind
	Reason    Reason        // why; empty when fetched. A fetched token of ReasonLifetime is for one use
	TokenHost string        // scheme, host and port of the token endpoint; empty: not known
	Shared    bool          // the token came from the Store
	Status    int           // of a failed token request, or of the replay
	Lifetime  time.Duration // of a token that was fetched
	Duration  time.Duration // of a token request, retries and the Store included
	Err       error         // of a failure or refusal
}

// reportFetch tells Observe and Logger.
func (s *Source) reportFetch(ctx context.Context, t *token, shared bool, took time.Duration, err error) {
	e := Event{Kind: KindFetched, TokenHost: hostOf(s.endpoint().known()), Shared: shared, Duration: took, Err: err}
	switch {
	case err != nil:
		s.failures.Add(1)
		failed := asTokenError(err)
		e.Kind, e.Reason, e.Status = KindFailed, failed.Reason, failed.Status
		s.warn(ctx, "no token", slog.Any("error", err))
	case t.lifetime <= 0:
		e.Reason, e.Lifetime = ReasonLifetime, t.lifetime
		s.warn(ctx, "the token endpoint gives tokens that have expired: one request each", slog.String("host", e.TokenHost))
	default:
		e.Lifetime = t.lifetime
	}
	s.report(ctx, e)
}

// warn writes a line a second at most: with many targets, or with tokens for one
// use, it would be one for each request.
func (s *Source) warn(ctx context.Context, text string, attr slog.Attr) {
	if s.logger == nil {
		return
	}
	if this := time.Now().Unix(); s.lastLine.Swap(this) == this {
		s.unwritten.Add(1)
		return
	}
	attrs := []slog.Attr{attr}
	if n := s.unwritten.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("unwritten", n))
	}
	s.logger.LogAttrs(ctx, slog.LevelWarn, text, attrs...)
}

func (s *Source) report(ctx context.Context, e Event) {
	if s.observe != nil {
		defer func() { _ = recover() }() // a broken counter must not cost a token
		s.observe(ctx, e)
	}
}
