package redisstore_test

import (
	"crypto/tls"
	"encoding/base64"
	"log"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
	"github.com/gatehouse-auth/gatehouse/clientcreds/redisstore"
)

// A fleet with one Redis. The key that seals the tokens comes from where secrets
// come from, and is the same in each process.
func Example() {
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 []string{"redis.internal:6379"},
		Username:              "tokens",
		Password:              os.Getenv("REDIS_PASSWORD"),
		TLSConfig:             &tls.Config{MinVersion: tls.VersionTLS12},
		ReadTimeout:           time.Second,
		ContextTimeoutEnabled: true,
	})
	store, err := redisstore.New(redisstore.Config{Client: rdb})
	if err != nil {
		log.Fatal(err)
	}
	source, err := clientcreds.New(clientcreds.Config{
		Issuer:         "https://tenant.eu.auth0.com/",
		ClientID:       "orders",
		Secret:         clientcreds.StaticSecret(os.Getenv("CLIENT_SECRET")),
		Audience:       "https://api.example.com",
		AllowedOrigins: []string{"https://api.example.com"},
		Store:          store,
		StoreKey:       func() ([]byte, error) { return base64.StdEncoding.DecodeString(os.Getenv("TOKEN_STORE_KEY")) },
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = source.Client()
}
