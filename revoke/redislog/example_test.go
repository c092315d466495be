package redislog_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"log"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/revoke/redislog"
)

// One node of several. The secret comes from where secrets come from, and is the same
// on each.
func Example() {
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:     []string{"redis.internal:6379"},
		Username:  "gatehouse",
		Password:  os.Getenv("REDIS_PASSWORD"),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	})
	records, err := redislog.New(redislog.Config{Client: rdb, MaxLifetime: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	checker, err := revoke.New(revoke.Config{
		Log:         records,
		MaxLifetime: time.Hour,
		Secret:      func() ([]byte, error) { return base64.StdEncoding.DecodeString(os.Getenv("REVOCATION_SECRET")) },
	})
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = checker.Run(context.Background()) }()
	// And as Revocation of jwtvalidate.Config, or by itself:
	_, _ = checker.Revoke(context.Background(), revoke.Record{
		Kind: revoke.KindSubject, Issuer: "https://idp.example.com", Value: "ann", Reason: "lost phone", Actor: "helpdesk",
	})
}
