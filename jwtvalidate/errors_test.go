package jwtvalidate_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

var errDown = errors.New("key server is down")

// outcome is one exported error: how it is reached, and what it is answered.
type outcome struct {
	err           error
	reason        jwtvalidate.Reason
	status        int
	code          string // error of the challenge
	authorization []string
	edit          func(*jwtvalidate.Issuer)
}

// refusing are rules that refuse the good token, by the error that they come to.
var refusing = map[string]jwtvalidate.Rule{
	"ErrForbidden":         jwtvalidate.Claim("sub").AnyOf("nobody"),
	"ErrInsufficientScope": jwtvalidate.AllScopes("orders:read", "orders:write"),
	"ErrStepUp":            jwtvalidate.All(jwtvalidate.ACR("gold", "silver"), jwtvalidate.MaxAuthAge(time.Minute)),
}

func outcomes(t *testing.T) map[string]outcome {
	bearer := func(token string) []string { return []string{"Bearer " + token} }
	claims := func(payload string) []string { return bearer(es256(t, goodHeader, payload)) }
	return map[string]outcome{
		"ErrNoToken":        {jwtvalidate.ErrNoToken, "no_token", 401, "", nil, nil},
		"ErrInvalidRequest": {jwtvalidate.ErrInvalidRequest, "invalid_request", 400, "invalid_request", []string{"Bearer a b"}, nil},
		"ErrMalformed":      {jwtvalidate.ErrMalformed, "malformed", 401, "invalid_token", bearer("a.b.c"), nil},
		"ErrAlgorithm":      {jwtvalidate.ErrAlgorithm, "algorithm", 401, "invalid_token", bearer(raw(`{"alg":"none","kid":"c4n4ry"}`, goodPayload, []byte("x"))), nil},
		"ErrType":           {jwtvalidate.ErrType, "type", 401, "invalid_token", bearer(es256(t, `{"alg":"ES256","typ":"c4n4ry"}`, goodPayload)), nil},
		"ErrUnknownIssuer":  {jwtvalidate.ErrUnknownIssuer, "unknown_issuer", 401, "invalid_token", claims(`{"iss":"c4n4ry"}`), nil},
		"ErrUnknownKey":     {jwtvalidate.ErrUnknownKey, "unknown_key", 401, "invalid_token", bearer(good(t)), keysOf(sourceOf(), "ES256")},
		"ErrSignature":      {jwtvalidate.ErrSignature, "signature", 401, "invalid_token", bearer(mint(t, jose.ES256, evilEC(), goodHeader, goodPayload)), nil},
		"ErrExpired":        {jwtvalidate.ErrExpired, "expired", 401, "invalid_token", claims(expiring("1700000000")), nil},
		"ErrNotYetValid":    {jwtvalidate.ErrNotYetValid, "not_yet_valid", 401, "invalid_token", claims(payload(`"nbf":1800000100`)), nil},
		"ErrLifetime": {jwtvalidate.ErrLifetime, "lifetime", 401, "invalid_token", claims(payload(`"iat":1800000000`)), func(p *jwtvalidate.Issuer) {
			p.MaxLifetime = time.Minute
		}},
		"ErrAudience":     {jwtvalidate.ErrAudience, "audience", 401, "invalid_token", claims(meantFor(`"c4n4ry"`)), nil},
		"ErrMissingClaim": {jwtvalidate.ErrMissingClaim, "missing_claim", 401, "invalid_token", bearer(good(t)), func(p *jwtvalidate.Issuer) { p.Required = []string{"tenant"} }},
		"ErrConfirmation": {jwtvalidate.ErrConfirmation, "confirmation", 401, "invalid_token", claims(payload(`"cnf":{"jkt":"c4n4ry"}`)), nil},
		"ErrRevoked":      {jwtvalidate.ErrRevoked, "revoked", 401, "invalid_token", bearer(good(t)), nil},
		"ErrUnavailable":  {jwtvalidate.ErrUnavailable, "unavailable", 503, "", bearer(good(t)), keysOf(failing(errDown), "ES256")},

		"ErrCrossOrigin":       {jwtvalidate.ErrCrossOrigin, "cross_origin", 403, "", nil, nil},
		"ErrForbidden":         {jwtvalidate.ErrForbidden, "forbidden", 403, "", bearer(good(t)), nil},
		"ErrInsufficientScope": {jwtvalidate.ErrInsufficientScope, "insufficient_scope", 403, "insufficient_scope", bearer(good(t)), nil},
		"ErrStepUp":            {jwtvalidate.ErrStepUp, "step_up", 401, "insufficient_user_authentication", bearer(good(t)), nil},

		// The family's own name; Check always says which member it was.
		"ErrInvalidToken": {jwtvalidate.ErrInvalidToken, "invalid_token", 401, "invalid_token", nil, nil},
	}
}

// exportedErrors are the variables named Err… that the package declares.
func exportedErrors(t *testing.T) []string {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for _, name := range spec.Names {
					if strings.HasPrefix(name.Name, "Err") {
						names = append(names, name.Name)
					}
				}
			}
			return true
		})
	}
	return names
}

func TestEveryError(t *testing.T) {
	table := outcomes(t)
	names := exportedErrors(t)
	require.Len(t, names, len(table))
	for _, name := range names {
		require.Contains(t, table, name)
	}
	isBadToken := func(o outcome) bool { return o.code == "invalid_token" }

	for name, o := range table {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, o.reason, jwtvalidate.ReasonOf(o.err))
			require.Equal(t, o.reason, jwtvalidate.ReasonOf(fmt.Errorf("wrapped: %w", o.err)))
			require.Equal(t, isBadToken(o), errors.Is(o.err, jwtvalidate.ErrInvalidToken))
			require.True(t, strings.HasPrefix(o.err.Error(), "jwtvalidate: "))
			require.NotContains(t, o.err.Error(), "\n")
			for other := range table { // matched by its own name, and by the family's
				family := other == "ErrInvalidToken" && isBadToken(o) || other == "ErrForbidden" && (name == "ErrInsufficientScope" || name == "ErrCrossOrigin")
				if other != name && !family {
					require.NotErrorIs(t, o.err, table[other].err)
				}
			}

			w := httptest.NewRecorder()
			jwtvalidate.WriteError(w, nil, fmt.Errorf("caller: %w %s", o.err, canary))
			o.requireAnswer(t, "api", answer{w.Code, w.Header(), w.Body.String()})
			if name == "ErrInvalidToken" || name == "ErrCrossOrigin" { // that needs a cookie: the tests of H17
				return
			}

			p := policy(sourceOf(allKeys()...))
			if o.edit != nil {
				o.edit(&p)
			}
			var log buffer
			g := newGate(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}, Realm: "orders, v2; beta", Logger: log.logger(), Rules: rulesFor(name), Revocation: revokes(name == "ErrRevoked")})
			claims, err := g.Check(request(o.authorization...))
			require.Nil(t, claims)
			require.ErrorIs(t, err, o.err)
			require.Equal(t, o.reason, jwtvalidate.ReasonOf(err))
			require.Equal(t, isBadToken(o), errors.Is(err, jwtvalidate.ErrInvalidToken))
			require.NotContains(t, err.Error(), canary)

			lines := make([]string, len(o.authorization))
			for i, a := range o.authorization {
				lines[i] = "Authorization: " + a
				for _, segment := range strings.Split(strings.TrimPrefix(a, "Bearer "), ".") {
					if len(segment) > 8 {
						require.NotContains(t, err.Error(), segment)
					}
				}
			}
			o.requireAnswer(t, "orders, v2; beta", g.get(t, lines...))
			require.Zero(t, g.ran.Load())
			require.NotContains(t, log.String(), canary)
			require.Contains(t, log.String(), "reason="+string(o.reason)+" ")
		})
	}
}

// revokes is a RevocationChecker with one answer to all.
type revokes bool

func (r revokes) Revoked(context.Context, interface{ Get(name string) (any, bool) }) (bool, error) {
	return bool(r), nil
}

func rulesFor(name string) []jwtvalidate.Rule {
	if rule, ok := refusing[name]; ok {
		return []jwtvalidate.Rule{rule}
	}
	return nil
}

func (o outcome) requireAnswer(t *testing.T, realm string, a answer) {
	t.Helper()
	require.Equal(t, o.status, a.status)
	require.Empty(t, a.body)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	require.NotContains(t, fmt.Sprint(a.header), canary)
	lines := a.header.Values("WWW-Authenticate")
	if o.status == http.StatusServiceUnavailable {
		require.Empty(t, lines)
		require.Equal(t, "5", a.header.Get("Retry-After"))
		return
	}
	require.Empty(t, a.header.Values("Retry-After"))
	if o.status == http.StatusForbidden && o.code == "" {
		require.Empty(t, lines)
		return
	}
	require.Len(t, lines, 1)
	scheme, params, err := parseChallenge(lines[0])
	require.NoError(t, err)
	require.Equal(t, "Bearer", scheme)
	want := map[string]string{"realm": realm}
	if o.code != "" {
		want["error"] = o.code
	}
	if realm != "api" { // an answer by the Validator, which knows what the route asks for
		switch o.err {
		case jwtvalidate.ErrInsufficientScope:
			want["scope"] = "orders:read orders:write"
		case jwtvalidate.ErrStepUp:
			want["acr_values"], want["max_age"] = "gold silver", "60"
		}
	}
	require.Equal(t, want, params)
}

func TestReasonOfOthers(t *testing.T) {
	require.Empty(t, jwtvalidate.ReasonOf(nil))
	require.Equal(t, jwtvalidate.ReasonOther, jwtvalidate.ReasonOf(errDown))
	require.Equal(t, jwtvalidate.ReasonOther, jwtvalidate.ReasonOf(context.Canceled))
	require.Equal(t, jwtvalidate.ReasonUnavailable, jwtvalidate.ReasonOf(errors.Join(jwtvalidate.ErrExpired, jwtvalidate.ErrUnavailable)),
		"could not tell wins")

	w := httptest.NewRecorder()
	jwtvalidate.WriteError(w, nil, errors.New("secret "+canary))
	requireRefused(t, answer{w.Code, w.Header(), w.Body.String()}, http.StatusUnauthorized, challengeToken)
}

// slow is an error with a hint.
type slow time.Duration

func (s slow) Error() string             { return "slow down" }
func (s slow) RetryAfter() time.Duration { return time.Duration(s) }

func TestUnavailable(t *testing.T) {
	for _, row := range []struct {
		name  string
		err   error
		after string
	}{
		{"no hint", errDown, "5"},
		{"a hint", slow(30 * time.Second), "30"},
		{"a wrapped hint", fmt.Errorf("fetch: %w", slow(30*time.Second)), "30"},
		{"a fraction is rounded up", slow(30*time.Second + 1), "31"},
		{"just below two seconds", slow(1900 * time.Millisecond), "2"},
		{"less than a second", slow(time.Millisecond), "1"},
		{"zero", slow(0), "1"},
		{"negative", slow(-time.Hour), "1"},
		{"an hour", slow(time.Hour), "3600"},
		{"more than an hour", slow(time.Hour + 1), "3600"},
		{"the largest", slow(1<<63 - 1), "3600"},
		{"an error that looks like a bad token", jwtvalidate.ErrSignature, "5"},
		{"an error that looks like no token", jwtvalidate.ErrNoToken, "5"},
		{"the context of the caller", context.Canceled, "5"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, optional := range []bool{false, true} {
				g := newGate(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(failing(row.err))}, Optional: optional})
				_, err := g.Check(request("Bearer " + good(t)))
				require.ErrorIs(t, err, jwtvalidate.ErrUnavailable)
				require.ErrorIs(t, err, row.err, "the cause is kept")
				require.Equal(t, jwtvalidate.ReasonUnavailable, jwtvalidate.ReasonOf(err))

				got := g.get(t, "Authorization: Bearer "+good(t))
				requireRefused(t, got, http.StatusServiceUnavailable, "")
				require.Equal(t, row.after, got.header.Get("Retry-After"))
				require.Zero(t, g.ran.Load())
			}
		})
	}

	t.Run("keys beside an error are not used", func(t *testing.T) {
		keys := &source{}
		keys.find = func(string, string) ([]crypto.PublicKey, error) { return allKeys(), errDown }
		_, err := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(keys)}}).CheckToken(t.Context(), good(t))
		require.ErrorIs(t, err, jwtvalidate.ErrUnavailable)
	})
	t.Run("the key source gets the caller's context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p := policy(contextual{})
		_, err := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}}).CheckToken(ctx, good(t))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, jwtvalidate.ErrUnavailable)
		_, err = validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}}).Check(request("Bearer " + good(t)).WithContext(ctx))
		require.ErrorIs(t, err, context.Canceled)
	})
}

// contextual has the keys while the context lasts.
type contextual struct{}

func (contextual) Keys(ctx context.Context, _, _ string) ([]crypto.PublicKey, error) {
	return allKeys(), ctx.Err()
}

// A bad token is bad also while the keys are away; only what needs keys is 503.
func TestBadTokensDuringAnOutage(t *testing.T) {
	g := newGate(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(failing(errDown))}})
	require.Equal(t, http.StatusUnauthorized, g.get(t, "Authorization: Bearer x").status)
	require.Equal(t, http.StatusUnauthorized, g.get(t, "Authorization: Bearer "+raw(`{"alg":"none"}`, goodPayload, []byte("x"))).status)
	require.Equal(t, http.StatusServiceUnavailable, g.get(t, "Authorization: Bearer "+good(t)).status)
}

func TestChallengeParameters(t *testing.T) {
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(sourceOf())}, Realm: "it's=a, 'realm'; #1",
		ResourceMetadata: "https://api.example.com/.well-known/oauth-protected-resource?a=b,c",
	})
	for authorization, code := range map[string]string{"": "", "Bearer": "invalid_request", "Bearer x": "invalid_token"} {
		got := record(v.Handler(http.NotFoundHandler()), request(authorization))
		scheme, params, err := parseChallenge(got.header.Get("WWW-Authenticate"))
		require.NoError(t, err)
		require.Equal(t, "Bearer", scheme)
		want := map[string]string{
			"realm":             "it's=a, 'realm'; #1",
			"resource_metadata": "https://api.example.com/.well-known/oauth-protected-resource?a=b,c",
		}
		if code != "" {
			want["error"] = code
		}
		require.Equal(t, want, params)
	}
}

// parseChallenge reads one challenge by RFC 9110 sections 5.6 and 11: a scheme,
// one space or more, parameters between commas. Each parameter stands there once.
func parseChallenge(text string) (scheme string, params map[string]string, err error) {
	isToken := func(c byte) bool {
		return c > 0x20 && c < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(c))
	}
	i := 0
	name := func() string {
		start := i
		for i < len(text) && isToken(text[i]) {
			i++
		}
		return text[start:i]
	}
	skip := func(chars string) (n int) {
		for i < len(text) && strings.IndexByte(chars, text[i]) >= 0 {
			i, n = i+1, n+1
		}
		return n
	}
	if scheme = name(); scheme == "" || skip(" ") == 0 {
		return "", nil, errors.New("no scheme with parameters")
	}
	params = map[string]string{}
	for {
		key := strings.ToLower(name())
		skip(" \t")
		if key == "" || i == len(text) || text[i] != '=' {
			return "", nil, fmt.Errorf("no parameter at byte %d", i)
		}
		i++
		skip(" \t")
		var value string
		if i < len(text) && text[i] == '"' {
			for i++; ; i++ {
				if i == len(text) {
					return "", nil, errors.New("open quote")
				}
				if text[i] == '"' {
					i++
					break
				}
				if text[i] == '\\' {
					if i++; i == len(text) {
						return "", nil, errors.New("open escape")
					}
				}
				if c := text[i]; c != '\t' && (c < 0x20 || c == 0x7f) {
					return "", nil, errors.New("control character")
				}
				value += text[i : i+1]
			}
		} else if value = name(); value == "" {
			return "", nil, errors.New("parameter without value")
		}
		if _, twice := params[key]; twice {
			return "", nil, fmt.Errorf("%s stands there twice", key)
		}
		params[key] = value
		skip(" \t")
		if i == len(text) {
			return scheme, params, nil
		}
		if text[i] != ',' {
			return "", nil, fmt.Errorf("no comma at byte %d", i)
		}
		i++
		skip(" \t")
	}
}

func TestParseChallenge(t *testing.T) {
	for text, want := range map[string]map[string]string{
		`Bearer realm="a"`:                    {"realm": "a"},
		`Bearer  realm=a , error = "b\"c"`:    {"realm": "a", "error": `b"c`},
		`Bearer`:                              nil,
		`Bearer `:                             nil,
		`Bearer realm`:                        nil,
		`Bearer realm="a`:                     nil,
		`Bearer realm="a" error="b"`:          nil,
		`Bearer realm="a", REALM="b"`:         nil,
		`Bearer realm="a",`:                   nil,
		`Bearer realm="a", Basic realm="b"`:   nil,
		"Bearer realm=\"a\r\nSet-Cookie: x\"": nil,
	} {
		_, got, err := parseChallenge(text)
		assert.Equal(t, want == nil, err != nil, text)
		assert.Equal(t, want, got, text)
	}
}
