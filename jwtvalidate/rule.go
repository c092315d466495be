package jwtvalidate

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Rule is something that a verified token, or the request that brings it, must
// satisfy. It is made by the functions of this package, and checked when it is
// made: what is wrong with it, such as an empty list, fails New, Require and
// Allow. The zero Rule is such a mistake.
//
// A rule says yes, no, or that it cannot say, because a claim is missing or has
// an unexpected type, or because a function of yours returned an error. Only yes
// passes; Not turns a plain no into yes and leaves cannot say as it is.
type Rule struct {
	test   func(c *Claims, r *http.Request, now clock) verdict
	name   string
	scopes []string // that it asks for, for the challenge
	acr    []string // RFC 9470 section 3: what a step-up must reach
	maxAge time.Duration
	err    error // of its making
}

// clock is asked by the few rules that need the time.
type clock = func() time.Time

type answer uint8

const (
	no answer = iota // the zero value: nothing passes by omission
	cannotSay
	yes
)

// verdict is a rule's answer; if it is not yes, which rule said so, and how the
// request is refused for it.
type verdict struct {
	answer answer
	refuse *failure // nil: forbidden
	rule   string
	cause  error // of cannotSay: what a function of the user's returned
}

func is(b bool) verdict {
	if b {
		return verdict{answer: yes}
	}
	return verdict{}
}

func invalid(name, format string, args ...any) Rule {
	return Rule{name: name, err: fmt.Errorf("jwtvalidate: rule %s: "+format, append([]any{name}, args...)...)}
}

// All passes if every one of the rules does.
func All(rules ...Rule) Rule {
	if len(rules) == 1 {
		return rules[0]
	}
	rules = slices.Clone(rules)
	return combine("All", rules, func(c *Claims, r *http.Request, now clock) verdict {
		return first(no, yes, rules, c, r, now)
	})
}

// Any passes if one of the rules does, whatever the others say.
func Any(rules ...Rule) Rule {
	rules = slices.Clone(rules)
	return combine("Any", rules, func(c *Claims, r *http.Request, now clock) verdict {
		return first(yes, no, rules, c, r, now)
	})
}

// first is the first verdict with the answer that decides; without one, an outage
// or another error of a function of the user's; else the first, which cannot say
// if any of them cannot.
func first(decides, otherwise answer, rules []Rule, c *Claims, r *http.Request, now clock) verdict {
	result := verdict{answer: otherwise}
	refused, unsure := false, false
	for i := range rules {
		v := rules[i].test(c, r, now)
		if v.answer == decides {
			return v.of(&rules[i])
		}
		if v.answer == yes {
			continue
		}
		if !refused || v.weight() > result.weight() {
			result = v.of(&rules[i])
		}
		refused, unsure = true, unsure || v.answer == cannotSay
	}
	if unsure {
		result.answer = cannotSay
	}
	return result
}

func (v verdict) of(rule *Rule) verdict {
	if v.rule == "" {
		v.rule = rule.name
	}
	return v
}

// weight orders refusals: an outage above all, since it may pass.
func (v *verdict) weight() int {
	switch {
	case v.answer != cannotSay || v.cause == nil:
		return 0
	case errors.Is(v.cause, ErrUnavailable):
		return 2
	}
	return 1
}

// Not passes if the rule says no. It does not pass if the rule cannot say: to ask
// that a claim be absent, say Claim(…).Absent.
func Not(rule Rule) Rule {
	return combine("Not", []Rule{rule}, func(c *Claims, r *http.Request, now clock) verdict {
		v := rule.test(c, r, now)
		switch v.answer {
		case yes:
			return verdict{}
		case no:
			return verdict{answer: yes}
		}
		v.refuse = nil // no scope or step-up would help
		return v
	})
}

func combine(name string, rules []Rule, test func(*Claims, *http.Request, clock) verdict) Rule {
	if len(rules) == 0 {
		return invalid(name, "no rules")
	}
	all := Rule{test: test}
	names := make([]string, len(rules))
	var errs []error
	for i, rule := range rules {
		names[i] = rule.name
		errs = append(errs, rule.mistake())
		if name != "Not" {
			all.needs(rule)
		}
	}
	all.name, all.err = name+"("+strings.Join(names, ", ")+")", errors.Join(errs...)
	return all
}

// needs adds what another rule asks for to the challenge of this one.
func (rule *Rule) needs(other Rule) {
	for _, s := range other.scopes {
		if !slices.Contains(rule.scopes, s) {
			rule.scopes = append(rule.scopes, s)
		}
	}
	for _, a := range other.acr {
		if !slices.Contains(rule.acr, a) {
			rule.acr = append(rule.acr, a)
		}
	}
	if other.maxAge > 0 && (rule.maxAge == 0 || other.maxAge < rule.maxAge) {
		rule.maxAge = other.maxAge
	}
}

func (rule *Rule) mistake() error {
	if rule.err == nil && rule.test == nil {
		return errors.New("jwtvalidate: a zero Rule")
	}
	return rule.err
}

// RequestRule is a rule of your own on the request and its claims, such as that
// the subject owns what the path names. A nil error passes. ErrForbidden, or an
// error that wraps it, is a plain no; any other error says that it cannot say,
// and is answered 503 if it wraps ErrUnavailable, else 403. Where there is no
// request, as for CheckToken and Allow, it cannot say. A panic passes through to
// the server, and the handlers behind do not run.
func RequestRule(check func(r *http.Request, c *Claims) error) Rule {
	const name = "RequestRule"
	if check == nil {
		return invalid(name, "no function")
	}
	return Rule{name: name, test: func(c *Claims, r *http.Request, _ clock) verdict {
		if r == nil {
			return verdict{answer: cannotSay}
		}
		return verdictOf(check(r, c))
	}}
}

// ClaimsRule is a rule of your own on the claims alone. It answers as RequestRule
// does, and also where there is no request.
func ClaimsRule(check func(c *Claims) error) Rule {
	const name = "ClaimsRule"
	if check == nil {
		return invalid(name, "no function")
	}
	return Rule{name: name, test: func(c *Claims, _ *http.Request, _ clock) verdict { return verdictOf(check(c)) }}
}

// verdictOf reads what a function of the user's returned.
func verdictOf(err error) verdict {
	var asked *denial // by Allow
	switch {
	case err == nil:
		return verdict{answer: yes}
	case errors.As(err, &asked) && asked.unsure:
	case errors.Is(err, ErrForbidden) && !errors.Is(err, ErrUnavailable):
		return verdict{cause: err}
	}
	return verdict{answer: cannotSay, cause: err}
}

// Named gives a rule the name under which Observe tells that it refused.
func (rule Rule) Named(name string) Rule {
	inner := rule.test
	if rule.name = name; inner == nil {
		return rule
	}
	rule.test = func(c *Claims, r *http.Request, now clock) verdict {
		v := inner(c, r, now)
		v.rule = name
		return v
	}
	return rule
}
