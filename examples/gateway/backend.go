package main

import (
	"encoding/json"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// newBackend is the demonstration's API behind the gateway. It believes the claim
// headers, and therefore takes calls from nobody but the gateway, which shows a
// token of its own. It answers what it has seen.
func newBackend(issuer string) (http.Handler, error) {
	keys, err := jwkcache.New(jwkcache.Config{Issuer: issuer, InsecureHTTP: true})
	if err != nil {
		return nil, err
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{{
		URL: issuer, Algorithms: []string{"ES256"}, Keys: keys, Audiences: []string{backendAudience}, Profile: jwtvalidate.RFC9068,
	}}})
	if err != nil {
		return nil, err
	}
	gatewayOnly := v.Require(jwtvalidate.Claim("client_id").AnyOf("gateway"))
	return gatewayOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := jwtvalidate.FromContext(r.Context())
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{ // the client has left
			"user": r.Header.Get("X-User"), "roles": r.Header.Get("X-Roles"), "caller": caller.Subject(),
		})
	})), nil
}
