package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTokenHasItsSize(t *testing.T) {
	for _, alg := range algorithms {
		k, err := newKey(alg)
		require.NoError(t, err)
		for _, size := range []int{1 << 10, 2 << 10, 8 << 10} {
			t.Run(fmt.Sprint(alg, size), func(t *testing.T) {
				want := oneKiB(7)
				want.size = size
				text, err := k.token(want)
				require.NoError(t, err)
				require.InDelta(t, size, len(text), 2) // base64 comes in fours

				payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
				require.NoError(t, err)
				var claims struct {
					Issuer string   `json:"iss"`
					Scope  string   `json:"scope"`
					Groups []string `json:"groups"`
				}
				require.NoError(t, json.Unmarshal(payload, &claims))
				require.Equal(t, issuerURL(0), claims.Issuer)
				require.NotEmpty(t, claims.Scope)
				require.NotEmpty(t, claims.Groups)

				signed, err := undress(alg, text)
				require.NoError(t, err)
				require.True(t, k.verify(signed))
				signed.input[len(signed.input)-1] ^= 1
				require.False(t, k.verify(signed))
			})
		}
	}
}

func TestPoolHoldsTokensOfTheirOwn(t *testing.T) {
	k, err := newKey(eddsa)
	require.NoError(t, err)
	for _, n := range []int{1, 2, 5, 7, 100} {
		p, err := newPool(k, n, oneKiB)
		require.NoError(t, err)
		seen := map[string]bool{}
		pick := p.inTurn()
		for i := range n {
			header := p.at(i)
			require.Equal(t, header, pick())
			token, ok := strings.CutPrefix(header, bearer)
			require.True(t, ok)
			signed, err := undress(eddsa, token)
			require.NoError(t, err)
			require.True(t, k.verify(signed))
			seen[header] = true
		}
		require.Len(t, seen, n)
		require.Equal(t, p.at(0), pick())
	}
	_, err = newPool(k, 2, func(i int) token {
		t := oneKiB(0)
		t.size += 100 * i
		return t
	})
	require.ErrorContains(t, err, "longer than the first")
}
