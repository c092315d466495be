package jwtvalidate

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Require is middleware for a route that asks for more than a good token. Behind
// this Validator's Handler it takes the claims from there, without a second parse
// or verification; elsewhere it does what Handler does first, and never lets a
// request without claims through, Optional or not. It panics if a rule was made
// wrongly or there is none, as http.ServeMux does for a pattern. A request of your
// own making, with the context of another, must go through Handler.
func (v *Validator) Require(rules ...Rule) func(http.Handler) http.Handler {
	all := All(rules...)
	if err := all.mistake(); err != nil {
		panic(err)
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("jwtvalidate: Require: next is nil")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, before := v.claimsIn(r.Context())
			if before && v.hasAdmitted(r.Context()) {
				r = v.innermost(r, claims)
			} else { // no Handler of ours yet: claims by WithClaims count as they do there
				var ok bool
				if r, ok = v.enter(w, r, false); !ok {
					return
				}
				claims, _ = v.claimsIn(r.Context())
			}
			if err := v.apply(r.Context(), &all, claims, r); err != nil {
				v.refuse(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Allow is Require for other transports: it holds claims of CheckToken against
// rules. The error wraps ErrForbidden, ErrInsufficientScope, ErrStepUp or
// ErrUnavailable; a rule that was made wrongly is an error too, and nil claims are
// ErrNoToken. Rules about the request cannot say anything here.
func (v *Validator) Allow(ctx context.Context, c *Claims, rules ...Rule) error {
	all := All(rules...)
	if err := all.mistake(); err != nil {
		return err
	}
	if c.none() {
		return ErrNoToken
	}
	return v.apply(ctx, &all, c, nil)
}

// apply holds claims against rules, and tells when they are refused.
func (v *Validator) apply(ctx context.Context, rule *Rule, c *Claims, r *http.Request) error {
	d := v.begin()
	verdict := rule.test(c, r, v.now)
	if verdict.answer == yes {
		return nil
	}
	d.policy, d.claims, d.err = c.signer.policy, c, deny(verdict, rule)
	v.report(ctx, &d, false)
	return d.err
}

// denial is a refusal by a rule: which one, and what the challenge says.
type denial struct {
	*failure
	rule   string
	params string // of the challenge, behind the error code
	unsure bool   // the rule cannot say
	cause  error
}

// Error names the rule, which is the service's own word and nothing of the token.
func (d *denial) Error() string {
	if d.rule == "" {
		return d.text
	}
	return d.text + ": " + d.rule
}

func (d *denial) Unwrap() []error {
	if d.cause == nil {
		return []error{d.failure}
	}
	return []error{d.failure, d.cause}
}

// denialOf finds the denial that an error stands for, not one that it has for a
// cause: a Confirm or RequestRule may ask Allow.
func denialOf(err error) (*denial, bool) {
	var d *denial
	return d, errors.As(err, &d) && d.failure == failureOf(err)
}

func deny(verdict verdict, route *Rule) error {
	d := &denial{failure: forbidden, rule: verdict.rule, unsure: verdict.answer == cannotSay, cause: verdict.cause}
	if verdict.refuse != nil {
		d.failure = verdict.refuse
	}
	if d.rule == "" {
		d.rule = route.name
	}
	if errors.Is(verdict.cause, ErrUnavailable) {
		d.failure = unavailable
	}
	switch d.failure {
	case errInsufficientScope:
		if len(route.scopes) > 0 {
			d.params = `, scope="` + strings.Join(route.scopes, " ") + `"`
		}
	case errStepUp:
		if len(route.acr) > 0 {
			d.params = `, acr_values="` + strings.Join(route.acr, " ") + `"`
		}
		if route.maxAge > 0 {
			d.params += `, max_age=` + strconv.FormatInt(int64(route.maxAge/time.Second), 10)
		}
	}
	return d
}
