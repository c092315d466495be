package redislog

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// turnFor is for how long a turn is had at most: others wait so long for a node that
// has died, or could not give its turn back. Who takes longer shares the work.
const turnFor = 20 * time.Second

// Turn is for a Checker that gives back what Redis has lost: of many that see the
// loss at once, one does at a time, and the next finds what it has given. A nil
// release and a nil error: another has the turn. It is there to save room, and guards
// nothing: records that come twice do no harm.
func (l *Log) Turn(ctx context.Context) (release func(), err error) {
	begun := time.Now()
	got, err := ask(ctx, l, "turn", l.cfg.Timeout, func(ctx context.Context) (bool, int, error) {
		has, err := l.client.SetArgs(ctx, l.turn, l.owner, redis.SetArgs{Mode: "NX", Get: true, TTL: turnFor}).Result()
		if errors.Is(err, redis.Nil) {
			has, err = l.owner, nil
		}
		return has == l.owner, 0, err // also if it could not be given back, or the first answer was lost
	})
	if err != nil || !got {
		return nil, err
	}
	rest := context.WithoutCancel(ctx) // the caller's may have ended when the work is done
	return func() {
		if time.Since(begun) > turnFor/2 {
			return // it may be another's before it is deleted
		}
		_, _ = ask(rest, l, "turn", l.cfg.Timeout, func(ctx context.Context) (struct{}, int, error) {
			return struct{}{}, 0, l.client.Del(ctx, l.turn).Err()
		})
	}, nil
}
