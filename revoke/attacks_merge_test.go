package revoke_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

// modelled is a Record with what a model needs to decide without the code under test.
type modelled struct {
	rec   revoke.Record
	until time.Time // forgotten then; zero: never
	made  time.Time
}

func (m *modelled) fits(tok token, thumb string, now time.Time) bool {
	if !m.until.IsZero() && !now.Before(m.until) {
		return false
	}
	r := &m.rec
	if r.Issuer != "" && tok["iss"] != r.Issuer {
		return false
	}
	switch r.Kind {
	case revoke.KindToken:
		return tok["jti"] == r.Value
	case revoke.KindSession:
		return tok["sid"] == r.Value
	case revoke.KindSubject:
		if tok["sub"] != r.Value {
			return false
		}
	case revoke.KindClient:
		if tok["client_id"] != r.Value && tok["azp"] != r.Value {
			return false
		}
	case revoke.KindKey:
		if thumb != r.Value {
			return false
		}
	case revoke.KindClaims:
		for n, v := range r.Claims {
			if tok[n] != v {
				return false
			}
		}
	case revoke.KindIssuer, revoke.KindEverything:
	}
	if r.Ban || r.Kind == revoke.KindKey && r.IssuedBefore.IsZero() {
		return true
	}
	iat := time.Unix(tok["unix"].(int64), 0)
	cutoff := r.IssuedBefore
	if cutoff.IsZero() {
		cutoff = m.made.Add(time.Millisecond)
	}
	return iat.Before(cutoff)
}

// TestAttackModel has three nodes on one log revoke, restore and catch up at random, and
// holds them, and readers of the shuffled, doubled, cut and reversed log, against a model.
// Beyond the test of the package: re-revocation after restore on several nodes, time that
// runs past lapses while the history is made, partial replays, small tables.
func TestAttackModel(t *testing.T) {
	for round := range 150 {
		random := rand.New(rand.NewPCG(11, uint64(round)))
		pick := func(texts ...string) string { return texts[random.IntN(len(texts))] }
		var now clock
		var log revoke.MemoryLog
		cfg := func(l revoke.Log) revoke.Config {
			return revoke.Config{Log: l, Now: now.now, MaxStaleness: time.Hour, LoadTimeout: time.Hour}
		}
		var nodes []*revoke.Checker
		for range 3 {
			nodes = append(nodes, newChecker(t, cfg(&log)))
		}
		live := map[string][]*modelled{}
		dead := map[string]time.Time{} // an id is dead until what had it is forgotten; it may then come again
		var ids []string
		cut := 0
		var history []string
		for step := range 80 {
			n := nodes[random.IntN(3)]
			if random.IntN(2) == 0 { // else it works with what it has
				require.NoError(t, n.Warm(t.Context()))
			}
			r := record(revoke.Kind(pick("token", "session", "subject", "client", "claims", "key", "issuer", "everything", "token", "session")), pick("a", "b"))
			at := now.now()
			m := &modelled{made: at}
			switch r.Kind {
			case revoke.KindClaims:
				r.Value, r.Claims = "", map[string]any{pick("sub", "azp"): pick("a", "b"), "sid": pick("a", "b")}
			case revoke.KindIssuer, revoke.KindEverything:
				r.Value, r.IssuedBefore = "", at.Add(-time.Duration(10+random.IntN(45))*time.Minute)
			case revoke.KindToken:
				if random.IntN(2) == 0 {
					r.Expires = at.Add(time.Duration(random.IntN(3600)) * time.Second)
				}
			}
			if r.Kind == revoke.KindSubject && random.IntN(4) == 0 {
				r.Ban, r.Until = true, at.Add(time.Duration(1+random.IntN(20))*time.Minute)
			}
			receipt, err := n.Revoke(t.Context(), r)
			require.NoError(t, err)
			m.rec, m.until = r, receipt.Until
			if end, ok := dead[receipt.ID]; !ok || !at.Before(end) { // a node that did not know of a Restore: that wins
				live[receipt.ID] = append(live[receipt.ID], m)
			}
			ids = append(ids, receipt.ID)
			history = append(history, fmt.Sprint("\n", at.Sub(epoch), " ", r.Kind, r.Value, " ", receipt.ID, " until ", receipt.Until.Sub(epoch)))
			if random.IntN(3) == 0 {
				id := ids[random.IntN(len(ids))]
				err := n.Restore(t.Context(), id)
				require.NoError(t, ignoreUnknown(err))
				if err == nil {
					history = append(history, fmt.Sprint("\n", at.Sub(epoch), " restore ", id))
					for _, m := range live[id] {
						end := m.until
						if end.IsZero() {
							end = at.Add(1e6 * time.Hour)
						}
						if dead[id].Before(end) {
							dead[id] = end
						}
					}
					delete(live, id)
				}
			}
			now.add(time.Duration(random.IntN(120)) * time.Second)
			if step == 40 {
				cut = len(entries(t, &log))
			}
		}
		all := entries(t, &log)
		names := []string{"node 0", "node 1", "node 2"}
		reader := func(name string, parts ...[]revoke.Entry) {
			var l revoke.MemoryLog
			c := newChecker(t, cfg(&l))
			for _, p := range parts {
				require.NoError(t, l.Append(t.Context(), p))
				require.NoError(t, c.Warm(t.Context()))
			}
			nodes, names = append(nodes, c), append(names, name)
		}
		shuffled := append(append([]revoke.Entry(nil), all...), all[len(all)/3:]...)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		reversed := append([]revoke.Entry(nil), all...)
		for i := range len(reversed) / 2 {
			j := len(reversed) - 1 - i
			reversed[i], reversed[j] = reversed[j], reversed[i]
		}
		reader("in order", all)
		reader("shuffled", shuffled)
		reader("reversed", reversed)
		reader("second half first, then all", all[cut:], all)
		reader("all, then the first half again", all, all[:cut])
		for range 60 {
			for _, c := range nodes[:3] {
				require.NoError(t, c.Warm(t.Context()))
			}
			unix := now.now().Unix() - int64(random.IntN(3600*2))
			tok := token{
				"iss": issuer, "jti": pick("a", "b", "c"), "sid": pick("a", "b", "d"), "sub": pick("a", "b", "c"),
				"client_id": pick("a", "d"), "azp": pick("a", "b"), "unix": unix,
				"iat": date(time.Unix(unix, 0)), "exp": date(time.Unix(unix+3600, 0)),
			}
			thumb := thumbOf(pick("a", "b", "d", "d"))
			want := false
			for _, ms := range live {
				for _, m := range ms {
					want = want || m.fits(tok, thumb, now.now())
				}
			}
			for i, c := range nodes {
				got, err := c.Revoked(t.Context(), signed{tok, thumb})
				require.NoError(t, ignoreStale(err))
				if want != got {
					for id, ms := range live {
						for _, m := range ms {
							if m.fits(tok, thumb, now.now()) {
								t.Log("fits", id, m.rec.Kind, m.rec.Value, m.rec.Ban, "made", m.made.Sub(epoch), "until", m.until.Sub(epoch), "now", now.now().Sub(epoch))
							}
						}
					}
					t.Log(history)
				}
				require.Equal(t, want, got, "round %d, %s, now %s", round, names[i], now.now())
			}
			now.add(time.Duration(random.IntN(90)) * time.Second)
		}
	}
}

// TestAttackPresenceMergesInAnyOrder is the smallest case that the model found: a token
// is revoked and restored twice, and revoked again when the first of its ids has lapsed.
// The number of that one is used again, and is below that of the second, whose restore
// takes the new record out with it if it comes later: an acknowledged revocation is gone.
func TestAttackPresenceMergesInAnyOrder(t *testing.T) {
	var now clock
	var log revoke.MemoryLog
	c := newChecker(t, revoke.Config{Log: &log, Now: now.now, MaxStaleness: time.Hour})
	for _, life := range []time.Duration{10 * time.Minute, 50 * time.Minute} {
		receipt := mustRevoke(t, c, expiring("id-1", epoch.Add(life)))
		require.NoError(t, c.Restore(t.Context(), receipt.ID))
	}
	now.add(13 * time.Minute)
	mustRevoke(t, c, expiring("id-1", epoch.Add(time.Hour)))
	requireReason(t, c, revoke.ReasonToken, issued(epoch, nil))
	all := entries(t, &log)
	require.Len(t, all, 5)
	var permute func(done, left []revoke.Entry)
	permute = func(done, left []revoke.Entry) {
		if len(left) == 0 {
			var other revoke.MemoryLog
			require.NoError(t, other.Append(t.Context(), done))
			reader := newChecker(t, revoke.Config{Log: &other, Now: now.now})
			require.NoError(t, reader.Warm(t.Context()))
			requireReason(t, reader, revoke.ReasonToken, issued(epoch, nil))
		}
		for i := range left {
			rest := append(append([]revoke.Entry(nil), left[:i]...), left[i+1:]...)
			permute(append(done[:len(done):len(done)], left[i]), rest)
		}
	}
	permute(nil, all)
}
