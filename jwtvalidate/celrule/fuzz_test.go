package celrule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/celrule"
	"github.com/stretchr/testify/require"
)

// FuzzNew: no text makes New panic, what it says is short, and a rule that it makes ends soon with one of three
// verdicts, the opposite of which Not gives.
func FuzzNew(f *testing.F) {
	for _, expr := range []string{
		"claims.sub == request.path_values.id || 'admin' in claims.roles",
		"claims.list.all(a, claims.list.all(b, a + 0 < b + 3000))",
		"['a'].map(x, x + x).map(x, x + x).filter(x, x.size() > 1).exists_one(x, x == 'aaaa')",
		"timestamp(claims.exp) - now < duration('5m') && now.getHours('Europe/Berlin') < 18",
		"has(claims.realm.access) ? claims.text.matches('^(a?){30}b') : claims.huges[0] > 1u",
		"{'a': [1, 2.5, null, b'x']}['a'][1] in [claims.ratio] && request.query.a[0].split(',') == ['b']",
		"cidr('10.0.0.0/8').containsIP(request.client_address)",
		"google.protobuf.Struct{fields: {}} == {}", "((((", "claims.sub\x00", "\xff", "-(-(-9223372036854775808))", "\"\\U0010ffff\" == r'''\\'''", "claims.`a-b` == 1", "[?claims.?a]",
	} {
		f.Add(expr)
	}
	v, is := validator(f)
	claims := everything()
	long := make([]any, 1000)
	for i := range long {
		long[i] = i
	}
	claims["list"], claims["text"] = long, strings.Repeat("a", 3000)
	c, err := v.CheckToken(f.Context(), is.Token(claims))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, expr string) {
		start := time.Now()
		rule, err := celrule.New(expr)
		if err != nil {
			require.LessOrEqual(t, len(err.Error()), 5000)
			require.ErrorContains(t, err, "celrule: ")
		} else {
			require.Error(t, v.Allow(t.Context(), c, jwtvalidate.All(rule, jwtvalidate.Not(rule))))
			require.Contains(t, []string{pass, deny, cannot}, verdict(t, v, c, rule))
		}
		require.Less(t, time.Since(start), 20*time.Second)
	})
}
