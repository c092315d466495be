package jwtvalidate_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// rotating has no key every fourth time that it is asked.
type rotating struct{ asked atomic.Uint64 }

func (r *rotating) Keys(context.Context, string, string) ([]crypto.PublicKey, error) {
	if r.asked.Add(1)%3 == 0 {
		return nil, nil
	}
	return allKeys(), nil
}

// TestForgottenWhileOthersAreStored: while keys go and come back, tokens are forgotten in the very places where others
// are stored at that moment.
func TestForgottenWhileOthersAreStored(t *testing.T) {
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(&rotating{})}, CacheEntries: 8})
	tokens := make([]string, 24)
	for i := range tokens {
		tokens[i] = mint(t, jose.ES256, ecKey(), `{"alg":"ES256"}`, payload(fmt.Sprintf(`"jti":"%d"`, i)))
	}
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			for i := range 2_000 {
				_, err := v.CheckToken(t.Context(), tokens[(i*7+3*g)%len(tokens)])
				if err != nil && !errors.Is(err, jwtvalidate.ErrUnknownKey) {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}
