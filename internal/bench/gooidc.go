package main

import (
	"context"
	"crypto"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
)

// goOIDC verifies ID tokens, and is used for access tokens too.
var goOIDC = candidate{
	name: "go-oidc", module: "github.com/coreos/go-oidc/v3", not: []string{hs256},
	build: func(_ context.Context, s *setup) (http.Handler, error) {
		keys := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{s.key.public}}
		verifier := oidc.NewVerifier(issuerURL(0), keys, &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{s.key.alg}})
		return behindBearer(func(r *http.Request, token string) (any, error) {
			verified, err := verifier.Verify(r.Context(), token)
			if err != nil {
				return nil, err
			}
			var claims map[string]any // the others have parsed them
			return claims, verified.Claims(&claims)
		}), nil
	},
}
