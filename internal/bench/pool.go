package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// pool holds many Authorization headers without a pointer to each, so that a million
// of them do not slow the garbage collector, which would be counted as ours.
type pool struct {
	parts   []string // of whole headers, one behind the other
	perPart int
	size    int // of one header
	len     int
}

// at is the i-th header.
func (p *pool) at(i int) string {
	part, i := p.parts[i/p.perPart], i%p.perPart
	return part[i*p.size : (i+1)*p.size]
}

// inTurn hands out the headers one after the other, again and again.
func (p *pool) inTurn() func() string {
	next := -1
	return func() string {
		if next++; next == p.len {
			next = 0
		}
		return p.at(next)
	}
}

const bearer = "Bearer "

// newPool signs n tokens, on all cores. They must be equally long.
func newPool(k *key, n int, describe func(i int) token) (*pool, error) {
	workers := min(runtime.NumCPU(), n)
	p := &pool{parts: make([]string, workers), perPart: (n + workers - 1) / workers, len: n}
	first, err := k.token(describe(0))
	if err != nil {
		return nil, err
	}
	p.size = len(bearer + first)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var text strings.Builder
			text.Grow(p.perPart * p.size)
			for i := w * p.perPart; i < min((w+1)*p.perPart, n); i++ {
				token, err := k.token(describe(i))
				if err == nil && len(bearer+token) != p.size {
					err = fmt.Errorf("token %d is %d bytes longer than the first", i, len(bearer+token)-p.size)
				}
				if err != nil {
					errs[w] = err
					return
				}
				text.WriteString(bearer)
				text.WriteString(token)
			}
			p.parts[w] = text.String()
		})
	}
	wg.Wait()
	return p, errors.Join(errs...)
}
