package redislog_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/revoke/redislog"
)

// hook sees each command before it is sent, and after.
type hook struct {
	before, after func(redis.Cmder)
}

func (h hook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.before != nil {
			h.before(cmd)
		}
		err := next(ctx, cmd)
		if h.after != nil {
			h.after(cmd)
		}
		return err
	}
}

func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if h.before != nil {
				h.before(cmd)
			}
		}
		return next(ctx, cmds)
	}
}

// TestPinsComeBack holds against this: when {ns}:kept is evicted or deleted and the stream is
// not, a ban that is still in the stream counts as given back; its pin is never made
// again. Once the stream is trimmed, no node that starts knows of the ban.
func TestPinsComeBack(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	rdb := s.client(t)
	a := startNode(t, s.client(t))
	ready(t, a)
	mustRevoke(t, a, ban("bob"))
	settled(t, a)
	require.NoError(t, rdb.Del(t.Context(), keptKey).Err())
	eventually(t, func() bool { return a.log.Status().Gaps > 0 })
	mustRevoke(t, a, single("other"))
	eventually(t, func() bool { return rdb.HLen(t.Context(), keptKey).Val() > 1 }) // the pin, beside the epoch
	require.NoError(t, rdb.XTrimMaxLen(t.Context(), streamKey, 0).Err())           // as after MaxLifetime
	a.stop()
	b := startNode(t, s.client(t))
	ready(t, b)
	require.True(t, b.refuses("bob"), "a ban without an end is forgotten")
}

// TestDeletedEntries holds against this: what is deleted from the stream (XDEL, XTRIM) after
// the nodes have read it is not noticed and not given back, against doc.go ("running
// nodes notice, and give it back"): a node that starts then lets the token pass, Ready.
func TestDeletedEntries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		del  func(*redis.Client, context.Context) error
	}{
		{"XDEL of one in the middle", func(c *redis.Client, ctx context.Context) error {
			m, err := c.XRangeN(ctx, streamKey, "-", "+", 2).Result()
			if err != nil {
				return err
			}
			return c.XDel(ctx, streamKey, m[1].ID).Err()
		}},
		{"XTRIM of all", func(c *redis.Client, ctx context.Context) error { return c.XTrimMaxLen(ctx, streamKey, 0).Err() }},
		{"XTRIM of the oldest", func(c *redis.Client, ctx context.Context) error { return c.XTrimMaxLen(ctx, streamKey, 1).Err() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startRedis(t)
			a := startNode(t, s.client(t))
			ready(t, a)
			ids := numbered(t, a, "t", 4)
			settled(t, a)
			rdb := s.client(t)
			require.NoError(t, tt.del(rdb, t.Context()))
			eventually(t, func() bool { return rdb.XLen(t.Context(), streamKey).Val() >= 4 })
			b := startNode(t, s.client(t))
			ready(t, b)
			requireRefused(t, b, ids...)
		})
	}
}

// TestFailoverHidesLoss holds against this: a replica is promoted that lacks N entries, its
// clock is behind, and N entries come with ids below the cursor before one comes above
// it: the sum fits, so a node that had read the lost ones never reads the N new ones,
// is Ready and fresh; and what was lost is not given back.
func TestFailoverHidesLoss(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	p := startProxy(t, s.addr())
	first := startNode(t, s.client(t))
	ready(t, first)
	mustRevoke(t, first, single("epoch"))
	first.stop()
	a := startNode(t, clientOf(t, p.addr())) // will be away for the failover
	ready(t, a)
	numbered(t, a, "old", 5)
	for old := time.Now().UnixMilli(); time.Now().UnixMilli() == old; { // another millisecond in its id
		runtime.Gosched()
	}
	mustRevoke(t, a, single("lost"))
	requireRefused(t, a, "lost")
	settled(t, a)
	p.partition()

	// The promoted replica: as it was before "lost", the clock behind by a little.
	rdb := s.client(t)
	m, err := rdb.XRange(t.Context(), streamKey, "-", "+").Result()
	require.NoError(t, err)
	data := func(id string) string { // entries as another node writes them
		m := capture(t, single(id))
		return string(m.Data)
	}
	epoch := rdb.HGet(t.Context(), keptKey, "epoch").Val()
	require.NoError(t, rdb.FlushAll(t.Context()).Err())
	rdb.HSet(t.Context(), keptKey, "epoch", epoch)
	for _, e := range m[:len(m)-1] {
		require.NoError(t, rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: streamKey, ID: e.ID, Values: e.Values}).Err())
	}
	prev := m[len(m)-2].ID
	below := fmt.Sprintf("%s-%d", strings.Split(prev, "-")[0], 1000)
	require.NoError(t, rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: streamKey, ID: below, Values: []string{"d", data("below")}}).Err())
	require.NoError(t, rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: streamKey, ID: "*", Values: []string{"d", data("above")}}).Err())
	p.heal()
	eventually(t, func() bool { return a.refuses("above") })
	eventually(t, func() bool { return a.refuses("below") }, "acknowledged, never applied here")
	eventually(t, func() bool { return rdb.XLen(t.Context(), streamKey).Val() >= int64(len(m))+2 }, "what was lost is not given back")
	b := startNode(t, s.client(t))
	ready(t, b)
	requireRefused(t, b, "lost")
}

// settled waits for a proof that a node has read all that there is at this moment.
func settled(t testing.TB, n *node) {
	t.Helper()
	now := time.Now()
	eventually(t, func() bool { return n.Status().AsOf.After(now) })
}

// capture is the entry that a node would append.
func capture(t testing.TB, r revoke.Record) revoke.Entry {
	t.Helper()
	l := &revoke.MemoryLog{}
	c, err := revoke.New(sameSecret(revoke.Config{Log: l}))
	require.NoError(t, err)
	_, err = c.Revoke(t.Context(), r)
	require.NoError(t, err)
	for e := range l.Replay(t.Context(), [2]uint64{}) {
		return e
	}
	t.Fatal("nothing appended")
	return revoke.Entry{}
}

// TestAppendsStarveReads holds against this: appends and reads share 64 slots. While Redis is
// slow, whoever revokes fast takes all of them: reads fail as busy, the node goes stale
// and Strict refuses everybody, though Redis answers each exchange in 2 s.
func TestAppendsStarveReads(t *testing.T) {
	t.Parallel()
	var busy atomic.Int64
	s := startRedis(t)
	p := startProxy(t, s.addr())
	a := startNode(t, clientOf(t, p.addr(), func(o *redis.Options) { o.PoolSize = 200; o.ReadTimeout = 10 * time.Second }), func(s *settings) {
		s.checker.MaxStaleness = 10 * time.Second
		s.log.Observe = func(_ context.Context, e redislog.Event) {
			if e.Op != "append" && e.Err != nil && strings.Contains(e.Err.Error(), "too many exchanges") {
				busy.Add(1)
			}
		}
	})
	ready(t, a)
	p.delay.Store(int64(time.Second))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	var n atomic.Int64
	for range 200 {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, _ = a.Revoke(ctx, single(fmt.Sprint("x", n.Add(1))))
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	worst := time.Duration(0)
	for begun := time.Now(); time.Since(begun) < 12*time.Second; time.Sleep(50 * time.Millisecond) {
		worst = max(worst, a.Status().Staleness)
	}
	require.Zero(t, busy.Load(), "reads that were refused; staleness %v", worst)
	require.Less(t, worst, 10*time.Second, "%v", a.Status().LastError)
}

// TestClockOfRedisBehind holds against this: entries get ids of a clock that is behind by more
// than the ten minutes. When it is set right, they are trimmed at once, long before
// their tokens have expired.
func TestClockOfRedisBehind(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	var right atomic.Bool
	slow := s.client(t)
	seq := time.Now().Add(-2 * time.Hour).UnixMilli()
	slow.AddHook(hook{before: func(cmd redis.Cmder) {
		if args := cmd.Args(); args[0] == "xadd" && !right.Load() {
			for i, v := range args {
				if v == "*" { // the server's clock
					seq++
					args[i] = fmt.Sprintf("%d-0", seq)
				}
			}
		}
	}})
	a := startNode(t, slow)
	ready(t, a)
	ids := numbered(t, a, "t", 150) // more than one node of the radix tree, as trimming is approximate
	right.Store(true)
	mustRevoke(t, a, single("now"))
	mustRevoke(t, a, single("then"))
	a.stop()
	b := startNode(t, s.client(t))
	ready(t, b)
	requireRefused(t, b, ids...)
}

// TestShorterLifetime holds against this: a node with a shorter MaxLifetime (a rollout, another
// service) trims what the others still need: a node that starts does not know it.
func TestShorterLifetime(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	rdb := s.client(t)
	day := func(s *settings) { s.log.MaxLifetime, s.checker.MaxLifetime = 24*time.Hour, 24*time.Hour }
	a := startNode(t, s.client(t), day)
	ready(t, a)
	mustRevoke(t, a, single("first")) // makes known how long
	old := time.Now().Add(-3 * time.Hour).UnixMilli()
	require.NoError(t, rdb.Del(t.Context(), streamKey).Err())
	for i := range 150 { // revoked three hours ago
		r := single(fmt.Sprint("t", i))
		e := capture(t, r)
		require.NoError(t, rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: streamKey, ID: fmt.Sprintf("%d-%d", old, i), Values: []string{"d", string(e.Data)}}).Err())
	}
	eventually(t, func() bool { return a.refuses("t149") })
	settled(t, a)
	short := startNode(t, s.client(t))
	ready(t, short)
	mustRevoke(t, short, single("now"))
	mustRevoke(t, short, single("then"))
	short.stop()
	eventually(t, func() bool { return rdb.XLen(t.Context(), streamKey).Val() >= 152 }, "a, which runs, gives back")
	b := startNode(t, s.client(t), day)
	ready(t, b)
	for i := range 150 {
		requireRefused(t, b, fmt.Sprint("t", i))
	}
}

// TestReplica holds against this: a server that was a master is made a replica, and its own
// connections stay: a node that only reads goes on there. When the replica is cut off
// from its master, the node is fresh and Ready for ever, and learns nothing.
func TestReplica(t *testing.T) {
	t.Parallel()
	old, fresh := startRedis(t), startRedis(t)
	way := startProxy(t, fresh.addr())
	a := startNode(t, old.client(t))
	ready(t, a)
	mustRevoke(t, a, single("1"))
	host, port := split(t, way.addr())
	require.NoError(t, fresh.client(t).Do(t.Context(), "replicaof", "127.0.0.1", old.port).Err())
	eventually(t, func() bool { return fresh.client(t).XLen(t.Context(), streamKey).Val() == 1 })
	require.NoError(t, fresh.client(t).Do(t.Context(), "replicaof", "no", "one").Err())
	require.NoError(t, old.client(t).Do(t.Context(), "replicaof", host, port).Err())
	eventually(t, func() bool {
		return strings.Contains(old.client(t).Info(t.Context(), "replication").Val(), "link_status:up")
	})
	way.partition()
	b := startNode(t, fresh.client(t))
	ready(t, b)
	mustRevoke(t, b, single("2"))
	revoked := time.Now()
	eventually(t, func() bool { return a.Status().Staleness > time.Second }, "fresh on a server that is cut off")
	require.False(t, a.Status().AsOf.After(revoked) && a.passes("2"), "AsOf says that what was appended before is in force here")
}

// TestScanOverRestart holds against this: pins are read by HSCAN in several exchanges. Redis is
// restarted (or fails over) between two: another process hashes otherwise, the cursor
// means something else there, go-redis goes on as if nothing were, and pins are skipped.
// The node is Ready without those bans, and nothing finds out.
func TestScanOverRestart(t *testing.T) {
	t.Parallel()
	s := startRedis(t, keeps...)
	a := startNode(t, s.client(t))
	ready(t, a)
	var bans []revoke.Entry
	for i := range 2000 {
		bans = append(bans, capture(t, ban(fmt.Sprint("u", i))))
	}
	require.NoError(t, a.log.Append(t.Context(), bans))
	a.stop()
	require.NoError(t, s.client(t).XTrimMaxLen(t.Context(), streamKey, 0).Err()) // as after MaxLifetime
	c := s.client(t)
	var pages atomic.Int32
	c.AddHook(hook{after: func(cmd redis.Cmder) {
		if cmd.Name() == "hscan" && pages.Add(1) == 2 {
			s.restart(t, false)
		}
	}})
	b := startNode(t, c, func(s *settings) { s.log.PageSize = 500 })
	ready(t, b)
	missing := 0
	for i := range 2000 {
		if !b.refuses(fmt.Sprint("u", i)) {
			missing++
		}
	}
	require.Zero(t, missing, "bans of 2000 not in force on a node that is Ready")
}
