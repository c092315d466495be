package redislog_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// soak is three nodes, what they have acknowledged, and the faults they are put to.
type soak struct {
	t      *testing.T
	random *rand.Rand
	deck   []int
	redis  *server
	ways   [3]*proxy
	nodes  [3]atomic.Pointer[node]

	mu      sync.Mutex
	acked   []acked
	emptied int
	fragile bool // Redis was emptied: some of it may be on one node alone

	understated atomic.Int64
	sampled     atomic.Int64
	cutOff      int // times that a node was found to say that it cannot tell
}

type acked struct {
	id   string
	at   time.Time
	sure bool // Redis has it, and keeps it
}

const soakStaleness = 1500 * time.Millisecond

// TestSoak: whatever happens to Redis, the way to it and the nodes, nothing that was
// acknowledged is lost, and no node says that it is fresher than it is.
// GATEHOUSE_SOAK=60s makes it longer, GATEHOUSE_SOAK_SEED has another course of events.
func TestSoak(t *testing.T) {
	t.Parallel()
	length, err := time.ParseDuration(cmp.Or(os.Getenv("GATEHOUSE_SOAK"), "10s"))
	require.NoError(t, err)
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("GATEHOUSE_SOAK_SEED"), "1"), 10, 64)
	require.NoError(t, err)
	s := &soak{t: t, random: rand.New(rand.NewPCG(seed, 1)), redis: startRedis(t, keeps...)}
	for i := range s.ways {
		s.ways[i] = startProxy(t, s.redis.addr())
		s.startNode(i)
	}
	for i := range s.nodes {
		ready(t, s.nodes[i].Load())
	}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i := range s.nodes {
		group.Go(func() { s.write(ctx, i) })
		group.Go(func() { s.sample(ctx, i) })
	}
	counts := map[string]int{}
	for begun := time.Now(); time.Since(begun) < length; {
		counts[s.fault()]++
	}
	stop()
	group.Wait()
	s.heal()
	s.barrier()
	fresh := startNode(t, s.redis.client(t))
	s.requireAll(fresh)
	t.Logf("seed %d: %v, %d acknowledged, %d samples, cut off %d times", seed, counts, len(s.acked), s.sampled.Load(), s.cutOff)
	require.Greater(t, len(s.acked), int(length/time.Second)*20)
	require.Positive(t, s.sampled.Load())
	require.Zero(t, s.understated.Load())
}

func (s *soak) startNode(i int) {
	client := clientOf(s.t, s.ways[i].addr(), func(o *redis.Options) { o.MaxRetries, o.ReadTimeout = -1, 500*time.Millisecond })
	s.nodes[i].Store(startNode(s.t, client, func(cfg *settings) {
		cfg.checker.MaxStaleness = soakStaleness
		cfg.log.Timeout, cfg.log.Block = time.Second, 100*time.Millisecond
	}))
}

// write makes some seventy revocations a second on one node.
func (s *soak) write(ctx context.Context, i int) {
	tick := time.NewTicker(time.Second / 67)
	defer tick.Stop()
	var group sync.WaitGroup
	defer group.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		group.Go(func() {
			id := fmt.Sprintf("%d-%d", i, n)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			r := single(id)
			if n%100 == 0 {
				r = ban(id)
			}
			if _, err := s.nodes[i].Load().Revoke(ctx, r); err == nil {
				s.mu.Lock()
				s.acked = append(s.acked, acked{id, time.Now(), !s.fragile})
				s.mu.Unlock()
			}
		})
	}
}

// sample holds against each other what a node says of how fresh it is, and what it
// knows.
func (s *soak) sample(ctx context.Context, i int) {
	random := rand.New(rand.NewPCG(uint64(i), 2))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		s.mu.Lock()
		var a acked
		emptied := s.emptied
		if n := len(s.acked); n > 0 {
			a = s.acked[n-1-random.IntN(min(n, 100))]
		}
		s.mu.Unlock()
		n := s.nodes[i].Load()
		if asOf := n.Status().AsOf; a.sure && asOf.After(a.at) {
			known := n.refuses(a.id)
			s.sampled.Add(1)
			s.mu.Lock()
			if !known && s.emptied == emptied {
				s.understated.Add(1)
				s.t.Logf("node %d, as of %v after %s was acknowledged, lets it pass", i, asOf.Sub(a.at), a.id)
			}
			s.mu.Unlock()
		}
	}
}

// fault has one thing go wrong, and returns what.
func (s *soak) fault() string {
	wait := func(most time.Duration) { time.Sleep(time.Duration(s.random.Int64N(int64(most)))) }
	i := s.random.IntN(3)
	way := s.ways[i]
	defer wait(500 * time.Millisecond)
	if len(s.deck) == 0 {
		s.deck = s.random.Perm(8) // all kinds come, in any order
	}
	kind := s.deck[0]
	s.deck = s.deck[1:]
	switch kind {
	case 0:
		way.partition()
		wait(time.Second)
		way.heal()
		return "partition"
	case 1:
		way.partition()
		s.requireCutOff(i)
		way.heal()
		return "long partition"
	case 2:
		way.silent.Store(true)
		s.requireCutOff(i)
		way.heal()
		return "half-open"
	case 3:
		way.cut()
		return "cut"
	case 4:
		way.delay.Store(int64(s.random.IntN(300)) * int64(time.Millisecond))
		wait(time.Second)
		way.delay.Store(0)
		return "delay"
	case 5:
		s.redis.restart(s.t, false)
		return "kill Redis"
	case 6:
		s.barrier() // else what a dead node has written might be nowhere else
		n := s.nodes[i].Load()
		n.stop()
		s.startNode(i)
		return "kill node"
	default:
		s.barrier()
		s.mu.Lock()
		s.fragile = true
		s.emptied++
		for j := range s.acked { // what came since the barrier is on its node alone
			s.acked[j].sure = s.acked[j].sure && time.Since(s.acked[j].at) > 10*time.Second
		}
		s.mu.Unlock()
		require.NoError(s.t, s.redis.client(s.t).FlushAll(context.Background()).Err())
		if s.random.IntN(2) == 0 {
			s.redis.restart(s.t, false)
		}
		return "empty Redis"
	}
}

// requireCutOff waits until a node, to which nothing comes through, says so.
func (s *soak) requireCutOff(i int) {
	n, since := s.nodes[i].Load(), time.Now()
	require.Eventually(s.t, func() bool {
		_, err := n.Revoked(context.Background(), issued("other"))
		return err != nil
	}, 10*time.Second, 5*time.Millisecond)
	require.Less(s.t, time.Since(since), soakStaleness+time.Second)
	_, err := n.Revoked(context.Background(), issued("other"))
	require.ErrorIs(s.t, err, revoke.ErrUnavailable)
	s.cutOff++
}

func (s *soak) heal() {
	for _, way := range s.ways {
		way.heal()
		way.delay.Store(0)
	}
}

// barrier waits until all nodes have all that was acknowledged until now, and Redis as
// well.
func (s *soak) barrier() {
	s.heal()
	for i := range s.nodes {
		s.requireAll(s.nodes[i].Load())
	}
	s.mu.Lock()
	fragile := s.fragile
	s.mu.Unlock()
	if fragile {
		n := startNode(s.t, s.redis.client(s.t))
		s.requireAll(n)
		n.stop()
		s.mu.Lock()
		s.fragile = false
		s.mu.Unlock()
	}
}

func (s *soak) requireAll(n *node) {
	s.mu.Lock()
	all := s.acked[:len(s.acked):len(s.acked)]
	s.mu.Unlock()
	at := 0
	defer func() {
		if at < len(all) {
			fresh := startNode(s.t, s.redis.client(s.t))
			_ = fresh.Warm(context.Background())
			s.t.Logf("%s of %v is missing, in Redis: %v, %+v, %+v", all[at].id, all[at].at, fresh.refuses(all[at].id), n.Status(), n.log.Status())
		}
	}()
	require.Eventually(s.t, func() bool {
		for ; at < len(all); at++ {
			if !n.refuses(all[at].id) {
				return false
			}
		}
		return true
	}, 30*time.Second, 5*time.Millisecond, "something that was acknowledged is lost")
	for _, a := range all {
		require.True(s.t, n.refuses(a.id), "%s is lost", a.id)
	}
}
