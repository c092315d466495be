package house_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module = "github.com/gatehouse-auth/gatehouse"
	root   = "../.." // go test runs in the folder of the package
)

// five are the packages that know nothing of each other.
var five = []string{"jwtvalidate", "jwtsign", "jwkcache", "clientcreds", "revoke"}

// goFile is one Go file of the tree, in whichever module. Paths are relative to the root and have slashes.
type goFile struct {
	path string
	src  []byte
	fset *token.FileSet
	ast  *ast.File
}

func (f goFile) dir() string  { return path.Dir(f.path) }
func (f goFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }
func (f goFile) line(p token.Pos) string {
	return f.path + ":" + strconv.Itoa(f.fset.Position(p).Line)
}

// imports are the import paths of f with the name each has in the file; for an unnamed import, a guess: the last
// element that is not a major version.
func (f goFile) imports() map[string]string {
	names := make(map[string]string, len(f.ast.Imports))
	for _, spec := range f.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
		name := path.Base(p)
		if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
			name = path.Base(path.Dir(p))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[p] = name
	}
	return names
}

func parse(name string, src []byte) (goFile, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	return goFile{path: name, src: src, fset: fset, ast: file}, err
}

var parsedTree = sync.OnceValues(func() ([]goFile, error) {
	var files []goFile
	err := walk(func(name string, d fs.DirEntry) error {
		if d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".go" {
			return nil
		}
		src, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		f, err := parse(name, src)
		files = append(files, f)
		return err
	})
	return files, err
})

// tree is every Go file below the root that the go tool would look at.
func tree(t *testing.T) []goFile {
	t.Helper()
	files, err := parsedTree()
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// sources makes a small tree from path and text, for the tests of the checks themselves.
func sources(t *testing.T, pathAndText ...string) []goFile {
	t.Helper()
	var files []goFile
	for i := 0; i < len(pathAndText); i += 2 {
		f, err := parse(pathAndText[i], []byte(pathAndText[i+1]))
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}

// walk visits what belongs to the repository: neither .git, nor what .gitignore names. It asks no git, so that it sees
// the same in a clone, in an archive and before the first commit.
func walk(visit func(name string, d fs.DirEntry) error) error {
	text, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		return err
	}
	ignored := strings.Fields(withoutComments(string(text)))
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if rel == "." {
			return nil
		}
		if rel == ".git" || matches(ignored, rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return visit(rel, d)
	})
}

func withoutComments(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// matches knows the patterns that .gitignore uses: a name anywhere, or one at the top behind a slash.
func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		subject := path.Base(name)
		if strings.HasPrefix(p, "/") {
			subject = "/" + name
		}
		if ok, _ := path.Match(strings.TrimSuffix(p, "/"), subject); ok {
			return true
		}
	}
	return false
}

func below(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }
