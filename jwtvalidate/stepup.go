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

// maxActors bounds the chain of actors that is followed.
const maxActors = 8

// Actors passes if the token is used by somebody on behalf of its subject, and
// the sub of each actor of the chain is one of these (RFC 8693 section 4.1). A
// token without act cannot be said to; Claim("act").Absent asks for one.
func Actors(subjects ...string) Rule {
	subjects = slices.Clone(subjects)
	return ClaimPath{path: []string{"act"}}.rule("Actors", subjects, true, func(v any) verdict {
		all := true
		for range maxActors {
			act, _ := v.(map[string]any)
			sub, ok := act["sub"].(string)
			if !ok {
				return verdict{answer: cannotSay}
			}
			all = all && slices.Contains(subjects, sub)
			var more bool
			if v, more = act["act"]; !more {
				return is(all) // only now: behind a stranger the chain may be odd
			}
		}
		return verdict{answer: cannotSay}
	})
}

// AuthorizationDetails passes if the token has an authorization detail of that
// type (RFC 9396 section 2) for which match says so; a nil match says so of each.
// A detail is as Get gives it. Details of other types are passed over.
func AuthorizationDetails(typ string, match func(detail map[string]any) bool) Rule {
	path := ClaimPath{path: []string{"authorization_details"}}
	return path.rule("type "+typ, []string{typ}, true, func(v any) verdict {
		details, ok := v.([]any)
		found := no
		for _, e := range details {
			detail, _ := e.(map[string]any)
			has, isText := detail["type"].(string)
			ok = ok && isText
			if has == typ && (match == nil || match(detail)) {
				found = yes
			}
		}
		if !ok {
			found = cannotSay
		}
		return verdict{answer: found, refuse: errInsufficientScope}
	})
}
