package clientcreds

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Target is what a token is for, where that differs between requests. What is zero
// is as the Config has it.
type Target struct {
	Audience string   // sent as audience, as Auth0 has it
	Resource string   // sent as resource (RFC 8707)
	Scopes   []string // in any order
}

type targetKey struct{}

// WithTarget says for which Target a request with this context needs its token. It
// goes before KeyFunc. The slice is not to be changed after.
func WithTarget(ctx context.Context, t Target) context.Context {
	return context.WithValue(ctx, targetKey{}, t)
}

func targetFrom(ctx context.Context) (Target, bool) {
	t, ok := ctx.Value(targetKey{}).(Target)
	return t, ok
}

func (t Target) zero() bool { return t.Audience == "" && t.Resource == "" && len(t.Scopes) == 0 }

// appendKey writes the key of the target: the same for the same scopes in any
// order. No part can hold the byte between them: only what is allowed is looked up
// for long, and that was checked.
func (t Target) appendKey(b []byte) []byte {
	scopes := t.Scopes
	if !slices.IsSorted(scopes) {
		scopes = slices.Sorted(slices.Values(scopes))
	}
	b = append(append(append(append(b, t.Audience...), 0), t.Resource...), 0)
	for i, scope := range scopes {
		if i == 0 || scope != scopes[i-1] {
			b = append(append(b, scope...), ' ')
		}
	}
	return b
}

// target is a Target filled up from the Config, and checked.
type target struct {
	audience  string
	resources []string
	scopes    []string
}

// policy says which targets there are.
type policy struct {
	own                          target // of the Config
	audiences, resources, scopes set
}

type set map[string]struct{}

func setOf(lists ...[]string) set {
	s := set{}
	for _, v := range slices.Concat(lists...) {
		s[v] = struct{}{}
	}
	return s
}

func (s set) has(v string) bool { _, ok := s[v]; return ok }

// newPolicy allows what the Config itself asks for, and what it lists.
func newPolicy(cfg Config) policy {
	return policy{
		own:       target{cfg.Audience, slices.Clone(cfg.Resources), slices.Clone(cfg.Scopes)},
		audiences: setOf(cfg.AllowedAudiences, []string{cfg.Audience}),
		resources: setOf(cfg.AllowedResources, cfg.Resources),
		scopes:    setOf(cfg.AllowedScopes, cfg.Scopes),
	}
}

// resolve checks a target. The names in it may come from a request: errors do not
// repeat them.
func (p policy) resolve(t Target) (target, error) {
	to := p.own
	if t.Audience != "" {
		if !p.audiences.has(t.Audience) {
			return target{}, fmt.Errorf("%w: not one of AllowedAudiences", ErrTarget)
		}
		to.audience = t.Audience
	}
	if t.Resource != "" {
		if !p.resources.has(t.Resource) {
			return target{}, fmt.Errorf("%w: not one of AllowedResources", ErrTarget)
		}
		to.resources = []string{t.Resource}
	}
	if len(t.Scopes) > 0 {
		for _, scope := range t.Scopes {
			if !p.scopes.has(scope) {
				return target{}, fmt.Errorf("%w: not all in AllowedScopes", ErrTarget)
			}
		}
		to.scopes = slices.Compact(slices.Sorted(slices.Values(t.Scopes)))
	}
	return to, nil
}

// checkScope: RFC 6749 section 3.3.
func checkScope(scope string) bool {
	return scope != "" && !strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r == '"' || r == '\\' || r > '~' })
}

// checkResource: RFC 8707 section 2, an absolute URI without a fragment.
func checkResource(resource string) bool {
	u, err := url.Parse(resource)
	return err == nil && u.IsAbs() && !strings.Contains(resource, "#") && visible(resource)
}
