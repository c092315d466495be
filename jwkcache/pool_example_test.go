package jwkcache_test

import (
	"context"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

// Each customer brings an issuer. Who is one is for the service to say, before it
// asks the Pool: Get makes a cache of whatever https URL it is given.
func ExamplePool() {
	idp := newIDP()
	defer idp.Close()

	pool, err := jwkcache.NewPool(jwkcache.PoolConfig{
		Cache:                    jwkcache.Config{RootCAs: idp.roots()}, // what all of them have in common
		MaxCaches:                100,
		InsecurePrivateAddresses: true, // for this example, which is on loopback
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	customers := map[string]bool{idp.URL: true, "http://old.example.com": true}

	for _, issuer := range []string{idp.URL, "https://stranger.example.com", "http://old.example.com"} {
		if !customers[issuer] {
			fmt.Println("no customer of ours")
			continue
		}
		keys, err := pool.Get(issuer, "") // each time: it is the same cache
		if err != nil {
			fmt.Println(err)
			continue
		}
		found, err := keys.Keys(context.Background(), "2026-01", "ES256")
		fmt.Println(len(found), err)
	}
	fmt.Println("caches:", pool.Len())
	// Output:
	// 1 <nil>
	// no customer of ours
	// jwkcache: Issuer: not https (InsecureHTTP allows http)
	// caches: 1
}
