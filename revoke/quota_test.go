package revoke_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// TestQuota: a client that has tokens made as fast as it likes cannot use up the room
// of others by revoking them, and keeps nobody else from revoking.
func TestQuota(t *testing.T) {
	now := time.Now()
	checker := newChecker(t, revoke.Config{MaxEntries: 100, Now: func() time.Time { return now }})
	n := 0
	admin, err := checker.Admin(revoke.AdminConfig{
		PerMinute: 3,
		Authorize: func(r *http.Request) (revoke.Caller, error) {
			name := r.Header.Get("X-Caller")
			return revoke.Caller{Name: name, ClientID: name, Privileged: name == "admin"}, nil
		},
		Verify: func(_ context.Context, client string) (revoke.Claims, error) {
			n++
			return issued(now, token{"jti": fmt.Sprint(n), "client_id": client}), nil
		},
	})
	require.NoError(t, err)
	ask := func(caller string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/revoke", strings.NewReader("token="+caller))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Caller", caller)
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, r)
		return w
	}
	for range 3 {
		require.Equal(t, 200, ask("greedy").Code)
	}
	now = now.Add(20 * time.Second)
	w := ask("greedy")
	require.Equal(t, 429, w.Code)
	require.Equal(t, "40", w.Header().Get("Retry-After"))
	require.Equal(t, 3, checker.Status().Entries)
	require.Equal(t, 200, ask("other").Code)
	for range 5 {
		require.Equal(t, 200, ask("admin").Code)
	}
	now = now.Add(40 * time.Second)
	require.Equal(t, 200, ask("greedy").Code)
	now = now.Add(-time.Hour) // a clock that was put right
	require.Equal(t, 200, ask("greedy").Code)

	_, err = checker.Admin(revoke.AdminConfig{PerMinute: -1, Authorize: func(*http.Request) (revoke.Caller, error) { return revoke.Caller{}, nil }})
	require.ErrorContains(t, err, "PerMinute: ")
}

// TestQuotaBound: names without end share one count.
func TestQuotaBound(t *testing.T) {
	var q revoke.Quota
	now := time.Now()
	for i := range 20_000 {
		q.Take(fmt.Sprint(i), now)
	}
	require.LessOrEqual(t, q.Names(), 10_001)
}
