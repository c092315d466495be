package main

import (
	"context"
	"net/http"

	"github.com/MicahParks/keyfunc/v3"
	gojwt "github.com/golang-jwt/jwt/v5"
)

// golangJWT parses and asks; keyfunc finds the key by kid.
var golangJWT = candidate{
	name: "golang-jwt + keyfunc", module: "github.com/golang-jwt/jwt/v5",
	build: func(_ context.Context, s *setup) (http.Handler, error) {
		keys, err := keyfunc.NewJWKSetJSON(s.keys)
		if err != nil {
			return nil, err
		}
		parser := gojwt.NewParser(gojwt.WithValidMethods([]string{s.key.alg}), gojwt.WithExpirationRequired(),
			gojwt.WithIssuer(issuerURL(0)), gojwt.WithAudience(audience))
		return behindBearer(func(_ *http.Request, token string) (any, error) { return parser.Parse(token, keys.Keyfunc) }), nil
	},
}
