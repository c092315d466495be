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
		{"absent: the path leads through text", claim("x", "y").Absent(), `"x":"y"`, cannot},
		{"matches", claim("n").Matches(func(v any) bool { return v == json.Number("3") }), `"n":3`, saysYes},
		{"matches: no", claim("n").Matches(func(any) bool { return false }), `"n":3`, saysNo},
		{"matches: missing", claim("n").Matches(func(any) bool { return true }), `"m":3`, cannot},

		{"auth_time: fresh", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":1799999941`, saysYes},
		{"auth_time: at the limit", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":1799999940`, saysYes},
		{"auth_time: old", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":1799999939`, saysNo},
		{"auth_time: future", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":1800000100`, cannot},
		{"auth_time: text", jwtvalidate.MaxAuthAge(time.Minute), `"auth_time":"1800000000"`, cannot},
		{"auth_time: missing", jwtvalidate.MaxAuthAge(time.Minute), `"x":1`, cannot},
		{"acr", jwtvalidate.ACR("gold", "silver"), `"acr":"silver"`, saysYes},
		{"acr: other", jwtvalidate.ACR("gold"), `"acr":"bronze"`, saysNo},
		{"acr: missing", jwtvalidate.ACR("gold"), `"x":1`, cannot},
		{"act", jwtvalidate.Actors("svc"), `"act":{"sub":"svc"}`, saysYes},
		{"act: chain", jwtvalidate.Actors("svc", "web"), `"act":{"sub":"svc","act":{"sub":"web"}}`, saysYes},
		{"act: a stranger in the chain", jwtvalidate.Actors("svc"), `"act":{"sub":"svc","act":{"sub":"web"}}`, saysNo},
		{"act: without sub", jwtvalidate.Actors("svc"), `"act":{}`, cannot},
		{"act: endless", jwtvalidate.Actors("s"), `"act":` + strings.Repeat(`{"sub":"s","act":`, 9) + `{"sub":"s"}` + strings.Repeat("}", 9), cannot},
		{"act: missing", jwtvalidate.Actors("svc"), `"x":1`, cannot},
		{"details", jwtvalidate.AuthorizationDetails("pay", nil), `"authorization_details":[{"type":"x"},{"type":"pay"}]`, saysYes},
		{"details: matched", jwtvalidate.AuthorizationDetails("pay", func(d map[string]any) bool { return d["n"] == json.Number("1") }), `"authorization_details":[{"type":"pay","n":1}]`, saysYes},
		{"details: not matched", jwtvalidate.AuthorizationDetails("pay", func(map[string]any) bool { return false }), `"authorization_details":[{"type":"pay"}]`, saysNo},
		{"details: odd", jwtvalidate.AuthorizationDetails("pay", nil), `"authorization_details":[{"type":"pay"},7]`, cannot},
		{"details: no array", jwtvalidate.AuthorizationDetails("pay", nil), `"authorization_details":{"type":"pay"}`, cannot},

		{"all", jwtvalidate.All(jwtvalidate.AllScopes("a"), claim("x").Exists()), `"scope":"a","x":1`, saysYes},
		{"all: a no wins over cannot say", jwtvalidate.All(claim("y").Exists(), jwtvalidate.AllScopes("b")), `"scope":"a"`, saysNo},
		{"all: cannot say", jwtvalidate.All(jwtvalidate.AllScopes("a"), claim("y").Exists()), `"scope":"a"`, cannot},
		{"any: a yes wins over cannot say", jwtvalidate.Any(claim("y").Exists(), jwtvalidate.AllScopes("a")), `"scope":"a"`, saysYes},
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
		"Claim(roles).AnyOf":      admin,
		"administrators":          admin.Named("administrators"),
		"AllScopes(orders:write)": jwtvalidate.All(jwtvalidate.Claim("roles").Absent(), jwtvalidate.AllScopes("orders:write")),
	} {
		events = nil
		route(t, v, "/", v.Require(want)(okay), "/", es256(t, goodHeader, payload(`"scope":"`+canary+`"`)))
		require.Len(t, events, 2, "the check, and the refusal")
		require.Equal(t, jwtvalidate.KindAccepted, events[0].Kind)
		require.Equal(t, jwtvalidate.KindRefused, events[1].Kind)
		require.Equal(t, rule, events[1].Rule)
		require.Equal(t, issuerURL, events[1].Issuer)
		require.NotContains(t, fmt.Sprintf("%+v", events), canary)
	}
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
