package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// claimsSection is what large tokens cost.
func claimsSection(ctx context.Context, s *session) error {
	k, err := newKey(es256) // whose signature leaves half a KiB some room for claims
	if err != nil {
		return err
	}
	t := newTable("token", "bare, ns/op", "nothing remembered, ns/op", "÷ bare", "allocs/op", "seen before, ns/op", "allocs/op")
	for _, size := range []int{512, 2 << 10, 8 << 10} {
		tokens, err := newPool(k, 100, func(i int) token {
			t := oneKiB(i)
			t.size = size
			return t
		})
		if err != nil {
			return err
		}
		first, err := bare(k, tokens)
		if err != nil {
			return err
		}
		contenders := []contender{first}
		for _, entries := range []int{-1, 0} {
			h, err := gatehouse(k, jwtvalidate.Config{CacheEntries: entries})
			if err != nil {
				return err
			}
			load := newTraffic(ctx, h, http.StatusNoContent, tokens.inTurn())
			if err := load.times(2 * tokens.len); err != nil {
				return err
			}
			contenders = append(contenders, load.contender("claims"))
		}
		r, err := s.contest(contenders)
		if err != nil {
			return err
		}
		t.add(fmt.Sprintf("%.1f KiB", float64(size)/1024), whole(r[0].ns), whole(r[1].ns), hundred(r[1].ratio), whole(r[1].allocs),
			whole(r[2].ns), whole(r[2].allocs))
	}
	s.note("100 tokens in turn, ES256. What is longer than 4 KiB is not remembered.\n\n%s", t)
	return nil
}
