package revoke_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// A user logs out everywhere: the tokens from before are refused, and those of the
// next login pass.
func Example() {
	checker, err := revoke.New(revoke.Config{MaxLifetime: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	before := token{"iss": issuer, "sub": "ann", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	receipt, err := checker.Revoke(context.Background(), revoke.Record{Kind: revoke.KindSubject, Issuer: issuer, Value: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	after := token{"iss": issuer, "sub": "ann", "iat": receipt.Cutoff.Unix(), "exp": receipt.Cutoff.Add(time.Hour).Unix()}
	for _, claims := range []token{before, after} {
		revoked, err := checker.Revoked(context.Background(), claims)
		fmt.Println(revoked, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

// Check says why.
func ExampleChecker_Check() {
	checker, _ := revoke.New(revoke.Config{MaxLifetime: time.Hour})
	mistake, _ := checker.Revoke(context.Background(), revoke.Record{Kind: revoke.KindEverything})
	claims := token{"iss": issuer, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	fmt.Println(checker.Check(context.Background(), claims))
	_ = checker.Restore(context.Background(), mistake.ID)
	reason, err := checker.Check(context.Background(), claims)
	fmt.Printf("%q %v\n", reason, err)
	// Output:
	// everything <nil>
	// "" <nil>
}

// KrakenD's auth/revoker, said with this package.
func Example_krakend() {
	state, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(state)
	os.Setenv("STATE_DIRECTORY", state) // as systemd does
	os.Setenv("REVOKE_SECRET", "c2l4dGVlbiBieXRlcyBvciBtb3JlLCBhbmQgcmFuZG9t")

	checker, err := revoke.New(revoke.Config{
		MaxLifetime: 24 * time.Hour,
		Filter:      &revoke.Filter{Capacity: 10_000_000, FalsePositives: 1e-7},
		Secret:      func() ([]byte, error) { return base64.StdEncoding.DecodeString(os.Getenv("REVOKE_SECRET")) },
		Log:         &revoke.Journal{Path: filepath.Join(os.Getenv("STATE_DIRECTORY"), "revoked")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	if _, err := checker.Revoke(context.Background(), revoke.Record{Kind: revoke.KindSubject, Issuer: issuer, Value: "ann"}); err != nil {
		fmt.Println(err)
		return
	}
	revoked, err := checker.Revoked(context.Background(), token{"iss": issuer, "sub": "ann", "iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(time.Hour).Unix()})
	fmt.Println(revoked, err)
	// Output: true <nil>
}
