package celrule_test

import (
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/stretchr/testify/require"
)

// BenchmarkClaims is what Allow takes with one rule; the first row is with a built-in one.
func BenchmarkClaims(b *testing.B) {
	v, is := validator(b)
	c, err := v.CheckToken(b.Context(), is.Token(typical()))
	require.NoError(b, err)
	bench := func(name string, rule jwtvalidate.Rule) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := v.Allow(b.Context(), c, rule); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	bench("built-in", jwtvalidate.Claim("roles").AnyOf("admin"))
	for _, expr := range []string{
		"claims.level >= 3",
		"claims.sub == 'user' && claims.tenant == 'acme'",
		"'admin' in claims.roles",
		"'admin' in claims.realm_access.roles",
		"claims.roles.exists(r, r in ['admin', 'owner'])",
		"timestamp(claims.exp) - now > duration('5m')",
		"(now.getDayOfWeek('Europe/Berlin') + 6) % 7 <= 6",
		"claims.sub.matches('^[a-z]+$')",
	} {
		bench(expr, made(b, expr))
	}
}

// BenchmarkRequest is what a request takes whose token was seen before; the first row is without a rule.
func BenchmarkRequest(b *testing.B) {
	_, is := validator(b)
	token := is.Token(typical())
	bench := func(name string, rules ...jwtvalidate.Rule) {
		b.Run(name, func(b *testing.B) {
			v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{is.Policy()}, Rules: rules})
			require.NoError(b, err)
			r := httptest.NewRequest("GET", "/users/user?page=2", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("X-Tenant", "acme")
			r.SetPathValue("id", "user")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Check(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	bench("none")
	for _, expr := range []string{
		"request.method == 'GET'",
		"claims.sub == request.path_values.id",
		"request.headers['x-tenant'][0] == claims.tenant",
		"request.query.page == ['2']",
		"cidr('192.0.2.0/24').containsIP(request.client_address)",
	} {
		bench(expr, made(b, expr))
	}
}

// BenchmarkRefusal is a rule that cannot say, and one whose work is stopped.
func BenchmarkRefusal(b *testing.B) {
	v, is := validator(b)
	claims := typical()
	long := make([]any, 2000)
	for i := range long {
		long[i] = i
	}
	claims["list"] = long
	c, err := v.CheckToken(b.Context(), is.Token(claims))
	require.NoError(b, err)
	for _, expr := range []string{"claims.level == 4", "claims.missing == 1", "claims.list.all(a, claims.list.all(b, a + 0 < b + 3000))"} {
		rule := made(b, expr)
		b.Run(expr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v.Allow(b.Context(), c, rule) == nil {
					b.Fatal("passed")
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		made(b, "claims.sub == request.path_values.id || 'admin' in claims.roles")
	}
}

func typical() map[string]any {
	return map[string]any{
		"tenant": "acme", "level": 3, "roles": []string{"clerk", "auditor", "admin"},
		"realm_access": map[string]any{"roles": []string{"clerk", "admin"}},
	}
}
