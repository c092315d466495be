package clientcreds

import (
	"math/rand/v2"
	"time"

	"golang.org/x/oauth2"
)

const (
	defaultTTL  = 5 * time.Minute
	maxLifetime = 30 * 24 * time.Hour

	hardMargin = 10 * time.Second // before the end a token is not sent any more, or a tenth of its life
	softMargin = 5 * time.Minute  // before hard, a long-lived token is refreshed
)

// token is one token with its times. It is immutable.
type token struct {
	oauth2    oauth2.Token // what Token copies
	header    string       // of Authorization
	asked     time.Time    // when the request for it began
	lifetime  time.Duration
	refreshIn time.Duration // zero: the server did not say
	soft      moment        // from here on it is refreshed behind its use
	hard      moment        // from here on it is not used
	forced    bool          // it replaced one that an API had rejected
	rejected  bool          // an API answered 401: used only if no other can be had
}

// moment is a time by two clocks, the one that may be set and the one that stops
// while a machine sleeps. Whichever is later in the day decides.
type moment struct {
	at   time.Time
	wall int64
}

func momentOf(t time.Time) moment { return moment{t, t.UnixNano()} }

func (m moment) ahead(now time.Time) bool { return now.Before(m.at) && now.UnixNano() < m.wall }

// newToken counts from the start of the request: how long the answer was under way
// nobody knows. A lifetime of zero or less makes a token to be used once.
func newToken(a *answer, asked time.Time) *token {
	life := min(a.lifetime, maxLifetime)
	hard := life - min(hardMargin, life/10)
	soft := max(life/100*75+chance(life/10), hard-softMargin+chance(softMargin/10))
	if a.refreshIn > 0 {
		soft = min(max(a.refreshIn, hard/10), hard) // not all the time
	}
	expiry := asked.Add(life)
	t := &token{
		oauth2:    oauth2.Token{AccessToken: a.accessToken, TokenType: "Bearer", Expiry: expiry.Round(0)},
		header:    "Bearer " + a.accessToken,
		asked:     asked,
		lifetime:  life,
		refreshIn: a.refreshIn,
		soft:      momentOf(asked.Add(soft)),
		hard:      momentOf(asked.Add(hard)),
	}
	if a.scope != "" {
		t.oauth2 = *t.oauth2.WithExtra(map[string]any{"scope": a.scope})
	}
	return t
}

// chance spreads a fleet that started together.
func chance(most time.Duration) time.Duration {
	return rand.N(max(most, 0) + 1) //nolint:gosec // it need not be secret
}

// fresh: use it, and nothing else is to be done.
func (t *token) fresh(now time.Time) bool { return t != nil && !t.rejected && t.soft.ahead(now) }

// usable: use it rather than nothing.
func (t *token) usable(now time.Time) bool { return t != nil && t.hard.ahead(now) }

// renews reports that t gets further than old: some servers hand out the same
// token until it expires.
func (t *token) renews(old *token) bool {
	return old == nil || !t.same(old) || !old.rejected && t.hard.at.Sub(old.hard.at) > 2*time.Second
}

// same reports the same token, whenever it was asked for.
func (t *token) same(o *token) bool { return t.oauth2.AccessToken == o.oauth2.AccessToken }

// refused is the copy of t that an API has refused.
func (t *token) refused() *token {
	r := *t
	r.rejected = true
	return &r
}
