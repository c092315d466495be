package main

import (
	"context"
	"net/http"
	"net/url"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v3"
	"github.com/auth0/go-jwt-middleware/v3/jwks"
	"github.com/auth0/go-jwt-middleware/v3/validator"
)

// auth0 has its keys from its own cache, which has fetched them once.
var auth0 = candidate{
	name: "auth0 go-jwt-middleware", module: "github.com/auth0/go-jwt-middleware/v3",
	build: func(_ context.Context, s *setup) (http.Handler, error) {
		issuer, err := url.Parse(issuerURL(0))
		if err != nil {
			return nil, err
		}
		keys, err := url.Parse(s.keysURL)
		if err != nil {
			return nil, err
		}
		cache, err := jwks.NewCachingProvider(jwks.WithIssuerURL(issuer), jwks.WithCustomJWKSURI(keys))
		if err != nil {
			return nil, err
		}
		v, err := validator.New(validator.WithKeyFunc(cache.KeyFunc), validator.WithAlgorithm(validator.SignatureAlgorithm(s.key.alg)),
			validator.WithIssuer(issuerURL(0)), validator.WithAudience(audience))
		if err != nil {
			return nil, err
		}
		middleware, err := jwtmiddleware.New(jwtmiddleware.WithValidator(v))
		if err != nil {
			return nil, err
		}
		return middleware.CheckJWT(next), nil
	},
}
