package house_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// orderOfChecks are the functions on a token's way, by file: each check in them must
// be held by a test.
var orderOfChecks = map[string][]string{
	"decision.go":   {"authenticate", "firstSight", "read", "verify", "check", "checkTime", "lapsed"},
	"policy.go":     {"allowsType", "checkClaims", "checkAudience", "takesOver"},
	"claims.go":     {"newClaims", "plainDate", "numericDate"},
	"confirm.go":    {"checkConfirmation", "isBoundToKey", "confirmCertificate", "clientCertificate"},
	"revocation.go": {"checkRevoked"},
	"signer.go":     {"keys", "verify", "isBy"},
	"memory.go":     {"see", "find"},
	"recheck.go":    {"recheck"},
	"decryption.go": {"open"},
	"tenants.go":    {"policyFor", "find"},
	"template.go":   {"match", "isTenant", "resolve"},
}

// spared are mutants that change no decision.
var spared = map[string]string{}

// mutant is a check that is taken out.
type mutant struct {
	name     string // file, function, condition
	path     string // of the file
	from, to int    // of the condition
}

// TestMutants takes out one check after the other, and wants the tests of jwtvalidate
// to fail each time. It takes minutes: `make mutants` runs it.
func TestMutants(t *testing.T) {
	only := os.Getenv("MUTANTS")
	if only == "" {
		t.Skip("runs by make mutants")
	}
	for _, m := range mutants(t) {
		if only != "all" && !strings.Contains(m.name, only) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			out, err := m.test(t)
			switch why, known := spared[m.name]; {
			case known:
				t.Log("changes no decision: " + why)
			case err == nil:
				t.Error("no test fails without it")
			case strings.Contains(out, "[build failed]"):
				t.Error("it does not build\n" + out)
			}
		})
	}
}

// mutants finds the conditions that lead to a refusal, each operand of || by itself.
func mutants(t *testing.T) (list []mutant) {
	t.Helper()
	for _, f := range tree(t) {
		functions := orderOfChecks[filepath.Base(f.path)]
		if f.dir() != "jwtvalidate" || functions == nil {
			continue
		}
		found := map[string]bool{}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !contains(functions, fn.Name.Name) {
				continue
			}
			found[fn.Name.Name] = true
			add := func(cond ast.Expr) {
				for _, part := range operands(cond) {
					from, to := f.fset.Position(part.Pos()).Offset, f.fset.Position(part.End()).Offset
					text := strings.Join(strings.Fields(string(f.src[from:to])), " ")
					list = append(list, mutant{filepath.Base(f.path) + " " + fn.Name.Name + ": " + text, f.path, from, to})
				}
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.IfStmt:
					if refuses(n.Body.List) {
						add(n.Cond)
					}
				case *ast.SwitchStmt:
					for _, s := range n.Body.List {
						clause, _ := s.(*ast.CaseClause)
						if n.Tag == nil && len(clause.List) == 1 && refuses(clause.Body) {
							add(clause.List[0])
						}
					}
				}
				return true
			})
		}
		require.Len(t, found, len(functions), f.path)
	}
	return list
}

func contains(list []string, name string) bool {
	for _, s := range list {
		if s == name {
			return true
		}
	}
	return false
}

func operands(e ast.Expr) []ast.Expr {
	if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.LOR {
		return append(operands(b.X), operands(b.Y)...)
	}
	return []ast.Expr{e}
}

// refuses reports whether statements end with the return of an error, or of false.
func refuses(list []ast.Stmt) bool {
	if len(list) == 0 {
		return false
	}
	ret, ok := list[len(list)-1].(*ast.ReturnStmt)
	if !ok || len(ret.Results) == 0 {
		return false
	}
	switch last := ret.Results[len(ret.Results)-1].(type) {
	case *ast.Ident:
		return last.Name == "false" || strings.HasPrefix(strings.ToLower(last.Name), "err")
	case *ast.CallExpr:
		return true
	}
	return false
}

// test runs the tests without the check.
func (m mutant) test(t *testing.T) (string, error) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, m.path))
	require.NoError(t, err)
	src, err := os.ReadFile(path)
	require.NoError(t, err)
	changed := filepath.Join(t.TempDir(), "changed.go")
	text := fmt.Sprintf("%s(false && (%s))%s", src[:m.from], src[m.from:m.to], src[m.to:])
	require.NoError(t, os.WriteFile(changed, []byte(text), 0o600))
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, replace, 0o600))
	cmd := exec.CommandContext(t.Context(), "go", "test", "-failfast", "-timeout", "2m", "-overlay", overlay, "./jwtvalidate", "./jwkcache")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}
