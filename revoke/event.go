package revoke

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Event is a token that was refused or could not be judged, or something that was
// stored or should be known of. A token that passes makes none.
type Event struct {
	Kind     string        // refused, unavailable, stale (BestEffort or Graded let it pass), revoked, restored, loaded, alarm
	Reason   Reason        // why refused or unavailable, or what the alarm is
	Record   Kind          // of what was revoked or restored
	Issuer   string        // of that
	ID       string        // of that
	Actor    string        // of that
	Entries  int           // of what was loaded
	Duration time.Duration // of that
	Err      error
}

const (
	eventRefused     = "refused"
	eventUnavailable = "unavailable"
	eventStale       = "stale"
	eventRevoked     = "revoked"
	eventRestored    = "restored"
	eventLoaded      = "loaded"
	eventAlarm       = "alarm"
)

// report tells Observe, and Logger of what an owner has to see to.
func (c *Checker) report(ctx context.Context, e Event) {
	c.log(ctx, e)
	if c.observe != nil {
		defer func() { _ = recover() }() // a broken counter must not decide who comes in
		c.observe(ctx, e)
	}
}

// levels of the lines; what is not here has none. One is written a second at most.
var levels = map[string]slog.Level{
	eventUnavailable: slog.LevelWarn, eventStale: slog.LevelWarn, eventAlarm: slog.LevelError,
	eventRevoked: slog.LevelInfo, eventRestored: slog.LevelInfo, eventLoaded: slog.LevelInfo,
}

func (c *Checker) log(ctx context.Context, e Event) {
	level, ok := levels[e.Kind]
	if c.logger == nil || !ok || !c.logger.Enabled(ctx, level) {
		return
	}
	line := &c.lines[0]
	if e.Kind == eventRevoked || e.Kind == eventRestored {
		line = &c.lines[1]
	}
	if e.Kind == eventAlarm { // whoever sends tokens must not crowd it out
		line = &c.lines[2]
	}
	if this := time.Now().Unix(); line.second.Swap(this) == this {
		line.unwritten.Add(1)
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	for _, a := range []slog.Attr{
		slog.String("reason", string(e.Reason)), slog.String("kind", string(e.Record)),
		slog.String("issuer", e.Issuer), slog.String("id", e.ID), slog.String("actor", e.Actor),
	} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	if e.Kind == eventLoaded {
		attrs = append(attrs, slog.Int("entries", e.Entries), slog.Duration("duration", e.Duration))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	if n := line.unwritten.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("unwritten", n))
	}
	c.logger.LogAttrs(ctx, level, "revocation: "+e.Kind, attrs...)
}

// line is a kind of lines that come once a second at most.
type line struct{ second, unwritten atomic.Int64 }
