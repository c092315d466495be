package celrule_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/celrule"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
	"github.com/stretchr/testify/require"
)

const (
	pass     = "yes"
	deny     = "no"
	cannot   = "cannot say"
	saturday = "2026-11-21T10:00:00Z"
)

func validator(tb testing.TB) (*jwtvalidate.Validator, *jwttest.Issuer) {
	tb.Helper()
	is := jwttest.New(tb)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{is.Policy()}})
	require.NoError(tb, err)
	return v, is
}

func made(tb testing.TB, expr string) jwtvalidate.Rule {
	tb.Helper()
	rule, err := celrule.New(expr)
	require.NoError(tb, err, expr)
	return rule
}

// everything is a claim of each JSON type, and of each odd kind of number.
func everything() map[string]any {
	return map[string]any{
		"tenant": "acme", "empty": "", "yes": true, "no": false,
		"level": 3, "ratio": 1.5, "exponent": json.Number("1e3"), "minus": -7,
		"exact": json.Number("9007199254740993"), "most": json.Number("9223372036854775807"),
		"uint": json.Number("18446744073709551615"), "huge": json.Number("18446744073709551616"), "infinite": json.Number("1e400"),
		"roles": []any{"clerk", "admin"}, "mixed": []any{1, "a", nil, true, []any{2}}, "huges": []any{json.Number("18446744073709551616"), 5},
		"nothing": map[string]any{"here": nil}, "realm": map[string]any{"access": map[string]any{"roles": []any{"admin"}}},
		"https://example.com/roles": []any{"owner"}, "days": []any{6, 0},
	}
}

// verdict asks a rule, and its opposite, about claims where there is no request.
func verdict(tb testing.TB, v *jwtvalidate.Validator, c *jwtvalidate.Claims, rule jwtvalidate.Rule) string {
	tb.Helper()
	err, opposite := v.Allow(tb.Context(), c, rule), v.Allow(tb.Context(), c, jwtvalidate.Not(rule))
	switch {
	case err == nil:
		require.ErrorIs(tb, opposite, jwtvalidate.ErrForbidden)
		return pass
	case opposite == nil:
		require.ErrorIs(tb, err, jwtvalidate.ErrForbidden)
		return deny
	}
	require.ErrorIs(tb, err, jwtvalidate.ErrForbidden)
	return cannot
}

func TestClaims(t *testing.T) {
	v, is := validator(t)
	c, err := v.CheckToken(t.Context(), is.Token(everything()))
	require.NoError(t, err)
	now, err := time.Parse(time.RFC3339, saturday)
	require.NoError(t, err)

	for _, row := range []struct{ expr, want string }{
		{"claims.sub == 'user'", pass},
		{"claims.sub == 'User'", deny},
		{"claims['tenant'] == \"acme\"", pass},
		{"claims.level == 3 && claims.level < 3.5", pass},
		{"claims.level == '3'", deny},
		{"claims.level > 3", deny},
		{"claims.level > '3'", cannot},
		{"claims.ratio == 1.5", pass},
		{"claims.exponent == 1000", pass},
		{"claims.minus + 8 == 1", pass},
		{"claims.level + claims.ratio == 4.5", cannot}, // CEL adds like to like
		{"double(claims.level) + claims.ratio == 4.5", pass},

		{"claims.exact == 9007199254740993", pass},
		{"claims.exact == 9007199254740992", deny},
		{"claims.most == 9223372036854775807", pass},
		{"claims.most + 1 > 0", cannot},
		{"claims.uint == 18446744073709551615u", pass},
		{"claims.huge == claims.huge", cannot},
		{"claims.huge > 1.0", cannot},
		{"claims.infinite > 1.0", cannot},
		{"5 in claims.huges", cannot},
		{"claims.huges == [1, 5]", cannot},
		{"6 in claims.huges", cannot},
		{"[claims.huges] == [[1, 5]]", cannot},
		{"claims.huges.exists(n, n == 6)", cannot},

		{"claims.yes", pass},
		{"claims.no", deny},
		{"claims.tenant", cannot},
		{"claims.yes && claims.tenant", cannot},
		{"claims.nothing.here == null", pass},
		{"claims.nothing.here == ''", deny},
		{"has(claims.nothing.here)", pass},
		{"claims.empty == ''", pass},

		{"claims.missing == 'a'", cannot},
		{"claims.missing != 'a'", cannot},
		{"!(claims.missing == 'a')", cannot},
		{"has(claims.missing)", deny},
		{"'missing' in claims", deny},
		{"'huge' in claims", cannot},
		{"'tenant' in claims && has(claims.tenant)", pass},
		{"has(claims.missing) && claims.missing == 'a'", deny},
		{"!has(claims.missing) || claims.missing == 'a'", pass},
		{"claims.missing == 'a' || claims.tenant == 'acme'", pass}, // as Any
		{"claims.missing == 'a' && claims.tenant == 'other'", deny},
		{"has(claims.realm.access.roles)", pass},
		{"has(claims.realm.access.other)", deny},
		{"has(claims.missing.roles)", cannot},
		{"has(claims.tenant.roles)", cannot},

		{"'admin' in claims.roles", pass},
		{"'Admin' in claims.roles", deny},
		{"'admin' in claims.tenant", cannot},
		{"claims.roles == ['clerk', 'admin']", pass},
		{"claims.roles == 'admin'", deny},
		{"claims.roles[1] == 'admin'", pass},
		{"claims.roles[2] == 'admin'", cannot},
		{"claims.roles['a'] == 'admin'", cannot},
		{"claims[claims.tenant] == 1", cannot},
		{"'admin' in claims.realm.access.roles", pass},
		{"'owner' in claims['https://example.com/roles']", pass},
		{"claims.mixed.exists(m, m == 1) && claims.mixed.exists(m, m == null) && [2] in claims.mixed", pass},
		{"size(claims.roles) == 2 && size(claims.realm) == 1", pass},
		{"size(claims.level) == 1", cannot},

		{"claims.roles.exists(r, r in ['admin', 'owner'])", pass},
		{"claims.roles.all(r, r.startsWith('a'))", deny},
		{"claims.roles.exists_one(r, r == 'admin')", pass},
		{"claims.roles.filter(r, r.endsWith('min')).size() == 1", pass},
		{"claims.roles.map(r, r + '!')[0] == 'clerk!'", pass},
		{"['a', 'b'].map(r, r + r) == ['aa', 'bb']", pass},
		{"claims.roles.exists(r, claims.realm.access.roles.exists(s, s == r))", pass},
		{"claims.roles.all(r, claims.realm != claims.nothing)", pass},
		{"[b'a'].map(b, b + b) == [b'aa']", pass},
		{"[[1]].map(l, l)[0] + [2] == [1, 2]", pass},
		{"claims.level.exists(r, r == 1)", cannot},

		{"claims.tenant.matches('^ac.e$')", pass},
		{"claims.tenant.matches('^c')", deny},
		{"claims.level.matches('3')", cannot},
		{"matches(claims.tenant, 'm')", pass},
		{"claims.tenant.upperAscii() == 'ACME' && ' a,b '.trim().split(',')[1] == 'b'", pass},
		{"claims.level / 0 == 1", cannot},
		{"claims.level % 0 == 1", cannot},
		{"int(claims.tenant) == 1", cannot},
		{"type(claims.level) == int && type(claims.ratio) == double", pass},

		{"now == timestamp('" + saturday + "') && timestamp(now) == now", pass},
		{"timestamp(claims.exp) > now", pass},
		{"timestamp(claims.exp) - timestamp(claims.iat) <= duration('1h')", pass},
		{"timestamp(claims.exponent) < now", cannot}, // a double is no time
		{"timestamp(int(claims.exponent)) < now", pass},
		{"timestamp(claims.exact) < now", cannot},
		{"(timestamp(now).getDayOfWeek() + 6) % 7 <= 4", deny},
		{"now.getDayOfWeek() in claims.days", pass},
		{"now.getHours() == 10 && now.getHours('Europe/Berlin') == 11 && now.getHours('-05:30') == 4", pass},
		{"claims.level.getHours('Europe/Berlin') == 11", cannot},
		{"true", pass},
		{".claims.tenant == 'acme' && claims.realm['access'].roles.size() == 1", pass},
		{"(has(claims.missing) ? claims.missing : claims.tenant) == 'acme'", pass},
		{"claims.yes ? claims.no : claims.missing", deny},
		{"claims.tenant == '\x00'", deny},
	} {
		t.Run(row.expr, func(t *testing.T) {
			rule, err := celrule.NewWithClock(row.expr, func() time.Time { return now })
			require.NoError(t, err)
			require.Equal(t, row.want, verdict(t, v, c, rule))
		})
	}
}

func TestWithOtherRules(t *testing.T) {
	v, is := validator(t)
	c, err := v.CheckToken(t.Context(), is.Token(everything()))
	require.NoError(t, err)
	yes, no, unsure := made(t, "claims.level == 3"), made(t, "claims.level == 4"), made(t, "claims.missing == 4")
	builtIn, other := jwtvalidate.Claim("roles").AnyOf("admin"), jwtvalidate.Claim("roles").AnyOf("owner")

	for _, row := range []struct {
		name string
		rule jwtvalidate.Rule
		want string
	}{
		{"all", jwtvalidate.All(yes, builtIn), pass},
		{"all, CEL says no", jwtvalidate.All(builtIn, no), deny},
		{"all, the other says no", jwtvalidate.All(yes, other), deny},
		{"all, CEL cannot say", jwtvalidate.All(builtIn, unsure), cannot},
		{"any, CEL says yes", jwtvalidate.Any(other, yes), pass},
		{"any, the other says yes", jwtvalidate.Any(unsure, builtIn), pass},
		{"any, nobody says yes", jwtvalidate.Any(no, other), deny},
		{"any, CEL cannot say", jwtvalidate.Any(other, unsure), cannot},
		{"not twice", jwtvalidate.Not(jwtvalidate.Not(yes)), pass},
		{"not, CEL cannot say", jwtvalidate.Not(unsure), cannot},
		{"a rule on the request", made(t, "claims.level == 3 || request.method == 'GET'"), cannot},
	} {
		t.Run(row.name, func(t *testing.T) { require.Equal(t, row.want, verdict(t, v, c, row.rule)) })
	}
}

// serve has a rule asked by a real server, and gives the status.
func serve(t *testing.T, rule jwtvalidate.Rule, method, target string, header map[string]string, claims map[string]any) int {
	t.Helper()
	v, is := validator(t)
	mux := http.NewServeMux()
	mux.Handle("/users/{id}/{rest...}", v.Handler(v.Require(rule)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))))
	server := httptest.NewServer(mux)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+target, nil)
	require.NoError(t, err)
	r.Host = "api.example.com"
	r.Header.Set("Authorization", "Bearer "+is.Token(claims))
	for name, value := range header {
		r.Header.Add(name, value)
	}
	answer, err := server.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

func TestRequest(t *testing.T) {
	tenant := map[string]string{"X-Tenant": "acme", "X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
	for _, row := range []struct{ expr, want string }{
		{"request.method == 'POST'", pass},
		{"request.method == 'post'", deny},
		{"request.host == 'api.example.com'", pass},
		{"request.path == '/users/user/a b'", pass},
		{"request.path.startsWith('/admin')", deny},
		{"request.path_values.id == claims.sub", pass},
		{"request.path_values['id'].matches('^k')", deny},
		{"request.path_values.rest == 'a b'", pass},
		{"request.path_values.ID == claims.sub", cannot},
		{"has(request.path_values.id) && !('other' in request.path_values)", pass},
		{"request.query.page == ['2', '3'] && request.query.page[0] == '2'", pass},
		{"'x' in request.query['tag[]']", pass},
		{"'tag[]' in request.query && !has(request.query.none)", pass},
		{"request.query.none[0] == '1'", cannot},
		{"request.query.page == '2' || true", ""}, // a list is no text
		{"request.headers['x-tenant'][0] == claims.tenant", pass},
		{"request.headers['X-TENANT'] == ['acme']", pass},
		{"'other' in request.headers['x-tenant']", deny},
		{"request.headers['x-none'][0] == 'a'", cannot},
		{"'x-none' in request.headers", deny},
		{"request.headers[claims.level] == ['a']", cannot},
		{"request.client_address == '127.0.0.1' || request.client_address == '::1'", pass},
		{"request.client_address == '203.0.113.9'", deny},
		{"cidr('127.0.0.0/8').containsIP(request.client_address) && isIP(request.client_address)", pass},
		{"cidr('10.0.0.0/8').containsIP(request.client_address)", deny},
		{"claims.roles.exists(r, r == 'admin' && request.method == 'POST')", pass},
	} {
		t.Run(row.expr, func(t *testing.T) {
			rule, err := celrule.New(row.expr)
			if row.want == "" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			status := map[bool]int{true: http.StatusNoContent, false: http.StatusForbidden}
			const target = "/users/user/a%20b?page=2&page=3&tag[]=x"
			require.Equal(t, status[row.want == pass], serve(t, rule, http.MethodPost, target, tenant, everything()))
			require.Equal(t, status[row.want == deny], serve(t, jwtvalidate.Not(rule), http.MethodPost, target, tenant, everything()))
		})
	}
}

func TestOddRequests(t *testing.T) {
	long := strings.Repeat("a", 17<<10)
	for _, row := range []struct {
		name, expr, target string
		header             map[string]string
		want               int
	}{
		{"a malformed query", "has(request.query.a)", "/users/1/?a=1;b=2", nil, http.StatusForbidden},
		{"a query not asked for", "request.method == 'GET'", "/users/1/?a=1;b=2", nil, http.StatusNoContent},
		{"a long query", "has(request.query.a)", "/users/1/?a=" + long, nil, http.StatusForbidden},
		{"a long header", "has(request.headers.a)", "/users/1/", map[string]string{"A": long}, http.StatusForbidden},
		{"a long header beside", "has(request.headers.b)", "/users/1/", map[string]string{"A": long, "B": ""}, http.StatusNoContent},
		{"a long path", "request.path != ''", "/users/1/" + long, nil, http.StatusForbidden},
		{"no UTF-8 in the path", "request.path_values.rest == 'a'", "/users/1/%ff", nil, http.StatusForbidden},
		{"a text too long for a pattern", "request.headers.a[0].matches('a')", "/users/1/", map[string]string{"A": long[:5<<10]}, http.StatusForbidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			require.Equal(t, row.want, serve(t, made(t, row.expr), http.MethodGet, row.target, row.header, nil))
		})
	}
}

func TestAddressOfAHandMadeRequest(t *testing.T) {
	v, is := validator(t)
	for _, row := range []struct {
		remote, expr string
		want         bool
	}{
		{"[::ffff:192.0.2.1]:5", "request.client_address == '192.0.2.1'", true},
		{"[2001:db8::1]:5", "request.client_address == '2001:db8::1'", true},
		{"[fe80::1%eth0]:5", "request.client_address == 'fe80::1%eth0'", true},
		{"@", "request.client_address != ''", false},
		{"", "request.client_address != ''", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = row.remote
		r.Header.Set("Authorization", "Bearer "+is.Token(nil))
		w := httptest.NewRecorder()
		v.Require(made(t, row.expr))(http.NotFoundHandler()).ServeHTTP(w, r)
		require.Equal(t, row.want, w.Code == http.StatusNotFound, row.remote)
	}
}
