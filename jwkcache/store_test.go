//go:build unix

package jwkcache_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/internal/testidp"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

func kept(path string) func(*jwkcache.Config) {
	return func(c *jwkcache.Config) { c.Snapshot = path }
}

// writeSnapshot leaves the file of a cache that has fetched these keys.
func writeSnapshot(t *testing.T, path string, keys ...testidp.Key) {
	t.Helper()
	c := newCache(t, newProvider(publish(t, keys...)), kept(path))
	require.NoError(t, c.Warm(t.Context()))
	require.NoError(t, c.Status().StoreError)
}

func readJSON(t *testing.T, path string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, json.Unmarshal(text, &v))
	return v
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text, 0o600))
}

// filesIn are the names in the folder of a file: no temporary one is left.
func filesIn(t *testing.T, path string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestSnapshotIsWritten(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", filepath.Join(dir, "none")) // a rename within one folder is one step
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(dir, "keys.json")
		k := newKey(t, "k", jose.ES256)
		p := newProvider(publishes(jwk(t, k, nil), `{"kty":"oct","k":"c2VjcmV0","kid":"secret"}`, `{"kty":"AKP","kid":"odd"}`))
		c := newCache(t, p, kept(path))
		require.NoFileExists(t, path, "New writes nothing")
		has(t, c, k)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
		require.Equal(t, []string{"keys.json"}, filesIn(t, path))
		first := readJSON(t, path)
		var published any
		require.NoError(t, json.Unmarshal([]byte(jwk(t, k, nil)), &published))
		require.Equal(t, map[string]any{
			"url": keysURL, "fetched_at": time.Now().UTC().Format(time.RFC3339Nano), "keys": []any{published},
		}, first, "usable keys only")

		// Each fetch replaces the file, in one step: whoever has the old one open goes on reading that.
		before := filepath.Join(filepath.Dir(path), "before.json")
		require.NoError(t, os.Link(path, before))
		require.NoError(t, os.Chmod(path, 0o644))
		l := newKey(t, "l", jose.ES256)
		p.set(publish(t, l))
		time.Sleep(time.Hour)
		has(t, c, l)
		require.Equal(t, first, readJSON(t, before))
		require.NotEqual(t, first, readJSON(t, path))
		info, err = os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
		require.Equal(t, []string{"before.json", "keys.json"}, filesIn(t, path))

		// A fetch that fails neither writes nor reads it.
		write(t, path, "damaged")
		p.set(fails)
		time.Sleep(59 * time.Minute)
		has(t, c, l)
		require.Error(t, c.Status().LastError)
		require.NoError(t, c.Status().StoreError)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "damaged", string(text))
	})
}

func TestSnapshotTimeIsOfTheLastConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		k := newKey(t, "k", jose.ES256)
		p := newProvider(says(200, setOf(jwk(t, k, nil)), `ETag: "1"`))
		c := newCache(t, p, kept(path))
		has(t, c, k)
		p.set(says(304, ""))
		time.Sleep(2 * time.Hour)
		has(t, c, k)
		v := readJSON(t, path)
		require.Equal(t, time.Now().UTC().Format(time.RFC3339Nano), v["fetched_at"])
		require.Len(t, v["keys"], 1)
		p.set(fails)
		has(t, newCache(t, p, kept(path)), k)
	})
}

// TestSnapshotReplacesALink: what a link in its place leads to is not written.
func TestSnapshotReplacesALink(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "keys.json"), filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(other, []byte("of somebody else"), 0o600))
	require.NoError(t, os.Symlink(other, path))
	writeSnapshot(t, path, newKey(t, "k", jose.ES256))
	text, err := os.ReadFile(other)
	require.NoError(t, err)
	require.Equal(t, "of somebody else", string(text))
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
}

func TestSnapshotCannotBeWritten(t *testing.T) {
	for _, tt := range []struct {
		name string
		path func(dir string) string
		heal func(t *testing.T, path string)
	}{
		{
			"no such folder", func(dir string) string { return filepath.Join(dir, "missing", "keys.json") },
			func(t *testing.T, path string) { require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700)) },
		},
		{
			"in a file", func(dir string) string {
				if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
					panic(err)
				}
				return filepath.Join(dir, "file", "keys.json")
			},
			func(t *testing.T, path string) {
				require.NoError(t, os.Remove(filepath.Dir(path)))
				require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
			},
		},
		{
			"a folder is there", func(dir string) string {
				if err := os.MkdirAll(filepath.Join(dir, "keys.json", "full"), 0o700); err != nil {
					panic(err)
				}
				return filepath.Join(dir, "keys.json")
			},
			func(t *testing.T, path string) { require.NoError(t, os.RemoveAll(path)) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				path := tt.path(dir)
				left := filesIn(t, filepath.Join(dir, "x"))
				var logged bytes.Buffer
				k := newKey(t, "k", jose.ES256)
				p := newProvider(publish(t, k))
				c := newCache(t, p, kept(path), func(c *jwkcache.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
				has(t, c, k)
				st := c.Status()
				require.ErrorContains(t, st.StoreError, "jwkcache: snapshot: ")
				require.NoError(t, st.LastError, "the keys are good")
				require.True(t, st.Usable)
				require.Equal(t, left, filesIn(t, filepath.Join(dir, "x")))
				require.Contains(t, logged.String(), "level=WARN")
				require.Equal(t, 1, strings.Count(logged.String(), "\n"))

				tt.heal(t, path)
				time.Sleep(time.Hour)
				has(t, c, k)
				require.NoError(t, c.Status().StoreError)
				require.FileExists(t, path)
			})
		})
	}
}

func TestSnapshotRestart(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*jwkcache.Config)
	}{
		{"URL", func(*jwkcache.Config) {}},
		{"Issuer", func(c *jwkcache.Config) { c.URL, c.Issuer = "", issuer }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "keys.json")
				k, l := newKey(t, "k", jose.ES256), newKey(t, "l", jose.ES256)
				answers := func(r replier) replier {
					return at(map[string]replier{"/tenant/.well-known/openid-configuration": metadata(issuer, keysURL), "/jwks": r})
				}
				p := newProvider(answers(publish(t, k)))
				has(t, newCache(t, p, kept(path), tt.change), k)
				fetched := time.Now()

				time.Sleep(time.Minute)
				p.set(says(503, ""))
				restarted := newCache(t, p, kept(path), tt.change)
				require.Equal(t, jwkcache.Status{}, restarted.Status(), "New does not read it")
				has(t, restarted, k)
				st := restarted.Status()
				require.True(t, st.Usable)
				require.True(t, fetched.Equal(st.FetchedAt))
				require.Equal(t, time.Minute, st.Age)
				require.EqualValues(t, 1, st.Generation)
				require.EqualValues(t, 1, st.Failures)
				require.Error(t, st.LastError)
				require.NoError(t, st.StoreError)
				require.Equal(t, []jwkcache.KeyStatus{{ID: "k", Algorithm: "ES256"}}, st.Keys)
				_, err := restarted.Keys(t.Context(), "l", "ES256")
				require.ErrorIs(t, err, jwkcache.ErrUnavailable, "whether there is another key, nobody can tell")

				// Fresh as it is, it is replaced as soon as the source is back.
				p.set(answers(publish(t, l)))
				time.Sleep(time.Second)
				has(t, restarted, k)
				synctest.Wait()
				require.NoError(t, restarted.Status().LastError)
				hasNot(t, restarted, k)
				has(t, restarted, l)
				require.EqualValues(t, 2, restarted.Status().Generation)

				p.set(says(503, ""))
				third := newCache(t, p, kept(path), tt.change)
				has(t, third, l)
			})
		})
	}
}

// TestSnapshotAgesByTheSteadyClock: a file knows the wall's time only, which may be set
// back; what was read from it ages by the other clock all the same.
func TestSnapshotAgesByTheSteadyClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	k := newKey(t, "k", jose.ES256)
	p := newProvider(publish(t, k))
	has(t, newCache(t, p, kept(path)), k)
	p.set(says(503, ""))
	restarted := newCache(t, p, kept(path))
	has(t, restarted, k)
	require.Contains(t, restarted.Status().FetchedAt.String(), " m=")
}

// TestSnapshotIsDueAtOnce: also one of this very moment, and one of a service that
// has been idle since.
func TestSnapshotIsDueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		k, l := newKey(t, "k", jose.ES256), newKey(t, "l", jose.ES256)
		writeSnapshot(t, path, k)
		p := newProvider(fails)
		c := newCache(t, p, kept(path))
		has(t, c, k)
		require.LessOrEqual(t, time.Until(c.Status().NextFetch), time.Second)
		p.set(publish(t, l))
		time.Sleep(time.Second)
		has(t, c, k)
		synctest.Wait()
		require.Equal(t, 2, p.asked())
		has(t, c, l)
	})
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		k, l := newKey(t, "k", jose.ES256), newKey(t, "l", jose.ES256)
		writeSnapshot(t, path, k)
		time.Sleep(50 * time.Minute)
		p := newProvider(fails)
		c := newCache(t, p, kept(path), func(c *jwkcache.Config) { c.MaxStale = 3 * time.Hour })
		has(t, c, k)
		p.set(publish(t, l))
		time.Sleep(40 * time.Minute)
		hasNot(t, c, k)
		has(t, c, l)
	})
}

func TestSnapshotIsForAFailedFetchOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		k, l := newKey(t, "k", jose.ES256), newKey(t, "l", jose.ES256)
		writeSnapshot(t, path, k)
		c := newCache(t, newProvider(publish(t, l)), kept(path))
		hasNot(t, c, k)
		has(t, c, l)

		// A set that was fetched does not give way to an older one of a file.
		p := newProvider(publish(t, l))
		d := newCache(t, p, kept(path))
		has(t, d, l)
		require.NoError(t, os.Remove(path))
		writeSnapshot(t, path, k)
		p.set(fails)
		time.Sleep(59 * time.Minute)
		has(t, d, l)
		time.Sleep(time.Minute)
		_, err := d.Keys(t.Context(), "k", "ES256")
		require.ErrorIs(t, err, jwkcache.ErrUnavailable)
	})
}

func TestSnapshotIsNotThere(t *testing.T) {
	c := newCache(t, newProvider(fails), kept(filepath.Join(t.TempDir(), "keys.json")))
	require.ErrorIs(t, c.Warm(t.Context()), jwkcache.ErrUnavailable)
	require.NoError(t, c.Status().StoreError, "that is how a first start looks")
}

// TestSnapshotAgesFromItsFetch: a restart makes no key younger.
func TestSnapshotAgesFromItsFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		k := newKey(t, "k", jose.ES256)
		writeSnapshot(t, path, k)
		time.Sleep(time.Hour - 1)
		restarted := newCache(t, newProvider(fails), kept(path))
		has(t, restarted, k)
		require.True(t, restarted.Status().Usable)
		time.Sleep(1)
		_, err := restarted.Keys(t.Context(), "k", "ES256")
		require.ErrorIs(t, err, jwkcache.ErrUnavailable)
		require.False(t, restarted.Status().Usable)
		again := newCache(t, newProvider(fails), kept(path))
		_, err = again.Keys(t.Context(), "k", "ES256")
		require.ErrorIs(t, err, jwkcache.ErrUnavailable)
		require.EqualError(t, again.Status().StoreError, "jwkcache: snapshot: older than MaxStale")
		longer := newCache(t, newProvider(fails), kept(path), func(c *jwkcache.Config) { c.MaxStale = 2 * time.Hour })
		has(t, longer, k)
	})
}

func TestSnapshotKeepsEveryName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		k := newKey(t, "<a>&\u2028\"\\\u00e4", jose.ES256)
		p := newProvider(publishes(jwk(t, k, members{"x5t": "thumb", "x5t#S256": "print", "x5c": []string{"certificate"}})))
		require.NoError(t, newCache(t, p, kept(path)).Warm(t.Context()))
		p.set(fails)
		c := newCache(t, p, kept(path))
		for _, id := range []string{k.ID, "thumb", "print", k.ID + "thumb", ""} {
			requireKeys(t, lookup(t, c, id, "ES256"), k)
		}
		restored := pointer(t, lookup(t, c, k.ID, "ES256"))
		p.set(publish(t, k))
		time.Sleep(time.Hour)
		require.Same(t, restored, pointer(t, lookup(t, c, k.ID, "ES256")), "the same key stays the same value")
	})
}

// TestSnapshotRefused: one change each to a file that is otherwise taken.
func TestSnapshotRefused(t *testing.T) {
	// edit changes a member; nil leaves it out.
	edit := func(name string, value any) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			v := readJSON(t, path)
			if v[name] = value; value == nil {
				delete(v, name)
			}
			writeJSON(t, path, v)
		}
	}
	key := func(with members) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			v := readJSON(t, path)
			k := v["keys"].([]any)[0].(map[string]any)
			for name, value := range with {
				k[name] = value
			}
			writeJSON(t, path, v)
		}
	}
	more := func(k string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			v := readJSON(t, path)
			v["keys"] = append(v["keys"].([]any), json.RawMessage(k))
			writeJSON(t, path, v)
		}
	}
	text := func(change func(string) string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, []byte(change(string(b))), 0o600))
		}
	}
	always := func(s string) func(string) string { return func(string) string { return s } }
	mode := func(m os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, path string) { require.NoError(t, os.Chmod(path, m)) }
	}
	instead := func(put func(path, moved string) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			moved := filepath.Join(t.TempDir(), "moved")
			require.NoError(t, os.Rename(path, moved))
			require.NoError(t, put(path, moved))
		}
	}
	age := func(d time.Duration) func(*testing.T, string) {
		return func(t *testing.T, path string) { edit("fetched_at", time.Now().Add(-d))(t, path) }
	}
	const (
		unusable  = "a key that was never usable: jose: unusable key: "
		secretKey = unusable + "private or symmetric key material in a public document"
	)
	for _, tt := range []struct {
		name   string
		spoil  func(t *testing.T, path string)
		change func(*jwkcache.Config) // of the cache that restarts
		want   string                 // empty: it is used
	}{
		{"untouched", func(*testing.T, string) {}, nil, ""},
		{"read-only", mode(0o400), nil, ""},
		{"an unknown member", edit("more", "x"), nil, ""},
		{"a second good key", more(jwk(t, newKey(t, "l", jose.ES256), nil)), nil, ""},

		{"another URL", edit("url", keysURL+"/"), nil, "of another source"},
		{"no URL", edit("url", nil), nil, "of another source"},
		{"an issuer beside it", edit("issuer", issuer), nil, "of another source"},
		{"fetched with pins", edit("pins", [][]byte{make([]byte, 32)}), nil, "of another source"},
		{"the cache has another URL", func(*testing.T, string) {}, func(c *jwkcache.Config) { c.URL += "?tenant=b" }, "of another source"},
		{"the cache has an issuer of that name", func(*testing.T, string) {}, func(c *jwkcache.Config) { c.URL, c.Issuer = "", c.URL }, "of another source"},

		{"a link to it", instead(func(path, moved string) error { return os.Symlink(moved, path) }), nil, "not a regular file"},
		{"a link to nowhere", instead(func(path, _ string) error { return os.Symlink("nowhere", path) }), nil, "not a regular file"},
		{"a folder", instead(func(path, _ string) error { return os.Mkdir(path, 0o700) }), nil, "not a regular file"},
		{"a pipe", instead(func(path, _ string) error { return syscall.Mkfifo(path, 0o600) }), nil, "not a regular file"},
		{"the group may read", mode(0o640), nil, "mode -rw-r-----: others may read or write it"},
		{"the group may write", mode(0o620), nil, "mode -rw--w----: others may read or write it"},
		{"others may read", mode(0o604), nil, "mode -rw----r--: others may read or write it"},
		{"others may write", mode(0o602), nil, "mode -rw-----w-: others may read or write it"},
		{"everybody may", mode(0o666), nil, "mode -rw-rw-rw-: others may read or write it"},

		{"from now", age(0), nil, ""},
		{"from the future", age(-1), nil, "from the future"},
		{"from another century", edit("fetched_at", "2199-01-01T00:00:00Z"), nil, "from the future"},
		{"just young enough", age(time.Hour - 1), nil, ""},
		{"too old", age(time.Hour), nil, "older than MaxStale"},
		{"no time", edit("fetched_at", nil), nil, "older than MaxStale"},
		{"null for a time", edit("fetched_at", json.RawMessage("null")), nil, "older than MaxStale"},
		{"no such time", edit("fetched_at", "yesterday"), nil, "malformed"},
		{"a number for a time", edit("fetched_at", 0), nil, "malformed"},

		{"private EC", key(members{"d": "c2VjcmV0"}), nil, secretKey},
		{"private RSA", key(members{"p": "c2VjcmV0"}), nil, secretKey},
		{"symmetric beside it", more(`{"kty":"oct","k":"c2VjcmV0"}`), nil, secretKey},
		{"unknown type beside it", more(`{"kty":"AKP"}`), nil, unusable + "unsupported kty or crv"},
		{"off the curve", key(members{"x": strings.Repeat("A", 43)}), nil, unusable + "missing or malformed member: point is not on the curve"},
		{"for encryption", key(members{"use": "enc"}), nil, unusable + "use, key_ops or alg is not for verifying signatures"},
		{"null beside it", more("null"), nil, unusable + "missing or malformed member: jose: malformed JSON: not an object"},
		{"no keys", edit("keys", nil), nil, "no usable key of 0"},
		{"no key", edit("keys", []any{}), nil, "no usable key of 0"},
		{"keys is an object", edit("keys", map[string]any{}), nil, "malformed"},
		{"too many keys", more(jwk(t, newKey(t, "l", jose.ES256), nil)), func(c *jwkcache.Config) { c.MaxKeys = 1 }, "too many keys"},

		{"empty", text(always("")), nil, "malformed"},
		{"null", text(always("null")), nil, "of another source"},
		{"an array", text(always("[]")), nil, "malformed"},
		{"an object", text(always("{}")), nil, "of another source"},
		{"a page", text(always("<!doctype html>")), nil, "malformed"},
		{"zeros, as after a power cut", text(func(s string) string { return strings.Repeat("\x00", len(s)) }), nil, "malformed"},
		{"truncated", text(func(s string) string { return s[:len(s)-1] }), nil, "malformed"},
		{"truncated within a key", text(func(s string) string { return s[:len(s)/2] }), nil, "malformed"},
		{"two of them", text(func(s string) string { return s + s }), nil, "malformed"},
		{"garbage behind it", text(func(s string) string { return s + "x" }), nil, "malformed"},
		{"large", edit("more", strings.Repeat("x", 1000)), func(c *jwkcache.Config) { c.MaxBytes = 1000 }, ""},
		{"too large", edit("more", strings.Repeat("x", 2000)), func(c *jwkcache.Config) { c.MaxBytes = 1000 }, "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "keys.json")
				k := newKey(t, "k", jose.ES256)
				writeSnapshot(t, path, k)
				time.Sleep(time.Minute)
				tt.spoil(t, path)
				if tt.change == nil {
					tt.change = func(*jwkcache.Config) {}
				}
				p := newProvider(fails)
				c := newCache(t, p, kept(path), tt.change)
				if tt.want == "" {
					has(t, c, k)
					require.NoError(t, c.Status().StoreError)
					return
				}
				_, err := c.Keys(t.Context(), "k", "ES256")
				require.ErrorIs(t, err, jwkcache.ErrUnavailable)
				st := c.Status()
				require.EqualError(t, st.StoreError, "jwkcache: snapshot: "+tt.want)
				require.Nil(t, st.Keys)
				require.False(t, st.Usable)

				l := newKey(t, "new", jose.ES256)
				p.set(at(map[string]replier{
					"/jwks": publish(t, l), "/jwks/.well-known/openid-configuration": metadata(keysURL, keysURL),
				}))
				time.Sleep(time.Second)
				has(t, c, l)
				if tt.name == "a folder" {
					require.Error(t, c.Status().StoreError)
					return
				}
				require.NoError(t, c.Status().StoreError, "the next good set takes its place")
				has(t, newCache(t, newProvider(fails), kept(path), tt.change), l)
			})
		})
	}
}

// TestSnapshotOfAnotherOwner: in a folder that is open to all, as /tmp is, root
// could read what somebody else has put there before it.
func TestSnapshotOfAnotherOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away, and read it then")
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	k := newKey(t, "k", jose.ES256)
	writeSnapshot(t, path, k)
	require.NoError(t, os.Chown(path, 1, 0))
	c := newCache(t, newProvider(fails), kept(path))
	require.ErrorIs(t, c.Warm(t.Context()), jwkcache.ErrUnavailable)
	require.EqualError(t, c.Status().StoreError, "jwkcache: snapshot: of another owner")
	require.NoError(t, os.Chown(path, 0, 1))
	has(t, newCache(t, newProvider(fails), kept(path)), k)
}

// TestSnapshotPins: whoever was on the path before there were pins may have put
// keys into the file.
func TestSnapshotPins(t *testing.T) {
	idp := testidp.NewTLS(t, jose.ES256)
	cert := idp.Server().Certificate()
	ca := x509.NewCertPool()
	ca.AddCert(cert)
	right, wrong := sha256.Sum256(cert.RawSubjectPublicKeyInfo), sha256.Sum256(nil)
	path := filepath.Join(t.TempDir(), "keys.json")
	start := func(pins ...[]byte) (*jwkcache.Cache, error) {
		c, err := jwkcache.New(jwkcache.Config{URL: idp.JWKSURL(), RootCAs: ca, PinnedSPKI: pins, Snapshot: path})
		require.NoError(t, err)
		err = c.Warm(t.Context())
		return c, err
	}
	_, err := start()
	require.NoError(t, err)
	c, err := start(wrong[:])
	require.ErrorIs(t, err, jwkcache.ErrUnavailable)
	require.ErrorContains(t, err, "fetch: server key is not pinned")
	require.EqualError(t, c.Status().StoreError, "jwkcache: snapshot: of another source")

	_, err = start(right[:])
	require.NoError(t, err)
	idp.Answer(testidp.JWKSPath, testidp.Body(503, "text/plain", ""))
	_, err = start(right[:])
	require.NoError(t, err, "with the same pin it is used")
	for _, pins := range [][][]byte{nil, {wrong[:]}, {right[:], wrong[:]}} {
		c, err = start(pins...)
		require.ErrorIs(t, err, jwkcache.ErrUnavailable)
		require.EqualError(t, c.Status().StoreError, "jwkcache: snapshot: of another source")
	}
}
