package main

import (
	"context"
	"crypto"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// counted counts how often it is asked for a key.
type counted struct {
	jwtvalidate.KeySource
	lookups int
}

func (c *counted) Keys(ctx context.Context, kid, alg string) ([]crypto.PublicKey, error) {
	c.lookups++
	return c.KeySource.Keys(ctx, kid, alg)
}

// refusal is a bad request, and how often it may ask for a key.
type refusal struct {
	name    string
	token   string
	lookups int
}

// refusals are what strangers send, and what was good once: only a token whose
// issuer, algorithm and form are right is worth a look for its key.
func refusals(k *key) ([]refusal, error) {
	expired, foreign := oneKiB(1), oneKiB(2)
	expired.expires = time.Now().Add(-time.Hour)
	foreign.issuer = issuerURL(9999)
	stranger, err := newKey(k.alg)
	if err != nil {
		return nil, err
	}
	texts := make([]string, 3)
	for i, row := range []struct {
		key   *key
		token token
	}{{k, expired}, {k, foreign}, {stranger, oneKiB(3)}} {
		if texts[i], err = row.key.token(row.token); err != nil {
			return nil, err
		}
	}
	good, err := k.token(oneKiB(4))
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(good, ".")
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"PS512","kid":"` + keyID + `","typ":"JWT"}`))
	return []refusal{
		{"garbage: not.a.token", "not.a.token", 0},
		{"garbage of 1 KiB", strings.Repeat("x", 1<<10), 0},
		{"unknown issuer", texts[1], 0},
		{"algorithm of no policy", header + "." + rest, 0},
		{"20 KiB", strings.Repeat("x", 9<<10) + "." + strings.Repeat("x", 10<<10) + ".xxxx", 0},
		{"signed by a stranger", texts[2], 1},
		{"expired, signature good", texts[0], 0},
	}, nil
}

// refusalsSection is what bad tokens cost.
func refusalsSection(ctx context.Context, s *session) error {
	k, err := newKey(rs256)
	if err != nil {
		return err
	}
	rows, err := refusals(k)
	if err != nil {
		return err
	}
	h, err := gatehouse(k, jwtvalidate.Config{})
	if err != nil {
		return err
	}
	var contenders []contender
	lookups := make([]int, len(rows))
	for i, row := range rows {
		if lookups[i], err = countLookups(ctx, k, row.token); err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		contenders = append(contenders, newTraffic(ctx, h, http.StatusUnauthorized, always(bearer+row.token)).contender(row.name))
	}
	results, err := s.contest(contenders)
	if err != nil {
		return err
	}
	t := newTable("refused", "ns/op", "allocs/op", "key lookups")
	for i, f := range results {
		t.add(f.name, whole(f.ns), whole(f.allocs), whole(float64(lookups[i])))
	}
	s.note("With the answer, 401. A token that has expired costs no key lookup.\n\n%s", t)
	return nil
}

// countLookups sends a bad token once.
func countLookups(ctx context.Context, k *key, text string) (int, error) {
	p, err := policy(k, 0)
	if err != nil {
		return 0, err
	}
	source := &counted{KeySource: p.Keys}
	p.Keys = source
	h, err := gatehouse(k, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}})
	if err != nil {
		return 0, err
	}
	err = newTraffic(ctx, h, http.StatusUnauthorized, always(bearer+text)).times(1)
	return source.lookups, err
}
