package revoke_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

const issuer = "https://idp.example.com"

// thumbOf is the thumbprint of a key of that name.
func thumbOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

var thumb = thumbOf("key")

// token is the claims of a token as jwtvalidate hands them on.
type token map[string]any

func (t token) Get(name string) (any, bool) { v, ok := t[name]; return v, ok }

// signed is a token of which the key is known.
type signed struct {
	token
	thumbprint string
}

func (s signed) KeyThumbprint() string { return s.thumbprint }

// epoch is when the tests begin: a whole second.
var epoch = time.Unix(1_800_000_000, 0)

// clock is a clock that tests turn.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.t.IsZero() {
		c.t = epoch
	}
	return c.t
}

func (c *clock) set(t time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.t = t }

func (c *clock) add(d time.Duration) { c.set(c.now().Add(d)) }

// date is a NumericDate as it is in a token.
func date(t time.Time) json.Number {
	if t.Nanosecond() == 0 {
		return json.Number(fmt.Sprint(t.Unix()))
	}
	return json.Number(fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()))
}

// issued is a token of an hour, with claims that replace or, if nil, leave out others.
func issued(at time.Time, claims token) token {
	t := token{
		"iss": issuer, "sub": "ann", "jti": "id-1", "sid": "s-1", "client_id": "app",
		"iat": date(at), "exp": date(at.Add(time.Hour)),
	}
	for name, v := range claims {
		if t[name] = v; v == nil {
			delete(t, name)
		}
	}
	return t
}

func secret(text string) func() ([]byte, error) {
	return func() ([]byte, error) { return bytes.Repeat([]byte(text), 32), nil }
}

func newChecker(tb testing.TB, cfg revoke.Config) *revoke.Checker {
	tb.Helper()
	if cfg.MaxLifetime == 0 {
		cfg.MaxLifetime = time.Hour
	}
	if cfg.Secret == nil {
		cfg.Secret = secret("s")
	}
	c, err := revoke.New(cfg)
	require.NoError(tb, err)
	return c
}

func record(kind revoke.Kind, value string) revoke.Record {
	r := revoke.Record{Kind: kind, Issuer: issuer, Value: value}
	if kind == revoke.KindKey {
		r.Value = thumbOf(value)
	}
	if kind == revoke.KindKey || kind == revoke.KindEverything {
		r.Issuer = ""
	}
	return r
}

func mustRevoke(tb testing.TB, c *revoke.Checker, r revoke.Record) revoke.Receipt {
	tb.Helper()
	receipt, err := c.Revoke(context.Background(), r)
	require.NoError(tb, err)
	return receipt
}

func requireReason(tb testing.TB, c *revoke.Checker, want revoke.Reason, claims revoke.Claims, about ...any) {
	tb.Helper()
	got, err := c.Check(context.Background(), claims)
	require.NoError(tb, err, about...)
	require.Equal(tb, want, got, about...)
	revoked, err := c.Revoked(context.Background(), claims)
	require.NoError(tb, err, about...)
	require.Equal(tb, want != "", revoked, about...)
}

func TestEachRuleRefusesAndSparesItsTwin(t *testing.T) {
	for _, row := range []struct {
		name    string
		record  revoke.Record
		refused revoke.Claims
		passes  revoke.Claims
	}{
		{"token", record(revoke.KindToken, "id-1"), issued(epoch, nil), issued(epoch, token{"jti": "id-2"})},
		{"token of another issuer", record(revoke.KindToken, "id-1"), issued(epoch, nil), issued(epoch, token{"iss": "https://other"})},
		{"token with a numeric id", record(revoke.KindToken, "42"), issued(epoch, token{"jti": json.Number("42")}), issued(epoch, token{"jti": json.Number("43")})},
		{"session", record(revoke.KindSession, "s-1"), issued(epoch.Add(time.Minute), nil), issued(epoch, token{"sid": "s-2"})},
		{"session, no sid", record(revoke.KindSession, "s-1"), issued(epoch, nil), issued(epoch, token{"sid": nil})},
		{"subject", record(revoke.KindSubject, "ann"), issued(epoch, nil), issued(epoch, token{"sub": "bob"})},
		{"subject, later login", record(revoke.KindSubject, "ann"), issued(epoch, nil), issued(epoch.Add(time.Second), nil)},
		{"client", record(revoke.KindClient, "app"), issued(epoch, nil), issued(epoch, token{"client_id": "other"})},
		{"client by azp", record(revoke.KindClient, "app"), issued(epoch, token{"client_id": nil, "azp": "app"}), issued(epoch, token{"client_id": nil})},
		{"client by azp beside client_id", record(revoke.KindClient, "app"), issued(epoch, token{"client_id": "x", "azp": "app"}), issued(epoch, token{"client_id": "x", "azp": "y"})},
		{"key", record(revoke.KindKey, "key"), signed{issued(epoch.Add(time.Minute), nil), thumb}, signed{issued(epoch, nil), thumbOf("other")}},
		{"key, unknown", record(revoke.KindKey, "key"), signed{issued(epoch, nil), thumb}, signed{issued(epoch, nil), ""}},
		{"issuer", record(revoke.KindIssuer, ""), issued(epoch, nil), issued(epoch, token{"iss": "https://other"})},
		{"issuer, later", record(revoke.KindIssuer, ""), issued(epoch, nil), issued(epoch.Add(time.Second), nil)},
		{"everything", record(revoke.KindEverything, ""), issued(epoch, token{"iss": "https://other"}), issued(epoch.Add(time.Second), nil)},
		{"everything, no iss", record(revoke.KindEverything, ""), issued(epoch, token{"iss": nil}), issued(epoch.Add(time.Second), token{"iss": nil})},
		{
			"all of the claims",
			revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: map[string]any{"tenant": "t1", "role": "admin"}},
			issued(epoch, token{"tenant": "t1", "role": "admin"}), issued(epoch, token{"tenant": "t1", "role": "user"}),
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			var now clock
			c := newChecker(t, revoke.Config{Now: now.now})
			requireReason(t, c, "", row.refused, "before")
			receipt := mustRevoke(t, c, row.record)
			now.add(2 * time.Second)
			requireReason(t, c, revoke.Reason(row.record.Kind), row.refused)
			requireReason(t, c, "", row.passes)
			require.NoError(t, c.Restore(context.Background(), receipt.ID))
			requireReason(t, c, "", row.refused, "restored")
		})
	}
}

// TestCombinedCutoffs: in Keycloak, of a realm's, a client's and a user's cutoff, one
// won over the others (CVE-2026-8922, CVE-2026-18218).
func TestCombinedCutoffs(t *testing.T) {
	kinds := []revoke.Record{record(revoke.KindEverything, ""), record(revoke.KindIssuer, ""), record(revoke.KindClient, "app"), record(revoke.KindSubject, "ann")}
	for latest := range kinds {
		t.Run(string(kinds[latest].Kind), func(t *testing.T) {
			c := newChecker(t, revoke.Config{Now: new(clock).now})
			for i, r := range kinds {
				if r.IssuedBefore = epoch.Add(-30 * time.Minute); i == latest {
					r.IssuedBefore = epoch.Add(-10 * time.Minute)
				}
				mustRevoke(t, c, r)
			}
			requireReason(t, c, revoke.Reason(kinds[latest].Kind), issued(epoch.Add(-11*time.Minute), nil), "only the latest covers it")
			requireReason(t, c, "", issued(epoch.Add(-9*time.Minute), nil))
		})
	}
}

// TestCutoffIsTheLatestOfLiveOnes: undoing a mistake does not undo what was meant.
func TestCutoffIsTheLatestOfLiveOnes(t *testing.T) {
	for _, r := range []revoke.Record{record(revoke.KindEverything, ""), record(revoke.KindSubject, "ann")} {
		c := newChecker(t, revoke.Config{Now: new(clock).now})
		r.IssuedBefore = epoch.Add(-20 * time.Minute)
		meant := mustRevoke(t, c, r)
		r.IssuedBefore = epoch.Add(-5 * time.Minute)
		mistake := mustRevoke(t, c, r)
		require.NotEqual(t, meant.ID, mistake.ID)
		old, young := issued(epoch.Add(-21*time.Minute), nil), issued(epoch.Add(-10*time.Minute), nil)
		requireReason(t, c, revoke.Reason(r.Kind), old)
		requireReason(t, c, revoke.Reason(r.Kind), young)
		require.NoError(t, c.Restore(t.Context(), mistake.ID))
		require.NoError(t, c.Restore(t.Context(), mistake.ID), "twice is once")
		requireReason(t, c, revoke.Reason(r.Kind), old)
		requireReason(t, c, "", young)
	}
}

// TestRestoredTokenCanBeRevokedAgain, also several times.
func TestRestoredTokenCanBeRevokedAgain(t *testing.T) {
	c := newChecker(t, revoke.Config{Now: new(clock).now})
	seen := map[string]bool{}
	for range 3 {
		first := mustRevoke(t, c, record(revoke.KindToken, "id-1"))
		require.False(t, seen[first.ID])
		seen[first.ID] = true
		require.Equal(t, first.ID, mustRevoke(t, c, record(revoke.KindToken, "id-1")).ID, "revoked twice is one record")
		requireReason(t, c, revoke.ReasonToken, issued(epoch, nil))
		require.NoError(t, c.Restore(t.Context(), first.ID))
		requireReason(t, c, "", issued(epoch, nil))
	}
}

func TestRestoreUnknown(t *testing.T) {
	c := newChecker(t, revoke.Config{})
	other := mustRevoke(t, newChecker(t, revoke.Config{Secret: secret("x")}), record(revoke.KindToken, "id-1"))
	for _, id := range []string{"", "?", "AAAA", other.ID, other.ID + "A"} {
		require.ErrorIs(t, c.Restore(t.Context(), id), revoke.ErrUnknown, id)
	}
	mine := mustRevoke(t, c, record(revoke.KindToken, "id-1"))
	require.NoError(t, c.Restore(t.Context(), mine.ID))
	mustRevoke(t, c, record(revoke.KindToken, "id-2"))
	require.ErrorIs(t, c.Restore(t.Context(), mine.ID[:20]+"AAAAAAA"), revoke.ErrUnknown)
}

// TestSameSecond has the rows of a logout and a login within one second.
func TestSameSecond(t *testing.T) {
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }
	whole := func(ms int) token { return issued(at(ms).Truncate(time.Second), nil) }
	exact := func(ms int) token { return issued(at(ms), nil) }
	for _, row := range []struct {
		name      string
		logoutAt  int // ms
		claims    token
		byDefault bool // refused
		accepting bool // refused with AcceptSameSecond
	}{
		{"the second before", 400, whole(-600), true, true},
		{"before, whole seconds", 400, whole(300), true, false},
		{"after, whole seconds", 400, whole(600), true, false},
		{"the next second", 400, whole(1000), false, false},
		{"before, fractions", 400, exact(399), true, true},
		{"after, fractions", 400, exact(401), false, false},
		{"on the second, whole", 0, whole(0), true, false},
		{"on the second, next", 0, whole(1000), false, false},
		{"end of the second, whole", 999, whole(999), true, false},
		{"end of the second, next", 999, whole(1000), false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, accept := range []bool{false, true} {
				var now clock
				now.set(at(row.logoutAt))
				c := newChecker(t, revoke.Config{Now: now.now, AcceptSameSecond: accept})
				receipt := mustRevoke(t, c, record(revoke.KindSubject, "ann"))
				want := revoke.Reason("")
				if accept && row.accepting || !accept && row.byDefault {
					want = revoke.ReasonSubject
				}
				now.add(2 * time.Second)
				requireReason(t, c, want, row.claims, "accept=%v", accept)
				requireReason(t, c, "", issued(receipt.Cutoff, nil), "a login page that waits until Cutoff")
				require.Less(t, receipt.Cutoff.Sub(at(row.logoutAt)), time.Second+time.Millisecond)
			}
		})
	}
}

// TestIssuedAtTheCutoff: a token whose iat is the very cutoff was not issued before it
// (Keycloak #5990).
func TestIssuedAtTheCutoff(t *testing.T) {
	for _, accept := range []bool{false, true} {
		c := newChecker(t, revoke.Config{Now: new(clock).now, AcceptSameSecond: accept})
		r := record(revoke.KindSubject, "ann")
		r.IssuedBefore = epoch.Add(-time.Minute)
		require.Equal(t, r.IssuedBefore, mustRevoke(t, c, r).Cutoff)
		requireReason(t, c, "", issued(r.IssuedBefore, nil))
		requireReason(t, c, revoke.ReasonSubject, issued(r.IssuedBefore.Add(-time.Second), nil))
		requireReason(t, c, revoke.ReasonSubject, issued(r.IssuedBefore.Add(-time.Nanosecond), nil))
	}
}

// TestMissingIat: a token without iat fits every cutoff.
func TestMissingIat(t *testing.T) {
	for _, kind := range []revoke.Record{record(revoke.KindSubject, "ann"), record(revoke.KindIssuer, ""), record(revoke.KindEverything, "")} {
		for _, iat := range []any{nil, "1800000000", true, json.Number("x"), json.Number(""), json.Number("1e99"), []any{}, map[string]any{}} {
			c := newChecker(t, revoke.Config{Now: new(clock).now})
			mustRevoke(t, c, kind)
			claims := issued(epoch.Add(time.Hour), token{"iat": iat, "exp": date(epoch.Add(time.Hour))})
			requireReason(t, c, revoke.Reason(kind.Kind), claims, "%v", iat)
		}
	}
}

// TestNonStringClaims: claims that are no strings are matched, and nothing panics.
func TestNonStringClaims(t *testing.T) {
	for _, row := range []struct {
		rule, refused, passes any
	}{
		{json.Number("7"), json.Number("7"), "7"},
		{7, json.Number("7.0"), json.Number("7.5")},
		{json.Number("7"), 7.0, json.Number("70")},
		{7.25, json.Number("725e-2"), json.Number("7.26")},
		{json.Number("9007199254740993"), json.Number("9007199254740993"), json.Number("9007199254740992")},
		{int64(-3), json.Number("-3"), json.Number("3")},
		{uint64(3), json.Number("3"), map[string]any{"3": json.Number("3")}},
		{0, json.Number("-0"), false},
		{true, true, "true"},
		{"a", []any{"b", json.Number("1"), nil, "a"}, []any{"b", []any{"a"}}},
		{false, []any{true, false}, []any{true, json.Number("0")}},
		{"", "", nil},
		{"é", "é", "e\u0301"},
	} {
		t.Run(fmt.Sprintf("%T %v", row.rule, row.rule), func(t *testing.T) {
			c := newChecker(t, revoke.Config{Now: new(clock).now})
			mustRevoke(t, c, revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: map[string]any{"x": row.rule}})
			requireReason(t, c, revoke.ReasonClaims, issued(epoch, token{"x": row.refused}))
			requireReason(t, c, "", issued(epoch, token{"x": row.passes}))
			requireReason(t, c, "", issued(epoch, nil))
		})
	}
}

func TestAudienceListIsMatched(t *testing.T) {
	c := newChecker(t, revoke.Config{Now: new(clock).now})
	mustRevoke(t, c, revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: map[string]any{"aud": "https://api"}})
	requireReason(t, c, revoke.ReasonClaims, issued(epoch, token{"aud": []any{"https://other", "https://api"}}))
	requireReason(t, c, "", issued(epoch, token{"aud": []any{"https://other"}}))
}

// TestClaimMissingInTheMiddle: a rule about several claims needs all of them.
func TestClaimMissingInTheMiddle(t *testing.T) {
	all := map[string]any{"a": "1", "b": "2", "c": "3"}
	c := newChecker(t, revoke.Config{Now: new(clock).now})
	mustRevoke(t, c, revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: all})
	requireReason(t, c, revoke.ReasonClaims, issued(epoch, token{"a": "1", "b": []any{"0", "2"}, "c": []any{"3", "4"}}))
	for missing := range all {
		claims := issued(epoch, all)
		delete(claims, missing)
		requireReason(t, c, "", claims)
	}
	requireReason(t, c, "", issued(epoch, token{"a": "12", "b": "", "c": "3"}), "lengths are part of the key")
	requireReason(t, c, "", issued(epoch, token{"a": "2", "b": "1", "c": "3"}))
}

// TestManyCombinations: lists in a token do not make a check long, nor let it pass.
func TestManyCombinations(t *testing.T) {
	c := newChecker(t, revoke.Config{Now: new(clock).now})
	mustRevoke(t, c, revoke.Record{Kind: revoke.KindClaims, Issuer: issuer, Claims: map[string]any{"a": "x", "b": "y"}})
	long := make([]any, 1000)
	for i := range long {
		long[i] = fmt.Sprint(i)
	}
	requireReason(t, c, revoke.ReasonClaims, issued(epoch, token{"a": long, "b": long}))
	requireReason(t, c, "", issued(epoch, token{"a": long, "b": "y"}))
}

// TestOwnTokenOnly (R15): what a user does to the own token changes no verdict on
// another's, whatever that lacks.
func TestOwnTokenOnly(t *testing.T) {
	var now clock
	c := newChecker(t, revoke.Config{Now: now.now})
	own := record(revoke.KindToken, "id-1")
	own.Expires = epoch.Add(time.Hour)
	mustRevoke(t, c, own)
	for name, others := range map[string]token{
		"no jti": {"jti": nil}, "empty jti": {"jti": ""}, "odd jti": {"jti": true}, "no iat": {"jti": "x", "iat": nil},
		"no exp": {"jti": "x", "exp": nil}, "thirty days": {"jti": "x", "exp": date(epoch.Add(720 * time.Hour))},
		"same jti, other issuer": {"iss": "https://other"}, "no iss": {"iss": nil},
	} {
		requireReason(t, c, "", issued(epoch, others), name)
	}
	requireReason(t, c, revoke.ReasonToken, issued(epoch, nil))
	now.add(time.Hour + 3*time.Minute)
	requireReason(t, c, "", issued(epoch, nil), "forgotten: its exp has passed for long")
}

func TestRequireID(t *testing.T) {
	c := newChecker(t, revoke.Config{RequireID: true, IDClaims: map[string]string{"https://entra": "uti"}})
	requireReason(t, c, "", issued(epoch, nil))
	for _, id := range []any{nil, "", true, []any{"id"}} {
		requireReason(t, c, revoke.ReasonNoID, issued(epoch, token{"jti": id}), "%v", id)
	}
	requireReason(t, c, revoke.ReasonNoID, issued(epoch, token{"iss": "https://entra"}))
	requireReason(t, c, "", issued(epoch, token{"iss": "https://entra", "jti": nil, "uti": "u"}))
}

func TestIDClaimOfAnIssuer(t *testing.T) {
	c := newChecker(t, revoke.Config{IDClaims: map[string]string{"https://entra": "uti"}, Now: new(clock).now})
	mustRevoke(t, c, revoke.Record{Kind: revoke.KindToken, Issuer: "https://entra", Value: "u"})
	requireReason(t, c, revoke.ReasonToken, issued(epoch, token{"iss": "https://entra", "uti": "u"}))
	requireReason(t, c, "", issued(epoch, token{"iss": "https://entra", "jti": "u"}))
}

// TestThirtyDayToken (R14): a token that outlives the cutoff that covers it never
// passes again.
func TestThirtyDayToken(t *testing.T) {
	var now clock
	var reasons []revoke.Reason
	c := newChecker(t, revoke.Config{MaxLifetime: 24 * time.Hour, Now: now.now, Observe: func(_ context.Context, e revoke.Event) {
		if e.Kind == "refused" {
			reasons = append(reasons, e.Reason)
		}
	}})
	long := issued(epoch, token{"exp": date(epoch.Add(30 * 24 * time.Hour))})
	mustRevoke(t, c, record(revoke.KindSubject, "ann"))
	requireReason(t, c, revoke.ReasonSubject, long)
	now.add(24*time.Hour + 3*time.Minute)
	requireReason(t, c, revoke.ReasonLifetime, long, "the cutoff has lapsed")
	for range 1000 { // and is swept
		mustRevoke(t, c, record(revoke.KindToken, fmt.Sprint(now.now().UnixNano())))
		now.add(time.Second)
	}
	requireReason(t, c, revoke.ReasonLifetime, long)
	require.Contains(t, reasons, revoke.ReasonLifetime)

	requireReason(t, c, revoke.ReasonLifetime, issued(now.now(), token{"exp": nil}), "no exp")
	requireReason(t, c, revoke.ReasonLifetime, issued(now.now(), token{"exp": "1"}), "odd exp")
	requireReason(t, c, revoke.ReasonLifetime, issued(now.now(), token{"iat": nil, "exp": date(now.now().Add(25 * time.Hour))}), "no iat")
	requireReason(t, c, revoke.ReasonLifetime, issued(now.now(), token{"iat": nil}), "no iat, short: it may have been issued long before what is forgotten")
	requireReason(t, c, "", issued(now.now(), token{"exp": date(now.now().Add(24 * time.Hour))}), "exactly MaxLifetime")
	requireReason(t, c, revoke.ReasonLifetime, issued(time.Unix(-9e9, 0), token{"exp": json.Number("9000000000")}), "no overflow")
}

func TestBans(t *testing.T) {
	var now clock
	c := newChecker(t, revoke.Config{Now: now.now})
	r := record(revoke.KindSubject, "ann")
	r.Ban, r.Until = true, epoch.Add(10*time.Minute)
	require.Zero(t, mustRevoke(t, c, r).Cutoff)
	r.Value, r.Until = "bob", time.Time{}
	forever := mustRevoke(t, c, r)
	require.Zero(t, forever.Until)
	now.add(9 * time.Minute)
	requireReason(t, c, revoke.ReasonSubject, issued(now.now(), nil))
	now.add(time.Minute)
	requireReason(t, c, "", issued(now.now(), nil), "over")
	now.add(24 * 365 * time.Hour)
	requireReason(t, c, revoke.ReasonSubject, issued(now.now(), token{"sub": "bob"}))
	require.NoError(t, c.Restore(t.Context(), forever.ID))
	requireReason(t, c, "", issued(now.now(), token{"sub": "bob"}))

	key := record(revoke.KindKey, "key")
	key.IssuedBefore = now.now()
	mustRevoke(t, c, key)
	requireReason(t, c, revoke.ReasonKey, signed{issued(now.now().Add(-time.Minute), nil), thumb})
	requireReason(t, c, "", signed{issued(now.now(), nil), thumb}, "a key with a cutoff")
}

func TestInvalidRecords(t *testing.T) {
	c := newChecker(t, revoke.Config{Now: new(clock).now})
	long := string(bytes.Repeat([]byte("x"), 5000))
	change := func(kind revoke.Kind, value string, f func(*revoke.Record)) revoke.Record {
		r := record(kind, value)
		f(&r)
		return r
	}
	for name, r := range map[string]revoke.Record{
		"no kind":         {},
		"unknown kind":    {Kind: "x", Issuer: issuer},
		"no issuer":       {Kind: revoke.KindToken, Value: "x"},
		"issuer of all":   {Kind: revoke.KindEverything, Issuer: issuer},
		"no id":           record(revoke.KindToken, ""),
		"value of issuer": record(revoke.KindIssuer, "x"),
		"long value":      record(revoke.KindSubject, long),
		"long issuer":     {Kind: revoke.KindIssuer, Issuer: long},
		"no claims":       record(revoke.KindClaims, ""),
		"foreign claims":  change(revoke.KindSubject, "x", func(r *revoke.Record) { r.Claims = map[string]any{"a": "b"} }),
		"list":            change(revoke.KindClaims, "", func(r *revoke.Record) { r.Claims = map[string]any{"a": []any{"b"}} }),
		"nil":             change(revoke.KindClaims, "", func(r *revoke.Record) { r.Claims = map[string]any{"a": nil} }),
		"no name":         change(revoke.KindClaims, "", func(r *revoke.Record) { r.Claims = map[string]any{"": "b"} }),
		"many claims": change(revoke.KindClaims, "", func(r *revoke.Record) {
			r.Claims = map[string]any{"1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "6": 6, "7": 7, "8": 8, "9": 9}
		}),
		"banned token":   change(revoke.KindToken, "x", func(r *revoke.Record) { r.Ban = true }),
		"dated session":  change(revoke.KindSession, "x", func(r *revoke.Record) { r.IssuedBefore = epoch }),
		"expiring user":  change(revoke.KindSubject, "x", func(r *revoke.Record) { r.Expires = epoch }),
		"ban and cutoff": change(revoke.KindSubject, "x", func(r *revoke.Record) { r.Ban, r.IssuedBefore = true, epoch }),
		"past ban":       change(revoke.KindSubject, "x", func(r *revoke.Record) { r.Ban, r.Until = true, epoch }),
		"until, no ban":  change(revoke.KindSubject, "x", func(r *revoke.Record) { r.Until = epoch.Add(time.Hour) }),
		"future cutoff":  change(revoke.KindSubject, "x", func(r *revoke.Record) { r.IssuedBefore = epoch.Add(2 * time.Minute) }),
		"useless cutoff": change(revoke.KindSubject, "x", func(r *revoke.Record) { r.IssuedBefore = epoch.Add(-2 * time.Hour) }),
		"ancient cutoff": change(revoke.KindSubject, "x", func(r *revoke.Record) { r.IssuedBefore = time.Unix(-1, 0) }),
		"control reason": change(revoke.KindSubject, "x", func(r *revoke.Record) { r.Reason = "a\nb" }),
		"long actor":     change(revoke.KindSubject, "x", func(r *revoke.Record) { r.Actor = long }),
	} {
		_, err := c.Revoke(t.Context(), r)
		require.ErrorIs(t, err, revoke.ErrRecord, name)
		require.NotErrorIs(t, err, revoke.ErrUnavailable, name)
	}
	require.Zero(t, c.Status().Entries)
	expired := record(revoke.KindToken, "x")
	expired.Expires = epoch.Add(-time.Hour)
	mustRevoke(t, c, expired)
	require.Zero(t, c.Status().Entries, "nothing to keep")
}

// TestFullIsLoud (R10): nothing is given up for room.
func TestFullIsLoud(t *testing.T) {
	var now clock
	var alarms []revoke.Event
	c := newChecker(t, revoke.Config{MaxEntries: 10, Now: now.now, Observe: func(_ context.Context, e revoke.Event) {
		if e.Kind == "alarm" {
			alarms = append(alarms, e)
		}
	}})
	for i := range 10 {
		mustRevoke(t, c, record(revoke.KindToken, fmt.Sprint(i)))
	}
	_, err := c.Revoke(t.Context(), record(revoke.KindToken, "more"))
	require.ErrorIs(t, err, revoke.ErrFull)
	require.ErrorIs(t, err, revoke.ErrUnavailable)
	var later interface{ RetryAfter() time.Duration }
	require.ErrorAs(t, err, &later)
	require.EqualError(t, err, "revoke: unavailable: MaxEntries are held")
	require.Len(t, alarms, 1)
	require.Equal(t, revoke.ReasonFull, alarms[0].Reason)
	mustRevoke(t, c, record(revoke.KindToken, "3"))
	for i := range 10 {
		requireReason(t, c, revoke.ReasonToken, issued(epoch, token{"jti": fmt.Sprint(i)}))
	}
	requireReason(t, c, "", issued(epoch, token{"jti": "more"}))
	now.add(2 * time.Hour)
	mustRevoke(t, c, record(revoke.KindToken, "more"))
	require.Equal(t, 1, c.Status().Entries, "what has expired made room")
	require.Equal(t, 1, c.Status().Shapes)
}

// TestManyLogouts: who logs out again and again makes no check slow, and the latest
// cutoff holds.
func TestManyLogouts(t *testing.T) {
	var now clock
	c := newChecker(t, revoke.Config{Now: now.now})
	for range 1000 {
		mustRevoke(t, c, record(revoke.KindSubject, "ann"))
		now.add(time.Second)
	}
	requireReason(t, c, revoke.ReasonSubject, issued(now.now().Add(-time.Second), nil))
	requireReason(t, c, "", issued(now.now(), nil))
	require.LessOrEqual(t, c.Cutoffs(), 9)
}

func TestEmptyChecker(t *testing.T) {
	c := newChecker(t, revoke.Config{})
	requireReason(t, c, "", nil, "nothing is asked of the claims")
	require.True(t, c.Status().Ready)
	r := mustRevoke(t, c, record(revoke.KindToken, "x"))
	require.NoError(t, c.Restore(t.Context(), r.ID))
	require.Zero(t, c.Status().Shapes)
	_, err := c.Revoked(t.Context(), nil)
	require.ErrorIs(t, err, revoke.ErrUnavailable, "now they are looked at")
}

func TestNewReportsEverySetting(t *testing.T) {
	_, err := revoke.New(revoke.Config{
		MaxEntries: -1, Log: &revoke.MemoryLog{}, Mode: revoke.Graded, LoadTimeout: -1, GraceAge: -1, GraceLife: -1,
		MaxStaleness: -1, IDClaims: map[string]string{"": "x"},
	})
	for _, field := range []string{"MaxLifetime", "MaxEntries", "Secret", "GraceAge, GraceLife", "GraceAge: negative", "GraceLife: negative", "LoadTimeout", "MaxStaleness", "IDClaims"} {
		require.ErrorContains(t, err, "revoke: "+field)
	}
	for _, cfg := range []revoke.Config{
		{MaxLifetime: 10000 * time.Hour},
		{MaxLifetime: time.Hour, Mode: 9},
		{MaxLifetime: time.Hour, Secret: func() ([]byte, error) { return nil, nil }},
		{MaxLifetime: time.Hour, Secret: func() ([]byte, error) { return nil, errors.New("vault") }},
		{MaxLifetime: time.Hour, PreviousSecret: secret("x")},
		{MaxLifetime: time.Hour, Secret: secret("x"), PreviousSecret: func() ([]byte, error) { return []byte("short"), nil }},
	} {
		_, err := revoke.New(cfg)
		require.Error(t, err)
	}
	_, err = revoke.New(revoke.Config{MaxLifetime: time.Hour})
	require.NoError(t, err)
}

// TestNewChecksTheLog: what would make every token a 503 later is refused by name.
func TestNewChecksTheLog(t *testing.T) {
	var journal *revoke.Journal
	var memory *revoke.MemoryLog
	type wrapped struct{ *revoke.Journal }
	path := filepath.Join(t.TempDir(), "revoked")
	for _, row := range []struct {
		name string
		log  revoke.Log
		want string // empty: taken
	}{
		{"none", nil, ""},
		{"in memory", new(revoke.MemoryLog), ""},
		{"a journal", &revoke.Journal{Path: path}, ""},
		{"a wrapped journal", wrapped{&revoke.Journal{Path: path}}, ""},
		{"a nil journal", journal, "revoke: Log: a nil *revoke.Journal"},
		{"nil in memory", memory, "revoke: Log: a nil *revoke.MemoryLog"},
		{"a journal without Path", &revoke.Journal{}, "revoke: Log: Path: required"},
		{"a wrapped journal without Path", wrapped{&revoke.Journal{}}, "revoke: Log: Path: required"},
		{"a wrapped nil journal", wrapped{}, "revoke: Log: Path: required"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := revoke.New(revoke.Config{MaxLifetime: time.Hour, Secret: secret("s"), Log: row.log})
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, row.want)
			require.Nil(t, c)
		})
	}
	require.NoFileExists(t, path, "New opens nothing")
	require.EqualError(t, new(revoke.Journal).Append(t.Context(), nil), "revoke: Journal: Path: required")
}

func TestNewReportsBothSecrets(t *testing.T) {
	short := func() ([]byte, error) { return []byte("short"), nil }
	down := func() ([]byte, error) { return nil, errDown }
	for _, row := range []struct {
		name             string
		secret, previous func() ([]byte, error)
		want             string // empty: taken
	}{
		{"none", nil, nil, ""},
		{"one", secret("s"), nil, ""},
		{"two", secret("s"), secret("p"), ""},
		{"the first is short", short, secret("p"), "revoke: Secret: below 32 bytes"},
		{"the second is short", secret("s"), short, "revoke: PreviousSecret: below 32 bytes"},
		{"both are", short, short, "revoke: Secret: below 32 bytes\nrevoke: PreviousSecret: below 32 bytes"},
		{"one cannot be had", down, short, "revoke: Secret: connection refused\nrevoke: PreviousSecret: below 32 bytes"},
		{"only the previous", nil, short, "revoke: Secret: required with Log and PreviousSecret\nrevoke: PreviousSecret: below 32 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := revoke.New(revoke.Config{MaxLifetime: time.Hour, Secret: row.secret, PreviousSecret: row.previous})
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, row.want)
		})
	}
}

// TestNothingIsShown: neither the secret nor what is revoked is in anything printed.
func TestNothingIsShown(t *testing.T) {
	var lines, events bytes.Buffer
	cfg := revoke.Config{
		MaxLifetime: time.Hour, Secret: secret("Z"), Logger: slog.New(slog.NewJSONHandler(&lines, nil)),
		Observe: func(_ context.Context, e revoke.Event) { fmt.Fprintf(&events, "%+v\n", e); panic("broken") },
		Now:     new(clock).now,
	}
	c := newChecker(t, cfg)
	r := record(revoke.KindSubject, "private-subject")
	r.Actor = "admin"
	receipt := mustRevoke(t, c, r)
	requireReason(t, c, revoke.ReasonSubject, issued(epoch, token{"sub": "private-subject"}))
	_, err := c.Revoke(t.Context(), record(revoke.KindIssuer, "private-subject"))
	require.Error(t, err)
	text, _ := json.Marshal(r)
	all := fmt.Sprintf("%v %+v %#v %s %d | %+v %#v | %+v %#v | %v | %s | %s | %s", c, c, c, c, c, cfg, cfg, r, r, err, text, &lines, &events)
	for _, private := range []string{"private-subject", "ZZZ", "90 90"} {
		require.NotContains(t, all, private)
	}
	require.Contains(t, lines.String(), `"actor":"admin"`)
	require.Contains(t, lines.String(), receipt.ID)
}
