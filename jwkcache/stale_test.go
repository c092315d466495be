package jwkcache_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

// TestStaleClients: clients that show the tokens of a removed key, however many and
// for however long, leave a fetch for the first token of a new one.
func TestStaleClients(t *testing.T) {
	for _, clients := range []int{1, 2, 3, 20} {
		for _, minutes := range []int{1, 2, 10} {
			t.Run(fmt.Sprint(clients, " for ", minutes, " min"), func(t *testing.T) {
				idp := testidp.New(t, jose.ES256)
				now := time.Now()
				c, err := jwkcache.New(jwkcache.Config{URL: idp.JWKSURL(), InsecureHTTP: true, RefreshAfter: 24 * time.Hour, Now: func() time.Time { return now }})
				require.NoError(t, err)
				for range 60*minutes + 13 {
					now = now.Add(time.Second)
					for i := range clients {
						keys, err := c.Keys(t.Context(), fmt.Sprint("stale-", i), "ES256")
						require.NoError(t, err)
						require.Empty(t, keys)
					}
				}
				require.LessOrEqual(t, idp.Requests(testidp.JWKSPath), 3+2*minutes, "one each MinRefetch, and two saved")
				key := idp.Rotate(jose.ES256, true)
				if minutes == 1 { // the stale are not known as such yet
					now = now.Add(30 * time.Second)
				}
				keys, err := c.Keys(t.Context(), key.ID, "ES256")
				require.NoError(t, err)
				require.Len(t, keys, 1)
			})
		}
	}
}

// TestStaleClientsThroughAnOutage: nor are they taken for new ones after it.
func TestStaleClientsThroughAnOutage(t *testing.T) {
	idp := testidp.New(t, jose.ES256)
	now := time.Now()
	c, err := jwkcache.New(jwkcache.Config{URL: idp.JWKSURL(), InsecureHTTP: true, RefreshAfter: 24 * time.Hour, MaxStale: 24 * time.Hour, Now: func() time.Time { return now }})
	require.NoError(t, err)
	ask := func(seconds int) {
		for range seconds {
			now = now.Add(time.Second)
			for i := range 3 {
				keys, _ := c.Keys(t.Context(), fmt.Sprint("stale-", i), "ES256")
				require.Empty(t, keys)
			}
		}
	}
	ask(300)
	idp.Answer(testidp.JWKSPath, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	ask(400)
	idp.Answer(testidp.JWKSPath, nil)
	ask(65)
	key := idp.Rotate(jose.ES256, true)
	keys, err := c.Keys(t.Context(), key.ID, "ES256")
	require.NoError(t, err)
	require.Len(t, keys, 1)
}
