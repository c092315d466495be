package jwtvalidate_test

import (
	"crypto"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// RFC 7519 section 4.1.4 to 4.1.6, to the nanosecond. The clock shows 1800000000.
func TestTime(t *testing.T) {
	const none = jwtvalidate.NoLeeway
	with := func(members string) string {
		return `{"iss":"https://idp.example.com/","aud":"https://api.example.com",` + members + `}`
	}
	for _, row := range []struct {
		name, members string
		leeway        time.Duration
		want          error
	}{
		{"exp a second ahead", `"exp":1800000001`, none, nil},
		{"exp now", `"exp":1800000000`, none, jwtvalidate.ErrExpired},
		{"exp a second ago", `"exp":1799999999`, none, jwtvalidate.ErrExpired},
		{"exp a nanosecond ahead", `"exp":1800000000.000000001`, none, nil},
		{"exp less than a nanosecond ahead", `"exp":1800000000.0000000009`, none, jwtvalidate.ErrExpired},
		{"exp half a second ago", `"exp":1799999999.5`, none, jwtvalidate.ErrExpired},
		{"default leeway: exp 9 s ago", `"exp":1799999991`, 0, nil},
		{"default leeway: exp a nanosecond less than 10 s ago", `"exp":1799999990.000000001`, 0, nil},
		{"default leeway: exp 10 s ago", `"exp":1799999990`, 0, jwtvalidate.ErrExpired},
		{"a minute: exp 59 s ago", `"exp":1799999941`, time.Minute, nil},
		{"a minute: exp 60 s ago", `"exp":1799999940`, time.Minute, jwtvalidate.ErrExpired},

		{"exp with an exponent", `"exp":18.0000001E+8`, none, nil},
		{"exp with a negative exponent", `"exp":18000000010e-1`, none, nil},
		{"exp with a lower-case exponent, past", `"exp":1.7e9`, none, jwtvalidate.ErrExpired},
		{"exp with zeros behind the point", `"exp":1800000001.000`, none, nil},
		{"exp with 65 digits", `"exp":1800000001.` + strings.Repeat("0", 54), none, jwtvalidate.ErrMalformed},
		{"exp with 64 digits", `"exp":1800000001.` + strings.Repeat("0", 53), none, nil},
		{"exp 0", `"exp":0`, none, jwtvalidate.ErrExpired},
		{"exp 0.0", `"exp":0.0`, none, jwtvalidate.ErrExpired},
		{"exp 0e9", `"exp":0e9`, none, jwtvalidate.ErrExpired},
		{"exp -0.5", `"exp":-0.5`, none, jwtvalidate.ErrExpired},
		{"exp negative", `"exp":-1800000001`, none, jwtvalidate.ErrExpired},
		{"exp of the year 1", `"exp":-62135596799`, none, jwtvalidate.ErrExpired},
		{"exp of the year 1 with an exponent", `"exp":-6.2135596799e10`, none, jwtvalidate.ErrExpired},
		{"exp before that", `"exp":-62135596800`, none, jwtvalidate.ErrMalformed},
		{"exp a fraction before that", `"exp":-62135596799.5`, none, jwtvalidate.ErrMalformed},
		{"exp at the end of 9999", `"exp":253402300799.999999999`, none, nil},
		{"exp of the year 10000", `"exp":253402300800`, none, jwtvalidate.ErrMalformed},
		{"exp of the year 10000 with a fraction", `"exp":253402300800.5`, none, jwtvalidate.ErrMalformed},
		{"exp 1e11", `"exp":1e11`, none, nil},
		{"exp 1e12", `"exp":1e12`, none, jwtvalidate.ErrMalformed},
		{"exp 1e19", `"exp":1e19`, none, jwtvalidate.ErrMalformed},
		{"exp 1e64", `"exp":1e64`, none, jwtvalidate.ErrMalformed},
		{"exp 1e65", `"exp":1e65`, none, jwtvalidate.ErrMalformed},
		{"exp 0e64", `"exp":0e64`, none, jwtvalidate.ErrExpired},
		{"exp 0e65: nobody means it", `"exp":0e65`, none, jwtvalidate.ErrMalformed},
		{"exp 1e-64", `"exp":1e-64`, none, jwtvalidate.ErrExpired},
		{"exp 1e-65", `"exp":1e-65`, none, jwtvalidate.ErrMalformed},
		{"exp 1e-9223372036854775809", `"exp":1e-9223372036854775809`, none, jwtvalidate.ErrMalformed},
		{"exp 1e9223372036854775808", `"exp":1e9223372036854775808`, none, jwtvalidate.ErrMalformed},
		{"exp -2^63", `"exp":-9223372036854775808`, none, jwtvalidate.ErrMalformed},
		{"exp 2^64+1800000001", `"exp":18446744075509551617`, none, jwtvalidate.ErrMalformed},
		{"exp empty string", `"exp":""`, none, jwtvalidate.ErrMalformed},
		{"exp date", `"exp":"2099-01-01T00:00:00Z"`, none, jwtvalidate.ErrMalformed},
		{"exp false", `"exp":false`, none, jwtvalidate.ErrMalformed},
		{"exp []", `"exp":[]`, none, jwtvalidate.ErrMalformed},

		{"nbf now", `"exp":1800003600,"nbf":1800000000`, none, nil},
		{"nbf a nanosecond ahead", `"exp":1800003600,"nbf":1800000000.000000001`, none, jwtvalidate.ErrNotYetValid},
		{"nbf a second ahead", `"exp":1800003600,"nbf":1800000001`, none, jwtvalidate.ErrNotYetValid},
		{"default leeway: nbf 10 s ahead", `"exp":1800003600,"nbf":1800000010`, 0, nil},
		{"default leeway: nbf 11 s ahead", `"exp":1800003600,"nbf":1800000011`, 0, jwtvalidate.ErrNotYetValid},
		{"nbf 0", `"exp":1800003600,"nbf":0`, none, nil},
		{"nbf string", `"exp":1800003600,"nbf":"1800000000"`, none, jwtvalidate.ErrMalformed},
		{"nbf null", `"exp":1800003600,"nbf":null`, none, jwtvalidate.ErrMalformed},
		{"nbf too large", `"exp":1800003600,"nbf":1e12`, none, jwtvalidate.ErrMalformed},
		{"iat now", `"exp":1800003600,"iat":1800000000`, none, nil},
		{"iat a second ahead", `"exp":1800003600,"iat":1800000001`, none, jwtvalidate.ErrNotYetValid},
		{"default leeway: iat 10 s ahead", `"exp":1800003600,"iat":1800000010`, 0, nil},
		{"default leeway: iat 11 s ahead", `"exp":1800003600,"iat":1800000011`, 0, jwtvalidate.ErrNotYetValid},
		{"iat with a fraction", `"exp":1800003600,"iat":1799999999.123`, none, nil},
		{"iat string", `"exp":1800003600,"iat":"1800000000"`, none, jwtvalidate.ErrMalformed},
		{"iat null", `"exp":1800003600,"iat":null`, none, jwtvalidate.ErrMalformed},
		{"iat true", `"exp":1800003600,"iat":true`, none, jwtvalidate.ErrMalformed},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Leeway: row.leeway})
			_, err := v.CheckToken(t.Context(), es256(t, goodHeader, with(row.members)))
			require.ErrorIs(t, err, row.want)
		})
	}
}

// The same token passes until its time is over: the clock is asked each time.
func TestClockIsAskedEachTime(t *testing.T) {
	now := clock()
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Leeway: jwtvalidate.NoLeeway, Now: func() time.Time { return now },
	})
	token := es256(t, goodHeader, payload(`"nbf":1800000000`))
	for _, row := range []struct {
		at   int64
		want error
	}{
		{epoch - 1, jwtvalidate.ErrNotYetValid}, {epoch, nil}, {epoch + 3599, nil}, {epoch + 3600, jwtvalidate.ErrExpired},
		{epoch, nil}, // R12: a clock that goes back
	} {
		now = time.Unix(row.at, 0)
		_, err := v.CheckToken(t.Context(), token)
		require.ErrorIs(t, err, row.want)
	}
}

func TestMaxLifetime(t *testing.T) {
	with := func(members string) string {
		return es256(t, goodHeader, `{"iss":"https://idp.example.com/","aud":"https://api.example.com",`+members+`}`)
	}
	for _, row := range []struct {
		name, token string
		max         time.Duration
		want        error
	}{
		{"none set", with(`"exp":253402300799`), 0, nil},
		{"exactly", with(`"iat":1800000000,"exp":1800003600`), time.Hour, nil},
		{"a nanosecond more", with(`"iat":1800000000,"exp":1800003600.000000001`), time.Hour, jwtvalidate.ErrLifetime},
		{"a second more", with(`"iat":1799999999,"exp":1800003600`), time.Hour, jwtvalidate.ErrLifetime},
		{"centuries", with(`"iat":1800000000,"exp":253402300799`), time.Hour, jwtvalidate.ErrLifetime},
		{"since the year 1", with(`"iat":-62135596799,"exp":1800003600`), time.Hour, jwtvalidate.ErrLifetime},
		{"no iat", with(`"exp":1800003600`), time.Hour, jwtvalidate.ErrMissingClaim},
		{"no iat, but nbf", with(`"nbf":1800000000,"exp":1800003600`), time.Hour, jwtvalidate.ErrMissingClaim},
		{"iat 0 is a date", with(`"iat":0,"exp":1800003600`), time.Hour, jwtvalidate.ErrLifetime},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := trust(t, func(p *jwtvalidate.Issuer) { p.MaxLifetime = row.max }).CheckToken(t.Context(), row.token)
			require.ErrorIs(t, err, row.want)
		})
	}
}

func TestAudience(t *testing.T) {
	const a, b = "https://a.example.com", "https://b.example.com"
	for _, row := range []struct {
		name, members string
		audiences     []string
		all           bool
		claim         string
		want          error
	}{
		{"string", `"aud":"https://a.example.com"`, []string{a}, false, "", nil},
		{"array", `"aud":["https://a.example.com"]`, []string{a}, false, "", nil},
		{"array with spaces", `"aud":[ "https://a.example.com" , "x" ]`, []string{a}, false, "", nil},
		{"escaped", `"aud":"https:\/\/a.ex\u0061mple.com"`, []string{a}, false, "", nil},
		{"escaped in an array", `"aud":["x","https:\/\/a.ex\u0061mple.com"]`, []string{a}, false, "", nil},
		{"one of two names", `"aud":"https://b.example.com"`, []string{a, b}, false, "", nil},
		{"none of two names", `"aud":"https://c.example.com"`, []string{a, b}, false, "", jwtvalidate.ErrAudience},
		{"the name in a string that looks like an array", `"aud":"[\"https://a.example.com\"]"`, []string{a}, false, "", jwtvalidate.ErrAudience},
		{"the name in another claim", `"azp":"https://a.example.com","client_id":"https://a.example.com"`, []string{a}, false, "", jwtvalidate.ErrAudience},

		{"all of two", `"aud":["https://b.example.com","https://a.example.com"]`, []string{a, b}, true, "", nil},
		{"all of two, and more", `"aud":["x","https://b.example.com","y","https://a.example.com"]`, []string{a, b}, true, "", nil},
		{"one of all", `"aud":["https://a.example.com"]`, []string{a, b}, true, "", jwtvalidate.ErrAudience},
		{"one of all, twice", `"aud":["https://a.example.com","https://a.example.com"]`, []string{a, b}, true, "", jwtvalidate.ErrAudience},
		{"one of all, escaped the second time", `"aud":["https://a.example.com","https:\/\/a.example.com"]`, []string{a, b}, true, "", jwtvalidate.ErrAudience},
		{"all of two, one of them twice", `"aud":["https://a.example.com","https://a.example.com","https://b.example.com"]`, []string{a, b}, true, "", nil},
		{"all, and the configuration names one twice", `"aud":["https://a.example.com"]`, []string{a, a}, true, "", nil},
		{"all, no aud", `"x":1`, []string{a}, true, "", jwtvalidate.ErrAudience},
		{"all, aud []", `"aud":[]`, []string{a}, true, "", jwtvalidate.ErrAudience},

		{"Cognito: client_id", `"client_id":"app-1","token_use":"access"`, []string{"app-1"}, false, "client_id", nil},
		{"Cognito: another client", `"client_id":"app-2"`, []string{"app-1"}, false, "client_id", jwtvalidate.ErrAudience},
		{"Cognito: an ID token has aud and no client_id", `"aud":"app-1"`, []string{"app-1"}, false, "client_id", jwtvalidate.ErrAudience},
		{"client_id array", `"client_id":["app-2","app-1"]`, []string{"app-1"}, false, "client_id", nil},
		{"client_id number", `"client_id":1`, []string{"1"}, false, "client_id", jwtvalidate.ErrAudience},
		{"client_id null", `"client_id":null`, []string{"null"}, false, "client_id", jwtvalidate.ErrAudience},
		{"client_id object", `"client_id":{"app-1":1}`, []string{"app-1"}, false, "client_id", jwtvalidate.ErrAudience},
		{"client_id absent", `"x":1`, []string{"app-1"}, false, "client_id", jwtvalidate.ErrAudience},
		{"aud malformed where client_id is asked", `"client_id":"app-1","aud":{}`, []string{"app-1"}, false, "client_id", jwtvalidate.ErrMalformed},
		{"all by client_id", `"client_id":["app-1","app-2"]`, []string{"app-1", "app-2"}, true, "client_id", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := trust(t, func(p *jwtvalidate.Issuer) {
				p.Audiences, p.AllAudiences, p.AudienceClaim = row.audiences, row.all, row.claim
			})
			_, err := v.CheckToken(t.Context(), es256(t, goodHeader, `{"iss":"https://idp.example.com/","exp":1800003600,`+row.members+`}`))
			require.ErrorIs(t, err, row.want)
		})
	}
}

func TestRequired(t *testing.T) {
	for _, row := range []struct {
		name, members string
		want          error
	}{
		{"string", `"tenant":"x"`, nil},
		{"number 0", `"tenant":0`, nil},
		{"false", `"tenant":false`, nil},
		{"array", `"tenant":[null]`, nil},
		{"object", `"tenant":{"a":1}`, nil},
		{"a space", `"tenant":" "`, nil},
		{"the text null", `"tenant":"null"`, nil},
		{"absent", `"x":1`, jwtvalidate.ErrMissingClaim},
		{"in another case", `"Tenant":"x"`, jwtvalidate.ErrMissingClaim},
		{"one level down", `"x":{"tenant":"x"}`, jwtvalidate.ErrMissingClaim},
		{"null", `"tenant":null`, jwtvalidate.ErrMissingClaim},
		{"empty", `"tenant":""`, jwtvalidate.ErrMissingClaim},
		{"empty array", `"tenant":[]`, jwtvalidate.ErrMissingClaim},
		{"empty array with white space", "\"tenant\":[ \t\r\n]", jwtvalidate.ErrMissingClaim},
		{"empty object", `"tenant":{}`, jwtvalidate.ErrMissingClaim},
		{"empty object with white space", `"tenant":{ }`, jwtvalidate.ErrMissingClaim},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := trust(t, func(p *jwtvalidate.Issuer) { p.Required = []string{"iss", "tenant"} })
			_, err := v.CheckToken(t.Context(), es256(t, goodHeader, payload(row.members)))
			require.ErrorIs(t, err, row.want)
		})
	}
}

// Registered claims have the type that RFC 7519 gives them, required or not.
func TestRegisteredClaimTypes(t *testing.T) {
	v := trust(t, nil)
	for members, want := range map[string]error{
		`"sub":"x"`: nil, `"sub":""`: nil, `"jti":"x"`: nil, `"jti":""`: nil,
		`"sub":1`: jwtvalidate.ErrMalformed, `"sub":null`: jwtvalidate.ErrMalformed, `"sub":["x"]`: jwtvalidate.ErrMalformed,
		`"sub":{"a":1}`: jwtvalidate.ErrMalformed, `"sub":true`: jwtvalidate.ErrMalformed,
		`"jti":1`: jwtvalidate.ErrMalformed, `"jti":null`: jwtvalidate.ErrMalformed, `"jti":["x"]`: jwtvalidate.ErrMalformed,
	} {
		_, err := v.CheckToken(t.Context(), es256(t, goodHeader, payload(members)))
		require.ErrorIs(t, err, want, members)
	}
}

// A name that differs by case from one that the library reads is refused: some
// other reader of the token might take it for that one.
func TestFoldedNames(t *testing.T) {
	v := trust(t, nil)
	for _, name := range []string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "scope", "scp", "client_id", "azp", "act", "may_act",
		"auth_time", "acr", "amr", "nonce", "events", "sid", "authorization_details",
	} {
		for _, folded := range []string{strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], name[:2] + strings.ToUpper(name[2:])} {
			_, err := v.CheckToken(t.Context(), es256(t, goodHeader, payload(fmt.Sprintf(`%q:"x"`, folded))))
			require.ErrorIs(t, err, jwtvalidate.ErrMalformed, folded)
			_, err = v.CheckToken(t.Context(), es256(t, goodHeader, payload(fmt.Sprintf(`"x":{%q:"x"}`, folded))))
			require.NoError(t, err, folded)
		}
	}
}

func TestProfiles(t *testing.T) {
	all := map[string]string{
		"iss": `"https://idp.example.com/"`, "aud": `"https://api.example.com"`, "exp": `1800003600`, "iat": `1800000000`,
		"sub": `"user"`, "client_id": `"app"`, "jti": `"id"`, "events": `{"http://schemas.openid.net/event/backchannel-logout":{}}`,
	}
	without := func(names ...string) string {
		var members []string
		for name, value := range all {
			skip := false
			for _, n := range names {
				skip = skip || n == name
			}
			if !skip {
				members = append(members, fmt.Sprintf("%q:%s", name, value))
			}
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	header := func(typ string) string { return `{"alg":"ES256","typ":"` + typ + `"}` }
	own := jwtvalidate.Profile{Types: []string{"", "application/Session+JWT"}, Required: []string{"sid"}}

	kinds := jwtvalidate.Profile{Types: []string{""}, Claims: map[string]string{"token_use": "access"}}
	kind := func(member string) string { return payload(member + `"x":1`) }

	type row struct {
		name, header, payload string
		profile               jwtvalidate.Profile
		want                  error
	}
	rows := []row{
		{"RFC9068", header("at+jwt"), without("events"), jwtvalidate.RFC9068, nil},
		{"RFC9068: client_id is a number", header("at+jwt"), strings.Replace(without(), `"client_id":"app"`, `"client_id":7`, 1), jwtvalidate.RFC9068, jwtvalidate.ErrMissingClaim},
		{"a kind by a claim", `{"alg":"ES256"}`, kind(`"token_use":"access",`), kinds, nil},
		{"a kind by a claim: another", `{"alg":"ES256"}`, kind(`"token_use":"id",`), kinds, jwtvalidate.ErrType},
		{"a kind by a claim: none", `{"alg":"ES256"}`, kind(""), kinds, jwtvalidate.ErrType},
		{"a kind by a claim: null", `{"alg":"ES256"}`, kind(`"token_use":null,`), kinds, jwtvalidate.ErrType},
		{"a kind by a claim: an array", `{"alg":"ES256"}`, kind(`"token_use":["access"],`), kinds, jwtvalidate.ErrType},
		{"a kind by a claim: case", `{"alg":"ES256"}`, kind(`"token_use":"Access",`), kinds, jwtvalidate.ErrType},
		{"a kind by a claim, under a typ", header("JWT"), kind(`"token_use":"access",`), kinds, jwtvalidate.ErrType},
		{"RFC9068: no typ", `{"alg":"ES256"}`, without(), jwtvalidate.RFC9068, jwtvalidate.ErrType},
		{"RFC9068: a logout token", header("logout+jwt"), without(), jwtvalidate.RFC9068, jwtvalidate.ErrType},
		{"LogoutToken", header("logout+jwt"), without("sub", "client_id"), jwtvalidate.LogoutToken, nil},
		{"LogoutToken: an access token", header("at+jwt"), without(), jwtvalidate.LogoutToken, jwtvalidate.ErrType},
		{"LogoutToken: JWT", header("JWT"), without(), jwtvalidate.LogoutToken, jwtvalidate.ErrType},
		{"LogoutToken: no exp", header("logout+jwt"), without("exp"), jwtvalidate.LogoutToken, jwtvalidate.ErrMissingClaim},
		{"zero: only iss, aud and exp", header("JWT"), without("iat", "sub", "client_id", "jti", "events"), jwtvalidate.Profile{}, nil},
		{"own: no typ", `{"alg":"ES256"}`, payload(`"sid":"x"`), own, nil},
		{"own: its typ", header("session+jwt"), payload(`"sid":"x"`), own, nil},
		{"own: its typ in full", header("application/session+jwt"), payload(`"sid":"x"`), own, nil},
		{"own: another typ", header("JWT"), payload(`"sid":"x"`), own, jwtvalidate.ErrType},
		{"own: an empty typ is not an absent one", header(""), payload(`"sid":"x"`), own, jwtvalidate.ErrType},
		{"own: only application/", header("application/"), payload(`"sid":"x"`), own, jwtvalidate.ErrType},
		{"own: required claim missing", header("session+jwt"), payload(`"x":"x"`), own, jwtvalidate.ErrMissingClaim},
	}
	for _, name := range []string{"sub", "client_id", "iat", "jti", "exp"} {
		rows = append(rows, row{"RFC9068: no " + name, header("at+jwt"), without(name), jwtvalidate.RFC9068, jwtvalidate.ErrMissingClaim})
	}
	rows = append(rows,
		row{"RFC9068: no aud", header("at+jwt"), without("aud"), jwtvalidate.RFC9068, jwtvalidate.ErrAudience},
		row{"RFC9068: no iss", header("at+jwt"), without("iss"), jwtvalidate.RFC9068, jwtvalidate.ErrUnknownIssuer})
	for _, name := range []string{"iat", "jti", "events"} {
		rows = append(rows, row{"LogoutToken: no " + name, header("logout+jwt"), without(name), jwtvalidate.LogoutToken, jwtvalidate.ErrMissingClaim})
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			_, err := trust(t, func(p *jwtvalidate.Issuer) { p.Profile = r.profile }).CheckToken(t.Context(), es256(t, r.header, r.payload))
			require.ErrorIs(t, err, r.want)
		})
	}

	t.Run("aud where AudienceClaim names another claim", func(t *testing.T) {
		v := trust(t, func(p *jwtvalidate.Issuer) {
			p.Profile, p.AudienceClaim, p.Audiences = jwtvalidate.RFC9068, "client_id", []string{"app"}
		})
		_, err := v.CheckToken(t.Context(), es256(t, header("at+jwt"), without("aud")))
		require.ErrorIs(t, err, jwtvalidate.ErrMissingClaim)
		_, err = v.CheckToken(t.Context(), es256(t, header("at+jwt"), without()))
		require.NoError(t, err)
	})
}

func TestKeyID(t *testing.T) {
	for _, row := range []struct {
		name, members string
		strategy      string
		kid           string
	}{
		{"kid", `,"kid":"k","x5t":"t","x5t#S256":"s"`, "kid", "k"},
		{"kid absent", `,"x5t":"t","x5t#S256":"s"`, "", ""},
		{"x5t", `,"kid":"k","x5t":"t","x5t#S256":"s"`, "x5t", "t"},
		{"x5t absent", `,"kid":"k","x5t#S256":"s"`, "x5t", "k"},
		{"x5t and kid absent", `,"x5t#S256":"s"`, "x5t", ""},
		{"x5t#S256", `,"kid":"k","x5t":"t","x5t#S256":"s"`, "x5t#S256", "s"},
		{"x5t#S256 absent", `,"kid":"k","x5t":"t"`, "x5t#S256", "k"},
		{"kid+x5t", `,"kid":"k","x5t":"t","x5t#S256":"s"`, "kid+x5t", "kt"},
		{"kid+x5t without x5t", `,"kid":"k"`, "kid+x5t", "k"},
		{"kid+x5t without kid", `,"x5t":"t"`, "kid+x5t", "t"},
		{"kid+x5t without both", ``, "kid+x5t", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var kid, alg string
			keys := &source{}
			keys.find = func(k, a string) ([]crypto.PublicKey, error) {
				kid, alg = k, a
				return allKeys(), nil
			}
			v := trust(t, func(p *jwtvalidate.Issuer) { p.Keys, p.KeyID = keys, row.strategy })
			_, err := v.CheckToken(t.Context(), es256(t, `{"alg":"ES256"`+row.members+`}`, goodPayload))
			require.NoError(t, err)
			require.Equal(t, row.kid, kid)
			require.Equal(t, "ES256", alg)
		})
	}
	for _, member := range []string{`"x5t":1`, `"x5t":""`, `"x5t#S256":null`, `"x5t#S256":["s"]`, `"x5t":"` + strings.Repeat("x", 513) + `"`} {
		_, err := trust(t, nil).CheckToken(t.Context(), es256(t, `{"alg":"ES256",`+member+`}`, goodPayload))
		require.ErrorIs(t, err, jwtvalidate.ErrMalformed, member)
	}
}

func claimsOf(t *testing.T, payload string) *jwtvalidate.Claims {
	t.Helper()
	c, err := trust(t, nil).CheckToken(t.Context(), es256(t, goodHeader, payload))
	require.NoError(t, err)
	return c
}

func TestClaims(t *testing.T) {
	c := claimsOf(t, `{"iss":"https://idp.example.com/","aud":["https://api.example.com","x"],"sub":"u\u0073er","jti":"id","exp":1800003600.25,"nbf":1799999999,"iat":1.8e9}`)
	require.Equal(t, issuerURL, c.Issuer())
	require.Equal(t, "user", c.Subject())
	require.Equal(t, "id", c.ID())
	require.Equal(t, []string{audience, "x"}, c.Audience())
	require.True(t, c.Expiry().Equal(time.Unix(1800003600, 250_000_000)))
	require.True(t, c.NotBefore().Equal(time.Unix(1799999999, 0)))
	require.True(t, c.IssuedAt().Equal(clock()))

	c, err := trust(t, func(p *jwtvalidate.Issuer) { p.AudienceClaim, p.Audiences = "client_id", []string{"app"} }).CheckToken(t.Context(),
		es256(t, goodHeader, `{"iss":"https://idp.example.com/","client_id":"app","exp":1800003600}`))
	require.NoError(t, err)
	require.Empty(t, c.Subject())
	require.Empty(t, c.ID())
	require.Nil(t, c.Audience())
	require.True(t, c.NotBefore().IsZero())
	require.True(t, c.IssuedAt().IsZero())
}

func TestGet(t *testing.T) {
	c := claimsOf(t, payload(`"string":"a\u0062\n\ud83d\ude00","empty":"","true":true,"false":false,"null":null,"int":9007199254740993,`+
		`"huge":123456789012345678901234567890,"fraction":1.10,"exponent":-1E+2,"zero":-0,`+
		`"array":[1,"a",null,[true],{"n":9007199254740993}],"object":{"":"empty name","a.b":{"c":1.0}},"https://example.com/roles":["a"],"\u0065scaped":1`))
	for name, want := range map[string]any{
		"string": "ab\n\U0001F600", "empty": "", "true": true, "false": false, "null": nil,
		"int": json.Number("9007199254740993"), "huge": json.Number("123456789012345678901234567890"),
		"fraction": json.Number("1.10"), "exponent": json.Number("-1E+2"), "zero": json.Number("-0"),
		"array":                     []any{json.Number("1"), "a", nil, []any{true}, map[string]any{"n": json.Number("9007199254740993")}},
		"object":                    map[string]any{"": "empty name", "a.b": map[string]any{"c": json.Number("1.0")}},
		"https://example.com/roles": []any{"a"}, "escaped": json.Number("1"), "exp": json.Number("1800003600"),
	} {
		for range 2 { // the second time it is remembered
			got, has := c.Get(name)
			require.True(t, has, name)
			require.Equal(t, want, got, name)
		}
	}
	for _, name := range []string{"String", "STRING", "a.b", "object.a.b", "c", "n", "", "absent"} {
		got, has := c.Get(name)
		require.False(t, has, name)
		require.Nil(t, got)
	}

	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for _, name := range []string{"array", "object", "string", "int"} {
				_, _ = c.Get(name)
			}
		})
	}
	wait.Wait()
}

// The same buffers read the next token: nothing of it may show in earlier claims.
func TestClaimsOutliveTheirToken(t *testing.T) {
	v := trust(t, nil)
	first, err := v.CheckToken(t.Context(), es256(t, goodHeader, payload(`"sub":"first","x":{"y":["first"]}`)))
	require.NoError(t, err)
	for range 10 {
		_, err = v.CheckToken(t.Context(), es256(t, goodHeader, payload(`"sub":"later","x":{"y":["later"]}`)))
		require.NoError(t, err)
	}
	require.Equal(t, "first", first.Subject())
	x, _ := first.Get("x")
	require.Equal(t, map[string]any{"y": []any{"first"}}, x)
}

func TestClaimsNeverPrint(t *testing.T) {
	c := claimsOf(t, goodPayload)
	requireSilent(t, c, canary, "idp.example")
	requireSilent(t, *c, canary, "idp.example")
	requireSilent(t, []*jwtvalidate.Claims{c}, canary, "idp.example")
	requireSilent(t, map[string]jwtvalidate.Claims{"x": *c}, canary, "idp.example")
	requireSilent(t, struct{ C *jwtvalidate.Claims }{c}, canary, "idp.example")
	requireSilent(t, struct{ c *jwtvalidate.Claims }{c}, canary, "idp.example")
	requireSilent(t, struct{ c jwtvalidate.Claims }{*c}, canary, "idp.example")
	requireSilent(t, struct{ c []jwtvalidate.Claims }{[]jwtvalidate.Claims{*c}}, canary, "idp.example")
	for _, value := range []any{c, *c} {
		require.Equal(t, "jwtvalidate.Claims", fmt.Sprintf("%+v", value))
		text, err := json.Marshal(value)
		require.NoError(t, err)
		require.JSONEq(t, `"jwtvalidate.Claims"`, string(text))
	}

	v := trust(t, nil)
	v.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requireSilent(t, r.Context(), canary)
	})).ServeHTTP(nil, request("Bearer "+good(t)))
}

func TestDecode(t *testing.T) {
	type inner struct {
		Role string `json:"role"`
	}
	type Base struct {
		Tenant string `json:"tenant"`
	}
	type Extra struct {
		Level string `json:"level"`
	}
	type hidden struct {
		Plan string `json:"plan"`
	}
	type Label string
	type label string
	type tagged struct {
		Zone string `json:"zone"`
	}
	type claims struct {
		Base
		*Extra
		hidden
		Label
		label
		tagged  `json:"tagged"`
		Subject string `json:"sub"`
		Role    string `json:"role"`
		Name    string // by its Go name
		name    string // and not by this
		Plain   inner
		Shadow  string            `json:"IGNORED"`
		Inner   inner             `json:"inner"`
		Pointer *inner            `json:"pointer"`
		List    []inner           `json:"list"`
		Lists   [][]*inner        `json:"lists"`
		Array   [1]inner          `json:"array"`
		Map     map[string]inner  `json:"map"`
		Any     any               `json:"any"`
		Raw     json.RawMessage   `json:"raw"`
		Number  json.Number       `json:"number"`
		Big     int64             `json:"big"`
		Texts   map[string]string `json:"texts"`
		Ignored string            `json:"-"`
		Dash    string            `json:"-,"` //nolint:staticcheck // what the comma does is the point
		secret  string
		Custom  folding `json:"custom"`
		Reader  reader  `json:"reader"`
	}
	for _, row := range []struct {
		name, members string
		want          claims
	}{
		{"exact names", `"sub":"s","role":"r","Name":"n","tenant":"t","level":"l","plan":"p","Label":"b","Plain":{"role":"r"},"IGNORED":"i","tagged":{"zone":"z"},"-":"d"`, claims{
			Base: Base{"t"}, Extra: &Extra{"l"}, hidden: hidden{"p"}, Label: "b", tagged: tagged{"z"},
			Subject: "s", Role: "r", Name: "n", Plain: inner{"r"}, Shadow: "i", Dash: "d",
		}},
		{"folded at the top", `"ROLE":"r","Role":"r","rOLE":"r","name":"n"`, claims{}},
		{"folded beside the exact one, before and behind", `"ROLE":"x","role":"r","Role":"x"`, claims{Role: "r"}},
		{"folded by Unicode", "\"li\u017ft\":[{\"role\":\"r\"}],\"texts\":{\"\u017f\":\"x\"}", claims{Texts: map[string]string{"\u017f": "x"}}},
		{"folded in an embedded struct", `"TENANT":"t"`, claims{}},
		{"folded in an embedded pointer", `"LEVEL":"l"`, claims{}},
		{"folded name of an embedded string", `"LABEL":"b","label":"b"`, claims{}},
		{"folded name of a struct", `"PLAIN":{"role":"r"}`, claims{}},
		{"folded inside a struct by its Go name", `"Plain":{"ROLE":"r"}`, claims{}},
		{"folded in an embedded struct of an unexported type", `"PLAN":"p"`, claims{}},
		{"folded in an embedded struct with a name", `"TAGGED":{"zone":"z"}`, claims{}},
		{"folded inside an embedded struct with a name", `"tagged":{"ZONE":"z"}`, claims{}},
		{"folded one level down", `"inner":{"ROLE":"r"}`, claims{}},
		{"exact one level down", `"inner":{"role":"r","ROLE":"x"}`, claims{Inner: inner{"r"}}},
		{"folded behind a pointer", `"pointer":{"Role":"r"}`, claims{Pointer: &inner{}}},
		{"folded in a slice", `"list":[{"Role":"x"},{"role":"r"}]`, claims{List: []inner{{}, {"r"}}}},
		{"folded in slices of slices", `"lists":[[{"Role":"x"}],[]]`, claims{Lists: [][]*inner{{{}}, {}}}},
		{"folded in an array", `"array":[{"Role":"x"}]`, claims{}},
		{"folded in a map", `"map":{"a":{"Role":"x"},"A":{"role":"r"}}`, claims{Map: map[string]inner{"a": {}, "A": {"r"}}}},
		{"any is left as it is", `"any":{"Role":"x","n":1.50}`, claims{Any: map[string]any{"Role": "x", "n": json.Number("1.50")}}},
		{"any is left as it is beside a folded name", `"any":{"Role":"x","n":1.50,"h":"<&>"},"ROLE":"x"`, claims{Any: map[string]any{"Role": "x", "n": json.Number("1.50"), "h": "<&>"}}},
		{"raw, byte for byte", `"raw":{"Role":"<&>", "a" :1.50}`, claims{Raw: json.RawMessage(`{"Role":"<&>", "a" :1.50}`)}},
		{"raw beside a folded name", `"raw":{"Role":"x"},"ROLE":"x"`, claims{Raw: json.RawMessage(`{"Role":"x"}`)}},
		{"numbers", `"number":1.10,"big":9007199254740993,"any":9007199254740993`, claims{Number: "1.10", Big: 9007199254740993, Any: json.Number("9007199254740993")}},
		{"numbers beside a folded name", `"number":1.10,"big":9007199254740993,"ROLE":"x"`, claims{Number: "1.10", Big: 9007199254740993}},
		{"not for json", `"Ignored":"x","ignored":"x","secret":"x","SECRET":"x"`, claims{}},
		{"a type that reads for itself gets all", `"custom":{"A":1,"a":2},"reader":{"ROLE":"x"}`, claims{Custom: 2, Reader: reader{"x"}}},
		{"null", `"inner":null,"list":null`, claims{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := claimsOf(t, payload(row.members))
			got, err := jwtvalidate.Decode[claims](c)
			require.NoError(t, err)
			require.Equal(t, row.want, got)
			pointer, err := jwtvalidate.Decode[*claims](c)
			require.NoError(t, err)
			require.Equal(t, &row.want, pointer)
		})
	}
	_, _, _ = claims{}.secret, claims{}.name, claims{}.label

	t.Run("claims stay as they are", func(t *testing.T) {
		c := claimsOf(t, payload(`"ROLE":"x","inner":{"ROLE":"x"},"list":[{"ROLE":"x"}]`))
		_, err := jwtvalidate.Decode[claims](c)
		require.NoError(t, err)
		for name, want := range map[string]any{"ROLE": "x", "inner": map[string]any{"ROLE": "x"}, "list": []any{map[string]any{"ROLE": "x"}}} {
			got, _ := c.Get(name)
			require.Equal(t, want, got)
		}
	})
	t.Run("into a map", func(t *testing.T) {
		m, err := jwtvalidate.Decode[map[string]any](claimsOf(t, payload(`"ROLE":"a","role":"b"`)))
		require.NoError(t, err)
		require.Equal(t, "a", m["ROLE"])
		require.Equal(t, "b", m["role"])
		require.Equal(t, json.Number("1800003600"), m["exp"])
	})
	t.Run("into any", func(t *testing.T) {
		m, err := jwtvalidate.Decode[any](claimsOf(t, payload(`"n":1`)))
		require.NoError(t, err)
		require.Equal(t, json.Number("1"), m.(map[string]any)["n"])
	})
	t.Run("into a type that holds itself", func(t *testing.T) {
		got, err := jwtvalidate.Decode[node](claimsOf(t, payload(`"name":"a","NAME":"x","next":{"NAME":"x","next":{"name":"c"}}`)))
		require.NoError(t, err)
		require.Equal(t, node{Name: "a", Next: &node{Next: &node{Name: "c"}}}, got)
	})
	t.Run("into a type that embeds itself", func(t *testing.T) {
		got, err := jwtvalidate.Decode[Loop](claimsOf(t, payload(`"name":"a","NAME":"x"`)))
		require.NoError(t, err)
		require.Equal(t, "a", got.Name)
	})
}

type node struct {
	Name string `json:"name"`
	Next *node  `json:"next"`
}

type Loop struct {
	*Loop
	Name string `json:"name"`
}

// reader takes the role from a name that only it knows.
type reader struct {
	Role string `json:"role"`
}

func (r *reader) UnmarshalJSON(text []byte) error {
	var m map[string]string
	err := json.Unmarshal(text, &m)
	r.Role = m["ROLE"]
	return err
}

// folding reads the number named a, and only that.
type folding int

func (f *folding) UnmarshalJSON(text []byte) error {
	var m map[string]int
	err := json.Unmarshal(text, &m)
	*f = folding(m["a"])
	return err
}

func TestDecodeErrors(t *testing.T) {
	c := claimsOf(t, payload(`"role":{"name":"c4n4ry"},"list":["c4n4ry"],"n":1e400,"s":"c4n4ry"`))
	for name, decode := range map[string]func() (any, error){
		`"role"`: func() (any, error) {
			return jwtvalidate.Decode[struct {
				Role string `json:"role"`
			}](c)
		},
		`"role.name"`: func() (any, error) {
			return jwtvalidate.Decode[struct {
				Role struct {
					Name int `json:"name"`
				} `json:"role"`
			}](c)
		},
		`"list"`: func() (any, error) {
			return jwtvalidate.Decode[struct {
				List []int `json:"list"`
			}](c)
		},
		`"n"`: func() (any, error) {
			return jwtvalidate.Decode[struct {
				N float64 `json:"n"`
			}](c)
		},
		"a claim does not fit": func() (any, error) {
			return jwtvalidate.Decode[struct {
				S time.Time `json:"s"`
			}](c)
		},
		`""`: func() (any, error) { return jwtvalidate.Decode[[]string](c) },
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decode()
			require.ErrorContains(t, err, "jwtvalidate: decode: ")
			require.ErrorContains(t, err, name)
			require.NotContains(t, err.Error(), canary)
			require.NotContains(t, err.Error(), "1e400")
			require.Zero(t, got, "nothing half-read")
		})
	}
}
