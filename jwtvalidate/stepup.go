package jwtvalidate

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// MaxAuthAge passes if the user has authenticated, by auth_time, no longer ago
// than this. Who has not is asked to do so again (RFC 9470). Without auth_time,
// or with one more than a minute in the future, it cannot say, and asks too.
func MaxAuthAge(age time.Duration) Rule {
	name := "MaxAuthAge(" + age.String() + ")"
	if age < time.Second || age%time.Second != 0 {
		return invalid(name, "want whole seconds, at least one")
	}
	return Rule{name: name, maxAge: age, test: func(c *Claims, _ *http.Request, now clock) verdict {
		raw, _ := c.object.Raw("auth_time")
		if raw == "" {
			return verdict{answer: cannotSay, refuse: errStepUp}
		}
		at, ok := numericDate(raw)
		if !ok || at.After(now().Add(maxLeeway)) {
			return verdict{answer: cannotSay, refuse: errStepUp}
		}
		v := is(now().Sub(at) <= age)
		v.refuse = errStepUp
		return v
	}}
}

// ACR passes if acr is one of the values. Who has authenticated otherwise is
// asked for one of them, in this order of preference (RFC 9470).
func ACR(values ...string) Rule {
	values = slices.Clone(values)
	name := "ACR(" + strings.Join(values, " ") + ")"
	if len(values) == 0 || slices.ContainsFunc(values, func(v string) bool { return !isScope(v) }) {
		return invalid(name, `want values of printable ASCII without space, " and \`)
	}
	return Rule{name: name, acr: values, test: func(c *Claims, _ *http.Request, _ clock) verdict {
		acr, ok := c.object.Text("acr")
		v := sure(ok, slices.Contains(values, acr))
		v.refuse = errStepUp
		return v
	}}
}
