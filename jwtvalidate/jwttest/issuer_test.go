package jwttest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

func trust(t *testing.T, p jwtvalidate.Issuer) *jwtvalidate.Validator {
	t.Helper()
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}})
	require.NoError(t, err)
	return v
}

func status(v *jwtvalidate.Validator, token string) int {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	v.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	return w.Code
}

func TestToken(t *testing.T) {
	issuer := jwttest.New(t)
	policy := issuer.Policy()
	policy.Profile = jwtvalidate.RFC9068
	v := trust(t, policy)

	c, err := v.CheckToken(t.Context(), issuer.Token(nil))
	require.NoError(t, err)
	require.Equal(t, policy.URL, c.Issuer())
	require.Equal(t, policy.Audiences, c.Audience())
	require.Equal(t, "user", c.Subject())
	require.Equal(t, time.Hour, c.Expiry().Sub(c.IssuedAt()))
	other, err := v.CheckToken(t.Context(), issuer.Token(nil))
	require.NoError(t, err)
	require.NotEqual(t, c.ID(), other.ID())

	claims := map[string]any{"sub": "admin", "roles": []string{"a"}, "jti": nil}
	c, err = trust(t, issuer.Policy()).CheckToken(t.Context(), issuer.Token(claims))
	require.NoError(t, err)
	require.Equal(t, "admin", c.Subject())
	require.Empty(t, c.ID())
	roles, _ := c.Get("roles")
	require.Equal(t, []any{"a"}, roles)
	require.Len(t, claims, 3, "the caller's map is left alone")
	_, err = v.CheckToken(t.Context(), issuer.Token(claims))
	require.ErrorIs(t, err, jwtvalidate.ErrMissingClaim)

	_, err = trust(t, jwttest.New(t).Policy()).CheckToken(t.Context(), issuer.Token(nil))
	require.ErrorIs(t, err, jwtvalidate.ErrSignature, "no token of one issuer is good at another")
}

func TestBad(t *testing.T) {
	issuer := jwttest.New(t)
	v := trust(t, issuer.Policy())
	kinds := map[string]error{
		"alg none":      jwtvalidate.ErrAlgorithm,
		"audience":      jwtvalidate.ErrAudience,
		"expired":       jwtvalidate.ErrExpired,
		"forged":        jwtvalidate.ErrSignature,
		"issuer":        jwtvalidate.ErrUnknownIssuer,
		"kid":           jwtvalidate.ErrUnknownKey,
		"malformed":     jwtvalidate.ErrMalformed,
		"not yet valid": jwtvalidate.ErrNotYetValid,
		"signature":     jwtvalidate.ErrSignature,
		"type":          jwtvalidate.ErrType,
	}
	for range 2 { // also after a rotation
		for kind, want := range kinds {
			_, err := v.CheckToken(t.Context(), issuer.Bad(kind))
			require.ErrorIs(t, err, want, kind)
			require.Equal(t, http.StatusUnauthorized, status(v, issuer.Bad(kind)), kind)
		}
		require.Equal(t, http.StatusOK, status(v, issuer.Token(nil)))
		issuer.Rotate()
	}

	message := fatal(func(tb testing.TB) { jwttest.New(tb).Bad("no such kind") })
	require.Contains(t, message, `Bad("no such kind")`)
	for kind := range kinds {
		require.Contains(t, message, `"`+kind+`"`)
	}
	_, list, _ := strings.Cut(message, "[")
	require.Equal(t, len(kinds), strings.Count(list, `" "`)+1, "every kind is in the table above")
}

func TestMistakesFailTheTest(t *testing.T) {
	require.Contains(t, fatal(func(tb testing.TB) { jwttest.New(tb).Token(map[string]any{"x": func() {}}) }), "jwttest: claims: ")
	require.Empty(t, fatal(func(tb testing.TB) { jwttest.New(tb).Token(map[string]any{"x": 1}) }))
}

// fatal runs f with a test of its own, and returns the message that ended it.
func fatal(f func(testing.TB)) string {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r.message
}

type recorder struct {
	testing.TB
	message string
}

func (*recorder) Helper() {}
func (r *recorder) Fatalf(format string, args ...any) {
	r.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestRotate(t *testing.T) {
	issuer := jwttest.New(t)
	v := trust(t, issuer.Policy())
	old := issuer.Token(nil)
	require.Equal(t, http.StatusOK, status(v, old))
	issuer.Rotate()
	_, err := v.CheckToken(t.Context(), old)
	require.ErrorIs(t, err, jwtvalidate.ErrUnknownKey)
	require.Equal(t, http.StatusOK, status(v, issuer.Token(nil)))
}

func TestOutage(t *testing.T) {
	issuer := jwttest.New(t)
	v := trust(t, issuer.Policy())
	token := issuer.Token(nil)
	issuer.Outage(true)
	require.Equal(t, http.StatusServiceUnavailable, status(v, token))
	require.Equal(t, http.StatusServiceUnavailable, status(v, issuer.Token(nil)), "it still signs")
	require.Equal(t, http.StatusUnauthorized, status(v, issuer.Bad("issuer")), "what needs no keys is refused as ever")
	issuer.Outage(true)
	issuer.Outage(false)
	require.Equal(t, http.StatusOK, status(v, token))
}

func TestKeys(t *testing.T) {
	issuer := jwttest.New(t)
	keys, err := issuer.Keys(t.Context(), "key-1", "ES256")
	require.NoError(t, err)
	require.Len(t, keys, 1)
	for _, asked := range [][2]string{{"key-2", "ES256"}, {"", "ES256"}, {"key-1", "RS256"}, {"key-1", ""}} {
		keys, err := issuer.Keys(t.Context(), asked[0], asked[1])
		require.NoError(t, err)
		require.Empty(t, keys)
	}
	issuer.Outage(true)
	_, err = issuer.Keys(t.Context(), "key-1", "ES256")
	require.Error(t, err)
	require.False(t, errors.Is(err, jwtvalidate.ErrUnavailable) || errors.Is(err, jwtvalidate.ErrInvalidToken), "as any KeySource, it knows no error of the validator")
}

func TestConcurrentUse(t *testing.T) {
	issuer := jwttest.New(t)
	v := trust(t, issuer.Policy())
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 10 {
				_ = status(v, issuer.Token(nil))
				_ = issuer.Bad("signature")
				issuer.Outage(true)
				issuer.Outage(false)
				issuer.Rotate()
			}
		})
	}
	wait.Wait()
	require.Equal(t, http.StatusOK, status(v, issuer.Token(nil)))
}
