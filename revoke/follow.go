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
	holes  atomic.Bool  // a record was dropped for want of room, or forgotten too early
	forgot atomic.Int64 // the latest millisecond at which one was forgotten
	asOf   atomic.Pointer[time.Time]

	// Under mu.
	epoch    string
	position [2]uint64
	counted  uint64 // entries up to there, as the Log counts them
	reread   bool   // all of it the next time
	owed     bool   // the Log may lack what is held here
	queued   bool   // and it is the turn of another to give that back
	dropped  int    // records of this reading that there was no room for
}

// compareEvery is how often Run holds what it has seen against what the Log says.
const compareEvery = 30 * time.Second

// turnEvery is how often it asks for its turn to give back what the Log may lack.
const turnEvery = time.Second

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
	begun, most := time.Now(), compareEvery
	if c.waitsForTurn() {
		most = turnEvery
	}
	for e, err := range c.logged.Tail(ctx, c.cursor()) {
		if err != nil {
			return err
		}
		c.take(ctx, e)
		if e.Data == nil && time.Since(begun) > most {
			return nil
		}
	}
	return errors.New("the log has ended")
}

func (c *Checker) waitsForTurn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued
}

func (c *Checker) cursor() [2]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.position
}

// take merges what Tail has yielded.
func (c *Checker) take(ctx context.Context, e Entry) {
	if e.Data == nil {
		c.heard(e.AsOf)
		return
	}
	c.merge(ctx, e)
	c.mu.Lock()
	if before(c.position, e.Position) {
		c.position = e.Position
		c.counted++
	}
	c.mu.Unlock()
}

// merge puts an entry in force; nil: it cannot be read. Nothing that is wrong with
// one keeps the others out.
func (c *Checker) merge(ctx context.Context, e Entry) *stored {
	r, err := c.decode(e.Data)
	if err == nil {
		c.mu.Lock()
		if err = c.apply(r); errors.Is(err, ErrFull) {
			c.dropped++
			c.holes.Store(true)
		}
		c.mu.Unlock()
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrFull):
		c.alarm(ctx, ReasonFull, err)
	default:
		c.damaged.Add(1)
		c.alarm(ctx, ReasonRecord, err)
	}
	return r
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
	begun := time.Now()
	var r *reading
	for missed := true; missed; {
		if r, missed, err = c.read(ctx); err != nil {
			return none, err
		}
	}
	c.heard(r.asOf) // before loaded: a check relies on it
	c.local.Store(r.state.Local)
	if first := !c.loaded.Swap(true); first || r.all {
		c.report(ctx, Event{Kind: eventLoaded, Entries: r.entries, Duration: time.Since(begun)})
	}
	if r.seen == nil {
		return none, nil
	}
	defer r.release()
	if err := c.refill(ctx, r.seen); err != nil {
		c.alarm(ctx, ReasonUnavailable, err) // the next time; what was read counts
		return none, nil
	}
	c.mu.Lock()
	c.owed = false
	c.mu.Unlock()
	return none, nil
}

// reading is one pass over the Log. It counts for itself, as Run may be at it too.
type reading struct {
	asOf         time.Time
	state        LogState
	all          bool
	from, last   [2]uint64           // what was read before, and now
	counted      uint64              // entries up to from
	upTo, beyond uint64              // entries read, to state.Last and after it
	entries      int                 // of both, and those without a position
	seen         map[uint64]struct{} // what they are, to give back what is not there; nil: no need or not our turn
	release      func()
}

// read makes a pass. What it has missed, the next one reads.
func (c *Checker) read(ctx context.Context) (r *reading, missed bool, err error) {
	r = &reading{asOf: c.clock()}
	c.mu.Lock()
	r.from, r.counted = c.position, c.counted // before the state: what comes meanwhile is no sign of a loss
	c.mu.Unlock()
	if r.state, err = c.logged.State(ctx); err != nil {
		return nil, false, err
	}
	c.mu.Lock()
	r.all = c.reread || c.epoch == "" || c.epoch != r.state.Epoch || c.holes.Load() ||
		before(r.state.Last, r.from) || before(r.from, r.state.First)
	c.owed = c.owed || r.all && c.total > 0
	owed := c.owed
	c.mu.Unlock()
	if owed {
		r.takeTurn(ctx, c.logged)
	}
	c.mu.Lock()
	c.queued = owed && r.seen == nil
	if r.all = r.all || r.seen != nil; r.all {
		r.from = [2]uint64{}
		c.reread = true // until all of it is here
		c.dropped = 0
	}
	c.mu.Unlock()
	err = c.replay(ctx, r)
	missed = err == nil && !r.all && r.counted+r.upTo != r.state.Added
	if r.seen != nil && err != nil {
		r.release()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case missed:
		c.reread = true
	case r.all && err == nil:
		c.reread = false
		c.holes.Store(c.dropped > 0)
		c.epoch, c.position, c.counted = r.state.Epoch, r.state.Last, r.state.Added+r.beyond
		if before(c.position, r.last) {
			c.position = r.last
		}
	case !r.all && before(c.position, r.last): // also what there is of a pass that has failed
		c.position, c.counted = r.last, r.counted+r.upTo+r.beyond
	}
	return r, missed, err
}

// takeTurn is for Logs that several share: of those who see a loss, one at a time
// gives back what is not there.
func (r *reading) takeTurn(ctx context.Context, l Log) {
	r.release = func() {}
	if shared, ok := l.(interface {
		Turn(ctx context.Context) (release func(), err error)
	}); ok {
		release, err := shared.Turn(ctx)
		if err != nil || release == nil {
			return
		}
		r.release = release
	}
	r.seen = map[uint64]struct{}{}
}

func (c *Checker) replay(ctx context.Context, r *reading) error {
	for e, err := range c.logged.Replay(ctx, r.from) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rec := c.merge(ctx, e)
		if r.entries++; rec != nil && r.seen != nil && c.lasts(rec, e.Until) {
			r.seen[rec.sum()] = struct{}{}
		}
		if !before(r.last, e.Position) {
			continue
		}
		if r.last = e.Position; before(r.state.Last, r.last) {
			r.beyond++
		} else {
			r.upTo++
		}
	}
	return ctx.Err()
}

// lasts reports whether a copy that is forgotten at a time is there for as long as its
// record is wanted: else another has been lost, and is to be given back.
func (c *Checker) lasts(r *stored, copied time.Time) bool {
	until := c.keepUntil(r)
	return copied.IsZero() || !until.IsZero() && !copied.Before(until)
}

// sum tells records apart, by what of them is held.
func (r *stored) sum() uint64 {
	h := r.id.fp
	for _, v := range []uint64{r.id.shape, uint64(r.id.tag), r.value} {
		h = (h ^ v) * 0xff51afd7ed558ccd
		h ^= h >> 32
	}
	if r.restore {
		return ^h
	}
	return h
}

// refillBatch bounds one Append, and how long writers wait for a copy.
const refillBatch = 1000

// refill gives back to a Log what is in force here and was not seen there.
func (c *Checker) refill(ctx context.Context, seen map[uint64]struct{}) error {
	var batch []Entry
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := c.logged.Append(ctx, batch)
		batch = nil // the Log may have kept it
		return err
	}
	now := c.clock()
	for r := range c.held() {
		until := c.keepUntil(r)
		if _, there := seen[r.sum()]; there || !until.IsZero() && !now.Before(until) {
			continue
		}
		if batch = append(batch, Entry{Data: c.encode(r), Until: until}); len(batch) == refillBatch {
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
	if at := c.forgot.Load(); at > q.now()+maxSkew.Milliseconds() {
		c.holes.Store(true) // the clock was ahead: what was forgotten then is wanted again
		c.forgot.CompareAndSwap(at, 0)
		c.call.Go(c.catchUp) // also by who comes second, whose holes may be new
	}
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
