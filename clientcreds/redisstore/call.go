package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	maxCalls = 64              // at a time, with those that nobody waits for any more
	patience = 2 * time.Second // of a command, whose caller has long left
	pause    = 5 * time.Second // after a call that got no answer in time
)

// ask runs one command. A go-redis client heeds no deadline while it reads, unless
// it is told to, and it dials and tries again for half a minute: so the command has
// a goroutine of its own, and the caller leaves in time. lost runs there if the
// caller did not get to know that the command has been done; nil: nothing.
func ask[T any](ctx context.Context, s *Store, op string, command func(context.Context) (T, error), lost func(context.Context)) (T, error) {
	start := time.Now()
	value, err := call(ctx, s, op, command, lost)
	s.report(ctx, Event{Op: op, Duration: time.Since(start), Err: err}, ctx.Err() == nil)
	return value, err
}

func call[T any](ctx context.Context, s *Store, op string, command func(context.Context) (T, error), lost func(context.Context)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if s.rests() {
		return none, &commandError{op, "no answer a moment ago", ErrUnavailable}
	}
	short, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
	case <-short.Done():
		return none, s.leave(ctx, op)
	}

	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer) // not buffered: what is sent has been received
	go func() {
		defer func() { <-s.slots }()
		value, err := guard(ctx, command)
		if err == nil {
			s.resting.Store(0) // late as it may be, Redis answers
		}
		select {
		case answers <- answer{value, err}:
			if err == nil {
				return
			}
		case <-short.Done():
		}
		if lost != nil {
			_, _ = guard(ctx, func(ctx context.Context) (struct{}, error) { lost(ctx); return struct{}{}, nil })
		}
	}()
	select {
	case a := <-answers:
		return a.value, failed(op, a.err)
	case <-short.Done():
		return none, s.leave(ctx, op)
	}
}

// guard runs a command to its own end, and survives hooks of the owner's: nobody
// else could recover here.
func guard[T any](ctx context.Context, command func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	value, err = command(ctx)
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return value, err
}

// leave is for a caller who waits no longer. If that is not by its own context,
// the next ones need not wait as well: one token takes several calls.
func (s *Store) leave(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.resting.Store(s.now().Add(pause).UnixNano())
	return &commandError{op, "no answer in " + s.timeout.String(), ErrUnavailable}
}

// rests reports a pause, unless the clock has been set back since.
func (s *Store) rests() bool {
	left := time.Duration(s.resting.Load() - s.now().UnixNano())
	return left > 0 && left <= pause
}
