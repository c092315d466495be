package jwtvalidate_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-auth/gatehouse/jwkcache"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// Tenants that come and go while the service runs, each with an identity provider of
// its own. IssuerFor looks a token's iss up among the customers, and a jwkcache.Pool
// keeps the keys. Nothing is fetched for an iss that is no customer's.
func ExampleConfig_issuerFor() {
	acme, ann := exampleProvider("ann") // at the end of this file
	defer acme.Close()
	other, eve := exampleProvider("eve")
	defer other.Close()
	customers := map[string]string{acme.URL: "acme"} // a table of your database

	pool, err := jwkcache.NewPool(jwkcache.PoolConfig{
		Cache:                    jwkcache.Config{Client: acme.Client()},
		InsecurePrivateAddresses: true, // as Client, for this provider on loopback alone
	})
	if err != nil {
		panic(err)
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{
		IssuerFor: func(_ context.Context, iss string) (*jwtvalidate.Issuer, error) {
			name, known := customers[iss]
			if !known {
				return nil, nil // 401
			}
			keys, err := pool.Get(iss, "") // the same cache each time
			if err != nil {
				return nil, err // 503
			}
			return &jwtvalidate.Issuer{
				URL: iss, Algorithms: []string{"ES256"}, Keys: keys, Audiences: []string{"https://" + name + ".api.example.com"},
			}, nil
		},
	})
	if err != nil {
		panic(err)
	}
	claims, err := v.CheckToken(context.Background(), ann)
	fmt.Println(claims.Subject(), err)
	_, err = v.CheckToken(context.Background(), eve)
	fmt.Println(jwtvalidate.ReasonOf(err))
	// Output:
	// ann <nil>
	// unknown_issuer
}

// exampleProvider is a tenant's, with a token that it has issued.
func exampleProvider(subject string) (server *httptest.Server, token string) {
	mux := http.NewServeMux()
	server = httptest.NewTLSServer(mux)
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	signer, err := jwtsign.New(jwtsign.Config{
		Issuer: server.URL,
		Keys:   []jwtsign.Key{{Private: jwtsign.SignerKey(private), Algorithm: "ES256"}},
		Token:  jwtsign.Token{Lifetime: time.Hour, Audience: []string{"https://acme.api.example.com"}},
	})
	if err != nil {
		panic(err)
	}
	mux.Handle("GET /.well-known/openid-configuration", signer.Discovery())
	mux.Handle("GET /.well-known/jwks.json", signer.JWKS())
	token, err = signer.Sign(context.Background(), map[string]any{"sub": subject})
	if err != nil {
		panic(err)
	}
	return server, token
}
