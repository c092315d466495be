package revoke_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// desk is an admin handler, its callers by the header X-Caller, and tokens by name.
type desk struct {
	http.Handler
	checker *revoke.Checker
	log     *flaky
	tokens  map[string]revoke.Claims
	audit   []revoke.Event
}

type laterError struct{ error }

func (laterError) RetryAfter() time.Duration { return 7 * time.Second }

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{log: &flaky{MemoryLog: new(revoke.MemoryLog)}, tokens: map[string]revoke.Claims{}}
	d.checker = newChecker(t, revoke.Config{Log: d.log})
	callers := map[string]revoke.Caller{
		"app":   {Name: "app", ClientID: "app"},
		"admin": {Name: "admin", Privileged: true},
		"root":  {Name: "root", Privileged: true, Global: true},
		"odd":   {Name: "a\nb", Privileged: true},
	}
	var err error
	d.Handler, err = d.checker.Admin(revoke.AdminConfig{
		Authorize: func(r *http.Request) (revoke.Caller, error) {
			if r.Header.Get("X-Caller") == "down" {
				return revoke.Caller{}, laterError{errDown}
			}
			c, ok := callers[r.Header.Get("X-Caller")]
			if !ok {
				return c, errors.New("who is there")
			}
			return c, nil
		},
		Verify: func(_ context.Context, token string) (revoke.Claims, error) {
			if token == "down" {
				return nil, errDown
			}
			if c, ok := d.tokens[token]; ok {
				return c, nil
			}
			return nil, nil
		},
		Audit: func(_ context.Context, e revoke.Event) { d.audit = append(d.audit, e); panic("broken") },
	})
	require.NoError(t, err)
	return d
}

func (d *desk) ask(method, path, caller, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Caller", caller)
	r.Header.Set("Content-Type", "application/json")
	if path == "/revoke" || path == "/logout" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func TestRFC7009(t *testing.T) {
	d := newDesk(t)
	d.tokens["mine"] = issued(time.Now(), nil)
	d.tokens["azp"] = issued(time.Now(), token{"jti": "azp", "client_id": nil, "azp": "app"})
	d.tokens["other"] = issued(time.Now(), token{"jti": "other", "client_id": "other", "azp": "app"})
	d.tokens["no id"] = issued(time.Now(), token{"jti": nil})
	d.tokens["no exp"] = issued(time.Now(), token{"jti": "no exp", "exp": nil})
	form := func(token string) string {
		return url.Values{"token": {token}, "token_type_hint": {"access_token"}}.Encode()
	}
	for _, row := range []struct {
		name, caller, body string
		status, entries    int
	}{
		{"nobody", "", form("mine"), 401, 0},
		{"authorization is down", "down", form("mine"), 503, 0},
		{"an odd name", "odd", form("mine"), 401, 0},
		{"no token", "app", "", 400, 0},
		{"twice", "app", form("mine") + "&token=x", 400, 0},
		{"broken form", "app", "token=%", 400, 0},
		{"too large", "app", "token=" + strings.Repeat("x", 70000), 413, 0},
		{"unknown", "app", form("unknown"), 200, 0},
		{"cannot be verified", "app", form("down"), 503, 0},
		{"another's", "app", form("other"), 400, 0},
		{"without an id", "app", form("no id"), 200, 0},
		{"mine", "app", form("mine"), 200, 1},
		{"mine again", "app", form("mine"), 200, 1},
		{"mine by azp", "app", form("azp"), 200, 2},
		{"another's, privileged", "admin", form("other"), 200, 3},
		{"without exp", "app", form("no exp"), 200, 4},
	} {
		w := d.ask("POST", "/revoke", row.caller, row.body)
		require.Equal(t, row.status, w.Code, row.name)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"), row.name)
		require.Equal(t, row.status == 503, w.Header().Get("Retry-After") != "", row.name)
		require.Equal(t, row.entries, d.checker.Status().Entries, row.name)
		require.NotContains(t, w.Body.String(), "id-1")
	}
	requireReason(t, d.checker, revoke.ReasonToken, d.tokens["mine"])
	requireReason(t, d.checker, revoke.ReasonToken, d.tokens["no exp"])
	requireReason(t, d.checker, "", d.tokens["no id"], "nor what has none")
	require.Equal(t, 405, d.ask("GET", "/revoke", "app", "").Code)
	require.Equal(t, 415, d.ask("POST", "/revoke", "app", form("mine"), "Content-Type", "application/json").Code)
	require.Equal(t, 400, d.ask("POST", "/revoke?token=mine", "app", "", "Content-Type", "application/x-www-form-urlencoded").Code)

	d.log.down.Store(true)
	d.tokens["late"] = issued(time.Now(), token{"jti": "late"})
	w := d.ask("POST", "/revoke", "app", form("late"))
	require.Equal(t, 503, w.Code, "not stored")
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	require.ErrorIs(t, d.audit[len(d.audit)-1].Err, revoke.ErrUnavailable)
	d.log.down.Store(false)
	require.Equal(t, 200, d.ask("POST", "/revoke", "app", form("late")).Code)
	requireReason(t, d.checker, revoke.ReasonToken, d.tokens["late"])
}

func TestAdminAPI(t *testing.T) {
	d := newDesk(t)
	created := func(body string) string {
		w := d.ask("POST", "/v1/revocations", "root", body)
		require.Equal(t, 201, w.Code, w.Body)
		var out struct{ ID string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
		require.NotEmpty(t, out.ID)
		return out.ID
	}
	subject := created(`{"kind":"subject","issuer":"` + issuer + `","value":"ann","reason":"phone stolen"}`)
	created(`{"kind":"claims","issuer":"` + issuer + `","claims":{"tenant":12345678901234567890}}`)
	created(`{"kind":"key","value":"` + thumb + `"}`)
	before, err := time.Now().Add(-10 * time.Minute).MarshalText()
	require.NoError(t, err)
	global := created(`{"kind":"everything","issued_before":"` + string(before) + `"}`)
	old := time.Now().Truncate(time.Second).Add(-time.Minute)
	requireReason(t, d.checker, revoke.ReasonSubject, issued(old, nil))
	requireReason(t, d.checker, revoke.ReasonClaims, issued(old, token{"sub": "x", "tenant": json.Number("12345678901234567890")}))

	for _, row := range []struct {
		name, method, path, caller, body string
		status                           int
	}{
		{"nobody", "POST", "/v1/revocations", "", `{}`, 401},
		{"not privileged", "POST", "/v1/revocations", "app", `{}`, 403},
		{"not privileged status", "GET", "/v1/status", "app", ``, 403},
		{"everything, not global", "POST", "/v1/revocations", "admin", `{"kind":"everything"}`, 403},
		{"issuer, not global", "POST", "/v1/revocations", "admin", `{"kind":"issuer","issuer":"x"}`, 403},
		{"key, not global", "POST", "/v1/revocations", "admin", `{"kind":"key","value":"x"}`, 403},
		{"undo of everything, not global", "DELETE", "/v1/revocations/" + global, "admin", ``, 403},
		{"token without an id", "POST", "/v1/revocations", "admin", `{"kind":"token","issuer":"x"}`, 400},
		{"unknown member", "POST", "/v1/revocations", "admin", `{"kind":"token","issuer":"x","value":"y","jti":"z"}`, 400},
		{"two values", "POST", "/v1/revocations", "admin", `{"kind":"token","issuer":"x","value":"y"}{}`, 400},
		{"no JSON", "POST", "/v1/revocations", "admin", `{`, 400},
		{"too large", "POST", "/v1/revocations", "admin", `{"kind":"` + strings.Repeat("x", 70000) + `"}`, 413},
		{"unknown id", "DELETE", "/v1/revocations/x", "admin", ``, 404},
		{"unknown shape", "DELETE", "/v1/revocations/" + strings.Repeat("A", 27), "admin", ``, 404},
		{"odd limit", "GET", "/v1/revocations?limit=0", "admin", ``, 400},
		{"odd kind", "GET", "/v1/revocations?kind=x", "admin", ``, 400},
		{"check without JSON", "POST", "/v1/check", "admin", ``, 400},
		{"restore", "DELETE", "/v1/revocations/" + subject, "admin", ``, 204},
		{"restore twice", "DELETE", "/v1/revocations/" + subject, "admin", ``, 204},
	} {
		w := d.ask(row.method, row.path, row.caller, row.body)
		require.Equal(t, row.status, w.Code, "%s: %s", row.name, w.Body)
	}
	requireReason(t, d.checker, "", signed{issued(old, nil), thumbOf("other")})
	require.Equal(t, 415, d.ask("POST", "/v1/revocations", "admin", `{}`, "Content-Type", "text/plain").Code)
	require.Equal(t, 403, d.ask("POST", "/v1/revocations", "root", `{"kind":"everything"}`, "Sec-Fetch-Site", "cross-site").Code)
	require.Equal(t, 403, d.ask("DELETE", "/v1/revocations/"+global, "root", ``, "Sec-Fetch-Site", "same-site").Code)
	foreign := d.ask("POST", "/v1/revocations", "root", `{"kind":"everything"}`, "Sec-Fetch-Site", "cross-site")
	require.Equal(t, "no-store", foreign.Header().Get("Cache-Control"))
	require.JSONEq(t, `{"error":"access_denied"}`, foreign.Body.String())

	w := d.ask("GET", "/v1/revocations?limit=2", "admin", "")
	require.Equal(t, 200, w.Code)
	require.Equal(t, 2, strings.Count(w.Body.String(), `"id"`))
	require.Contains(t, w.Body.String(), `"more":true`)
	w = d.ask("GET", "/v1/revocations?kind=claims&issuer="+url.QueryEscape(issuer), "admin", "")
	require.Contains(t, w.Body.String(), `"claims":["tenant"]`)
	require.NotContains(t, w.Body.String(), "12345678901234567890")
	require.Contains(t, w.Body.String(), `"more":false`)

	w = d.ask("POST", "/v1/check", "admin", `{"claims":{"iss":"`+issuer+`","tenant":12345678901234567890,"exp":1}}`)
	require.JSONEq(t, `{"revoked":true,"reason":"claims"}`, strings.Replace(w.Body.String(), "everything", "claims", 1))
	require.NotEmpty(t, d.audit)
	d.log.down.Store(true)
	require.Equal(t, 503, d.ask("DELETE", "/v1/revocations/"+global, "root", ``).Code)
	require.Error(t, d.checker.Warm(t.Context()))
}

func TestAdminReportsEverySetting(t *testing.T) {
	c := newChecker(t, revoke.Config{})
	nobody := func(*http.Request) (revoke.Caller, error) { return revoke.Caller{}, errDown }
	for _, row := range []struct {
		name string
		cfg  revoke.AdminConfig
		want string // empty: taken
	}{
		{"good", revoke.AdminConfig{Authorize: nobody}, ""},
		{"PerMinute", revoke.AdminConfig{Authorize: nobody, PerMinute: 1}, ""},
		{"nothing", revoke.AdminConfig{}, "revoke: Authorize: required"},
		{"a negative PerMinute", revoke.AdminConfig{Authorize: nobody, PerMinute: -1}, "revoke: PerMinute: negative"},
		{"both", revoke.AdminConfig{PerMinute: -1}, "revoke: Authorize: required\nrevoke: PerMinute: negative"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h, err := c.Admin(row.cfg)
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, row.want)
			require.Nil(t, h)
		})
	}
}

// TestAdminStatus: every member has its name in snake case; what is zero is left out.
func TestAdminStatus(t *testing.T) {
	down := &flaky{MemoryLog: new(revoke.MemoryLog)}
	down.down.Store(true)
	for _, row := range []struct {
		name string
		cfg  revoke.Config
		do   func(*revoke.Checker)
		want string
	}{
		{"new", revoke.Config{}, func(*revoke.Checker) {}, `{"ready":true,"entries":0,"max_entries":1000000}`},
		{"a token was refused", revoke.Config{}, func(c *revoke.Checker) {
			mustRevoke(t, c, record(revoke.KindToken, "id-1"))
			requireReason(t, c, revoke.ReasonToken, issued(epoch, nil))
		}, `{"ready":true,"entries":1,"max_entries":1000000,"shapes":1,"refused":2}`},
		{"with a log", revoke.Config{Log: new(revoke.MemoryLog)}, func(c *revoke.Checker) { require.NoError(t, c.Warm(t.Context())) },
			`{"ready":true,"entries":0,"max_entries":1000000,"as_of":"2027-01-15T08:00:00Z","staleness":"0s"}`},
		{"a log that is down", revoke.Config{Log: down, MaxEntries: 7}, func(c *revoke.Checker) { require.Error(t, c.Warm(t.Context())) },
			`{"ready":false,"entries":0,"max_entries":7,"last_error":"the log could not be read"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.cfg.Now = new(clock).now
			c := newChecker(t, row.cfg)
			row.do(c)
			h, err := c.Admin(revoke.AdminConfig{Authorize: func(*http.Request) (revoke.Caller, error) {
				return revoke.Caller{Name: "admin", Privileged: true}, nil
			}})
			require.NoError(t, err)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/v1/status", http.NoBody))
			require.Equal(t, 200, w.Code)
			require.JSONEq(t, row.want, w.Body.String())
		})
	}
}

func TestBackChannelLogout(t *testing.T) {
	d := newDesk(t)
	event := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	logout := func(claims token) token {
		all := token{"iss": issuer, "aud": "app", "iat": date(time.Now()), "jti": fmt.Sprint(len(d.tokens)), "sid": "s-1", "events": event}
		for name, v := range claims {
			if all[name] = v; v == nil {
				delete(all, name)
			}
		}
		return all
	}
	var err error
	d.Handler, err = d.checker.Logout(revoke.LogoutConfig{
		Audiences: []string{"app"},
		Verify: func(_ context.Context, token string) (revoke.Claims, error) {
			if token == "down" {
				return nil, errDown
			}
			if c, ok := d.tokens[token]; ok {
				return c, nil
			}
			return nil, nil
		},
		Audit: func(_ context.Context, e revoke.Event) { d.audit = append(d.audit, e) },
	})
	require.NoError(t, err)
	for _, row := range []struct {
		name   string
		claims token
		status int
	}{
		{"sid", logout(nil), 200},
		{"sub", logout(token{"jti": "b", "sid": nil, "sub": "bob"}), 200},
		{"our aud among others", logout(token{"jti": "c", "aud": []any{"x", "app"}}), 200},
		{"jti of before", logout(token{"jti": "b"}), 400},
		{"neither sid nor sub", logout(token{"jti": "d", "sid": nil}), 400},
		{"odd sid", logout(token{"jti": "d", "sid": 7, "sub": "x"}), 400},
		{"nonce", logout(token{"jti": "d", "nonce": "n"}), 400},
		{"null nonce", token{"iss": issuer, "aud": "app", "iat": date(time.Now()), "jti": "d", "sid": "s", "events": event, "nonce": nil}, 400},
		{"no events", logout(token{"jti": "d", "events": nil}), 400},
		{"other event", logout(token{"jti": "d", "events": map[string]any{"x": map[string]any{}}}), 400},
		{"event that is no object", logout(token{"jti": "d", "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": true}}), 400},
		{"other aud", logout(token{"jti": "d", "aud": "x"}), 400},
		{"no aud", logout(token{"jti": "d", "aud": nil}), 400},
		{"no iat", logout(token{"jti": "d", "iat": nil}), 400},
		{"stale", logout(token{"jti": "d", "iat": date(time.Now().Add(-6 * time.Minute))}), 400},
		{"future", logout(token{"jti": "d", "iat": date(time.Now().Add(2 * time.Minute))}), 400},
		{"no jti", logout(token{"jti": nil}), 400},
		{"no iss", logout(token{"jti": "d", "iss": nil}), 400},
	} {
		d.tokens["t"] = row.claims
		w := d.ask("POST", "/logout", "", "logout_token=t")
		require.Equal(t, row.status, w.Code, "%s: %s", row.name, w.Body)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	}
	requireReason(t, d.checker, revoke.ReasonSession, issued(time.Now(), nil))
	requireReason(t, d.checker, revoke.ReasonSubject, issued(time.Now().Truncate(time.Second), token{"sid": nil, "sub": "bob"}))
	requireReason(t, d.checker, "", issued(time.Now().Add(2*time.Second), token{"sid": "s-2", "sub": "bob"}), "logged in again")

	require.Equal(t, 400, d.ask("POST", "/logout", "", "logout_token=unknown").Code)
	require.Equal(t, 503, d.ask("POST", "/logout", "", "logout_token=down").Code)
	require.Equal(t, 405, d.ask("GET", "/logout", "", "").Code)
	require.Equal(t, 413, d.ask("POST", "/logout", "", "logout_token="+strings.Repeat("x", 65<<10)).Code)
	d.tokens["t"] = logout(token{"jti": "z", "sid": "s-9"})
	d.log.down.Store(true)
	w := d.ask("POST", "/logout", "", "logout_token=t")
	require.Equal(t, 503, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	d.log.down.Store(false)
	require.Equal(t, 200, d.ask("POST", "/logout", "", "logout_token=t").Code, "sent again")
	require.Equal(t, 400, d.ask("POST", "/logout", "", "logout_token=t").Code, "and once more")

	_, err = d.checker.Logout(revoke.LogoutConfig{})
	require.ErrorContains(t, err, "Verify")
	require.ErrorContains(t, err, "Audiences")
}

func TestHandler(t *testing.T) {
	log := &flaky{MemoryLog: new(revoke.MemoryLog)}
	c := newChecker(t, revoke.Config{Log: log})
	mustRevoke(t, c, record(revoke.KindToken, "id-1"))
	var claims revoke.Claims
	h := c.Handler(func(*http.Request) (revoke.Claims, bool) { return claims, claims != nil })(http.NotFoundHandler())
	ask := func(cl revoke.Claims) *httptest.ResponseRecorder {
		claims = cl
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", http.NoBody))
		return w
	}
	for _, row := range []struct {
		name      string
		claims    revoke.Claims
		status    int
		challenge string
	}{
		{"no claims", nil, 401, `Bearer realm="api"`}, // RFC 6750 section 3.1: no error code
		{"a nil pointer", (*token)(nil), 401, `Bearer realm="api"`},
		{"revoked", issued(time.Now(), nil), 401, `Bearer realm="api", error="invalid_token"`},
		{"good", issued(time.Now(), token{"jti": "x"}), 404, ""},
	} {
		w := ask(row.claims)
		require.Equal(t, row.status, w.Code, row.name)
		require.Equal(t, row.challenge, w.Header().Get("WWW-Authenticate"), row.name)
	}

	log.down.Store(true)
	fresh := newChecker(t, revoke.Config{Log: log})
	h = fresh.Handler(func(*http.Request) (revoke.Claims, bool) { return claims, true })(http.NotFoundHandler())
	w := ask(issued(time.Now(), nil))
	require.Equal(t, 503, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Empty(t, w.Header().Get("WWW-Authenticate"))
}
