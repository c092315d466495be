package redislog

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// Tail has what comes, and each Block or Poll an Entry without Data, if nothing was
// missed by then: Redis has the epoch of the last State, no last entry before that
// which was read, and as many entries more as were read. It is on no connection in
// particular, so that it does not matter whether one was lost.
func (l *Log) Tail(ctx context.Context, after [2]uint64) iter.Seq2[revoke.Entry, error] {
	return func(yield func(revoke.Entry, error) bool) {
		t := &tail{Log: l, at: after, yield: yield}
		if told := l.told.Load(); told != nil {
			t.known, t.counted = told, !before(told.Last, after)
		}
		for {
			if err := t.step(ctx); err != nil {
				if errors.Is(err, ErrGap) {
					l.report(ctx, Event{Op: "read", Err: err}, true)
				}
				if !errors.Is(err, errLeft) {
					yield(revoke.Entry{}, err)
				}
				return
			}
		}
	}
}

var errLeft = errors.New("the caller wants no more")

// tail is one reader.
type tail struct {
	*Log
	yield   func(revoke.Entry, error) bool
	at      [2]uint64   // what was read last
	known   *snapshot   // of which nothing was missed; nil: there is none yet
	counted bool        // what was read since can be told from its count
	since   uint64      // entries read that come after it
	pending *snapshot   // what is to be read up to; nil: nothing, until next
	beyond  uint64      // entries read that come after that
	ends    [][2]uint64 // of replies since the last look, as another server may have sent the next
	next    time.Time
}

const maxEnds = 64

// step looks how the Log is, if it is time to, and reads on.
func (t *tail) step(ctx context.Context) error {
	if wait := time.Until(t.next); t.pending == nil && wait > 0 && t.cfg.Poll > 0 {
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
	if t.pending == nil && !time.Now().Before(t.next) {
		if err := t.look(ctx); err != nil {
			return err
		}
	}
	if t.pending != nil && !before(t.at, t.pending.Last) {
		return t.settle()
	}
	return t.read(ctx)
}

func (t *tail) look(ctx context.Context) error {
	s, err := t.stateWith(ctx, append(t.ends, t.at)...)
	if err != nil {
		return err
	}
	t.ends = t.ends[:0]
	if t.known != nil {
		if err := t.compare("read", t.known, s); err != nil {
			return err
		}
	}
	if before(s.Last, t.at) {
		return t.gap("read", "Redis has lost entries")
	}
	t.pending, t.beyond = s, 0
	t.next = s.asOf.Add(max(t.cfg.Poll, t.cfg.Block))
	return nil
}

// settle is for when all of a snapshot was read.
func (t *tail) settle() error {
	s := t.pending
	if t.known != nil && t.counted && t.known.Added+t.since-t.beyond != s.Added {
		return t.gap("read", "entries are not as many as were added")
	}
	t.known, t.counted, t.pending = s, true, nil
	t.since = t.beyond
	if !t.yield(revoke.Entry{AsOf: s.asOf}, nil) {
		return errLeft
	}
	return nil
}

func (t *tail) read(ctx context.Context) error {
	block := max(time.Until(t.next), time.Millisecond)
	if t.pending != nil {
		// What is there comes at once.
		block = min(block, 100*time.Millisecond)
		if time.Since(t.pending.asOf) > t.cfg.Timeout {
			return t.gap("read", "entries were deleted before they were read")
		}
	}
	if t.cfg.Poll > 0 {
		block = -1
	}
	entries, err := ask(ctx, t.Log, "read", max(block, 0)+t.cfg.Timeout, func(ctx context.Context) ([]revoke.Entry, int, error) {
		streams, err := t.client.XRead(ctx, &redis.XReadArgs{
			Streams: []string{t.stream, formatID(t.at)}, Count: int64(t.cfg.PageSize), Block: block,
		}).Result()
		if errors.Is(err, redis.Nil) || err == nil && len(streams) == 0 {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
		entries, err := entriesOf(streams[0].Messages, t.at)
		return entries, len(entries), err
	})
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		if t.ends = append(t.ends, t.at); len(t.ends) >= maxEnds {
			t.next = time.Time{} // they are looked for at once
		}
	}
	for _, e := range entries {
		t.at = e.Position
		if t.known == nil || before(t.known.Last, t.at) {
			t.since++
		}
		if t.pending != nil && before(t.pending.Last, t.at) {
			t.beyond++
		}
		if !t.yield(e, nil) {
			return errLeft
		}
	}
	at := t.at
	t.saw(at)
	t.tailed.Store(&at)
	if t.pending != nil && len(entries) == 0 && t.cfg.Poll > 0 {
		return pause(ctx, 10*time.Millisecond)
	}
	return nil
}

// entriesOf is parsePage of what go-redis has read.
func entriesOf(messages []redis.XMessage, after [2]uint64) ([]revoke.Entry, error) {
	entries := make([]revoke.Entry, len(messages))
	for i, m := range messages {
		id, ok := parseID(m.ID)
		if !ok || !before(after, id) {
			return nil, errReply
		}
		text, _ := m.Values[dataField].(string)
		if len(m.Values) != 1 {
			text = ""
		}
		entries[i], after = revoke.Entry{Position: id, Data: []byte(text)}, id
	}
	return entries, nil
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
