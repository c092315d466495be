package redisstore_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
	"github.com/gatehouse-auth/gatehouse/clientcreds/redisstore"
)

// idp is a token endpoint. It hands out token-1, token-2 and so on.
type idp struct {
	wait     <-chan struct{} // before each answer; nil: none
	requests atomic.Int64
}

func (p *idp) RoundTrip(r *http.Request) (*http.Response, error) {
	n := p.requests.Add(1)
	if p.wait != nil {
		select {
		case <-p.wait:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	text := fmt.Sprintf(`{"access_token":"token-%d","token_type":"Bearer","expires_in":3600}`, n)
	return &http.Response{
		StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)),
	}, nil
}

const fleetKey = "0123456789abcdef0123456789abcdef"

func newSource(t testing.TB, p *idp, store clientcreds.Store, key string) *clientcreds.Source {
	t.Helper()
	s, err := clientcreds.New(clientcreds.Config{
		TokenURL:          "https://idp.example.com/token",
		ClientID:          "orders",
		Secret:            clientcreds.StaticSecret("s3cr3t_of_the_test"),
		InsecureAnyOrigin: true,
		Client:            &http.Client{Transport: p},
		Store:             store,
		StoreKey:          func() ([]byte, error) { return []byte(key), nil },
	})
	require.NoError(t, err)
	return s
}

func tokenOf(t testing.TB, s *clientcreds.Source) string {
	t.Helper()
	tok, err := s.Token(t.Context())
	require.NoError(t, err)
	return tok.AccessToken
}

// TestOneStore: two Sources make one token request.
func TestOneStore(t *testing.T) {
	p, store := &idp{}, startRedis(t).store(t)
	require.Equal(t, "token-1", tokenOf(t, newSource(t, p, store, fleetKey)))
	require.Equal(t, "token-1", tokenOf(t, newSource(t, p, store, fleetKey)))
	require.Equal(t, int64(1), p.requests.Load())
}

// TestFleet: ten processes that start at once make one token request. It is
// answered when all have asked for the lock.
func TestFleet(t *testing.T) {
	srv := startRedis(t)
	asked := make(chan struct{})
	var locks atomic.Int64
	observe := func(_ context.Context, e redisstore.Event) {
		if e.Op == "lock" && locks.Add(1) == 10 {
			close(asked)
		}
	}
	p := &idp{wait: asked}
	var wg sync.WaitGroup
	for range 10 {
		s := newSource(t, p, newStore(t, redisstore.Config{Client: srv.client(t), Timeout: time.Second, Observe: observe}), fleetKey)
		wg.Go(func() { require.Equal(t, "token-1", tokenOf(t, s)) })
	}
	wg.Wait()
	require.Equal(t, int64(1), p.requests.Load())

	c := srv.client(t)
	key := onlyKey(t, c) // the lock is gone
	require.Regexp(t, "^gatehouse:clientcreds:[0-9a-f]{64}$", key)
	require.NotContains(t, c.Get(t.Context(), key).Val(), "token-1")
	ttl := c.PTTL(t.Context(), key).Val()
	require.Greater(t, ttl, 3500*time.Second)
	require.LessOrEqual(t, ttl, 3590*time.Second)
	t.Logf("a token of 7 bytes: %d bytes in Redis", c.MemoryUsage(t.Context(), key).Val())
}

// TestWhoCanWriteToRedis: they do what doc.go says, and no call fails.
func TestWhoCanWriteToRedis(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(ctx context.Context, c *redis.Client, key string) []redis.Cmder
		want string
	}{
		{"nothing", func(context.Context, *redis.Client, string) []redis.Cmder { return nil }, "token-1"},
		{"FLUSHALL", func(ctx context.Context, c *redis.Client, _ string) []redis.Cmder {
			return []redis.Cmder{c.FlushAll(ctx)}
		}, "token-2"},
		{"garbage", func(ctx context.Context, c *redis.Client, key string) []redis.Cmder {
			return []redis.Cmder{c.Set(ctx, key, `{"v":1,"t":"mine"}`, time.Hour)}
		}, "token-2"},
		{"a bit", func(ctx context.Context, c *redis.Client, key string) []redis.Cmder {
			bit := c.GetBit(ctx, key, 300)
			return []redis.Cmder{bit, c.SetBit(ctx, key, 300, 1-int(bit.Val()))}
		}, "token-2"},
		{"too much", func(ctx context.Context, c *redis.Client, key string) []redis.Cmder {
			return []redis.Cmder{c.SetRange(ctx, key, 1<<20, "x")}
		}, "token-2"},
		{"a list", func(ctx context.Context, c *redis.Client, key string) []redis.Cmder {
			return []redis.Cmder{c.Del(ctx, key), c.RPush(ctx, key, "x")}
		}, "token-2"},
		{"a lock for ever", func(ctx context.Context, c *redis.Client, key string) []redis.Cmder {
			return []redis.Cmder{c.Del(ctx, key), c.Set(ctx, key+":lock", "mine", 0)}
		}, "token-2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, p := startRedis(t), &idp{}
			c := srv.client(t)
			require.Equal(t, "token-1", tokenOf(t, newSource(t, p, srv.store(t), fleetKey)))
			for _, cmd := range tt.do(t.Context(), c, onlyKey(t, c)) {
				require.NoError(t, cmd.Err())
			}
			start := time.Now()
			require.Equal(t, tt.want, tokenOf(t, newSource(t, p, srv.store(t), fleetKey)))
			require.Less(t, time.Since(start), 5*time.Second)
		})
	}
}

func onlyKey(t *testing.T, c *redis.Client) string {
	t.Helper()
	keys := c.Keys(t.Context(), "*").Val()
	require.Len(t, keys, 1)
	return keys[0]
}

// TestAnotherStoreKey: fleets that share a Redis have other names, and cannot open
// what is moved from one's to the other's.
func TestAnotherStoreKey(t *testing.T) {
	const other = "fedcba9876543210"
	srv, p := startRedis(t), &idp{}
	c, s := srv.client(t), srv.store(t)
	require.Equal(t, "token-1", tokenOf(t, newSource(t, p, s, fleetKey)))
	ours := onlyKey(t, c)
	require.Equal(t, "token-2", tokenOf(t, newSource(t, p, s, other)))
	for _, theirs := range c.Keys(t.Context(), "*").Val() {
		if theirs != ours {
			require.NoError(t, c.Copy(t.Context(), ours, theirs, 0, true).Err())
		}
	}
	require.Equal(t, "token-3", tokenOf(t, newSource(t, p, s, other)))
	require.Equal(t, "token-1", tokenOf(t, newSource(t, p, s, fleetKey)))
}

// TestRestart: the tokens are gone, the calls go on, and the next one is shared.
func TestRestart(t *testing.T) {
	srv, p := startRedis(t), &idp{}
	var skew atomic.Int64
	store := newStore(t, redisstore.Config{Client: srv.client(t), Now: func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }})
	require.Equal(t, "token-1", tokenOf(t, newSource(t, p, store, fleetKey)))

	srv.stop()
	start := time.Now()
	require.Equal(t, "token-2", tokenOf(t, newSource(t, p, store, fleetKey)))
	t.Logf("a token while Redis is down: %s", time.Since(start))
	require.Less(t, time.Since(start), 5*250*time.Millisecond)
	require.Equal(t, "token-3", tokenOf(t, newSource(t, p, store, fleetKey)))

	srv.start(t)
	skew.Store(int64(6 * time.Second))
	require.Equal(t, "token-4", tokenOf(t, newSource(t, p, store, fleetKey)))
	require.Equal(t, "token-4", tokenOf(t, newSource(t, p, store, fleetKey)))
	require.Equal(t, int64(4), p.requests.Load())
}

// TestHangingFleet: a token costs a caller one Timeout more, not four.
func TestHangingFleet(t *testing.T) {
	c := redis.NewClient(&redis.Options{Addr: silent(t)})
	defer c.Close()
	p, store := &idp{}, newStore(t, redisstore.Config{Client: c})
	start := time.Now()
	require.Equal(t, "token-1", tokenOf(t, newSource(t, p, store, fleetKey)))
	t.Logf("a token while Redis hangs: %s", time.Since(start))
	require.Less(t, time.Since(start), 5*250*time.Millisecond)
}
