package main

import (
	"fmt"
	"slices"
	"testing"
)

// contender is what is timed, one row of a table.
type contender struct {
	name string
	run  func(b *testing.B)
}

// figures are medians. ratio is the time by that of the first contender in the same
// round.
type figures struct {
	name                     string
	ns, ratio, allocs, bytes float64
}

// contest times the contenders in turns: all of them once, and again.
func (s *session) contest(contenders []contender) ([]figures, error) {
	type samples struct{ ns, ratio, allocs, bytes []float64 }
	all := make([]samples, len(contenders))
	for range s.rounds {
		for i, c := range contenders {
			r := testing.Benchmark(c.run)
			if r.N == 0 { // b.Fatal
				return nil, fmt.Errorf("%s: failed while it was timed", c.name)
			}
			n, own := float64(r.N), &all[i]
			own.ns = append(own.ns, float64(r.T.Nanoseconds())/n)
			own.ratio = append(own.ratio, last(own.ns)/last(all[0].ns))
			own.allocs = append(own.allocs, float64(r.MemAllocs)/n)
			own.bytes = append(own.bytes, float64(r.MemBytes)/n)
		}
	}
	medians := make([]figures, len(contenders))
	for i, c := range contenders {
		medians[i] = figures{c.name, median(all[i].ns), median(all[i].ratio), median(all[i].allocs), median(all[i].bytes)}
	}
	return medians, nil
}

func last(values []float64) float64 { return values[len(values)-1] }

// median of an even number of values is the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
