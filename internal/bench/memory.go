package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// memorySection is what remembering costs in memory.
func memorySection(ctx context.Context, s *session) error {
	k, err := newKey(rs256)
	if err != nil {
		return err
	}
	tokens, err := newPool(k, s.sizes.memory, oneKiB)
	if err != nil {
		return err
	}
	t := newTable("tokens of 1 KiB offered", "remembered", "heap, MiB", "KiB a token")
	before := heap()
	hits := 0
	h, err := gatehouse(k, jwtvalidate.Config{CacheEntries: 4 * s.sizes.memory, Observe: func(_ context.Context, e jwtvalidate.Event) {
		if e.Cached {
			hits++
		}
	}})
	if err != nil {
		return err
	}
	load := newTraffic(ctx, h, http.StatusNoContent, tokens.inTurn())
	if err := load.times(tokens.len); err != nil {
		return err
	}
	used := float64(heap() - before)
	hits = 0
	if err := load.times(tokens.len); err != nil { // which keeps the handler and the tokens as well
		return err
	}
	if hits == 0 {
		return fmt.Errorf("none of %d tokens was remembered", tokens.len)
	}
	t.add(whole(float64(tokens.len)), whole(float64(hits)), fmt.Sprintf("%.1f", used/(1<<20)), hundred(used/1024/float64(hits)))
	s.note("RS256. There are four times as many places, so that none loses its own to another.\n\n%s", t)
	return nil
}

// heap is what is in use when all garbage is gone.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what sync.Pool has kept over the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
