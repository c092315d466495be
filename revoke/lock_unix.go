//go:build unix

package revoke

import (
	"errors"
	"os"
	"syscall"
)

// lockFile keeps other processes out, until the file is closed.
func lockFile(f *os.File) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.New("the file is in use")
	}
	return nil
}
