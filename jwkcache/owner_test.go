package jwkcache_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

// TestKeysOf: of a set that serves several issuers, each gets its own keys and those
// that are nobody's.
func TestKeysOf(t *testing.T) {
	texts := make([]string, 3)
	for i := range texts {
		text, err := jose.MarshalJWK(newKey(t, "", jose.ES256).Signer.Public(), fmt.Sprint("k", i), jose.ES256)
		require.NoError(t, err)
		texts[i] = string(text[:len(text)-1])
	}
	set := func(keys ...string) *jwkcache.Cache {
		c, err := jwkcache.New(jwkcache.Config{Set: []byte(setOf(keys...))})
		require.NoError(t, err)
		return c
	}
	owned := func(i int, issuer string) string { return fmt.Sprintf(`%s,"issuer":%q}`, texts[i], issuer) }
	const a, b = "https://login.example.com/a/v2.0", "https://login.example.com/b/v2.0"
	const all = "https://login.example.com/{tenantid}/v2.0"
	for _, row := range []struct {
		name        string
		cache       *jwkcache.Cache
		issuer, kid string
		want        int
	}{
		{"nobody's", set(texts[0] + "}"), a, "k0", 1},
		{"its own", set(owned(0, a), owned(1, b)), a, "k0", 1},
		{"another's", set(owned(0, a), owned(1, b)), a, "k1", 0},
		{"another's, to the byte", set(owned(0, a)), a + "/", "k0", 0},
		{"each tenant's", set(owned(0, all)), a, "k0", 1},
		{"each tenant's, of another version", set(owned(0, all)), "https://login.example.com/a/v1.0", "k0", 0},
		{"each tenant's, two segments", set(owned(0, all)), "https://login.example.com/a/b/v2.0", "k0", 0},
		{"each tenant's, no segment", set(owned(0, all)), "https://login.example.com//v2.0", "k0", 0},
		{"each tenant's, overlapping", set(owned(0, "https://x/{tenantid}/x")), "https://x/x", "k0", 0},
		{"unknown", set(owned(0, a)), a, "k9", 0},
		{"without a kid", set(owned(0, a), owned(1, b), texts[2]+"}"), a, "", 2},
		{"one key of two issuers", set(owned(0, a), owned(0, b)), b, "k0", 1},
		{"one key of two issuers, and a third", set(owned(0, a), owned(0, b)), "https://c", "k0", 0},
		{"one key of an issuer and of nobody", set(owned(0, a), texts[0]+"}"), b, "k0", 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			keys, err := row.cache.KeysOf(t.Context(), row.issuer, row.kid, "ES256")
			require.NoError(t, err)
			require.Len(t, keys, row.want)
			none, err := row.cache.KeysOf(t.Context(), row.issuer, row.kid, "HS256")
			require.NoError(t, err)
			require.Empty(t, none)
		})
	}
}
