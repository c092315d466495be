package clientcreds

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/flight"
)

// entry is the token of one target, and how it is renewed.
type entry struct {
	source  *Source
	to      target
	id      string // in the store and in nothing else
	tok     atomic.Pointer[token]
	call    flight.Call[*token]
	used    atomic.Int64 // second of the last use
	marking sync.Mutex   // of a rejected token
	ration  ration

	refused atomic.Pointer[refusal]
}

// refusal is a credential that the server does not take: it is not sent again for
// a while, but another one is, within a second.
type refusal struct {
	err   *TokenError
	until time.Time
}

const refusalLife = 30 * time.Second

// refusing is the refusal that holds for a credential; nil if there is none.
func (e *entry) refusing(from fingerprint) *TokenError {
	for _, r := range e.refusals() {
		if r != nil && r.err.from == from && e.source.now().Before(r.until) {
			return r.err
		}
	}
	return nil
}

// refusals are of the client, whatever it asks for, and of what is asked for here.
func (e *entry) refusals() [2]*refusal {
	return [2]*refusal{e.source.refused.Load(), e.refused.Load()}
}

func (e *entry) refuse(failed *TokenError) {
	r := &refusal{failed, e.source.now().Add(refusalLife)}
	if failed.Code == "invalid_client" {
		e.source.refused.Store(r)
	} else {
		e.refused.Store(r)
	}
}

func (s *Source) newEntry(to target) *entry {
	e := &entry{source: s, to: to, id: s.storeID(to)}
	e.call.Timeout, e.call.Now, e.call.Backoff = s.timeout, s.now, e.backoff
	return e
}

// get is the token to use now: at hand, renewed behind the caller, or waited for.
func (e *entry) get(ctx context.Context) (*token, error) {
	now := e.source.now()
	if this := now.Unix(); e.used.Load() != this {
		e.used.Store(this)
	}
	t := e.tok.Load()
	if t.fresh(now) {
		return t, nil
	}
	if t.usable(now) && !t.rejected {
		st := e.call.State()
		if !st.Running && !now.Before(st.Next) { // else Go would start nothing
			e.call.Go(e.renewal(t))
		}
		if st.Failures > 0 {
			e.source.stale.Add(1)
		}
		return t, nil
	}
	return e.wait(ctx, t)
}

// wait is for who has no token that is good. One that an API has rejected goes
// out again rather than nothing: the 401 may have had another cause.
func (e *entry) wait(ctx context.Context, old *token) (*token, error) {
	e.source.waiting.Add(1)
	defer e.source.waiting.Add(-1)
	t, err := e.call.Do(ctx, e.renewal(old))
	if err == nil {
		return t, nil
	}
	if own := ctx.Err(); own != nil {
		return nil, own
	}
	if old.usable(e.source.now()) {
		return old, nil
	}
	var wait time.Duration
	if asks, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		wait = asks.RetryAfter()
	}
	failed := asTokenError(err)
	for _, r := range e.refusals() {
		if r != nil && r.err == failed {
			wait = max(wait, r.until.Sub(e.source.now()))
		}
	}
	return nil, failed.at(wait)
}

// renewal is the call that replaces a token. A caller may come when another one
// has just replaced it: then there is nothing to do.
func (e *entry) renewal(old *token) func(context.Context) (*token, error) {
	return func(ctx context.Context) (*token, error) {
		if t := e.tok.Load(); t != old && t.fresh(e.source.now()) {
			return t, nil
		}
		return e.renew(ctx)
	}
}

// renew runs detached from every caller, one at a time.
func (e *entry) renew(ctx context.Context) (*token, error) {
	old := e.tok.Load()
	t, err := e.source.fetch(ctx, e, old)
	if err != nil {
		return nil, err
	}
	if t.lifetime <= 0 {
		return t, nil // for those who wait now
	}
	t.forced = old != nil && old.rejected
	e.tok.Store(t)
	return t, nil
}

// helps reports that t is better than what is at hand.
func (e *entry) helps(t, old *token) bool {
	now := e.source.now()
	switch {
	case !t.renews(old) && old.usable(now):
		return false
	case t.lifetime <= 0:
		return !old.usable(now) || old.rejected
	}
	return t.usable(now)
}

// reject says that an API answered 401 to t, and finds a better one: nil if there
// is none, or none may be asked for.
func (e *entry) reject(ctx context.Context, t *token, replay bool) *token {
	cur := e.markRejected(t)
	if cur == nil {
		return nil
	}
	if !replay || ctx.Err() != nil {
		if cur.rejected {
			e.call.Go(e.renewal(cur)) // for the next call
		}
		return nil
	}
	better, err := e.get(ctx)
	if err != nil || better.rejected || better.same(t) {
		return nil
	}
	return better
}

// markRejected marks t, if it is still the one at hand, and returns what is at hand
// then; nil if nothing may be done about it. One caller at a time: of many whose token
// died together, the first takes the ration and the others find it marked.
func (e *entry) markRejected(t *token) *token {
	e.marking.Lock()
	defer e.marking.Unlock()
	now, cur := e.source.now(), e.tok.Load()
	if cur == nil || t.lifetime <= 0 {
		return nil // t was for one use, and the next call asks anyhow
	}
	if cur.same(t) && !cur.rejected {
		if within(now.Sub(t.asked), justMinted) || !e.ration.allow(now, t) {
			return nil
		}
		e.tok.CompareAndSwap(cur, cur.refused())
		cur = e.tok.Load() // this one's, or a renewed one
	}
	return cur
}

// backoff is short while callers wait, and long while the token at hand serves:
// but no longer than it does. What the server refuses is not asked again soon;
// refused keeps that, as a secret may be replaced at any time.
func (e *entry) backoff(err error) flight.Backoff {
	left := time.Duration(0)
	if t := e.tok.Load(); t != nil && !t.rejected {
		left = t.hard.at.Sub(e.source.now())
	}
	failed := asTokenError(err)
	b := flight.Backoff{Max: min(max(left, 5*time.Second), 30*time.Second)}
	switch {
	case failed.Reason == ReasonClient || failed.Reason == ReasonSecret:
		b.Max = time.Second
	case failed.Reason == ReasonLifetime:
		b.Min, b.Max = 2*forceEvery, 30*time.Second
		if left > 0 {
			b.Max = min(b.Max, max(left, 100*time.Millisecond)) // then others serve
		}
	case !failed.Temporary:
		b.Min, b.Max = refusalLife, refusalLife
	}
	return b
}
