package jwtvalidate_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtvalidate"
)

// world is what may change while a stream is open.
type world struct {
	now    time.Time
	keys   []crypto.PublicKey
	down   error // of the source
	answer checker
	source *source
	events []jwtvalidate.Event
	log    buffer
}

// checker is a RevocationChecker that remembers whom it was asked about.
type checker struct {
	revoked bool
	err     error
	asked   []any
}

func (c *checker) Revoked(_ context.Context, claims interface{ Get(name string) (any, bool) }) (bool, error) {
	c.asked = append(c.asked, claims)
	return c.revoked, c.err
}

func newWorld() *world {
	w := &world{now: clock(), keys: allKeys()}
	w.source = &source{find: func(string, string) ([]crypto.PublicKey, error) { return w.keys, w.down }}
	return w
}

func (w *world) config() jwtvalidate.Config {
	p := policy(w.source)
	p.Algorithms = []string{"RS256", "ES256", "ES384", "ES512", "EdDSA"}
	return jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{p}, Revocation: &w.answer, Logger: w.log.logger(),
		Now:     func() time.Time { return w.now },
		Observe: func(_ context.Context, e jwtvalidate.Event) { w.events = append(w.events, e) },
	}
}

// open checks a token, and forgets that anybody was asked about it.
func (w *world) open(t *testing.T, v *jwtvalidate.Validator, token string) *jwtvalidate.Claims {
	t.Helper()
	c, err := v.CheckToken(t.Context(), token)
	require.NoError(t, err)
	w.source.calls.Store(0)
	w.answer.asked, w.events = nil, nil
	return c
}

func expiringAt(w *world, t time.Duration) { w.now = time.Unix(1800003600, 0).Add(t) }

func TestRecheck(t *testing.T) {
	stamped := es256(t, goodHeader, payload(`"iat":1800000000,"nbf":1800000000,"sub":"c4n4ry"`))
	others := func(n int) []crypto.PublicKey { // of the same type
		return append(slices.Repeat([]crypto.PublicKey{&evilEC().PublicKey}, n), &ecKey().PublicKey)
	}
	for _, row := range []struct {
		name   string
		change func(*world)
		want   error // nil: it goes on
		calls  int   // questions to the source
		asked  int   // and to the checker
	}{
		{"nothing has changed", func(*world) {}, nil, 1, 1},
		{"an hour later but a second", func(w *world) { expiringAt(w, -time.Second) }, nil, 1, 1},
		{"expired, within leeway", func(w *world) { expiringAt(w, 10*time.Second-1) }, nil, 1, 1},
		{"expired", func(w *world) { expiringAt(w, 10*time.Second) }, jwtvalidate.ErrExpired, 0, 0},
		{"long expired", func(w *world) { expiringAt(w, 1e6*time.Hour) }, jwtvalidate.ErrExpired, 0, 0},
		{"the clock was set back, within leeway", func(w *world) { w.now = clock().Add(-10 * time.Second) }, nil, 1, 1},
		{"the clock was set back", func(w *world) { w.now = clock().Add(-10*time.Second - 1) }, jwtvalidate.ErrNotYetValid, 0, 0},

		{"the key is gone", func(w *world) { w.keys = nil }, jwtvalidate.ErrUnknownKey, 1, 0},
		{"another key of that kid", func(w *world) { w.keys = []crypto.PublicKey{&evilEC().PublicKey} }, jwtvalidate.ErrUnknownKey, 1, 0},
		{"another key beside it", func(w *world) { w.keys = others(1) }, nil, 1, 1},
		{"it is the eighth", func(w *world) { w.keys = others(7) }, nil, 1, 1},
		{"it is the ninth, which Check would not try", func(w *world) { w.keys = others(8) }, jwtvalidate.ErrUnknownKey, 1, 0},
		{"keys of other types", func(w *world) { w.keys = []crypto.PublicKey{&rsaKey().PublicKey, edKey().Public()} }, jwtvalidate.ErrUnknownKey, 1, 0},
		{"the source is down", func(w *world) { w.down = errDown }, errDown, 1, 0},
		{"the source is down and says how long", func(w *world) { w.down = slow(9 * time.Second) }, slow(9 * time.Second), 1, 0},
		{"expired, and the source is down", func(w *world) { expiringAt(w, time.Minute); w.down = errDown }, jwtvalidate.ErrExpired, 0, 0},

		{"revoked", func(w *world) { w.answer.revoked = true }, jwtvalidate.ErrRevoked, 1, 1},
		{"revoked, and the key is gone", func(w *world) { w.answer.revoked = true; w.keys = nil }, jwtvalidate.ErrUnknownKey, 1, 0},
		{"the checker is down", func(w *world) { w.answer.err = errDown }, errDown, 1, 1},
		{"the checker is down, and guesses", func(w *world) { w.answer.err = errDown; w.answer.revoked = true }, errDown, 1, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld()
			v := validator(t, w.config())
			c := w.open(t, v, stamped)
			row.change(w)
			err := v.Recheck(t.Context(), c)
			require.ErrorIs(t, err, row.want)
			require.EqualValues(t, row.calls, w.source.calls.Load())
			require.Len(t, w.answer.asked, row.asked)

			isDown := row.want != nil && w.down != nil && row.calls > 0 || w.answer.err != nil
			require.Equal(t, isDown, errors.Is(err, jwtvalidate.ErrUnavailable))
			require.Equal(t, err != nil && !isDown, errors.Is(err, jwtvalidate.ErrInvalidToken), "the two families never mix")

			want := jwtvalidate.Event{Kind: "accepted", Reason: jwtvalidate.ReasonOf(err), Issuer: issuerURL, Claims: c, Err: err}
			switch {
			case isDown:
				want.Kind = "unavailable"
			case err != nil:
				want.Kind = "refused"
			}
			if err == nil {
				require.Empty(t, w.events, "a stream tells of its end only")
			} else {
				require.Len(t, w.events, 1)
				w.events[0].Duration = 0
				require.Equal(t, want, w.events[0])
			}
			require.NotContains(t, fmt.Sprintf("%+v", w.events), canary)
			require.NotContains(t, w.log.String(), canary)
		})
	}
}

// What was refused may be good again: nothing is remembered.
func TestRecheckForgets(t *testing.T) {
	w := newWorld()
	v := validator(t, w.config())
	c := w.open(t, v, good(t))
	for range 2 {
		w.answer.revoked = true
		require.ErrorIs(t, v.Recheck(t.Context(), c), jwtvalidate.ErrRevoked)
		w.answer.revoked, w.down = false, errDown
		require.ErrorIs(t, v.Recheck(t.Context(), c), jwtvalidate.ErrUnavailable)
		w.down = nil
		require.NoError(t, v.Recheck(t.Context(), c))
	}
}

// The key is known by its numbers, whatever a source hands out.
func TestRecheckKeys(t *testing.T) {
	type odd [1][]int // == of two panics
	p521, p384, ed := &p521Key().PublicKey, &p384Key().PublicKey, edKey().Public().(ed25519.PublicKey)
	strange := map[string]crypto.PublicKey{
		"nil": nil, "bytes": []byte("key"), "text": "key", "uncomparable": odd{}, "map": map[string]int{}, "function": func() {},
		"RSA by value": rsaKey().PublicKey, "EC by value": ecKey().PublicKey, "Ed25519 by pointer": &ed,
		"RSA private": rsaKey(), "EC private": ecKey(), "Ed25519 private": edKey(),
		"another RSA": &evilRSA().PublicKey, "another EC": &evilEC().PublicKey,
		"RSA, another exponent": &rsa.PublicKey{N: rsaKey().N, E: 3}, "RSA, another modulus": &rsa.PublicKey{N: evilRSA().N, E: rsaKey().E},
		"RSA, no exponent":      &rsa.PublicKey{N: rsaKey().N},
		"EC, another curve":     &ecdsa.PublicKey{Curve: elliptic.P384(), X: ecKey().X, Y: ecKey().Y},
		"EC, another y":         &ecdsa.PublicKey{Curve: elliptic.P256(), X: ecKey().X, Y: evilEC().Y},
		"EC, no curve":          &ecdsa.PublicKey{X: ecKey().X, Y: ecKey().Y},
		"Ed25519, empty":        ed25519.PublicKey{},
		"Ed25519, nil":          ed25519.PublicKey(nil),
		"Ed25519, cut off":      ed[:31],
		"Ed25519, with a tail":  append(slices.Clone(ed), 0),
		"Ed25519, another":      append(slices.Clone(ed[:31]), ed[31]^1),
		"P-384, another kind":   &ecdsa.PublicKey{Curve: elliptic.P521(), X: p384.X, Y: p384.Y},
		"P-521, another kind":   &ecdsa.PublicKey{Curve: elliptic.P384(), X: p521.X, Y: p521.Y},
		"agrees with everybody": yesKey{},
		"RSA, nil pointer":      (*rsa.PublicKey)(nil),
		"RSA, empty":            &rsa.PublicKey{},
		"EC, nil pointer":       (*ecdsa.PublicKey)(nil),
		"EC, empty":             &ecdsa.PublicKey{},
		"EC, no y":              &ecdsa.PublicKey{Curve: elliptic.P256(), X: ecKey().X},
	}
	copied := func(n *big.Int) *big.Int { return new(big.Int).Set(n) }
	again := func(k *ecdsa.PublicKey) *ecdsa.PublicKey {
		return &ecdsa.PublicKey{Curve: k.Curve, X: copied(k.X), Y: copied(k.Y)}
	}
	for _, row := range []struct {
		alg        jose.Alg
		private    crypto.Signer
		same, copy crypto.PublicKey
	}{
		{jose.RS256, rsaKey(), &rsaKey().PublicKey, &rsa.PublicKey{N: copied(rsaKey().N), E: rsaKey().E}},
		{jose.ES256, ecKey(), &ecKey().PublicKey, again(&ecKey().PublicKey)},
		{jose.ES384, p384Key(), p384, again(p384)},
		{jose.ES512, p521Key(), p521, again(p521)},
		{jose.EdDSA, edKey(), ed, slices.Clone(ed)},
	} {
		w := newWorld()
		v := validator(t, w.config())
		token := mint(t, row.alg, row.private, `{"alg":"`+row.alg.String()+`","kid":"c4n4ry"}`, goodPayload)
		c := w.open(t, v, token)
		recheck := func(t *testing.T, want error, keys ...crypto.PublicKey) {
			w.keys = keys
			require.NotPanics(t, func() {
				_, err := v.CheckToken(t.Context(), token)
				require.ErrorIs(t, err, want, "Check")
			}, "Check")
			require.NotPanics(t, func() { require.ErrorIs(t, v.Recheck(t.Context(), c), want) })
		}
		t.Run(row.alg.String()+" the same value", func(t *testing.T) { recheck(t, nil, row.same) })
		t.Run(row.alg.String()+" the same numbers", func(t *testing.T) { recheck(t, nil, row.copy) })
		t.Run(row.alg.String()+" every other key", func(t *testing.T) {
			recheck(t, nil, &evilRSA().PublicKey, &evilEC().PublicKey, odd{}, ed[:31], row.copy)
		})
		for name, key := range strange {
			t.Run(row.alg.String()+" "+name, func(t *testing.T) {
				w.keys = []crypto.PublicKey{key}
				require.NotPanics(t, func() {
					_, err := v.CheckToken(t.Context(), token)
					require.ErrorIs(t, err, jwtvalidate.ErrInvalidToken, "Check")
				}, "Check")
				require.NotPanics(t, func() { require.ErrorIs(t, v.Recheck(t.Context(), c), jwtvalidate.ErrUnknownKey) })
				recheck(t, nil, key, row.copy)
			})
		}
	}
}

// yesKey says that it equals every key.
type yesKey struct{}

func (yesKey) Equal(crypto.PublicKey) bool { return true }

// A secret is the one that New was given; only time and revocation end its tokens.
func TestRecheckSecret(t *testing.T) {
	w := newWorld()
	cfg := w.config()
	cfg.Issuers[0].Keys, cfg.Issuers[0].Algorithms = mustSecret(t, secret), []string{"HS256"}
	v, twin := validator(t, cfg), validator(t, cfg)
	c := w.open(t, v, mint(t, jose.HS256, secret, `{"alg":"HS256"}`, goodPayload))
	require.NoError(t, v.Recheck(t.Context(), c))
	require.ErrorIs(t, twin.Recheck(t.Context(), c), jwtvalidate.ErrUnknownIssuer)
	w.answer.revoked = true
	require.ErrorIs(t, v.Recheck(t.Context(), c), jwtvalidate.ErrRevoked)
	expiringAt(w, time.Minute)
	require.ErrorIs(t, v.Recheck(t.Context(), c), jwtvalidate.ErrExpired)
}

// Claims count where they were checked, and nowhere else.
func TestRecheckForeign(t *testing.T) {
	w, mine := newWorld(), newWorld()
	v := validator(t, mine.config())
	elsewhere := w.config()
	elsewhere.Issuers[0].URL = "https://other.example.com/"
	for _, row := range []struct {
		name  string
		other *jwtvalidate.Validator
		iss   string
	}{
		{"of an equal Config", validator(t, mine.config()), issuerURL},
		{"of another issuer", validator(t, elsewhere), "https://other.example.com/"},
	} {
		t.Run(row.name, func(t *testing.T) {
			token := es256(t, goodHeader, `{"iss":"`+row.iss+`","aud":"https://api.example.com","exp":1800003600}`)
			c := w.open(t, row.other, token)
			require.NoError(t, row.other.Recheck(t.Context(), c))
			mine.source.calls.Store(0)
			mine.events, mine.answer.asked = nil, nil
			err := v.Recheck(v.WithClaims(t.Context(), c), c)
			require.ErrorIs(t, err, jwtvalidate.ErrUnknownIssuer)
			require.Zero(t, mine.source.calls.Load(), "nobody is asked")
			require.Empty(t, mine.answer.asked)
			require.Len(t, mine.events, 1)
			e := mine.events[0]
			require.Equal(t, "refused", e.Kind)
			require.Equal(t, jwtvalidate.ReasonUnknownIssuer, e.Reason)
			require.Empty(t, e.Issuer, "no policy was chosen")
			require.Nil(t, e.Claims, "nobody here has verified them")
		})
	}
}

func TestRecheckNewClaims(t *testing.T) {
	for _, row := range []struct {
		name   string
		values map[string]any
		at     int64
		want   error
	}{
		{"without exp", map[string]any{"sub": "batch"}, epoch + 1e9, nil},
		{"nothing at all", nil, epoch, nil},
		{"with exp", map[string]any{"exp": epoch + 60}, epoch + 59, nil},
		{"with exp, within leeway", map[string]any{"exp": epoch + 60}, epoch + 69, nil},
		{"with exp, expired", map[string]any{"exp": epoch + 60}, epoch + 70, jwtvalidate.ErrExpired},
		{"exp in the year 1970", map[string]any{"exp": 0}, epoch, jwtvalidate.ErrExpired},
		{"nbf is not looked at", map[string]any{"nbf": epoch + 60}, epoch, nil},
		{"iss of the issuer proves nothing, and hurts nobody", map[string]any{"iss": issuerURL}, epoch, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := jwtvalidate.NewClaims(row.values)
			if row.values == nil {
				require.Error(t, err, "null is no object")
				return
			}
			require.NoError(t, err)
			w := newWorld()
			w.answer.revoked, w.down, w.now = true, errDown, time.Unix(row.at, 0)
			require.ErrorIs(t, validator(t, w.config()).Recheck(t.Context(), c), row.want)
			require.Zero(t, w.source.calls.Load())
			require.Empty(t, w.answer.asked, "no token, no revocation")
			if row.want == nil {
				require.Empty(t, w.events)
				return
			}
			require.Len(t, w.events, 1)
			require.Empty(t, w.events[0].Issuer, "no policy was chosen")
		})
	}
}

func TestRecheckNoClaims(t *testing.T) {
	for _, optional := range []bool{false, true} {
		for name, c := range map[string]*jwtvalidate.Claims{"nil": nil, "zero": {}} {
			w := newWorld()
			cfg := w.config()
			cfg.Optional = optional
			err := validator(t, cfg).Recheck(t.Context(), c)
			require.Equal(t, jwtvalidate.ErrNoToken, err, name)
			require.Len(t, w.events, 1)
			w.events[0].Duration = 0
			require.Equal(t, jwtvalidate.Event{Kind: "refused", Reason: jwtvalidate.ReasonNoToken, Err: err}, w.events[0], "a stream has no anonymous")
		}
	}
}

// The caller's context goes to whoever is asked, and its end is no fault of the token.
func TestRecheckContext(t *testing.T) {
	type key struct{}
	var log buffer
	var seen []any
	ask := func(ctx context.Context) error {
		seen = append(seen, ctx.Value(key{}))
		return ctx.Err()
	}
	cfg := jwtvalidate.Config{
		Issuers: []jwtvalidate.Issuer{policy(asking(func(ctx context.Context) ([]crypto.PublicKey, error) { return allKeys(), ask(ctx) }))}, Logger: log.logger(),
		Revocation: deciding(func(ctx context.Context) (bool, error) { return false, ask(ctx) }),
		Observe:    func(ctx context.Context, _ jwtvalidate.Event) { _ = ask(ctx) },
	}
	v := validator(t, cfg)
	c, err := v.CheckToken(t.Context(), good(t))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "kept"))
	seen = nil
	require.NoError(t, v.Recheck(ctx, c))
	require.Equal(t, []any{"kept", "kept"}, seen, "source, checker")

	cancel()
	err = v.Recheck(ctx, c)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, jwtvalidate.ErrUnavailable)
	require.NotErrorIs(t, err, jwtvalidate.ErrInvalidToken)
	require.NotContains(t, log.String(), "WARN", "it was the caller who left")

	cfg.Issuers[0].Keys = sourceOf(allKeys()...) // only the checker heeds the context
	v = validator(t, cfg)
	c, err = v.CheckToken(t.Context(), good(t))
	require.NoError(t, err)
	err = v.Recheck(ctx, c)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, jwtvalidate.ErrUnavailable)
}

// asking is a KeySource that looks at the context only.
type asking func(context.Context) ([]crypto.PublicKey, error)

func (f asking) Keys(ctx context.Context, _, _ string) ([]crypto.PublicKey, error) { return f(ctx) }

// deciding is a RevocationChecker that looks at the context only.
type deciding func(context.Context) (bool, error)

func (f deciding) Revoked(ctx context.Context, _ interface{ Get(name string) (any, bool) }) (bool, error) {
	return f(ctx)
}

// Asking costs no memory: there may be a stream for each user.
func TestRecheckDoesNotAllocate(t *testing.T) {
	for alg, private := range map[jose.Alg]crypto.Signer{jose.RS256: rsaKey(), jose.ES256: ecKey(), jose.EdDSA: edKey()} {
		keys, err := jwtvalidate.StaticKeys(allKeys()...)
		require.NoError(t, err)
		v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(keys)}, Revocation: revokes(false)})
		c, err := v.CheckToken(t.Context(), mint(t, alg, private, `{"alg":"`+alg.String()+`"}`, goodPayload))
		require.NoError(t, err)
		ctx := t.Context()
		require.Zero(t, testing.AllocsPerRun(100, func() { err = v.Recheck(ctx, c) }), alg.String())
		require.NoError(t, err)
	}
}

// Everybody who decides about tokens asks, once, and answers alike.
func TestRevocation(t *testing.T) {
	errStore := errors.New("revocation store is down")
	for _, row := range []struct {
		name    string
		revoked bool
		err     error
		want    error // nil: it passes
		after   string
	}{
		{"wanted", false, nil, nil, ""},
		{"revoked", true, nil, jwtvalidate.ErrRevoked, ""},
		{"error", false, errStore, jwtvalidate.ErrUnavailable, "5"},
		{"error beside a guess", true, errStore, jwtvalidate.ErrUnavailable, "5"},
		{"error with a hint", false, slow(30 * time.Second), jwtvalidate.ErrUnavailable, "30"},
		{"error with a hint, wrapped", false, fmt.Errorf("store: %w", slow(1500*time.Millisecond)), jwtvalidate.ErrUnavailable, "2"},
		{"error with a hint of days", false, slow(100 * time.Hour), jwtvalidate.ErrUnavailable, "3600"},
		{"error with a hint of the past", false, slow(-time.Second), jwtvalidate.ErrUnavailable, "1"},
		{"error that looks like no token", false, jwtvalidate.ErrNoToken, jwtvalidate.ErrUnavailable, "5"},
		{"error that looks like revoked", true, jwtvalidate.ErrRevoked, jwtvalidate.ErrUnavailable, "5"},
		{"error that looks like forbidden", false, jwtvalidate.ErrForbidden, jwtvalidate.ErrUnavailable, "5"},
		{"the context is over", false, context.DeadlineExceeded, jwtvalidate.ErrUnavailable, "5"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, optional := range []bool{false, true} {
				w := newWorld()
				cfg := w.config()
				cfg.Optional = optional
				v := validator(t, cfg)
				c := w.open(t, v, good(t))
				w.answer.revoked, w.answer.err = row.revoked, row.err

				requireErr := func(err error, who string) {
					t.Helper()
					require.ErrorIs(t, err, row.want, who)
					if row.err != nil {
						require.ErrorIs(t, err, row.err, "%s: the cause is kept", who)
					}
					require.Equal(t, jwtvalidate.ReasonOf(row.want), jwtvalidate.ReasonOf(err), who)
					require.Len(t, w.answer.asked, 1, who)
					if err == nil && who == "Recheck" {
						require.Empty(t, w.events)
					} else {
						require.Len(t, w.events, 1, who)
						require.NotNil(t, w.events[0].Claims, "%s: the signature was good", who)
					}
					w.answer.asked, w.events = nil, nil
				}
				_, err := v.Check(request("Bearer " + good(t)))
				requireErr(err, "Check")
				_, err = v.CheckToken(t.Context(), good(t))
				requireErr(err, "CheckToken")
				requireErr(v.Recheck(t.Context(), c), "Recheck")

				ran := 0
				last := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { ran++; w.WriteHeader(http.StatusNoContent) })
				require3 := v.Require(jwtvalidate.Claim("sub").Exists())
				for who, h := range map[string]http.Handler{
					"Handler": v.Handler(last), "Require": require3(last), "Handler and Require": v.Handler(require3(require3(last))),
				} {
					ran = 0
					got := record(h, request("Bearer "+good(t)))
					if row.want == nil {
						require.Equal(t, http.StatusNoContent, got.status, who)
						require.Equal(t, 1, ran, who)
					} else {
						status := http.StatusUnauthorized
						if row.after != "" {
							status = http.StatusServiceUnavailable
						}
						requireRefused(t, got, status, challengeToken)
						require.Equal(t, row.after, got.header.Get("Retry-After"), who)
						require.Zero(t, ran, who)
					}
					require.Len(t, w.answer.asked, 1, who)
					w.answer.asked, w.events = nil, nil
				}
			}
		})
	}
}

// The checker hears of tokens that are good in every other respect, and of no others.
func TestRevocationIsAskedLast(t *testing.T) {
	for name, o := range outcomes(t) {
		t.Run(name, func(t *testing.T) {
			if name == "ErrInvalidToken" || name == "ErrCrossOrigin" {
				return
			}
			p := policy(sourceOf(allKeys()...))
			if o.edit != nil {
				o.edit(&p)
			}
			answer := &checker{revoked: true}
			v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{p}, Revocation: answer, Rules: rulesFor(name)})
			_, err := v.Check(request(o.authorization...))
			if _, byRule := refusing[name]; byRule || name == "ErrRevoked" {
				require.ErrorIs(t, err, jwtvalidate.ErrRevoked, "a rule is about what a good token may do")
				require.Len(t, answer.asked, 1)
				return
			}
			require.ErrorIs(t, err, o.err)
			require.Empty(t, answer.asked)
		})
	}
	t.Run("no token that is needed", func(t *testing.T) {
		answer := &checker{err: errDown}
		v := validator(t, jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf())}, Revocation: answer, Optional: true})
		require.Equal(t, http.StatusOK, record(v.Handler(whoami), request()).status)
		c, err := jwtvalidate.NewClaims(map[string]any{"sub": "batch"})
		require.NoError(t, err)
		r := request()
		require.Equal(t, http.StatusOK, record(v.Handler(whoami), r.WithContext(v.WithClaims(r.Context(), c))).status)
		require.Empty(t, answer.asked)
	})
}

// The checker gets the claims themselves, which also say by which key they are signed.
func TestRevocationSeesClaims(t *testing.T) {
	w := newWorld()
	v := validator(t, w.config())
	c, err := v.CheckToken(t.Context(), good(t))
	require.NoError(t, err)
	require.NoError(t, v.Recheck(t.Context(), c))
	require.Len(t, w.answer.asked, 2)
	for _, asked := range w.answer.asked {
		require.Same(t, c, asked)
		key, ok := asked.(interface{ KeyThumbprint() string })
		require.True(t, ok)
		require.NotEmpty(t, key.KeyThumbprint())
		require.NotContains(t, fmt.Sprintf("%+v %#v %s", asked, asked, asked), canary)
	}
}

// A checker that panics takes its request down, and lets nobody in.
func TestPanickingChecker(t *testing.T) {
	ran := false
	v := validator(t, jwtvalidate.Config{
		Issuers:    []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))},
		Revocation: deciding(func(context.Context) (bool, error) { panic("checker") }),
	})
	h := v.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran = true }))
	require.PanicsWithValue(t, "checker", func() { record(h, request("Bearer "+good(t))) })
	require.False(t, ran)
}

func TestRevocationConfig(t *testing.T) {
	var pointer *checker
	var function deciding
	for _, row := range []struct {
		name    string
		checker jwtvalidate.RevocationChecker
		want    string
	}{
		{"none", nil, ""},
		{"a value", revokes(false), ""},
		{"a pointer", &checker{}, ""},
		{"a nil map, which may be read", denylist(nil), ""},
		{"a nil pointer", pointer, "jwtvalidate: Revocation: a nil pointer"},
		{"a nil function", function, "jwtvalidate: Revocation: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := jwtvalidate.Config{Issuers: []jwtvalidate.Issuer{policy(sourceOf(allKeys()...))}, Revocation: row.checker, Now: clock}
			v, err := jwtvalidate.New(cfg)
			if row.want != "" {
				require.ErrorContains(t, err, row.want)
				cfg.Leeway = time.Hour
				_, err = jwtvalidate.New(cfg)
				require.ErrorContains(t, err, row.want)
				require.ErrorContains(t, err, "jwtvalidate: Leeway: ", "all at once")
				return
			}
			require.NoError(t, err)
			_, err = v.CheckToken(t.Context(), good(t))
			require.NoError(t, err)
		})
	}
}

// denylist has the ids of revoked tokens.
type denylist map[string]bool

func (d denylist) Revoked(_ context.Context, claims interface{ Get(name string) (any, bool) }) (bool, error) {
	id, _ := claims.Get("jti")
	text, _ := id.(string)
	return d[text], nil
}

// RFC 7638 section 3, written out beside what jwx computes.
func TestKeyThumbprint(t *testing.T) {
	b := base64.RawURLEncoding.EncodeToString
	ec := func(k *ecdsa.PublicKey) string {
		size := (k.Params().BitSize + 7) / 8
		return fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, k.Params().Name, b(k.X.FillBytes(make([]byte, size))), b(k.Y.FillBytes(make([]byte, size))))
	}
	rsaJWK := fmt.Sprintf(`{"e":"AQAB","kty":"RSA","n":%q}`, b(rsaKey().N.Bytes()))
	edJWK := fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":%q}`, b(edKey().Public().(ed25519.PublicKey)))
	seed, err := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A") // RFC 8037 appendix A.1
	require.NoError(t, err)
	rfc8037 := ed25519.NewKeyFromSeed(seed)

	for _, row := range []struct {
		name      string
		alg       jose.Alg
		private   crypto.Signer
		canonical string // empty: the thumbprint is want
		want      string
	}{
		{"RSA", jose.RS256, rsaKey(), rsaJWK, ""},
		{"P-256", jose.ES256, ecKey(), ec(&ecKey().PublicKey), ""},
		{"P-384", jose.ES384, p384Key(), ec(&p384Key().PublicKey), ""},
		{"P-521", jose.ES512, p521Key(), ec(&p521Key().PublicKey), ""},
		{"Ed25519", jose.EdDSA, edKey(), edJWK, ""},
		{"RFC 8037 appendix A.3", jose.EdDSA, rfc8037, "", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.canonical != "" {
				sum := sha256.Sum256([]byte(row.canonical))
				row.want = b(sum[:])
			}
			w := newWorld()
			w.keys = append(w.keys, rfc8037.Public())
			v := validator(t, w.config())
			c := w.open(t, v, mint(t, row.alg, row.private, `{"alg":"`+row.alg.String()+`","kid":"c4n4ry"}`, goodPayload))
			require.Equal(t, row.want, c.KeyThumbprint(), "of the key that has signed, not of the first that was tried")
			require.Equal(t, row.want, c.KeyThumbprint())
		})
	}
	t.Run("a secret has none", func(t *testing.T) {
		v := trust(t, secretPolicy(t))
		c, err := v.CheckToken(t.Context(), mint(t, jose.HS256, secret, `{"alg":"HS256"}`, goodPayload))
		require.NoError(t, err)
		require.Empty(t, c.KeyThumbprint())
	})
	t.Run("nobody has signed", func(t *testing.T) {
		c, err := jwtvalidate.NewClaims(map[string]any{"iss": issuerURL})
		require.NoError(t, err)
		require.Empty(t, c.KeyThumbprint())
	})
	t.Run("a claim of that name is no thumbprint", func(t *testing.T) {
		v := trust(t, nil)
		c, err := v.CheckToken(t.Context(), es256(t, goodHeader, payload(`"KeyThumbprint":"x","jkt":"x"`)))
		require.NoError(t, err)
		require.Len(t, c.KeyThumbprint(), 43)
	})
}
