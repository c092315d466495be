package jwkcache_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

// Keys that are mounted as a file, and replaced there: a lookup reads them again
// within seconds, and at once for a key id that it does not know.
func ExampleConfig_file() {
	const (
		old = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026-01","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
		now = `{"keys":[{"kty":"EC","crv":"P-256","kid":"2026-02",
			"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`
	)
	dir, err := os.MkdirTemp("", "jwkcache")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "keys.json") // PEM will do as well: keys then have no kid
	_ = os.WriteFile(file, []byte(old), 0o600)

	keys, err := jwkcache.New(jwkcache.Config{File: file})
	if err != nil {
		fmt.Println(err)
		return
	}
	lookup := func(kid, alg string) {
		found, err := keys.Keys(context.Background(), kid, alg)
		fmt.Println(kid, len(found), err)
	}
	lookup("2026-01", "EdDSA")

	_ = os.WriteFile(file+".new", []byte(now), 0o600)
	_ = os.Rename(file+".new", file) // in one step, so that nobody reads half a file
	lookup("2026-02", "ES256")
	lookup("2026-01", "EdDSA")
	// Output:
	// 2026-01 1 <nil>
	// 2026-02 1 <nil>
	// 2026-01 0 <nil>
}
