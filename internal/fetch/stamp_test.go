package fetch_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
)

func TestStamp(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	write := func(t *testing.T, name, text string, at time.Time) {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		require.NoError(t, os.Chtimes(name, at, at))
	}
	for _, tt := range []struct {
		name    string
		written time.Time // when it is read
		change  func(t *testing.T, file string)
		same    bool
	}{
		{"untouched", old, func(*testing.T, string) {}, true},
		{"another size", old, func(t *testing.T, f string) { write(t, f, "longer", old) }, false},
		{"another time", old, func(t *testing.T, f string) { write(t, f, "new", old.Add(time.Second)) }, false},
		{"an earlier time, as of a restored file", old, func(t *testing.T, f string) { write(t, f, "new", old.Add(-time.Hour)) }, false},
		{"another file of the same size and time", old, func(t *testing.T, f string) {
			write(t, f+".new", "new", old)
			require.NoError(t, os.Rename(f+".new", f))
		}, false},
		{"just written and written again within a tick", time.Now(), func(t *testing.T, f string) {
			info, err := os.Stat(f)
			require.NoError(t, err)
			write(t, f, "new", info.ModTime())
		}, false},
		{"just written, in doubt", time.Now(), func(*testing.T, string) {}, false},
		{"from the future, in doubt", time.Now().Add(time.Hour), func(*testing.T, string) {}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "keys.json")
			write(t, file, "old", tt.written)
			before, err := fetch.StampOf(file)
			require.NoError(t, err)
			require.EqualValues(t, 3, before.Size())
			tt.change(t, file)
			now, err := fetch.StampOf(file)
			require.NoError(t, err)
			require.Equal(t, tt.same, before.Current(now))
			require.False(t, fetch.Stamp{}.Current(now), "never read")
			require.False(t, before.Current(fetch.Stamp{}), "gone")
		})
	}
	require.False(t, fetch.Stamp{}.Current(fetch.Stamp{}))
	require.Zero(t, fetch.Stamp{}.Size())
}

func TestStampOfNoFile(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ name, file, want string }{
		{"missing", filepath.Join(dir, "none"), "stat " + filepath.Join(dir, "none") + ": no such file or directory"},
		{"folder", dir, "read " + dir + ": not a regular file"},
		{"device", os.DevNull, "read " + os.DevNull + ": not a regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := fetch.StampOf(tt.file)
			require.EqualError(t, err, tt.want)
			var path *os.PathError
			require.ErrorAs(t, err, &path)
			require.Equal(t, tt.file, path.Path)
		})
	}
}
