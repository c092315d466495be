package jwtsign_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

func TestSignEveryAlgorithm(t *testing.T) {
	for alg, key := range signers() {
		t.Run(alg, func(t *testing.T) {
			cfg := config()
			cfg.Keys = []jwtsign.Key{{Private: jwtsign.SignerKey(key), Algorithm: alg}}
			token, err := signer(t, cfg).Sign(t.Context(), map[string]any{"sub": "ann"})
			require.NoError(t, err)
			o := open(t, token, alg, key)
			kid, err := jose.Thumbprint(key.Public())
			require.NoError(t, err)
			require.Equal(t, `{"alg":"`+alg+`","typ":"JWT","kid":"`+kid+`"}`, o.header)
		})
	}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		t.Run(alg, func(t *testing.T) {
			key, err := jwtsign.Secret(secret)
			require.NoError(t, err)
			cfg := config()
			cfg.Keys = []jwtsign.Key{{Private: key, Algorithm: alg}}
			token, err := signer(t, cfg).Sign(t.Context(), map[string]any{"sub": "ann"})
			require.NoError(t, err)
			shared, err := jose.NewSecret(secret)
			require.NoError(t, err)
			require.Equal(t, `{"alg":"`+alg+`","typ":"JWT"}`, open(t, token, alg, shared).header)
		})
	}
}

func TestClaims(t *testing.T) {
	type number struct {
		Big json.Number `json:"big"`
	}
	keep := access()
	keep.Keep = []string{"iss", "aud", "iat", "nbf", "exp", "jti"}
	two := access()
	two.Audience = []string{audience, "https://b.example.com"}
	const ours = `"iss":"https://login.example.com","aud":"https://api.example.com","iat":1800000000,"nbf":1800000000,"exp":1800003600,"jti":JTI`
	for _, row := range []struct {
		name   string
		kind   jwtsign.Token
		claims any
		want   string // the payload; JTI stands for any
	}{
		{"none", access(), map[string]any{}, `{` + ours + `}`},
		{"a struct", access(), number{"9007199254740993"}, `{` + ours + `,"big":9007199254740993}`},
		{"raw JSON keeps its spelling", access(), json.RawMessage(`{ "a" : 1.50e+2 , "b":"\u00e9/\/" }`), `{` + ours + `,"a":1.50e+2,"b":"\u00e9/\/"}`},
		{"ours win", access(), map[string]any{"iss": "https://evil.example.com", "exp": 1, "iat": "x", "jti": 7, "aud": nil, "nbf": []int{}}, `{` + ours + `}`},
		{"two audiences", two, map[string]any{}, `{` + strings.Replace(ours, `"https://api.example.com"`, `["https://api.example.com","https://b.example.com"]`, 1) + `}`},
		{"kept", keep, json.RawMessage(`{"iss":"https://a","aud":["b"],"iat":5,"nbf":6,"exp":1800000007,"jti":"8"}`), `{"iss":"https://a","aud":["b"],"iat":5,"nbf":6,"exp":1800000007,"jti":"8"}`},
		{"kept where given", keep, json.RawMessage(`{"jti":"8"}`), `{` + strings.Replace(ours, "JTI", `"8"`, 1) + `}`},
		{"markup and separators", access(), map[string]any{"x": "</script>\u2028\"\\\x00\n"}, `{` + ours + `,"x":"</script>\u2028\"\\\u0000\n"}`},
		{"odd names", access(), map[string]any{`"},"sub":"evil`: 1, "\u2028\x01": 2}, `{` + ours + `,"\"},\"sub\":\"evil":1,"\u2028\u0001":2}`},
		{"a replacement character of its own", access(), map[string]any{"x": "\ufffd", "y": `\ufffd`}, `{` + ours + ",\"x\":\"\ufffd\",\"y\":\"\\\\ufffd\"}"},
	} {
		t.Run(row.name, func(t *testing.T) {
			token, err := signer(t, config()).SignToken(t.Context(), row.kind, row.claims)
			require.NoError(t, err)
			o := open(t, token, "ES256", ecKey())
			jti, ok := o.claims["jti"].(string)
			require.True(t, ok)
			want := strings.Replace(row.want, "JTI", `"`+jti+`"`, 1)
			if !strings.Contains(row.want, `"8"`) {
				require.Len(t, jti, 22, "128 bits")
			}
			if strings.Contains(row.name, "odd names") || strings.Contains(row.name, "replacement") {
				require.JSONEq(t, want, o.payload)
				return
			}
			require.Equal(t, want, o.payload)
		})
	}
}

func TestClaimsRefused(t *testing.T) {
	type node struct{ Next *node }
	cycle := &node{}
	cycle.Next = cycle
	deep := json.RawMessage(strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40))
	keep := access()
	keep.Keep = []string{"iss", "aud", "iat", "nbf", "exp", "jti"}
	rfc9068 := access()
	rfc9068.Type = "at+jwt"
	folded := access()
	folded.Type = "application/AT+JWT"
	required := access()
	required.Required = []string{"tenant"}
	long := access()
	long.Lifetime = 2 * time.Hour
	for _, row := range []struct {
		name   string
		kind   jwtsign.Token
		claims any
	}{
		{"NaN", access(), map[string]any{canary: math.NaN()}},
		{"infinity", access(), map[string]any{canary: math.Inf(1)}},
		{"invalid UTF-8", access(), map[string]any{"x": canary + "\xff"}},
		{"invalid UTF-8 in a name", access(), map[string]any{canary + "\xff": 1}},
		{"a lone surrogate", access(), json.RawMessage(`{"x":"c4n4ry\ud800"}`)},
		{"a cycle", access(), cycle},
		{"a function", access(), map[string]any{"x": func() {}}},
		{"a channel", access(), make(chan int)},
		{"nil", access(), nil},
		{"no object", access(), []string{canary}},
		{"a string", access(), canary},
		{"a name twice", access(), json.RawMessage(`{"c4n4ry":1,"c4n4ry":2}`)},
		{"a name twice, escaped", access(), json.RawMessage(`{"sub":"a","\u0073ub":"c4n4ry"}`)},
		{"a name in another case", access(), map[string]any{"ISS": canary}},
		{"a name with the long s", access(), map[string]any{"i\u017fs": canary}},
		{"too deep", access(), deep},
		{"too large", access(), map[string]any{"x": strings.Repeat("x", 17<<10)}},
		{"too large when encoded", access(), map[string]any{"x": strings.Repeat("x", 13<<10)}},
		{"sub is a number", access(), map[string]any{"sub": 7}},
		{"client_id is null", access(), map[string]any{"client_id": nil}},
		{"RFC 9068 without sub", rfc9068, map[string]any{"client_id": canary}},
		{"RFC 9068 without client_id", rfc9068, map[string]any{"sub": canary}},
		{"RFC 9068 with an empty sub", rfc9068, map[string]any{"sub": "", "client_id": canary}},
		{"RFC 9068 by another spelling", folded, map[string]any{"sub": canary}},
		{"a required claim is missing", required, map[string]any{"sub": canary}},
		{"a required claim is null", required, map[string]any{"tenant": nil}},
		{"a required claim is empty", required, map[string]any{"tenant": []int{}}},
		{"kept exp is too late", keep, map[string]any{"exp": epoch + 3601}},
		{"kept exp is a string", keep, map[string]any{"exp": "1800000001"}},
		{"kept exp is a fraction", keep, map[string]any{"exp": 1800000001.5}},
		{"kept iat is negative", keep, map[string]any{"iat": -1}},
		{"kept iss is empty", keep, map[string]any{"iss": ""}},
		{"kept jti is a number", keep, map[string]any{"jti": 1}},
		{"kept aud is empty", keep, map[string]any{"aud": []string{}}},
		{"kept aud is a number", keep, map[string]any{"aud": 1}},
		{"a kind that lives longer than all of the Config", long, map[string]any{}},
		{"a kind without audience", jwtsign.Token{Lifetime: time.Minute}, map[string]any{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var log buffer
			cfg := config()
			cfg.Logger = log.logger()
			token, err := signer(t, cfg).SignToken(t.Context(), row.kind, row.claims)
			require.Empty(t, token)
			require.ErrorIs(t, err, jwtsign.ErrClaims)
			require.False(t, errors.Is(err, jwtsign.ErrUnavailable) || errors.Is(err, jwtsign.ErrAnswer))
			require.NotContains(t, fmt.Sprintf("%+v %s", err, log.String()), canary)
		})
	}
}

// TestSignTokenReportsAll: one error names every field of the Token that is wrong.
func TestSignTokenReportsAll(t *testing.T) {
	access := access()
	for _, row := range []struct {
		name  string
		kind  jwtsign.Token
		wants []string // none: taken
	}{
		{"good", access, nil},
		{"one fault", jwtsign.Token{Lifetime: time.Minute}, []string{"Token.Audience: "}},
		{"all faults", jwtsign.Token{Lifetime: -1, Type: "a b", Required: []string{""}, Keep: []string{"sub"}},
			[]string{"Token.Type: ", "Token.Lifetime: required", "Token.Audience: ", "Token.Required: ", "Token.Keep: "}},
		{"too long, and more", jwtsign.Token{Lifetime: 2 * time.Hour}, []string{"Token.Audience: ", "Token.Lifetime: longer than any of the Config"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			token, err := signer(t, config()).SignToken(t.Context(), row.kind, map[string]any{})
			if row.wants == nil {
				require.NoError(t, err)
				return
			}
			require.Empty(t, token)
			require.ErrorIs(t, err, jwtsign.ErrClaims)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(row.wants), "%s", err)
			for i, want := range row.wants {
				require.True(t, strings.HasPrefix(lines[i], jwtsign.ErrClaims.Error()+": "+want), "%s", err)
			}
		})
	}
}
