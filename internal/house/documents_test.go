package house_test

import (
	"go/ast"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Go code in a document is part of an Example that runs. A line of "// ..." stands for
// what the reader has of their own. The first of the README is fifteen lines long.
func TestDocumentsRun(t *testing.T) {
	var examples []string
	for _, f := range tree(t) {
		for _, d := range f.ast.Decls {
			if fn, is := d.(*ast.FuncDecl); is && f.isTest() && strings.HasPrefix(fn.Name.Name, "Example") {
				examples = append(examples, flush(string(f.src[f.fset.Position(fn.Body.Pos()).Offset:f.fset.Position(fn.Body.End()).Offset])))
			}
		}
	}
	blocks := 0
	for name, text := range documents(t) {
		for i, rest := range strings.Split(text, "```go\n")[1:] {
			code, _, closed := strings.Cut(rest, "```")
			require.True(t, closed, name)
			if blocks++; name == "README.md" && i == 0 {
				require.LessOrEqual(t, strings.Count(code, "\n"), 15)
			}
			parts := strings.Split(flush(code), "// ...\n")
			require.True(t, slices.ContainsFunc(examples, func(example string) bool { return hasAll(example, parts) }), "%s: no Example has\n%s", name, code)
		}
	}
	require.GreaterOrEqual(t, blocks, 8)
}

func hasAll(text string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}

// flush takes the indentation from each line.
func flush(code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		b.WriteString(strings.TrimLeft(line, "\t "))
	}
	return b.String()
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
)

// Links within the repository lead somewhere, anchors included.
func TestDocumentsLink(t *testing.T) {
	texts := documents(t)
	for name, text := range texts {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			file, anchor, anchored := strings.Cut(found[1], "#")
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
				_, err := os.Stat(filepath.Join(root, to))
				require.NoError(t, err, name)
			}
			if anchored {
				require.Contains(t, anchors(texts[to]), anchor, "%s: %s", name, found[1])
			}
		}
	}
}

// anchors are those that headings have on the usual sites.
func anchors(text string) []string {
	var all []string
	for _, found := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-"))
	}
	return all
}

// documents are the texts by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	require.NoError(t, walk(func(name string, d fs.DirEntry) error {
		if d.IsDir() || path.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		texts[name] = string(text)
		return err
	}))
	return texts
}
