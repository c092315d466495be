package flight

import (
	"math/rand/v2"
	"time"
)

// Backoff says for how long a failure is remembered. The zero value is usable.
type Backoff struct {
	Min time.Duration // after the first failure, doubled by each further one; zero: 250 ms
	Max time.Duration // the doubling ends here; zero: 30 s

	// MaxRetryAfter caps what an error may ask for by RetryAfter() time.Duration,
	// which lengthens the pause, beyond Max too. Zero: 5 min; negative: not asked.
	MaxRetryAfter time.Duration
}

// pause is the time to the next call. Up to half of the doubled time is taken off
// at random, so that a fleet that failed together does not come back together.
func (b Backoff) pause(failures int, asked time.Duration) time.Duration {
	ceiling := positive(b.Max, 30*time.Second)
	d := min(positive(b.Min, 250*time.Millisecond), ceiling)
	for n := 1; n < failures && d < ceiling; n++ {
		if d > ceiling/2 {
			d = ceiling // and 2*d cannot overflow
		} else {
			d *= 2
		}
	}
	d -= rand.N(d/2 + 1)
	if b.MaxRetryAfter == 0 {
		b.MaxRetryAfter = 5 * time.Minute
	}
	return max(d, min(asked, b.MaxRetryAfter))
}

func positive(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
