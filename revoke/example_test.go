package revoke_test

import (
	"context"
	"fmt"
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
