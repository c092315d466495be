package jwtvalidate

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/flight"
)

// tenants are the policies of issuers that are not known when a Validator is made,
// found when a token of theirs comes: by a template or by IssuerFor. Nothing that an
// unverified iss says makes one of them leave: who is unknown has room of its own.
type tenants struct {
	owner   *Validator
	resolve func(ctx context.Context, iss string) (*policy, error) // nil and nil: unknown
	ttl     time.Duration
	max     int
	now     func() time.Time

	mu     sync.Mutex // held across nothing that can block
	known  map[string]*list.Element
	recent *list.List                       // of *tenant, the latest first
	others map[string]outcome               // who is unknown, or could not be told
	asked  map[string]*flight.Call[*policy] // under way
}

// tenant is one of them. A remembered token finds it through its policy, without a lock.
type tenant struct {
	iss    string
	policy atomic.Pointer[policy] // nil: it is dropped
	until  atomic.Int64           // in nanoseconds: then it is asked for again
}

// outcome is what was found about an iss that has no policy.
type outcome struct {
	err   error // nil: it is unknown
	until time.Time
}

const (
	defaultIssuerTTL  = time.Minute
	defaultMaxIssuers = 1000
	maxIssuerTTL      = 100 * 365 * 24 * time.Hour // more than that is no date in nanoseconds
	maxMiss           = 30 * time.Second
	maxDoubt          = time.Second
	maxOthers         = 4096
	maxAsked          = 256
	askTimeout        = 10 * time.Second
)

var errBusy = fmt.Errorf("%w: too many issuers are asked for at once", ErrUnavailable)

// policyFor is the policy for an iss; nil if it is unknown.
func (v *Validator) policyFor(ctx context.Context, iss string) (*policy, error) {
	if p := v.policies[iss]; p != nil {
		return p, nil
	}
	for _, t := range v.anyTenant {
		if tenant, ok := t.match(iss); ok {
			p := t.policy(tenant) // held nowhere: who sends tokens could fill any room
			p.owner = v
			return p, nil
		}
	}
	return v.tenants.find(ctx, iss)
}

// find is the policy for an iss that may be a tenant's.
func (t *tenants) find(ctx context.Context, iss string) (*policy, error) {
	if t == nil || iss == "" || len(iss) > maxIssuer {
		return nil, nil
	}
	now := t.now()
	t.mu.Lock()
	if e := t.known[iss]; e != nil {
		if known := e.Value.(*tenant); t.good(known, now) {
			t.recent.MoveToFront(e)
			p := known.policy.Load() // in here: forget drops it
			t.mu.Unlock()
			return p, nil
		}
	}
	if v, ok := t.others[iss]; ok && now.Before(v.until) {
		t.mu.Unlock()
		return nil, v.err
	}
	call := t.asked[iss]
	iss = strings.Clone(iss) // it is a part of a whole token
	if call == nil {
		if len(t.asked) >= maxAsked && t.known[iss] == nil { // strangers keep nobody from being asked for again
			t.mu.Unlock()
			return nil, errBusy
		}
		call = &flight.Call[*policy]{Timeout: askTimeout, Now: t.now}
		t.asked[iss] = call
	}
	t.mu.Unlock()
	p, err := call.Do(ctx, func(ctx context.Context) (*policy, error) { return t.ask(ctx, iss, call) })
	if err != nil {
		t.leave(iss, call)
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err) // the caller's own too, which says nothing of the token
	}
	return p, nil
}

// leave gives the place of a call back that was never made, as its caller had left.
// One that hangs keeps its place, so that only so many can.
func (t *tenants) leave(iss string, call *flight.Call[*policy]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked[iss] == call && !call.State().Running {
		delete(t.asked, iss)
	}
}

// good reports whether a policy need not be asked for again: not either, if the clock
// was set back since.
func (t *tenants) good(known *tenant, now time.Time) bool {
	left := time.Duration(known.until.Load() - now.UnixNano())
	return left > 0 && left <= t.ttl+time.Second // another may have asked a moment after now
}

// ask runs detached from whoever waits, once for an iss at a time.
func (t *tenants) ask(ctx context.Context, iss string, call *flight.Call[*policy]) (p *policy, err error) {
	err = flight.ErrAborted // this is what stays of a panic, also if nobody waits any more
	defer func() { p = t.settle(iss, call, p, err) }()
	return t.resolve(ctx, iss)
}

// settle books an answer, unless it was given before Forget. It returns the policy to
// go by: the one at hand, if the new one says the same.
func (t *tenants) settle(iss string, call *flight.Call[*policy], p *policy, err error) *policy {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked[iss] != call {
		if p != nil { // good for those who wait, and asked for again by the next
			p.owner, p.tenant = t.owner, &tenant{iss: iss}
		}
		return p
	}
	delete(t.asked, iss)
	switch {
	case err != nil:
		t.refuse(iss, outcome{fmt.Errorf("%w: %w", ErrUnavailable, err), now.Add(maxDoubt)}, now)
		return nil
	case p == nil:
		t.drop(t.known[iss])
		t.refuse(iss, outcome{nil, now.Add(min(t.ttl, maxMiss))}, now)
		return nil
	}
	delete(t.others, iss)
	e := t.known[iss]
	if e == nil {
		if t.recent.Len() >= t.max {
			t.drop(t.recent.Back())
		}
		e = t.recent.PushFront(&tenant{iss: iss})
		t.known[iss] = e
	}
	t.recent.MoveToFront(e) // who finds it by a remembered token does not
	known := e.Value.(*tenant)
	if before := known.policy.Load(); before != nil && before.same(p) {
		p = before
	} else {
		p.owner, p.tenant = t.owner, known
		known.policy.Store(p)
	}
	known.until.Store(now.Add(t.ttl).UnixNano())
	return p
}

// refuse remembers who has no policy. Where there is no room, any one goes: it costs
// another question.
func (t *tenants) refuse(iss string, v outcome, now time.Time) {
	if len(t.others) >= maxOthers {
		for other, old := range t.others {
			if delete(t.others, other); now.Before(old.until) {
				break
			}
		}
	}
	t.others[iss] = v
}

func (t *tenants) drop(e *list.Element) {
	if e == nil {
		return
	}
	gone := e.Value.(*tenant)
	gone.policy.Store(nil)
	gone.until.Store(0)
	delete(t.known, gone.iss)
	t.recent.Remove(e)
}

// forget has an iss asked for again. What is under way does not count for it.
func (t *tenants) forget(iss string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(t.known[iss])
	delete(t.others, iss)
	delete(t.asked, iss)
}

// current is the policy that is there for a policy's issuer now: as a rule, itself.
// Nil: the issuer is unknown by now.
func (t *tenants) current(ctx context.Context, p *policy) (*policy, error) {
	if p.tenant == nil || p.tenant.policy.Load() == p && t.good(p.tenant, t.now()) {
		return p, nil
	}
	return t.find(ctx, p.url)
}

// Forget has IssuerFor, or an issuer's TenantAllowed, asked again when a token of this
// iss comes: for an issuer that was added, changed or removed a moment ago.
func (v *Validator) Forget(iss string) { v.tenants.forget(iss) }

// setTenants takes over where issuers come from that are not known yet.
func (v *Validator) setTenants(cfg Config, templates []*template) []error {
	var errs []error
	if cfg.IssuerTTL < 0 || cfg.MaxIssuers < 0 {
		errs = append(errs, errors.New("jwtvalidate: IssuerTTL, MaxIssuers: negative"))
	}
	dynamic := cfg.IssuerFor != nil
	for _, t := range templates {
		if t.any {
			v.anyTenant = append(v.anyTenant, t)
		}
		dynamic = dynamic || t.allowed != nil
	}
	if !dynamic {
		if cfg.IssuerTTL != 0 || cfg.MaxIssuers != 0 {
			errs = append(errs, errors.New("jwtvalidate: IssuerTTL, MaxIssuers: only with IssuerFor or TenantAllowed"))
		}
		return errs
	}
	v.tenants = &tenants{
		owner: v, ttl: cfg.IssuerTTL, max: cfg.MaxIssuers,
		known: map[string]*list.Element{}, recent: list.New(), others: map[string]outcome{}, asked: map[string]*flight.Call[*policy]{},
	}
	if v.tenants.ttl == 0 {
		v.tenants.ttl = defaultIssuerTTL
	}
	v.tenants.ttl = min(v.tenants.ttl, maxIssuerTTL)
	if v.tenants.max == 0 {
		v.tenants.max = defaultMaxIssuers
	}
	takesDPoP := v.sources != nil && v.sources.takesDPoP()
	v.tenants.resolve = func(ctx context.Context, iss string) (*policy, error) {
		for _, t := range templates {
			if tenant, ok := t.match(iss); ok && t.allowed != nil {
				return t.resolve(ctx, tenant)
			}
		}
		if cfg.IssuerFor == nil {
			return nil, nil
		}
		issuer, err := cfg.IssuerFor(ctx, iss)
		if err != nil || issuer == nil {
			return nil, err
		}
		p, mistakes := newPolicy(*issuer)
		switch {
		case issuer.URL != iss:
			return nil, errors.New("IssuerFor: URL is not the issuer that was asked for")
		case isTemplate(issuer.URL):
			mistakes = append(mistakes, errors.New("URL: no template here"))
		case issuer.Encrypted && len(cfg.DecryptionKeys) == 0:
			mistakes = append(mistakes, errors.New("Encrypted: only with DecryptionKeys"))
		case takesDPoP && issuer.Confirm == nil:
			mistakes = append(mistakes, errors.New("Confirm: required, as Sources have the scheme DPoP"))
		}
		if err := errors.Join(mistakes...); err != nil {
			return nil, fmt.Errorf("IssuerFor: %w", err)
		}
		return p, nil
	}
	return errs
}
