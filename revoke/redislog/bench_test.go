package redislog_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
	"github.com/gatehouse-auth/gatehouse/revoke/redislog"
)

// BenchmarkReplay has a Checker load all that there is: read, decoded, and in force.
func BenchmarkReplay(b *testing.B) {
	const entries = 300_000
	s := startRedis(b)
	var memory revoke.MemoryLog
	source := startNode(b, s.client(b), func(s *settings) { s.idle = true; s.checker.MaxEntries = entries })
	cfg := sameSecret(revoke.Config{Log: &memory, MaxEntries: entries})
	maker, err := revoke.New(cfg)
	require.NoError(b, err)
	expires := time.Now().Add(time.Hour)
	for i := range entries {
		_, err := maker.Revoke(b.Context(), revoke.Record{Kind: revoke.KindToken, Issuer: issuer, Value: fmt.Sprint(i), Expires: expires})
		require.NoError(b, err)
	}
	var batch []revoke.Entry
	for e, err := range memory.Replay(b.Context(), [2]uint64{}) {
		require.NoError(b, err)
		if batch = append(batch, e); len(batch) == 1000 {
			require.NoError(b, source.log.Append(b.Context(), batch))
			batch = nil
		}
	}
	require.NoError(b, source.log.Append(b.Context(), batch))
	used, err := s.client(b).MemoryUsage(b.Context(), streamKey).Result()
	require.NoError(b, err)
	for b.Loop() {
		n := startNode(b, s.client(b), func(s *settings) { s.idle = true; s.checker.MaxEntries = entries })
		require.NoError(b, n.Warm(b.Context()))
		require.Equal(b, entries, n.Status().Entries)
	}
	b.ReportMetric(float64(entries)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(used)/entries, "B/record")
}

// BenchmarkPropagation is from the call of Revoke on one node to the first token that
// another refuses.
func BenchmarkPropagation(b *testing.B) {
	s := startRedis(b)
	from, to := startNode(b, s.client(b)), startNode(b, s.client(b))
	ready(b, from, to)
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		id := fmt.Sprint(i)
		begun := time.Now()
		mustRevoke(b, from, single(id))
		for !to.refuses(id) {
			runtime.Gosched()
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkAppend is of one revocation at a time.
func BenchmarkAppend(b *testing.B) {
	s := startRedis(b)
	l := newLog(b, redislog.Config{Client: s.client(b)})
	for b.Loop() {
		require.NoError(b, l.Append(context.Background(), []revoke.Entry{{Data: make([]byte, 100), Until: time.Now().Add(time.Hour)}}))
	}
}
