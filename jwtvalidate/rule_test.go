package jwtvalidate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// verdicts of a rule, told apart by the rule and its negation: only a plain no
// turns into a yes.
const (
	saysYes = "yes"
	saysNo  = "no"
	cannot  = "cannot say"
)

func verdictOf(t *testing.T, rule jwtvalidate.Rule, members string) string {
	t.Helper()
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}})
	c, err := v.CheckToken(t.Context(), es256(t, goodHeader, payload(members)))
	require.NoError(t, err)
	passes := v.Allow(t.Context(), c, rule) == nil
	negated := v.Allow(t.Context(), c, jwtvalidate.Not(rule)) == nil
	twice := v.Allow(t.Context(), c, jwtvalidate.Not(jwtvalidate.Not(rule))) == nil
	require.Equal(t, passes, twice)
	switch {
	case passes && negated:
		t.Fatal("a rule and its negation both pass")
	case passes:
		return saysYes
	case negated:
		return saysNo
	}
	return cannot
}

func TestRules(t *testing.T) {
	claim := jwtvalidate.Claim
	roles := claim("realm_access", "roles")
	for _, row := range []struct {
		name    string
		rule    jwtvalidate.Rule
		members string
		want    string
	}{
		{"scope: the one", jwtvalidate.AllScopes("read"), `"scope":"read"`, saysYes},
		{"scope: all of them", jwtvalidate.AllScopes("read", "write"), `"scope":"write openid read"`, saysYes},
		{"scope: one is missing", jwtvalidate.AllScopes("read", "write"), `"scope":"read"`, saysNo},
		{"scope: any", jwtvalidate.AnyScope("read", "write"), `"scope":"x write"`, saysYes},
		{"scope: none of any", jwtvalidate.AnyScope("read", "write"), `"scope":"x"`, saysNo},
		{"scope: a part of a word", jwtvalidate.AllScopes("read"), `"scope":"read:all unread readable"`, saysNo},
		{"scope: a part, then the word", jwtvalidate.AllScopes("read"), `"scope":"unread read"`, saysYes},
		{"scope: overlapping parts", jwtvalidate.AllScopes("aa"), `"scope":"aaa aa"`, saysYes},
		{"scope: case", jwtvalidate.AllScopes("read"), `"scope":"Read"`, saysNo},
		{"scope: double spaces", jwtvalidate.AllScopes("read"), `"scope":"a  read  b"`, saysYes},
		{"scope: a tab is no separator", jwtvalidate.AllScopes("read"), `"scope":"a\tread"`, saysNo},
		{"scope: empty", jwtvalidate.AllScopes("read"), `"scope":""`, saysNo},
		{"scope: escaped", jwtvalidate.AllScopes("read"), `"scope":"\u0072ead"`, saysYes},
		{"scope: an array", jwtvalidate.AllScopes("read"), `"scope":["read"]`, cannot},
		{"scope: null", jwtvalidate.AllScopes("read"), `"scope":null`, cannot},
		{"scope: null, beside scp", jwtvalidate.AllScopes("read"), `"scope":null,"scp":"read"`, cannot},
		{"scope: missing", jwtvalidate.AllScopes("read"), `"x":1`, cannot},
		{"scp: a string", jwtvalidate.AllScopes("read"), `"scp":"write read"`, saysYes},
		{"scp: an array", jwtvalidate.AllScopes("read"), `"scp":["write","read"]`, saysYes},
		{"scp: an array without it", jwtvalidate.AllScopes("read"), `"scp":["write"]`, saysNo},
		{"scp: an odd array", jwtvalidate.AllScopes("read"), `"scp":["read",1]`, cannot},
		{"scp does not count beside scope", jwtvalidate.AllScopes("read"), `"scope":"x","scp":"read"`, saysNo},
		{"scopes elsewhere", claim("permissions").AllScopes("read"), `"permissions":["read"]`, saysYes},
		{"scopes elsewhere, any", claim("a", "b").AnyScope("read", "x"), `"a":{"b":"x y"}`, saysYes},

		{"role", roles.AnyOf("admin", "ops"), `"realm_access":{"roles":["user","ops"]}`, saysYes},
		{"role: another", roles.AnyOf("admin"), `"realm_access":{"roles":["user"]}`, saysNo},
		{"role: no roles", roles.AnyOf("admin"), `"realm_access":{"roles":[]}`, saysNo},
		{"role: not a string", roles.AnyOf("admin"), `"realm_access":{"roles":["admin",7]}`, cannot},
		{"role: an object", roles.AnyOf("admin"), `"realm_access":{"roles":{"admin":true}}`, cannot},
		{"role: a dotted name is no path", claim("realm_access.roles").AnyOf("admin"), `"realm_access":{"roles":["admin"]}`, cannot},
		{"role: a name with dots", claim("https://example.com/roles").AnyOf("admin"), `"https://example.com/roles":["admin"]`, saysYes},
		{"role: a string", claim("roles").AnyOf("a"), `"roles":"a"`, saysYes},
		{"role: words", claim("roles").Words().AnyOf("a"), `"roles":"b a"`, saysYes},
		{"role: words, unless asked for", claim("roles").AnyOf("a"), `"roles":"b a"`, saysNo},
		{"roles: all", claim("roles").AllOf("a", "b"), `"roles":["b","c","a"]`, saysYes},
		{"roles: all, odd", claim("roles").AllOf("a"), `"roles":["a",1]`, cannot},
		{"roles: all, null", claim("roles").AllOf("a"), `"roles":["a",null]`, cannot},
		{"roles: not all", claim("roles").AllOf("a", "b"), `"roles":["a"]`, saysNo},
		{"through an array", claim("a", "0").AnyOf("x"), `"a":["x"]`, cannot},
		{"eight deep", claim("1", "2", "3", "4", "5", "6", "7", "8").AnyOf("x"), `"1":{"2":{"3":{"4":{"5":{"6":{"7":{"8":["x"]}}}}}}}`, saysYes},

		{"equals: text", claim("tenant").Equals("a"), `"tenant":"a"`, saysYes},
		{"equals: other text", claim("tenant").Equals("a"), `"tenant":"b"`, saysNo},
		{"equals: empty claim", claim("tenant").Equals("a"), `"tenant":""`, saysNo},
		{"equals: number for text", claim("tenant").Equals("1"), `"tenant":1`, cannot},
		{"equals: bool", claim("email_verified").Equals(true), `"email_verified":true`, saysYes},
		{"equals: text for bool", claim("email_verified").Equals(true), `"email_verified":"true"`, cannot},
		{"equals: false", claim("b").Equals(false), `"b":true`, saysNo},
		{"equals: integer", claim("n").Equals(42), `"n":42`, saysYes},
		{"equals: beyond 2^53", claim("n").Equals(int64(9007199254740993)), `"n":9007199254740992`, saysNo},
		{"equals: beyond 2^53, the same", claim("n").Equals(int64(9007199254740993)), `"n":9007199254740993`, saysYes},
		{"equals: beyond int64", claim("n").Equals(1), `"n":18446744073709551617`, cannot},
		{"equals: text for an integer", claim("n").Equals(0), `"n":""`, cannot},
		{"equals: json.Number", claim("n").Equals(json.Number("7")), `"n":7`, saysYes},
		{"equals: a fraction", claim("n").Equals(1), `"n":1.5`, cannot},
		{"equals: null", claim("n").Equals(0), `"n":null`, cannot},
		{"prefix", claim("email").Prefix("a@"), `"email":"a@b"`, saysYes},
		{"prefix: no", claim("email").Prefix("a@"), `"email":"b@a@"`, saysNo},
		{"prefix: number", claim("email").Prefix("1"), `"email":12`, cannot},
		{"exists", claim("x").Exists(), `"x":0`, saysYes},
		{"exists: null", claim("x").Exists(), `"x":null`, cannot},
		{"exists: missing", claim("x").Exists(), `"y":0`, cannot},
		{"absent", claim("x").Absent(), `"y":0`, saysYes},
		{"absent: there", claim("x").Absent(), `"x":0`, saysNo},
		{"absent: null is there", claim("x").Absent(), `"x":null`, saysNo},
		{"absent: nested", claim("x", "y").Absent(), `"x":{"z":1}`, saysYes},
		{"absent: on the way", claim("x", "y").Absent(), `"z":1`, saysYes},
		{"absent: null on the way", claim("x", "y").Absent(), `"x":null`, cannot},
		{"absent: the path leads through text", claim("x", "y").Absent(), `"x":"y"`, cannot},
		{"matches", claim("n").Matches(func(v any) bool { return v == json.Number("3") }), `"n":3`, saysYes},
		{"matches: no", claim("n").Matches(func(any) bool { return false }), `"n":3`, saysNo},
		{"matches: missing", claim("n").Matches(func(any) bool { return true }), `"m":3`, cannot},

		{"auth_time: fresh", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":1799999941`, saysYes},
		{"auth_time: at the limit", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":1799999940`, saysYes},
		{"auth_time: old", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":1799999939`, saysNo},
		{"auth_time: a minute ahead", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":1800000060`, saysYes},
		{"auth_time: more than a minute ahead", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":1800000061`, cannot},
		{"auth_time: null", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":null`, cannot},
		{"auth_time: future", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":1800000100`, cannot},
		{"auth_time: text", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":"1800000000"`, cannot},
		{"auth_time: missing", jwtvalidate.MaxAuthAge(time.Minute), `"x":1`, cannot},
		{"acr", jwtvalidate.ACR("gold", "silver"), `"acr":"silver"`, saysYes},
		{"acr: other", jwtvalidate.ACR("gold"), `"acr":"bronze"`, saysNo},
		{"acr: missing", jwtvalidate.ACR("gold"), `"x":1`, cannot},
		{"act", jwtvalidate.Actors("svc"), `"act":{"sub":"svc"}`, saysYes},
		{"act: chain", jwtvalidate.Actors("svc", "web"), `"act":{"sub":"svc","act":{"sub":"web"}}`, saysYes},
		{"act: a stranger in the chain", jwtvalidate.Actors("svc"), `"act":{"sub":"svc","act":{"sub":"web"}}`, saysNo},
		{"act: a stranger before an odd one", jwtvalidate.Actors("svc"), `"act":{"sub":"web","act":7}`, cannot},
		{"act: a stranger before null", jwtvalidate.Actors("svc"), `"act":{"sub":"web","act":null}`, cannot},
		{"act: a stranger first", jwtvalidate.Actors("svc"), `"act":{"sub":"web","act":{"sub":"svc"}}`, saysNo},
		{"act: an odd one behind", jwtvalidate.Actors("svc"), `"act":{"sub":"svc","act":"svc"}`, cannot},
		{"act: eight", jwtvalidate.Actors("s"), `"act":` + strings.Repeat(`{"sub":"s","act":`, 7) + `{"sub":"s"}` + strings.Repeat("}", 7), saysYes},
		{"act: nine", jwtvalidate.Actors("s"), `"act":` + strings.Repeat(`{"sub":"s","act":`, 8) + `{"sub":"s"}` + strings.Repeat("}", 8), cannot},
		{"act: without sub", jwtvalidate.Actors("svc"), `"act":{}`, cannot},
		{"act: endless", jwtvalidate.Actors("s"), `"act":` + strings.Repeat(`{"sub":"s","act":`, 9) + `{"sub":"s"}` + strings.Repeat("}", 9), cannot},
		{"act: missing", jwtvalidate.Actors("svc"), `"x":1`, cannot},
		{"details", jwtvalidate.AuthorizationDetails("pay", nil), `"authorization_details":[{"type":"x"},{"type":"pay"}]`, saysYes},
		{"details: matched", jwtvalidate.AuthorizationDetails("pay", func(d map[string]any) bool { return d["n"] == json.Number("1") }), `"authorization_details":[{"type":"pay","n":1}]`, saysYes},
		{"details: not matched", jwtvalidate.AuthorizationDetails("pay", func(map[string]any) bool { return false }), `"authorization_details":[{"type":"pay"}]`, saysNo},
		{"details: odd", jwtvalidate.AuthorizationDetails("pay", nil), `"authorization_details":[{"type":"pay"},7]`, cannot},
		{"details: odd, then good", jwtvalidate.AuthorizationDetails("pay", nil), `"authorization_details":[{"type":7},{"type":"pay"}]`, cannot},
		{"details: another type that matches", jwtvalidate.AuthorizationDetails("pay", func(map[string]any) bool { return true }), `"authorization_details":[{"type":"x"}]`, saysNo},
		{"details: none", jwtvalidate.AuthorizationDetails("pay", nil), `"authorization_details":[]`, saysNo},
		{"details: no array", jwtvalidate.AuthorizationDetails("pay", nil), `"authorization_details":{"type":"pay"}`, cannot},

		{"all", jwtvalidate.All(jwtvalidate.AllScopes("a"), claim("x").Exists()), `"scope":"a","x":1`, saysYes},
		{"all: a no wins over cannot say", jwtvalidate.All(claim("y").Exists(), jwtvalidate.AllScopes("b")), `"scope":"a"`, saysNo},
		{"all: cannot say", jwtvalidate.All(jwtvalidate.AllScopes("a"), claim("y").Exists()), `"scope":"a"`, cannot},
		{"any: a yes wins over cannot say", jwtvalidate.Any(claim("y").Exists(), jwtvalidate.AllScopes("a")), `"scope":"a"`, saysYes},
		{"any: a yes before cannot say", jwtvalidate.Any(jwtvalidate.AllScopes("a"), claim("y").Exists()), `"scope":"a"`, saysYes},
		{"all: a no before cannot say", jwtvalidate.All(jwtvalidate.AllScopes("b"), claim("y").Exists()), `"scope":"a"`, saysNo},
		{"any: cannot say", jwtvalidate.Any(claim("y").Exists(), jwtvalidate.AllScopes("b")), `"scope":"a"`, cannot},
		{"any: no", jwtvalidate.Any(jwtvalidate.AllScopes("c"), jwtvalidate.AllScopes("b")), `"scope":"a"`, saysNo},
		{"a path value, without a request", claim("sub").PathValue("id"), `"sub":"7"`, cannot},
		{"a request rule, without a request", jwtvalidate.RequestRule(func(*http.Request, *jwtvalidate.Claims) error { return nil }), `"x":1`, cannot},
	} {
		t.Run(row.name, func(t *testing.T) { require.Equal(t, row.want, verdictOf(t, row.rule, row.members)) })
	}
}

func TestRulesMadeWrongly(t *testing.T) {
	claim := jwtvalidate.Claim
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}})
	c, err := jwtvalidate.NewClaims(map[string]any{"scope": "a"})
	require.NoError(t, err)
	for name, rule := range map[string]jwtvalidate.Rule{
		"zero":             {},
		"no scopes":        jwtvalidate.AllScopes(),
		"empty scope":      jwtvalidate.AnyScope(""),
		"two in one":       jwtvalidate.AllScopes("a b"),
		"a quote":          jwtvalidate.AllScopes(`a"`),
		"a backslash":      jwtvalidate.AllScopes(`a\`),
		"a control":        jwtvalidate.AllScopes("a\x7f"),
		"no path":          claim().AnyOf("x"),
		"empty name":       claim("a", "").Exists(),
		"no path to scope": claim().AllScopes("x"),
		"no texts":         claim("a").AnyOf(),
		"empty text":       claim("a").AllOf("x", ""),
		"empty equals":     claim("a").Equals(""),
		"float":            claim("a").Equals(1.5),
		"nil":              claim("a").Equals(nil),
		"number text":      claim("a").Equals(json.Number("x")),
		"empty prefix":     claim("a").Prefix(""),
		"no match":         claim("a").Matches(nil),
		"words in a word":  claim("a").Words().AnyOf("x", "a b"),
		"all of a space":   claim("a").Words().AllOf(" "),
		"no wildcard":      claim("a").PathValue(""),
		"absent nothing":   claim().Absent(),
		"no rules in all":  jwtvalidate.All(),
		"no rules in any":  jwtvalidate.Any(),
		"nested":           jwtvalidate.Not(jwtvalidate.Any(claim("a").Exists(), jwtvalidate.AllScopes())),
		"no function":      jwtvalidate.RequestRule(nil),
		"no age":           jwtvalidate.MaxAuthAge(0),
		"half seconds":     jwtvalidate.MaxAuthAge(1500 * time.Millisecond),
		"no acr":           jwtvalidate.ACR(),
		"acr with space":   jwtvalidate.ACR("a b"),
		"no actors":        jwtvalidate.Actors(),
		"no type":          jwtvalidate.AuthorizationDetails("", nil),
		"named zero":       jwtvalidate.Rule{}.Named("x"),
	} {
		t.Run(name, func(t *testing.T) {
			require.Panics(t, func() { v.Require(rule) })
			require.Error(t, v.Allow(t.Context(), c, rule))
			_, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Rules: []jwtvalidate.Rule{rule}})
			require.ErrorContains(t, err, "Rules")
		})
	}
	require.Panics(t, func() { v.Require() })
	require.Panics(t, func() { v.Require(claim("a").Exists())(nil) })
}

// route sends a good token through a Validator's Require, behind its Handler or not.
func route(t *testing.T, v *jwtvalidate.Validator, pattern string, h http.Handler, path, token string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(pattern, h)
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

var okay = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if c, ok := jwtvalidate.FromContext(r.Context()); ok {
		w.Header().Set("Sub", c.Subject())
	}
})

func TestRequire(t *testing.T) {
	keys := sourceOf(allKeys()...)
	cfg := jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(keys)}, Optional: true}
	v := validator(t, cfg)
	other := validator(t, cfg)
	token := es256(t, goodHeader, payload(`"sub":"7","scope":"read"`))
	read := v.Require(jwtvalidate.AllScopes("read"))(okay)

	t.Run("behind its Handler, one verification", func(t *testing.T) {
		before := keys.calls.Load()
		w := route(t, v, "/", v.Handler(read), "/", token)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "7", w.Header().Get("Sub"))
		require.Equal(t, before+1, keys.calls.Load())
	})
	t.Run("alone it checks itself", func(t *testing.T) {
		w := route(t, v, "/", read, "/", token)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "7", w.Header().Get("Sub"))
		require.Equal(t, http.StatusUnauthorized, route(t, v, "/", read, "/", "not.a.token").Code)
	})
	t.Run("behind another Validator it checks itself", func(t *testing.T) {
		before := keys.calls.Load()
		require.Equal(t, http.StatusOK, route(t, v, "/", other.Handler(read), "/", token).Code)
		require.Equal(t, before+2, keys.calls.Load())
	})
	t.Run("a required route in an optional group", func(t *testing.T) {
		w := route(t, v, "/", v.Handler(read), "/", "")
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.Equal(t, http.StatusOK, route(t, v, "/", v.Handler(okay), "/", "").Code)
	})
	t.Run("stricter than its group", func(t *testing.T) {
		w := route(t, v, "/", v.Handler(v.Require(jwtvalidate.AllScopes("read"))(v.Require(jwtvalidate.AllScopes("write"))(okay))), "/", token)
		require.Equal(t, http.StatusForbidden, w.Code)
		require.Equal(t, `Bearer realm="api", error="insufficient_scope", scope="write"`, w.Header().Get("WWW-Authenticate"))
	})
	t.Run("the route's scopes, all of them", func(t *testing.T) {
		w := route(t, v, "/", v.Require(jwtvalidate.AllScopes("read", "write"), jwtvalidate.AnyScope("x", "read"))(okay), "/", token)
		require.Equal(t, `Bearer realm="api", error="insufficient_scope", scope="read write x"`, w.Header().Get("WWW-Authenticate"))
	})
	t.Run("a role is no scope", func(t *testing.T) {
		w := route(t, v, "/", v.Require(jwtvalidate.AllScopes("read"), jwtvalidate.Claim("roles").AnyOf("admin"))(okay), "/", token)
		require.Equal(t, http.StatusForbidden, w.Code)
		require.Empty(t, w.Header().Values("WWW-Authenticate"))
	})
	t.Run("the subject owns the path", func(t *testing.T) {
		own := v.Require(jwtvalidate.Claim("sub").PathValue("id"))(okay)
		require.Equal(t, http.StatusOK, route(t, v, "/users/{id}", own, "/users/7", token).Code)
		require.Equal(t, http.StatusForbidden, route(t, v, "/users/{id}", own, "/users/8", token).Code)
		require.Equal(t, http.StatusForbidden, route(t, v, "/users/{name}", own, "/users/7", token).Code)
	})
}

func TestRequestRule(t *testing.T) {
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}})
	token := es256(t, goodHeader, payload(`"scope":"read"`))
	errOwn := errors.New("no such row " + canary)
	rule := func(err error) jwtvalidate.Rule {
		return jwtvalidate.RequestRule(func(*http.Request, *jwtvalidate.Claims) error { return err })
	}
	outage := fmt.Errorf("%w: database", jwtvalidate.ErrUnavailable)
	pass := jwtvalidate.AllScopes("read")
	for _, row := range []struct {
		name string
		rule jwtvalidate.Rule
		want int
	}{
		{"nil passes", rule(nil), http.StatusOK},
		{"an error is forbidden", rule(errOwn), http.StatusForbidden},
		{"and its negation too", jwtvalidate.Not(rule(errOwn)), http.StatusForbidden},
		{"a plain no", rule(jwtvalidate.ErrForbidden), http.StatusForbidden},
		{"a plain no, negated", jwtvalidate.Not(rule(jwtvalidate.ErrForbidden)), http.StatusOK},
		{"an outage", rule(outage), http.StatusServiceUnavailable},
		{"an outage, negated", jwtvalidate.Not(rule(outage)), http.StatusServiceUnavailable},
		{"an outage in All", jwtvalidate.All(pass, rule(outage)), http.StatusServiceUnavailable},
		{"an outage in Any", jwtvalidate.Any(rule(errOwn), rule(outage)), http.StatusServiceUnavailable},
		{"an outage in Any, first", jwtvalidate.Any(rule(outage), rule(errOwn)), http.StatusServiceUnavailable},
		{"an outage that does not matter", jwtvalidate.Any(rule(outage), pass), http.StatusOK},
		{"an outage behind a no", jwtvalidate.All(rule(outage), jwtvalidate.Not(pass)), http.StatusForbidden},
		{"an outage that says forbidden, negated", jwtvalidate.Not(rule(errors.Join(jwtvalidate.ErrForbidden, jwtvalidate.ErrUnavailable))), http.StatusServiceUnavailable},
		{"an outage that says forbidden", rule(errors.Join(jwtvalidate.ErrForbidden, jwtvalidate.ErrUnavailable)), http.StatusServiceUnavailable},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := route(t, v, "/", v.Require(row.rule)(okay), "/", token)
			require.Equal(t, row.want, w.Code)
			require.NotContains(t, fmt.Sprint(w.Header(), w.Body), canary)
		})
	}
}

// Who refused is told to Observe, with the name of the rule and never a claim.
func TestRuleIsObserved(t *testing.T) {
	var events []jwtvalidate.Event
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))},
		Observe: func(_ context.Context, e jwtvalidate.Event) { events = append(events, e) },
	})
	admin := jwtvalidate.Claim("roles").AnyOf("admin")
	for rule, want := range map[string]jwtvalidate.Rule{
		"Claim(roles).AnyOf(admin)": admin,
		"administrators":            admin.Named("administrators"),
		"AllScopes(orders:write)":   jwtvalidate.All(jwtvalidate.Claim("roles").Absent(), jwtvalidate.AllScopes("orders:write")),
	} {
		events = nil
		route(t, v, "/", v.Require(want)(okay), "/", es256(t, goodHeader, payload(`"scope":"`+canary+`"`)))
		require.Len(t, events, 2, "the check, and the refusal")
		require.Equal(t, "accepted", events[0].Kind)
		require.Equal(t, "refused", events[1].Kind)
		require.Equal(t, rule, events[1].Rule)
		require.Equal(t, issuerURL, events[1].Issuer)
		require.NotContains(t, fmt.Sprintf("%+v", events), canary)
	}
}

// What the caller does to its list afterwards changes no rule.
func TestRulesAreCopied(t *testing.T) {
	v := trust(t, nil)
	c, err := jwtvalidate.NewClaims(map[string]any{"scope": "a"})
	require.NoError(t, err)
	pass, fail := jwtvalidate.AllScopes("a"), jwtvalidate.AllScopes("b")
	list := []jwtvalidate.Rule{pass, fail}
	all, anyOf := jwtvalidate.All(list...), jwtvalidate.Any(list...)
	route := v.Require(list...)(okay)
	list[0], list[1] = fail, pass
	require.ErrorIs(t, v.Allow(t.Context(), c, all), jwtvalidate.ErrInsufficientScope)
	list[0], list[1] = pass, pass
	require.ErrorIs(t, v.Allow(t.Context(), c, all), jwtvalidate.ErrInsufficientScope)
	r := request()
	require.Equal(t, http.StatusForbidden, record(route, r.WithContext(v.WithClaims(r.Context(), c))).status)
	list[0], list[1] = fail, jwtvalidate.Rule{}
	require.NoError(t, v.Allow(t.Context(), c, anyOf))

	c, err = jwtvalidate.NewClaims(map[string]any{"scope": "a", "acr": "a", "act": map[string]any{"sub": "a"}, "a": "a"})
	require.NoError(t, err)
	for name, of := range map[string]func(list []string) jwtvalidate.Rule{
		"AllScopes": func(l []string) jwtvalidate.Rule { return jwtvalidate.AllScopes(l...) },
		"AnyScope":  func(l []string) jwtvalidate.Rule { return jwtvalidate.AnyScope(l...) },
		"ACR":       func(l []string) jwtvalidate.Rule { return jwtvalidate.ACR(l...) },
		"Actors":    func(l []string) jwtvalidate.Rule { return jwtvalidate.Actors(l...) },
		"AnyOf":     func(l []string) jwtvalidate.Rule { return jwtvalidate.Claim("a").AnyOf(l...) },
		"AllOf":     func(l []string) jwtvalidate.Rule { return jwtvalidate.Claim("a").AllOf(l...) },
		"Claim":     func(l []string) jwtvalidate.Rule { return jwtvalidate.Claim(l...).Equals("a") },
	} {
		list := []string{"a"}
		rule := of(list)
		list[0] = "b"
		require.NoError(t, v.Allow(t.Context(), c, rule), name)
		list[0] = "b"
		rule = of(list)
		list[0] = "a"
		require.Error(t, v.Allow(t.Context(), c, rule), name)
	}
}

// What a combination answers: the first no, or what weighs most; with what the
// route asks for, and nothing that it asks to be without.
func TestChallengesOfCombinations(t *testing.T) {
	claim, scopes := jwtvalidate.Claim, jwtvalidate.AllScopes
	errOwn := errors.New("own")
	own := jwtvalidate.RequestRule(func(*http.Request, *jwtvalidate.Claims) error { return errOwn }).Named("own")
	noOwn := jwtvalidate.RequestRule(func(*http.Request, *jwtvalidate.Claims) error { return errors.Join(jwtvalidate.ErrForbidden, errOwn) })
	role := claim("roles").AnyOf("admin") // a plain no
	const stepUp = `Bearer realm="api", error="insufficient_user_authentication"`
	const scope = `Bearer realm="api", error="insufficient_scope"`
	for _, row := range []struct {
		name            string
		rule            jwtvalidate.Rule
		members         string
		challenge, told string
		cause           error
	}{
		{"any: the first", jwtvalidate.Any(scopes("a"), role), `"scope":"x","roles":[]`, scope + `, scope="a"`, "AllScopes(a)", nil},
		{"any: the first, a role", jwtvalidate.Any(role, scopes("a")), `"scope":"x","roles":[]`, "", "Claim(roles).AnyOf(admin)", nil},
		{"not: no scope would help", jwtvalidate.Not(scopes("a")), `"roles":[]`, "", "Not(AllScopes(a))", nil},
		{"not: no scope to be without", jwtvalidate.All(scopes("a"), jwtvalidate.Not(scopes("b"))), `"scope":"b"`, scope + `, scope="a"`, "AllScopes(a)", nil},
		{"not: has it", jwtvalidate.All(scopes("b"), jwtvalidate.Not(scopes("b").Named("b"))), `"scope":"b"`, "", "Not(b)", nil},
		{"an error of its own weighs more", jwtvalidate.All(scopes("a"), own), `"roles":[]`, "", "own", errOwn},
		{"a plain no keeps its cause", noOwn, `"roles":[]`, "", "RequestRule", errOwn},
		{"acr once, in order", jwtvalidate.All(jwtvalidate.ACR("gold", "silver"), jwtvalidate.ACR("silver", "iron")), `"acr":"x"`, stepUp + `, acr_values="gold silver iron"`, "ACR(gold silver)", nil},
		{"no auth_time", jwtvalidate.MaxAuthAge(time.Minute), `"acr":"x"`, stepUp + `, max_age=60`, "MaxAuthAge(1m0s)", nil},
		{"an odd auth_time", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":"x"`, stepUp + `, max_age=60`, "MaxAuthAge(1m0s)", nil},
		{"an old auth_time", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":1`, stepUp + `, max_age=60`, "MaxAuthAge(1m0s)", nil},
		{"the least age, first", jwtvalidate.All(jwtvalidate.MaxAuthAge(time.Minute), jwtvalidate.MaxAuthAge(time.Hour), claim("acr").Exists()), `"acr":"x"`, stepUp + `, max_age=60`, "MaxAuthAge(1m0s)", nil},
		{"the least age, last", jwtvalidate.All(jwtvalidate.MaxAuthAge(time.Hour), jwtvalidate.MaxAuthAge(time.Minute)), `"acr":"x"`, stepUp + `, max_age=60`, "MaxAuthAge(1h0m0s)", nil},
		{"a long age", jwtvalidate.MaxAuthAge(100 * 365 * 24 * time.Hour), `"acr":"x"`, stepUp + `, max_age=3153600000`, "MaxAuthAge(876000h0m0s)", nil},
		{"details", jwtvalidate.AuthorizationDetails("pay", nil), `"authorization_details":[]`, scope, "AuthorizationDetails(pay)", nil},
		{"no details at all", jwtvalidate.AuthorizationDetails("pay", nil), `"x":1`, scope, "AuthorizationDetails(pay)", nil},
		{"odd details", jwtvalidate.AuthorizationDetails("pay", nil), `"authorization_details":7`, scope, "AuthorizationDetails(pay)", nil},
		{"the innermost rule is told", jwtvalidate.All(claim("roles").Exists(), jwtvalidate.Any(scopes("a"), scopes("b"))), `"scope":"x","roles":[]`, scope + `, scope="a b"`, "AllScopes(a)", nil},
		{"unless it has a name", jwtvalidate.Any(scopes("a"), scopes("b")).Named("out"), `"scope":"x"`, scope + `, scope="a b"`, "out", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			var last jwtvalidate.Event
			v := validator(t, jwtvalidate.Config{
				Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))},
				Observe: func(_ context.Context, e jwtvalidate.Event) { last = e },
			})
			got := record(v.Require(row.rule)(okay), request("Bearer "+es256(t, goodHeader, payload(row.members))))
			require.Equal(t, row.challenge, got.header.Get("WWW-Authenticate"))
			if row.challenge != "" {
				_, _, err := parseChallenge(row.challenge)
				require.NoError(t, err)
			}
			require.Equal(t, row.told, last.Rule)
			if row.cause != nil {
				require.ErrorIs(t, last.Err, row.cause)
			}
		})
	}
}

// Without a text on either side nothing can be said, and no negation passes.
func TestPathValue(t *testing.T) {
	v := trust(t, nil)
	own := jwtvalidate.Claim("owner").PathValue("id")
	for _, row := range []struct {
		name, pattern, members string
		passes, negated        int
	}{
		{"equal", "/{id}", `"owner":"7"`, http.StatusOK, http.StatusForbidden},
		{"another", "/{id}", `"owner":"8"`, http.StatusForbidden, http.StatusOK},
		{"an empty claim", "/{id}", `"owner":""`, http.StatusForbidden, http.StatusForbidden},
		{"no claim", "/{id}", `"x":1`, http.StatusForbidden, http.StatusForbidden},
		{"a number", "/{id}", `"owner":7`, http.StatusForbidden, http.StatusForbidden},
		{"no such wildcard", "/{other}", `"owner":"7"`, http.StatusForbidden, http.StatusForbidden},
	} {
		token := es256(t, goodHeader, payload(row.members))
		require.Equal(t, row.passes, route(t, v, row.pattern, v.Require(own)(okay), "/7", token).Code, row.name)
		require.Equal(t, row.negated, route(t, v, row.pattern, v.Require(jwtvalidate.Not(own))(okay), "/7", token).Code, row.name)
	}
}

// No claims are no credential, never a panic and never a pass.
func TestNoClaims(t *testing.T) {
	v := trust(t, nil)
	absent := jwtvalidate.Claim("x").Absent()
	h := v.Require(absent)(okay)
	for name, c := range map[string]*jwtvalidate.Claims{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, v.Allow(t.Context(), c, absent), jwtvalidate.ErrNoToken)
			ctx := v.WithClaims(t.Context(), c)
			_, ok := jwtvalidate.FromContext(ctx)
			require.False(t, ok)
			requireRefused(t, record(h, request().WithContext(ctx)), http.StatusUnauthorized, challengeNone)
			require.Equal(t, http.StatusOK, record(h, request("Bearer "+good(t)).WithContext(ctx)).status)
		})
	}
}

// Behind Require, next sees the claims that the rules saw.
func TestRequireShowsItsOwnClaims(t *testing.T) {
	v, other := trust(t, nil), trust(t, nil)
	mine, err := jwtvalidate.NewClaims(map[string]any{"sub": "mine"})
	require.NoError(t, err)
	theirs, err := jwtvalidate.NewClaims(map[string]any{"sub": "theirs"})
	require.NoError(t, err)
	ctx := other.WithClaims(v.WithClaims(t.Context(), mine), theirs)
	for want, rules := range map[string]func(http.Handler) http.Handler{
		"mine":   v.Require(jwtvalidate.Claim("sub").Equals("mine")),
		"theirs": other.Require(jwtvalidate.Claim("sub").Equals("theirs")),
	} {
		got := record(rules(okay), request().WithContext(ctx))
		require.Equal(t, http.StatusOK, got.status)
		require.Equal(t, want, got.header.Get("Sub"))
	}
}

// Who is let in without a token is anonymous; who is refused for it is not.
func TestRequiredInOptionalIsObserved(t *testing.T) {
	var kinds []string
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Optional: true,
		Observe: func(_ context.Context, e jwtvalidate.Event) { kinds = append(kinds, e.Kind) },
	})
	got := record(v.Handler(v.Require(jwtvalidate.AllScopes("read"))(okay)), request())
	require.Equal(t, http.StatusUnauthorized, got.status)
	require.Equal(t, []string{"anonymous", "refused"}, kinds)
}

// A denial that an error has for a cause is not what is answered or told.
func TestDenialAsACause(t *testing.T) {
	inner := trust(t, nil)
	var last jwtvalidate.Event
	p := policy(sourceOf(allKeys()...))
	p.Confirm = func(r *http.Request, c *jwtvalidate.Claims) error {
		return inner.Allow(r.Context(), c, jwtvalidate.AllScopes("bind"))
	}
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{p}, Observe: func(_ context.Context, e jwtvalidate.Event) { last = e },
	})
	bound := es256(t, goodHeader, payload(`"cnf":{"x":1}`))
	requireRefused(t, record(v.Handler(okay), request("Bearer "+bound)), http.StatusUnauthorized, challengeToken)
	require.Equal(t, jwtvalidate.ReasonConfirmation, last.Reason)
	require.Empty(t, last.Rule)

	ask := jwtvalidate.RequestRule(func(r *http.Request, c *jwtvalidate.Claims) error {
		return inner.Allow(r.Context(), c, jwtvalidate.ACR("gold"))
	})
	got := record(v.Require(ask.Named("ask"))(okay), request("Bearer "+good(t)))
	require.Equal(t, http.StatusForbidden, got.status)
	require.Empty(t, got.header.Values("WWW-Authenticate"))
	require.Equal(t, jwtvalidate.ReasonForbidden, last.Reason)
	require.Equal(t, "ask", last.Rule)
}

// Another authenticator stands before the same rules.
func TestWithClaims(t *testing.T) {
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}})
	c, err := jwtvalidate.NewClaims(map[string]any{"sub": "batch", "scope": "read"})
	require.NoError(t, err)
	apiKey := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(v.WithClaims(r.Context(), c)))
		})
	}
	w := route(t, v, "/", apiKey(v.Require(jwtvalidate.AllScopes("read"))(okay)), "/", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "batch", w.Header().Get("Sub"))
	w = route(t, v, "/", apiKey(v.Handler(v.Require(jwtvalidate.AllScopes("read"))(okay))), "/", "")
	require.Equal(t, http.StatusOK, w.Code, "a group takes vouched claims where there is no token")
	require.Equal(t, "batch", w.Header().Get("Sub"))
	w = route(t, v, "/", apiKey(v.Handler(okay)), "/", "not.a.token")
	require.Equal(t, http.StatusUnauthorized, w.Code, "a bad token is refused all the same")
	w = route(t, v, "/", apiKey(v.Handler(okay)), "/", es256(t, goodHeader, payload(`"sub":"ann"`)))
	require.Equal(t, "ann", w.Header().Get("Sub"), "the token counts")
	other := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Optional: true})
	w = route(t, v, "/", apiKey(other.Handler(v.Handler(okay))), "/", "")
	require.Equal(t, "batch", w.Header().Get("Sub"), "not those of a Validator in between")
	require.Equal(t, http.StatusUnauthorized, route(t, v, "/", apiKey(validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))},
	}).Handler(okay)), "/", "").Code, "another Validator does not take them")
	w = route(t, v, "/", apiKey(v.Require(jwtvalidate.AllScopes("write"))(okay)), "/", "")
	require.Equal(t, http.StatusForbidden, w.Code)

	for name, values := range map[string]map[string]any{
		"not JSON":       {"f": func() {}},
		"an odd sub":     {"sub": 7},
		"a folded name":  {"SUB": "x"},
		"an invalid exp": {"exp": "soon"},
	} {
		_, err := jwtvalidate.NewClaims(values)
		require.Error(t, err, name)
	}
}

// A scope check on a token that is at hand allocates nothing.
func TestScopesDoNotAllocate(t *testing.T) {
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}})
	c, err := v.CheckToken(t.Context(), es256(t, goodHeader, payload(`"scope":"`+strings.Repeat("openid:xy ", 19)+`read"`)))
	require.NoError(t, err)
	ran := 0
	handler := v.Require(jwtvalidate.AllScopes("read"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran++ }))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r = r.WithContext(v.WithClaims(r.Context(), c))
	w := httptest.NewRecorder()
	require.Zero(t, testing.AllocsPerRun(100, func() { handler.ServeHTTP(w, r) }))
	require.NotZero(t, ran)
}

// ClaimsRule answers as RequestRule does, and also where there is no request.
func TestClaimsRule(t *testing.T) {
	own := func(err error) jwtvalidate.Rule {
		return jwtvalidate.ClaimsRule(func(c *jwtvalidate.Claims) error {
			if _, ok := c.Get("x"); !ok {
				return errors.New("not these claims")
			}
			return err
		})
	}
	require.Equal(t, saysYes, verdictOf(t, own(nil), `"x":1`))
	require.Equal(t, saysNo, verdictOf(t, own(fmt.Errorf("no: %w", jwtvalidate.ErrForbidden)), `"x":1`))
	require.Equal(t, cannot, verdictOf(t, own(errors.New("own")), `"x":1`))
	require.Equal(t, cannot, verdictOf(t, own(jwtvalidate.ErrUnavailable), `"x":1`))
	require.Equal(t, cannot, verdictOf(t, own(nil), `"y":1`))

	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}})
	c, err := v.CheckToken(t.Context(), good(t))
	require.NoError(t, err)
	require.ErrorIs(t, v.Allow(t.Context(), c, jwtvalidate.ClaimsRule(func(*jwtvalidate.Claims) error { return jwtvalidate.ErrUnavailable })), jwtvalidate.ErrUnavailable)
	require.ErrorContains(t, v.Allow(t.Context(), c, jwtvalidate.ClaimsRule(nil)), "no function")
	require.EqualError(t, v.Allow(t.Context(), c, jwtvalidate.Claim("roles").AnyOf("admin")), "jwtvalidate: forbidden: Claim(roles).AnyOf(admin)")
	for _, rule := range []jwtvalidate.Rule{
		jwtvalidate.Claim("a").Words().Equals("x"), jwtvalidate.Claim("a").Words().Exists(), jwtvalidate.Claim("a").Words().Prefix("x"),
		jwtvalidate.Claim("a").Words().Absent(), jwtvalidate.Claim("a").Words().PathValue("x"),
	} {
		require.ErrorContains(t, v.Allow(t.Context(), c, rule), "Words")
	}
	require.ErrorIs(t, v.Allow(t.Context(), c, jwtvalidate.Claim("a").Words().AllScopes("x")), jwtvalidate.ErrInsufficientScope)
}
