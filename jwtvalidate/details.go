package jwtvalidate

import "net/http"

// AuthorizationDetails passes if the token has an authorization detail of that
// type (RFC 9396 section 2) for which match says so; a nil match says so of each.
// A detail is as Get gives it. Details of other types are passed over.
func AuthorizationDetails(typ string, match func(detail map[string]any) bool) Rule {
	rule := ClaimPath{path: []string{"authorization_details"}}.rule("type", []string{typ}, true, func(v any) verdict {
		details, ok := v.([]any)
		found := no
		for _, e := range details {
			detail, _ := e.(map[string]any)
			has, isText := detail["type"].(string)
			ok = ok && isText
			if has == typ && (match == nil || match(clone(detail).(map[string]any))) {
				found = yes
			}
		}
		if !ok {
			found = cannotSay
		}
		return verdict{answer: found}
	})
	rule.name = "AuthorizationDetails(" + typ + ")"
	if test := rule.test; test != nil { // a token without any lacks this one too
		rule.test = func(c *Claims, r *http.Request, now clock) verdict {
			v := test(c, r, now)
			v.refuse = errInsufficientScope
			return v
		}
	}
	return rule
}
