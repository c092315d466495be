package celrule_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/celrule"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
	"github.com/stretchr/testify/require"
)

func TestRefusedTexts(t *testing.T) {
	for _, row := range []struct{ name, expr, want string }{
		{"empty", " \n", "no text"},
		{"no UTF-8", "claims.sub == '\xff'", "no UTF-8"},
		{"NUL", "claims.sub\x00", "1:11: "},
		{"syntax", "claims.sub ==\n  = 'a'", "2:3: "},
		{"assignment", "claims.sub = 'a'", "1:12: "},
		{"misspelt field", "request.mehtod == 'GET'", "request has method, host"},
		{"unknown variable", "JWT.sub == 'a'", "1:1: undeclared reference to 'JWT'"},
		{"type", "request.method == 1", "1:16: "},
		{"type of a header", "request.headers['a'] == 'b'", "1:22: "},
		{"claim by number", "claims[1] == 1", "1:7: "},
		{"not bool", "request.method", "1:8: the result is string, not bool"},
		{"not bool", "size(claims.roles)", "the result is int"},
		{"all claims", "claims", "1:1: claims is asked by name"},
		{"count of claims", "size(claims) > 1", "1:6: claims is asked by name"},
		{"through all claims", "claims.exists(c, true)", "1:1: claims is asked by name"},
		{"claims chosen", "(true ? claims : claims).sub == 'a'", "asked by name"},
		{"all headers", "request.headers.exists(h, h == 'a')", "request.headers is asked by name"},
		{"query compared", "request.query == request.query", "asked by name"},
		{"all path values", "[request.path_values].size() == 1", "asked by name"},
		{"path values as a key", "claims.a[request.path_values] == 1", "asked by name"},
		{"all claims from the root", ".claims == .claims", "asked by name"},
		{"shadow", "[1].exists(claims, true)", "a macro's variable cannot be claims"},
		{"shadow", "[1].exists(now, now == 1)", "a macro's variable cannot be now"},
		{"replace", "'a'.replace('a', 'aa') == 'b'", "there is no function replace"},
		{"indexOf", "'a'.indexOf('a') == 0", "there is no function indexOf"},
		{"many mistakes", "[a, b, c, d, e, f, g] == []", "celrule: and more"},
		{"message", "google.protobuf.Value{null_value: 0} == null", "no messages"},
		{"message wrapper", "google.protobuf.BoolValue{value: true} == true", "no messages"},
		{"pattern of a claim", "claims.sub.matches(claims.pattern)", "1:26: a pattern must be a literal"},
		{"pattern of a sum", "claims.sub.matches('a' + 'b')", "a pattern must be a literal"},
		{"malformed pattern", "claims.sub.matches('(')", "1:20: "},
		{"large pattern", "claims.sub.matches('(a{30}){30}')", "the patterns are too large"},
		{"huge pattern", "claims.sub.matches('a{1001}')", "1:20: "},
		{"many patterns", strings.Repeat("claims.sub.matches('a{90}') && ", 6) + "true", "the patterns are too large"},
		{"zone of a claim", "now.getHours(claims.zone) == 1", "1:20: a time zone must be a literal"},
		{"unknown zone", "now.getHours('Europe/Atlantis') == 1", "1:14: no such time zone"},
		{"zone with a path", "now.getHours('../../etc/passwd') == 1", "no such time zone"},
		{"zone of this machine", "now.getHours('Local') == 1", "no such time zone"},
		{"malformed duration", "duration('x') < duration('1h')", "1:10: "},
		{"malformed time", "timestamp('x') < now", "1:11: "},
		{"constant that cannot be", "int('x') == 1", "1:4: a value cannot be converted"},
		{"has of an index", "has(claims['sub'])", "1:11: "},
		{"malformed network", "cidr('10.0.0.0/99').containsIP(request.client_address)", "1:6: "},
		{"list in a macro", "[[1]].map(x, [x, x]).size() == 1", "1:14: within a macro a list or map holds literals only"},
		{"map in a macro", "[1].map(x, {'a': x}).size() == 1", "within a macro a list or map holds literals only"},
		{"sum of lists in a macro", "[[1]].map(x, x + x).size() == 1", "1:16: within a macro a sum must not be one of lists"},
		{"unclear sum in a macro", "claims.a.exists(x, x + x == 2)", "within a macro a sum"},
		{"map in a macro", "[[1]].map(x, x.map(y, y)).size() == 1", "map and filter do not stand within another macro"},
		{"filter in a macro", "claims.a.exists(x, claims.b.filter(y, y == x).size() > 0)", "map and filter do not"},
		{"four macros deep", "[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))", "macros stand in each other 3 deep at most"},
		{"long", "claims.sub == '" + strings.Repeat("a", 8<<10) + "'", "at most 8192 bytes"},
		{"deep brackets", strings.Repeat("(", 4000) + "true" + strings.Repeat(")", 4000), ""},
		{"deep lists", strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + " == []", ""},
		{"unclosed", strings.Repeat("(", 8000), ""},
		{"deep not", strings.Repeat("!(", 2000) + "true" + strings.Repeat(")", 2000), ""},
		{"deep choice", strings.Repeat("true ? ", 1000) + "true" + strings.Repeat(" : true", 1000), ""},
		{"deep index", "claims" + strings.Repeat("[claims", 1000) + strings.Repeat("]", 1000), ""},
		{"deep select", "claims" + strings.Repeat(".a", 4000), ""},
		{"long sum", "1" + strings.Repeat("+1", 4000) + " == 1", ""},
		{"chain of macros", "[1]" + strings.Repeat(".map(x, x + x)", 500) + ".size() == 1", ""},
		{"garbage", strings.Repeat("[{(", 2700), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			start := time.Now()
			rule, err := celrule.New(row.expr)
			require.Error(t, err)
			require.ErrorContains(t, err, row.want)
			for line := range strings.Lines(err.Error()) {
				require.True(t, strings.HasPrefix(line, "celrule: "), line)
				require.LessOrEqual(t, len(line), 1000)
			}
			require.Less(t, time.Since(start), 10*time.Second)
			v, is := validator(t)
			c, err := v.CheckToken(t.Context(), is.Token(nil))
			require.NoError(t, err)
			require.Error(t, v.Allow(t.Context(), c, rule), "the rule beside an error is none")
			require.NotErrorIs(t, v.Allow(t.Context(), c, rule), jwtvalidate.ErrForbidden)
		})
	}
}

func TestNoClock(t *testing.T) {
	_, err := celrule.NewWithClock("true", nil)
	require.EqualError(t, err, "celrule: no clock")
}

// TestTooMuchWork holds texts that are accepted against claims that make them long.
func TestTooMuchWork(t *testing.T) {
	v, is := validator(t)
	long := make([]any, 2000)
	for i := range long {
		long[i] = i
	}
	inner := strings.Repeat("a", 3000)
	c, err := v.CheckToken(t.Context(), is.Token(map[string]any{"list": long, "text": inner}))
	require.NoError(t, err)
	for _, row := range []struct{ name, expr string }{
		{"two deep", "claims.list.all(a, claims.list.all(b, a + 0 < b + 3000))"},
		{"three deep", "claims.list.all(a, claims.list.all(b, claims.list.all(c, true)))"},
		{"three deep, without a call", "claims.list.exists_one(a, claims.list.exists_one(b, claims.list.exists_one(c, false)))"},
		{"errors within", "claims.list.exists(a, claims.list.exists(b, claims.list.exists(c, claims.none == 1)))"},
		{"doubled text", "['a']" + strings.Repeat(".map(x, x + x)", 25) + ".size() == 1"},
		{"long texts", "claims.list.all(a, claims.text == claims.text)"},
		{"deep comparison", "claims.list.all(a, claims.list == claims.list)"},
		{"patterns", "claims.list.all(a, claims.text.matches('^(a?){100}b'))"},
		{"copies", "claims.list.exists(a, claims.text" + strings.Repeat(".lowerAscii().upperAscii()", 5) + " == '')"},
		{"parts", "claims.list.exists(a, claims.text.split('').size() == 1)"},
		{"membership", "claims.list.all(a, !(-1 in claims.list))"},
		{"many calls", strings.Repeat("claims.list == claims.list && ", 150) + "true"},
	} {
		t.Run(row.name, func(t *testing.T) {
			rule := made(t, row.expr)
			start := time.Now()
			require.Equal(t, cannot, verdict(t, v, c, rule))
			require.Less(t, time.Since(start), 5*time.Second)
			require.ErrorContains(t, cause(v.Allow(t.Context(), c, rule)), "celrule: too much work")
		})
	}
	for _, expr := range []string{"claims.list.exists(a, a == 1999)", "claims.list.filter(a, a > 10).size() == 1989", "claims.list.map(a, a * 2).size() == 2000"} {
		require.Equal(t, pass, verdict(t, v, c, made(t, expr)), expr)
	}
}

// cause is what the rule said, behind the refusal.
func cause(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()[len(many.Unwrap())-1]
	}
	return err
}

func TestReasons(t *testing.T) {
	v, is := validator(t)
	claims := everything()
	claims["secret"] = "hunter2"
	c, err := v.CheckToken(t.Context(), is.Token(claims))
	require.NoError(t, err)
	for _, row := range []struct{ expr, want string }{
		{"claims.missing == 1", "celrule: 1:7: no such key"},
		{"claims.sub == 'user' &&\n claims.missing == 1", "celrule: 2:8: no such key"},
		{"claims.realm[claims.secret] == 1", "celrule: 1:13: no such key"},
		{"int(claims.secret) == 1", "celrule: 1:4: a value cannot be converted"},
		{"claims.secret > 1", "celrule: 1:15: a value has another type than is asked for"},
		{"claims.secret.getHours() > 1", "celrule: 1:23: a value has another type than is asked for"},
		{"claims.secret.matches('u') && claims.level.matches('a')", "celrule: 1:51: a value has another type than is asked for"},
		{"duration(claims.secret) > duration('1h')", "celrule: 1:9: a value cannot be converted"},
		{"cidr(claims.secret).containsIP('10.0.0.1')", "celrule: 1:5: cannot be evaluated"},
		{"claims.roles[claims.level] == 'a'", "celrule: 1:13: no such index"},
		{"claims.level / 0 == 1", "celrule: 1:14: division by zero"},
		{"claims.most + 1 == 1", "celrule: 1:13: a number is out of range"},
		{"timestamp(claims.most) > now", "celrule: 1:10: a time is out of range"},
		{"claims.huge == 1", "celrule: 1:7: too large"},
		{"claims.secret", "celrule: 1:1: the result is no bool"},
	} {
		t.Run(row.expr, func(t *testing.T) {
			err := v.Allow(t.Context(), c, made(t, row.expr))
			require.ErrorIs(t, err, jwtvalidate.ErrForbidden)
			require.EqualError(t, cause(err), row.want)
		})
	}
}

func TestName(t *testing.T) {
	v, is := validator(t)
	c, err := v.CheckToken(t.Context(), is.Token(nil))
	require.NoError(t, err)
	require.EqualError(t, v.Allow(t.Context(), c, made(t, "claims.sub ==\n'x'")), "jwtvalidate: forbidden: CEL(claims.sub == 'x')")
	require.EqualError(t, v.Allow(t.Context(), c, made(t, "claims.sub == '"+strings.Repeat("x", 100)+"'")),
		"jwtvalidate: forbidden: CEL(claims.sub == '"+strings.Repeat("x", 65)+"…)")
	require.EqualError(t, v.Allow(t.Context(), c, made(t, "claims.sub == 'x'").Named("x only")), "jwtvalidate: forbidden: x only")
}

func TestContextEndStopsAMacro(t *testing.T) {
	long := make([]any, 2000)
	for i := range long {
		long[i] = i
	}
	is := jwttest.New(t)
	rule := made(t, "claims.list.all(a, a >= 0) && request.method == 'GET'")
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{is.Policy()}, Rules: []jwtvalidate.Rule{rule}})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+is.Token(map[string]any{"list": long}))
	_, err = v.Check(r)
	require.NoError(t, err)
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = v.Check(r.WithContext(ended))
	require.ErrorIs(t, err, jwtvalidate.ErrForbidden)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, cause(err), "celrule: stopped: ")
}

func TestConcurrently(t *testing.T) {
	v, is := validator(t)
	c, err := v.CheckToken(t.Context(), is.Token(everything()))
	require.NoError(t, err)
	rules := map[string]jwtvalidate.Rule{}
	for _, expr := range []string{"claims.roles.exists(r, r == 'admin')", "'admin' in claims.realm.access.roles", "claims.tenant.matches('^a')"} {
		rules[expr] = made(t, expr)
	}
	refused := []jwtvalidate.Rule{made(t, "claims.level > 'a'"), made(t, "claims.tenant && true"), made(t, "timestamp(claims.most) > now"), made(t, "claims.none == 1")}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				for expr, rule := range rules {
					if err := v.Allow(t.Context(), c, rule); err != nil {
						t.Errorf("%s: %v", expr, err)
					}
				}
				for _, rule := range refused {
					if v.Allow(t.Context(), c, rule) == nil {
						t.Error("passed")
					}
				}
				if _, err := celrule.New("claims.level == 3"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
