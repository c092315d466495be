package jwtvalidate

import "slices"

// maxActors bounds the chain of actors that is followed.
const maxActors = 8

// Actors passes if the token is used by somebody on behalf of its subject, and
// the sub of each actor of the chain is one of these, at most eight. That is more
// than RFC 8693 section 4.1 has, by which only the outermost act decides and those
// within it inform: for that, Claim("act", "sub").AnyOf. A token without act cannot
// be said to; Claim("act").Absent asks for one.
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
