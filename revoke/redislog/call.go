package redislog

import (
	"context"
	"errors"
	"time"
)

// maxCalls bounds the exchanges under way, with those that nobody waits for any more:
// appends by themselves, so that who revokes much does not keep a node from reading.
const maxCalls = 64

// ask does one exchange. A go-redis client heeds no deadline while it reads, unless
// it is told to, and it dials and tries again for half a minute: so the exchange has
// a goroutine of its own, and the caller leaves in time. It returns the entries that
// were sent or received, for the Event.
func ask[T any](ctx context.Context, l *Log, op string, patience time.Duration, command func(context.Context) (T, int, error)) (T, error) {
	begun := time.Now()
	value, n, err := call(ctx, l, op, patience, command)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	l.report(ctx, Event{Op: op, Entries: n, Duration: time.Since(begun), Err: err}, ctx.Err() == nil)
	return value, err
}

type answer[T any] struct {
	value T
	n     int
	err   error
}

func call[T any](ctx context.Context, l *Log, op string, patience time.Duration, command func(context.Context) (T, int, error)) (value T, n int, err error) {
	if err := ctx.Err(); err != nil {
		return value, 0, err
	}
	slots := l.slots
	if op == "append" {
		slots = l.appends
	}
	select {
	case slots <- struct{}{}:
	default:
		return value, 0, &commandError{op, errBusy.Error(), ErrUnavailable}
	}
	answers := make(chan answer[T], 1)
	go func() {
		defer func() { <-slots }()
		answers <- guard(ctx, patience, command)
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a := <-answers:
		return a.value, a.n, failed(op, a.err)
	case <-ctx.Done():
		return value, 0, ctx.Err()
	case <-timer.C:
		return value, 0, &commandError{op, "no answer in " + patience.String(), ErrUnavailable}
	}
}

// guard survives hooks of the owner's: nobody else could recover here.
func guard[T any](ctx context.Context, patience time.Duration, command func(context.Context) (T, int, error)) (a answer[T]) {
	defer func() {
		if recover() != nil {
			a = answer[T]{err: errPanic}
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	a.value, a.n, a.err = command(ctx)
	if errors.Is(a.err, context.DeadlineExceeded) {
		a.err = errors.Join(a.err, ErrUnavailable)
	}
	return a
}
