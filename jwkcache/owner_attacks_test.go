package jwkcache_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

const (
	tenantA = "https://login.example.com/a/v2.0"
	tenantB = "https://login.example.com/b/v2.0"
)

func ownedJWK(tb testing.TB, kid, issuer string) string {
	tb.Helper()
	text, err := jose.MarshalJWK(newKey(tb, "", jose.ES256).Signer.Public(), kid, jose.ES256)
	require.NoError(tb, err)
	return fmt.Sprintf(`%s,"issuer":%q}`, text[:len(text)-1], issuer)
}

// TestKeysOfRefetch: a key of another issuer under the id that is looked for does not
// stand in the way of the issuer's own, which the set does not have yet.
func TestKeysOfRefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := ownedJWK(t, "1", tenantA), ownedJWK(t, "1", tenantB)
		p := newProvider(publishes(theirs))
		c := warmed(t, p)
		p.set(publishes(theirs, ours))
		keys, err := c.KeysOf(t.Context(), tenantA, "1", "ES256")
		require.NoError(t, err)
		require.Len(t, keys, 1)
		fetches := c.Status().Fetches
		for range 5 { // and one that nobody has costs no more than any unknown one
			keys, err = c.KeysOf(t.Context(), "https://login.example.com/c/v2.0", "1", "ES256")
			require.NoError(t, err)
			require.Empty(t, keys)
		}
		require.LessOrEqual(t, c.Status().Fetches, fetches+1)
		time.Sleep(time.Minute)
	})
}

// TestKeysOfMany: keys of others take no room from the issuer's own.
func TestKeysOfMany(t *testing.T) {
	var keys []string
	for range 10 {
		keys = append(keys, ownedJWK(t, "same", tenantB))
	}
	c, err := jwkcache.New(jwkcache.Config{Set: []byte(setOf(append(keys, ownedJWK(t, "same", tenantA))...))})
	require.NoError(t, err)
	for kid, most := range map[string]int{"": 4, "same": 8} {
		found, err := c.KeysOf(t.Context(), tenantA, kid, "ES256")
		require.NoError(t, err)
		require.Len(t, found, 1)
		found, err = c.KeysOf(t.Context(), tenantB, kid, "ES256")
		require.NoError(t, err)
		require.Len(t, found, most)
		found, err = c.Keys(t.Context(), kid, "ES256")
		require.NoError(t, err)
		require.Len(t, found, most)
	}
}

// TestKeysOfNobodyFirst: a key that is somebody's too stays everybody's.
func TestKeysOfNobodyFirst(t *testing.T) {
	text, err := jose.MarshalJWK(newKey(t, "", jose.ES256).Signer.Public(), "k", jose.ES256)
	require.NoError(t, err)
	owned := fmt.Sprintf(`%s,"issuer":%q}`, text[:len(text)-1], tenantA)
	for _, set := range []string{setOf(string(text), owned), setOf(owned, string(text)), setOf(string(text), owned, string(text))} {
		c, err := jwkcache.New(jwkcache.Config{Set: []byte(set)})
		require.NoError(t, err)
		keys, err := c.KeysOf(t.Context(), tenantB, "k", "ES256")
		require.NoError(t, err)
		require.Len(t, keys, 1)
	}
}
