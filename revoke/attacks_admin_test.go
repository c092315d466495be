package revoke_test

import (
	"context"
	"encoding/json"

	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

func attackLogout(jti string, more token) token {
	t := token{
		"iss": issuer, "aud": "app", "iat": date(time.Now()), "jti": jti, "sid": "s-1",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	for name, v := range more {
		t[name] = v
	}
	return t
}

func postLogout(t *testing.T, c *revoke.Checker, claims token) int {
	t.Helper()
	h, err := c.Logout(revoke.LogoutConfig{Audiences: []string{"app"}, Verify: func(context.Context, string) (revoke.Claims, error) { return claims, nil }})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/logout", strings.NewReader("logout_token=t"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// Fault: with a Filter, what was used is put into the filter, and looked for in the
// table: a logout token can be used again and again.
func TestAttackLogoutTokenOnceWithAFilter(t *testing.T) {
	c := newChecker(t, revoke.Config{Filter: &revoke.Filter{Capacity: 100, FalsePositives: 1e-4}})
	require.Equal(t, 200, postLogout(t, c, attackLogout("j", nil)))
	require.Equal(t, 400, postLogout(t, c, attackLogout("j", nil)))
}

// Fault: a used logout token is held as a token of which the id begins with a text: a
// real token with that id is refused, and its revocation forestalls a logout.
func TestAttackLogoutTokenIsNoToken(t *testing.T) {
	c := newChecker(t, revoke.Config{})
	require.Equal(t, 200, postLogout(t, c, attackLogout("j", nil)))
	requireReason(t, c, "", issued(time.Now(), token{"jti": "logout token j", "sid": "other"}))
	c = newChecker(t, revoke.Config{})
	mustRevoke(t, c, record(revoke.KindToken, "logout token j")) // the own token of somebody
	require.Equal(t, 200, postLogout(t, c, attackLogout("j", nil)))
}

// Fault: who is not Global ends everything of an issuer by a set of claims that all its
// tokens have: iss itself.
func TestAttackClaimsAreNoIssuer(t *testing.T) {
	d := newDesk(t)
	w := d.ask("POST", "/v1/revocations", "admin", `{"kind":"claims","issuer":"`+issuer+`","claims":{"iss":"`+issuer+`"},"ban":true}`)
	require.Contains(t, []int{400, 403}, w.Code, w.Body)
}

// Fault: names of members are folded, and the last of two wins: what a proxy or an audit
// before us has read is not what is done.
func TestAttackStrictJSON(t *testing.T) {
	d := newDesk(t)
	for _, body := range []string{
		`{"kind":"token","issuer":"x","value":"y","value":"z"}`,
		`{"kind":"token","Kind":"everything"}`,
		`{"KIND":"token","issuer":"x","value":"y"}`,
		`{"ſession":1,"iſſuer":"x","kind":"token","value":"y"}`,
		`{"kind":"claims","issuer":"x","claims":{"a":1,"a":2}}`,
		"{\"kind\":\"token\",\"issuer\":\"x\",\"value\":\"\xff\"}",
	} {
		require.Equal(t, 400, d.ask("POST", "/v1/revocations", "root", body).Code, body)
	}
}

// Fault: /v1/check cannot ask for a key, and says that nothing refuses the token.
func TestAttackCheckOfAKey(t *testing.T) {
	d := newDesk(t)
	require.Equal(t, 201, d.ask("POST", "/v1/revocations", "root", `{"kind":"key","value":"`+thumb+`"}`).Code)
	claims, err := json.Marshal(issued(time.Now(), nil))
	require.NoError(t, err)
	w := d.ask("POST", "/v1/check", "root", `{"claims":`+string(claims)+`,"key":"`+thumb+`"}`)
	require.Contains(t, w.Body.String(), `"reason":"key"`)
}

// Fault: a list says "those in force", and has what has lapsed until the sweep comes by.
func TestAttackListIsOfWhatIsInForce(t *testing.T) {
	var now clock
	c := newChecker(t, revoke.Config{Now: now.now})
	mustRevoke(t, c, record(revoke.KindToken, "a"))
	now.add(3 * time.Hour)
	h, err := c.Admin(revoke.AdminConfig{Authorize: func(*http.Request) (revoke.Caller, error) { return revoke.Caller{Name: "a", Privileged: true}, nil }})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/revocations", http.NoBody))
	require.JSONEq(t, `{"revocations":[],"more":false}`, w.Body.String())
}

// Fault: Audit is "told of every write that was made or refused", but not of one that
// the caller's lack of privilege, or of a name, refused.
func TestAttackAuditOfTheUnprivileged(t *testing.T) {
	d := newDesk(t)
	require.Equal(t, 403, d.ask("POST", "/v1/revocations", "app", `{"kind":"everything"}`).Code)
	require.NotEmpty(t, d.audit)
}

// Fault: the Event of a refused Record has whatever was sent as kind, issuer and id:
// 64 KiB of it, and line breaks.
func TestAttackAuditIsBounded(t *testing.T) {
	d := newDesk(t)
	d.ask("POST", "/v1/revocations", "root", `{"kind":"`+strings.Repeat("k", 10000)+`","issuer":"`+strings.Repeat("i", 10000)+`"}`)
	d.ask("DELETE", "/v1/revocations/"+url.PathEscape("x\nlevel=ERROR"), "root", "")
	for _, e := range d.audit {
		require.LessOrEqual(t, len(e.Issuer), 512)
		require.LessOrEqual(t, len(e.Record), 16)
		require.NotContains(t, e.ID, "\n")
	}
}

// Fault: a caller without a name writes records without an actor.
func TestAttackActorIsRequired(t *testing.T) {
	c := newChecker(t, revoke.Config{})
	h, err := c.Admin(revoke.AdminConfig{Authorize: func(*http.Request) (revoke.Caller, error) { return revoke.Caller{Privileged: true}, nil }})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/v1/revocations", strings.NewReader(`{"kind":"token","issuer":"x","value":"y"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 401, w.Code)
}

// Fault: an issuer may have line breaks and be no text, and is logged.
func TestAttackIssuerIsPrintable(t *testing.T) {
	_, err := newChecker(t, revoke.Config{}).Revoke(t.Context(), revoke.Record{Kind: revoke.KindToken, Issuer: "x\nlevel=ERROR", Value: "y"})
	require.ErrorIs(t, err, revoke.ErrRecord)
}

// Fault: alarms share one line a second with tokens that could not be judged, so that
// whoever sends tokens keeps the alarms out of the log.
func TestAttackAlarmsAreNotCrowdedOut(t *testing.T) {
	var out strings.Builder
	log := &flaky{MemoryLog: new(revoke.MemoryLog)}
	log.down.Store(true)
	c := newChecker(t, revoke.Config{Log: log, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	for range 100 { // whatever the second is
		_, _ = c.Revoked(t.Context(), issued(time.Now(), nil))
	}

	log.down.Store(false)
	require.NoError(t, log.MemoryLog.Append(t.Context(), []revoke.Entry{{Data: []byte("forged")}}))
	require.Eventually(t, func() bool { return c.Warm(t.Context()) == nil }, 5*time.Second, 5*time.Millisecond)

	require.Contains(t, out.String(), "alarm")
}

// Fault: a typed nil as Claims, which a Verify hook easily returns, panics.
type pointed struct{ m map[string]any }

func (p *pointed) Get(name string) (any, bool) { v, ok := p.m[name]; return v, ok }

func TestAttackTypedNil(t *testing.T) {
	c := newChecker(t, revoke.Config{})
	h, err := c.Admin(revoke.AdminConfig{
		Authorize: func(*http.Request) (revoke.Caller, error) { return revoke.Caller{Name: "a", ClientID: "a"}, nil },
		Verify:    func(context.Context, string) (revoke.Claims, error) { var none *pointed; return none, nil },
	})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/revoke", strings.NewReader("token=x"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	require.NotPanics(t, func() { h.ServeHTTP(w, r) })
	require.Equal(t, 200, w.Code)
}

// TestLogoutOfAllSessions: a session of one user ends, or all of them.
func TestLogoutOfAllSessions(t *testing.T) {
	for _, all := range []bool{false, true} {
		c := newChecker(t, revoke.Config{})
		h, err := c.Logout(revoke.LogoutConfig{
			Audiences: []string{"app"}, AllSessions: all,
			Verify: func(context.Context, string) (revoke.Claims, error) {
				return attackLogout("j", token{"sub": "user-1"}), nil
			},
		})
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "/logout", strings.NewReader("logout_token=t"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code)
		old := time.Now().Add(-time.Minute)
		requireReason(t, c, revoke.ReasonSession, issued(old, token{"sub": "user-1", "sid": "s-1"}))
		want := revoke.Reason("")
		if all {
			want = revoke.ReasonSubject
		}
		requireReason(t, c, want, issued(old, token{"sub": "user-1", "sid": nil}))
		requireReason(t, c, "", issued(old, token{"sub": "user-2", "sid": nil}))
	}
}
