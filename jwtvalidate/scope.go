package jwtvalidate

import (
	"net/http"
	"strings"
)

// AllScopes passes if the token has every one of the scopes: words of the string
// scope (RFC 9068 section 2.2.3) or, where there is no scope, of scp, which
// may be an array too. A request that lacks one is told which the route needs. A
// scope that is an array cannot say: for such issuers, Claim("scope").AllScopes.
func AllScopes(scopes ...string) Rule { return ClaimPath{}.scopes("AllScopes", scopes, yes) }

// AnyScope passes if the token has one of the scopes, found as for [AllScopes].
func AnyScope(scopes ...string) Rule { return ClaimPath{}.scopes("AnyScope", scopes, no) }

// AllScopes is the rule of that name for tokens that have their scopes elsewhere,
// in a string of words or in an array.
func (p ClaimPath) AllScopes(scopes ...string) Rule {
	return p.elsewhere("AllScopes", scopes, yes)
}

// AnyScope is the rule of that name for tokens that have their scopes elsewhere.
func (p ClaimPath) AnyScope(scopes ...string) Rule {
	return p.elsewhere("AnyScope", scopes, no)
}

func (p ClaimPath) elsewhere(name string, scopes []string, all answer) Rule {
	if p.words = false; p.Exists().err != nil {
		return p.Exists()
	}
	return p.scopes(name, scopes, all)
}

// scopes makes a scope rule; without a path, for scope or scp. It goes on while a
// scope's answer is going.
func (p ClaimPath) scopes(name string, scopes []string, going answer) Rule {
	if len(p.path) > 0 {
		name = p.String() + "." + name
	}
	name += "(" + strings.Join(scopes, " ") + ")"
	if len(scopes) == 0 {
		return invalid(name, "no scopes")
	}
	for _, s := range scopes {
		if !isScope(s) {
			return invalid(name, "%q is no scope (RFC 6749 section 3.3): one argument for each", s)
		}
	}
	p.words = true
	rule := Rule{name: name}
	rule.needs(Rule{scopes: scopes}) // each once
	words := newWords(rule.scopes)
	rule.test = func(c *Claims, _ *http.Request, _ clock) verdict {
		last := going
		for i := range words {
			if last = p.hasScope(c, &words[i]); last != going {
				break
			}
		}
		return verdict{answer: last, refuse: errInsufficientScope}
	}
	return rule
}

func (p *ClaimPath) hasScope(c *Claims, scope *word) answer {
	if len(p.path) > 0 {
		return p.hasIn(c, scope)
	}
	text, ok := c.object.Text("scope")
	switch {
	case ok:
		return is(scope.in(text)).answer
	case c.object.Has("scope"):
		return cannotSay
	}
	return scp.hasIn(c, scope)
}

func (p *ClaimPath) hasIn(c *Claims, scope *word) answer {
	v, ok := p.value(c)
	if !ok {
		return cannotSay
	}
	return p.has(v, scope)
}

var scp = ClaimPath{path: []string{"scp"}, words: true}

// isScope is the scope-token of RFC 6749 section 3.3: %x21 / %x23-5B / %x5D-7E.
func isScope(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c > 0x7E || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}
