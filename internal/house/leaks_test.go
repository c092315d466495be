package house_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// private are texts that make sense on one machine, or in one network, only. Each is cut in two, as this file is read too.
var private = []string{
	"/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "fa" + "rm-",
	"registry." + "npmjs", "proxy.go" + "lang", "deb.deb" + "ian", // a lock file says which package, not from where
	"DESIGN" + ".md", "shared/ref" + "erence", // notes that are no part of the repository
}

func TestNoTextOfOneMachine(t *testing.T) {
	require.NoError(t, walk(func(name string, d fs.DirEntry) error {
		if d.IsDir() {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		for _, p := range private {
			if i := bytes.Index(text, []byte(p)); i >= 0 {
				t.Errorf("%s:%d: %q", name, 1+bytes.Count(text[:i], []byte("\n")), p)
			}
		}
		return nil
	}))
}
