package jwkcache_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

// A service that must start while its issuer is down: the last good keys are in a
// file, which is used when the first fetch has failed.
func ExampleConfig_snapshot() {
	idp := newIDP()
	dir, err := os.MkdirTemp("", "jwkcache")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	cfg := jwkcache.Config{
		Issuer:   idp.URL,
		RootCAs:  idp.roots(),
		Snapshot: filepath.Join(dir, "jwks.json"), // for each service its own, where nobody else writes
	}

	before, err := jwkcache.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(before.Warm(context.Background()), before.Status().StoreError)

	idp.Close() // and the service is restarted
	after, err := jwkcache.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := after.Keys(context.Background(), "2026-01", "ES256")
	fmt.Println(len(found), err)
	fmt.Println("the issuer answers:", after.Status().LastError == nil)
	// Output:
	// <nil> <nil>
	// 1 <nil>
	// the issuer answers: false
}
