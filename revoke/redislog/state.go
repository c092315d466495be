package redislog

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// snapshot is how the Log is at one moment.
type snapshot struct {
	revoke.LogState
	kept int64 // entries in the stream
	asOf time.Time
}

// State is one exchange. What Replay and Tail read after it must be of the same Log.
func (l *Log) State(ctx context.Context) (revoke.LogState, error) {
	s, err := l.state(ctx)
	if err != nil {
		return revoke.LogState{}, err
	}
	l.told.Store(s)
	if !l.asked.Swap(true) {
		l.askPolicy(ctx)
	}
	return s.LogState, nil
}

func (l *Log) state(ctx context.Context) (*snapshot, error) {
	s, err := ask(ctx, l, "state", l.cfg.Timeout, func(ctx context.Context) (*snapshot, int, error) {
		s, err := l.exchange(ctx, nil)
		return s, 0, err
	})
	if err == nil {
		l.last.Store(s)
	}
	return s, err
}

// exchange has a snapshot, behind whatever else is asked for. The epoch comes last: if
// it is the one that it was, so was all before it. That is no MULTI, as Redis begins
// none when it has no memory left, but goes on to be read.
func (l *Log) exchange(ctx context.Context, more func(redis.Pipeliner)) (*snapshot, error) {
	s := &snapshot{asOf: time.Now()}
	var epoch *redis.StringCmd
	var info *redis.XInfoStreamCmd
	_, err := l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		if more != nil {
			more(p)
		}
		info, epoch = p.XInfoStream(ctx, l.stream), p.HGet(ctx, l.kept, epochField)
		return nil
	})
	if !answered(err) {
		return nil, err
	}
	if err := epoch.Err(); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	s.Epoch = epoch.Val()
	if err := info.Err(); err != nil {
		if isNoKey(err) {
			return s, nil
		}
		return nil, err
	}
	v := info.Val()
	var ok, ok2 bool
	s.First, ok = parseID(v.RecordedFirstEntryID)
	s.Last, ok2 = parseID(v.LastGeneratedID)
	if !ok || !ok2 || v.EntriesAdded < 0 {
		return nil, errVersion
	}
	s.Added, s.kept = uint64(v.EntriesAdded), v.Length
	if s.kept == 0 {
		s.First = [2]uint64{}
	}
	l.saw(s.Last)
	return s, nil
}

// answered reports that Redis has replied, be it by an error to one of the commands.
func answered(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return err == nil || ok
}

func isNoKey(err error) bool { return strings.Contains(err.Error(), "no such key") }

// askPolicy warns of settings by which Redis gives up keys for room. INFO has them
// also where CONFIG is renamed or forbidden; a user who may do neither is not told.
func (l *Log) askPolicy(ctx context.Context) {
	text, err := ask(ctx, l, "policy", l.cfg.Timeout, func(ctx context.Context) (string, int, error) {
		if v, err := l.client.ConfigGet(ctx, "maxmemory-policy").Result(); err == nil {
			return v["maxmemory-policy"], 0, nil
		}
		info, err := l.client.Info(ctx, "memory").Result()
		if err != nil {
			return "", 0, nil //nolint:nilerr // not allowed to
		}
		_, info, _ = strings.Cut(info, "maxmemory_policy:")
		info, _, _ = strings.Cut(info, "\r\n")
		return info, 0, nil
	})
	text = printable(text)
	if err != nil || text == "" {
		return
	}
	l.eviction.Store(&text)
	// What volatile-* gives up has an expiry, which nothing of ours has but the turn.
	if strings.HasPrefix(text, "allkeys-") && l.cfg.Logger != nil {
		l.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "Redis may evict revocations: set maxmemory-policy to noeviction", slog.String("policy", text))
	}
}
