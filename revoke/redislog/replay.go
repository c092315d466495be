package redislog

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// Replay has what is kept beside the stream, if all is asked for, without Position,
// and then the stream up to what was the last entry when it began.
func (l *Log) Replay(ctx context.Context, after [2]uint64) iter.Seq2[revoke.Entry, error] {
	return func(yield func(revoke.Entry, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		begin, err := l.stateWith(ctx, after)
		if told := l.told.Load(); told != nil && err == nil {
			if err = l.compare("page", told, begin); err != nil {
				l.report(ctx, Event{Op: "page", Err: err}, true)
			}
		}
		if err == nil && after == [2]uint64{} {
			var done bool
			if done, err = l.pins(ctx, yield); done {
				return
			}
		}
		if err != nil {
			yield(revoke.Entry{}, err)
			return
		}
		next := l.page(ctx, begin, after, 0)
		for before(after, begin.Last) {
			p := <-next
			if p.err != nil {
				yield(revoke.Entry{}, p.err)
				return
			}
			if len(p.entries) == 0 {
				return
			}
			after = p.entries[len(p.entries)-1].Position
			if before(after, begin.Last) { // read while this one is merged
				next = l.page(ctx, begin, after, p.size+p.size/8)
			}
			for _, e := range p.entries {
				e.Until = time.UnixMilli(int64(min(e.Position[0], 1<<50))).Add(l.window())
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

type page struct {
	entries []revoke.Entry
	size    int // in bytes, as the next one is likely to have
	err     error
}

// page reads one, and sees after it that the stream is still the one of which it is.
func (l *Log) page(ctx context.Context, begin *snapshot, after [2]uint64, room int) <-chan page {
	next := make(chan page, 1)
	if !before(after, begin.Last) {
		return next
	}
	go func() {
		p, err := ask(ctx, l, "page", l.cfg.Timeout, func(ctx context.Context) (page, int, error) {
			raw := make(buffer, 0, room)
			read := redis.NewRawWriteToCmd(ctx, &raw, "xrange", l.stream, "("+formatID(after), formatID(begin.Last), "count", l.cfg.PageSize)
			now, err := l.exchange(ctx, func(p redis.Pipeliner) { _ = p.Process(ctx, read) })
			if err == nil {
				err = l.compare("page", begin, now)
			}
			if err == nil {
				err = read.Err()
			}
			if err != nil {
				return page{}, 0, err
			}
			entries, err := parsePage(raw, after)
			return page{entries: entries, size: len(raw)}, len(entries), err
		})
		p.err = err
		next <- p
	}()
	return next
}

// compare finds that what was seen now is not what was seen before, with more.
func (l *Log) compare(op string, old, now *snapshot) error {
	if why := l.differs(old, now); why != "" {
		return l.gap(op, why)
	}
	return nil
}

func (l *Log) differs(old, now *snapshot) string {
	switch {
	case old.Epoch != "" && now.Epoch != old.Epoch:
		return "Redis was emptied"
	case before(now.Last, old.Last), now.Added < old.Added:
		return "Redis has lost entries"
	case now.deleted != old.deleted,
		old.kept > 0 && (now.kept == 0 || before(old.First, now.First)) && l.premature(old.First):
		return "entries were deleted"
	}
	return ""
}

// gap is an ErrGap with what shows it.
func (l *Log) gap(op, detail string) error {
	l.gaps.Add(1)
	return &commandError{op, detail, ErrGap}
}

// pins yields those that have not lapsed, and reports that no more is wanted. Those
// that have lapsed long ago are deleted, if that is allowed.
func (l *Log) pins(ctx context.Context, yield func(revoke.Entry, error) bool) (done bool, err error) {
	length := func() (int64, error) {
		return ask(ctx, l, "pins", l.cfg.Timeout, func(ctx context.Context) (int64, int, error) {
			n, err := l.client.HLen(ctx, l.kept).Result()
			return n, 0, err
		})
	}
	first, err := length()
	if err != nil {
		return false, err
	}
	var lapsed []string
	fields := map[string]struct{}{}
	for cursor := uint64(0); ; {
		type scanned struct {
			pairs  []string
			cursor uint64
		}
		got, err := ask(ctx, l, "pins", l.cfg.Timeout, func(ctx context.Context) (s scanned, n int, err error) {
			s.pairs, s.cursor, err = l.client.HScan(ctx, l.kept, cursor, "", int64(l.cfg.PageSize)).Result()
			return s, len(s.pairs) / 2, err
		})
		if err != nil {
			return false, err
		}
		for i := 0; i+1 < len(got.pairs); i += 2 {
			fields[got.pairs[i]] = struct{}{}
			if !strings.HasPrefix(got.pairs[i], pinPrefix) {
				continue
			}
			milli, data, ok := unpinned(got.pairs[i+1])
			if !ok {
				data = "" // for the Checker to refuse
			}
			if ok && milli > 0 && l.lapsed(milli) {
				lapsed = append(lapsed, got.pairs[i])
				continue
			}
			if !yield(revoke.Entry{Data: []byte(data)}, nil) {
				return true, nil
			}
		}
		if cursor = got.cursor; cursor == 0 {
			break
		}
	}
	// The cursor means nothing to another server, or to one that was restarted: it
	// leaves out what it has in another place.
	last, err := length()
	if err != nil {
		return false, err
	}
	if int64(len(fields)) < min(first, last) {
		return false, l.gap("pins", "not all were read")
	}
	if lapsed != nil {
		_, _ = ask(ctx, l, "pins", l.cfg.Timeout, func(ctx context.Context) (struct{}, int, error) {
			return struct{}{}, len(lapsed), l.client.HDel(ctx, l.kept, lapsed...).Err()
		})
	}
	return false, nil
}

// lapsed is by the clock of Redis and by ours.
func (l *Log) lapsed(milli int64) bool {
	now := min(int64(l.newest.Load()), time.Now().UnixMilli())
	return milli+margin.Milliseconds() < now
}
