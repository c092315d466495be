package main

import (
	"context"
	"net/http"

	"github.com/go-chi/jwtauth/v5"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

// chiAuth is made with one key; the signing half of it is never used here.
var chiAuth = candidate{
	name: "go-chi/jwtauth", module: "github.com/go-chi/jwtauth/v5",
	build: func(_ context.Context, s *setup) (http.Handler, error) {
		auth := jwtauth.New(s.key.alg, s.key.private, s.key.public, jwt.WithIssuer(issuerURL(0)), jwt.WithAudience(audience))
		return jwtauth.Verifier(auth)(jwtauth.Authenticator(auth)(next)), nil
	},
}
