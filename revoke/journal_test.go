package revoke_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/revoke"
)

func journal(tb testing.TB, path string) (*revoke.Journal, *revoke.Checker) {
	tb.Helper()
	j := &revoke.Journal{Path: path}
	tb.Cleanup(func() { _ = j.Close() })
	return j, newChecker(tb, revoke.Config{Log: j})
}

func TestJournalForgetsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, c := journal(t, path)
	mustRevoke(t, c, record(revoke.KindToken, "id-1"))
	undone := mustRevoke(t, c, record(revoke.KindSubject, "ann"))
	require.NoError(t, c.Restore(t.Context(), undone.ID))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(text), "id-1")
	require.NotContains(t, string(text), "ann")

	_, second := journal(t, path)
	require.ErrorContains(t, second.Warm(t.Context()), "in use")
	require.NoError(t, j.Close())

	_, again := journal(t, path)
	_, err = again.Revoked(t.Context(), issued(time.Now(), token{"jti": "other"}))
	require.ErrorIs(t, err, revoke.ErrUnavailable, "not ready until loaded")
	require.NoError(t, again.Warm(t.Context()))
	requireReason(t, again, revoke.ReasonToken, issued(time.Now(), nil))
	requireReason(t, again, "", issued(time.Now().Add(-time.Minute), token{"jti": "other"}))
	require.NoError(t, again.Warm(t.Context()))
	require.True(t, again.Status().Ready)
}

// TestTornTail: what a crash has left at the end is cut off, at whatever byte; damage
// in the middle is not passed over.
func TestTornTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, c := journal(t, path)
	mustRevoke(t, c, record(revoke.KindToken, "id-1"))
	one, err := os.ReadFile(path)
	require.NoError(t, err)
	mustRevoke(t, c, record(revoke.KindToken, "id-2"))
	require.NoError(t, j.Close())
	two, err := os.ReadFile(path)
	require.NoError(t, err)
	for n := range two {
		require.NoError(t, os.WriteFile(path, two[:n], 0o600))
		j, c := journal(t, path)
		require.NoError(t, c.Warm(t.Context()), n)
		want := revoke.Reason("")
		if n >= len(one) {
			want = revoke.ReasonToken
		}
		requireReason(t, c, want, issued(time.Now(), nil), n)
		mustRevoke(t, c, record(revoke.KindToken, "id-3"))
		require.NoError(t, j.Close())
		j, c = journal(t, path)
		require.NoError(t, c.Warm(t.Context()))
		requireReason(t, c, want, issued(time.Now(), nil))
		requireReason(t, c, revoke.ReasonToken, issued(time.Now(), token{"jti": "id-3"}))
		require.NoError(t, j.Close())
	}
	for _, garbage := range []string{"\x00", strings.Repeat("\x00", 5000), "\xff\xff\xff\xff", strings.Repeat("x", 300)} {
		require.NoError(t, os.WriteFile(path, append(append([]byte(nil), one...), garbage...), 0o600))
		j, c := journal(t, path)
		require.NoError(t, c.Warm(t.Context()))
		requireReason(t, c, revoke.ReasonToken, issued(time.Now(), nil))
		require.NoError(t, j.Close())
	}
	damaged := append([]byte(nil), two...)
	damaged[len(one)-5] ^= 1
	require.NoError(t, os.WriteFile(path, damaged, 0o600))
	_, c = journal(t, path)
	require.ErrorContains(t, c.Warm(t.Context()), "damaged in the middle")
	for text, what := range map[string]string{"something else entirely, and long": "no journal", "": ""} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		j, c := journal(t, path)
		if err := c.Warm(t.Context()); what != "" {
			require.ErrorContains(t, err, what)
		} else {
			require.NoError(t, err)
		}
		require.NoError(t, j.Close())
	}
}

func TestJournalErrors(t *testing.T) {
	_, c := journal(t, filepath.Join(t.TempDir(), "no", "such", "folder"))
	_, err := c.Revoke(t.Context(), record(revoke.KindToken, "x"))
	require.ErrorIs(t, err, revoke.ErrUnavailable)
	j, _ := journal(t, filepath.Join(t.TempDir(), "journal"))
	require.Error(t, j.Append(t.Context(), []revoke.Entry{{Data: make([]byte, 5000)}}))
}

// TestCompaction: the file does not grow for ever, and loses nothing that is live.
func TestCompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "journal")
		j := &revoke.Journal{Path: path, CompactAbove: 4096, NoSync: true}
		c := newChecker(t, revoke.Config{Log: j})
		mustRevoke(t, c, record(revoke.KindToken, "id-1"))
		lapsed := record(revoke.KindToken, "")
		for i := range 2000 {
			lapsed.Value, lapsed.Expires = fmt.Sprint("lapsed", i), time.Now().Add(-time.Minute)
			mustRevoke(t, c, lapsed)
			if i%100 == 0 {
				mustRevoke(t, c, record(revoke.KindToken, fmt.Sprint("kept", i)))
				time.Sleep(30 * time.Second)
			}
		}
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Less(t, info.Size(), int64(800*100), "of 2000 entries of more than 100 bytes")
		require.NoError(t, c.Warm(t.Context()))
		require.NoError(t, j.Close())
		j, again := journal(t, path)
		require.NoError(t, again.Warm(t.Context()))
		requireReason(t, again, revoke.ReasonToken, issued(time.Now(), nil))
		for i := 0; i < 2000; i += 100 {
			requireReason(t, again, revoke.ReasonToken, issued(time.Now(), token{"jti": fmt.Sprint("kept", i)}))
		}
		time.Sleep(3 * time.Hour)
		for i := range 1000 {
			mustRevoke(t, again, lapsed)
			lapsed.Value, lapsed.Expires = fmt.Sprint("more", i), time.Now()
		}
		require.NoError(t, j.Close())
	})
}

// TestKill: whatever was acknowledged before a kill -9 is there after the restart.
func TestKill(t *testing.T) {
	if path := os.Getenv("REVOKE_TEST_JOURNAL"); path != "" {
		c := newChecker(t, revoke.Config{Log: &revoke.Journal{Path: path, CompactAbove: 8192, NoSync: os.Getpid()%4 != 0}, MaxEntries: 1 << 20})
		for i := 0; ; i++ {
			id := fmt.Sprintf("%d-%d", os.Getpid(), i)
			mustRevoke(t, c, record(revoke.KindToken, id))
			fmt.Println("acknowledged", id)
		}
	}
	kills := 200
	if raceEnabled || testing.Short() {
		kills = 10
	}
	path := filepath.Join(t.TempDir(), "journal")
	var acknowledged []string
	for n := range kills {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "REVOKE_TEST_JOURNAL="+path)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for killAt := 1 + n*7%50; lines.Scan(); {
			if id, ok := strings.CutPrefix(lines.Text(), "acknowledged "); ok {
				if acknowledged = append(acknowledged, id); killAt == 0 {
					require.NoError(t, cmd.Process.Kill())
				}
				killAt--
			}
		}
		_ = cmd.Wait()
	}
	_, c := journal(t, path)
	require.NoError(t, c.Warm(t.Context()))
	require.Greater(t, len(acknowledged), kills)
	for _, id := range acknowledged {
		requireReason(t, c, revoke.ReasonToken, issued(time.Now(), token{"jti": id}), id)
	}
}

// TestJournalTidies: what a crash has left of a compaction goes, and nothing else.
func TestJournalTidies(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".j.1.new", ".other.1.new", "j.1.new"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	j := &revoke.Journal{Path: filepath.Join(dir, "j")}
	_, err := j.State(t.Context())
	require.NoError(t, err)
	require.NoError(t, j.Close())
	require.NoFileExists(t, filepath.Join(dir, ".j.1.new"))
	require.FileExists(t, filepath.Join(dir, ".other.1.new"))
	require.FileExists(t, filepath.Join(dir, "j.1.new"))
}
