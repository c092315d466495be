package clientcreds

import (
	"context"
	"time"
)

// Hit is what Token and RoundTrip do for a token, without making anything of it.
func (s *Source) Hit(ctx context.Context) (header string, err error) {
	t, err := s.own.get(ctx)
	if err != nil {
		return "", err
	}
	return t.header, nil
}

// Ration is the ration of an entry, by what it goes by.
type Ration struct{ ration }

// Allow reports whether a token that was asked for at a time may be replaced.
func (r *Ration) Allow(now time.Time, forced bool, asked time.Time) bool {
	return r.allow(now, &token{forced: forced, asked: asked})
}

// Ahead reports whether a moment is ahead of now by both of its clocks.
func Ahead(at time.Time, wall int64, now time.Time) bool { return moment{at, wall}.ahead(now) }
