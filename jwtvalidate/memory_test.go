package jwtvalidate_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// stage is a Validator whose clock, keys and revocations change between requests,
// twice: one remembers tokens and one does not.
type stage struct {
	now     time.Time
	keys    []crypto.PublicKey
	down    error
	revoked bool
	last    [2]jwtvalidate.Event

	remembers, forgets *jwtvalidate.Validator
}

func (s *stage) Keys(context.Context, string, string) ([]crypto.PublicKey, error) {
	return s.keys, s.down
}

func (s *stage) Revoked(context.Context, interface{ Get(name string) (any, bool) }) (bool, error) {
	return s.revoked, nil
}

func newStage(tb testing.TB, entries int) *stage {
	tb.Helper()
	s := &stage{now: clock(), keys: allKeys()}
	build := func(entries, i int) *jwtvalidate.Validator {
		return validator(tb, jwtvalidate.Config{
			Issuers: []jwtvalidate.Issuer{policy(s)}, CacheEntries: entries, Revocation: s, Now: func() time.Time { return s.now },
			Observe: func(_ context.Context, e jwtvalidate.Event) { s.last[i] = e },
		})
	}
	s.remembers, s.forgets = build(entries, 0), build(-1, 1)
	return s
}

// ask gives a token to both, which must agree, and tells whether it was remembered.
func (s *stage) ask(tb testing.TB, token string) (cached bool, err error) {
	tb.Helper()
	got, err := s.remembers.Check(request("Bearer " + token))
	want, wantErr := s.forgets.Check(request("Bearer " + token))
	require.Equal(tb, wantErr, err)
	require.False(tb, s.last[1].Cached)
	cached = s.last[0].Cached
	if err == nil {
		require.Equal(tb, want.Subject(), got.Subject())
		require.Equal(tb, want.Expiry(), got.Expiry())
	}
	if !errors.Is(err, jwtvalidate.ErrExpired) { // which is not worth a verification
		require.Equal(tb, s.last[1].Claims == nil, s.last[0].Claims == nil)
	}
	for i := range s.last {
		s.last[i].Duration, s.last[i].Cached, s.last[i].Claims = 0, false, nil
	}
	require.Equal(tb, s.last[1], s.last[0])
	return cached, err
}

// A token that was seen is not verified again, and everything that can change since
// is asked on the very next request.
func TestRemembered(t *testing.T) {
	second, err := newP256()
	require.NoError(t, err)
	other := func() crypto.PublicKey { return &second.PublicKey }
	twin := func() crypto.PublicKey { k := ecKey().PublicKey; return &k }
	for _, row := range []struct {
		name   string
		change func(*stage)
		cached bool
		want   error
	}{
		{"nothing", func(*stage) {}, true, nil},
		{"the keys are new values", func(s *stage) { s.keys = []crypto.PublicKey{twin()} }, true, nil},
		{"another key stands before it", func(s *stage) { s.keys = []crypto.PublicKey{other(), &rsaKey().PublicKey, twin()} }, true, nil},
		{"time goes by", func(s *stage) { s.now = s.now.Add(59 * time.Minute) }, true, nil},
		{"it has expired, within leeway", func(s *stage) { s.now = s.now.Add(time.Hour + 9*time.Second) }, true, nil},
		{"it has expired", func(s *stage) { s.now = s.now.Add(time.Hour + 10*time.Second) }, true, jwtvalidate.ErrExpired},
		{"its key is gone", func(s *stage) { s.keys = nil }, false, jwtvalidate.ErrUnknownKey},
		{"another key under its kid", func(s *stage) { s.keys = []crypto.PublicKey{other()} }, false, jwtvalidate.ErrSignature},
		{"a key of another type", func(s *stage) { s.keys = []crypto.PublicKey{&rsaKey().PublicKey} }, false, jwtvalidate.ErrUnknownKey},
		{"odd keys", func(s *stage) {
			s.keys = []crypto.PublicKey{nil, (*ecdsa.PublicKey)(nil), &ecdsa.PublicKey{}, (*rsa.PublicKey)(nil), &rsa.PublicKey{}, "key", []byte("key")}
		}, false, jwtvalidate.ErrUnknownKey},
		{"the keys are away", func(s *stage) { s.down = errDown }, false, jwtvalidate.ErrUnavailable},
		{"it was revoked", func(s *stage) { s.revoked = true }, true, jwtvalidate.ErrRevoked},
		{"the clock was set back", func(s *stage) { s.now = s.now.Add(-time.Hour) }, true, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newStage(t, 0)
			token := good(t)
			for i := range 3 {
				cached, err := s.ask(t, token)
				require.NoError(t, err)
				require.Equal(t, i > 0, cached)
			}
			row.change(s)
			cached, err := s.ask(t, token)
			require.ErrorIs(t, err, row.want)
			require.Equal(t, row.cached, cached)

			*s = stage{now: clock(), keys: allKeys(), remembers: s.remembers, forgets: s.forgets} // all is as it was
			cached, err = s.ask(t, token)
			if errors.Is(row.want, jwtvalidate.ErrUnavailable) {
				require.True(t, cached, "an outage forgets nothing")
			}
			require.NoError(t, err)
			cached, err = s.ask(t, token)
			require.NoError(t, err)
			require.True(t, cached)
		})
	}
}

// Nothing is remembered of what was refused, of long tokens, and where that is
// switched off. Near relations of a remembered token are other tokens.
func TestNotRemembered(t *testing.T) {
	s := newStage(t, 0)
	token := good(t)
	_, err := s.ask(t, token)
	require.NoError(t, err)
	dot := strings.LastIndexByte(token, '.')
	for name, near := range map[string]string{
		"a changed signature": token[:dot+1] + strings.Repeat("A", len(token)-dot-1), "a longer one": token + "A", "a shorter one": token[:len(token)-1],
		"a changed payload": es256(t, goodHeader, strings.Replace(goodPayload, "sub", "sab", 1))[:dot] + token[dot:],
		"expired":           es256(t, goodHeader, expiring("1")), "another audience": es256(t, goodHeader, meantFor(`"x"`)), "not yet": es256(t, goodHeader, payload(`"nbf":1900000000`)),
		"forged": mint(t, jose.ES256, evilEC(), goodHeader, goodPayload),
	} {
		for range 3 {
			cached, err := s.ask(t, near)
			require.Error(t, err, name)
			require.False(t, cached, name)
		}
	}
	long := es256(t, goodHeader, payload(`"x":"`+strings.Repeat("x", 4<<10)+`"`))
	off := newStage(t, -7)
	for range 3 {
		cached, err := s.ask(t, long)
		require.NoError(t, err)
		require.False(t, cached)
		cached, err = off.ask(t, token)
		require.NoError(t, err)
		require.False(t, cached)
	}
	_, err = jwtvalidate.New(jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf())}, CacheEntries: 1<<24 + 1})
	require.ErrorContains(t, err, "CacheEntries")
}

// The signature of one policy is none of another's: the same key for two issuers.
func TestRememberedForOneIssuer(t *testing.T) {
	strict := policy(sourceOf(allKeys()...))
	strict.URL, strict.Audiences = "https://strict.example.com/", []string{"https://other.example.com"}
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...)), strict}})
	for range 3 {
		_, err := v.Check(request("Bearer " + good(t)))
		require.NoError(t, err)
		_, err = v.Check(request("Bearer " + es256(t, goodHeader, strings.Replace(goodPayload, "idp", "strict", 1))))
		require.ErrorIs(t, err, jwtvalidate.ErrAudience)
	}
}

// What is bound to a sender is held against each request.
func TestRememberedIsConfirmed(t *testing.T) {
	p := policy(sourceOf(allKeys()...))
	var refuse atomic.Bool
	p.Confirm = func(*http.Request, *jwtvalidate.Claims) error {
		if refuse.Load() {
			return errors.New("no")
		}
		return nil
	}
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}})
	token := bound(t, `{"jkt":"x"}`)
	for range 2 {
		_, err := v.Check(request("Bearer " + token))
		require.NoError(t, err)
	}
	refuse.Store(true)
	_, err := v.Check(request("Bearer " + token))
	require.ErrorIs(t, err, jwtvalidate.ErrConfirmation)
	_, err = v.CheckToken(t.Context(), token)
	require.ErrorIs(t, err, jwtvalidate.ErrConfirmation)
}

// Handlers get values of their own: what they write into them, no later request sees.
func TestClaimsAreNotShared(t *testing.T) {
	v := trust(t, nil)
	token := es256(t, goodHeader, payload(`"roles":["user"],"deep":{"a":[{"b":"c"}]}`))
	for range 2 {
		c, err := v.Check(request("Bearer " + token))
		require.NoError(t, err)
		roles, _ := c.Get("roles")
		require.Equal(t, []any{"user"}, roles)
		roles.([]any)[0] = "admin"
		deep, _ := c.Get("deep")
		require.Equal(t, map[string]any{"a": []any{map[string]any{"b": "c"}}}, deep)
		deep.(map[string]any)["a"].([]any)[0].(map[string]any)["b"] = "x"
		c.Audience()[0] = "x"
		require.Equal(t, []string{audience}, c.Audience())
		spoils := func(v any) bool { v.([]any)[0] = "admin"; return true }
		require.NoError(t, v.Allow(t.Context(), c, jwtvalidate.Claim("roles").Matches(spoils)))
		require.ErrorIs(t, v.Allow(t.Context(), c, jwtvalidate.Claim("roles").AnyOf("admin")), jwtvalidate.ErrForbidden)
	}
}

// tokensOf are n tokens that differ.
func tokensOf(t *testing.T, n int) []string {
	t.Helper()
	list := make([]string, n)
	for i := range list {
		list[i] = mint(t, jose.HS256, secret, `{"alg":"HS256"}`, payload(fmt.Sprintf(`"jti":"%d","iat":1800000000`, i)))
	}
	return list
}

// A burst of tokens that are seen once leaves those alone that come again and again,
// and holds no more than what was said.
func TestBurstLeavesRegulars(t *testing.T) {
	const size = 800
	hits := 0
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{func() jwtvalidate.Issuer {
			p := policy(mustSecret(t, secret))
			p.Algorithms = []string{"HS256"}
			return p
		}()},
		CacheEntries: size,
		Observe: func(_ context.Context, e jwtvalidate.Event) {
			if e.Cached {
				hits++
			}
		},
	})
	ask := func(list []string) int {
		hits = 0
		for _, token := range list {
			_, err := v.CheckToken(t.Context(), token)
			require.NoError(t, err)
		}
		return hits
	}
	// The seed is another each time, and may lay nine regulars into a bucket of eight: rarely so with few.
	const few = size / 8
	all := tokensOf(t, few+20*size)
	regulars, burst := all[:few], all[few:]
	for range 4 {
		ask(regulars)
	}
	require.Greater(t, ask(regulars), len(regulars)*95/100)
	require.Zero(t, ask(burst), "each is new")
	require.Greater(t, ask(regulars), len(regulars)*95/100, "a burst of twenty times the size has come by")

	require.LessOrEqual(t, ask(burst), size, "no more is held")
	for range 6 { // new regulars get in
		ask(burst[:few])
	}
	require.Greater(t, ask(burst[:few]), few*90/100)
}

// Of a thousand requests that bring one new token at once, few verify it.
func TestFirstSightsTogether(t *testing.T) {
	var fresh atomic.Int64
	v := validator(t, jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))},
		Observe: func(_ context.Context, e jwtvalidate.Event) {
			if !e.Cached {
				fresh.Add(1)
			}
		},
	})
	token := good(t)
	var wait sync.WaitGroup
	start := make(chan struct{})
	for range 1000 {
		wait.Go(func() {
			<-start
			_, _ = v.CheckToken(t.Context(), token)
		})
	}
	close(start)
	wait.Wait()
	require.EqualValues(t, 1, fresh.Load())
}

// Who waits for its keys holds nobody up: neither those with the same token, nor others.
func TestFirstSightHoldsNobodyUp(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	var first atomic.Bool
	keys := asking(func(ctx context.Context) ([]crypto.PublicKey, error) {
		if first.CompareAndSwap(false, true) {
			select {
			case <-hang:
			case <-ctx.Done():
			}
		}
		return allKeys(), nil
	})
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(keys)}})
	token := good(t)
	go func() { _, _ = v.CheckToken(context.WithoutCancel(t.Context()), token) }()
	for !first.Load() {
		runtime.Gosched()
	}
	for _, token := range []string{token, es256(t, goodHeader, payload(`"sub":"other"`))} {
		_, err := v.CheckToken(t.Context(), token)
		require.NoError(t, err)
	}
}

// What is remembered of 10 000 tokens of 1 KiB.
func TestMemoryOfTokens(t *testing.T) {
	if testing.Short() {
		t.Skip("mints 10 000 tokens")
	}
	p := policy(mustSecret(t, secret))
	p.Algorithms = []string{"HS256"}
	v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}})
	used := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := used()
	for i := range 20_000 {
		token := mint(t, jose.HS256, secret, `{"alg":"HS256","kid":"2011-04-29"}`, payload(fmt.Sprintf(
			`"jti":"%d","iat":1800000000,"sub":"auth0|5f7c8ec7c33c6c004bbafe82","azp":"i1dXlGrQ9MBlWbmXw82jGLetLzw9O2cO","scope":"openid profile read:orders","roles":["user"],"x":%q`,
			i, strings.Repeat("x", 400))))
		_, err := v.CheckToken(t.Context(), token)
		require.NoError(t, err)
	}
	mib := float64(used()-before) / (1 << 20)
	t.Logf("%.1f MiB", mib)
	require.Less(t, mib, 40.0)
	runtime.KeepAlive(v)
}

// FuzzRemembered: whatever happens between requests, and in whatever order tokens
// come, who remembers decides as who does not. Each byte is an event.
func FuzzRemembered(f *testing.F) {
	f.Add([]byte("aaabbbcccdddeee"))
	f.Add([]byte("a0a1a2a3a4a5a6a7a8a9aAaBaCaD"))
	f.Add([]byte("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz4abcdefghijklmnop"))
	tokens := make([]string, 32)
	for i := range tokens {
		exp := epoch + 60*i
		tokens[i] = es256(f, goodHeader, fmt.Sprintf(`{"iss":"https://idp.example.com/","aud":"https://api.example.com","exp":%d,"jti":"%d"}`, exp, i))
		if i%5 == 4 {
			tokens[i] = mint(f, jose.ES256, evilEC(), goodHeader, payload(fmt.Sprintf(`"jti":"%d"`, i)))
		}
	}
	f.Fuzz(func(t *testing.T, events []byte) {
		s := newStage(t, 8)
		for _, e := range events[:min(len(events), 400)] {
			switch e {
			case '0':
				s.keys = nil
			case '1':
				s.keys = allKeys()
			case '2':
				k := ecKey().PublicKey
				s.keys = []crypto.PublicKey{&evilEC().PublicKey, &k}
			case '3':
				s.keys = []crypto.PublicKey{&evilEC().PublicKey}
			case '4':
				s.down = errDown
			case '5':
				s.down = nil
			case '6':
				s.revoked = true
			case '7':
				s.revoked = false
			case '8':
				s.now = s.now.Add(time.Minute)
			case '9':
				s.now = s.now.Add(-time.Minute)
			default:
				_, _ = s.ask(t, tokens[int(e)%len(tokens)])
			}
		}
	})
}
