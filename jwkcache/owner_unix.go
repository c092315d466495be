//go:build unix

package jwkcache

import (
	"os"
	"syscall"
)

// owned reports whether a file belongs to the user we run as: root could read
// what another user has put in place of the file.
func owned(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}
