package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// admin is the API by which tokens are revoked, on an address of its own.
type admin struct {
	listen  string
	checker *revoke.Checker
	journal *revoke.Journal // nil: a restart forgets what was revoked
	callers []caller
}

// caller shows who it is by HTTP Basic. Of the secret, only a hash is kept.
type caller struct {
	revoke.Caller
	secret [sha256.Size]byte
}

func (c *config) readAdmin(s *section, from host) *admin {
	s.required("listen", "max_lifetime", "callers")
	a := &admin{listen: s.address("listen")}
	if a.listen != "" && !onLoopback(a.listen) && c.cert == nil {
		s.bad("listen", "its callers send secrets: want an address on loopback, or tls")
	}
	cfg := revoke.Config{
		MaxLifetime:      s.duration("max_lifetime", time.Hour, 366*24*time.Hour),
		AcceptSameSecond: s.flag("accept_same_second"),
		RequireID:        s.flag("require_id"),
		Logger:           c.logger,
	}
	if secret := s.secret("secret", from, 32); secret != nil {
		cfg.Secret = func() ([]byte, error) {
			text, err := secret()
			return []byte(text), err
		}
	}
	if path := s.text("journal"); path != "" {
		if s.get("secret") == nil {
			s.bad("secret", "is required with journal")
		}
		a.journal = &revoke.Journal{Path: path}
		cfg.Log = a.journal
	}
	for _, in := range s.sections("callers") {
		in.required("name", "secret")
		who := caller{Caller: revoke.Caller{
			Name: in.text("name"), ClientID: in.text("client_id"), Privileged: in.flag("privileged"), Global: in.flag("global"),
		}}
		if strings.ContainsFunc(who.Name, encoded) {
			in.bad("name", "want letters, digits, hyphens, dots and underlines")
		}
		if slices.ContainsFunc(a.callers, func(other caller) bool { return other.Name == who.Name && who.Name != "" }) {
			in.bad("name", "is listed twice")
		}
		if secret := in.secret("secret", from, 16); secret != nil {
			text, _ := secret()
			if strings.ContainsFunc(text, encoded) { // some clients encode such ones for Basic, and some do not (RFC 6749 section 2.3.1)
				in.bad("secret", "want letters, digits, hyphens, dots and underlines in it")
			}
			who.secret = sha256.Sum256([]byte(text))
		}
		if !who.Privileged && who.ClientID == "" {
			in.bad("", "want privileged, or the client_id of the tokens that it may revoke")
		}
		in.end()
		a.callers = append(a.callers, who)
	}
	var err error
	a.checker, err = revoke.New(cfg)
	s.adopt(err, "", nil)
	return a
}

// encoded reports whether a character has another form in application/x-www-form-urlencoded.
func encoded(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._", c))
}

// handler is the admin API of revoke.
func (a *admin) handler(c *config) (http.Handler, error) {
	verify, err := verifier(c)
	if err != nil {
		return nil, err
	}
	return a.checker.Admin(revoke.AdminConfig{
		Authorize: a.authorize,
		Verify:    verify,
		Audit: func(ctx context.Context, e revoke.Event) {
			c.logger.InfoContext(ctx, "admin", "event", e.Kind, "record", e.Record, "id", e.ID, "actor", e.Actor, "failed", e.Err != nil)
		},
	})
}

var errCaller = errors.New("gateway: no such caller, or another secret")

func (a *admin) authorize(r *http.Request) (revoke.Caller, error) {
	name, secret, _ := r.BasicAuth()
	sum := sha256.Sum256([]byte(secret))
	for _, who := range a.callers {
		if who.Name == name && subtle.ConstantTimeCompare(sum[:], who.secret[:]) == 1 {
			return who.Caller, nil
		}
	}
	return revoke.Caller{}, errCaller
}

// verifier reads the tokens that are to be revoked: by the rules of the gateway,
// but that they may be revoked already, and that whoever holds one that is bound to
// a sender may give it up without being that sender.
func verifier(c *config) (func(context.Context, string) (revoke.Claims, error), error) {
	policy := c.validator()
	policy.Revocation, policy.Forward, policy.Observe = nil, nil, nil
	for i := range policy.Issuers {
		policy.Issuers[i].Confirm = func(*http.Request, *jwtvalidate.Claims) error { return nil }
	}
	v, err := jwtvalidate.New(policy)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, token string) (revoke.Claims, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", http.NoBody)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		claims, err := v.Check(r)
		switch {
		case err == nil:
			return claims, nil
		case errors.Is(err, jwtvalidate.ErrUnavailable) || ctx.Err() != nil:
			return nil, fmt.Errorf("gateway: the token cannot be checked: %w", err)
		}
		return nil, nil // it is none of ours, or no good any more
	}, nil
}
