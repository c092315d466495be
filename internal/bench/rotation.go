package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// rotationSection is how the memory does when there are more tokens than it holds.
func rotationSection(ctx context.Context, s *session) error {
	s.note("Tokens of 0.5 KiB, HS256: each is one of its own, and a million can be signed in time. With RS256 only the share that is not")
	s.note("remembered costs more, by the check of the signature. Drawn evenly, or by Zipf's law (s = 1.1, the first tokens most often).\n")
	k, err := newKey(hs256)
	if err != nil {
		return err
	}
	tokens, err := newPool(k, slices.Max(s.sizes.rotation), func(i int) token {
		t := oneKiB(i)
		t.size = 512
		return t
	})
	if err != nil {
		return err
	}
	t := newTable("tokens in rotation", "drawn", "ns/op", "remembered", "allocs/op")
	for _, n := range s.sizes.rotation {
		for _, law := range []string{"evenly", "Zipf"} {
			order := draw(s.sizes.requests, n, law == "Zipf")
			pick := func() func() string {
				i := -1
				return func() string {
					i = (i + 1) % len(order)
					return tokens.at(int(order[i]))
				}
			}
			hits, err := remembered(ctx, k, pick(), len(order))
			if err != nil {
				return err
			}
			h, err := gatehouse(k, jwtvalidate.Config{})
			if err != nil {
				return err
			}
			load := newTraffic(ctx, h, http.StatusNoContent, pick())
			if err := load.times(len(order) / 3); err != nil {
				return err
			}
			results, err := s.contest([]contender{load.contender(law)})
			if err != nil {
				return err
			}
			t.add(whole(float64(n)), law, whole(results[0].ns), percent(hits), whole(results[0].allocs))
		}
	}
	s.note("%s", t)
	return nil
}

// draw chooses tokens beforehand: chance costs more than the lookup.
func draw(requests, tokens int, zipf bool) []uint32 {
	source := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same draw in each run
	law := rand.NewZipf(source, 1.1, 1, uint64(tokens-1))
	order := make([]uint32, requests)
	for i := range order {
		if zipf {
			order[i] = uint32(law.Uint64())
		} else {
			order[i] = uint32(source.IntN(tokens))
		}
	}
	return order
}

// remembered counts, in a pass of its own, how many requests find their token
// verified already. The first third of them only fills the memory; none of the draw
// is used twice, as what stands in the memory would then be met again.
func remembered(ctx context.Context, k *key, pick func() string, requests int) (share float64, err error) {
	cached := 0
	h, err := gatehouse(k, jwtvalidate.Config{Observe: func(_ context.Context, e jwtvalidate.Event) {
		if e.Cached {
			cached++
		}
	}})
	if err != nil {
		return 0, err
	}
	load := newTraffic(ctx, h, http.StatusNoContent, pick)
	if err := load.times(requests / 3); err != nil {
		return 0, err
	}
	cached, requests = 0, requests-requests/3
	err = load.times(requests)
	return float64(cached) / float64(requests), err
}
