package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// Whoever does not check is not compared.
func TestCandidatesLetOnlyGoodTokensThrough(t *testing.T) {
	for _, alg := range algorithms {
		setup, err := newSetup(t.Context(), alg, 100)
		require.NoError(t, err)
		t.Cleanup(setup.stop)
		for _, c := range candidates() {
			t.Run(alg+"/"+c.name, func(t *testing.T) {
				if !c.knows(alg) {
					return // a dash in the table
				}
				h, err := c.build(t.Context(), setup)
				require.NoError(t, err)
				require.NoError(t, prove(t.Context(), h, setup.key))
			})
		}
	}
}

func TestProveFindsWhoDoesNotCheck(t *testing.T) {
	k, err := newKey(es256)
	require.NoError(t, err)
	source, err := k.source()
	require.NoError(t, err)
	good := jwtvalidate.Issuer{URL: issuerURL(0), Algorithms: []string{es256}, Keys: source, Audiences: []string{audience}}
	elsewhere := good
	elsewhere.URL = issuerURL(1)
	either := good
	either.Audiences = []string{audience, "https://ipa.example.com"}
	for _, row := range []struct {
		name   string
		issuer jwtvalidate.Issuer
		want   string
	}{
		{"all is asked", good, ""},
		{"a good token is refused", elsewhere, "refuses a good token: status 401"},
		{"the audience is not asked", either, "lets a token for another audience through"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h, err := gatehouse(k, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{row.issuer}})
			require.NoError(t, err)
			err = prove(t.Context(), h, k)
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, row.want)
		})
	}
	t.Run("nothing is asked", func(t *testing.T) {
		require.EqualError(t, prove(t.Context(), next, k), "lets a forged token through\nlets an expired token through\n"+
			"lets a token of another issuer through\nlets a token for another audience through")
	})
	t.Run("it fails", func(t *testing.T) {
		broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
		require.ErrorContains(t, prove(t.Context(), broken, k), "answers a forged token with 500")
	})
}

// What is called a first sight is one: hardly a token is found that was seen a turn
// before, though each is remembered.
func TestFirstSightIsOne(t *testing.T) {
	k, err := newKey(hs256)
	require.NoError(t, err)
	const places = 10_000 // by default; here a tenth of all
	tokens, err := newPool(k, full.turn/10, oneKiB)
	require.NoError(t, err)
	hits := 0
	h, err := crowded(t.Context(), k, full.fill/10, jwtvalidate.Config{CacheEntries: places / 10, Observe: func(_ context.Context, e jwtvalidate.Event) {
		if e.Cached {
			hits++
		}
	}})
	require.NoError(t, err)
	hits = 0
	require.NoError(t, newTraffic(t.Context(), h, http.StatusNoContent, tokens.inTurn()).times(2*tokens.len))
	require.Less(t, hits, tokens.len/50)
	require.NoError(t, newTraffic(t.Context(), h, http.StatusNoContent, always(tokens.at(tokens.len-1))).times(100))
	require.Greater(t, hits, 98)
}
