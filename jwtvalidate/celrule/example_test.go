package celrule_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate/celrule"
)

func ExampleNew() {
	policies := []string{
		"claims.sub == 'ada' && 'admin' in claims.roles",
		"claims.level >= 4",
		"claims.department == 'sales'",
		"claims.sub.matches('(')",
		"request.method",
	}
	// Claims for the example; a service has them from its Validator.
	claims, err := jwtvalidate.NewClaims(map[string]any{"sub": "ada", "roles": []string{"admin"}, "level": 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := jwtvalidate.Secret([]byte("an example, and so no secret at all"))
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: "https://idp.example.com/", Algorithms: []string{"HS256"}, Keys: keys, Audiences: []string{"https://api.example.com"},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range policies {
		rule, err := celrule.New(text)
		if err != nil {
			fmt.Println("refused when made:", err)
			continue
		}
		err = v.Allow(context.Background(), claims, rule)
		switch {
		case err == nil:
			fmt.Println("passes")
		case errors.Is(err, jwtvalidate.ErrForbidden):
			fmt.Println(err)
		}
	}
	// Output:
	// passes
	// jwtvalidate: forbidden: CEL(claims.level >= 4)
	// jwtvalidate: forbidden: CEL(claims.department == 'sales')
	// refused when made: celrule: 1:20: invalid matches argument
	// refused when made: celrule: 1:8: the result is string, not bool
}
