package house_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden text of the exported API")

// golden holds one file for each public package of the core module: signatures, no prose.
const golden = "testdata/api"

// budget is how many exported top-level names a package may have, constants of a type named Reason aside.
var budget = map[string]int{
	"jwtvalidate":         60,
	"jwtvalidate/jwttest": 8,
	"jwtsign":             18,
	"jwkcache":            20,
	"clientcreds":         20,
	"revoke":              35,
}

func TestAPI(t *testing.T) {
	want := map[string]bool{}
	for dir, check := range publicPackages(t) {
		name := strings.ReplaceAll(dir, "/", "_") + ".txt"
		want[name] = true
		t.Run(dir, func(t *testing.T) {
			pkg, err := check()
			require.NoError(t, err)
			if limit, ok := budget[dir]; ok {
				require.LessOrEqual(t, len(countedNames(pkg)), limit, "exported names: %v", countedNames(pkg))
			}
			require.Empty(t, exposed(pkg, jwx), "rule 2: no type of jwx in an exported signature")

			file := filepath.Join(golden, name)
			if *update {
				require.NoError(t, os.MkdirAll(golden, 0o755))
				require.NoError(t, os.WriteFile(file, []byte(describe(pkg)), 0o644))
			}
			kept, err := os.ReadFile(file)
			require.NoError(t, err, "no golden text yet: make api")
			require.Equal(t, string(kept), describe(pkg), "if the API should change: make api, and CHANGELOG.md says why")
		})
	}

	entries, err := os.ReadDir(golden)
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	for _, e := range entries {
		if !want[e.Name()] && *update {
			require.NoError(t, os.Remove(filepath.Join(golden, e.Name())))
			continue
		}
		require.Contains(t, want, e.Name(), "golden text of a package that is gone: make api")
	}
}

// publicPackages are those of the core module that others can import, by folder. Each is type-checked when asked for,
// from source, against the export data of what it imports.
func publicPackages(t *testing.T) map[string]func() (*types.Package, error) {
	t.Helper()
	patterns := publicFolders(tree(t))
	if len(patterns) == 0 {
		return nil
	}
	args := []string{"list", "-e", "-export", "-deps", "-json=ImportPath,Name,GoFiles,Export,Standard,DepOnly"}
	if raceBuild() {
		args = append(args, "-race") // what has just been built for this run
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, patterns...)...)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)

	type listed struct {
		ImportPath, Name, Export string
		GoFiles                  []string
		Standard, DepOnly        bool
	}
	var public []listed
	exports := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly && p.Name != "main" {
			public = append(public, p)
		}
	}

	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(p string) (io.ReadCloser, error) {
		if exports[p] == "" {
			return nil, fmt.Errorf("no export data of %s: it does not build", p)
		}
		return os.Open(exports[p])
	})
	packages := map[string]func() (*types.Package, error){}
	for _, p := range public {
		dir := strings.TrimPrefix(p.ImportPath, module+"/")
		packages[dir] = func() (*types.Package, error) {
			var files []*ast.File
			for _, name := range p.GoFiles {
				f, err := parser.ParseFile(fset, filepath.Join(root, dir, name), nil, parser.SkipObjectResolution)
				if err != nil {
					return nil, err
				}
				files = append(files, f)
			}
			conf := types.Config{Importer: imports, Sizes: types.SizesFor("gc", runtime.GOARCH)}
			return conf.Check(p.ImportPath, fset, files, nil)
		}
	}
	return packages
}

// publicFolders are the folders with Go code of the core module, neither internal nor an example, as patterns for go list.
func publicFolders(files []goFile) []string {
	var patterns []string
	for _, f := range files {
		dir := f.dir()
		if f.isTest() || below(dir, "internal") || below(dir, "examples") || strings.Contains(dir, "/internal/") || nested(dir) {
			continue
		}
		if p := "./" + dir; !slices.Contains(patterns, p) {
			patterns = append(patterns, p)
		}
	}
	return patterns
}

// nested says whether dir lies in a module of its own.
func nested(dir string) bool {
	for ; dir != "."; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(root, dir, "go.mod")); err == nil {
			return true
		}
	}
	return false
}

func raceBuild() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// countedNames are the exported top-level names that a reader has to learn.
func countedNames(pkg *types.Package) []string {
	return slices.DeleteFunc(exportedNames(pkg), func(name string) bool {
		c, ok := pkg.Scope().Lookup(name).(*types.Const)
		if !ok {
			return false
		}
		n, ok := c.Type().(*types.Named)
		return ok && n.Obj().Name() == "Reason"
	})
}

func exportedNames(pkg *types.Package) []string { // sorted, as Names is
	return slices.DeleteFunc(pkg.Scope().Names(), func(name string) bool { return !ast.IsExported(name) })
}

// describe writes the exported API: constants, variables, functions, then types, each with its fields and methods.
// Names are sorted; fields keep their order, which an unkeyed literal sees.
func describe(pkg *types.Package) string {
	var consts, vars, funcs, kinds []string
	for _, name := range exportedNames(pkg) {
		switch obj := pkg.Scope().Lookup(name).(type) {
		case *types.Const:
			consts = append(consts, "const "+name+" "+text(pkg, obj.Type()))
		case *types.Var:
			vars = append(vars, "var "+name+" "+text(pkg, obj.Type()))
		case *types.Func:
			funcs = append(funcs, "func "+name+signature(pkg, obj))
		case *types.TypeName:
			kinds = append(kinds, "\n"+describeType(pkg, obj))
		}
	}
	lines := slices.Concat([]string{"package " + pkg.Path(), ""}, consts, vars, funcs, kinds)
	return strings.Join(lines, "\n") + "\n"
}

func describeType(pkg *types.Package, obj *types.TypeName) string {
	if obj.IsAlias() {
		return "type " + obj.Name() + " = " + text(pkg, obj.Type().(*types.Alias).Rhs())
	}
	named := obj.Type().(*types.Named)
	head := "type " + text(pkg, named)
	var lines []string
	switch u := named.Underlying().(type) {
	case *types.Struct:
		lines = append(lines, head+" struct")
		for i := range u.NumFields() {
			f := u.Field(i)
			if !f.Exported() {
				continue
			}
			line := "\t" + f.Name() + " " + text(pkg, f.Type())
			if f.Embedded() {
				line = "\t" + text(pkg, f.Type())
			}
			if tag := u.Tag(i); tag != "" {
				line += " `" + tag + "`"
			}
			lines = append(lines, line)
		}
	case *types.Interface:
		lines = append(lines, head+" interface")
		for i := range u.NumEmbeddeds() {
			lines = append(lines, "\t"+text(pkg, u.EmbeddedType(i)))
		}
		closed := false
		for i := range u.NumExplicitMethods() { // sorted
			if m := u.ExplicitMethod(i); m.Exported() {
				lines = append(lines, "\t"+m.Name()+signature(pkg, m))
			} else {
				closed = true
			}
		}
		if closed {
			lines = append(lines, "\t// and unexported methods: others cannot implement it")
		}
		return strings.Join(lines, "\n") // its methods are shown
	default:
		lines = append(lines, head+" "+text(pkg, u))
	}

	// The method set has what is promoted from embedded fields too, sorted by name.
	byValue := types.NewMethodSet(named)
	for sel := range types.NewMethodSet(types.NewPointer(named)).Methods() {
		m := sel.Obj().(*types.Func)
		if !m.Exported() {
			continue
		}
		star := "*"
		if byValue.Lookup(m.Pkg(), m.Name()) != nil {
			star = ""
		}
		lines = append(lines, "\tfunc ("+star+obj.Name()+") "+m.Name()+signature(pkg, m))
	}
	return strings.Join(lines, "\n")
}

func qualifier(pkg *types.Package) types.Qualifier {
	return func(other *types.Package) string {
		if other == pkg {
			return ""
		}
		return other.Name()
	}
}

func text(pkg *types.Package, t types.Type) string { return types.TypeString(t, qualifier(pkg)) }

func signature(pkg *types.Package, f *types.Func) string {
	var b bytes.Buffer
	types.WriteSignature(&b, f.Signature(), qualifier(pkg))
	return b.String()
}

// exposed finds the types of the module at path which somebody who imports pkg can reach through exported names:
// signatures, exported fields, methods, also through aliases and through types of other packages of ours.
func exposed(pkg *types.Package, path string) []string {
	var found []string
	seen := map[types.Type]bool{}
	var visit func(where string, t types.Type)
	visitAll := func(where string, tuple *types.Tuple) {
		for v := range tuple.Variables() {
			visit(where, v.Type())
		}
	}
	visit = func(where string, t types.Type) {
		if seen[t] {
			return
		}
		seen[t] = true
		switch t := t.(type) {
		case *types.Alias:
			visit(where, types.Unalias(t))
		case *types.Named:
			for arg := range t.TypeArgs().Types() {
				visit(where, arg)
			}
			owner := t.Obj().Pkg()
			switch {
			case owner == nil: // error, any
			case below(owner.Path(), path):
				found = append(found, where+": "+t.Obj().Name())
			case below(owner.Path(), module):
				visit(where, t.Underlying())
				for m := range types.NewMethodSet(types.NewPointer(t)).Methods() {
					if m.Obj().Exported() {
						visit(where+"."+m.Obj().Name(), m.Obj().Type())
					}
				}
			}
		case *types.Struct:
			for f := range t.Fields() {
				if f.Exported() {
					visit(where+"."+f.Name(), f.Type())
				}
			}
		case *types.Interface:
			for m := range t.Methods() {
				visit(where+"."+m.Name(), m.Type())
			}
			for e := range t.EmbeddedTypes() {
				visit(where, e)
			}
		case *types.Signature:
			visitAll(where, t.Params())
			visitAll(where, t.Results())
			for p := range t.TypeParams().TypeParams() {
				visit(where, p.Constraint())
			}
		case *types.Union:
			for term := range t.Terms() {
				visit(where, term.Type())
			}
		case *types.Map:
			visit(where, t.Key())
			visit(where, t.Elem())
		case interface{ Elem() types.Type }: // pointer, slice, array, channel
			visit(where, t.Elem())
		}
	}
	for _, name := range exportedNames(pkg) {
		visit(name, pkg.Scope().Lookup(name).Type())
	}
	return found
}

// The package that the tests below describe: other is where a foreign type comes from.
const (
	otherSource  = `package other; type Set struct{}; type Store interface{ Load(key string) (Set, error) }`
	sampleSource = `package sample

import (
	"net/http"

	"example.org/other"
)

// Reason has prose, which is not shown.
type Reason string

const (
	ReasonLate Reason = "late"
	ReasonEarly       = Reason("early")
	Limit             = 3
	hidden            = 4
)

var ErrX = error(nil)

type Config struct {
	Client  *http.Client
	N, m    int
	Names   []string ` + "`json:\"names\"`" + `
	inner   other.Set
}

type KeySource interface {
	Keys(kid, alg string) ([]any, error)
}

type sealed interface{ KeySource; seal() }

type Sealed interface { KeySource; seal() }

type Handler = func(http.Handler) http.Handler

type base struct{}

func (base) Close() error { return nil }
func (base) leave()       {}

type Box[T any] struct {
	base
	*Config
	item T
}

func (b *Box[T]) Get() (T, bool) { return b.item, true }
func (b Box[T]) Stores() map[string]stores { return nil }

type stores struct{ All []other.Store }

func New(cfg Config, opts ...func(*Config)) (*Box[int], error) { return nil, nil }
func Decode[T ~string | ~int](in any) (T, error) { panic(in) }
func internal() other.Set { return other.Set{} }
`
	sampleText = `package github.com/gatehouse-auth/gatehouse/sample

const Limit untyped int
const ReasonEarly Reason
const ReasonLate Reason
var ErrX error
func Decode[T ~string | ~int](in any) (T, error)
func New(cfg Config, opts ...func(*Config)) (*Box[int], error)

type Box[T any] struct
	*Config
	func (Box) Close() error
	func (*Box) Get() (T, bool)
	func (Box) Stores() map[string]stores

type Config struct
	Client *http.Client
	N int
	Names []string ` + "`json:\"names\"`" + `

type Handler = func(http.Handler) http.Handler

type KeySource interface
	Keys(kid string, alg string) ([]any, error)

type Reason string

type Sealed interface
	KeySource
	// and unexported methods: others cannot implement it
`
)

func sample(t *testing.T) *types.Package {
	t.Helper()
	fset := token.NewFileSet()
	built := map[string]*types.Package{}
	check := func(path, src string, imports types.Importer) *types.Package {
		f, err := parser.ParseFile(fset, path+".go", src, parser.SkipObjectResolution)
		require.NoError(t, err)
		pkg, err := (&types.Config{Importer: imports}).Check(path, fset, []*ast.File{f}, nil)
		require.NoError(t, err)
		return pkg
	}
	built["example.org/other"] = check("example.org/other", otherSource, nil)
	built["net/http"] = check("net/http", `package http; type Client struct{}; type Handler interface{}`, nil)
	return check(module+"/sample", sampleSource, importerFunc(func(path string) (*types.Package, error) { return built[path], nil }))
}

type importerFunc func(path string) (*types.Package, error)

func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }

func TestDescribe(t *testing.T) {
	pkg := sample(t)
	require.Equal(t, sampleText, describe(pkg))
	require.Equal(t, []string{
		"Box", "Config", "Decode", "ErrX", "Handler", "KeySource", "Limit", "New", "Reason", "Sealed",
	}, countedNames(pkg))
}

func TestExposed(t *testing.T) {
	require.Equal(t, []string{"Box.Stores.All: Store"}, exposed(sample(t), "example.org/other"))
	require.Empty(t, exposed(sample(t), "example.org/elsewhere"))
}
