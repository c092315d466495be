package revoke

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"
)

// LogoutConfig makes the handler of a back-channel logout.
type LogoutConfig struct {
	// Verify has the claims of a logout token whose signature, issuer, typ
	// (logout+jwt) and exp are good, as a Validator of its own sees to. Nil and nil:
	// it is bad (400). An error: it cannot be told (503). Required.
	Verify func(ctx context.Context, token string) (Claims, error)
	// Audiences are our client ids: one of them must be in aud. Required.
	Audiences []string
	// AllSessions also refuses all that sub has from before, where there is a sid: for
	// issuers whose access tokens have none, so that the end of one session ends all.
	AllSessions bool
	// Audit is told of every logout, synchronously. Nil: nobody.
	Audit func(ctx context.Context, e Event)
}

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	logoutFresh = 5 * time.Minute
	usedBy      = "logout token of "
)

// Logout takes the logout tokens of an OpenID provider (Back-Channel Logout 1.0):
// the provider posts them without authentication, so that the token is all there is
// to trust. With a sid it ends that session, else all of sub until now.
//
// Beside what Verify sees to, iat must be of the last five minutes, a jti must be there
// that was not seen before, events must be that of a logout, and nonce absent (section
// 2.6): else 400. Where it cannot be told or stored: 503.
func (c *Checker) Logout(cfg LogoutConfig) (http.Handler, error) {
	var errs []error
	if cfg.Verify == nil {
		errs = append(errs, errors.New("revoke: Verify: required"))
	}
	if len(cfg.Audiences) == 0 || slices.Contains(cfg.Audiences, "") {
		errs = append(errs, errors.New("revoke: Audiences: required"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	cfg.Audiences = slices.Clone(cfg.Audiences)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.logout(w, r, &cfg) }), nil
}

func (c *Checker) logout(w http.ResponseWriter, r *http.Request, cfg *LogoutConfig) {
	token, ok := readForm(w, r, "logout_token")
	if !ok {
		return
	}
	claims, err := cfg.Verify(r.Context(), token)
	if err != nil {
		fail(w, err)
		return
	}
	if isNil(claims) {
		refuse(w, http.StatusBadRequest, "invalid_request", "not a logout token for us")
		return
	}
	rec, why := c.logoutRecord(claims, cfg)
	if why == "" {
		if err = c.ready(r.Context()); err == nil && c.holds(seen(rec.Issuer, text(claims, "jti"))) {
			why = "jti was seen before"
		}
	}
	if why != "" {
		told(r.Context(), cfg.Audit, Event{Kind: eventRefused, Record: rec.Kind, Issuer: rec.Issuer, Err: errors.New("revoke: logout token: " + why)})
		refuse(w, http.StatusBadRequest, "invalid_request", why)
		return
	}
	var receipt Receipt
	if err == nil {
		receipt, err = c.Revoke(r.Context(), rec)
	}
	if sub := text(claims, "sub"); err == nil && cfg.AllSessions && rec.Kind == KindSession && sub != "" {
		_, err = c.Revoke(r.Context(), Record{Kind: KindSubject, Issuer: rec.Issuer, Value: sub, Actor: rec.Actor})
	}
	if err == nil { // last, so that a provider may send again what could not be stored
		_, err = c.Revoke(r.Context(), seen(rec.Issuer, text(claims, "jti")).until(c.clock().Add(2*logoutFresh)))
	}
	told(r.Context(), cfg.Audit, Event{Kind: eventRevoked, Record: rec.Kind, Issuer: rec.Issuer, ID: receipt.ID, Actor: rec.Actor, Err: err})
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, nil)
}

// logoutRecord is what a logout token asks for, or why not (section 2.6).
func (c *Checker) logoutRecord(claims Claims, cfg *LogoutConfig) (rec Record, why string) {
	rec = Record{Issuer: text(claims, "iss"), Actor: "back-channel logout"}
	events, _ := claims.Get("events")
	members, _ := events.(map[string]any)
	_, isLogout := members[logoutEvent].(map[string]any)
	_, hasNonce := claims.Get("nonce")
	issued, dated := instantOf(claims, "iat")
	age := c.clock().UnixNano() - issued.ns
	switch {
	case rec.Issuer == "" || len(rec.Issuer) > maxIssuer-len(usedBy):
		return rec, "iss"
	case !isLogout:
		return rec, "events"
	case hasNonce:
		return rec, "nonce"
	case !c.forUs(claims, cfg.Audiences):
		return rec, "aud"
	case !dated || age > int64(logoutFresh) || age < -int64(maxSkew):
		return rec, "iat"
	case text(claims, "jti") == "" || len(text(claims, "jti")) > maxValue/2:
		return rec, "jti"
	}
	rec.Kind, rec.Value = KindSession, text(claims, "sid")
	if _, has := claims.Get("sid"); !has {
		rec.Kind, rec.Value = KindSubject, text(claims, "sub")
	}
	if rec.Value == "" || len(rec.Value) > maxValue {
		return rec, "sid, sub"
	}
	return rec, ""
}

func (c *Checker) forUs(claims Claims, audiences []string) bool {
	v, _ := claims.Get("aud")
	list, ok := elements(v)
	if !ok {
		list = []any{v}
	}
	return slices.ContainsFunc(list, func(v any) bool {
		s, ok := v.(string)
		return ok && slices.Contains(audiences, s)
	})
}

// seen is a logout token that was used: held as a token of an issuer that is none, so
// that it is never one that somebody presents.
func seen(issuer, jti string) *Record {
	return &Record{Kind: KindToken, Issuer: usedBy + issuer, Value: jti, exact: true}
}

func (r *Record) until(t time.Time) Record {
	r.Expires = t
	return *r
}

// holds reports whether a presence is in force.
func (c *Checker) holds(r *Record) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	sh, err := c.shapeFor(r.Kind, r.Issuer, nil)
	if err != nil {
		return false
	}
	t, i := sh.table.find(sh.fingerprintOf(r))
	return i >= 0 && !lapsed(t.value(i), c.clock().UnixMilli())
}
