package redisstore

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxValue bounds a value, as clientcreds does: a larger one is neither put nor read.
const maxValue = 128 << 10

// Store is a clientcreds.Store on Redis. Its methods may be called at the same time.
type Store struct {
	client  redis.UniversalClient
	prefix  string
	timeout time.Duration
	slots   chan struct{} // one for each call under way
	resting atomic.Int64  // until then calls fail at once; zero: they do not

	logger    *slog.Logger
	observe   func(context.Context, Event)
	now       func() time.Time
	lastLine  atomic.Int64 // the second of it
	unwritten atomic.Int64 // lines since
}

// Get returns what was put under a key; nil, nil if there is nothing. Of a value
// that is too large, no more is read than shows it.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	return ask(ctx, s, "get", func(ctx context.Context) ([]byte, error) {
		value, err := s.client.GetRange(ctx, s.prefix+key, 0, maxValue).Bytes()
		switch {
		case err != nil:
			return nil, err
		case len(value) > maxValue:
			return nil, errTooLarge
		case len(value) == 0:
			return nil, nil
		}
		return value, nil
	}, nil)
}

// Put keeps a value for a time. Below a millisecond nothing is kept, and it is no
// error.
func (s *Store) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl < time.Millisecond { // to go-redis, zero and less are for ever
		return nil
	}
	if len(value) > maxValue {
		return failed("put", errTooLarge)
	}
	_, err := ask(ctx, s, "put", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.client.Set(ctx, s.prefix+key, value, ttl).Err()
	}, nil)
	return err
}

// Lock makes the caller the only one to have the key, for a time at most. A nil
// unlock and a nil error: somebody else has it. Unlock gives back this lock only,
// not the one that another has got since; it waits no longer than other calls.
func (s *Store) Lock(ctx context.Context, key string, ttl time.Duration) (unlock func(), err error) {
	if ttl < time.Millisecond {
		return nil, failed("lock", errShortLock)
	}
	name, owner := s.prefix+key+":lock", rand.Text()
	got, err := ask(ctx, s, "lock", func(ctx context.Context) (bool, error) {
		return s.client.SetNX(ctx, name, owner, ttl).Result()
	}, func(ctx context.Context) { _, _ = s.giveBack(ctx, name, owner) })
	if err != nil || !got {
		return nil, err
	}
	rest := context.WithoutCancel(ctx) // the caller's may have ended when the work is done
	return func() {
		_, _ = ask(rest, s, "unlock", func(ctx context.Context) (bool, error) { return s.giveBack(ctx, name, owner) }, nil)
	}, nil
}

// compareAndDelete deletes a lock if it is still the owner's.
const compareAndDelete = `if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0`

func (s *Store) giveBack(ctx context.Context, name, owner string) (bool, error) {
	return s.client.Eval(ctx, compareAndDelete, []string{name}, owner).Bool()
}
