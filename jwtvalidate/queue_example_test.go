package jwtvalidate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/jwttest"
)

// Messages of a queue bring their token in a field. CheckToken says whether it is good,
// Allow whether it may do this; an outage is no verdict, so that the message comes again.
func ExampleValidator_CheckToken() {
	issuer := jwttest.New(new(testing.T)) // in the place of your provider
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{issuer.Policy()}})
	if err != nil {
		panic(err)
	}
	ship := jwtvalidate.AllScopes("orders:ship")
	consume := func(ctx context.Context, order, token string) string {
		claims, err := v.CheckToken(ctx, token)
		if err == nil {
			err = v.Allow(ctx, claims, ship)
		}
		switch {
		case errors.Is(err, jwtvalidate.ErrUnavailable):
			return order + " goes back to the queue"
		case err != nil:
			return fmt.Sprint(order, " is dropped: ", jwtvalidate.ReasonOf(err))
		}
		return fmt.Sprint(order, " is shipped for ", claims.Subject())
	}

	ctx := context.Background()
	ann := issuer.Token(map[string]any{"sub": "ann", "scope": "orders:ship"})
	fmt.Println(consume(ctx, "order 1", ann))
	fmt.Println(consume(ctx, "order 2", issuer.Token(map[string]any{"sub": "bob", "scope": "orders:read"})))
	fmt.Println(consume(ctx, "order 3", issuer.Bad("expired")))
	issuer.Outage(true)
	fmt.Println(consume(ctx, "order 4", ann))
	// Output:
	// order 1 is shipped for ann
	// order 2 is dropped: insufficient_scope
	// order 3 is dropped: expired
	// order 4 goes back to the queue
}
