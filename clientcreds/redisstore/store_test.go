package redisstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
	"github.com/gatehouse-auth/gatehouse/clientcreds/redisstore"
)

var _ clientcreds.Store = (*redisstore.Store)(nil)

func TestNew(t *testing.T) {
	c := redis.NewClient(&redis.Options{})
	defer c.Close()
	for _, tt := range []struct {
		name string
		cfg  redisstore.Config
		want string // empty: good
	}{
		{"only a client", redisstore.Config{Client: c}, ""},
		{"all", redisstore.Config{Client: c, Prefix: "{tokens}:", Timeout: time.Second}, ""},
		{"no client", redisstore.Config{}, "redisstore: Client: required"},
		{"prefix with a space", redisstore.Config{Client: c, Prefix: "a b"}, "redisstore: Prefix: want at most 128 bytes of printable ASCII without spaces"},
		{"prefix with a line", redisstore.Config{Client: c, Prefix: "a\r\n"}, "redisstore: Prefix: want at most 128 bytes of printable ASCII without spaces"},
		{"too long", redisstore.Config{Client: c, Timeout: time.Second + 1}, "redisstore: Timeout: not within 1 s"},
		{
			"all at once", redisstore.Config{Prefix: "ä", Timeout: -1},
			"redisstore: Client: required\nredisstore: Prefix: want at most 128 bytes of printable ASCII without spaces\nredisstore: Timeout: not within 1 s",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := redisstore.New(tt.cfg)
			if tt.want == "" {
				require.NoError(t, err)
				require.NotNil(t, s)
				return
			}
			require.EqualError(t, err, tt.want)
			require.Nil(t, s)
		})
	}
}

func TestValues(t *testing.T) {
	srv := startRedis(t)
	s, c, ctx := srv.store(t), srv.client(t), t.Context()

	none, err := s.Get(ctx, "k")
	require.NoError(t, err)
	require.Nil(t, none)

	value := []byte("\x00\xff\r\n$-1\r\n sealed")
	require.NoError(t, s.Put(ctx, "k", value, time.Minute))
	got, err := s.Get(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, value, got)
	require.Equal(t, []string{"gatehouse:k"}, c.Keys(ctx, "*").Val())
	ttl := c.PTTL(ctx, "gatehouse:k").Val()
	require.LessOrEqual(t, ttl, time.Minute)
	require.Greater(t, ttl, 50*time.Second)

	require.NoError(t, s.Put(ctx, "k", []byte("next"), 1500*time.Millisecond))
	got, err = s.Get(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "next", string(got))
	require.Greater(t, c.PTTL(ctx, "gatehouse:k").Val(), time.Duration(0))

	require.NoError(t, c.FlushAll(ctx).Err())
	none, err = s.Get(ctx, "k")
	require.NoError(t, err)
	require.Nil(t, none)
}

func TestValuesExpire(t *testing.T) {
	srv := startRedis(t)
	s, c, ctx := srv.store(t), srv.client(t), t.Context()
	require.NoError(t, s.Put(ctx, "k", []byte("v"), 20*time.Millisecond))
	require.Eventually(t, func() bool {
		got, err := s.Get(ctx, "k")
		return err == nil && got == nil
	}, 5*time.Second, 5*time.Millisecond)

	// What go-redis would keep for ever, or with the time that the last had.
	for _, ttl := range []time.Duration{0, -1, -time.Hour, time.Microsecond} {
		require.NoError(t, s.Put(ctx, "k", []byte("v"), ttl))
		require.Empty(t, c.Keys(ctx, "*").Val(), "%s", ttl)
		unlock, err := s.Lock(ctx, "k", ttl)
		require.EqualError(t, err, "redisstore: lock: want a millisecond at least")
		require.Nil(t, unlock)
	}
}

func TestSizes(t *testing.T) {
	srv := startRedis(t)
	s, c, ctx := srv.store(t), srv.client(t), t.Context()

	most := bytes.Repeat([]byte{'x'}, 128<<10)
	require.NoError(t, s.Put(ctx, "k", most, time.Minute))
	got, err := s.Get(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, most, got)

	require.EqualError(t, s.Put(ctx, "k", append(most, 'x'), time.Minute), "redisstore: put: the value has more than 128 KiB")
	for _, size := range []int{128<<10 + 1, 16 << 20} {
		require.NoError(t, c.Set(ctx, "gatehouse:k", bytes.Repeat([]byte{'x'}, size), time.Minute).Err())
		before := sent(t, c)
		got, err = s.Get(ctx, "k")
		require.EqualError(t, err, "redisstore: get: the value has more than 128 KiB")
		require.Nil(t, got)
		require.Less(t, sent(t, c)-before, 140<<10)
	}
}

// sent is how many bytes the server has sent.
func sent(t *testing.T, c *redis.Client) int {
	t.Helper()
	text := c.InfoMap(t.Context(), "stats").Item("Stats", "total_net_output_bytes")
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

func lock(t *testing.T, s *redisstore.Store, ttl time.Duration) func() {
	t.Helper()
	unlock, err := s.Lock(t.Context(), "k", ttl)
	require.NoError(t, err)
	return unlock
}

func TestLock(t *testing.T) {
	srv := startRedis(t)
	one, two, c := srv.store(t), srv.store(t), srv.client(t)

	unlock := lock(t, one, time.Minute)
	require.NotNil(t, unlock)
	require.Nil(t, lock(t, two, time.Minute), "somebody else has it")
	require.Nil(t, lock(t, one, time.Minute), "and a process does not get it twice")
	require.Equal(t, []string{"gatehouse:k:lock"}, c.Keys(t.Context(), "*").Val())
	require.Greater(t, c.PTTL(t.Context(), "gatehouse:k:lock").Val(), 50*time.Second)
	other, err := one.Lock(t.Context(), "other", time.Minute)
	require.NoError(t, err)
	require.NotNil(t, other)

	unlock()
	again := lock(t, two, time.Minute)
	require.NotNil(t, again)
	unlock()
	require.Nil(t, lock(t, one, time.Minute), "an unlock that comes twice is not the other's")
	again()
	require.NotNil(t, lock(t, one, time.Minute))
}

func TestLockExpires(t *testing.T) {
	srv := startRedis(t)
	one, two := srv.store(t), srv.store(t)
	lost := lock(t, one, 20*time.Millisecond)
	require.NotNil(t, lost)
	var unlock func()
	require.Eventually(t, func() bool {
		unlock = lock(t, two, time.Minute)
		return unlock != nil
	}, 5*time.Second, 5*time.Millisecond)
	lost()
	require.Nil(t, lock(t, one, time.Minute), "the other's lock is still there")
	unlock()
	require.NotNil(t, lock(t, one, time.Minute))
}

// TestUnlockAfterTheCaller: the context of Lock may have ended before the work is done.
func TestUnlockAfterTheCaller(t *testing.T) {
	srv := startRedis(t)
	s := srv.store(t)
	ctx, cancel := context.WithCancel(t.Context())
	unlock, err := s.Lock(ctx, "k", time.Minute)
	require.NoError(t, err)
	cancel()
	unlock()
	require.NotNil(t, lock(t, s, time.Minute))

	for name, err := range calls(ctx, s) {
		require.Equal(t, context.Canceled, err, name)
	}
}

// calls makes each call once.
func calls(ctx context.Context, s *redisstore.Store) map[string]error {
	_, get := s.Get(ctx, "k")
	_, lock := s.Lock(ctx, "k", time.Minute)
	return map[string]error{"get": get, "put": s.Put(ctx, "k", []byte("v"), time.Minute), "lock": lock}
}

// TestACL: what doc.go says is enough, and the client's matters are told by code only.
func TestACL(t *testing.T) {
	srv := startRedis(t)
	ctx := t.Context()
	require.NoError(t, srv.client(t).Do(ctx, "ACL", "SETUSER", "tokens", "on", ">pass-w0rd", "~gatehouse:*", "+getrange", "+set", "+eval", "+get", "+del").Err())
	as := func(password, prefix string) redisstore.Config {
		return redisstore.Config{Client: srv.client(t, func(o *redis.Options) {
			o.Username, o.Password, o.MaxRetries = "tokens", password, -1
		}), Prefix: prefix, Timeout: time.Second}
	}

	s := newStore(t, as("pass-w0rd", ""))
	require.NoError(t, s.Put(ctx, "k", []byte("v"), time.Minute))
	got, err := s.Get(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(got))
	lock(t, s, time.Minute)()
	lock(t, s, time.Minute)()

	for _, tt := range []struct {
		name string
		cfg  redisstore.Config
		want string
	}{
		{"another prefix", as("pass-w0rd", "other:"), "NOPERM"},
		{"another password", as("wr0ng-pass", ""), "WRONGPASS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for op, err := range calls(ctx, newStore(t, tt.cfg)) {
				require.EqualError(t, err, "redisstore: "+op+": "+tt.want)
				var server redis.Error
				require.ErrorAs(t, err, &server)
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
				require.NotContains(t, fmt.Sprintf(verb, tt.cfg), tt.cfg.Client.(*redis.Client).Options().Password)
				require.NotContains(t, fmt.Sprintf(verb, newStore(t, tt.cfg)), tt.cfg.Client.(*redis.Client).Options().Password)
			}
		})
	}
}

// TestErrorsHoldNothing: Redis repeats the arguments of what it does not know.
func TestErrorsHoldNothing(t *testing.T) {
	srv := startRedis(t, "--rename-command", "SET", "", "--rename-command", "EVAL", "")
	s := newStore(t, redisstore.Config{Client: srv.client(t), Timeout: time.Second})
	err := s.Put(t.Context(), "some-id", []byte("some-value"), time.Minute)
	require.EqualError(t, err, "redisstore: put: ERR")
	require.ErrorContains(t, errors.Unwrap(err), "some-value", "the cause shows why it is kept out")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		require.NotContains(t, fmt.Sprintf(verb, err), "some")
	}
	text, err := json.Marshal(map[string]any{"error": err})
	require.NoError(t, err)
	require.NotContains(t, string(text), "some")

	require.NoError(t, srv.client(t).RPush(t.Context(), "gatehouse:k", "v").Err())
	_, err = s.Get(t.Context(), "k")
	require.EqualError(t, err, "redisstore: get: WRONGTYPE")
}

// TestCluster: no command has two keys.
func TestCluster(t *testing.T) {
	port, bus := freePort(t), freePort(t)
	srv := startRedis(t, "--cluster-enabled", "yes", "--bind", "127.0.0.1", "--port", port, "--cluster-port", bus)
	require.NoError(t, srv.client(t).Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err())
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:" + port}})
	defer c.Close()
	require.Eventually(t, func() bool { return c.Set(t.Context(), "up", 1, 0).Err() == nil }, 10*time.Second, 50*time.Millisecond)
	for _, prefix := range []string{"", "{tokens}:"} {
		s := newStore(t, redisstore.Config{Client: c, Prefix: prefix, Timeout: time.Second})
		require.NoError(t, s.Put(t.Context(), "k", []byte("v"), time.Minute))
		got, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "v", string(got))
		unlock := lock(t, s, time.Minute)
		require.NotNil(t, unlock)
		require.Nil(t, lock(t, s, time.Minute))
		unlock()
		require.NotNil(t, lock(t, s, time.Minute))
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}
