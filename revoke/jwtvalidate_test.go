package revoke_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// TestThroughTheMiddleware: the next request after Revoke is refused, also with a token
// that jwtvalidate remembers; and what cannot be told is a 503.
func TestThroughTheMiddleware(t *testing.T) {
	log := &flaky{MemoryLog: new(revoke.MemoryLog)}
	checker := newChecker(t, revoke.Config{Log: log, MaxLifetime: 2 * time.Hour})
	idp := jwttest.New(t)
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{idp.Policy()}, Revocation: checker})
	require.NoError(t, err)
	var claims *jwtvalidate.Claims
	h := v.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { claims, _ = jwtvalidate.FromContext(r.Context()) }))
	ask := func(token string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	iss := idp.Policy().URL
	now := time.Now()
	mint := func(id, sub string, iat time.Time) string {
		return idp.Token(map[string]any{"jti": id, "sub": sub, "sid": "s-" + id, "roles": []string{"a", "b-" + id}, "iat": iat.Unix()})
	}

	log.down.Store(true)
	w := ask(mint("x", "x", now))
	require.Equal(t, 503, w.Code, "not loaded")
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Empty(t, w.Header().Get("WWW-Authenticate"))
	log.down.Store(false)
	require.Eventually(t, func() bool { return checker.Warm(t.Context()) == nil }, 5*time.Second, time.Millisecond)

	for id, r := range map[string]revoke.Record{
		"token":   {Kind: revoke.KindToken, Value: "token"},
		"session": {Kind: revoke.KindSession, Value: "s-session"},
		"subject": {Kind: revoke.KindSubject, Value: "subject"},
		"claims":  {Kind: revoke.KindClaims, Claims: map[string]any{"roles": "b-claims"}},
	} {
		bearer := mint(id, id, now.Add(-time.Minute))
		for range 3 {
			require.Equal(t, 200, ask(bearer).Code, id)
		}
		r.Issuer = iss
		receipt := mustRevoke(t, checker, r)
		w := ask(bearer)
		require.Equal(t, 401, w.Code, id)
		require.Contains(t, w.Header().Get("WWW-Authenticate"), "invalid_token")
		require.Equal(t, 200, ask(mint("other", "other", now.Add(-time.Minute))).Code)
		if r.Kind == revoke.KindSubject {
			require.Equal(t, 401, ask(mint("y", id, now)).Code, "this very second")
			require.LessOrEqual(t, receipt.Cutoff.Unix(), time.Now().Unix()+1)
			require.Equal(t, 200, ask(mint("y", id, receipt.Cutoff)).Code, "a login in the next second")
		}
		require.NoError(t, checker.Restore(t.Context(), receipt.ID))
		require.Equal(t, 200, ask(bearer).Code, id)
	}

	bearer := mint("key", "key", now)
	require.Equal(t, 200, ask(bearer).Code)
	mustRevoke(t, checker, revoke.Record{Kind: revoke.KindKey, Value: claims.KeyThumbprint()})
	require.Equal(t, 401, ask(bearer).Code)
	idp.Rotate()
	require.Equal(t, 200, ask(mint("key", "key", now)).Code, "the next key")
}
