package jwtvalidate_test

import (
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// The endpoint of these tests: one issuer, one audience, one RSA key under its kid.
const (
	krakendURL      = "http://example.com"
	krakendAudience = "http://api.example.com"
	krakendHeader   = `{"alg":"RS256","typ":"JWT","kid":"2011-04-29"}`
	krakendRoles    = `,"roles":["role_a","role_b"]`
)

// krakendPayload is a good payload and more members, each behind a comma.
func krakendPayload(members string) string {
	return `{"iss":"http://example.com","aud":"http://api.example.com","sub":"ann","jti":"4711","exp":1800003600` + members + `}`
}

func krakendToken(tb testing.TB, members string) string {
	tb.Helper()
	return mint(tb, jose.RS256, rsaKey(), krakendHeader, krakendPayload(members))
}

func krakendIssuer() jwtvalidate.Issuer {
	keys := &source{find: func(kid, _ string) ([]crypto.PublicKey, error) {
		if kid != "2011-04-29" {
			return nil, nil
		}
		return []crypto.PublicKey{&rsaKey().PublicKey}, nil
	}}
	return jwtvalidate.Issuer{URL: krakendURL, Algorithms: []string{"RS256"}, Keys: keys, Audiences: []string{krakendAudience}}
}

func krakendEndpoint(tb testing.TB, edit ...func(*jwtvalidate.Config)) *jwtvalidate.Validator {
	tb.Helper()
	cfg := jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{krakendIssuer()}}
	for _, f := range edit {
		f(&cfg)
	}
	return validator(tb, cfg)
}

// krakendError is what New finds wrong with an endpoint.
func krakendError(tb testing.TB, edit func(*jwtvalidate.Config)) error {
	tb.Helper()
	cfg := jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{krakendIssuer()}}
	edit(&cfg)
	v, err := jwtvalidate.New(cfg)
	require.Error(tb, err)
	require.Nil(tb, v)
	return err
}

// Middleware is what Handler is, and what Require makes.
type krakendMiddleware = func(http.Handler) http.Handler

// krakendPasses returns the request that the backend saw.
func krakendPasses(t *testing.T, m krakendMiddleware, r *http.Request) *http.Request {
	t.Helper()
	var seen *http.Request
	a := record(m(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r })), r)
	require.Equal(t, http.StatusOK, a.status)
	require.NotNil(t, seen)
	return seen
}

// krakendRefused holds that the backend saw nothing, and the client a status and,
// unless it is empty, a challenge.
func krakendRefused(t *testing.T, m krakendMiddleware, r *http.Request, status int, challenge string) {
	t.Helper()
	a := record(m(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the backend was asked") })), r)
	krakendAnswer(t, a, status, challenge)
}

func krakendAnswer(t *testing.T, a answer, status int, challenge string) {
	t.Helper()
	require.Equal(t, status, a.status)
	require.Empty(t, a.body)
	require.Empty(t, a.header.Values("Content-Type"))
	if challenge == "" {
		require.Empty(t, a.header.Values("WWW-Authenticate"))
	} else {
		require.Equal(t, []string{challenge}, a.header.Values("WWW-Authenticate"))
	}
}

// krakendRequest has a token of these members in its place.
func krakendRequest(tb testing.TB, members string) *http.Request {
	tb.Helper()
	return request("Bearer " + krakendToken(tb, members))
}

func krakendNeeds(scopes string) string {
	return `Bearer realm="api", error="insufficient_scope", scope="` + scopes + `"`
}

// krakendRejecter is a RevocationChecker.
type krakendRejecter func(get func(string) (any, bool)) bool

func (f krakendRejecter) Revoked(_ context.Context, claims interface{ Get(name string) (any, bool) }) (bool, error) {
	return f(claims.Get), nil
}

// TestKrakenDParity: what KrakenD's auth/validator does for an endpoint, with its
// inputs. "Here:" marks where the answer is another on purpose; KRAKEND.md has the
// settings beside each other.
func TestKrakenDParity(t *testing.T) {
	good := krakendToken(t, krakendRoles)
	plain := krakendEndpoint(t).Handler

	t.Run("1 unknown alg at build", func(t *testing.T) {
		for _, alg := range []string{"random", "rs256", "none", "ES256K", "RS256 "} {
			err := krakendError(t, func(c *jwtvalidate.Config) { c.Issuers[0].Algorithms = []string{alg} })
			require.ErrorContains(t, err, fmt.Sprintf("Issuers[0].Algorithms: %q is not supported", alg))
		}
	})

	// 2, 23 and 25 to 31 are the business of jwkcache, and of its tests.

	t.Run("3 config of wrong shape", func(t *testing.T) {
		// Here: Go's types rule out a section that is no section; an empty one names all that it lacks.
		err := krakendError(t, func(c *jwtvalidate.Config) { c.Issuers = []jwtvalidate.Issuer{{}} })
		for _, field := range []string{"URL", "Algorithms", "Keys", "Audiences"} {
			require.ErrorContains(t, err, "Issuers[0]."+field)
		}
	})

	t.Run("4 no validator, handler untouched", func(t *testing.T) {
		mux := http.NewServeMux()
		var seen *http.Request
		witness := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r })
		mux.Handle("/open", witness)
		mux.Handle("/orders", plain(witness))
		r := httptest.NewRequest(http.MethodGet, "/open", http.NoBody)
		r.Header.Set("Authorization", "Bearer a.bad.token")
		require.Equal(t, http.StatusOK, record(mux, r).status)
		require.Equal(t, []string{"Bearer a.bad.token"}, seen.Header["Authorization"])
		require.Equal(t, http.StatusUnauthorized, record(mux, request()).status)
	})

	t.Run("5 bad config lets nothing through", func(t *testing.T) {
		// Here: New returns an error, and no Validator that could answer 401 to everything.
		v, err := jwtvalidate.New(jwtvalidate.Config{})
		require.ErrorContains(t, err, "Issuers: at least one is required")
		require.Nil(t, v)
		next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the backend was asked") })
		require.Panics(t, func() { record(v.Handler(next), request("Bearer "+good)) }, "who overlooks the error serves nobody")
	})

	t.Run("6 no token", func(t *testing.T) {
		krakendRefused(t, plain, request(), 401, challengeNone)
	})

	t.Run("7 scheme in any case", func(t *testing.T) {
		for _, scheme := range []string{"Bearer", "BEARER", "bearer", "bEaReR"} {
			krakendPasses(t, plain, request(scheme+" "+good))
		}
		// Here: a token without the scheme is none, unless Sources say so.
		krakendRefused(t, plain, request(good), 401, challengeNone)
		alone := krakendEndpoint(t, func(c *jwtvalidate.Config) {
			c.Sources = []jwtvalidate.TokenSource{{Header: "Authorization", Scheme: "Bearer"}, {Header: "Authorization"}}
		}).Handler
		krakendPasses(t, alone, request(good))
		krakendPasses(t, alone, request("bearer "+good))
	})

	t.Run("8 malformed token", func(t *testing.T) {
		for _, token := range []string{"a.bad.token", "a", "a.b", "..", good + ".x", good[:len(good)-4]} {
			krakendRefused(t, plain, request("Bearer "+token), 401, challengeToken)
		}
	})

	claim := jwtvalidate.Claim
	depth8 := `,"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":["role_a","role_b"]}}}}}}}`
	for _, row := range []struct {
		name, members string
		rule          jwtvalidate.Rule
		passes        bool
	}{
		{"9 role missing", krakendRoles, claim("roles").AnyOf("role_c"), false},
		{"10 role any", krakendRoles, claim("roles").AnyOf("role_a", "role_c"), true},
		{"10 role any, the last", krakendRoles, claim("roles").AnyOf("role_c", "role_b"), true},
		{"11 roles in a string", `,"roles":"a b"`, claim("roles").Words().AnyOf("a"), true},
		{"11 roles in a string, the one", `,"roles":"a"`, claim("roles").Words().AnyOf("a"), true},
		{"11 roles in a string, a part", `,"roles":"ab"`, claim("roles").Words().AnyOf("a"), false},
		{"11 roles in a string, Words and an array", krakendRoles, claim("roles").Words().AnyOf("role_a"), true},
		// Here: a string is one role, unless Words says otherwise.
		{"11 roles in a string, without Words", `,"roles":"a b"`, claim("roles").AnyOf("a"), false},
		{"11 roles in a string, the one without Words", `,"roles":"a"`, claim("roles").AnyOf("a"), true},
		{"12 nested roles, depth 8", depth8, claim("a", "b", "c", "d", "e", "f", "g", "h").AnyOf("role_a"), true},
		{"12 nested roles, another", depth8, claim("a", "b", "c", "d", "e", "f", "g", "h").AnyOf("role_c"), false},
		{"12 nested roles, half the way", depth8, claim("a", "b", "c", "d").AnyOf("role_a"), false},
		{"12 nested roles, beyond the end", depth8, claim("a", "b", "c", "d", "e", "f", "g", "h", "i").AnyOf("role_a"), false},
		{"12 nested roles, missing parent", ``, claim("realm_access", "roles").AnyOf("role_a"), false},

		{"all of the roles", krakendRoles, claim("roles").AllOf("role_b", "role_a"), true},
		{"all of the roles, one is missing", krakendRoles, claim("roles").AllOf("role_a", "role_c"), false},
		{"no claim roles", ``, claim("roles").AnyOf("role_a"), false},
		{"empty array of roles", `,"roles":[]`, claim("roles").AnyOf("role_a"), false},
		{"empty string of roles", `,"roles":""`, claim("roles").Words().AnyOf("role_a"), false},
		{"roles are null", `,"roles":null`, claim("roles").AnyOf("role_a"), false},
		{"roles are a number", `,"roles":1`, claim("roles").AnyOf("1"), false},
		{"roles are a bool", `,"roles":true`, claim("roles").AnyOf("true"), false},
		{"roles are an object", `,"roles":{"role_a":true}`, claim("roles").AnyOf("role_a"), false},

		// Here: an array with anything but strings is refused, wherever the odd one stands.
		{"role that is a number", `,"roles":[1]`, claim("roles").AnyOf("1"), false},
		{"role that is a number, before the good one", `,"roles":[1,"role_a"]`, claim("roles").AnyOf("role_a"), false},
		{"role that is a number, behind the good one", `,"roles":["role_a",1]`, claim("roles").AnyOf("role_a"), false},
		{"role that is null", `,"roles":[null,"role_a"]`, claim("roles").AnyOf("role_a"), false},
		{"role that is an object", `,"roles":[{"name":"role_a"},"role_a"]`, claim("roles").AnyOf("role_a"), false},
		{"role that is an array", `,"roles":[["role_a"]]`, claim("roles").AnyOf("role_a"), false},

		// Here: names are exact, and no setting says whether a dot separates.
		{"dotted name", `,"realm.roles":["role_a"]`, claim("realm.roles").AnyOf("role_a"), true},
		{"dotted name is no path", `,"realm":{"roles":["role_a"]}`, claim("realm.roles").AnyOf("role_a"), false},
		{"path is no dotted name", `,"realm.roles":["role_a"]`, claim("realm", "roles").AnyOf("role_a"), false},
		{"short dotted name", `,"a.b":["role_a"]`, claim("a.b").AnyOf("role_a"), true},
		{"short path", `,"a":{"b":["role_a"]}`, claim("a", "b").AnyOf("role_a"), true},
		{"dotted name within a path", `,"resource_access":{"my.app":{"roles":["role_a"]}}`, claim("resource_access", "my.app", "roles").AnyOf("role_a"), true},
		{"URL as a name", `,"http://example.com/roles":["role_a"]`, claim("http://example.com/roles").AnyOf("role_a"), true},
		{"URL as a name within a path", `,"app":{"https://example.com/roles":"role_a"}`, claim("app", "https://example.com/roles").AnyOf("role_a"), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := krakendRequest(t, row.members)
			for _, m := range []krakendMiddleware{
				krakendEndpoint(t).Require(row.rule),
				krakendEndpoint(t, func(c *jwtvalidate.Config) { c.Rules = []jwtvalidate.Rule{row.rule} }).Handler,
			} {
				if row.passes {
					krakendPasses(t, m, r)
				} else {
					krakendRefused(t, m, r, 403, "")
				}
			}
		})
	}

	words := func(scopes ...string) string { return `"` + strings.Join(scopes, " ") + `"` }
	array := func(scopes ...string) string { return `["` + strings.Join(scopes, `","`) + `"]` }
	for _, place := range []struct {
		name     string
		members  func(scopes ...string) string
		all, any func(scopes ...string) jwtvalidate.Rule
	}{
		{
			"", func(s ...string) string { return `,"scope":` + words(s...) },
			jwtvalidate.AllScopes, jwtvalidate.AnyScope,
		},
		{
			" in an array (15)", func(s ...string) string { return `,"scp":` + array(s...) },
			jwtvalidate.AllScopes, jwtvalidate.AnyScope,
		},
		{
			" by a key, in a string (15)", func(s ...string) string { return `,"permissions":` + words(s...) },
			claim("permissions").AllScopes, claim("permissions").AnyScope,
		},
		{
			" by a URL, in an array (15)", func(s ...string) string { return `,"http://example.com/scopes":` + array(s...) },
			claim("http://example.com/scopes").AllScopes, claim("http://example.com/scopes").AnyScope,
		},
		{
			" at depth 8 (15)", func(s ...string) string {
				return `,"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":` + array(s...) + `}}}}}}}`
			},
			claim("a", "b", "c", "d", "e", "f", "g", "h").AllScopes, claim("a", "b", "c", "d", "e", "f", "g", "h").AnyScope,
		},
	} {
		t.Run("13 scopes all"+place.name, func(t *testing.T) {
			r := krakendRequest(t, place.members("a", "b"))
			krakendPasses(t, krakendEndpoint(t).Require(place.all("a", "b")), r)
			krakendPasses(t, krakendEndpoint(t).Require(place.all("b")), r)
			krakendPasses(t, plain, r) // none is needed
			krakendRefused(t, krakendEndpoint(t).Require(place.all("c")), r, 403, krakendNeeds("c"))
			krakendRefused(t, krakendEndpoint(t).Require(place.all("a", "b", "c")), r, 403, krakendNeeds("a b c"))
		})
		t.Run("14 scopes any"+place.name, func(t *testing.T) {
			r := krakendRequest(t, place.members("a"))
			krakendPasses(t, krakendEndpoint(t).Require(place.any("a", "b")), r)
			krakendRefused(t, krakendEndpoint(t).Require(place.any("c")), r, 403, krakendNeeds("c"))
			krakendPasses(t, plain, r)
		})
		// Here: a rule without scopes is a mistake, not one that everything satisfies.
		t.Run("13, 14 no scopes to need"+place.name, func(t *testing.T) {
			for _, rule := range []jwtvalidate.Rule{place.all(), place.any()} {
				require.ErrorContains(t, krakendError(t, func(c *jwtvalidate.Config) { c.Rules = []jwtvalidate.Rule{rule} }), "no scopes")
				require.Panics(t, func() { krakendEndpoint(t).Require(rule) })
			}
		})
	}

	t.Run("15 scopes that are not there", func(t *testing.T) {
		nested := claim("app", "scopes").AllScopes("a")
		for members, rule := range map[string]jwtvalidate.Rule{
			"":                           nested,
			`,"app":{}`:                  nested,
			`,"app":["scopes"]`:          nested,
			`,"app":{"scopes":[]}`:       nested,
			`,"app":{"scopes":""}`:       nested,
			`,"app":{"scopes":[1,"a"]}`:  nested, // here: refused, as among roles
			`,"app":{"scopes":null}`:     nested,
			`,"app.scopes":["a"]`:        nested,
			`,"scope":""`:                jwtvalidate.AllScopes("a"),
			`,"scope":["a",1]`:           jwtvalidate.AllScopes("a"),
			`,"scp":[]`:                  jwtvalidate.AllScopes("a"),
			`,"scope":"","scp":["a"]`:    jwtvalidate.AllScopes("a"),
			`,"scopes":["a"],"app":true`: jwtvalidate.AllScopes("a"),
		} {
			krakendRefused(t, krakendEndpoint(t).Require(rule), krakendRequest(t, members), 403, krakendNeeds("a"))
		}
	})

	t.Run("scopes without a key", func(t *testing.T) {
		// Here: without a key it is scope or scp, and a token that has neither is refused.
		for _, rule := range []jwtvalidate.Rule{jwtvalidate.AnyScope("a"), jwtvalidate.AllScopes("a")} {
			m := krakendEndpoint(t).Require(rule)
			krakendPasses(t, m, krakendRequest(t, `,"scope":"a b"`))
			krakendPasses(t, m, krakendRequest(t, `,"scp":["a","b"]`))
			krakendRefused(t, m, krakendRequest(t, krakendRoles), 403, krakendNeeds("a"))
		}
	})

	t.Run("16 custom header", func(t *testing.T) {
		m := krakendEndpoint(t, func(c *jwtvalidate.Config) {
			c.Sources = []jwtvalidate.TokenSource{{Header: "x-custom-auth"}, {Header: "x-custom-auth", Scheme: "Bearer"}}
		}).Handler
		for _, value := range []string{good, "Bearer " + good, "bearer " + good} {
			r := request()
			r.Header.Set("X-Custom-Auth", value)
			krakendPasses(t, m, r)
		}
		krakendRefused(t, m, request("Bearer "+good), 401, challengeNone)
		krakendRefused(t, m, request(), 401, challengeNone)
	})

	t.Run("17 cookie", func(t *testing.T) {
		with := func(name, value string, authorization ...string) *http.Request {
			r := request(authorization...)
			r.Header.Set("Cookie", name+"="+value)
			return r
		}
		cookie := func(name string, headerFirst bool) krakendMiddleware {
			return krakendEndpoint(t, func(c *jwtvalidate.Config) {
				c.Sources = []jwtvalidate.TokenSource{{Header: "Authorization", Scheme: "Bearer"}, {Cookie: name}}
				c.HeaderFirst = headerFirst
			}).Handler
		}
		for _, name := range []string{"access_token", "session"} {
			for _, headerFirst := range []bool{false, true} {
				m := cookie(name, headerFirst)
				seen := krakendPasses(t, m, with(name, good))
				require.Empty(t, seen.Header["Cookie"], "the backend sees no token that a browser sent")
				krakendRefused(t, m, with(name, "a.bad.token"), 401, challengeToken)
				krakendRefused(t, m, with("other", good), 401, challengeNone)
			}
		}

		// The header is there, so the cookie is not looked at.
		first := cookie("access_token", true)
		krakendPasses(t, first, with("access_token", "a.bad.token", "Bearer "+good))
		krakendRefused(t, first, with("access_token", good, "Bearer a.bad.token"), 401, challengeToken)
		krakendRefused(t, first, with("access_token", good, "Basic eDp5"), 401, challengeNone)

		// Here: without HeaderFirst, two tokens are one too many, and Basic is no token.
		krakendRefused(t, cookie("access_token", false), with("access_token", good, "Bearer "+good), 400, challengeRequest)
		krakendPasses(t, cookie("access_token", false), with("access_token", good, "Basic eDp5"))
		// Here: no cookie is a token unless Sources say so.
		krakendRefused(t, plain, with("access_token", good), 401, challengeNone)
		// Here: a page of another origin cannot act with the cookie.
		r := with("access_token", good)
		r.Method = http.MethodPost
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		krakendRefused(t, first, r, 403, "")
	})

	t.Run("18 propagate claims", func(t *testing.T) {
		m := krakendEndpoint(t, func(c *jwtvalidate.Config) {
			c.Forward = []jwtvalidate.ForwardClaim{
				{Claim: []string{"jti"}, Header: "x-jti"},
				{Claim: []string{"sub"}, Header: "X-Sub"},
				{Claim: []string{"roles"}, Header: "X-Roles"},
				{Claim: []string{"roles"}, Header: "X-Role", Repeat: true},
				{Claim: []string{"sub"}, Header: "X-Replaced"},
				{Claim: []string{"nonexistent"}, Header: "X-Nonexistent"},
				{Claim: []string{"nonexistent"}, Header: "X-Emptied", Empty: true},
			}
		}).Handler
		r := krakendRequest(t, krakendRoles)
		for _, name := range []string{"X-Jti", "X-Sub", "X-Roles", "X-Role", "X-Replaced", "X-Nonexistent", "X-Emptied", "X-Other"} {
			r.Header.Set(name, "of the client")
		}
		seen := krakendPasses(t, m, r).Header
		require.Equal(t, []string{"4711"}, seen["X-Jti"])
		require.Equal(t, []string{"ann"}, seen["X-Sub"])
		require.Equal(t, []string{"role_a,role_b"}, seen["X-Roles"])
		require.Equal(t, []string{"role_a", "role_b"}, seen["X-Role"])
		require.Equal(t, []string{"ann"}, seen["X-Replaced"])
		require.Equal(t, []string{""}, seen["X-Emptied"])
		require.Equal(t, []string{"of the client"}, seen["X-Other"])
		// Here: without Empty, the header of a missing claim is removed.
		require.NotContains(t, seen, "X-Nonexistent")

		// Here: a pair that is none fails New.
		for field, f := range map[string]jwtvalidate.ForwardClaim{
			"Claim: required": {Header: "X-Sub"}, "Header: required": {Claim: []string{"sub"}},
		} {
			require.ErrorContains(t, krakendError(t, func(c *jwtvalidate.Config) {
				c.Forward = []jwtvalidate.ForwardClaim{f}
			}), "Forward[0]."+field)
		}
	})

	const mixed = `["item 1","item-2",1,-2,2.99,-3.01]`
	absent := []string(nil)
	for _, row := range []struct {
		value         string
		joined, lines []string
	}{
		{`42`, []string{"42"}, []string{"42"}},
		{`0`, []string{"0"}, []string{"0"}},
		{`-42`, []string{"-42"}, []string{"-42"}},
		{`"some text"`, []string{"some text"}, []string{"some text"}},
		{`"f7c1b1d6-9c0d-4c8e-9a1c-6f4a2f6f0f3b"`, []string{"f7c1b1d6-9c0d-4c8e-9a1c-6f4a2f6f0f3b"}, []string{"f7c1b1d6-9c0d-4c8e-9a1c-6f4a2f6f0f3b"}},
		{mixed, []string{"item 1,item-2,1,-2,2.99,-3.01"}, []string{"item 1", "item-2", "1", "-2", "2.99", "-3.01"}},
		{`1000001`, []string{"1000001"}, []string{"1000001"}},
		{`4.000001`, []string{"4.000001"}, []string{"4.000001"}},
		{`1651529725`, []string{"1651529725"}, []string{"1651529725"}},
		{`true`, []string{"true"}, []string{"true"}},
		{`{"k":"v"}`, []string{`{"k":"v"}`}, []string{`{"k":"v"}`}},
		{`["a","b"]`, []string{"a,b"}, []string{"a", "b"}},
		{`[]`, []string{""}, absent},

		// Here: a number goes on in the digits of the token.
		{`-42.42`, []string{"-42.42"}, []string{"-42.42"}},
		{`1.5`, []string{"1.5"}, []string{"1.5"}},
		{`4.0000001`, []string{"4.0000001"}, []string{"4.0000001"}},
		{`9007199254740993`, []string{"9007199254740993"}, []string{"9007199254740993"}},
		{`12345678901234567890`, []string{"12345678901234567890"}, []string{"12345678901234567890"}},
		{`1e3`, []string{"1e3"}, []string{"1e3"}},
		// Here: null is missing.
		{`null`, absent, absent},
	} {
		t.Run("19 conversion of "+row.value, func(t *testing.T) {
			m := krakendEndpoint(t, func(c *jwtvalidate.Config) {
				c.Forward = []jwtvalidate.ForwardClaim{
					{Claim: []string{"x"}, Header: "X-Joined"},
					{Claim: []string{"x"}, Header: "X-Lines", Repeat: true},
					{Claim: []string{"x"}, Header: "X-Json", JSON: true},
				}
			}).Handler
			seen := krakendPasses(t, m, krakendRequest(t, `,"x":`+row.value)).Header
			require.Equal(t, row.joined, seen["X-Joined"])
			require.Equal(t, row.lines, seen["X-Lines"])
			if row.value != "null" {
				require.Equal(t, []string{row.value}, seen["X-Json"])
			}
		})
	}

	t.Run("19 text that a header cannot hold", func(t *testing.T) {
		// Here: refused, as nobody knows what would arrive. JSON holds anything.
		for _, value := range []string{`"a\r\nX-Admin: true"`, `"a\u0000"`, `"Jürgen"`, `" a"`, `["a,b"]`, `[null]`, `[["a"]]`} {
			f := jwtvalidate.ForwardClaim{Claim: []string{"x"}, Header: "X-Text"}
			r := krakendRequest(t, `,"x":`+value)
			forwards := func(c *jwtvalidate.Config) { c.Forward = []jwtvalidate.ForwardClaim{f} }
			krakendRefused(t, krakendEndpoint(t, forwards).Handler, r, 403, "")
			f.JSON = true
			var want, got any
			seen := krakendPasses(t, krakendEndpoint(t, forwards).Handler, r)
			require.NoError(t, json.Unmarshal([]byte(value), &want))
			require.NoError(t, json.Unmarshal([]byte(seen.Header.Get("X-Text")), &got))
			require.Equal(t, want, got)
		}
	})

	t.Run("20 nested conversion", func(t *testing.T) {
		m := krakendEndpoint(t, func(c *jwtvalidate.Config) {
			c.Forward = []jwtvalidate.ForwardClaim{
				{Claim: []string{"d", "d"}, Header: "X-Object"},
				{Claim: []string{"d", "d", "c"}, Header: "X-Array"},
				{Claim: []string{"d", "f"}, Header: "X-Missing"},
				{Claim: []string{"d", "f"}, Header: "X-Emptied", Empty: true},
				{Claim: []string{"d.d"}, Header: "X-Dotted"},
				{Claim: []string{"https://example.com/tenant"}, Header: "X-Tenant"},
			}
		}).Handler
		r := krakendRequest(t, `,"d":{"d":{"c":["foo","bar",42]}},"d.d":"dotted","https://example.com/tenant":"t1"`)
		r.Header.Set("X-Missing", "of the client")
		seen := krakendPasses(t, m, r).Header
		require.Equal(t, []string{`{"c":["foo","bar",42]}`}, seen["X-Object"])
		require.Equal(t, []string{"foo,bar,42"}, seen["X-Array"])
		require.Equal(t, []string{""}, seen["X-Emptied"])
		require.Equal(t, []string{"t1"}, seen["X-Tenant"])
		require.Equal(t, []string{"dotted"}, seen["X-Dotted"]) // here: names are exact
		require.NotContains(t, seen, "X-Missing")              // here: as in 18
	})

	t.Run("21 claims in the backend's URL", func(t *testing.T) {
		// Here: the handler makes the URL, of any claim, and escapes it itself.
		var path string
		toBackend := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c, _ := jwtvalidate.FromContext(r.Context())
			tenant, _ := c.Get("http://example.com/tenant")
			text, _ := tenant.(string)
			path = "/" + strings.Join([]string{url.PathEscape(text), c.Subject(), c.ID(), url.PathEscape(c.Issuer())}, "/")
		})
		r := krakendRequest(t, `,"http://example.com/tenant":"a/b"`)
		require.Equal(t, http.StatusOK, record(plain(toBackend), r).status)
		require.Equal(t, "/a%2Fb/ann/4711/http:%2F%2Fexample.com", path)
	})

	t.Run("22 rejecter chain", func(t *testing.T) {
		nop := krakendRejecter(func(func(string) (any, bool)) bool { return false })
		is42 := krakendRejecter(func(get func(string) (any, bool)) bool {
			v, _ := get("key")
			n, isNumber := v.(json.Number)
			return isNumber && n == "42"
		})
		chain := krakendRejecter(func(get func(string) (any, bool)) bool {
			for _, reject := range []krakendRejecter{nop, is42} {
				if reject(get) {
					return true
				}
			}
			return false
		})
		for _, rejecter := range []krakendRejecter{is42, chain} {
			m := krakendEndpoint(t, func(c *jwtvalidate.Config) { c.Revocation = rejecter }).Handler
			krakendRefused(t, m, krakendRequest(t, `,"key":42`), 401, challengeToken)
			for _, members := range []string{``, `,"key":43`, `,"key":"42"`, `,"key":null`, `,"key":[42]`, `,"key":42.5`} {
				krakendPasses(t, m, krakendRequest(t, members))
			}
		}
		m := krakendEndpoint(t, func(c *jwtvalidate.Config) { c.Revocation = nop }).Handler
		krakendPasses(t, m, krakendRequest(t, `,"key":42`))
	})

	t.Run("24 shared cache", func(t *testing.T) {
		idp := testidp.New(t, jose.RS256)
		var ahead atomic.Int64
		keys, err := jwkcache.New(jwkcache.Config{
			URL: idp.JWKSURL(), InsecureHTTP: true, RefreshAfter: 3 * time.Second,
			Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		})
		require.NoError(t, err)
		r := request("Bearer " + idp.Token(nil))
		tenEndpoints := func() {
			for range 10 {
				krakendPasses(t, validator(t, jwtvalidate.Config{
					Issuers: []jwtvalidate.Issuer{{
						URL: idp.Issuer(), Algorithms: []string{"RS256"}, Keys: keys, Audiences: []string{testidp.Audience},
					}},
					Now: time.Now,
				}).Handler, r)
			}
		}
		tenEndpoints()
		require.Equal(t, 1, idp.Requests(testidp.JWKSPath))
		ahead.Store(int64(7 * time.Second)) // above twice the age, jitter included, a lookup waits for the fetch
		tenEndpoints()
		require.Equal(t, 2, idp.Requests(testidp.JWKSPath))
	})

	hs256 := func(key []byte, payload string) string {
		return mint(t, jose.HS256, key, `{"alg":"HS256","typ":"JWT","kid":"sim2"}`, payload)
	}
	secretly := func(c *jwtvalidate.Config) {
		c.Issuers[0].Algorithms, c.Issuers[0].Keys = []string{"HS256"}, mustSecret(t, secret)
	}
	es384 := func(c *jwtvalidate.Config) {
		c.Issuers[0].Algorithms, c.Issuers[0].Keys = []string{"ES384"}, sourceOf(&p384Key().PublicKey)
	}
	claims := func(iss, aud, exp string) string {
		return `{"iss":"` + iss + `","aud":"` + aud + `","exp":` + exp + `}`
	}
	const ahead, past = "1800003600", "1799990000"
	for _, row := range []struct {
		name  string
		edit  func(*jwtvalidate.Config)
		token string
		want  error // nil: it passes
	}{
		{"HS256", secretly, hs256(secret, krakendPayload("")), nil},
		{"ES384", es384, mint(t, jose.ES384, p384Key(), `{"alg":"ES384","kid":"1"}`, krakendPayload("")), nil},
		{"bad aud", secretly, hs256(secret, claims(krakendURL, "http://other.example.com", ahead)), jwtvalidate.ErrAudience},
		{"no aud", secretly, hs256(secret, `{"iss":"http://example.com","exp":1800003600}`), jwtvalidate.ErrAudience},
		{"bad iss", secretly, hs256(secret, claims("http://other.example.com", krakendAudience, ahead)), jwtvalidate.ErrUnknownIssuer},
		{"iss with a slash more", secretly, hs256(secret, claims(krakendURL+"/", krakendAudience, ahead)), jwtvalidate.ErrUnknownIssuer},
		{"no iss", secretly, hs256(secret, `{"aud":"http://api.example.com","exp":1800003600}`), jwtvalidate.ErrUnknownIssuer},
		{"bad exp", secretly, hs256(secret, claims(krakendURL, krakendAudience, past)), jwtvalidate.ErrExpired},
		{"bad alg", secretly, krakendToken(t, ""), jwtvalidate.ErrAlgorithm},
		{"bad alg of the same key", secretly, mint(t, jose.HS512, secret, `{"alg":"HS512"}`, krakendPayload("")), jwtvalidate.ErrAlgorithm},
		{"bad alg before bad exp", es384, hs256(secret, claims(krakendURL, krakendAudience, past)), jwtvalidate.ErrAlgorithm},
		{"bad secret", secretly, hs256([]byte(strings.Repeat("another ", 8)), krakendPayload("")), jwtvalidate.ErrSignature},
		{"unknown kid", func(*jwtvalidate.Config) {}, mint(t, jose.RS256, rsaKey(), `{"alg":"RS256","kid":"x"}`, krakendPayload("")), jwtvalidate.ErrUnknownKey},
		{"sub is a number", secretly, hs256(secret, krakendSwap(`"sub":"ann"`, `"sub":7`)), jwtvalidate.ErrMalformed},
		{"jti is a number", secretly, hs256(secret, krakendSwap(`"jti":"4711"`, `"jti":4711`)), jwtvalidate.ErrMalformed},
		{"exp is a string", secretly, hs256(secret, claims(krakendURL, krakendAudience, `"1800003600"`)), jwtvalidate.ErrMalformed},
		{"exp has a fraction", secretly, hs256(secret, claims(krakendURL, krakendAudience, "1800003600.5")), nil},
		// Here: a token needs an end.
		{"no exp", secretly, hs256(secret, `{"iss":"http://example.com","aud":"http://api.example.com"}`), jwtvalidate.ErrMissingClaim},
		// Here: revoked is a cause of its own.
		{"revoked", func(c *jwtvalidate.Config) {
			c.Revocation = krakendRejecter(func(func(string) (any, bool)) bool { return true })
		}, good, jwtvalidate.ErrRevoked},
	} {
		t.Run("32 validation, "+row.name, func(t *testing.T) {
			v := krakendEndpoint(t, row.edit)
			c, err := v.CheckToken(t.Context(), row.token)
			if row.want == nil {
				require.NoError(t, err)
				require.Equal(t, krakendURL, c.Issuer())
				krakendPasses(t, v.Handler, request("Bearer "+row.token))
				return
			}
			require.ErrorIs(t, err, row.want)
			require.ErrorIs(t, err, jwtvalidate.ErrInvalidToken)
			krakendRefused(t, v.Handler, request("Bearer "+row.token), 401, challengeToken)
		})
	}

	t.Run("32 validation, several algorithms and issuers", func(t *testing.T) {
		// Here: lists; each issuer has its own algorithms, keys and audiences.
		second := krakendIssuer()
		second.URL, second.Algorithms = "http://second.example.com", []string{"ES256", "ES384"}
		second.Keys = sourceOf(&rsaKey().PublicKey, &p384Key().PublicKey)
		m := krakendEndpoint(t, func(c *jwtvalidate.Config) {
			c.Issuers[0].Keys = second.Keys // not even so
			c.Issuers = append(c.Issuers, second)
		}).Handler
		krakendPasses(t, m, request("Bearer "+good))
		of := func(iss string) string {
			return mint(t, jose.ES384, p384Key(), `{"alg":"ES384","kid":"2011-04-29"}`, claims(iss, krakendAudience, ahead))
		}
		krakendPasses(t, m, request("Bearer "+of(second.URL)))
		krakendRefused(t, m, request("Bearer "+of(krakendURL)), 401, challengeToken)
	})

	t.Run("32 validation, nothing is unchecked", func(t *testing.T) {
		// Here: issuer and audience are required.
		require.ErrorContains(t, krakendError(t, func(c *jwtvalidate.Config) { c.Issuers[0].URL = "" }), "Issuers[0].URL: required")
		require.ErrorContains(t, krakendError(t, func(c *jwtvalidate.Config) { c.Issuers[0].Audiences = nil }), "Issuers[0].Audiences: at least one")
	})

	t.Run("audience, all and any", func(t *testing.T) {
		const other = "http://other.example.com"
		for _, row := range []struct {
			aud      string
			all, any bool
		}{
			{`["` + krakendAudience + `","` + other + `"]`, true, true},
			{`["` + other + `","x","` + krakendAudience + `"]`, true, true},
			{`["` + krakendAudience + `"]`, false, true}, // here: one is enough, unless AllAudiences
			{`"` + other + `"`, false, true},
			{`["` + other + `","` + other + `"]`, false, true},
			{`["x"]`, false, false},
			{`[]`, false, false},
			{`""`, false, false},
		} {
			token := mint(t, jose.RS256, rsaKey(), krakendHeader, `{"iss":"http://example.com","exp":1800003600,"aud":`+row.aud+`}`)
			for _, all := range []bool{true, false} {
				m := krakendEndpoint(t, func(c *jwtvalidate.Config) {
					c.Issuers[0].Audiences, c.Issuers[0].AllAudiences = []string{krakendAudience, other}, all
				}).Handler
				if all && row.all || !all && row.any {
					krakendPasses(t, m, request("Bearer "+token))
				} else {
					krakendRefused(t, m, request("Bearer "+token), 401, challengeToken)
				}
			}
		}
	})

	t.Run("leeway for exp, nbf and iat", func(t *testing.T) {
		// Here: 10 s unless said, none if so said, and at most a minute.
		for _, row := range []struct{ leeway, seconds time.Duration }{
			{0, 10}, {time.Second, 1}, {time.Minute, 60}, {jwtvalidate.NoLeeway, 0},
		} {
			m := krakendEndpoint(t, func(c *jwtvalidate.Config) { c.Leeway = row.leeway }).Handler
			at := func(seconds time.Duration) string { return fmt.Sprint(epoch + int(seconds)) }
			token := func(members string) *http.Request {
				return request("Bearer " + mint(t, jose.RS256, rsaKey(), krakendHeader,
					`{"iss":"http://example.com","aud":"http://api.example.com",`+members+`}`))
			}
			krakendPasses(t, m, token(`"exp":`+at(1-row.seconds)))
			krakendRefused(t, m, token(`"exp":`+at(-row.seconds)), 401, challengeToken)
			for _, name := range []string{"nbf", "iat"} {
				krakendPasses(t, m, token(`"exp":1800003600,"`+name+`":`+at(row.seconds)))
				krakendRefused(t, m, token(`"exp":1800003600,"`+name+`":`+at(row.seconds+1)), 401, challengeToken)
			}
		}
		require.ErrorContains(t, krakendError(t, func(c *jwtvalidate.Config) { c.Leeway = time.Minute + 1 }), "Leeway")
	})

	t.Run("33 extraction order, header and then query", func(t *testing.T) {
		both := []jwtvalidate.TokenSource{{Header: "Authorization", Scheme: "Bearer"}, {InsecureQuery: "token"}}
		first := krakendEndpoint(t, func(c *jwtvalidate.Config) { c.Sources, c.HeaderFirst = both, true }).Handler
		one := krakendEndpoint(t, func(c *jwtvalidate.Config) { c.Sources = both }).Handler
		at := func(query string, authorization ...string) *http.Request {
			r := request(authorization...)
			r.URL.RawQuery = query
			return r
		}
		for _, m := range []krakendMiddleware{first, one} {
			krakendPasses(t, m, request("Bearer "+good))
			seen := krakendPasses(t, m, at("page=2&token="+good))
			require.Equal(t, "page=2", seen.URL.RawQuery, "the backend sees no token in a URL")
			krakendRefused(t, m, request(), 401, challengeNone)
			krakendRefused(t, m, at("token=a.bad.token"), 401, challengeToken)
			krakendRefused(t, m, at("token=%zz"), 400, challengeRequest)
			krakendRefused(t, m, at("token=a+b"), 400, challengeRequest)
		}
		krakendPasses(t, first, at("token=a.bad.token", "Bearer "+good))
		krakendRefused(t, first, at("token="+good, "Bearer a.bad.token"), 401, challengeToken)
		// Here: without HeaderFirst, two tokens are one too many.
		krakendRefused(t, one, at("token="+good, "Bearer "+good), 400, challengeRequest)
	})

	t.Run("keys that cannot be had", func(t *testing.T) {
		// Here: 503, so that clients keep their tokens. What is bad without keys stays 401.
		m := krakendEndpoint(t, func(c *jwtvalidate.Config) { c.Issuers[0].Keys = failing(errDown) }).Handler
		krakendRefused(t, m, request("Bearer "+good), 503, "")
		krakendRefused(t, m, request("Bearer a.bad.token"), 401, challengeToken)
		krakendRefused(t, m, request(), 401, challengeNone)
	})

	t.Run("44 end to end", func(t *testing.T) {
		v := krakendEndpoint(t, secretly)
		mux := http.NewServeMux()
		mux.Handle("/orders", v.Require(claim("roles").AnyOf("role_a", "role_c"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		g := &gate{Validator: v, server: httptest.NewServer(mux)}
		t.Cleanup(g.server.Close)
		bearer := func(roles string) string {
			return "Authorization: Bearer " + hs256(secret, krakendPayload(`,"roles":`+roles))
		}
		krakendAnswer(t, g.get(t, bearer(`["role_y"]`)), 403, "")
		krakendAnswer(t, g.get(t, bearer(`["role_a","role_b"]`)), 200, "")
		krakendAnswer(t, g.get(t), 401, challengeNone)
		krakendAnswer(t, g.get(t, "Authorization: Bearer "+hs256(secret, claims(krakendURL, krakendAudience, past))), 401, challengeToken)
	})
}

func krakendSwap(old, with string) string { return strings.Replace(krakendPayload(""), old, with, 1) }

// The endpoint of KRAKEND.md, in Go.
func Example_krakenD() {
	mux := http.NewServeMux()
	backend := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

	keys, err := jwkcache.New(jwkcache.Config{URL: "https://idp.example.com/jwks.json"})
	if err != nil {
		log.Fatal(err)
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{{
			URL:        "https://idp.example.com/",
			Algorithms: []string{"RS256"},
			Keys:       keys,
			Audiences:  []string{"https://api.example.com"},
		}},
		Forward: []jwtvalidate.ForwardClaim{
			{Claim: []string{"sub"}, Header: "X-User"},
			{Claim: []string{"realm_access", "roles"}, Header: "X-Roles"},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	protect := v.Require(
		jwtvalidate.Claim("realm_access", "roles").AnyOf("admin", "clerk"),
		jwtvalidate.AllScopes("orders:read"),
	)
	mux.Handle("GET /orders", protect(backend))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/orders", http.NoBody))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer realm="api"
}

// TestKrakenDGuide holds KRAKEND.md against the code: it has every setting, names
// only fields that there are, and its Go is that of the Example.
func TestKrakenDGuide(t *testing.T) {
	text, err := os.ReadFile("KRAKEND.md")
	require.NoError(t, err)
	guide := string(text)

	for _, setting := range []string{
		"alg", "jwk_url", "jwk_local_path", "secret_url", "cypher_key", "cache", "cache_duration", "shared_cache_duration",
		"failed_jwk_key_cooldown", "key_identify_strategy", "audience", "issuer", "roles_key", "roles_key_is_nested", "roles",
		"scopes_key", "scopes", "scopes_matcher", "propagate_claims", "propagate_claims_preserve_array", "auth_header_name",
		"cookie_key", "leeway", "disable_jwk_security", "jwk_fingerprints", "jwk_local_ca", "cipher_suites", "operation_debug",
		"jwk-aggregator",
	} {
		require.Regexp(t, "(?m)^\\| [^|]*`"+regexp.QuoteMeta(setting)+"`[^|]* \\|", guide, "a row for %s", setting)
	}

	types := map[string]reflect.Type{
		"Config":          reflect.TypeFor[jwtvalidate.Config](),
		"Issuer":          reflect.TypeFor[jwtvalidate.Issuer](),
		"TokenSource":     reflect.TypeFor[jwtvalidate.TokenSource](),
		"ForwardClaim":    reflect.TypeFor[jwtvalidate.ForwardClaim](),
		"jwkcache.Config": reflect.TypeFor[jwkcache.Config](),
	}
	fields := regexp.MustCompile("`((?:jwkcache\\.)?[A-Z][A-Za-z]*)\\.([A-Z][A-Za-z]*)\\b").FindAllStringSubmatch(guide, -1)
	require.Greater(t, len(fields), 20)
	for _, m := range fields {
		typ := types[m[1]]
		require.NotNil(t, typ, m[0])
		_, ok := typ.FieldByName(m[2])
		require.True(t, ok, m[0])
	}

	block := func(language string) string {
		_, rest, ok := strings.Cut(guide, "\n```"+language+"\n")
		require.True(t, ok, language)
		code, _, ok := strings.Cut(rest, "\n```\n")
		require.True(t, ok, language)
		return code
	}
	require.True(t, json.Valid([]byte(block("json"))))
	own, err := os.ReadFile("krakend_test.go")
	require.NoError(t, err)
	indented := regexp.MustCompile("(?m)^(.)").ReplaceAllString(block("go"), "\t$1")
	require.Contains(t, string(own), "\n"+indented+"\n")
}
