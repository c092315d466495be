package celrule_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/celrule"
	"github.com/stretchr/testify/require"
)

// FAULT 1: a number that cannot be said is equal to any other value of a list or map, and in passes over it.
func TestNumberTooLargeWithinAClaimIsEqualToNothing(t *testing.T) {
	v, is := validator(t)
	huge := json.Number("18446744073709551616")
	c, err := v.CheckToken(t.Context(), is.Token(map[string]any{
		"tenants": []any{huge}, "limits": map[string]any{"amount": json.Number("1e400")}, "realm": map[string]any{"ids": []any{huge, 5}}, "own": []any{42},
	}))
	require.NoError(t, err)
	for _, expr := range []string{
		"claims.tenants == [42]",                     // passes
		"claims.tenants == claims.own",               // passes
		"claims.tenants == ['root']",                 // passes, of another type even
		"claims.limits == {'amount': 100}",           // passes
		"claims.realm.ids == [1, 5]",                 // passes
		"[claims.tenants] == [[42]]",                 // passes
		"claims.own == claims.tenants",               // passes
		"[[42]].exists(l, l == claims.tenants)",      // passes
		"claims.tenants in [[42]]",                   // passes
		"!(18446744073709551615u in claims.tenants)", // passes: no rather than cannot say
		"claims.tenants != [42]",                     // a plain no, whose opposite passes
	} {
		require.Equal(t, cannot, verdict(t, v, c, made(t, expr)), expr)
	}
}

// FAULT 2: a malformed query is parsed again for each element of a macro: seconds for one request of 24 KiB.
func TestMalformedQueryWithinAMacroIsReadOnce(t *testing.T) {
	v, is := validator(t)
	rule := made(t, "request.headers['x-tag'].exists(t, t in request.query.tag)")
	r := httptest.NewRequest(http.MethodGet, "/?"+strings.Repeat("a=%41&", 2600)+";", nil)
	r.Header.Set("Authorization", "Bearer "+is.Token(nil))
	r.Header["X-Tag"] = make([]string, 4000)
	w := httptest.NewRecorder()
	start := time.Now()
	v.Require(rule)(http.NotFoundHandler()).ServeHTTP(w, r)
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Less(t, time.Since(start), 400*time.Millisecond)
}

// FAULT 3: a header of very many values is gone through at each look-up before it is refused.
func TestHeaderOfManyValuesWithinAMacro(t *testing.T) {
	v, is := validator(t)
	rule := made(t, "request.headers['x-tag'].exists(t, t in request.headers['x-allowed'])")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+is.Token(nil))
	r.Header["X-Tag"] = make([]string, 4000)
	r.Header["X-Allowed"] = make([]string, 200_000)
	w := httptest.NewRecorder()
	start := time.Now()
	v.Require(rule)(http.NotFoundHandler()).ServeHTTP(w, r)
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Less(t, time.Since(start), 100*time.Millisecond)
}

// FAULT 4: the type of a chain of maps of maps doubles with each, and New takes for ever (16: 15 s; 30: days).
func TestMapsOfMapsAreRefusedAtOnce(t *testing.T) {
	for _, expr := range []string{
		"[1]" + strings.Repeat(".map(x, {x: x})", 15) + ".size() == 1",
		"[1]" + strings.Repeat(".map(x, {x: x})", 15) + " == 1",
	} {
		start := time.Now()
		_, err := celrule.New(expr)
		require.Error(t, err)
		require.Less(t, time.Since(start), 2*time.Second)
	}
}

// FAULT 5: a variable of an inner macro hides that of the outer: r == r is always true.
func TestHiddenMacroVariables(t *testing.T) {
	for _, expr := range []string{
		"claims.roles.exists(r, claims.allowed.exists(r, r == r))",
		"claims.roles.all(r, request.headers.a.exists(r, r == 'a'))",
	} {
		_, err := celrule.New(expr)
		require.ErrorContains(t, err, "celrule: 1:", expr)
	}
	made(t, "claims.a.exists(r, r == 'a') && claims.b.exists(r, r == 'b')") // one behind the other is clear
}

// All kinds of errors at once, for the race detector.
func TestErrorsOfAllKindsConcurrently(t *testing.T) {
	v, is := validator(t)
	c, err := v.CheckToken(t.Context(), is.Token(everything()))
	require.NoError(t, err)
	var rules []jwtvalidate.Rule
	for _, expr := range []string{
		"claims.most + 1 == 1", "claims.level / 0 == 1", "claims.level % 0 == 1", "claims.uint + 1u == 1u", "timestamp(claims.most) < now", "timestamp(string(claims.most)) < now",
		"-claims.minus > 'a'", "claims.tenant.x == 1", "claims.level.x.y == 1", "claims.roles.x == 1", "claims.roles[9] == 1", "claims.realm[1] == 1", "has(claims.tenant.x)",
		"int(claims.tenant) == 1", "duration(claims.tenant) > duration('1s')", "cidr(claims.tenant).containsIP('10.0.0.1')", "cidr('10.0.0.0/8').containsIP(claims.tenant)",
		"claims.level.matches('a')", "claims.level.getHours('UTC') == 1", "claims.level.exists(x, true)", "claims.level ? true : false", "!claims.level", "claims.level && true", "claims.level || false",
		"claims.huge == 1", "claims.tenant.charAt(99) == ''", "(claims.yes ? claims.level : claims.no).a == 1", "claims.roles.exists(r, r > 1)", "claims.roles.all(r, r)", "claims.roles.map(r, r + 0) == []",
		"now + duration('1000000h') > claims.level", "timestamp('9999-12-31T23:59:59Z') + duration('24h') > now", "claims.level in claims.tenant", "size(claims.level) == 1", "claims[claims.tenant] == 1",
		"timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z') > duration('1s')",
	} {
		rules = append(rules, made(t, expr))
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				for _, rule := range rules {
					if v.Allow(t.Context(), c, rule) == nil || v.Allow(t.Context(), c, jwtvalidate.Not(rule)) == nil {
						t.Error("passed")
					}
				}
			}
		})
	}
	all.Wait()
}

// FAULT 6: large literals within a macro are gone through for each element, and cost nothing.
func TestLiteralsAreWork(t *testing.T) {
	v, is := validator(t)
	long := make([]any, 4000)
	for i := range long {
		long[i] = 1
	}
	c, err := v.CheckToken(t.Context(), is.Token(map[string]any{"l": long}))
	require.NoError(t, err)
	ones := "[" + strings.Repeat("1,", 1900) + "1]"
	for _, expr := range []string{
		"claims.l.all(a, " + ones + " == " + ones + ")",
		"claims.l.all(a, !([2] in [" + strings.Repeat("[1],", 999) + "[1]]))",
		"claims.l.all(a, '" + strings.Repeat("a", 8000) + "'.charAt(0) == 'a')",
		"claims.l.all(a, '" + strings.Repeat("a", 8000) + "'.substring(0, 1) == 'a')",
	} {
		require.ErrorContains(t, cause(v.Allow(t.Context(), c, made(t, expr))), "too much work", expr[:40])
	}
}
