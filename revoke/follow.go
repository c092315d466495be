package revoke

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/flight"
)

// follower is what a Checker knows of its Log.
type follower struct {
	logged Log // nil: records are in memory only
	call   flight.Call[struct{}]
	loaded atomic.Bool
	local  atomic.Bool
	holes  atomic.Bool // a record was dropped for want of room
	asOf   atomic.Pointer[time.Time]

	// Under mu.
	epoch    string
	position [2]uint64
	counted  uint64    // entries, as the Log counts them
	upTo     [2]uint64 // those up to here are in counted already
	reread   bool      // all of it the next time
	owed     bool      // the Log has lost entries, and was not given back all of them yet
	dropped  int       // records of this reading that there was no room for
}

// compareEvery is how often Run holds what it has seen against what the Log says.
const compareEvery = 30 * time.Second

// Warm has the records of the Log loaded when it returns nil. It is not needed:
// the first check starts to load, and checks cannot tell until it is done.
func (c *Checker) Warm(ctx context.Context) error {
	if c.logged == nil {
		return nil
	}
	_, err := c.call.Do(ctx, c.catchUp)
	return c.unavailableUnless(ctx, err)
}

func (c *Checker) unavailableUnless(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &unavailable{err, retryOf(err)}
}

// ready is Warm, where there is something to wait for.
func (c *Checker) ready(ctx context.Context) error {
	if c.logged == nil || c.loaded.Load() {
		return ctx.Err()
	}
	return c.Warm(ctx)
}

// Run follows the Log until ctx ends, and returns its error: what others revoke is
// in force here at once. Without it, checks catch up behind themselves, each third
// of MaxStaleness.
func (c *Checker) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		pause := time.Duration(0)
		if err := c.Warm(ctx); err != nil {
			pause = max(retryOf(err), 100*time.Millisecond)
		} else if c.logged == nil || c.local.Load() {
			<-ctx.Done()
		} else if err := c.tail(ctx); err != nil && ctx.Err() == nil {
			c.alarm(ctx, ReasonUnavailable, err)
			pause = time.Second
		}
		if pause > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
	return ctx.Err()
}

func (c *Checker) tail(ctx context.Context) error {
	begun := time.Now()
	for e, err := range c.logged.Tail(ctx, c.cursor()) {
		if err != nil {
			return err
		}
		c.take(ctx, e)
		if e.Data == nil && time.Since(begun) > compareEvery {
			return nil
		}
	}
	return errors.New("the log has ended")
}

func (c *Checker) cursor() [2]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position
}

// take merges what a Log has yielded. Nothing that is wrong with one entry keeps
// the others out.
func (c *Checker) take(ctx context.Context, e Entry) {
	if e.Data == nil {
		c.heard(e.AsOf)
		return
	}
	r, err := c.decode(e.Data)
	c.mu.Lock()
	if err == nil {
		err = c.apply(r)
	}
	if before(c.position, e.Position) {
		c.position = e.Position
		if before(c.upTo, e.Position) {
			c.counted++
		}
	}
	if errors.Is(err, ErrFull) {
		c.dropped++
		c.holes.Store(true)
	}
	c.mu.Unlock()
	switch {
	case err == nil:
	case errors.Is(err, ErrFull):
		c.alarm(ctx, ReasonFull, err)
	default:
		c.damaged.Add(1)
		c.alarm(ctx, ReasonRecord, err)
	}
}

func (c *Checker) heard(asOf time.Time) {
	now := c.clock()
	if asOf.After(now) {
		asOf = now // nobody has news of the future
	}
	if old := c.asOf.Load(); old == nil || asOf.After(*old) || old.After(now) {
		c.asOf.Store(&asOf)
	}
}

// catchUp reads what it has not seen, or all that there is when something may have
// been missed: what is at hand stays meanwhile, and what comes is merged into it.
func (c *Checker) catchUp(ctx context.Context) (none struct{}, err error) {
	begun, asOf := time.Now(), c.clock()
	st, err := c.logged.State(ctx)
	if err != nil {
		return none, err
	}
	c.mu.Lock()
	from, known := c.position, c.epoch
	lost := known != "" && (st.Epoch != known || before(st.Last, from))
	again := lost || known == "" || c.reread || c.holes.Load() || before(from, st.First)
	c.owed = c.owed || lost
	if again {
		from, c.position = [2]uint64{}, [2]uint64{}
		c.counted, c.upTo = st.Added, st.Last
		c.reread = true // until all of it is here
		c.dropped = 0
	}
	c.mu.Unlock()

	entries, err := c.replay(ctx, from)
	if err != nil {
		return none, err
	}
	c.mu.Lock()
	c.reread = !again && c.counted < st.Added
	missed := c.reread
	if again {
		c.epoch = st.Epoch
		c.holes.Store(c.dropped > 0)
	}
	owed := c.owed
	c.mu.Unlock()
	if missed {
		return none, errors.New("entries were missed")
	}
	c.heard(asOf) // before loaded: a check relies on it
	c.local.Store(st.Local)
	if first := !c.loaded.Swap(true); first || again {
		c.report(ctx, Event{Kind: eventLoaded, Entries: entries, Duration: time.Since(begun)})
	}
	if owed {
		if err := c.refill(ctx); err != nil {
			return none, err // it is tried again
		}
		c.mu.Lock()
		c.owed = false
		c.mu.Unlock()
	}
	return none, nil
}

func (c *Checker) replay(ctx context.Context, from [2]uint64) (entries int, err error) {
	for e, err := range c.logged.Replay(ctx, from) {
		if err != nil {
			return entries, err
		}
		if err := ctx.Err(); err != nil {
			return entries, err
		}
		c.take(ctx, e)
		entries++
	}
	return entries, ctx.Err()
}

// refillBatch bounds one Append, and how long writers wait for a copy.
const refillBatch = 1000

// refill gives back to a Log that has lost entries what is in force here.
func (c *Checker) refill(ctx context.Context) error {
	var batch []Entry
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := c.logged.Append(ctx, batch)
		batch = nil // the Log may have kept it
		return err
	}
	for r := range c.held() {
		if batch = append(batch, Entry{Data: c.encode(r), Until: c.keepUntil(r)}); len(batch) == refillBatch {
			if err := send(); err != nil {
				return err
			}
		}
	}
	return send()
}

// doubt says why records may be missing here; nil: none are.
func (c *Checker) doubt(q *question) *unavailable {
	if c.logged == nil {
		return nil
	}
	if !c.loaded.Load() {
		c.call.Go(c.catchUp)
		return errLoading
	}
	age := q.moment().Sub(*c.asOf.Load())
	holes := c.holes.Load()
	if c.local.Load() && !holes {
		return nil
	}
	if age > c.maxStaleness/3 || age < -maxSkew {
		c.call.Go(c.catchUp) // nothing, if it runs or has just failed
	}
	if holes {
		return errHoles
	}
	if age > c.maxStaleness || age < -maxSkew { // or the clock was set back
		return errStale
	}
	return nil
}

func (c *Checker) alarm(ctx context.Context, reason Reason, err error) {
	c.report(ctx, Event{Kind: eventAlarm, Reason: reason, Err: err})
}

type retryLater interface {
	error
	RetryAfter() time.Duration
}

// retryOf is what an error asks for, or the usual.
func retryOf(err error) time.Duration {
	if later, ok := errors.AsType[retryLater](err); ok {
		return later.RetryAfter()
	}
	return 5 * time.Second
}
