package main

import (
	"context"
	"net/http"
	"runtime"
	"testing"

	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// coresSection is how much more two cores do than one.
func coresSection(ctx context.Context, s *session) error {
	if runtime.NumCPU() < 2 {
		s.note("This machine has one core.")
		return nil
	}
	k, err := newKey(rs256)
	if err != nil {
		return err
	}
	tokens, err := newPool(k, 100, oneKiB)
	if err != nil {
		return err
	}
	p, err := policy(k, 0)
	if err != nil {
		return err
	}
	v, err := jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}})
	if err != nil {
		return err
	}
	h := v.Handler(next)
	if err := newTraffic(ctx, h, http.StatusNoContent, tokens.inTurn()).times(2 * tokens.len); err != nil {
		return err
	}
	decoded, err := undress(rs256, tokens.at(0)[len(bearer):])
	if err != nil {
		return err
	}
	t := newTable("requests per second, thousands", "1 core", "2 cores", "2 ÷ 1")
	for _, row := range []struct {
		name  string
		newOp func() func() // for one goroutine
	}{
		{"bare RS256 verification: what this machine allows", func() func() {
			return func() { k.verify(decoded) }
		}},
		{"a copy of a request with a value in its context, no middleware", func() func() {
			return newTraffic(ctx, passing, http.StatusNoContent, always(tokens.at(0))).serve
		}},
		{"CheckToken, the same remembered token for all: no request to copy", func() func() {
			return func() { _, _ = v.CheckToken(ctx, tokens.at(0)[len(bearer):]) }
		}},
		{"the same remembered token for all", func() func() {
			return newTraffic(ctx, h, http.StatusNoContent, always(tokens.at(0))).serve
		}},
		{"100 remembered tokens", func() func() {
			return newTraffic(ctx, h, http.StatusNoContent, tokens.inTurn()).serve
		}},
	} {
		results, err := s.contest([]contender{onCores(1, row.newOp), onCores(2, row.newOp)})
		if err != nil {
			return err
		}
		one, two := results[0], results[1]
		t.add(row.name, whole(1e6/one.ns), whole(1e6/two.ns), hundred(1/two.ratio))
	}
	s.note("Remembered tokens of 1 KiB, RS256.\n\n%s", t)
	return nil
}

// passing is a middleware that only hands something on.
var passing = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), passedKey{}, w)))
})

type passedKey struct{}

// onCores runs one goroutine on each of n cores, each with an operation of its own.
func onCores(n int, newOp func() func()) contender {
	return contender{name: "cores", run: func(b *testing.B) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			op := newOp()
			for pb.Next() {
				op()
			}
		})
	}}
}
