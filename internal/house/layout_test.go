package house_test

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// top is all that lies at the root of the repository.
var top = slices.Concat(five, []string{
	"examples", "internal",
	"go.mod", "go.sum", "Makefile",
	"README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md",
	".ci", ".github", ".golangci.yml", ".gitignore",
})

// vague are folder names that say nothing about what is inside.
var vague = []string{"util", "utils", "common", "types", "core", "pkg", "helpers", "misc", "shared"}

func TestNothingElseAtTheTop(t *testing.T) {
	var found []string
	require.NoError(t, walk(func(name string, d fs.DirEntry) error {
		switch {
		case !strings.Contains(name, "/") && !slices.Contains(top, name):
			found = append(found, name)
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case d.IsDir() && slices.Contains(vague, d.Name()):
			found = append(found, name+" (a folder is named after what it does)")
		}
		return nil
	}))
	require.Empty(t, found)
}

func TestEveryFolderOpensWithDoc(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range tree(t) {
		isDoc := path.Base(f.path) == "doc.go"
		documented[f.dir()] = documented[f.dir()] || isDoc
		if !f.isTest() {
			assert.Equal(t, isDoc, f.ast.Doc != nil, "%s: the package comment stands in doc.go, and only there", f.path)
		}
	}
	for dir, ok := range documented {
		assert.True(t, ok, "%s has no doc.go: a reader starts there", dir)
	}
}
