package jwkcache

import (
	"context"
	"errors"
	"time"
)

// Warm makes sure that there are keys, for a service that would rather not start
// without. It is not needed: the first lookup does the same.
func (c *Cache) Warm(ctx context.Context) error {
	_, _, err := c.current(ctx)
	return err
}

// Run keeps the keys fresh on schedule, also while nobody asks, until ctx ends,
// and returns its error. It is not needed: lookups refresh what has aged.
func (c *Cache) Run(ctx context.Context) error {
	var pause time.Duration
	for ctx.Err() == nil {
		var due <-chan time.Time
		if wait, ever := c.untilRefresh(); ever {
			due = time.After(max(wait, pause))
		}
		select {
		case <-ctx.Done():
			continue
		case <-due:
		}
		pause = 0
		if wait, _ := c.untilRefresh(); wait > 0 {
			continue // a lookup has fetched meanwhile
		}
		_, err := c.call.Do(ctx, c.fetchOver(c.snap.Load(), nil)) // a failure is remembered, logged and in Status
		if later, ok := errors.AsType[retryLater](err); ok {
			pause = later.RetryAfter() // also while a fetch is stuck and none can start
		}
	}
	return ctx.Err()
}

type retryLater interface {
	error
	RetryAfter() time.Duration
}

// untilRefresh is the time to the next fetch, false if there will be none.
func (c *Cache) untilRefresh() (time.Duration, bool) {
	now := c.now()
	due := c.call.State().Next
	if s := c.snap.Load(); s != nil {
		if s.refresh == 0 {
			return 0, false
		}
		if at := s.at.Add(s.refresh); at.After(due) {
			due = at
		}
	}
	return max(due.Sub(now), 0), true
}
