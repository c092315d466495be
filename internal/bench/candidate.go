package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// candidate is one way to let only good tokens through: a handler that asks for the
// signature, exp, the issuer and the audience.
type candidate struct {
	name   string
	module string   // of whom; empty: ours
	not    []string // algorithms that it does not know
	repeat bool     // it is given one token again and again, else many in turn
	build  func(ctx context.Context, s *setup) (http.Handler, error)
}

// peers is what a service might use instead; a file for each. krakend-jose joins by
// its build tag.
var peers = []candidate{golangJWT, jwxJWT, goOIDC, auth0, chiAuth}

func candidates() []candidate { return slices.Concat(ours, peers) }

func (c *candidate) knows(alg string) bool { return !slices.Contains(c.not, alg) }

// title is the name with the version that is in go.mod.
func (c *candidate) title() string { return strings.TrimSpace(c.name + " " + version(c.module)) }

// prove holds a handler against good and bad tokens. Each bad one differs from the
// good one in one respect.
func prove(ctx context.Context, h http.Handler, k *key) error {
	stranger, err := newKey(k.alg)
	if err != nil {
		return err
	}
	good := oneKiB(0)
	expired, foreign, other := good, good, good
	expired.expires = time.Now().Add(-time.Hour)
	foreign.issuer = issuerURL(9999)
	other.audience = "https://ipa.example.com"
	var errs []error
	for _, row := range []struct {
		name  string
		key   *key
		token token
		pass  bool
	}{
		{"a good token", k, good, true},
		{"a forged token", stranger, good, false},
		{"an expired token", k, expired, false},
		{"a token of another issuer", k, foreign, false},
		{"a token for another audience", k, other, false},
	} {
		text, err := row.key.token(row.token)
		if err != nil {
			return err
		}
		t := newTraffic(ctx, h, http.StatusNoContent, always(bearer+text))
		t.serve()
		switch passed := t.err() == nil; {
		case row.pass && !passed:
			errs = append(errs, fmt.Errorf("refuses %s: status %d", row.name, t.answer.status))
		case !row.pass && passed:
			errs = append(errs, errors.New("lets "+row.name+" through"))
		case !passed && t.answer.status != http.StatusUnauthorized && t.answer.status != http.StatusForbidden:
			errs = append(errs, fmt.Errorf("answers %s with %d", row.name, t.answer.status))
		}
	}
	return errors.Join(errs...)
}

// behindBearer is the middleware of libraries that have none: verify is theirs, and
// what it returns goes into the context.
func behindBearer(verify func(r *http.Request, token string) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), bearer)
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		verified, err := verify(r, token)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), verifiedKey{}, verified)))
	})
}

type verifiedKey struct{}
