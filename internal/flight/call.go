package flight

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// grace is what a call gets past its deadline to say why it failed, before it is
// called overdue.
const grace = time.Second

// Call is one thing that is done at most once at a time. The fields are set
// before the first use and not changed after it; the zero value is usable. It
// must not be copied.
type Call[T any] struct {
	// Timeout is the deadline of the call, from its start. Zero: 10 s.
	Timeout time.Duration

	// Backoff is asked after each failure, with its error, for how long to
	// remember it. nil: Backoff{} always. It must not block.
	Backoff func(err error) Backoff

	// Now is the clock by which a remembered failure ends. nil: time.Now.
	Now func() time.Time

	mu    sync.Mutex               // orders the writers of state; held across nothing else
	state atomic.Pointer[state[T]] // immutable; nil before the first call
}

type state[T any] struct {
	running  *flight[T]
	overdue  bool // running is stuck past its deadline: its waiters have been sent away
	failures int
	err      error
	next     time.Time
}

type flight[T any] struct {
	done chan struct{} // closed when val and err are set
	val  T
	err  error
}

func (f *flight[T]) wait(ctx context.Context) (val T, err error) {
	select {
	case <-f.done:
		return f.val, f.err
	case <-ctx.Done():
		return val, ctx.Err()
	}
}

// State is a snapshot of a Call.
type State struct {
	Running  bool
	Failures int       // in a row; zero after a success
	Err      error     // of the last failure; nil after a success
	Next     time.Time // no call starts before; zero: at once
}

// Do joins the running call, or starts one with fn, and waits for its result. A
// caller whose ctx ends leaves with exactly ctx.Err(); the call goes on.
//
// While a failure is remembered nothing is started, and Do returns it at once.
// Every error of a call, fresh or remembered, has RetryAfter() time.Duration for
// errors.As: when the next one may start. It may wrap context.DeadlineExceeded,
// which is then the call's: whether the caller's own ctx is over, ctx.Err() says.
func (c *Call[T]) Do(ctx context.Context, fn func(context.Context) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	now := c.now()
	s := c.join(now, fn)
	if !s.open() {
		return none, s.refusal(now)
	}
	return s.running.wait(ctx)
}

// Go starts a call behind the caller's back, unless one runs already or a
// remembered failure forbids it, and reports whether one is now running. Where
// nothing is started it takes no lock and allocates nothing.
func (c *Call[T]) Go(fn func(context.Context) (T, error)) bool {
	return c.join(c.now(), fn).open()
}

// Forget ends the memory of failures: their cause is known to be gone, such as a
// secret that has been replaced. A running call is not touched.
func (c *Call[T]) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cur := c.state.Load(); cur != nil && !cur.overdue {
		c.state.Store(&state[T]{running: cur.running})
	}
}

// State takes no lock.
func (c *Call[T]) State() State {
	s := c.state.Load()
	if s == nil {
		return State{}
	}
	return State{Running: s.running != nil, Failures: s.failures, Err: s.err, Next: s.next}
}

// join returns the state that forbids a start, or the one after the start.
func (c *Call[T]) join(now time.Time, fn func(context.Context) (T, error)) *state[T] {
	if s := c.state.Load(); s.forbids(now) {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cur := c.state.Load()
	if cur.forbids(now) {
		return cur
	}
	next := &state[T]{running: &flight[T]{done: make(chan struct{})}}
	if cur != nil {
		next.failures, next.err, next.next = cur.failures, cur.err, cur.next
	}
	c.state.Store(next)
	go c.run(next.running, fn)
	return next
}

func (c *Call[T]) run(f *flight[T], fn func(context.Context) (T, error)) {
	timeout := positive(c.Timeout, 10*time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()

	var none T
	late := time.AfterFunc(timeout+grace, func() { c.settle(f, false, none, ErrOverdue, 0) })
	defer late.Stop()

	var asked time.Duration
	val, err := none, fmt.Errorf("%w: its goroutine was ended", ErrAborted)
	defer func() { // runtime.Goexit comes through here too, with the error above
		if p := recover(); p != nil {
			val, err = none, aborted(p)
		}
		c.settle(f, true, val, err, asked)
	}()
	val, err = fn(ctx)
	asked = retryAfter(err) // a method of a foreign type: here, where its panic is caught
}

// settle records a result and hands it to the waiters. An overdue call is settled
// twice, as a failure and when it has returned: until then no other is started,
// so that a function that hangs for ever costs one goroutine, not one per try.
func (c *Call[T]) settle(f *flight[T], returned bool, val T, err error, asked time.Duration) {
	var backoff Backoff
	if err != nil && c.Backoff != nil {
		backoff = c.Backoff(err)
	}
	now := c.now()

	c.mu.Lock()
	defer c.mu.Unlock()
	cur := c.state.Load()
	if cur.running != f {
		return // the timer fired while the call returned
	}
	next := &state[T]{}
	switch {
	case err == nil:
	case cur.overdue: // already counted
		next.failures, next.err, next.next = cur.failures, cur.err, cur.next
	default:
		wait := backoff.pause(cur.failures+1, asked)
		next.failures, next.err, next.next = cur.failures+1, err, now.Add(wait)
		val, err = *new(T), &failure{err, wait}
	}
	if !returned {
		next.running, next.overdue = f, true
	}
	c.state.Store(next)
	if !cur.overdue { // else the waiters have left, and may be reading f
		f.val, f.err = val, err
		close(f.done)
	}
}

func (c *Call[T]) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// forbids reports that no call may start now: one runs, or a failure is remembered.
func (s *state[T]) forbids(now time.Time) bool {
	return s != nil && (s.running != nil || now.Before(s.next))
}

// open reports that a call runs whose result can be waited for.
func (s *state[T]) open() bool { return s.running != nil && !s.overdue }

func (s *state[T]) refusal(now time.Time) error {
	wait := s.next.Sub(now)
	if wait <= 0 {
		wait = grace // an overdue call, its backoff over: nobody knows
	}
	return &failure{s.err, wait}
}
