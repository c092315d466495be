package main

import (
	"context"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// issuersSection is what many configured issuers cost.
func issuersSection(ctx context.Context, s *session) error {
	const each = 1_000
	k, err := newKey(rs256)
	if err != nil {
		return err
	}
	t := newTable("issuers", "nothing remembered, ns/op", "allocs/op", "seen before, ns/op", "allocs/op")
	for _, n := range s.sizes.issuers {
		var issuers []jwtvalidate.Issuer
		for i := range n {
			p, err := policy(k, i)
			if err != nil {
				return err
			}
			issuers = append(issuers, p)
		}
		tokens, err := newPool(k, min(each, s.sizes.turn), func(i int) token {
			t := oneKiB(i)
			t.issuer = issuerURL(i % n)
			return t
		})
		if err != nil {
			return err
		}
		var contenders []contender
		for _, entries := range []int{-1, 0} {
			h, err := gatehouse(k, jwtvalidate.Config{Issuers: issuers, CacheEntries: entries})
			if err != nil {
				return err
			}
			load := newTraffic(ctx, h, http.StatusNoContent, tokens.inTurn())
			if err := load.times(2 * tokens.len); err != nil {
				return err
			}
			contenders = append(contenders, load.contender("issuers"))
		}
		results, err := s.contest(contenders)
		if err != nil {
			return err
		}
		first, seen := results[0], results[1]
		t.add(whole(float64(n)), whole(first.ns), whole(first.allocs), whole(seen.ns), whole(seen.allocs))
	}
	s.note("%d tokens of 1 KiB in turn, RS256, spread over the issuers.\n\n%s", each, t)
	return nil
}
