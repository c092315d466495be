package redislog_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/revoke/redislog"
)

func TestNewReportsAllFaults(t *testing.T) {
	_, err := redislog.New(redislog.Config{
		Namespace: "a {b}", Block: -1, Poll: 2 * time.Minute, PageSize: -1, Timeout: time.Hour, WaitReplicas: 1, WaitTimeout: -1,
	})
	require.Error(t, err)
	for _, name := range []string{
		"redislog: Client:", "Namespace:", "MaxLifetime:", "Block:", "Poll:", "PageSize:", "Timeout:", "WaitTimeout:", "WaitReplicas:",
	} {
		require.ErrorContains(t, err, name)
	}
	var none *redis.ClusterClient
	_, err = redislog.New(redislog.Config{Client: none, MaxLifetime: time.Hour})
	require.EqualError(t, err, "redislog: Client: required", "a nil pointer")
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, RouteByLatency: true})
	t.Cleanup(func() { _ = cluster.Close() })
	good := redislog.Config{Client: clientOf(t, "127.0.0.1:1"), MaxLifetime: time.Hour}
	_, err = redislog.New(good)
	require.NoError(t, err)
	for text, change := range map[string]func(*redislog.Config){
		"Client: it reads from replicas":   func(c *redislog.Config) { c.Client = cluster },
		"Block, Poll: not together":        func(c *redislog.Config) { c.Block, c.Poll = 1, 1 },
		"WaitTimeout: for WaitReplicas":    func(c *redislog.Config) { c.WaitTimeout = 1 },
		"MaxLifetime: above a year":        func(c *redislog.Config) { c.MaxLifetime = 1000 * 24 * time.Hour },
		"Namespace: want at most":          func(c *redislog.Config) { c.Namespace = "é" },
		"WaitReplicas: wants a *redis.Cli": func(c *redislog.Config) { c.WaitReplicas, c.Client = 1, &fake{} },
	} {
		cfg := good
		change(&cfg)
		_, err := redislog.New(cfg)
		require.ErrorContains(t, err, text)
	}
}

// fake is a client of which nothing is called.
type fake struct{ redis.UniversalClient }

// TestAppendWants: entries that no Log takes.
func TestAppendWants(t *testing.T) {
	l := newLog(t, redislog.Config{Client: clientOf(t, "127.0.0.1:1")})
	for _, data := range [][]byte{nil, {}, make([]byte, 4097)} {
		require.ErrorContains(t, l.Append(t.Context(), []revoke.Entry{{Data: []byte("x")}, {Data: data}}), "1 to 4096 bytes")
	}
	require.NoError(t, l.Append(t.Context(), nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, l.Append(ctx, []revoke.Entry{{Data: []byte("x")}}))
}

// TestErrorsShowNothing: no key, value, or text of the server's but its code.
func TestErrorsShowNothing(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	c := s.client(t)
	var lines bytes.Buffer
	var events []redislog.Event
	l := newLog(t, redislog.Config{
		Client: c, Namespace: "private", Logger: slog.New(slog.NewTextHandler(&lines, nil)),
		Observe: func(_ context.Context, e redislog.Event) {
			events = append(events, e)
			panic("a broken counter")
		},
	})
	require.NoError(t, c.Set(t.Context(), "{private}:log", "x", 0).Err())
	err := l.Append(t.Context(), []revoke.Entry{{Data: []byte("sealed")}})
	require.EqualError(t, err, "redislog: append: WRONGTYPE")
	_, err = l.State(t.Context())
	require.EqualError(t, err, "redislog: state: WRONGTYPE")
	var later interface{ RetryAfter() time.Duration }
	require.ErrorAs(t, err, &later)
	require.Equal(t, time.Second, later.RetryAfter())
	require.Len(t, events, 2)
	require.Equal(t, "append", events[0].Op)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", err, err, events), lines.String(), fmt.Sprint(err.Error())} {
		require.NotContains(t, text, "private")
		require.NotContains(t, text, "sealed")
	}
	require.Contains(t, lines.String(), "revocations are not shared")

	s.stop()
	_, err = l.State(t.Context())
	_, ok := errors.AsType[*net.OpError](err)
	require.True(t, ok, "%v", err)
	require.ErrorContains(t, err, "connection refused")
}

// TestCallersLeave: with their context, and in time when there is no answer; a client
// that never comes back has only so many exchanges.
func TestCallersLeave(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	way := startProxy(t, s.addr())
	way.silent.Store(true)
	c := clientOf(t, way.addr(), func(o *redis.Options) { o.ReadTimeout, o.PoolSize = -1, 100 })
	l := newLog(t, redislog.Config{Client: c, Timeout: 100 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := l.State(ctx)
	require.Equal(t, context.DeadlineExceeded, err)
	_, err = l.State(t.Context())
	require.ErrorIs(t, err, redislog.ErrUnavailable)
	require.EqualError(t, err, "redislog: state: no answer in 100ms")
	for range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err = l.State(ctx)
		cancel()
	}
	require.EqualError(t, err, "redislog: state: too many exchanges under way")
	require.ErrorIs(t, err, redislog.ErrUnavailable)
}

// waiting counts the commands that wait at the server.
type waiting struct {
	redis.Hook
	n atomic.Int64
}

func (w *waiting) DialHook(next redis.DialHook) redis.DialHook { return next }
func (w *waiting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (w *waiting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if slices.Contains(cmd.Args(), any("block")) {
			w.n.Add(1)
		}
		return next(ctx, cmd)
	}
}

// TestPoll: without reads that wait.
func TestPoll(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	var waits, polls waiting
	waitingClient, pollingClient := s.client(t), s.client(t)
	waitingClient.AddHook(&waits)
	pollingClient.AddHook(&polls)
	a := startNode(t, waitingClient)
	b := startNode(t, pollingClient, func(s *settings) { s.log.Poll, s.log.PageSize = 20*time.Millisecond, 7 })
	ready(t, a, b)
	numbered(t, a, "id", 100)
	eventually(t, func() bool { return b.refuses("id99") })
	asOf := b.Status().AsOf
	eventually(t, func() bool { return b.Status().AsOf.After(asOf) })
	require.Zero(t, b.log.Status().Gaps)
	require.NoError(t, s.client(t).FlushAll(t.Context()).Err())
	learns(t, s, "id0", "id99")
	require.Zero(t, polls.n.Load())
	require.Positive(t, waits.n.Load())
}

// TestTurn: one at a time has it.
func TestTurn(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := newLog(t, redislog.Config{Client: s.client(t)}), newLog(t, redislog.Config{Client: s.client(t)})
	for range 2 {
		release, err := a.Turn(t.Context())
		require.NoError(t, err)
		require.NotNil(t, release)
		again, err := a.Turn(t.Context())
		require.NoError(t, err)
		require.NotNil(t, again, "it is had already")
		none, err := b.Turn(t.Context())
		require.NoError(t, err)
		require.Nil(t, none)
		ttl := s.client(t).TTL(t.Context(), "{gatehouse:revoke}:turn").Val()
		require.True(t, ttl > 0 && ttl <= 20*time.Second, ttl)
		release()
		release, err = b.Turn(t.Context())
		require.NoError(t, err)
		require.NotNil(t, release)
		release()
	}
	s.stop()
	_, err := a.Turn(t.Context())
	require.Error(t, err)
}

// TestACL: a user who has no more than the documentation says, and one who may not
// write.
func TestACL(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	admin := s.client(t)
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "gatehouse", "on", ">secret", "~{gatehouse:revoke}:*",
		"+multi", "+exec", "+xadd", "+hset", "+hsetnx", "+hget", "+hlen", "+hscan", "+hdel", "+xinfo|stream", "+xrange", "+xread", "+set", "+del").Err())
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "reader", "on", ">secret", "~{gatehouse:revoke}:*",
		"+hget", "+hlen", "+hscan", "+xinfo|stream", "+xrange", "+xread").Err())
	as := func(user string) *redis.Client {
		return s.client(t, func(o *redis.Options) { o.Username, o.Password = user, "secret" })
	}
	var alarms atomic.Int64
	a := startNode(t, as("gatehouse"), func(s *settings) {
		s.log.Observe = func(_ context.Context, e redislog.Event) {
			if e.Err != nil && !errors.Is(e.Err, redislog.ErrGap) && !errors.Is(e.Err, context.Canceled) {
				alarms.Add(1)
			}
		}
	})
	b := startNode(t, as("reader"))
	ready(t, a, b)
	mustRevoke(t, a, single("1"))
	mustRevoke(t, a, ban("eve"))
	eventually(t, func() bool { return b.refuses("1") && b.refuses("eve") })
	_, err := b.Revoke(t.Context(), single("2"))
	require.ErrorIs(t, err, revoke.ErrUnavailable)
	require.ErrorContains(t, err, "redislog: append: NOPERM")
	require.NoError(t, admin.FlushAll(t.Context()).Err())
	learns(t, s, "1", "eve")
	requireRefused(t, b, "1", "eve")
	require.Zero(t, alarms.Load())
	require.Empty(t, a.log.Status().Eviction)
}

// TestWaitReplicas: an entry that no replica has is not acknowledged.
func TestWaitReplicas(t *testing.T) {
	t.Parallel()
	master, replica := startRedis(t), startRedis(t)
	link := startProxy(t, master.addr())
	waits := func(s *settings) { s.log.WaitReplicas, s.log.WaitTimeout = 1, 200*time.Millisecond }
	a := startNode(t, master.client(t), waits)
	ready(t, a)
	_, err := a.Revoke(t.Context(), single("1"))
	require.ErrorContains(t, err, "too few replicas")
	_, port := split(t, link.addr())
	require.NoError(t, replica.client(t).ReplicaOf(t.Context(), "127.0.0.1", port).Err())
	eventually(t, func() bool { _, err := a.Revoke(context.Background(), single("2")); return err == nil })
	require.Positive(t, replica.client(t).XLen(t.Context(), streamKey).Val())
	link.silent.Store(true)
	_, err = a.Revoke(t.Context(), single("3"))
	require.ErrorContains(t, err, "too few replicas")
}

// TestCluster: all keys are on one of its nodes.
func TestCluster(t *testing.T) {
	t.Parallel()
	s := startRedis(t, "--cluster-enabled", "yes")
	require.NoError(t, s.client(t).ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	cluster := func() *redis.ClusterClient {
		c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.addr()}})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	eventually(t, func() bool { return cluster().Set(context.Background(), "x", 1, 0).Err() == nil })
	a, b := startNode(t, cluster()), startNode(t, cluster())
	ready(t, a, b)
	mustRevoke(t, a, ban("eve"))
	ids := numbered(t, a, "id", 10)
	eventually(t, func() bool { return b.refuses("id9") && b.refuses("eve") })
	require.NoError(t, cluster().FlushAll(t.Context()).Err())
	learnsBy(t, cluster(), append(ids, "eve")...)
	w := newLog(t, redislog.Config{Client: cluster(), WaitReplicas: 1, WaitTimeout: 10 * time.Millisecond})
	require.ErrorContains(t, w.Append(t.Context(), []revoke.Entry{{Data: []byte("x")}}), "too few replicas")
}

// TestSentinel: it has another master, and the nodes go on with that.
func TestSentinel(t *testing.T) {
	t.Parallel()
	master, replica := startRedis(t), startRedis(t)
	require.NoError(t, replica.client(t).ReplicaOf(t.Context(), "127.0.0.1", master.port).Err())
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil,
		"sentinel monitor m 127.0.0.1 %s 1\nsentinel down-after-milliseconds m 500\nsentinel failover-timeout m 2000\n", master.port), 0o600))
	sentinel := startSentinel(t, file)
	client := func() *redis.Client {
		c := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{sentinel}})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	a, b := startNode(t, client()), startNode(t, client())
	ready(t, a, b)
	ids := numbered(t, a, "before", 20)
	known := redis.NewSentinelClient(&redis.Options{Addr: sentinel})
	t.Cleanup(func() { _ = known.Close() })
	eventually(t, func() bool {
		replicas, err := known.Replicas(context.Background(), "m").Result()
		return err == nil && len(replicas) == 1 && replica.client(t).XLen(context.Background(), streamKey).Val() == 20
	})
	master.stop()
	require.Eventually(t, func() bool { _, err := a.Revoke(context.Background(), single("after")); return err == nil }, 30*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool { return b.refuses("after") && b.Status().Ready }, 30*time.Second, 10*time.Millisecond)
	requireRefused(t, b, ids...)
}

// TestLapsedPins: what is kept beside the stream goes when its time is over.
func TestLapsedPins(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	c := s.client(t)
	l := newLog(t, redislog.Config{Client: c})
	now := time.Now()
	for _, until := range []time.Time{{}, now.Add(2 * time.Hour), now.Add(time.Minute)} {
		require.NoError(t, l.Append(t.Context(), []revoke.Entry{{Data: []byte(until.String()), Until: until}}))
	}
	require.Equal(t, int64(3), c.HLen(t.Context(), keptKey).Val(), "the epoch, one for ever, and one for long")
	lapsed := binary.BigEndian.AppendUint64(nil, uint64(now.Add(-11*time.Minute).UnixMilli()))
	require.NoError(t, c.HSet(t.Context(), keptKey, "pin:lapsed", string(lapsed)+"x").Err())
	count := 0
	for e, err := range l.Replay(t.Context(), [2]uint64{}) {
		require.NoError(t, err)
		require.NotEqual(t, "x", string(e.Data))
		count++
	}
	require.Equal(t, 2+3, count)
	require.Equal(t, int64(3), c.HLen(t.Context(), keptKey).Val())
}

// TestReplayEnds: with its caller, and when Redis was emptied meanwhile.
func TestReplayEnds(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	c := s.client(t)
	l := newLog(t, redislog.Config{Client: c, PageSize: 2})
	for range 10 {
		require.NoError(t, l.Append(t.Context(), []revoke.Entry{{Data: []byte("x"), Until: time.Now()}}))
	}
	for range l.Replay(t.Context(), [2]uint64{}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range l.Replay(ctx, [2]uint64{}) {
		last = err
		cancel()
	}
	require.ErrorIs(t, last, context.Canceled)
	for _, lose := range []func() error{
		func() error { return c.Del(context.Background(), streamKey).Err() },
		func() error { return c.FlushAll(context.Background()).Err() },
	} {
		for range 10 {
			require.NoError(t, l.Append(t.Context(), []revoke.Entry{{Data: []byte("x"), Until: time.Now()}}))
		}
		var err error
		for _, err = range l.Replay(t.Context(), [2]uint64{}) {
			if err == nil {
				require.NoError(t, lose())
			}
		}
		require.ErrorIs(t, err, redislog.ErrGap)
	}
	st, err := l.State(t.Context())
	require.NoError(t, err)
	require.Zero(t, st)
	for range l.Replay(t.Context(), [2]uint64{}) {
		t.Fatal("there is nothing")
	}
}

// TestNotTheSameLog: what is read after a State is of the Log that it told of, and what
// is read on from a position is of one that has it.
func TestNotTheSameLog(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	c := s.client(t)
	l := newLog(t, redislog.Config{Client: c})
	first := func(entries func(context.Context, [2]uint64) iter.Seq2[revoke.Entry, error], after [2]uint64) error {
		for _, err := range entries(t.Context(), after) {
			return err
		}
		return nil
	}
	more := func() {
		require.NoError(t, l.Append(t.Context(), []revoke.Entry{{Data: []byte("x"), Until: time.Now()}}))
	}
	more()
	require.ErrorIs(t, first(l.Tail, [2]uint64{1 << 60, 0}), redislog.ErrGap)
	require.NoError(t, first(l.Tail, [2]uint64{}))
	_, err := l.State(t.Context())
	require.NoError(t, err)
	require.NoError(t, first(l.Tail, [2]uint64{}))
	require.NoError(t, first(l.Replay, [2]uint64{}))
	require.NoError(t, c.FlushAll(t.Context()).Err())
	more()
	more()
	require.ErrorIs(t, first(l.Tail, [2]uint64{}), redislog.ErrGap)
	require.ErrorIs(t, first(l.Replay, [2]uint64{}), redislog.ErrGap)
	require.Equal(t, uint64(3), l.Status().Gaps)
	_, err = l.State(t.Context())
	require.NoError(t, err)
	require.NoError(t, first(l.Tail, [2]uint64{}))
	require.NoError(t, first(l.Replay, [2]uint64{}))
}

// TestTLS is with a certificate that the client does not trust.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	l := newLog(t, redislog.Config{Client: s.client(t, func(o *redis.Options) {
		o.TLSConfig, o.MaxRetries = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: "redis"}, -1
	}), Timeout: 2 * time.Second})
	_, err := l.State(t.Context())
	require.Error(t, err)
}
