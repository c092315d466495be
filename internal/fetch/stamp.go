package fetch

import (
	"errors"
	"os"
	"time"
)

// Stamp tells one version of a file from another. The zero Stamp is like no other.
type Stamp struct {
	info    os.FileInfo
	settled bool // nothing can be written any more that would look like this
}

// settles is above the tick of the coarsest clock of a file system: what is written
// twice within one looks the same. That clock is taken to be ours.
const settles = 2 * time.Second

var errNotRegular = errors.New("not a regular file")

// StampOf is taken before a file is read, so that what is written meanwhile counts as
// a change. Its errors are *os.PathError. A file that is not a regular one is refused:
// to open a pipe is to wait for a writer.
func StampOf(name string) (Stamp, error) {
	now := time.Now()
	info, err := os.Stat(name)
	if err != nil {
		return Stamp{}, err
	}
	if !info.Mode().IsRegular() {
		return Stamp{}, &os.PathError{Op: "read", Path: name, Err: errNotRegular}
	}
	return Stamp{info, now.Sub(info.ModTime()) > settles}, nil
}

// Size of the file, in bytes.
func (s Stamp) Size() int64 {
	if s.info == nil {
		return 0
	}
	return s.info.Size()
}

// Current reports whether a file that was read at s is still the same, now that it has
// another Stamp. In doubt it is not: one that was just written when it was read may
// have been written again.
func (s Stamp) Current(now Stamp) bool {
	return s.settled && now.info != nil && os.SameFile(s.info, now.info) &&
		s.info.Size() == now.info.Size() && s.info.ModTime().Equal(now.info.ModTime())
}
