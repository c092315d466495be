package main

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// entries is how many records the stream of the nodes has.
func entries(ctx context.Context, port string) (int64, error) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port})
	defer rdb.Close() //nolint:errcheck // it has answered
	return rdb.XLen(ctx, "{gatehouse:revoke}:log").Result()
}
