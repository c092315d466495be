package redislog_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
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

const (
	streamKey = "{gatehouse:revoke}:log"
	keptKey   = "{gatehouse:revoke}:kept"
)

// TestRestartWithData: nothing is lost, and what comes afterwards is seen.
func TestRestartWithData(t *testing.T) {
	t.Parallel()
	s := startRedis(t, keeps...)
	a, b := startNode(t, s.client(t)), startNode(t, s.client(t))
	ready(t, a, b)
	ids := numbered(t, a, "before", 50)
	s.restart(t, false)
	eventually(t, func() bool { _, err := a.Revoke(context.Background(), single("after")); return err == nil })
	eventually(t, func() bool { return b.refuses("after") })
	c := startNode(t, s.client(t))
	ready(t, c)
	for _, n := range []*node{a, b, c} {
		requireRefused(t, n, append(ids, "after")...)
	}
	require.Zero(t, a.Status().Damaged)
	length, err := s.client(t).XLen(t.Context(), streamKey).Result()
	require.NoError(t, err)
	require.Equal(t, int64(51), length, "nothing was given back, as nothing was lost")
}

// TestRestartEmpty: nodes go on to enforce what they know, and a new one learns it.
func TestRestartEmpty(t *testing.T) {
	t.Parallel()
	s := startRedis(t, keeps...)
	a, b := startNode(t, s.client(t)), startNode(t, s.client(t))
	ready(t, a, b)
	ids := append(numbered(t, a, "id", 50), "mallory")
	mustRevoke(t, b, ban("mallory"))
	eventually(t, func() bool { return a.refuses("mallory") })
	s.restart(t, true)
	requireRefused(t, a, ids...)
	learns(t, s, ids...)
	requireRefused(t, b, ids...)
	eventually(t, func() bool { return a.log.Status().Gaps > 0 && a.Status().Ready })
}

// learns has a new node know all in the end: what was lost takes its time to come back.
func learns(t *testing.T, s *server, ids ...string) {
	t.Helper()
	learnsBy(t, s.client(t), ids...)
}

func learnsBy(t *testing.T, c redis.UniversalClient, ids ...string) {
	t.Helper()
	n := startNode(t, c)
	eventually(t, func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return !n.refuses(id) })
	}, "%d", len(ids))
}

// TestFlushAll: with two nodes, each record is given back, and only once.
func TestFlushAll(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := startNode(t, s.client(t)), startNode(t, s.client(t))
	ready(t, a, b)
	ids := numbered(t, a, "id", 2500)
	for _, id := range []string{"eve", "mallory"} {
		ids = append(ids, id)
		mustRevoke(t, a, ban(id))
	}
	eventually(t, func() bool { return b.refuses("mallory") })
	for range 2 {
		require.NoError(t, s.client(t).FlushAll(t.Context()).Err())
		learns(t, s, ids...)
	}
	requireRefused(t, a, ids...)
	requireRefused(t, b, ids...)
	c := s.client(t)
	length, err := c.XLen(t.Context(), streamKey).Result()
	require.NoError(t, err)
	require.Equal(t, int64(len(ids)), length)
	kept, err := c.HLen(t.Context(), keptKey).Result()
	require.NoError(t, err)
	require.Equal(t, int64(3), kept, "the epoch and two bans")
}

// TestFailoverToALaggingReplica: what the new master has not got comes back from the
// nodes, and what it gets is not passed over, though its ids may be lower.
func TestFailoverToALaggingReplica(t *testing.T) {
	t.Parallel()
	master, replica := startRedis(t), startRedis(t)
	link, way := startProxy(t, master.addr()), startProxy(t, master.addr())
	_, port := split(t, link.addr())
	r := replica.client(t)
	require.NoError(t, r.ReplicaOf(t.Context(), "127.0.0.1", port).Err())
	a, b := startNode(t, clientOf(t, way.addr())), startNode(t, clientOf(t, way.addr()))
	ready(t, a, b)
	ids := numbered(t, a, "early", 20)
	eventually(t, func() bool { n, err := r.XLen(context.Background(), streamKey).Result(); return err == nil && n == 20 })
	link.silent.Store(true)
	ids = append(ids, numbered(t, a, "late", 20)...)
	eventually(t, func() bool { return b.refuses("late19") })

	way.partition()
	master.stop()
	require.NoError(t, r.ReplicaOf(t.Context(), "no", "one").Err())
	addr := replica.addr()
	way.target.Store(&addr)
	c := startNode(t, r) // which is there before the others
	ready(t, c)
	require.False(t, c.refuses("late0"))
	ids = append(ids, numbered(t, c, "new", 40)...) // more than were lost
	way.heal()
	for _, n := range []*node{a, b, c} {
		eventually(t, func() bool {
			return !slices.ContainsFunc(ids, func(id string) bool { return !n.refuses(id) })
		})
	}
	learns(t, replica, ids...)
	length, err := r.XLen(t.Context(), streamKey).Result()
	require.NoError(t, err)
	require.Equal(t, int64(80), length, "what was lost was given back once")
}

// TestTrimmedPastASlowNode: it reads all that there is, with what is kept beside the
// stream. What no time has lapsed comes back.
func TestTrimmedPastASlowNode(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	idle := func(s *settings) { s.idle = true }
	a, slow := startNode(t, s.client(t), idle), startNode(t, s.client(t), idle)
	c := s.client(t)
	mustRevoke(t, a, single("1"))
	require.NoError(t, slow.Warm(t.Context()))
	mustRevoke(t, a, ban("mallory"))
	mustRevoke(t, a, single("2"))
	require.NoError(t, c.XTrimMaxLen(t.Context(), streamKey, 0).Err())
	require.NoError(t, slow.Warm(t.Context()))
	requireRefused(t, slow, "1", "mallory")
	require.True(t, slow.passes("2"), "it was not kept for as long as it was wanted")
	n, err := c.XLen(t.Context(), streamKey).Result()
	require.NoError(t, err)
	require.Equal(t, int64(1), n, "it gave back what it had, but for what is there")

	require.NoError(t, a.Warm(t.Context()))
	require.NoError(t, slow.Warm(t.Context()))
	requireRefused(t, slow, "1", "2", "mallory")
	require.NoError(t, a.Warm(t.Context()))
	mustRevoke(t, a, single("3"))
	require.NoError(t, c.XTrimMaxLen(t.Context(), streamKey, 0).Err())
	require.NoError(t, a.Warm(t.Context()))
	learns(t, s, "1", "2", "3", "mallory")
}

// TestTrimming: what has lapsed goes, by the time of Redis, and nothing else. A node
// that is not behind sees no gap in that.
func TestTrimming(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a := startNode(t, s.client(t))
	c := s.client(t)
	lapsed := time.Now().Add(-time.Hour - 11*time.Minute).UnixMilli()
	live := time.Now().Add(-time.Hour - 9*time.Minute).UnixMilli()
	ready(t, a)
	for i := range 1000 {
		require.NoError(t, c.XAdd(t.Context(), &redis.XAddArgs{Stream: streamKey, ID: fmt.Sprintf("%d-%d", lapsed, i+1), Values: []string{"d", "x"}}).Err())
	}
	for i := range 1000 {
		require.NoError(t, c.XAdd(t.Context(), &redis.XAddArgs{Stream: streamKey, ID: fmt.Sprintf("%d-%d", live, i+1), Values: []string{"d", "x"}}).Err())
	}
	eventually(t, func() bool { return a.Status().Damaged == 2000 })
	mustRevoke(t, a, single("1"))
	mustRevoke(t, a, single("2"))
	n, err := c.XLen(t.Context(), streamKey).Result()
	require.NoError(t, err)
	require.Less(t, n, int64(1102+1))
	require.GreaterOrEqual(t, n, int64(1002))
	require.NoError(t, a.Warm(t.Context()))
	require.Zero(t, a.log.Status().Gaps)
	b := startNode(t, s.client(t))
	ready(t, b)
	requireRefused(t, b, "1", "2")
	for i := range 20 {
		mustRevoke(t, a, single(fmt.Sprint("more", i)))
		require.NoError(t, b.Warm(t.Context()))
	}
	require.Zero(t, b.log.Status().Gaps)
}

// TestPartition: what is known is enforced, the Mode decides about the rest once
// MaxStaleness is over, and it is got over.
func TestPartition(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	way := startProxy(t, s.addr())
	short := func(s *settings) {
		s.checker.MaxStaleness = 2 * time.Second
		s.checker.GraceAge, s.checker.GraceLife = time.Hour, 1
	}
	a, b := startNode(t, s.client(t)), startNode(t, clientOf(t, way.addr()), short)
	ready(t, a, b)
	mustRevoke(t, a, single("before"))
	eventually(t, func() bool { return b.refuses("before") })
	way.partition()
	mustRevoke(t, a, single("meanwhile"))
	eventually(t, func() bool { return !b.Status().Ready })
	outOfReach(t, b)
	require.Greater(t, b.Status().Staleness, 2*time.Second)
	require.Error(t, b.Status().LastError)
	way.heal()
	eventually(t, func() bool { return b.refuses("meanwhile") && b.Status().Ready })
	require.True(t, b.passes("other"))
	require.Zero(t, b.log.Status().Gaps, "nothing was lost")
}

// outOfReach is a node by each Mode, without Redis.
func outOfReach(t *testing.T, n *node) {
	t.Helper()
	for mode, passes := range map[revoke.Mode]bool{revoke.Strict: false, revoke.Graded: true, revoke.BestEffort: true} {
		view, err := n.WithMode(mode)
		require.NoError(t, err)
		revoked, err := view.Revoked(t.Context(), issued("before"))
		require.True(t, revoked && err == nil, "what is known is enforced in every mode")
		revoked, err = view.Revoked(t.Context(), issued("other"))
		require.False(t, revoked)
		if passes {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, revoke.ErrUnavailable)
		}
	}
	_, err := n.Revoke(t.Context(), single("not stored"))
	require.ErrorIs(t, err, revoke.ErrUnavailable)
	require.False(t, n.refuses("not stored"))
}

// TestHalfOpen: a connection on which nothing comes proves nothing.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	way := startProxy(t, s.addr())
	a := startNode(t, s.client(t))
	b := startNode(t, clientOf(t, way.addr(), func(o *redis.Options) { o.ReadTimeout = time.Second }), func(s *settings) {
		s.checker.MaxStaleness, s.log.Timeout = 2*time.Second, 2*time.Second
		s.checker.GraceAge, s.checker.GraceLife = time.Hour, 1
	})
	ready(t, a, b)
	mustRevoke(t, a, single("before"))
	eventually(t, func() bool { return b.refuses("before") })
	way.silent.Store(true)
	silent := time.Now()
	mustRevoke(t, a, single("meanwhile"))
	eventually(t, func() bool {
		st := b.Status()
		require.False(t, st.AsOf.After(silent.Add(time.Second)), "nothing was heard since")
		return !st.Ready
	})
	outOfReach(t, b)
	way.heal()
	eventually(t, func() bool { return b.refuses("meanwhile") && b.Status().Ready })
}

// TestSlowRedis: answers take five seconds, and checks what they took before.
func TestSlowRedis(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	way := startProxy(t, s.addr())
	a := startNode(t, s.client(t))
	b := startNode(t, clientOf(t, way.addr(), func(o *redis.Options) { o.ReadTimeout = 20 * time.Second }), func(s *settings) {
		s.log.Timeout = 20 * time.Second
	})
	ready(t, a, b)
	mustRevoke(t, a, single("before"))
	eventually(t, func() bool { return b.refuses("before") })
	p99 := func() time.Duration {
		took := make([]time.Duration, 20_000)
		claims := issued("other")
		for i := range took {
			begun := time.Now()
			revoked, err := b.Revoked(context.Background(), claims)
			took[i] = time.Since(begun)
			require.False(t, revoked || err != nil)
		}
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	quick := p99()
	way.delay.Store(int64(5 * time.Second))
	mustRevoke(t, a, single("meanwhile"))
	eventually(t, func() bool { return b.Status().Staleness > 4*time.Second })
	slow := p99()
	t.Logf("p99 of a check: %v, and %v while Redis takes 5 s", quick, slow)
	require.Less(t, slow, max(20*quick, 5*time.Millisecond), "no check waits for Redis")
	require.Eventually(t, func() bool { return b.refuses("meanwhile") }, 30*time.Second, 10*time.Millisecond)
	require.True(t, b.Status().Ready)
	require.Greater(t, b.Status().Staleness, 4*time.Second, "an answer tells how it was when it was asked for")
}

// TestNodeRestart: nothing passes until everything was read.
func TestNodeRestart(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	way := startProxy(t, s.addr())
	a := startNode(t, s.client(t))
	ids := numbered(t, a, "id", 300)
	way.delay.Store(int64(20 * time.Millisecond))
	var n *node
	var pages atomic.Int64
	n = startNode(t, clientOf(t, way.addr()), func(s *settings) {
		s.log.PageSize = 50
		s.log.Observe = func(_ context.Context, e redislog.Event) {
			if e.Op == "page" && e.Err == nil {
				pages.Add(1)
			}
		}
	})
	early := 0
	eventually(t, func() bool {
		_, err := n.Revoked(context.Background(), issued("other"))
		if err == nil {
			return true
		}
		early++
		require.ErrorIs(t, err, revoke.ErrUnavailable)
		require.False(t, n.Status().Ready && pages.Load() < 6)
		return false
	})
	require.Positive(t, early)
	require.GreaterOrEqual(t, pages.Load(), int64(6))
	requireRefused(t, n, ids...)
}

// TestProcessIsKilled: what a node has acknowledged before a kill -9 is known to the
// others, and to itself when it is back.
func TestProcessIsKilled(t *testing.T) {
	if addr := os.Getenv("REDISLOG_TEST_REDIS"); addr != "" {
		n := startNode(t, clientOf(t, addr))
		for i := 0; ; i++ {
			id := fmt.Sprintf("%d-%d", os.Getpid(), i)
			mustRevoke(t, n, single(id))
			fmt.Println("acknowledged", id)
		}
	}
	t.Parallel()
	s := startRedis(t)
	a := startNode(t, s.client(t))
	ready(t, a)
	var ids []string
	for kill := range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessIsKilled$")
		cmd.Env = append(os.Environ(), "REDISLOG_TEST_REDIS="+s.addr())
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		count := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if id, ok := strings.CutPrefix(lines.Text(), "acknowledged "); ok {
				if ids = append(ids, id); count == 20*(kill+1) {
					require.NoError(t, cmd.Process.Kill())
				}
				count++
			}
		}
		_ = cmd.Wait()
	}
	require.Greater(t, len(ids), 120)
	eventually(t, func() bool { return a.refuses(ids[len(ids)-1]) })
	requireRefused(t, a, ids...)
	learns(t, s, ids...)
}

// TestDuplicatesAndReorder: a log with the entries in another order, and some of them
// more than once, is as good.
func TestDuplicatesAndReorder(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	c := s.client(t)
	a := startNode(t, c)
	ids := append(numbered(t, a, "id", 100), "eve")
	mustRevoke(t, a, ban("eve"))
	undone := mustRevoke(t, a, ban("bob"))
	require.NoError(t, a.Restore(t.Context(), undone.ID))
	messages, err := c.XRange(t.Context(), streamKey, "-", "+").Result()
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	messages = append(messages, messages[:len(messages)/2]...)
	random.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	for _, m := range messages {
		require.NoError(t, c.XAdd(t.Context(), &redis.XAddArgs{Stream: "{other}:log", Values: m.Values}).Err())
	}
	b := startNode(t, c, func(s *settings) { s.log.Namespace = "other" })
	ready(t, b)
	requireRefused(t, b, ids...)
	require.True(t, b.passes("bob"))
	require.Equal(t, a.Status().Entries, b.Status().Entries)
}

// TestClockSkew: a node whose clock is ahead, or behind, drops nothing early, nor has
// others do so.
func TestClockSkew(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-time.Hour, -5 * time.Minute, 5 * time.Minute, time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			t.Parallel()
			s := startRedis(t)
			a := startNode(t, s.client(t), func(s *settings) { s.checker.Now = func() time.Time { return time.Now().Add(skew) } })
			require.NoError(t, a.Warm(t.Context()))
			r := single("1")
			r.Expires = time.Time{}
			mustRevoke(t, a, r)
			b := startNode(t, s.client(t))
			ready(t, b)
			requireRefused(t, b, "1")
			kept, err := s.client(t).HLen(t.Context(), keptKey).Result()
			require.NoError(t, err)
			pins := 0
			if skew >= 10*time.Minute {
				pins = 1 // it is wanted for longer than the stream has it
			}
			require.Equal(t, int64(1+pins), kept)
		})
	}
}

// TestRedisClock: a server whose clock jumps ahead has nothing trimmed that is wanted,
// and one whose clock jumps back nothing passed over.
func TestRedisClock(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a, b := startNode(t, s.client(t)), startNode(t, s.client(t))
	ready(t, a, b)
	ids := numbered(t, a, "before", 300)
	ahead := time.Now().Add(300 * 24 * time.Hour).UnixMilli()
	require.NoError(t, s.client(t).XAdd(t.Context(), &redis.XAddArgs{Stream: streamKey, ID: strconv.FormatInt(ahead, 10) + "-5", Values: []string{"d", "x"}}).Err())
	eventually(t, func() bool { return b.Status().Damaged == 1 })
	ids = append(ids, numbered(t, a, "after", 300)...) // their ids go on from there, as if the clock had jumped back
	eventually(t, func() bool { return b.refuses("after299") })
	learns(t, s, ids...)
	requireRefused(t, b, ids...)
	require.Zero(t, a.log.Status().Gaps)

	// Emptied at the same time, so that all ids are lower than those that were seen.
	require.NoError(t, s.client(t).FlushAll(t.Context()).Err())
	eventually(t, func() bool { _, err := a.Revoke(context.Background(), single("low")); return err == nil })
	eventually(t, func() bool { return b.refuses("low") })
	learns(t, s, append(ids, "low")...)
}

// TestPoison: what is no record of ours is skipped, and told of; others count.
func TestPoison(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	c := s.client(t)
	a := startNode(t, c)
	mustRevoke(t, a, single("1"))
	for _, values := range [][]string{
		{"d", "x"}, {"d", ""}, {"e", "x"}, {"d", "x", "d", "y"}, {"d", string(make([]byte, 100_000))}, {"\xff", "\x00"},
	} {
		require.NoError(t, c.XAdd(t.Context(), &redis.XAddArgs{Stream: streamKey, Values: values}).Err())
	}
	for i, pin := range []string{"", "short", "00000000", "\xff\xff\xff\xff\xff\xff\xff\xffgarbage", "\x00\x00\x00\x00\x00\x00\x00\x00garbage"} {
		require.NoError(t, c.HSet(t.Context(), keptKey, fmt.Sprint("pin:", i), pin).Err())
	}
	mustRevoke(t, a, single("2"))
	eventually(t, func() bool { return a.Status().Damaged == 6 })
	var alarms atomic.Int64
	b := startNode(t, c, func(s *settings) {
		s.checker.Observe = func(_ context.Context, e revoke.Event) {
			if e.Kind == "alarm" && e.Reason == revoke.ReasonRecord {
				alarms.Add(1)
			}
		}
	})
	ready(t, b)
	requireRefused(t, b, "1", "2")
	require.Equal(t, int64(11), alarms.Load())
	require.Equal(t, 11, int(b.Status().Damaged))
	require.Zero(t, b.log.Status().Gaps)
}

// TestMemoryOfRedis: what has no room is not stored, and who asked for it is told.
func TestMemoryOfRedis(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	c := s.client(t)
	a, b := startNode(t, c), startNode(t, c)
	ready(t, a, b)
	mustRevoke(t, a, single("1"))
	require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", "1mb").Err())
	_, err := a.Revoke(t.Context(), single("2"))
	require.ErrorIs(t, err, revoke.ErrUnavailable)
	require.ErrorContains(t, err, "redislog: append: OOM")
	require.False(t, a.refuses("2"))
	eventually(t, func() bool { return b.refuses("1") })
	require.NoError(t, b.Warm(t.Context()))
	require.True(t, a.Status().Ready && b.Status().Ready, "what can be read is fresh")
	require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", "256mb").Err())
	mustRevoke(t, a, single("2"))
	eventually(t, func() bool { return b.refuses("2") })
}

// TestMaxEntries: a node that cannot hold what others revoke says so, and gives up
// nothing.
func TestMaxEntries(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	a := startNode(t, s.client(t))
	ids := numbered(t, a, "id", 20)
	b := startNode(t, s.client(t), func(s *settings) { s.checker.MaxEntries = 10 })
	eventually(t, func() bool { return b.Status().Entries == 10 })
	eventually(t, func() bool { _, err := b.Revoked(context.Background(), issued("other")); return err != nil })
	require.False(t, b.Status().Ready)
	requireRefused(t, b, ids[:10]...)
	_, err := b.Revoke(t.Context(), single("more"))
	require.ErrorIs(t, err, revoke.ErrFull)
	requireRefused(t, a, ids...)
}

// TestEviction: whichever of the keys Redis gives up for room, it is seen, and what was
// in it comes back.
func TestEviction(t *testing.T) {
	t.Parallel()
	s := startRedis(t, "--maxmemory-policy", "allkeys-lru", "--maxmemory", "8mb", "--maxmemory-samples", "64")
	c := s.client(t)
	var lines lockedBuffer
	a := startNode(t, c, func(s *settings) { s.log.Logger = slog.New(slog.NewTextHandler(&lines, nil)) })
	ids := append(numbered(t, a, "id", 50), "eve")
	mustRevoke(t, a, ban("eve"))
	eventually(t, func() bool { return strings.Contains(lines.String(), "set maxmemory-policy to noeviction") })
	for _, key := range []string{streamKey, keptKey} {
		gaps := a.log.Status().Gaps
		require.NoError(t, c.Del(t.Context(), key).Err())
		eventually(t, func() bool { return a.log.Status().Gaps > gaps })
		learns(t, s, ids...)
	}
	gaps := a.log.Status().Gaps
	filler := string(make([]byte, 64<<10))
	for i := 0; a.log.Status().Gaps == gaps; i++ {
		require.Less(t, i, 100_000)
		require.NoError(t, c.Set(t.Context(), fmt.Sprint("filler", i), filler, 0).Err())
	}
	require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", "256mb").Err())
	learns(t, s, ids...)
	requireRefused(t, a, ids...)
	require.Equal(t, "allkeys-lru", a.log.Status().Eviction)
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestResyncDuringTraffic: at no moment is a token let through that is revoked.
func TestResyncDuringTraffic(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	c := s.client(t)
	a, b := startNode(t, c), startNode(t, c)
	ready(t, a, b)
	numbered(t, a, "id", 500)
	eventually(t, func() bool { return b.refuses("id499") })
	var missed, asked atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	for _, n := range []*node{a, b} {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				select {
				case <-stop:
					return
				default:
					if asked.Add(1); !n.refuses("id7") {
						missed.Add(1)
					}
				}
			}
		}()
	}
	for range 3 {
		epoch := b.log.Status().Epoch
		require.NoError(t, c.FlushAll(t.Context()).Err())
		eventually(t, func() bool {
			now, n := b.log.Status().Epoch, c.XLen(context.Background(), streamKey).Val()
			return now != "" && now != epoch && n == 500
		})
	}
	close(stop)
	<-done
	<-done
	require.Positive(t, asked.Load())
	require.Zero(t, missed.Load())
}

// TestWriteFailsHalfWay: who revokes is told, and may do it again.
func TestWriteFailsHalfWay(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	c := s.client(t)
	way := startProxy(t, s.addr())
	a := startNode(t, clientOf(t, way.addr(), func(o *redis.Options) { o.MaxRetries = -1; o.ReadTimeout = 300 * time.Millisecond }))
	b := startNode(t, c)
	ready(t, a, b)

	// The answer does not come: Redis has it all the same.
	way.delay.Store(int64(time.Second))
	_, err := a.Revoke(t.Context(), single("1"))
	require.ErrorIs(t, err, revoke.ErrUnavailable)
	eventually(t, func() bool { return b.refuses("1") })
	way.delay.Store(0)
	eventually(t, func() bool { _, err := a.Revoke(context.Background(), single("1")); return err == nil })
	requireRefused(t, a, "1")

	// One key of the two is of another type.
	require.NoError(t, c.Rename(t.Context(), streamKey, "{gatehouse:revoke}:aside").Err())
	require.NoError(t, c.Set(t.Context(), streamKey, "x", 0).Err())
	_, err = b.Revoke(t.Context(), ban("eve"))
	require.ErrorIs(t, err, revoke.ErrUnavailable)
	require.ErrorContains(t, err, "WRONGTYPE")
	require.NoError(t, c.Rename(t.Context(), "{gatehouse:revoke}:aside", streamKey).Err())
	eventually(t, func() bool { _, err := b.Revoke(context.Background(), ban("eve")); return err == nil })
	eventually(t, func() bool { return a.refuses("eve") && a.Status().Ready })
	requireRefused(t, b, "1", "eve")
}
