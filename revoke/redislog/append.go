package redislog

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

const maxData = 4 << 10

// Append is one MULTI: Redis does all of it or nothing, unless a key is of another
// type or the process dies while it writes its file. If the answer does not come, the
// entries may be kept; to append them again does no harm. Each trims what has lapsed.
func (l *Log) Append(ctx context.Context, entries []revoke.Entry) error {
	if len(entries) == 0 {
		return ctx.Err()
	}
	for _, e := range entries {
		if len(e.Data) == 0 || len(e.Data) > maxData {
			return failed("append", errEntry)
		}
	}
	// The caller's slices are not used after it has left.
	adds := make([]redis.XAddArgs, len(entries))
	untils := make([]time.Time, len(entries))
	var pins []any
	now := time.Now()
	for i, e := range entries {
		data := string(e.Data)
		adds[i] = redis.XAddArgs{Stream: l.stream, Values: []string{dataField, data}}
		// The time that is left is by one clock: it does not matter how that is set.
		if e.Until.IsZero() || e.Until.Sub(now) > l.window() {
			pins = append(pins, pinOf(data), pinned(e.Until, data))
		} else {
			untils[i] = e.Until
		}
	}
	if milli := l.horizon(); milli > 0 {
		adds[0].MinID, adds[0].Approx = strconv.FormatInt(milli, 10), true
	}
	_, err := ask(ctx, l, "append", l.cfg.Timeout+l.waits(), func(ctx context.Context) (struct{}, int, error) {
		added := make([]*redis.StringCmd, len(adds))
		err := l.write(ctx, func(p redis.Pipeliner) {
			p.HSetNX(ctx, l.kept, epochField, rand.Text())
			if pins != nil {
				p.HSet(ctx, l.kept, pins...)
			}
			for i := range adds {
				added[i] = p.XAdd(ctx, &adds[i])
			}
		})
		if err != nil {
			return struct{}{}, len(adds), err
		}
		// The clock of Redis may be behind: once it is right, the entry would be trimmed
		// too early.
		var early []any
		for i, cmd := range added {
			if id, ok := parseID(cmd.Val()); ok && !untils[i].IsZero() && int64(id[0])+l.window().Milliseconds() < untils[i].UnixMilli() {
				data := adds[i].Values.([]string)[1] //nolint:forcetypeassert // as above
				early = append(early, pinOf(data), pinned(untils[i], data))
			}
		}
		if early != nil {
			err = l.write(ctx, func(p redis.Pipeliner) { p.HSet(ctx, l.kept, early...) })
		}
		return struct{}{}, len(adds), err
	})
	return err
}

// waits is how long WAIT may take.
func (l *Log) waits() time.Duration {
	if l.cfg.WaitReplicas == 0 {
		return 0
	}
	return l.cfg.WaitTimeout
}

// write does what it is given in a MULTI, and waits for the replicas if it has to:
// WAIT is about what its own connection has written.
func (l *Log) write(ctx context.Context, commands func(redis.Pipeliner)) error {
	fill := func(p redis.Pipeliner) error { commands(p); return nil }
	if l.cfg.WaitReplicas == 0 {
		cmds, err := l.client.TxPipelined(ctx, fill)
		return l.written(cmds, err)
	}
	node, err := l.node(ctx)
	if err != nil {
		return err
	}
	conn := node.Conn()
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	cmds, err := conn.TxPipelined(ctx, fill)
	if err := l.written(cmds, err); err != nil {
		return err
	}
	n, err := conn.Wait(ctx, l.cfg.WaitReplicas, l.cfg.WaitTimeout).Result()
	if err == nil && n < int64(l.cfg.WaitReplicas) {
		err = errReplicas
	}
	return err
}

// node is the client of the server that has the stream.
func (l *Log) node(ctx context.Context) (*redis.Client, error) {
	if c, ok := l.client.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, l.stream)
	}
	c, _ := l.client.(*redis.Client)
	return c, nil
}

// written finds the error that says most: of a command that was refused, before that
// of EXEC, which says no more than that there was one.
func (l *Log) written(cmds []redis.Cmder, err error) error {
	for _, cmd := range cmds {
		if add, ok := cmd.(*redis.StringCmd); ok && add.Err() == nil {
			if id, ok := parseID(add.Val()); ok {
				l.saw(id)
			}
		}
		if e := cmd.Err(); e != nil {
			return e
		}
	}
	return err
}

// pinOf names a pin by what it holds, so that one that comes twice is kept once.
func pinOf(data string) string {
	sum := sha256.Sum256([]byte(data))
	return pinPrefix + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// pinned is the millisecond until which it is wanted, zero for ever, and the data.
func pinned(until time.Time, data string) string {
	var milli [8]byte
	if !until.IsZero() {
		binary.BigEndian.PutUint64(milli[:], uint64(max(until.UnixMilli(), 1)))
	}
	return string(milli[:]) + data
}

// unpinned is false for what is none.
func unpinned(value string) (milli int64, data string, ok bool) {
	if len(value) <= 8 {
		return 0, "", false
	}
	return int64(binary.BigEndian.Uint64([]byte(value[:8]))), value[8:], true
}
