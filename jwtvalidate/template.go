package jwtvalidate

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// placeholder stands in an Issuer's URL for one segment, the tenant.
const placeholder = "{tenantid}"

func isTemplate(url string) bool { return strings.Contains(url, placeholder) }

// template is an Issuer for many tenants, of which each has an iss of its own.
type template struct {
	before, behind string
	base           *policy
	allowed        func(ctx context.Context, tenant string) (bool, error)
	any            bool
}

// ownedKeys is a KeySource of several issuers' keys that knows whose each is.
type ownedKeys interface {
	KeysOf(ctx context.Context, issuer, kid, alg string) ([]crypto.PublicKey, error)
}

// newTemplate makes a template of an Issuer, and the policies of the tenants that are
// known already.
func newTemplate(issuer Issuer, base *policy) (*template, []*policy, []error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	t := &template{base: base, allowed: issuer.TenantAllowed, any: issuer.InsecureAnyTenant}
	t.before, t.behind, _ = strings.Cut(issuer.URL, placeholder)
	if isTemplate(t.behind) || !strings.HasSuffix(t.before, "/") || strings.HasSuffix(t.before, "//") || t.behind != "" && t.behind[0] != '/' {
		bad("URL: %s must stand there once, as a whole segment", placeholder)
	}
	ways := 0
	for _, way := range []bool{len(issuer.Tenants) > 0, t.allowed != nil, t.any} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		bad("Tenants, TenantAllowed, InsecureAnyTenant: want exactly one of them for a URL with %s", placeholder)
	}
	if _, static := base.keys.(*staticSource); !static && !isNil(base.keys) {
		owned, ok := base.keys.(ownedKeys)
		if !ok {
			bad("Keys: want KeysOf, as a *jwkcache.Cache has it, to tell whose each key is")
		}
		base.owned = owned
	}
	var policies []*policy
	for i, tenant := range issuer.Tenants {
		if !isTenant(tenant) {
			bad("Tenants[%d]: not one segment", i)
			continue
		}
		policies = append(policies, t.policy(tenant))
	}
	return t, policies, errs
}

// isTenant reports whether a text may stand for the placeholder.
func isTenant(text string) bool {
	return text != "" && text != "." && text != ".." && len(text) <= 64 && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_' && r != '.'
	})
}

// asks reports whether it is for tenants that no list names.
func (t *template) asks() bool { return t.any || t.allowed != nil }

// match is the tenant of an iss of the template.
func (t *template) match(iss string) (string, bool) {
	tenant, ok := strings.CutPrefix(iss, t.before)
	if !ok {
		return "", false
	}
	tenant, ok = strings.CutSuffix(tenant, t.behind)
	return tenant, ok && isTenant(tenant)
}

func (t *template) resolve(ctx context.Context, tenant string) (*policy, error) {
	allowed, err := t.allowed(ctx, tenant)
	if err != nil || !allowed {
		return nil, err
	}
	return t.policy(tenant), nil
}

// policy is that of one tenant.
func (t *template) policy(tenant string) *policy {
	p := *t.base
	p.url = strings.Clone(t.before + tenant + t.behind)
	p.tenantID = strings.Clone(tenant)
	p.base = t.base
	return &p
}

// same reports whether tokens that one policy has accepted would be accepted by
// another in the same way. Functions cannot be compared: with one, they are not.
func (p *policy) same(as *policy) bool {
	if p.url != as.url || p.tenantID != as.tenantID {
		return false
	}
	if p.base != nil || as.base != nil {
		return p.base == as.base
	}
	return p.algs == as.algs && sameSource(p.keys, as.keys) && p.confirm == nil && as.confirm == nil &&
		maps.Equal(p.audiences, as.audiences) && p.allAudiences == as.allAudiences && p.audienceClaim == as.audienceClaim &&
		slices.Equal(p.types, as.types) && maps.Equal(p.kind, as.kind) && slices.Equal(p.required, as.required) &&
		p.maxLifetime == as.maxLifetime && p.encrypted == as.encrypted && p.keyID == as.keyID
}

// sameSource is ==, where that does not panic.
func sameSource(a, b KeySource) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// tenantFields finds settings of a template where there is none.
func tenantFields(issuer Issuer) error {
	if len(issuer.Tenants) > 0 || issuer.TenantAllowed != nil || issuer.InsecureAnyTenant {
		return errors.New("Tenants, TenantAllowed, InsecureAnyTenant: only for a URL with " + placeholder)
	}
	return nil
}
