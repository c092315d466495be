package jwkcache_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

// FuzzSet: whatever Config.Set holds, New does not panic, and every key that a
// lookup finds fits the algorithm that it was asked for, and is bounded in number.
func FuzzSet(f *testing.F) {
	rs, es, ed := newKey(f, "rs", jose.RS256), newKey(f, "es", jose.ES256), newKey(f, "ed", jose.EdDSA)
	f.Add([]byte(setOf(jwk(f, rs, nil), jwk(f, es, nil), jwk(f, ed, nil))))
	f.Add([]byte(setOf(jwk(f, es, members{"alg": nil, "x5t": "a", "x5t#S256": "b"}), jwk(f, es, members{"kid": nil}))))
	f.Add([]byte(jwk(f, es, members{"key_ops": []string{"verify"}})))
	for _, odd := range oddKeys(f) {
		f.Add([]byte(setOf(jwk(f, ed, nil), odd.jwk)))
	}
	for _, text := range []string{
		"", " ", "{}", "null", `{"keys":[]}`, `{"keys":[0,null,"",[],{}]}`, `{"keys":`, "-----BEGIN PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, set []byte) {
		c, err := jwkcache.New(jwkcache.Config{Set: set})
		if err != nil {
			require.Nil(t, c)
			return
		}
		st := c.Status()
		require.True(t, st.Usable)
		ids := []string{""}
		usable := 0
		for _, k := range st.Keys {
			ids = append(ids, k.ID)
			if k.Skipped == "" {
				usable++
			}
		}
		require.Positive(t, usable)
		found := 0
		for a := jose.Alg(1); a < jose.AlgCount; a++ {
			for _, id := range ids {
				keys, err := c.Keys(t.Context(), id, a.String())
				require.NoError(t, err)
				if id == "" {
					require.LessOrEqual(t, len(keys), 4)
					found += len(keys)
				}
				require.LessOrEqual(t, len(keys), min(8, usable))
				for _, k := range keys {
					require.False(t, a.Symmetric())
					require.NoError(t, jose.CheckKey(a, k))
				}
			}
		}
		require.Positive(t, found, "a usable key is found without an id")
	})
}
