package house_test

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFivePackagesNeverImportEachOther(t *testing.T) {
	require.Empty(t, siblingImports(tree(t)), "rule 1: they meet through interfaces of standard-library types")

	caught := siblingImports(sources(t,
		"jwtvalidate/a.go", `package jwtvalidate; import _ "github.com/gatehouse-auth/gatehouse/jwkcache"`,
		"jwtvalidate/jwttest/a.go", `package jwttest; import _ "github.com/gatehouse-auth/gatehouse/jwtvalidate"`,
		"jwtsign/a.go", `package jwtsign; import _ "github.com/gatehouse-auth/gatehouse/internal/shared"`,
		"internal/shared/a.go", `package shared; import _ "github.com/gatehouse-auth/gatehouse/revoke/redislog"`,
		"revoke/redislog/a.go", `package redislog; import _ "github.com/gatehouse-auth/gatehouse/revoke"`,
		"jwkcache/a_test.go", `package jwkcache_test; import _ "github.com/gatehouse-auth/gatehouse/jwtvalidate"`,
	))
	require.Equal(t, []string{
		"jwtsign -> internal/shared -> revoke/redislog",
		"jwtvalidate -> jwkcache",
		"jwtvalidate/jwttest -> jwtvalidate -> jwkcache",
	}, caught)
}

// siblingImports finds the ways by which a package of one of the five reaches another of the five, tests aside.
func siblingImports(files []goFile) []string {
	graph := map[string][]string{}
	for _, f := range files {
		if f.isTest() {
			continue
		}
		for p := range f.imports() {
			if to, ok := strings.CutPrefix(p, module+"/"); ok && !slices.Contains(graph[f.dir()], to) {
				graph[f.dir()] = append(graph[f.dir()], to)
			}
		}
	}
	var found []string
	for from := range graph {
		if family(from) == "" {
			continue
		}
		seen := map[string]bool{}
		var follow func(way []string)
		follow = func(way []string) {
			here := way[len(way)-1]
			if seen[here] {
				return
			}
			seen[here] = true
			if f := family(here); f != "" && f != family(from) {
				found = append(found, strings.Join(way, " -> "))
				return
			}
			for _, to := range slices.Sorted(slices.Values(graph[here])) {
				follow(append(slices.Clone(way), to))
			}
		}
		follow([]string{from})
	}
	slices.Sort(found)
	return found
}

// family is the one of the five that a folder belongs to, or "".
func family(dir string) string {
	for _, p := range five {
		if below(dir, p) {
			return p
		}
	}
	return ""
}

func TestJWXStaysInItsPlace(t *testing.T) {
	require.Empty(t, strayJWX(tree(t)), "rule 2: only internal/jose imports jwx, and some of jwx never")

	caught := strayJWX(sources(t,
		"jwkcache/a.go", `package jwkcache; import _ "github.com/lestrrat-go/jwx/v2/jwk"`,
		"jwkcache/a_test.go", `package jwkcache_test; import "github.com/lestrrat-go/jwx/v3"`,
		"internal/josephine/a.go", `package josephine; import _ "github.com/lestrrat-go/jwx/v2/jws"`,
		"internal/bench/a.go", `package bench; import "github.com/lestrrat-go/jwx/v2/jwt"; var _, _ = jwt.Parse(nil)`,
		"internal/jose/a.go", `package jose
import (
	"github.com/lestrrat-go/jwx/v2/jwk"
	tok "github.com/lestrrat-go/jwx/v2/jwt"
)
var _, _ = jwk.ParseKey(nil)
var _, _ = tok.ParseString("")
func f(jwt struct{ Parse int }) int { return jwt.Parse }
`,
		"internal/jose/a_test.go", `package jose_test
import . "github.com/lestrrat-go/jwx/v2/jws"
import "github.com/lestrrat-go/jwx/v2/jwk"
var _ *jwk.Cache
var _ = jwk.PublicSetOf
`,
	))
	require.Equal(t, []string{
		"internal/jose/a.go:7: jwt.ParseString",
		"internal/jose/a_test.go: dot import of github.com/lestrrat-go/jwx/v2/jws",
		"internal/jose/a_test.go:4: jwk.Cache",
		"internal/jose/a_test.go:5: jwk.PublicSetOf",
		"internal/josephine/a.go: github.com/lestrrat-go/jwx/v2/jws",
		"jwkcache/a.go: github.com/lestrrat-go/jwx/v2/jwk",
		"jwkcache/a_test.go: github.com/lestrrat-go/jwx/v3",
	}, caught)
}

const jwx = "github.com/lestrrat-go/jwx"

// neverUsed are the parts of jwx that rule 2 names: they fetch, cache or decide by themselves. A * ends a prefix.
var neverUsed = map[string][]string{
	"jwt": {"Parse*"},
	"jwk": {"Fetch*", "Cache", "NewCache", "NewCachedSet", "PublicSetOf"},
	"jws": {"WithJSON"},
}

// strayJWX finds imports of jwx, any major version, outside internal/jose, and what is never used within. Tests count
// as well; internal/bench, which measures jwx as a peer, does not.
func strayJWX(files []goFile) []string {
	var found []string
	for _, f := range files {
		if below(f.dir(), "internal/bench") {
			continue
		}
		names := map[string]string{} // local name → package of jwx
		for p, name := range f.imports() {
			switch {
			case !below(p, jwx):
			case !below(f.dir(), "internal/jose"):
				found = append(found, f.path+": "+p)
			case name == ".":
				found = append(found, f.path+": dot import of "+p)
			default:
				names[name] = p[strings.LastIndex(p, "/")+1:]
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok || !matches(neverUsed[names[x.Name]], sel.Sel.Name) {
				return true
			}
			found = append(found, f.line(sel.Pos())+": "+names[x.Name]+"."+sel.Sel.Name)
			return true
		})
	}
	slices.Sort(found)
	return found
}

func TestTestifyIsForTests(t *testing.T) {
	var found []string
	for _, f := range tree(t) {
		for p := range maps.Keys(f.imports()) {
			if below(p, "github.com/stretchr/testify") && !f.isTest() {
				found = append(found, f.path)
			}
		}
	}
	require.Empty(t, found, "what users compile does not depend on testify")
}
