//go:build unix

package jwkcache_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
	"github.com/gatehouse-auth/gatehouse/jwkcache"
)

// TestFileIsAPipe: to open one would wait for whoever writes to it.
func TestFileIsAPipe(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	require.NoError(t, os.Symlink(path, link))
	for _, name := range []string{path, link} {
		_, err := jwkcache.New(jwkcache.Config{File: name})
		require.EqualError(t, err, "jwkcache: File: read "+name+": not a regular file")
	}

	k := newKey(t, "k", jose.ES256)
	file := tempFile(t, setOf(jwk(t, k, nil)))
	c, clock := fileCache(t, file)
	require.NoError(t, os.Rename(path, file))
	clock.add(reread)
	has(t, c, k)
	require.ErrorContains(t, c.Status().LastError, "not a regular file")
}
