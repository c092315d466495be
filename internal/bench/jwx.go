package main

import (
	"context"
	"net/http"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

var jwxJWT = candidate{
	name: "jwx", module: "github.com/lestrrat-go/jwx/v2",
	build: func(_ context.Context, s *setup) (http.Handler, error) {
		set, err := jwk.Parse(s.keys)
		if err != nil {
			return nil, err
		}
		return behindBearer(func(_ *http.Request, token string) (any, error) {
			return jwt.ParseString(token, jwt.WithKeySet(set), jwt.WithIssuer(issuerURL(0)), jwt.WithAudience(audience))
		}), nil
	},
}
