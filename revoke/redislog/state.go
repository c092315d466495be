package redislog

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// snapshot is how the Log is at one moment.
type snapshot struct {
	revoke.LogState
	kept    int64     // entries in the stream
	deleted [2]uint64 // the newest that was deleted, other than by trimming
	asOf    time.Time
}

// State is one exchange. What Replay and Tail read after it must be of the same Log.
func (l *Log) State(ctx context.Context) (revoke.LogState, error) {
	s, err := l.state(ctx)
	if err != nil {
		return revoke.LogState{}, err
	}
	if told := l.told.Swap(s); told != nil && l.differs(told, s) != "" {
		l.gaps.Add(1)
	}
	if !l.asked.Swap(true) {
		l.askPolicy(ctx)
	}
	st := s.LogState
	if n := l.gaps.Load(); n > 0 && st.Epoch != "" {
		// A Checker sees less than we do: it reads all that there is after each gap.
		st.Epoch += "/" + strconv.FormatUint(n, 10)
	}
	return st, nil
}

func (l *Log) state(ctx context.Context) (*snapshot, error) {
	return l.stateWith(ctx)
}

// stateWith sees besides that entries that were read are still there: the last is not,
// if a replica that had not got it has become the master. Numbers need not show that.
func (l *Log) stateWith(ctx context.Context, read ...[2]uint64) (*snapshot, error) {
	s, err := ask(ctx, l, "state", l.cfg.Timeout, func(ctx context.Context) (*snapshot, int, error) {
		entries := make([]*redis.XMessageSliceCmd, len(read))
		s, err := l.exchange(ctx, func(p redis.Pipeliner) {
			for i, id := range read {
				entries[i] = p.XRangeN(ctx, l.stream, formatID(id), formatID(id), 1)
			}
		})
		if err != nil {
			return nil, 0, err
		}
		for i, id := range read {
			if err := entries[i].Err(); err != nil {
				return nil, 0, err
			}
			// What was trimmed or deleted since is no sign of it.
			if len(entries[i].Val()) == 0 && id != [2]uint64{} && s.kept > 0 && !before(id, s.First) && before(s.deleted, id) {
				return nil, 0, l.gap("state", "Redis has lost entries")
			}
		}
		return s, 0, nil
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
	var role *redis.Cmd
	_, err := l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		// A Cluster sends reads to the master, and that refuses those of others.
		if _, ok := l.client.(*redis.Client); ok && !l.noRole.Load() {
			role = p.Do(ctx, "role")
		}
		if more != nil {
			more(p)
		}
		info, epoch = p.XInfoStream(ctx, l.stream), p.HGet(ctx, l.kept, epochField)
		return nil
	})
	if !answered(err) {
		return nil, err
	}
	if role != nil {
		is, err := role.Slice()
		if err != nil {
			l.noRole.Store(true) // not allowed to, or not known
		} else if len(is) > 0 && is[0] == "slave" {
			return nil, errReplica
		}
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
	s.deleted, _ = parseID(v.MaxDeletedEntryID)
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
