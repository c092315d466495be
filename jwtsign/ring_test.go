package jwtsign_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwtsign"
)

// hands is a clock that tests move.
type hands struct{ nano atomic.Int64 }

func newHands() *hands {
	h := &hands{}
	h.set(0)
	return h
}

func (h *hands) now() time.Time { return time.Unix(0, h.nano.Load()) }

// set is in seconds from the epoch of the tests.
func (h *hands) set(seconds float64) {
	h.nano.Store(clock().Add(time.Duration(seconds * float64(time.Second))).UnixNano())
}

func after(seconds int) time.Time { return clock().Add(time.Duration(seconds) * time.Second) }

// kidOf makes a token and reads which key made it.
func kidOf(tb testing.TB, s *jwtsign.Signer) string {
	tb.Helper()
	token, err := s.Sign(context.Background(), map[string]any{"sub": "ann"})
	if errors.Is(err, jwtsign.ErrUnavailable) {
		return "none"
	}
	require.NoError(tb, err)
	c, err := jose.ParseCompact(token)
	require.NoError(tb, err)
	return c.Header.KeyID
}

func store(tb testing.TB, name, text string) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(name+".new", []byte(text), 0o600))
	require.NoError(tb, os.Rename(name+".new", name))
}

func keySet(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// TestRotation: at each moment, which key signs and which are published. Config and
// File say the same.
func TestRotation(t *testing.T) {
	one, two, three := newEC(t), newEC(t), newEC(t)
	keys := []jwtsign.Key{
		{Private: jwtsign.SignerKey(one), Algorithm: "ES256", ID: "one", RetireAt: after(1000)},
		{Private: jwtsign.SignerKey(two), Algorithm: "ES256", ID: "two", PublishFrom: after(400), SignFrom: after(700), RetireAt: after(2000)},
		{Private: jwtsign.SignerKey(three), Algorithm: "ES256", ID: "three", PublishFrom: after(1500), SignFrom: after(2100), RetireAt: after(2500)},
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	store(t, file, keySet(
		privateJWK(t, one, "alg", "ES256", "kid", "one", "retire_at", stamp(after(1000))),
		privateJWK(t, two, "alg", "ES256", "kid", "two", "publish_from", after(400).In(time.FixedZone("x", -7200)).Format(time.RFC3339), "sign_from", stamp(after(700)), "retire_at", stamp(after(2000))),
		privateJWK(t, three, "alg", "ES256", "kid", "three", "publish_from", stamp(after(1500)), "sign_from", stamp(after(2100)), "retire_at", stamp(after(2500))),
	))
	const life = 3600 // of access()
	for _, way := range []string{"Keys", "File"} {
		h := newHands()
		cfg := config()
		cfg.Now = h.now
		cfg.Keys = keys
		if way == "File" {
			cfg.Keys, cfg.File = nil, file
		}
		s := signer(t, cfg)
		for _, row := range []struct {
			at        float64
			signing   string
			published string
			next      int // seconds; 0: never
		}{
			{0, "one", "one", 400},
			{399.999, "one", "one", 400},
			{400, "one", "one two", 700},
			{699.999, "one", "one two", 700},
			{700, "two", "one two", 1000},
			{999.999, "two", "one two", 1000},
			{1000, "two", "one two", 1500},
			{1500, "two", "one two three", 2000},
			{1999.999, "two", "one two three", 2000},
			{2000, "none", "one two three", 2100}, // a gap, by the times of the keys
			{2099.999, "none", "one two three", 2100},
			{2100, "three", "one two three", 2500},
			{2500, "none", "one two three", 1000 + life + 60},
			{1000 + life + 59.999, "none", "one two three", 1000 + life + 60},
			{1000 + life + 60, "none", "two three", 2000 + life + 60},
			{2000 + life + 60, "none", "three", 2500 + life + 60},
			{2500 + life + 60, "none", "", 0},
			{500, "one", "one two", 700}, // a clock that is set back
		} {
			t.Run(fmt.Sprint(way, " ", row.at), func(t *testing.T) {
				h.set(row.at)
				status := s.Status()
				require.Equal(t, strings.TrimPrefix(row.signing, "none"), status.Signing)
				require.Equal(t, row.published, strings.Join(status.Published, " "))
				if row.next == 0 {
					require.Zero(t, status.Next)
				} else {
					require.True(t, status.Next.Equal(after(row.next)), status.Next)
				}
				require.Equal(t, row.signing, kidOf(t, s))
				require.Equal(t, row.published, strings.Join(kidsIn(t, serveJWKS(t, s, nil).Body.String()), " "))
			})
		}
	}
}

// TestLongestLifetimeCounts: a retired key stays as long as the longest-lived kind.
func TestLongestLifetimeCounts(t *testing.T) {
	h := newHands()
	cfg := config()
	cfg.Now = h.now
	cfg.Fields = append(cfg.Fields, jwtsign.Field{Path: []string{"refresh"}, Token: jwtsign.Token{Lifetime: 100 * time.Hour, Audience: []string{issuerURL}, Type: "refresh+jwt"}})
	cfg.Keys = []jwtsign.Key{
		{Private: jwtsign.SignerKey(newEC(t)), Algorithm: "ES256", ID: "one", RetireAt: after(10)},
		{Private: jwtsign.SignerKey(newEC(t)), Algorithm: "ES256", ID: "two", SignFrom: after(10)},
	}
	s := signer(t, cfg)
	h.set(10 + 360_000 + 59)
	require.Equal(t, []string{"one", "two"}, s.Status().Published)
	h.set(10 + 360_000 + 60)
	require.Equal(t, []string{"two"}, s.Status().Published)
}

// events collects what Observe is told.
type events struct {
	mu   sync.Mutex
	list []jwtsign.Event
}

func (e *events) add(_ context.Context, event jwtsign.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if event.Reloaded {
		e.list = append(e.list, event)
	}
}

func (e *events) take() []jwtsign.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = nil
	return list
}

func TestReloadFile(t *testing.T) {
	one, two := privateJWK(t, newEC(t), "alg", "ES256", "kid", "one"), privateJWK(t, newEC(t), "alg", "ES256", "kid", "two")
	for _, row := range []struct {
		name  string
		text  string // "-": the file is gone; "dir": a folder
		taken string // kid after; empty: the old one stays
	}{
		{"another key", keySet(two), "two"},
		{"one JWK", two, "two"},
		{"the old and a new one", keySet(one, privateJWK(t, newEC(t), "alg", "ES256", "kid", "new", "sign_from", stamp(after(-5)))), "new"},
		{"a secret", keySet(privateJWK(t, secret, "alg", "HS256", "kid", "s")), "s"},
		{"gone", "-", ""},
		{"a folder", "dir", ""},
		{"empty", "", ""},
		{"garbage", "c4n4ry{", ""},
		{"cut", keySet(two)[:120], ""},
		{"no keys", keySet(), ""},
		{"no object", "[" + two + "]", ""},
		{"a key of two halves", keySet(strings.Replace(two, `"d":"`, `"d":"AAAA`, 1)), ""},
		{"public only", keySet(strings.Replace(two, `"d":`, `"e":`, 1)), ""},
		{"no alg", keySet(strings.Replace(two, `"alg":"ES256",`, ``, 1)), ""},
		{"kid twice", keySet(two, two), ""},
		{"two that sign at once", keySet(one, two), ""},
		{"larger than 1 MiB", strings.Repeat(" ", 1<<20) + keySet(two), ""},
		{"65 keys", keySet(strings.Split(strings.Repeat(two+"\n", 65)[:65*(len(two)+1)-1], "\n")...), ""},
		{"none signs yet", keySet(strings.Replace(two, "{", `{"sign_from":"`+stamp(after(1))+`",`, 1)), ""},
		{"none signs any more", keySet(strings.Replace(two, "{", `{"retire_at":"`+stamp(after(0))+`",`, 1)), ""},
		{"a time that is none", keySet(strings.Replace(two, "{", `{"retire_at":"c4n4ry",`, 1)), ""},
		{"a time without zone", keySet(strings.Replace(two, "{", `{"retire_at":"2099-01-01T00:00:00",`, 1)), ""},
		{"a time in seconds", keySet(strings.Replace(two, "{", `{"retire_at":4102444800,`, 1)), ""},
		{"a time that is null", keySet(strings.Replace(two, "{", `{"retire_at":null,`, 1)), ""},
		{"a time twice", keySet(strings.Replace(two, "{", `{"retire_at":"2099-01-01T00:00:00Z","retire_at":"2098-01-01T00:00:00Z",`, 1)), ""},
		{"a time in the wrong case", keySet(strings.Replace(two, "{", `{"Retire_At":"2001-01-01T00:00:00Z",`, 1)), ""},
		{"times out of order", keySet(strings.Replace(two, "{", `{"publish_from":"2099-01-01T00:00:00Z",`, 1)), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "keys.json")
			store(t, name, keySet(one))
			var log buffer
			var seen events
			cfg := config()
			cfg.Keys, cfg.File, cfg.Logger, cfg.Observe = nil, name, log.logger(), seen.add
			s := signer(t, cfg)
			before := serveJWKS(t, s, nil).Body.String()
			require.Equal(t, "one", kidOf(t, s))
			switch row.text {
			case "-":
				require.NoError(t, os.Remove(name))
			case "dir":
				require.NoError(t, os.Remove(name))
				require.NoError(t, os.Mkdir(name, 0o700))
			default:
				store(t, name, row.text)
			}
			_, newErr := jwtsign.New(cfg)
			err := s.Reload()
			list := seen.take()
			require.Len(t, list, 1)
			require.Equal(t, err, list[0].Err)
			if row.taken != "" {
				require.NoError(t, newErr)
				require.NoError(t, err)
				require.Equal(t, row.taken, kidOf(t, s))
				require.Equal(t, jwtsign.Event{Reloaded: true, KeyID: row.taken, Duration: list[0].Duration}, list[0])
				require.Contains(t, log.String(), "level=INFO")
				require.NotContains(t, log.String(), "level=WARN")
				return
			}
			require.Error(t, newErr)
			require.Error(t, err)
			require.Equal(t, jwtsign.ReasonReload, list[0].Reason)
			require.Contains(t, log.String(), "level=WARN")
			require.Contains(t, log.String(), "reason=reload")
			require.Equal(t, "one", kidOf(t, s))
			require.Equal(t, before, serveJWKS(t, s, nil).Body.String())
			for _, text := range []string{newErr.Error(), err.Error(), log.String()} {
				require.NotContains(t, text, canary)
				require.NotContains(t, text, "AAAA")
				require.NotContains(t, text, name)
				if i := strings.Index(row.text, `"d":"`); i >= 0 {
					require.NotContains(t, text, row.text[i+5:i+20])
				}
			}

			require.NoError(t, os.RemoveAll(name))
			store(t, name, keySet(two)) // and it heals
			require.NoError(t, s.Reload())
			require.Equal(t, "two", kidOf(t, s))
		})
	}
}

func TestReloadUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	name := filepath.Join(t.TempDir(), "keys.json")
	store(t, name, privateJWK(t, newEC(t), "alg", "ES256", "kid", "one"))
	cfg := config()
	cfg.Keys, cfg.File = nil, name
	s := signer(t, cfg)
	require.NoError(t, os.Chmod(name, 0))
	err := s.Reload()
	require.ErrorIs(t, err, os.ErrPermission)
	require.NotContains(t, err.Error(), name)
	require.Equal(t, "one", kidOf(t, s))
}

// TestFileIsLookedAt: a change is seen within 5 s of requests, and not before.
func TestFileIsLookedAt(t *testing.T) {
	one, two := privateJWK(t, newEC(t), "alg", "ES256", "kid", "one"), privateJWK(t, newEC(t), "alg", "ES256", "kid", "second")
	name := filepath.Join(t.TempDir(), "keys.json")
	synctest.Test(t, func(t *testing.T) {
		store(t, name, one)
		var seen events
		cfg := config()
		cfg.Keys, cfg.File, cfg.Observe = nil, name, seen.add
		s := signer(t, cfg)
		use := func(after time.Duration) string {
			time.Sleep(after)
			_ = kidOf(t, s)
			synctest.Wait()
			return kidOf(t, s)
		}
		require.Equal(t, "one", use(10*time.Second))
		require.Empty(t, seen.take(), "nothing changed")
		store(t, name, two)
		require.Equal(t, "one", use(4*time.Second))
		require.Equal(t, "second", use(time.Second))
		require.Len(t, seen.take(), 1)
		require.Equal(t, "second", use(time.Hour))
		require.Empty(t, seen.take())

		store(t, name, "c4n4ry")
		for range 3 { // each look says so again
			require.Equal(t, "second", use(5*time.Second))
			require.Len(t, seen.take(), 1)
		}
		require.NoError(t, os.Remove(name))
		require.Equal(t, "second", use(5*time.Second))
		require.Len(t, seen.take(), 1)
		store(t, name, one)
		require.Equal(t, "one", use(5*time.Second))

		// JWKS alone is enough of a request.
		store(t, name, two)
		time.Sleep(5 * time.Second)
		serveJWKS(t, s, nil)
		synctest.Wait()
		require.Equal(t, []string{"second"}, kidsIn(t, serveJWKS(t, s, nil).Body.String()))
	})
}

// TestFileOfSameSizeAndTime: a build that sets times to a constant, and keys of one
// kind, make a file that only its inode tells from the old one.
func TestFileOfSameSizeAndTime(t *testing.T) {
	one, two := privateJWK(t, newEC(t), "alg", "ES256", "kid", "one"), privateJWK(t, newEC(t), "alg", "ES256", "kid", "two")
	require.Len(t, two, len(one))
	name := filepath.Join(t.TempDir(), "keys.json")
	put := func(text string) {
		store(t, name, text)
		require.NoError(t, os.Chtimes(name, clock(), clock()))
	}
	synctest.Test(t, func(t *testing.T) {
		put(one)
		cfg := config()
		cfg.Keys, cfg.File = nil, name
		s := signer(t, cfg)
		put(two)
		time.Sleep(5 * time.Second)
		_ = kidOf(t, s)
		synctest.Wait()
		require.Equal(t, "two", kidOf(t, s))
	})
}

// TestFileInPlace: one that was just written when it was read may have been written
// again within the same tick, at the same size: it is read once more, and nothing is
// said of it if it is the same.
func TestFileInPlace(t *testing.T) {
	one, two := privateJWK(t, newEC(t), "alg", "ES256", "kid", "one"), privateJWK(t, newEC(t), "alg", "ES256", "kid", "two")
	require.Len(t, two, len(one))
	for _, row := range []struct {
		name     string
		age      time.Duration // of the file when it was read
		text     string        // what is there at the first look, with the time of before
		kid      string
		decrypts int // New included
		reloads  int
	}{
		{"written in the tick in which it was read", 0, two, "two", 2, 1},
		{"written in the tick of a coarse clock", 2 * time.Second, two, "two", 2, 1},
		{"just written, and the same", 0, one, "one", 1, 0},
		{"settled, and the same", time.Minute, one, "one", 1, 0},
		{"settled, with its time set back", time.Minute, two, "one", 1, 0}, // nobody can tell
		{"just written, and broken", 0, strings.Replace(two, `"ES256"`, `"XX256"`, 1), "one", 2, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "keys.json")
			synctest.Test(t, func(t *testing.T) {
				at := time.Now().Add(-row.age)
				put := func(text string) {
					require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
					require.NoError(t, os.Chtimes(name, at, at))
				}
				put(one)
				var seen events
				var decrypts atomic.Int64
				cfg := config()
				cfg.Keys, cfg.File, cfg.Observe = nil, name, seen.add
				cfg.Decrypt = func(b []byte) ([]byte, error) { decrypts.Add(1); return b, nil }
				s := signer(t, cfg)
				put(row.text)
				time.Sleep(5 * time.Second)
				_ = kidOf(t, s)
				synctest.Wait()
				require.Equal(t, row.kid, kidOf(t, s))
				require.EqualValues(t, row.decrypts, decrypts.Load())
				require.Len(t, seen.take(), row.reloads)

				put(one) // once it is settled, there is nothing to read
				require.NoError(t, s.Reload())
				before := decrypts.Load()
				seen.take()
				time.Sleep(5 * time.Second)
				_ = kidOf(t, s)
				synctest.Wait()
				require.Equal(t, "one", kidOf(t, s))
				require.Equal(t, before, decrypts.Load())
				require.Empty(t, seen.take())
			})
		})
	}
}

// TestFileRecovers: after a failure that was reported, so is the file of before.
func TestFileRecovers(t *testing.T) {
	one := privateJWK(t, newEC(t), "alg", "ES256", "kid", "one")
	name := filepath.Join(t.TempDir(), "keys.json")
	synctest.Test(t, func(t *testing.T) {
		store(t, name, one)
		var seen events
		cfg := config()
		cfg.Keys, cfg.File, cfg.Observe = nil, name, seen.add
		s := signer(t, cfg)
		for _, row := range []struct {
			name, text string
			failed     []bool
		}{
			{"broken", "{", []bool{true}},
			{"mended", one, []bool{false}},
			{"the same", one, []bool{}},
		} {
			store(t, name, row.text)
			time.Sleep(5 * time.Second)
			_ = kidOf(t, s)
			synctest.Wait()
			failed := []bool{}
			for _, e := range seen.take() {
				failed = append(failed, e.Err != nil)
			}
			require.Equal(t, row.failed, failed, row.name)
		}
	})
}

func TestDecrypt(t *testing.T) {
	one, two := privateJWK(t, newEC(t), "alg", "ES256", "kid", "one"), privateJWK(t, newEC(t), "alg", "ES256", "kid", "two")
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		for i := range b {
			b[i] ^= 0x55
		}
		return b
	}
	name := filepath.Join(t.TempDir(), "keys.enc")
	store(t, name, string(flip([]byte(one))))
	var log buffer
	cfg := config()
	cfg.Keys, cfg.File, cfg.Logger = nil, name, log.logger()
	_, err := jwtsign.New(cfg)
	require.ErrorContains(t, err, "jwtsign: File: ", "without Decrypt")
	cfg.Decrypt = func(b []byte) ([]byte, error) {
		if len(b) < 20 {
			_ = b[:20:20][30:] // as code does that cuts off a nonce
		}
		if b[0] != 0x55^'{' {
			return nil, errors.New("bad envelope " + string(b))
		}
		return flip(b), nil
	}
	s := signer(t, cfg)
	require.Equal(t, "one", kidOf(t, s))
	store(t, name, string(flip([]byte(two))))
	require.NoError(t, s.Reload())
	require.Equal(t, "two", kidOf(t, s))
	store(t, name, one+canary)
	err = s.Reload()
	require.ErrorContains(t, err, "decrypt")
	require.NotContains(t, err.Error()+log.String(), canary)
	require.Contains(t, log.String(), "reason=reload")
	require.Equal(t, "two", kidOf(t, s))

	store(t, name, "short")
	require.NotPanics(t, func() { err = s.Reload() })
	require.Error(t, err)
	require.Equal(t, "two", kidOf(t, s))
}

// TestReloadsDoNotOvertake: of two reloads, the one that read the newer file wins.
func TestReloadsDoNotOvertake(t *testing.T) {
	one, two, three := privateJWK(t, newEC(t), "alg", "ES256", "kid", "one"), privateJWK(t, newEC(t), "alg", "ES256", "kid", "two"), privateJWK(t, newEC(t), "alg", "ES256", "kid", "three")
	name := filepath.Join(t.TempDir(), "keys.json")
	store(t, name, one)
	reading, release := make(chan struct{}), make(chan struct{})
	cfg := config()
	cfg.Keys, cfg.File = nil, name
	cfg.Decrypt = func(b []byte) ([]byte, error) {
		if bytes.Contains(b, []byte(`"two"`)) { // a key service that takes its time
			close(reading)
			<-release
		}
		return b, nil
	}
	s := signer(t, cfg)
	store(t, name, two)
	first := make(chan error, 1)
	go func() { first <- s.Reload() }()
	<-reading
	store(t, name, three)
	second := make(chan error, 1)
	go func() { second <- s.Reload() }()
	select {
	case err := <-second:
		require.NoError(t, err)
		second <- nil
	case <-time.After(200 * time.Millisecond): // it waits for the first
	}
	close(release)
	require.NoError(t, <-first)
	require.NoError(t, <-second)
	require.Equal(t, "three", kidOf(t, s))
}

func TestReplace(t *testing.T) {
	var log buffer
	var seen events
	cfg := config()
	cfg.Logger, cfg.Observe = log.logger(), seen.add
	s := signer(t, cfg)
	require.Error(t, s.Reload(), "there is no File")
	seen.take()
	two := jwtsign.Key{Private: jwtsign.SignerKey(newEC(t)), Algorithm: "ES256", ID: "two"}
	late := two
	late.SignFrom = after(1)
	for name, keys := range map[string][]jwtsign.Key{
		"none": nil, "a zero one": {{}}, "one signs later": {late}, "kid twice": {two, two}, "a bad one among them": {two, {ID: "x"}},
	} {
		require.Error(t, s.Replace(keys), name)
		list := seen.take()
		require.Len(t, list, 1, name)
		require.Equal(t, jwtsign.ReasonReload, list[0].Reason)
		require.Equal(t, "one", kidOf(t, s), name)
	}
	require.Contains(t, log.String(), "reason=reload")
	keys := []jwtsign.Key{two}
	require.NoError(t, s.Replace(keys))
	keys[0] = jwtsign.Key{}
	require.Equal(t, "two", kidOf(t, s))

	file := filepath.Join(t.TempDir(), "keys.json")
	store(t, file, privateJWK(t, newEC(t), "alg", "ES256", "kid", "one"))
	cfg.Keys, cfg.File = nil, file
	require.Error(t, signer(t, cfg).Replace([]jwtsign.Key{two}))
}

// TestReloadUnderLoad: each token, each Status and each set is of one ring.
func TestReloadUnderLoad(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys.json")
	sets := [2]string{
		keySet(privateJWK(t, newEC(t), "alg", "ES256", "kid", "a1"), privateJWK(t, edKey(), "alg", "EdDSA", "kid", "a2", "sign_from", stamp(after(-9)))),
		keySet(privateJWK(t, newEC(t), "alg", "ES256", "kid", "b1"), privateJWK(t, edKey(), "alg", "Ed25519", "kid", "b2", "sign_from", stamp(after(-9)))),
	}
	store(t, name, sets[0])
	cfg := config()
	cfg.Keys, cfg.File = nil, name
	s := signer(t, cfg)
	// What is seen at one moment must be of one set, whichever it is.
	look := func() error {
		status := s.Status()
		shown := status.Signing + strings.Join(status.Published, "")
		set := strings.Join(kidsIn(t, serveJWKS(t, s, nil).Body.String()), "")
		token, err := s.Sign(t.Context(), map[string]any{})
		if err != nil {
			return err
		}
		c, err := jose.ParseCompact(token)
		if err != nil {
			return err
		}
		signed := c.Header.KeyID + c.Header.Alg
		if shown != "a2a1a2" && shown != "b2b1b2" || set != "a1a2" && set != "b1b2" || signed != "a2EdDSA" && signed != "b2Ed25519" {
			return fmt.Errorf("%s %s %s", shown, set, signed)
		}
		return nil
	}
	var stop atomic.Bool
	var group sync.WaitGroup
	bad := make(chan error, 4)
	for range 4 {
		group.Go(func() {
			for !stop.Load() {
				if err := look(); err != nil {
					bad <- err
					return
				}
			}
		})
	}
	for i := range 100 {
		store(t, name, sets[i%2])
		require.NoError(t, s.Reload())
	}
	stop.Store(true)
	group.Wait()
	close(bad)
	require.NoError(t, <-bad)
}

const ringVariable = "GATEHOUSE_TEST_RING"

// TestTwoProcesses: with one file and one clock, a replica, and the same one after a
// restart, signs with the same key and publishes the same set.
func TestTwoProcesses(t *testing.T) {
	if name := os.Getenv(ringVariable); name != "" { // the other process
		h := newHands()
		cfg := config()
		cfg.Keys, cfg.File, cfg.Now = nil, name, h.now
		s := signer(t, cfg)
		for at := range 30 {
			h.set(float64(at * 100))
			fmt.Printf("%d %s %s\n", at, kidOf(t, s), serveJWKS(t, s, nil).Body)
		}
		// A restart in the middle of the rotation.
		from, err := strconv.Atoi(os.Getenv(ringVariable + "_FROM"))
		require.NoError(t, err)
		h.set(float64(from * 100))
		fmt.Printf("restart %s %s\n", kidOf(t, signer(t, cfg)), serveJWKS(t, s, nil).Body)
		return
	}
	name := filepath.Join(t.TempDir(), "keys.json")
	store(t, name, keySet(
		privateJWK(t, newEC(t), "alg", "ES256", "retire_at", stamp(after(1000))),
		privateJWK(t, newEC(t), "alg", "ES256", "publish_from", stamp(after(500)), "sign_from", stamp(after(900))),
		privateJWK(t, edKey(), "alg", "Ed25519", "publish_from", stamp(after(1500)), "sign_from", stamp(after(1900))),
	))
	run := func(from int) (lines, restart string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestTwoProcesses$", "-test.count=1")
		cmd.Env = append(os.Environ(), ringVariable+"="+name, ringVariable+"_FROM="+strconv.Itoa(from))
		out, err := cmd.Output()
		require.NoError(t, err)
		lines, restart, found := strings.Cut(string(out), "restart ")
		require.True(t, found, "%s", out)
		restart, _, _ = strings.Cut(restart, "\n")
		return lines, restart
	}
	a, early := run(0)
	b, late := run(20)
	require.Equal(t, a, b)
	require.Equal(t, 30, strings.Count(a, "\n"))
	require.Contains(t, a, "\n20 "+late+"\n")
	require.True(t, strings.HasPrefix(a, "0 "+early+"\n"))
	require.NotEqual(t, early, late)
}
