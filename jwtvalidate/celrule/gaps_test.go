package celrule_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/celrule"
	"github.com/stretchr/testify/require"
)

// TestClock: now is in UTC whatever zone the clock has, and one time for an evaluation.
func TestClock(t *testing.T) {
	v, is := validator(t)
	c, err := v.CheckToken(t.Context(), is.Token(nil))
	require.NoError(t, err)
	calls := 0
	clock := func() time.Time {
		calls++
		return time.Date(2026, 11, 21, 1, calls, 0, 0, time.FixedZone("", 5*3600))
	}
	for _, expr := range []string{"now.getHours() == 20 && string(now).endsWith('Z')", "now == now && now - now == duration('0s')"} {
		rule, err := celrule.NewWithClock(expr, clock)
		require.NoError(t, err)
		calls = 0
		require.NoError(t, v.Allow(t.Context(), c, rule), expr)
		require.Equal(t, 1, calls)
	}
}

func TestBoundsOfARequest(t *testing.T) {
	v, is := validator(t)
	token := is.Token(nil)
	for _, row := range []struct {
		name, expr string
		odd        func(r *http.Request)
		want       bool
	}{
		{"values at the limit", "has(request.headers.a)", func(r *http.Request) { r.Header["A"] = make([]string, 4096) }, true},
		{"values beyond", "has(request.headers.a)", func(r *http.Request) { r.Header["A"] = make([]string, 4097) }, false},
		{"host", "request.host != ''", func(r *http.Request) { r.Host = strings.Repeat("a", 16<<10) }, true},
		{"long host", "request.host != ''", func(r *http.Request) { r.Host = strings.Repeat("a", 16<<10+1) }, false},
		{"long method", "request.method != ''", func(r *http.Request) { r.Method = strings.Repeat("A", 16<<10+1) }, false},
		{"on the left of in", "request.method in ['GET']", func(*http.Request) {}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			row.odd(r)
			w := httptest.NewRecorder()
			v.Require(made(t, row.expr))(http.NotFoundHandler()).ServeHTTP(w, r)
			require.Equal(t, row.want, w.Code == http.StatusNotFound)
		})
	}
}

func TestMoreRefusedTexts(t *testing.T) {
	for _, row := range []struct{ expr, want string }{
		{"['a'].exists(request, request == 'a')", "a macro's variable cannot be request"},
		{"'a'.replace('a', 'b') in ['b']", "there is no function replace"},
		{"claims in [claims.a]", "claims is asked by name"},
		{"now.getHours('') == 1", "no such time zone"},
		{"[" + strings.Repeat("1,", 4000) + "1].size() == 1", "limit 4000"},
	} {
		_, err := celrule.New(row.expr)
		require.ErrorContains(t, err, row.want, row.expr)
	}
}

// TestMapsAreWork: a comparison of maps costs what they hold.
func TestMapsAreWork(t *testing.T) {
	v, is := validator(t)
	m, l := map[string]any{}, make([]any, 1000)
	for i := range l {
		l[i], m["k"+strings.Repeat("a", i%8)+string(rune('a'+i%26))] = i, i
	}
	c, err := v.CheckToken(t.Context(), is.Token(map[string]any{"m": m, "l": l}))
	require.NoError(t, err)
	require.Equal(t, cannot, verdict(t, v, c, made(t, "claims.l.all(a, claims.m == claims.m)")))
}

// TestContextEndsDuringAMacro: the end is seen also when it comes after the first look.
func TestContextEndsDuringAMacro(t *testing.T) {
	_, is := validator(t)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{is.Policy()}})
	require.NoError(t, err)
	l := make([]any, 2000)
	for i := range l {
		l[i] = i
	}
	token := is.Token(map[string]any{"l": l})
	ctx, end := context.WithCancel(t.Context())
	defer end()
	clock := func() time.Time { // asked within the macro, behind the first look
		end()
		return time.Now()
	}
	rule, err := celrule.NewWithClock("claims.l.all(a, a >= 0 && now > timestamp(0) && request.method == 'GET')", clock)
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	v.Require(rule)(http.NotFoundHandler()).ServeHTTP(w, r.WithContext(ctx))
	require.Equal(t, http.StatusForbidden, w.Code)
}
