package jwtvalidate

import (
	"context"
	"crypto"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// decision is what became of a request. The checks on a token's way to it stand in this
// file in their order: firstSight, read, verify, checkTime, then those of check.
type decision struct {
	start  time.Time
	policy *policy
	claims *Claims // as soon as the signature is good
	cached bool    // which was known before
	err    error
}

func (v *Validator) begin() (d decision) {
	if v.observe != nil || v.logger != nil {
		d.start = time.Now()
	}
	return d
}

func (d *decision) result() (*Claims, error) {
	if d.err != nil {
		return nil, d.err
	}
	return d.claims, nil
}

func (v *Validator) decide(ctx context.Context, d *decision, r *http.Request, c credential, err error) {
	if d.err = err; err == nil {
		d.err = v.check(ctx, d, r, c)
	}
	if d.err == nil && v.rule.test != nil {
		if verdict := v.rule.test(d.claims, r, v.now); verdict.answer != yes {
			d.err = deny(verdict, &v.rule)
		}
	}
}

// parsed pools the buffers in which tokens are taken apart.
var parsed = sync.Pool{New: func() any { return new(jose.Compact) }}

// check holds a good token against what changes: the clock, the request, and what
// was revoked.
func (v *Validator) check(ctx context.Context, d *decision, r *http.Request, c credential) error {
	if err := v.authenticate(ctx, d, c); err != nil {
		return err
	}
	if d.cached {
		if err := v.checkTime(d.policy, d.claims, v.now()); err != nil {
			return err
		}
	}
	if err := v.checkConfirmation(r, c, d.claims); err != nil {
		return err
	}
	return v.checkRevoked(ctx, d.claims)
}

// authenticate finds out whose token it is: by what is remembered of it, else anew.
func (v *Validator) authenticate(ctx context.Context, d *decision, c credential) error {
	if v.memory == nil || len(c.token) > maxLength {
		return v.firstSight(ctx, d, c, nil)
	}
	k := v.memory.keyOf(c.token)
	if hit, err := v.see(ctx, d, k); hit {
		return err
	}
	return v.firstSight(ctx, d, c, &k)
}

// firstSight reads and verifies a token, and remembers it, unless k is nil.
func (v *Validator) firstSight(ctx context.Context, d *decision, c credential, k *tokenKey) error {
	text, encrypted, err := v.open(c.token)
	if err != nil {
		return err
	}
	c.token, c.unchecked = text, c.unchecked && !encrypted
	t := parsed.Get().(*jose.Compact)
	defer parsed.Put(t)
	object, by, err := v.read(ctx, d, t, c)
	if err != nil {
		return err
	}
	if by.policy.encrypted && !encrypted {
		return ErrType
	}
	if v.lapsed(object) {
		return ErrExpired
	}
	keys, err := by.keys(ctx)
	if err != nil {
		return err
	}
	if k == nil {
		return v.verify(d, t, object, by, keys)
	}
	// Of many requests with one new token, one verifies it. The others wait for that,
	// and not for anything that has to be fetched.
	seeing := v.memory.seeingOf(k.token)
	seeing.Lock()
	defer seeing.Unlock()
	if e := v.memory.find(*k); e != nil && e.isOf(by.policy) && slices.ContainsFunc(keys, e.claims.signer.isBy) {
		d.claims, d.cached = e.claims, true
		return nil
	}
	if err := v.verify(d, t, object, by, keys); err != nil {
		return err
	}
	v.memory.store(*k, d.claims)
	return nil
}

// read is the way of a token to its policy: read strictly, choose the issuer's
// policy, bind algorithm and type. Nothing is fetched before these are known to be
// ours.
func (v *Validator) read(ctx context.Context, d *decision, t *jose.Compact, c credential) (*jose.Object, signer, error) {
	if err := t.Parse(c.token); err != nil {
		if c.unchecked && len(c.token) <= jose.MaxToken && !isToken68(c.token) {
			return nil, signer{}, ErrInvalidRequest
		}
		return nil, signer{}, ErrMalformed
	}
	alg, _ := jose.ParseAlg(t.Header.Alg) // 0: of no policy
	if !v.algs[alg] {
		return nil, signer{}, ErrAlgorithm
	}
	// The one parse of the payload. Until the signature has been verified,
	// only iss is taken from it, and only to choose the policy. The claims come
	// from this same parse, so the verified iss is the one that was chosen by.
	object, err := t.PeekPayload(jose.ClaimLimits)
	if err != nil {
		return nil, signer{}, ErrMalformed
	}
	iss, _ := object.Text("iss")
	p, err := v.policyFor(ctx, iss)
	if err != nil {
		return nil, signer{}, err
	}
	if p == nil {
		return nil, signer{}, ErrUnknownIssuer
	}
	d.policy = p
	if !p.algs[alg] {
		return nil, signer{}, ErrAlgorithm
	}
	if !p.allowsType(&t.Header) {
		return nil, signer{}, ErrType
	}
	return object, signer{policy: p, alg: alg, keyID: p.keyIDOf(&t.Header)}, nil
}

// verify checks the signature, once, and then holds the claims against the policy.
func (v *Validator) verify(d *decision, t *jose.Compact, object *jose.Object, by signer, keys []crypto.PublicKey) error {
	var err error
	if by.key, err = by.verify(keys, t); err != nil {
		return err
	}
	claims, err := newClaims(object, by.policy.url, by)
	if err != nil {
		return err
	}
	d.claims = claims
	if err := v.checkTime(by.policy, claims, v.now()); err != nil {
		return err
	}
	return by.policy.checkClaims(claims)
}

// lapsed reports whether a token that nobody has verified yet says that it has expired.
// Who sends it knows that already, and the answer is that to a forged one: it is not
// worth a key or a signature check. Whatever else exp is, is looked at behind those.
func (v *Validator) lapsed(object *jose.Object) bool {
	raw, has := object.Raw("exp")
	if !has {
		return false
	}
	exp, valid := numericDate(raw)
	return valid && !v.now().Before(exp.Add(v.leeway))
}

// checkTime holds exp, nbf and iat against the clock (RFC 7519 section 4.1).
func (v *Validator) checkTime(p *policy, c *Claims, now time.Time) error {
	if c.expiry.IsZero() {
		return ErrMissingClaim
	}
	if !now.Before(c.expiry.Add(v.leeway)) {
		return ErrExpired
	}
	latest := now.Add(v.leeway)
	if c.notBefore.After(latest) || c.issued.After(latest) {
		return ErrNotYetValid
	}
	if p.maxLifetime > 0 {
		if c.issued.IsZero() {
			return ErrMissingClaim
		}
		if c.expiry.Sub(c.issued) > p.maxLifetime {
			return ErrLifetime
		}
	}
	return nil
}
