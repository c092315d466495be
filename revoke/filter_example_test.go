package revoke_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// Tens of millions of tokens in little memory. Confirm asks an exact store, here a map,
// about the few that the filter holds for revoked: so no token is refused by mistake, and
// one can be let in again.
func ExampleFilter() {
	exact := map[string]bool{} // by Receipt.ID
	checker, err := revoke.New(revoke.Config{
		MaxLifetime: time.Hour,
		Filter: &revoke.Filter{
			Capacity: 10_000, FalsePositives: 1e-7,
			Confirm: func(_ context.Context, id string) (bool, error) { return exact[id], nil },
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	expires := time.Now().Add(time.Hour)
	receipt, err := checker.Revoke(context.Background(), revoke.Record{Kind: revoke.KindToken, Issuer: issuer, Value: "id-1", Expires: expires})
	if err != nil {
		fmt.Println(err)
		return
	}
	exact[receipt.ID] = true

	check := func(id string) {
		claims := token{"iss": issuer, "jti": id, "iat": expires.Add(-time.Hour).Unix(), "exp": expires.Unix()}
		revoked, err := checker.Revoked(context.Background(), claims)
		fmt.Println(id, revoked, err)
	}
	check("id-1")
	check("id-2")
	fmt.Println(checker.Restore(context.Background(), receipt.ID)) // not out of a filter
	delete(exact, receipt.ID)
	check("id-1")
	// Output:
	// id-1 true <nil>
	// id-2 false <nil>
	// revoke: no such record
	// id-1 false <nil>
}
