package redislog_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// TestClients: clients with settings that could get in the way of a read that waits.
func TestClients(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		with func(*redis.Options)
	}{
		{"one connection", func(o *redis.Options) { o.PoolSize = 1 }},
		{"ReadTimeout below Block", func(o *redis.Options) { o.ReadTimeout = 50 * time.Millisecond }},
		{"ContextTimeoutEnabled", func(o *redis.Options) { o.ContextTimeoutEnabled = true }},
		{"RESP2, no retries", func(o *redis.Options) { o.Protocol, o.MaxRetries = 2, -1 }},
		{"no deadlines", func(o *redis.Options) { o.ReadTimeout = -1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startRedis(t)
			a, b := startNode(t, s.client(t, tt.with)), startNode(t, s.client(t, tt.with))
			ready(t, a, b)
			begun := time.Now()
			numbered(t, a, "t", 10)
			eventually(t, func() bool { return b.refuses("t9") })
			t.Log(time.Since(begun))
			time.Sleep(time.Second)
			require.Less(t, b.Status().Staleness, time.Second)
			require.Zero(t, b.log.Status().Gaps)
		})
	}
}

// TestWrongTypes: keys become strings, and are deleted later.
func TestWrongTypes(t *testing.T) {
	t.Parallel()
	for _, key := range []string{streamKey, keptKey, "{gatehouse:revoke}:turn"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			s := startRedis(t)
			rdb := s.client(t)
			a := startNode(t, s.client(t))
			ready(t, a)
			ids := numbered(t, a, "t", 5)
			mustRevoke(t, a, ban("bob"))
			time.Sleep(500 * time.Millisecond)
			require.NoError(t, rdb.Del(t.Context(), key).Err())
			if strings.HasSuffix(key, "turn") {
				require.NoError(t, rdb.RPush(t.Context(), key, "x").Err())
				require.NoError(t, rdb.FlushDB(t.Context()).Err())
				require.NoError(t, rdb.RPush(t.Context(), key, "x").Err())
			} else {
				require.NoError(t, rdb.Set(t.Context(), key, "x", 0).Err())
				_, err := a.Revoke(t.Context(), single("no"))
				require.Error(t, err)
			}
			asOf := a.Status().AsOf
			time.Sleep(2 * time.Second)
			_ = asOf
			require.NoError(t, rdb.Del(t.Context(), key).Err())
			requireRefused(t, a, append(ids, "bob")...)
			learns(t, s, append(ids, "bob")...)
		})
	}
}

// TestNoGoroutines: nothing is left of a node whose Redis went silent.
func TestNoGoroutines(t *testing.T) {
	s := startRedis(t)
	p := startProxy(t, s.addr())
	before := runtime.NumGoroutine()
	c := redis.NewClient(&redis.Options{Addr: p.addr(), DialTimeout: time.Second, ReadTimeout: time.Second})
	a := startNode(t, c)
	ready(t, a)
	p.silent.Store(true)
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_, _ = a.Revoke(ctx, single("x"))
		cancel()
	}
	begun := time.Now()
	a.stop()
	require.Less(t, time.Since(begun), time.Second)
	require.NoError(t, c.Close())
	p.cut()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+2 }, 40*time.Second, 100*time.Millisecond, "%d", runtime.NumGoroutine())
}
