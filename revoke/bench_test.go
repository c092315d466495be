package revoke_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// fixed is claims that cost little to read, boxed once as those of jwtvalidate are.
type fixed struct {
	iss, jti, sub, iat, exp any
	id                      []byte
}

func (f *fixed) Get(name string) (any, bool) {
	switch name {
	case "iss":
		return f.iss, true
	case "jti":
		return f.jti, true
	case "sub":
		return f.sub, true
	case "iat":
		return f.iat, true
	case "exp":
		return f.exp, true
	}
	return nil, false
}

// held is what a benchmark checks against: n entries of one kind, and tokens that
// are not among them.
func held(tb testing.TB, kind revoke.Kind, n int) (*revoke.Checker, *fixed) {
	tb.Helper()
	c := newChecker(tb, revoke.Config{MaxEntries: 1 << 27})
	now := time.Now()
	r := record(kind, "revoked")
	if kind == revoke.KindToken {
		r.Expires = now.Add(time.Hour)
	}
	mustRevoke(tb, c, r)
	until := uint64(now.Add(time.Hour).Unix())
	if kind != revoke.KindToken {
		until = uint64(now.UnixMilli()) << 21
	}
	c.Fill(kind, n-1, until)
	iat := now.Add(time.Minute).Truncate(time.Second)
	id := []byte("5f1b1d5a-6c1e-4b7e-9d0a-000000000000")
	asked := &fixed{id: id, iss: issuer, iat: date(iat), exp: date(iat.Add(time.Hour))}
	asked.jti = unsafe.String(unsafe.SliceData(id), len(id))
	asked.sub = asked.jti
	return c, asked
}

// next makes another token of it. Its id changes in place: reading claims from a
// cold heap is no part of a check.
func (f *fixed) next() {
	for i := len(f.id) - 1; ; i-- {
		if f.id[i]++; f.id[i] <= '9' {
			return
		}
		f.id[i] = '0'
	}
}

// BenchmarkEmpty is a check while nothing was ever revoked.
func BenchmarkEmpty(b *testing.B) {
	c := newChecker(b, revoke.Config{})
	claims := revoke.Claims(issued(time.Now(), nil))
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if revoked, err := c.Revoked(ctx, claims); revoked || err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheck is a check of a token that passes, its claims read and hashed.
func BenchmarkCheck(b *testing.B) {
	for _, kind := range []revoke.Kind{revoke.KindToken, revoke.KindSubject} {
		for _, n := range []int{1, 1_000_000, 10_000_000} {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				c, claims := held(b, kind, n)
				ctx := context.Background()
				runtime.GC()
				b.ReportAllocs()
				for b.Loop() {
					claims.next()
					if revoked, err := c.Revoked(ctx, claims); revoked || err != nil {
						b.Fatal(revoked, err)
					}
				}
			})
		}
	}
}

// BenchmarkRevoke is what it takes to add a token to a table that grows from nothing.
func BenchmarkRevoke(b *testing.B) {
	c := newChecker(b, revoke.Config{MaxEntries: 1 << 27})
	ctx := context.Background()
	r := record(revoke.KindToken, "")
	r.Expires = time.Now().Add(time.Hour)
	ids := make([]string, 1<<20)
	for i := range ids {
		ids[i] = fmt.Sprintf("5f1b1d5a-6c1e-4b7e-9d0a-%012d", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Value = ids[i&(1<<20-1)]
		if i >= 1<<20 {
			r.Value += fmt.Sprint(i)
		}
		if _, err := c.Revoke(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAdd is the entry alone, in a table that grows from nothing.
func BenchmarkAdd(b *testing.B) {
	t := revoke.NewTable(false)
	for i := uint64(0); b.Loop(); i++ {
		t.Add(max(mixed(i), 2), i)
	}
}

// heapPer is how much of the heap each of n entries holds.
func heapPer(tb testing.TB, wide bool, n int) float64 {
	tb.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	t := revoke.NewTable(wide)
	fp := uint64(1)
	for range n {
		fp = fp*6364136223846793005 + 1442695040888963407
		t.Add(max(fp, 2), 1)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(t)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
}

// BenchmarkMemory measures the heap of ten million entries.
func BenchmarkMemory(b *testing.B) {
	for _, wide := range []bool{false, true} {
		b.Run(map[bool]string{false: "token", true: "cutoff"}[wide], func(b *testing.B) {
			worst := 0.0
			for b.Loop() {
				worst = max(worst, heapPer(b, wide, 10_000_000))
			}
			b.ReportMetric(worst, "B/entry")
		})
	}
}

// TestMemory holds it at any size.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has a heap of its own")
	}
	for n := 200_000.0; n < 900_000; n *= 1.3 {
		require.LessOrEqual(t, heapPer(t, false, int(n)), 20.0, "%d tokens", int(n))
		require.LessOrEqual(t, heapPer(t, true, int(n)), 28.0, "%d cutoffs", int(n))
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	empty := newChecker(t, revoke.Config{})
	claims := revoke.Claims(issued(time.Now(), nil))
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = empty.Revoked(t.Context(), claims) }))
	for _, kind := range []revoke.Kind{revoke.KindToken, revoke.KindSubject, revoke.KindSession, revoke.KindClient, revoke.KindEverything} {
		c := newChecker(t, revoke.Config{Log: new(revoke.MemoryLog)})
		r := record(kind, "other")
		if kind == revoke.KindEverything {
			r.Value = ""
			r.IssuedBefore = time.Now().Add(-10 * time.Minute)
		}
		mustRevoke(t, c, r)
		require.Zero(t, math.Floor(testing.AllocsPerRun(1000, func() { _, _ = c.Revoked(t.Context(), claims) })), kind)
		requireReason(t, c, "", claims)
	}
}

// BenchmarkFind is the table alone: what memory costs on the machine.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t := revoke.NewTable(false)
			for i := range n {
				t.Add(max(mixed(uint64(i)), 2), 1)
			}
			last := uint64(0)
			for i := uint64(1 << 40); b.Loop(); i++ { // each waits for the one before, as behind a hash
				last, _ = t.Get(max(mixed(i+last), 2))
			}
		})
	}
}
