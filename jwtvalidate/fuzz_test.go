package jwtvalidate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// Tokens of fixed keys: what a fuzzer makes of them must not pass.
const (
	fuzzSecret = "0123456789abcdef0123456789abcdef"
	fuzzES256  = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0.eyJpc3MiOiJodHRwczovL2VzLmV4YW1wbGUuY29tLyIsImF1ZCI6Imh0dHBzOi8vYXBpLmV4YW1wbGUuY29tIiwic3ViIjoiYW5uIiwiZXhwIjoxODAwMDAzNjAwfQ.mm5ovxVvW_HELcbyORp6dP9XoSoC5bqpMWU5t-Rv7Xk5sUt_s6J1pMieeVe7XNMvV4AZ4UJLWoikJ7wfPM1Wvg"
	fuzzTwin   = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0.eyJpc3MiOiJodHRwczovL2VzLmV4YW1wbGUuY29tLyIsImF1ZCI6Imh0dHBzOi8vYXBpLmV4YW1wbGUuY29tIiwic3ViIjoiYW5uIiwiZXhwIjoxODAwMDAzNjAwfQ.mm5ovxVvW_HELcbyORp6dP9XoSoC5bqpMWU5t-Rv7XnGTrR_TF2KXDdhhqhEoyzQZWbgzGTMQ_xPkg6jv5XOkw" // n-s for s
	fuzzHS256  = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2hzLmV4YW1wbGUuY29tLyIsImF1ZCI6WyJodHRwczovL2FwaS5leGFtcGxlLmNvbSIsIngiXSwic3ViIjoiYm9iIiwiZXhwIjoxODAwMDAzNjAwLjUsImlhdCI6MTgwMDAwMDAwMH0.v7-fb7iIoeXSdD3dKoQxRkOXjDPY_4gXdfmYOhzOorU"
)

func fuzzValidator(f *testing.F) *jwtvalidate.Validator {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), []byte(fuzzSecret))
	require.NoError(f, err)
	static, err := jwtvalidate.StaticKeys(&key.PublicKey)
	require.NoError(f, err)
	return validator(f, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{
		{URL: "https://es.example.com/", Algorithms: []string{"ES256"}, Keys: static, Audiences: []string{audience}},
		{URL: "https://hs.example.com/", Algorithms: []string{"HS256"}, Keys: mustSecret(f, []byte(fuzzSecret)), Audiences: []string{audience}},
	}})
}

// FuzzToken: only the tokens that the issuers signed are accepted, byte for byte.
func FuzzToken(f *testing.F) {
	v := fuzzValidator(f)
	accepted := []string{fuzzES256, fuzzTwin, fuzzHS256}
	for _, token := range accepted {
		_, err := v.CheckToken(f.Context(), token)
		require.NoError(f, err)
		h, rest, _ := strings.Cut(token, ".")
		p, s, _ := strings.Cut(rest, ".")
		for _, seed := range []string{
			token, token + "=", token + "\n", token + ".", "." + token, h + ".." + s, h + "." + p + ".", h + "." + p, strings.ToLower(token),
			b64(`{"alg":"none"}`) + "." + p + ".", b64(`{"alg":"HS256"}`) + "." + p + "." + s, b64(`{"alg":"HS256","alg":"ES256"}`) + "." + p + "." + s,
			h + "." + b64(goodPayload) + "." + s, h + "." + p + "." + strings.Repeat("A", 86), "..", "", strings.Repeat(".", 100),
		} {
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := v.CheckToken(t.Context(), token)
		switch {
		case err == nil:
			require.Contains(t, accepted, token)
			require.Contains(t, []string{"ann", "bob"}, claims.Subject())
		case token == "":
			require.ErrorIs(t, err, jwtvalidate.ErrNoToken)
		default:
			require.Nil(t, claims)
			require.ErrorIs(t, err, jwtvalidate.ErrInvalidToken)
			require.NotContains(t, accepted, token)
			require.NotEqual(t, jwtvalidate.ReasonOther, jwtvalidate.ReasonOf(err))
			require.Less(t, len(err.Error()), 50, "no part of the token")
		}
	})
}

var (
	oneCredential = regexp.MustCompile(`^(?i:bearer) +([A-Za-z0-9._~+/-]+=*)$`)
	anyBearer     = regexp.MustCompile(`(?i)(^|,[ \t]*)bearer([ \t,]|$)`)
)

// FuzzAuthorization: exactly one credential in token68 is taken for a token, and
// whatever names our scheme is never taken for the absence of one.
func FuzzAuthorization(f *testing.F) {
	v := fuzzValidator(f)
	for _, value := range []string{
		"", "Bearer", "Bearer ", "bearer " + fuzzES256, "BEARER  " + fuzzHS256, "Bearer\t" + fuzzES256, "Bearer " + fuzzES256 + " ",
		"Bearer a b", "Bearer a, Bearer b", "Basic eDp5", "Basic eDp5, Bearer " + fuzzES256, "Basic eDp5,\tbearer", "Bearer,Bearer",
		"Bearertok", "xBearer tok", "x Bearer tok", "Bearer a=b", "Bearer ==", "Bearer mF_9.B5f-4.1JqM+/~==", "Digest a=\"b, Bearer c\"",
		"DPoP " + fuzzES256, "\u0062earer x", "Bea\u212aer x", "Bearer \x00", "Bearer \xff", "Bearer " + strings.Repeat("a", 16<<10),
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		_, err := v.Check(request(value))
		match := oneCredential.FindStringSubmatch(value)
		switch reason := jwtvalidate.ReasonOf(err); {
		case err == nil:
			require.NotNil(t, match)
			require.Contains(t, []string{fuzzES256, fuzzTwin, fuzzHS256}, match[1])
		case reason == jwtvalidate.ReasonNoToken:
			require.NotRegexp(t, anyBearer, value)
		case reason == jwtvalidate.ReasonInvalidRequest:
			require.Regexp(t, anyBearer, value)
			require.Nil(t, match)
		case len(value) <= 16<<10: // larger ones are refused before they are read
			require.NotNil(t, match)
		}
	})
}

// FuzzClaims: an issuer that goes mad signs anything. What is accepted, encoding/json
// reads in the same way.
func FuzzClaims(f *testing.F) {
	v := fuzzValidator(f)
	const hs = `{"alg":"HS256"}`
	claims := func(members string) string {
		return `{"iss":"https://hs.example.com/","aud":"https://api.example.com","exp":1800003600` + members + `}`
	}
	for header, payloads := range map[string][]string{
		hs: {
			claims(""), claims(`,"nbf":1799999999.5,"iat":18e8,"sub":"a\u0062","jti":""`), claims(`,"x":{"y":[1,null,true,"\ud83d\ude00"]}`),
			claims(`,"exp":1`), claims(`,"\u0065xp":1`), claims(`,"EXP":1`), claims(`,"cnf":{}`), claims(`,"nbf":1e400`), claims(`,"sub":1`),
			`{"iss":"https://hs.example.com/","aud":["x","https://api.example.com"],"exp":1800003600.25}`,
			`{"iss":"https://hs.example.com/","aud":"https://api.example.com","exp":-0}`, `[]`, ``, `null`, claims("") + "x", "\xef\xbb\xbf" + claims(""),
		},
		`{"alg":"HS256","typ":"at+jwt","kid":"k","crit":["x"]}`: {claims("")},
		`{"alg":"HS256","typ":"Application/AT+JWT","cty":"x"}`:  {claims("")},
		`{"alg":"HS256","typ":"dpop+jwt"}`:                      {claims("")},
		`{"alg":"HS256","alg":"HS256"}`:                         {claims("")},
	} {
		for _, p := range payloads {
			f.Add(header, p)
		}
	}
	secret, err := jose.NewSecret([]byte(fuzzSecret))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, header, payload string) {
		token, err := jose.Sign(jose.HS256, secret, []byte(header), []byte(payload))
		require.NoError(t, err)
		c, err := v.CheckToken(t.Context(), token)
		if err != nil {
			require.ErrorIs(t, err, jwtvalidate.ErrInvalidToken)
			return
		}
		var h struct {
			Alg, Typ string
			Crit     json.RawMessage
			Cty      string
		}
		require.NoError(t, json.Unmarshal([]byte(header), &h))
		require.Equal(t, "HS256", h.Alg)
		require.Nil(t, h.Crit)
		require.Contains(t, []string{"", "jwt", "jose", "at+jwt"}, strings.TrimPrefix(strings.ToLower(h.Typ), "application/"))

		var m map[string]any
		d := json.NewDecoder(bytes.NewReader([]byte(payload)))
		d.UseNumber()
		require.NoError(t, d.Decode(&m))
		require.Equal(t, "https://hs.example.com/", m["iss"])
		require.True(t, m["aud"] == audience || slices.Contains(m["aud"].([]any), any(audience)))
		after := func(name string, second int64) bool {
			r, ok := new(big.Rat).SetString(m[name].(json.Number).String())
			return ok && r.Cmp(new(big.Rat).SetInt64(second)) > 0
		}
		require.True(t, after("exp", epoch-10))
		for _, name := range []string{"nbf", "iat"} {
			require.False(t, m[name] != nil && after(name, epoch+11))
		}
		require.NotContains(t, m, "cnf")
		for name, want := range m {
			got, has := c.Get(name)
			require.True(t, has)
			require.Equal(t, want, got)
		}
		if sub, has := m["sub"]; has {
			require.Equal(t, sub, c.Subject())
		}
		all, err := jwtvalidate.Decode[map[string]any](c)
		require.NoError(t, err)
		require.Equal(t, m, all)
	})
}
