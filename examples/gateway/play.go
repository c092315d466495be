package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const (
	invalid   = `error="invalid_token"`
	malformed = `error="invalid_request"`
	bare      = `Bearer realm="api"`
)

// play is the story, from the login to an outage of the issuer.
func (s *stage) play(ctx context.Context) error {
	first, refresh, err := s.logIn(ctx, "alice", "log in")
	if err != nil {
		return err
	}
	forged, err := s.login.forge(ctx, first)
	if err != nil {
		return err
	}
	if err := s.allowed(ctx, first); err != nil {
		return err
	}
	s.refused(ctx, first, refresh, forged)
	s.direct(ctx, first)
	last, err := s.revoked(ctx, first)
	if err != nil {
		return err
	}
	return s.keys(ctx, last, forged)
}

func (s *stage) logIn(ctx context.Context, user, name string) (access, refresh string, err error) {
	body, err := json.Marshal(map[string]string{"user": user, "password": s.login.passwords[user]})
	if err != nil {
		return "", "", err
	}
	answer := s.do(ctx, &step{name: name, method: http.MethodPost, url: s.login.url + "/login", body: string(body), status: http.StatusOK,
		why: "the service answers claims; they leave as signed tokens"})
	access, _ = answer["access_token"].(string)
	refresh, _ = answer["refresh_token"].(string)
	if access == "" || refresh == "" {
		return "", "", fmt.Errorf("%s: %w", name, errStep)
	}
	return access, refresh, nil
}

// allowed is what a good token may do, and what not.
func (s *stage) allowed(ctx context.Context, alice string) error {
	front := s.house.front.url
	s.do(ctx, &step{name: "wrong password", method: http.MethodPost, url: s.login.url + "/login", body: `{"user": "alice", "password": "guess"}`,
		status: http.StatusUnauthorized, why: "no claims, so nothing to sign"})
	s.do(ctx, &step{name: "discovery", url: s.login.url + "/.well-known/openid-configuration", status: http.StatusOK,
		sees: map[string]string{"issuer": s.login.url}, why: "says where the keys are"})
	s.do(ctx, &step{name: "public keys", url: s.login.url + "/.well-known/jwks.json", status: http.StatusOK,
		why: "the gateway fetches them once"})

	asAlice := map[string]string{"user": "alice", "roles": "customer", "caller": "gateway"}
	s.do(ctx, &step{name: "read", authorization: bearer(alice), status: http.StatusOK, sees: asAlice,
		why: "has orders:read; the API sees her name, and the gateway's own token"})
	forgedHeaders := http.Header{"X-User": {"root"}, "X-Roles": {"admin"}, "X_user": {"root"}}
	s.do(ctx, &step{name: "read, claiming to be root", authorization: bearer(alice), header: forgedHeaders, status: http.StatusOK, sees: asAlice,
		why: "claim headers of the client's own are removed"})
	s.do(ctx, &step{name: "write without the scope", method: http.MethodPost, authorization: bearer(alice), status: http.StatusForbidden,
		reason: "insufficient_scope", challenge: `error="insufficient_scope", scope="orders:write"`, why: "the challenge says which scope to get"})
	s.do(ctx, &step{name: "admin without the role", url: front + "/admin/report", authorization: bearer(alice), status: http.StatusForbidden,
		reason: "forbidden", why: "roles lacks admin"})
	s.do(ctx, &step{name: "admin by another path", url: front + "/orders/..%2Fadmin%2Freport", authorization: bearer(alice), status: http.StatusBadRequest,
		why: "the API might read this path otherwise than the routes do"})
	s.do(ctx, &step{name: "no such route", url: front + "/payroll", authorization: bearer(alice), status: http.StatusNotFound,
		why: "only what the config names is served"})

	bob, _, err := s.logIn(ctx, "bob", "bob, an admin, logs in")
	if err != nil {
		return err
	}
	s.do(ctx, &step{name: "admin with the role", url: front + "/admin/report", authorization: bearer(bob), status: http.StatusOK,
		sees: map[string]string{"user": "bob", "roles": "staff,admin"}, why: "roles has admin"})
	s.do(ctx, &step{name: "write with the scope", method: http.MethodPost, authorization: bearer(bob), body: `{"count": 1}`, status: http.StatusOK,
		why: "has orders:write"})

	s.do(ctx, &step{name: "public route", url: front + "/catalogue/", header: forgedHeaders, status: http.StatusOK,
		sees: map[string]string{"user": "", "caller": "gateway"}, why: "needs none; and nobody is root"})
	s.do(ctx, &step{name: "public route, bad token", url: front + "/catalogue/", authorization: bearer("not.a.token"), status: http.StatusUnauthorized,
		reason: "malformed", challenge: invalid, why: "whoever shows a token shows a good one"})
	return nil
}

// refused is what an attacker tries.
func (s *stage) refused(ctx context.Context, good, refresh string, f forgeries) {
	const no, bad, two = http.StatusUnauthorized, http.StatusBadRequest, "which one would count?"
	for _, try := range []step{
		{name: "no token", status: no, reason: "no_token", challenge: bare, why: "a challenge without error code"},
		{name: "another scheme", authorization: []string{"Basic YWxpY2U6c2VjcmV0"}, status: no, reason: "no_token", challenge: bare, why: "only Bearer counts"},
		{name: "the refresh token", authorization: bearer(refresh), status: no, reason: "type", challenge: invalid, why: "it is for the login service alone"},
		{name: "expired", authorization: bearer(f.expired), status: no, reason: "expired", challenge: invalid, why: "since the better part of an hour"},
		{name: "forged: another key, same key id", authorization: bearer(f.forged), status: no, reason: "signature", challenge: invalid, why: "the name of a key is no key"},
		{name: "forged: claims changed", authorization: bearer(f.changed), status: no, reason: "signature", challenge: invalid, why: "the signature covers them"},
		{name: "for another audience", authorization: bearer(f.foreign), status: no, reason: "audience", challenge: invalid, why: "signed by the right key, for payroll"},
		{name: "alg none", authorization: bearer(f.none), status: no, reason: "malformed", challenge: invalid, why: "no signature at all"},
		{name: "alg none, with a signature", authorization: bearer(f.signedNone), status: no, reason: "algorithm", challenge: invalid, why: "the policy says ES256"},
		{name: "HS256, public key as secret", authorization: bearer(f.confused), status: no, reason: "algorithm", challenge: invalid, why: "the policy says ES256"},
		{name: "garbage", authorization: bearer("not.a.token"), status: no, reason: "malformed", challenge: invalid, why: "is no JWT"},
		{name: "Authorization twice", authorization: bearer(good, good), status: bad, reason: "invalid_request", challenge: malformed, why: two},
		{name: "two tokens in one header", authorization: []string{"Bearer " + good + ", Bearer " + good}, status: bad, reason: "invalid_request", challenge: malformed, why: two},
		{name: "the good token again", authorization: bearer(good), status: http.StatusOK, why: "it was never in doubt"},
	} {
		s.do(ctx, &try)
	}
}

// direct goes around the gateway.
func (s *stage) direct(ctx context.Context, alice string) {
	to := s.backend.url + "/orders/7"
	s.do(ctx, &step{name: "around the gateway", url: to, header: http.Header{"X-User": {"root"}}, status: http.StatusUnauthorized,
		why: "the API wants the gateway's token"})
	s.do(ctx, &step{name: "around it, with a user's token", url: to, authorization: bearer(alice), status: http.StatusUnauthorized,
		why: "a user's token is for another audience"})
}

func (s *stage) basic(name, variable string) []string {
	return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+s.secrets[variable]))}
}

// revoked is what becomes of good tokens that are not wanted any more.
func (s *stage) revoked(ctx context.Context, first string) (last string, err error) {
	office, post := s.house.office.url, http.MethodPost
	second, _, err := s.logIn(ctx, "alice", "log in on a phone")
	if err != nil {
		return "", err
	}
	form := url.Values{"token": {first}}.Encode()
	s.do(ctx, &step{name: "revoke, as nobody", method: post, url: office + "/revoke", body: form, status: http.StatusUnauthorized,
		why: "the admin API asks who it is"})
	s.do(ctx, &step{name: "revoke the first token", method: post, url: office + "/revoke", authorization: s.basic("web", "WEB_SECRET"), body: form,
		status: http.StatusOK, why: "RFC 7009, by the client that it was issued to"})
	s.do(ctx, &step{name: "the first token", authorization: bearer(first), status: http.StatusUnauthorized, reason: "revoked", challenge: invalid,
		why: "from the next request on"})
	s.do(ctx, &step{name: "the phone's token", authorization: bearer(second), status: http.StatusOK, why: "another token of the same user"})

	everything, err := json.Marshal(map[string]string{"kind": "subject", "issuer": s.login.url, "value": "alice", "reason": "stolen phone"})
	if err != nil {
		return "", err
	}
	answer := s.do(ctx, &step{name: "log out everywhere", method: post, url: office + "/v1/revocations", authorization: s.basic("ops", "OPS_SECRET"),
		body: string(everything), status: http.StatusCreated, why: "all that alice was issued before now"})
	s.do(ctx, &step{name: "the phone's token", authorization: bearer(second), status: http.StatusUnauthorized, reason: "revoked", challenge: invalid,
		why: "issued before"})

	// iat is in whole seconds: a login in the very second of the cutoff could be one
	// from before it. The answer says from when on it helps.
	text, _ := answer["cutoff"].(string)
	cutoff, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "", fmt.Errorf("cutoff: %w", errStep)
	}
	select {
	case <-time.After(time.Until(cutoff)):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if last, _, err = s.logIn(ctx, "alice", "log in again"); err != nil {
		return "", err
	}
	s.do(ctx, &step{name: "the new token", authorization: bearer(last), status: http.StatusOK, why: "issued after the cutoff"})
	return last, nil
}

// keys is what becomes of tokens when keys change, or cannot be had.
func (s *stage) keys(ctx context.Context, old string, f forgeries) error {
	if err := s.login.rotate(); err != nil {
		return err
	}
	s.do(ctx, &step{name: "keys rotate; the old token", authorization: bearer(old), status: http.StatusOK, why: "its key stays published until it expires"})
	fresh, _, err := s.logIn(ctx, "alice", "log in, new key")
	if err != nil {
		return err
	}
	s.do(ctx, &step{name: "the new token", authorization: bearer(fresh), status: http.StatusOK, why: "an unknown key id has the keys fetched, once"})
	if err := s.issuer.end(time.Second); err != nil {
		return err
	}
	s.do(ctx, &step{name: "issuer down; a known key", authorization: bearer(fresh), status: http.StatusOK, why: "the keys at hand are still good"})
	s.do(ctx, &step{name: "issuer down; an unknown key", authorization: bearer(f.unknown), status: http.StatusServiceUnavailable, reason: "unavailable",
		why: "cannot tell: no challenge, so that nobody throws a good token away"})
	s.do(ctx, &step{name: "ready?", url: s.house.watcher.url + "/readyz", status: http.StatusOK, why: "an outage of the issuer drains no fleet"})
	return nil
}
