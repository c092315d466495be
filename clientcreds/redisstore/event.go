package redisstore

import (
	"context"
	"log/slog"
	"time"
)

// Event is one call.
type Event struct {
	Op       string        // get, put, lock or unlock
	Duration time.Duration // as the caller saw it
	Err      error         // nil: Redis has answered. What clientcreds takes for a miss, it tells nobody
}

// report tells Observe, and Logger of a failure that is not the caller's leaving.
func (s *Store) report(ctx context.Context, e Event, ours bool) {
	if e.Err != nil && ours {
		s.warn(ctx, e)
	}
	if s.observe != nil {
		defer func() { _ = recover() }() // a broken counter must not cost a token
		s.observe(ctx, e)
	}
}

func (s *Store) warn(ctx context.Context, e Event) {
	if s.logger == nil {
		return
	}
	if this := time.Now().Unix(); s.lastLine.Swap(this) == this {
		s.unwritten.Add(1)
		return
	}
	attrs := []slog.Attr{slog.Any("error", e.Err)}
	if n := s.unwritten.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("unwritten", n))
	}
	s.logger.LogAttrs(ctx, slog.LevelWarn, "tokens are not shared", attrs...)
}
