package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/revoke"
)

// extrasSection is what else may be asked of a request, each on its own.
func extrasSection(ctx context.Context, s *session) error {
	k, err := newKey(rs256)
	if err != nil {
		return err
	}
	text, err := k.token(oneKiB(0))
	if err != nil {
		return err
	}
	static, err := policy(k, 0)
	if err != nil {
		return err
	}
	cached := static
	set, err := k.jwks()
	if err != nil {
		return err
	}
	if cached.Keys, err = jwkcache.New(jwkcache.Config{Set: set}); err != nil {
		return err
	}
	const records = 1_000
	checker, err := revokeOthers(ctx, records)
	if err != nil {
		return err
	}
	rules := []jwtvalidate.Rule{jwtvalidate.AllScopes("orders:read", "orders:write")}
	sub := jwtvalidate.ForwardClaim{Claim: []string{"sub"}, Header: "X-User"}
	forward := []jwtvalidate.ForwardClaim{
		sub, {Claim: []string{"azp"}, Header: "X-Client"}, {Claim: []string{"realm_access", "roles"}, Header: "X-Roles"},
	}
	empty, err := revoke.New(revoke.Config{MaxLifetime: 24 * time.Hour})
	if err != nil {
		return err
	}
	rows := []struct {
		name   string
		issuer jwtvalidate.Issuer
		cfg    jwtvalidate.Config
	}{
		{"nothing else", static, jwtvalidate.Config{}},
		{"keys of a jwkcache", cached, jwtvalidate.Config{}},
		{"revoke.Checker, nothing revoked", static, jwtvalidate.Config{Revocation: empty}},
		{fmt.Sprintf("revoke.Checker, %d tokens and one user revoked", records), static, jwtvalidate.Config{Revocation: checker}},
		{"AllScopes of two", static, jwtvalidate.Config{Rules: rules}},
		{"Forward of one claim", static, jwtvalidate.Config{Forward: []jwtvalidate.ForwardClaim{sub}}},
		{"Forward of three claims", static, jwtvalidate.Config{Forward: forward}},
		{"Observe", static, jwtvalidate.Config{Observe: func(context.Context, jwtvalidate.Event) {}}},
		{"all of these", cached, jwtvalidate.Config{
			Revocation: checker, Rules: rules, Forward: forward, Observe: func(context.Context, jwtvalidate.Event) {},
		}},
	}
	var contenders []contender
	for _, row := range rows {
		row.cfg.Issuers = []jwtvalidate.Issuer{row.issuer}
		h, err := gatehouse(k, row.cfg)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		if err := prove(ctx, h, k); err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		contenders = append(contenders, newTraffic(ctx, h, http.StatusNoContent, always(bearer+text)).contender(row.name))
	}
	results, err := s.contest(contenders)
	if err != nil {
		return err
	}
	t := newTable("besides the token", "ns/op", "extra ns", "allocs/op", "B/op")
	for _, f := range results {
		t.add(f.name, whole(f.ns), whole(f.ns-results[0].ns), whole(f.allocs), whole(f.bytes))
	}
	s.note("One remembered token of 1 KiB, RS256.\n\n%s", t)
	return nil
}

// revokeOthers revokes n tokens of the same issuer and one of its users.
func revokeOthers(ctx context.Context, n int) (*revoke.Checker, error) {
	checker, err := revoke.New(revoke.Config{MaxLifetime: 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	for i := range n {
		if _, err := checker.Revoke(ctx, revoke.Record{Kind: revoke.KindToken, Issuer: issuerURL(0), Value: fmt.Sprint("token-", i)}); err != nil {
			return nil, err
		}
	}
	_, err = checker.Revoke(ctx, revoke.Record{Kind: revoke.KindSubject, Issuer: issuerURL(0), Value: "somebody else"})
	return checker, err
}
