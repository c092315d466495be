package redislog

import (
	"context"
	"log/slog"
	"time"
)

// Event is one exchange with Redis, or what one has shown.
type Event struct {
	// Op is append, state, page (of a replay), pins, read (of a tail), turn (of who gives
	// back what was lost) or policy (of eviction).
	Op       string
	Entries  int           // sent or received
	Duration time.Duration // a read includes the wait for something to come
	Err      error         // nil: Redis has answered. An ErrGap: and what it says shows a loss
}

// report tells Observe, and Logger of a failure that is not the caller's leaving.
func (l *Log) report(ctx context.Context, e Event, ours bool) {
	if e.Err != nil && ours {
		l.warn(ctx, e.Err)
	}
	if l.cfg.Observe != nil {
		defer func() { _ = recover() }() // a broken counter must not make records old
		l.cfg.Observe(ctx, e)
	}
}

func (l *Log) warn(ctx context.Context, err error) {
	if l.cfg.Logger == nil {
		return
	}
	if this := time.Now().Unix(); l.lastLine.Swap(this) == this {
		l.unwritten.Add(1)
		return
	}
	attrs := []slog.Attr{slog.Any("error", err)}
	if n := l.unwritten.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("unwritten", n))
	}
	l.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "revocations are not shared", attrs...)
}
